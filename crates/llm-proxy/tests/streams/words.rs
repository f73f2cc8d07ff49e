//! The event that ends a broken stream says what its provider said of it.

use bytes::Bytes;
use serde_json::{Value, json};
use simulated::Events;

use crate::harness::{Heard, Setup, always, joined, question, raw_stream};
use crate::parts::{Part, assert_interrupted, assert_one_answer};

const A: Part = Part("a");

fn ended(choice: &Value, more: &Value) -> Bytes {
    let mut chunk = json!({"id": "chatcmpl-a", "object": "chat.completion.chunk", "created": 1,
        "model": "a-said", "choices": [choice]});
    for (name, value) in more.as_object().unwrap() {
        chunk[name] = value.clone();
    }
    Events::data(&chunk)
}

fn plain(name: &str, words: &str) -> Bytes {
    format!("event: {name}\ndata: {words}\n\n").into()
}

async fn heard_of(end: Bytes) -> Heard {
    let a = always(raw_stream(joined(&[A.begun(&["one "]), end]))).await;
    let proxy = Setup::chain([&a]).start().await;
    proxy.ask(&question(true)).await
}

fn message(heard: &Heard) -> String {
    heard.events().last().unwrap()["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_providers_own_words_are_in_the_error() {
    let words = "Upstream engine died on node seven";
    let error = json!({"error": {"message": words, "code": 502}});
    let choice = |more: Value| {
        let mut choice = json!({"index": 0, "delta": {"content": ""}, "finish_reason": "error"});
        for (name, value) in more.as_object().unwrap() {
            choice[name] = value.clone();
        }
        choice
    };
    let none = json!({});
    let cases = [
        ("beside the choices", ended(&choice(none.clone()), &error)),
        ("in the choice", ended(&choice(error.clone()), &none)),
        ("in the delta", ended(&choice(json!({"delta": error})), &none)),
        ("as a text", ended(&choice(json!({"error": words})), &none)),
        ("beside a text", ended(&choice(json!({"delta": {"content": "two "}})), &error)),
        ("a message", ended(&choice(none.clone()), &json!({"message": words}))),
        (
            "another word for it",
            ended(&json!({"index": 0, "delta": {}, "finish_reason": "abort"}), &error),
        ),
        ("plain text", plain("error", words)),
        (
            "plain text in lines",
            plain("error", &format!("Upstream engine died\ndata: {}", &words[21..])),
        ),
        ("a JSON text", plain("error", &json!(words).to_string())),
        ("an error as a text", plain("error", &json!({"error": words}).to_string())),
        ("an object", plain("error", &json!({"message": words}).to_string())),
        ("an object of detail", plain("error", &json!({"detail": words}).to_string())),
        ("a list", plain("error", &json!([{"error": {"message": words}}]).to_string())),
    ];
    for (name, end) in cases {
        let heard = heard_of(end).await;
        assert_interrupted(&heard, "one ", "a");
        let message = message(&heard);
        assert!(message.contains(words), "{name}: {message}");
    }
}

#[tokio::test]
async fn an_error_without_words_is_told_as_what_it_is() {
    for reason in ["error", "insufficient_system_resource", "network_error", "abort"] {
        let choice = json!({"index": 0, "delta": {}, "finish_reason": reason});
        let heard = heard_of(ended(&choice, &json!({}))).await;
        assert_interrupted(&heard, "one ", "a");
        let message = message(&heard);
        assert!(message.contains(&format!("finish_reason {reason}")), "{message}");
        assert!(!message.contains("status 0"), "{message}");
    }
    for end in [plain("error", "{}"), plain("error", "null")] {
        let heard = heard_of(end).await;
        assert_interrupted(&heard, "one ", "a");
        let message = message(&heard);
        assert!(message.contains("sent an error"), "{message}");
    }
}

#[tokio::test]
async fn no_key_no_prompt_and_no_more_than_a_line_of_it_is_shown() {
    let prompt = "please tell me the story of the seven hungry penguins";
    let words = format!("key sk-test-a-0123456789 died on \\\"{prompt}\\\" {}", "x ".repeat(2000));
    let a = always(raw_stream(joined(&[A.begun(&["one "]), plain("error", &words)]))).await;
    let proxy = Setup::chain([&a]).start().await;
    let mut body = question(true);
    body["messages"][0]["content"] = prompt.into();
    let heard = proxy.ask(&body).await;
    assert_interrupted(&heard, "one ", "a");
    let message = message(&heard);
    assert!(message.contains("died on"), "{message}");
    assert!(!message.contains("sk-test") && !message.contains("penguins"), "{message}");
    assert!(message.len() < 400, "{message}");
    assert!(!proxy.log().contains("penguins"));
}

#[tokio::test]
async fn a_limit_that_plain_words_tell_sets_aside_as_one() {
    let end = plain("error", "Rate limit reached, please try again in 7m12s");
    let a = always(raw_stream(joined(&[A.begun(&["one "]), end]))).await;
    let proxy = Setup::chain([&a]).start().await;
    assert_interrupted(&proxy.chat(true).await, "one ", "a");
    let a = proxy.provider("a").await;
    assert_eq!(a["available"], false, "{a}");
    assert_eq!(a["deployments"][0]["kind"], "rate_limited", "{a}");
}

#[tokio::test]
async fn plain_words_before_the_answer_are_an_error_in_json_for_the_client() {
    let words = "The prompt is too long for this model";
    let a = always(raw_stream(joined(&[A.role(), plain("error", words)]))).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(true).await;
    assert_eq!(heard.status, 400, "{}", heard.text());
    assert_eq!(heard.header("content-type"), Some("application/json"));
    assert_eq!(heard.json()["error"]["message"], words);
    // Words that tell of nothing rotate, too.
    let a = always(raw_stream(plain("error", "oh dear"))).await;
    let b = always(Part("b").whole(&["fine"])).await;
    let proxy = Setup::chain([&a, &b]).start().await;
    assert_one_answer(&proxy.chat(true).await, "fine");
    assert!(proxy.provider("a").await["last_error"].as_str().unwrap().contains("oh dear"));
}

/// Errors in forms that nobody knows beforehand, each before an end mark.
const ODD: &[&str] = &[
    "data: \"Tokens per minute limit exceeded\"\n\n",
    "data: upstream connect error or disconnect/reset before headers\n\n",
    "data: <html>502</html>\n\n",
    "data: {\"code\": 429, \"msg\": \"too many requests\"}\n\n",
    "data: {\"base_resp\": {\"status_code\": 1002, \"status_msg\": \"rate limit\"}}\n\n",
    "data: {\"status\":\"error\",\"message\":\"boom\"}\n\n",
    "data: {\"error_code\":336,\"error_msg\":\"rate limit\"}\n\n",
    "{\"error\":{\"message\":\"boom\",\"code\":500}}\n\n",
    "data: {\"error\":{\"message\":\"bo\n\n",
    "data: {\"id\":\"cc\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"los\n\n",
];

#[tokio::test]
async fn an_end_mark_behind_an_odd_event_is_no_end() {
    for odd in ODD {
        let end = Bytes::from([odd, "data: [DONE]\n\n"].concat());
        let heard = heard_of(end).await;
        assert_interrupted(&heard, "one ", "a");
        assert!(!message(&heard).is_empty(), "{odd}");
    }
}

#[tokio::test]
async fn an_odd_event_in_the_midst_or_behind_the_finish_is_none_of_ours() {
    for odd in ODD {
        let done = Bytes::from_static(b"data: [DONE]\n\n");
        let odd = Bytes::from(*odd);
        for rest in [
            joined(&[odd.clone(), A.text("two"), A.finish(), done.clone()]),
            joined(&[A.text("two"), A.finish(), odd.clone(), done.clone()]),
            joined(&[odd.clone(), A.text("two"), done.clone()]),
        ] {
            let a = always(raw_stream(joined(&[A.begun(&["one "]), rest]))).await;
            let proxy = Setup::chain([&a]).start().await;
            let heard = proxy.ask(&question(true)).await;
            assert_eq!(heard.said(), "one two", "{odd:?}");
            assert!(heard.text().ends_with("data: [DONE]\n\n"), "{odd:?}");
        }
    }
}
