//! Which parameter is refused, what is to take its place, and how much is allowed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{
    refused_beside, refused_parameter, refused_too, refuses_value_only, replacement_for,
    stated_ceiling,
};
use serde_json::json;

fn message(text: &str) -> Vec<u8> {
    serde_json::to_vec(&json!({"error": {"message": text}})).unwrap()
}

#[test]
fn the_refused_parameter_is_found_wherever_it_stands() {
    let bodies = [
        (json!({"error": {"message": "x", "param": "max_tokens"}}), "max_tokens"),
        (
            json!({"error": {"message": "x", "param": "stream_options.include_usage"}}),
            "stream_options",
        ),
        (
            json!({"message": "x", "param": "reasoning_effort", "code": "wrong_api_format"}),
            "reasoning_effort",
        ),
        (
            json!({"object": "error", "message": {"detail": [
            {"type": "extra_forbidden", "loc": ["body", "reasoning"], "msg": "Extra inputs are not permitted"}]}}),
            "reasoning",
        ),
        (
            json!({"detail": [{"type": "literal_error", "loc": ["body", "reasoning_effort"], "msg": "x"}]}),
            "reasoning_effort",
        ),
        (
            json!({"code": "Client specified an invalid argument",
            "error": "Argument not supported on this model: frequencyPenalty"}),
            "frequency_penalty",
        ),
        (json!({"code": "x", "error": "Argument not supported on this model: stop"}), "stop"),
    ];
    for (body, name) in bodies {
        assert_eq!(
            refused_parameter(&serde_json::to_vec(&body).unwrap(), b"").as_deref(),
            Some(name)
        );
    }
}

#[test]
fn the_refused_parameter_is_found_in_prose() {
    let texts = [
        ("Unsupported parameter: 'max_tokens' is not supported with this model.", "max_tokens"),
        ("Unsupported value: 'temperature' does not support 0.2 with this model.", "temperature"),
        ("Unknown parameter: 'top_k'.", "top_k"),
        ("Unrecognized request argument supplied: seed", "seed"),
        (
            "Invalid JSON payload received. Unknown name \"logit_bias\": Cannot find field.",
            "logit_bias",
        ),
        ("property 'reasoning_format' is unsupported", "reasoning_format"),
        ("`logprobs` is not supported with this model", "logprobs"),
        ("reasoning_effort is not supported with this model", "reasoning_effort"),
        ("`max_tokens` must be less than or equal to `8192`", "max_tokens"),
        ("'n' : number must be at most 1", "n"),
        (
            "max_tokens is too large: 40000. This model supports at most 16384 completion tokens",
            "max_tokens",
        ),
        ("got an unexpected keyword argument 'user'", "user"),
        ("provider does not support parameters: ['store'], for model=x", "store"),
    ];
    for (text, name) in texts {
        assert_eq!(refused_parameter(&message(text), b"").as_deref(), Some(name), "{text}");
    }
}

#[test]
fn what_cannot_be_stripped_is_not_named() {
    let texts = [
        "Something is not supported",
        "Invalid value",
        "Unsupported parameter: 'messages'",
        "Unsupported parameter: 'a b; drop'",
        "Unsupported parameter: ''",
        "model 'x' is not found",
        "",
    ];
    for text in texts {
        assert_eq!(refused_parameter(&message(text), b""), None, "{text}");
    }
    let long = format!("Unsupported parameter: '{}'", "x".repeat(65));
    assert_eq!(refused_parameter(&message(&long), b""), None);
    let body = br#"{"error":{"message":"x","param":"messages[0].content"}}"#;
    assert_eq!(refused_parameter(body, b""), None);
    assert_eq!(refused_parameter(b"<html>", b""), None);
    assert_eq!(refused_parameter(b"", b""), None);
}

#[test]
fn a_missing_field_is_not_a_refused_one() {
    let body =
        br#"{"detail":[{"type":"missing","loc":["body","max_tokens"],"msg":"Field required"}]}"#;
    assert_eq!(refused_parameter(body, b""), None);
}

#[test]
fn the_replacement_is_what_the_provider_names() {
    let text = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                Use 'max_completion_tokens' instead.";
    let replacement = replacement_for("max_tokens", &message(text), b"");
    assert_eq!(replacement.as_deref(), Some("max_completion_tokens"));
    for text in ["Use 'max_tokens' instead.", "use it instead of that", "Use ''", "use ", ""] {
        assert_eq!(replacement_for("max_tokens", &message(text), b""), None, "{text}");
    }
}

#[test]
fn a_stated_ceiling_is_read() {
    let texts = [
        ("`max_tokens` must be less than or equal to `8192`, the maximum value", 8192),
        (
            "max_tokens is too large: 40000. This model supports at most 16384 completion tokens",
            16384,
        ),
        ("max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens", 64000),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8192),
        ("You requested up to 32000 tokens, but can only afford 2666.", 2666),
        ("max_completion_tokens must be at most 4,096", 4096),
    ];
    for (text, ceiling) in texts {
        assert_eq!(stated_ceiling("max_tokens", &message(text), b""), Some(ceiling), "{text}");
    }
    for text in ["temperature must be less than or equal to 2", "max_tokens must be at most 0", "x"]
    {
        assert_eq!(stated_ceiling("max_tokens", &message(text), b""), None, "{text}");
    }
}

#[test]
fn a_refused_value_is_told_from_a_refused_parameter() {
    let of_the_value = [
        json!({"error": {"message": "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are: 'low' and 'high'.", "param": "reasoning_effort", "code": "unsupported_value"}}),
        json!({"error": {"message": "Unsupported value: 'temperature' does not support 0.2 with this model.", "code": "unsupported_value"}}),
        json!({"error": {"message": "`reasoning_effort` must be one of `low`, `medium`, or `high`"}}),
        json!({"detail": [{"type": "literal_error", "loc": ["body", "reasoning_effort"], "msg": "Input should be 'none' or 'high'"}]}),
        json!({"error": {"message": "Invalid reasoning_effort: minimal"}}),
        json!({"error": {"message": "top_logprobs must be less than or equal to 5"}}),
    ];
    for body in of_the_value {
        assert!(refuses_value_only(&serde_json::to_vec(&body).unwrap()), "{body}");
    }
    let wholly = [
        json!({"error": {"message": "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.", "param": "temperature", "code": "unsupported_value"}}),
        json!({"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model.", "code": "unsupported_parameter"}}),
        json!({"error": {"message": "Unrecognized request argument supplied: seed"}}),
        json!({"error": {"message": "`logprobs` is not supported with this model"}}),
        json!({"error": "Argument not supported on this model: stop"}),
        json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}),
    ];
    for body in wholly {
        assert!(!refuses_value_only(&serde_json::to_vec(&body).unwrap()), "{body}");
    }
}

#[test]
fn a_bound_of_any_parameter_is_read() {
    let bound = |param, text: &str| stated_ceiling(param, &message(text), b"");
    assert_eq!(bound("temperature", "temperature must be less than or equal to 2"), Some(2));
    assert_eq!(bound("temperature", "temperature must be less than or equal to 1.0"), Some(1));
    assert_eq!(bound("temperature", "temperature must be less than or equal to 1.5"), None);
    assert_eq!(bound("top_logprobs", "top_logprobs must be at most 5."), Some(5));
    assert_eq!(bound("temperature", "the 3 options must be > 4"), None);
}

#[test]
fn a_validators_list_that_is_written_out_names_the_parameter() {
    let message = "[{'type': 'extra_forbidden', 'loc': ('body', 'x'), \
                   'msg': 'Extra inputs are not permitted', 'input': 1}]";
    let body = serde_json::json!({"message": message, "type": "BadRequestError", "code": 400});
    let body = serde_json::to_vec(&body).unwrap();
    assert_eq!(dialect::refused_parameter(&body, b"{\"x\":1}"), Some("x".to_owned()));
}

/// What a request has, what is said of it, and which parameter is meant with which ceiling.
type Limited = (&'static str, &'static str, &'static str, Option<u64>);

const LIMITED: &[Limited] = &[
    (
        r#"{"temperature":0.7}"#,
        "invalid temperature: only 1 is allowed for this model",
        "temperature",
        None,
    ),
    (r#"{"top_p":0.3}"#, "invalid top_p: only 0.95 is allowed for this model", "top_p", None),
    (r#"{"temperature":1.5}"#, "temperature: range: 0..1", "temperature", Some(1)),
    (r#"{"temperature":0.5}"#, "`temperature` is deprecated for this model.", "temperature", None),
    (
        r#"{"temperature":0.5}"#,
        "`temperature` may only be set to 1 when thinking is enabled.",
        "temperature",
        None,
    ),
    (
        r#"{"frequency_penalty":0.2}"#,
        "Penalty is not enabled for this model",
        "frequency_penalty",
        None,
    ),
    (
        r#"{"presence_penalty":-0.2}"#,
        "Penalty is not enabled for this model",
        "presence_penalty",
        None,
    ),
    (
        r#"{"max_tokens":99999}"#,
        "it has a maxOutputTokens value of 99999 but the supported range is from 1 (inclusive) to 65537 (exclusive).",
        "max_tokens",
        Some(65536),
    ),
    (
        r#"{"max_tokens":99999}"#,
        "Range of max_tokens should be [1, 8192]",
        "max_tokens",
        Some(8192),
    ),
    (
        r#"{"max_tokens":999999}"#,
        "max_tokens参数非法：限制数值范围[1,131072]",
        "max_tokens",
        Some(131_072),
    ),
    (
        r#"{"max_tokens":64000}"#,
        "max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens",
        "max_tokens",
        Some(8192),
    ),
    (
        r#"{"max_completion_tokens":32000}"#,
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        "max_completion_tokens",
        Some(8192),
    ),
    (r#"{"temperature":3}"#, "Range of temperature should be [0.0, 2.0)", "temperature", Some(2)),
    (
        r#"{"temperature":1.5}"#,
        "temperature must be between 0 and 1.0 inclusive",
        "temperature",
        Some(1),
    ),
    (
        r#"{"max_tokens":9000}"#,
        "The maximum tokens you requested exceeds the model limit of 8192.",
        "max_tokens",
        Some(8192),
    ),
    (r#"{"max_tokens":9000}"#, "max_tokens cannot be greater than 4,096", "max_tokens", Some(4096)),
    (r#"{"max_tokens":9000}"#, "max_tokens must be <= 4096", "max_tokens", Some(4096)),
    (r#"{"max_tokens":9000}"#, "max_tokens must be in [1, 4096]", "max_tokens", Some(4096)),
    (
        r#"{"top_k":900}"#,
        "Value '900' at 'inferenceConfig.topK' failed to satisfy constraint: Member must have value less than or equal to 500",
        "top_k",
        Some(500),
    ),
];

#[test]
fn a_number_that_another_provider_may_take_is_named_with_its_ceiling() {
    for &(request, text, name, most) in LIMITED {
        let body = message(text);
        let refused = refused_parameter(&body, request.as_bytes());
        assert_eq!(refused.as_deref(), Some(name), "{text}");
        assert_eq!(stated_ceiling(name, &body, request.as_bytes()), most, "{text}");
    }
}

#[test]
fn a_validators_bound_is_a_ceiling() {
    let body = br#"{"object":"error","message":{"detail":[{"type":"less_than_equal","loc":["body","max_tokens"],"msg":"Input should be less than or equal to 8192","input":32000,"ctx":{"le":8192}}]}}"#;
    let request = br#"{"max_tokens":32000}"#;
    assert_eq!(refused_parameter(body, request).as_deref(), Some("max_tokens"));
    assert_eq!(stated_ceiling("max_tokens", body, request), Some(8192));
    let below = br#"{"detail":[{"type":"less_than","loc":["body","top_k"],"ctx":{"lt":100}}]}"#;
    assert_eq!(refused_parameter(below, br#"{"top_k":200}"#).as_deref(), Some("top_k"));
    assert_eq!(stated_ceiling("top_k", below, br#"{"top_k":200}"#), Some(99));
}

#[test]
fn what_no_provider_takes_is_no_limit_of_this_one() {
    let table = [
        (r#"{"max_tokens":0}"#, "Range of max_tokens should be [1, 8192]"),
        (r#"{"temperature":-1}"#, "temperature: range: 0..1"),
        (r#"{"temperature":"hot"}"#, "temperature: range: 0..1"),
        (r#"{"temperature":0.5}"#, "top_p: range: 0..1"),
        (r#"{"temperature":3}"#, "Invalid 'temperature': decimal above maximum value."),
        (r#"{"max_tokens":-1}"#, "max_tokens must be between 1 and 100"),
        (
            r#"{"max_tokens":9000}"#,
            "The sum of prompt tokens and max_tokens exceeds the maximum context length of 8192.",
        ),
    ];
    for (request, text) in table {
        assert_eq!(refused_parameter(&message(text), request.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_number_is_not_refused_in_the_clients_own_words() {
    let said = "temperature: range: 0..1";
    let request = format!(r#"{{"temperature":1.5,"messages":[{{"content":"what is {said}"}}]}}"#);
    let body = message(&format!("Cannot read the message \"what is {said}\""));
    assert_eq!(refused_parameter(&body, request.as_bytes()), None);
}

#[test]
fn of_two_that_are_taken_one_at_a_time_the_dearer_one_stays() {
    let text = "`temperature` and `top_p` cannot both be specified for this model. \
                Please use only one.";
    let (body, request) = (message(text), br#"{"temperature":0.7,"top_p":0.9}"#);
    assert_eq!(refused_parameter(&body, request).as_deref(), Some("top_p"));
    assert_eq!(refused_beside("top_p", &body, request), Some("temperature"));
    let alone = message("`top_p` is deprecated for this model.");
    assert_eq!(refused_beside("top_p", &alone, request), None);
}

#[test]
fn both_penalties_are_refused_by_one_word() {
    let (body, request) = (
        message("Penalty is not enabled for this model"),
        br#"{"frequency_penalty":0.2,"presence_penalty":0.1}"#,
    );
    assert_eq!(refused_parameter(&body, request).as_deref(), Some("frequency_penalty"));
    assert_eq!(refused_too("frequency_penalty", &body, request), Some("presence_penalty"));
    assert_eq!(refused_too("frequency_penalty", &body, br#"{"frequency_penalty":1}"#), None);
    let one = message("Unknown parameter: 'frequency_penalty'");
    assert_eq!(refused_too("frequency_penalty", &one, request), None);
    assert!(!refuses_value_only(&body));
}

#[test]
fn who_does_not_think_refuses_what_asks_for_it() {
    let body = message("\"m\" does not support thinking");
    let refused = |request: &[u8]| refused_parameter(&body, request);
    assert_eq!(refused(br#"{"reasoning_effort":"high"}"#).as_deref(), Some("reasoning_effort"));
    assert_eq!(refused(br#"{"think":true}"#).as_deref(), Some("think"));
    assert_ne!(refused(br#"{"top_p":1}"#).as_deref(), Some("top_p"));
}

#[test]
fn a_name_in_humps_is_the_one_with_underscores() {
    let table = [
        ("Model m does not support parameter presencePenalty.", "presence_penalty"),
        ("Model m does not support parameter reasoningEffort.", "reasoning_effort"),
        ("Model m does not support parameter logitBias.", "logit_bias"),
        ("Unrecognized key(s) in object: 'minP'", "min_p"),
        ("json: unknown field \"seed\"", "seed"),
        ("extraneous key [user] is not permitted", "user"),
        ("Unsupported parameter(s): `seed`", "seed"),
        ("Additional properties are not allowed ('user' was unexpected)", "user"),
    ];
    for (text, name) in table {
        assert_eq!(refused_parameter(&message(text), b"").as_deref(), Some(name), "{text}");
    }
}
