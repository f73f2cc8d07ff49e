//! The pace of a provider that tells nothing of its limit but how long each refusal lasts. What
//! gives back bit by bit has room for one request at the stated moment, so that whoever believes
//! the moment alone is refused once for each request that is taken. Two refusals with few requests
//! between them show how long one takes to come back.

use std::time::Duration;

use super::UsedUp;
use crate::{Dimension, Origin, Timestamp, Window};

/// Who takes more than so many between two refusals is asked in vain seldom enough.
const FEW: u64 = 3;

/// Nor does it matter where a single one takes longer than this to come back.
const LONGEST: Duration = Duration::from_secs(10);

/// For so long a pace is kept to after the newest refusal: what has come back in quiet times must
/// be found again.
const MEMORY: Duration = Duration::from_mins(1);

/// What refusals have shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Paced {
    /// When the round began that is under way: at the stated end of the refusals before it.
    begun: Option<Timestamp>,
    /// The requests of the round, and those of them that were refused.
    taken: u64,
    refused: u64,
    /// The stated end of the newest refusals.
    until: Timestamp,
    /// Whether there were few in the round before, too.
    few_before: bool,
    pace: Option<Pace>,
}

#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How long one takes to come back.
    slot: Duration,
    /// When the next one may be sent.
    next: Timestamp,
    /// When all this is forgotten.
    ends: Timestamp,
}

impl Paced {
    /// Counts a request that is being sent.
    pub(super) fn take(&mut self, now: Timestamp) {
        if self.refused > 0 && now >= self.until {
            self.few_before = self.has_few();
            self.begun = Some(self.until);
            (self.taken, self.refused) = (0, 0);
        }
        self.taken = self.taken.saturating_add(1);
        if let Some(pace) = &mut self.pace {
            pace.next = pace.next.max(now).after(pace.slot);
        }
    }

    /// A request that was sent at `started` was refused, as stated until then.
    pub(super) fn refuse(&mut self, started: Timestamp, until: Timestamp, now: Timestamp) {
        if self.begun.is_some_and(|begun| started < begun) {
            return;
        }
        self.refused = self.refused.saturating_add(1);
        self.until = self.until.max(until);
        let is_kept = self.pace.is_some_and(|pace| now < pace.ends);
        if is_kept || self.few_before && self.has_few() {
            self.pace =
                self.slot().map(|slot| Pace { slot, next: self.until, ends: now.after(MEMORY) });
        }
    }

    /// Why no further request can be sent now, if it would come too early.
    pub(super) fn used_up(&self, now: Timestamp) -> Option<UsedUp> {
        let pace = self.pace.filter(|pace| now < pace.ends && now < pace.next)?;
        Some(UsedUp {
            dimension: Dimension::Requests,
            window: Window::Unknown,
            limit: None,
            until: Some(pace.next),
            origin: Origin::Learned,
        })
    }

    /// Those of the round that were not refused, as far as that is known yet.
    const fn admitted(&self) -> u64 {
        self.taken.saturating_sub(self.refused)
    }

    fn has_few(&self) -> bool {
        self.begun.is_some() && (1..=FEW).contains(&self.admitted())
    }

    /// How long each of those that were let in took to come back.
    fn slot(&self) -> Option<Duration> {
        let admitted = u32::try_from(self.admitted()).ok()?;
        let slot = self.begun?.until(self.until).checked_div(admitted)?;
        (!slot.is_zero() && slot <= LONGEST).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    /// A bucket of ten in a second, and what came of a request in each 20 ms, in milliseconds.
    struct Bucket {
        paced: Paced,
        left: f64,
        looked: i64,
        shut: i64,
        admitted: u64,
        refused: u64,
    }

    impl Bucket {
        fn new() -> Self {
            Self {
                paced: Paced::default(),
                left: 10.0,
                looked: 0,
                shut: 0,
                admitted: 0,
                refused: 0,
            }
        }

        fn ask(&mut self, now: i64) {
            if now < self.shut || self.paced.used_up(at(now)).is_some() {
                return;
            }
            self.left = (self.left + (now - self.looked) as f64 / 100.0).min(10.0);
            self.looked = now;
            self.paced.take(at(now));
            if self.left >= 1.0 {
                self.left -= 1.0;
                self.admitted += 1;
            } else {
                self.refused += 1;
                self.shut = now + ((1.0 - self.left) * 100.0).ceil() as i64;
                self.paced.refuse(at(now), at(self.shut), at(now));
            }
        }
    }

    #[test]
    fn a_bucket_that_says_only_when_is_asked_in_vain_a_few_times_a_minute() {
        let mut bucket = Bucket::new();
        for now in (0..60_000).step_by(20) {
            bucket.ask(now);
        }
        assert!(bucket.refused <= 6, "{} in vain", bucket.refused);
        assert!(bucket.admitted >= 540, "{} of about 600", bucket.admitted);
    }

    #[test]
    fn who_lets_in_many_at_once_is_not_held_back() {
        let mut paced = Paced::default();
        for round in 0..5 {
            let began = round * 2_000;
            for _ in 0..20 {
                paced.take(at(began));
            }
            paced.take(at(began));
            paced.refuse(at(began), at(began + 2_000), at(began));
            assert_eq!(paced.used_up(at(began + 2_000)), None);
        }
    }

    #[test]
    fn a_single_repeat_shows_no_pace_and_a_pace_is_forgotten() {
        let mut paced = Paced::default();
        let mut refuse = |now: i64| {
            paced.take(at(now));
            paced.take(at(now));
            paced.refuse(at(now), at(now + 1_000), at(now));
            let after = at(now + 1_000);
            paced.take(after);
            paced.used_up(after).map(|used_up| used_up.until)
        };
        assert_eq!([refuse(0), refuse(2_000)], [None, None]);
        assert!(refuse(4_000).is_some());
        assert_eq!(paced.used_up(at(64_001)), None);
    }

    #[test]
    fn refusals_that_were_under_way_together_are_one_round() {
        let mut paced = Paced::default();
        for now in [0, 1_000, 2_000] {
            for _ in 0..5 {
                paced.take(at(now));
            }
            for late in 0..4 {
                paced.refuse(at(now), at(now + 1_000), at(now + late));
            }
        }
        let next = |paced: &Paced| paced.used_up(at(3_000)).and_then(|used_up| used_up.until);
        assert_eq!(next(&paced), None, "one has come back");
        paced.take(at(3_000));
        assert_eq!(next(&paced), Some(at(4_000)), "one in a second was let in");
    }
}
