//! The shape of a successful completion: one JSON object, or the events of a stream.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::asked::Asked;
use crate::events::{Events, id, usage};

/// A completion, piece by piece. Each piece counts as one token.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) pieces: Vec<String>,
    pub(crate) finish_reason: String,
}

impl Answer {
    pub(crate) fn of<S: AsRef<str>>(pieces: &[S]) -> Self {
        Self {
            pieces: pieces.iter().map(|piece| piece.as_ref().to_owned()).collect(),
            finish_reason: "stop".to_owned(),
        }
    }

    /// Splits a text into its words, each with the space after it.
    pub(crate) fn words(text: &str) -> Self {
        Self::of(&text.split_inclusive(' ').collect::<Vec<_>>())
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.pieces.len() as u64
    }

    /// The answer as one JSON object.
    pub(crate) fn plain(&self, asked: &Asked, number: u64, created: u64) -> Value {
        let (text, reason) = (self.pieces.concat(), &self.finish_reason);
        let (object, choice) = if asked.legacy {
            let choice =
                json!({"index": 0, "text": text, "logprobs": null, "finish_reason": reason});
            ("text_completion", choice)
        } else {
            let message = json!({"role": "assistant", "content": text});
            let choice =
                json!({"index": 0, "message": message, "logprobs": null, "finish_reason": reason});
            ("chat.completion", choice)
        };
        json!({
            "id": id(asked.legacy, number),
            "object": object,
            "created": created,
            "model": asked.model,
            "choices": [choice],
            "usage": usage(asked.prompt_tokens, self.tokens()),
        })
    }

    /// The events up to the last piece of text: the opening, then one event for each piece.
    pub(crate) fn opening(&self, events: &Events, asked: &Asked) -> (Option<Bytes>, Vec<Bytes>) {
        let role = (!asked.legacy).then(|| events.role());
        (role, self.pieces.iter().map(|piece| events.text(piece)).collect())
    }

    /// The events after the last piece of text, with `[DONE]` if it is wanted.
    pub(crate) fn closing(&self, events: &Events, asked: &Asked, done: bool) -> Vec<Bytes> {
        let mut closing = vec![events.finish(&self.finish_reason)];
        if asked.include_usage {
            closing.push(events.usage(asked.prompt_tokens, self.tokens()));
        }
        if done {
            closing.push(Events::done());
        }
        closing
    }
}
