//! How many requests refusals say are taken in a minute or a second.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{Reply, failure};
use engine::{Ceiling, Timestamp, Window};
use http::HeaderMap;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_secs(1_795_323_600);

fn told(provider: &str, status: u16, headers: &[(&str, &str)], body: &Value) -> Option<Ceiling> {
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()));
    let headers: HeaderMap = pairs.collect();
    let reply = Reply { provider, model: "m", status, headers: &headers, request: b"", now: NOW };
    failure(&reply, body.to_string().as_bytes()).ceiling
}

fn minute(most: u64) -> Ceiling {
    Ceiling { window: Window::Minute, most }
}

fn second(most: u64) -> Ceiling {
    Ceiling { window: Window::Second, most }
}

fn google(id: &str, value: &str) -> Value {
    json!({"error": {"code": 429, "message": "You exceeded your current quota. Please retry in 9s.",
        "status": "RESOURCE_EXHAUSTED", "details": [{
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": id, "quotaValue": value}]}]}})
}

#[test]
fn a_quota_per_minute_is_read_from_its_fields() {
    let requests = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier";
    assert_eq!(told("gemini", 429, &[], &google(requests, "15")), Some(minute(15)));
    for (id, value) in [
        ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "20"),
        ("GenerateContentInputTokensPerModelPerMinute-FreeTier", "16000"),
        (requests, "many"),
        (requests, "-1"),
        (requests, "99999999999999999999"),
    ] {
        assert_eq!(told("gemini", 429, &[], &google(id, value)), None, "{id} {value}");
    }
}

#[test]
fn a_headers_limit_is_of_the_window_that_the_text_names() {
    let body = |text: &str| {
        json!({"error": {"code": 429, "message": text, "metadata": {"headers": {
            "X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": "1795323630000"}}}})
    };
    let minutes = body("Rate limit exceeded: free-models-per-min. ");
    assert_eq!(told("openrouter", 429, &[], &minutes), Some(minute(20)));
    let days = body("Rate limit exceeded: free-models-per-day. ");
    assert_eq!(told("openrouter", 429, &[], &days), None);
}

#[test]
fn a_sentence_tells_it() {
    let moonshot = json!({"error": {"message": "Your account org-abc request reached organization \
        max RPM: 20, please try again after 3 seconds", "type": "rate_limit_reached_error"}});
    assert_eq!(told("moonshot", 429, &[], &moonshot), Some(minute(20)));
    let cohere = json!({"message": "You are using a Trial key, which is limited to 20 API calls / \
        minute."});
    assert_eq!(told("cohere", 429, &[], &cohere), Some(minute(20)));
    let xai = json!({"code": "Some resource has been exhausted", "error": "Too many requests for \
        team x and model grok-4. Your team's rate limit is - Requests per Second (actual/limit): \
        2/2, Requests per Minute (actual/limit): 30/60."});
    assert_eq!(told("xai", 429, &[], &xai), Some(second(2)));
    let nothing = json!({"error": {"message": "Too many requests per minute"}});
    assert_eq!(told("", 429, &[], &nothing), None);
    let spent = json!({"error": {"message": "Insufficient balance for 20 requests per minute"}});
    assert_eq!(told("deepseek", 402, &[], &spent), None, "money is no rate");
}

#[test]
fn a_provider_that_counts_seconds_has_its_minutes_share() {
    let body = json!({"object": "error", "message": "Rate limit exceeded", "type": "rate_limited",
        "code": "1300"});
    let left =
        |left| [("x-ratelimit-limit-req-minute", "60"), ("x-ratelimit-remaining-req-minute", left)];
    assert_eq!(told("mistral", 429, &left("40"), &body), Some(second(1)));
    assert_eq!(told("mistral", 429, &left("0"), &body), None);
    assert_eq!(told("", 429, &left("40"), &body), None);
}
