//! What a scripted provider says to one request, and every way in which saying it can fail.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::asked::Asked;
use crate::events::Events;
use crate::playback::{Ending, Step};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

/// One answer of a provider, built from a constructor and refined by the methods after it.
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
    before_head: Duration,
    before_body: Duration,
    gap: Duration,
    silent: bool,
    early: bool,
    done: bool,
    ending: Ending,
    cut_after: Option<usize>,
    claimed_length: Option<u64>,
}

#[derive(Clone, Debug)]
enum Content {
    /// Known in full, so that its length is announced.
    Bytes(Bytes),
    /// Written step by step, without a length.
    Chunks(Vec<Step>),
    Completion(Answer, Form),
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Plain,
    Stream,
    AsAsked,
}

/// A reply with everything decided: what is left is to play it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) before_head: Duration,
    /// Whether not even the head is sent before the ending.
    pub(crate) silent: bool,
    pub(crate) steps: Vec<Step>,
    pub(crate) sized: bool,
    pub(crate) ending: Ending,
}

impl Reply {
    /// Answers with a status and exact bytes, and no header but those added later.
    pub fn bytes(status: u16, body: impl Into<Bytes>) -> Self {
        Self::of(status, Content::Bytes(body.into()))
    }

    /// Answers with a status and a JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, body.to_string()).with(CONTENT_TYPE, JSON)
    }

    /// Answers with an error status and its JSON body.
    pub fn error(status: u16, body: &Value) -> Self {
        Self::json(status, body)
    }

    /// Answers 429 in the `OpenAI` shape, with `retry-after` if one is given (`"7"`, a date).
    ///
    /// # Panics
    /// If the text cannot be a header value.
    pub fn rate_limited(retry_after: Option<&str>) -> Self {
        let body = json!({"error": {
            "message": "Rate limit reached",
            "type": "requests",
            "param": null,
            "code": "rate_limit_exceeded",
        }});
        let reply = Self::json(429, &body);
        match retry_after {
            Some(text) => reply.header(RETRY_AFTER.as_str(), text),
            None => reply,
        }
    }

    /// Answers with one completion object, whatever form was asked for.
    pub fn completion(text: &str) -> Self {
        Self::of(200, Content::Completion(Answer::words(text), Form::Plain))
    }

    /// Answers with a stream whatever form was asked for: role, pieces, finish reason, usage if
    /// the request asked for it, `[DONE]`.
    pub fn stream(pieces: &[&str]) -> Self {
        Self::of(200, Content::Completion(Answer::of(pieces), Form::Stream))
    }

    /// Answers with the pieces as a stream or as one object, as the request asked.
    pub fn answer(pieces: &[&str]) -> Self {
        Self::of(200, Content::Completion(Answer::of(pieces), Form::AsAsked))
    }

    pub(crate) fn saying(answer: Answer) -> Self {
        Self::of(200, Content::Completion(answer, Form::AsAsked))
    }

    /// Answers 200 with raw event-stream writes, each after its own wait.
    pub fn events(writes: Vec<(Duration, Bytes)>) -> Self {
        Self::chunks(200, writes).with(CONTENT_TYPE, EVENT_STREAM)
    }

    /// Answers with raw writes of unannounced length, each after its own wait.
    pub fn chunks(status: u16, writes: Vec<(Duration, Bytes)>) -> Self {
        let steps = writes.into_iter().map(|(wait, bytes)| Step { wait, bytes }).collect();
        Self::of(status, Content::Chunks(steps))
    }

    /// Takes the request and never answers.
    pub fn hang() -> Self {
        Self { silent: true, ..Self::bytes(200, Bytes::new()).stall() }
    }

    /// Takes the request and closes the connection without an answer.
    pub fn close() -> Self {
        Self { silent: true, ..Self::bytes(200, Bytes::new()).cut() }
    }

    /// Takes the request and resets the connection (RST) without an answer.
    pub fn reset() -> Self {
        Self { silent: true, ..Self::bytes(200, Bytes::new()).cut_by_reset() }
    }

    fn of(status: u16, content: Content) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: HeaderMap::new(),
            content,
            before_head: Duration::ZERO,
            before_body: Duration::ZERO,
            gap: Duration::ZERO,
            silent: false,
            early: false,
            done: true,
            ending: Ending::Finish,
            cut_after: None,
            claimed_length: None,
        }
    }

    /// Replaces the status; 500 if it is not one of 100 to 999.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self
    }

    /// Adds a header. Repeated names are sent repeatedly, except `content-type`, which replaces.
    ///
    /// # Panics
    /// If the name or the value cannot be one: a mistake in the script itself.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a script is written by the programmer who runs it")]
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a valid header name");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a valid header value");
        self.with(name, value)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if name == CONTENT_TYPE {
            self.headers.insert(name, value);
        } else {
            self.headers.append(name, value);
        }
        self
    }

    /// Waits before the head is sent.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.before_head = wait;
        self
    }

    /// Sends the head at once and waits before the body.
    #[must_use]
    pub fn body_after(mut self, wait: Duration) -> Self {
        self.before_body = wait;
        self
    }

    /// Waits before each piece of a stream.
    #[must_use]
    pub fn gap(mut self, wait: Duration) -> Self {
        self.gap = wait;
        self
    }

    /// Names another reason than `stop` for the end of a completion.
    #[must_use]
    pub fn finish_reason(mut self, reason: &str) -> Self {
        if let Content::Completion(answer, _) = &mut self.content {
            reason.clone_into(&mut answer.finish_reason);
        }
        self
    }

    /// Ends a stream after its finish reason without `[DONE]`.
    #[must_use]
    pub fn without_done(mut self) -> Self {
        self.done = false;
        self
    }

    /// Closes the connection after what is written; a stream is cut after its last piece, before
    /// its finish reason.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.ending = Ending::Close;
        self
    }

    /// Cuts with a TCP reset instead of an orderly close.
    #[must_use]
    pub fn cut_by_reset(mut self) -> Self {
        self.ending = Ending::Reset;
        self
    }

    /// Sends only the first `bytes` of the body, then cuts, with the `content-length` of the whole
    /// if the body is a plain one. A shorter body is sent whole and cut where it would have ended.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut_after = Some(bytes);
        if matches!(self.ending, Ending::Finish) { self.cut() } else { self }
    }

    /// Keeps the connection open and silent after what is written; a stream falls silent after
    /// its last piece, before its finish reason.
    #[must_use]
    pub fn stall(mut self) -> Self {
        self.ending = Ending::Stall;
        self
    }

    /// Announces a `content-length` that is not the body's. After a body shorter than announced
    /// the connection is closed; a longer one is sent only up to the announced length.
    #[must_use]
    pub fn claiming_length(mut self, bytes: u64) -> Self {
        self.claimed_length = Some(bytes);
        self
    }

    /// Answers as soon as the request's head is there and leaves its body unread. Only scripted
    /// replies can do so.
    #[must_use]
    pub fn before_body(mut self) -> Self {
        self.early = true;
        self
    }

    pub(crate) fn is_early(&self) -> bool {
        self.early
    }

    /// Decides everything that depends on the request.
    pub(crate) fn plan(self, asked: impl FnOnce() -> Asked, number: u64, now: Duration) -> Plan {
        let (mut steps, sized, kind) = self.write(asked, number, now.as_secs());
        let whole = length(&steps);
        let cut_after = self.cut_after.filter(|bytes| *bytes < whole);
        let announced = match (self.claimed_length, cut_after) {
            (Some(claimed), _) => Some(claimed),
            (None, cut) => cut.filter(|_| sized).map(|_| whole as u64),
        };
        let falls_short = announced.is_some_and(|announced| announced > whole as u64);
        let claimed = self.claimed_length.map_or(usize::MAX, |bytes| bytes as usize);
        truncate(&mut steps, cut_after.unwrap_or(whole).min(claimed));
        if let Some(first) = steps.first_mut() {
            first.wait += self.before_body;
        }
        let ending =
            if falls_short && self.ending == Ending::Finish { Ending::Close } else { self.ending };
        let mut headers = self.headers;
        if let Some(kind) = kind {
            headers.entry(CONTENT_TYPE).or_insert(kind);
        }
        if let Some(announced) = announced {
            headers.insert(CONTENT_LENGTH, announced.into());
        }
        Plan {
            status: self.status,
            // A body that is not finished would reach its length and pass for whole.
            sized: sized && ending == Ending::Finish && !headers.contains_key(CONTENT_LENGTH),
            headers,
            before_head: self.before_head,
            silent: self.silent,
            steps,
            ending,
        }
    }

    /// The writes of the body, whether they are of announced length, and their content type.
    fn write(
        &self,
        asked: impl FnOnce() -> Asked,
        number: u64,
        created: u64,
    ) -> (Vec<Step>, bool, Option<HeaderValue>) {
        let (answer, form) = match &self.content {
            Content::Bytes(bytes) => return (vec![Step::now(bytes.clone())], true, None),
            Content::Chunks(steps) => return (steps.clone(), false, None),
            Content::Completion(answer, form) => (answer, form),
        };
        let asked = asked();
        let streams = match form {
            Form::Plain => false,
            Form::Stream => true,
            Form::AsAsked => asked.stream,
        };
        if streams {
            let events = Events::of(&asked, number, created);
            return (self.stream_steps(answer, &events, &asked), false, Some(EVENT_STREAM));
        }
        let body = answer.plain(&asked, number, created).to_string();
        (vec![Step::now(body.into())], true, Some(JSON))
    }

    fn stream_steps(&self, answer: &Answer, events: &Events, asked: &Asked) -> Vec<Step> {
        let (role, pieces) = answer.opening(events, asked);
        let mut steps: Vec<Step> = role.into_iter().map(Step::now).collect();
        steps.extend(pieces.into_iter().map(|bytes| Step { wait: self.gap, bytes }));
        // A cut at a number of bytes may lie anywhere; any other cut lies before the finish.
        if matches!(self.ending, Ending::Finish) || self.cut_after.is_some() {
            steps.extend(answer.closing(events, asked, self.done).into_iter().map(Step::now));
        }
        steps
    }
}

fn length(steps: &[Step]) -> usize {
    steps.iter().map(|step| step.bytes.len()).sum()
}

fn truncate(steps: &mut Vec<Step>, mut limit: usize) {
    steps.retain_mut(|step| {
        let reached = limit == 0 && !step.bytes.is_empty();
        step.bytes.truncate(limit);
        limit -= step.bytes.len();
        !reached
    });
}
