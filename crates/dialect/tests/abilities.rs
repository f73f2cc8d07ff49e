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
fn several_choices_are_lacked_in_whatever_words() {
    let lack = |lacks| (FaultKind::CapabilityMissing, Scope::Request, lacks);
    let several = |n: u32| with("n", json!(n));
    for message in [
        "Invalid n value (currently only n = 1 is supported)",
        "n must be 1",
        "`n` must be equal to 1",
        "Only one completion choice allowed",
        "Multiple candidates is not enabled for this model",
        "n > 1 is not supported",
        "This model only accepts `n` = 1",
    ] {
        assert_eq!(of(400, &error(message), &several(2)), lack(vec!["n"]), "{message}");
        assert!(of(400, &error(message), &with("seed", json!(1))).2.is_empty(), "{message}");
    }
    // With another sampling it may take several.
    for message in [
        "n must be 1 when using greedy sampling, got 3.",
        "best_of must be 1 when using greedy sampling; n must be 1 with temperature 0",
        "Multiple choices are not supported with streaming",
    ] {
        assert_eq!(of(400, &error(message), &several(3)), lack(vec![]), "{message}");
    }
    for message in ["'min' must be 1", "column=1 only", "n must be 12 or less"] {
        let (kind, ..) = of(400, &error(message), &several(3));
        assert_ne!(kind, FaultKind::CapabilityMissing, "{message}");
    }
    let mut asked = several(2);
    asked["messages"][0]["content"] = json!("say: n must be 1");
    let echo = of(400, &error("Cannot read the message 'say: n must be 1'"), &asked);
    assert_eq!(echo, (FaultKind::CallerMistake, Scope::Request, vec![]));
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

#[test]
fn what_is_not_taken_together_teaches_nothing_of_each() {
    let members = |members: Value| {
        let mut request = with_image();
        for (name, value) in members.as_object().unwrap() {
            request[name] = value.clone();
        }
        request
    };
    let tools = tools()["tools"].clone();
    let json_mode = json!({"type": "json_object"});
    let plain = json!({"messages": [{"role": "user", "content": "hi"}]});
    let of_text = |request: Value| {
        let mut request = request;
        request["messages"] = plain["messages"].clone();
        request
    };
    let tools_in_json = of_text(members(json!({"tools": tools, "response_format": json_mode})));
    let streamed_json = of_text(members(json!({"stream": true,
        "response_format": {"type": "json_schema", "json_schema": {}}})));
    let streamed_tools = of_text(members(json!({"stream": true, "tools": tools})));
    for (request, messages) in [
        (
            &tools_in_json,
            &[
                "json mode cannot be combined with tool/function calling",
                "This model does not support tools in json mode",
                "response format `json_object` does not support tool use",
                "Function calling with a response mime type: 'application/json' is unsupported",
                "Only one of `response_format` and `tools` may be specified",
                "\"tools\" is incompatible with \"response_format\"",
            ][..],
        ),
        (&streamed_json, &["This model does not support structured outputs with streaming"]),
        (&streamed_tools, &["This model does not support tools when streaming"]),
        (
            &members(json!({"tools": tools})),
            &[
                "This model does not support tool use with image input",
                "This model does not support image input together with tools",
            ],
        ),
        (
            &members(json!({"response_format": json_mode})),
            &["This model does not support images in JSON mode"],
        ),
    ] {
        for message in messages {
            let seen = of(400, &error(message), request);
            let lack = (FaultKind::CapabilityMissing, Scope::Request, vec![]);
            assert_eq!(seen, lack, "{message}");
        }
    }
    // Alone, the same thing is a lack.
    let alone = of(400, &error("This model does not support tools in json mode"), &self::tools());
    assert_eq!(alone.2, ["tools"]);
}

#[test]
fn what_can_be_left_out_beside_another_is_left_out() {
    let mut request = tools();
    request["reasoning_effort"] = json!("low");
    request["logprobs"] = json!(true);
    request["parallel_tool_calls"] = json!(true);
    request["response_format"] = json!({"type": "json_object"});
    for message in [
        "reasoning_effort is not supported with tools",
        "logprobs is not supported with this model when tools are used",
        "parallel_tool_calls is not supported with response_format",
        "Parallel tool calls are not supported with structured outputs",
    ] {
        let (kind, ..) = of(400, &error(message), &request);
        assert_eq!(kind, FaultKind::ParameterRefused, "{message}");
    }
}

#[test]
fn what_nobody_behind_an_aggregator_takes_is_a_lack_of_that_model() {
    let sound = json!({"messages": [{"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]});
    for (message, request, lacks) in [
        ("No endpoints found that support image input", with_image(), vec!["images"]),
        ("No endpoints found that support tool use. Try disabling \"f\".", tools(), vec!["tools"]),
        ("No endpoints found that support input audio", sound, vec!["audio"]),
        ("No endpoints found that can handle the requested parameters.", tools(), vec![]),
        ("No endpoints found that support the provided 'tool_choice' value.", tools(), vec![]),
    ] {
        let body = json!({"error": {"message": message, "code": 404}});
        let seen = of(404, &body, &request);
        assert_eq!(seen, (FaultKind::CapabilityMissing, Scope::Request, lacks), "{message}");
    }
    let gone = json!({"error": {"message": "No endpoints found for m1.", "code": 404}});
    assert_eq!(of(404, &gone, &tools()).0, FaultKind::ModelMissing);
}

#[test]
fn a_value_that_holds_anyway_is_left_out_and_is_no_lack() {
    let text = json!({"type": "text"});
    for (name, plain, other) in [
        ("n", json!(1), json!(2)),
        ("tool_choice", json!("auto"), json!("required")),
        ("response_format", text, json!({"type": "json_object"})),
        ("modalities", json!(["text"]), json!(["text", "audio"])),
    ] {
        for message in [
            format!("Unknown parameter: '{name}'."),
            format!("unknown field: parameter '{name}' is not a valid field"),
            format!("'{name}' is not supported"),
        ] {
            let ask = |value: &Value| {
                let mut request = tools();
                request[name] = value.clone();
                of(400, &error(&message), &request)
            };
            let refused = (FaultKind::ParameterRefused, Scope::Request, vec![]);
            assert_eq!(ask(&plain), refused, "{message}");
            assert_eq!(ask(&other).0, FaultKind::CapabilityMissing, "{message}");
        }
    }
}

#[test]
fn what_is_said_of_the_model_as_such_is_remembered() {
    let schema = with("response_format", json!({"type": "json_schema", "json_schema": {}}));
    let mut demanding = tools();
    demanding["tool_choice"] = json!("required");
    let lists: [(&Value, &str, &[&str]); 3] = [
        (
            &schema,
            "json_schema",
            &[
                "This response_format type is unavailable now",
                "Invalid parameter: 'response_format' of type 'json_schema' is not supported with \
                 this model. Learn more about supported models at the Structured Outputs guide",
                "This model does not support response format `json_schema`. See supported models \
                 at https://example.com/docs/structured-outputs#supported-models",
                "Unknown parameter: 'response_format'.",
            ],
        ),
        (&tools(), "tools", &["unknown field: parameter 'tools' is not a valid field"]),
        (
            &demanding,
            "required_tools",
            &[
                "Unknown parameter: 'tool_choice'.",
                "Unsupported value: 'tool_choice' does not support 'required' with this model.",
            ],
        ),
    ];
    for (request, word, messages) in lists {
        for message in messages {
            let lack = (FaultKind::CapabilityMissing, Scope::Request, vec![word]);
            assert_eq!(of(400, &error(message), request), lack, "{message}");
        }
    }
    for (request, message) in [
        (&schema, "Unknown parameter: 'response_format.json_schema.strict'."),
        (&schema, "Unsupported parameter: 'response_format'"),
        (&demanding, "tool_choice 'required' is not supported with thinking enabled"),
        (&demanding, "'tool_choice' is not supported with this model when thinking is enabled"),
        (&with("n", json!(200)), "Unsupported value: 'n' does not support 200 with this model."),
    ] {
        let (kind, _, lacks) = of(400, &error(message), request);
        assert_ne!(kind, FaultKind::CallerMistake, "{message}");
        assert!(lacks.is_empty(), "{message}");
    }
}
