//! The provider's sense of time: one closure, so that a test can move it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time since the Unix epoch to everything in this crate that asks for it.
///
/// Delays inside an answer are real waits of the runtime and do not follow this clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// Reads the machine's clock once and the monotonic one from then on.
    #[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads a clock")]
    pub fn real() -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = Instant::now();
        Self::of(move || epoch + start.elapsed())
    }

    /// Takes the time since the Unix epoch from `now`, which must not go back.
    pub fn of(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the time since the Unix epoch.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Clock").field(&self.now()).finish()
    }
}
