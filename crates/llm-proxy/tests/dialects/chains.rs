//! Chains, names, tiers, and what a client may wish by headers.

use serde_json::{Value, json};
use simulated::{Reply, SimulatedProvider};

use crate::harness::{CHAT, Heard, Proxy, Setup, always, good, post, question};
use crate::shared::{ask_with, last_body};

const WISHES: [&str; 3] = ["x-provider", "x-skip-provider", "x-allow-paid"];

fn asking(model: &str) -> Value {
    let mut body = question(false);
    body["model"] = model.into();
    body
}

/// No wish has reached a provider.
fn assert_kept(providers: &[&SimulatedProvider]) {
    for request in providers.iter().flat_map(|provider| provider.requests()) {
        for name in WISHES {
            assert!(!request.headers.contains_key(name), "{name} in {:?}", request.headers);
        }
    }
}

struct House {
    a: SimulatedProvider,
    b: SimulatedProvider,
    c: SimulatedProvider,
    proxy: Proxy,
}

/// `a` costs money.
async fn house(rotation: Option<&str>) -> House {
    let (a, b, c) = (good("a").await, good("b").await, good("c").await);
    let setup =
        Setup::new().provider("a", &a).with("tier: paid").provider("b", &b).provider("c", &c);
    let setup = rotation.into_iter().fold(setup, Setup::rotation);
    let proxy = setup.top("models:\n  odd: [b/not-listed, c, a]").start().await;
    House { a, b, c, proxy }
}

#[tokio::test]
async fn a_step_of_a_chain_may_name_a_model_that_the_provider_does_not_list() {
    let house = house(None).await;
    let heard = house.proxy.ask(&asking("odd")).await;
    assert_eq!((heard.by(), heard.header("x-model")), ("b", Some("not-listed")));
    assert_eq!(last_body(&house.b)["model"], "not-listed");
    house.b.set(Reply::rate_limited(Some("60")));
    house.proxy.ask(&asking("odd")).await.assert_says("c");
    assert_eq!(last_body(&house.c)["model"], "c-model");
    // The limit of that model is not the limit of the one that is listed.
    house.b.set(Reply::answer(&["b"]));
    let heard = house.proxy.ask(&asking("b")).await;
    heard.assert_says("b");
    assert_eq!(house.a.count(), 0);
}

#[tokio::test]
async fn a_providers_name_with_a_slash_and_no_model_means_that_provider_alone() {
    let house = house(None).await;
    for name in ["b", "b/"] {
        let heard = house.proxy.ask(&asking(name)).await;
        assert_eq!((heard.by(), heard.header("x-model")), ("b", Some("b-model")), "{name}");
    }
    house.b.set(Reply::rate_limited(Some("60")));
    assert_eq!(house.proxy.ask(&asking("b/")).await.status, 429);
    assert_eq!(house.a.count() + house.c.count(), 0);
}

#[tokio::test]
async fn a_retired_model_of_a_chain_is_parked_without_its_provider() {
    let missing = crate::harness::error(
        404,
        "The model `not-listed` does not exist",
        "invalid_request_error",
        "model_not_found",
    );
    let house = house(None).await;
    house.b.set(missing);
    for _ in 0..3 {
        house.proxy.ask(&asking("odd")).await.assert_says("c");
    }
    assert_eq!(house.b.count(), 1);
    house.b.set(Reply::answer(&["b"]));
    let heard = house.proxy.ask(&asking("b/b-model")).await;
    heard.assert_says("b");
}

#[tokio::test]
async fn a_provider_and_model_pins_and_never_leads_elsewhere() {
    let house = house(None).await;
    house.b.set(Reply::rate_limited(Some("60")));
    let heard = house.proxy.ask(&asking("b/b-model")).await;
    assert_eq!((heard.status, heard.by()), (429, "b"));
    assert_eq!(house.a.count() + house.c.count(), 0);
}

#[tokio::test]
async fn a_pinned_provider_is_the_only_one_asked() {
    let house = house(None).await;
    ask_with(&house.proxy, &question(false), "X-Provider", "c").await.assert_says("c");
    ask_with(&house.proxy, &question(true), "x-provider", "c, b").await.assert_says("b");
    house.c.set(Reply::rate_limited(Some("60")));
    let heard = ask_with(&house.proxy, &question(false), "x-provider", "c").await;
    assert_eq!((heard.status, heard.by()), (429, "c"));
    let heard = ask_with(&house.proxy, &question(false), "x-provider", "nobody").await;
    assert_eq!(heard.status, 400);
    assert!(heard.text().contains("nobody"), "{}", heard.text());
    assert_eq!(house.a.count(), 0);
    assert_kept(&[&house.b, &house.c]);
}

#[tokio::test]
async fn a_providers_name_is_wished_for_in_any_case_but_one_of_just_that_case_is_meant_first() {
    let (upper, lower) = (good("upper").await, good("lower").await);
    let lines = "api_key: sk-key-one-0123456\n    model: m";
    let setup = Setup::new().provider_with("groq", lower.address(), lines);
    let proxy = setup.provider_with("Other", upper.address(), lines).start().await;
    for (header, name, says) in [
        ("x-provider", "GROQ", "lower"),
        ("x-provider", "other", "upper"),
        ("x-skip-provider", "Groq", "upper"),
    ] {
        ask_with(&proxy, &question(false), header, name).await.assert_says(says);
    }
}

#[tokio::test]
async fn a_slip_in_a_providers_name_is_an_error_that_names_the_nearest() {
    let a = good("a").await;
    let lines = "api_key: sk-key-one-0123456\n    model: m";
    let proxy =
        Setup::new().provider_with("groq", a.address(), lines).provider("other", &a).start().await;
    for header in ["x-provider", "X-Skip-Provider"] {
        let heard = ask_with(&proxy, &question(false), header, "other, grok").await;
        assert_eq!(heard.status, 400, "{}", heard.text());
        let error = heard.json()["error"].clone();
        assert_eq!(error["code"], "unknown_provider");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(&header.to_lowercase()), "{message}");
        assert!(message.contains("did you mean \"groq\"?"), "{message}");
    }
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn a_skipped_provider_is_not_asked() {
    let house = house(None).await;
    ask_with(&house.proxy, &question(false), "X-Skip-Provider", "a").await.assert_says("b");
    ask_with(&house.proxy, &question(true), "x-skip-provider", "a, b").await.assert_says("c");
    let all = ask_with(&house.proxy, &question(false), "x-skip-provider", "a,b,c").await;
    assert_eq!(all.status, 400, "{}", all.text());
    assert_eq!(all.json()["error"]["code"], "no_provider_left");
    assert_eq!(house.a.count(), 0);
    house.proxy.chat(false).await.assert_says("a");
    assert_kept(&[&house.a, &house.b, &house.c]);
}

fn assert_honest(heard: &Heard, status: u16) {
    assert_eq!(heard.status, status, "{}", heard.text());
    assert_eq!(heard.header("retry-after"), None);
    let body = heard.json();
    let reasons = body["attempts"].as_array().unwrap();
    assert!(reasons.iter().any(|one| one["reason"] == "paid_forbidden"), "{body}");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("paid") || message.contains("money"), "{message}");
}

#[tokio::test]
async fn who_forbids_paid_providers_spends_nothing() {
    let house = house(None).await;
    let free = async |model: &str| {
        let request = post(CHAT).json(&asking(model)).header("X-Allow-Paid", "false");
        house.proxy.send(request).await
    };
    free("default").await.assert_says("b");
    assert_honest(&free("a").await, 503);
    assert_honest(&free("a/a-model").await, 503);
    assert_eq!(house.a.count(), 0);
    house.proxy.chat(false).await.assert_says("a");
    assert_kept(&[&house.a, &house.b]);
}

#[tokio::test]
async fn paid_providers_can_be_forbidden_for_all() {
    let house = house(Some("allow_paid: false")).await;
    for stream in [false, true] {
        house.proxy.chat(stream).await.assert_says("b");
    }
    // A request cannot allow what the configuration forbids.
    let heard = ask_with(&house.proxy, &asking("a"), "x-allow-paid", "true").await;
    assert_honest(&heard, 503);
    let step = house.proxy.get("/explain").await.json()["chain"][0].clone();
    assert_eq!((&step["decision"], &step["kind"]), (&json!("skip"), &json!("paid_forbidden")));
    assert_eq!(house.a.count(), 0);
}

#[tokio::test]
async fn when_the_free_ones_cool_their_time_is_told_and_nothing_is_spent() {
    let paid = good("paid").await;
    let free = always(Reply::rate_limited(Some("30"))).await;
    let proxy = Setup::new()
        .provider("free", &free)
        .provider("paid", &paid)
        .with("tier: paid")
        .rotation("allow_paid: false")
        .start()
        .await;
    for _ in 0..2 {
        let heard = proxy.chat(false).await;
        assert_eq!(heard.status, 429, "{}", heard.text());
        let told: u64 = heard.header("retry-after").unwrap().parse().unwrap();
        assert!((28..=30).contains(&told), "{told}");
    }
    assert_eq!((free.count(), paid.count()), (1, 0));
}
