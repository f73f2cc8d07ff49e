//! What a plain reply says, and the two bridges between plain replies and streams.

mod fields;
mod gather;
mod unroll;

use crate::answer::{self, Said};
use crate::chunk::is_failure;
use crate::json::Kind;
use crate::output::describes_error;
use crate::usage::{self, Usage};

pub use gather::{Gather, NoCompletion, events_to_completion};
pub use unroll::completion_to_events;

/// More choices than anybody asks for; a flood of choices is cut off here.
const MAX_CHOICES: usize = 128;

/// What kind of body came with a success status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// An object with choices.
    Completion,
    /// JSON that is no completion: an error, one that was given up, or anything else without choices.
    ErrorInside,
    /// Empty, a web page, or other text.
    #[default]
    NotJson,
}

/// The facts of one plain reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyFacts {
    /// What kind of body it is.
    pub shape: Shape,
    /// Whether any choice has text, reasoning, a tool call, a refusal, sound or an image.
    pub has_output: bool,
    /// Token counts, where stated.
    pub usage: Option<Usage>,
    /// Why the first choice ended.
    pub finish_reason: Option<String>,
}

/// Reads a plain reply. Blank lines before the JSON, a keep-alive of some, are allowed.
pub fn inspect(body: &[u8]) -> ReplyFacts {
    let mut facts = ReplyFacts::default();
    let mut told = usage::Told::default();
    let mut has_choices = false;
    let read = answer::read(body, |said| match said {
        Said::Member(key, value) => {
            told.note(&key, value);
            has_choices |= key == "choices" && value.kind() == Kind::Array;
        }
        Said::Choice(output) => {
            facts.has_output |= output.is_any();
            facts.finish_reason = facts.finish_reason.take().or(output.finish_reason);
        }
    });
    let Ok(view) = read else {
        return ReplyFacts::default();
    };
    facts.usage = told.usage();
    let is_given_up = is_failure(facts.finish_reason.as_deref());
    let is_completion = has_choices && !is_given_up && (facts.has_output || !describes_error(view));
    facts.shape = if is_completion { Shape::Completion } else { Shape::ErrorInside };
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    #[test]
    fn bodies_have_their_shape() {
        let table = [
            ("", Shape::NotJson),
            ("\n\n", Shape::NotJson),
            ("<html>", Shape::NotJson),
            ("data: {}\n\n", Shape::NotJson),
            (r#"{"error":{"code":429}}"#, Shape::ErrorInside),
            (r#"[{"error":{"code":429}}]"#, Shape::ErrorInside),
            (r#""Tokens per minute limit exceeded""#, Shape::ErrorInside),
            (r#"{"status":429,"title":"Too Many Requests"}"#, Shape::ErrorInside),
            (r#"{"choices":[],"error":{"code":429}}"#, Shape::ErrorInside),
            (r#"{"choices":null}"#, Shape::ErrorInside),
            (r#"{"choices":null,"error":{}}"#, Shape::ErrorInside),
            (
                r#"{"choices":[{"message":{"content":"half"},"finish_reason":"error"}]}"#,
                Shape::ErrorInside,
            ),
            (r#"{"choices":[]}"#, Shape::Completion),
            (r#"{"choices":[{"message":{"content":""}}],"error":{}}"#, Shape::Completion),
            ("\r\n\n  {\"choices\":[],\"error\":null}", Shape::Completion),
        ];
        for (body, shape) in table {
            assert_eq!(inspect(body.as_bytes()).shape, shape, "{body}");
        }
    }

    #[test]
    fn output_of_any_kind_is_seen() {
        let table = [
            (r#"{"message":{"content":null}}"#, false),
            (r#"{"message":{"content":""},"finish_reason":"length"}"#, false),
            (r#"{"message":{"content":"","tool_calls":[{"id":"a"}]}}"#, true),
            (r#"{"message":{"content":"a"}}"#, true),
            (r#"{"message":{"refusal":"no"}}"#, true),
            (r#"{"message":{"reasoning":"hm"}}"#, true),
            (r#"{"text":"a"}"#, true),
            (r#"{"text":""}"#, false),
        ];
        for (choice, has_output) in table {
            let body = format!(r#"{{"choices":[{choice}],"usage":{{"completion_tokens":0}}}}"#);
            let facts = inspect(body.as_bytes());
            assert_eq!(facts.has_output, has_output, "{choice}");
            assert_eq!(facts.usage.and_then(|u| u.completion_tokens), Some(0));
        }
    }

    #[test]
    fn depth_passes_both_bridges() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let body = format!(
            r#"{{"x":{deep},"choices":[{{"index":0,"message":{{"role":"assistant","content":"a","y":{deep}}},"finish_reason":"stop"}}],"object":"chat.completion"}}"#
        );
        assert!(inspect(body.as_bytes()).has_output);
        let events = completion_to_events(body.as_bytes(), Endpoint::Chat, false).unwrap();
        let back = events_to_completion(&events, Endpoint::Chat).unwrap();
        assert_eq!(inspect(&back), inspect(body.as_bytes()));
        assert!(memchr::memmem::find(&back, deep.as_bytes()).is_some());
    }
}
