//! What several of these tests need.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use simulated::{Recorded, Reply};

use crate::harness::{Place, Proxy, Wire, eventually};

/// The folder of the memory, seen from the working folder.
pub(crate) const STATE: [&str; 2] = ["--state", "state"];

/// A configuration of these providers, in a time zone in which it is not about midnight.
pub(crate) fn config(entries: &[String]) -> String {
    format!("server:\n  timezone: {}\nproviders:\n{}", daytime_zone(), entries.concat())
}

/// Tests of counts of a day must not run over its end.
fn daytime_zone() -> &'static str {
    let hour = wall().to_zoned(jiff::tz::TimeZone::UTC).hour();
    if (2..22).contains(&hour) { "UTC" } else { "Etc/GMT-12" }
}

/// The present moment of the calendar.
#[expect(clippy::disallowed_methods, reason = "tests compare what they are told with the clock")]
pub(crate) fn wall() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "tests time what they wait for")]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Starts the proxy on a folder for its memory.
pub(crate) async fn start(place: Place) -> Proxy {
    Proxy::start_with(place, &STATE).await
}

/// Starts it in a new place.
pub(crate) async fn remembering(entries: &[String]) -> Proxy {
    start(Place::with(&config(entries))).await
}

/// `kill -9`, and the place that is left.
pub(crate) async fn killed(mut proxy: Proxy) -> Place {
    proxy.signal(Signal::KILL);
    proxy.ended().await;
    proxy.place
}

/// `SIGTERM`, and the place that is left.
pub(crate) async fn stopped(mut proxy: Proxy) -> Place {
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().await.success());
    proxy.place
}

/// Waits until all is saved, by the proxy's own word.
pub(crate) async fn saved(proxy: &Proxy) {
    // What has just ended may not have been noticed yet.
    tokio::time::sleep(Duration::from_millis(20)).await;
    eventually("saving", async || {
        let status = proxy.get("/status").await.json();
        status["state"]["lag_ms"] == 0
    })
    .await;
    tokio::time::sleep(Duration::from_millis(120)).await;
}

/// A place as it was left by a kill after everything was saved, with the proxy running again.
pub(crate) async fn killed_and_back(proxy: Proxy) -> Proxy {
    saved(&proxy).await;
    start(killed(proxy).await).await
}

/// The newest requests, once there are so many.
pub(crate) async fn told(proxy: &Proxy, count: usize) -> Vec<Value> {
    let mut requests = Vec::new();
    eventually("the record of each request", async || {
        let answer = proxy.get("/requests?limit=2000").await.json();
        requests.clone_from(answer["requests"].as_array().unwrap());
        requests.len() >= count
    })
    .await;
    assert_eq!(requests.len(), count, "{requests:#?}");
    requests
}

/// The rows of `/usage`.
pub(crate) async fn used(proxy: &Proxy, query: &str) -> Vec<Value> {
    let answer = proxy.get(&format!("/usage?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["rows"].as_array().unwrap().clone()
}

/// Begins a chat request and leaves once `mark` has come, or at once without one.
pub(crate) async fn leave(address: SocketAddr, body: &str, mark: Option<&str>) -> Wire {
    let length = body.len();
    let mut wire = Wire::open(address).await;
    wire.write(format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\
         content-type: application/json\r\n\r\n{body}"
    ))
    .await;
    if let Some(mark) = mark {
        wire.until(mark.as_bytes()).await;
    }
    wire
}

/// An error in `OpenAI`'s shape.
pub(crate) fn error(status: u16, kind: &str, code: &str, message: &str) -> Reply {
    let error = serde_json::json!({"message": message, "type": kind, "param": null, "code": code});
    Reply::error(status, &serde_json::json!({"error": error}))
}

/// Whether a request carries this key.
pub(crate) fn carries(request: &Recorded, key: &str) -> bool {
    request.key() == Some(key)
}

/// The files of the memory that are there.
pub(crate) fn files(place: &Place) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.work().join("state")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// All bytes of the memory's files.
pub(crate) fn bytes(place: &Place) -> Vec<u8> {
    files(place).iter().flat_map(|file| std::fs::read(file).unwrap()).collect()
}

pub(crate) fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}
