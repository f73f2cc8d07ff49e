//! Providers behind TLS with an authority of their own, and a proxy on the way to them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use simulated::{Behaviour, Protocol, SimulatedProvider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::acting;

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A server with a certificate for this name that offers these protocols.
    fn acceptor(&self, name: &str, protocols: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        config.alpn_protocols =
            protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A provider behind TLS: where it listens, and the protocols that were agreed on.
pub(crate) struct OverTls {
    pub(crate) provider: Arc<SimulatedProvider>,
    pub(crate) port: u16,
    pub(crate) agreed: Arc<Mutex<Vec<Protocol>>>,
}

/// Starts a provider behind TLS, with a certificate for this name.
pub(crate) async fn over_tls(
    authority: &Authority,
    name: &str,
    protocols: &[&str],
    behaviour: Behaviour,
) -> OverTls {
    let provider = Arc::new(acting(behaviour).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let agreed: Arc<Mutex<Vec<Protocol>>> = Arc::default();
    let acceptor = authority.acceptor(name, protocols);
    let (serving, noting) = (Arc::clone(&provider), Arc::clone(&agreed));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, serving) = (acceptor.clone(), Arc::clone(&serving));
            let noting = Arc::clone(&noting);
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                noting.lock().unwrap().push(protocol);
                serving.serve_connection(stream, protocol).await;
            });
        }
    });
    OverTls { provider, port, agreed }
}

/// A proxy that tunnels every CONNECT to this machine, whatever host is named.
pub(crate) struct Tunnel {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let noting = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, Arc::clone(&noting)));
            }
        });
        Self { address, heads }
    }

    /// The heads of the requests that came, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn tunnel(mut client: TcpStream, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let port = target.rsplit(':').next().unwrap_or_default().to_owned();
    heads.lock().unwrap().push(head);
    let Ok(mut server) = TcpStream::connect(format!("127.0.0.1:{port}")).await else {
        return;
    };
    let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

/// Long enough for an answer to be sent on an idle machine.
pub(crate) const MOMENT: Duration = Duration::from_millis(100);

/// How a connection of HTTP/2 turns a request away that it has not looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TurnAway {
    /// It resets that stream alone.
    RefusedStream,
    /// It says that it goes away, after the requests before.
    GoAway,
}

/// A provider of HTTP/2 behind TLS that turns this one of its requests away, counted from 0, and
/// answers the others; its port.
pub(crate) async fn turning_away(authority: &Authority, which: usize, how: TurnAway) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = authority.acceptor("localhost", &["h2"]);
    let count: Arc<AtomicUsize> = Arc::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                serve_turning_away(stream, which, how, &count).await;
            });
        }
    });
    port
}

async fn serve_turning_away(
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    which: usize,
    how: TurnAway,
    count: &AtomicUsize,
) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let at = count.fetch_add(1, Ordering::Relaxed);
        if at == which {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
            continue;
        }
        let head = http::Response::builder().header("content-type", "application/json");
        let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
        let text = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
        body.send_data(text.into(), true).unwrap();
        if at + 1 == which && how == TurnAway::GoAway {
            // Until the answer is sent, and the next request has come without being read.
            let sending = std::future::poll_fn(|cx| connection.poll_closed(cx));
            let _ = tokio::time::timeout(MOMENT, sending).await;
            tokio::time::sleep(MOMENT * 5).await;
            count.fetch_add(1, Ordering::Relaxed);
            connection.abrupt_shutdown(h2::Reason::NO_ERROR);
        }
    }
}
