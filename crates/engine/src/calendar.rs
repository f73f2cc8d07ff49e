//! Days as people and providers count them: from an instant of the clock in a zone, right across
//! daylight saving.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// When a calendar day begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayStart {
    /// The wall-clock time at which the day begins.
    pub time: Time,
    /// The zone whose wall clock is meant.
    pub zone: TimeZone,
}

impl DayStart {
    /// Midnight in `zone`.
    pub fn midnight(zone: TimeZone) -> Self {
        Self { time: Time::midnight(), zone }
    }

    /// The day that contains `now`.
    pub fn day_at(&self, now: Timestamp) -> Day {
        self.try_day_at(now).unwrap_or(Day { date: String::new(), begins: now, ends: now })
    }

    /// The first moment after `now` at which a day begins.
    pub fn next_after(&self, now: Timestamp) -> Timestamp {
        self.day_at(now).ends
    }

    fn try_day_at(&self, now: Timestamp) -> Option<Day> {
        let local =
            jiff::Timestamp::from_millisecond(now.as_millis()).ok()?.to_zoned(self.zone.clone());
        let today = self.start_on(&local)?;
        let (begin, end) = if today > local {
            (self.start_on(&local.checked_sub(1.day()).ok()?)?, today)
        } else {
            let tomorrow = self.start_on(&local.checked_add(1.day()).ok()?)?;
            (today, tomorrow)
        };
        Some(Day { date: begin.date().to_string(), begins: moment(&begin), ends: moment(&end) })
    }

    /// A time that daylight saving skips is as much later as the clock was put forward; of a time
    /// that comes twice, the first counts.
    fn start_on(&self, day: &Zoned) -> Option<Zoned> {
        day.date().to_datetime(self.time).to_zoned(self.zone.clone()).ok()
    }
}

fn moment(zoned: &Zoned) -> Timestamp {
    Timestamp::from_millis(zoned.timestamp().as_millisecond())
}

/// One calendar day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// The date of its beginning, `YYYY-MM-DD`.
    pub date: String,
    /// Its first moment.
    pub begins: Timestamp,
    /// The first moment of the next day.
    pub ends: Timestamp,
}

impl Day {
    pub(crate) fn contains(&self, now: Timestamp) -> bool {
        (self.begins..self.ends).contains(&now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn moment_of(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn pacific_midnight_is_right_across_both_changes() {
        let pacific = DayStart::midnight(zone("America/Los_Angeles"));
        // 2026-11-01 has 25 hours, 2026-03-08 has 23.
        for (now, next) in [
            ("2026-11-01T08:00:00Z", "2026-11-02T08:00:00Z"),
            ("2026-11-01T06:59:59Z", "2026-11-01T07:00:00Z"),
            ("2026-03-08T09:00:00Z", "2026-03-09T07:00:00Z"),
        ] {
            assert_eq!(pacific.next_after(moment_of(now)), moment_of(next), "{now}");
        }
    }

    #[test]
    fn a_day_may_begin_at_any_time() {
        let start = DayStart { time: Time::constant(4, 30, 0, 0), zone: zone("Asia/Kathmandu") };
        let day = start.day_at(moment_of("2026-11-21T22:44:59Z"));
        assert_eq!(day.date, "2026-11-21");
        assert_eq!(day.ends, moment_of("2026-11-21T22:45:00Z"));
    }

    #[test]
    fn days_follow_each_other_without_a_gap() {
        for name in ["America/Los_Angeles", "Europe/Berlin", "Asia/Kathmandu", "Africa/Cairo"] {
            let start = DayStart::midnight(zone(name));
            let mut now = moment_of("2026-01-01T12:00:00Z");
            for _ in 0..400 {
                let day = start.day_at(now);
                assert_eq!(start.day_at(day.ends).begins, day.ends, "{name} {}", day.date);
                now = day.ends;
            }
        }
    }
}
