//! A client's own words, given back by a provider, set nothing aside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{Reply, failure};
use engine::{Fault, FaultKind, Scope, Timestamp};
use http::HeaderMap;
use serde_json::{Value, json};

/// What a client may send to look like a fault of the account or of the model.
const PHRASES: &[&str] = &[
    "invalid api key",
    "Incorrect API key provided",
    "API key expired",
    "rate limit exceeded",
    "Too Many Requests",
    "credit balance is too low",
    "insufficient balance",
    "has been decommissioned",
    "model not found",
    "daily limit reached",
    "monthly quota",
    "free usage limit",
    "free-models-per-day",
    "degraded function",
    "region is not supported",
    "余额不足",
    "请求过多",
];

/// Each shape with the client's words in quotation marks of its own.
fn quoting(words: &str) -> Vec<(&'static str, Value)> {
    let openai = |message: String, param: &str, code: &str| json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}});
    vec![
        (
            "openai",
            openai(
                format!("Invalid value: '{words}'. Supported values are: 'system' and 'user'."),
                "messages[0].role",
                "invalid_value",
            ),
        ),
        (
            "openai",
            openai(
                format!("Invalid 'tools[0].function.name': '{words}' does not match pattern."),
                "tools[0].function.name",
                "invalid_value",
            ),
        ),
        (
            "openai",
            json!({"error": {"message": format!("Unrecognized request argument supplied: {words}"),
                "type": "invalid_request_error", "param": null, "code": null}}),
        ),
        ("openai", openai(format!("Unknown parameter: '{words}'."), words, "unknown_parameter")),
        (
            "openai",
            openai(format!("Failed to load the image URL: \"{words}\""), "url", "invalid_value"),
        ),
        (
            "groq",
            json!({"error": {"message": format!("'messages.0' : discriminator property 'role' has invalid value '{words}'"),
                "type": "invalid_request_error"}}),
        ),
        (
            "vllm",
            json!({"object": "error", "message": format!("[{{'type': 'literal_error', 'loc': ('body', 'role'), 'input': '{words}'}}]"),
                "type": "BadRequestError", "code": 400}),
        ),
        (
            "mistral",
            json!({"object": "error", "message": {"detail": [{"type": "value_error", "loc": ["body", words],
                "msg": format!("Input tag `{words}` is not one of the expected tags"), "input": words}]}}),
        ),
        (
            "gemini",
            json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT",
                "message": format!("Invalid value at 'contents[0].role', \"{words}\"")}}]),
        ),
        ("", json!({"error": format!("cannot read “{words}” in \\\"{words}\\\"")})),
    ]
}

/// Shapes with the client's words as they are.
fn repeating(words: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("", json!({"error": {"message": format!("Unexpected role: {words}, it must be user")}})),
        ("", json!({"detail": format!("bad tool {words}")})),
        ("mistral", json!({"object": "error", "message": format!("Wrong role x' {words} 'y")})),
        ("", Value::String(words.to_owned())),
    ]
}

fn fault(provider: &str, status: u16, body: &Value, request: &[u8]) -> Fault {
    let headers = HeaderMap::new();
    let now = Timestamp::from_secs(1_795_323_600);
    let reply = Reply { provider, model: "some-model", status, headers: &headers, request, now };
    failure(&reply, &serde_json::to_vec(body).unwrap()).fault
}

/// Only what a server error may mean by its status alone is left.
fn is_harmless(status: u16, fault: &Fault) -> bool {
    match status {
        500.. => fault.kind == FaultKind::ServerError && fault.resume.is_none(),
        405 | 409 => fault.kind == FaultKind::ServerError,
        _ => fault.scope == Scope::Request,
    }
}

const STATUSES: &[u16] = &[400, 404, 405, 409, 413, 415, 422, 500];

#[test]
fn quoted_words_of_a_client_set_nothing_aside() {
    for words in PHRASES {
        for (provider, body) in quoting(words) {
            for &status in STATUSES {
                let known = serde_json::to_vec(&json!({"messages": [{"role": words}]})).unwrap();
                let fault = fault(provider, status, &body, &known);
                assert!(is_harmless(status, &fault), "{status} {body}: {fault:?}");
            }
        }
    }
}

#[test]
fn quoted_words_set_nothing_aside_even_if_the_request_is_not_known() {
    for words in PHRASES {
        // The third shape quotes nothing.
        for (at, (provider, body)) in quoting(words).into_iter().enumerate() {
            let fault = fault(provider, 400, &body, b"");
            assert!(at == 2 || fault.scope == Scope::Request, "{body}: {fault:?}");
        }
    }
}

#[test]
fn words_that_stand_in_the_request_set_nothing_aside() {
    for words in PHRASES {
        let units = words.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
        let escaped = units.collect::<Vec<_>>().concat();
        let requests = [
            format!("{{\"role\":\"{}\"}}", words.to_uppercase()),
            format!("{{\"role\":\"{escaped}\"}}"),
        ];
        for (provider, body) in repeating(words) {
            for &status in &[400, 422, 500] {
                for request in &requests {
                    let fault = fault(provider, status, &body, request.as_bytes());
                    assert!(is_harmless(status, &fault), "{status} {body}: {fault:?}");
                }
            }
        }
    }
}

#[test]
fn the_providers_own_words_count_still() {
    let body = json!({"error": {"message": "Incorrect API key provided: 'sk-x'."}});
    assert_eq!(fault("xai", 400, &body, br#"{"model":"x"}"#).kind, FaultKind::KeyRejected);
    let body = json!({"error": {"message": "The model `x` has been decommissioned"}});
    assert_eq!(fault("", 400, &body, br#"{"model":"x"}"#).kind, FaultKind::ModelMissing);
}

#[test]
fn a_code_counts_whatever_the_request_says() {
    let codes = [
        ("model_decommissioned", FaultKind::ModelMissing),
        ("insufficient_quota", FaultKind::OutOfCredit),
        ("authentication_error", FaultKind::KeyRejected),
    ];
    for (code, kind) in codes {
        let body = json!({"error": {"message": "has been decommissioned", "code": code}});
        let request = format!("{{\"content\":\"has been decommissioned {code}\"}}");
        assert_eq!(fault("", 400, &body, request.as_bytes()).kind, kind);
    }
}

#[test]
fn an_account_is_refused_whatever_the_request_says() {
    let body = json!({"error": {"message": "rate limit exceeded, 'daily limit reached'"}});
    let request = br#"{"content":"daily limit reached"}"#;
    assert_eq!(fault("", 429, &body, request).kind, FaultKind::DailyLimit);
}

#[test]
fn a_value_that_only_some_take_is_a_refused_parameter_if_the_request_has_it() {
    let request = br#"{"reasoning_effort":"minimal","logprobs":true,"messages":[]}"#;
    let headers = http::HeaderMap::new();
    for (status, body) in [
        (
            400,
            r#"{"error":{"message":"`reasoning_effort` must be one of `low`, `medium`, or `high`"}}"#,
        ),
        (
            422,
            r#"{"detail":[{"type":"enum","loc":["body","reasoning_effort"],"msg":"Input should be 'none' or 'high'"}]}"#,
        ),
        (400, r#"{"error":{"message":"Invalid reasoning_effort: minimal"}}"#),
        (400, r#"{"error":{"message":"logprobs must be an integer","param":"logprobs"}}"#),
        (
            400,
            r#"{"error":{"message":"Invalid value: 'minimal'.","param":"reasoning_effort","code":"invalid_value"}}"#,
        ),
    ] {
        let reply = |request| dialect::Reply {
            provider: "",
            model: "m",
            status,
            headers: &headers,
            now: engine::Timestamp::default(),
            request,
        };
        let fault = dialect::failure(&reply(request), body.as_bytes()).fault;
        assert_eq!(fault.kind, engine::FaultKind::ParameterRefused, "{body}");
        assert!(dialect::refused_parameter(body.as_bytes(), b"").is_some(), "{body}");
    }
}

#[test]
fn a_model_that_is_refused_in_other_words_is_missing() {
    let headers = http::HeaderMap::new();
    for body in [
        r#"{"object":"error","message":"Invalid model: small-2312","type":"invalid_model","code":"1500"}"#,
        r#"{"error":{"message":"Invalid model 'x'. Permitted models can be found","type":"invalid_model"}}"#,
        r#"{"error":{"message":"Unable to access model org/x.","code":"model_not_available"}}"#,
        r#"{"error":{"message":"The requested model 'm' is not supported by any provider you have enabled.","code":"model_not_supported"}}"#,
    ] {
        let reply = dialect::Reply {
            provider: "",
            model: "small-2312",
            status: 400,
            headers: &headers,
            now: engine::Timestamp::default(),
            request: b"",
        };
        let fault = dialect::failure(&reply, body.as_bytes()).fault;
        assert_eq!(fault.kind, engine::FaultKind::ModelMissing, "{body}");
    }
}

/// What a provider makes of a text that a client has sent, and what the client has sent.
fn templates() -> Vec<(&'static str, &'static str)> {
    vec![
        ("Tool api key not found", r#"{"tools":[{"function":{"name":"api key"}}]}"#),
        ("Tool model not found", r#"{"tools":[{"function":{"name":"model"}}]}"#),
        ("The function `x` invalid api key", r#"{"tools":[{"function":{"name":"invalid api"}}]}"#),
        ("Unknown role invalid api: key expired", r#"{"messages":[{"role":"Invalid API"}]}"#),
        ("User model does not exist", r#"{"user":"model"}"#),
        (
            "Cannot parse: please tell me why the rate limit is so low",
            r#"{"content":"I ask: please tell me why the rate limit is so low, friend"}"#,
        ),
        (
            "Bad line: credit balance is too low",
            "{\"content\":\"a b\\ncredit balance is too low\\nc\"}",
        ),
    ]
}

#[test]
fn a_template_around_a_clients_word_sets_nothing_aside() {
    for (message, request) in templates() {
        let body = json!({"error": {"message": message, "type": "invalid_request_error"}});
        for status in [400, 404, 422] {
            let fault = fault("", status, &body, request.as_bytes());
            assert_eq!(fault.scope, Scope::Request, "{status} {message}: {fault:?}");
        }
    }
}

#[test]
fn words_that_stand_outside_of_the_request_too_count() {
    let request = br#"{"role":"user","content":"Why do I read invalid api key, and what does rate limit exceeded mean, and is a model not found here or not?"}"#;
    let cases = [
        ("Invalid API key provided.", FaultKind::KeyRejected),
        ("Model not found: x-1", FaultKind::ModelMissing),
        ("Rate limit exceeded, please try again in 5s", FaultKind::RateLimited),
    ];
    for (message, kind) in cases {
        let body = json!({"error": {"message": message}});
        assert_eq!(fault("", 400, &body, request).kind, kind, "{message}");
    }
}

#[test]
fn a_clients_words_are_no_reason_to_go_on_to_another() {
    let request = br#"{"messages":[{"role":"context length exceeded","content":"Say: the context window is much too long for tools"}]}"#;
    let cases = [
        "Invalid value: 'context length exceeded'. Supported values are: 'system' and 'user'.",
        "Unexpected role context length exceeded",
        "Cannot read `Say: the context window is much too long for tools`",
    ];
    for message in cases {
        let body = json!({"error": {"message": message, "param": "messages[0].role"}});
        assert_eq!(fault("", 400, &body, request).kind, FaultKind::CallerMistake, "{message}");
    }
    let body = json!({"error": {"message": "The input exceeds the context window of this model."}});
    assert_eq!(fault("", 400, &body, request).kind, FaultKind::ContextTooLong);
}

#[test]
fn a_clients_words_teach_no_mend() {
    let message = "Cannot parse 'Unsupported parameter: 'temperature'. Use 'top_k' instead. \
                   max_tokens must be at most 1'";
    let body = serde_json::to_vec(&json!({"error": {"message": message}})).unwrap();
    let request = serde_json::to_vec(&json!({
        "temperature": 1,
        "max_tokens": 100,
        "messages": [{"content": "Unsupported parameter: 'temperature'. Use 'top_k' instead. max_tokens must be at most 1"}],
    }))
    .unwrap();
    assert_eq!(dialect::refused_parameter(&body, &request), None);
    assert_eq!(dialect::replacement_for("temperature", &body, &request), None);
    assert_eq!(dialect::stated_ceiling("max_tokens", &body, &request), None);
    let quiet = br#"{"temperature":1,"max_tokens":100}"#;
    assert_eq!(dialect::refused_parameter(&body, quiet).as_deref(), Some("temperature"));
    assert_eq!(dialect::replacement_for("temperature", &body, quiet).as_deref(), Some("top_k"));
    assert_eq!(dialect::stated_ceiling("max_tokens", &body, quiet), Some(1));
}

#[test]
fn a_field_names_the_parameter_whatever_the_client_says() {
    let body = br#"{"error":{"message":"Unsupported parameter: 'seed'","param":"seed","code":"unsupported_parameter"}}"#;
    let request = br#"{"seed":1,"content":"Unsupported parameter: 'seed'"}"#;
    assert_eq!(dialect::refused_parameter(body, request).as_deref(), Some("seed"));
}

#[test]
fn an_error_within_a_text_counts_unless_the_client_has_sent_it() {
    let inner = r#"{"error":{"message":"no","code":"insufficient_quota"}}"#;
    let body = json!({"error": {"message": inner}});
    assert_eq!(fault("", 400, &body, b"{}").kind, FaultKind::OutOfCredit);
    let request = serde_json::to_vec(&json!({"content": inner})).unwrap();
    assert_eq!(fault("", 400, &body, &request).kind, FaultKind::CallerMistake);
    assert_eq!(fault("", 429, &body, &request).kind, FaultKind::OutOfCredit);
}

/// Prompts that speak of limits, times and money as providers do.
const PROMPTS: &[&str] = &[
    "Please write to all users that the service is down, try again in 3 hours.",
    "Explain the message: Your credit balance is too low to access the API. Please go to Plans.",
    "Write a mail about the billing problem: invalid api key and quota exceeded; \
     insufficient_quota; credit balance is too low; rate limit per day; try again in 3 hours.",
    "try again in 3 hours",
    "retry after 3h",
    "服务已停止，请3小时后重试，余额不足，请充值后再使用",
];

fn echoes(prompt: &str) -> Vec<Value> {
    let error = |message: String| json!({"error": {"message": message, "type": "x"}});
    vec![
        error(format!("Could not handle: {prompt}")),
        error(format!("Rejected: '{prompt}'")),
        error(format!("Rejected: \"{prompt}\" cannot be answered")),
        json!({"detail": format!("failed for {prompt}")}),
        json!({"error": {"message": "failed", "metadata": {"raw": prompt}}}),
        Value::String(format!("cannot do {prompt}")),
    ]
}

#[test]
fn a_prompt_that_is_given_back_under_any_status_states_no_time_and_spends_no_money() {
    for prompt in PROMPTS {
        let request = json!({"messages": [{"role": "user", "content": prompt}]}).to_string();
        for body in echoes(prompt) {
            for status in [401, 402, 403, 405, 409, 429, 500, 502, 503, 529] {
                let fault = fault("", status, &body, request.as_bytes());
                assert_eq!(fault.resume, None, "{status} {body}: {fault:?}");
                let is_money = fault.kind == FaultKind::OutOfCredit;
                assert_eq!(is_money, status == 402, "{status} {body}: {fault:?}");
                let is_key = fault.kind == FaultKind::KeyRejected;
                assert!(!is_key || matches!(status, 401 | 403), "{status} {body}: {fault:?}");
            }
        }
    }
}

#[test]
fn a_header_counts_beside_a_prompt_that_is_given_back() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", "3".parse().unwrap());
    let now = Timestamp::from_secs(1_795_323_600);
    for prompt in PROMPTS {
        let request = json!({"messages": [{"role": "user", "content": prompt}]}).to_string();
        let request = request.as_bytes();
        for body in echoes(prompt) {
            let reply = Reply {
                provider: "",
                model: "some-model",
                status: 429,
                headers: &headers,
                request,
                now,
            };
            let fault = failure(&reply, &serde_json::to_vec(&body).unwrap()).fault;
            assert_eq!(fault.kind, FaultKind::RateLimited, "{body}");
            let at = fault.resume.map(|resume| now.until(resume.at).as_secs());
            assert_eq!(at, Some(3), "{body}");
        }
    }
}

#[test]
fn a_providers_own_time_counts_where_the_prompt_is_about_other_times() {
    let request = json!({"messages": [{"role": "user", "content":
        "it said: please try again in 3 hours, please try again"}]})
    .to_string();
    let body = json!({"error": {"message": "Rate limit reached. Please try again in 20s."}});
    for status in [429, 503] {
        let fault = fault("", status, &body, request.as_bytes());
        let now = Timestamp::from_secs(1_795_323_600);
        let at = fault.resume.map(|resume| now.until(resume.at).as_secs());
        assert_eq!(at, Some(20), "{status}");
    }
}
