//! Clients that leave, clients that read slowly, and a thousand of them at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use simulated::{Behaviour, Events, Recording, Reply, SimulatedProvider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{
    CHAT, Listening, MS, Proxy, SOON, Setup, always, good, joined, now, post, question, raw_stream,
    script,
};
use crate::parts::{Part, ZERO, assert_one_answer, seconds};

const A: Part = Part("a");

/// How soon the provider must notice; the best of a few tries counts, for the machine is shared.
const AT_ONCE: Duration = Duration::from_millis(100);

const TRIES: u64 = 8;

/// Leaves once `until` has come, or the request has reached the provider; says how soon that was
/// noticed at best.
async fn soonest(proxy: &Proxy, a: &SimulatedProvider, until: &str) -> Duration {
    let mut soonest = Duration::MAX;
    for turn in 1..=TRIES {
        let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
        assert!(a.wait_until(SOON, |a| a.count() == turn).await);
        if until.is_empty() {
            tokio::time::sleep(MS * 30).await;
        } else {
            listening.until(until).await;
        }
        let start = now();
        drop(listening);
        assert!(a.wait_until(SOON, |a| a.cancelled().len() as u64 == turn).await);
        soonest = soonest.min(start.elapsed());
        if soonest < AT_ONCE {
            break;
        }
    }
    soonest
}

#[tokio::test]
async fn leaving_is_noticed_at_once_in_every_phase_of_a_stream() {
    let first = || (ZERO, A.begun(&["one "]));
    let held = || joined(&[A.role(), Events::comment("wait")]);
    let pings = vec![(MS * 20, Events::comment("ping")); 2000];
    let words = vec![(MS * 20, A.text("two ")); 2000];
    for (phase, reply, until) in [
        ("before the head", Reply::hang(), ""),
        ("after the head", Reply::events(vec![]).stall(), ""),
        ("preamble", raw_stream(held()).stall(), ""),
        ("pings", Reply::events(pings), ""),
        ("between words", Reply::events(vec![first()]).stall(), "one "),
        ("words", Reply::events([vec![first()], words].concat()), "two "),
        (
            "after the finish reason",
            raw_stream(joined(&[A.begun(&["one "]), A.finish()])).stall(),
            "stop",
        ),
        ("a plain reply", Reply::json(200, &Value::Null).cut_after(2).stall(), ""),
    ] {
        let (a, b) = (always(reply).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let took = soonest(&proxy, &a, until).await;
        println!("left {phase}: noticed after {took:?}");
        assert!(took < AT_ONCE, "{phase}: {took:?}");
        assert_eq!(b.count(), 0, "{phase}: the walk goes on for nobody");
        let seen = proxy.provider("a").await;
        assert_eq!(
            (&seen["available"], &seen["last_error"]),
            (&true.into(), &Value::Null),
            "{phase}"
        );
        assert_eq!(seen["deployments"][0]["in_flight"], 0, "{phase}");
    }
}

#[tokio::test]
async fn leaving_on_the_second_hop_and_in_a_wait_in_place_ends_the_walk() {
    let (a, b) = (always(Reply::rate_limited(Some("30"))).await, always(Reply::hang()).await);
    let c = good("c").await;
    let proxy = Setup::chain([&a, &b, &c]).start().await;
    let left = proxy.open(post(CHAT).json(&question(true))).await;
    assert!(b.wait_until(SOON, |b| b.count() == 1).await);
    drop(left);
    assert!(b.wait_until(SOON, |b| b.cancelled().len() == 1).await);
    tokio::time::sleep(MS * 100).await;
    assert_eq!(c.count(), 0);
    let limited = Reply::rate_limited(None).header("retry-after-ms", "800");
    let (a, b) = (script([limited, Reply::answer(&["a"])]).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).rotation("wait_in_place: 2500ms").start().await;
    let left = proxy.open(post(CHAT).json(&question(true))).await;
    proxy.logged("waiting").await;
    drop(left);
    tokio::time::sleep(MS * 1000).await;
    assert_eq!((a.count(), b.count()), (1, 0), "a request was sent for nobody");
}

/// A provider that writes events as fast as they are taken, and counts the bytes.
async fn gushing(pieces: usize) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"}") {
            socket.read_buf(&mut seen).await.unwrap();
        }
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        let event = A.text(&"x".repeat(16 << 10));
        for _ in 0..pieces {
            if socket.write_all(&event).await.is_err() {
                return;
            }
            count.fetch_add(event.len() as u64, Ordering::Relaxed);
        }
        let _ = socket.write_all(&joined(&[A.finish(), Events::done()])).await;
    });
    (address, written)
}

#[tokio::test]
async fn a_slow_reader_holds_the_provider_back() {
    const MEGABYTES: usize = 32;
    let (address, written) = gushing(MEGABYTES * 64).await;
    let proxy = Setup::new().provider_at("a", address).start().await;
    let before = proxy.memory();
    let mut slow = proxy.open(post(CHAT).json(&question(true))).await;
    slow.until("xxx").await;
    // Until it is stuck.
    let mut last = u64::MAX;
    while last != written.load(Ordering::Relaxed) {
        last = written.load(Ordering::Relaxed);
        tokio::time::sleep(MS * 400).await;
    }
    let grown =
        proxy.memory().zip(before).map(|(after, before)| after.saturating_sub(before) >> 10);
    println!(
        "a reader who does not read: {} KB taken from the provider, {grown:?} KB more memory",
        last >> 10
    );
    // The system's socket buffers on both sides are in it.
    assert!(last < 24 << 20, "{} MB were taken", last >> 20);
    assert!(grown.is_none_or(|grown| grown < 8 << 10), "{grown:?} KB");
    let start = now();
    let heard = slow.finish().await;
    println!("{MEGABYTES} MB read on in {:?}", start.elapsed());
    assert!(heard.whole && heard.body.ends_with(b"data: [DONE]\n\n"));
    assert!(heard.body.len() > MEGABYTES << 20);
}

#[tokio::test]
async fn a_reader_who_pauses_for_longer_than_the_stall_timeout_loses_nothing() {
    let (address, _) = gushing(16 * 64).await;
    let proxy =
        Setup::new().provider_at("a", address).rotation("stall_timeout: 300ms").start().await;
    let mut slow = proxy.open(post(CHAT).json(&question(true))).await;
    slow.until("xxx").await;
    for _ in 0..3 {
        tokio::time::sleep(MS * 900).await;
        slow.until("xxx").await;
    }
    let heard = slow.finish().await;
    assert!(heard.whole && heard.body.ends_with(b"data: [DONE]\n\n"));
    assert!(heard.body.len() > 16 << 20);
}

/// Two sockets for each request are in this process alone.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(limit.maximum.map_or(8192, |most| most.min(8192)));
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test]
async fn a_thousand_open_streams_stay_small_and_are_all_delivered() {
    const STREAMS: u64 = 1000;
    allow_many_files();
    let words: Vec<(Duration, Bytes)> = vec![
        (ZERO, A.begun(&["one "])),
        (seconds(6), A.text("two")),
        (MS * 10, joined(&[A.finish(), Events::done()])),
    ];
    let setup = simulated::Setup { recording: Recording::Count, ..simulated::Setup::default() };
    let behaviour = Behaviour::always(Reply::events(words));
    let a = SimulatedProvider::start_with(behaviour, setup).await.unwrap();
    let proxy = Setup::chain([&a]).rotation("stall_timeout: 60s").start().await;
    let before = proxy.memory();
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        open.push(proxy.open(post(CHAT).json(&question(true))).await);
    }
    for listening in &mut open {
        listening.until("one ").await;
    }
    let in_flight = proxy.provider("a").await["deployments"][0]["in_flight"].clone();
    let grown =
        proxy.memory().zip(before).map(|(after, before)| after.saturating_sub(before) >> 10);
    println!("{in_flight} open streams: {grown:?} KB more memory");
    assert!(grown.is_none_or(|grown| grown < 60 << 10), "{grown:?} KB");
    for listening in open {
        assert_one_answer(&Listening::finish(listening).await, "one two");
    }
    proxy
        .until("all ends", async || proxy.provider("a").await["deployments"][0]["in_flight"] == 0)
        .await;
    assert_eq!(a.count(), STREAMS);
}
