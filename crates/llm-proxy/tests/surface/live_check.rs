//! `check --live`: asks for lists of models, and for nothing that costs.

use serde_json::json;
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{Place, acting, entry};

/// A provider that lists one model and answers questions.
async fn listing(model: &'static str) -> SimulatedProvider {
    acting(Behaviour::answer(move |request| {
        if request.path.ends_with("/models") {
            Reply::json(200, &json!({"object": "list", "data": [{"id": model}]}))
        } else {
            Reply::answer(&["hello"])
        }
    }))
    .await
}

async fn refusing() -> SimulatedProvider {
    let body = json!({"error": {"message": "Invalid API Key", "code": "invalid_api_key"}});
    acting(Behaviour::answer(move |_| Reply::error(401, &body))).await
}

fn asked(provider: &SimulatedProvider) -> Vec<String> {
    let requests = provider.requests();
    requests.iter().map(|one| format!("{} {}", one.method, one.path)).collect()
}

#[tokio::test]
async fn live_asks_every_provider_for_its_models_with_its_key_and_nothing_else() {
    let (good, bad) = (listing("good-model").await, refusing().await);
    let place = Place::with(&format!("providers:\n{}{}", entry("good", &good), entry("bad", &bad)));
    let told = place.run(&["check", "--live"]).await.good();
    let row = |name: &str| {
        let found = told.lines().find(|line| line.contains(&format!(" {name} ")));
        found.unwrap_or_else(|| panic!("{name}: {told}")).to_owned()
    };
    assert!(row("good").starts_with('✓'), "{told}");
    assert!(row("bad").starts_with('✗') && row("bad").contains("401"), "{told}");
    assert!(!told.contains("key-of-"), "{told}");
    for (name, provider) in [("good", &good), ("bad", &bad)] {
        assert_eq!(asked(provider), ["GET /v1/models"]);
        let key = format!("key-of-{name}-0123456789");
        assert_eq!(provider.requests()[0].key(), Some(key.as_str()));
    }
}

#[tokio::test]
async fn when_every_key_is_refused_the_check_fails() {
    let bad = refusing().await;
    let place = Place::with(&format!("providers:\n{}", entry("bad", &bad)));
    let done = place.run(&["check", "--live"]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.out.contains('✗') && !done.err.is_empty(), "{done:?}");
}

#[tokio::test]
async fn a_model_that_is_not_listed_is_told() {
    let other = listing("another-model").await;
    let place = Place::with(&format!("providers:\n{}", entry("good", &other)));
    let done = place.run(&["check", "--live"]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.out.contains("not in its list of models: good-model"), "{done:?}");
    assert!(!done.out.contains("passed over"), "{done:?}");
}

#[tokio::test]
async fn only_send_asks_a_question() {
    let good = listing("good-model").await;
    let place = Place::with(&format!("providers:\n{}", entry("good", &good)));
    place.run(&["check", "--send"]).await.good();
    assert_eq!(asked(&good), ["GET /v1/models", "POST /v1/chat/completions"]);
    assert_eq!(good.requests()[1].json()["model"], "good-model");
}
