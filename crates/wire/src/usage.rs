//! Token counts, in the dialects in which providers state them.

use bytes::Bytes;

use crate::json::{Kind, Layout, View};
use crate::splice::{Edit, splice};
use crate::sse::Event;

/// What a provider says was used. Absent is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer.
    pub completion_tokens: Option<u64>,
    /// Both together, as stated.
    pub total_tokens: Option<u64>,
    /// Tokens spent on reasoning.
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// Reads the counts of a completion or chunk object: `usage`, else `x_groq.usage`, else
    /// `usageMetadata`. `None` if none of them holds a count.
    pub fn of(object: View<'_>) -> Option<Self> {
        let mut told = Told::default();
        object.members().for_each(|(key, value)| told.note(&key, value));
        told.usage()
    }

    /// All tokens: as stated, else the sum of what is known, `None` if nothing is.
    pub fn total(&self) -> Option<u64> {
        self.total_tokens.or_else(|| match (self.prompt_tokens, self.completion_tokens) {
            (None, None) => None,
            (prompt, completion) => {
                Some(prompt.unwrap_or(0).saturating_add(completion.unwrap_or(0)))
            }
        })
    }

    fn counts(object: View<'_>) -> Option<Self> {
        let mut usage = Self::default();
        for (key, value) in object.members() {
            let slot = match key.as_ref() {
                "prompt_tokens" | "input_tokens" | "promptTokenCount" => &mut usage.prompt_tokens,
                "completion_tokens" | "output_tokens" | "candidatesTokenCount" => {
                    &mut usage.completion_tokens
                }
                "total_tokens" | "totalTokenCount" => &mut usage.total_tokens,
                "completion_tokens_details" => {
                    let count = value.get("reasoning_tokens").and_then(View::as_u64);
                    usage.reasoning_tokens = count;
                    continue;
                }
                _ => continue,
            };
            *slot = value.as_u64().or(*slot);
        }
        (usage != Self::default()).then_some(usage)
    }
}

/// The event without the token counts that stand beside its choices. An event whose data is no
/// object stays as it is.
pub fn hide(event: &Event) -> Event {
    // A line end is never inside a JSON string.
    let blank = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    let data: Bytes = event.data().trim_ascii().iter().map(blank).collect();
    let Ok(layout) = Layout::of(&data) else { return event.clone() };
    let edits = ["usage", "usageMetadata"].map(|name| Edit::unset(&layout, name)).concat();
    event.with_data(&splice(&data, &layout, &edits).to_bytes())
}

/// What stands in every event of an answer.
const IN_EVERY_EVENT: [&str; 8] =
    ["id", "object", "created", "model", "system_fingerprint", "service_tier", "choices", "usage"];

/// Whether an event's data was to tell token counts and has none: no choices, `usage` null, and
/// nothing but what stands in every event.
pub fn is_absent(data: &[u8]) -> bool {
    let Ok(view) = View::parse(data.trim_ascii()) else { return false };
    let is_empty = |value: View<'_>| value.kind() == Kind::Array && !value.is_filled();
    view.get("choices").is_some_and(is_empty)
        && view.get("usage").is_some_and(View::is_null)
        && view.members().all(|(key, _)| IN_EVERY_EVENT.contains(&key.as_ref()))
}

/// Bytes of text per token, for a part whose tokens nobody counted.
const BYTES_PER_TOKEN: u64 = 4;

/// What the parts of an answer used that broke off before the present one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    prompt: u64,
    completion: u64,
    /// All tokens of the parts, as stated, else as the sum of what is known.
    total: u64,
    /// The parts whose prompt nobody counted.
    uncounted_prompts: u64,
}

impl Spent {
    /// Adds a part that is over: as the provider stated it, with the tokens of its `text_bytes`
    /// estimated where it did not.
    pub fn add(&mut self, part: Option<Usage>, text_bytes: u64) {
        let part = part.unwrap_or_default();
        let completion = part.completion_tokens.unwrap_or(text_bytes.div_ceil(BYTES_PER_TOKEN));
        let prompt = part.prompt_tokens.unwrap_or(0);
        let total = part.total_tokens.unwrap_or(prompt.saturating_add(completion));
        self.uncounted_prompts += u64::from(part.prompt_tokens.is_none());
        self.prompt = self.prompt.saturating_add(prompt);
        self.completion = self.completion.saturating_add(completion);
        self.total = self.total.saturating_add(total);
    }

    /// Tokens of the answer in all parts, estimated where nobody counted them.
    pub const fn completion_tokens(&self) -> u64 {
        self.completion
    }

    /// All parts together with the last one. What an uncounted prompt cost is known only by what
    /// the last one did.
    pub fn with(&self, last: Usage) -> Usage {
        let unknown = last.prompt_tokens.unwrap_or(0).saturating_mul(self.uncounted_prompts);
        let prompts = self.prompt.saturating_add(unknown);
        let is_known = last.prompt_tokens.is_some() || prompts > 0;
        let total = last.total().unwrap_or(0).saturating_add(self.total);
        Usage {
            prompt_tokens: is_known
                .then(|| prompts.saturating_add(last.prompt_tokens.unwrap_or(0))),
            completion_tokens: Some(
                self.completion.saturating_add(last.completion_tokens.unwrap_or(0)),
            ),
            total_tokens: Some(total.saturating_add(unknown)),
            reasoning_tokens: last.reasoning_tokens,
        }
    }
}

/// What the members of an object tell of usage, each in its own dialect.
#[derive(Debug, Default)]
pub(crate) struct Told([Option<Usage>; 3]);

impl Told {
    /// Notes one member, if it is one that tells.
    pub(crate) fn note(&mut self, key: &str, value: View<'_>) {
        match key {
            "usage" => self.0[0] = Usage::counts(value),
            "x_groq" => self.0[1] = value.get("usage").and_then(Usage::counts),
            "usageMetadata" => self.0[2] = Usage::counts(value),
            _ => {}
        }
    }

    pub(crate) fn usage(self) -> Option<Usage> {
        self.0.into_iter().flatten().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_answer_are_added_up() {
        let counted = |prompt, completion| Usage {
            prompt_tokens: Some(prompt),
            completion_tokens: Some(completion),
            ..Usage::default()
        };
        let mut spent = Spent::default();
        spent.add(Some(counted(10, 3)), 400);
        spent.add(Some(Usage { total_tokens: Some(30), ..counted(12, 8) }), 400);
        let all = spent.with(counted(20, 5));
        let seen = (all.prompt_tokens, all.completion_tokens, all.total());
        assert_eq!(seen, (Some(42), Some(16), Some(68)));
        // Nobody counted the third part: 9 bytes are 3 tokens or so, its prompt is like the last.
        spent.add(None, 9);
        let all = spent.with(counted(20, 5));
        let seen = (all.prompt_tokens, all.completion_tokens, all.total());
        assert_eq!(seen, (Some(62), Some(19), Some(91)));
        assert_eq!(Spent::default().with(counted(1, 2)).total(), Some(3));
    }

    type Counts = (Option<u64>, Option<u64>, Option<u64>);

    #[test]
    fn every_dialect_is_read() {
        let table: [(&str, Option<Counts>, Option<u64>); 12] = [
            (
                r#"{"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":9}}"#,
                Some((Some(3), Some(4), Some(9))),
                Some(9),
            ),
            (
                r#"{"usage":null,"x_groq":{"usage":{"prompt_tokens":3}}}"#,
                Some((Some(3), None, None)),
                Some(3),
            ),
            (
                r#"{"usage":{"input_tokens":1,"output_tokens":2}}"#,
                Some((Some(1), Some(2), None)),
                Some(3),
            ),
            (
                r#"{"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":5}}"#,
                Some((Some(1), Some(2), Some(5))),
                Some(5),
            ),
            (r#"{"usage":{"completion_tokens":0}}"#, Some((None, Some(0), None)), Some(0)),
            (r#"{"usage":{"prompt_tokens":12.0}}"#, Some((Some(12), None, None)), Some(12)),
            (
                r#"{"usage":{"prompt_tokens":-1,"completion_tokens":99999999999999999999}}"#,
                None,
                None,
            ),
            (
                r#"{"usage":{"prompt_tokens":1.5,"completion_tokens":"4","total_tokens":null}}"#,
                None,
                None,
            ),
            (
                r#"{"usage":{"prompt_tokens":18446744073709551615,"completion_tokens":9}}"#,
                Some((Some(u64::MAX), Some(9), None)),
                Some(u64::MAX),
            ),
            (r#"{"usage":[1],"x_groq":"no"}"#, None, None),
            (r#"{"usage":{}}"#, None, None),
            ("[]", None, None),
        ];
        for (text, counts, total) in table {
            let usage = Usage::of(View::parse(text.as_bytes()).unwrap());
            let seen = usage.map(|u| (u.prompt_tokens, u.completion_tokens, u.total_tokens));
            assert_eq!(seen, counts, "{text}");
            assert_eq!(usage.and_then(|u| u.total()), total, "{text}");
        }
    }

    #[test]
    fn counts_that_were_to_come_and_are_absent_are_known() {
        for (data, is_absent) in [
            (r#"{"id":"a","object":"o","created":1,"model":"m","choices":[],"usage":null}"#, true),
            (r#" {"choices":[ ],"usage":null} "#, true),
            (r#"{"choices":[],"usage":null,"prompt_filter_results":[]}"#, false),
            (r#"{"choices":[],"usage":{"total_tokens":1}}"#, false),
            (r#"{"choices":[{}],"usage":null}"#, false),
            (r#"{"id":"a","choices":[]}"#, false),
            (r#"{"usage":null}"#, false),
            ("[]", false),
            ("[", false),
        ] {
            assert_eq!(super::is_absent(data.as_bytes()), is_absent, "{data}");
        }
    }

    #[test]
    fn reasoning_tokens_are_read() {
        let text = br#"{"usage":{"completion_tokens_details":{"reasoning_tokens":7}}}"#;
        let usage = Usage::of(View::parse(text).unwrap()).unwrap();
        assert_eq!(usage.reasoning_tokens, Some(7));
    }
}
