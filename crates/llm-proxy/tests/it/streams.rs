//! Streams up to their first word, and the bytes of what follows.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use simulated::{Events, Reply};

use crate::harness::{
    CHAT, MS, Setup, always, events, good, joined, now, post, question, raw_stream,
};

/// A stream with everything that the format allows.
fn strange() -> String {
    let event = |text: &str| {
        format!(
            "{{ \"choices\":[{{\"index\":0, \"delta\":{{\"content\":\"{text}\"}}}}],\"n\":1.50 }}"
        )
    };
    [
        "\u{feff}: OPENROUTER PROCESSING\n\n",
        ": a comment before\r\nid: 7\r\nevent: message\r\nretry: 10\r\n",
        &format!("data: {}\r\n\r\n", event("h\u{e9}\u{1f600}\u{17c}")),
        ": ping\r\n\r\n",
        &format!("data:{}\n\n", event("no space")),
        "data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"two lines\"}}]}\n\n",
        &format!("data: {}\r\r", event("old mac")),
        "unknown: field\n",
        &format!("data: {}\n\n", event("\\u00e9")),
        "\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n",
    ]
    .concat()
}

#[tokio::test]
async fn events_keep_their_bytes_however_they_are_cut() {
    let whole = Bytes::from(strange());
    for size in [1, 2, 3, 7, 64, whole.len()] {
        let cut = |index: usize| whole.slice(index..(index + size).min(whole.len()));
        let writes = (0..whole.len())
            .step_by(size)
            // Waits now and then, so that writes do not all melt together.
            .map(|index| (MS * u32::from((index / size) % 8 == 0), cut(index)));
        let a = always(Reply::events(writes.collect())).await;
        let proxy = Setup::chain([&a]).start().await;
        let heard = proxy.chat(true).await;
        assert_eq!(heard.text(), strange(), "in pieces of {size}");
        assert!(heard.whole);
    }
}

#[tokio::test]
async fn events_go_on_as_they_arrive() {
    // The second event never comes, so that the first must not wait for it.
    let a = always(raw_stream(events().text("one")).stall()).await;
    let proxy = Setup::chain([&a]).start().await;
    let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
    listening.until("one").await;
    listening.until("no-transform").await;
}

#[tokio::test]
async fn nothing_goes_out_before_the_first_word() {
    let begun = joined(&[Events::comment("PROCESSING"), events().role()]);
    let a = always(raw_stream(begun).stall()).await;
    let proxy = Setup::chain([&a]).start().await;
    let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
    assert!(a.wait_until(crate::harness::SOON, |a| a.count() == 1).await);
    assert!(listening.is_silent_for(MS * 300).await, "not even the head");
}

#[tokio::test]
async fn any_first_meaningful_event_commits() {
    for delta in [
        json!({"content": "text"}),
        json!({"reasoning_content": "thinking"}),
        json!({"reasoning": "thinking"}),
        json!({"refusal": "no"}),
        json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}),
    ] {
        let a =
            always(raw_stream(joined(&[events().role(), events().delta(&delta)])).stall()).await;
        let proxy = Setup::chain([&a]).start().await;
        let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
        listening.until("x-provider: a").await;
    }
}

#[tokio::test]
async fn a_stream_that_spent_tokens_or_was_filtered_is_an_answer() {
    for (reason, tokens) in [("length", 3), ("tool_calls", 3), ("content_filter", 0)] {
        let usage = events().usage(5, tokens);
        let text = joined(&[events().role(), events().finish(reason), usage, Events::done()]);
        let (a, b) = (always(raw_stream(text)).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let heard = proxy.chat(true).await;
        assert_eq!((heard.by(), b.count()), ("a", 0), "{reason}");
        assert!(heard.is_done());
    }
}

#[tokio::test]
async fn a_last_hop_that_dies_after_its_preamble_is_a_real_status() {
    let dies = || raw_stream(events().role());
    for last in [
        dies().cut_by_reset(),
        dies().cut(),
        dies(),
        raw_stream(joined(&[events().role(), Events::error("no", "server_error", "500")])),
    ] {
        let a = always(raw_stream(Events::error("no", "server_error", "500"))).await;
        let b = always(last).await;
        let proxy = Setup::chain([&a, &b]).start().await;
        let heard = proxy.chat(true).await;
        assert_eq!(heard.status, 502, "{}", heard.text());
        assert_eq!(heard.header("content-type"), Some("application/json"));
        assert!(heard.json()["attempts"].as_array().unwrap().len() >= 2);
    }
    let limited = || {
        raw_stream(joined(&[
            events().role(),
            Events::data(&json!({"error":
        {"message": "Rate limit exceeded. Try again in 30s", "code": 429}})),
        ]))
    };
    let (a, b) = (always(limited()).await, always(limited()).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let heard = proxy.chat(true).await;
    assert_eq!(heard.status, 429, "{}", heard.text());
    assert!(heard.header("retry-after").is_some());
}

/// Comments for `count` times 40 ms.
fn comments(count: usize) -> Vec<(Duration, Bytes)> {
    vec![(MS * 40, Events::comment("keep-alive")); count]
}

#[tokio::test]
async fn comments_are_no_first_word() {
    let (a, b) = (always(Reply::events(comments(200)).stall()).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).rotation("first_token_timeout: 300ms").start().await;
    let start = now();
    let heard = proxy.chat(true).await;
    heard.assert_says("b");
    assert!(heard.header("x-rotation").unwrap().starts_with("a=timeout"));
    assert!(start.elapsed() >= MS * 299);
    assert!(start.elapsed() < MS * 6000);
    assert!(a.wait_until(crate::harness::SOON, |a| !a.cancelled().is_empty()).await);
}

#[tokio::test]
async fn the_last_deployment_may_take_longer() {
    let mut writes = comments(20);
    writes.push((Duration::ZERO, joined(&[events().text("late"), events().finish("stop")])));
    let a = always(Reply::hang()).await;
    let b = always(Reply::events(writes)).await;
    let proxy = Setup::chain([&a, &b]).rotation("first_token_timeout: 200ms").start().await;
    for _ in 0..2 {
        proxy.chat(true).await.assert_says("late");
    }
    let slow = always(Reply::answer(&["slow"]).after(MS * 700)).await;
    let proxy = Setup::chain([&slow]).rotation("response_timeout: 200ms").start().await;
    proxy.chat(false).await.assert_says("slow");
}

#[tokio::test]
async fn usage_is_asked_for_counted_and_not_shown_to_who_did_not_ask() {
    let a = good("fine").await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(true).await;
    heard.assert_says("fine");
    assert_eq!(a.requests()[0].json()["stream_options"]["include_usage"], true);
    assert!(!heard.text().contains("usage"), "{}", heard.text());
    let used = proxy.provider("a").await["total_tokens_used"].as_u64().unwrap();
    assert!(used > 0);
    let mut body = question(true);
    body["stream_options"] = json!({"include_usage": true, "other": 1});
    let heard = proxy.ask(&body).await;
    heard.assert_says("fine");
    assert!(heard.text().contains("\"usage\""));
    assert_eq!(a.requests()[1].json()["stream_options"], body["stream_options"]);
    body["stream_options"] = json!({"include_usage": false, "other": 1});
    let heard = proxy.ask(&body).await;
    assert!(!heard.text().contains("usage"), "{}", heard.text());
    let sent = a.requests()[2].json()["stream_options"].clone();
    assert_eq!(sent, json!({"include_usage": true, "other": 1}));
    assert!(heard.is_done());
}

#[tokio::test]
async fn stream_options_that_a_provider_refuses_are_not_asked_for_again() {
    let behaviour = simulated::Behaviour::answer(|request| {
        if request.json().get("stream_options").is_none() {
            return Reply::answer(&["fine"]);
        }
        let message = "Unknown parameter: 'stream_options'.";
        Reply::error(
            400,
            &json!({"error": {"message": message, "type": "invalid_request_error",
            "param": "stream_options", "code": "unknown_parameter"}}),
        )
    });
    let a = simulated::SimulatedProvider::start(behaviour).await.unwrap();
    let proxy = Setup::chain([&a]).start().await;
    for sent in [2, 3] {
        let heard = proxy.chat(true).await;
        heard.assert_says("fine");
        assert_eq!(heard.header("x-dropped-params"), None, "the client sent none");
        assert_eq!(a.count(), sent);
    }
}
