//! When to save, when to sync and when to try again: plain functions of moments.

use std::time::{Duration, Instant};

/// How long changes are gathered before they are written in one transaction.
pub(crate) const GATHER: Duration = Duration::from_millis(50);
/// At most this long after a commit it is on the disk itself, not only in the system's cache.
pub(crate) const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Old rows are looked for at most this often.
pub(crate) const PRUNE_EVERY: Duration = Duration::from_mins(1);
/// Pauses after failed saves grow from one second up to this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Which commits are synced, and when what was not has to be.
///
/// A commit is synced when it is urgent or when the last sync is a second old, so a busy file
/// sees one sync a second. A commit in between leaves a date, and the writer wakes for it.
#[derive(Debug, Default)]
pub(crate) struct Syncs {
    last: Option<Instant>,
    unsynced: bool,
}

impl Syncs {
    /// Whether a commit at `now` has to be synced.
    pub(crate) fn wanted(&self, now: Instant, urgent: bool) -> bool {
        urgent || self.last.is_none_or(|last| now.duration_since(last) >= SYNC_EVERY)
    }

    /// Something was committed at `now`.
    pub(crate) fn committed(&mut self, now: Instant, synced: bool) {
        self.unsynced = !synced;
        if synced {
            self.last = Some(now);
        }
    }

    /// When what was committed has to be synced, if it is not yet.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.last.filter(|_| self.unsynced).map(|last| last + SYNC_EVERY)
    }
}

/// How long to wait after so many failed saves in a row.
pub(crate) fn pause(failures: u32) -> Duration {
    let doubled = 1_u64 << failures.saturating_sub(1).min(10);
    Duration::from_secs(doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one reading as the origin of a made-up clock")]
mod tests {
    use super::*;

    #[test]
    fn a_busy_file_is_synced_once_a_second() {
        let start = Instant::now();
        let mut syncs = Syncs::default();
        let mut synced = 0;
        for step in 0..200 {
            let now = start + GATHER * step;
            let wanted = syncs.wanted(now, false);
            synced += u32::from(wanted);
            syncs.committed(now, wanted);
        }
        assert_eq!(synced, 10);
    }

    #[test]
    fn the_last_commit_of_a_burst_is_synced_within_a_second() {
        let start = Instant::now();
        let mut syncs = Syncs::default();
        assert!(syncs.wanted(start, false));
        syncs.committed(start, true);
        assert_eq!(syncs.due(), None);
        let later = start + GATHER;
        assert!(!syncs.wanted(later, false));
        syncs.committed(later, false);
        assert_eq!(syncs.due(), Some(start + SYNC_EVERY));
    }

    #[test]
    fn what_is_urgent_is_synced_at_once() {
        let start = Instant::now();
        let mut syncs = Syncs::default();
        syncs.committed(start, true);
        assert!(syncs.wanted(start, true));
    }

    #[test]
    fn pauses_grow_from_a_second_to_a_minute() {
        let seconds: Vec<u64> = (1..=9).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(u32::MAX).as_secs(), 60);
    }
}
