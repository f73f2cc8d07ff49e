//! A reply in one piece: read whole before anything goes to the client, so that an error, a web
//! page or an empty answer under a 200 can still rotate.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};
use wire::reply::{ReplyFacts, Shape, inspect};
use wire::usage::Usage;

use super::failure::Failure;
use super::opened::Opened;
use super::send::{Asked, describe};
use crate::clock;

/// The largest answer in one piece; a larger one is not an answer of a language model.
const LARGEST_ANSWER: usize = 64 << 20;

/// So much of an error's body is read; the reason stands at its beginning.
const LARGEST_ERROR: usize = 64 << 10;

/// An answer in one piece.
#[derive(Debug)]
pub(crate) struct PlainReply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) usage: Option<Usage>,
}

/// Bytes that are a sign of life of an answer that is late.
const SIGN_OF_LIFE: usize = 1 << 10;

/// How long a body may take.
struct Pace {
    silence: Duration,
    /// When it must be whole, unless it grows.
    due: Instant,
    grown: usize,
}

impl Pace {
    /// Until when the next piece must be there.
    fn deadline(&self) -> Instant {
        self.due.min(clock::deadline_in(self.silence))
    }

    /// Much of an answer gives it more time; single bytes do not.
    fn came(&mut self, bytes: usize) {
        self.grown += bytes;
        if self.grown >= SIGN_OF_LIFE {
            self.grown = 0;
            self.due = self.due.max(clock::deadline_in(self.silence));
        }
    }
}

/// A body of which a part is there.
struct Reading {
    opened: Opened,
    whole: BytesMut,
}

impl Reading {
    fn of(opened: Opened) -> Self {
        Self { opened, whole: BytesMut::new() }
    }

    /// Reads the next piece and tells its length before it was decoded; `None` at the end.
    async fn more(&mut self) -> Result<Option<usize>, Failure> {
        let Some(frame) = self.opened.body.frame().await else { return Ok(None) };
        let frame = frame.map_err(|error| Failure::lost(describe(&error)))?;
        let Ok(piece) = frame.into_data() else { return Ok(Some(0)) };
        let came = piece.len();
        let decoded = self.opened.decoder.push(piece);
        let piece = decoded.map_err(|error| Failure::lost(error.to_string()))?;
        let first = &mut self.opened.first;
        // Most replies come in one piece, which then need not be copied.
        if first.is_empty() && self.whole.is_empty() {
            *first = piece;
        } else {
            self.whole.extend_from_slice(&std::mem::take(first));
            self.whole.extend_from_slice(&piece);
        }
        Ok(Some(came))
    }

    fn len(&self) -> usize {
        self.opened.first.len() + self.whole.len()
    }

    fn finish(self) -> Bytes {
        if self.whole.is_empty() { self.opened.first } else { self.whole.freeze() }
    }
}

/// Reads an answer to its end, which must come within a time or grow well.
pub(super) async fn collect(
    opened: Opened,
    silence: Duration,
    within: Duration,
) -> Result<Bytes, Failure> {
    let mut pace = Pace { silence, due: clock::deadline_in(within), grown: 0 };
    let mut reading = Reading::of(opened);
    loop {
        let late = |_| Failure::silence("the reply stopped in the middle");
        match timeout_at(pace.deadline(), reading.more()).await.map_err(late)?? {
            Some(bytes) => pace.came(bytes),
            None => return Ok(reading.finish()),
        }
        if reading.len() > LARGEST_ANSWER {
            return Err(Failure::no_answer("the reply is too large"));
        }
    }
}

/// What comes of an error's body within a time: its head has told the most of it.
pub(super) async fn glimpse(opened: Opened, within: Duration) -> Bytes {
    let mut reading = Reading::of(opened);
    let until_enough = async {
        while reading.len() < LARGEST_ERROR && matches!(reading.more().await, Ok(Some(_))) {}
    };
    // Late is not wrong: what is there by then is taken.
    let _late = timeout(within, until_enough).await;
    reading.finish()
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
        Shape::Completion if generated(&facts, asked) => Ok(facts),
        Shape::Completion => {
            Err(Failure::no_answer("the answer is empty and no token was generated"))
        }
        Shape::ErrorInside => Err(asked
            .error_inside(status, headers, body)
            .unwrap_or_else(|| Failure::no_answer("the reply has no choices"))),
        Shape::NotJson => Err(Failure::no_answer(not_json(body))),
    }
}

/// An answer may be empty if tokens were spent on it, or nothing was to come.
fn generated(facts: &ReplyFacts, asked: &Asked) -> bool {
    let tokens = facts.usage.as_ref().and_then(|usage| usage.completion_tokens);
    facts.has_output
        || tokens.is_some_and(|tokens| tokens > 0)
        || asked.may_be_empty(facts.finish_reason.as_deref())
}

fn not_json(body: &[u8]) -> &'static str {
    match body.trim_ascii().first() {
        None => "the reply is empty",
        Some(b'<') => "the reply is a web page",
        Some(_) => "the reply is not JSON",
    }
}
