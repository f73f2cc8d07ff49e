//! A provider that is given the beginning of an answer and refuses it is asked afresh.

use serde_json::{Value, json};
use simulated::{Events, Recorded, Reply, SimulatedProvider};

use crate::harness::{CHAT, Proxy, Setup, always, error, joined, post, question, raw_stream};
use crate::parts::{Part, asked, assert_interrupted, assert_one_answer, last_message};

const A: Part = Part("a");
const B: Part = Part("b");

/// Refuses a last message of the assistant in these words, and says this otherwise.
async fn refusing(reply: Reply, pieces: &'static [&'static str]) -> SimulatedProvider {
    asked(move |request: &Recorded| {
        if last_message(request)["role"] == "assistant" { reply.clone() } else { B.whole(pieces) }
    })
    .await
}

fn refusals() -> Vec<Reply> {
    let refusal = |words| error(400, words, "invalid_request_error", "bad_request");
    vec![
        refusal("assistant message not allowed last"),
        refusal("prefill is not supported"),
        refusal("This model does not support assistant message prefill"),
        refusal("Bad Request"),
        refusal("The final message must be from the user").status(422),
        error(500, "the last message must not be the assistant's", "server_error", "x"),
        raw_stream(joined(&[Events::error("prefill not supported", "invalid_request_error", "x")])),
    ]
}

async fn broken_again(proxy: &Proxy) -> crate::harness::Heard {
    proxy.send(post("/v1/chat/completions").json(&question(true))).await
}

#[tokio::test]
async fn the_only_one_left_that_refuses_a_beginning_repeats_what_was_sent() {
    for reply in refusals() {
        let a = always(A.cut(&["one ", "two "])).await;
        let b = refusing(reply, &["one t", "wo three"]).await;
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_one_answer(&broken_again(&proxy).await, "one two three");
        assert_eq!((a.count(), b.count()), (1, 2));
        let b = proxy.provider("b").await;
        assert_eq!((&b["available"], &b["consecutive_errors"]), (&json!(true), &json!(0)), "{b}");
    }
}

#[tokio::test]
async fn one_that_does_not_repeat_either_hides_nothing() {
    let refusal = || error(400, "prefill is not supported", "invalid_request_error", "x");
    let a = always(A.cut(&["one ", "two "])).await;
    let b = refusing(refusal(), &["uno ", "dos"]).await;
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    let heard = broken_again(&proxy).await;
    assert_interrupted(&heard, "one two ", "a");
    assert!(!heard.text().contains("prefill"), "{}", heard.text());
    assert_eq!(b.count(), 2);
    // Nor one that refuses everything: it is asked twice and no more.
    let (a, b) = (always(A.cut(&["one ", "two "])).await, always(refusal()).await);
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    assert_interrupted(&broken_again(&proxy).await, "one two ", "a");
    assert_eq!(b.count(), 2);
}

#[tokio::test]
async fn that_a_beginning_is_refused_is_remembered_until_a_reset() {
    let a = always(A.cut(&["one ", "two "])).await;
    let b = refusing(
        error(400, "assistant message not allowed last", "invalid_request_error", "x"),
        &["one two ", "three"],
    )
    .await;
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    let known =
        async || proxy.provider("b").await["deployments"][0]["refuses"]["messages.prefill"].clone();
    assert_one_answer(&broken_again(&proxy).await, "one two three");
    assert_eq!(b.count(), 2);
    assert_eq!(known().await, "not used");
    proxy.logged("asking it afresh").await;
    // The broken one is set aside for the second fault in a row only.
    assert_one_answer(&proxy.send(post(CHAT).json(&question(true))).await, "one two three");
    assert_eq!(b.count(), 3);
    proxy.send(post("/reset")).await;
    assert_eq!(known().await, Value::Null);
    assert_one_answer(&broken_again(&proxy).await, "one two three");
    assert_eq!(b.count(), 5);
}

#[tokio::test]
async fn a_refusal_that_may_mean_anything_is_not_remembered() {
    let a = always(A.cut(&["one ", "two "])).await;
    let b = refusing(error(400, "Bad Request", "x", "y"), &["one two ", "three"]).await;
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    for count in [2, 4] {
        assert_one_answer(&broken_again(&proxy).await, "one two three");
        assert_eq!(b.count(), count);
        proxy.send(post("/reset")).await;
    }
}

#[tokio::test]
async fn the_only_one_left_that_may_repeat_a_line_or_not_is_asked_afresh() {
    const LINE: &str = "All work and no play.\n";
    for rest in ["Makes Jack", LINE] {
        let a = always(A.cut(&[LINE])).await;
        let b = always(B.whole(&[LINE, rest])).await;
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_one_answer(&broken_again(&proxy).await, &format!("{LINE}{rest}"));
        assert_eq!(last_message(&b.requests()[0])["role"], "assistant");
        assert_eq!(last_message(&b.requests()[1])["role"], "user");
        assert_eq!((a.count(), b.count()), (1, 2));
        let b = proxy.provider("b").await;
        assert_eq!((&b["available"], &b["last_error"]), (&json!(true), &Value::Null), "{b}");
    }
    // Where another one is left, that one comes first.
    let a = always(A.cut(&[LINE])).await;
    let (b, c) = (always(B.whole(&[LINE, "x"])).await, always(Part("c").whole(&["It"])).await);
    let setup = Setup::new().provider("a", &a).provider("b", &b).with("prefill: true");
    let proxy = setup.provider("c", &c).with("prefill: true").start().await;
    assert_one_answer(&broken_again(&proxy).await, &format!("{LINE}It"));
    assert_eq!((b.count(), c.count()), (1, 1));
    // And one that says something else once more is not asked for ever.
    let a = always(A.cut(&[LINE])).await;
    let b = asked(|request: &Recorded| {
        let is_given = last_message(request)["role"] == "assistant";
        B.whole(if is_given { &[LINE, "x"] } else { &["Else"] })
    });
    let b = b.await;
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    assert_interrupted(&broken_again(&proxy).await, LINE, "a");
    assert_eq!((a.count(), b.count()), (1, 2));
}

#[tokio::test]
async fn the_only_one_left_that_may_repeat_a_row_or_a_short_word_is_asked_afresh() {
    const HEAD: &str = "| item | price | stock |\n|---|---|---|\n| pear | 1 | no |\n|";
    const ROWS: &str = " pear | 1 | no |\n| apple | 2 | yes |\n";
    for (begun, misread, rest) in [
        (HEAD, ROWS, ROWS),
        ("Yes", "Yes. That is right.", ". That is right."),
        ("I", "I think so.", " think so."),
    ] {
        let whole = format!("{begun}{rest}");
        let (misread, repeated) = (B.whole(&[misread]), B.whole(&[whole.as_str()]));
        let a = always(A.cut(&[begun])).await;
        let b = asked(move |request: &Recorded| {
            let is_given = last_message(request)["role"] == "assistant";
            if is_given { misread.clone() } else { repeated.clone() }
        })
        .await;
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_one_answer(&broken_again(&proxy).await, &whole);
        assert_eq!((a.count(), b.count()), (1, 2), "{begun}");
    }
}
