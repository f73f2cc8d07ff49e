//! Instants that follow from a calendar: the next midnight somewhere, the first of next month.

use engine::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{ToSpan, Zoned};

/// A time zone of the IANA database.
pub(crate) fn named(zone: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(zone).ok()
}

/// The next midnight in a time zone of the IANA database. The zones are those built in, so that
/// the answer does not depend on the machine.
pub(crate) fn next_midnight(now: Timestamp, zone: &str) -> Option<Timestamp> {
    let day = local(now, named(zone)?)?;
    let midnight = day.tomorrow().ok()?.start_of_day().ok()?;
    Some(Timestamp::from_millis(midnight.timestamp().as_millisecond()))
}

/// The first of the next month, 00:00 UTC.
pub(crate) fn next_month(now: Timestamp) -> Option<Timestamp> {
    let first = local(now, TimeZone::UTC)?.first_of_month().ok()?;
    let next = first.checked_add(1.month()).ok()?.start_of_day().ok()?;
    Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
}

fn local(now: Timestamp, zone: TimeZone) -> Option<Zoned> {
    Some(jiff::Timestamp::from_millisecond(now.as_millis()).ok()?.to_zoned(zone))
}
