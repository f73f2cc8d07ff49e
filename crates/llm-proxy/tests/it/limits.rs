//! Rate limits: stated times in every form, waiting, and the honest answer when all are cooling.

use std::fmt::Write as _;

use serde_json::{Value, json};
use simulated::Reply;

use crate::harness::{MS, PLAIN_AND_STREAMED, Setup, always, error, good, now, question, script};

fn bare() -> Reply {
    Reply::rate_limited(None)
}

fn said(message: &str) -> Reply {
    error(429, message, "requests", "rate_limit_exceeded")
}

/// What `x-rotation` says of the first hop's wait, in seconds.
fn stated(rotation: &str) -> Option<f64> {
    let (_, rest) = rotation.split_once(";retry=")?;
    rest.split_once('s')?.0.parse().ok()
}

/// Each form of a stated time, and the seconds that it means.
fn forms() -> Vec<(Reply, f64)> {
    let retry_info = json!([{"error": {
        "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "25.46s"}],
    }}]);
    let nested = json!({"error": {"message": "Rate limit exceeded", "code": 429,
        "metadata": {"headers": {"Retry-After": "41"}}}});
    vec![
        (bare().header("retry-after", "30"), 30.0),
        (bare().header("retry-after", "12.5"), 12.5),
        (bare().header("retry-after", "1").header("retry-after-ms", "3500"), 3.5),
        (
            // The provider's clock is decades behind.
            bare()
                .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
                .header("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"),
            30.0,
        ),
        (
            // And this one is ahead.
            bare()
                .header("date", "Fri, 01 Jan 2100 00:00:00 GMT")
                .header("retry-after", "Fri, 01 Jan 2100 00:01:00 GMT"),
            60.0,
        ),
        (
            bare()
                .header("x-ratelimit-remaining-requests", "0")
                .header("x-ratelimit-reset-requests", "2m59.56s")
                .header("x-ratelimit-remaining-tokens", "5000")
                .header("x-ratelimit-reset-tokens", "17ms"),
            179.56,
        ),
        (Reply::json(429, &retry_info), 25.46),
        (Reply::json(429, &nested), 41.0),
        (said("Rate limit reached. Please try again in 7m12.5s."), 432.5),
        (said("Limit 6000, Used 5034, Requested 1443. Please try again in 4.77s"), 4.77),
    ]
}

#[tokio::test]
async fn a_time_is_understood_in_every_form() {
    let forms = forms();
    let good = good("fine").await;
    let mut setup = Setup::new().provider("good", &good);
    let mut chains = String::from("models:\n");
    let mut providers = Vec::new();
    for (index, (reply, _)) in forms.iter().enumerate() {
        let provider = always(reply.clone()).await;
        setup = setup.provider(&format!("p{index}"), &provider);
        let _ = writeln!(chains, "  c{index}: [p{index}, good]");
        providers.push(provider);
    }
    let proxy = setup.top(&chains).start().await;
    for (index, (reply, seconds)) in forms.iter().enumerate() {
        let mut body = question(index % 2 == 0);
        body["model"] = format!("c{index}").into();
        let heard = proxy.ask(&body).await;
        heard.assert_says("fine");
        let rotation = heard.header("x-rotation").unwrap();
        let told = stated(rotation).unwrap_or_else(|| panic!("{rotation} for {reply:?}"));
        // Some of it has passed on the way here.
        let close = told <= seconds + 0.1 && told > seconds - 2.0;
        assert!(close, "{rotation} for {reply:?}");
        proxy.ask(&body).await.assert_says("fine");
        assert_eq!(providers[index].count(), 1, "{rotation}");
    }
}

#[tokio::test]
async fn nonsense_times_neither_crash_nor_disable_for_good() {
    for value in [
        "0",
        "-5",
        "NaN",
        "inf",
        "",
        "soon",
        "999999999999999999999999",
        "1e308",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Fri, 99 Foo 9999 99:99:99 GMT",
    ] {
        let a = always(bare().header("retry-after", value)).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        proxy.chat(false).await.assert_says("b");
        proxy.chat(false).await.assert_says("b");
        let until = proxy.provider("a").await["rate_limited_until"].clone();
        if let Value::String(until) = until {
            let until: jiff::Timestamp = until.parse().unwrap();
            let latest = a.now().as_secs() + 32 * 86_400;
            assert!(until.as_second() <= latest as i64, "{value}: {until}");
        }
    }
}

#[tokio::test]
async fn a_request_waits_for_the_soonest_within_max_wait() {
    for stream in PLAIN_AND_STREAMED {
        let limited = bare().header("retry-after-ms", "300");
        let a = script([limited, Reply::answer(&["a"])]).await;
        let b = always(Reply::rate_limited(Some("30"))).await;
        let proxy = Setup::chain([&a, &b]).rotation("max_wait: 5s").start().await;
        let start = now();
        let heard = proxy.chat(stream).await;
        heard.assert_says("a");
        assert!(start.elapsed() >= MS * 299);
        assert_eq!((a.count(), b.count()), (2, 1));
        assert_eq!(heard.header("x-attempts"), Some("2"));
        let rotation = heard.header("x-rotation").unwrap();
        assert!(rotation.ends_with(", a=200"), "{rotation}");
    }
}

#[tokio::test]
async fn all_cooling_is_429_with_the_true_time() {
    for stream in PLAIN_AND_STREAMED {
        let a = always(Reply::rate_limited(Some("50"))).await;
        let b = always(Reply::rate_limited(Some("40"))).await;
        let proxy = Setup::chain([&a, &b]).start().await;
        for _ in 0..3 {
            let heard = proxy.chat(stream).await;
            assert_eq!(heard.status, 429);
            let seconds: u64 = heard.header("retry-after").unwrap().parse().unwrap();
            assert!((30..=40).contains(&seconds), "{seconds}");
            let body = heard.json();
            assert_eq!(body["error"]["type"], "rate_limit_error");
            assert_eq!(body["error"]["code"], "all_providers_cooling");
            let attempts = body["attempts"].as_array().unwrap();
            let names: Vec<_> = attempts.iter().map(|one| &one["provider"]).collect();
            assert_eq!(names, ["a", "b"]);
            assert!(attempts.iter().all(|one| one["available_at"].is_string()));
        }
        assert_eq!((a.count(), b.count()), (1, 1), "nobody is asked while cooling");
    }
}

#[tokio::test]
async fn a_deadline_only_moves_later_while_it_runs() {
    let slow = Reply::rate_limited(Some("1")).after(MS * 1200);
    let a = script([Reply::rate_limited(Some("60")).after(MS * 1000), slow]).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let ask = || crate::harness::post(crate::harness::CHAT).json(&question(false));
    let first = proxy.open(ask()).await;
    assert!(a.wait_until(crate::harness::SOON, |a| a.count() == 1).await);
    let second = proxy.open(ask()).await;
    assert!(a.wait_until(crate::harness::SOON, |a| a.count() == 2).await);
    first.finish().await.assert_says("b");
    second.finish().await.assert_says("b");
    let until = proxy.provider("a").await["rate_limited_until"].clone();
    let until: jiff::Timestamp = until.as_str().unwrap().parse().unwrap();
    let left = until.as_second() - a.now().as_secs() as i64;
    assert!(left > 30, "{left} seconds left");
}

#[tokio::test]
async fn a_limit_of_one_model_leaves_the_other_models_of_the_key_alone() {
    let behaviour = simulated::Behaviour::answer(|request| {
        if request.json()["model"] == "x" {
            Reply::rate_limited(Some("60"))
        } else {
            Reply::answer(&["y"])
        }
    });
    let a = simulated::SimulatedProvider::start(behaviour).await.unwrap();
    let lines = "api_key: sk-test-key-123\n    models: [x, y]";
    let proxy = Setup::new().provider_with("a", a.address(), lines).start().await;
    let mut body = question(false);
    body["model"] = "a/x".into();
    assert_eq!(proxy.ask(&body).await.status, 429);
    body["model"] = "a/y".into();
    proxy.ask(&body).await.assert_says("y");
}

#[tokio::test]
async fn headers_that_say_nothing_is_left_spare_the_next_refusal() {
    let last = Reply::answer(&["a"])
        .header("x-ratelimit-limit-requests", "30")
        .header("x-ratelimit-remaining-requests", "0")
        .header("x-ratelimit-reset-requests", "45s");
    let (a, b) = (always(last).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(false).await.assert_says("a");
    proxy.chat(false).await.assert_says("b");
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn a_declared_limit_is_kept_before_the_provider_refuses() {
    let (a, b) = (good("a").await, good("b").await);
    let proxy =
        Setup::new().provider("a", &a).with("limits: {rpm: 3}").provider("b", &b).start().await;
    for turn in 0..6 {
        proxy.chat(turn % 2 == 0).await;
    }
    assert_eq!((a.count(), b.count()), (3, 3));
}

#[tokio::test]
async fn a_503_that_states_a_time_is_believed_and_not_repeated() {
    let busy = error(503, "busy", "server_error", "unavailable").header("retry-after", "30");
    let (a, b) = (always(busy).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let heard = proxy.chat(false).await;
    heard.assert_says("b");
    let told = stated(heard.header("x-rotation").unwrap()).unwrap();
    assert!((28.0..=30.0).contains(&told), "{told}");
    proxy.chat(true).await.assert_says("b");
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn spent_credit_is_set_aside_for_long_and_no_time_is_invented() {
    for spent in [
        error(429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
        error(402, "Insufficient Balance", "unknown_error", "invalid_request_error"),
    ] {
        let a = always(spent).await;
        let proxy = Setup::chain([&a]).rotation("default_cooldown: 10ms").start().await;
        for _ in 0..3 {
            let heard = proxy.chat(false).await;
            assert_eq!((heard.status, heard.header("retry-after")), (502, None));
        }
        assert_eq!(a.count(), 1, "it was asked again at once");
        let until = proxy.provider("a").await["rate_limited_until"].clone();
        let until: jiff::Timestamp = until.as_str().unwrap().parse().unwrap();
        assert!(until.as_second() > a.now().as_secs() as i64 + 1800, "{until}");
    }
}

#[tokio::test]
async fn no_more_requests_than_declared_are_under_way_at_once() {
    let slow = Reply::answer(&["a"]).after(MS * 1200);
    let a = always(slow).await;
    let proxy = Setup::new().provider("a", &a).with("limits: {concurrent: 1}").start().await;
    let ask = || crate::harness::post(crate::harness::CHAT).json(&question(false));
    let first = proxy.open(ask()).await;
    assert!(a.wait_until(crate::harness::SOON, |a| a.count() == 1).await);
    let second = proxy.open(ask()).await;
    proxy.logged("waiting").await;
    assert_eq!(a.count(), 1);
    first.finish().await.assert_says("a");
    second.finish().await.assert_says("a");
    let requests = a.requests();
    assert!(requests[1].at.saturating_sub(requests[0].at) >= MS * 1199);
}
