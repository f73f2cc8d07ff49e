//! What counts as output: the one rule for a stream's deltas and a plain reply's messages.

use std::borrow::Cow;

use crate::json::{Kind, View};

/// What one or more choices gave.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Text of the content, or of a legacy choice.
    pub(crate) text: String,
    pub(crate) reasoning: bool,
    pub(crate) tool_call: bool,
    /// A refusal, sound, images, or a content part of another kind.
    pub(crate) other: bool,
    /// The choice's own number, 0 where it has none.
    pub(crate) index: u64,
    pub(crate) finish_reason: Option<String>,
}

impl Output {
    /// Takes a member of a choice besides its message.
    pub(crate) fn note(&mut self, key: &str, value: View<'_>) {
        match key {
            "text" => self.text.push_str(&value.as_str().unwrap_or_default()),
            "index" => self.index = value.as_u64().unwrap_or(0),
            "finish_reason" => self.finish_reason = finish_reason(value),
            _ => {}
        }
    }

    /// Takes a member of a choice's `delta` or `message`.
    pub(crate) fn note_of_message(&mut self, key: &str, value: View<'_>) {
        match key {
            "content" => self.add_content(value),
            "reasoning" | "reasoning_content" | "reasoning_details" | "thinking" => {
                self.reasoning |= value.is_filled();
            }
            "tool_calls" | "function_call" => self.tool_call |= value.is_filled(),
            "refusal" | "audio" | "images" => self.other |= value.is_filled(),
            _ => {}
        }
    }

    pub(crate) fn is_any(&self) -> bool {
        !self.text.is_empty() || self.reasoning || self.tool_call || self.other
    }

    fn add_content(&mut self, content: View<'_>) {
        self.text.push_str(&content.as_str().unwrap_or_default());
        for part in content.elements() {
            self.text.push_str(&part.as_str().unwrap_or_default());
            for (key, value) in part.members() {
                match key.as_ref() {
                    "text" => self.text.push_str(&value.as_str().unwrap_or_default()),
                    "thinking" => self.reasoning |= has_text(value),
                    "type" | "id" => {}
                    _ => self.other |= value.is_filled(),
                }
            }
        }
    }
}

/// Whether a string, or any part of a list of parts, has text.
fn has_text(value: View<'_>) -> bool {
    let is_filled = |part: View<'_>| part.get("text").is_some_and(View::is_filled);
    value.kind() == Kind::String && value.is_filled() || value.elements().any(is_filled)
}

/// Why a choice ended; an empty string or the word `null`, which some send with every chunk, is no
/// reason.
fn finish_reason(reason: View<'_>) -> Option<String> {
    if reason.is_null() {
        return None;
    }
    let text = reason.as_str().unwrap_or_else(|| String::from_utf8_lossy(reason.raw()));
    Some(text).filter(|text| !matches!(text.as_ref(), "" | "null")).map(Cow::into_owned)
}

/// Whether an object that has no output is an error: an `error` that says something, in the
/// object or in Groq's `x_groq`, or an object that calls itself one.
pub(crate) fn tells_error(object: View<'_>) -> bool {
    object.members().any(|(key, value)| member_tells_error(&key, value))
}

/// Whether an object that tells an error says something of it. Some send an `error` that is empty,
/// such as `{}`, with every good answer.
pub(crate) fn describes_error(object: View<'_>) -> bool {
    object.members().any(|(key, value)| match key.as_ref() {
        "error" => !is_hollow(value),
        "x_groq" => value.get("error").is_some_and(|error| !is_hollow(error)),
        key => member_tells_error(key, value),
    })
}

/// Whether a value, or each member of it, is empty, 0, `false` or `null`.
fn is_hollow(value: View<'_>) -> bool {
    let is_nothing = |value: View<'_>| match value.kind() {
        Kind::Bool | Kind::Null => value.raw() != b"true",
        Kind::Number => value.raw() == b"0",
        Kind::String | Kind::Array | Kind::Object => !value.is_filled(),
    };
    let is_object = value.kind() == Kind::Object;
    is_nothing(value) || is_object && value.members().all(|(_, member)| is_nothing(member))
}

/// What [`tells_error`] asks of one member.
pub(crate) fn member_tells_error(key: &str, value: View<'_>) -> bool {
    match key {
        "error" => is_error(value),
        "x_groq" => value.get("error").is_some_and(is_error),
        "object" => value.raw() == b"\"error\"",
        "type" => value.as_str().is_some_and(|text| {
            text == "error" || text.ends_with("_error") || text.ends_with(".failed")
        }),
        // As in Cerebras' flat errors, and in problem details (RFC 9457).
        "status" | "status_code" => value.as_u64().is_some_and(|code| (400..600).contains(&code)),
        _ => false,
    }
}

fn is_error(value: View<'_>) -> bool {
    value.is_filled()
        || matches!(value.kind(), Kind::Object | Kind::Number)
        || value.raw() == b"true"
}
