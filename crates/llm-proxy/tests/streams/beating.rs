//! A heartbeat keeps clients with short idle limits alive, where it is wanted.

use serde_json::json;
use simulated::{Events, Reply};

use crate::harness::{CHAT, MS, SOON, Setup, always, good, joined, now, post, question};
use crate::parts::{Part, assert_interrupted};

const A: Part = Part("a");

#[tokio::test]
async fn comments_keep_the_response_alive_until_the_answer_follows() {
    let late = Reply::events(vec![
        (MS * 900, A.begun(&["late"])),
        (MS, joined(&[A.finish(), Events::done()])),
    ]);
    let a = always(late).await;
    let proxy = Setup::chain([&a]).rotation("heartbeat: 200ms").start().await;
    let start = now();
    let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
    listening.until(": waiting\n").await;
    assert!(start.elapsed() >= MS * 190 && start.elapsed() < MS * 800, "{:?}", start.elapsed());
    let heard = listening.finish().await;
    let text = heard.text();
    let (beats, answer) = text.split_at(text.find("data:").unwrap());
    let count = beats.matches(": waiting\n").count();
    assert_eq!(beats, ": waiting\n".repeat(count), "comments with one line end each");
    assert!((2..=5).contains(&count), "{count} in 900 ms");
    let expected = joined(&[A.begun(&["late"]), A.finish(), Events::done()]);
    assert_eq!(answer.as_bytes(), expected);
    assert_eq!((heard.status, heard.whole), (200, true));
    assert!(heard.header("content-type").unwrap().starts_with("text/event-stream"));
    assert!(heard.header("cache-control").unwrap().contains("no-transform"));
}

#[tokio::test]
async fn beats_go_on_over_rotation() {
    let (a, b) = (always(Reply::hang()).await, always(Reply::answer(&["b"]).after(MS * 400)).await);
    let setup = Setup::chain([&a, &b]).rotation("first_token_timeout: 500ms");
    let proxy = setup.rotation("heartbeat: 150ms").start().await;
    let heard = proxy.chat(true).await;
    assert!(heard.text().matches(": waiting\n").count() >= 3, "{}", heard.text());
    assert!(heard.text().contains("\"content\":\"b\"") && heard.is_done());
}

#[tokio::test]
async fn an_error_comes_as_an_event_then() {
    let limited = Reply::rate_limited(Some("3600")).after(MS * 500);
    let a = always(limited).await;
    let proxy = Setup::chain([&a]).rotation("heartbeat: 200ms").start().await;
    let heard = proxy.chat(true).await;
    assert_eq!((heard.status, heard.whole), (200, true));
    let text = heard.text();
    let event = text[text.find("data:").unwrap()..].strip_suffix("\n\n").unwrap();
    let error: serde_json::Value =
        serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
    assert!(error["error"]["message"].is_string(), "{text}");
    assert_eq!(error["error"]["type"], json!("rate_limit_error"), "{text}");
    assert!(!text.contains("[DONE]"));
}

#[tokio::test]
async fn quick_answers_plain_calls_and_quick_errors_are_as_ever() {
    let a = good("quick").await;
    let proxy = Setup::chain([&a]).rotation("heartbeat: 300ms").start().await;
    let heard = proxy.chat(true).await;
    heard.assert_says("quick");
    assert_eq!((heard.by(), heard.text().contains("waiting")), ("a", false));
    let slow = always(Reply::answer(&["slow"]).after(MS * 700)).await;
    let proxy = Setup::chain([&slow]).rotation("heartbeat: 200ms").start().await;
    let heard = proxy.chat(false).await;
    heard.assert_says("slow");
    let limited = always(Reply::rate_limited(Some("3600"))).await;
    let proxy = Setup::chain([&limited]).rotation("heartbeat: 300ms").start().await;
    assert_eq!(proxy.chat(true).await.status, 429);
}

#[tokio::test]
async fn a_client_that_leaves_between_beats_ends_the_call_and_a_cut_is_still_told() {
    let a = always(Reply::hang()).await;
    let proxy = Setup::chain([&a]).rotation("heartbeat: 100ms").start().await;
    let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
    listening.until("waiting").await;
    drop(listening);
    assert!(a.wait_until(SOON, |a| a.cancelled().len() == 1).await);
    let a = always(Reply::events(vec![(MS * 400, A.begun(&["one "]))]).cut()).await;
    let proxy = Setup::chain([&a]).rotation("heartbeat: 100ms").start().await;
    let mut heard = proxy.chat(true).await;
    let from = heard.text().find("data:").unwrap();
    heard.body.drain(..from);
    assert_interrupted(&heard, "one ", "a");
}
