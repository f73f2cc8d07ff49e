//! Tokens: counted in every dialect, asked for, hidden from who did not ask, estimated where
//! nobody counted.

use serde_json::{Value, json};
use simulated::{Events, Reply};

use crate::harness::{CHAT, MS, Proxy, Setup, always, good, joined, post, question, raw_stream};
use crate::parts::Part;

const A: Part = Part("a");

async fn used(proxy: &Proxy, name: &str) -> (Value, Value) {
    proxy
        .until("nobody under way", async || {
            proxy.provider(name).await["deployments"][0]["in_flight"] == 0
        })
        .await;
    let seen = proxy.provider(name).await;
    (seen["total_tokens_used"].clone(), seen["estimated_tokens"].clone())
}

/// What stands where in the last events, and how many tokens that is.
fn dialects() -> Vec<(&'static str, Value, u64)> {
    let finish = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7});
    vec![
        ("own event", json!({"choices": [], "usage": usage}), 7),
        ("no choices at all", json!({"usage": usage}), 7),
        ("with the finish reason", json!({"choices": finish, "usage": usage}), 7),
        (
            "without a total",
            json!({"choices": [], "usage":
            {"prompt_tokens": 3, "completion_tokens": 4}}),
            7,
        ),
        (
            "other words",
            json!({"choices": [], "usage": {"input_tokens": 3, "output_tokens": 4}}),
            7,
        ),
        ("Groq's", json!({"choices": finish, "x_groq": {"id": "r", "usage": usage}}), 7),
        (
            "Google's",
            json!({"choices": [], "usageMetadata":
            {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 9}}),
            9,
        ),
        (
            "a total beyond the sum",
            json!({"choices": [], "usage":
            {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 30}}),
            30,
        ),
        ("an empty delta", json!({"choices": [{"index": 0, "delta": {}}], "usage": usage}), 7),
    ]
}

#[tokio::test]
async fn every_dialect_is_counted() {
    for (name, event, tokens) in dialects() {
        let text = joined(&[A.begun(&["fine"]), A.finish(), Events::data(&event), Events::done()]);
        let a = always(raw_stream(text)).await;
        let proxy = Setup::chain([&a]).start().await;
        assert!(proxy.chat(true).await.is_done());
        assert_eq!(used(&proxy, "a").await, (json!(tokens), json!(0)), "{name}");
    }
}

#[tokio::test]
async fn of_counts_that_grow_with_every_event_the_last_is_taken() {
    let counting = |tokens: u64| {
        Events::data(&json!({"choices": [{"index": 0, "delta": {"content": "x"}}],
            "usage": {"prompt_tokens": 5, "completion_tokens": tokens, "total_tokens": 5 + tokens}}))
    };
    let text = joined(&[counting(1), counting(2), counting(3), A.finish(), Events::done()]);
    let a = always(raw_stream(text)).await;
    let proxy = Setup::chain([&a]).start().await;
    proxy.chat(true).await.assert_says("xxx");
    assert_eq!(used(&proxy, "a").await, (json!(8), json!(0)));
}

#[tokio::test]
async fn absent_is_not_zero_and_zero_is_not_absent() {
    for usage in [json!(null), json!({}), json!({"prompt_tokens": null}), json!("many")] {
        let event = Events::data(&json!({"choices": [], "usage": usage}));
        let text = joined(&[A.begun(&["sixteen bytes ok"]), A.finish(), event, Events::done()]);
        let a = always(raw_stream(text)).await;
        let proxy = Setup::chain([&a]).start().await;
        assert!(proxy.chat(true).await.is_done());
        let (all, estimated) = used(&proxy, "a").await;
        assert!(all.as_u64() >= Some(4), "{usage}: {all}");
        assert_eq!(all, estimated, "{usage}");
    }
    let text = joined(&[A.begun(&["word"]), A.finish(), A.usage(0, 0), Events::done()]);
    let a = always(raw_stream(text)).await;
    let proxy = Setup::chain([&a]).start().await;
    assert!(proxy.chat(true).await.is_done());
    assert_eq!(used(&proxy, "a").await, (json!(0), json!(0)));
}

#[tokio::test]
async fn who_leaves_early_is_counted_by_estimate() {
    let text = "x".repeat(400);
    let a = always(raw_stream(A.begun(&[&text])).stall()).await;
    let proxy = Setup::chain([&a]).start().await;
    let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
    listening.until("xxx").await;
    drop(listening);
    let (all, estimated) = used(&proxy, "a").await;
    assert!(all.as_u64() >= Some(100) && all.as_u64() < Some(200), "{all}");
    assert_eq!(all, estimated);
}

#[tokio::test]
async fn what_a_broken_stream_used_is_counted() {
    let text = "x".repeat(400);
    let (a, b) = (always(raw_stream(A.begun(&[&text])).cut()).await, good("other").await);
    let proxy = Setup::chain([&a, &b]).rotation("stream_recovery: off").start().await;
    assert!(proxy.chat(true).await.text().contains("upstream_stream_interrupted"));
    let (all, estimated) = used(&proxy, "a").await;
    assert!(all.as_u64() >= Some(100), "{all}");
    assert_eq!(all, estimated);
    assert_eq!(used(&proxy, "b").await, (json!(0), json!(0)));
}

#[tokio::test]
async fn the_count_is_asked_for_and_its_event_hidden_from_who_did_not_ask() {
    let a = always(Reply::answer(&["one ", "two"]).gap(MS)).await;
    let proxy = Setup::chain([&a]).start().await;
    for (options, shown) in [
        (None, false),
        (Some(json!({"include_usage": false})), false),
        (Some(json!(null)), false),
        (Some(json!({"include_usage": true})), true),
    ] {
        let mut body = question(true);
        if let Some(options) = &options {
            body["stream_options"] = options.clone();
        }
        let heard = proxy.ask(&body).await;
        heard.assert_says("one two");
        assert_eq!(heard.text().contains("usage"), shown, "{options:?}");
        let sent = a.requests().last().unwrap().json();
        assert_eq!(sent["stream_options"]["include_usage"], true, "{options:?}");
    }
    let plain = proxy.chat(false).await;
    assert!(plain.text().contains("usage"));
    assert!(a.requests().last().unwrap().json().get("stream_options").is_none());
}

#[tokio::test]
async fn running_counts_are_hidden_from_who_did_not_ask_and_summed_over_a_break() {
    let counting = |id: &str, text: &str, tokens: u64| {
        Events::data(&json!({"id": id,
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}],
            "usage": {"prompt_tokens": 5, "completion_tokens": tokens, "total_tokens": 5 + tokens}}))
    };
    let finish = || {
        Events::data(&json!({"id": "b",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}}))
    };
    for wants in [true, false] {
        let first = joined(&[counting("a", "one ", 1), counting("a", "two ", 2)]);
        let second = joined(&[counting("b", "three", 1), finish(), Events::done()]);
        let (a, b) = (always(raw_stream(first).cut()).await, always(raw_stream(second)).await);
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        let mut body = question(true);
        if wants {
            body["stream_options"] = json!({"include_usage": true});
        }
        let heard = proxy.ask(&body).await;
        heard.assert_says("one two three");
        assert!(heard.is_done());
        let usages: Vec<Value> = heard
            .events()
            .iter()
            .map(|event| event["usage"].clone())
            .filter(Value::is_object)
            .collect();
        let sum = json!({"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16});
        assert_eq!(usages.last(), wants.then_some(&sum), "{}", heard.text());
        assert_eq!((used(&proxy, "a").await.0, used(&proxy, "b").await.0), (json!(7), json!(9)));
    }
}
