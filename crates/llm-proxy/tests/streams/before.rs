//! Up to the first meaningful event everything rotates, on every hop, and nothing is shown.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use simulated::{Events, Reply};

use crate::harness::{MS, SOON, Setup, always, good, joined, now, raw_stream, script};
use crate::parts::{Part, assert_one_answer, seconds};

const A: Part = Part("a");
const B: Part = Part("b");

/// What may come before the first word, of every kind.
fn preambles() -> Vec<Bytes> {
    vec![
        A.role(),
        A.delta(&json!({})),
        A.delta(&json!({"content": ""})),
        A.delta(&json!({"content": null, "tool_calls": [], "reasoning": ""})),
        Events::comment("OPENROUTER PROCESSING"),
        ": ping\n".into(),
        "event: ping\ndata: {\"type\":\"ping\"}\n\n".into(),
        Events::data(&json!({"type": "response.created", "response": {"id": "r"}})),
        Events::data(&json!({"type": "keepalive"})),
        Events::data(&json!({"choices": [], "prompt_filter_results": []})),
        Events::data(&json!({"id": "x", "choices": [], "usage": null})),
        "\n\n".into(),
        "retry: 5\n\n".into(),
        "data:\n\n".into(),
    ]
}

fn all_preambles() -> Bytes {
    joined(&preambles())
}

/// Every way to fail after a preamble.
fn failures() -> Vec<(&'static str, Reply)> {
    let then = |end: Bytes| raw_stream(joined(&[all_preambles(), end]));
    let error = |value: serde_json::Value| then(Events::data(&value));
    vec![
        ("end", raw_stream(all_preambles())),
        ("cut", raw_stream(all_preambles()).cut()),
        ("reset", raw_stream(all_preambles()).cut_by_reset()),
        ("silence", raw_stream(all_preambles()).stall()),
        ("only done", then(Events::done())),
        ("empty stop", then(joined(&[A.finish(), Events::done()]))),
        ("empty stop and usage", then(joined(&[A.finish(), A.usage(5, 0), Events::done()]))),
        ("error", error(json!({"error": {"message": "no", "code": 429}}))),
        ("error text", error(json!({"error": "no"}))),
        ("error and text", error(json!({"text": "[DONE]", "error": {"code": "429"}}))),
        ("error list", error(json!([{"error": {"code": 503}}]))),
        ("flat error", error(json!({"object": "error", "message": "no"}))),
        ("named error", then("event: error\ndata: {\"message\":\"overloaded\"}\n\n".into())),
        (
            "finish error",
            error(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]})),
        ),
        ("broken", then("data: {\"choices\":[\n\n".into())),
        ("half", then(A.text("word").slice(..40))),
    ]
}

#[tokio::test]
async fn whatever_fails_after_a_preamble_rotates_on_every_hop() {
    for (name, reply) in failures() {
        let (a, b) = (always(reply.clone()).await, always(reply).await);
        let c = always(B.whole(&["fine"])).await;
        let proxy = Setup::chain([&a, &b, &c]).rotation("first_token_timeout: 250ms").start().await;
        let heard = proxy.chat(true).await;
        assert_one_answer(&heard, "fine");
        assert_eq!((heard.by(), heard.header("x-attempts")), ("c", Some("3")), "{name}");
        assert!(!heard.text().contains("PROCESSING") && !heard.text().contains("chatcmpl-a"));
    }
}

#[tokio::test]
async fn if_the_last_hop_fails_too_the_client_gets_a_real_status() {
    for (name, reply) in failures() {
        let (a, b) = (always(reply.clone()).await, always(reply).await);
        let setup = Setup::chain([&a, &b]).rotation("first_token_timeout: 250ms");
        let proxy = setup.rotation("request_timeout: 900ms").rotation("max_wait: 0s").start().await;
        let heard = proxy.chat(true).await;
        assert!([429, 502, 503].contains(&heard.status), "{name} {}", heard.text());
        assert_eq!(heard.header("content-type"), Some("application/json"), "{name}");
        assert!(heard.json()["error"]["message"].is_string(), "{name}");
    }
}

#[tokio::test]
async fn the_preamble_is_shown_with_the_first_word() {
    let text = joined(&[all_preambles(), A.text("fine"), A.finish(), Events::done()]);
    let a = always(raw_stream(text.clone())).await;
    let proxy = Setup::chain([&a]).start().await;
    // All but the one without anything in it.
    let shown = String::from_utf8_lossy(&text).replace("data:\n\n", "");
    assert_eq!(proxy.chat(true).await.text(), shown);
}

/// The same event for a long time, without a wait.
fn endless(event: Bytes) -> Reply {
    let many: Bytes = event.repeat(64 * 1024 / event.len() + 1).into();
    Reply::events(vec![(Duration::ZERO, many); 1000]).stall()
}

#[tokio::test]
async fn an_endless_preamble_rotates_before_it_fills_the_memory() {
    let long = Events::comment(&"x".repeat(50_000));
    let broken = Bytes::from("data: {oops\n\n");
    for event in [Events::comment("ping"), A.role(), long, broken, "\n".into(), "data:\n\n".into()]
    {
        let (a, b) = (always(endless(event.clone())).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let before = proxy.memory();
        let start = now();
        proxy.chat(true).await.assert_says("b");
        assert!(start.elapsed() < seconds(6), "{:?} for {event:?}", start.elapsed());
        assert!(a.wait_until(SOON, |a| a.open_connections() == 0).await);
        if let (Some(before), Some(after)) = (before, proxy.memory()) {
            let grown = after.saturating_sub(before) >> 20;
            assert!(grown < 16, "{grown} MB for {:?}", &event[..event.len().min(20)]);
        }
    }
}

#[tokio::test]
async fn only_signs_of_life_are_no_first_word() {
    for sign in preambles() {
        let writes = vec![(MS * 30, sign.clone()); 100];
        let (a, b) = (always(Reply::events(writes).stall()).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).rotation("first_token_timeout: 200ms").start().await;
        let start = now();
        let heard = proxy.chat(true).await;
        heard.assert_says("b");
        assert!(start.elapsed() < MS * 2000, "{:?} for {sign:?}", start.elapsed());
        assert!(heard.header("x-rotation").unwrap().starts_with("a=timeout"));
        assert_eq!(a.count(), 1, "a silent one is not tried twice");
    }
}

#[tokio::test]
async fn a_provider_may_have_its_own_first_token_timeout() {
    let late = || Reply::events(vec![(MS * 600, A.begun(&["late"])), (MS, A.finish())]);
    let (a, b) = (always(late()).await, good("b").await);
    let setup = Setup::new().provider("a", &a).with("timeouts: {first_token: 5s}");
    let setup = setup.provider("b", &b).rotation("first_token_timeout: 200ms");
    setup.start().await.chat(true).await.assert_says("late");
    let setup = Setup::new().provider("a", &a).with("timeouts: {first_token: 200ms}");
    let proxy = setup.provider("b", &b).start().await;
    proxy.chat(true).await.assert_says("b");
}

#[tokio::test]
async fn the_last_one_in_reach_may_take_its_time_also_when_others_are_cooling() {
    let late = Reply::events(vec![(MS * 900, A.begun(&["late"])), (MS, A.finish())]);
    let (a, b) = (always(late).await, always(Reply::rate_limited(Some("3600"))).await);
    let proxy = Setup::chain([&b, &a]).rotation("first_token_timeout: 200ms").start().await;
    proxy.chat(true).await.assert_says("late");
    proxy.chat(true).await.assert_says("late");
    assert_eq!((a.count(), b.count()), (2, 1));
}

#[tokio::test]
async fn one_that_has_shown_to_think_long_gets_twice_its_usual_time() {
    let after =
        |wait: u32| Reply::events(vec![(MS * wait, A.begun(&["thought"])), (MS, A.finish())]);
    let (a, b) = (script([after(700), after(900), after(2500)]).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).rotation("first_token_timeout: 300ms").start().await;
    // Asked for by name it is the last in reach, and shows that it needs 700 ms.
    let mut alone = crate::harness::question(true);
    alone["model"] = "a/a-model".into();
    proxy.ask(&alone).await.assert_says("thought");
    proxy.chat(true).await.assert_says("thought");
    assert_eq!((a.count(), b.count()), (2, 0));
    // Far more than twice that is too long all the same.
    proxy.chat(true).await.assert_says("b");
}

#[tokio::test]
async fn a_known_slow_model_gets_its_time_and_its_fast_sibling_does_not() {
    let late = || Reply::events(vec![(MS * 900, A.begun(&["thought"])), (MS, A.finish())]);
    for (model, says) in [("glm-4.7-flash", "thought"), ("glm-5.3", "b")] {
        let (a, b) = (always(late()).await, good("b").await);
        let lines = format!("api_key: sk-test-zai-0123456789\n    model: {model}");
        let setup = Setup::new().provider_with("zai", a.address(), &lines).provider("b", &b);
        let proxy = setup.rotation("first_token_timeout: 300ms").start().await;
        proxy.chat(true).await.assert_says(says);
    }
}
