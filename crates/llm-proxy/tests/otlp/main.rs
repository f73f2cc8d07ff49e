//! Traces: what a collector gets of the built binary's requests.
#![cfg(test)]

#[path = "../surface/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "it is shared with the tests of the surface")]
mod harness;
mod spans;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::{Place, Proxy, QUESTION, STREAMED, acting, entry, eventually};
use rustix::process::Signal;
use simulated::{Behaviour, Reply, SimulatedProvider};
use spans::{Span, spans};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A collector of traces.
#[derive(Debug)]
struct Collector {
    base: String,
    got: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let got = Arc::<Mutex<Vec<_>>>::default();
        let into = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(collect(stream, Arc::clone(&into)));
            }
        });
        Self { base, got }
    }

    fn spans(&self) -> Vec<Span> {
        self.got.lock().unwrap().iter().flat_map(|export| spans(export)).collect()
    }

    /// Waits for so many spans.
    async fn wait_for(&self, count: usize) -> Vec<Span> {
        eventually("the spans", async || self.spans().len() >= count).await;
        let spans = self.spans();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }
}

async fn collect(mut stream: TcpStream, into: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut read = Vec::new();
    loop {
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let head = String::from_utf8(read[..end].to_vec()).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        assert!(head.contains("x-team: blue"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().trim().parse().unwrap();
        while read.len() < end + 4 + length {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0);
        }
        let body: Vec<u8> = read.drain(..end + 4 + length).skip(end + 4).collect();
        into.lock().unwrap().push(body);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    }
}

/// A proxy that exports to `collector`, with a first provider that is out and a second that
/// answers.
async fn exporting_to(collector: &str, delay: &str) -> (Proxy, [SimulatedProvider; 2]) {
    let first = acting(Behaviour::always(Reply::rate_limited(Some("600")))).await;
    let second = acting(Behaviour::always(Reply::answer(&["a secret", " answer"]))).await;
    let providers = [entry("first", &first), entry("second", &second)].concat();
    let mut place = Place::with(&format!("providers:\n{providers}"));
    place.set("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    place.set("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue");
    place.set("OTEL_BSP_SCHEDULE_DELAY", delay);
    (Proxy::start(place).await, [first, second])
}

#[tokio::test]
async fn a_request_is_a_span_with_one_below_it_for_each_attempt() {
    let collector = Collector::start().await;
    let (proxy, _providers) = exporting_to(&collector.base, "50").await;
    assert_eq!(proxy.chat(QUESTION).await.status, 200);
    let spans = collector.wait_for(3).await;
    let of_kind = |kind: u64| spans.iter().filter(move |span| span.kind == kind);
    let request = of_kind(2).next().unwrap();
    let mut attempts: Vec<_> = of_kind(3).collect();
    attempts.sort_by_key(|span| span.start);
    assert_eq!((request.name.as_str(), attempts.len()), ("chat", 2));
    for attempt in &attempts {
        assert_eq!(attempt.trace, request.trace);
        assert_eq!(attempt.parent, request.id);
        assert!(attempt.start >= request.start);
        assert!(attempt.end <= request.end);
    }
    let told = &request.attributes;
    assert_eq!(told["gen_ai.operation.name"], "chat");
    assert_eq!(told["gen_ai.provider.name"], "second");
    assert_eq!(told["gen_ai.response.model"], "second-model");
    assert_eq!(told["http.response.status_code"], "200");
    assert_eq!(told["llm_proxy.attempts"], "2");
    assert!(told.contains_key("gen_ai.usage.output_tokens") && !told.contains_key("error.type"));
    let failed = attempts.iter().find(|span| span.name == "chat first-model").unwrap();
    assert_eq!(failed.attributes["error.type"], "rate_limited");
    assert_eq!(failed.status, 2);
    let all = format!("{spans:?}");
    for private in ["Hello", "secret", "key-of"] {
        assert!(!all.contains(private), "{private} is in the traces");
    }
}

#[tokio::test]
async fn a_stream_is_told_when_it_has_ended() {
    let collector = Collector::start().await;
    let (proxy, _providers) = exporting_to(&collector.base, "50").await;
    assert_eq!(proxy.chat(STREAMED).await.status, 200);
    let spans = collector.wait_for(3).await;
    let request = spans.iter().find(|span| span.name == "chat").unwrap();
    assert!(request.attributes.contains_key("gen_ai.response.time_to_first_chunk"));
}

#[tokio::test]
async fn what_waits_is_exported_at_the_end() {
    let collector = Collector::start().await;
    let (mut proxy, _providers) = exporting_to(&collector.base, "3600000").await;
    assert_eq!(proxy.chat(QUESTION).await.status, 200);
    assert!(collector.spans().is_empty());
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().await.success());
    assert_eq!(collector.spans().len(), 3);
}

#[tokio::test]
async fn a_collector_that_hangs_or_is_gone_holds_nothing_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for collector in [silent.local_addr().unwrap().to_string(), "127.0.0.1:9".to_owned()] {
        let (mut proxy, _providers) = exporting_to(&format!("http://{collector}"), "20").await;
        for _ in 0..5 {
            assert_eq!(proxy.chat(QUESTION).await.status, 200);
        }
        proxy.signal(Signal::TERM);
        let ended = tokio::time::timeout(Duration::from_secs(15), proxy.ended()).await;
        assert!(ended.unwrap().success());
    }
}
