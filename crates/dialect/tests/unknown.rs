//! Parameters that a provider does not know, in the words of many: each is named, so that it can
//! be left out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{Reply, failure, refused_parameter, refuses_value_only};
use engine::{FaultKind, Scope, Timestamp};
use http::HeaderMap;
use serde_json::{Value, json};

/// What is said of a parameter that is not known, `{f}` in the place of its name.
const UNKNOWN: &[&str] = &[
    "unknown field: parameter '{f}' is not a valid field",
    "unknown field: parameter '{f}' is not supported",
    "{f}: unknown field",
    "Unknown field `{f}`",
    "unrecognized field \"{f}\"",
    "'{f}' is not a permitted field",
    "This model does not support the `{f}` parameter",
    "This model does not support the {f} parameter.",
    "extra fields not permitted: {f}",
    "Unknown request field: {f}",
    "Unknown parameter: '{f}'.",
    "unknown parameter {f}",
    "Unrecognized request argument supplied: {f}",
    "Unsupported parameter: '{f}' is not supported with this model.",
    "property '{f}' is unsupported",
    "Extra inputs are not permitted: {f}",
    "{f}: Extra inputs are not permitted",
    "unknown field `{f}`, expected one of `messages`, `model`",
    "Invalid JSON payload received. Unknown name \"{f}\": Cannot find field.",
    "Argument not supported on this model: {f}",
    "Parameter '{f}' is not supported",
    "unexpected keyword argument '{f}'",
    "Additional properties are not allowed ('{f}' was unexpected)",
    "json: unknown field \"{f}\"",
    "`{f}` is not supported by this model",
    "{f} is not supported",
    "{f} parameter is not allowed",
    "Failed to deserialize the JSON body into the target type: unknown field `{f}` at line 1 column 30",
    "unsupported parameter: {f}",
    "invalid field name: {f}",
    "invalid field: {f}",
    "No such parameter: {f}",
    "Model m1 does not support parameter {f}.",
    "UnsupportedParamsError: m does not support parameters: ['{f}']",
    "{f} is unsupported for this model",
    "parameter {f} is not valid",
];

/// Of these, what may be said of a value.
const OF_THE_VALUE: &[&str] =
    &["invalid field name: {f}", "invalid field: {f}", "parameter {f} is not valid"];

fn parameters() -> Vec<(&'static str, Value)> {
    vec![
        ("user", json!("u")),
        ("seed", json!(3)),
        ("stop", json!(["x"])),
        ("temperature", json!(0.5)),
        ("max_tokens", json!(50)),
        ("max_completion_tokens", json!(50)),
        ("min_p", json!(0.1)),
        ("top_k", json!(3)),
        ("thinking", json!({"type": "disabled"})),
        ("reasoning", json!({"effort": "low"})),
        ("web_search_options", json!({})),
        ("verbosity", json!("low")),
        ("foo_bar", json!(1)),
    ]
}

fn asking(name: &str, value: &Value) -> Vec<u8> {
    let mut request = json!({"model": "m1", "messages": [{"role": "user", "content": "hi"}]});
    request[name] = value.clone();
    serde_json::to_vec(&request).unwrap()
}

fn kind(body: &[u8], request: &[u8], status: u16) -> (FaultKind, Scope) {
    let headers = HeaderMap::new();
    let now = Timestamp::from_secs(1_795_323_600);
    let reply = Reply { provider: "cohere", model: "m1", status, headers: &headers, request, now };
    let fault = failure(&reply, body).fault;
    (fault.kind, fault.scope)
}

fn bodies(message: &str) -> [Vec<u8>; 3] {
    [
        json!({"id": "x", "message": message}),
        json!({"error": {"message": message, "type": "invalid_request_error", "param": null}}),
        json!({"error": message}),
    ]
    .map(|body| serde_json::to_vec(&body).unwrap())
}

#[test]
fn a_parameter_that_is_not_known_is_named_in_whatever_words() {
    let mut wrong = Vec::new();
    for (name, value) in parameters() {
        let request = asking(name, &value);
        for said in UNKNOWN {
            let message = said.replace("{f}", name);
            for (body, status) in bodies(&message).iter().zip([422, 400, 400]) {
                let seen = (kind(body, &request, status), refused_parameter(body, &request));
                let named = Some(name.to_owned());
                if seen != ((FaultKind::ParameterRefused, Scope::Request), named) {
                    wrong.push(format!("{message} ({status}): {seen:?}"));
                }
                if refuses_value_only(body) != OF_THE_VALUE.contains(said) {
                    wrong.push(format!("{message}: of the value or not"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_validator_of_the_older_kind_names_it_too() {
    let body = json!({"detail": [{"loc": ["body", "user"], "msg": "extra fields not permitted",
        "type": "value_error.extra"}]});
    let (body, request) = (serde_json::to_vec(&body).unwrap(), asking("user", &json!("u")));
    assert_eq!(refused_parameter(&body, &request).as_deref(), Some("user"));
    assert_eq!(kind(&body, &request, 422), (FaultKind::ParameterRefused, Scope::Request));
    assert!(!refuses_value_only(&body));
}

#[test]
fn what_is_not_said_of_a_parameter_names_none() {
    let request = asking("user", &json!("u"));
    for message in [
        "The user is not allowed to do this",
        "Unknown user",
        "unknown field: parameter 'seed' is not a valid field",
        "messages[0].user: unknown field",
        "The user said that the field is unknown",
        "Unknown field. User input was rejected",
        "user",
        "",
    ] {
        for body in bodies(message) {
            let named = refused_parameter(&body, &request);
            assert_ne!(named.as_deref(), Some("user"), "{message}");
        }
    }
}

#[test]
fn the_clients_own_words_name_no_parameter() {
    let said = "unknown field: parameter 'user' is not a valid field";
    let request =
        json!({"messages": [{"role": "user", "content": format!("what is {said}")}], "user": "u"});
    let request = serde_json::to_vec(&request).unwrap();
    for body in bodies(&format!("Cannot read what is {said}")) {
        assert_eq!(refused_parameter(&body, &request), None);
    }
}
