//! Instants: RFC 3339, epoch seconds and milliseconds, HTTP dates, and how far off one may lie.

use std::time::{Duration, UNIX_EPOCH};

use engine::Timestamp;

use super::duration::{number, span};

/// No provider's window is longer than a month; what lies further off is a slip of a unit.
const FARTHEST: Duration = Duration::from_hours(31 * 24);

const EPOCH_SECS: u128 = 1_000_000_000;
const EPOCH_MILLIS: u128 = 1_000_000_000_000;
const BILLION: u128 = 1_000_000_000;

/// The moment, if it lies ahead and at most 31 days off.
pub(crate) fn believable(at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    (at > now && at <= now.after(FARTHEST)).then_some(at)
}

/// Reads one whole value that says when: a span, seconds from now, epoch seconds or
/// milliseconds, or an RFC 3339 instant. `None` for what is past, too far off or no time.
pub(crate) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim().trim_matches('"');
    let at = match number(text) {
        Some((billionths, "")) => from_number(billionths, now)?,
        _ => match span(text) {
            Some(span) => now.after(span),
            None => written(text)?,
        },
    };
    believable(at, now)
}

/// Reads an HTTP date as it lies ahead of the sender's own clock, if the sender told its time.
pub(crate) fn http_date(text: &str, sent: Option<&str>, now: Timestamp) -> Option<Timestamp> {
    let at = epoch(text)?;
    let wait = sent.and_then(epoch).unwrap_or(now).until(at);
    believable(now.after(wait), now)
}

/// Reads `2026-11-23T00:00:00Z`, `2026-11-23 00:00 UTC` and the like at the beginning of a text;
/// an instant without a zone is taken as UTC.
pub(crate) fn written(text: &str) -> Option<Timestamp> {
    let date = text.get(..10)?;
    let rest = text.get(10..)?;
    let clock = rest.strip_prefix(['T', 't', ' ']).unwrap_or("");
    let end = clock.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'));
    let (time, zone) = clock.split_at(end.unwrap_or(clock.len()));
    let time = match time.trim_end_matches(['.', ':']) {
        "" => "00:00:00".to_owned(),
        short if short.len() == 5 => format!("{short}:00"),
        whole => whole.to_owned(),
    };
    let instant: jiff::Timestamp = format!("{date}T{time}{}", offset(zone)).parse().ok()?;
    Some(Timestamp::from_millis(instant.as_millisecond()))
}

fn offset(zone: &str) -> &str {
    let zone = zone.trim_start();
    if !zone.starts_with(['+', '-']) {
        return "Z";
    }
    let body = zone.get(1..).unwrap_or("");
    let end = body.find(|c: char| !(c.is_ascii_digit() || c == ':')).unwrap_or(body.len());
    zone.get(..=end).unwrap_or("Z")
}

fn from_number(billionths: u128, now: Timestamp) -> Option<Timestamp> {
    let whole = billionths / BILLION;
    if whole >= EPOCH_MILLIS {
        return Some(Timestamp::from_millis(i64::try_from(whole).ok()?));
    }
    let millis = i64::try_from(billionths.div_ceil(1_000_000)).ok()?;
    if whole >= EPOCH_SECS {
        return Some(Timestamp::from_millis(millis));
    }
    Some(now.after(Duration::from_nanos(u64::try_from(billionths).ok()?)))
}

fn epoch(text: &str) -> Option<Timestamp> {
    let at = httpdate::parse_http_date(text.trim()).ok()?;
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(i64::try_from(since.as_secs()).ok()?))
}
