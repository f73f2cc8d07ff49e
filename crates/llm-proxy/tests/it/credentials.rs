//! The client's credentials stay here, and a provider's key never comes back.

use serde_json::json;
use simulated::{Behaviour, Events, Reply, SimulatedProvider};

use crate::harness::{
    CHAT, PLAIN_AND_STREAMED, Setup, always, error, events, good, joined, post, question,
    raw_stream, wrong_key,
};

const KEY: &str = "sk-test-a-0123456789";

#[tokio::test]
async fn the_clients_credentials_never_go_upstream() {
    let a = good("a").await;
    let proxy = Setup::chain([&a]).start().await;
    let mut request = post(CHAT)
        .json(&question(false))
        .header("user-agent", "my-app/1")
        .header("x-custom", "kept");
    for name in
        ["authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization"]
    {
        request = request.header(name, "Bearer client-secret");
    }
    proxy.send(request).await.assert_says("a");
    let sent = &a.requests()[0];
    assert_eq!(sent.key(), Some(KEY));
    let shown = format!("{:?}", sent.headers);
    assert!(!shown.contains("client-secret"), "{shown}");
    assert_eq!(sent.headers["user-agent"], "my-app/1");
    assert_eq!(sent.headers["x-custom"], "kept");
    assert_eq!(sent.headers["host"], a.address().to_string());
}

#[tokio::test]
async fn a_key_that_the_provider_echoes_never_comes_back() {
    let said = format!("your key is {KEY}");
    let told = |status| error(status, &said, "invalid_request_error", "x");
    let replies = [
        Reply::answer(&[&said]),
        told(400),
        told(500),
        told(401),
        told(404),
        Reply::rate_limited(Some(KEY)),
        Reply::json(200, &json!({"error": {"message": said}})),
        raw_stream(Events::error(&said, "x", "x")),
        raw_stream(joined(&[events().text("a"), Events::error(&said, "x", "x")])),
        Reply::bytes(200, said.clone()),
    ];
    for reply in replies {
        let a = always(reply.header("x-echo", format!("Bearer {KEY}"))).await;
        let proxy = Setup::chain([&a]).rotation("max_wait: 0s").start().await;
        for stream in PLAIN_AND_STREAMED {
            let heard = proxy.chat(stream).await;
            assert!(heard.whole, "{heard:?}");
            let shown = format!("{:?} {}", heard.headers, heard.text());
            assert!(!shown.contains(KEY), "{shown}");
        }
        assert!(a.count() > 0);
        for path in ["/status", "/explain", "/metrics"] {
            let shown = proxy.get(path).await.text();
            assert!(!shown.contains(KEY), "{path}: {shown}");
        }
        proxy.logged("Selected provider: a (priority 1)").await;
        assert!(!proxy.log().contains(KEY), "{}", proxy.log());
    }
}

#[tokio::test]
async fn an_error_kept_for_the_end_does_not_carry_its_providers_key() {
    let long = || error(400, &format!("too long for {KEY}"), "x", "context_length_exceeded");
    let a = always(long().header("x-echo", KEY)).await;
    let b = always(long()).await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let heard = proxy.chat(false).await;
    assert_eq!((heard.status, a.count(), b.count()), (400, 1, 1));
    let shown = format!("{:?} {}", heard.headers, heard.text());
    assert!(!shown.contains(KEY), "{shown}");
    assert_eq!(heard.by(), "a", "the error is the first provider's");
}

#[tokio::test]
async fn a_key_cut_over_two_writes_of_an_event_does_not_come_back() {
    let event = events().text(&format!("it is {KEY}!"));
    let half = event.len() / 2;
    let writes = vec![
        (crate::harness::MS, event.slice(..half)),
        (crate::harness::MS * 30, event.slice(half..)),
        (crate::harness::MS, events().finish("stop")),
    ];
    let a = always(Reply::events(writes)).await;
    let proxy = Setup::chain([&a]).start().await;
    proxy.chat(true).await.assert_says("it is [redacted]!");
}

#[tokio::test]
async fn a_refused_key_makes_way_for_the_next_key_of_the_same_provider() {
    for stream in PLAIN_AND_STREAMED {
        let behaviour = Behaviour::answer(|request| match request.key() {
            Some("sk-second-key-2222") => Reply::answer(&["second"]),
            _ => wrong_key(),
        });
        let a = SimulatedProvider::start(behaviour).await.unwrap();
        let b = good("b").await;
        let lines = "api_keys: [sk-first-key-1111, sk-second-key-2222]\n    model: m";
        let proxy =
            Setup::new().provider_with("a", a.address(), lines).provider("b", &b).start().await;
        let heard = proxy.chat(stream).await;
        heard.assert_says("second");
        assert_eq!((heard.by(), heard.header("x-attempts")), ("a", Some("2")));
        assert_eq!(heard.header("x-rotation"), Some("a=401, a=200"));
        proxy.chat(stream).await.assert_says("second");
        assert_eq!((a.count(), b.count()), (3, 0), "a refused key is parked");
        assert_eq!(proxy.provider("a").await["available"], true);
    }
}

#[tokio::test]
async fn status_shows_keys_only_as_fingerprints() {
    let a = good("a").await;
    let lines = "api_keys: [sk-first-key-1111, sk-second-key-2222]\n    model: m";
    let proxy = Setup::new().provider_with("a", a.address(), lines).start().await;
    let status = proxy.get("/status").await.text();
    assert!(!status.contains("sk-") && !status.contains("-key-"), "{status}");
    let deployments = proxy.provider("a").await["deployments"].clone();
    let keys: Vec<&str> =
        deployments.as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
    for key in keys {
        assert!(key.len() == 8 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

#[tokio::test]
async fn a_redirect_does_not_carry_the_key_away() {
    let elsewhere = good("elsewhere").await;
    let location = format!("{}/chat/completions", elsewhere.base_url());
    let a = always(Reply::bytes(307, "").header("location", location)).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(false).await.assert_says("b");
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn half_a_key_at_the_end_of_a_quotation_does_not_come_back() {
    // However long a quotation is, one of these paddings puts its end inside the key.
    let paddings = (0..1200).step_by(6);
    let behaviour = Behaviour::answer(|request| {
        let padding = request.json()["padding"].as_u64().unwrap() as usize;
        let key = request.key().unwrap();
        let said = format!("{} {key} {}", "x".repeat(padding), "y".repeat(900));
        error(500, &said, "server_error", "x")
    });
    let a = SimulatedProvider::start(behaviour).await.unwrap();
    let proxy = Setup::chain([&a]).start().await;
    for padding in paddings {
        let mut body = question(padding % 12 == 0);
        body["padding"] = padding.into();
        let heard = proxy.ask(&body).await;
        assert_eq!(heard.status, 502);
        let status = proxy.get("/status").await.text();
        for shown in [heard.text(), status, proxy.log()] {
            assert!(!shown.contains("sk-test-"), "{padding}: {shown}");
        }
        assert_eq!(proxy.send(post("/reset")).await.status, 200);
    }
}
