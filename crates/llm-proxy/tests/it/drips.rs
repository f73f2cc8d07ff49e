//! Bodies that come a byte at a time: they hold no request while somebody else could answer it.

use std::time::Duration;

use bytes::Bytes;
use simulated::Reply;

use crate::harness::{MS, Setup, always, good, now};

/// A reply of one space every 50 ms, for longer than any test waits.
fn dripping(status: u16) -> Reply {
    let drip = (MS * 50, Bytes::from_static(b" "));
    Reply::chunks(status, vec![drip; 2_000])
}

/// Well below the time that a drip takes and the request has.
const EARLY: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_dripping_error_rotates_as_what_its_head_says() {
    for stream in [false, true] {
        let a = always(dripping(429).header("retry-after", "90")).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).rotation("stall_timeout: 500ms").start().await;
        let begun = now();
        let heard = proxy.chat(stream).await;
        heard.assert_says("b");
        assert!(begun.elapsed() < EARLY);
        proxy.logged("429").await;
        proxy.chat(stream).await.assert_says("b");
        assert_eq!(a.count(), 1, "it has said when to come back");
    }
}

#[tokio::test]
async fn an_error_whose_body_is_late_is_no_late_answer() {
    let (a, b) = (always(dripping(429).header("retry-after", "90")).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).rotation("first_token_timeout: 2s").start().await;
    let heard = proxy.chat(true).await;
    heard.assert_says("b");
    proxy.logged("429").await;
}

#[tokio::test]
async fn a_dripping_answer_rotates_while_another_provider_is_left() {
    let (a, b) = (always(dripping(200)).await, good("b").await);
    let proxy = Setup::chain([&a, &b])
        .rotation("response_timeout: 500ms")
        .rotation("stall_timeout: 500ms")
        .start()
        .await;
    let begun = now();
    proxy.chat(false).await.assert_says("b");
    assert!(begun.elapsed() < EARLY);
}

#[tokio::test]
async fn a_long_answer_that_grows_well_may_take_its_time() {
    let answer = serde_json::json!({"object": "chat.completion", "choices": [{"index": 0,
        "finish_reason": "stop", "message": {"role": "assistant", "content": "slow"}}]});
    let mut writes = vec![(MS * 100, Bytes::from(" ".repeat(2 << 10))); 30];
    writes.push((MS, Bytes::from(answer.to_string())));
    let (a, b) = (always(Reply::chunks(200, writes)).await, good("b").await);
    let proxy = Setup::chain([&a, &b])
        .rotation("response_timeout: 1500ms")
        .rotation("stall_timeout: 1500ms")
        .start()
        .await;
    let heard = proxy.chat(false).await;
    heard.assert_says("slow");
}
