//! What these tests say and look up again and again.

use serde_json::Value;
use simulated::SimulatedProvider;

use crate::harness::{CHAT, Heard, Listening, Proxy, post};

/// The newest body that a provider was sent.
pub(crate) fn last_body(provider: &SimulatedProvider) -> Value {
    provider.requests().last().unwrap().json()
}

/// Asks with one more header.
pub(crate) async fn ask_with(proxy: &Proxy, body: &Value, name: &str, value: &str) -> Heard {
    proxy.send(post(CHAT).json(body).header(name, value)).await
}

/// What `/status` says of one model of a provider, of its first key.
pub(crate) async fn deployment(proxy: &Proxy, provider: &str, model: &str) -> Value {
    let seen = proxy.provider(provider).await;
    let all = seen["deployments"].as_array().unwrap();
    let found = all.iter().find(|one| one["model"] == model);
    found.unwrap_or_else(|| panic!("{model} in {seen}")).clone()
}

/// The seconds from `now` until the moment that a field tells.
pub(crate) fn seconds_until(field: &Value, now: jiff::Timestamp) -> Option<f64> {
    let at: jiff::Timestamp = field.as_str()?.parse().unwrap();
    Some(at.duration_since(now).as_secs_f64())
}

/// The present moment, by the wall clock.
#[expect(clippy::disallowed_methods, reason = "tests compare with the clock on the wall")]
pub(crate) fn wall() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Sends all of them before reading any.
pub(crate) async fn at_once(proxy: &Proxy, bodies: &[Value]) -> Vec<Heard> {
    let mut open = Vec::with_capacity(bodies.len());
    for body in bodies {
        open.push(proxy.open(post(CHAT).json(body)).await);
    }
    let mut heard = Vec::with_capacity(open.len());
    for listening in open {
        heard.push(Listening::finish(listening).await);
    }
    heard
}
