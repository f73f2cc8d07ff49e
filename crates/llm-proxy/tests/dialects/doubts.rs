//! What may be the caller's own mistake or one provider's refusal is shown to one more provider.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{Proxy, Setup, always, error, good, question};

const CREDIT: &str =
    "Your credit balance is too low to access the API. Please go to Plans & Billing.";

fn mistake(message: &str) -> Reply {
    error(400, message, "invalid_request_error", "")
}

fn asking(text: &str) -> Value {
    let mut body = question(false);
    body["messages"][0]["content"] = text.into();
    body
}

async fn all_open(proxy: &Proxy, names: &[&str]) {
    for name in names {
        assert_eq!(proxy.provider(name).await["available"], true, "{name}");
    }
}

/// Somebody asks what a message means, and the first provider answers with just that message,
/// since it is true of this account.
#[tokio::test]
async fn a_refusal_in_the_words_of_the_prompt_is_the_next_ones_turn() {
    let (a, b) = (always(mistake(CREDIT)).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.ask(&asking(&format!("What does this mean? {CREDIT}"))).await.assert_says("b");
    all_open(&proxy, &["a", "b"]).await;
    proxy.ask(&asking("hi")).await.assert_says("b");
    assert_eq!(proxy.provider("a").await["available"], false, "now nobody else can have said it");
}

#[tokio::test]
async fn an_echo_is_shown_to_two_providers_at_most_and_shuts_nobody() {
    let echo = Behaviour::answer(|request| {
        mistake(request.json()["messages"][0]["content"].as_str().unwrap())
    });
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(SimulatedProvider::start(echo.clone()).await.unwrap());
    }
    let proxy = Setup::chain(&all).start().await;
    let heard = proxy.ask(&asking(CREDIT)).await;
    assert_eq!(heard.status, 400);
    assert_eq!(heard.json()["error"]["message"], CREDIT);
    assert_eq!(all.iter().map(SimulatedProvider::count).collect::<Vec<_>>(), [1, 1, 0, 0]);
    all_open(&proxy, &["a", "b", "c", "d"]).await;
}

#[tokio::test]
async fn the_original_goes_back_if_the_others_fail_otherwise() {
    let (a, b) = (always(mistake(CREDIT)).await, always(Reply::rate_limited(Some("90"))).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let heard = proxy.ask(&asking(CREDIT)).await;
    assert_eq!((heard.status, b.count()), (400, 1));
    assert_eq!(heard.json()["error"]["message"], CREDIT);
}

#[tokio::test]
async fn what_two_refuse_in_the_same_sense_is_not_shown_to_a_third() {
    let refusal = mistake("image type image/svg+xml is not supported");
    let (a, b, c) = (always(refusal.clone()).await, always(refusal).await, good("c").await);
    let proxy = Setup::chain([&a, &b, &c]).start().await;
    let mut body = question(false);
    body["messages"][0]["content"] = json!([{"type": "image_url",
        "image_url": {"url": "data:image/svg+xml;base64,AAAA"}}]);
    assert_eq!(proxy.ask(&body).await.status, 400);
    assert_eq!((a.count(), b.count(), c.count()), (1, 1, 0));
    proxy.ask(&body).await;
    assert_eq!((a.count(), b.count()), (2, 2), "nothing is remembered of it");
}

#[tokio::test]
async fn a_choice_among_no_tools_is_left_out_for_this_request() {
    let lonely = |body: &Value| body.get("tool_choice").is_some() && body.get("tools").is_none();
    let behaviour = Behaviour::answer(move |request| {
        if lonely(&request.json()) {
            mistake("'tool_choice' is only allowed when 'tools' are specified.")
        } else {
            Reply::answer(&["a"])
        }
    });
    let a = SimulatedProvider::start(behaviour).await.unwrap();
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let mut body = question(false);
    body["tool_choice"] = "auto".into();
    let heard = proxy.ask(&body).await;
    heard.assert_says("a");
    assert_eq!(heard.header("x-dropped-params"), Some("tool_choice"));
    body["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    proxy.ask(&body).await.assert_says("a");
    assert_eq!(a.requests().last().unwrap().json()["tool_choice"], "auto");
    body.as_object_mut().unwrap().remove("tools");
    body["tool_choice"] = "required".into();
    assert_eq!((proxy.ask(&body).await.status, b.count()), (400, 0), "it asks for the impossible");
}
