//! An answer on its way to the client: the provider's bytes and end-to-end headers, and our own
//! headers that say who served.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use wire::sse::data_event;

use super::attempt::Answered;
use super::body::ClientBody;
use super::journey::{Hop, Journey};
use super::report::{self, X_DROPPED};
use crate::app::{App, Held};
use crate::upstream::{Answer, EventStream, Original, StreamEnd};
use crate::world::Route;

/// The code of the error event that ends a stream which was cut.
const INTERRUPTED: &str = "upstream_stream_interrupted";

/// How long the rest of a stream is read after its end, so that the connection can serve again.
const DRAIN: Duration = Duration::from_secs(1);

/// Hands an answer to the client.
pub(crate) fn deliver(journey: Journey, answered: Answered) -> Response<ClientBody> {
    let Answered { held, answer, route, adapted, .. } = answered;
    let app = &journey.app;
    let mut response = match answer {
        Answer::Plain(reply) => {
            let tokens = reply.usage.as_ref().and_then(wire::usage::Usage::total);
            held.finished(tokens);
            app.metrics.tokens(&route.provider.name, tokens.unwrap_or(0));
            let mut response = Response::new(ClientBody::from(reply.body));
            *response.status_mut() = reply.status;
            *response.headers_mut() = end_to_end(&reply.headers, &route);
            response
        }
        Answer::Stream(mut stream) => {
            let headers = std::mem::take(&mut stream.headers);
            let status = stream.status;
            let relayed = Relayed {
                app: Arc::clone(app),
                route: Arc::clone(&route),
                held: Some(held),
                stream: Some(stream),
            };
            let mut response = Response::new(ClientBody::Stream(Box::new(relayed)));
            *response.status_mut() = status;
            *response.headers_mut() = end_to_end(&headers, &route);
            stream_headers(response.headers_mut());
            response
        }
    };
    report::add_headers(response.headers_mut(), &journey);
    if !adapted.is_empty() {
        report::insert(response.headers_mut(), X_DROPPED, &adapted.join(", "));
    }
    let (name, status) = (&route.provider.name, response.status().as_u16());
    app.log.info(format_args!("{name}: Request successful (status {status})"));
    app.metrics.attempt(name, "answered");
    response
}

/// A provider's own error, as it is. `hop` is the attempt that met it.
pub(crate) fn original_response(
    journey: &Journey,
    hop: &Hop,
    original: Original,
) -> Response<ClientBody> {
    let Original { status, headers, body } = original;
    let mut response = Response::new(ClientBody::from(body));
    // A provider that refuses its key must not look as if ours was wrong.
    *response.status_mut() =
        if status == StatusCode::UNAUTHORIZED { StatusCode::BAD_GATEWAY } else { status };
    let mut routes = journey.world.routes.iter();
    if let Some(route) = routes.find(|route| route.provider.name == hop.provider) {
        *response.headers_mut() = end_to_end(&headers, route);
    }
    report::add_headers(response.headers_mut(), journey);
    report::add_server(response.headers_mut(), hop);
    response
}

fn stream_headers(headers: &mut HeaderMap) {
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

/// The headers of a provider that are meant for the client.
fn end_to_end(headers: &HeaderMap, route: &Route) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut kept = HeaderMap::with_capacity(headers.len() + 5);
    for (name, value) in headers {
        if is_for_client(name) && !named.iter().any(|one| one == name.as_str()) {
            kept.append(name.clone(), clean(value, route));
        }
    }
    kept
}

fn is_for_client(name: &HeaderName) -> bool {
    let dropped = [CONNECTION, CONTENT_LENGTH, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    // A provider's CORS grants and its site's policies speak of its own origin, not of ours.
    let names =
        ["keep-alive", "alt-svc", "strict-transport-security", "set-cookie2", "report-to", "nel"];
    let prefixes = ["access-control-", "proxy-", "cross-origin-"];
    !dropped.contains(name)
        && !names.contains(&name.as_str())
        && !prefixes.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// A header's value without any key that the provider echoes.
fn clean(value: &HeaderValue, route: &Route) -> HeaderValue {
    let bytes = Bytes::copy_from_slice(value.as_bytes());
    let cleaned = route.redactor.apply(&bytes);
    if cleaned == bytes {
        return value.clone();
    }
    HeaderValue::from_bytes(&cleaned).unwrap_or_else(|_| HeaderValue::from_static("[redacted]"))
}

/// A provider's stream on its way to the client. Dropped before its end, it cancels the call.
#[derive(Debug)]
pub(crate) struct Relayed {
    app: Arc<App>,
    route: Arc<Route>,
    held: Option<Held>,
    stream: Option<Box<EventStream>>,
}

impl Relayed {
    /// The next bytes for the client.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(None);
        };
        if let Some(event) = ready!(stream.poll_next(cx)) {
            return Poll::Ready(Some(event));
        }
        let Some(mut stream) = self.stream.take() else {
            return Poll::Ready(None);
        };
        let tokens = stream.usage().and_then(wire::usage::Usage::total);
        self.app.metrics.tokens(&self.route.provider.name, tokens.unwrap_or(0));
        match stream.take_end() {
            Some(StreamEnd::Interrupted(failure)) => {
                let name = &self.route.provider.name;
                self.app.log.warning(format_args!(
                    "{name}: the stream was interrupted ({}): {}",
                    failure.word, failure.fault.detail
                ));
                self.app.metrics.attempt(name, "interrupted");
                if let Some(held) = self.held.take() {
                    held.broken(&failure.fault, tokens);
                }
                Poll::Ready(Some(interruption(name, &failure.fault.detail)))
            }
            Some(StreamEnd::Complete) | None => {
                if let Some(held) = self.held.take() {
                    held.finished(tokens);
                }
                self.drain(*stream);
                Poll::Ready(None)
            }
        }
    }

    fn drain(&self, stream: EventStream) {
        if let Some(mut rest) = stream.into_rest() {
            self.app.tasks.spawn(async move {
                let to_end = async { while let Some(Ok(_)) = rest.frame().await {} };
                let _ = tokio::time::timeout(DRAIN, to_end).await;
            });
        }
    }
}

/// The event that ends a stream which was cut.
fn interruption(provider: &str, detail: &str) -> Bytes {
    let error = json!({"error": {
        "message": format!("the stream from {provider} was interrupted: {detail}"),
        "type": "upstream_error",
        "param": null,
        "code": INTERRUPTED,
    }});
    data_event(error.to_string().as_bytes())
}
