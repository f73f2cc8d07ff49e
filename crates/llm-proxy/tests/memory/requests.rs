//! `GET /requests`: what became of each request, and why.

use std::time::Duration;

use serde_json::{Value, json};
use simulated::{Behaviour, Events, Reply, SimulatedProvider};

use crate::harness::{QUESTION, STREAMED, acting, entry, eventually, provider};
use crate::parts::{error, killed_and_back, leave, remembering, told, wall};

async fn limited() -> SimulatedProvider {
    acting(Behaviour::always(Reply::rate_limited(Some("3600")))).await
}

/// These members of a value.
fn only(value: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| ((*name).to_owned(), value[*name].clone())).collect()
}

/// Provider, result and kind of each hop.
fn hops(request: &Value) -> Value {
    let hops = request["hops"].as_array().unwrap();
    hops.iter().map(|hop| json!([hop["provider"], hop["result"], hop["kind"]])).collect()
}

/// Provider and reason of each deployment that was passed over.
fn skipped(request: &Value) -> Value {
    let skipped = request["skipped"].as_array().unwrap();
    skipped.iter().map(|one| json!([one["provider"], one["reason"]])).collect()
}

/// How far in the future a time lies, in seconds.
fn ahead(time: &Value) -> i64 {
    let then: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    then.as_second() - wall().as_second()
}

#[tokio::test]
async fn a_rotation_is_told_hop_by_hop_with_reasons_and_times() {
    let (limited, picky, good) = (
        limited().await,
        acting(Behaviour::always(error(413, "invalid_request_error", "request_too_large", "big")))
            .await,
        provider(&["good"]).await,
    );
    let entries = [entry("limited", &limited), entry("picky", &picky), entry("good", &good)];
    let proxy = remembering(&entries).await;
    for _ in 0..2 {
        let answer = proxy.chat(r#"{"model":"gpt-x","messages":[{"role":"user","content":"hi"}]}"#);
        assert_eq!(answer.await.provider(), "good");
    }
    let requests = told(&proxy, 2).await;
    let first = &requests[1];
    let names = ["endpoint", "asked", "stream", "status", "outcome", "provider", "model"];
    assert_eq!(
        only(first, &names),
        json!({"endpoint": "chat", "asked": "gpt-x", "stream": false, "status": 200,
            "outcome": "answered", "provider": "good", "model": "good-model"})
    );
    assert_eq!(
        hops(first),
        json!([
            ["limited", "429", "rate_limited"],
            ["picky", "413", "request_too_large"],
            ["good", "200", null]
        ])
    );
    let hop = &first["hops"][0];
    assert!((3590..=3600).contains(&ahead(&hop["until"])), "{hop}");
    assert!(hop["detail"].as_str().unwrap().contains("ate limit"), "{hop}");
    assert!(hop["took_ms"].is_u64() && hop["key"].as_str().unwrap().len() == 8, "{hop}");
    // What was passed over is told once, however far the walk went on.
    let second = &requests[0];
    assert!(second["id"].as_i64() > first["id"].as_i64());
    assert_eq!(skipped(second), json!([["limited", "rate_limited"]]));
    assert_eq!(second["skipped"][0]["until"], hop["until"]);
    assert_eq!(skipped(first), json!([]));
    // All of it is the same after a kill.
    let proxy = killed_and_back(proxy).await;
    assert_eq!(told(&proxy, 2).await, requests);
}

#[tokio::test]
async fn a_request_that_nobody_can_serve_tells_who_was_passed_over() {
    let (one, two) = (limited().await, limited().await);
    let proxy = remembering(&[entry("one", &one), entry("two", &two)]).await;
    for _ in 0..2 {
        assert_eq!(proxy.chat(QUESTION).await.status, 429);
    }
    let requests = told(&proxy, 2).await;
    let facts = |request: &Value| only(request, &["status", "outcome", "provider", "total_tokens"]);
    let refused = json!({"status": 429, "outcome": "refused", "provider": null,
        "total_tokens": null});
    assert_eq!((facts(&requests[0]), facts(&requests[1])), (refused.clone(), refused));
    assert_eq!(hops(&requests[0]), json!([]));
    assert_eq!(skipped(&requests[0]), json!([["one", "rate_limited"], ["two", "rate_limited"]]));
    assert_eq!(skipped(&requests[1]), json!([]));
    assert_eq!(hops(&requests[1]).as_array().unwrap().len(), 2);
}

/// A stream that says something after a while and then falls silent.
fn begun(wait: Duration) -> Reply {
    let events = Events::chat("m");
    Reply::events(vec![(wait, events.text("begun "))]).stall()
}

#[tokio::test]
async fn a_client_that_leaves_is_told_as_499_and_nobody_is_blamed() {
    let upstream = acting(Behaviour::script([Reply::hang(), begun(Duration::ZERO)])).await;
    let proxy = remembering(&[entry("one", &upstream)]).await;
    let before = leave(proxy.address, QUESTION, None).await;
    eventually("the call", async || upstream.count() == 1).await;
    drop(before);
    told(&proxy, 1).await;
    drop(leave(proxy.address, STREAMED, Some("begun ")).await);
    let requests = told(&proxy, 2).await;
    let facts = |request: &Value| only(request, &["status", "outcome", "provider"]);
    // Before the answer, and in the middle of it.
    assert_eq!(facts(&requests[1]), json!({"status": 499, "outcome": "left", "provider": null}));
    assert_eq!(hops(&requests[1]), json!([["one", "left", null]]));
    assert_eq!(facts(&requests[0]), json!({"status": 499, "outcome": "left", "provider": "one"}));
    assert_eq!(hops(&requests[0]), json!([["one", "200", null]]));
    assert_eq!(requests[0]["estimated"], true);
    let state = proxy.state("one").await;
    assert_eq!((&state["available"], &state["consecutive_errors"]), (&true.into(), &0.into()));
}

#[tokio::test]
async fn a_stream_tells_when_its_first_word_came_and_whether_it_broke_off() {
    let wait = Duration::from_millis(150);
    let cut = Reply::events(vec![(wait, Events::chat("m").text("begun "))]).cut();
    let upstream = acting(Behaviour::always(cut)).await;
    let proxy = remembering(&[entry("one", &upstream)]).await;
    assert!(proxy.chat(STREAMED).await.text().contains("upstream_stream_interrupted"));
    let request = &told(&proxy, 1).await[0];
    assert_eq!(
        only(request, &["status", "outcome", "provider", "stream"]),
        json!({"status": 200, "outcome": "interrupted", "provider": "one", "stream": true})
    );
    assert_eq!(
        only(&request["hops"][0], &["provider", "result"]),
        json!({"provider": "one", "result": "200"})
    );
    assert!(!request["hops"][0]["kind"].is_null(), "{request}");
    let first = request["first_token_ms"].as_u64().unwrap();
    assert!(first >= 150 && first <= request["duration_ms"].as_u64().unwrap(), "{request}");
}

#[tokio::test]
async fn a_wrong_number_of_requests_is_an_error() {
    let upstream = provider(&["hi"]).await;
    let proxy = remembering(&[entry("one", &upstream)]).await;
    for limit in ["0", "2001", "-1", "many", "99999999999999999999"] {
        let answer = proxy.get(&format!("/requests?limit={limit}")).await;
        assert_eq!(answer.error(), (400, "invalid_limit".to_owned()), "{limit}");
    }
    for _ in 0..3 {
        assert_eq!(proxy.chat(QUESTION).await.provider(), "one");
    }
    told(&proxy, 3).await;
    let two = proxy.get("/requests?limit=2").await.json();
    assert_eq!(two["requests"].as_array().unwrap().len(), 2);
}
