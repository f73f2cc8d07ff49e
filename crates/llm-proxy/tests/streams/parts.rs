//! Pieces of streams that tell their provider apart by id and model, and what the client may see
//! of them together.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use simulated::{Behaviour, Events, Recorded, Reply, SimulatedProvider};

use crate::harness::{Heard, joined, raw_stream};

/// No wait.
pub(crate) const ZERO: Duration = Duration::ZERO;

/// One provider's stream.
pub(crate) struct Part(pub(crate) &'static str);

impl Part {
    fn chunk(&self, choices: &Value) -> Value {
        let Self(name) = self;
        json!({"id": format!("chatcmpl-{name}"), "object": "chat.completion.chunk",
            "created": 1, "model": format!("{name}-said"), "choices": choices})
    }

    pub(crate) fn delta(&self, delta: &Value) -> Bytes {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": null}]);
        Events::data(&self.chunk(&choices))
    }

    pub(crate) fn role(&self) -> Bytes {
        self.delta(&json!({"role": "assistant", "content": ""}))
    }

    pub(crate) fn text(&self, text: &str) -> Bytes {
        self.delta(&json!({"content": text}))
    }

    pub(crate) fn finish(&self) -> Bytes {
        Events::data(&self.chunk(&json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])))
    }

    pub(crate) fn usage(&self, prompt: u64, completion: u64) -> Bytes {
        let mut chunk = self.chunk(&json!([]));
        chunk["usage"] = json!({"prompt_tokens": prompt, "completion_tokens": completion,
            "total_tokens": prompt + completion});
        Events::data(&chunk)
    }

    /// A chunk without choices, with these members.
    pub(crate) fn empty(&self, members: &Value) -> Bytes {
        let mut chunk = self.chunk(&json!([]));
        for (name, value) in members.as_object().unwrap() {
            chunk[name] = value.clone();
        }
        Events::data(&chunk)
    }

    /// A role and these pieces of text.
    pub(crate) fn begun(&self, pieces: &[&str]) -> Bytes {
        let texts = pieces.iter().map(|piece| self.text(piece));
        joined(&[vec![self.role()], texts.collect()].concat())
    }

    /// A stream that says these pieces and is then cut.
    pub(crate) fn cut(&self, pieces: &[&str]) -> Reply {
        raw_stream(self.begun(pieces)).cut()
    }

    /// A whole stream.
    pub(crate) fn whole(&self, pieces: &[&str]) -> Reply {
        raw_stream(joined(&[self.begun(pieces), self.finish(), Events::done()]))
    }
}

/// A provider that behaves as this function says.
pub(crate) async fn asked(
    answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static,
) -> SimulatedProvider {
    SimulatedProvider::start(Behaviour::answer(answer)).await.unwrap()
}

/// The last message of a request.
pub(crate) fn last_message(request: &Recorded) -> Value {
    request.json()["messages"].as_array().and_then(|all| all.last().cloned()).unwrap_or_default()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The answer is one complete one: one id, one finish reason, at most one usage, no error.
#[track_caller]
pub(crate) fn assert_one_answer(heard: &Heard, said: &str) {
    let text = heard.text();
    assert_eq!((heard.status, heard.whole), (200, true), "{text}");
    assert!(heard.is_done(), "{text}");
    assert_eq!(text.matches("[DONE]").count(), 1, "{text}");
    assert_eq!(heard.said(), said, "{text}");
    let events = heard.events();
    let reasons = events.iter().filter(|event| event["choices"][0]["finish_reason"].is_string());
    assert_eq!(reasons.count(), 1, "{text}");
    let mut ids: Vec<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
    ids.dedup();
    assert!(ids.len() <= 1, "{text}");
    assert!(events.iter().filter(|event| event["usage"].is_object()).count() <= 1, "{text}");
    assert!(events.iter().all(|event| event.get("error").is_none()), "{text}");
}

/// The answer ends with the one event that says that it was cut, and does not look finished.
#[track_caller]
pub(crate) fn assert_interrupted(heard: &Heard, said: &str, by: &str) {
    let text = heard.text();
    assert_eq!((heard.status, heard.whole), (200, true), "{text}");
    assert!(!text.contains("[DONE]"), "{text}");
    assert_eq!(heard.said(), said, "{text}");
    let events = heard.events();
    let error = &events.last().unwrap()["error"];
    assert_eq!(error["code"], "upstream_stream_interrupted", "{text}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&format!("from {by} ")), "{message} does not name {by}");
    let errors = events.iter().filter(|event| event.get("error").is_some());
    assert_eq!(errors.count(), 1, "{text}");
}
