//! Times that stand in fields of a body, however deep.

use engine::Timestamp;
use serde_json::Value;

use crate::headers::in_millis;
use crate::times::{moment, span};
use crate::tree::{scalar, walk};

/// Names of fields, without case and separators, that say when to come back.
const RETRY: &[&str] = &[
    "retryafter",
    "retryafterms",
    "retryafterseconds",
    "retryinseconds",
    "retrydelay",
    "retryin",
    "retryat",
    "availableat",
    "estimatedtime",
];

/// Names of fields, without case and separators, that say when a budget is whole again.
const RESET: &[&str] = &[
    "quotaresetdelay",
    "quotaresettimestamp",
    "resetafter",
    "resetin",
    "resetsin",
    "resetat",
    "resetsat",
    "resetinseconds",
    "resetsinseconds",
    "resettime",
];

/// The latest time that any field states. Of several that were tried in the place of one another
/// each has its own, and the soonest is enough.
pub(crate) fn retry(body: &Value, now: Timestamp) -> Option<Timestamp> {
    let stated = |value| latest(value, now, |name| RETRY.contains(&name) || RESET.contains(&name));
    let tried = body.get("attempts").and_then(Value::as_array).into_iter().flatten();
    tried.filter_map(stated).min().or_else(|| stated(body))
}

/// Whether a field says to come back after no time at all.
pub(crate) fn retry_at_once(body: &Value) -> bool {
    let mut waits = walk(body).filter(|(key, _)| RETRY.contains(&bare(key).as_str()));
    waits.any(|(_, value)| {
        written(value).and_then(|text| span(&text)).is_some_and(|it| it.is_zero())
    })
}

/// The latest time that a field states for a budget to be whole again.
pub(crate) fn reset(body: &Value, now: Timestamp) -> Option<Timestamp> {
    latest(body, now, |name| RESET.contains(&name))
}

fn latest(body: &Value, now: Timestamp, wanted: impl Fn(&str) -> bool) -> Option<Timestamp> {
    let times = walk(body).filter_map(|(key, value)| {
        let name = bare(key);
        let text = if wanted(&name) {
            written(value)?
        } else {
            return None;
        };
        if name.ends_with("ms") { in_millis(&text, now) } else { moment(&text, now) }
    });
    times.max()
}

fn bare(key: &str) -> String {
    let letters = key.chars().filter(char::is_ascii_alphanumeric);
    letters.take(32).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// The text of a time; that of `{"seconds": "38", "nanos": 200000000}` is `38.200000000`.
fn written(value: &Value) -> Option<String> {
    let Some(seconds) = value.get("seconds").and_then(scalar) else {
        return scalar(value);
    };
    let nanos = value.get("nanos").and_then(Value::as_u64).unwrap_or(0);
    Some(if nanos == 0 { seconds } else { format!("{seconds}.{nanos:09}") })
}
