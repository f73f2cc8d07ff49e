//! Limits count as the catalogue says that each provider counts.

use serde_json::json;
use simulated::Reply;

use crate::harness::{Setup, always, error, good, question};
use crate::shared::{at_once, deployment, seconds_until, wall};

const KEY: &str = "api_key: sk-test-0123456789\n    ";

#[tokio::test]
async fn what_one_free_model_of_openrouter_tells_counts_for_all_of_them() {
    let reset = wall() + std::time::Duration::from_mins(50);
    let spent = Reply::answer(&["a"])
        .header("x-ratelimit-limit", "50")
        .header("x-ratelimit-remaining", "0")
        .header("x-ratelimit-reset", reset.as_millisecond().to_string());
    let (a, b) = (always(spent).await, good("b").await);
    let lines = format!("{KEY}models: [\"x:free\", \"y:free\"]");
    let setup = Setup::new().provider_with("openrouter", a.address(), &lines);
    let proxy = setup.provider("b", &b).start().await;
    proxy.chat(false).await.assert_says("a");
    proxy.chat(false).await.assert_says("b");
    let seen = deployment(&proxy, "openrouter", "y:free").await;
    assert_eq!((&seen["state"], &seen["origin"]), (&json!("cooling"), &json!("learned")));
    let left = seconds_until(&seen["until"], wall()).unwrap();
    assert!((2_980.0..=3_001.0).contains(&left), "{left}");
}

#[tokio::test]
async fn a_declared_limit_counts_once_for_all_free_models_of_openrouter() {
    let (a, b) = (good("a").await, good("b").await);
    let lines = format!("{KEY}models: [\"x:free\", \"y:free\", z]\n    limits: {{rpm: 3}}");
    let setup = Setup::new().provider_with("openrouter", a.address(), &lines);
    let proxy = setup.provider("b", &b).start().await;
    for _ in 0..10 {
        proxy.chat(false).await;
    }
    let asked: Vec<_> = a.requests().iter().map(|one| one.json()["model"].clone()).collect();
    let (x, z) = ("x:free", "z");
    assert_eq!(asked, [x, x, x, z, z, z].map(|model| json!(model)));
    let seen = deployment(&proxy, "openrouter", "y:free").await;
    assert_eq!((&seen["kind"], &seen["origin"]), (&json!("limit_used_up"), &json!("declared")));
}

#[tokio::test]
async fn a_declared_limit_of_who_gives_back_bit_by_bit_is_counted_so() {
    for (limit, slot) in [("rpm: 2", 30.0), ("rpd: 2", 43_200.0)] {
        let (a, b) = (good("a").await, good("b").await);
        let lines = format!("{KEY}model: m\n    limits: {{{limit}}}");
        let setup = Setup::new().provider_with("groq", a.address(), &lines);
        let proxy = setup.provider("b", &b).start().await;
        at_once(&proxy, &vec![question(false); 20]).await;
        assert_eq!((a.count(), b.count()), (2, 18), "{limit}");
        let seen = deployment(&proxy, "groq", "m").await;
        let left = seconds_until(&seen["until"], wall()).unwrap();
        assert!((slot - 20.0..=slot + 2.0).contains(&left), "{limit}: {left}");
    }
}

#[tokio::test]
async fn what_cerebras_reserved_stays_counted_unless_it_tells_what_is_left() {
    let tells = Reply::answer(&["a"])
        .header("x-ratelimit-limit-tokens-minute", "30000")
        .header("x-ratelimit-remaining-tokens-minute", "29000")
        .header("x-ratelimit-reset-tokens-minute", "40.0");
    for (reply, taken) in [(Reply::answer(&["a"]), 1), (tells, 4)] {
        let (a, b) = (always(reply).await, good("b").await);
        let lines = format!("{KEY}model: gpt-oss-120b\n    limits: {{tpm: 30000}}");
        let setup = Setup::new().provider_with("cerebras", a.address(), &lines);
        let proxy = setup.provider("b", &b).start().await;
        for _ in 0..4 {
            proxy.chat(false).await;
        }
        assert_eq!((a.count(), b.count()), (taken, 4 - taken));
    }
}

#[tokio::test]
async fn a_context_that_is_too_long_is_told_while_the_other_one_cools() {
    let a = always(error(400, "8192 tokens at most", "x", "context_length_exceeded")).await;
    let b = always(Reply::rate_limited(Some("40"))).await;
    let proxy = Setup::chain([&a, &b]).start().await;
    for _ in 0..3 {
        let heard = proxy.chat(false).await;
        assert_eq!((heard.status, heard.by()), (400, "a"), "{}", heard.text());
    }
    assert_eq!(b.count(), 1);
}

#[tokio::test]
async fn a_minute_with_too_little_left_is_waited_for_as_its_reset_says() {
    let refusal = error(429, "Tokens per minute limit exceeded", "x", "token_quota_exceeded")
        .header("x-ratelimit-limit-tokens-minute", "30000")
        .header("x-ratelimit-remaining-tokens-minute", "13611")
        .header("x-ratelimit-reset-tokens-minute", "25.5")
        .header("x-ratelimit-remaining-requests-day", "50")
        .header("x-ratelimit-reset-requests-day", "33011.3");
    let (a, b) = (always(refusal).await, good("b").await);
    let lines = format!("{KEY}model: gpt-oss-120b");
    let setup = Setup::new().provider_with("cerebras", a.address(), &lines);
    let proxy = setup.provider("b", &b).start().await;
    proxy.chat(false).await.assert_says("b");
    let seen = deployment(&proxy, "cerebras", "gpt-oss-120b").await;
    let left = seconds_until(&seen["until"], wall()).unwrap();
    assert!((20.0..=25.6).contains(&left), "{left}");
    assert_eq!(seen["origin"], "stated");
}
