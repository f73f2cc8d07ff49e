//! A moment, handed in. The rules have no other source of time, so that a simulated year costs
//! nothing and a test never sleeps.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment as milliseconds since the Unix epoch, UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Makes a moment from milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Makes a moment from whole seconds since the Unix epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The time from this moment until `later`; zero if `later` is not later.
    pub fn until(self, later: Self) -> Duration {
        u64::try_from(later.0.saturating_sub(self.0)).map_or(Duration::ZERO, Duration::from_millis)
    }

    /// The moment `span` after this one. A part of a millisecond counts as a whole one, so that
    /// a stated wait is never cut short.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let millis = span.as_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX)))
    }

    /// The moment `span` before this one. A part of a millisecond does not count, so that a
    /// moment to wait for is never too early.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_millisecond_is_waited_out() {
        let now = Timestamp::from_millis(5);
        assert_eq!(now.after(Duration::from_nanos(1)).as_millis(), 6);
        assert_eq!(now.after(Duration::from_millis(17)).as_millis(), 22);
    }

    #[test]
    fn no_span_leaves_the_range() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.after(Duration::MAX), end);
        assert_eq!(end.until(Timestamp::from_millis(i64::MIN)), Duration::ZERO);
    }
}
