//! The size that a refusal says is taken, and what it says that the request had.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::read;
use engine::{FaultKind, StatedSize};
use serde_json::{Value, json};

fn error(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error"}})
}

#[test]
fn a_stated_limit_is_read_with_what_was_requested() {
    for (status, message, most, requested) in [
        (
            400,
            "This model's maximum context length is 8192 tokens. However, you requested 9000 \
             tokens (5000 in the messages, 4000 in the completion). Please reduce the length.",
            8_192,
            Some(9_000),
        ),
        (
            400,
            "This model's maximum context length is 8,192 tokens. However, your messages \
             resulted in 10,310 tokens. Please reduce the length of the messages.",
            8_192,
            Some(10_310),
        ),
        (
            400,
            "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted \
             in 301234 tokens. Please reduce the length of the messages.",
            272_000,
            Some(301_234),
        ),
        (400, "prompt is too long: 215000 tokens > 200000 maximum", 200_000, Some(215_000)),
        (
            413,
            "Request too large for model `m1` in organization `o` on tokens per minute (TPM): \
             Limit 6000, Requested 9000, please reduce your message size and try again.",
            6_000,
            Some(9_000),
        ),
        (
            422,
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: \
             5000 `inputs` tokens and 512 `max_new_tokens`",
            4_097,
            Some(5_000),
        ),
        (
            400,
            "Prompt contains 140000 tokens and 0 draft tokens, too large for model with 131072 \
             maximum context length of 131072",
            131_072,
            Some(140_000),
        ),
        (400, "Your request exceeded model token limit: 131072", 131_072, None),
        (
            400,
            "The prompt is too long. Maximum context length is 32768 tokens, got 17",
            32_768,
            None,
        ),
    ] {
        let seen = read(status, &error(message), b"");
        assert_eq!(seen.size, Some(StatedSize { most, requested }), "{message} {seen:?}");
    }
}

#[test]
fn a_limit_in_fields_of_its_own_is_read() {
    let body = json!({"error": {"code": 400, "type": "exceed_context_size_error",
        "message": "the request exceeds the available context size. try increasing it",
        "n_prompt_tokens": 5_000, "n_ctx": 4_096}});
    let stated = StatedSize { most: 4_096, requested: Some(5_000) };
    assert_eq!(read(400, &body, b"").size, Some(stated));
}

#[test]
fn without_a_refusal_for_the_size_no_limit_is_learned() {
    for (status, message) in [
        (
            429,
            "Rate limit reached on tokens per minute (TPM): Limit 6000, Used 5900, Requested 200",
        ),
        (400, "max_tokens must be at most 8192"),
        (400, "The context window is too small for this prompt"),
        (400, "This model's maximum context length is 3 tokens."),
        (400, "This model's maximum context length is 99999999999 tokens."),
    ] {
        assert_eq!(read(status, &error(message), b"").size, None, "{message}");
    }
}

#[test]
fn a_limit_in_the_words_of_the_client_is_none() {
    let said = "the maximum context length is 300 tokens, is it not";
    let request = json!({"messages": [{"role": "user", "content": said}]}).to_string();
    let body = error(&format!("prompt is too long. You said: {said}"));
    let seen = read(400, &body, request.as_bytes());
    assert_eq!((seen.fault.kind, seen.size), (FaultKind::ContextTooLong, None));
}
