//! A plain answer to a stream request, events to a plain one, compression nobody asked for, and
//! legacy completions.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use simulated::Reply;

use crate::harness::{LEGACY, MS, Setup, always, events, good, post, question};

#[tokio::test]
async fn one_plain_completion_becomes_a_stream_where_one_was_asked_for() {
    let a = always(Reply::completion("one two three")).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(true).await;
    heard.assert_says("one two three");
    assert!(heard.is_done());
    let events = heard.events();
    let last = events.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert!(events.iter().all(|event| event["object"] == "chat.completion.chunk"));
    assert!(events.iter().all(|event| event.get("usage").is_none_or(Value::is_null)));
    assert!(proxy.provider("a").await["total_tokens_used"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn tool_calls_of_a_plain_completion_reach_the_stream() {
    let call = json!({"id": "call_1", "type": "function",
        "function": {"name": "look", "arguments": "{\"at\":1}"}});
    let body = json!({"id": "x", "object": "chat.completion", "model": "m", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": null, "tool_calls": [call]},
        "finish_reason": "tool_calls"}]});
    let a = always(Reply::json(200, &body)).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(true).await;
    let delta = heard
        .events()
        .into_iter()
        .map(|event| event["choices"][0]["delta"]["tool_calls"][0].clone())
        .find(|call| !call.is_null())
        .unwrap();
    assert_eq!((&delta["index"], &delta["id"]), (&json!(0), &json!("call_1")));
    assert_eq!(delta["function"]["arguments"], "{\"at\":1}");
}

#[tokio::test]
async fn events_become_one_completion_where_none_were_asked_for() {
    let a = always(Reply::stream(&["one ", "two"])).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(false).await;
    heard.assert_says("one two");
    let body = heard.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(heard.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_cut_stream_does_not_become_a_completion() {
    let a = always(Reply::stream(&["one ", "two"]).cut()).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(false).await.assert_says("b");
}

fn packed(pieces: &[Bytes]) -> Vec<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut packed: Vec<Bytes> = pieces
        .iter()
        .map(|piece| {
            encoder.write_all(piece).unwrap();
            encoder.flush().unwrap();
            std::mem::take(encoder.get_mut()).into()
        })
        .collect();
    packed.push(encoder.finish().unwrap().into());
    packed
}

#[tokio::test]
async fn unasked_compression_of_a_plain_answer_is_undone() {
    let body = json!({"choices": [{"index": 0, "message": {"content": "packed"}, "finish_reason": "stop"}]});
    let body = packed(&[body.to_string().into()]).concat();
    let reply = Reply::bytes(200, body)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    let a = always(reply).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(false).await;
    heard.assert_says("packed");
    assert_eq!(heard.header("content-encoding"), None);
}

#[tokio::test]
async fn unasked_compression_of_a_stream_is_undone_event_by_event() {
    let pieces = [events().role(), events().text("one"), events().text(" two")];
    let mut packed = packed(&pieces);
    packed.pop();
    let writes = packed.into_iter().map(|bytes| (MS, bytes)).collect();
    // The provider goes on for as long as it is listened to.
    let reply = Reply::events(writes).header("content-encoding", "gzip").stall();
    let a = always(reply).await;
    let proxy = Setup::chain([&a]).start().await;
    let body = question(true);
    let mut listening = proxy.open(post(crate::harness::CHAT).json(&body)).await;
    listening.until(" two").await;
    listening.until("one").await;
}

#[tokio::test]
async fn legacy_completions_work_plain_and_streamed() {
    let a = always(Reply::rate_limited(Some("30"))).await;
    let b = good("legacy text").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let body = json!({"model": "default", "prompt": "Once upon a time", "max_tokens": 5});
    let heard = proxy.send(post(LEGACY).json(&body)).await;
    assert_eq!((heard.status, heard.by()), (200, "b"));
    assert_eq!(heard.json()["choices"][0]["text"], "legacy text");
    let mut body = body;
    body["stream"] = true.into();
    let heard = proxy.send(post(LEGACY).json(&body)).await;
    let said: String =
        heard.events().iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
    assert_eq!((heard.status, said.as_str()), (200, "legacy text"));
    assert!(heard.is_done());
    assert!(b.requests().iter().all(|request| request.path == LEGACY));
    assert_eq!(b.requests()[0].json()["model"], "b-model");
}

#[tokio::test]
async fn legacy_answers_change_their_form_too() {
    let plain = json!({"id": "c", "object": "text_completion", "model": "m",
        "choices": [{"index": 0, "text": "whole", "finish_reason": "stop"}]});
    let a = always(Reply::json(200, &plain)).await;
    let b = always(Reply::stream(&["in ", "parts"])).await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let body = json!({"model": "a", "prompt": "x", "stream": true});
    let heard = proxy.send(post(LEGACY).json(&body)).await;
    let said: String =
        heard.events().iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
    assert_eq!((said.as_str(), heard.is_done()), ("whole", true));
    let body = json!({"model": "b", "prompt": "x"});
    let heard = proxy.send(post(LEGACY).json(&body)).await;
    assert_eq!(heard.json()["choices"][0]["text"], "in parts");
}
