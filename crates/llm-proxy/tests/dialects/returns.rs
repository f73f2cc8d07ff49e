//! How requests come back to a provider after it has refused: who goes first, when, with how many,
//! and which are not sent in vain.

use serde_json::{Value, json};
use simulated::{Behaviour, HeaderDialect, Limits, Quotas, Refill, Reply, SimulatedProvider};

use crate::harness::{MS, Setup, always, error, good, question, script};
use crate::shared::{at_once, deployment, seconds_until, wall};

#[tokio::test]
async fn twenty_that_are_refused_together_wait_no_longer_than_one() {
    let refusal = || {
        error(429, "Rate limit reached", "requests", "rate_limit_exceeded")
            .header("x-ratelimit-limit-requests", "5")
            .header("x-ratelimit-remaining-requests", "0")
            .header("x-ratelimit-reset-requests", "1m0s")
            .after(MS * 400)
    };
    for name in ["openai", "sambanova"] {
        let (a, b) = (always(refusal()).await, good("b").await);
        let proxy = Setup::new().provider(name, &a).provider("b", &b).start().await;
        let crowd = if name == "openai" { 20 } else { 1 };
        for heard in at_once(&proxy, &vec![question(false); crowd]).await {
            heard.assert_says("b");
        }
        let seen = deployment(&proxy, name, &format!("{name}-model")).await;
        let left = seconds_until(&seen["until"], wall()).unwrap();
        // One of five in a minute is back after twelve seconds, where they come back one by one.
        let most = if name == "openai" { 13.0 } else { 60.5 };
        assert!((most - 8.0..=most).contains(&left), "{name}: {left} s, {seen}");
    }
}

#[tokio::test]
async fn after_a_stated_wait_one_goes_first_while_the_others_go_elsewhere() {
    let a = script([
        Reply::rate_limited(Some("1")),
        Reply::answer(&["a"]).after(MS * 700),
        Reply::answer(&["a"]),
    ])
    .await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(false).await.assert_says("b");
    tokio::time::sleep(MS * 1100).await;
    let heard = at_once(&proxy, &vec![question(false); 50]).await;
    let by_a = heard.iter().filter(|heard| heard.by() == "a").count();
    assert!(heard.iter().all(|heard| heard.status == 200));
    // On a slow machine the first answer may come before the last question.
    assert!((1..=25).contains(&by_a), "{by_a} of 50");
    for _ in 0..3 {
        proxy.chat(false).await.assert_says("a");
    }
}

#[tokio::test]
async fn a_crowd_before_one_provider_waits_and_asks_seldom_in_vain() {
    let quotas = Quotas { requests_per_minute: Some(30), ..Quotas::default() };
    let limits = Limits {
        quotas,
        refill: Refill::Continuous,
        dialect: HeaderDialect::Gemini,
        ..Limits::default()
    };
    let a = SimulatedProvider::start(Behaviour::Limiting(limits)).await.unwrap();
    let proxy = Setup::chain([&a]).rotation("max_wait: 5s").start().await;
    let heard = at_once(&proxy, &vec![question(false); 40]).await;
    let served = heard.iter().filter(|heard| heard.status == 200).count();
    // Thirty at once, and one more each two seconds.
    assert!((31..=34).contains(&served), "{served}");
    assert!(heard.iter().all(|heard| matches!(heard.status, 200 | 429)));
    let in_vain = a.count() - served as u64;
    assert!(in_vain <= 10 + 9, "{in_vain}");
}

#[tokio::test]
async fn what_a_refusal_says_of_the_minute_holds_in_the_next_one() {
    let limit = error(
        429,
        "Your account org-abc request reached organization max RPM: 3, please try again after 1 \
         seconds",
        "rate_limit_reached_error",
        "rate_limit_reached_error",
    );
    let a = script([Reply::answer(&["a"]), limit, Reply::answer(&["a"])]).await;
    let b = good("b").await;
    let proxy = Setup::new().provider("moonshot", &a).provider("b", &b).start().await;
    proxy.chat(false).await.assert_says("a");
    proxy.chat(false).await.assert_says("b");
    tokio::time::sleep(MS * 1300).await;
    proxy.chat(false).await.assert_says("a");
    for _ in 0..5 {
        proxy.chat(false).await.assert_says("b");
    }
    assert_eq!(a.count(), 3, "one comes back each twenty seconds");
    let seen = deployment(&proxy, "moonshot", "moonshot-model").await;
    assert_eq!((&seen["kind"], &seen["origin"]), (&json!("limit_used_up"), &json!("learned")));
}

#[tokio::test]
async fn what_only_a_refusal_has_told_is_shown_while_it_is_open() {
    let limit = error(
        429,
        "Your account org-abc request reached organization max RPM: 20, please try again after 1 \
         seconds",
        "rate_limit_reached_error",
        "rate_limit_reached_error",
    );
    let a = script([limit, Reply::answer(&["a"])]).await;
    let b = good("b").await;
    let proxy = Setup::new().provider("moonshot", &a).provider("b", &b).start().await;
    proxy.chat(false).await.assert_says("b");
    tokio::time::sleep(MS * 1300).await;
    let seen = deployment(&proxy, "moonshot", "moonshot-model").await;
    assert_eq!(seen["available"], true, "{seen}");
    assert_eq!(seen["known"], "at most 20 requests per minute (learned)");
    let quota = &seen["quotas"][0];
    assert_eq!((&quota["limit"], &quota["origin"]), (&json!(20), &json!("learned")));
    assert_eq!((&quota["counts"], &quota["per"]), (&json!("requests"), &json!("minute")));
}

#[tokio::test]
async fn what_was_too_large_is_not_sent_there_again() {
    let tokens = error(
        413,
        "Request too large for model `m` in organization `o` on tokens per minute (TPM): Limit \
         8000, Requested 20449, please reduce your message size and try again.",
        "tokens",
        "rate_limit_exceeded",
    );
    let context = error(
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in \
         20000 tokens.",
        "invalid_request_error",
        "context_length_exceeded",
    );
    let large: Value = json!({"model": "default", "messages": [
        {"role": "user", "content": "word ".repeat(16_000)}]});
    for refusal in [tokens, context] {
        let behaviour = Behaviour::answer(move |request| {
            if request.body.len() > 30_000 { refusal.clone() } else { Reply::answer(&["a"]) }
        });
        let a = SimulatedProvider::start(behaviour).await.unwrap();
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        for _ in 0..3 {
            proxy.ask(&large).await.assert_says("b");
        }
        assert_eq!(a.count(), 1);
        proxy.chat(false).await.assert_says("a");
    }
}

/// A refusal that states the limit is learned from once, for all sizes above it.
#[tokio::test]
async fn a_stated_size_holds_for_smaller_requests_too_and_is_told_while_it_is_open() {
    let refusal = error(
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in \
         20000 tokens.",
        "invalid_request_error",
        "context_length_exceeded",
    );
    let of = |words: usize| {
        json!({"model": "default", "messages": [
            {"role": "user", "content": "word ".repeat(words)}]})
    };
    let behaviour = Behaviour::answer(move |request| {
        if request.body.len() > 30_000 { refusal.clone() } else { Reply::answer(&["a"]) }
    });
    let a = SimulatedProvider::start(behaviour).await.unwrap();
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.ask(&of(16_000)).await.assert_says("b");
    proxy.ask(&of(10_000)).await.assert_says("b");
    assert_eq!(a.count(), 1, "it is seen beforehand that half as much is too large");
    proxy.ask(&of(4_000)).await.assert_says("a");
    let seen = deployment(&proxy, "a", "a-model").await;
    assert_eq!(seen["state"], "open");
    assert_eq!(
        (&seen["size"]["at_most"], &seen["size"]["origin"]),
        (&json!(8192), &json!("learned"))
    );
    assert_eq!(seen["known"], "at most 8192 tokens in a request (learned)");
    let chain = proxy.get("/explain").await.json()["chain"].clone();
    assert_eq!(chain[0]["known"], seen["known"]);
}
