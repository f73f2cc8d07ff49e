//! The server-sent events of a completion stream, one function each.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::asked::Asked;

/// Writes the events of one stream: all carry the same id, time and model.
#[derive(Clone, Debug)]
pub struct Events {
    id: String,
    created: u64,
    model: String,
    legacy: bool,
}

impl Events {
    /// Begins a chat stream of `model`.
    pub fn chat(model: &str) -> Self {
        Self { id: id(false, 0), created: 0, model: model.to_owned(), legacy: false }
    }

    pub(crate) fn of(asked: &Asked, number: u64, created: u64) -> Self {
        Self {
            id: id(asked.legacy, number),
            created,
            model: asked.model.clone(),
            legacy: asked.legacy,
        }
    }

    /// Returns the first event of a chat stream: a role and no text.
    pub fn role(&self) -> Bytes {
        self.delta(&json!({"role": "assistant", "content": ""}))
    }

    /// Returns an event that carries a piece of text.
    pub fn text(&self, piece: &str) -> Bytes {
        if self.legacy {
            self.choices(&json!([
                {"index": 0, "text": piece, "logprobs": null, "finish_reason": null}
            ]))
        } else {
            self.delta(&json!({"content": piece}))
        }
    }

    /// Returns a chat event with any delta: reasoning, a tool call, a refusal.
    pub fn delta(&self, delta: &Value) -> Bytes {
        self.choices(&json!([{"index": 0, "delta": delta, "finish_reason": null}]))
    }

    /// Returns the event that names why the answer ended.
    pub fn finish(&self, reason: &str) -> Bytes {
        if self.legacy {
            self.choices(&json!([
                {"index": 0, "text": "", "logprobs": null, "finish_reason": reason}
            ]))
        } else {
            self.choices(&json!([{"index": 0, "delta": {}, "finish_reason": reason}]))
        }
    }

    /// Returns the trailing event without choices that carries the token counts.
    pub fn usage(&self, prompt_tokens: u64, completion_tokens: u64) -> Bytes {
        let mut event = self.event(&json!([]));
        event["usage"] = usage(prompt_tokens, completion_tokens);
        Self::data(&event)
    }

    /// Returns an event that reports an error in the `OpenAI` shape.
    pub fn error(message: &str, kind: &str, code: &str) -> Bytes {
        Self::data(&json!({
            "error": {"message": message, "type": kind, "param": null, "code": code}
        }))
    }

    /// Returns any JSON as one event.
    pub fn data(value: &Value) -> Bytes {
        format!("data: {value}\n\n").into()
    }

    /// Returns a comment with the empty line after it that providers send while they queue.
    pub fn comment(text: &str) -> Bytes {
        format!(": {text}\n\n").into()
    }

    /// Returns the terminator `data: [DONE]`.
    pub fn done() -> Bytes {
        Bytes::from_static(b"data: [DONE]\n\n")
    }

    fn choices(&self, choices: &Value) -> Bytes {
        Self::data(&self.event(choices))
    }

    fn event(&self, choices: &Value) -> Value {
        let object = if self.legacy { "text_completion" } else { "chat.completion.chunk" };
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
}

/// The id of the answer to the request with this number.
pub(crate) fn id(legacy: bool, number: u64) -> String {
    let prefix = if legacy { "cmpl" } else { "chatcmpl" };
    format!("{prefix}-sim-{number:06}")
}

/// The token counts of an answer.
pub(crate) fn usage(prompt_tokens: u64, completion_tokens: u64) -> Value {
    json!({
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens.saturating_add(completion_tokens),
    })
}
