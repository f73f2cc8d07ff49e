//! Every behaviour, seen by a client at the other end of a real socket.
#![cfg(test)]

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use simulated::{
    Behaviour, Clock, Events, HeaderDialect, Limits, Protocol, Quotas, Recording, Refill, Reply,
    Setup, SimulatedProvider,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(5);
const MS: Duration = Duration::from_millis(1);

async fn start(behaviour: Behaviour) -> SimulatedProvider {
    SimulatedProvider::start(behaviour).await.unwrap()
}

async fn send(provider: &SimulatedProvider, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(provider.address()).await.unwrap();
    let length = body.len();
    let request = format!("{head}\r\nhost: test\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn chat(provider: &SimulatedProvider, body: &Value) -> TcpStream {
    send(provider, "POST /v1/chat/completions HTTP/1.1\r\nconnection: close", &body.to_string())
        .await
}

/// Everything up to the end of the connection, and how it ended.
async fn read(mut stream: TcpStream) -> (String, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("an end");
    (String::from_utf8(bytes).unwrap(), end.err().map(|error| error.kind()))
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

async fn answer(stream: TcpStream) -> Answer {
    let (text, end) = read(stream).await;
    assert_eq!(end, None, "{text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    let chunked = head.contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").expect("a chunk");
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole += &rest[..size];
        body = &rest[size + 2..];
    }
}

async fn ask(provider: &SimulatedProvider, body: &Value) -> Answer {
    answer(chat(provider, body).await).await
}

#[tokio::test]
async fn a_script_is_played_in_order_and_its_last_reply_repeats() {
    let provider =
        start(Behaviour::script([Reply::rate_limited(Some("7")), Reply::completion("good day")]))
            .await;
    let first = ask(&provider, &json!({"model": "m"})).await;
    assert_eq!((first.status, first.header("retry-after")), (429, Some("7")));
    for _ in 0..2 {
        let reply = ask(&provider, &json!({"model": "m"})).await.json();
        assert_eq!(reply["model"], "m");
        assert_eq!(reply["choices"][0]["message"]["content"], "good day");
        assert_eq!(reply["usage"]["completion_tokens"], 2);
    }
    provider.push(Reply::error(500, &json!({"error": "x"})));
    assert_eq!(ask(&provider, &json!({})).await.status, 500);
    provider.set(Reply::bytes(204, ""));
    assert_eq!(ask(&provider, &json!({})).await.status, 204);
    let models = send(&provider, "GET /v1/models HTTP/1.0", "").await;
    assert_eq!(answer(models).await.json()["object"], "list");
    assert_eq!(provider.count(), 6);
}

#[tokio::test]
async fn requests_are_recorded_as_they_came() {
    let provider = start(Behaviour::answer(|request| {
        Reply::json(200, &json!({"saw": request.path, "key": request.key()}))
    }))
    .await;
    let head = "PUT /odd?x=1 HTTP/1.1\r\nconnection: close\r\nauthorization: Bearer k1\r\nx-a: 1\r\nx-a: 2";
    let reply = answer(send(&provider, head, "{\"n\": 1.50}").await).await.json();
    assert_eq!(reply, json!({"saw": "/odd?x=1", "key": "k1"}));
    let requests = provider.requests();
    assert_eq!(requests[0].method, "PUT");
    assert_eq!(requests[0].headers.get_all("x-a").iter().count(), 2);
    assert_eq!(requests[0].body, "{\"n\": 1.50}");
    assert_eq!(provider.connections_total(), 1);
    assert!(provider.wait_until(SOON, |provider| provider.open_connections() == 0).await);
    assert!(provider.base_url().ends_with("/v1"));
}

#[tokio::test]
async fn a_stream_has_role_pieces_finish_and_usage_only_if_asked() {
    let provider = start(Behaviour::always(Reply::stream(&["Good", " day"]))).await;
    let reply = ask(&provider, &json!({"model": "m", "stream": true})).await;
    assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"));
    let events: Vec<&str> = reply.body.trim().split("\n\n").collect();
    assert_eq!(events.len(), 5);
    assert!(events[0].contains(r#""delta":{"role":"assistant","content":""}"#));
    assert!(events[2].contains(r#""content":" day""#));
    assert!(events[3].contains(r#""finish_reason":"stop""#));
    assert_eq!(events[4], "data: [DONE]");
    let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
    assert!(ask(&provider, &asked).await.body.contains(r#""completion_tokens":2"#));
    provider.set(Reply::stream(&["x"]).without_done().finish_reason("length"));
    let reply = ask(&provider, &asked).await;
    assert!(reply.body.contains(r#""finish_reason":"length""#) && !reply.body.contains("[DONE]"));
}

#[tokio::test]
async fn an_answer_takes_the_form_that_was_asked_for() {
    let provider = start(Behaviour::always(Reply::answer(&["a", "b"]))).await;
    let legacy = "POST /v1/completions HTTP/1.0";
    let plain = answer(send(&provider, legacy, r#"{"prompt":"x"}"#).await).await.json();
    assert_eq!(plain["object"], "text_completion");
    assert_eq!(plain["choices"][0]["text"], "ab");
    let legacy = "POST /v1/completions HTTP/1.1\r\nconnection: close";
    let stream = answer(send(&provider, legacy, r#"{"stream":true}"#).await).await;
    assert!(stream.body.contains(r#""text":"b""#) && !stream.body.contains("role"));
    let chat = ask(&provider, &json!({"stream": false})).await.json();
    assert_eq!(chat["choices"][0]["message"]["content"], "ab");
}

#[tokio::test]
async fn a_cut_stream_delivers_its_pieces_and_no_end() {
    let provider = start(Behaviour::always(Reply::stream(&["Good", " day"]).cut())).await;
    let (text, end) = read(chat(&provider, &json!({"stream": true})).await).await;
    assert_eq!(end, None);
    assert!(text.contains(" day") && !text.contains("finish_reason\":\"stop"));
    assert!(!text.ends_with("0\r\n\r\n"));
    provider.set(Reply::stream(&["Good"]).cut_by_reset());
    let (text, end) = read(chat(&provider, &json!({"stream": true})).await).await;
    assert!(text.contains("Good"));
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
    assert!(provider.cancelled().is_empty());
}

#[tokio::test]
async fn a_cut_after_some_bytes_is_exact_also_for_a_slow_reader() {
    let body = vec![b'x'; 8 << 20];
    let cut = 5_000_001;
    let provider = start(Behaviour::always(Reply::bytes(200, body.clone()).cut_after(cut))).await;
    let stream = chat(&provider, &json!({})).await;
    tokio::time::sleep(50 * MS).await;
    let (text, _) = read(stream).await;
    let (head, rest) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 8388608"));
    assert_eq!(rest.len(), cut);
    provider.set(Reply::stream(&["abc"]).cut_after(30));
    let (text, _) = read(chat(&provider, &json!({})).await).await;
    assert!(text.ends_with("\r\n") && !text.contains("0\r\n\r\n"));
    provider.set(Reply::bytes(200, "short").cut_after(99));
    let (text, _) = read(chat(&provider, &json!({})).await).await;
    assert!(text.contains("short") && !text.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn silence_closing_and_resets_before_the_head() {
    let provider = start(Behaviour::always(Reply::close())).await;
    assert_eq!(read(chat(&provider, &json!({})).await).await, (String::new(), None));
    provider.set(Reply::reset());
    let (text, end) = read(chat(&provider, &json!({})).await).await;
    assert_eq!((text.as_str(), end), ("", Some(ErrorKind::ConnectionReset)));
    assert!(provider.cancelled().is_empty());
    provider.set(Reply::hang());
    let stream = chat(&provider, &json!({})).await;
    assert!(provider.wait_until(SOON, |provider| provider.requests().len() == 3).await);
    tokio::time::sleep(20 * MS).await;
    assert!(provider.cancelled().is_empty());
    drop(stream);
    assert!(provider.wait_until(SOON, |provider| provider.cancelled().len() == 1).await);
    assert_eq!(provider.cancelled()[0].number, 2);
}

#[tokio::test]
async fn a_client_that_leaves_a_stalled_stream_is_noticed() {
    let provider = start(Behaviour::always(Reply::stream(&["Good"]).stall())).await;
    let mut stream = chat(&provider, &json!({"stream": true})).await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"Good\"},\"finish_reason\":null}]}\n\n\r\n") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
    }
    let left = provider.now();
    drop(stream);
    assert!(provider.wait_until(SOON, |provider| provider.cancelled().len() == 1).await);
    assert!(provider.cancelled()[0].at >= left);
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_upload_is_cancelled_and_counted() {
    let provider = start(Behaviour::always(Reply::completion("x"))).await;
    let mut stream = TcpStream::connect(provider.address()).await.unwrap();
    stream
        .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab")
        .await
        .unwrap();
    assert!(provider.wait_until(SOON, |provider| provider.count() == 1).await);
    drop(stream);
    assert!(provider.wait_until(SOON, |provider| provider.cancelled().len() == 1).await);
    assert!(provider.requests().is_empty());
}

#[tokio::test]
async fn waits_are_kept_before_head_body_and_pieces() {
    let provider =
        start(Behaviour::always(Reply::stream(&["a", "b"]).after(40 * MS).gap(40 * MS))).await;
    let start = provider.now();
    let stream = chat(&provider, &json!({"stream": true})).await;
    stream.readable().await.unwrap();
    assert!(provider.now().saturating_sub(start) >= 40 * MS);
    read(stream).await;
    assert!(provider.now().saturating_sub(start) >= 120 * MS);
    provider.set(Reply::json(200, &json!({})).body_after(60 * MS));
    let start = provider.now();
    let mut stream = chat(&provider, &json!({})).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_buf(&mut head).await.unwrap();
    }
    assert!(read(stream).await.0 == "{}" && provider.now().saturating_sub(start) >= 60 * MS);
}

#[tokio::test]
async fn raw_events_go_out_write_by_write() {
    let events = Events::chat("m");
    let provider = start(Behaviour::always(Reply::events(vec![
        (Duration::ZERO, Events::comment("OPENROUTER PROCESSING")),
        (20 * MS, events.role()),
        (20 * MS, Bytes::from_static(b"data: {\"half\":")),
        (20 * MS, Bytes::from_static(b"1}\n\n")),
        (Duration::ZERO, Events::error("no", "server_error", "x")),
    ])))
    .await;
    let reply = ask(&provider, &json!({})).await;
    assert!(reply.body.starts_with(": OPENROUTER PROCESSING\n\ndata: {\"id\""));
    assert!(reply.body.contains("{\"half\":1}\n\ndata: {\"error\""));
}

#[tokio::test]
async fn lengths_can_lie() {
    let provider = start(Behaviour::always(Reply::bytes(200, "abc").claiming_length(10))).await;
    let (text, _) = read(chat(&provider, &json!({})).await).await;
    assert!(text.contains("content-length: 10") && text.ends_with("\r\n\r\nabc"));
    provider.set(Reply::bytes(200, "abc").claiming_length(2));
    assert_eq!(ask(&provider, &json!({})).await.body, "ab");
    assert!(provider.cancelled().is_empty());
}

#[tokio::test]
async fn an_early_reply_does_not_wait_for_the_upload() {
    let provider = start(Behaviour::always(Reply::rate_limited(None).before_body())).await;
    let mut stream = TcpStream::connect(provider.address()).await.unwrap();
    stream
        .write_all(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n{",
        )
        .await
        .unwrap();
    let mut seen = vec![0; 12];
    stream.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, b"HTTP/1.1 429");
}

#[tokio::test]
async fn five_hundred_connections_and_a_body_of_twenty_megabytes() {
    let provider = Arc::new(start(Behaviour::always(Reply::answer(&["a"]).after(50 * MS))).await);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let provider = Arc::clone(&provider);
        clients.spawn(async move { ask(&provider, &json!({"model": "m"})).await.status });
    }
    assert!(clients.join_all().await.iter().all(|status| *status == 200));
    assert_eq!((provider.count(), provider.connections_total()), (500, 500));
    let body = json!({"text": "x".repeat(20_000_000), "model": "late"});
    assert_eq!(ask(&provider, &body).await.json()["model"], "late");
    let last = provider.requests().pop().unwrap();
    assert_eq!((last.body.len(), last.body_length), (65_536, body.to_string().len() as u64));
}

#[tokio::test]
async fn connections_are_reused_and_end_with_the_provider() {
    let provider = start(Behaviour::always(Reply::bytes(200, "ok"))).await;
    let mut stream = TcpStream::connect(provider.address()).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\nok") {
            stream.read_buf(&mut seen).await.unwrap();
        }
    }
    assert_eq!((provider.count(), provider.connections_total()), (3, 1));
    assert_eq!(provider.open_connections(), 1);
    let address = provider.address();
    provider.stop().await;
    assert_eq!(read(stream).await.0, "");
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    SimulatedProvider::start_on(address, Behaviour::always(Reply::hang())).await.unwrap();
}

#[tokio::test]
async fn a_connection_handed_in_may_speak_http2() {
    let provider = start(Behaviour::script([
        Reply::answer(&["Good", " day"]),
        Reply::stream(&["Good"]).cut(),
        Reply::close(),
        Reply::answer(&["again"]),
    ]))
    .await;
    let (near, far) = tokio::io::duplex(1 << 16);
    let server = tokio::spawn(provider.serve_connection(far, Protocol::Http2));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(near))
            .await
            .unwrap();
    let client = tokio::spawn(connection);
    let request = || {
        hyper::Request::post("http://test/v1/chat/completions")
            .body(Full::new(Bytes::from_static(br#"{"model":"m"}"#)))
            .unwrap()
    };
    let body = sender.send_request(request()).await.unwrap().collect().await.unwrap().to_bytes();
    assert!(body.windows(8).any(|window| window == b"Good day"));
    let mut body = sender.send_request(request()).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.collect().await.is_err());
    assert!(sender.send_request(request()).await.is_err());
    assert!(sender.send_request(request()).await.unwrap().status().is_success());
    assert_eq!((provider.count(), provider.connections_total()), (4, 1));
    drop(sender);
    client.abort();
    tokio::time::timeout(SOON, server).await.unwrap().unwrap();
    assert_eq!(provider.open_connections(), 0);
}

/// A limiting provider and the hand of its clock, in milliseconds since the Unix epoch.
async fn limiting(limits: Limits) -> (SimulatedProvider, Arc<AtomicU64>) {
    let hand = Arc::new(AtomicU64::new(1_795_000_000_000));
    let clock = Arc::clone(&hand);
    let clock = Clock::of(move || Duration::from_millis(clock.load(Ordering::Relaxed)));
    let setup = Setup { clock, recording: Recording::Count, ..Setup::default() };
    let provider = SimulatedProvider::start_with(Behaviour::Limiting(limits), setup).await.unwrap();
    (provider, hand)
}

fn per_minute(requests: u64, dialect: HeaderDialect) -> Limits {
    let quotas = Quotas { requests_per_minute: Some(requests), ..Quotas::default() };
    Limits { name: "groq-sim".to_owned(), quotas, dialect, ..Limits::default() }
}

#[tokio::test]
async fn a_limiting_provider_serves_its_quota_and_keeps_its_word() {
    let (provider, hand) = limiting(per_minute(3, HeaderDialect::OpenAi)).await;
    for left in ["2", "1", "0"] {
        let reply = ask(&provider, &json!({"model": "m"})).await;
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some(left));
        let reply = reply.json();
        let text = reply["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(text.starts_with("Hello from groq-sim. "), "{text}");
        assert_eq!(reply["usage"]["completion_tokens"], text.split(' ').count());
    }
    let refused = ask(&provider, &json!({"model": "m"})).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after-ms"), Some("20000"));
    assert_eq!(refused.header("x-ratelimit-reset-requests"), Some("1m0s"));
    assert_eq!(
        refused.json()["error"]["message"],
        "Rate limit reached for m in organization org-simulated on requests per min (RPM): \
         Limit 3, Used 3, Requested 1. Please try again in 20s."
    );
    hand.fetch_add(19_999, Ordering::Relaxed);
    assert_eq!(ask(&provider, &json!({"model": "m"})).await.header("retry-after-ms"), Some("1"));
    hand.fetch_add(1, Ordering::Relaxed);
    assert_eq!(ask(&provider, &json!({"model": "m"})).await.status, 200);
    assert_eq!(provider.count(), 6);
}

/// Sends one request too many and returns a header of the refusal and a text in its body.
async fn refusal(dialect: HeaderDialect, header: &str, pointer: &str) -> (Option<String>, String) {
    let (provider, _) = limiting(per_minute(1, dialect)).await;
    assert_eq!(ask(&provider, &json!({})).await.status, 200);
    let refused = ask(&provider, &json!({})).await;
    assert_eq!(refused.status, 429);
    let text = refused.json().pointer(pointer).unwrap().as_str().unwrap().to_owned();
    (refused.header(header).map(ToOwned::to_owned), text)
}

#[tokio::test]
async fn every_dialect_refuses_in_its_own_words() {
    let (wait, text) = refusal(HeaderDialect::Groq, "retry-after", "/error/message").await;
    assert_eq!(wait.unwrap(), "60");
    assert!(text.ends_with("Please try again in 1m0s."), "{text}");
    let reset = "x-ratelimit-reset-requests-minute";
    let (wait, code) = refusal(HeaderDialect::Cerebras, reset, "/code").await;
    assert_eq!((wait.as_deref(), code.as_str()), (Some("60"), "request_quota_exceeded"));
    let nested = "/error/metadata/headers/X-RateLimit-Reset";
    let (reset, same) = refusal(HeaderDialect::OpenRouter, "x-ratelimit-reset", nested).await;
    assert_eq!((reset.as_deref(), same.as_str()), (Some("1795000060000"), "1795000060000"));
    let left = "x-ratelimit-remaining-req-minute";
    let (left, code) = refusal(HeaderDialect::Mistral, left, "/code").await;
    assert_eq!((left.as_deref(), code.as_str()), (Some("0"), "1300"));
    let delay = "/0/error/details/1/retryDelay";
    let (none, delay) = refusal(HeaderDialect::Gemini, "retry-after", delay).await;
    assert_eq!((none, delay.as_str()), (None, "60s"));
    let (none, text) = refusal(HeaderDialect::Bare, "retry-after", "/error/message").await;
    assert_eq!((none, text.as_str()), (None, "Too many requests"));
}

#[tokio::test]
async fn tokens_are_reserved_and_a_request_beyond_the_limit_is_413_at_groq() {
    let quotas = Quotas { tokens_per_minute: Some(1_000), ..Quotas::default() };
    let limits =
        Limits { quotas, dialect: HeaderDialect::Groq, refill: Refill::Fixed, ..Limits::default() };
    let (provider, _) = limiting(limits).await;
    let reply = ask(&provider, &json!({"max_tokens": 2, "messages": []})).await;
    assert_eq!(reply.header("x-ratelimit-remaining-tokens"), Some("991"));
    assert_eq!(reply.json()["choices"][0]["finish_reason"], "length");
    let refused = ask(&provider, &json!({"max_tokens": 5_000})).await;
    assert_eq!(refused.status, 413);
    assert!(refused.json()["error"]["message"].as_str().unwrap().starts_with("Request too large"));
    assert_eq!(ask(&provider, &json!({"max_tokens": u64::MAX})).await.status, 413);
}

#[tokio::test]
async fn keys_and_models_are_checked_and_have_their_own_quotas() {
    let limits = Limits {
        keys: Some(vec!["k1".to_owned(), "k2".to_owned()]),
        models: Some(vec!["m".to_owned()]),
        ..per_minute(1, HeaderDialect::OpenAi)
    };
    let (provider, _) = limiting(limits).await;
    let status =
        async |head: &str, body: &str| answer(send(&provider, head, body).await).await.status;
    let chat =
        |key: &str| format!("POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer {key}");
    let body = r#"{"model":"m"}"#;
    assert_eq!(status("POST /v1/chat/completions HTTP/1.0", body).await, 401);
    assert_eq!(status(&chat("k3"), body).await, 401);
    assert_eq!(status(&chat("k1"), r#"{"model":"other"}"#).await, 404);
    assert_eq!(status(&chat("k1"), "no json").await, 400);
    assert_eq!(status(&chat("k1"), body).await, 200);
    assert_eq!(status(&chat("k1"), body).await, 429);
    assert_eq!(status(&chat("k2"), body).await, 200);
    let with_key = |line: &str| format!("{line} HTTP/1.0\r\nauthorization: Bearer k1");
    assert_eq!(status(&with_key("GET /v1/models"), "").await, 200);
    assert_eq!(status(&with_key("GET /v1/models/m"), "").await, 200);
    assert_eq!(status(&with_key("GET /v1/models/n"), "").await, 404);
    assert_eq!(status(&with_key("GET /v1/chat/completions"), "").await, 405);
    assert_eq!(status(&with_key("POST /v2/chat/completions"), body).await, 404);
}

#[tokio::test]
async fn concurrency_is_limited_and_given_back_when_a_client_leaves() {
    let quotas = Quotas { concurrent: Some(1), ..Quotas::default() };
    let limits = Limits { quotas, pace: Duration::from_mins(1), ..Limits::default() };
    let (provider, _) = limiting(limits).await;
    let busy = chat(&provider, &json!({"stream": true})).await;
    busy.readable().await.unwrap();
    let refused = ask(&provider, &json!({})).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, None));
    drop(busy);
    assert!(provider.wait_until(SOON, |provider| provider.cancelled().len() == 1).await);
    tokio::time::sleep(20 * MS).await;
    assert_eq!(ask(&provider, &json!({})).await.status, 200);
}
