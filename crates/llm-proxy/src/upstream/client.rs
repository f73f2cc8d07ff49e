//! The HTTP client for all providers, HTTP/1.1 and HTTP/2, which keeps connections open.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderMap, Request, Response, Uri};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::Segments;
use super::connector::{BoxError, ConnectTimeouts, Connector, Stream, Trust, speaks_http2};
use super::driven::{Driven, ReplyBody};
use super::origin::{Kept, Origin, Shared};
use crate::lock::lock;

/// How often a connection of HTTP/2 that carries requests is asked for a sign of life, and how
/// long that may take.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// What a client is made of.
#[derive(Debug)]
pub(crate) struct ClientOptions {
    pub(crate) ca_certificates: Vec<rustls::pki_types::CertificateDer<'static>>,
    pub(crate) connect_timeout: Duration,
    /// By `host:port`.
    pub(crate) connect_timeout_of: Vec<(String, Duration)>,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum SendError {
    /// No connection could be made.
    Unreachable(BoxError),
    /// The connection failed before the reply's head was there.
    Lost(hyper::Error),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable(_) => "cannot connect",
            Self::Lost(_) => "no reply",
        })
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable(cause) => Some(cause.as_ref()),
            Self::Lost(cause) => Some(cause),
        }
    }
}

/// The HTTP client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    connector: Connector,
    plain: Arc<Origins>,
    secure: Arc<Origins>,
}

/// By `host:port`; as many as the configuration names.
type Origins = Mutex<HashMap<Box<str>, Arc<Origin>>>;

impl Client {
    pub(crate) fn new(options: ClientOptions) -> Self {
        let trust = Trust { extra: options.ca_certificates };
        let timeouts = ConnectTimeouts {
            usual: options.connect_timeout,
            of: options.connect_timeout_of.into(),
        };
        let connector = Connector::new(trust, timeouts);
        Self { connector, plain: Arc::default(), secure: Arc::default() }
    }

    /// Sends a request and waits for the reply's head. A fault of a connection that had been
    /// kept is nobody's, and is repeated once on a new one; so is a head that was too large, the
    /// first time that an address sends one.
    pub(crate) async fn send(
        &self,
        request: &Request<Segments>,
    ) -> Result<Response<ReplyBody>, SendError> {
        let origin = self.origin(request.uri());
        if let Some(kept) = origin.kept()
            && let Ok(reply) = exchange(kept, &origin, request).await
        {
            return Ok(reply);
        }
        match self.send_anew(&origin, request).await {
            Err(SendError::Lost(error))
                if error.is_parse_too_large() && origin.expect_many_headers() =>
            {
                Box::pin(self.send_anew(&origin, request)).await
            }
            reply => reply,
        }
    }

    /// Sends a request on a new connection.
    async fn send_anew(
        &self,
        origin: &Arc<Origin>,
        request: &Request<Segments>,
    ) -> Result<Response<ReplyBody>, SendError> {
        // Boxed, since it is rare and large: a future has room for all that it may become.
        let connection = Box::pin(self.connect(origin, request.uri())).await?;
        exchange(connection, origin, request).await.map_err(SendError::Lost)
    }

    /// Keeps no connection to this address any longer: one of them was silent, and the others may
    /// have been cut off with it, as by a sleep of the machine.
    pub(crate) fn distrust(&self, uri: &Uri) {
        self.origin(uri).forget();
    }

    fn origin(&self, uri: &Uri) -> Arc<Origin> {
        let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
        let mut origins = lock(if is_secure { &self.secure } else { &self.plain });
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if let Some(origin) = origins.get(authority) {
            return Arc::clone(origin);
        }
        let origin = Arc::new(Origin::of(uri));
        origins.insert(authority.into(), Arc::clone(&origin));
        origin
    }

    async fn connect(&self, origin: &Arc<Origin>, uri: &Uri) -> Result<Kept, SendError> {
        let stream = self.connector.connect(uri).await.map_err(SendError::Unreachable)?;
        let made = if speaks_http2(&stream) {
            share(stream).await.map(|shared| {
                origin.share(shared.clone());
                Kept::Shared(shared)
            })
        } else {
            Driven::new(stream, origin.has_many_headers())
                .await
                .map(|driven| Kept::Driven(Box::new(driven)))
        };
        made.map_err(|error| SendError::Unreachable(error.into()))
    }
}

/// A connection of HTTP/2 has a task of its own, which ends when nobody uses it any more.
async fn share(stream: Stream) -> hyper::Result<Shared> {
    let (shared, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        .handshake(stream)
        .await?;
    tokio::spawn(connection);
    Ok(shared)
}

async fn exchange(
    connection: Kept,
    origin: &Arc<Origin>,
    request: &Request<Segments>,
) -> hyper::Result<Response<ReplyBody>> {
    match connection {
        Kept::Shared(mut shared) => {
            shared.ready().await?;
            let headers = request.headers().clone();
            let reply = shared.send_request(copy(request, request.uri().clone(), headers)).await?;
            Ok(reply.map(ReplyBody::shared))
        }
        Kept::Driven(mut driven) => {
            let path = request.uri().path_and_query().cloned();
            let path = path.map_or_else(|| Uri::from_static("/"), Uri::from);
            let mut headers = request.headers().clone();
            if let (false, Some(host)) = (headers.contains_key(HOST), &origin.host) {
                headers.insert(HOST, host.clone());
            }
            let reply = driven.exchange(copy(request, path, headers)).await?;
            Ok(reply.map(|body| ReplyBody::driven(body, driven, Arc::clone(origin))))
        }
    }
}

fn copy(request: &Request<Segments>, uri: Uri, headers: HeaderMap) -> Request<Segments> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = uri;
    *copy.headers_mut() = headers;
    copy
}

#[cfg(test)]
mod tests;
