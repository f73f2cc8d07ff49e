//! Connections to providers: TCP, through a proxy where the environment names one, with TLS where
//! the URL says so, within the connect timeout.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Tcp = TokioIo<TcpStream>;
type Connecting<S> = Pin<Box<dyn Future<Output = Result<S, BoxError>> + Send>>;

/// How often a connection has carried a request to its answer. A fault on one that has, and was
/// idle since, is nobody's: the server may just have closed it.
#[derive(Debug, Clone, Default)]
pub(crate) struct UseCount(Arc<AtomicUsize>);

impl UseCount {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_reused(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
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
        let dialer = Dialer { tcp, proxies: Arc::new(Matcher::from_env()) };
        Self { dialer, trust: Arc::new(trust), tls: Arc::default(), timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = Counted;
    type Error = BoxError;
    type Future = Connecting<Counted>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.dialer.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { mut dialer, trust, tls, timeout } = self.clone();
        let limit = timeout.for_uri(&uri);
        let connect = async move {
            if uri.scheme_str() != Some("https") {
                return dialer.call(uri).await.map(MaybeHttpsStream::Http);
            }
            if tls.get().is_none() {
                let made =
                    tokio::task::spawn_blocking(move || https_connector(dialer, &trust)).await??;
                let _ = tls.set(made);
            }
            match tls.get() {
                Some(https) => https.clone().call(uri).await,
                None => Err(io::Error::other("TLS could not be set up").into()),
            }
        };
        Box::pin(async move {
            let stream = tokio::time::timeout(limit, connect)
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time"))??;
            Ok(Counted { stream, uses: UseCount::default() })
        })
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

/// A connection that knows how often it was used.
#[derive(Debug)]
pub(crate) struct Counted {
    stream: MaybeHttpsStream<Tcp>,
    uses: UseCount,
}

impl Connection for Counted {
    /// Tells what a request needs to know; addresses, which nobody asks for, would be copied into
    /// every reply.
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.uses.clone());
        if self.stream.connected().is_negotiated_h2() {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl Read for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
