//! Errors that somebody on the way has put as text into an error of its own.

use serde_json::Value;

/// Where such a text stands. What an aggregator keeps in `raw` is another's fault, and stays shut.
const PLACES: &[&str] = &["message", "error", "detail", "error_message"];

const DEEPEST: usize = 4;

/// Opens the texts of a body that are JSON as a whole. `is_own` says whether one is the
/// provider's and not the client's. Whether there was one is the result.
pub(crate) fn open(body: &mut Value, is_own: &impl Fn(&str) -> bool) -> bool {
    opened(body, is_own, 0)
}

fn opened(value: &mut Value, is_own: &impl Fn(&str) -> bool, depth: usize) -> bool {
    match value {
        Value::String(text) => {
            let inner =
                text.trim().starts_with(['{', '[']).then(|| serde_json::from_str(text.trim()));
            match inner {
                Some(Ok(inner)) if is_own(text) => {
                    *value = inner;
                    true
                }
                _ => false,
            }
        }
        Value::Object(fields) if depth < DEEPEST => {
            let places = fields.iter_mut().filter(|(key, _)| PLACES.contains(&key.as_str()));
            places.fold(false, |any, (_, value)| opened(value, is_own, depth + 1) || any)
        }
        Value::Array(items) if depth < DEEPEST => {
            items.first_mut().is_some_and(|first| opened(first, is_own, depth + 1))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            false
        }
    }
}
