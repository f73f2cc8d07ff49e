//! What the tests stand on: a place to run in, the running proxy, and a client that sends exactly
//! the bytes it is told.

mod client;
mod place;
mod proxy;
mod tls;

use std::time::Duration;

pub(crate) use client::{Answer, Wire, get, post, send};
pub(crate) use place::{Done, Place};
pub(crate) use proxy::{Proxy, signal};
use simulated::{Behaviour, Reply, SimulatedProvider};
pub(crate) use tls::{Authority, MOMENT, Tunnel, TurnAway, over_tls, turning_away};

/// Longer than anything takes that works, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A plain question.
pub(crate) const QUESTION: &str = r#"{"messages":[{"role":"user","content":"Hello"}]}"#;

/// The same as a stream.
pub(crate) const STREAMED: &str =
    r#"{"stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;

/// A provider that answers every request with these pieces.
pub(crate) async fn provider(pieces: &[&str]) -> SimulatedProvider {
    acting(Behaviour::always(Reply::answer(pieces))).await
}

/// A provider that behaves so.
pub(crate) async fn acting(behaviour: Behaviour) -> SimulatedProvider {
    SimulatedProvider::start(behaviour).await.unwrap()
}

/// The lines of a configuration that name a provider.
pub(crate) fn entry(name: &str, provider: &SimulatedProvider) -> String {
    entry_at(name, &provider.base_url())
}

/// The lines of a configuration that name a provider at a URL.
pub(crate) fn entry_at(name: &str, url: &str) -> String {
    format!(
        "  - name: {name}\n    base_url: {url}\n    api_key: key-of-{name}-0123456789\n    \
         model: {name}-model\n"
    )
}

/// A configuration of one provider.
pub(crate) fn only(name: &str, provider: &SimulatedProvider) -> String {
    format!("providers:\n{}", entry(name, provider))
}

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let look = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, look).await;
    assert!(held.is_ok(), "{what} did not come");
}
