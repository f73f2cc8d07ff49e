//! A bounded walk over a JSON body: a reply may be as deep and as wide as its sender likes.

use serde_json::Value;

/// At most so many values of one body are looked at.
const NODES: usize = 2048;

/// Fields that repeat what the client sent. What stands in them is the client's word, and must
/// not be able to set a key or a model aside.
const ECHOES: &[&str] = &["input", "flagged_input", "failed_generation", "ctx", "body", "request"];

/// All values with the key each stands under, in the order of the document; an element of an
/// array stands under the key of its array.
pub(crate) fn walk(root: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let mut open = vec![("", root)];
    std::iter::from_fn(move || {
        let (key, value) = open.pop()?;
        match value {
            Value::Object(fields) => {
                let kept = fields.iter().filter(|(key, _)| !ECHOES.contains(&key.as_str()));
                open.extend(kept.rev().map(|(key, value)| (key.as_str(), value)));
            }
            Value::Array(items) => open.extend(items.iter().rev().map(|item| (key, item))),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Some((key, value))
    })
    .take(NODES)
}

/// The text of a string or a number; other values have none.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
