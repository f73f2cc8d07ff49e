//! One plain completion turned into the events that a client which asked for a stream expects.

use bytes::Bytes;

use super::{MAX_CHOICES, Shape, inspect};
use crate::Endpoint;
use crate::json::{ObjectText, View, array_text, quote};
use crate::sse::{DONE, data_event};

/// Turns a plain completion into a whole event stream: its output, its finish reasons, its usage
/// if `with_usage`, and the ending `[DONE]`. `None` if `body` is no completion.
///
/// All top-level fields stay as they are in the first event; the later ones repeat `id`,
/// `created`, `model` and `system_fingerprint`.
pub fn completion_to_events(body: &[u8], endpoint: Endpoint, with_usage: bool) -> Option<Bytes> {
    if inspect(body).shape != Shape::Completion {
        return None;
    }
    let whole = View::parse(body).ok()?;
    let choices = whole.get("choices")?;
    let list = |form: fn(View<'_>, usize, Endpoint) -> Vec<u8>| {
        let choices = choices.elements().take(MAX_CHOICES).enumerate();
        array_text(choices.map(|(at, choice)| form(choice, at, endpoint)))
    };
    let mut events = event(whole, endpoint, &list(output_choice), |_| true, None);
    events.extend(event(whole, endpoint, &list(finish_choice), is_repeated, None));
    if let Some(usage) = whole.get("usage").filter(|usage| with_usage && !usage.is_null()) {
        events.extend(event(whole, endpoint, b"[]", is_repeated, Some(usage)));
    }
    events.extend_from_slice(DONE);
    Some(events.into())
}

fn is_repeated(key: &str) -> bool {
    matches!(key, "id" | "created" | "model" | "system_fingerprint")
}

fn event(
    whole: View<'_>,
    endpoint: Endpoint,
    choices: &[u8],
    keeps: fn(&str) -> bool,
    usage: Option<View<'_>>,
) -> Vec<u8> {
    let mut chunk = ObjectText::new();
    for (key, value) in whole.members() {
        if keeps(&key) && !matches!(key.as_ref(), "object" | "choices" | "usage") {
            chunk.put(&key, value.raw());
        }
    }
    let object = match endpoint {
        Endpoint::Chat => "chat.completion.chunk",
        Endpoint::Completions => "text_completion",
    };
    chunk.put("object", &quote(object));
    chunk.put("choices", choices);
    if let Some(usage) = usage {
        chunk.put("usage", usage.raw());
    }
    // Raw line ends stand only between tokens, and would end the event's line.
    let mut data = chunk.close();
    data.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    data_event(&data).into()
}

/// A choice with all it has but the finish reason.
fn output_choice(choice: View<'_>, at: usize, endpoint: Endpoint) -> Vec<u8> {
    let mut text = ObjectText::new();
    text.put("index", &index(choice, at));
    for (key, value) in choice.members() {
        match (key.as_ref(), endpoint) {
            ("index" | "finish_reason", _) => {}
            ("message", Endpoint::Chat) => text.put("delta", &delta(value)),
            (key, _) => text.put(key, value.raw()),
        }
    }
    text.put("finish_reason", b"null");
    text.close()
}

fn finish_choice(choice: View<'_>, at: usize, endpoint: Endpoint) -> Vec<u8> {
    let mut text = ObjectText::new();
    text.put("index", &index(choice, at));
    match endpoint {
        Endpoint::Chat => text.put("delta", b"{}"),
        Endpoint::Completions => text.put("text", b"\"\""),
    }
    let reason = choice.get("finish_reason").map_or(&b"null"[..], View::raw);
    text.put("finish_reason", reason);
    text.close()
}

fn index(choice: View<'_>, at: usize) -> Vec<u8> {
    let stated = choice.get("index").and_then(View::as_u64);
    stated.unwrap_or(at as u64).to_string().into_bytes()
}

/// A message as one delta: its role first, each tool call with its index.
fn delta(message: View<'_>) -> Vec<u8> {
    let mut text = ObjectText::new();
    let role = message.get("role").filter(|role| !role.is_null());
    text.put("role", role.map_or(&b"\"assistant\""[..], View::raw));
    for (key, value) in message.members() {
        match key.as_ref() {
            "role" => {}
            "tool_calls" if value.is_filled() => text.put("tool_calls", &indexed(value)),
            key => text.put(key, value.raw()),
        }
    }
    text.close()
}

fn indexed(calls: View<'_>) -> Vec<u8> {
    array_text(calls.elements().enumerate().map(|(at, call)| {
        let mut text = ObjectText::new();
        text.put("index", at.to_string().as_bytes());
        for (key, value) in call.members().filter(|(key, _)| key != "index") {
            text.put(&key, value.raw());
        }
        text.close()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(body: &str, endpoint: Endpoint, with_usage: bool) -> Vec<String> {
        let bytes = completion_to_events(body.as_bytes(), endpoint, with_usage).unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.split_terminator("\n\n").map(|event| event.replacen("data: ", "", 1)).collect()
    }

    #[test]
    fn a_chat_completion_becomes_a_stream() {
        let body = r#"{"id":"c1","object":"chat.completion","created":1.0,"model":"m","x":[1,
            2],"choices":[{"index":0,"message":{"role":"assistant","content":"a\nb",
            "reasoning":"r","tool_calls":[{"id":"t","type":"function"}]},"logprobs":null,
            "finish_reason":"tool_calls"}],"usage":{"total_tokens":3}}"#;
        let events = events(body, Endpoint::Chat, true);
        let strip = |text: &str| text.replace(' ', "");
        assert_eq!(
            strip(&events[0]),
            r#"{"id":"c1","created":1.0,"model":"m","x":[1,2],"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"a\nb","reasoning":"r","tool_calls":[{"index":0,"id":"t","type":"function"}]},"logprobs":null,"finish_reason":null}]}"#
        );
        assert_eq!(
            events[1],
            r#"{"id":"c1","created":1.0,"model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#
        );
        assert_eq!(
            events[2],
            r#"{"id":"c1","created":1.0,"model":"m","object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":3}}"#
        );
        assert_eq!(events[3], "[DONE]");
    }

    #[test]
    fn a_legacy_completion_keeps_its_object() {
        let body = r#"{"id":"c","choices":[{"text":"a","finish_reason":"stop"}],"usage":{}}"#;
        let events = events(body, Endpoint::Completions, false);
        assert_eq!(
            events,
            [
                r#"{"id":"c","object":"text_completion","choices":[{"index":0,"text":"a","finish_reason":null}]}"#,
                r#"{"id":"c","object":"text_completion","choices":[{"index":0,"text":"","finish_reason":"stop"}]}"#,
                "[DONE]",
            ]
        );
    }

    #[test]
    fn what_is_no_completion_becomes_no_stream() {
        for body in ["", "<html>", r#"{"error":{}}"#, "[]"] {
            assert_eq!(completion_to_events(body.as_bytes(), Endpoint::Chat, true), None);
        }
    }
}
