//! A list in a request that has more entries than the provider takes, such as `stop`.

use serde_json::Value;

use crate::body::ErrorBody;
use crate::number;
use crate::parameter;
use crate::sent::Sent;
use crate::tree::walk;

/// What is said of any list that is too long.
const TOO_LONG: &[&str] = &[
    "array too long",
    "array_above_max_length",
    "list should have at most",
    "maximum number of items",
    "too many items",
    "too many elements",
];

/// What is said of one, where it is named.
const BOUNDED: &[&str] = &["at most", "maximum", "too many", "up to", "more than", "exceed"];

/// What the largest count stands behind, the clearest first.
const COUNTS: &[&str] = &[
    "maximum length",
    "maximum number of items is",
    "at most",
    "up to",
    "no more than",
    "more than",
    "maximum of",
    "maximum is",
    "limit of",
    "maximum",
];

const STOP: &str = "stop";

/// The list that is refused for its length.
pub(crate) fn refused(body: &ErrorBody, sent: &Sent<'_>) -> Option<String> {
    if body.is_labelled(&["too_long"]) || says(&body.text, TOO_LONG) {
        let named = body.param.as_deref().and_then(parameter::top_level);
        if let Some(name) = named.or_else(|| located(&body.value)) {
            return Some(name);
        }
    }
    let is_stop = |line: &str| parameter::says_word(line, STOP) && says(line, BOUNDED);
    let stops = body.text.split(['\n', ';']).take(16).any(is_stop);
    (stops && sent.is_whole(STOP)).then(|| STOP.to_owned())
}

/// How many entries are taken, if that is said.
pub(crate) fn most(body: &ErrorBody) -> Option<u64> {
    COUNTS.iter().find_map(|phrase| {
        let mut places = body.text.match_indices(phrase).take(8);
        places.find_map(|(at, _)| {
            let (count, _) = number::count(&body.text[at + phrase.len()..])?;
            (count > 0).then_some(count)
        })
    })
}

/// The list that a validator's entry is about.
fn located(body: &Value) -> Option<String> {
    let mut entries = walk(body).filter(|(_, entry)| {
        entry.get("type").and_then(Value::as_str).is_some_and(|kind| kind == "too_long")
    });
    let (_, entry) = entries.next()?;
    let mut steps = entry.get("loc")?.as_array()?.iter().filter_map(Value::as_str);
    parameter::top_level(steps.find(|step| *step != "body")?)
}

fn says(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(phrase))
}
