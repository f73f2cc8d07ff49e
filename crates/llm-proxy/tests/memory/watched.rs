//! `GET /events`: what those who watch are told, and what they cost.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use simulated::{Behaviour, Reply};

use crate::harness::{Place, Proxy, QUESTION, Wire, acting, entry, eventually, get, provider};
use crate::parts::{config, now, remembering};

/// A watcher with its answer's head read.
async fn watch(proxy: &Proxy) -> Wire {
    let (wire, head) = watch_with(proxy, "").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    wire
}

/// One with further header lines, and its answer's head.
async fn watch_with(proxy: &Proxy, lines: &str) -> (Wire, String) {
    let address = proxy.address;
    let mut wire = Wire::open(address).await;
    wire.write(format!("GET /events HTTP/1.1\r\nhost: {address}\r\n{lines}\r\n")).await;
    let head = wire.until(b"\r\n\r\n").await;
    (wire, String::from_utf8(head).unwrap().to_lowercase())
}

/// The data of the next event of this name.
async fn event(wire: &mut Wire, name: &str) -> Value {
    wire.until(format!("event: {name}\ndata: ").as_bytes()).await;
    let data = wire.until(b"\n\n").await;
    serde_json::from_slice(&data).unwrap()
}

fn provider_of(status: &Value) -> &Value {
    &status["providers"][0]
}

#[tokio::test]
async fn a_watcher_is_told_the_state_at_once_each_request_and_each_change() {
    let limited =
        acting(Behaviour::script([Reply::answer(&["hi"]), Reply::rate_limited(Some("3600"))]))
            .await;
    let proxy = remembering(&[entry("one", &limited)]).await;
    let mut wire = watch(&proxy).await;
    let status = event(&mut wire, "status").await;
    assert_eq!(provider_of(&status)["available"], true);
    assert_eq!(status["state"]["mode"], "file");

    assert_eq!(proxy.chat(QUESTION).await.provider(), "one");
    let request = event(&mut wire, "request").await;
    let newest = proxy.get("/requests?limit=1").await.json()["requests"][0].clone();
    for name in ["id", "time", "status", "provider", "model", "total_tokens", "duration_ms"] {
        assert_eq!(request[name], newest[name], "{name}");
    }
    assert_eq!(request["hops"][0]["provider"], newest["hops"][0]["provider"]);

    assert_eq!(proxy.chat(QUESTION).await.status, 429);
    let changed = now();
    let status = loop {
        let status = event(&mut wire, "status").await;
        if provider_of(&status)["available"] == false {
            break status;
        }
    };
    // Half a second by design; the machine may be busy.
    assert!(changed.elapsed() < Duration::from_secs(4), "{:?}", changed.elapsed());
    assert_eq!(provider_of(&status)["is_rate_limited"], true);
    proxy.tell(&["reset"]).await.good();
    while provider_of(&event(&mut wire, "status").await)["available"] != true {}
}

#[tokio::test]
async fn a_watcher_does_not_hold_up_the_end() {
    let upstream = provider(&["hi"]).await;
    let mut proxy = remembering(&[entry("one", &upstream)]).await;
    let mut wire = watch(&proxy).await;
    event(&mut wire, "status").await;
    let mut deaf = watch(&proxy).await;
    let told = now();
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().await.success());
    // A few milliseconds by design; ten seconds would be the patience with requests.
    assert!(told.elapsed() < Duration::from_secs(4), "{:?}", told.elapsed());
    // In good order: with the last chunk of its answer.
    wire.until(b"0\r\n\r\n").await;
    deaf.until(b"0\r\n\r\n").await;
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn there_are_seats_for_32_watchers_and_those_that_leave_make_room() {
    let upstream = provider(&["hi"]).await;
    let proxy = remembering(&[entry("one", &upstream)]).await;
    let mut watchers = Vec::new();
    for _ in 0..32 {
        watchers.push(watch(&proxy).await);
    }
    let answer = get(proxy.address, "/events").await;
    assert_eq!(answer.error(), (503, "too_many_watchers".to_owned()));
    watchers.truncate(20);
    eventually("free seats", async || watch_with(&proxy, "").await.1.contains(" 200 ")).await;
    // Asking for the head alone takes no seat for longer than that.
    for _ in 0..40 {
        let mut wire = Wire::open(proxy.address).await;
        wire.write(format!("HEAD /events HTTP/1.1\r\nhost: {}\r\n\r\n", proxy.address)).await;
        assert_eq!(wire.head().await.status, 200);
        drop(wire);
        eventually("the seat", async || watch_with(&proxy, "").await.1.contains(" 200 ")).await;
    }
    assert_eq!(proxy.chat(QUESTION).await.provider(), "one");
}

/// The resident memory in KiB, where the system tells it.
fn resident(proxy: &Proxy) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", proxy.id())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

async fn ask(proxy: &Proxy, count: usize) {
    let mut wire = Wire::open(proxy.address).await;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{QUESTION}",
        proxy.address,
        QUESTION.len()
    );
    for _ in 0..count {
        wire.write(&request).await;
        assert_eq!(wire.answer().await.status, 200);
    }
}

#[tokio::test]
async fn a_watcher_that_never_reads_costs_no_memory() {
    let upstream = provider(&["hi"]).await;
    let proxy = remembering(&[entry("one", &upstream)]).await;
    let _deaf = [watch(&proxy).await, watch(&proxy).await];
    ask(&proxy, 600).await;
    let before = resident(&proxy);
    ask(&proxy, 1500).await;
    let (Some(before), Some(after)) = (before, resident(&proxy)) else { return };
    // Two watchers with 1,500 requests of 0.6 KB each would be about 2 MB, doubled by queues.
    assert!(after < before + 4096, "{before} KiB, then {after} KiB");
}

#[tokio::test]
async fn strangers_may_not_watch() {
    let upstream = provider(&["hi"]).await;
    let text = config(&[entry("one", &upstream)]);
    let text = text.replace("server:\n", "server:\n  api_keys: [a-key-for-clients-0123]\n");
    let proxy = Proxy::start_with(Place::with(&text), &["--state", "memory"]).await;
    for path in ["/events", "/requests", "/usage"] {
        let answer = get(proxy.address, path).await;
        assert_eq!(answer.error(), (401, "invalid_api_key".to_owned()), "{path}");
    }
    let key = "authorization: Bearer a-key-for-clients-0123\r\n";
    let (mut wire, head) = watch_with(&proxy, key).await;
    assert!(head.contains(" 200 "), "{head}");
    event(&mut wire, "status").await;
    let foreign = format!("{key}origin: https://evil.example\r\n");
    let (_, head) = watch_with(&proxy, &foreign).await;
    assert!(head.contains(" 403 ") && !head.contains("access-control-allow"), "{head}");
}
