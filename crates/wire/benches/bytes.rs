//! What the bytes of a request cost: scanning, splicing, reading the answer, framing events.

use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use wire::Endpoint;
use wire::chunk::classify;
use wire::json::quote;
use wire::reply::inspect;
use wire::request::RequestScan;
use wire::splice::{Edit, splice};
use wire::sse::Framer;

const SIZES: [usize; 2] = [1 << 10, 128 << 10];
const EVENTS: usize = 64;

fn main() {
    divan::main();
}

fn text(bytes: usize) -> String {
    "Nothing is ever said in vain. ".repeat(bytes / 30)
}

fn request(bytes: usize) -> Bytes {
    let content = text(bytes);
    let messages = format!(r#"[{{"role":"user","content":"{content}"}}]"#);
    format!(r#"{{"model":"default","messages":{messages},"stream":false}}"#).into()
}

fn answer(bytes: usize) -> Bytes {
    let message = format!(r#"{{"role":"assistant","content":"{}"}}"#, text(bytes));
    let choice = format!(r#"{{"index":0,"message":{message},"finish_reason":"stop"}}"#);
    let usage = r#"{"prompt_tokens":90,"completion_tokens":170,"total_tokens":260}"#;
    format!(r#"{{"id":"c","created":1,"choices":[{choice}],"usage":{usage}}}"#).into()
}

fn stream() -> Bytes {
    let event = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#;
    format!("{event}\n\n").repeat(EVENTS).into()
}

#[divan::bench(args = SIZES)]
fn scan_a_request(bencher: Bencher<'_, '_>, bytes: usize) {
    let body = request(bytes);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| RequestScan::parse(&body, Endpoint::Chat).is_ok());
}

#[divan::bench(args = SIZES)]
fn put_a_model_in(bencher: Bencher<'_, '_>, bytes: usize) {
    let body = request(bytes);
    let Ok(scan) = RequestScan::parse(&body, Endpoint::Chat) else { return };
    bencher.bench(|| {
        let edits = Edit::set(&scan.layout, "model", &quote("llama-3.3-70b-versatile"));
        splice(&body, &scan.layout, &edits)
    });
}

#[divan::bench(args = SIZES)]
fn read_an_answer(bencher: Bencher<'_, '_>, bytes: usize) {
    let body = answer(bytes);
    bencher.counter(BytesCount::new(body.len())).bench(|| inspect(&body));
}

#[divan::bench]
fn frame_a_stream(bencher: Bencher<'_, '_>) {
    let bytes = stream();
    bencher.counter(EVENTS).bench(|| {
        let mut framer = Framer::new(1 << 20);
        framer.push(bytes.clone());
        std::iter::from_fn(|| framer.next_event()).count()
    });
}

#[divan::bench]
fn frame_and_classify_a_stream(bencher: Bencher<'_, '_>) {
    let bytes = stream();
    bencher.counter(EVENTS).bench(|| {
        let mut framer = Framer::new(1 << 20);
        framer.push(bytes.clone());
        let events = std::iter::from_fn(|| framer.next_event()).flatten();
        events.filter(|event| classify(&event.data(), event.name()).text.is_some()).count()
    });
}
