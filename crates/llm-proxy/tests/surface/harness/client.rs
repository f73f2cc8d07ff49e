//! A client that sends exactly the bytes it is told, and reads answers off the socket itself.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The only header of this name.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(one, _)| one == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert_eq!(found.next(), None, "{name} twice");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The code of an error in `OpenAI`'s shape.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, String) {
        let json = self.json();
        let error = &json["error"];
        for key in ["message", "type", "code"] {
            assert!(error[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {json}");
        }
        assert!(error.get("param").is_some(), "{json}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        (self.status, error["code"].as_str().unwrap().to_owned())
    }

    /// Who served.
    #[track_caller]
    pub(crate) fn provider(&self) -> &str {
        assert_eq!(self.status, 200, "{}", self.text());
        self.header("x-provider").unwrap()
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Writes as long as the other end takes it.
    pub(crate) async fn offer(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// The next answer, to a request that was no HEAD.
    pub(crate) async fn answer(&mut self) -> Answer {
        timeout(PATIENCE, self.next(true)).await.expect("no answer")
    }

    /// The next answer, to a HEAD.
    pub(crate) async fn head(&mut self) -> Answer {
        timeout(PATIENCE, self.next(false)).await.expect("no answer")
    }

    async fn next(&mut self, with_body: bool) -> Answer {
        let mut answer = self.read_head().await;
        if !with_body || matches!(answer.status, 100..200 | 204 | 304) {
            return answer;
        }
        let chunked = answer.header("transfer-encoding") == Some("chunked");
        answer.body = match answer.header("content-length") {
            _ if chunked => self.chunks().await,
            Some(length) => self.take(length.parse().unwrap()).await,
            None => {
                while self.more().await {}
                std::mem::take(&mut self.read)
            }
        };
        answer
    }

    async fn read_head(&mut self) -> Answer {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await).unwrap();
        let mut lines = head.lines();
        let first = lines.next().unwrap();
        let (version, status) = (&first[..8], &first[9..12]);
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Answer {
            version: version.to_owned(),
            status: status.parse().unwrap(),
            headers: headers.collect(),
            body: Vec::new(),
        }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.until(b"\r\n").await).unwrap();
            let length = usize::from_str_radix(line.trim(), 16).unwrap();
            body.extend(self.take(length).await);
            self.until(b"\r\n").await;
            if length == 0 {
                return body;
            }
        }
    }

    /// Reads up to and with the mark.
    pub(crate) async fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        let find = |read: &[u8]| read.windows(mark.len()).position(|window| window == mark);
        let found = timeout(PATIENCE, async {
            loop {
                if let Some(at) = find(&self.read) {
                    return at;
                }
                let more = self.more().await;
                assert!(more, "cut: {:?}", String::from_utf8_lossy(&self.read));
            }
        });
        let at = found.await.expect("the mark does not come");
        self.take(at + mark.len()).await
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(self.more().await, "cut");
        }
        let rest = self.read.split_off(length);
        std::mem::replace(&mut self.read, rest)
    }

    async fn more(&mut self) -> bool {
        self.stream.read_buf(&mut self.read).await.unwrap_or(0) > 0
    }

    /// Whether the other end closes.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let more = timeout(PATIENCE, self.more()).await;
        more.is_ok_and(|more| !more)
    }
}

/// Sends these bytes on a connection of their own and reads one answer.
pub(crate) async fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Answer {
    let mut wire = Wire::open(address).await;
    wire.write(bytes).await;
    wire.answer().await
}

/// Asks as a tool would.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n")).await
}

/// Posts as a tool would, with further header lines.
pub(crate) async fn post(address: SocketAddr, path: &str, headers: &[&str], body: &str) -> Answer {
    let host = format!("host: {address}");
    let length = format!("content-length: {}", body.len());
    let mut lines = [&[host.as_str(), &length], headers].concat();
    if !headers.iter().any(|line| line.to_lowercase().starts_with("content-type")) {
        lines.push("content-type: application/json");
    }
    let lines = lines.join("\r\n");
    send(address, format!("POST {path} HTTP/1.1\r\n{lines}\r\n\r\n{body}")).await
}
