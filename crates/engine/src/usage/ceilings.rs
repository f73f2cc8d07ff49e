//! How many requests a provider takes in a minute or a second, where only its refusals tell.
//!
//! What was sent in the last minute is counted of everyone, so that the figure helps from the
//! moment at which it is told. How the allowance comes back is not told; when the refused request
//! may come back tells which of three ways fits. From then on no window, wherever it begins, ever
//! holds more than the ceiling: that is safe in all three.

use std::time::Duration;

use super::{Usage, UsedUp};
use crate::bucket::Bucket;
use crate::window::Rolling;
use crate::{Dimension, Origin, Timestamp, Window};

/// Plans change: after this time a refusal has to tell it again.
const BELIEVED: Duration = Duration::from_hours(1);

/// Times are rounded to whole seconds, and so are the counts of a minute.
const ROUNDING: Duration = Duration::from_secs(1);

/// What is sent in the moment of a refusal is not sent after it.
const INSTANT: Duration = Duration::from_millis(1);

/// How many requests a refusal says are taken in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// A second or a minute; nothing is learned of any other window.
    pub window: Window,
    /// The number, from 1 on; nothing is learned of 0.
    pub most: u64,
}

/// A ceiling and what is counted against it.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    ceiling: Ceiling,
    window: Rolling,
    /// Besides, as long as it may come back bit by bit from nothing.
    bucket: Option<Bucket>,
    /// What was sent before does not count.
    since: Timestamp,
    /// After this moment it is not believed any more.
    expires: Timestamp,
}

impl Counted {
    /// How many requests may still be sent now.
    fn left(&self, now: Timestamp) -> u64 {
        let bucket = self.bucket.as_ref().map_or(0, |bucket| bucket.used(now));
        self.ceiling.most.saturating_sub(self.window.used(now).max(bucket))
    }

    /// When there is room for another request, if there is none now.
    fn free_at(&self, now: Timestamp) -> Option<Timestamp> {
        let most = self.ceiling.most;
        let window = (self.window.used(now) >= most).then(|| self.window.falls_to(most - 1));
        let bucket = self.bucket.as_ref().filter(|bucket| bucket.used(now) >= most);
        let bucket = bucket.map(|bucket| bucket.falls_to(most - 1));
        window.max(bucket).map(|at| at.max(now))
    }
}

/// What was sent in the last minute.
#[derive(Debug, Clone)]
pub(super) struct Recent(Rolling);

impl Default for Recent {
    fn default() -> Self {
        Self(Rolling::minute())
    }
}

impl Usage {
    /// Takes how many requests a refusal says are taken, and when the next one is.
    pub(crate) fn learn_ceiling(
        &mut self,
        ceiling: Ceiling,
        back_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        let is_short = matches!(ceiling.window, Window::Second | Window::Minute);
        let Some(length) = ceiling.window.length().filter(|_| is_short && ceiling.most > 0) else {
            return;
        };
        let is_minute = ceiling.window == Window::Minute;
        let slot = length / u32::try_from(ceiling.most).unwrap_or(u32::MAX);
        let rolls_on = is_minute && back_at.is_none_or(|at| !self.is_before_any_leaves(at));
        let back_at = back_at.unwrap_or_else(|| now.after(slot));
        let is_next_part = !rolls_on && back_at <= now.after(slot.saturating_add(ROUNDING));
        self.ceilings.retain(|other| other.ceiling.window != ceiling.window);
        self.ceilings.push(Counted {
            ceiling,
            window: match (is_minute, rolls_on) {
                (true, true) => self.recent.0.clone(),
                (true, false) => Rolling::minute(),
                (false, _) => Rolling::second(),
            },
            bucket: is_next_part.then(|| Bucket::spent_until(back_at, ceiling.most, length)),
            since: if rolls_on { Timestamp::default() } else { now.after(INSTANT) },
            expires: now.after(BELIEVED),
        });
    }

    /// Whether a moment comes before anything that was sent leaves the last minute.
    fn is_before_any_leaves(&self, at: Timestamp) -> bool {
        let first = self.recent.0.first_leaves();
        first.is_none_or(|first| at.after(2 * ROUNDING) < first)
    }

    pub(super) fn count_sent(&mut self, now: Timestamp) {
        self.recent.0.add(now, 1);
        for counted in &mut self.ceilings {
            counted.window.add(now, 1);
            if let Some(bucket) = &mut counted.bucket {
                bucket.add(now, 1);
            }
        }
    }

    /// What was sent at `taken` was refused for a limit: it counts for nothing.
    pub(crate) fn refused(&mut self, taken: Timestamp) {
        self.recent.0.replace(taken, 1, 0);
        for counted in self.ceilings.iter_mut().filter(|counted| counted.since <= taken) {
            counted.window.replace(taken, 1, 0);
            if let Some(bucket) = &mut counted.bucket {
                bucket.replace(taken, 1, 0);
            }
        }
    }

    /// Whether a request that is sent now is more than a learned ceiling allows.
    pub(crate) fn is_at_ceiling(&self, now: Timestamp) -> bool {
        self.reached(now).next().is_some()
    }

    /// A request that was sent at `taken`, above a ceiling, was answered: whatever was learned
    /// before does not hold any more.
    pub(crate) fn disprove_ceilings(&mut self, taken: Timestamp) {
        let latest = taken.after(BELIEVED);
        self.ceilings.retain(|counted| counted.expires > latest);
    }

    /// The learned ceilings, each with how many requests may still be sent now, and when there is
    /// room for one more than that.
    pub(crate) fn known_ceilings(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (Ceiling, u64, Option<Timestamp>)> {
        let believed = self.ceilings.iter().filter(move |counted| now < counted.expires);
        believed.map(move |counted| (counted.ceiling, counted.left(now), counted.free_at(now)))
    }

    /// The learned ceilings that forbid another request now.
    pub(super) fn reached(&self, now: Timestamp) -> impl Iterator<Item = UsedUp> {
        let believed = self.ceilings.iter().filter(move |counted| now < counted.expires);
        believed.filter_map(move |counted| {
            let Ceiling { window, most } = counted.ceiling;
            counted.free_at(now).map(|until| UsedUp {
                dimension: Dimension::Requests,
                window,
                limit: Some(most),
                until: Some(until),
                origin: Origin::Learned,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::Demand;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000 + millis)
    }

    fn send(usage: &mut Usage, millis: i64) -> bool {
        let may = usage.used_up(Demand::default(), at(millis)).is_none();
        if may {
            usage.take(Demand::default(), at(millis));
        }
        may
    }

    /// How many of a hundred at once are let through.
    fn burst(usage: &mut Usage, millis: i64) -> usize {
        (0..100).take_while(|_| send(usage, millis)).count()
    }

    fn refuse(usage: &mut Usage, most: u64, back: i64, millis: i64) {
        usage.take(Demand::default(), at(millis));
        usage.learn_ceiling(Ceiling { window: Window::Minute, most }, Some(at(back)), at(millis));
        usage.refused(at(millis));
    }

    #[test]
    fn a_window_that_rolls_on_gives_back_what_left_it() {
        let mut usage = Usage::default();
        for second in 0..5 {
            assert!(send(&mut usage, second * 4_000));
        }
        refuse(&mut usage, 5, 60_000, 20_000);
        assert_eq!(burst(&mut usage, 59_000), 0);
        assert_eq!(burst(&mut usage, 61_500), 1, "one each four seconds left");
        assert_eq!(burst(&mut usage, 65_500), 1);
        assert_eq!(burst(&mut usage, 140_000), 5);
    }

    #[test]
    fn a_window_that_ends_sooner_gives_back_all() {
        let mut usage = Usage::default();
        assert_eq!((0..5).filter(|_| send(&mut usage, 50_000)).count(), 5);
        refuse(&mut usage, 5, 70_000, 50_100);
        assert_eq!(burst(&mut usage, 70_000), 5);
        assert_eq!(burst(&mut usage, 120_000), 0);
        assert_eq!(burst(&mut usage, 131_000), 5);
    }

    #[test]
    fn a_bucket_gives_back_one_after_another() {
        let mut usage = Usage::default();
        assert_eq!((0..20).filter(|_| send(&mut usage, 0)).count(), 20);
        refuse(&mut usage, 20, 3_000, 100);
        assert_eq!(burst(&mut usage, 2_999), 0);
        assert_eq!(burst(&mut usage, 3_000), 1);
        assert_eq!(burst(&mut usage, 10_000), 2);
    }

    #[test]
    fn a_ceiling_is_believed_for_an_hour_and_until_a_person_resets_it() {
        let mut usage = Usage::default();
        refuse(&mut usage, 1, 50, 0);
        assert_eq!(burst(&mut usage, 100_000), 1);
        assert_eq!(burst(&mut usage, 3_600_000 - 1), 1);
        assert_eq!(burst(&mut usage, 3_600_000), 100);
        refuse(&mut usage, 1, 50, 0);
        usage.forget_learned();
        assert_eq!(burst(&mut usage, 100), 100);
        for (window, most) in [(Window::Minute, 0), (Window::Day, 1), (Window::Unknown, 1)] {
            usage.learn_ceiling(Ceiling { window, most }, None, at(200));
        }
        assert_eq!(burst(&mut usage, 300), 100);
    }
}
