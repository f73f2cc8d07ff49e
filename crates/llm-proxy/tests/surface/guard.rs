//! Local does not mean open: which requests are let in.

use crate::harness::{Answer, Proxy, QUESTION, only, post, provider, send};

const CHAT: &str = "/v1/chat/completions";
const STATUS: &str = "/status";

async fn proxy() -> (Proxy, simulated::SimulatedProvider) {
    with_server(
        "allowed_hosts: [box.lan, \"named.lan:8443\"], allowed_origins: [\"https://app.example\"]",
    )
    .await
}

async fn with_server(server: &str) -> (Proxy, simulated::SimulatedProvider) {
    let upstream = provider(&["hi"]).await;
    let config = format!("server: {{{server}}}\n{}", only("one", &upstream));
    (Proxy::of(&config).await, upstream)
}

async fn with_headers(proxy: &Proxy, method: &str, path: &str, headers: &[&str]) -> Answer {
    let body = if method == "POST" { QUESTION } else { "" };
    let length = format!("content-length: {}", body.len());
    let lines = [headers, &[&length]].concat().join("\r\n");
    send(proxy.address, format!("{method} {path} HTTP/1.1\r\n{lines}\r\n\r\n{body}")).await
}

#[track_caller]
fn grants_nothing(answer: &Answer) {
    for name in [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-allow-private-network",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn the_names_of_this_machine_and_the_listed_ones_are_answered() {
    let (proxy, _upstream) = proxy().await;
    let port = proxy.address.port();
    for host in [
        "localhost",
        "LocalHost",
        "localhost.",
        "app.localhost",
        "127.0.0.1",
        "127.3.2.1",
        "[::1]",
        "[::1]:1",
        "localhost:1",
        "box.lan",
        "BOX.lan",
        "box.lan:99",
        "named.lan:8443",
        &format!("localhost:{port}"),
    ] {
        let answer = with_headers(&proxy, "GET", STATUS, &[&format!("host: {host}")]).await;
        assert_eq!(answer.status, 200, "{host}");
    }
}

#[tokio::test]
async fn any_other_host_is_refused() {
    let (proxy, upstream) = proxy().await;
    for host in [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evillocalhost",
        "10.0.0.1",
        "0.0.0.0",
        "192.168.1.7:8000",
        "2130706433",
        "0x7f.1",
        "notbox.lan",
        "named.lan:1",
        "[::2]",
        "[fe80::1]",
        "[::1].evil.example",
        "localhost:80.evil.example",
        "user@localhost",
        "localhost@evil.example",
        "localhost/evil",
        "localhost localhost",
    ] {
        for (method, path) in [("GET", STATUS), ("GET", "/health"), ("POST", CHAT)] {
            let line = format!("host: {host}");
            let answer =
                with_headers(&proxy, method, path, &[&line, "content-type: application/json"])
                    .await;
            assert!(matches!(answer.status, 400 | 403), "{host}: {}", answer.status);
            grants_nothing(&answer);
        }
    }
    let answer = with_headers(&proxy, "GET", STATUS, &["host: evil.example"]).await;
    assert_eq!(answer.error().0, 403);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn no_host_two_hosts_and_an_empty_one_are_refused() {
    let (proxy, _upstream) = proxy().await;
    for headers in [
        &[][..],
        &["host: localhost", "host: localhost"],
        &["host: localhost", "host: evil.example"],
        &["host: evil.example", "host: localhost"],
        &["host:"],
    ] {
        let answer = with_headers(&proxy, "GET", STATUS, headers).await;
        assert!(matches!(answer.status, 400 | 403), "{headers:?}: {}", answer.status);
    }
    let old = send(proxy.address, "GET /status HTTP/1.0\r\n\r\n").await;
    assert!(matches!(old.status, 400 | 403), "{}", old.status);
}

#[tokio::test]
async fn foreign_origins_are_refused_and_granted_nothing() {
    let (proxy, upstream) = proxy().await;
    let host = format!("host: {}", proxy.address);
    for origin in [
        "https://evil.example",
        "http://evil.example",
        "null",
        "",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost@evil.example",
        "file://",
        "chrome-extension://abcdefgh",
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:8443",
        "http://10.0.0.1",
        "localhost",
        "http://evil.example#localhost",
        "https://\u{e9}.example",
    ] {
        let origin = format!("origin: {origin}");
        let headers = [host.as_str(), &origin, "content-type: application/json"];
        for (method, path) in [
            ("GET", STATUS),
            ("GET", "/health"),
            ("GET", "/"),
            ("GET", "/metrics"),
            ("POST", CHAT),
            ("POST", "/reload"),
            ("POST", "/reset"),
            ("OPTIONS", CHAT),
            ("OPTIONS", STATUS),
            ("GET", "/nowhere"),
        ] {
            let answer = with_headers(&proxy, method, path, &headers).await;
            assert_eq!(answer.status, 403, "{method} {path} {origin}");
            grants_nothing(&answer);
        }
    }
    let two = [host.as_str(), "origin: http://localhost", "origin: https://evil.example"];
    let answer = with_headers(&proxy, "GET", STATUS, &two).await;
    assert_eq!(answer.error().0, 403);
    grants_nothing(&answer);
    let reversed = [host.as_str(), "origin: https://evil.example", "origin: http://localhost"];
    let answer = with_headers(&proxy, "GET", STATUS, &reversed).await;
    assert_eq!(answer.status, 403);
    grants_nothing(&answer);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_foreign_page_cannot_read_an_answer_that_it_may_ask_for() {
    // Without an `Origin`, as an image or a frame asks: such ones could hold our seats for watchers.
    let (proxy, _upstream) = proxy().await;
    let host = format!("host: {}", proxy.address);
    for site in ["cross-site", "same-site"] {
        let site = format!("sec-fetch-site: {site}");
        for dest in ["image", "iframe", "empty"] {
            let dest = format!("sec-fetch-dest: {dest}");
            for path in [STATUS, "/events", "/"] {
                let answer = with_headers(&proxy, "GET", path, &[&host, &site, &dest]).await;
                assert_eq!(answer.error().0, 403, "{path} {dest}");
            }
        }
        // A person who follows a link is answered; the page that held the link cannot read it.
        let dest = "sec-fetch-dest: document";
        let answer = with_headers(&proxy, "GET", "/", &[&host, &site, dest]).await;
        assert_eq!(answer.status, 200);
        grants_nothing(&answer);
    }
}

#[tokio::test]
async fn what_a_provider_grants_to_pages_of_its_own_is_not_granted_here() {
    let (proxy, upstream) = proxy().await;
    upstream.set(
        simulated::Reply::answer(&["hi"])
            .header("access-control-allow-origin", "*")
            .header("access-control-allow-credentials", "true"),
    );
    let answer = proxy.chat(QUESTION).await;
    assert_eq!(answer.provider(), "one");
    grants_nothing(&answer);
    let ours = ["origin: http://localhost:3000"];
    let answer = post(proxy.address, CHAT, &ours, QUESTION).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn pages_of_this_machine_and_listed_ones_may_read() {
    let (proxy, _upstream) = proxy().await;
    let host = format!("host: {}", proxy.address);
    for origin in [
        "http://localhost:3000",
        "http://127.0.0.1:5173",
        "https://localhost",
        "http://[::1]:8080",
        "https://app.example",
    ] {
        let line = format!("origin: {origin}");
        let headers =
            [host.as_str(), &line, "content-type: application/json", "sec-fetch-site: cross-site"];
        for (method, path) in [("GET", STATUS), ("POST", CHAT)] {
            let answer = with_headers(&proxy, method, path, &headers).await;
            assert_eq!(answer.status, 200, "{origin} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"));
        }
    }
}

#[tokio::test]
async fn a_preflight_of_an_allowed_page_is_granted() {
    let (proxy, upstream) = with_server("api_keys: [friend-key-1]").await;
    let host = format!("host: {}", proxy.address);
    let headers = [
        host.as_str(),
        "origin: http://localhost:3000",
        "access-control-request-method: POST",
        "access-control-request-headers: authorization, content-type",
    ];
    let answer = with_headers(&proxy, "OPTIONS", CHAT, &headers).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_browsers_post_must_be_json() {
    let (proxy, upstream) = proxy().await;
    let host = format!("host: {}", proxy.address);
    for mark in
        ["origin: http://localhost:3000", "sec-fetch-site: same-origin", "sec-fetch-site: none"]
    {
        for kind in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/plain; application/json",
            "application/json-seq",
            "application/jsonx",
        ] {
            let kind = format!("content-type: {kind}");
            let mut headers = vec![host.as_str(), mark];
            if kind != "content-type: " {
                headers.push(&kind);
            }
            for path in [CHAT, "/reload", "/reset"] {
                let answer = with_headers(&proxy, "POST", path, &headers).await;
                assert_eq!(answer.error().0, 415, "{mark} {kind} {path}");
            }
        }
    }
    assert_eq!(upstream.count(), 0);
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        let kind = format!("content-type: {kind}");
        let headers = [host.as_str(), "origin: http://localhost:3000", &kind];
        assert_eq!(with_headers(&proxy, "POST", CHAT, &headers).await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn a_tool_may_send_json_under_any_name() {
    let (proxy, upstream) = proxy().await;
    let host = format!("host: {}", proxy.address);
    assert_eq!(with_headers(&proxy, "POST", CHAT, &[&host]).await.status, 200);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "nonsense"] {
        let kind = format!("content-type: {kind}");
        assert_eq!(with_headers(&proxy, "POST", CHAT, &[&host, &kind]).await.status, 200, "{kind}");
    }
    for asked in upstream.requests() {
        assert_eq!(asked.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn another_site_cannot_make_the_proxy_act() {
    let (proxy, upstream) = proxy().await;
    let host = format!("host: {}", proxy.address);
    for path in [CHAT, "/reload", "/reset", "/disable", "/enable"] {
        let headers =
            [host.as_str(), "sec-fetch-site: cross-site", "content-type: application/json"];
        let answer = with_headers(&proxy, "POST", path, &headers).await;
        assert_eq!(answer.error().0, 403, "{path}");
    }
    assert_eq!(upstream.count(), 0);
    assert!(!proxy.lines().iter().any(|line| line.contains("reloaded")));
}

#[tokio::test]
async fn with_keys_of_its_own_the_proxy_asks_for_one() {
    let (proxy, upstream) = with_server("api_keys: [friend-key-1, \"friend-key-2\"]").await;
    let ask = async |line: &str| {
        let lines = if line.is_empty() { vec![] } else { vec![line] };
        post(proxy.address, CHAT, &lines, QUESTION).await
    };
    for line in [
        "authorization: Bearer friend-key-1",
        "authorization: bearer friend-key-2",
        "x-api-key: friend-key-2",
    ] {
        assert_eq!(ask(line).await.status, 200, "{line}");
    }
    let served = upstream.count();
    for line in [
        "",
        "authorization: Bearer friend-key",
        "authorization: Bearer friend-key-12",
        "authorization: Bearer ",
        "authorization: Basic friend-key-1",
        "authorization: friend-key-1",
        "x-api-key: wrong",
        "x-api-key:",
    ] {
        let answer = ask(line).await;
        assert_eq!(answer.error(), (401, "invalid_api_key".to_owned()), "{line}");
    }
    for path in ["/status", "/stats", "/metrics", "/v1/models", "/v1/models/default", "/explain"] {
        assert_eq!(proxy.get(path).await.status, 401, "{path}");
    }
    for path in ["/reload", "/reset", "/disable", "/enable"] {
        assert_eq!(proxy.post(path, "").await.status, 401, "{path}");
    }
    // What tells nothing of the configuration is open, so that the page can ask for the key.
    for path in ["/health", "/"] {
        let answer = proxy.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        for word in ["friend-key", "key-of-one", "one-model"] {
            assert!(!answer.text().contains(word), "{path}: {word}");
        }
    }
    assert_eq!(upstream.count(), served, "a wrong key gets nowhere");
}

#[tokio::test]
async fn the_clients_own_credentials_never_go_upstream() {
    let (proxy, upstream) = with_server("api_keys: [friend-key-1]").await;
    let headers = [
        "authorization: Bearer friend-key-1",
        "x-api-key: friend-key-1",
        "api-key: friend-key-1",
        "cookie: session=friend-key-1",
        "proxy-authorization: Basic friend-key-1",
    ];
    assert_eq!(post(proxy.address, CHAT, &headers, QUESTION).await.status, 200);
    let asked = &upstream.requests()[0];
    assert_eq!(asked.key(), Some("key-of-one-0123456789"));
    for (name, value) in &asked.headers {
        assert!(!value.to_str().unwrap().contains("friend-key"), "{name}");
    }
}
