//! What one stream event means, before and after the first byte goes to the client.

use crate::answer::{self, Said};
use crate::json::{Kind, View};
use crate::output::{Output, describes_error, member_tells_error, tells_error};
use crate::usage::{self, Usage};

/// The meaning of one event's data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChunkKind {
    /// `[DONE]`: the stream is complete.
    Done,
    /// The provider failed; the data says how, in the provider's dialect.
    Error,
    /// Output or a finish reason: from here on the answer is committed.
    Content,
    /// Nothing yet: a role, an empty delta, a lifecycle frame, a keep-alive.
    #[default]
    Preamble,
    /// Token counts and no choices.
    UsageOnly,
    /// JSON that is no object, plain words, or what an event of another kind says: nothing of the
    /// answer, and a client could not read it.
    Stray,
    /// Not JSON: what it was to say is lost.
    Broken,
}

/// So many broken events of a stream are left out; one more, and the stream is no whole answer.
pub const MOST_BROKEN: usize = 1;

/// The facts of one event's data.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkFacts {
    /// What the event means.
    pub kind: ChunkKind,
    /// Token counts, where the event has some.
    pub usage: Option<Usage>,
    /// Whether it speaks of token counts, be it in a way that nobody can read.
    pub has_usage: bool,
    /// Why the first choice that ends here ended.
    pub finish_reason: Option<String>,
    /// Whether that reason is a failure of the provider.
    pub finish_is_error: bool,
    /// Whether part of a tool call is in it.
    pub tool_call: bool,
    /// Whether reasoning is in it.
    pub reasoning: bool,
    /// Whether a refusal, sound, an image or an unknown content part is in it.
    pub other_output: bool,
    /// The text of the choice with index 0; `None` if it has none.
    pub text: Option<String>,
    /// Whether it speaks of a choice with another index than 0.
    pub other_choices: bool,
    /// The choices that it speaks of: the bit with a choice's index, the last bit for all beyond.
    pub choices: u128,
    /// Those of them that end here, in the same way.
    pub ended: u128,
    /// The completion's id.
    pub id: Option<String>,
    /// The model that the provider names.
    pub model: Option<String>,
}

impl ChunkFacts {
    fn of_kind(kind: ChunkKind) -> Self {
        Self { kind, ..Self::default() }
    }
}

/// Which choices of a stream were spoken of, and which of them ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ends {
    choices: u128,
    ended: u128,
}

impl Ends {
    /// Those of a stream of so many choices, each of which has to end.
    pub const fn of(choices: u32) -> Self {
        let choices = if choices > 1 { u128::MAX >> 128_u32.saturating_sub(choices) } else { 0 };
        Self { choices, ended: 0 }
    }

    /// Notes one event.
    pub fn note(&mut self, facts: &ChunkFacts) {
        self.choices |= facts.choices;
        self.ended |= facts.ended;
    }

    /// Whether every choice has ended, so that only marks and counts can follow.
    pub const fn are_all(&self) -> bool {
        self.ended != 0 && self.choices & !self.ended == 0
    }
}

/// Reads one event's `data` and `event` name.
pub fn classify(data: &[u8], name: Option<&str>) -> ChunkFacts {
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return ChunkFacts::of_kind(ChunkKind::Done);
    }
    if name == Some("error") {
        return ChunkFacts::of_kind(ChunkKind::Error);
    }
    if data.is_empty() {
        return ChunkFacts::default();
    }
    let mut reading = Reading::default();
    let Ok(view) = answer::read(data, |said| reading.hear(said)) else {
        let is_of_answer = name.is_none_or(|name| name == "message") && !is_plain_words(data);
        return ChunkFacts::of_kind(if is_of_answer {
            ChunkKind::Broken
        } else {
            ChunkKind::Stray
        });
    };
    match view.kind() {
        Kind::Object => reading.finish(view),
        Kind::Array if view.elements().any(tells_error) => ChunkFacts::of_kind(ChunkKind::Error),
        Kind::Array | Kind::String | Kind::Number | Kind::Bool | Kind::Null => {
            ChunkFacts::of_kind(ChunkKind::Stray)
        }
    }
}

/// Whether text has none of JSON's marks: a ping, a note of the time, and no chunk that was cut.
fn is_plain_words(data: &[u8]) -> bool {
    !data.iter().any(|byte| matches!(byte, b'{' | b'}' | b'[' | b']' | b'"' | b'\\'))
}

#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
#[derive(Default)]
struct Reading {
    facts: ChunkFacts,
    told: usage::Told,
    has_choices: bool,
    has_error: bool,
    /// Members of an error without a wrapper, if there are no choices beside them.
    has_flat_error: bool,
    has_message: bool,
    has_code: bool,
}

impl Reading {
    fn hear(&mut self, said: Said<'_>) {
        match said {
            Said::Choice(output) => {
                self.has_choices = true;
                add_choice(&mut self.facts, output);
            }
            Said::Member(key, value) => {
                self.told.note(&key, value);
                self.has_error |= member_tells_error(&key, value);
                match key.as_ref() {
                    "id" => self.facts.id = value.as_str().map(Into::into),
                    "model" => self.facts.model = value.as_str().map(Into::into),
                    "usage" | "usageMetadata" => self.facts.has_usage |= !value.is_null(),
                    "detail" | "errors" => self.has_flat_error |= value.is_filled(),
                    "message" => self.has_message = value.kind() == Kind::String,
                    "code" => self.has_code = !value.is_null(),
                    _ => {}
                }
            }
        }
    }

    fn finish(mut self, chunk: View<'_>) -> ChunkFacts {
        self.facts.usage = self.told.usage();
        self.facts.has_usage |= self.facts.usage.is_some();
        let is_flat = self.has_flat_error || self.has_message && self.has_code;
        let is_error = self.has_error && (!has_list(chunk) || describes_error(chunk));
        let has_error = is_error || is_flat && !self.has_choices;
        self.facts.kind = kind(&self.facts, self.has_choices, has_error);
        self.facts
    }
}

/// Whether there is a list of choices, be it an empty one.
fn has_list(chunk: View<'_>) -> bool {
    chunk.get("choices").is_some_and(|choices| choices.kind() == Kind::Array)
}

fn kind(facts: &ChunkFacts, has_choices: bool, has_error: bool) -> ChunkKind {
    let has_output =
        facts.text.is_some() || facts.reasoning || facts.tool_call || facts.other_output;
    if has_output {
        ChunkKind::Content
    } else if has_error || facts.finish_is_error {
        ChunkKind::Error
    } else if facts.finish_reason.is_some() {
        ChunkKind::Content
    } else if facts.has_usage && !has_choices {
        ChunkKind::UsageOnly
    } else {
        ChunkKind::Preamble
    }
}

fn add_choice(facts: &mut ChunkFacts, output: Output) {
    let is_first = output.index == 0;
    let bit = 1 << output.index.min(127);
    facts.choices |= bit;
    facts.other_choices |= !is_first;
    facts.reasoning |= output.reasoning;
    facts.tool_call |= output.tool_call;
    facts.other_output |= output.other;
    if !output.text.is_empty() {
        match &mut facts.text {
            _ if !is_first => facts.other_output = true,
            Some(text) => text.push_str(&output.text),
            none => *none = Some(output.text),
        }
    }
    let reason = output.finish_reason;
    if reason.is_some() {
        facts.ended |= bit;
    }
    if facts.finish_reason.is_none() {
        facts.finish_is_error = is_failure(reason.as_deref());
        facts.finish_reason = reason;
    }
}

/// The words for an answer that was cut: `error` is `OpenRouter`'s, `insufficient_system_resource`
/// `DeepSeek`'s, `network_error` `Z.ai`'s, `abort` vLLM's.
pub(crate) fn is_failure(reason: Option<&str>) -> bool {
    matches!(reason, Some("error" | "insufficient_system_resource" | "network_error" | "abort"))
}

#[cfg(test)]
mod tests {
    use super::ChunkKind::{Broken, Content, Done, Error, Preamble, Stray, UsageOnly};
    use super::*;

    fn delta(delta: &str) -> String {
        format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#)
    }

    #[test]
    fn deltas_have_their_kinds() {
        let table = [
            (r#"{"role":"assistant","content":""}"#, Preamble),
            (r#"{"role":"assistant","content":null,"tool_calls":[],"refusal":null}"#, Preamble),
            ("{}", Preamble),
            ("null", Preamble),
            (r#"{"content":[]}"#, Preamble),
            (r#"{"content":[{"type":"text","text":""}]}"#, Preamble),
            (
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":""}]}]}"#,
                Preamble,
            ),
            (r#"{"reasoning":"","reasoning_details":[]}"#, Preamble),
            (r#"{"content":" "}"#, Content),
            (r#"{"content":[{"type":"text","text":"a"}]}"#, Content),
            (
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}"#,
                Content,
            ),
            (r#"{"content":[{"type":"image_url","image_url":{"url":"x"}}]}"#, Content),
            (r#"{"reasoning":"a"}"#, Content),
            (r#"{"reasoning_content":"a"}"#, Content),
            (r#"{"reasoning_details":[{"text":"a"}]}"#, Content),
            (r#"{"thinking":"a"}"#, Content),
            (r#"{"tool_calls":[{"index":0}]}"#, Content),
            (r#"{"function_call":{"name":"f"}}"#, Content),
            (r#"{"refusal":"no"}"#, Content),
            (r#"{"audio":{"id":"a"}}"#, Content),
        ];
        for (text, kind) in table {
            assert_eq!(classify(delta(text).as_bytes(), None).kind, kind, "{text}");
        }
    }

    fn assert_kinds(table: &[(&str, ChunkKind)]) {
        for (text, kind) in table {
            assert_eq!(classify(text.as_bytes(), None).kind, *kind, "{text}");
        }
    }

    #[test]
    fn data_has_its_kind() {
        assert_kinds(&[
            ("[DONE]", Done),
            (" [DONE]\r", Done),
            ("", Preamble),
            (r#"{"type":"keepalive"}"#, Preamble),
            (r#"{"type":"ping"}"#, Preamble),
            (r#"{"type":"response.created","response":{}}"#, Preamble),
            (r#"{"error":null,"choices":[]}"#, Preamble),
            (r#"{"error":""}"#, Preamble),
            (r#"{"error":{},"choices":[]}"#, Preamble),
            (r#"{"choices":[{"delta":{"role":"assistant"}}],"error":{}}"#, Preamble),
            (r#"{"choices":[{"delta":{"content":""}}],"error":{"code":0,"message":""}}"#, Preamble),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"error":{}}"#, Content),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"error":null}"#, Content),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"error":0}"#, Content),
            (r#"{"choices":[],"error":{},"usage":{"total_tokens":1}}"#, UsageOnly),
            (r#"{"choices":[{"delta":{},"finish_reason":""}]}"#, Preamble),
            (
                r#"{"choices":[{"delta":{},"finish_reason":null}],"usage":{"total_tokens":1}}"#,
                Preamble,
            ),
            (r#"{"choices":[],"usage":{"total_tokens":1}}"#, UsageOnly),
            (r#"{"usage":{"total_tokens":1}}"#, UsageOnly),
            (r#"{"x_groq":{"usage":{"total_tokens":1}},"choices":[]}"#, UsageOnly),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, Content),
            (r#"{"choices":[{"text":"a","finish_reason":null}]}"#, Content),
            (r#"{"choices":[{"text":"","finish_reason":null}]}"#, Preamble),
            (r#"{"choices":[{"delta":{"content":"a"}}],"error":{"code":1}}"#, Content),
            (r#"{"choices":[{"#, Broken),
            (r#"5,"choices":[]}"#, Broken),
            ("\"", Broken),
            ("Tokens per minute", Stray),
            (": keep-alive", Stray),
            ("5", Stray),
            ("[]", Stray),
        ]);
        assert_eq!(classify(b"{}", Some("ping")).kind, Preamble);
        assert_eq!(classify(b"{took 5 ms", Some("timing")).kind, Stray);
        assert_eq!(classify(b"{took 5 ms", Some("message")).kind, Broken);
    }

    #[test]
    fn errors_are_known_in_every_dialect() {
        assert_kinds(&[
            (r#"{"error":{"code":429}}"#, Error),
            (r#"{"error":{}}"#, Error),
            (r#"{"error":{"message":null},"choices":null}"#, Error),
            (r#"{"error":0}"#, Error),
            (r#"{"choices":[],"error":true}"#, Error),
            (r#"{"choices":[{"delta":{}}],"error":{"code":1}}"#, Error),
            (r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"error":{"code":1}}"#, Error),
            (r#"{"error":"INSUFFICIENT QUOTA"}"#, Error),
            (r#"{"error":{"message":"m"},"status_code":429}"#, Error),
            (r#"[{"error":{"code":429}}]"#, Error),
            (r#"{"text":"[DONE]","error":{"code":429}}"#, Error),
            (r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Error),
            (r#"{"object":"error","message":"m"}"#, Error),
            (r#"{"x_groq":{"error":"over capacity"}}"#, Error),
            (
                r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502}}"#,
                Error,
            ),
            (r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#, Error),
        ]);
        assert_eq!(classify(b"plain words", Some("error")).kind, Error);
    }

    #[test]
    fn the_facts_are_read() {
        let data = br#"{"id":"c1","model":"m","choices":[
            {"index":0,"delta":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}},
            {"index":1,"delta":{"content":"x","tool_calls":[{}]},"finish_reason":"tool_calls"}],
            "usage":{"total_tokens":3}}"#;
        let facts = classify(data, None);
        assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (Some("c1"), Some("m")));
        assert_eq!(facts.text.as_deref(), Some("ab"));
        assert_eq!(facts.finish_reason.as_deref(), Some("tool_calls"));
        assert!(facts.tool_call && facts.other_choices && !facts.finish_is_error);
        assert_eq!(facts.usage.and_then(|usage| usage.total()), Some(3));
    }

    #[test]
    fn a_stream_ends_when_every_choice_has() {
        let end_of = |index: u32| {
            let end = format!(r#"{{"choices":[{{"index":{index},"finish_reason":"stop"}}]}}"#);
            classify(end.as_bytes(), None)
        };
        for choices in [0, 1, 2, 3, 127, 128, u32::MAX] {
            let mut ends = Ends::of(choices);
            assert!(!ends.are_all(), "{choices}");
            for index in 0..choices.clamp(1, 128) {
                assert!(!ends.are_all(), "{choices} {index}");
                ends.note(&end_of(index));
            }
            assert!(ends.are_all(), "{choices}");
        }
    }

    #[test]
    fn depth_is_no_fault_and_no_danger() {
        for levels in [300, 100_000] {
            let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            let data = format!(
                r#"{{"deep":{deep},"choices":[{{"x":{deep},"delta":{{"content":"a"}}}}]}}"#
            );
            assert_eq!(classify(data.as_bytes(), None).text.as_deref(), Some("a"));
            assert_eq!(classify("[".repeat(levels).as_bytes(), None).kind, Broken);
        }
    }
}
