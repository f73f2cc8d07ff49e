//! Refusals that read like the caller's own mistake, and may be the provider's alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::read;
use dialect::{depends_on_others, refused_parameter};
use engine::{FaultKind, Scope};
use serde_json::{Value, json};

fn kind(body: &Value, request: &Value) -> FaultKind {
    let fault = read(400, body, request.to_string().as_bytes()).fault;
    assert!(fault.scope == Scope::Request || fault.kind == FaultKind::KeyRejected, "{fault:?}");
    fault.kind
}

fn error(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}})
}

fn asking(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": text}]})
}

fn with(name: &str, value: Value) -> Value {
    let mut request = asking("hi");
    request[name] = value;
    request
}

fn tool() -> Value {
    json!({"type": "function", "function": {"name": "f", "parameters": {}}})
}

const REFUSALS: &[&str] = &[
    "Your credit balance is too low to access the API. Please go to Plans & Billing.",
    "Incorrect API key provided: sk***. You can obtain an API key from the console.",
    "API key not valid. Please pass a valid API key.",
];

#[test]
fn a_refusal_whose_words_are_all_in_the_prompt_is_doubtful() {
    for message in REFUSALS {
        let prompt = asking(&format!("What does it mean if I read: {message}"));
        assert_eq!(kind(&error(message), &prompt), FaultKind::DoubtfulMistake, "{message}");
        let alone = kind(&json!({"code": "invalid argument", "error": message}), &prompt);
        assert_eq!(alone, FaultKind::DoubtfulMistake, "{message}");
    }
    let refused = kind(&error(REFUSALS[1]), &asking("hi"));
    assert_eq!(refused, FaultKind::KeyRejected, "nobody doubts it where nobody repeats it");
}

#[test]
fn a_message_around_a_prompt_is_the_callers_mistake() {
    for said in REFUSALS {
        let prompt = asking(said);
        for message in [
            format!("Cannot parse the content of the newest message: {said}"),
            format!("Invalid value: '{said}'. Supported values are: 'system' and 'user'."),
        ] {
            assert_eq!(kind(&error(&message), &prompt), FaultKind::CallerMistake, "{message}");
        }
        let mut body = error(said);
        body["error"]["param"] = json!("messages[0].content");
        assert_eq!(kind(&body, &prompt), FaultKind::CallerMistake, "{said}");
    }
}

#[test]
fn an_odd_picture_and_too_many_tools_are_doubtful() {
    let picture = json!({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,AAAA"}}]}]});
    let tools = with("tools", json!([tool()]));
    let too_long = json!({"error": {"message": "Invalid 'tools': array too long. Expected an \
        array with maximum length 128, but got an array with length 200 instead.",
        "param": "tools", "code": "array_above_max_length"}});
    for (body, request, expected) in [
        (error("image type image/svg+xml is not supported"), &picture, FaultKind::DoubtfulMistake),
        (error("media type image/svg+xml is not supported"), &picture, FaultKind::DoubtfulMistake),
        (error("image type image/png is not supported"), &picture, FaultKind::CapabilityMissing),
        (error("This model does not support images"), &picture, FaultKind::CapabilityMissing),
        (too_long, &tools, FaultKind::DoubtfulMistake),
        (error("This model does not support tools"), &tools, FaultKind::CapabilityMissing),
    ] {
        assert_eq!(kind(&body, request), expected, "{body}");
    }
}

#[test]
fn a_choice_among_no_tools_is_left_out_unless_it_demands_a_call() {
    let refusals = [
        ("'tool_choice' is only allowed when 'tools' are specified.", json!("tool_choice")),
        ("When using `tool_choice`, `tools` must be set.", Value::Null),
        ("tool_choice requires tools to be set", Value::Null),
    ];
    for (message, param) in refusals {
        let body = json!({"error": {"message": message, "param": param}});
        let bytes = serde_json::to_vec(&body).unwrap();
        let request = with("tool_choice", json!("auto"));
        assert_eq!(kind(&body, &request), FaultKind::ParameterRefused, "{message}");
        let sent = request.to_string();
        assert_eq!(refused_parameter(&bytes, sent.as_bytes()).as_deref(), Some("tool_choice"));
        assert!(depends_on_others(&bytes, sent.as_bytes()), "{message}");
        for demand in [json!("required"), json!({"type": "function", "function": {"name": "f"}})] {
            let request = with("tool_choice", demand);
            assert_eq!(kind(&body, &request), FaultKind::CallerMistake, "{message}");
        }
        let mut request = with("tool_choice", json!("auto"));
        request["tools"] = json!([tool()]);
        let sent = request.to_string();
        assert!(
            refused_parameter(&bytes, sent.as_bytes()).as_deref() != Some("tool_choice")
                || kind(&body, &request) == FaultKind::CapabilityMissing,
            "{message}"
        );
    }
}
