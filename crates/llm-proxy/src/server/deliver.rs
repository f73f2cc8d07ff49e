//! An answer on its way to the client: the provider's bytes and end-to-end headers, and our own
//! headers that say who served.

use std::mem;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use wire::usage::Usage;

use super::attempt::Answered;
use super::body::ClientBody;
use super::journey::Journey;
use super::recording::{Hop, Outcome};
use super::relayed::Relayed;
use super::report::{self, X_DROPPED};
use crate::upstream::{Answer, Original};
use crate::world::Route;

/// Hands an answer to the client.
pub(crate) fn deliver(mut journey: Journey, answered: Answered) -> Response<ClientBody> {
    let Answered { held, mut answer, route, adapted, .. } = answered;
    let (status, theirs) = match &mut answer {
        Answer::Plain(reply) => (reply.status, &mut reply.headers),
        Answer::Stream(stream) => (stream.status, &mut stream.headers),
    };
    let mut headers = end_to_end(mem::take(theirs), &route);
    report::add_headers(&mut headers, &journey);
    if !adapted.is_empty() {
        report::insert(&mut headers, X_DROPPED, &adapted.join(", "));
    }
    let name = &route.provider.name;
    let status_number = status.as_u16();
    journey.app.log.info(format_args!("{name}: Request successful (status {status_number})"));
    journey.recording.began(status_number);
    let body = match answer {
        Answer::Plain(reply) => {
            let tokens = reply.usage.as_ref().and_then(Usage::total);
            journey.recording.ended(Outcome::Answered);
            journey.recording.used(&reply.usage.unwrap_or_default());
            held.finished(tokens);
            ClientBody::from(reply.body)
        }
        Answer::Stream(stream) => {
            stream_headers(&mut headers);
            ClientBody::Stream(Box::new(Relayed::new(journey, held, route, stream)))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
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
    *response.headers_mut() = end_to_end(headers, &hop.route);
    report::add_headers(response.headers_mut(), journey);
    report::add_server(response.headers_mut(), hop);
    response
}

fn stream_headers(headers: &mut HeaderMap) {
    let says_so = |kind: &HeaderValue| kind.as_bytes().starts_with(b"text/event-stream");
    if !headers.get(CONTENT_TYPE).is_some_and(says_so) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

/// The headers of a provider that are meant for the client.
fn end_to_end(mut headers: HeaderMap, route: &Route) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let stays_here = |name: &HeaderName| {
        let holds_key = || route.redactor.finds_any_of_any_case(name.as_str().as_bytes());
        !is_for_client(name) || named.iter().any(|one| one == name.as_str()) || holds_key()
    };
    let dropped: Vec<HeaderName> =
        headers.keys().filter(|name| stays_here(name)).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
    for value in headers.values_mut() {
        clean(value, route);
    }
    headers
}

fn is_for_client(name: &HeaderName) -> bool {
    let is_of_one_hop = matches!(
        name.as_str(),
        "connection"
            | "content-length"
            | "set-cookie"
            | "set-cookie2"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "keep-alive"
    );
    // A provider's CORS grants and its site's policies speak of its own origin, not of ours.
    let is_of_its_site = matches!(
        name.as_str(),
        "clear-site-data"
            | "www-authenticate"
            | "alt-svc"
            | "strict-transport-security"
            | "report-to"
            | "nel"
    );
    let prefixes = ["access-control-", "proxy-", "cross-origin-"];
    !is_of_one_hop
        && !is_of_its_site
        && !report::OURS.contains(name)
        && !prefixes.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// Takes any key that the provider echoes out of a header's value.
fn clean(value: &mut HeaderValue, route: &Route) {
    if !route.redactor.finds_any(value.as_bytes()) {
        return;
    }
    let cleaned = route.redactor.apply(&Bytes::copy_from_slice(value.as_bytes()));
    *value = HeaderValue::from_bytes(&cleaned)
        .unwrap_or_else(|_| HeaderValue::from_static("[redacted]"));
}
