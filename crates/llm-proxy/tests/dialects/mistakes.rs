//! A caller's own mistake comes back as the provider tells it, and is not carried from one provider
//! to the next.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{Setup, always, question};

fn refusal(message: &str, param: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": param,
        "code": code}})
}

fn with(members: &Value) -> Value {
    let mut body = question(false);
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// How often each of four was asked that all refuse so, and what they were found to refuse.
async fn asked_of_four(told: &Value, body: &Value) -> Vec<u64> {
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(always(Reply::json(400, told)).await);
    }
    let proxy = Setup::chain(&all).start().await;
    let heard = proxy.ask(body).await;
    assert_eq!((heard.status, &heard.json()["error"]), (400, &told["error"]));
    for name in ["a", "b", "c", "d"] {
        let seen = proxy.provider(name).await;
        assert_eq!(seen["available"], true, "{name}");
        assert_eq!(seen["deployments"][0]["lacks"], json!([]), "{name}");
    }
    all.iter().map(SimulatedProvider::count).collect()
}

#[tokio::test]
async fn a_value_that_nobody_takes_is_returned_at_once() {
    let tool = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let choice = json!({"type": "function", "function": {"name": "g"}});
    for (told, members) in [
        (
            refusal("Tool choice 'g' not found in 'tools' parameter.", "tool_choice", "x"),
            json!({"tools": tool, "tool_choice": choice}),
        ),
        (
            refusal("Invalid type for 'n': expected an integer.", "n", "invalid_type"),
            json!({"n": "two"}),
        ),
        (
            refusal("Invalid key in 'logit_bias': a.", "logit_bias", "invalid_value"),
            json!({"logit_bias": {"a": 1}}),
        ),
    ] {
        assert_eq!(asked_of_four(&told, &with(&members)).await, [1, 0, 0, 0], "{told}");
    }
}

#[tokio::test]
async fn a_member_that_nobody_knows_is_shown_to_two_at_most() {
    let told = refusal("Unknown parameter: 'response_format.bar'.", "response_format.bar", "x");
    let body = with(&json!({"response_format": {"type": "json_object", "bar": 1}}));
    assert_eq!(asked_of_four(&told, &body).await, [1, 1, 0, 0]);
}

/// Whoever says the same of a request that was mended just so is not asked of everybody.
#[tokio::test]
async fn what_is_refused_although_it_was_mended_is_shown_to_two_at_most() {
    let stops = refusal(
        "Invalid 'stop': array too long. Expected an array with maximum length 4.",
        "stop",
        "array_above_max_length",
    );
    let body = with(&json!({"stop": ["a", "b", "c", "d", "e"]}));
    assert_eq!(asked_of_four(&stops, &body).await, [2, 2, 0, 0]);
    let field = refusal("Unknown parameter: 'messages[0].foo'.", "messages[0].foo", "x");
    let body = with(&json!({"messages": [{"role": "user", "content": "hi", "foo": 1}]}));
    assert_eq!(asked_of_four(&field, &body).await, [2, 2, 0, 0]);
}

#[tokio::test]
async fn options_of_a_stream_without_one_are_left_out_for_this_request() {
    let told = refusal(
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        "stream_options",
        "x",
    );
    let lonely =
        |body: &Value| body.get("stream_options").is_some() && body.get("stream").is_none();
    let a = SimulatedProvider::start(Behaviour::answer(move |request| {
        if lonely(&request.json()) { Reply::json(400, &told) } else { Reply::answer(&["a"]) }
    }))
    .await
    .unwrap();
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.ask(&with(&json!({"stream_options": {"include_usage": true}}))).await;
    heard.assert_says("a");
    assert_eq!(heard.header("x-dropped-params"), Some("stream_options"));
    assert_eq!(proxy.provider("a").await["deployments"][0]["refuses"], json!({}));
}
