//! `GET /`: what there is, as JSON for programs and as a page for people.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;

use super::body::ClientBody;
use super::error::json_response;

const PAGE: &str = include_str!("home.html");

pub(crate) fn home(headers: &HeaderMap) -> Response<ClientBody> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") { page() } else { endpoints() }
}

fn page() -> Response<ClientBody> {
    let mut response = Response::new(ClientBody::from(Bytes::from_static(PAGE.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
             connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    );
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    response
}

fn endpoints() -> Response<ClientBody> {
    let list = json!({
        "name": "llm-proxy",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": {
            "POST /v1/chat/completions": "chat, plain and streaming",
            "POST /v1/completions": "legacy completions, plain and streaming",
            "GET /v1/models": "the names that can be asked for",
            "GET /health": "whether the process is up",
            "GET /status": "the providers and their state",
            "GET /explain": "the chain that a request would walk now",
            "GET /requests": "the newest requests, with their hops",
            "GET /usage": "what was used, by provider, model, key, day or hour",
            "GET /events": "the state and each request as it ends, as server-sent events",
            "GET /metrics": "Prometheus metrics",
            "POST /reload": "read the configuration anew",
            "POST /reset": "forget cooldowns and parked marks",
            "POST /disable": "do not use a provider",
            "POST /enable": "use it again",
        },
    });
    json_response(StatusCode::OK, &list)
}
