//! The path of keys to the present token, kept as words so that a fact is one slice pattern.

use crate::json::{Event, Token, unquote_known};

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
    fn of(key: &str) -> Self {
        match key {
            "content" => Self::Content,
            "data" => Self::Payload,
            "functions" => Self::Functions,
            "image_url" => Self::ImageUrl,
            "include_usage" => Self::IncludeUsage,
            "input_audio" => Self::InputAudio,
            "max_completion_tokens" => Self::MaxCompletionTokens,
            "max_tokens" => Self::MaxTokens,
            "messages" => Self::Messages,
            "model" => Self::Model,
            "n" => Self::N,
            "response_format" => Self::ResponseFormat,
            "role" => Self::Role,
            "stream" => Self::Stream,
            "stream_options" => Self::StreamOptions,
            "tools" => Self::Tools,
            "type" => Self::Type,
            "url" => Self::Url,
            _ => Self::Other,
        }
    }
}

/// The steps from the top of the body to the present token.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    steps: [Word; DEEPEST],
}

impl Trail {
    /// Follows one event; the path to it if a value begins here and is not too deep, else empty.
    pub(crate) fn step(&mut self, text: &str, event: &Event) -> &[Word] {
        if event.token == Token::Key {
            if let Some(step) = self.steps.get_mut(event.depth - 1) {
                *step = Word::of(&unquote_known(&text[event.span.clone()], event.has_escapes));
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
