//! How the program ends.

use std::time::Duration;

use rustix::process::Signal;
use simulated::{Behaviour, Events, Reply};

use crate::harness::{Place, Proxy, STREAMED, Wire, acting, eventually, only, provider, signal};

/// A stream whose second word comes after this wait.
fn slow_words(wait: Duration) -> Behaviour {
    let events = Events::chat("m");
    Behaviour::always(Reply::events(vec![
        (Duration::ZERO, events.text("begin ")),
        (wait, events.text("end")),
        (Duration::ZERO, events.finish("stop")),
        (Duration::ZERO, Events::done()),
    ]))
}

async fn streaming(proxy: &Proxy) -> Wire {
    let mut wire = Wire::open(proxy.address).await;
    wire.write(format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{STREAMED}",
        proxy.address,
        STREAMED.len()
    ))
    .await;
    wire.until(b"begin ").await;
    wire
}

#[tokio::test]
async fn a_signal_ends_it_with_0() {
    for which in [Signal::TERM, Signal::INT] {
        let mut proxy = Proxy::of(&only("one", &provider(&["hi"]).await)).await;
        // An idle connection must not keep it.
        let mut idle = Wire::open(proxy.address).await;
        idle.write(format!("GET /health HTTP/1.1\r\nhost: {}\r\n\r\n", proxy.address)).await;
        assert_eq!(idle.answer().await.status, 200);
        proxy.signal(which);
        let ended = tokio::time::timeout(Duration::from_secs(5), proxy.ended()).await;
        assert_eq!(ended.expect("it lingers").code(), Some(0));
        assert!(idle.is_closed().await);
    }
}

#[tokio::test]
async fn a_connection_that_never_asked_anything_does_not_keep_it() {
    let mut proxy = Proxy::of(&only("one", &provider(&["hi"]).await)).await;
    let _silent = Wire::open(proxy.address).await;
    let mut half = Wire::open(proxy.address).await;
    half.write("GET /hea").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    proxy.signal(Signal::TERM);
    let ended = tokio::time::timeout(Duration::from_secs(5), proxy.ended()).await;
    assert_eq!(ended.expect("it lingers").code(), Some(0));
}

#[tokio::test]
async fn a_running_stream_finishes_before_the_end() {
    let upstream = acting(slow_words(Duration::from_millis(900))).await;
    let mut proxy = Proxy::of(&only("one", &upstream)).await;
    let mut wire = streaming(&proxy).await;
    proxy.signal(Signal::TERM);
    proxy.closed().await;
    wire.until(b"end").await;
    wire.until(b"data: [DONE]").await;
    assert_eq!(proxy.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_stream_without_end_does_not_keep_it_for_ever() {
    let upstream = acting(slow_words(Duration::from_mins(10))).await;
    let mut proxy = Proxy::of(&only("one", &upstream)).await;
    let _wire = streaming(&proxy).await;
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let upstream = acting(slow_words(Duration::from_mins(10))).await;
    let mut proxy = Proxy::of(&only("one", &upstream)).await;
    let _wire = streaming(&proxy).await;
    proxy.signal(Signal::TERM);
    proxy.closed().await;
    proxy.signal(Signal::TERM);
    let ended = tokio::time::timeout(Duration::from_secs(5), proxy.ended()).await;
    assert_eq!(ended.expect("it waits").code(), Some(0));
}

#[tokio::test]
async fn who_still_waits_at_the_end_is_told_so() {
    let upstream = acting(Behaviour::always(Reply::hang())).await;
    let mut proxy = Proxy::of(&only("one", &upstream)).await;
    let mut wires = Vec::new();
    for body in [STREAMED, r#"{"model":"default","messages":[{"role":"user","content":"hi"}]}"#] {
        let mut wire = Wire::open(proxy.address).await;
        let length = body.len();
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost";
        wire.write(format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}")).await;
        wires.push(wire);
    }
    assert!(upstream.wait_until(Duration::from_secs(10), |one| one.count() == 2).await);
    proxy.signal(Signal::TERM);
    proxy.closed().await;
    proxy.signal(Signal::TERM);
    for mut wire in wires {
        let answer = wire.answer().await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json()["error"]["code"], "proxy_stopping");
    }
    assert_eq!(proxy.ended().await.code(), Some(0));
}

#[tokio::test]
async fn who_waits_behind_a_heartbeat_is_told_so_in_an_event() {
    let upstream = acting(Behaviour::always(Reply::hang())).await;
    let configuration = only("one", &upstream) + "rotation:\n  heartbeat: 100ms\n";
    let mut proxy = Proxy::of(&configuration).await;
    let mut wire = Wire::open(proxy.address).await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost";
    wire.write(format!("{head}\r\ncontent-length: {}\r\n\r\n{STREAMED}", STREAMED.len())).await;
    wire.until(b": waiting\n").await;
    proxy.signal(Signal::TERM);
    proxy.closed().await;
    proxy.signal(Signal::TERM);
    wire.until(b"data: {\"error\":").await;
    wire.until(b"\"proxy_stopping\"").await;
    // The event is whole, and so is the response.
    wire.until(b"\n\n").await;
    wire.until(b"\r\n0\r\n\r\n").await;
    assert_eq!(proxy.ended().await.code(), Some(0));
    assert!(upstream.wait_until(Duration::from_secs(10), |one| one.cancelled().len() == 1).await);
}

/// Starts it below a shell that waits for it and prints its id.
async fn below_a_shell(arguments: &str) -> (Proxy, u32) {
    let upstream = provider(&["hi"]).await;
    let place = Place::with(&only("one", &upstream));
    let script = format!("\"$PROGRAM\" serve --port 0 {arguments} & echo \"id $!\"; wait");
    let command = place.shell(&script);
    let proxy = Proxy::of_command(place, command).await;
    let id = proxy.line("id ").await[3..].parse().unwrap();
    (proxy, id)
}

fn lives(id: u32) -> bool {
    let id = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    rustix::process::test_kill_process(id).is_ok()
}

#[tokio::test]
async fn it_ends_with_its_parent_when_it_was_told_to() {
    let (proxy, id) = below_a_shell("--exit-with-parent").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(proxy.get("/health").await.status, 200, "it stays while its parent does");
    proxy.signal(Signal::KILL);
    tokio::time::timeout(Duration::from_secs(2), proxy.closed()).await.expect("it stays");
    let gone = eventually("its end", async || !lives(id) || is_a_zombie(id));
    tokio::time::timeout(Duration::from_secs(2), gone).await.expect("it stays");
}

/// Where nobody collects orphans they stay in the list of processes.
fn is_a_zombie(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

#[tokio::test]
async fn without_being_told_it_outlives_its_parent() {
    let (mut proxy, id) = below_a_shell("").await;
    proxy.signal(Signal::KILL);
    let shell = proxy.ended_only().await;
    assert_eq!(shell.code(), None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(proxy.get("/health").await.status, 200);
    signal(id, Signal::KILL);
    proxy.closed().await;
}
