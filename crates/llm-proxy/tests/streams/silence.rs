//! What counts as a sign of life: of a provider, and for a client.

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::json;
use simulated::{Events, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

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

/// A provider on a slow line, which takes a quarter of a megabyte in 60 ms and then answers.
fn slow_line() -> SocketAddr {
    const PIECE: usize = 256 << 10;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(PIECE as u32).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut piece = vec![0; PIECE];
        let mut last = 0;
        while last != b'}' {
            tokio::time::sleep(MS * 60).await;
            let read = socket.read(&mut piece).await.unwrap();
            last = *piece[..read].last().expect("it was given up");
        }
        let body = joined(&[A.begun(&["one"]), A.finish(), Events::done()]);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ";
        socket.write_all(format!("{head}{}\r\n\r\n", body.len()).as_bytes()).await.unwrap();
        socket.write_all(&body).await.unwrap();
    });
    address
}

#[tokio::test]
async fn a_long_request_on_a_slow_line_is_not_a_silent_provider() {
    let (address, b) = (slow_line(), always(Reply::answer(&["b"])).await);
    let setup = Setup::new().provider_at("a", address).provider("b", &b);
    let proxy = setup.rotation("first_token_timeout: 1s").start().await;
    let mut request = question(true);
    request["messages"][0]["content"] = "x".repeat(12 << 20).into();
    let start = now();
    let heard = proxy.ask(&request).await;
    assert!(start.elapsed() > seconds(2), "the line was not slow: {:?}", start.elapsed());
    assert_one_answer(&heard, "one");
    assert_eq!(heard.header("x-provider"), Some("a"));
}

#[tokio::test]
async fn comments_and_empty_events_alone_do_not_hold_the_client_for_ever() {
    let empty = A.delta(&json!({"content": ""}));
    for sign in [Events::comment("ping"), empty] {
        let signs = std::iter::repeat_n((MS * 50, sign), 200);
        let writes = [(ZERO, A.begun(&["one "])), (MS * 600, A.text("two "))].into_iter();
        let a = always(Reply::events(writes.chain(signs).collect())).await;
        let b = always(B.whole(&["one two ", "three"])).await;
        let setup = Setup::chain([&a, &b]).rotation("stall_timeout: 900ms");
        let proxy = setup.rotation("request_timeout: 1100ms").start().await;
        let start = now();
        assert_one_answer(&proxy.chat(true).await, "one two three");
        let took = start.elapsed();
        assert!(took >= MS * 1600 && took < seconds(9), "{took:?}");
        assert_eq!((a.count(), b.count()), (1, 1));
    }
}
