//! What the proxy adds to a stream's pace: each event is one read, as soon as it comes.

use std::time::Duration;

use bytes::Bytes;
use simulated::{Events, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{CHAT, MS, Setup, always, now, question};
use crate::parts::{Part, ZERO};

const A: Part = Part("a");

/// Reads of the response's body, each with its time.
async fn reads(address: std::net::SocketAddr) -> Vec<(Duration, String)> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let body = question(true).to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let start = now();
    let mut all = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = socket.read(&mut buffer).await.unwrap();
        if read == 0 {
            return all;
        }
        all.push((start.elapsed(), String::from_utf8_lossy(&buffer[..read]).into_owned()));
    }
}

#[tokio::test]
async fn an_event_every_twenty_milliseconds_is_one_read_each() {
    const EVENTS: usize = 50;
    let mut writes: Vec<(Duration, Bytes)> = vec![(ZERO, A.role())];
    writes.extend((0..EVENTS).map(|index| (MS * 20, A.text(&format!("<{index}>")))));
    writes.push((MS * 20, A.finish()));
    writes.push((MS * 20, Events::done()));
    let a = always(Reply::events(writes)).await;
    let proxy = Setup::chain([&a]).start().await;
    let mut best = usize::MAX;
    // The machine may be busy with something else: then two may melt together.
    for _ in 0..3 {
        let reads = reads(proxy.address).await;
        let mut uneven = 0;
        for index in 0..EVENTS {
            let word = format!("<{index}>");
            let holding: Vec<_> = reads.iter().filter(|(_, text)| text.contains(&word)).collect();
            assert_eq!(holding.len(), 1, "{word} comes once");
            uneven += usize::from(holding[0].1.matches("\"content\":\"<").count() != 1);
        }
        let firsts: Vec<Duration> = reads.iter().map(|(at, _)| *at).collect();
        let gaps: Vec<Duration> =
            firsts.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        let longest = gaps.iter().max().unwrap();
        println!(
            "{EVENTS} events: {} reads, {uneven} uneven, longest gap {longest:?}",
            reads.len()
        );
        best = best.min(uneven);
        if best == 0 {
            return;
        }
    }
    assert_eq!(best, 0, "events per read");
}
