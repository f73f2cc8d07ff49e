//! A client that leaves ends everything that was done for it, and nobody is blamed.

use std::time::Duration;

use serde_json::json;
use simulated::{Reply, SimulatedProvider};

use crate::harness::{
    CHAT, MS, PLAIN_AND_STREAMED, Proxy, SOON, Setup, always, good, now, post, question, script,
};

/// How soon the provider must notice.
const AT_ONCE: Duration = Duration::from_millis(100);

/// The machine may be busy with something else; the best of so many tries counts.
const TRIES: usize = 8;

async fn assert_blames_nobody(proxy: &Proxy, name: &str) {
    let seen = proxy.provider(name).await;
    assert_eq!(seen["available"], true, "{seen}");
    assert_eq!(seen["consecutive_errors"], 0, "{seen}");
    assert_eq!(seen["last_error"], json!(null), "{seen}");
}

/// Leaves each request once it has come to `text`, or to the provider if that is empty, and says
/// how long the provider then took to notice.
async fn soonest_cancel(
    proxy: &Proxy,
    a: &SimulatedProvider,
    stream: bool,
    text: &str,
) -> Duration {
    let mut soonest = Duration::MAX;
    for turn in 1..=TRIES {
        let mut listening = proxy.open(post(CHAT).json(&question(stream))).await;
        assert!(a.wait_until(SOON, |a| a.count() == turn as u64).await);
        if !text.is_empty() {
            listening.until(text).await;
        }
        let start = now();
        drop(listening);
        assert!(a.wait_until(SOON, |a| a.cancelled().len() == turn).await);
        soonest = soonest.min(start.elapsed());
        if soonest < AT_ONCE {
            break;
        }
    }
    soonest
}

#[tokio::test]
async fn leaving_before_the_head_cancels_the_upstream_call_at_once() {
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (always(Reply::hang()).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let took = soonest_cancel(&proxy, &a, stream, "").await;
        assert!(took < AT_ONCE, "{took:?}");
        assert_eq!(b.count(), 0, "the walk goes on for nobody");
        assert_blames_nobody(&proxy, "a").await;
    }
}

#[tokio::test]
async fn leaving_in_the_stream_cancels_the_upstream_call_at_once() {
    let (a, b) = (always(Reply::stream(&["one"]).stall()).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let took = soonest_cancel(&proxy, &a, true, "one").await;
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(b.count(), 0);
    assert_blames_nobody(&proxy, "a").await;
}

#[tokio::test]
async fn leaving_while_a_plain_body_comes_cancels_the_upstream_call() {
    let body = Reply::bytes(200, "{\"choices\":").stall();
    let (a, b) = (always(body).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let took = soonest_cancel(&proxy, &a, false, "").await;
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(b.count(), 0);
    assert_blames_nobody(&proxy, "a").await;
}

#[tokio::test]
async fn leaving_while_waiting_for_a_cooldown_ends_the_wait() {
    let limited = Reply::rate_limited(None).header("retry-after-ms", "1500");
    let a = script([limited, Reply::answer(&["a"])]).await;
    let proxy = Setup::chain([&a]).start().await;
    let waiting = proxy.open(post(CHAT).json(&question(true))).await;
    proxy.logged("waiting").await;
    drop(waiting);
    proxy
        .until("the cooldown's end", async || proxy.provider("a").await["available"] == true)
        .await;
    tokio::time::sleep(MS * 200).await;
    assert_eq!(a.count(), 1, "a request was sent for nobody");
    proxy.chat(true).await.assert_says("a");
}

#[tokio::test]
async fn leaving_between_two_hops_does_not_reach_the_second() {
    let a = always(Reply::rate_limited(Some("30")).after(MS * 2000)).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let left = proxy.open(post(CHAT).json(&question(false))).await;
    assert!(a.wait_until(SOON, |a| a.count() == 1).await);
    drop(left);
    assert!(a.wait_until(SOON, |a| a.cancelled().len() == 1).await);
    tokio::time::sleep(MS * 200).await;
    assert_eq!(b.count(), 0);
    assert_blames_nobody(&proxy, "a").await;
}

#[tokio::test]
async fn a_killed_proxy_leaves_no_connection_behind() {
    let a = always(Reply::stream(&["one"]).stall()).await;
    let mut proxy = Setup::chain([&a]).start().await;
    let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
    listening.until("one").await;
    assert_eq!(a.open_connections(), 1);
    proxy.kill();
    assert!(a.wait_until(SOON, |a| a.open_connections() == 0).await);
    assert_eq!(a.cancelled().len(), 1);
}
