//! A client that hides nothing of what is on the wire.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::SOON;

/// A request, byte for byte.
#[derive(Clone)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    host: Option<&'static str>,
    content_type: &'static str,
    headers: String,
    body: Vec<u8>,
}

pub(crate) fn post(path: &str) -> Request {
    Request::new("POST", path)
}

impl Request {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            host: None,
            content_type: "application/json",
            headers: String::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let _ = write!(self.headers, "{name}: {value}\r\n");
        self
    }

    pub(crate) fn host(mut self, host: &'static str) -> Self {
        self.host = Some(host);
        self
    }

    pub(crate) fn content_type(mut self, kind: &'static str) -> Self {
        self.content_type = kind;
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw(body.to_string())
    }

    pub(crate) fn raw(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn head(&self, address: SocketAddr) -> String {
        let Self { method, path, content_type, headers, body, .. } = self;
        let host = self.host.map_or_else(|| address.to_string(), str::to_owned);
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-type: {content_type}\r\ncontent-length: {length}\r\n{headers}\r\n"
        )
    }
}

/// An answer under way.
pub(crate) struct Listening {
    stream: TcpStream,
    raw: Vec<u8>,
    ended: bool,
}

/// An answer at its end.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to the end that its framing promises.
    pub(crate) whole: bool,
}

impl Listening {
    pub(crate) async fn open(address: SocketAddr, request: Request) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = request.head(address);
        let sending = async {
            // Who refuses a body early may close before it is all sent.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&request.body).await;
        };
        tokio::time::timeout(SOON * 2, sending).await.expect("the request is taken");
        Self { stream, raw: Vec::new(), ended: false }
    }

    async fn read_some(&mut self) {
        let read = self.stream.read_buf(&mut self.raw);
        let read = tokio::time::timeout(SOON * 2, read)
            .await
            .unwrap_or_else(|_| panic!("silence after {:?}", self.text()));
        self.ended |= read.unwrap_or(0) == 0;
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    /// Reads until the answer contains this text.
    pub(crate) async fn until(&mut self, text: &str) {
        while !self.text().contains(text) {
            assert!(!self.ended, "no {text:?} in {:?}", self.text());
            self.read_some().await;
        }
    }

    /// Whether nothing at all has come within this time.
    pub(crate) async fn is_silent_for(&mut self, time: Duration) -> bool {
        let read = self.stream.read_buf(&mut self.raw);
        tokio::time::timeout(time, read).await.is_err()
    }

    /// Reads to the end of the connection.
    pub(crate) async fn finish(mut self) -> Heard {
        while !self.ended {
            self.read_some().await;
        }
        Heard::parse(&self.raw)
    }
}

impl Heard {
    fn parse(raw: &[u8]) -> Self {
        let shown = || String::from_utf8_lossy(&raw[..raw.len().min(2000)]).into_owned();
        let at = find(raw, b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {:?}", shown()));
        let head = String::from_utf8_lossy(&raw[..at]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap_or((line, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let rest = &raw[at + 4..];
        let mut parsed = Self { status, headers, body: rest.to_vec(), whole: true };
        if parsed.header("transfer-encoding") == Some("chunked") {
            (parsed.body, parsed.whole) = unchunked(rest);
        } else if let Some(length) = parsed.header("content-length") {
            parsed.whole = length.parse() == Ok(rest.len());
        }
        parsed
    }

    /// The value of a header; several in a row, joined.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(one, _)| one == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice in {:?}", self.headers);
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The data of each event but `[DONE]`, as JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.text()
            .split("\n\n")
            .filter_map(|event| event.trim_start_matches('\n').strip_prefix("data: "))
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("JSON in {data:?}")))
            .collect()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.text().ends_with("data: [DONE]\n\n")
    }

    /// What the answer says, in either form.
    pub(crate) fn said(&self) -> String {
        let is_stream =
            self.header("content-type").is_some_and(|kind| kind.contains("event-stream"));
        if !is_stream {
            let content = &self.json()["choices"][0]["message"]["content"];
            return content.as_str().unwrap_or_default().to_owned();
        }
        let texts = self.events();
        let text = |event: &Value| {
            let text = event["choices"][0]["delta"]["content"].as_str();
            text.unwrap_or_default().to_owned()
        };
        texts.iter().map(text).collect()
    }

    /// The provider that served, or failed last.
    pub(crate) fn by(&self) -> &str {
        self.header("x-provider").unwrap_or_default()
    }

    /// The answer is a complete one and says this.
    #[track_caller]
    pub(crate) fn assert_says(&self, text: &str) {
        let shown = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, 200, "{:?} {shown}", self.headers);
        assert!(self.whole, "{shown}");
        assert_eq!(self.said(), text, "{:?} {shown}", self.headers);
    }
}

fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(at) = find(rest, b"\r\n") {
        let size = std::str::from_utf8(&rest[..at]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        rest = &rest[at + 2..];
        if size == 0 {
            return (body, true);
        }
        let Some(chunk) = rest.get(..size) else { break };
        body.extend_from_slice(chunk);
        rest = rest.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, what)
}
