//! What is wrong by the API itself is the caller's mistake, however a provider words it; the same
//! words about a sound request are not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::read;
use dialect::{depends_on_others, refused_parameter};
use engine::{FaultKind, Scope};
use serde_json::{Value, json};

fn kind(body: &Value, request: &Value) -> FaultKind {
    let reading = read(400, body, request.to_string().as_bytes());
    assert_eq!(reading.fault.scope, Scope::Request, "{body}");
    if reading.fault.kind == FaultKind::CallerMistake {
        assert!(reading.lacks.is_empty(), "{body}");
    }
    reading.fault.kind
}

fn error(message: &str, param: Value) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": null}})
}

fn coded(message: &str, param: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}})
}

fn listed(kind: &str, place: &Value, message: &str) -> Value {
    json!({"detail": [{"type": kind, "loc": place, "msg": message, "input": "x"}]})
}

fn with(members: &Value) -> Value {
    let mut request = json!({"messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "f", "parameters": {}}}])
}

fn choosing(choice: &Value) -> Value {
    with(&json!({"tools": tools(), "tool_choice": choice}))
}

#[test]
fn a_choice_of_a_tool_that_is_not_there_is_the_callers_mistake() {
    let missing = choosing(&json!({"type": "function", "function": {"name": "foo"}}));
    let there = choosing(&json!({"type": "function", "function": {"name": "f"}}));
    for body in [
        error("Tool choice 'foo' not found in 'tools' parameter.", json!("tool_choice")),
        coded("tool_choice function 'foo' not found in tools", "tool_choice", "invalid_value"),
        json!({"message": "tool_choice function 'foo' not found in tools",
            "param": "tool_choice", "code": "wrong_api_format"}),
        error("tool_choice parameter is invalid", Value::Null),
    ] {
        assert_eq!(kind(&body, &missing), FaultKind::CallerMistake, "{body}");
        assert_eq!(kind(&body, &there), FaultKind::CapabilityMissing, "{body}");
    }
    let values = coded(
        "Invalid value: 'foo'. Supported values are: 'none', 'auto', and 'required'.",
        "tool_choice",
        "invalid_value",
    );
    assert_eq!(kind(&values, &choosing(&json!("foo"))), FaultKind::CallerMistake);
    assert_eq!(kind(&values, &choosing(&json!(7))), FaultKind::CallerMistake);
    assert_eq!(kind(&values, &choosing(&json!("REQUIRED"))), FaultKind::CapabilityMissing);
}

#[test]
fn a_value_of_another_type_is_the_callers_mistake() {
    let typed = |name: &str| coded(&format!("Invalid type for '{name}'."), name, "invalid_type");
    for (name, wrong) in [
        ("n", json!("two")),
        ("n", json!(0)),
        ("n", json!(1.5)),
        ("logit_bias", json!([1])),
        ("logit_bias", json!({"a": 1})),
        ("logit_bias", json!({"5": "x"})),
        ("logit_bias", json!({"5": 500})),
        ("top_logprobs", json!("x")),
        ("logprobs", json!("yes")),
        ("parallel_tool_calls", json!("no")),
        ("reasoning_effort", json!({"a": 1})),
        ("metadata", json!("x")),
        ("metadata", json!({"a": 5})),
        ("stream_options", json!("x")),
        ("modalities", json!("text")),
        ("tools", json!("f")),
        ("response_format", json!("json")),
        ("response_format", json!({"type": "xml"})),
        ("response_format", json!({"type": "json_schema"})),
        ("stop", json!({"a": 1})),
        ("temperature", json!("hot")),
    ] {
        let request = with(&json!({ name: wrong, "stream": true }));
        let bodies = [
            typed(name),
            listed("int_parsing", &json!(["body", name]), "Input should be valid"),
            error(&format!("'{name}' : value must be another"), Value::Null),
        ];
        for body in bodies {
            assert_eq!(kind(&body, &request), FaultKind::CallerMistake, "{body} {request}");
        }
    }
}

#[test]
fn a_sound_value_that_is_refused_is_this_providers_alone() {
    let table = [
        ("n", json!(2), FaultKind::CapabilityMissing),
        ("response_format", json!({"type": "json_object"}), FaultKind::CapabilityMissing),
        ("tools", tools(), FaultKind::CapabilityMissing),
        ("logit_bias", json!({"5": 1}), FaultKind::ParameterRefused),
        ("logprobs", json!(true), FaultKind::ParameterRefused),
        ("reasoning_effort", json!("minimal"), FaultKind::ParameterRefused),
        ("metadata", Value::Null, FaultKind::ParameterRefused),
        ("foo", json!(1), FaultKind::ParameterRefused),
    ];
    for (name, value, expected) in table {
        let request = with(&json!({ name: value }));
        let body = coded(&format!("Unsupported value: '{name}'"), name, "unsupported_value");
        assert_eq!(kind(&body, &request), expected, "{name}");
    }
}

#[test]
fn a_member_that_nobody_knows_is_shown_to_one_more_provider() {
    let part = json!([{"type": "text", "text": "hi", "bar": 2}]);
    let foreign = [
        with(&json!({"response_format": {"type": "json_object", "bar": 1}})),
        with(&json!({"tools": [{"type": "function", "bar": 1, "function": {"name": "f"}}]})),
        with(&json!({"tools": [{"type": "function", "function": {"name": "f", "bar": 1}}]})),
        with(&json!({"messages": [{"role": "user", "content": part}]})),
    ];
    let paths = [
        "response_format.bar",
        "tools[0].bar",
        "tools[0].function.bar",
        "messages[0].content[0].bar",
    ];
    for (request, path) in foreign.iter().zip(paths) {
        let body = coded(&format!("Unknown parameter: '{path}'."), path, "unknown_parameter");
        assert_eq!(kind(&body, request), FaultKind::DoubtfulMistake, "{path}");
    }
    let listed = listed(
        "extra_forbidden",
        &json!(["body", "response_format", "bar"]),
        "Extra inputs are not permitted",
    );
    assert_eq!(kind(&listed, &foreign[0]), FaultKind::DoubtfulMistake);
    // A form that somebody takes, and a keyword of a schema, are another provider's turn at once.
    let strict = json!({"type": "json_schema",
        "json_schema": {"name": "x", "strict": true, "schema": {"pattern": "a"}}});
    for path in ["response_format.json_schema.strict", "response_format.json_schema.schema.pattern"]
    {
        let body = coded(&format!("Unknown parameter: '{path}'."), path, "unknown_parameter");
        let request = with(&json!({ "response_format": strict }));
        assert_eq!(kind(&body, &request), FaultKind::CapabilityMissing, "{path}");
    }
}

#[test]
fn a_field_of_messages_is_mended_if_it_is_there() {
    let path = "messages[0].foo";
    let body = coded(&format!("Unknown parameter: '{path}'."), path, "unknown_parameter");
    let there = with(&json!({"messages": [{"role": "user", "content": "hi", "foo": 1}]}));
    assert_eq!(kind(&body, &there), FaultKind::ParameterRefused);
    assert_eq!(kind(&body, &with(&json!({}))), FaultKind::DoubtfulMistake);
}

#[test]
fn what_is_missing_is_not_mended_by_leaving_out() {
    let body = json!({"message": "body.messages.0.user.content: Field required",
        "type": "invalid_request_error", "param": "validation_error", "code": "wrong_api_format"});
    let request = json!({"messages": [{"role": "user"}]});
    assert_eq!(kind(&body, &request), FaultKind::CallerMistake);
}

#[test]
fn options_of_a_stream_without_one_are_left_out_for_this_request() {
    let refusals = [
        error(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            json!("stream_options"),
        ),
        error("stream_options should be set along with stream = true", Value::Null),
        error("Stream options can only be defined when `stream=True`.", Value::Null),
    ];
    for body in refusals {
        let bytes = serde_json::to_vec(&body).unwrap();
        for stream in [json!(false), Value::Null] {
            let request =
                with(&json!({"stream": stream, "stream_options": {"include_usage": true}}));
            assert_eq!(kind(&body, &request), FaultKind::ParameterRefused, "{body}");
            let sent = request.to_string();
            let name = refused_parameter(&bytes, sent.as_bytes());
            assert_eq!(name.as_deref(), Some("stream_options"), "{body}");
            assert!(depends_on_others(&bytes, sent.as_bytes()), "{body}");
        }
    }
}

#[test]
fn words_about_the_context_in_a_part_of_the_request_are_the_clients() {
    let said = "maximum context length is 10 tokens";
    let request = with(&json!({"tools": [{"function": {"name": "f", "description": "x"}}]}));
    for (path, message) in [
        ("tools[0].function.description", format!("Invalid description: '{said}' is too long")),
        ("messages[0].content", format!("Invalid content: \"{said}\" is not allowed")),
        ("messages[0].name", format!("Invalid name: `{said}` does not match the pattern")),
    ] {
        let body = coded(&message, path, "string_above_max_length");
        assert_eq!(kind(&body, &request), FaultKind::CallerMistake, "{path}");
    }
    for (path, message) in [
        ("messages", format!("This model's {said}. Please reduce the length of the messages.")),
        ("messages[0].content", format!("This model's {said}.")),
    ] {
        let body = error(&message, json!(path));
        assert_eq!(kind(&body, &request), FaultKind::ContextTooLong, "{path}");
    }
}

#[test]
fn words_about_thoughts_in_the_clients_message_are_the_clients() {
    let said = "what does: must start with a thinking block, mean here";
    let request = with(&json!({"messages": [{"role": "user", "content": said}]}));
    let body = error(&format!("cannot read: {said}"), Value::Null);
    assert_eq!(kind(&body, &request), FaultKind::CallerMistake);
}
