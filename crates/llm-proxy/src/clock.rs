//! The only file that reads a clock.
//!
//! The rules want one moment that never goes back and that notices a laptop's sleep. So the clock
//! follows the monotonic clock, jumps forward with the wall clock (sleep, or a corrected clock),
//! and ignores a wall clock that was set back: a deadline that was an hour away stays an hour
//! away.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::Timestamp;

/// A wall clock this far ahead of ours has jumped; less is drift, which is followed slowly.
const JUMP_MILLIS: i64 = 2_000;

/// How often the wall clock is read at most: a busy proxy asks for the time a dozen times a request.
const WALL_EVERY_MILLIS: i64 = 50;

/// Long sleeps are cut into pieces, so that a jump of the wall clock ends them in time.
const LONGEST_NAP: Duration = Duration::from_secs(5);

/// The clock of the process.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    /// Milliseconds since the epoch at `started`, moved forward by jumps.
    origin: AtomicI64,
    /// Milliseconds after `started` when the wall clock has to be read again.
    wall_due: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that starts at the wall clock's time.
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the clocks")]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            origin: AtomicI64::new(wall_millis(SystemTime::now())),
            wall_due: AtomicI64::new(0),
        }
    }

    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the clocks")]
    pub fn now(&self) -> Timestamp {
        self.at(self.started.elapsed(), SystemTime::now)
    }

    fn at(&self, elapsed: Duration, wall: impl FnOnce() -> SystemTime) -> Timestamp {
        let elapsed = elapsed.as_millis() as i64;
        if elapsed >= self.wall_due.load(Ordering::Relaxed) {
            self.wall_due.store(elapsed + WALL_EVERY_MILLIS, Ordering::Relaxed);
            let origin = self.origin.load(Ordering::Relaxed);
            let behind = wall_millis(wall()) - (origin + elapsed);
            if behind > JUMP_MILLIS {
                self.origin.fetch_max(origin + behind, Ordering::Relaxed);
            }
        }
        Timestamp::from_millis(self.origin.load(Ordering::Relaxed) + elapsed)
    }

    /// Sleeps until `moment`, also across a sleep of the machine.
    pub async fn sleep_until(&self, moment: Timestamp) {
        loop {
            let left = self.now().until(moment);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LONGEST_NAP)).await;
        }
    }
}

/// The moment of tokio's clock that lies `span` ahead, for timers that are set again and again.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the clocks")]
pub(crate) fn deadline_in(span: Duration) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    now.checked_add(span).unwrap_or(now)
}

fn wall_millis(wall: SystemTime) -> i64 {
    wall.duration_since(UNIX_EPOCH).map_or(0, |span| span.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> (Clock, SystemTime, i64) {
        let clock = Clock::new();
        let origin = clock.origin.load(Ordering::Relaxed);
        (clock, UNIX_EPOCH + Duration::from_millis(origin as u64), origin)
    }

    #[test]
    fn a_wall_clock_set_back_changes_nothing() {
        let (clock, wall, origin) = clock();
        let now = clock.at(Duration::from_secs(10), || wall - Duration::from_hours(1));
        assert_eq!(now.as_millis(), origin + 10_000);
    }

    #[test]
    fn a_sleep_of_the_machine_moves_the_time_forward() {
        let (clock, wall, origin) = clock();
        let now = clock.at(Duration::from_secs(1), || wall + Duration::from_hours(8));
        assert_eq!(now.as_millis(), origin + 8 * 3_600_000);
        let later = clock.at(Duration::from_secs(2), || wall + Duration::from_secs(8 * 3600 + 1));
        assert_eq!(later.as_millis(), origin + 8 * 3_600_000 + 1_000);
    }
}
