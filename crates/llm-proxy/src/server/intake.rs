//! A request as it comes in: read once, checked, and held to its end.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine::{Abilities, Needs, Timestamp};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use wire::Endpoint;
use wire::json::View;
use wire::request::RequestScan;

use super::error::ProxyError;
use crate::buffers::apart;

/// Bytes of prompt per token, for estimates: English text has about four.
pub(super) const BYTES_PER_TOKEN: u64 = 4;

/// How long a body that is too large is read on and thrown away.
const LINGER: Duration = Duration::from_secs(3);

/// A request to be proxied.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) scan: RequestScan,
    pub(crate) arrived: Timestamp,
}

impl Intake {
    /// Reads what the request asks for.
    pub(crate) fn parse(
        endpoint: Endpoint,
        headers: HeaderMap,
        body: Bytes,
        arrived: Timestamp,
    ) -> Result<Self, ProxyError> {
        let scan = RequestScan::parse(&body, endpoint).map_err(|problem| {
            let code = if problem.param.is_some() { "invalid_value" } else { "invalid_json" };
            let message = format!("the request body cannot be read: {problem}");
            ProxyError::bad_request(code, message).about(problem.param)
        })?;
        Ok(Self { endpoint, headers, body, scan, arrived })
    }

    /// A top-level parameter's value; the last, should the name be there twice.
    pub(crate) fn parameter(&self, name: &str) -> Option<View<'_>> {
        self.scan.layout.named(name).last().and_then(|(_, member)| member.view(&self.body))
    }

    /// How many choices the client asks for, where that can be read.
    pub(crate) fn choices(&self) -> u32 {
        let given = self.parameter("n").and_then(|given| str::from_utf8(given.raw()).ok());
        given.and_then(|given| given.trim().parse().ok()).unwrap_or(1)
    }

    /// Lets go of the buffer that the headers were read into, for a request that is kept long.
    pub(crate) fn keep_apart(&mut self) {
        for value in self.headers.values_mut() {
            if let Ok(own) = HeaderValue::from_bytes(value.as_bytes()) {
                *value = own;
            }
        }
    }

    /// What the request needs, as far as it decides who can serve it.
    pub(crate) fn needs(&self, free_only: bool) -> Needs {
        let prompt = self.prompt_tokens();
        let most = self.scan.max_completion_tokens.or(self.scan.max_tokens);
        Needs {
            tokens: prompt.saturating_add(most.unwrap_or(0)),
            answer: most.unwrap_or(0),
            is_open_ended: most.is_none(),
            wants: self.wants(),
            free_only,
        }
    }

    /// The tokens of the prompt, estimated.
    pub(crate) const fn prompt_tokens(&self) -> u64 {
        self.scan.estimated_prompt_bytes as u64 / BYTES_PER_TOKEN
    }

    /// What it asks for beyond plain text.
    pub(super) fn wants(&self) -> Abilities {
        let scan = &self.scan;
        let asked = [
            (scan.has_images, Abilities::IMAGES),
            (scan.has_audio, Abilities::AUDIO),
            (scan.has_tools, Abilities::TOOLS),
            (scan.wants_json_schema, Abilities::JSON_SCHEMA),
            (scan.n.is_some_and(|n| n > 1), Abilities::SEVERAL_CHOICES),
            (self.requires_a_tool(), Abilities::REQUIRED_TOOLS),
        ];
        let wanted = asked.into_iter().filter(|(asks, _)| *asks);
        wanted.fold(Abilities::default(), |all, (_, one)| all | one)
    }

    fn requires_a_tool(&self) -> bool {
        let choice = || self.parameter("tool_choice").and_then(View::as_str);
        self.scan.has_tools && choice().as_deref() == Some("required")
    }
}

/// Reads a request's body, of at most `limit` bytes.
pub(crate) async fn read_body(mut body: Incoming, limit: u64) -> Result<Bytes, ProxyError> {
    let read = read_up_to(&mut body, limit).await;
    if read.as_ref().is_err_and(|error| error.status == StatusCode::PAYLOAD_TOO_LARGE) {
        // A client that is still sending would find the connection closed instead of our answer.
        let to_end = async { while let Some(Ok(_)) = body.frame().await {} };
        let _ = tokio::time::timeout(LINGER, to_end).await;
    }
    read
}

async fn read_up_to(body: &mut Incoming, limit: u64) -> Result<Bytes, ProxyError> {
    let announced = body.size_hint();
    if announced.lower() > limit {
        return Err(ProxyError::too_large(limit));
    }
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            ProxyError::bad_request("incomplete_body", "the request body ended before its time")
        })?;
        let Ok(piece) = frame.into_data() else { continue };
        if (first.len() + whole.len() + piece.len()) as u64 > limit {
            return Err(ProxyError::too_large(limit));
        }
        if first.is_empty() && whole.is_empty() {
            first = piece;
        } else {
            if whole.is_empty() {
                whole.reserve(usize::try_from(announced.lower()).unwrap_or(0).max(first.len()));
            }
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&piece);
        }
        // The length was announced: nobody need be woken to hear that nothing more comes.
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if whole.is_empty() { apart(first) } else { whole.freeze() })
}
