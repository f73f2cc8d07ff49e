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

/// Why a choice ended; an empty string, which some send with every chunk, is no reason.
fn finish_reason(reason: View<'_>) -> Option<String> {
    if reason.is_null() {
        return None;
    }
    let text = reason.as_str().unwrap_or_else(|| String::from_utf8_lossy(reason.raw()));
    Some(text).filter(|text| !text.is_empty()).map(Cow::into_owned)
}

/// What an object that has no output tells of an error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ErrorTold {
    #[default]
    None,
    /// One that says nothing, such as `{}`. Some send it with every good answer, so that it counts
    /// only where there are no choices.
    Empty,
    Error,
}

/// Whether an object that has no output is an error: an `error` that says something, in the
/// object or in Groq's `x_groq`, or an object that calls itself one.
pub(crate) fn tells_error(object: View<'_>) -> ErrorTold {
    let told = object.members().map(|(key, value)| member_tells_error(&key, value));
    told.max().unwrap_or_default()
}

/// The same of one member.
pub(crate) fn member_tells_error(key: &str, value: View<'_>) -> ErrorTold {
    let calls_itself_one = match key {
        "error" => return error_in(value),
        "x_groq" => return value.get("error").map_or(ErrorTold::None, error_in),
        "object" => value.raw() == b"\"error\"",
        "type" => value.as_str().is_some_and(|text| {
            text == "error" || text.ends_with("_error") || text.ends_with(".failed")
        }),
        // As in Cerebras' flat errors, and in problem details (RFC 9457).
        "status" | "status_code" => value.as_u64().is_some_and(|code| (400..600).contains(&code)),
        _ => false,
    };
    if calls_itself_one { ErrorTold::Error } else { ErrorTold::None }
}

fn error_in(value: View<'_>) -> ErrorTold {
    let is_object = value.kind() == Kind::Object;
    let is_hollow = is_object && value.members().all(|(_, member)| says_nothing(member));
    if !is_hollow && !says_nothing(value) {
        ErrorTold::Error
    } else if is_object || value.kind() == Kind::Number {
        ErrorTold::Empty
    } else {
        ErrorTold::None
    }
}

/// Whether a value is empty, 0, `false` or `null`.
fn says_nothing(value: View<'_>) -> bool {
    match value.kind() {
        Kind::Bool | Kind::Null => value.raw() != b"true",
        Kind::Number => value.raw() == b"0",
        Kind::String | Kind::Array | Kind::Object => !value.is_filled(),
    }
}
