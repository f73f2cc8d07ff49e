//! The four doors to a new configuration, and what goes through them unharmed.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use simulated::{Behaviour, Events, Reply, SimulatedProvider};

use crate::harness::{
    Place, Proxy, QUESTION, STREAMED, Wire, acting, entry, eventually, only, provider,
};

async fn total(proxy: &Proxy) -> u64 {
    proxy.get("/status").await.json()["total_providers"].as_u64().unwrap()
}

async fn waits_for(proxy: &Proxy, providers: u64) {
    eventually("the reload", async || total(proxy).await == providers).await;
}

fn both(first: &SimulatedProvider, second: &SimulatedProvider) -> String {
    format!("providers:\n{}{}", entry("first", first), entry("second", second))
}

#[tokio::test]
async fn every_door_leads_to_the_new_file() {
    let (first, second) = (provider(&["hi"]).await, provider(&["hi"]).await);
    let (one, two) = (only("first", &first), both(&first, &second));
    // A file that is not watched: only the doors that are used can be what reloads.
    let place = Place::new();
    place.write("etc/config.yaml", &one);
    let link = place.work().join("config.yaml");
    std::os::unix::fs::symlink(place.work().join("etc/config.yaml"), &link).unwrap();
    let proxy = Proxy::start(place).await;
    assert_eq!(total(&proxy).await, 1);

    proxy.place.write("etc/config.yaml", &two);
    let answer = proxy.post("/reload", "").await;
    assert_eq!(answer.status, 200);
    let told = answer.json();
    assert_eq!((&told["status"], &told["providers_loaded"]), (&json!("success"), &json!(2)));
    assert!(told["message"].is_string());
    assert_eq!(total(&proxy).await, 2);

    proxy.place.write("etc/config.yaml", &one);
    proxy.signal(Signal::HUP);
    waits_for(&proxy, 1).await;

    proxy.place.write("etc/config.yaml", &two);
    proxy.tell(&["reload"]).await.good();
    assert_eq!(total(&proxy).await, 2);
}

#[tokio::test]
async fn saving_the_file_reloads_it_however_it_is_saved() {
    let (first, second) = (provider(&["hi"]).await, provider(&["hi"]).await);
    let proxy = Proxy::of(&only("first", &first)).await;
    // Until the watch stands, a save can be missed; so the first one is repeated.
    let mut number = 0;
    eventually("the first reload", async || {
        number += 1;
        proxy.place.write("config.yaml", &format!("# {number}\n{}", both(&first, &second)));
        tokio::time::sleep(Duration::from_millis(300)).await;
        total(&proxy).await == 2
    })
    .await;
    proxy.place.replace("config.yaml", &only("first", &first));
    waits_for(&proxy, 1).await;
    proxy.place.replace("config.yaml", &both(&first, &second));
    waits_for(&proxy, 2).await;
    std::fs::remove_file(proxy.place.work().join("config.yaml")).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(total(&proxy).await, 2, "a file that is gone changes nothing");
    proxy.place.write("config.yaml", &only("first", &first));
    waits_for(&proxy, 1).await;
}

#[tokio::test]
async fn saving_the_dot_env_reloads_too() {
    let upstream = provider(&["hi"]).await;
    let key = "\"${KEY_OF_ONE:-default-key-0}\"";
    let proxy = Proxy::of(&only("one", &upstream).replace("key-of-one-0123456789", key)).await;
    // Until the watch stands, a save can be missed; so the first one is repeated.
    let mut number = 0;
    for key in ["first-1", "second-2"] {
        eventually("the new key", async || {
            number += 1;
            proxy.place.replace(".env", &format!("# {number}\nKEY_OF_ONE={key}\n"));
            tokio::time::sleep(Duration::from_millis(300)).await;
            proxy.chat(QUESTION).await;
            upstream.requests().last().unwrap().key() == Some(key)
        })
        .await;
    }
}

#[tokio::test]
async fn counters_and_cooldowns_stay_with_a_provider_that_keeps_its_name() {
    let first = acting(Behaviour::always(Reply::rate_limited(Some("600")))).await;
    let second = provider(&["hi"]).await;
    let proxy = Proxy::of(&both(&first, &second)).await;
    proxy.chat(QUESTION).await;
    let before = (proxy.state("first").await, proxy.state("second").await);
    assert!(before.0["rate_limited_until"].is_string());
    let changed = both(&first, &second).replace("first-model", "first-model\n    priority: 7");
    proxy.place.write("config.yaml", &changed);
    assert_eq!(proxy.post("/reload", "").await.status, 200);
    let after = (proxy.state("first").await, proxy.state("second").await);
    assert_eq!(after.0["priority"], 7);
    for (before, after) in [(&before.0, &after.0), (&before.1, &after.1)] {
        for key in [
            "request_count",
            "rate_limited_until",
            "is_rate_limited",
            "total_tokens_used",
            "consecutive_errors",
            "last_error",
            "last_reset",
        ] {
            assert_eq!(before[key], after[key], "{key}");
        }
    }
    proxy.chat(QUESTION).await;
    assert_eq!(first.count(), 1);
}

#[tokio::test]
async fn a_changed_key_clears_the_old_keys_mark_and_an_unchanged_one_keeps_it() {
    let body = json!({"error": {"message": "Invalid API Key", "code": "invalid_api_key"}});
    let first = acting(Behaviour::answer(move |request| {
        if request.key() == Some("good-key-1") {
            Reply::answer(&["hi"])
        } else {
            Reply::error(401, &body)
        }
    }))
    .await;
    let second = provider(&["hi"]).await;
    let proxy = Proxy::of(&both(&first, &second)).await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    proxy.post("/reload", "").await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    assert_eq!(first.count(), 1, "parked until its key changes");
    let changed = both(&first, &second).replace("key-of-first-0123456789", "good-key-1");
    proxy.place.write("config.yaml", &changed);
    proxy.post("/reload", "").await;
    assert_eq!(proxy.state("first").await["available"], true);
    assert_eq!(proxy.chat(QUESTION).await.provider(), "first");
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_reported_with_its_line() {
    let (first, second) = (provider(&["hi"]).await, provider(&["hi"]).await);
    let proxy = Proxy::of(&both(&first, &second)).await;
    proxy.place.write("config.yaml", "providers:\n  - name: groq\n    prioriy: 3\n");
    let answer = proxy.post("/reload", "").await;
    assert_eq!(answer.error().0, 400);
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("config.yaml:3:5") && message.contains("priority"), "{message}");
    proxy.line("config.yaml:3:5").await;
    assert_eq!(total(&proxy).await, 2);
    assert_eq!(proxy.chat(QUESTION).await.provider(), "first");
    // With its port the running proxy is found all the same, and tells; without it nobody is.
    let told = proxy.tell(&["reload"]).await.bad(1);
    assert!(told.contains("config.yaml:3:5"), "{told}");
    assert!(proxy.tell(&["status"]).await.good().contains("second"));
    let told = proxy.place.run(&["reload"]).await.bad(2);
    assert!(told.contains("config.yaml:3:5"), "{told}");
}

#[tokio::test]
async fn a_reload_that_would_open_the_door_is_refused() {
    let first = provider(&["hi"]).await;
    let config =
        format!("server:\n  host: 0.0.0.0\n  api_keys: [a-key-1]\n{}", only("first", &first));
    let proxy = Proxy::of(&config).await;
    proxy.place.write("config.yaml", &config.replace("  api_keys: [a-key-1]\n", ""));
    let key = "authorization: Bearer a-key-1";
    let answer = crate::harness::post(proxy.address, "/reload", &[key], "").await;
    assert_eq!(answer.error().0, 400);
    assert_eq!(proxy.get("/status").await.status, 401);
}

#[tokio::test]
async fn a_file_that_loads_but_cannot_serve_changes_nothing_and_is_told_at_every_door() {
    let (first, second) = (provider(&["hi"]).await, provider(&["hi"]).await);
    let proxy = Proxy::of(&both(&first, &second)).await;
    let bad = format!("server: {{ca_file: nowhere.pem}}\n{}", only("first", &first));
    proxy.place.write("config.yaml", &bad);
    assert_eq!(proxy.post("/reload", "").await.error().0, 400);
    assert_eq!(total(&proxy).await, 2);
    let line = proxy.line("nowhere.pem").await;
    assert!(line.contains(" - ERROR - ") && line.contains("stays as it was"), "{line}");
}

fn slow_words() -> Reply {
    let events = Events::chat("m");
    let mut writes = vec![(Duration::ZERO, events.text("begin "))];
    writes.push((Duration::from_millis(900), events.text("end")));
    writes.push((Duration::ZERO, events.finish("stop")));
    writes.push((Duration::ZERO, Events::done()));
    Reply::events(writes)
}

#[tokio::test]
async fn a_provider_that_is_removed_finishes_its_stream() {
    let first = acting(Behaviour::always(slow_words())).await;
    let second = provider(&["hi"]).await;
    let proxy = Proxy::of(&both(&first, &second)).await;
    let mut wire = Wire::open(proxy.address).await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{STREAMED}",
        proxy.address,
        STREAMED.len()
    );
    wire.write(head).await;
    wire.until(b"begin ").await;
    proxy.place.write("config.yaml", &only("second", &second));
    assert_eq!(proxy.post("/reload", "").await.status, 200);
    assert_eq!(total(&proxy).await, 1);
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    wire.until(b"end").await;
    wire.until(b"data: [DONE]").await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
}

#[tokio::test]
async fn requests_in_flight_finish_as_they_began() {
    let first =
        acting(Behaviour::always(Reply::answer(&["old"]).after(Duration::from_millis(800)))).await;
    let second = provider(&["new"]).await;
    let proxy = Proxy::of(&only("first", &first)).await;
    let (asked, ()) = tokio::join!(proxy.chat(QUESTION), async {
        eventually("the call", async || first.count() == 1).await;
        proxy.place.write("config.yaml", &only("second", &second));
        assert_eq!(proxy.post("/reload", "").await.status, 200);
        assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    });
    assert_eq!(asked.provider(), "first");
}
