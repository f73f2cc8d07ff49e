//! Several keys and several models of one provider.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{Proxy, Setup, error, good, question, wrong_key};
use crate::shared::deployment;

/// A provider that refuses by key and model, as the pairs say; an empty model stands for all.
async fn refusing(refusals: Vec<(&'static str, &'static str, Reply)>) -> SimulatedProvider {
    let behaviour = Behaviour::answer(move |request| {
        let (key, model) =
            (request.key().unwrap_or_default().to_owned(), request.json()["model"].clone());
        let refusal = refusals
            .iter()
            .find(|(of, about, _)| key == *of && (about.is_empty() || model == *about));
        refusal.map_or_else(|| Reply::answer(&["well"]), |(_, _, reply)| reply.clone())
    });
    SimulatedProvider::start(behaviour).await.unwrap()
}

const KEYS: &str = "api_keys: [sk-key-one-0123456, sk-key-two-0123456, sk-key-three-01234]";
const ONE: &str = "sk-key-one-0123456";
const TWO: &str = "sk-key-two-0123456";
const THREE: &str = "sk-key-three-01234";

fn quota() -> Reply {
    error(429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota")
}

/// The key that answered, as the provider saw it.
fn keys_of(provider: &SimulatedProvider) -> Vec<String> {
    provider.requests().iter().map(|one| one.key().unwrap_or_default().to_owned()).collect()
}

/// `state kind` of each deployment, in order.
async fn states(proxy: &Proxy, name: &str) -> Vec<String> {
    let seen = proxy.provider(name).await;
    let words = |one: &Value| {
        let kind = one["kind"].as_str().unwrap_or("-");
        format!("{} {} {kind}", one["model"].as_str().unwrap(), one["state"].as_str().unwrap())
    };
    seen["deployments"].as_array().unwrap().iter().map(words).collect()
}

#[tokio::test]
async fn a_spent_key_makes_way_for_the_next_key_before_the_next_provider() {
    let a = refusing(vec![(ONE, "", quota()), (TWO, "", Reply::rate_limited(Some("30")))]).await;
    let b = good("b").await;
    let lines = format!("{KEYS}\n    model: m");
    let proxy =
        Setup::new().provider_with("a", a.address(), &lines).provider("b", &b).start().await;
    let heard = proxy.chat(false).await;
    assert_eq!((heard.by(), heard.header("x-attempts")), ("a", Some("3")), "{}", heard.text());
    assert_eq!(keys_of(&a), [ONE, TWO, THREE]);
    proxy.chat(true).await;
    assert_eq!(keys_of(&a)[3..], [THREE]);
    assert_eq!(b.count(), 0);
    let states = states(&proxy, "a").await;
    assert_eq!(states, ["m cooling out_of_credit", "m cooling rate_limited", "m open -"]);
    let seen = proxy.provider("a").await;
    assert_eq!((&seen["available"], &seen["is_rate_limited"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn when_every_key_is_spent_the_next_provider_answers() {
    let refusals = [ONE, TWO, THREE].map(|key| (key, "", quota()));
    let (a, b) = (refusing(refusals.to_vec()).await, good("b").await);
    let lines = format!("{KEYS}\n    model: m");
    let proxy =
        Setup::new().provider_with("a", a.address(), &lines).provider("b", &b).start().await;
    for _ in 0..3 {
        proxy.chat(false).await.assert_says("b");
    }
    assert_eq!(a.count(), 3);
}

#[tokio::test]
async fn a_refused_key_is_parked_alone() {
    let (a, b) = (refusing(vec![(ONE, "", wrong_key())]).await, good("b").await);
    let lines = format!("{KEYS}\n    models: [x, y]");
    let proxy =
        Setup::new().provider_with("a", a.address(), &lines).provider("b", &b).start().await;
    for model in ["x", "y", "a/x", "a/y", "default"] {
        let mut body = question(false);
        body["model"] = model.into();
        proxy.ask(&body).await.assert_says("well");
    }
    assert_eq!(keys_of(&a).iter().filter(|key| *key == ONE).count(), 1);
    let states = states(&proxy, "a").await;
    let parked = |model: &str| states.contains(&format!("{model} parked key_rejected"));
    assert!(parked("x") && parked("y"), "{states:?}");
    assert_eq!(states.iter().filter(|state| state.ends_with("open -")).count(), 4, "{states:?}");
}

#[tokio::test]
async fn keys_take_turns_if_they_are_to_be_spread() {
    for place in ["provider", "rotation"] {
        let a = good("a").await;
        let mut lines = format!("{KEYS}\n    model: m");
        let mut setup = Setup::new();
        if place == "provider" {
            lines += "\n    keys: spread";
        } else {
            setup = setup.rotation("keys: spread");
        }
        let proxy = setup.provider_with("a", a.address(), &lines).start().await;
        for turn in 0..9 {
            proxy.chat(turn % 2 == 0).await.assert_says("a");
        }
        let keys = keys_of(&a);
        for key in [ONE, TWO, THREE] {
            assert_eq!(keys.iter().filter(|one| *one == key).count(), 3, "{place}: {keys:?}");
        }
        assert_ne!(keys[0], keys[1]);
    }
    let a = good("a").await;
    let lines = format!("{KEYS}\n    model: m");
    let proxy = Setup::new().provider_with("a", a.address(), &lines).start().await;
    for _ in 0..3 {
        proxy.chat(false).await.assert_says("a");
    }
    assert_eq!(keys_of(&a), [ONE; 3]);
}

#[tokio::test]
async fn a_limit_is_of_the_model_or_of_the_account_as_the_configuration_says() {
    for (scope, later) in [("model", "a"), ("account", "b")] {
        let (a, b) = (good("a").await, good("b").await);
        let lines =
            format!("api_key: {ONE}\n    models: [x, y]\n    limits: {{rpm: 1, scope: {scope}}}");
        let proxy = Setup::new()
            .provider_with("a", a.address(), &lines)
            .provider("b", &b)
            .top("models:\n  first-x: [a/x, b]\n  first-y: [a/y, b]")
            .start()
            .await;
        let served = async |model: &str| {
            let mut body = question(false);
            body["model"] = model.into();
            proxy.ask(&body).await.by().to_owned()
        };
        assert_eq!(served("first-x").await, "a");
        assert_eq!(served("first-x").await, "b", "{scope}: its minute is used up");
        assert_eq!(served("first-y").await, later, "{scope}");
        let x = deployment(&proxy, "a", "x").await;
        assert_eq!((&x["kind"], &x["origin"]), (&json!("limit_used_up"), &json!("declared")));
    }
}

#[tokio::test]
async fn a_minute_of_an_account_that_the_catalogue_knows_closes_all_its_models() {
    for (name, closes) in [("nvidia", true), ("groq", false)] {
        let refusal = Reply::rate_limited(Some("60"));
        let (a, b) = (refusing(vec![(ONE, "x", refusal)]).await, good("b").await);
        let lines = format!("api_key: {ONE}\n    models: [x, y]");
        let proxy = Setup::new()
            .provider_with(name, a.address(), &lines)
            .provider("b", &b)
            .top(&format!("models:\n  first-x: [{name}/x, b]\n  first-y: [{name}/y, b]"))
            .start()
            .await;
        for (model, by) in [("first-x", "b"), ("first-y", if closes { "b" } else { name })] {
            let mut body = question(false);
            body["model"] = model.into();
            assert_eq!(proxy.ask(&body).await.by(), by, "{name} {model}");
        }
    }
}

#[tokio::test]
async fn one_counter_of_all_free_models_closes_them_and_no_other() {
    let body = json!({"error": {"message": "Rate limit exceeded: free-models-per-day-high-balance.",
        "type": "rate_limit_error", "code": "429"}});
    let refusal = Reply::json(429, &body);
    let (a, b) = (refusing(vec![(ONE, "v/x:free", refusal)]).await, good("b").await);
    let lines = format!("api_key: {ONE}\n    models: [\"v/x:free\", \"v/y:free\", v/z]");
    let proxy = Setup::new()
        .provider_with("openrouter", a.address(), &lines)
        .provider("b", &b)
        .top("models:\n  x: [\"openrouter/v/x:free\", b]\n  y: [\"openrouter/v/y:free\", b]\n  z: [openrouter/v/z, b]")
        .start()
        .await;
    for (model, by) in [("x", "b"), ("y", "b"), ("z", "openrouter")] {
        let mut body = question(false);
        body["model"] = model.into();
        assert_eq!(proxy.ask(&body).await.by(), by, "{model}");
    }
    assert_eq!(a.count(), 2);
    let states = states(&proxy, "openrouter").await;
    assert_eq!(
        states,
        ["v/x:free cooling daily_limit", "v/y:free cooling daily_limit", "v/z open -",]
    );
}
