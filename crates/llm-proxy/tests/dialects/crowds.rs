//! Many requests at once that meet a refusal, and long rows of broken providers.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{
    CHAT, MS, SOON, Setup, always, error, good, now, post, question, script, wrong_key,
};
use crate::shared::{at_once, deployment, seconds_until, wall};

fn fifty() -> Vec<Value> {
    (0..50).map(|index| question(index % 2 == 0)).collect()
}

#[tokio::test]
async fn fifty_that_meet_a_fresh_429_are_all_served_and_the_wait_is_counted_once() {
    for (stated, expected, origin) in [(Some("30"), 30.0, "stated"), (None, 60.0, "guessed")] {
        let a = always(Reply::rate_limited(stated).after(MS * 300)).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        for heard in at_once(&proxy, &fifty()).await {
            heard.assert_says("b");
        }
        let met = a.count();
        assert!(met <= 50, "{met} attempts");
        let seen = deployment(&proxy, "a", "a-model").await;
        let left = seconds_until(&seen["until"], wall()).unwrap();
        assert!((expected - 3.0..=expected + 1.0).contains(&left), "{left} s of {expected}");
        assert_eq!(seen["origin"], origin);
        for _ in 0..5 {
            proxy.chat(false).await.assert_says("b");
        }
        assert_eq!(a.count(), met, "asked again while cooling");
    }
}

#[tokio::test]
async fn of_two_refusals_under_way_together_the_later_time_counts_in_either_order() {
    for (first, second) in [("60", "1"), ("1", "60")] {
        let a = script([
            Reply::rate_limited(Some(first)).after(MS * 300),
            Reply::rate_limited(Some(second)).after(MS * 500),
        ])
        .await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        let ask = || post(CHAT).json(&question(false));
        let one = proxy.open(ask()).await;
        assert!(a.wait_until(SOON, |a| a.count() == 1).await);
        let two = proxy.open(ask()).await;
        assert!(a.wait_until(SOON, |a| a.count() == 2).await);
        one.finish().await.assert_says("b");
        two.finish().await.assert_says("b");
        let seen = deployment(&proxy, "a", "a-model").await;
        let left = seconds_until(&seen["until"], wall()).unwrap();
        assert!((57.0..=60.5).contains(&left), "{first} then {second}: {left} s");
        tokio::time::sleep(MS * 1200).await;
        proxy.chat(false).await.assert_says("b");
        assert_eq!(a.count(), 2);
    }
}

#[tokio::test]
async fn the_mistakes_of_fifty_callers_bench_nobody() {
    let wrong = error(400, "Invalid value: 'wizard'", "invalid_request_error", "invalid_value");
    let mistaken = |body: &Value| body["messages"][0]["role"] == "wizard";
    let behaviour = Behaviour::answer(move |request| {
        if mistaken(&request.json()) { wrong.clone() } else { Reply::answer(&["a"]) }
    });
    let a = SimulatedProvider::start(behaviour).await.unwrap();
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let mut bodies = fifty();
    for body in bodies.iter_mut().step_by(2) {
        body["messages"][0]["role"] = "wizard".into();
    }
    for (heard, body) in at_once(&proxy, &bodies).await.iter().zip(&bodies) {
        if mistaken(body) {
            assert_eq!((heard.status, heard.by()), (400, "a"));
            assert_eq!(heard.json()["error"]["code"], "invalid_value");
        } else {
            heard.assert_says("a");
        }
    }
    assert_eq!(b.count(), 0);
    let seen = proxy.provider("a").await;
    assert_eq!((&seen["available"], &seen["is_rate_limited"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn a_bad_key_at_the_top_costs_one_attempt() {
    for refusal in [
        wrong_key(),
        Reply::json(
            400,
            &json!({"code": "Client specified an invalid argument",
            "error": "Incorrect API key provided: xa***ey. You can obtain an API key from https://console.x.ai."}),
        ),
        Reply::json(
            400,
            &json!([{"error": {"code": 400, "status": "INVALID_ARGUMENT",
            "message": "API key not valid. Please pass a valid API key."}}]),
        ),
    ] {
        let (a, b) = (always(refusal).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        for stream in [false, true, false] {
            proxy.chat(stream).await.assert_says("b");
        }
        assert_eq!(a.count(), 1);
        let seen = deployment(&proxy, "a", "a-model").await;
        assert_eq!(seen["state"], "parked");
        assert_eq!((&seen["kind"], &seen["scope"]), (&json!("key_rejected"), &json!("key")));
        assert_eq!(seen["until"], Value::Null);
    }
}

#[tokio::test]
async fn eleven_broken_ones_do_not_keep_a_request_from_the_twelfth() {
    let broken = [
        wrong_key(),
        Reply::rate_limited(Some("60")),
        Reply::rate_limited(None),
        error(402, "Insufficient Balance", "unknown_error", "invalid_request_error"),
        error(404, "The model `x` does not exist", "invalid_request_error", "model_not_found"),
        Reply::bytes(503, "upstream connect error"),
        Reply::bytes(200, "<html>Sign in</html>").header("content-type", "text/html"),
        Reply::close(),
        Reply::bytes(200, ""),
        error(
            413,
            "Request too large for model `m` on tokens per minute (TPM): Limit 6000, \
            Requested 9000",
            "tokens",
            "rate_limit_exceeded",
        ),
        Reply::bytes(529, ""),
    ];
    let mut providers = Vec::new();
    for reply in broken {
        providers.push(always(reply).await);
    }
    providers.push(good("twelfth").await);
    for stream in [false, true] {
        let proxy = Setup::chain(&providers).start().await;
        let began = now();
        let heard = proxy.chat(stream).await;
        heard.assert_says("twelfth");
        assert_eq!((heard.by(), heard.header("x-attempts")), ("l", Some("12")));
        assert!(began.elapsed() < MS * 5000, "{:?}", began.elapsed());
        let again = proxy.chat(stream).await;
        again.assert_says("twelfth");
        let tried: u32 = again.header("x-attempts").unwrap().parse().unwrap();
        assert!(tried <= 4, "{tried} tried again: {:?}", again.header("x-rotation"));
    }
}

#[tokio::test]
async fn when_all_cool_the_soonest_time_is_told_and_true() {
    let a = script([Reply::rate_limited(Some("40")), Reply::answer(&["a"])]).await;
    let b = script([
        error(429, "Please try again in 13.4s.", "tokens", "rate_limit_exceeded"),
        Reply::answer(&["b"]),
    ])
    .await;
    let proxy = Setup::chain([&a, &b]).rotation("max_wait: 1s").start().await;
    for _ in 0..2 {
        let heard = proxy.chat(false).await;
        assert_eq!(heard.status, 429, "{}", heard.text());
        let told: u64 = heard.header("retry-after").unwrap().parse().unwrap();
        assert!((12..=14).contains(&told), "{told}");
        let body = heard.json();
        let attempts = body["attempts"].as_array().unwrap();
        let left = |index: usize| seconds_until(&attempts[index]["available_at"], wall()).unwrap();
        assert!((38.0..=40.5).contains(&left(0)), "{body}");
        assert!((11.0..=14.0).contains(&left(1)), "{body}");
    }
    assert_eq!((a.count(), b.count()), (1, 1));
}

#[tokio::test]
async fn who_comes_back_when_told_is_served() {
    let a = script([Reply::rate_limited(Some("2")), Reply::answer(&["a"])]).await;
    let proxy = Setup::chain([&a]).rotation("max_wait: 0s").start().await;
    let heard = proxy.chat(false).await;
    assert_eq!(heard.status, 429);
    let told: u64 = heard.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&told));
    tokio::time::sleep(MS * 1000 * told as u32).await;
    proxy.chat(false).await.assert_says("a");
    assert_eq!(a.count(), 2);
}

#[tokio::test]
async fn an_answer_that_its_provider_gave_up_is_not_delivered() {
    for reason in ["insufficient_system_resource", "error"] {
        let cut = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "half an ans"},
                "finish_reason": reason}]});
        let (a, b) = (always(Reply::json(200, &cut)).await, good("b").await);
        let proxy = Setup::new().provider("deepseek", &a).provider("b", &b).start().await;
        for stream in [false, true] {
            proxy.chat(stream).await.assert_says("b");
        }
    }
}
