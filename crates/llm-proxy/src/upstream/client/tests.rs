use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// For what happens at once.
const SOON: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it takes too long")
}

fn client() -> Client {
    Client::new(ClientOptions {
        ca_certificates: Vec::new(),
        connect_timeout: SOON,
        connect_timeout_of: Vec::new(),
    })
}

/// A server that says `reply` to each request, `most` times on one connection.
struct Server {
    uri: Uri,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(reply: &'static str, most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/v1/x?y=z", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(converse(stream, reply, most));
            }
        });
        Self { uri: uri.parse().unwrap(), connections }
    }

    fn request(&self) -> Request<Segments> {
        let mut request = Request::new(Segments::from(vec![Bytes::from_static(b"hello")]));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        request
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn converse(mut stream: TcpStream, reply: &str, most: usize) {
    for _ in 0..most {
        let mut request = Vec::new();
        while !request.ends_with(b"hello") {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let request = String::from_utf8(request).unwrap();
        assert!(request.starts_with("POST /v1/x?y=z HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nhost: 127.0.0.1:"), "{request}");
        let _ = stream.write_all(reply.as_bytes()).await;
    }
}

async fn whole(client: &Client, server: &Server) -> Bytes {
    let reply = soon(client.send(&server.request())).await.unwrap();
    soon(reply.into_body().collect()).await.unwrap().to_bytes()
}

const KNOWN_LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";
const IN_CHUNKS: &str =
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n";
const NO_BODY: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const LAST_ONE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody";
const TO_THE_END: &str = "HTTP/1.1 200 OK\r\n\r\nbody";

#[tokio::test]
async fn one_connection_carries_requests_in_turn() {
    for (reply, body) in [(KNOWN_LENGTH, "body"), (IN_CHUNKS, "body"), (NO_BODY, "")] {
        let (client, server) = (client(), Server::start(reply, usize::MAX).await);
        for _ in 0..5 {
            assert_eq!(whole(&client, &server).await, body, "{reply}");
        }
        assert_eq!(server.connections(), 1, "{reply}");
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn who_takes_a_piece_of_a_reply_is_not_woken_by_that() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut request = Request::new(Segments::from(vec![Bytes::from_static(b"hello")]));
    *request.uri_mut() = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let answered = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        stream
    };
    let client = client();
    let (reply, mut stream) = soon(async { tokio::join!(client.send(&request), answered) }).await;
    let mut body = reply.unwrap().into_body();

    let wakes = Arc::new(Wakes::default());
    let ours = Waker::from(Arc::clone(&wakes));
    let mut poll = || Pin::new(&mut body).poll_frame(&mut Context::from_waker(&ours));
    assert!(poll().is_pending() && poll().is_pending());
    for piece in ["2\r\nbo\r\n", "2\r\ndy\r\n"] {
        wakes.0.store(0, Ordering::SeqCst);
        stream.write_all(piece.as_bytes()).await.unwrap();
        let woken = async {
            while wakes.0.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        soon(woken).await;
        assert!(matches!(poll(), Poll::Ready(Some(Ok(_)))), "{piece:?}");
        assert!(poll().is_pending() && poll().is_pending());
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "{piece:?}");
    }
}

#[tokio::test]
async fn a_reply_with_more_headers_than_usual_is_read_and_expected_from_then_on() {
    let reply = |lines| {
        let headers = "x-more: y\r\n".repeat(lines);
        format!("HTTP/1.1 200 OK\r\n{headers}content-length: 4\r\n\r\nfine").leak()
    };
    let (client, server) = (client(), Server::start(reply(900), usize::MAX).await);
    for _ in 0..3 {
        assert_eq!(whole(&client, &server).await, "fine");
    }
    assert_eq!(server.connections(), 2);
    // There is an end to it, and it is not looked for again.
    let server = Server::start(reply(1_100), 1).await;
    for connections in [2, 3] {
        let error = soon(client.send(&server.request())).await.unwrap_err();
        let said = super::super::send::describe(&error);
        assert!(said.contains("message head is too large"), "{said}");
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_is_replaced() {
    for reply in [KNOWN_LENGTH, IN_CHUNKS, LAST_ONE, TO_THE_END] {
        let (client, server) = (client(), Server::start(reply, 1).await);
        for _ in 0..5 {
            assert_eq!(whole(&client, &server).await, "body", "{reply}");
        }
        assert_eq!(server.connections(), 5, "{reply}");
    }
}

#[tokio::test]
async fn requests_at_the_same_time_have_connections_of_their_own() {
    let (client, server) = (client(), Server::start(KNOWN_LENGTH, usize::MAX).await);
    let first = soon(client.send(&server.request())).await.unwrap();
    assert_eq!(whole(&client, &server).await, "body");
    assert_eq!(soon(first.into_body().collect()).await.unwrap().to_bytes(), "body");
    assert_eq!(server.connections(), 2);
    assert_eq!(whole(&client, &server).await, "body");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_reply_that_nobody_wants_any_more_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut request = Request::new(Segments::default());
    *request.uri_mut() = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_buf(&mut Vec::with_capacity(1024)).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
        stream
    };
    let client = client();
    let (mut stream, reply) = soon(async { tokio::join!(serve, client.send(&request)) }).await;
    let mut reply = reply.unwrap();
    let frame = soon(reply.body_mut().frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "half");
    drop(reply);
    assert_eq!(soon(stream.read(&mut [0])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_connection_that_is_idle_for_two_rounds_is_closed() {
    let (client, server) = (client(), Server::start(KNOWN_LENGTH, usize::MAX).await);
    let origin = client.origin(&server.uri);
    whole(&client, &server).await;
    origin.sweep();
    whole(&client, &server).await;
    origin.sweep();
    assert_eq!(server.connections(), 1, "it was used meanwhile");
    origin.sweep();
    whole(&client, &server).await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_reply_that_comes_before_the_request_is_whole_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut request = Request::new(Segments::from(vec![vec![b'x'; 6 << 20].into()]));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let answers = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.read_buf(&mut Vec::with_capacity(1024)).await.unwrap();
            let reply = LAST_ONE.replace("200 OK", "413 Too Large");
            stream.write_all(reply.as_bytes()).await.unwrap();
            // What was not read makes it a reset.
        }
    });
    let client = client();
    for _ in 0..30 {
        let reply = soon(client.send(&request)).await.unwrap();
        assert_eq!(reply.status(), 413);
        assert_eq!(soon(reply.into_body().collect()).await.unwrap().to_bytes(), "body");
    }
    answers.abort();
}

#[tokio::test]
async fn connections_that_are_not_trusted_are_not_used_again() {
    let (client, server) = (client(), Server::start(KNOWN_LENGTH, usize::MAX).await);
    whole(&client, &server).await;
    client.distrust(&server.uri);
    whole(&client, &server).await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn nobody_listening_and_nothing_answered_are_told_apart() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut request = Request::new(Segments::default());
    *request.uri_mut() = format!("http://{gone}/").parse().unwrap();
    let error = soon(client().send(&request)).await.unwrap_err();
    assert!(matches!(error, SendError::Unreachable(_)), "{error:?}");
    let server = Server::start("", 1).await;
    let error = soon(client().send(&server.request())).await.unwrap_err();
    assert!(matches!(error, SendError::Lost(_)), "{error:?}");
}
