//! Many requests at once.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use simulated::{Behaviour, Recording, Reply, SimulatedProvider};

use crate::harness::{
    CHAT, Heard, Listening, MS, Proxy, SOON, Setup, always, events, good, joined, post, question,
};

/// Sends all of them before reading any.
async fn at_once(proxy: &Proxy, count: usize, stream: impl Fn(usize) -> bool) -> Vec<Heard> {
    let mut open = Vec::with_capacity(count);
    for index in 0..count {
        open.push(proxy.open(post(CHAT).json(&question(stream(index)))).await);
    }
    let mut heard = Vec::with_capacity(count);
    for listening in open {
        heard.push(Listening::finish(listening).await);
    }
    heard
}

/// Two sockets for each request are in this process alone.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(limit.maximum.map_or(8192, |most| most.min(8192)));
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test]
async fn fifty_at_once_that_meet_a_fresh_429_are_all_served_and_strike_once() {
    let a = always(Reply::bytes(429, "").after(MS * 300)).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    for heard in at_once(&proxy, 50, |index| index % 2 == 0).await {
        heard.assert_says("b");
    }
    assert!(a.count() <= 50, "{} attempts", a.count());
    let until = proxy.provider("a").await["rate_limited_until"].clone();
    let until: jiff::Timestamp = until.as_str().unwrap().parse().unwrap();
    let left = until.as_second() - a.now().as_secs() as i64;
    assert!(left <= 61, "the cooldown grew to {left} s by one event");
    let before = a.count();
    proxy.chat(false).await.assert_says("b");
    assert_eq!(a.count(), before);
}

#[tokio::test]
async fn five_hundred_at_once_are_counted_exactly() {
    allow_many_files();
    let behaviour = Behaviour::always(Reply::answer(&["one ", "two"]).after(MS * 100));
    let setup =
        simulated::Setup { recording: Recording::Everything, ..simulated::Setup::default() };
    let a = SimulatedProvider::start_with(behaviour, setup).await.unwrap();
    let proxy = Setup::chain([&a]).start().await;
    for heard in at_once(&proxy, 500, |index| index % 2 == 0).await {
        heard.assert_says("one two");
    }
    assert_eq!(a.count(), 500);
    let used: usize = a.requests().iter().map(|request| (request.body.len() / 4).max(1) + 2).sum();
    // The last stream's end may still be on its way to the counters.
    proxy
        .until("the counters", async || {
            let seen = proxy.provider("a").await;
            let idle = seen["deployments"][0]["in_flight"] == 0;
            idle && seen["total_tokens_used"] == used
        })
        .await;
    let seen = proxy.provider("a").await;
    assert_eq!((&seen["request_count"], &seen["success_count"]), (&json!(500), &json!(500)));
    assert_eq!(seen["consecutive_errors"], 0);
    assert_eq!(seen["available"], true);
}

#[tokio::test]
async fn fifty_streams_run_side_by_side() {
    let pieces: Vec<String> = (0..20).map(|index| format!("{index} ")).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let a = always(Reply::stream(&pieces).gap(MS * 15)).await;
    let proxy = Setup::chain([&a]).start().await;
    let whole = pieces.concat();
    for heard in at_once(&proxy, 50, |_| true).await {
        heard.assert_says(&whole);
        assert!(heard.is_done());
    }
}

#[tokio::test]
async fn a_slow_reader_costs_no_memory_and_nobody_else_waits() {
    const MEGABYTES: usize = 16;
    let event = events().text(&"x".repeat(64 << 10));
    let mut writes: Vec<(Duration, Bytes)> = vec![(Duration::ZERO, event); MEGABYTES * 16];
    writes.push((Duration::ZERO, joined(&[events().finish("stop"), simulated::Events::done()])));
    let a = crate::harness::script([Reply::events(writes), Reply::answer(&["quick"])]).await;
    let proxy = Setup::chain([&a]).start().await;
    let before = proxy.memory();
    let mut slow = proxy.open(post(CHAT).json(&question(true))).await;
    slow.until("xxx").await;
    for turn in 0..40 {
        proxy.chat(turn % 2 == 0).await.assert_says("quick");
    }
    if let (Some(before), Some(after)) = (before, proxy.memory()) {
        let grown = after.saturating_sub(before) >> 20;
        assert!(grown < 8, "{grown} MB for a reader who does not read");
    }
    let heard = slow.finish().await;
    assert_eq!((heard.status, heard.whole), (200, true));
    assert!(heard.body.len() > MEGABYTES << 20);
    assert!(heard.body.ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn requests_that_share_a_dead_provider_do_not_pile_up_on_it() {
    let a = always(Reply::hang()).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).rotation("response_timeout: 300ms").start().await;
    for heard in at_once(&proxy, 20, |_| false).await {
        heard.assert_says("b");
    }
    let met = a.count();
    for _ in 0..10 {
        proxy.chat(false).await.assert_says("b");
    }
    assert!(a.count() <= met + 2, "{} more attempts", a.count() - met);
    assert!(a.wait_until(SOON, |a| a.open_connections() == 0).await);
}
