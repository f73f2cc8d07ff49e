//! A stream gathered into the one plain completion that the client asked for.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::MAX_CHOICES;
use super::fields::Fields;
use crate::Endpoint;
use crate::chunk::{ChunkKind, Ends, MOST_BROKEN, classify};
use crate::json::{Kind, ObjectText, View, array_text, quote};
use crate::sse::{Event, Framer};

/// Gathers a stream's chunks into a plain completion. What it holds grows with what is pushed, so
/// the caller bounds the stream.
#[derive(Debug)]
pub struct Gather {
    endpoint: Endpoint,
    top: Top,
    choices: BTreeMap<u64, Choice>,
}

/// The completion's own members, the latest value of each.
#[derive(Debug, Default)]
struct Top(Vec<(String, Vec<u8>)>);

#[derive(Debug, Default)]
struct Choice {
    /// The choice's members but the message.
    fields: Fields,
    message: Fields,
    finish_reason: Option<Vec<u8>>,
}

impl Gather {
    /// An empty completion of `endpoint`'s kind.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, top: Top::default(), choices: BTreeMap::new() }
    }

    /// Adds one event's data. What is no chunk adds nothing.
    pub fn push(&mut self, data: &[u8]) {
        let Ok(chunk) = View::parse(data) else { return };
        for (key, value) in chunk.members() {
            match key.as_ref() {
                "object" => {}
                "choices" => value.elements().for_each(|choice| self.add_choice(choice)),
                key => self.top.set(key, value),
            }
        }
    }

    /// The completion; `None` if no chunk had a choice.
    pub fn finish(self) -> Option<Bytes> {
        if self.choices.is_empty() {
            return None;
        }
        let endpoint = self.endpoint;
        let object = match endpoint {
            Endpoint::Chat => "chat.completion",
            Endpoint::Completions => "text_completion",
        };
        let close = |(index, choice): (u64, Choice)| choice.close(index, endpoint);
        let choices = array_text(self.choices.into_iter().map(close));
        let mut text = ObjectText::new();
        for (key, raw) in &self.top.0 {
            text.put(key, raw);
        }
        text.put("object", &quote(object));
        text.put("choices", &choices);
        Some(text.close().into())
    }

    fn add_choice(&mut self, choice: View<'_>) {
        if choice.kind() != Kind::Object {
            return;
        }
        let index = choice.get("index").and_then(View::as_u64).unwrap_or(0);
        if self.choices.len() < MAX_CHOICES || self.choices.contains_key(&index) {
            self.choices.entry(index).or_default().add(choice);
        }
    }
}

impl Top {
    /// More members than any completion has; a flood of keys is cut off here.
    const MAX_KEYS: usize = 64;

    fn set(&mut self, key: &str, value: View<'_>) {
        let has_room = self.0.len() < Self::MAX_KEYS;
        match self.0.iter_mut().find(|(held, _)| held == key) {
            Some(_) if value.is_null() => {}
            Some((_, held)) => *held = value.raw().to_vec(),
            None if has_room => {
                self.0.push((key.to_owned(), value.raw().to_vec()));
            }
            None => {}
        }
    }
}

impl Choice {
    fn add(&mut self, choice: View<'_>) {
        for (key, value) in choice.members() {
            match key.as_ref() {
                "delta" | "message" => self.message.merge(value, 2, |_| true),
                "finish_reason" if !value.is_null() => {
                    self.finish_reason = Some(value.raw().to_vec());
                }
                _ => {}
            }
        }
        let is_own = |key: &str| !matches!(key, "delta" | "message" | "index" | "finish_reason");
        self.fields.merge(choice, 2, is_own);
    }

    fn close(self, index: u64, endpoint: Endpoint) -> Vec<u8> {
        let mut text = ObjectText::new();
        text.put("index", index.to_string().as_bytes());
        if endpoint == Endpoint::Chat {
            text.put("message", &close_message(self.message));
        }
        self.fields.write(&mut text);
        text.put("finish_reason", self.finish_reason.as_deref().unwrap_or(b"null"));
        text.close()
    }
}

fn close_message(message: Fields) -> Vec<u8> {
    let mut text = ObjectText::new();
    if !message.has("role") {
        text.put("role", b"\"assistant\"");
    }
    if !message.has("content") {
        text.put("content", b"null");
    }
    message.write(&mut text);
    text.close()
}

/// Why the events of a stream make no completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCompletion {
    /// No event had a choice.
    Empty,
    /// The stream ended before all its choices did, or more than one of its events was broken.
    Cut,
    /// The provider failed; this event's data says how, in the provider's dialect.
    Failed(Bytes),
}

/// Gathers a whole event stream, as [`Gather`] does.
///
/// # Errors
///
/// A stream that is not a whole answer makes no completion: half of one would look like all of it.
pub fn events_to_completion(body: &Bytes, endpoint: Endpoint) -> Result<Bytes, NoCompletion> {
    let mut framer = Framer::new(body.len());
    framer.push(body.clone());
    let mut whole = Whole { gather: Gather::new(endpoint), ends: Ends::default(), broken: 0 };
    while let Some(Ok(event)) = framer.next_event() {
        if whole.add(&event)?.is_break() {
            return whole.finish();
        }
    }
    if let Some(event) = framer.finish() {
        let _ = whole.add(&event)?;
    }
    whole.finish()
}

/// A stream that must be whole.
struct Whole {
    gather: Gather,
    ends: Ends,
    broken: usize,
}

impl Whole {
    /// Adds an event; breaks at the end mark.
    fn add(&mut self, event: &Event) -> Result<ControlFlow<()>, NoCompletion> {
        let said = event.said();
        let data = said.data.unwrap_or_default();
        let facts = classify(&data, said.name);
        let is_failure = facts.kind == ChunkKind::Error || facts.finish_is_error;
        match facts.kind {
            ChunkKind::Done => return Ok(ControlFlow::Break(())),
            // What follows the end takes nothing back.
            _ if is_failure && self.ends.are_all() => {}
            _ if is_failure => return Err(NoCompletion::Failed(Bytes::copy_from_slice(&data))),
            ChunkKind::Broken => self.broken += usize::from(event.is_terminated()),
            ChunkKind::Stray | ChunkKind::Error => {}
            ChunkKind::Content | ChunkKind::Preamble | ChunkKind::UsageOnly => {
                self.ends.note(&facts);
                self.gather.push(&data);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(self) -> Result<Bytes, NoCompletion> {
        let completion = self.gather.finish().ok_or(NoCompletion::Empty)?;
        let is_whole = self.ends.are_all() && self.broken <= MOST_BROKEN;
        if is_whole { Ok(completion) } else { Err(NoCompletion::Cut) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::completion_to_events;

    fn gathered(chunks: &[&str], endpoint: Endpoint) -> String {
        let mut gather = Gather::new(endpoint);
        for chunk in chunks {
            gather.push(chunk.as_bytes());
        }
        String::from_utf8(gather.finish().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn text_reasoning_and_usage_come_together() {
        let chunks = [
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"r"}}],"usage":null}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a\ud83d","reasoning":"s"}}]}"#,
            "broken",
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"\ude00b"},"finish_reason":"stop"}]}"#,
            r#"{"id":"c","choices":[],"usage":{"total_tokens":1e0}}"#,
            "[DONE]",
        ];
        assert_eq!(
            gathered(&chunks, Endpoint::Chat),
            r#"{"id":"c","model":"m","usage":{"total_tokens":1e0},"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a\ud83d\ude00b","reasoning":"rs"},"finish_reason":"stop"}]}"#
        );
    }

    #[test]
    fn tool_calls_are_joined_by_index_and_parted_by_id() {
        let chunks = [
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":":1}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"c"},{"id":"d"}]},"finish_reason":"tool_calls"}]}"#,
        ];
        assert_eq!(
            gathered(&chunks, Endpoint::Chat),
            r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","function":{"name":"g","arguments":"{}"}},{"id":"c"},{"id":"d"}]},"finish_reason":"tool_calls"}]}"#
        );
    }

    #[test]
    fn parts_and_text_become_parts() {
        let chunks = [
            r#"{"choices":[{"delta":{"content":""}}]}"#,
            r#"{"choices":[{"delta":{"content":[{"type":"thinking"}]}}]}"#,
            r#"{"choices":[{"delta":{"content":"a"}}]}"#,
        ];
        let expected = r#""content":[{"type":"thinking"},{"type":"text","text":"a"}]"#;
        assert!(gathered(&chunks, Endpoint::Chat).contains(expected));
    }

    #[test]
    fn choices_and_log_probabilities_are_kept_apart() {
        let chunks = [
            r#"{"choices":[{"index":1,"text":"x","logprobs":{"tokens":["x"]}},{"index":0,"text":"a"}]}"#,
            r#"{"choices":[{"index":1,"text":"y","logprobs":{"tokens":["y"]},"finish_reason":"stop"}]}"#,
        ];
        assert_eq!(
            gathered(&chunks, Endpoint::Completions),
            r#"{"object":"text_completion","choices":[{"index":0,"text":"a","finish_reason":null},{"index":1,"text":"xy","logprobs":{"tokens":["x","y"]},"finish_reason":"stop"}]}"#
        );
    }

    #[test]
    fn a_completion_survives_the_way_there_and_back() {
        let body = r#"{"id":"c","created":1,"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a","tool_calls":[{"id":"t","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"total_tokens":3}}"#;
        let events = completion_to_events(body.as_bytes(), Endpoint::Chat, true).unwrap();
        let back = events_to_completion(&events, Endpoint::Chat).unwrap();
        let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&back), value(body.as_bytes()));
    }

    #[test]
    fn nothing_gives_nothing_and_a_flood_is_bounded() {
        let nothing = Bytes::from_static(b"data: {\"choices\":[]}\n\n");
        assert_eq!(events_to_completion(&nothing, Endpoint::Chat), Err(NoCompletion::Empty));
        let keys = (0..20_000).map(|i| format!("\"k{i}\":1,")).collect::<Vec<_>>().concat();
        let flood = format!(r#"{{{keys}"choices":[{{"delta":{{{keys}"content":"a"}}}}]}}"#);
        assert!(gathered(&[&flood], Endpoint::Chat).len() < 5000);
    }

    #[test]
    fn only_a_whole_stream_makes_a_completion() {
        let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
        let other = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\n";
        let tool = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"t\"}]}}]}\n\n";
        let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let error = "data: {\"error\":{\"code\":529}}\n\n";
        let given_up = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}\n\n";
        let failed = |event: &str| {
            let data = event.strip_prefix("data: ").unwrap().trim_end();
            Some(NoCompletion::Failed(Bytes::copy_from_slice(data.as_bytes())))
        };
        let (done, half, broken) = ("data: [DONE]\n\n", &end[..30], "data: {\n\n");
        let cut = || Some(NoCompletion::Cut);
        let table: [(&[&str], Option<NoCompletion>); 16] = [
            (&[text, end, done], None),
            (&[text, end], None),
            (&[text, end.trim_end()], None),
            (&[text, end, error], None),
            (&[text, end, half], None),
            (&[text, broken, end, "data: null\n\ndata: 5\n\n", done], None),
            (&[text, broken, broken, end, done], cut()),
            (&[text, end, done, broken, broken, error], None),
            (&[text], cut()),
            (&[text, done], cut()),
            (&[text, half], cut()),
            (&[tool], cut()),
            (&[text, other, end, done], cut()),
            (&[text, error], failed(error)),
            (&[text, error, done], failed(error)),
            (&[text, given_up, done], failed(given_up)),
        ];
        for (events, expected) in table {
            let body = Bytes::from(events.concat());
            assert_eq!(events_to_completion(&body, Endpoint::Chat).err(), expected, "{events:?}");
        }
    }
}
