//! What could not be fetched for a client is nobody's fault but the client's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{Reply, failure};
use engine::{FaultKind, Scope, Timestamp};
use http::HeaderMap;
use serde_json::{Value, json};

fn read(status: u16, body: &Value, request: &str) -> (FaultKind, Scope) {
    let reply = Reply {
        provider: "",
        model: "some-model",
        status,
        headers: &HeaderMap::new(),
        request: request.as_bytes(),
        now: Timestamp::from_millis(1_800_000_000_000),
    };
    let fault = failure(&reply, &serde_json::to_vec(body).unwrap()).fault;
    (fault.kind, fault.scope)
}

fn said(text: &str) -> Value {
    json!({"error": {"message": text}})
}

/// What providers say of what they could not fetch, with the trouble that others had there.
fn refusals() -> Vec<(u16, Value)> {
    let texts = [
        (
            400,
            "Connection error while communicating with MCP server 'x': 401 Unauthorized: invalid api key",
        ),
        (
            424,
            "Error retrieving tool list from MCP server: 'x'. Http status code: 429 (Too Many Requests)",
        ),
        (400, "429 Client Error: Too Many Requests for url: https://x.y/a.png"),
        (400, "Cannot fetch content from the provided URL: rate limit exceeded (429)"),
        (422, "The image at https://x.y/a.png could not be downloaded: invalid api key"),
        (400, "Failed to fetch the file: 402 insufficient funds"),
        (403, "You do not have permission to access the File k2x9 or it may not exist."),
        (
            400,
            "Error while downloading https://x.y/a.png. Upstream status code: 429 Too Many Requests.",
        ),
        (403, "CachedContent not found (or permission denied)"),
        (403, "Access denied while fetching image url: https://x/y.png returned 403 Forbidden"),
    ];
    let coded = |text: &str| {
        json!({"error": {"message": text, "type": "invalid_request_error",
            "param": "url", "code": "invalid_image_url"}})
    };
    let raw = "Error while downloading https://x.y/a.png?api_key=invalid: 401 Unauthorized: invalid api key";
    let bodies = [
        (
            400,
            coded(
                "Failed to download image from https://x/?api_key=bad: Upstream status code: 401 unauthorized invalid api key.",
            ),
        ),
        (
            400,
            coded(
                "Error while downloading https://x.y/a.png. Upstream status code: 429 Too Many Requests.",
            ),
        ),
        (400, coded("Rate limit exceeded (429)")),
        (
            400,
            json!({"error": {"code": 400, "message": "Provider returned error",
            "metadata": {"raw": raw}}}),
        ),
        (
            403,
            json!({"type": "error", "error": {"type": "permission_error", "message":
            "Your API key does not have permission to use the specified resource: file_011abc"}}),
        ),
        (
            403,
            json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message":
            "You do not have permission to access the File k2x9 or it may not exist."}}),
        ),
    ];
    texts.into_iter().map(|(status, text)| (status, said(text))).chain(bodies).collect()
}

#[test]
fn what_could_not_be_fetched_is_the_callers_own_mistake() {
    for (status, body) in refusals() {
        let picture = r#"{"messages":[{"content":[{"image_url":{"url":"https://x.y/a.png"}}]}]}"#;
        for request in ["", picture] {
            let seen = read(status, &body, request);
            assert_eq!(seen, (FaultKind::CallerMistake, Scope::Request), "{status} {body}");
        }
    }
}

#[test]
fn a_status_of_the_account_is_believed_whatever_was_fetched() {
    for (_, body) in refusals() {
        assert_ne!(read(401, &body, "").0, FaultKind::CallerMistake, "{body}");
        assert_ne!(read(429, &body, "").0, FaultKind::CallerMistake, "{body}");
    }
}

#[test]
fn a_key_or_a_limit_of_ones_own_is_not_somebody_elses() {
    let keys = [
        "Invalid API key. Failed to authenticate, see https://x.y/docs/download-files for help.",
        "Error retrieving the api key from file: invalid api key",
        "Incorrect API key provided. You can find your API key at https://x.y/account.",
        "The API key has no permission: invalid api key",
    ];
    for text in keys {
        assert_eq!(read(400, &said(text), ""), (FaultKind::KeyRejected, Scope::Key), "{text}");
    }
    let limits = [
        "Rate limit exceeded for image requests",
        "Rate limit exceeded; error fetching quota, see https://x.y/limits",
        "429 Client Error: Too Many Requests for url: https://x.y/v1/chat/completions",
    ];
    for text in limits {
        assert_eq!(read(400, &said(text), "").0, FaultKind::RateLimited, "{text}");
    }
}

#[test]
fn words_of_the_client_do_not_hide_a_refused_key() {
    let request = r#"{"messages":[{"content":"failed to download image from there"}]}"#;
    let body = said("Invalid API key. You sent: failed to download image from there");
    assert_eq!(read(400, &body, request), (FaultKind::KeyRejected, Scope::Key));
}
