//! Plain requests that a provider answers with a stream: a whole one is gathered, and half of one
//! is never passed off as an answer.

use bytes::Bytes;
use serde_json::json;
use simulated::{Events, Reply};

use crate::harness::{MS, Setup, always, good, joined, raw_stream};
use crate::parts::Part;

const A: Part = Part("a");

fn stream(events: &[Bytes]) -> Reply {
    raw_stream(joined(events))
}

/// Every way in which a stream is not a whole answer, and the word for it.
fn halves() -> Vec<(&'static str, Reply, &'static str)> {
    let begun = || A.begun(&["half of ", "it"]);
    let tool = || {
        A.delta(&json!({"tool_calls": [{"index": 0, "id": "t", "type": "function",
            "function": {"name": "f", "arguments": "{\"x\":"}}]}))
    };
    let error = || Events::error("overloaded", "server_error", "529");
    let failed = Events::data(&json!({"choices":
        [{"index": 0, "delta": {}, "finish_reason": "error"}]}));
    let other = Events::data(&json!({"choices": [{"index": 1, "delta": {"content": "b"}}]}));
    let broken = || Bytes::from_static(b"data: {\"choices\":[{\n\n");
    let closed = begun();
    let closed = Reply::bytes(200, closed).header("content-type", "text/event-stream");
    vec![
        ("end", stream(&[begun()]), "reset"),
        ("connection-close", closed.header("connection", "close"), "reset"),
        ("cut", stream(&[begun()]).cut(), "reset"),
        ("reset", stream(&[begun()]).cut_by_reset(), "reset"),
        ("silence", stream(&[begun()]).stall(), "timeout"),
        ("half an event", stream(&[begun(), A.finish().slice(..40)]), "reset"),
        ("done without a reason", stream(&[begun(), Events::done()]), "reset"),
        ("a tool call", stream(&[A.role(), tool()]), "reset"),
        ("a tool call and done", stream(&[A.role(), tool(), Events::done()]), "reset"),
        ("one choice of two", stream(&[begun(), other, A.finish(), Events::done()]), "reset"),
        ("broken", stream(&[begun(), broken(), broken(), A.finish(), Events::done()]), "reset"),
        ("error", stream(&[begun(), error()]), "200-"),
        ("error and done", stream(&[begun(), error(), Events::done()]), "200-"),
        ("error first", stream(&[error()]), "200-"),
        ("a failure as reason", stream(&[begun(), failed, Events::done()]), "200-"),
        ("a named error", stream(&[begun(), "event: error\ndata: no\n\n".into()]), ""),
    ]
}

#[tokio::test]
async fn half_a_stream_is_no_plain_answer() {
    for (name, reply, word) in halves() {
        let (a, b) = (always(reply).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).rotation("stall_timeout: 250ms").start().await;
        let heard = proxy.chat(false).await;
        heard.assert_says("b");
        assert!(!heard.text().contains("half"), "{name}: {}", heard.text());
        let rotation = heard.header("x-rotation").unwrap_or_default();
        assert!(rotation.contains(word), "{name}: {rotation}");
    }
}

#[tokio::test]
async fn half_a_stream_is_no_plain_answer_of_the_last_provider_either() {
    for (name, reply, _) in halves() {
        let a = always(reply).await;
        let setup = Setup::chain([&a]).rotation("stall_timeout: 250ms");
        let proxy = setup.rotation("request_timeout: 900ms").rotation("max_wait: 0s").start().await;
        let heard = proxy.chat(false).await;
        assert!(heard.status >= 400, "{name}: {} {}", heard.status, heard.text());
        assert!(heard.json()["error"]["message"].is_string(), "{name}");
    }
}

#[tokio::test]
async fn a_whole_stream_is_one_plain_answer() {
    let broken = || Bytes::from_static(b"data: {\n\ndata: null\n\n");
    let late = || Events::error("late", "server_error", "500");
    for events in [
        vec![A.begun(&["fi", "ne"]), A.finish(), A.usage(3, 4), Events::done()],
        vec![A.begun(&["fi", "ne"]), A.finish(), A.usage(3, 4)],
        vec![A.begun(&["fi", "ne"]), A.finish(), A.usage(3, 4), late()],
        vec![A.begun(&["fi"]), broken(), A.text("ne"), A.finish(), A.usage(3, 4), Events::done()],
    ] {
        let a = always(stream(&events).body_after(MS)).await;
        let proxy = Setup::chain([&a]).start().await;
        let heard = proxy.chat(false).await;
        heard.assert_says("fine");
        assert_eq!(heard.header("content-type"), Some("application/json"));
        let answer = heard.json();
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        assert_eq!(answer["usage"]["total_tokens"], 7);
    }
}
