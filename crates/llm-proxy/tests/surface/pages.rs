//! What can be read: health, status, home, models.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply};

use crate::harness::{Proxy, QUESTION, acting, entry, only, provider, send};

/// `2025-11-06T10:31:00+01:00`
fn is_moment(value: &Value) -> bool {
    let shape = b"dddd-dd-ddTdd:dd:dd+dd:dd";
    let text = value.as_str().unwrap_or_default().as_bytes();
    text.len() == shape.len()
        && shape.iter().zip(text).all(|(shape, byte)| match shape {
            b'd' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            other => other == byte,
        })
}

fn is_date(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    is_moment(&Value::from(format!("{text}T00:00:00+00:00")))
}

#[tokio::test]
async fn health_has_its_three_fields() {
    let proxy = Proxy::of(&only("one", &provider(&["hi"]).await)).await;
    let answer = proxy.get("/health").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let health = answer.json();
    assert_eq!((&health["status"], &health["providers_loaded"]), (&json!("healthy"), &json!(1)));
    assert!(is_moment(&health["timestamp"]), "{health}");
}

#[tokio::test]
async fn status_has_the_fields_and_types_that_scripts_know() {
    let first = acting(Behaviour::always(Reply::rate_limited(Some("600")))).await;
    let second = provider(&["a", "b"]).await;
    let config = format!("providers:\n{}{}", entry("first", &first), entry("second", &second));
    let proxy = Proxy::of(&config).await;
    let fresh = proxy.state("first").await;
    for (key, value) in [
        ("rate_limited_until", Value::Null),
        ("last_error", Value::Null),
        ("is_rate_limited", json!(false)),
        ("request_count", json!(0)),
        ("consecutive_errors", json!(0)),
        ("total_tokens_used", json!(0)),
        ("available", json!(true)),
        ("reason", Value::Null),
    ] {
        assert_eq!(fresh[key], value, "{key}");
    }
    proxy.chat(QUESTION).await;
    for path in ["/status", "/stats"] {
        let status = proxy.get(path).await.json();
        assert_eq!(status["total_providers"], 2);
        assert_eq!(status["available_providers"], 1);
        let [first, second] = &status["providers"].as_array().unwrap()[..] else {
            panic!("{status}");
        };
        assert_eq!((&first["name"], &first["priority"]), (&json!("first"), &json!(1)));
        assert_eq!(first["model"], "first-model");
        assert_eq!(first["is_rate_limited"], true);
        assert!(is_moment(&first["rate_limited_until"]), "{first}");
        assert_eq!(first["request_count"], 1);
        assert_eq!(first["consecutive_errors"], 1);
        assert!(first["last_error"].as_str().unwrap().contains("Rate limit"), "{first}");
        assert!(first["reason"].is_string() && first["available"] == false);
        assert_eq!(second["request_count"], 1);
        assert!(second["total_tokens_used"].as_u64().unwrap() > 2, "{second}");
        assert!(is_date(&second["last_reset"]), "{second}");
        assert!(!status.to_string().contains("key-of-"), "{status}");
        let print = second["deployments"][0]["key"].as_str().unwrap();
        assert!(print.len() <= 12, "{print}");
    }
}

#[tokio::test]
async fn times_are_told_in_the_configured_zone() {
    let config = only("one", &provider(&["hi"]).await);
    let config = format!("server: {{timezone: Asia/Kathmandu}}\n{config}");
    let proxy = Proxy::of(&config).await;
    let health = proxy.get("/health").await.json();
    assert!(health["timestamp"].as_str().unwrap().ends_with("+05:45"), "{health}");
}

#[tokio::test]
async fn home_is_a_list_for_programs_and_a_page_for_browsers() {
    let proxy = Proxy::of(&only("one", &provider(&["hi"]).await)).await;
    let list = proxy.get("/").await;
    assert_eq!(list.header("content-type"), Some("application/json"));
    assert!(list.text().contains("/v1/chat/completions"), "{}", list.text());
    let asking = |accept: &str| {
        format!("GET / HTTP/1.1\r\nhost: {}\r\naccept: {accept}\r\n\r\n", proxy.address)
    };
    let list = send(proxy.address, asking("*/*")).await;
    assert_eq!(list.header("content-type"), Some("application/json"));
    let page = send(proxy.address, asking("text/html,application/xhtml+xml,*/*;q=0.8")).await;
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(
        page.text().starts_with("<!doctype html>") || page.text().starts_with("<!DOCTYPE html>")
    );
    assert!(
        !page.text().contains("http://") && !page.text().contains("https://"),
        "nothing foreign"
    );
}

#[tokio::test]
async fn models_are_default_the_chains_and_every_provider_with_its_model() {
    let (one, two) = (provider(&["hi"]).await, provider(&["hi"]).await);
    let config = format!(
        "providers:\n{}{}models:\n  fast: [two, one/a/deep-one]\n",
        entry("one", &one).replace("one-model", "[a/deep-one, \"b:free\"]"),
        entry("two", &two)
    );
    let proxy = Proxy::of(&config).await;
    let list = proxy.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["default", "fast", "one/a/deep-one", "one/b:free", "two/two-model"]);
    for model in list["data"].as_array().unwrap() {
        assert_eq!(model["object"], "model");
        assert!(model["created"].is_u64() && model["owned_by"].is_string(), "{model}");
    }
    for id in
        ["default", "fast", "one/a/deep-one", "one%2Fa%2Fdeep-one", "one/b:free", "one%2fb%3Afree"]
    {
        let answer = proxy.get(&format!("/v1/models/{id}")).await;
        assert_eq!(answer.status, 200, "{id}");
        assert_eq!(answer.json()["object"], "model");
    }
    for id in ["one/none", "nobody", "%ff", "%", "one%252Fa"] {
        let answer = proxy.get(&format!("/v1/models/{id}")).await;
        assert_eq!(answer.error(), (404, "model_not_found".to_owned()), "{id}");
    }
}
