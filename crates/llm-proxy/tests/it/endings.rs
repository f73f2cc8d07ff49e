//! How streams end: as they should, or told as interrupted; never as if they were complete.

use std::time::Duration;

use serde_json::Value;
use simulated::{Events, Reply};

use crate::harness::{Heard, MS, SOON, Setup, always, events, good, joined, post, raw_stream};

fn assert_interrupted(heard: &Heard, said: &str) {
    assert_eq!(heard.status, 200);
    assert!(heard.whole, "{heard:?}");
    let text = heard.text();
    assert!(!text.contains("[DONE]"), "{text}");
    let events = heard.events();
    let error = &events.last().unwrap()["error"];
    assert_eq!(error["code"], "upstream_stream_interrupted", "{text}");
    assert!(error["message"].is_string() && error["type"].is_string());
    assert_eq!(heard.said(), said);
}

#[tokio::test]
async fn a_stream_that_is_cut_after_words_never_looks_finished() {
    let words = ["one ", "two "];
    let begun = || joined(&[events().role(), events().text("one "), events().text("two ")]);
    let failed = joined(&[begun(), Events::error("overloaded", "server_error", "529")]);
    for cut in [
        Reply::stream(&words).cut(),
        Reply::stream(&words).cut_by_reset(),
        Reply::stream(&words).stall(),
        raw_stream(begun()),
        raw_stream(failed),
        raw_stream(joined(&[begun(), events().text("half").slice(..30)])).cut(),
    ] {
        let (a, b) = (always(cut.clone()).await, good("b").await);
        let proxy = Setup::chain([&a, &b])
            .rotation("stall_timeout: 300ms")
            .rotation("stream_recovery: off")
            .start()
            .await;
        let heard = proxy.chat(true).await;
        assert_interrupted(&heard, "one two ");
        assert_eq!((heard.by(), a.count(), b.count()), ("a", 1, 0), "{cut:?}");
        proxy.logged("interrupted").await;
    }
}

#[tokio::test]
async fn a_stalled_stream_of_the_only_provider_ends_and_the_proxy_goes_on() {
    let a =
        crate::harness::script([Reply::stream(&["one"]).stall(), Reply::answer(&["again"])]).await;
    let proxy = Setup::chain([&a])
        .rotation("stall_timeout: 300ms")
        .rotation("stream_recovery: off")
        .start()
        .await;
    assert_interrupted(&proxy.chat(true).await, "one");
    assert!(a.wait_until(SOON, |a| a.open_connections() == 0).await);
    proxy.send(post("/reset")).await;
    proxy.chat(true).await.assert_says("again");
}

#[tokio::test]
async fn comments_are_life_after_the_first_word() {
    let mut writes = vec![(Duration::ZERO, events().text("one"))];
    writes.extend(vec![(MS * 60, Events::comment("ping")); 20]);
    writes.push((Duration::ZERO, joined(&[events().text(" two"), events().finish("stop")])));
    let a = always(Reply::events(writes)).await;
    let proxy = Setup::chain([&a])
        .rotation("stall_timeout: 900ms")
        .rotation("stream_recovery: off")
        .start()
        .await;
    proxy.chat(true).await.assert_says("one two");
}

#[tokio::test]
async fn a_missing_done_is_added() {
    let words = [events().text("fine"), events().finish("stop")];
    for reply in [
        Reply::stream(&["fine"]).without_done(),
        Reply::stream(&["fine"]).without_done().claiming_length(1 << 20),
        raw_stream(joined(&words)),
        raw_stream(joined(&words)).cut(),
        raw_stream(joined(&words)).cut_by_reset(),
        // The blank line after the last event is missing.
        raw_stream(joined(&words).slice(..joined(&words).len() - 2)),
    ] {
        let a = always(reply.clone()).await;
        let proxy = Setup::chain([&a]).start().await;
        let heard = proxy.chat(true).await;
        heard.assert_says("fine");
        assert!(heard.is_done(), "{reply:?}: {}", heard.text());
        assert_eq!(heard.text().matches("[DONE]").count(), 1);
        assert_eq!(proxy.provider("a").await["consecutive_errors"], 0);
    }
}

#[tokio::test]
async fn a_stream_that_said_all_and_hangs_on_is_done_soon() {
    let words = joined(&[events().text("fine"), events().finish("stop")]);
    let a = always(raw_stream(words).stall()).await;
    let proxy = Setup::chain([&a]).rotation("stall_timeout: 300ms").start().await;
    let heard = proxy.chat(true).await;
    heard.assert_says("fine");
    assert!(heard.is_done());
}

#[tokio::test]
async fn one_broken_event_among_good_ones_is_dropped() {
    for broken in ["data: {\"choices\":[{\"delta\":{\"content\":\"br\n\n", "data: not json\n\n"] {
        let text = joined(&[
            events().role(),
            events().text("one "),
            broken.into(),
            events().text("two"),
            events().finish("stop"),
            Events::done(),
        ]);
        let a = always(raw_stream(text.clone())).await;
        let proxy = Setup::chain([&a]).start().await;
        let heard = proxy.chat(true).await;
        heard.assert_says("one two");
        assert_eq!(heard.text(), String::from_utf8_lossy(&text).replace(broken, ""));
    }
}

#[tokio::test]
async fn a_broken_first_event_does_not_commit() {
    let text = joined(&["data: {oops\n\n".into(), Events::error("no", "x", "x")]);
    let (a, b) = (always(raw_stream(text)).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(true).await.assert_says("b");
}

#[tokio::test]
async fn a_tool_call_that_is_cut_is_never_resumed_elsewhere() {
    let call = serde_json::json!({"tool_calls": [{"index": 0, "id": "c", "type": "function",
        "function": {"name": "f", "arguments": "{\"a\":"}}]});
    let (a, b) = (
        always(raw_stream(joined(&[events().role(), events().delta(&call)])).cut()).await,
        good("b").await,
    );
    let proxy = Setup::chain([&a, &b]).start().await;
    let heard = proxy.chat(true).await;
    assert_interrupted(&heard, "");
    assert_eq!(b.count(), 0);
}

#[tokio::test]
async fn what_comes_after_done_is_not_passed_on() {
    let text = joined(&[
        events().text("fine"),
        events().finish("stop"),
        Events::done(),
        events().text(" more"),
    ]);
    let a = always(raw_stream(text)).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(true).await;
    heard.assert_says("fine");
    assert!(heard.events().iter().all(Value::is_object));
}
