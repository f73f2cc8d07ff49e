//! Looking into a tree whose keys are another program's.

use crate::yaml::{Key, Node, Value};

/// The value of a key of a mapping, unless it was left out.
pub(super) fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let found = entries(node).iter().find(|(known, _)| known.text == key);
    found.map(|(_, node)| node).filter(|node| !node.is_null())
}

/// The entries of a mapping; none of anything else.
pub(super) fn entries(node: &Node) -> &[(Key, Node)] {
    match &node.value {
        Value::Mapping(entries) => entries,
        Value::Scalar { .. } | Value::Sequence(_) => &[],
    }
}

/// The items of a list; a value that stands alone is a list of one.
pub(super) fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::Sequence(items) => items,
        Value::Scalar { .. } | Value::Mapping(_) => std::slice::from_ref(node),
    }
}

/// The text of a scalar.
pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } if !node.is_null() => Some(text.trim()),
        Value::Scalar { .. } | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

/// The text of a key's value.
pub(super) fn text_of<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    get(node, key).and_then(text)
}

/// Writes a value on one line.
pub(super) fn flow(node: &Node) -> String {
    match &node.value {
        Value::Scalar { .. } if node.is_null() => "null".to_owned(),
        Value::Scalar { text, .. } => scalar(text),
        Value::Sequence(items) => list(items.iter().map(flow)),
        Value::Mapping(entries) => {
            let pairs = entries.iter().map(|(key, node)| (scalar(&key.text), flow(node)));
            mapping(pairs)
        }
    }
}

/// Writes a list of written values.
pub(super) fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

/// Writes a mapping of written values.
pub(super) fn mapping(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let pairs = pairs.into_iter().map(|(key, value)| format!("{key}: {value}"));
    format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
}

/// Writes a text, in quotes where it could be read as anything else.
pub(super) fn scalar(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let begins_plain = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_null = text.eq_ignore_ascii_case("null");
    if begins_plain && !is_null && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    // A JSON string is a YAML string.
    serde_json::Value::from(text).to_string()
}
