//! `kill -9`: what is lost, and what never is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{Proxy, QUESTION, acting, entry, eventually, provider};
use crate::parts::{bytes, error, holds, killed, killed_and_back, now, remembering, saved, start};

/// Who asks at once.
const CLIENTS: u64 = 4;

/// How long changes are gathered that can wait.
const GATHERED: Duration = Duration::from_millis(50);

/// Rounds of killing; more with `KILL_ROUNDS` in the environment.
#[expect(clippy::disallowed_methods, reason = "a switch for longer runs of this test")]
fn rounds() -> u32 {
    std::env::var("KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(25)
}

/// A span that differs from round to round, evenly spread over 40 to 240 ms.
fn span(round: u32) -> Duration {
    Duration::from_millis(u64::from(40 + round * 137 % 200))
}

/// Asks until told to stop, or until the proxy is gone; counts what was begun.
async fn asks(address: std::net::SocketAddr, begun: Arc<AtomicU64>, over: Arc<AtomicBool>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    while !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return };
        begun.fetch_add(1, Ordering::Relaxed);
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{QUESTION}",
            QUESTION.len()
        );
        let mut answer = Vec::new();
        if stream.write_all(request.as_bytes()).await.is_err()
            || stream.read_to_end(&mut answer).await.is_err()
        {
            return;
        }
    }
}

/// The present moment as the provider's journal counts it.
fn moment(provider: &SimulatedProvider) -> Duration {
    provider.now()
}

/// How long before `end` the oldest of the `missing` newest requests arrived.
fn age_of_loss(provider: &SimulatedProvider, missing: u64, end: Duration) -> Duration {
    let requests = provider.requests();
    let oldest = requests.len().checked_sub(missing as usize).and_then(|at| requests.get(at));
    oldest.map_or(Duration::ZERO, |request| end.saturating_sub(request.at))
}

#[tokio::test]
async fn a_kill_loses_no_more_than_a_moment_and_counts_nothing_twice() {
    let upstream = provider(&["hi"]).await;
    let mut proxy = remembering(&[entry("one", &upstream)]).await;
    let (mut counted_before, mut lost, mut sent) = (0, 0, 0);
    let mut ages = Vec::new();
    for round in 0..rounds() {
        let seen_before = upstream.count();
        let (begun, over) = (Arc::default(), Arc::default());
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(asks(proxy.address, Arc::clone(&begun), Arc::clone(&over))))
            .collect();
        tokio::time::sleep(span(round)).await;
        let end = moment(&upstream);
        let place = killed(proxy).await;
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        proxy = start(place).await;
        let counted = proxy.state("one").await["request_count"].as_u64().unwrap();
        let seen = upstream.count() - seen_before;
        let more = counted.checked_sub(counted_before).expect("what was counted is gone");
        assert!(more <= begun.load(Ordering::Relaxed), "round {round}: {more} of {begun:?}");
        // One is counted when it is about to be sent.
        assert!(more <= seen + CLIENTS, "round {round}: {more} counted, {seen} seen");
        let missing = seen.saturating_sub(more);
        ages.push(age_of_loss(&upstream, missing, end));
        (counted_before, lost, sent) = (counted, lost + missing, sent + seen);
    }
    ages.sort_unstable();
    let (median, worst) = (ages[ages.len() / 2], ages[ages.len() - 1]);
    eprintln!("{lost} of {sent} lost; the oldest by {median:?} (median), {worst:?} (worst)");
    assert!(sent > 0 && proxy.lines().iter().all(|line| !line.contains("damaged")));
    // About 100 ms by design; a busy machine may hold up the writer's thread.
    assert!(median < Duration::from_millis(250), "{ages:?}");
    assert!(worst < Duration::from_secs(3), "{ages:?}");
}

/// The deployment of a provider as `/status` tells it, without what moves.
async fn shut(proxy: &Proxy, provider: &str, key: usize) -> Value {
    let state = proxy.state(provider).await;
    let deployment = &state["deployments"][key];
    let mut shut = json!({"disabled": state["disabled"]});
    for name in ["state", "kind", "scope", "until", "origin", "reason", "key"] {
        shut[name] = deployment[name].clone();
    }
    shut
}

#[tokio::test]
async fn what_was_set_aside_stays_so_after_a_kill() {
    let limited = acting(Behaviour::always(Reply::rate_limited(Some("3600")))).await;
    let refusing = acting(Behaviour::always(error(
        401,
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided",
    )))
    .await;
    let (off, good) = (provider(&["off"]).await, provider(&["good"]).await);
    let entries = [
        entry("limited", &limited),
        entry("refusing", &refusing),
        entry("off", &off),
        entry("good", &good),
    ];
    let proxy = remembering(&entries).await;
    proxy.tell(&["disable", "off"]).await.good();
    assert_eq!(proxy.chat(QUESTION).await.provider(), "good");
    let mut before = Vec::new();
    for name in ["limited", "refusing", "off", "good"] {
        before.push((name, shut(&proxy, name, 0).await));
    }
    assert_eq!(before[0].1["state"], "cooling");
    assert_eq!(before[0].1["origin"], "stated");
    assert_eq!(before[1].1["state"], "parked");
    assert_eq!(before[2].1["disabled"], true);

    let proxy = killed_and_back(proxy).await;
    for (name, before) in &before {
        assert_eq!(shut(&proxy, name, 0).await, *before, "{name}");
    }
    assert_eq!(proxy.chat(QUESTION).await.provider(), "good");
    assert_eq!((limited.count(), refusing.count(), off.count()), (1, 1, 0));
    // And what a person undoes stays undone.
    proxy.tell(&["enable", "off"]).await.good();
    proxy.tell(&["reset"]).await.good();
    let proxy = killed_and_back(proxy).await;
    for name in ["limited", "refusing", "off", "good"] {
        assert_eq!(shut(&proxy, name, 0).await["state"], "open", "{name}");
    }
}

/// How long after its answer a stated cooldown was in the file.
async fn saved_after(proxy: &Proxy) -> Duration {
    assert_eq!(proxy.chat(QUESTION).await.status, 429);
    let answered = now();
    eventually("the cooldown in the file", async || {
        holds(&bytes(&proxy.place), r#""kind":"rate_limited""#)
    })
    .await;
    answered.elapsed()
}

#[tokio::test]
async fn a_long_cooldown_is_saved_at_once_and_survives_a_kill() {
    let limited = acting(Behaviour::always(Reply::rate_limited(Some("3600")))).await;
    let mut soonest = Duration::MAX;
    // Once is enough: a busy machine may hold up the writer's thread at any one time.
    for tries in 1..=10 {
        let proxy = remembering(&[entry("limited", &limited)]).await;
        soonest = soonest.min(saved_after(&proxy).await);
        let proxy = start(killed(proxy).await).await;
        let shut = shut(&proxy, "limited", 0).await;
        assert_eq!((&shut["state"], &shut["origin"]), (&json!("cooling"), &json!("stated")));
        assert_eq!(limited.count(), tries);
        if tries >= 2 && soonest < GATHERED {
            return;
        }
    }
    panic!("saved after {soonest:?} at best");
}

#[tokio::test]
async fn a_refused_parameter_is_not_sent_once_more_after_a_kill() {
    let picky = Behaviour::answer(|request| {
        if request.json().get("logit_bias").is_some() {
            let message = "Unsupported parameter: 'logit_bias' is not supported with this model.";
            return error(400, "invalid_request_error", "unsupported_parameter", message);
        }
        Reply::answer(&["fine"])
    });
    let upstream = acting(picky).await;
    let body = r#"{"logit_bias":{"50256":-100},"messages":[{"role":"user","content":"hi"}]}"#;
    let proxy = remembering(&[entry("picky", &upstream)]).await;
    assert_eq!(proxy.chat(body).await.provider(), "picky");
    assert_eq!(upstream.count(), 2);
    let proxy = killed_and_back(proxy).await;
    let answer = proxy.chat(body).await;
    assert_eq!(
        (answer.provider(), answer.header("x-dropped-params")),
        ("picky", Some("logit_bias"))
    );
    assert_eq!(upstream.count(), 3);
    // A person's reset lets it be tried again, also after the next kill.
    proxy.tell(&["reset", "picky"]).await.good();
    let proxy = killed_and_back(proxy).await;
    assert_eq!(proxy.chat(body).await.provider(), "picky");
    assert_eq!(upstream.count(), 5);
}

#[tokio::test]
async fn learned_limits_and_counts_by_key_and_model_survive_a_kill() {
    let reply = Reply::answer(&["hi"])
        .header("x-ratelimit-limit-requests", "1000")
        .header("x-ratelimit-remaining-requests", "640")
        .header("x-ratelimit-reset-requests", "2h");
    let upstream = acting(Behaviour::always(reply)).await;
    let url = upstream.base_url();
    let lines = format!(
        "  - name: many\n    base_url: {url}\n    api_keys: [key-number-one-0123, key-number-two-0123]\n    \
         models: [m1, m2]\n    limits: {{rpd: 500}}\n"
    );
    let proxy = remembering(&[lines]).await;
    for model in ["many/m1", "many/m1", "many/m2"] {
        let body =
            format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        assert_eq!(proxy.chat(&body).await.provider(), "many");
    }
    let facts = async |proxy: &Proxy| {
        let state = proxy.state("many").await;
        let deployments = state["deployments"].as_array().unwrap().clone();
        let told = deployments.iter().map(|one| {
            let quotas = one["quotas"].as_array().unwrap().iter().map(|quota| {
                json!([
                    quota["counts"],
                    quota["per"],
                    quota["limit"],
                    quota["remaining"],
                    quota["origin"]
                ])
            });
            json!([
                one["key"],
                one["model"],
                one["request_count"],
                one["total_tokens_used"],
                quotas.collect::<Vec<_>>()
            ])
        });
        let sums = [&state["request_count"], &state["success_count"], &state["total_tokens_used"]];
        (json!(sums), told.collect::<Vec<_>>())
    };
    saved(&proxy).await;
    let before = facts(&proxy).await;
    assert_eq!(before.0[0], 3);
    assert!(before.1.iter().any(|one| one[4].to_string().contains("learned")), "{before:?}");
    let proxy = start(killed(proxy).await).await;
    assert_eq!(facts(&proxy).await, before);
}
