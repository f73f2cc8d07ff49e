//! A proxy process with its configuration, and what the tests say and hear.

mod client;
mod proxy;

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use simulated::{Behaviour, Events, Reply, SimulatedProvider};

pub(crate) use client::{Heard, Listening, post};
pub(crate) use proxy::{Proxy, Setup};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// For what happens at once on an idle machine; ours may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const LEGACY: &str = "/v1/completions";

/// Both ways of asking.
pub(crate) const PLAIN_AND_STREAMED: [bool; 2] = [false, true];

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "tests time what they wait for")]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

pub(crate) async fn always(reply: Reply) -> SimulatedProvider {
    SimulatedProvider::start(Behaviour::always(reply)).await.unwrap()
}

pub(crate) async fn script(replies: impl IntoIterator<Item = Reply>) -> SimulatedProvider {
    SimulatedProvider::start(Behaviour::script(replies)).await.unwrap()
}

/// A provider that answers in the form that was asked for.
pub(crate) async fn good(text: &str) -> SimulatedProvider {
    always(Reply::answer(&[text])).await
}

/// A small chat request.
pub(crate) fn question(stream: bool) -> Value {
    let mut body = json!({"model": "default", "messages": [{"role": "user", "content": "hi"}]});
    if stream {
        body["stream"] = true.into();
    }
    body
}

/// An error in the `OpenAI` shape.
pub(crate) fn error(status: u16, message: &str, kind: &str, code: &str) -> Reply {
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    Reply::error(status, &body)
}

/// A refusal of the key.
pub(crate) fn wrong_key() -> Reply {
    error(401, "Incorrect API key provided", "invalid_request_error", "invalid_api_key")
}

/// An event stream written at once.
pub(crate) fn raw_stream(text: impl Into<Bytes>) -> Reply {
    Reply::events(vec![(Duration::ZERO, text.into())])
}

/// The events one after the other in one piece.
pub(crate) fn joined(events: &[Bytes]) -> Bytes {
    events.concat().into()
}

/// The events of a chat stream of model `m`.
pub(crate) fn events() -> Events {
    Events::chat("m")
}
