//! The way to providers: through a proxy where the environment names one, and within the connect
//! timeout.

use std::net::SocketAddr;
use std::time::Duration;

use simulated::{Behaviour, Reply};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{
    Authority, Place, Proxy, QUESTION, Tunnel, entry, entry_at, over_tls, provider,
};

/// A proxy with a provider behind TLS, and the environment that these name.
async fn through(tunnel: &Tunnel, host: &str, variables: &[(&str, &str)]) -> (Proxy, u16) {
    let authority = Authority::new();
    let hi = Behaviour::always(Reply::answer(&["hi"]));
    let upstream = over_tls(&authority, host, &["h2", "http/1.1"], hi).await;
    let port = upstream.port;
    let mut place = Place::with(&format!(
        "server: {{ca_file: ca.pem}}\nproviders:\n{}",
        entry_at("one", &format!("https://{host}:{port}"))
    ));
    place.write("ca.pem", &authority.pem);
    for (name, value) in variables {
        place.set(name, &value.replace("TUNNEL", &tunnel.address.to_string()));
    }
    let proxy = Proxy::start(place).await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "one");
    assert_eq!(upstream.provider.count(), 1);
    (proxy, port)
}

#[tokio::test]
async fn https_proxy_is_asked_for_a_tunnel_to_the_named_host() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let tunnel = Tunnel::start().await;
        // The name exists nowhere: only the proxy can reach it.
        let (_proxy, port) = through(&tunnel, "provider.test", &[(name, "http://TUNNEL")]).await;
        let heads = tunnel.heads();
        assert_eq!(heads.len(), 1, "{name}");
        let target = format!("CONNECT provider.test:{port} HTTP/1.1\r\n");
        assert!(heads[0].starts_with(&target), "{}", heads[0]);
        assert!(!heads[0].to_lowercase().contains("authorization"), "{}", heads[0]);
    }
}

#[tokio::test]
async fn the_proxys_own_password_is_sent_to_it_alone() {
    let tunnel = Tunnel::start().await;
    let variables = [("HTTPS_PROXY", "http://user:pass%20word@TUNNEL")];
    let (proxy, _port) = through(&tunnel, "provider.test", &variables).await;
    let head = tunnel.heads()[0].to_lowercase();
    // "user:pass word"
    assert!(head.contains("proxy-authorization: basic dxnlcjpwyxnzihdvcmq="), "{head}");
    assert!(!proxy.lines().iter().any(|line| line.contains("pass")));
}

#[tokio::test]
async fn no_proxy_goes_straight() {
    for list in ["localhost", "example.com,localhost", "*"] {
        let tunnel = Tunnel::start().await;
        let variables = [("HTTPS_PROXY", "http://TUNNEL"), ("NO_PROXY", list)];
        through(&tunnel, "localhost", &variables).await;
        assert!(tunnel.heads().is_empty(), "{list}: {:?}", tunnel.heads());
    }
}

#[tokio::test]
async fn a_plain_provider_on_this_machine_is_reached_without_the_proxy() {
    let tunnel = Tunnel::start().await;
    let upstream = provider(&["hi"]).await;
    let mut place = Place::with(&crate::harness::only("one", &upstream));
    place.set("HTTPS_PROXY", &format!("http://{}", tunnel.address));
    place.set("HTTP_PROXY", &format!("http://{}", tunnel.address));
    let proxy = Proxy::start(place).await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "one");
    assert!(tunnel.heads().is_empty());
}

#[tokio::test]
async fn a_proxy_that_is_gone_rotates() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let second = provider(&["hi"]).await;
    let mut place = Place::with(&format!(
        "providers:\n{}{}",
        entry_at("one", "https://provider.test"),
        entry("second", &second)
    ));
    place.set("HTTPS_PROXY", &format!("http://{gone}"));
    let proxy = Proxy::start(place).await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
}

/// A place where connections are neither taken nor refused: its queue is full.
struct Hole {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _queue: Vec<TcpStream>,
}

impl Hole {
    async fn dig() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(taken) =
            tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            queue.push(taken.unwrap());
            assert!(queue.len() < 64, "the queue has no end");
        }
        Self { address, _listener: listener, _queue: queue }
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_costs_the_connect_timeout_and_no_more() {
    let hole = Hole::dig().await;
    let second = provider(&["hi"]).await;
    for (rotation, own) in
        [("{connect_timeout: 300ms}", ""), ("{}", "    timeouts: {connect: 300ms}\n")]
    {
        let config = format!(
            "rotation: {rotation}\nproviders:\n{}{own}{}",
            entry_at("one", &format!("http://{}", hole.address)),
            entry("second", &second)
        );
        let proxy = Proxy::of(&config).await;
        let answered = tokio::time::timeout(Duration::from_secs(3), proxy.chat(QUESTION)).await;
        let answer = answered.expect("the timeout is not kept");
        assert_eq!(answer.provider(), "second");
        assert_eq!(answer.header("x-rotation"), Some("one=unreachable, second=200"));
        let line = proxy.line(" - WARNING - one: ").await;
        assert!(line.contains("no connection in time"), "{line}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_rotates_with_its_reason() {
    let second = provider(&["hi"]).await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "providers:\n{}{}",
        entry_at("one", &format!("http://{gone}")),
        entry("second", &second)
    );
    let proxy = Proxy::of(&config).await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    assert!(proxy.line(" - WARNING - one: ").await.contains("refused"));
}
