//! What counts as a sign of life: of a provider, and for a client.

use bytes::Bytes;
use simulated::{Events, Reply};

use crate::harness::{CHAT, MS, SOON, Setup, always, joined, now, post, question, raw_stream};
use crate::parts::{Part, ZERO, assert_interrupted, assert_one_answer, seconds};

const A: Part = Part("a");
const B: Part = Part("b");

#[tokio::test]
async fn a_drip_of_bytes_is_no_sign_of_life() {
    let mut writes =
        vec![(ZERO, A.begun(&["one "])), (ZERO, Bytes::from_static(b"data: {\"x\":\""))];
    writes.extend(vec![(MS * 100, Bytes::from_static(b"y")); 300]);
    let a = always(Reply::events(writes).stall()).await;
    let proxy = Setup::chain([&a]).rotation("stall_timeout: 500ms").start().await;
    let start = now();
    assert_interrupted(&proxy.chat(true).await, "one ", "a");
    assert!(start.elapsed() < seconds(9), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_long_event_on_a_slow_line_is_alive() {
    let long = A.text(&"x".repeat(60_000));
    let mut writes = vec![(ZERO, A.begun(&["one "]))];
    let pieces = (0..long.len()).step_by(3_000);
    writes.extend(pieces.map(|at| (MS * 100, long.slice(at..(at + 3_000).min(long.len())))));
    writes.push((MS, joined(&[A.finish(), Events::done()])));
    let a = always(Reply::events(writes)).await;
    // The event takes two seconds, each piece of it a tenth of one.
    let proxy = Setup::chain([&a]).rotation("stall_timeout: 1500ms").start().await;
    assert_one_answer(&proxy.chat(true).await, &format!("one {}", "x".repeat(60_000)));
}

#[tokio::test]
async fn a_stream_of_bare_returns_is_passed_on_event_by_event() {
    let bare = |event: Bytes| Bytes::from(String::from_utf8_lossy(&event).replace('\n', "\r"));
    let sent = bare(joined(&[A.begun(&["one "]), A.text("two"), A.finish(), Events::done()]));
    let a = always(raw_stream(sent.clone())).await;
    let proxy = Setup::chain([&a]).start().await;
    assert_eq!(proxy.chat(true).await.body, sent);
    // Nothing follows that would tell that the event is over.
    let a = always(raw_stream(bare(A.text("one "))).stall()).await;
    let proxy = Setup::chain([&a]).start().await;
    let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
    listening.until("one ").await;
}

#[tokio::test]
async fn a_client_hears_beats_in_the_silence_of_a_stream_and_of_a_search() {
    let late = vec![
        (MS * 900, B.begun(&["one "])),
        (MS * 900, joined(&[B.text("two"), B.finish(), Events::done()])),
    ];
    let a = always(A.cut(&["one "])).await;
    let b = always(Reply::events(late)).await;
    for beats in [true, false] {
        let setup = Setup::chain([&a, &b]);
        let setup = if beats { setup.rotation("heartbeat: 200ms") } else { setup };
        let proxy = setup.start().await;
        let mut heard = proxy.chat(true).await;
        let text = heard.text();
        let seam = text.find("one ").unwrap();
        let after = text[seam..].matches(": waiting\n").count();
        assert!(if beats { after >= 4 } else { after == 0 }, "{after} beats in {text}");
        assert!(!text.contains(": waiting\n\n"), "a comment ends no event: {text}");
        heard.body = text.replace(": waiting\n", "").into();
        assert_one_answer(&heard, "one two");
    }
}

#[tokio::test]
async fn a_client_that_leaves_between_the_beats_of_a_search_ends_it() {
    let hangs = always(Reply::hang()).await;
    let a = always(A.cut(&["one "])).await;
    let proxy = Setup::chain([&a, &hangs]).rotation("heartbeat: 100ms").start().await;
    let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
    listening.until("one ").await;
    listening.until(": waiting\n").await;
    drop(listening);
    assert!(hangs.wait_until(SOON, |one| one.cancelled().len() == 1).await);
}
