//! What a person sees and does: status, explain, disable, enable, reset, reload.

use std::time::Duration;

use serde_json::{Value, json};
use simulated::Reply;

use crate::harness::{MS, Proxy, Setup, always, events, good, post};

async fn act(proxy: &Proxy, path: &str, provider: &str) -> u16 {
    let request = post(path).json(&json!({"provider": provider}));
    proxy.send(request).await.status
}

/// `provider:decision` of each step.
async fn explained(proxy: &Proxy) -> Vec<String> {
    let chain = proxy.get("/explain").await.json()["chain"].clone();
    let word = |step: &Value, name: &str| step[name].as_str().unwrap().to_owned();
    let steps = chain.as_array().unwrap().iter();
    steps.map(|step| format!("{}:{}", word(step, "provider"), word(step, "decision"))).collect()
}

#[tokio::test]
async fn a_provider_that_is_switched_off_gets_nothing_until_it_is_switched_on() {
    let (a, b) = (good("a").await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    assert_eq!(explained(&proxy).await, ["a:take", "b:next"]);
    assert_eq!(act(&proxy, "/disable", "a").await, 200);
    assert_eq!(explained(&proxy).await, ["a:skip", "b:take"]);
    proxy.chat(false).await.assert_says("b");
    assert_eq!(proxy.provider("a").await["available"], false);
    assert_eq!(proxy.status().await["available_providers"], 1);
    assert_eq!(act(&proxy, "/enable", "a").await, 200);
    proxy.chat(false).await.assert_says("a");
    assert_eq!(act(&proxy, "/disable", "nobody").await, 400);
}

#[tokio::test]
async fn a_reset_opens_what_was_set_aside() {
    for path in ["/reset", "/reset?provider=a"] {
        let a =
            crate::harness::script([Reply::rate_limited(Some("60")), Reply::answer(&["a"])]).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        proxy.chat(false).await.assert_says("b");
        let seen = proxy.provider("a").await;
        assert_eq!((&seen["is_rate_limited"], &seen["available"]), (&json!(true), &json!(false)));
        assert!(seen["rate_limited_until"].is_string());
        assert!(seen["reason"].as_str().unwrap().contains("rate limited"), "{seen}");
        assert_eq!(explained(&proxy).await, ["a:skip", "b:take"]);
        assert_eq!(proxy.send(post(path)).await.status, 200);
        proxy.chat(false).await.assert_says("a");
    }
}

#[tokio::test]
async fn a_reset_ends_the_wait_of_a_request() {
    let a = crate::harness::script([Reply::rate_limited(Some("9")), Reply::answer(&["a"])]).await;
    let proxy = Setup::chain([&a]).start().await;
    let body = crate::harness::question(false);
    let waiting = proxy.open(post(crate::harness::CHAT).json(&body)).await;
    proxy.logged("waiting").await;
    let start = crate::harness::now();
    assert_eq!(proxy.send(post("/reset")).await.status, 200);
    waiting.finish().await.assert_says("a");
    assert!(start.elapsed() < crate::harness::MS * 5000);
}

#[tokio::test]
async fn status_has_the_fields_that_programs_rely_on() {
    let a = good("a").await;
    let proxy = Setup::chain([&a]).start().await;
    proxy.chat(false).await.assert_says("a");
    for path in ["/status", "/stats"] {
        let status = proxy.get(path).await.json();
        assert_eq!(
            (&status["total_providers"], &status["available_providers"]),
            (&json!(1), &json!(1))
        );
        let one = &status["providers"][0];
        assert_eq!(
            (&one["name"], &one["priority"], &one["model"]),
            (&json!("a"), &json!(1), &json!("a-model"))
        );
        assert_eq!((&one["request_count"], &one["is_rate_limited"]), (&json!(1), &json!(false)));
        assert_eq!((&one["rate_limited_until"], &one["last_error"]), (&json!(null), &json!(null)));
        assert_eq!(one["last_reset"].as_str().unwrap().len(), 10);
        assert!(one["total_tokens_used"].as_u64().unwrap() > 0);
    }
    let health = proxy.get("/health").await.json();
    assert_eq!((&health["status"], &health["providers_loaded"]), (&json!("healthy"), &json!(1)));
    assert_eq!(health["timestamp"].as_str().unwrap().len(), 25);
}

#[tokio::test]
async fn a_reload_keeps_cooldowns_and_a_bad_file_changes_nothing() {
    let (a, b) = (always(Reply::rate_limited(Some("60"))).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(false).await.assert_says("b");
    let heard = proxy.reload(Setup::chain([&a, &b]).rotation("max_wait: 1s")).await;
    assert_eq!((heard.status, &heard.json()["providers_loaded"]), (200, &json!(2)));
    proxy.chat(false).await.assert_says("b");
    assert_eq!(a.count(), 1, "the cooldown was lost");
    let heard = proxy.reload(Setup::chain([&a, &b]).rotation("max_weight: 1s")).await;
    assert_eq!(heard.status, 400);
    let told = heard.text();
    assert!(told.contains("max_wait") && !told.contains("sk-test"), "{told}");
    proxy.chat(false).await.assert_says("b");
}

#[tokio::test]
async fn a_reload_lets_streams_end_as_they_began() {
    let pieces = vec![(Duration::ZERO, events().text("one")), (MS * 500, events().text(" two"))];
    let end = (Duration::ZERO, events().finish("stop"));
    let a = always(Reply::events([pieces, vec![end]].concat())).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let body = crate::harness::question(true);
    let mut streaming = proxy.open(post(crate::harness::CHAT).json(&body)).await;
    streaming.until("one").await;
    let heard = proxy.reload(Setup::new().provider("b", &b)).await;
    assert_eq!((heard.status, &heard.json()["providers_loaded"]), (200, &json!(1)));
    proxy.chat(true).await.assert_says("b");
    streaming.finish().await.assert_says("one two");
    assert_eq!(proxy.status().await["total_providers"], 1);
}

#[tokio::test]
async fn a_changed_key_clears_what_was_the_old_keys() {
    let behaviour = simulated::Behaviour::answer(|request| match request.key() {
        Some("sk-new-key-99999") => Reply::answer(&["a"]),
        _ => crate::harness::wrong_key(),
    });
    let a = simulated::SimulatedProvider::start(behaviour).await.unwrap();
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(false).await.assert_says("b");
    let lines = "api_key: sk-new-key-99999\n    model: m";
    let setup = Setup::new().provider_with("a", a.address(), lines).provider("b", &b);
    assert_eq!(proxy.reload(setup).await.status, 200);
    proxy.chat(false).await.assert_says("a");
}

#[tokio::test]
async fn what_a_browser_may_not_do_is_refused_before_any_call() {
    let a = good("a").await;
    let proxy = Setup::chain([&a]).start().await;
    let ask = || post(crate::harness::CHAT).json(&crate::harness::question(false));
    let foreign = proxy.send(ask().header("origin", "https://evil.example")).await;
    assert_eq!(foreign.status, 403);
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    let local = proxy.send(ask().header("origin", "http://localhost:3000")).await;
    assert_eq!(local.status, 200);
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let marked = ask().content_type(kind).header("sec-fetch-site", "same-site");
        assert_eq!(proxy.send(marked).await.status, 415);
        assert_eq!(proxy.send(ask().content_type(kind)).await.status, 200, "a tool may");
    }
    let rebound = ask().host("evil.example:8000");
    assert_eq!(proxy.send(rebound).await.status, 403);
    assert_eq!(a.count(), 3);
}
