//! One provider's address with the connections to it that are open and free.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper::client::conn::http2;
use tokio::runtime::Handle;

use super::body::Segments;
use super::driven::Driven;
use crate::lock::lock;

/// Connections that were idle for two rounds are closed: before the usual server does it (60 to
/// 75 seconds), so that a request seldom meets one that is being closed.
const ROUND: Duration = Duration::from_secs(25);

/// Idle connections kept.
const MOST_IDLE: usize = 512;

/// What carries requests of HTTP/2, any number at a time.
pub(super) type Shared = http2::SendRequest<Segments>;

/// A connection that has carried a request to its answer.
pub(super) enum Kept {
    Driven(Box<Driven>),
    Shared(Shared),
}

/// One provider's address.
pub(super) struct Origin {
    /// What a request of HTTP/1.1 calls it.
    pub(super) host: Option<HeaderValue>,
    /// Whether a reply had more headers than are usually read.
    has_many_headers: AtomicBool,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    /// Each with the round in which it was put here.
    idle: Vec<(Box<Driven>, u64)>,
    /// With the round in which it was used last.
    shared: Option<(Shared, u64)>,
    round: u64,
    is_swept: bool,
}

impl Origin {
    pub(super) fn of(uri: &Uri) -> Self {
        let usual = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let host = uri.host().map(|host| match uri.port_u16() {
            Some(port) if port != usual => format!("{host}:{port}"),
            _ => host.to_owned(),
        });
        let host = host.and_then(|host| HeaderValue::try_from(host).ok());
        Self { host, has_many_headers: AtomicBool::default(), connections: Mutex::default() }
    }

    /// Whether its replies may have more headers than are usually read.
    pub(super) fn has_many_headers(&self) -> bool {
        self.has_many_headers.load(Ordering::Relaxed)
    }

    /// Expects many headers from now on; whether that is news.
    pub(super) fn expect_many_headers(&self) -> bool {
        !self.has_many_headers.swap(true, Ordering::Relaxed)
    }

    /// A connection that is open and free, as far as one can tell.
    pub(super) fn kept(&self) -> Option<Kept> {
        let mut connections = lock(&self.connections);
        if let Some(shared) = connections.shared() {
            return Some(Kept::Shared(shared));
        }
        while let Some((mut driven, _)) = connections.idle.pop() {
            if driven.is_free() {
                return Some(Kept::Driven(driven));
            }
        }
        None
    }

    /// Keeps a connection that is free.
    pub(super) fn keep(self: &Arc<Self>, driven: Box<Driven>) {
        let mut connections = lock(&self.connections);
        if connections.idle.len() < MOST_IDLE {
            let round = connections.round;
            connections.idle.push((driven, round));
            self.sweep_later(&mut connections);
        }
    }

    /// Keeps a connection that many can use, in the place of an older one: that was not there yet,
    /// or has just failed.
    pub(super) fn share(self: &Arc<Self>, shared: Shared) {
        let mut connections = lock(&self.connections);
        connections.shared = Some((shared, connections.round));
        self.sweep_later(&mut connections);
    }

    /// Closes what was idle for two rounds; whether nothing is left.
    pub(super) fn sweep(&self) -> bool {
        let mut connections = lock(&self.connections);
        connections.sweep();
        connections.is_swept = !connections.is_empty();
        !connections.is_swept
    }

    /// Lets go of all that is kept.
    pub(super) fn forget(&self) {
        let mut connections = lock(&self.connections);
        connections.idle.clear();
        connections.shared = None;
    }

    /// Sees to it that idle connections are closed in time.
    fn sweep_later(self: &Arc<Self>, connections: &mut Connections) {
        if connections.is_swept {
            return;
        }
        // Outside a runtime the program ends, and all connections with it.
        if let Ok(runtime) = Handle::try_current() {
            connections.is_swept = true;
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }
}

/// Closes idle connections, round by round, while there are any.
async fn sweep(origin: Weak<Origin>) {
    loop {
        tokio::time::sleep(ROUND).await;
        if origin.upgrade().is_none_or(|origin| origin.sweep()) {
            return;
        }
    }
}

impl Connections {
    fn shared(&mut self) -> Option<Shared> {
        let (shared, used) = self.shared.as_mut()?;
        if shared.is_closed() {
            self.shared = None;
            return None;
        }
        *used = self.round;
        Some(shared.clone())
    }

    fn sweep(&mut self) {
        self.round += 1;
        let is_new = |since: u64| since + 2 > self.round;
        self.idle.retain_mut(|(driven, since)| is_new(*since) && driven.is_free());
        self.shared.take_if(|(shared, used)| !is_new(*used) || shared.is_closed());
    }

    const fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.shared.is_none()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("host", &self.host).finish_non_exhaustive()
    }
}
