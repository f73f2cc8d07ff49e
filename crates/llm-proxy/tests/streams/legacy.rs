//! Legacy completions that break off go on with another provider: the text so far is the end of its
//! prompt.

use bytes::Bytes;
use serde_json::{Value, json};
use simulated::{Events, Reply};

use crate::harness::{Heard, LEGACY, Proxy, Setup, always, error, good, joined, post, raw_stream};

/// An event of one provider's legacy stream.
fn event(name: &str, choice: &Value) -> Bytes {
    let mut whole = json!({"index": 0, "text": "", "logprobs": null, "finish_reason": null});
    for (key, value) in choice.as_object().unwrap() {
        whole[key] = value.clone();
    }
    Events::data(&json!({"id": format!("cmpl-{name}"), "object": "text_completion", "created": 1,
        "model": format!("{name}-said"), "choices": [whole]}))
}

fn begun(name: &str, pieces: &[&str]) -> Bytes {
    joined(&pieces.iter().map(|text| event(name, &json!({"text": text}))).collect::<Vec<_>>())
}

fn whole(name: &str, pieces: &[&str]) -> Reply {
    let finish = event(name, &json!({"finish_reason": "length"}));
    raw_stream(joined(&[begun(name, pieces), finish, Events::done()]))
}

fn cut(name: &str, pieces: &[&str]) -> Reply {
    raw_stream(begun(name, pieces)).cut()
}

fn asked() -> Value {
    json!({"model": "default", "prompt": "Once \u{e9}", "stream": true, "max_tokens": 100})
}

async fn heard(proxy: &Proxy, body: &Value) -> Heard {
    proxy.send(post(LEGACY).json(body)).await
}

fn said(heard: &Heard) -> String {
    let events = heard.events();
    events.iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect()
}

#[track_caller]
fn assert_one(heard: &Heard, text: &str) {
    let raw = heard.text();
    assert!(heard.is_done() && heard.whole, "{raw}");
    assert_eq!(said(heard), text, "{raw}");
    let events = heard.events();
    assert!(events.iter().all(|event| event["id"] == "cmpl-a"), "{raw}");
    assert!(events.iter().all(|event| event["object"] == "text_completion"), "{raw}");
    let reasons = events.iter().filter(|event| event["choices"][0]["finish_reason"].is_string());
    assert_eq!(reasons.count(), 1, "{raw}");
}

#[tokio::test]
async fn the_prompt_of_the_next_one_ends_with_the_text_so_far() {
    let rest = ["upon a time ", "upon a time"];
    for begun in [cut("a", &["upon ", "a \"time\" "]), cut("a", &["upon a \"time\" "]).stall()] {
        let (a, b) = (always(begun).await, always(whole("b", &rest)).await);
        let setup = Setup::chain([&a, &b]).with("prefill: false");
        let proxy = setup.rotation("stall_timeout: 300ms").start().await;
        let heard = heard(&proxy, &asked()).await;
        assert_one(&heard, "upon a \"time\" upon a time upon a time");
        assert_eq!(heard.events().last().unwrap()["model"], "b-said");
        let sent = b.requests()[0].json();
        assert_eq!(sent["prompt"], "Once \u{e9}upon a \"time\" ");
        assert_eq!((&sent["max_tokens"], &sent["model"]), (&json!(96), &json!("b-model")));
        assert_eq!(proxy.status().await["streams_saved"], 1);
    }
}

#[tokio::test]
async fn usage_is_the_sum_and_an_end_mark_alone_gets_a_finish_reason() {
    let counted = |name: &str, tokens: u64| {
        Events::data(&json!({"id": format!("cmpl-{name}"), "object": "text_completion",
            "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": tokens,
            "total_tokens": 10 + tokens}}))
    };
    let first = raw_stream(joined(&[begun("a", &["one "]), counted("a", 3)])).cut();
    let last = joined(&[begun("b", &["two"]), counted("b", 5), Events::done()]);
    let (a, b) = (always(first).await, always(raw_stream(last)).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let mut body = asked();
    body["stream_options"] = json!({"include_usage": true});
    let heard = heard(&proxy, &body).await;
    assert_one(&heard, "one two");
    let events = heard.events();
    let usage = events.iter().rfind(|event| event["usage"].is_object()).unwrap();
    assert_eq!(usage["usage"]["completion_tokens"], 8, "{}", heard.text());
    assert_eq!(b.requests()[0].json()["max_tokens"], 97);
}

#[tokio::test]
async fn one_that_is_cut_too_is_continued_and_a_refusal_is_passed_over() {
    let (a, b) = (always(cut("a", &["one "])).await, always(cut("b", &["two "])).await);
    let no = always(error(400, "no", "invalid_request_error", "x")).await;
    let d = always(whole("d", &["three"])).await;
    let proxy = Setup::chain([&a, &b, &no, &d]).start().await;
    assert_one(&heard(&proxy, &asked()).await, "one two three");
    assert_eq!((no.count(), d.count()), (1, 1));
    assert_eq!(d.requests()[0].json()["prompt"], "Once \u{e9}one two ");
}

#[tokio::test]
async fn an_answer_in_one_piece_goes_on_too() {
    let body = json!({"id": "cmpl-b", "object": "text_completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "text": "two", "logprobs": null, "finish_reason": "stop"}]});
    let (a, b) = (always(cut("a", &["one "])).await, always(Reply::json(200, &body)).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    assert_one(&heard(&proxy, &asked()).await, "one two");
}

#[tokio::test]
async fn a_form_is_asked_for_afresh_and_must_be_repeated() {
    let mut body = asked();
    body["response_format"] = json!({"type": "json_object"});
    let a = always(cut("a", &["[1, "])).await;
    let b = always(whole("b", &["[1", ", 2", "]"])).await;
    let proxy = Setup::chain([&a, &b]).start().await;
    assert_one(&heard(&proxy, &body).await, "[1, 2]");
    assert_eq!(b.requests()[0].json()["prompt"], asked()["prompt"]);
}

#[tokio::test]
async fn what_is_more_than_what_follows_one_text_is_not_continued() {
    for (name, value) in [
        ("prompt", json!(["Once"])),
        ("prompt", json!([1, 2])),
        ("suffix", json!("the end")),
        ("echo", json!(true)),
        ("best_of", json!(2)),
        ("logprobs", json!(1)),
        ("n", json!(2)),
    ] {
        let (a, b) = (always(cut("a", &["one "])).await, good("two").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let mut body = asked();
        body[name] = value;
        let heard = heard(&proxy, &body).await;
        assert!(heard.text().contains("upstream_stream_interrupted"), "{}", heard.text());
        assert!(!heard.text().contains("[DONE]"));
        assert_eq!(b.count(), 0, "{name}");
    }
}

#[tokio::test]
async fn where_nobody_goes_on_the_first_break_is_told() {
    let (a, b) = (always(cut("a", &["one "])).await, always(Reply::reset()).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let heard = heard(&proxy, &asked()).await;
    assert_eq!(said(&heard), "one ");
    let events = heard.events();
    let message = events.last().unwrap()["error"]["message"].as_str().unwrap();
    assert!(message.contains("from a "), "{message}");
    assert!(!heard.is_done());
}
