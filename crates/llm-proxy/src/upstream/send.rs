//! One attempt: send the request, wait for the head and for the first sign of an answer, and say
//! what came. Up to that moment nothing has gone to the client.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialect::Reading;
use engine::{Budget, Fault, FaultKind, Remedy, Scope, policy};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use wire::Endpoint;
use wire::reply::{NoCompletion, completion_to_events, events_to_completion};

use super::client::Client;
use super::decode::Decoder;
use super::driven::ReplyBody;
use super::failure::{Failure, Original};
use super::opened::Opened;
use super::plain::{PlainReply, collect, glimpse, judge};
use super::request::Prepared;
use super::source::Source;
use super::stream::EventStream;
use super::told::Continuing;
use crate::clock::{self, Clock};
use crate::world::Route;

/// How long an error's body may keep us after its head, all of it.
const ERROR_BODY_PATIENCE: Duration = Duration::from_secs(5);

/// How long an attempt may be silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Before the head of a plain reply, or the first meaningful event of a stream.
    pub(crate) first: Duration,
    /// Between pieces after that.
    pub(crate) stall: Duration,
    /// Between meaningful events of a stream, whatever else keeps it alive.
    pub(crate) quiet: Duration,
    /// The whole attempt until its answer begins.
    pub(crate) attempt: Duration,
}

/// What is asked of whom.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) route: Arc<Route>,
    pub(crate) model: Arc<str>,
    /// The model's name without what looks like a key.
    pub(crate) model_as_shown: Arc<str>,
    pub(crate) endpoint: Endpoint,
    /// The body as the client has sent it; empty if no client has.
    pub(crate) request: Bytes,
    pub(crate) stream: bool,
    /// Whether the client asked for a stream's token counts.
    pub(crate) client_wants_usage: bool,
    pub(crate) clock: Arc<Clock>,
    pub(crate) recovery: Recovery,
}

/// Whether a stream may go on with another provider when it breaks off.
#[derive(Debug, Clone)]
pub(crate) enum Recovery {
    /// It may not.
    Off,
    /// It may, as long as it is plain text.
    Possible,
    /// This one goes on with one that broke off.
    Continuing(Box<Continuing>),
}

impl Recovery {
    /// Whether the request has the beginning of its answer in it.
    pub(crate) fn gives_beginning(&self) -> bool {
        matches!(self, Self::Continuing(continuing) if continuing.join.was_given_the_text())
    }
}

/// The beginning of an answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The whole answer.
    Plain(PlainReply),
    /// A stream whose first meaningful event has come.
    Stream(Box<EventStream>),
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What the reply's headers said is left of the provider's limits.
    pub(crate) budgets: Vec<Budget>,
    pub(crate) result: Result<Answer, Failure>,
}

/// Makes one attempt.
pub(crate) async fn send(
    client: &Client,
    prepared: &Prepared,
    asked: &Asked,
    limits: Limits,
) -> Outcome {
    let mut budgets = Vec::new();
    let end = clock::deadline_in(limits.attempt);
    let result = match head(client, prepared, limits.first, end).await {
        Ok((reply, late)) => {
            budgets = dialect::budgets(&asked.reply(reply.status(), reply.headers()), None);
            // A plain reply is late when its head is, a stream when its first word is.
            let end = if asked.stream { late } else { end };
            // An error whose body is late is told as the error, not as an answer that is late.
            let left = end.saturating_duration_since(clock::deadline_in(Duration::ZERO));
            let patience = limits.stall.min(ERROR_BODY_PATIENCE).min(left / 2);
            timeout_at(end, read(reply, prepared, asked, limits, patience))
                .await
                .unwrap_or_else(|_| Err(Failure::silence("no answer in time")))
        }
        Err(failure) => Err(failure),
    };
    // Figures without a time have been made one already.
    if let Err(Failure { budget, fault, .. }) = &result
        && budgets.is_empty()
        && fault.stated_end().is_some()
    {
        budgets.extend(budget.clone());
    }
    Outcome { budgets, result }
}

/// Waits for the reply's head, and tells when the first word is late. As long as a long request is
/// still going out, nothing is.
async fn head(
    client: &Client,
    prepared: &Prepared,
    first: Duration,
    end: Instant,
) -> Result<(Response<ReplyBody>, Instant), Failure> {
    let request = &prepared.request;
    let begun = clock::deadline_in(first);
    let late = || {
        let taken = request.body().last_taken().and_then(|taken| taken.checked_add(first));
        taken.map_or(begun, |taken| taken.max(begun)).min(end)
    };
    let mut sending = pin!(client.send(request));
    loop {
        let limit = late();
        match timeout_at(limit, &mut sending).await {
            Ok(Ok(reply)) => return Ok((reply, late())),
            Ok(Err(error)) => return Err(Failure::connection(&error)),
            Err(_) if late() > limit => {}
            Err(_) => {
                client.distrust(request.uri());
                return Err(Failure::silence("no reply in time"));
            }
        }
    }
}

async fn read(
    reply: Response<ReplyBody>,
    prepared: &Prepared,
    asked: &Asked,
    limits: Limits,
    patience: Duration,
) -> Result<Answer, Failure> {
    let (head, body) = reply.into_parts();
    let (status, mut headers) = (head.status, head.headers);
    let Some(decoder) = Decoder::for_headers(&headers) else {
        return Err(Failure::no_answer("the reply is compressed in a way that was not asked for"));
    };
    if decoder.changes() {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    let mut opened = Opened::unread(body, decoder);
    if !status.is_success() {
        let body = glimpse(opened, patience).await;
        return Err(asked.refused(status, headers, &body));
    }
    let kind = content_type(&headers);
    if asked.stream && !kind.contains("html") {
        opened.look().await?;
        if !opened.is_document() {
            let source = Source::from(opened);
            let stream = EventStream::begin(source, status, headers, prepared, asked, limits);
            return stream.await.map(Answer::Stream);
        }
    }
    let body = collect(opened, limits.stall, limits.first).await?;
    let body = if asked.stream || !kind.contains("event-stream") {
        body
    } else {
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        headers.remove(CONTENT_LENGTH);
        events_to_completion(&body, asked.endpoint)
            .map_err(|reason| asked.no_completion(status, reason))?
    };
    let facts = judge(&body, asked, status.as_u16(), &headers)?;
    let body = if asked.stream { as_events(&body, asked, &mut headers)? } else { body };
    if matches!(asked.recovery, Recovery::Continuing(_)) {
        let source = Source::whole(body);
        let stream = EventStream::begin(source, status, headers, prepared, asked, limits).await?;
        return Ok(Answer::Stream(stream.counted(facts.usage)));
    }
    let body = asked.route.redactor.apply(&body);
    Ok(Answer::Plain(PlainReply { status, headers, body, usage: facts.usage }))
}

/// A plain completion where a stream was asked for.
fn as_events(body: &Bytes, asked: &Asked, headers: &mut HeaderMap) -> Result<Bytes, Failure> {
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
    headers.remove(CONTENT_LENGTH);
    completion_to_events(body, asked.endpoint, asked.client_wants_usage)
        .ok_or_else(|| Failure::no_answer("the reply cannot be turned into a stream"))
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_ascii_lowercase()
}

impl Asked {
    pub(super) fn reply<'r>(
        &'r self,
        status: StatusCode,
        headers: &'r HeaderMap,
    ) -> dialect::Reply<'r> {
        dialect::Reply {
            provider: self.route.provider.catalogue_id.unwrap_or_default(),
            model: &self.model,
            status: status.as_u16(),
            headers,
            request: &self.request,
            now: self.clock.now(),
        }
    }

    /// Whether an answer that ended for this reason is as it should be though nothing is in it: a
    /// filter emptied it, or it was to go on with a text that it was given, and that is all.
    pub(super) fn may_be_empty(&self, finish_reason: Option<&str>) -> bool {
        match finish_reason {
            Some("content_filter") => true,
            Some("stop") => self.recovery.gives_beginning(),
            _ => false,
        }
    }

    /// A reply that is an error by its status.
    fn refused(&self, status: StatusCode, headers: HeaderMap, body: &Bytes) -> Failure {
        // Before it is read and quoted: half a key at a quotation's end would not be found.
        let body = self.route.redactor.apply(body);
        let mut read = if status.is_redirection() {
            Fault::new(
                FaultKind::ServerError,
                Scope::Provider,
                "a redirect, which is not followed with a key",
            )
            .into()
        } else {
            dialect::failure(&self.reply(status, &headers), &body)
        };
        let kind = read.fault.kind;
        let missing = kind == FaultKind::ModelMissing
            || status == StatusCode::NOT_FOUND && kind == FaultKind::ServerError;
        if self.endpoint == Endpoint::Completions && missing {
            // The path may be what is missing: that says nothing of the model in chats.
            let detail = read.fault.detail;
            read = Fault::new(FaultKind::CapabilityMissing, Scope::Request, detail).into();
        }
        // What was hidden between characters that are not shown comes to light in the reading.
        let Reading { mut fault, budget, ceiling, size, lacks } = read;
        fault.detail = self.shown(&fault.detail);
        let remedy = if fault.kind == FaultKind::ParameterRefused {
            Remedy::Repair
        } else if status.is_server_error() {
            Remedy::Repeat
        } else {
            Remedy::None
        };
        let word = status.as_u16().to_string();
        let original = Some(Box::new(self.original(status, headers, &body)));
        Failure { fault, remedy, word, original, budget, ceiling, size, lacks }
    }

    /// What the client may get of an error: without short keys either, which are left in until it
    /// has been read, since they may be words.
    fn original(&self, status: StatusCode, headers: HeaderMap, body: &Bytes) -> Original {
        Original { status, headers, body: self.route.redactor.apply_to_error(body) }
    }

    /// A provider's words without its keys, and without one that a client took for a model.
    fn shown(&self, detail: &str) -> String {
        let clean = self.route.redact_error(detail);
        if self.model == self.model_as_shown {
            return clean;
        }
        clean.replace(&*self.model, &self.model_as_shown)
    }

    /// A stream in the place of a plain reply that is no whole answer.
    fn no_completion(&self, status: StatusCode, reason: NoCompletion) -> Failure {
        match reason {
            NoCompletion::Empty => Failure::no_answer("the reply is a stream without an answer"),
            NoCompletion::Cut => Failure::lost("the stream ended in the middle"),
            NoCompletion::Failed(data) => self.error_event(status.as_u16(), &data),
        }
    }

    /// An error in the place of a stream's event.
    pub(super) fn error_event(&self, status: u16, data: &[u8]) -> Failure {
        let found = self.failure_inside(status, &HeaderMap::new(), data, dialect::error_event);
        found.unwrap_or_else(|| {
            let mut failure = Failure::lost("the provider sent an error in the middle");
            "error-event".clone_into(&mut failure.word);
            failure
        })
    }

    /// A success that carries an error.
    pub(super) fn error_inside(
        &self,
        status: u16,
        headers: &HeaderMap,
        data: &[u8],
    ) -> Option<Failure> {
        self.failure_inside(status, headers, data, dialect::error_in_success)
    }

    fn failure_inside(
        &self,
        status: u16,
        headers: &HeaderMap,
        data: &[u8],
        read: fn(&dialect::Reply<'_>, &[u8]) -> Option<Reading>,
    ) -> Option<Failure> {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let body = self.route.redactor.apply(&Bytes::copy_from_slice(data));
        let Reading { mut fault, budget, ceiling, size, lacks } =
            read(&self.reply(status, headers), &body)?;
        fault.detail = self.shown(&fault.detail);
        let word = format!("{}-{}", status.as_u16(), fault.kind.as_str().replace('_', "-"));
        // The client gets the status that the error would have had in the place of the success.
        let status = if policy::is_requests_own(fault.kind) {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::BAD_GATEWAY
        };
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
        let body = if body.trim_ascii_start().starts_with(b"{") {
            body
        } else {
            let error = json!({"message": fault.detail, "type": "upstream_error", "param": null,
                "code": null});
            json!({"error": error}).to_string().into()
        };
        let original = self.original(status, headers, &body);
        let original = Some(Box::new(original));
        Some(Failure { fault, remedy: Remedy::None, word, original, budget, ceiling, size, lacks })
    }
}

/// An error and its causes in one line. The HTTP library's errors name no URL.
pub(super) fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
