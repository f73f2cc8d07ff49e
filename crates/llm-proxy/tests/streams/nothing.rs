//! A 200 with nothing in it, or with something else than an answer; answers in the other form.

use bytes::Bytes;
use serde_json::{Value, json};
use simulated::{Events, Reply};

use crate::harness::{PLAIN_AND_STREAMED, Setup, always, good, joined, question, raw_stream};
use crate::parts::{Part, assert_one_answer};

const A: Part = Part("a");

fn completion(message: Value, reason: &str, tokens: Option<u64>) -> Value {
    let mut body = json!({"id": "chatcmpl-a", "object": "chat.completion", "model": "a-said",
        "created": 1, "choices": [{"index": 0, "message": message, "finish_reason": reason}]});
    if let Some(tokens) = tokens {
        body["usage"] = json!({"prompt_tokens": 5, "completion_tokens": tokens});
    }
    body
}

fn html() -> Reply {
    Reply::bytes(200, "<!DOCTYPE html><html><body>Sign in</body></html>")
}

/// Answers that are none, whichever way was asked.
fn nothings() -> Vec<(&'static str, Reply)> {
    let json = |message: Value, tokens| Reply::json(200, &completion(message, "stop", tokens));
    let error = json!({"error": {"message": "Rate limit exceeded", "code": 429}});
    vec![
        ("empty body", Reply::bytes(200, "")),
        ("empty json", Reply::bytes(200, "").header("content-type", "application/json")),
        ("empty events", Reply::bytes(200, "").header("content-type", "text/event-stream")),
        ("blank", Reply::bytes(200, "\n\n \n").header("content-type", "application/json")),
        ("{}", Reply::json(200, &json!({}))),
        ("null", Reply::json(200, &Value::Null)),
        ("no choices", Reply::json(200, &json!({"choices": []}))),
        ("html", html().header("content-type", "text/html; charset=utf-8")),
        ("html as json", html().header("content-type", "application/json")),
        ("html as events", html().header("content-type", "text/event-stream")),
        ("html as nothing", html()),
        ("error", Reply::json(200, &error)),
        (
            "error as text",
            Reply::bytes(200, error.to_string()).header("content-type", "text/plain"),
        ),
        (
            "error as events",
            Reply::bytes(200, error.to_string()).header("content-type", "text/event-stream"),
        ),
        ("null content", json(json!({"role": "assistant", "content": null}), None)),
        ("empty content", json(json!({"role": "assistant", "content": ""}), Some(0))),
        ("empty lists", json(json!({"content": "", "tool_calls": [], "reasoning": ""}), None)),
        ("only done", raw_stream(Events::done())),
        ("empty stop", raw_stream(joined(&[A.role(), A.finish(), Events::done()]))),
        ("empty stop, zero", raw_stream(joined(&[A.finish(), A.usage(5, 0), Events::done()]))),
        ("empty length", raw_stream(joined(&[A.role(), finish("length"), Events::done()]))),
        (
            "empty tool calls, zero",
            raw_stream(joined(&[finish("tool_calls"), A.usage(5, 0), Events::done()])),
        ),
        ("204", Reply::bytes(204, "")),
    ]
}

fn finish(reason: &str) -> Bytes {
    Events::data(&json!({"id": "chatcmpl-a", "choices":
        [{"index": 0, "delta": {}, "finish_reason": reason}]}))
}

#[tokio::test]
async fn nothing_is_rotated_plain_and_streamed() {
    for (name, reply) in nothings() {
        let (a, b) = (always(reply).await, good("b").await);
        for stream in PLAIN_AND_STREAMED {
            let proxy = Setup::chain([&a, &b]).start().await;
            let heard = proxy.chat(stream).await;
            assert_eq!((heard.status, heard.by()), (200, "b"), "{name} {stream} {}", heard.text());
            heard.assert_says("b");
        }
    }
}

#[tokio::test]
async fn little_is_not_nothing() {
    let call = json!([{"id": "c", "type": "function", "index": 0,
        "function": {"name": "f", "arguments": "{}"}}]);
    let little = [
        ("tool call", completion(json!({"content": null, "tool_calls": call}), "tool_calls", None)),
        ("refusal", completion(json!({"content": null, "refusal": "no"}), "stop", None)),
        ("reasoning", completion(json!({"content": "", "reasoning": "hm"}), "length", None)),
        ("tokens", completion(json!({"content": ""}), "length", Some(7))),
        ("tokens and stop", completion(json!({"content": ""}), "stop", Some(1))),
        ("space", completion(json!({"content": " "}), "stop", None)),
        ("filtered", completion(json!({"content": ""}), "content_filter", None)),
    ];
    for (name, body) in little {
        let (a, b) = (always(Reply::json(200, &body)).await, good("b").await);
        for stream in PLAIN_AND_STREAMED {
            let proxy = Setup::chain([&a, &b]).start().await;
            let heard = proxy.chat(stream).await;
            assert_eq!((heard.status, heard.by()), (200, "a"), "{name} {stream} {}", heard.text());
            assert_eq!(heard.is_done(), stream, "{name}");
            if !stream {
                assert_eq!(heard.json(), body, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_of_little_is_not_nothing() {
    for (name, events) in [
        ("tokens", vec![A.role(), finish("stop"), A.usage(5, 3), Events::done()]),
        ("length", vec![A.role(), finish("length"), A.usage(5, 3), Events::done()]),
        ("filter", vec![A.role(), finish("content_filter"), Events::done()]),
        ("reasoning", vec![A.delta(&json!({"reasoning": "hm"})), finish("stop"), Events::done()]),
    ] {
        let (a, b) = (always(raw_stream(joined(&events))).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let heard = proxy.chat(true).await;
        assert_eq!((heard.by(), heard.is_done()), ("a", true), "{name} {}", heard.text());
    }
}

#[tokio::test]
async fn a_plain_answer_to_a_stream_request_becomes_events_whatever_it_calls_itself() {
    let message = json!({"role": "assistant", "content": "Grüße\n\"x\" 😀"});
    let body = completion(message, "stop", Some(4)).to_string();
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "text/plain",
        "",
        "text/event-stream",
    ] {
        let mut reply = Reply::bytes(200, body.clone());
        if !kind.is_empty() {
            reply = reply.header("content-type", kind);
        }
        let (a, b) = (always(reply).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let heard = proxy.chat(true).await;
        assert_eq!(heard.by(), "a", "{kind:?} {}", heard.text());
        assert_one_answer(&heard, "Grüße\n\"x\" 😀");
        assert!(heard.header("content-type").unwrap().contains("event-stream"), "{kind:?}");
        assert!(!heard.text().contains("usage"), "nobody asked for it");
        assert!(heard.events().iter().all(|event| event["id"] == "chatcmpl-a"));
        let mut body = question(true);
        body["stream_options"] = json!({"include_usage": true});
        let heard = proxy.ask(&body).await;
        assert_one_answer(&heard, "Grüße\n\"x\" 😀");
        assert!(heard.text().contains("\"completion_tokens\":4"), "{}", heard.text());
    }
}

#[tokio::test]
async fn events_are_events_whatever_they_are_called() {
    for kind in ["application/json", "text/plain; charset=utf-8", "application/octet-stream", ""] {
        let sent = joined(&[A.begun(&["one"]), A.finish(), Events::done()]);
        let mut reply = Reply::bytes(200, sent.clone());
        if !kind.is_empty() {
            reply = reply.header("content-type", kind);
        }
        let a = always(reply).await;
        let proxy = Setup::chain([&a]).start().await;
        let heard = proxy.chat(true).await;
        assert_eq!((heard.status, &heard.body[..]), (200, &sent[..]), "{kind:?}");
        assert!(heard.header("content-type").unwrap().contains("event-stream"), "{kind:?}");
    }
}
