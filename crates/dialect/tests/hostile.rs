//! Whatever an upstream sends, nothing panics and no time leaves its bounds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{
    Reading, Reply, budgets, error_event, error_in_success, failure, refused_history,
    refused_parameter, refuses_value_only, replacement_for, stated_ceiling,
};
use engine::{Fault, FaultKind, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_323_600);
const MONTH_MILLIS: i64 = 31 * 86_400_000;

const NAMES: &[&str] = &[
    "retry-after",
    "retry-after-ms",
    "date",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-remaining-tokens-minute",
    "x-ratelimit-reset",
    "anthropic-ratelimit-tokens-reset",
    "x-tokenlimit-remaining",
];

const PROVIDERS: &[&str] =
    &["", "openai", "groq", "gemini", "openrouter", "cerebras", "mistral", "together", "zai"];

/// Pieces of real replies, to be put together in every wrong way.
const PIECES: &[&str] = &[
    "{\"error\":",
    "{\"message\":\"",
    "try again in ",
    "9",
    "m",
    "s",
    ".",
    "limit: 0",
    "Limit ",
    "Used ",
    "Requested ",
    "per day",
    "tokens per minute",
    "\"}",
    "}",
    "[",
    "]",
    "\"code\":",
    "429",
    ",",
    "\"retry_after\":",
    "\"seconds\":",
    "1e999",
    "-",
    "reset at 2026-11-23",
    " ",
    "余",
    "use '",
    "' instead",
    "data: ",
    "\n",
    "Unsupported parameter: ",
    "Unknown name \"",
    " : property '",
    "messages[1].",
    "'messages.2'",
    "\"loc\":[\"messages\",",
    "'",
    "\u{0}",
    "é",
];

fn bounded(fault: &Fault, now: Timestamp) -> bool {
    let short = fault.detail.chars().count() <= 300 && !fault.detail.contains(char::is_control);
    let soon = fault.resume.is_none_or(|resume| {
        resume.at > now && resume.at.as_millis().saturating_sub(now.as_millis()) <= MONTH_MILLIS
    });
    short && soon
}

fn ask_everything(reply: &Reply<'_>, body: &[u8]) {
    let fault = failure(reply, body).fault;
    assert!(bounded(&fault, reply.now), "{fault:?}");
    if let Some(Reading { fault, .. }) = error_in_success(reply, body) {
        assert!(bounded(&fault, reply.now), "{fault:?}");
    }
    if let Some(Reading { fault, .. }) = error_event(reply, body) {
        assert!(bounded(&fault, reply.now), "{fault:?}");
    }
    let budgets = budgets(reply, Some(body));
    let times = budgets.iter().flat_map(|budget| [budget.next_at, budget.full_at]).flatten();
    // "Reset in 0 s" is now.
    assert!(times.into_iter().all(|at| at >= reply.now));
    if let Some(name) = refused_parameter(body, b"") {
        assert!((1..=64).contains(&name.len()));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{name}");
    }
    if refused_history(body, b"").is_some() {
        assert_eq!(refused_parameter(body, b""), None);
    }
    replacement_for("max_tokens", body, b"");
    stated_ceiling("max_tokens", body, b"");
    refuses_value_only(body);
}

fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let value = prop_oneof!["[0-9a-zA-Z.:+-]{0,24}", "[0-9]{1,20}(ms|s|m|h)?", "\\PC{0,40}"];
    prop::collection::vec((prop::sample::select(NAMES), value), 0..8).prop_map(|pairs| {
        let pairs = pairs.into_iter().filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).ok()?))
        });
        pairs.collect()
    })
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..40);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        pieces.prop_map(|pieces| pieces.concat().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_reply_panics_and_no_time_leaves_its_bounds(
        provider in prop::sample::select(PROVIDERS),
        model in "\\PC{0,20}",
        status in 100u16..600,
        headers in any_headers(),
        body in any_body(),
        now in prop_oneof![
            Just(NOW.as_millis()),
            any::<i64>(),
            0i64..4_000_000_000_000,
        ],
    ) {
        let now = Timestamp::from_millis(now);
        let reply = Reply { provider, model: &model, status, headers: &headers, request: &body, now };
        ask_everything(&reply, &body);
    }
}

fn reply(headers: &HeaderMap) -> Reply<'_> {
    Reply {
        provider: "openrouter",
        model: "a/b:free",
        status: 429,
        headers,
        request: b"",
        now: NOW,
    }
}

#[test]
fn every_beginning_of_every_recorded_body_is_survived() {
    let headers = HeaderMap::new();
    let cases: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("fixtures/replies.json")).unwrap();
    for case in cases {
        let body = serde_json::to_vec(&case["body"]).unwrap();
        for end in 0..body.len() {
            ask_everything(&reply(&headers), &body[..end]);
        }
    }
}

#[test]
fn deep_wide_and_long_bodies_are_survived() {
    let headers = HeaderMap::new();
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let nested = "{\"error\":".repeat(120) + "1" + &"}".repeat(120);
    let wide = format!("[{}]", "{\"code\":1},".repeat(5000) + "0");
    let long = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "retry in ".repeat(6000));
    let numbers = format!("{{\"retry_after\":{}}}", "9".repeat(60_000));
    for body in [deep, nested, wide, long, numbers, "retry in 1".repeat(100_000)] {
        ask_everything(&reply(&headers), body.as_bytes());
    }
}

#[test]
fn the_detail_shows_no_query_and_one_line() {
    let headers = HeaderMap::new();
    let body =
        b"{\"error\":{\"message\":\"see\\nhttps://x.test/a?key=secret#y \\u0007\\u202e now\"}}";
    let fault = failure(&reply(&headers), body).fault;
    assert_eq!(fault.detail, "see https://x.test/a now");
}

#[test]
fn an_aggregators_detail_is_the_word_of_who_failed() {
    let headers = HeaderMap::new();
    let body = br#"{"error":{"message":"Provider returned error","metadata":{"raw":"busy here"}}}"#;
    assert_eq!(failure(&reply(&headers), body).fault.detail, "busy here");
}

#[test]
fn a_success_that_is_no_answer_is_a_failure() {
    let headers = HeaderMap::new();
    let reply = Reply { status: 200, ..reply(&headers) };
    let page = failure(&reply, b"<html><title>Sign in</title></html>").fault;
    assert_eq!((page.kind, page.scope.as_str()), (FaultKind::NotAnAnswer, "provider"));
    assert_eq!(page.detail, "status 200 with an HTML page: Sign in");
    let empty = failure(&reply, b"").fault;
    assert_eq!((empty.kind, empty.scope.as_str()), (FaultKind::NotAnAnswer, "model"));
    let error = failure(&reply, br#"{"error":{"code":502,"message":"x"}}"#).fault;
    assert_eq!(error.kind, FaultKind::ServerError);
}

#[test]
fn a_page_or_an_answer_is_not_an_error_in_a_success() {
    let headers = HeaderMap::new();
    let reply = Reply { status: 200, ..reply(&headers) };
    let harmless: &[&[u8]] = &[b"", b"null", b"[DONE]", b"<html>error</html>", b"[]", b"\"error\""];
    for data in harmless {
        assert_eq!(error_in_success(&reply, data), None);
    }
}

#[test]
fn an_error_event_is_read_whatever_its_shape() {
    let headers = HeaderMap::new();
    let reply = Reply { status: 200, ..reply(&headers) };
    let of = |data: &[u8]| error_event(&reply, data).map(|read| read.fault);
    for mute in [&b""[..], b"{}", b"null", b"[]"] {
        assert_eq!(of(mute), None);
    }
    for (data, kind, detail) in [
        (&b"overloaded"[..], FaultKind::Overloaded, "overloaded"),
        (b"\"oh dear\"", FaultKind::ServerError, "oh dear"),
        (b"{\"message\":\"oh dear\"}", FaultKind::ServerError, "oh dear"),
        (
            br#"{"choices":[{"error":{"message":"oh dear","code":503},"finish_reason":"error"}]}"#,
            FaultKind::Overloaded,
            "oh dear",
        ),
        (
            br#"{"choices":[{"delta":{},"finish_reason":"abort"}]}"#,
            FaultKind::ServerError,
            "it ended with finish_reason abort",
        ),
    ] {
        let fault = of(data).unwrap();
        assert_eq!((fault.kind, fault.detail.as_str()), (kind, detail));
    }
}
