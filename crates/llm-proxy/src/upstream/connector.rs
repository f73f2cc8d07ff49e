//! Connections to providers: TCP, through a proxy where the environment names one, with TLS where
//! the URL says so, within the connect timeout.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Tcp = TokioIo<TcpStream>;
type Connecting<S> = Pin<Box<dyn Future<Output = Result<S, BoxError>> + Send>>;

/// Bytes that the system takes and has not sent. By itself it takes megabytes, and nobody could see
/// that a long request is still on its way.
const SEND_BUFFER: usize = 256 << 10;

/// A connection, with TLS or without.
pub(crate) type Stream = MaybeHttpsStream<Tcp>;

/// Whether both ends have agreed on HTTP/2.
pub(crate) fn speaks_http2(stream: &Stream) -> bool {
    stream.connected().is_negotiated_h2()
}

/// Makes TCP connections, through a proxy where one is meant.
#[derive(Debug, Clone)]
struct Dialer {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Service<Uri> for Dialer {
    type Response = Tcp;
    type Error = BoxError;
    type Future = Connecting<Tcp>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let proxy =
            (uri.scheme_str() == Some("https")).then(|| self.proxies.intercept(&uri)).flatten();
        let Some(proxy) = proxy else {
            let dialing = self.tcp.call(uri);
            return Box::pin(async move { dialing.await.map_err(Into::into) });
        };
        if proxy.uri().scheme_str() != Some("http") {
            let unsupported = "only http:// proxies are supported in HTTPS_PROXY";
            return Box::pin(async move { Err(io::Error::other(unsupported).into()) });
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        Box::pin(async move { tunnel.call(uri).await.map_err(Into::into) })
    }
}

/// Where trust in a provider's certificate comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    /// Further authorities, DER, from `server.ca_file`.
    pub(crate) extra: Vec<rustls::pki_types::CertificateDer<'static>>,
}

/// Makes connections to providers.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    dialer: Dialer,
    trust: Arc<Trust>,
    /// Made at the first `https` URL: reading the system's certificates takes longer than all
    /// the rest of the start.
    tls: Arc<OnceLock<HttpsConnector<Dialer>>>,
    timeout: ConnectTimeouts,
}

/// The connect timeout, and those of providers that have their own.
#[derive(Debug, Clone)]
pub(crate) struct ConnectTimeouts {
    pub(crate) usual: Duration,
    /// By `host:port`.
    pub(crate) of: Arc<[(String, Duration)]>,
}

impl ConnectTimeouts {
    fn for_uri(&self, uri: &Uri) -> Duration {
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        self.of.iter().find(|(of, _)| of == authority).map_or(self.usual, |(_, timeout)| *timeout)
    }
}

impl Connector {
    pub(crate) fn new(trust: Trust, timeout: ConnectTimeouts) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_mins(1)));
        tcp.set_send_buffer_size(Some(SEND_BUFFER));
        let dialer = Dialer { tcp, proxies: Arc::new(Matcher::from_env()) };
        Self { dialer, trust: Arc::new(trust), tls: Arc::default(), timeout }
    }
}

impl Connector {
    /// Makes a connection within the connect timeout.
    pub(crate) async fn connect(&self, uri: &Uri) -> Result<Stream, BoxError> {
        let connecting = self.connect_some_time(uri.clone());
        tokio::time::timeout(self.timeout.for_uri(uri), connecting)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time"))?
    }

    async fn connect_some_time(&self, uri: Uri) -> Result<Stream, BoxError> {
        if uri.scheme_str() != Some("https") {
            let mut dialer = self.dialer.clone();
            return dialer.call(uri).await.map(MaybeHttpsStream::Http);
        }
        if self.tls.get().is_none() {
            let (dialer, trust) = (self.dialer.clone(), Arc::clone(&self.trust));
            let made =
                tokio::task::spawn_blocking(move || https_connector(dialer, &trust)).await??;
            let _ = self.tls.set(made);
        }
        match self.tls.get() {
            Some(https) => https.clone().call(uri).await,
            None => Err(io::Error::other("TLS could not be set up").into()),
        }
    }
}

fn https_connector(dialer: Dialer, trust: &Trust) -> Result<HttpsConnector<Dialer>, BoxError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(trust))
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_all_versions()
        .wrap_connector(dialer))
}

/// The system's store, or the browsers' common roots where there is none, and `ca_file`.
fn roots(trust: &Trust) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.add_parsable_certificates(trust.extra.iter().cloned());
    roots
}
