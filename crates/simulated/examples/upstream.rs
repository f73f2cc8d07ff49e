//! One simulated provider as a process, for tests and benches written in other languages.
//!
//! It prints its base URL, then answers each line of JSON on stdin with one line of JSON on stdout
//! and ends with its stdin:
//!
//! * `{"script": [REPLY, ...]}` plays the replies in order, the last one again and again.
//! * `{"requests_per_minute": N}` keeps a true limit instead and refuses in Groq's words.
//! * `{}` changes nothing. Every line is answered with `count`, `cancelled` and `requests`.
//!
//! A REPLY is one of `{"json": VALUE}`, `{"text": "raw body"}`, `{"answer": ["pieces"]}` (plain or
//! streamed, as asked) and `{"events": [VALUE or "raw data", ...]}`, with, where wanted, `status`,
//! `headers`, `after_ms` (before the head), `gap_ms` (before each piece or event) and `ending`
//! (`"cut"` or `"stall"`). With the argument `--count` requests are counted and not kept.

use std::io::{self, BufRead as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use simulated::{
    Behaviour, HeaderDialect, Limits, Quotas, Recorded, Recording, Reply, Setup, SimulatedProvider,
};
use tokio::sync::mpsc;

fn main() -> io::Result<()> {
    let recording = if std::env::args().any(|argument| argument == "--count") {
        Recording::Count
    } else {
        Recording::default()
    };
    let (sender, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(obey(recording, orders))
}

async fn obey(recording: Recording, mut orders: mpsc::UnboundedReceiver<String>) -> io::Result<()> {
    let setup = Setup { recording, ..Setup::default() };
    let behaviour = Behaviour::always(Reply::answer(&["Hello", " there", "."]));
    let provider = SimulatedProvider::start_with(behaviour, setup).await?;
    say(&provider.base_url())?;
    while let Some(line) = orders.recv().await {
        let order: Value = serde_json::from_str(&line)?;
        if let Some(script) = order["script"].as_array() {
            provider.act(Behaviour::script(script.iter().map(reply)));
        }
        if let Some(limit) = order["requests_per_minute"].as_u64() {
            provider.act(Behaviour::Limiting(limited(limit)));
        }
        say(&seen(&provider).to_string())?;
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

fn seen(provider: &SimulatedProvider) -> Value {
    let requests: Vec<Value> = provider.requests().iter().map(request).collect();
    json!({
        "count": provider.count(),
        "cancelled": provider.cancelled().len(),
        "requests": requests,
    })
}

fn request(recorded: &Recorded) -> Value {
    let headers: serde_json::Map<String, Value> = recorded
        .headers
        .iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), text.into())
        })
        .collect();
    json!({
        "method": recorded.method.as_str(),
        "path": recorded.path,
        "headers": headers,
        "body": recorded.json(),
    })
}

fn limited(requests_per_minute: u64) -> Limits {
    Limits {
        quotas: Quotas { requests_per_minute: Some(requests_per_minute), ..Quotas::default() },
        dialect: HeaderDialect::Groq,
        ..Limits::default()
    }
}

fn reply(order: &Value) -> Reply {
    let wait = |name: &str| order[name].as_u64().map(Duration::from_millis);
    let gap = wait("gap_ms").unwrap_or_default();
    let mut reply = content(order, gap).gap(gap);
    if let Some(status) = order["status"].as_u64() {
        reply = reply.status(u16::try_from(status).unwrap_or_default());
    }
    for (name, value) in order["headers"].as_object().into_iter().flatten() {
        reply = reply.header(name, value.as_str().unwrap_or_default());
    }
    if let Some(wait) = wait("after_ms") {
        reply = reply.after(wait);
    }
    match order["ending"].as_str() {
        Some("cut") => reply.cut(),
        Some("stall") => reply.stall(),
        _ => reply,
    }
}

fn content(order: &Value, gap: Duration) -> Reply {
    if let Some(text) = order["text"].as_str() {
        return Reply::bytes(200, text.to_owned());
    }
    if let Some(pieces) = order["answer"].as_array() {
        let pieces: Vec<&str> = pieces.iter().filter_map(Value::as_str).collect();
        return Reply::answer(&pieces);
    }
    if let Some(events) = order["events"].as_array() {
        return Reply::events(events.iter().map(|data| (gap, event(data))).collect());
    }
    Reply::json(200, &order["json"])
}

fn event(data: &Value) -> Bytes {
    match data.as_str() {
        Some(raw) => format!("data: {raw}\n\n").into(),
        None => format!("data: {data}\n\n").into(),
    }
}
