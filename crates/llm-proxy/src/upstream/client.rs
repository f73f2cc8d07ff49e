//! The pooled HTTP client for all providers, HTTP/1.1 and HTTP/2.

use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::Segments;
use super::connector::{ConnectTimeouts, Connector, Trust, UseCount};

/// Idle connections are dropped before the usual server does it (60 to 75 seconds), so that a
/// request seldom meets one that is being closed.
const IDLE: Duration = Duration::from_secs(50);

/// Idle connections kept per provider.
const MOST_IDLE: usize = 64;

/// What a client is made of.
#[derive(Debug)]
pub(crate) struct ClientOptions {
    pub(crate) ca_certificates: Vec<rustls::pki_types::CertificateDer<'static>>,
    pub(crate) connect_timeout: Duration,
    /// By `host:port`.
    pub(crate) connect_timeout_of: Vec<(String, Duration)>,
}

/// The pooled HTTP client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pool: legacy::Client<Connector, Segments>,
}

impl Client {
    pub(crate) fn new(options: ClientOptions) -> Self {
        let trust = Trust { extra: options.ca_certificates };
        let timeouts = ConnectTimeouts {
            usual: options.connect_timeout,
            of: options.connect_timeout_of.into(),
        };
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .build(Connector::new(trust, timeouts));
        Self { pool }
    }

    /// Sends a request and waits for the reply's head. A fault of a connection that had been
    /// idle in the pool is nobody's, and is repeated once on another connection.
    pub(crate) async fn send(
        &self,
        request: &Request<Segments>,
    ) -> Result<Response<Incoming>, Error> {
        let first = self.pool.request(copy(request)).await;
        let reply = match first {
            Err(error) if was_reused(&error) => self.pool.request(copy(request)).await,
            other => other,
        }?;
        if let Some(uses) = reply.extensions().get::<UseCount>() {
            uses.add();
        }
        Ok(reply)
    }
}

fn was_reused(error: &Error) -> bool {
    let mut extensions = http::Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extensions);
    }
    extensions.get::<UseCount>().is_some_and(UseCount::is_reused)
}

fn copy(request: &Request<Segments>) -> Request<Segments> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
