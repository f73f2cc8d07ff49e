//! A reply in one piece: read whole before anything goes to the client, so that an error, a web
//! page or an empty answer under a 200 can still rotate.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use wire::reply::{ReplyFacts, Shape, inspect};
use wire::usage::Usage;

use super::failure::Failure;
use super::opened::Opened;
use super::send::{Asked, describe};

/// The largest answer in one piece; a larger one is not an answer of a language model.
pub(super) const LARGEST_ANSWER: usize = 64 << 20;

/// An answer in one piece.
#[derive(Debug)]
pub(crate) struct PlainReply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) usage: Option<Usage>,
}

/// Reads a body to its end.
pub(super) async fn collect(
    opened: Opened,
    most: usize,
    silence: Duration,
) -> Result<Bytes, Failure> {
    let Opened { mut body, mut decoder, mut first } = opened;
    let mut whole = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(silence, body.frame()).await {
            Err(_) => return Err(Failure::silence("the reply stopped in the middle")),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(Failure::lost(describe(&error))),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        let piece = decoder.push(piece).map_err(|error| Failure::lost(error.to_string()))?;
        if first.len() + whole.len() + piece.len() > most {
            return Err(Failure::no_answer("the reply is too large"));
        }
        // Most replies come in one piece, which then need not be copied.
        if first.is_empty() && whole.is_empty() {
            first = piece;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&piece);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// Tells an answer from what only looks like one.
pub(super) fn judge(
    body: &[u8],
    asked: &Asked,
    status: u16,
    headers: &HeaderMap,
) -> Result<ReplyFacts, Failure> {
    let facts = inspect(body);
    match facts.shape {
        Shape::Completion if generated(&facts) => Ok(facts),
        Shape::Completion => {
            Err(Failure::no_answer("the answer is empty and no token was generated"))
        }
        Shape::ErrorInside => Err(asked
            .error_inside(status, headers, body)
            .unwrap_or_else(|| Failure::no_answer("the reply has no choices"))),
        Shape::NotJson => Err(Failure::no_answer(not_json(body))),
    }
}

/// An answer may be empty if tokens were spent on it, or a filter emptied it.
fn generated(facts: &ReplyFacts) -> bool {
    let tokens = facts.usage.as_ref().and_then(|usage| usage.completion_tokens);
    facts.has_output
        || tokens.is_some_and(|tokens| tokens > 0)
        || facts.finish_reason.as_deref() == Some("content_filter")
}

fn not_json(body: &[u8]) -> &'static str {
    match body.trim_ascii().first() {
        None => "the reply is empty",
        Some(b'<') => "the reply is a web page",
        Some(_) => "the reply is not JSON",
    }
}
