//! The only file of this crate that reads a clock.
//!
//! Deadlines that survive a restart are given in milliseconds since the epoch by those who set
//! them; here the wall clock only dates what is written, and the monotonic clock only paces it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch, for what is written down.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the clocks")]
pub(crate) fn wall() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A moment of the monotonic clock, for pauses.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the clocks")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}
