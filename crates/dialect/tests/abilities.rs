//! What a reply shows that a deployment does not take.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{Reading, Reply, failure};
use engine::{FaultKind, Scope, Timestamp};
use http::HeaderMap;
use serde_json::{Value, json};

fn of(status: u16, body: &Value, request: &Value) -> (FaultKind, Scope, Vec<&'static str>) {
    let (headers, request) = (HeaderMap::new(), request.to_string());
    let now = Timestamp::from_secs(1_795_323_600);
    let request = request.as_bytes();
    let reply = Reply { provider: "", model: "m1", status, headers: &headers, request, now };
    let body = serde_json::to_vec(body).unwrap();
    let Reading { fault, lacks, .. } = failure(&reply, &body);
    (fault.kind, fault.scope, lacks.words().collect())
}

fn error(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}})
}

fn with_image() -> Value {
    json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]})
}

fn with(name: &str, value: Value) -> Value {
    let mut request = json!({"messages": [{"role": "user", "content": "hi"}]});
    request[name] = value;
    request
}

fn tools() -> Value {
    with("tools", json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]))
}

const NO_IMAGES: &[&str] = &[
    "Failed to deserialize the JSON body into the target type: messages[0]: unknown variant \
     `image_url`, expected `text` at line 1 column 90",
    "messages[0].content must be a string",
    "messages.0.content: Input should be a valid string",
    "m1 is not a multimodal model",
    "At most 0 image(s) may be provided in one prompt.",
    "This model does not support image input",
    "Image inputs are not supported by m1",
    "The model is text-only. It doesn't support images",
    "No vision for you: this model cannot process images",
];

/// What may be about this one request is not remembered.
const NOT_OF_THE_MODEL: &[&str] = &[
    "messages.0.content: Input should be a valid string",
    "response_format of type json_schema is not supported",
    "Unsupported parameter: 'response_format'",
    "'n' : number must be at most 1",
];

const NO_TOOLS: &[&str] = &[
    "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
    "m1 does not support tools",
    "registry.example/m1 does not support tools",
    "Function calling is not enabled for this model",
    "Tool use is not available here",
];

#[test]
fn what_the_request_asks_for_and_the_model_has_not_is_a_lack() {
    let schema = with("response_format", json!({"type": "json_schema", "json_schema": {}}));
    let several = with("n", json!(2));
    let sound = json!({"messages": [{"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]});
    let table: [(&[&str], Value, &str); 5] = [
        (NO_IMAGES, with_image(), "images"),
        (NO_TOOLS, tools(), "tools"),
        (
            &[
                "response_format of type json_schema is not supported",
                "This model does not support structured outputs",
                "Unsupported parameter: 'response_format'",
            ],
            schema,
            "json_schema",
        ),
        (&["'n' : number must be at most 1", "This model only supports n=1"], several, "n"),
        (&["Audio input is not supported"], sound, "audio"),
    ];
    for (messages, request, word) in table {
        for message in messages {
            for body in [
                error(message),
                json!({"detail": message}),
                json!({"object": "error", "message": message}),
            ] {
                let seen = of(400, &body, &request);
                let word = Some(word).filter(|_| !NOT_OF_THE_MODEL.contains(message));
                let word: Vec<&str> = word.into_iter().collect();
                let lack = (FaultKind::CapabilityMissing, Scope::Request, word);
                assert_eq!(seen, lack, "{body}");
            }
        }
    }
}

#[test]
fn what_is_wrong_with_this_request_alone_is_not_remembered() {
    let schema = with("response_format", json!({"type": "json_schema", "json_schema": {}}));
    for (request, messages) in [
        (
            with_image(),
            &[
                "Invalid value for 'content': expected a string, got null.",
                "messages[2].content must be a string",
                "messages[1]: unknown variant `input_audio`, expected `text` or `image_url`",
                "video input is not supported; only text and image_url content is supported",
                "This model does not support more than 1 image per request",
                "Unsupported image type: image/gif",
                "image type image/heic is not supported",
                "unsupported image url: https://example.com/a.png",
                "Only base64 image data is supported; image URLs are not supported",
                "Image content is not supported in tool messages",
            ][..],
        ),
        (
            schema,
            &[
                "Object schema must have additionalProperties set to false",
                "Incompatible request parameters: tools and response_format cannot be used together",
                "JSON Schema not supported: could not understand the instance {'type':'foo'}",
                "oneOf is not supported in json_schema",
            ],
        ),
        (
            tools(),
            &[
                "Tools with mixed values for 'strict' are not allowed",
                "Invalid schema for function 'f': 'oneOf' is not supported.",
                "tools of type 'web_search' are not supported",
            ],
        ),
        (
            with("n", json!(1000)),
            &[
                "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 1000",
                "n must be 1 when using greedy sampling, got 3.",
            ],
        ),
    ] {
        for message in messages {
            assert_eq!(of(400, &error(message), &request).2, Vec::<&str>::new(), "{message}");
        }
    }
}

#[test]
fn a_lack_that_names_the_model_does_not_park_it() {
    let seen = of(400, &error("Tool use is not available with m1"), &tools());
    assert_eq!(seen, (FaultKind::CapabilityMissing, Scope::Request, vec!["tools"]));
}

#[test]
fn a_choice_of_tools_that_is_refused_is_a_lack() {
    let mut request = tools();
    request["tool_choice"] = json!("required");
    for body in [
        error("tool_choice parameter is invalid"),
        json!({"error": {"message": "Invalid value", "param": "tool_choice"}}),
    ] {
        let seen = of(400, &body, &request);
        // A wrong value of it is refused in the same words, so nothing is remembered.
        assert_eq!(seen, (FaultKind::CapabilityMissing, Scope::Request, vec![]), "{body}");
    }
}

#[test]
fn a_request_without_images_or_tools_is_not_refused_for_them() {
    for message in NO_IMAGES.iter().chain(NO_TOOLS) {
        let (_, scope, lacks) = of(400, &error(message), &with("seed", json!(1)));
        assert_eq!((scope, lacks), (Scope::Request, vec![]), "{message}");
    }
}

#[test]
fn what_is_wrong_with_one_image_or_tool_teaches_nothing() {
    let table = [
        (with_image(), "You uploaded an unsupported image. Please make sure it is a valid format"),
        (with_image(), "Unsupported image media type: image/tiff"),
        (with_image(), "image url scheme is not supported"),
        (with_image(), "m1 does not support tools"),
        (tools(), "Unsupported tool type: web_search"),
        (tools(), "tools[0].function.strict is not supported"),
        (tools(), "Parallel tool calls are not supported with this model"),
        (tools(), "m1 does not support tools when streaming"),
        (with("n", json!(200)), "'n' : number must be at most 128"),
    ];
    for (request, message) in table {
        let (_, scope, lacks) = of(400, &error(message), &request);
        assert_eq!((scope, lacks), (Scope::Request, vec![]), "{message}");
    }
}

#[test]
fn a_prompt_that_speaks_of_images_teaches_nothing() {
    let said = "tell me why this model does not support images at all, please";
    let mut request = with_image();
    request["messages"][0]["content"][0]["text"] = json!(said);
    let (_, _, lacks) = of(400, &error(&format!("cannot handle: {said}")), &request);
    assert!(lacks.is_empty());
}
