//! Values that say when, whole: epoch seconds and milliseconds, spans and dates; and how far off
//! one may lie.

use std::time::{Duration, UNIX_EPOCH};

use engine::Timestamp;

use super::date::written;
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
/// milliseconds, or a date. `None` for what is past, too far off or no time.
pub(crate) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    moment_by(text, None, now)
}

/// The same, with a date as it lies ahead of the sender's own clock, if the sender told its time.
pub(crate) fn moment_by(text: &str, sent: Option<&str>, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim().trim_matches('"');
    if let Some((billionths, "")) = number(text) {
        return believable(from_number(billionths, now)?, now);
    }
    let wait = span(text).or_else(|| {
        let sent = sent.and_then(|sent| dated(sent, now)).unwrap_or(now);
        Some(sent.until(dated(text, now)?))
    });
    believable(now.after(wait?), now)
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

/// A date as HTTP has it, or as anybody writes it.
fn dated(text: &str, now: Timestamp) -> Option<Timestamp> {
    let Ok(at) = httpdate::parse_http_date(text.trim()) else {
        return written(text, now);
    };
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(i64::try_from(since.as_secs()).ok()?))
}
