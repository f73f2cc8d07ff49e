//! A provider and its clients in one process, so that one clock measures both ends of what stands
//! between them: for benches, which drive it by lines of JSON.
//!
//! It prints the provider's base URL, then obeys each line on stdin with one line on stdout and
//! ends with its stdin:
//!
//! * `{"rate": {"port": P, "per_second": N, "connections": C, "seconds": S}}`: plain requests at a
//!   fixed rate; answered with the percentiles of the time for an answer, in microseconds.
//! * `{"streams": {"port": P, "count": N, "events": E, "gap_ms": G}}`: streams at once; answered
//!   with the percentiles of an event's delay and with the events that came with one read.
//! * `{"hold": {"port": P, "count": N}}`: streams that have begun and go no further, beside those
//!   that are held already; `{"release": true}` lets all go.
//! * `{"bodies": {"port": P, "count": N, "bytes": B}}`: requests of that size at once.

use std::io::{self, BufRead as _, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

type Done<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A marker in the request's text tells the provider how to answer: events and their distance in
/// milliseconds; no events is a plain answer.
const MARKER: &str = "pace:";

/// Events after which a held stream would go on: never, while anyone looks.
const HELD_GAP_MS: u64 = 3_600_000;

fn main() -> Done<()> {
    let (sender, mut orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say(&format!("http://{}/v1", listener.local_addr()?))?;
        tokio::spawn(provide(listener));
        let mut held = Vec::new();
        while let Some(line) = orders.recv().await {
            let order: Value = serde_json::from_str(&line)?;
            say(&obey(&order, &mut held).await?.to_string())?;
        }
        Ok(())
    })
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

async fn obey(order: &Value, held: &mut Vec<TcpStream>) -> Done<Value> {
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap_or(1);
    if let Some(rate) = order.get("rate") {
        let port = number(rate, "port");
        let connections = number(rate, "connections");
        let gap = Duration::from_secs(1) * connections as u32 / number(rate, "per_second") as u32;
        let each = number(rate, "per_second") * number(rate, "seconds") / connections;
        return at_rate(port, connections, gap, each).await;
    }
    if let Some(streams) = order.get("streams") {
        let marker = (number(streams, "events"), streams["gap_ms"].as_u64().unwrap_or(0));
        return watch(number(streams, "port"), number(streams, "count"), marker).await;
    }
    if let Some(hold) = order.get("hold") {
        for _ in 0..number(hold, "count") {
            let mut stream = ask(number(hold, "port"), (2, HELD_GAP_MS), 0).await?;
            let mut first = [0; 4096];
            if stream.read(&mut first).await? == 0 {
                return Err("a held stream ended".into());
            }
            held.push(stream);
        }
        return Ok(json!({"held": held.len()}));
    }
    if let Some(bodies) = order.get("bodies") {
        let mut asking = JoinSet::new();
        let (port, bytes) = (number(bodies, "port"), number(bodies, "bytes") as usize);
        for _ in 0..number(bodies, "count") {
            asking.spawn(async move {
                let mut stream = ask(port, (0, 0), bytes).await?;
                read_answer(&mut stream, &mut Vec::new()).await
            });
        }
        while let Some(done) = asking.join_next().await {
            done??;
        }
        return Ok(json!({"done": true}));
    }
    held.clear();
    Ok(json!({"held": 0}))
}

// The clients.

async fn at_rate(port: u64, connections: u64, gap: Duration, each: u64) -> Done<Value> {
    let mut workers = JoinSet::new();
    for worker in 0..connections {
        workers.spawn(async move {
            let offset = gap * worker as u32 / connections as u32;
            let mut stream = connect(port).await?;
            let request = request((0, 0), 0);
            let mut buffer = Vec::new();
            tokio::time::sleep(offset).await;
            let mut ticks = tokio::time::interval(gap);
            let mut took = Vec::new();
            for _ in 0..each {
                ticks.tick().await;
                let sent = now();
                stream.write_all(&request).await?;
                read_answer(&mut stream, &mut buffer).await?;
                took.push(now() - sent);
            }
            Done::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = workers.join_next().await {
        all.extend(done??);
    }
    Ok(percentiles(all))
}

async fn watch(port: u64, count: u64, marker: (u64, u64)) -> Done<Value> {
    let mut watchers = JoinSet::new();
    for _ in 0..count {
        watchers.spawn(async move {
            let mut stream = ask(port, marker, 0).await?;
            let (mut delays, mut reads) = (Vec::new(), 0_u64);
            let mut buffer = vec![0; 1 << 16];
            loop {
                let length = stream.read(&mut buffer).await?;
                let arrived = now();
                let sent = stamps(&buffer[..length]);
                delays.extend(sent.iter().map(|sent| arrived.saturating_sub(*sent)));
                reads += u64::from(!sent.is_empty());
                if length == 0 || buffer[..length].windows(5).any(|tail| tail == b"0\r\n\r\n") {
                    return Done::Ok((delays, reads));
                }
            }
        });
    }
    let (mut delays, mut reads) = (Vec::new(), 0);
    while let Some(done) = watchers.join_next().await {
        let (more, with_reads) = done??;
        delays.extend(more);
        reads += with_reads;
    }
    let events = delays.len();
    let mut told = percentiles(delays);
    told["events"] = events.into();
    told["events_per_read"] = (events as f64 / (reads.max(1)) as f64).into();
    Ok(told)
}

/// The moments at which the events in `bytes` were sent.
fn stamps(bytes: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(bytes);
    let pieces = text.split("\"content\":\"").skip(1);
    pieces.filter_map(|piece| piece.split('"').next()?.parse().ok()).collect()
}

fn percentiles(mut nanos: Vec<u64>) -> Value {
    nanos.sort_unstable();
    let at = |share: usize| {
        let index = (nanos.len() * share / 100).min(nanos.len().saturating_sub(1));
        nanos.get(index).map_or(0.0, |nanos| *nanos as f64 / 1000.0)
    };
    json!({"count": nanos.len(), "p50": at(50), "p99": at(99)})
}

async fn connect(port: u64) -> Done<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", u16::try_from(port)?)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn ask(port: u64, marker: (u64, u64), bytes: usize) -> Done<TcpStream> {
    let mut stream = connect(port).await?;
    stream.write_all(&request(marker, bytes)).await?;
    Ok(stream)
}

fn request((events, gap_ms): (u64, u64), padding: usize) -> Vec<u8> {
    let body = json!({
        "model": "default",
        "stream": events > 0,
        "messages": [{
            "role": "user",
            "content": format!("{MARKER}{events}:{gap_ms}; {}", "a word ".repeat(40 + padding / 7)),
        }],
    })
    .to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// Reads one answer with a stated length.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Done<()> {
    buffer.clear();
    let mut wanted = usize::MAX;
    while buffer.len() < wanted {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the connection ended".into());
        }
        if wanted == usize::MAX
            && let Some(length) = head_length(buffer)
        {
            if !buffer.starts_with(b"HTTP/1.1 200") {
                return Err(String::from_utf8_lossy(buffer).into_owned().into());
            }
            wanted = length + stated_length(&buffer[..length]);
        }
    }
    Ok(())
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
}

fn stated_length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = text.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

// The provider.

async fn provide(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(answer_all(stream));
    }
}

async fn answer_all(mut stream: TcpStream) -> Done<()> {
    let mut bytes = Vec::new();
    loop {
        let length = loop {
            if let Some(head) = head_length(&bytes)
                && bytes.len() >= head + stated_length(&bytes[..head])
            {
                break head + stated_length(&bytes[..head]);
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let wanted = marker_in(&bytes[..length]);
        bytes.drain(..length);
        match wanted {
            (0, _) => stream.write_all(plain()).await?,
            (events, gap_ms) => play(&mut stream, events, gap_ms).await?,
        }
    }
}

fn marker_in(request: &[u8]) -> (u64, u64) {
    let near = &request[..request.len().min(2048)];
    let text = String::from_utf8_lossy(near);
    let mut numbers = text
        .split(MARKER)
        .nth(1)
        .and_then(|rest| rest.split(';').next())
        .map(|numbers| numbers.split(':').filter_map(|number| number.parse().ok()))
        .into_iter()
        .flatten();
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

async fn play(stream: &mut TcpStream, events: u64, gap_ms: u64) -> Done<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(gap_ms.max(1)));
    for _ in 0..events {
        if gap_ms > 0 {
            // Nothing more is asked on this connection, so that what comes is its end.
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stream.read_u8() => return Err("the reader left".into()),
            }
        }
        let event = format!("data: {}\n\n", chunk(&now().to_string(), Value::Null));
        stream.write_all(piece(&event).as_bytes()).await?;
    }
    let last = format!("data: {}\n\ndata: [DONE]\n\n", chunk("", "stop".into()));
    stream.write_all(format!("{}0\r\n\r\n", piece(&last)).as_bytes()).await?;
    Ok(())
}

fn piece(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn chunk(content: &str, finish_reason: Value) -> Value {
    let delta = if content.is_empty() { json!({}) } else { json!({ "content": content }) };
    json!({
        "id": "chatcmpl-pace", "object": "chat.completion.chunk", "created": 1, "model": "pace",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    })
}

fn plain() -> &'static [u8] {
    static ANSWER: OnceLock<Vec<u8>> = OnceLock::new();
    ANSWER.get_or_init(|| {
        let body = json!({
            "id": "chatcmpl-pace", "object": "chat.completion", "created": 1, "model": "pace",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "Nothing is said in vain. ".repeat(28)},
                "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 90, "completion_tokens": 170, "total_tokens": 260},
        })
        .to_string();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    })
}

/// Nanoseconds of this process.
#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    static LAST: AtomicU64 = AtomicU64::new(0);
    let start = START.get_or_init(Instant::now);
    let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    LAST.fetch_max(nanos, Ordering::Relaxed).max(nanos)
}
