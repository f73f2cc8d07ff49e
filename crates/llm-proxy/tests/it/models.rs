//! Which model names lead where.

use serde_json::{Value, json};
use simulated::{Reply, SimulatedProvider};

use crate::harness::{CHAT, Heard, Proxy, Setup, always, error, good, post, question};

struct House {
    a: SimulatedProvider,
    b: SimulatedProvider,
    proxy: Proxy,
}

/// `a` has the models `x` and `y`, `b` has `y` and `z`; `fast` and `z` are chains too.
async fn house(unknown_model: &str) -> House {
    let (a, b) = (good("a").await, good("b").await);
    let lines = |models: &str| format!("api_key: sk-test-key-123\n    models: [{models}]");
    let proxy = Setup::new()
        .provider_with("a", a.address(), &lines("x, y"))
        .provider_with("b", b.address(), &lines("y, z"))
        .rotation(&format!("unknown_model: {unknown_model}"))
        .top("models:\n  fast: [b/z, a]\n  z: [a/y]")
        .start()
        .await;
    House { a, b, proxy }
}

impl House {
    async fn ask(&self, model: &Value) -> Heard {
        let mut body = question(false);
        if model.is_null() {
            body.as_object_mut().unwrap().remove("model");
        } else {
            body["model"] = model.clone();
        }
        self.proxy.ask(&body).await
    }

    async fn served(&self, model: Value) -> String {
        let heard = self.ask(&model).await;
        assert_eq!(heard.status, 200, "{model}: {}", heard.text());
        format!("{}/{}", heard.by(), heard.header("x-model").unwrap())
    }
}

#[tokio::test]
async fn names_lead_where_the_contract_says() {
    let house = house("substitute").await;
    for (asked, served) in [
        (json!("default"), "a/x"),
        (json!("auto"), "a/x"),
        (json!(null), "a/x"),
        (json!("gpt-4-hardwired"), "a/x"),
        (json!("fast"), "b/z"),
        (json!("b/z"), "b/z"),
        (json!("b"), "b/y"),
        (json!("y"), "a/y"),
        (json!("x"), "a/x"),
        (json!("z"), "a/y"),
    ] {
        assert_eq!(house.served(asked.clone()).await, served, "{asked}");
    }
    let sent: Vec<Value> =
        house.b.requests().iter().map(|one| one.json()["model"].clone()).collect();
    assert_eq!(sent, ["z", "z", "y"]);
}

#[tokio::test]
async fn an_unknown_name_may_be_passed_on() {
    let house = house("pass").await;
    assert_eq!(house.served(json!("gpt-x")).await, "a/gpt-x");
    assert_eq!(house.a.requests()[0].json()["model"], "gpt-x");
    assert_eq!(house.served(json!("default")).await, "a/x");
}

#[tokio::test]
async fn an_unknown_name_may_be_refused() {
    let house = house("reject").await;
    let heard = house.ask(&json!("gpt-x")).await;
    assert_eq!(heard.status, 404);
    assert_eq!(heard.json()["error"]["code"], "model_not_found");
    assert_eq!(house.a.count() + house.b.count(), 0);
    assert_eq!(house.served(json!("default")).await, "a/x");
}

#[tokio::test]
async fn a_name_that_pins_a_provider_never_leads_to_another() {
    let a = good("a").await;
    let b = always(error(500, "x", "server_error", "x")).await;
    let proxy = Setup::chain([&a, &b]).rotation("max_wait: 0s").start().await;
    for model in ["b", "b/b-model", "b/anything"] {
        let mut body = question(false);
        body["model"] = model.into();
        let heard = proxy.ask(&body).await;
        assert!(heard.status >= 500, "{model}: {}", heard.status);
    }
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn a_listed_model_rotates_among_those_who_list_it() {
    let house = house("substitute").await;
    house.a.set(Reply::rate_limited(Some("60")));
    assert_eq!(house.served(json!("y")).await, "b/y");
    let models: Vec<Value> =
        house.a.requests().iter().map(|one| one.json()["model"].clone()).collect();
    assert_eq!(models, ["y"]);
    let heard = house.ask(&json!("x")).await;
    assert_eq!((heard.status, house.b.count()), (429, 1), "only a lists x");
}

#[tokio::test]
async fn the_list_names_the_chains_and_every_deployment() {
    let house = house("substitute").await;
    let list = house.proxy.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    for id in ["default", "fast", "z", "a/x", "a/y", "b/y", "b/z"] {
        assert!(ids.contains(&id), "{id} in {ids:?}");
        let one = house.proxy.get(&format!("/v1/models/{id}")).await;
        assert_eq!((one.status, &one.json()["id"]), (200, &json!(id)));
    }
    assert_eq!(house.proxy.get("/v1/models/none").await.status, 404);
}

#[tokio::test]
async fn a_chain_rotates_in_its_own_order_with_its_own_models() {
    let house = house("substitute").await;
    house.b.set(Reply::rate_limited(Some("60")));
    assert_eq!(house.served(json!("fast")).await, "a/x");
    assert_eq!(house.b.requests()[0].json()["model"], "z");
}

#[tokio::test]
async fn a_deployment_listed_twice_is_tried_once() {
    let a = always(Reply::rate_limited(Some("60"))).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).top("models:\n  twice: [a, a/a-model, a, b]").start().await;
    let heard = proxy.send(post(CHAT).raw("{\"model\":\"twice\",\"messages\":[]}")).await;
    heard.assert_says("b");
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn a_retired_model_is_parked_alone() {
    let behaviour = simulated::Behaviour::answer(|request| {
        if request.json()["model"] == "old" {
            let said = "The model `old` has been decommissioned";
            error(400, said, "invalid_request_error", "model_decommissioned")
        } else {
            Reply::answer(&["new"])
        }
    });
    let a = SimulatedProvider::start(behaviour).await.unwrap();
    let lines = "api_key: sk-test-key-123\n    models: [old, new]";
    let proxy = Setup::new().provider_with("a", a.address(), lines).start().await;
    for (attempts, served) in [("2", 2), ("1", 3)] {
        let heard = proxy.ask(&question(false)).await;
        heard.assert_says("new");
        assert_eq!((heard.header("x-attempts"), a.count()), (Some(attempts), served));
    }
    proxy.logged("decommissioned").await;
    let seen = proxy.provider("a").await["deployments"][0].clone();
    assert_eq!((&seen["model"], &seen["available"]), (&json!("old"), &json!(false)));
}
