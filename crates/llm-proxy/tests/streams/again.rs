//! What is repeated in place: one quick failure, and a fault of a connection that was idle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use simulated::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{MS, PLAIN_AND_STREAMED, Setup, error, good, raw_stream, script};

#[tokio::test]
async fn one_quick_failure_is_repeated_in_place() {
    let server_error = || error(500, "oops", "server_error", "x");
    let role = || raw_stream(simulated::Events::chat("m").role());
    for (name, reply) in [
        ("500", server_error()),
        ("503", server_error().status(503)),
        ("reset", Reply::reset()),
        ("close", Reply::close()),
        ("cut preamble", role().cut()),
        ("reset preamble", role().cut_by_reset()),
    ] {
        for stream in PLAIN_AND_STREAMED {
            if name.ends_with("preamble") && !stream {
                continue;
            }
            let a = script([reply.clone(), Reply::answer(&["again"])]).await;
            let b = good("b").await;
            let proxy = Setup::chain([&a, &b]).start().await;
            let heard = proxy.chat(stream).await;
            heard.assert_says("again");
            assert_eq!((a.count(), b.count()), (2, 0), "{name} {stream}");
            assert_eq!(proxy.provider("a").await["consecutive_errors"], 0, "{name}");
        }
    }
}

#[tokio::test]
async fn a_second_failure_or_a_slow_one_is_not_repeated() {
    let server_error = || error(500, "oops", "server_error", "x");
    let a = script([server_error(), server_error(), Reply::answer(&["never"])]).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(true).await.assert_says("b");
    assert_eq!(a.count(), 2);
    let a = script([server_error().after(MS * 1700), Reply::answer(&["never"])]).await;
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(true).await.assert_says("b");
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn a_silent_one_is_asked_once_even_when_it_is_alone() {
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (script([Reply::hang()]).await, script([Reply::hang()]).await);
        let setup = Setup::chain([&a, &b]).rotation("first_token_timeout: 200ms");
        let setup = setup.rotation("response_timeout: 200ms").rotation("request_timeout: 900ms");
        let proxy = setup.start().await;
        let heard = proxy.chat(stream).await;
        assert_eq!(heard.status, 502, "{}", heard.text());
        assert_eq!((a.count(), b.count()), (1, 1));
    }
}

/// Reads one request.
async fn request(socket: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

/// A provider that answers each connection's first request, and closes it at the second one.
async fn forgetful(by_reset: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                if !request(&mut socket).await {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let body = json!({"choices": [{"index": 0, "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "fine"}}]});
                let body = body.to_string();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
                let reply = format!("{head}{}\r\n\r\n{body}", body.len());
                socket.write_all(reply.as_bytes()).await.unwrap();
                if request(&mut socket).await {
                    count.fetch_add(1, Ordering::SeqCst);
                    if by_reset {
                        let _ = socket.set_zero_linger();
                    }
                }
            });
        }
    });
    (address, requests)
}

#[tokio::test]
async fn a_fault_of_a_connection_that_was_idle_is_nobodys() {
    for by_reset in [false, true] {
        let (address, requests) = forgetful(by_reset).await;
        let b = good("b").await;
        let setup = Setup::new().provider_at("a", address).provider("b", &b);
        let proxy = setup.start().await;
        for turn in 0..6 {
            let heard = proxy.chat(turn % 2 == 1).await;
            heard.assert_says("fine");
            assert_eq!(heard.header("x-attempts"), Some("1"), "turn {turn}");
            assert_eq!(heard.header("x-rotation"), None, "turn {turn}");
        }
        let a = proxy.provider("a").await;
        assert_eq!((&a["consecutive_errors"], &a["last_error"]), (&json!(0), &Value::Null));
        assert_eq!(a["request_count"], 6, "a repetition is no second attempt");
        assert!(requests.load(Ordering::SeqCst) > 6, "connections were reused");
        assert_eq!(b.count(), 0);
    }
}
