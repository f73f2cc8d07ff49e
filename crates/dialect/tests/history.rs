//! What is refused in a conversation that another provider has taken part in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::HistoryFault::{
    self, ContentParts, DeveloperRole, ForeignFields, ForeignSignatures, MissingReasoning,
    MissingThoughtSignature, NullContent, StrictTools, ToolCallIds,
};
use dialect::{Reply, failure, refused_history, refused_parameter};
use engine::{FaultKind, Scope, Timestamp};
use http::HeaderMap;
use serde_json::{Value, json};

fn foreign(names: &[&str]) -> HistoryFault {
    ForeignFields(names.iter().map(|name| (*name).to_owned()).collect())
}

fn fault_of(body: &[u8], status: u16) -> (FaultKind, Scope) {
    let headers = HeaderMap::new();
    let now = Timestamp::from_secs(1_795_323_600);
    let reply =
        Reply { provider: "", model: "some-model", status, headers: &headers, request: b"", now };
    let fault = failure(&reply, body).fault;
    (fault.kind, fault.scope)
}

fn check(body: &Value, expected: &HistoryFault) {
    let bytes = serde_json::to_vec(body).unwrap();
    assert_eq!(refused_history(&bytes, b"").as_ref(), Some(expected), "{body}");
    assert_eq!(refused_parameter(&bytes, b""), None, "{body}");
    for status in [400, 422] {
        let refused = (FaultKind::ParameterRefused, Scope::Request);
        assert_eq!(fault_of(&bytes, status), refused, "{body}");
    }
}

// Sentences seen at providers and in front of them.

const IDS: &[&str] = &[
    "Tool call id was call_0fypS1hVX but must be a-z, A-Z, 0-9, with a length of 9.",
    "Tool call id was null but must be a-z, A-Z, 0-9, with a length of 9.",
    "Tool call id has to be defined.",
    "Invalid 'messages[11].tool_calls[0].id': string too long. Expected a string with maximum \
     length 40, but got a string with length 46 instead.",
    "messages.92.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    "Tool call IDs should be alphanumeric strings with length 9!",
    "1 validation error detected: Value 'toolu_01.x' at \
     'messages.2.member.content.1.member.toolUse.toolUseId' failed to satisfy constraint: Member \
     must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
];

const REASONING_REFUSED: &[&str] = &[
    "'messages.1' : for 'role:assistant' the following must be \
     satisfied[('messages.1' : property 'reasoning_content' is unsupported)]",
    "messages.2.assistant.reasoning_content: property 'messages.2.assistant.reasoning_content' is \
     unsupported\nmessages.4.assistant.reasoning_content: property \
     'messages.4.assistant.reasoning_content' is unsupported",
];

const REASONING_MISSING: &[&str] = &[
    "The `reasoning_content` in the thinking mode must be passed back to the API.",
    "The reasoning_content in the thinking mode must be passed back to the API.",
    "Missing `reasoning_content` field in the assistant message at message index 112. For more \
     information, please refer to https://api-docs.deepseek.com/guides/thinking_mode#tool-calls",
    "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2",
];

const SIGNATURE_MISSING: &[&str] = &[
    "Function call is missing a thought_signature in functionCall parts. This is required for \
     tools to work correctly, and missing thought_signature may lead to degraded model \
     performance. Additional data, function call `default_api:Bash` , position 2.",
    "Function call `tool_name` in the `1.` content block is missing a `thought_signature`.",
];

const DEVELOPER: &[&str] = &[
    "Failed to deserialize the JSON body into the target type: messages[0].role: unknown variant \
     `developer`, expected one of `system`, `user`, `assistant`, `tool`, `latest_reminder` at \
     line 1 column 60",
    "developer is not one of ['system', 'assistant', 'user', 'tool', 'function'] - \
     'messages.['0].role'",
    "invalid parameter 'messages[0].role': invalid role 'developer', must be one of: system, \
     user, assistant, tool",
    "The parameter `messages.role` specified in the request are not valid: invalid value: \
     `developer`, supported values are: `system`, `assistant`, `user`, `tool`.",
    "chat template rejected the request: Unexpected message role.",
    "'messages.0' : discriminator property 'role' has invalid value",
];

const SIGNATURE_REFUSED: &[&str] = &[
    "Corrupted thought signature.",
    "Thought signature is not valid",
    "Invalid value at 'contents[1].parts[0].thought_signature' (TYPE_BYTES), Base64 decoding \
     failed for \"call_x\"",
    "messages.1.content.0: Invalid `signature` in `thinking` block",
    "messages.3.content.0.thinking.signature: Field required",
    "The signature of the thinking block at index 2 could not be verified",
];

const NULL: &[&str] = &[
    "invalid message content type: <nil>",
    "Invalid value for 'content': expected a string, got null.",
    "Invalid 'content': 'content' field must be a string or an array of objects.",
    "AiError: Bad input: Error: oneOf at '/' not met, 0 matches: required properties at '/' are \
     'prompt', required properties at '/messages/11' are 'role,content'",
];

#[test]
fn each_recorded_sentence_is_understood_in_every_shape_of_body() {
    let table = [
        (IDS, ToolCallIds),
        (REASONING_REFUSED, foreign(&["reasoning_content"])),
        (
            &["messages[2].reasoning: reasoning is not supported with this model"],
            foreign(&["reasoning"]),
        ),
        (
            &["'messages.0' : for 'role:user' the following must be \
               satisfied[('messages.0' : property 'timestamp' is unsupported)]"],
            foreign(&["timestamp"]),
        ),
        (REASONING_MISSING, MissingReasoning),
        (SIGNATURE_MISSING, MissingThoughtSignature),
        (SIGNATURE_REFUSED, ForeignSignatures),
        (
            &[
                "The reasoning_content field is not allowed in the input messages.",
                "Input messages must not contain `reasoning_content`",
            ],
            foreign(&["reasoning_content"]),
        ),
        (DEVELOPER, DeveloperRole),
        (NULL, NullContent),
    ];
    for (messages, expected) in table {
        for message in messages {
            check_in_every_shape(message, &expected);
        }
    }
}

fn check_in_every_shape(message: &str, expected: &HistoryFault) {
    let raw = json!({"error": {"message": message}}).to_string();
    let passed_on = json!({"message": "Provider returned error", "metadata": {"raw": raw}});
    for body in [
        json!({"error": {"message": message}}),
        json!({"object": "error", "message": message, "code": null}),
        json!([{"error": {"message": message, "code": 400}}]),
        json!({"error": message}),
        json!({"detail": message}),
        json!({"success": false, "errors": [{"message": message, "code": 5006}]}),
        json!({"error": passed_on}),
        json!(message),
    ] {
        check(&body, expected);
    }
    assert_eq!(refused_history(message.as_bytes(), b"").as_ref(), Some(expected));
}

/// Not recorded as such; each follows from the wording of the same provider for its neighbours.
#[test]
fn each_likely_sentence_is_understood() {
    let table = [
        ("Unexpected role 'developer'", DeveloperRole),
        ("unexpected role developer", DeveloperRole),
        (
            "Unsupported value: 'messages[0].role' does not support 'developer' with this model.",
            DeveloperRole,
        ),
        (
            "Invalid type for 'messages[0].content': expected a string, but got null instead.",
            NullContent,
        ),
        ("Type mismatch of '/messages/1/content', 'null' not in 'string'", NullContent),
        ("content must not be null", NullContent),
        ("Unknown parameter: 'messages[2].reasoning_details'.", foreign(&["reasoning_details"])),
        (
            "Invalid JSON payload received. Unknown name \"reasoning\" at 'messages[1]': Cannot find field.\n\
             Invalid JSON payload received. Unknown name \"extra_content\" at 'messages[1].tool_calls[0]': Cannot find field.\n\
             Invalid JSON payload received. Unknown name \"top_k\": Cannot find field.",
            foreign(&["reasoning", "extra_content"]),
        ),
    ];
    for (message, expected) in table {
        check(&json!({"error": {"message": message}}), &expected);
    }
}

#[test]
fn a_validators_list_is_read() {
    let entry = |place: Value| json!({"type": "extra_forbidden", "loc": place, "msg": "Extra inputs are not permitted", "input": "x"});
    let list = json!([
        entry(json!(["body", "messages", 31, "assistant", "reasoning_content"])),
        entry(json!(["body", "messages", 33, "assistant", "reasoning_content"])),
        entry(json!(["body", "messages", 2, "refusal"])),
        entry(json!(["body", "messages", 6, "assistant", "tool_calls", 0, "index"])),
        entry(json!(["body", "messages", 0, "user", "tool_calls"])),
        entry(json!(["body", "messages", 0, "user", "content", 0, "cache_control"])),
    ]);
    let names = foreign(&["reasoning_content", "refusal", "index"]);
    check(&json!({"detail": list}), &names);
    check(&json!({"object": "error", "message": {"detail": list}, "param": null}), &names);
    check(&json!({"object": "error", "message": json!({"detail": list}).to_string()}), &names);
    let lacking = json!({"type": "string_type", "loc": ["body", "messages", 1, "content", "str"], "msg": "Input should be a valid string", "input": null});
    check(&json!({"detail": [lacking]}), &NullContent);
    let written = "[{'type': 'string_type', 'loc': ('body', 'messages', 1, 'typed-dict', 'content'), \
                   'msg': 'Input should be a valid string', 'input': None}]";
    check(&json!({"object": "error", "message": written, "code": 400}), &NullContent);
    let given = written.replace("None", "[{'text': 'x'}]");
    let bytes = serde_json::to_vec(&json!({"object": "error", "message": given})).unwrap();
    assert_ne!(refused_history(&bytes, b""), Some(NullContent));
    let place =
        json!({"message": "unexpected property", "location": "body.messages[3].reasoning_content"});
    check(
        &json!({"title": "Unprocessable Entity", "detail": "validation failed", "errors": [place]}),
        &foreign(&["reasoning_content"]),
    );
}

#[test]
fn a_list_that_echoes_more_than_is_read_still_names_its_first_place() {
    let entry = json!({"type": "extra_forbidden", "loc": ["body", "messages", 31, "assistant", "reasoning_content"], "msg": "Extra inputs are not permitted", "input": "so ".repeat(30_000)});
    check(&json!({"detail": [entry]}), &foreign(&["reasoning_content"]));
}

#[test]
fn a_refused_parameter_is_not_taken_for_history() {
    let bodies = [
        (
            json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "reasoning"], "msg": "Extra inputs are not permitted"}]}),
            Some("reasoning"),
        ),
        (
            json!([{"error": {"message": "Invalid JSON payload received. Unknown name \"reasoning\": Cannot find field."}}]),
            Some("reasoning"),
        ),
        (
            json!({"message": "property 'enable_thinking' is unsupported", "param": "validation_error", "code": "wrong_api_format"}),
            Some("enable_thinking"),
        ),
        (
            json!({"error": {"message": "Unknown parameter: 'reasoning'.", "param": "reasoning", "code": "unknown_parameter"}}),
            Some("reasoning"),
        ),
        (json!({"detail": "Unsupported parameter: messages"}), None),
        (
            json!({"error": {"message": "Please reduce the length of the messages. This is not supported."}}),
            None,
        ),
        (
            json!({"error": {"message": "Invalid 'messages[0].content[0].type': not supported"}}),
            None,
        ),
        (json!({"error": {"message": "messages[3].tool_calls is unsupported"}}), None),
        (json!({"error": {"message": "Invalid 'messages[1].name': string too long."}}), None),
        (
            json!({"error": {"message": "Conversation roles must alternate, see https://developers.example"}}),
            None,
        ),
        (
            json!({"error": {"message": "Not the same number of function calls and responses"}}),
            None,
        ),
        (json!({"error": {"message": "model 'x' is not found"}}), None),
        (json!({}), None),
    ];
    for (body, parameter) in bodies {
        let bytes = serde_json::to_vec(&body).unwrap();
        assert_eq!(refused_history(&bytes, b""), None, "{body}");
        assert_eq!(refused_parameter(&bytes, b"").as_deref(), parameter, "{body}");
    }
}

#[test]
fn what_a_message_is_made_of_is_never_foreign() {
    for name in ["role", "content", "tool_calls", "tool_call_id", "id", "function"] {
        let message = format!("'messages.0' : property '{name}' is unsupported");
        assert_eq!(refused_history(message.as_bytes(), b"{}"), None, "{name}");
    }
}

#[test]
fn what_a_request_says_of_itself_is_not_the_providers_word() {
    let echo = json!({"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "Field required", "input": {"param": "messages.0.x", "message": "is missing a thought_signature"}}]});
    assert_eq!(refused_history(&serde_json::to_vec(&echo).unwrap(), b""), None);
}

#[test]
fn a_limit_is_not_taken_for_history() {
    let body = br#"{"error":{"message":"Tool call id was x; rate limit reached","code":429}}"#;
    assert_eq!(fault_of(body, 429).0, FaultKind::RateLimited);
}

#[test]
fn at_most_sixteen_sound_names_are_kept() {
    let lines: Vec<String> =
        (0..40).map(|n| format!("Unknown name \"field{n}\" at 'messages[1]'")).collect();
    let long = format!("Unknown name \"{}\" at 'messages[1]'", "x".repeat(65));
    let odd = "Unknown name \"a b\" at 'messages[1]'\nUnknown name \"\" at 'messages[1]'";
    let message = [&long, odd, &lines.join("\n")].join("\n");
    let names: Vec<String> = (0..16).map(|n| format!("field{n}")).collect();
    check(&json!({"error": {"message": message}}), &ForeignFields(names));
}

/// What providers say of a role that they do not know, most of them without saying which.
fn role_refusals() -> Vec<Value> {
    let error = |message: &str, code: Value, param: Value| json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}});
    let of = |message| error(message, Value::Null, Value::Null);
    let entry = |kind: &str, place: Value, text: &str| json!({"type": kind, "loc": place, "msg": text, "input": "developer"});
    vec![
        error(
            "Invalid value: 'developer'. Supported values are: 'system', 'assistant', 'user', \
             'function', and 'tool'.",
            json!("invalid_value"),
            json!("messages[0].role"),
        ),
        error("Invalid value", json!("invalid_value"), json!("messages[0].role")),
        of("invalid role: developer"),
        of("Invalid role 'developer' in messages"),
        of("Role `developer` is not supported by this model"),
        error(
            "messages parameter is illegal: Incorrect role information",
            json!("1214"),
            Value::Null,
        ),
        of("messages[0].role must be one of system, user, assistant, tool"),
        of("messages.0.role: Input should be 'system', 'user' or 'assistant'"),
        of("unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`"),
        json!({"object": "error", "message": {"detail": [entry("literal_error",
            json!(["body", "messages", 0, "role"]),
            "Input should be 'system', 'user', 'assistant' or 'tool'")]}}),
        json!({"detail": [entry("union_tag_invalid", json!(["body", "messages", 0]),
            "Input tag 'developer' found using 'role' does not match any of the expected tags: \
             'system', 'user', 'assistant', 'tool'")]}),
    ]
}

#[test]
fn a_refused_role_is_that_of_the_developer_if_the_request_has_it() {
    for body in role_refusals() {
        let bytes = serde_json::to_vec(&body).unwrap();
        let of = |role: &str| format!(r#"{{"messages":[{{"role":"{role}","content":"hi"}}]}}"#);
        let seen = refused_history(&bytes, of("developer").as_bytes());
        assert_eq!(seen, Some(DeveloperRole), "{body}");
        if !body.to_string().contains("developer") {
            assert_eq!(refused_history(&bytes, of("narrator").as_bytes()), None, "{body}");
        }
    }
}

#[test]
fn what_is_said_of_other_roles_or_of_their_order_is_not_about_the_developers() {
    let request = br#"{"messages":[{"role":"developer","content":"x"},{"role":"tool"}]}"#;
    for message in [
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message \
         with 'tool_calls'.",
        "Invalid value: 'narrator'. Supported values are: 'system', 'developer', 'user'.",
        "messages: unexpected role 'tool', it must follow tool calls",
        "Invalid messages: roles must alternate between user and assistant",
        "Expected last role User or Tool for serving but got assistant",
        "invalid type: control characters are not allowed",
    ] {
        let body = json!({"error": {"message": message}}).to_string();
        assert_eq!(refused_history(body.as_bytes(), request), None, "{message}");
    }
}

#[test]
fn another_signature_than_that_of_a_thought_is_not_history() {
    let body = br#"{"message":"The request signature we calculated does not match"}"#;
    assert_eq!(refused_history(body, b""), None);
}

#[test]
fn who_takes_one_text_only_is_given_one() {
    let says = |message: &str| {
        serde_json::to_vec(&json!({"errors": [{"message": message, "code": 5006}]})).unwrap()
    };
    let texts = br#"{"messages":[{"content":[{"type":"text","text":"hi"}]}]}"#;
    let picture = br#"{"messages":[{"content":[{"type":"image_url","image_url":{}}]}]}"#;
    for message in [
        "AiError: Bad input: Error: oneOf at '/' not met, 0 matches: Type mismatch of \
         '/messages/0/content', 'array' not in 'string'",
        "messages[0].content must be a string",
    ] {
        assert_eq!(refused_history(&says(message), texts), Some(ContentParts), "{message}");
        assert_eq!(refused_history(&says(message), picture), None, "{message}");
        assert_eq!(refused_history(&says(message), b"{}"), None, "{message}");
    }
}

#[test]
fn strict_tools_are_known_by_their_place() {
    let request = br#"{"tools":[{"function":{"name":"f","strict":true}}]}"#;
    let bodies = [
        json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message":
            "Invalid JSON payload received. Unknown name \"strict\" at 'tools[0].function': Cannot find field."}}]),
        json!({"error": {"message": "Unknown parameter: 'tools[0].function.strict'.",
            "param": "tools[0].function.strict"}}),
        json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "tools", 0, "function", "strict"],
            "msg": "Extra inputs are not permitted"}]}),
    ];
    for body in bodies {
        let body = serde_json::to_vec(&body).unwrap();
        assert_eq!(refused_history(&body, request), Some(StrictTools));
        assert_eq!(refused_parameter(&body, request), None);
        assert_eq!(refused_history(&body, br#"{"tools":[]}"#), None);
    }
    let other =
        br#"{"error":{"message":"Unknown parameter: 'response_format.json_schema.strict'."}}"#;
    assert_eq!(refused_history(other, request), None);
}
