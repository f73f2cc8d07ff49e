//! What stays with a name, a key or a provider when the configuration changes, and what does not.

use simulated::{Behaviour, Reply};

use crate::harness::{Place, Proxy, QUESTION, acting, entry, provider};
use crate::parts::{carries, config, error, killed, killed_and_back, remembering, saved, start};

/// Puts another configuration in the place of the old one and waits until it is read.
async fn reload(proxy: &Proxy, entries: &[String]) {
    proxy.place.replace("config.yaml", &config(entries));
    proxy.tell(&["reload"]).await.good();
}

async fn state_of(proxy: &Proxy, provider: &str) -> String {
    let state = proxy.state(provider).await;
    state["deployments"][0]["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_changed_key_leaves_the_old_ones_parked_mark_behind_for_good() {
    let upstream = acting(Behaviour::answer(|request| {
        if carries(request, "key-of-one-0123456789") {
            return error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key");
        }
        Reply::answer(&["hi"])
    }))
    .await;
    let old = [entry("one", &upstream)];
    let new = [old[0].replace("key-of-one-0123456789", "another-key-0123456789")];
    let proxy = remembering(&old).await;
    assert_eq!(proxy.chat(QUESTION).await.status, 502);
    assert_eq!(state_of(&proxy, "one").await, "parked");
    reload(&proxy, &new).await;
    assert_eq!(state_of(&proxy, "one").await, "open");
    assert_eq!(proxy.chat(QUESTION).await.provider(), "one");

    let proxy = killed_and_back(proxy).await;
    assert_eq!(state_of(&proxy, "one").await, "open");
    // The old key, should it come back, starts afresh.
    reload(&proxy, &old).await;
    assert_eq!(state_of(&proxy, "one").await, "open");
}

#[tokio::test]
async fn a_key_that_changed_while_the_proxy_was_stopped_starts_afresh() {
    let limited = acting(Behaviour::always(Reply::rate_limited(Some("3600")))).await;
    let old = [entry("one", &limited)];
    let new = [old[0].replace("key-of-one-0123456789", "another-key-0123456789")];
    let proxy = remembering(&old).await;
    assert_eq!(proxy.chat(QUESTION).await.status, 429);
    saved(&proxy).await;
    let place = killed(proxy).await;
    place.replace("config.yaml", &config(&new));
    let proxy = start(place).await;
    let state = proxy.state("one").await;
    assert_eq!(state["deployments"][0]["state"], "open");
    // What was counted is the provider's.
    assert_eq!(state["request_count"], 1);
}

#[tokio::test]
async fn a_provider_that_was_removed_comes_back_without_its_cooldown() {
    let limited = acting(Behaviour::always(Reply::rate_limited(Some("3600")))).await;
    let good = provider(&["good"]).await;
    let both = [entry("limited", &limited), entry("good", &good)];
    let one = [entry("good", &good)];
    // Removed by a reload, or while the proxy was stopped; back by a reload, or at a start.
    for (removed_running, back_running) in
        [(true, true), (true, false), (false, true), (false, false)]
    {
        let seen = limited.count();
        let proxy = start(Place::with(&config(&both))).await;
        assert_eq!(proxy.chat(QUESTION).await.provider(), "good");
        assert_eq!(state_of(&proxy, "limited").await, "cooling");
        saved(&proxy).await;
        let proxy = change(proxy, &one, removed_running).await;
        assert_eq!(proxy.chat(QUESTION).await.provider(), "good");
        saved(&proxy).await;
        let proxy = change(proxy, &both, back_running).await;
        assert_eq!(state_of(&proxy, "limited").await, "open", "{removed_running} {back_running}");
        assert_eq!(limited.count(), seen + 1);
    }
}

async fn change(proxy: Proxy, entries: &[String], running: bool) -> Proxy {
    if running {
        reload(&proxy, entries).await;
        return proxy;
    }
    let place = killed(proxy).await;
    place.replace("config.yaml", &config(entries));
    start(place).await
}
