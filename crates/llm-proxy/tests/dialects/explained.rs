//! `llm-proxy explain` and `/status`: why a deployment would not be taken, how that is known, and
//! when it is back.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};
use tokio::process::Command;

use crate::harness::{Proxy, Setup, always, error, good, post, question, wrong_key};
use crate::shared::{ask_with, deployment, seconds_until, wall};

/// Deployments that are passed over, each for its own reason: what is expected of it.
struct Expected {
    name: &'static str,
    state: &'static str,
    kind: &'static str,
    origin: Option<&'static str>,
    /// Seconds until it is back.
    back: Option<(f64, f64)>,
    says: &'static str,
}

const fn cooling(
    name: &'static str,
    kind: &'static str,
    origin: &'static str,
    back: (f64, f64),
    says: &'static str,
) -> Expected {
    Expected { name, state: "cooling", kind, origin: Some(origin), back: Some(back), says }
}

const ALL: [Expected; 9] = [
    cooling("stated", "rate_limited", "stated", (85.0, 91.0), "Rate limit reached"),
    cooling("computed", "tokens_limited", "computed", (0.5, 3.1), "Limit 6000"),
    cooling("learned", "limit_used_up", "learned", (35.0, 46.0), "requests per"),
    cooling(
        "declared",
        "limit_used_up",
        "declared",
        (50.0, 62.0),
        "requests per minute of 1 used up",
    ),
    cooling("guessed", "rate_limited", "guessed", (55.0, 61.0), "Rate limit reached"),
    cooling("spent", "out_of_credit", "guessed", (3590.0, 3601.0), "Insufficient Balance"),
    Expected {
        name: "refused",
        state: "parked",
        kind: "key_rejected",
        origin: None,
        back: None,
        says: "Incorrect API key",
    },
    Expected {
        name: "retired",
        state: "parked",
        kind: "model_missing",
        origin: Some("guessed"),
        back: Some((86_390.0, 86_401.0)),
        says: "does not exist",
    },
    Expected {
        name: "off",
        state: "parked",
        kind: "disabled",
        origin: None,
        back: None,
        says: "switched off",
    },
];

fn reply(name: &str) -> Reply {
    match name {
        "stated" => Reply::rate_limited(Some("90")),
        "computed" => error(
            429,
            "Rate limit reached for model `m` in organization `o` on tokens per \
            minute (TPM): Limit 6000, Used 5900, Requested 400. Need more tokens?",
            "tokens",
            "rate_limit_exceeded",
        ),
        "learned" => Reply::answer(&["x"])
            .header("x-ratelimit-limit-requests", "1")
            .header("x-ratelimit-remaining-requests", "0")
            .header("x-ratelimit-reset-requests", "45s"),
        "guessed" => Reply::rate_limited(None),
        "spent" => error(402, "Insufficient Balance", "unknown_error", "invalid_request_error"),
        "refused" => wrong_key(),
        "retired" => {
            error(404, "The model `m` does not exist", "invalid_request_error", "model_not_found")
        }
        _ => Reply::answer(&["x"]),
    }
}

struct House {
    proxy: Proxy,
    _providers: Vec<SimulatedProvider>,
}

async fn house() -> House {
    let mut setup = Setup::new();
    let mut providers = Vec::new();
    for Expected { name, .. } in &ALL {
        let provider = always(reply(name)).await;
        setup = setup.provider(name, &provider);
        if *name == "declared" {
            setup = setup.with("limits: {rpm: 1}");
        }
        providers.push(provider);
    }
    let last = good("last").await;
    let proxy = setup.provider("last", &last).rotation("max_wait: 0s").start().await;
    providers.push(last);
    for Expected { name, .. } in &ALL {
        ask_with(&proxy, &question(false), "x-provider", name).await;
    }
    assert_eq!(proxy.send(post("/disable?provider=off")).await.status, 200);
    House { proxy, _providers: providers }
}

fn check(expected: &Expected, seen: &Value) {
    let Expected { name, state, kind, origin, back, says } = expected;
    assert_eq!((&seen["state"], &seen["kind"]), (&json!(state), &json!(kind)), "{name}: {seen}");
    assert_eq!(seen["origin"], json!(origin), "{name}: {seen}");
    let left = seconds_until(&seen["until"], wall());
    let fits = match (left, back) {
        (None, None) => true,
        (Some(left), Some((least, most))) => (*least..=*most).contains(&left),
        _ => false,
    };
    assert!(fits, "{name}: {left:?} s, {seen}");
    assert!(seen["reason"].as_str().unwrap().contains(says), "{name}: {seen}");
}

/// What a command prints.
async fn printed(proxy: &Proxy, command: &str) -> String {
    let port = proxy.address.port().to_string();
    let told = Command::new(env!("CARGO_BIN_EXE_llm-proxy"))
        .args([command, "--port", &port])
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{printed}");
    printed
}

#[tokio::test]
async fn status_says_why_how_that_is_known_and_when_it_is_back() {
    let house = house().await;
    for expected in &ALL {
        let model = format!("{}-model", expected.name);
        check(expected, &deployment(&house.proxy, expected.name, &model).await);
    }
    let open = deployment(&house.proxy, "last", "last-model").await;
    assert_eq!((&open["state"], &open["available"]), (&json!("open"), &json!(true)));
}

#[tokio::test]
async fn explain_says_the_same_in_one_line_for_each_deployment() {
    let house = house().await;
    let chain = house.proxy.get("/explain").await.json()["chain"].clone();
    for (expected, step) in ALL.iter().zip(chain.as_array().unwrap()) {
        assert_eq!((&step["provider"], &step["decision"]), (&json!(expected.name), &json!("skip")));
        check(expected, step);
    }
    assert_eq!(chain[ALL.len()]["decision"], "take");
    let table = printed(&house.proxy, "explain").await;
    for Expected { name, origin, back, says, .. } in &ALL {
        let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} in {table}"));
        assert!(line.starts_with("skip") && line.contains(says), "{line}");
        if back.is_some() {
            assert!(line.contains("back at 20") && line.contains(origin.unwrap()), "{line}");
        }
    }
    let last = table.lines().last().unwrap();
    assert!(last.starts_with("take") && last.contains("last-model"), "{last}");
}

/// Takes neither pictures nor `seed`.
async fn picky() -> SimulatedProvider {
    let behaviour = Behaviour::answer(|request| {
        let body = request.json();
        if body["messages"][0]["content"].is_array() {
            error(400, "m is not a multimodal model", "invalid_request_error", "")
        } else if body.get("seed").is_some() {
            error(400, "Unsupported parameter: 'seed'", "invalid_request_error", "")
        } else {
            Reply::answer(&["a"])
        }
    });
    SimulatedProvider::start(behaviour).await.unwrap()
}

#[tokio::test]
async fn what_was_learned_is_told_in_one_line_until_a_reset() {
    let (a, b) = (picky().await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let nothing = json!([[], {}, null]);
    let known = |seen: &Value| json!([seen["lacks"], seen["refuses"], seen["known"]]);
    assert_eq!(known(&deployment(&proxy, "a", "a-model").await), nothing);
    let mut body = question(false);
    body["seed"] = 7.into();
    proxy.ask(&body).await.assert_says("a");
    body["messages"][0]["content"] = json!([{"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]);
    proxy.ask(&body).await.assert_says("b");

    let line = "takes no images (learned); seed is left out (learned)";
    let seen = deployment(&proxy, "a", "a-model").await;
    assert_eq!(known(&seen), json!([["images"], {"seed": "left out"}, line]));
    assert_eq!(seen["available"], true);
    let chain = proxy.get("/explain").await.json()["chain"].clone();
    assert_eq!((known(&chain[0]), known(&chain[1])), (known(&seen), nothing.clone()));
    for command in ["explain", "status"] {
        let table = printed(&proxy, command).await;
        assert_eq!(table.matches(line).count(), 1, "{table}");
    }
    assert_eq!(proxy.send(post("/reset?provider=a")).await.status, 200);
    assert_eq!(known(&deployment(&proxy, "a", "a-model").await), nothing);
}
