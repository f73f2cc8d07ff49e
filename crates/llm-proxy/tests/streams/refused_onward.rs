//! Where nobody can go on with a broken stream, the client is told of the first failure, at once
//! where going on would not be safe.

use serde_json::{Value, json};
use simulated::Reply;

use crate::harness::{
    CHAT, MS, SOON, Setup, always, error, good, now, post, question, raw_stream, script,
};
use crate::parts::{Part, ZERO, assert_interrupted, assert_one_answer, seconds};

const A: Part = Part("a");
const B: Part = Part("b");
const C: Part = Part("c");

/// Every way in which a second provider fails to go on.
fn refusals() -> Vec<(&'static str, Reply)> {
    let no = || error(400, "prefill is not supported", "invalid_request_error", "bad_request");
    vec![
        ("400", no()),
        ("422", no().status(422)),
        ("401", no().status(401)),
        ("429", Reply::rate_limited(Some("3600"))),
        ("500", error(500, "secondary", "server_error", "x")),
        ("413", no().status(413)),
        (
            "context",
            error(400, "maximum context length is 8 tokens", "x", "context_length_exceeded"),
        ),
        ("reset", Reply::reset()),
        ("hang", Reply::hang()),
        ("empty", Reply::bytes(200, "")),
        ("html", Reply::bytes(200, "<html>").header("content-type", "text/html")),
        ("other text", B.whole(&["something else"])),
        ("cut preamble", raw_stream(B.role()).cut()),
    ]
}

#[tokio::test]
async fn a_second_failure_does_not_hide_the_first() {
    for (name, reply) in refusals() {
        let (a, b) = (always(A.cut(&["one ", "two "])).await, always(reply).await);
        let proxy = Setup::chain([&a, &b]).rotation("request_timeout: 700ms").start().await;
        let heard = proxy.chat(true).await;
        assert_interrupted(&heard, "one two ", "a");
        assert!(!heard.text().contains("secondary"), "{name}");
        assert!(!heard.text().contains("prefill"), "{name}");
        assert!(b.count() >= 1, "{name}: nobody was asked");
        assert_eq!(proxy.status().await["streams_saved"], 0, "{name}");
    }
}

#[tokio::test]
async fn a_second_failure_leads_on_to_the_third() {
    for (name, reply) in refusals() {
        let (a, b) = (always(A.cut(&["one ", "two "])).await, always(reply).await);
        let c = always(C.whole(&["one two ", "three"])).await;
        let proxy = Setup::chain([&a, &b, &c]).rotation("first_token_timeout: 300ms").start().await;
        let heard = proxy.chat(true).await;
        assert_one_answer(&heard, "one two three");
        assert_eq!(a.count(), 1, "{name}: the broken one is not asked again");
    }
}

/// A request, what the broken provider says first, and the text of it that the client gets.
fn unsafe_cases() -> Vec<(&'static str, Value, bytes::Bytes, &'static str)> {
    let with = |name: &str, value: Value| {
        let mut body = question(true);
        body[name] = value;
        body
    };
    let call = json!({"tool_calls": [{"index": 0, "id": "c", "type": "function",
        "function": {"name": "f", "arguments": "{\"a\":"}}]});
    let delta = |delta: Value| A.delta(&delta);
    let join = |one, two| crate::harness::joined(&[A.role(), one, two]);
    vec![
        ("tool call", question(true), join(A.text("one "), delta(call)), "one "),
        (
            "old function call",
            question(true),
            join(A.text("one "), delta(json!({"function_call": {"name": "f"}}))),
            "one ",
        ),
        (
            "reasoning",
            question(true),
            join(delta(json!({"reasoning_content": "hm"})), A.text("one ")),
            "one ",
        ),
        (
            "only reasoning",
            question(true),
            join(delta(json!({"reasoning": "hm"})), delta(json!({"reasoning": "so"}))),
            "",
        ),
        (
            "refusal",
            question(true),
            join(delta(json!({"refusal": "I can"})), delta(json!({"refusal": "not"}))),
            "",
        ),
        ("two choices", with("n", json!(2)), A.begun(&["one "]), "one "),
        ("logprobs", with("logprobs", json!(true)), A.begun(&["one "]), "one "),
    ]
}

#[tokio::test]
async fn what_is_more_than_plain_text_ends_at_once_and_nobody_else_is_asked() {
    for (name, body, text, said) in unsafe_cases() {
        let (a, b) = (always(raw_stream(text).cut()).await, good("one two").await);
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        let start = now();
        let heard = proxy.ask(&body).await;
        assert_interrupted(&heard, said, "a");
        assert_eq!(b.count(), 0, "{name}");
        assert!(start.elapsed() < seconds(3), "{name}");
    }
}

#[tokio::test]
async fn another_choice_that_nobody_asked_for_is_not_continued() {
    let other = json!({"id": "chatcmpl-a", "choices":
        [{"index": 1, "delta": {"content": "uno "}, "finish_reason": null}]});
    let text = crate::harness::joined(&[A.begun(&["one "]), simulated::Events::data(&other)]);
    let (a, b) = (always(raw_stream(text).cut()).await, good("one two").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let heard = proxy.chat(true).await;
    assert!(heard.text().contains("upstream_stream_interrupted"));
    assert_eq!(b.count(), 0);
}

#[tokio::test]
async fn it_can_be_switched_off_by_configuration_and_by_request() {
    let (a, b) = (always(A.cut(&["one "])).await, always(B.whole(&["one two"])).await);
    let proxy = Setup::chain([&a, &b]).rotation("stream_recovery: off").start().await;
    assert_interrupted(&proxy.chat(true).await, "one ", "a");
    assert_eq!(b.count(), 0);
    let proxy = Setup::chain([&a, &b]).start().await;
    let request = || post(CHAT).json(&question(true));
    let heard = proxy.send(request().header("x-stream-recovery", "off")).await;
    assert_interrupted(&heard, "one ", "a");
    assert_eq!(b.count(), 0);
    assert!(a.requests().iter().all(|one| !one.headers.contains_key("x-stream-recovery")));
    proxy.send(post("/reset")).await;
    assert_one_answer(&proxy.send(request()).await, "one two");
}

#[tokio::test]
async fn a_break_before_the_first_word_is_no_continuation() {
    let (a, b) = (always(raw_stream(A.role()).cut()).await, always(B.whole(&["fine"])).await);
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    assert_one_answer(&proxy.chat(true).await, "fine");
    assert_eq!(crate::parts::last_message(&b.requests()[0])["role"], "user");
    assert_eq!(proxy.status().await["streams_saved"], 0);
}

#[tokio::test]
async fn a_client_that_leaves_during_the_search_ends_it_at_once() {
    let hangs = always(Reply::hang()).await;
    let (a, c) = (always(A.cut(&["one "])).await, good("one two").await);
    let proxy = Setup::chain([&a, &hangs, &c]).start().await;
    let mut soonest = SOON;
    for turn in 1..=8 {
        let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
        listening.until("one ").await;
        assert!(hangs.wait_until(SOON, |one| one.count() == turn).await);
        let start = now();
        drop(listening);
        assert!(hangs.wait_until(SOON, |one| one.cancelled().len() as u64 == turn).await);
        soonest = soonest.min(start.elapsed());
        proxy.send(post("/reset")).await;
        if soonest < MS * 100 {
            break;
        }
    }
    assert!(soonest < MS * 100, "{soonest:?}");
    tokio::time::sleep(MS * 100).await;
    assert_eq!(c.count(), 0, "the search goes on for nobody");
    let seen = proxy.provider("b").await;
    assert_eq!((&seen["available"], &seen["last_error"]), (&json!(true), &Value::Null), "{seen}");
}

#[tokio::test]
async fn a_client_that_leaves_while_the_repetition_is_swallowed_ends_it_too() {
    let writes = vec![(ZERO, B.begun(&["on"])), (ZERO, B.text("e "))];
    let repeats = always(Reply::events(writes).stall()).await;
    let a = always(A.cut(&["one ", "two "])).await;
    let proxy = Setup::chain([&a, &repeats]).start().await;
    let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
    listening.until("two ").await;
    assert!(repeats.wait_until(SOON, |one| one.count() == 1).await);
    proxy.logged("goes on").await;
    drop(listening);
    assert!(repeats.wait_until(SOON, |one| one.cancelled().len() == 1).await);
}

#[tokio::test]
async fn the_request_timeout_bounds_the_search() {
    let (a, b, c) =
        (always(A.cut(&["one "])).await, always(Reply::hang()).await, always(Reply::hang()).await);
    let proxy = Setup::chain([&a, &b, &c]).rotation("request_timeout: 800ms").start().await;
    let start = now();
    assert_interrupted(&proxy.chat(true).await, "one ", "a");
    let took = start.elapsed();
    assert!(took >= MS * 700 && took < seconds(5), "{took:?}");
}

#[tokio::test]
async fn a_search_that_finds_everyone_cooling_waits_for_the_soonest() {
    let a = always(A.cut(&["one "])).await;
    let b = script([
        Reply::rate_limited(None).header("retry-after-ms", "600"),
        B.whole(&["one ", "two"]),
    ])
    .await;
    let proxy = Setup::chain([&a, &b]).start().await;
    assert_one_answer(&proxy.chat(true).await, "one two");
    assert_eq!(b.count(), 2);
}

/// A search that waits in place for the second one goes on to the third when the wait was in
/// vain, and is not cut short by what others do meanwhile.
#[tokio::test]
async fn a_search_that_waits_is_not_worn_out_by_news_of_others() {
    let limited = || Reply::rate_limited(Some("1"));
    for refusals in [1, 3] {
        let a = always(A.cut(&["one ", "two "])).await;
        let b = script((0..refusals).map(|_| limited()).chain([B.whole(&["one two ", "three"])]));
        let b = b.await;
        let c = always(C.whole(&["one two ", "three"])).await;
        let other = good("noise").await;
        let setup = Setup::chain([&a, &b, &c]).rotation("wait_in_place: 2500ms");
        let setup = setup.provider("other", &other).top("models:\n  noise: [other]");
        let proxy = setup.start().await;
        let noise = async {
            let mut body = question(false);
            body["model"] = "noise".into();
            loop {
                proxy.ask(&body).await.assert_says("noise");
                tokio::time::sleep(MS * 50).await;
            }
        };
        let heard =
            tokio::select! { heard = proxy.chat(true) => heard, () = noise => unreachable!() };
        assert_one_answer(&heard, "one two three");
    }
}
