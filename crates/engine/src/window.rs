//! Counts over a span of time, for limits per minute and per day.

use std::time::Duration;

use crate::bucket::Bucket;
use crate::kept::KeptSpan;
use crate::limits::Limits;
use crate::outlook::used_up_at;
use crate::{DayStart, Timestamp, Window};

/// A count over the last `span`, kept in buckets, rounded to the strict side by one bucket, so
/// that no span of that length ever holds more than what was admitted against it.
#[derive(Debug, Clone)]
pub(crate) struct Rolling {
    bucket_millis: i64,
    counts: Vec<u64>,
    /// The number, since the epoch, of the newest bucket.
    newest: i64,
}

impl Rolling {
    /// A second and a quarter: one request takes longer to arrive than another.
    pub(crate) fn second() -> Self {
        Self::new(50, 26)
    }

    pub(crate) fn minute() -> Self {
        Self::new(1_000, 61)
    }

    pub(crate) fn day() -> Self {
        Self::new(300_000, 289)
    }

    fn new(bucket_millis: i64, buckets: usize) -> Self {
        Self { bucket_millis, counts: vec![0; buckets], newest: 0 }
    }

    fn bucket(&self, now: Timestamp) -> i64 {
        now.as_millis().div_euclid(self.bucket_millis)
    }

    fn slot(&self, bucket: i64) -> usize {
        bucket.rem_euclid(self.counts.len() as i64) as usize
    }

    fn advance(&mut self, now: Timestamp) {
        let target = self.bucket(now);
        if target <= self.newest {
            return;
        }
        let steps = target.saturating_sub(self.newest).min(self.counts.len() as i64);
        for bucket in (target - steps + 1)..=target {
            let slot = self.slot(bucket);
            self.counts[slot] = 0;
        }
        self.newest = target;
    }

    pub(crate) fn add(&mut self, now: Timestamp, amount: u64) {
        self.advance(now);
        let slot = self.slot(self.newest);
        self.counts[slot] = self.counts[slot].saturating_add(amount);
    }

    /// Puts `after` in the place of `before`, which was added at `then`, if that still counts.
    pub(crate) fn replace(&mut self, then: Timestamp, before: u64, after: u64) {
        let bucket = self.bucket(then);
        if self.newest - bucket < self.counts.len() as i64 && bucket <= self.newest {
            let slot = self.slot(bucket);
            self.counts[slot] = replaced(self.counts[slot], before, after);
        }
    }

    pub(crate) fn used(&self, now: Timestamp) -> u64 {
        let oldest = self.bucket(now) - self.counts.len() as i64 + 1;
        self.live_buckets()
            .filter(|(bucket, _)| *bucket >= oldest)
            .fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// When the oldest of what was counted leaves the span; `None` if nothing was.
    pub(crate) fn first_leaves(&self) -> Option<Timestamp> {
        let oldest = self.live_buckets().find(|(_, count)| *count > 0);
        let leaves = |(bucket, _)| (bucket + self.counts.len() as i64 - 1) * self.bucket_millis;
        oldest.map(leaves).map(Timestamp::from_millis)
    }

    /// The first moment at which at most `allowed` are left in the span.
    pub(crate) fn falls_to(&self, allowed: u64) -> Timestamp {
        let counts = self.live_buckets().map(|(_, count)| count);
        let mut left = counts.fold(0_u64, u64::saturating_add);
        let mut when = Timestamp::default();
        for (bucket, count) in self.live_buckets() {
            if left <= allowed {
                break;
            }
            left = left.saturating_sub(count);
            let freed = (bucket + self.counts.len() as i64) * self.bucket_millis;
            when = Timestamp::from_millis(freed);
        }
        when
    }

    /// When `limit` is reached at this pace, as what was used long ago leaves the span bit by
    /// bit; `None` if a whole span passes without.
    fn runs_out_at(&self, limit: u64, per_hour: f64, now: Timestamp) -> Option<Timestamp> {
        let span = self.bucket_millis.saturating_mul(self.counts.len() as i64);
        let leaves = |bucket: i64| {
            let begins = bucket.saturating_mul(self.bucket_millis);
            Timestamp::from_millis(begins.saturating_add(span))
        };
        let live = self.live_buckets().map(|(bucket, count)| (leaves(bucket), count));
        let end = (now.after(Duration::from_millis(span.unsigned_abs())), 0);
        let (mut used, mut then) = (self.used(now) as f64, now);
        for (leaves, count) in live.filter(|(leaves, _)| *leaves > now).chain([end]) {
            let room = (limit as f64 - used).max(0.0) as u64;
            let reached = used_up_at(room, per_hour, then);
            if let Some(reached) = reached.filter(|reached| *reached <= leaves) {
                return Some(reached);
            }
            let passed = then.until(leaves).as_secs_f64() / 3600.0;
            used = passed.mul_add(per_hour, used) - count as f64;
            then = leaves;
        }
        None
    }

    /// The amounts that may still count, each with the moment at which its bucket begins.
    fn kept(&self) -> Vec<(Timestamp, u64)> {
        let used = self.live_buckets().filter(|(_, count)| *count > 0);
        let begins = |bucket: i64| bucket.saturating_mul(self.bucket_millis);
        used.map(|(bucket, count)| (Timestamp::from_millis(begins(bucket)), count)).collect()
    }

    fn live_buckets(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        let first = self.newest - self.counts.len() as i64 + 1;
        (first..=self.newest).map(|bucket| (bucket, self.counts[self.slot(bucket)]))
    }
}

/// A count over a calendar day that begins anew at a fixed instant.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    start: DayStart,
    ends: Timestamp,
    begins: Timestamp,
    used: u64,
}

impl Calendar {
    pub(crate) fn new(start: DayStart) -> Self {
        Self { start, ends: Timestamp::default(), begins: Timestamp::default(), used: 0 }
    }

    /// Goes on with a day that was begun, if days still begin and end as that one did.
    fn take_up(&mut self, begins: Timestamp, ends: Timestamp, used: u64) -> bool {
        let day = self.start.day_at(begins);
        let same = (day.begins, day.ends) == (begins, ends);
        if same {
            (self.begins, self.ends, self.used) = (begins, ends, used);
        }
        same
    }

    fn advance(&mut self, now: Timestamp) {
        if now >= self.ends {
            let day = self.start.day_at(now);
            self.begins = day.begins;
            self.ends = day.ends;
            self.used = 0;
        }
    }
}

/// How a limit's span ends: it rolls on, it is given back bit by bit, or it begins anew at a
/// fixed instant.
#[derive(Debug, Clone)]
pub(crate) enum Count {
    Rolling(Rolling),
    Bucket(Bucket),
    Calendar(Calendar),
}

impl Count {
    pub(crate) fn add(&mut self, now: Timestamp, amount: u64) {
        match self {
            Self::Rolling(rolling) => rolling.add(now, amount),
            Self::Bucket(bucket) => bucket.add(now, amount),
            Self::Calendar(calendar) => {
                calendar.advance(now);
                calendar.used = calendar.used.saturating_add(amount);
            }
        }
    }

    /// Puts `after` in the place of `before`, which was added at `then`. What was added in an
    /// earlier span stays there.
    pub(crate) fn replace(&mut self, then: Timestamp, before: u64, after: u64) {
        match self {
            Self::Rolling(rolling) => rolling.replace(then, before, after),
            Self::Bucket(bucket) => bucket.replace(then, before, after),
            Self::Calendar(calendar) if then >= calendar.begins => {
                calendar.used = replaced(calendar.used, before, after);
            }
            Self::Calendar(_) => {}
        }
    }

    pub(crate) fn used(&self, now: Timestamp) -> u64 {
        match self {
            Self::Rolling(rolling) => rolling.used(now),
            Self::Bucket(bucket) => bucket.used(now),
            Self::Calendar(calendar) if now < calendar.ends => calendar.used,
            Self::Calendar(_) => 0,
        }
    }

    /// The first moment after `now` at which at most `allowed` of the span are used.
    pub(crate) fn falls_to(&self, allowed: u64, now: Timestamp) -> Timestamp {
        match self {
            Self::Rolling(rolling) => rolling.falls_to(allowed).max(now),
            Self::Bucket(bucket) => bucket.falls_to(allowed).max(now),
            Self::Calendar(calendar) => calendar.ends.max(now),
        }
    }

    /// An empty count against the limit of a second, a minute or a day. A day that the configuration lets
    /// begin at an instant does so, however the provider gives back the rest.
    pub(crate) fn new(window: Window, limit: u64, limits: &Limits) -> Self {
        match (&limits.day, window.length()) {
            (Some(start), _) if window == Window::Day => {
                Self::Calendar(Calendar::new(start.clone()))
            }
            (_, Some(length)) if limits.refills => Self::Bucket(Bucket::new(limit, length)),
            _ if window == Window::Second => Self::Rolling(Rolling::second()),
            _ if window == Window::Minute => Self::Rolling(Rolling::minute()),
            _ => Self::Rolling(Rolling::day()),
        }
    }

    /// Goes on counting against another limit.
    pub(crate) const fn set_limit(&mut self, limit: u64) {
        if let Self::Bucket(bucket) = self {
            bucket.set_limit(limit);
        }
    }

    /// When all of the span is free again; `None` if nothing is used of one that rolls on.
    pub(crate) fn resets_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Rolling(_) | Self::Bucket(_) => {
                (self.used(now) > 0).then(|| self.falls_to(0, now))
            }
            Self::Calendar(calendar) if now < calendar.ends => Some(calendar.ends),
            Self::Calendar(calendar) => Some(calendar.start.next_after(now)),
        }
    }

    /// When `limit` is used up at this pace; `None` if it never is, or comes back first.
    pub(crate) fn runs_out_at(
        &self,
        limit: u64,
        per_hour: f64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        match self {
            Self::Rolling(rolling) => rolling.runs_out_at(limit, per_hour, now),
            Self::Bucket(bucket) => {
                let left = limit.saturating_sub(bucket.used(now));
                used_up_at(left, per_hour - bucket.per_hour(), now)
            }
            Self::Calendar(_) => {
                let left = limit.saturating_sub(self.used(now));
                let ends = self.resets_at(now)?;
                used_up_at(left, per_hour, now).filter(|at| *at < ends)
            }
        }
    }

    /// What counts, as it is kept.
    pub(crate) fn kept(&self) -> KeptSpan {
        match self {
            Self::Rolling(rolling) => KeptSpan::Rolling(rolling.kept()),
            Self::Bucket(bucket) => KeptSpan::Rolling(bucket.kept().into_iter().collect()),
            Self::Calendar(calendar) => KeptSpan::Calendar {
                begins: calendar.begins,
                ends: calendar.ends,
                used: calendar.used,
            },
        }
    }

    /// Takes up what was kept of an earlier run. Returns whether it is of a span like this one.
    pub(crate) fn take_up(&mut self, kept: &KeptSpan) -> bool {
        match (&mut *self, kept) {
            (Self::Rolling(_) | Self::Bucket(_), KeptSpan::Rolling(amounts)) => {
                let mut amounts = amounts.clone();
                amounts.sort_unstable();
                for (then, amount) in amounts {
                    self.add(then, amount);
                }
                true
            }
            (Self::Calendar(calendar), &KeptSpan::Calendar { begins, ends, used }) => {
                calendar.take_up(begins, ends, used)
            }
            (Self::Rolling(_) | Self::Bucket(_), KeptSpan::Calendar { .. })
            | (Self::Calendar(_), KeptSpan::Rolling(_)) => false,
        }
    }
}

const fn replaced(count: u64, before: u64, after: u64) -> u64 {
    count.saturating_sub(before).saturating_add(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_rolling_minute_never_holds_more_than_was_admitted(
            gaps in proptest::collection::vec(0_i64..20_000, 1..200), limit in 1_u64..20,
        ) {
            let mut count = Rolling::minute();
            let mut now = 1_000_000_i64;
            let mut admitted: Vec<i64> = Vec::new();
            for gap in gaps {
                now += gap;
                let moment = Timestamp::from_millis(now);
                if count.used(moment) < limit {
                    count.add(moment, 1);
                    admitted.push(now);
                } else {
                    let free = count.falls_to(limit - 1);
                    prop_assert!(count.used(free) < limit);
                    prop_assert!(count.used(Timestamp::from_millis(free.as_millis() - 1)) >= limit);
                }
                let inside = admitted.iter().filter(|then| now - **then < 60_000).count();
                prop_assert!(inside as u64 <= limit);
            }
        }
    }

    #[test]
    fn a_correction_counts_from_the_moment_of_the_request() {
        let mut count = Rolling::minute();
        let then = Timestamp::from_secs(100);
        count.add(then, 10);
        count.add(Timestamp::from_secs(150), 1);
        count.replace(then, 10, 6);
        assert_eq!(count.used(Timestamp::from_secs(150)), 7);
        assert_eq!(count.used(Timestamp::from_secs(161)), 1);
        count.add(Timestamp::from_secs(200), 1);
        count.replace(then, 6, 99);
        assert_eq!(count.used(Timestamp::from_secs(200)), 2);
    }

    #[test]
    fn a_correction_after_midnight_stays_in_the_day_of_the_request() {
        let midnight = DayStart::midnight(jiff::tz::TimeZone::UTC);
        let limits = Limits { day: Some(midnight), ..Limits::default() };
        let mut count = Count::new(Window::Day, 10, &limits);
        let (evening, morning) = (Timestamp::from_secs(86_399), Timestamp::from_secs(86_401));
        count.add(evening, 10);
        count.add(morning, 1);
        count.replace(evening, 10, 500);
        assert_eq!(count.used(morning), 1);
    }

    #[test]
    fn absurd_amounts_neither_overflow_nor_stay() {
        let mut count = Rolling::minute();
        for second in 100..103 {
            count.add(Timestamp::from_secs(second), u64::MAX);
        }
        let last = Timestamp::from_secs(103);
        assert_eq!(count.used(last), u64::MAX);
        assert!(count.falls_to(0) > last);
        assert_eq!(count.used(Timestamp::from_secs(163)), 0);
        count.add(Timestamp::from_secs(300), 1);
        assert_eq!(count.used(Timestamp::from_secs(300)), 1);
    }
}
