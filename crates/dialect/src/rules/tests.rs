use std::collections::BTreeSet;

use engine::Timestamp;
use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::{TABLE, first, status_of};
use crate::Reply;
use crate::body::ErrorBody;
use crate::evidence::Evidence;

fn matched(case: &Value) -> Option<&'static str> {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let pairs = case["headers"].as_object().into_iter().flatten();
    let headers: HeaderMap = pairs
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap())
        })
        .collect();
    let body = &case["body"];
    let text_body = body.as_str().map(|text| text.as_bytes().to_vec());
    let bytes = text_body.unwrap_or_else(|| serde_json::to_vec(body).unwrap());
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    let now: jiff::Timestamp =
        case["now"].as_str().unwrap_or("2026-11-22T05:00:00Z").parse().unwrap();
    let now = Timestamp::from_millis(now.as_millisecond());
    let model = case["model"].as_str().unwrap_or("some-model");
    let request = text("request").as_bytes();
    let reply =
        Reply { provider: text("provider"), model, status, headers: &headers, request, now };
    let body = ErrorBody::read(&bytes);
    if status < 400 && !body.carries_error() {
        return None;
    }
    let inner = body.inner_status().or_else(|| status_of(&body)).unwrap_or(0);
    let status = if status < 400 { inner } else { status };
    let mut seen = Evidence::gather(&Reply { status, ..reply }, body);
    seen.within_success = reply.status < 400;
    Some(first(&seen).name)
}

fn names() -> Vec<&'static str> {
    TABLE.iter().copied().flatten().map(|rule| rule.name).collect()
}

#[test]
fn each_rule_has_a_reply_that_only_it_explains() {
    let files = [
        include_str!("../../tests/fixtures/replies.json"),
        include_str!("../../tests/fixtures/constructed.json"),
    ];
    let cases = files.iter().flat_map(|file| serde_json::from_str::<Vec<Value>>(file).unwrap());
    // What this one means depends on the request.
    let option = serde_json::json!({
        "status": 400,
        "request": r#"{"reasoning_effort":"minimal"}"#,
        "body": {"error": {"message": "Invalid reasoning_effort: minimal"}},
    });
    let list = serde_json::json!({
        "status": 400,
        "request": r#"{"stop":["a","b","c","d","e"]}"#,
        "body": {"error": {"message": "Only up to 4 stop sequences are taken"}},
    });
    let choice = serde_json::json!({
        "status": 400,
        "request": r#"{"tool_choice":"auto"}"#,
        "body": {"error": {"message": "tool_choice requires tools to be set"}},
    });
    let picture = serde_json::json!({
        "status": 500,
        "request": r#"{"messages":[{"content":[{"type":"image_url"}]}]}"#,
        "body": {"error": {"message": "image input is not supported - hint: provide the mmproj"}},
    });
    let number = serde_json::json!({
        "status": 400,
        "request": r#"{"temperature":1.5}"#,
        "body": {"error": {"message": "temperature: range: 0..1"}},
    });
    let unknown = serde_json::json!({
        "status": 422,
        "request": r#"{"user":"u"}"#,
        "body": {"message": "unknown field: parameter 'user' is not a valid field"},
    });
    let cases = cases.chain([option, list, choice, picture, number, unknown]);
    let met: BTreeSet<&str> = cases.filter_map(|case| matched(&case)).collect();
    let idle: Vec<&str> = names().into_iter().filter(|name| !met.contains(name)).collect();
    assert!(idle.is_empty(), "no reply among the tests meets {idle:?}");
}

#[test]
fn each_rule_has_a_name_of_its_own() {
    let unique: BTreeSet<&str> = names().into_iter().collect();
    assert_eq!(unique.len(), names().len());
    assert!(!unique.contains(""));
}

#[test]
fn phrases_are_written_as_they_are_compared() {
    for rule in TABLE.iter().copied().flatten() {
        let words = [rule.labels, rule.any, rule.all, rule.none].concat();
        assert!(words.iter().all(|word| *word == word.to_ascii_lowercase()), "{}", rule.name);
    }
}
