//! The path of keys to the present token, kept as words so that a fact is one slice pattern.

use std::borrow::Cow;

use crate::json::{Event, Token, unquote_bytes};

/// No fact lies deeper than `messages[].content[].image_url.url`.
const DEEPEST: usize = 6;

/// A step of a path: a key that some fact needs, any array element, or any other key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Word {
    #[default]
    Other,
    Element,
    Content,
    Functions,
    ImageUrl,
    IncludeUsage,
    InputAudio,
    MaxCompletionTokens,
    MaxTokens,
    Messages,
    Model,
    N,
    Payload,
    ResponseFormat,
    Role,
    Stream,
    StreamOptions,
    Tools,
    Type,
    Url,
}

impl Word {
    fn of(key: &[u8]) -> Self {
        match key {
            b"content" => Self::Content,
            b"data" => Self::Payload,
            b"functions" => Self::Functions,
            b"image_url" => Self::ImageUrl,
            b"include_usage" => Self::IncludeUsage,
            b"input_audio" => Self::InputAudio,
            b"max_completion_tokens" => Self::MaxCompletionTokens,
            b"max_tokens" => Self::MaxTokens,
            b"messages" => Self::Messages,
            b"model" => Self::Model,
            b"n" => Self::N,
            b"response_format" => Self::ResponseFormat,
            b"role" => Self::Role,
            b"stream" => Self::Stream,
            b"stream_options" => Self::StreamOptions,
            b"tools" => Self::Tools,
            b"type" => Self::Type,
            b"url" => Self::Url,
            _ => Self::Other,
        }
    }
}

/// What a key says; only one with escapes in it must be rewritten for that.
fn said(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.contains(&b'\\') {
        return Cow::Owned(unquote_bytes(raw).into_owned().into_bytes());
    }
    Cow::Borrowed(raw.get(1..raw.len() - 1).unwrap_or_default())
}

/// The steps from the top of the body to the present token.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    steps: [Word; DEEPEST],
}

impl Trail {
    /// Follows one event; the path to it if a value begins here and is not too deep, else empty.
    pub(crate) fn step(&mut self, text: &[u8], event: &Event) -> &[Word] {
        if event.token == Token::Key {
            if let Some(step) = self.steps.get_mut(event.depth - 1) {
                *step = Word::of(&said(&text[event.span.clone()]));
            }
            return &[];
        }
        if let (Token::ArrayStart, Some(step)) = (event.token, self.steps.get_mut(event.depth)) {
            *step = Word::Element;
        }
        if event.token.is_end() {
            return &[];
        }
        self.steps.get(..event.depth).unwrap_or_default()
    }
}
