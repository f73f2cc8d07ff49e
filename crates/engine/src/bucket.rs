//! A count that is given back bit by bit, as some providers do: a limit of 60 in a minute lets
//! one more through each second, and 60 at once after a minute's rest.

use std::time::Duration;

use crate::Timestamp;

/// One request takes longer to arrive than another: nothing is taken for given back before the
/// newest one has been on its way for so long.
const ARRIVAL: Duration = Duration::from_millis(250);

/// What is used of `limit` in `window`, less what was given back since.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    limit: u64,
    /// Milliseconds in which the whole limit is given back.
    window: u64,
    /// What was used at `at`, in parts of which `window` make one unit.
    level: u128,
    at: Timestamp,
}

impl Bucket {
    pub(crate) fn new(limit: u64, window: Duration) -> Self {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        Self { limit, window, level: 0, at: Timestamp::default() }
    }

    /// One of which nothing is left until `at`, when one is back.
    pub(crate) fn spent_until(at: Timestamp, limit: u64, window: Duration) -> Self {
        let mut bucket = Self::new(limit, window);
        let slot = window / u32::try_from(limit.max(1)).unwrap_or(u32::MAX);
        bucket.add(at.before(slot.saturating_add(ARRIVAL)), limit);
        bucket
    }

    pub(crate) const fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    pub(crate) fn add(&mut self, now: Timestamp, amount: u64) {
        self.level =
            self.left_of(self.level, self.at.until(now)).saturating_add(self.parts(amount));
        self.at = self.at.max(now);
    }

    /// Puts `after` in the place of `before`, which was added at `then`. What has been given back
    /// of it since is not given back once more, and where that is not known, it is taken to be as
    /// much as can be.
    pub(crate) fn replace(&mut self, then: Timestamp, before: u64, after: u64) {
        let excess = self.parts(before.saturating_sub(after));
        let standing = self.left_of(self.parts(before), then.until(self.at));
        let missing = self.parts(after.saturating_sub(before));
        self.level = self.level.saturating_sub(excess.min(standing)).saturating_add(missing);
    }

    pub(crate) fn used(&self, now: Timestamp) -> u64 {
        let passed = self.at.until(now).saturating_sub(ARRIVAL);
        let used = self.left_of(self.level, passed).div_ceil(self.window.max(1).into());
        u64::try_from(used).unwrap_or(u64::MAX)
    }

    /// The first moment at which at most `allowed` are used.
    pub(crate) fn falls_to(&self, allowed: u64) -> Timestamp {
        let over = self.level.saturating_sub(self.parts(allowed));
        if over == 0 {
            return self.at;
        }
        let millis = over.div_ceil(self.limit.max(1).into());
        let wait = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        self.at.after(wait.saturating_add(ARRIVAL))
    }

    /// How many are given back in an hour.
    pub(crate) fn per_hour(&self) -> f64 {
        self.limit as f64 * 3_600_000.0 / self.window.max(1) as f64
    }

    /// What is used, and since when nothing was added.
    pub(crate) fn kept(&self) -> Option<(Timestamp, u64)> {
        let used = self.level.div_ceil(self.window.max(1).into());
        (used > 0).then(|| (self.at, u64::try_from(used).unwrap_or(u64::MAX)))
    }

    fn parts(&self, amount: u64) -> u128 {
        u128::from(amount) * u128::from(self.window)
    }

    fn left_of(&self, level: u128, passed: Duration) -> u128 {
        level.saturating_sub(passed.as_millis().saturating_mul(self.limit.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn one_of_two_is_back_after_half_of_the_window() {
        for (window, back) in [(MINUTE, 30_250), (Duration::from_hours(24), 43_200_250)] {
            let mut bucket = Bucket::new(2, window);
            bucket.add(at(0), 1);
            bucket.add(at(0), 1);
            assert_eq!(bucket.used(at(0)), 2);
            assert_eq!(bucket.falls_to(1), at(back));
            assert_eq!((bucket.used(at(back - 1)), bucket.used(at(back))), (2, 1));
        }
    }

    #[test]
    fn what_was_given_back_already_is_not_given_back_by_a_correction() {
        // 100 in a second; the first really used 100, which are back after a second.
        let mut bucket = Bucket::new(6_000, MINUTE);
        bucket.add(at(0), 1_000);
        bucket.add(at(5_000), 1_000);
        assert_eq!(bucket.used(at(5_000)), 1_500);
        bucket.replace(at(0), 1_000, 100);
        assert_eq!(bucket.used(at(5_000)), 1_000, "all of the second one");
        bucket.replace(at(5_000), 1_000, 300);
        assert_eq!(bucket.used(at(5_000)), 300);
        bucket.replace(at(5_000), 300, 700);
        assert_eq!(bucket.used(at(5_000)), 700);
    }

    #[test]
    fn absurd_amounts_neither_overflow_nor_stay() {
        let mut bucket = Bucket::new(1, MINUTE);
        bucket.add(at(0), u64::MAX);
        bucket.add(at(0), u64::MAX);
        bucket.replace(at(0), 0, u64::MAX);
        assert_eq!(bucket.used(at(1)), u64::MAX);
        assert!(bucket.falls_to(0) > at(1));
        let mut bucket = Bucket::new(u64::MAX, MINUTE);
        bucket.add(at(0), u64::MAX);
        assert_eq!(bucket.used(at(60_250)), 0);
    }

    proptest! {
        /// Against a provider that counts exactly what is used at the moment of the request.
        #[test]
        fn no_less_is_counted_than_the_provider_counts(
            sent in proptest::collection::vec((0_i64..20_000, 0_u64..900, 0_u64..900, 0_usize..4), 1..80),
        ) {
            let (mut ours, mut theirs) = (Bucket::new(3_000, MINUTE), Bucket::new(3_000, MINUTE));
            let (mut now, mut open) = (0, Vec::new());
            for (gap, foreseen, used, answered) in sent {
                now += gap;
                ours.add(at(now), foreseen.max(used));
                theirs.add(at(now), used);
                open.push((now, foreseen.max(used), used));
                for _ in 0..answered.min(open.len()) {
                    let (then, before, after) = open.remove(0);
                    ours.replace(at(then), before, after);
                }
                prop_assert!(ours.used(at(now)) >= theirs.used(at(now)));
            }
        }
    }
}
