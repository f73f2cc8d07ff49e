//! The headers of a request to a provider: of the client's what is meant for it, and its own.

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};

use crate::instance::INSTANCE;
use crate::server::rescue::STREAM_RECOVERY;
use crate::server::wishes::{ALLOW_PAID, PIN, SKIP};
use crate::world::Route;

/// A client's wishes, which are for us.
const OURS: [HeaderName; 4] = [STREAM_RECOVERY, PIN, SKIP, ALLOW_PAID];

/// The headers for one provider, with one of its keys.
pub(super) fn headers(client: &HeaderMap, route: &Route, key: usize) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(client.len() + 4);
    let named = named_by_connection(client);
    for (name, value) in client {
        if goes_on(name) && !named.iter().any(|one| one.eq_ignore_ascii_case(name.as_str())) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &route.headers {
        // Each proxy on the way adds itself.
        if *name == INSTANCE {
            headers.append(name.clone(), value.clone());
        } else {
            headers.insert(name.clone(), value.clone());
        }
    }
    if let Some((name, value)) = route.credentials.get(key).and_then(Option::as_ref) {
        headers.insert(name.clone(), value.clone());
    }
    headers
}

/// The headers that the client's `Connection` names as meant for one hop.
fn named_by_connection(client: &HeaderMap) -> Vec<&str> {
    let values = client.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).collect()
}

/// Whether a client's header is for the provider, and not its business with us or with this one
/// connection, or its credentials.
fn goes_on(name: &HeaderName) -> bool {
    !OURS.contains(name) && !is_kept_here(name.as_str()) && !name.as_str().starts_with("sec-")
}

fn is_kept_here(name: &str) -> bool {
    let is_of_this_connection = matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
            | "http2-settings"
    );
    let is_set_anew =
        matches!(name, "host" | "content-length" | "content-type" | "accept-encoding");
    let is_credential = matches!(
        name,
        "authorization"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "x-api-key"
            | "api-key"
            | "x-goog-api-key"
            | "openai-organization"
            | "openai-project"
            | "cookie"
            | "cookie2"
    );
    let tells_of_the_client = matches!(
        name,
        "origin"
            | "referer"
            | "forwarded"
            | "via"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-proto"
            | "x-forwarded-port"
            | "x-real-ip"
            | "dnt"
            | "access-control-request-method"
            | "access-control-request-headers"
    );
    is_of_this_connection || is_set_anew || is_credential || tells_of_the_client
}
