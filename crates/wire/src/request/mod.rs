//! What a request body asks for, gathered in the same pass that validates it.

mod trail;

use std::ops::Range;

use crate::Endpoint;
use crate::json::{
    Event, JsonProblem, Layout, LayoutBuilder, Member, Scanner, Token, View, check_utf8,
};
use trail::{Trail, Word};

/// The facts of one request body. Spans are byte ranges of that body; of duplicate members the
/// last one counts, as in most JSON parsers.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestScan {
    /// All top-level members and their places.
    pub layout: Layout,
    /// The model's name; `None` if absent or null.
    pub model: Option<String>,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// Whether `stream_options.include_usage` is true.
    pub client_wants_usage: bool,
    /// `max_tokens`, if a whole number.
    pub max_tokens: Option<u64>,
    /// `max_completion_tokens`, if a whole number.
    pub max_completion_tokens: Option<u64>,
    /// `n`, if a whole number.
    pub n: Option<u64>,
    /// Whether a message has an image part.
    pub has_images: bool,
    /// Whether a message has an audio part.
    pub has_audio: bool,
    /// Whether `tools` or `functions` is a non-empty array.
    pub has_tools: bool,
    /// Whether `response_format.type` is `json_schema`.
    pub wants_json_schema: bool,
    /// Whether `response_format.type` is `json_object`.
    pub wants_json_object: bool,
    /// Whether `messages` is present and an array.
    pub has_messages: bool,
    /// Bytes of the prompt and of the tools' descriptions, without inline images and audio.
    pub estimated_prompt_bytes: usize,
}

impl RequestScan {
    /// Validates `body` and gathers its facts in one pass.
    ///
    /// # Errors
    /// Invalid JSON, another value than an object, more than 4096 members, a `model` that is
    /// neither string nor null, a `stream` that is neither boolean nor null.
    pub fn parse(body: &[u8], endpoint: Endpoint) -> Result<Self, JsonProblem> {
        let mut reading = Reading::default();
        walk(body, |text, event, path| reading.note(text, event, path))?;
        Ok(reading.finish(endpoint))
    }

    /// The value spans of every top-level member named `key`, in order.
    pub fn value_spans<'a>(&'a self, key: &'a str) -> impl Iterator<Item = Range<usize>> {
        self.layout.named(key).map(|(_, member)| member.value.clone())
    }
}

/// The value spans of all message roles that are `developer`, in a body that was scanned before.
pub fn developer_role_spans(body: &[u8]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let walked = walk(body, |text, event, path| {
        let is_role = matches!(path, [Word::Messages, Word::Element, Word::Role]);
        if is_role
            && View::of_checked(&text[event.span.clone()]).as_str().as_deref() == Some("developer")
        {
            spans.push(event.span.clone());
        }
        Ok(())
    });
    if walked.is_ok() { spans } else { Vec::new() }
}

/// Scans a whole body and hands out each event with its path; the path is empty for keys, for
/// ends, and for values deeper than a fact can lie.
fn walk(
    body: &[u8],
    mut note: impl FnMut(&str, &Event, &[Word]) -> Result<(), JsonProblem>,
) -> Result<(), JsonProblem> {
    let text = check_utf8(body)?;
    let mut scanner = Scanner::new(body);
    let mut trail = Trail::default();
    while let Some(event) = scanner.next_event().map_err(|fault| JsonProblem::new(body, fault))? {
        note(text, &event, trail.step(text, &event))?;
    }
    Ok(())
}

#[derive(Default)]
struct Reading {
    builder: LayoutBuilder,
    scan: RequestScan,
    media_bytes: usize,
}

impl Reading {
    fn note(&mut self, text: &str, event: &Event, path: &[Word]) -> Result<(), JsonProblem> {
        self.builder.note(text, event).map_err(|fault| JsonProblem::new(text.as_bytes(), fault))?;
        let value = || View::of_checked(&text[event.span.clone()]);
        let scan = &mut self.scan;
        match path {
            [Word::Model] => scan.model = model(text.as_bytes(), event, value())?,
            [Word::Stream] => scan.stream = stream(text.as_bytes(), event)?,
            [Word::StreamOptions] => scan.client_wants_usage = false,
            [Word::StreamOptions, Word::IncludeUsage] => {
                scan.client_wants_usage = event.token == Token::True;
            }
            [Word::MaxTokens] => scan.max_tokens = value().as_u64(),
            [Word::MaxCompletionTokens] => scan.max_completion_tokens = value().as_u64(),
            [Word::N] => scan.n = value().as_u64(),
            [Word::Messages] => scan.has_messages = event.token == Token::ArrayStart,
            [Word::Tools | Word::Functions, Word::Element] => scan.has_tools = true,
            [Word::ResponseFormat] => {
                (scan.wants_json_schema, scan.wants_json_object) = (false, false);
            }
            [Word::ResponseFormat, Word::Type] => {
                let format = value().as_str();
                scan.wants_json_schema = format.as_deref() == Some("json_schema");
                scan.wants_json_object = format.as_deref() == Some("json_object");
            }
            [Word::Messages, Word::Element, Word::Content, Word::Element, part @ ..] => {
                self.note_part(text, part, event);
            }
            _ => {}
        }
        Ok(())
    }

    fn note_part(&mut self, text: &str, path: &[Word], event: &Event) {
        let raw = &text[event.span.clone()];
        match path {
            [Word::Type] => match View::of_checked(raw).as_str().as_deref() {
                Some("image_url" | "input_image") => self.scan.has_images = true,
                Some("input_audio") => self.scan.has_audio = true,
                _ => {}
            },
            [Word::ImageUrl] | [Word::ImageUrl, Word::Url] if raw.starts_with("\"data:") => {
                self.media_bytes += event.span.len();
            }
            [Word::InputAudio, Word::Payload] => self.media_bytes += event.span.len(),
            _ => {}
        }
    }

    fn finish(self, endpoint: Endpoint) -> RequestScan {
        let layout = self.builder.layout;
        let is_prompt = |member: &&Member| match endpoint {
            Endpoint::Chat => matches!(member.key.as_str(), "messages" | "tools" | "functions"),
            Endpoint::Completions => matches!(member.key.as_str(), "prompt" | "suffix"),
        };
        let bytes: usize = layout.members.iter().filter(is_prompt).map(|m| m.value.len()).sum();
        RequestScan {
            estimated_prompt_bytes: bytes.saturating_sub(self.media_bytes),
            layout,
            ..self.scan
        }
    }
}

fn model(body: &[u8], event: &Event, value: View<'_>) -> Result<Option<String>, JsonProblem> {
    if event.token == Token::Null {
        return Ok(None);
    }
    value
        .as_str()
        .map(|name| Some(name.into_owned()))
        .ok_or_else(|| JsonProblem::in_param(body, event.span.start, "model", "must be a string"))
}

fn stream(body: &[u8], event: &Event) -> Result<bool, JsonProblem> {
    if matches!(event.token, Token::True | Token::False | Token::Null) {
        return Ok(event.token == Token::True);
    }
    Err(JsonProblem::in_param(body, event.span.start, "stream", "must be a boolean"))
}

#[cfg(test)]
mod tests;
