//! The rules of HTTP, as the oddest of clients keep them.

use crate::harness::{Place, Proxy, QUESTION, Wire, only, post, provider, send};

const CHAT: &str = "/v1/chat/completions";

async fn proxy() -> (Proxy, simulated::SimulatedProvider) {
    let upstream = provider(&["hi"]).await;
    (Proxy::of(&only("one", &upstream)).await, upstream)
}

fn chat(proxy: &Proxy, headers: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", proxy.address)
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let (proxy, _upstream) = proxy().await;
    for path in ["/nothing", "/v1", "/v1/", "/v1/embeddings", "/health/", "//status", "/v1/chat"] {
        let answer = proxy.get(path).await;
        assert_eq!(answer.error().0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_names_the_right_one() {
    let (proxy, upstream) = proxy().await;
    for (method, path, allowed) in [
        ("GET", CHAT, "POST"),
        ("PUT", CHAT, "POST"),
        ("GET", "/v1/completions", "POST"),
        ("GET", "/reload", "POST"),
        ("HEAD", "/reload", "POST"),
        ("DELETE", "/status", "GET"),
        ("POST", "/health", "GET"),
        ("POST", "/v1/models", "GET"),
        ("PATCH", "/metrics", "GET"),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n\r\n", proxy.address);
        let mut wire = Wire::open(proxy.address).await;
        wire.write(request).await;
        let answer = if method == "HEAD" { wire.head().await } else { wire.answer().await };
        assert_eq!(answer.status, 405, "{method} {path}");
        let allow = answer.header("allow").unwrap();
        assert!(allow.split(", ").any(|one| one == allowed), "{method} {path}: {allow}");
        if method != "HEAD" {
            answer.error();
        }
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let (proxy, _upstream) = proxy().await;
    for path in ["/", "/health", "/status", "/metrics", "/v1/models"] {
        let mut wire = Wire::open(proxy.address).await;
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: {}\r\n\r\n", proxy.address);
        wire.write(request).await;
        let head = wire.head().await;
        assert_eq!(head.status, 200, "{path}");
        assert!(head.header("content-length").unwrap() != "0", "{path}");
        // The connection goes on with the next answer: no body was in between.
        let request = format!("GET /health HTTP/1.1\r\nhost: {}\r\n\r\n", proxy.address);
        wire.write(request).await;
        assert_eq!(wire.answer().await.json()["status"], "healthy", "{path}");
    }
}

#[tokio::test]
async fn bad_json_is_400_with_its_position() {
    let (proxy, upstream) = proxy().await;
    for (body, place) in [
        ("", "line 1 column 1"),
        ("{\"messages\": [}", "line 1 column 15"),
        ("{\"messages\":\n [1,,2]}", "line 2 column 5"),
        ("[]", "object"),
        ("{\"a\":1", "line 1 column 7"),
        ("{} x", "line 1 column 4"),
    ] {
        let answer = proxy.chat(body).await;
        assert_eq!(answer.error().0, 400, "{body}");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(place), "{body}: {message}");
    }
    let mut raw = chat(&proxy, "content-length: 11\r\n").into_bytes();
    raw.extend(b"{\"a\":\"\xff\xfe\"} ");
    assert_eq!(send(proxy.address, raw).await.error().0, 400);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_wrong_type_names_its_parameter() {
    let (proxy, _upstream) = proxy().await;
    let answer = proxy.chat(r#"{"model":7,"messages":[]}"#).await;
    assert_eq!(answer.error().0, 400);
    assert_eq!(answer.json()["error"]["param"], "model");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_however_it_is_sent() {
    let upstream = provider(&["hi"]).await;
    let config = format!("server: {{max_body: 4KiB}}\n{}", only("one", &upstream));
    let proxy = Proxy::start(Place::with(&config)).await;

    // Announced: refused without waiting for it.
    let request = chat(&proxy, "content-length: 100000\r\n");
    assert_eq!(send(proxy.address, request).await.error().0, 413);
    // Announced and sent.
    let long = format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(5000));
    assert_eq!(proxy.chat(&long).await.error().0, 413);
    // In chunks: refused when it is too much, not at its end.
    let mut wire = Wire::open(proxy.address).await;
    wire.write(chat(&proxy, "transfer-encoding: chunked\r\n")).await;
    for _ in 0..5 {
        wire.offer(format!("400\r\n{}\r\n", " ".repeat(1024))).await;
    }
    assert_eq!(wire.answer().await.error().0, 413);
    assert_eq!(upstream.count(), 0);
    // Just below it.
    let fits = format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(4000));
    assert_eq!(proxy.chat(&fits).await.provider(), "one");
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let (proxy, upstream) = proxy().await;
    let mut wire = Wire::open(proxy.address).await;
    let head = format!("expect: 100-continue\r\ncontent-length: {}\r\n", QUESTION.len());
    wire.write(chat(&proxy, &head)).await;
    assert_eq!(wire.answer().await.status, 100);
    wire.write(QUESTION).await;
    assert_eq!(wire.answer().await.provider(), "one");
    assert!(!upstream.requests()[0].headers.contains_key("expect"));
}

#[tokio::test]
async fn a_refused_request_is_not_told_to_continue() {
    let (proxy, _upstream) = proxy().await;
    let mut wire = Wire::open(proxy.address).await;
    let head = "origin: https://evil.example\r\nexpect: 100-continue\r\ncontent-length: 9\r\n";
    wire.write(chat(&proxy, head)).await;
    assert_eq!(wire.answer().await.status, 403);
}

#[tokio::test]
async fn chunks_are_one_body() {
    let (proxy, upstream) = proxy().await;
    let mut wire = Wire::open(proxy.address).await;
    wire.write(chat(&proxy, "transfer-encoding: chunked\r\n")).await;
    for byte in QUESTION.as_bytes().chunks(7) {
        wire.write(format!("{:x};ext=1\r\n", byte.len())).await;
        wire.write(byte).await;
        wire.write("\r\n").await;
    }
    wire.write("0\r\nx-trailer: 1\r\n\r\n").await;
    assert_eq!(wire.answer().await.provider(), "one");
    let asked = &upstream.requests()[0];
    assert_eq!(asked.json()["messages"][0]["content"], "Hello");
    assert!(!asked.headers.contains_key("transfer-encoding"));
    assert!(asked.headers.contains_key("content-length"));
}

#[tokio::test]
async fn a_connection_serves_many_requests_also_sent_at_once() {
    let (proxy, upstream) = proxy().await;
    let mut wire = Wire::open(proxy.address).await;
    let one =
        format!("{}{QUESTION}", chat(&proxy, &format!("content-length: {}\r\n", QUESTION.len())));
    let health = format!("GET /health HTTP/1.1\r\nhost: {}\r\n\r\n", proxy.address);
    wire.write(format!("{one}{health}{one}")).await;
    assert_eq!(wire.answer().await.provider(), "one");
    assert_eq!(wire.answer().await.json()["status"], "healthy");
    assert_eq!(wire.answer().await.provider(), "one");
    wire.write(one).await;
    assert_eq!(wire.answer().await.provider(), "one");
    assert_eq!((upstream.count(), upstream.connections_total()), (3, 1));
}

#[tokio::test]
async fn after_an_error_the_connection_serves_on() {
    let (proxy, _upstream) = proxy().await;
    let mut wire = Wire::open(proxy.address).await;
    wire.write(format!("{}{{]", chat(&proxy, "content-length: 2\r\n"))).await;
    assert_eq!(wire.answer().await.status, 400);
    wire.write(format!("GET /nowhere HTTP/1.1\r\nhost: {}\r\n\r\n", proxy.address)).await;
    assert_eq!(wire.answer().await.status, 404);
    wire.write(format!("GET /health HTTP/1.1\r\nhost: {}\r\n\r\n", proxy.address)).await;
    assert_eq!(wire.answer().await.status, 200);
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_and_its_connection_closed() {
    let (proxy, _upstream) = proxy().await;
    for body in [QUESTION, crate::harness::STREAMED] {
        let mut wire = Wire::open(proxy.address).await;
        let length = body.len();
        wire.write(format!(
            "POST {CHAT} HTTP/1.0\r\nhost: {}\r\ncontent-length: {length}\r\n\r\n{body}",
            proxy.address
        ))
        .await;
        let answer = wire.answer().await;
        assert_eq!(answer.provider(), "one");
        assert_eq!(answer.version, "HTTP/1.0");
        assert_eq!(answer.header("transfer-encoding"), None);
        assert!(answer.text().contains("hi"), "{}", answer.text());
        assert!(wire.is_closed().await);
    }
}

#[tokio::test]
async fn the_absolute_form_of_a_target_is_the_same_request() {
    let (proxy, _upstream) = proxy().await;
    let host = proxy.address;
    let answer = send(host, format!("GET http://{host}/health HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    assert_eq!(answer.await.status, 200);
    let evil = format!("GET http://evil.example/status HTTP/1.1\r\nhost: {host}\r\n\r\n");
    assert_eq!(send(host, evil).await.error().0, 403);
}

#[tokio::test]
async fn the_paths_work_without_their_version_and_with_a_query() {
    let (proxy, _upstream) = proxy().await;
    assert_eq!(proxy.post("/chat/completions", QUESTION).await.provider(), "one");
    assert_eq!(proxy.post("/v1/chat/completions?api-version=1", QUESTION).await.provider(), "one");
    assert_eq!(proxy.get("/models").await.status, 200);
    assert_eq!(proxy.get("/health?x=1").await.status, 200);
}

#[tokio::test]
async fn what_is_no_http_gets_400_or_the_door_and_the_proxy_lives() {
    let (proxy, _upstream) = proxy().await;
    let host = proxy.address;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut wire = Wire::open(host).await;
        wire.offer(bytes).await;
        wire.offer("\r\n\r\n").await;
        while !wire.is_closed().await {}
    }
    // Two lengths, or a length and chunks, are how requests are smuggled.
    for headers in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
    ] {
        let mut wire = Wire::open(host).await;
        wire.offer(format!("{}0\r\n\r\n", chat(&proxy, headers))).await;
        assert_eq!(wire.answer().await.status, 400, "{headers}");
    }
    let many = "x-more: 1\r\n".repeat(200);
    let mut wire = Wire::open(host).await;
    wire.offer(format!("GET / HTTP/1.1\r\nhost: {host}\r\n{many}\r\n")).await;
    assert_eq!(wire.answer().await.status, 431);
    assert_eq!(proxy.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_body_that_breaks_off_goes_nowhere() {
    let (proxy, upstream) = proxy().await;
    let mut wire = Wire::open(proxy.address).await;
    wire.write(format!("{}{{\"messages\"", chat(&proxy, "content-length: 500\r\n"))).await;
    drop(wire);
    assert_eq!(post(proxy.address, CHAT, &[], QUESTION).await.provider(), "one");
    assert_eq!(upstream.count(), 1);
}
