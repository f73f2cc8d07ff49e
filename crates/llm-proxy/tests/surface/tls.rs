//! Providers behind TLS.

use simulated::{Behaviour, Protocol, Reply};

use crate::harness::{
    Authority, MOMENT, Place, Proxy, QUESTION, STREAMED, TurnAway, entry, entry_at, over_tls,
    provider, turning_away,
};

fn hi() -> Behaviour {
    Behaviour::always(Reply::answer(&["hi ", "there"]))
}

/// A place that trusts the authority.
fn trusting(authority: &Authority, providers: &str) -> Place {
    let place =
        Place::with(&format!("server: {{ca_file: certificates/ca.pem}}\nproviders:\n{providers}"));
    place.write("certificates/ca.pem", &authority.pem);
    place
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_in_both_versions_of_http() {
    let authority = Authority::new();
    for (protocols, agreed) in [
        (&["http/1.1"][..], Protocol::Http1),
        (&["h2"], Protocol::Http2),
        (&["h2", "http/1.1"], Protocol::Http2),
        (&[], Protocol::Http1),
    ] {
        let upstream = over_tls(&authority, "localhost", protocols, hi()).await;
        let url = format!("https://localhost:{}", upstream.port);
        let proxy = Proxy::start(trusting(&authority, &entry_at("one", &url))).await;
        for _ in 0..2 {
            let answer = proxy.chat(QUESTION).await;
            assert_eq!(answer.provider(), "one");
            assert_eq!(answer.json()["choices"][0]["message"]["content"], "hi there");
            let stream = proxy.chat(STREAMED).await;
            assert!(stream.text().contains("there") && stream.text().contains("[DONE]"));
        }
        assert!(upstream.agreed.lock().unwrap().iter().all(|one| *one == agreed), "{protocols:?}");
        let asked = upstream.provider.requests();
        assert_eq!(asked.len(), 4);
        assert!(asked.iter().all(|one| one.path == "/v1/chat/completions"));
        assert!(asked.iter().all(|one| one.key() == Some("key-of-one-0123456789")));
        assert_eq!(
            upstream.provider.connections_total(),
            1,
            "{protocols:?}: one connection serves on"
        );
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_rotates_with_a_clear_reason() {
    let upstream = over_tls(&Authority::new(), "localhost", &[], hi()).await;
    let second = provider(&["hi"]).await;
    let url = format!("https://localhost:{}", upstream.port);
    let config = format!("providers:\n{}{}", entry_at("one", &url), entry("second", &second));
    let proxy = Proxy::of(&config).await;
    refuses(&proxy, "UnknownIssuer").await;
    assert_eq!(upstream.provider.count(), 0, "the key stayed here");
}

#[tokio::test]
async fn a_certificate_for_another_name_rotates_with_a_clear_reason() {
    let authority = Authority::new();
    let upstream = over_tls(&authority, "other.test", &[], hi()).await;
    let second = provider(&["hi"]).await;
    let url = format!("https://localhost:{}", upstream.port);
    let providers = format!("{}{}", entry_at("one", &url), entry("second", &second));
    let proxy = Proxy::start(trusting(&authority, &providers)).await;
    refuses(&proxy, "not valid for name").await;
    assert_eq!(upstream.provider.count(), 0, "the key stayed here");
}

async fn refuses(proxy: &Proxy, why: &str) {
    let answer = proxy.chat(QUESTION).await;
    assert_eq!(answer.provider(), "second");
    assert_eq!(answer.header("x-rotation"), Some("one=unreachable, second=200"));
    let line = proxy.line(" - WARNING - one: ").await;
    assert!(line.contains("certificate") && line.contains(why), "{line}");
    let error = proxy.state("one").await["last_error"].as_str().unwrap().to_owned();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_rotates() {
    let (plain, second) = (provider(&["hi"]).await, provider(&["hi"]).await);
    let url = format!("https://{}", plain.address());
    let config = format!("providers:\n{}{}", entry_at("one", &url), entry("second", &second));
    let proxy = Proxy::of(&config).await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    assert_eq!(plain.count(), 0);
}

#[tokio::test]
async fn a_bad_file_of_authorities_is_a_bad_configuration() {
    let upstream = provider(&["hi"]).await;
    let config = format!("server: {{ca_file: ca.pem}}\n{}", crate::harness::only("one", &upstream));
    let place = Place::with(&config);
    let told = place.run(&["serve", "--port", "0"]).await;
    assert!(told.code == Some(2) && told.err.contains("ca.pem"), "{told:?}");
    let told = place.run(&["check"]).await;
    assert_eq!(told.code, Some(2), "{told:?}");
    place.write("ca.pem", "no certificate\n");
    let told = place.run(&["serve", "--port", "0"]).await;
    assert!(told.code == Some(2) && told.err.contains("ca.pem"), "{told:?}");
}

#[tokio::test]
async fn a_request_that_a_connection_turned_away_unread_is_repeated_and_nobody_is_blamed() {
    let authority = Authority::new();
    for (which, how) in
        [(0, TurnAway::RefusedStream), (1, TurnAway::RefusedStream), (1, TurnAway::GoAway)]
    {
        let port = turning_away(&authority, which, how).await;
        let second = provider(&["second"]).await;
        let one = entry_at("one", &format!("https://localhost:{port}"));
        let providers = format!("{one}{}", entry("second", &second));
        let proxy = Proxy::start(trusting(&authority, &providers)).await;
        for _ in 0..3 {
            let answer = proxy.chat(QUESTION).await;
            assert_eq!(answer.provider(), "one", "{which} {how:?}");
            assert_eq!(answer.header("x-attempts"), Some("1"), "{which} {how:?}");
            tokio::time::sleep(MOMENT * 2).await;
        }
        let state = proxy.state("one").await;
        assert_eq!(state["consecutive_errors"], 0, "{state}");
        assert_eq!(state["last_error"], serde_json::Value::Null, "{which} {how:?}: {state}");
        assert_eq!(second.count(), 0);
    }
}
