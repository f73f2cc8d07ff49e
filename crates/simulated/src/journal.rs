//! What a simulated provider has seen, kept within bounds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};

use crate::clock::Clock;

/// How many requests, and how many cancellations, are remembered; the oldest are dropped.
const REMEMBERED: usize = 10_000;
/// How many bytes of bodies are remembered in all, so that a long run stays small.
const REMEMBERED_BYTES: usize = 256 << 20;
/// The longest body that is kept whole by default.
const WHOLE_BODY: usize = 1 << 20;
/// What is kept of a longer one.
const BODY_PREFIX: usize = 64 << 10;

/// One request as the provider received it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its place among all requests, from 0, in the order in which their heads arrived.
    pub number: u64,
    /// The number of the connection on which it arrived, from 0.
    pub connection: u64,
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub path: String,
    /// The headers, repeated ones repeatedly.
    pub headers: HeaderMap,
    /// The body, or of a long one its first 64 KiB (see [`Recording`]).
    pub body: Bytes,
    /// The length of the whole body in bytes.
    pub body_length: u64,
    /// When it had arrived in full, since the Unix epoch.
    pub at: Duration,
}

impl Recorded {
    /// Returns the bearer key of the request.
    pub fn key(&self) -> Option<&str> {
        self.headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
    }

    /// Returns the body as JSON, or null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the path without its query.
    pub fn bare_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    fn shortened(&self) -> Self {
        let mut short = self.clone();
        if short.body.len() > WHOLE_BODY {
            // A copy, because a slice would keep the whole alive.
            short.body = Bytes::copy_from_slice(&short.body[..BODY_PREFIX]);
        }
        short
    }
}

/// A request whose client went away before the end of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// The number of the request.
    pub number: u64,
    /// When it was noticed, since the Unix epoch.
    pub at: Duration,
}

/// What is remembered of each request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// Requests are only counted.
    Count,
    /// Bodies up to 1 MiB are kept whole, of longer ones the first 64 KiB.
    #[default]
    Bounded,
    /// Every body is kept whole.
    Everything,
}

/// The counts and memories of one provider.
#[derive(Debug)]
pub(crate) struct Journal {
    recording: Recording,
    clock: Clock,
    count: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    requests: VecDeque<Recorded>,
    bytes: usize,
    cancelled: VecDeque<Cancelled>,
}

impl Journal {
    pub(crate) fn new(recording: Recording, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            recording,
            clock,
            count: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            entries: Mutex::default(),
        })
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.entries().requests.iter().cloned().collect()
    }

    pub(crate) fn cancelled(&self) -> Vec<Cancelled> {
        self.entries().cancelled.iter().copied().collect()
    }

    /// Counts a request whose head has arrived.
    pub(crate) fn begin(self: &Arc<Self>) -> Exchange {
        let number = self.count.fetch_add(1, Ordering::AcqRel);
        Exchange { journal: Arc::clone(self), number, over: false }
    }

    /// Remembers a request that has arrived in full.
    pub(crate) fn record(&self, request: &Recorded) {
        let entry = match self.recording {
            Recording::Count => return,
            Recording::Bounded => request.shortened(),
            Recording::Everything => request.clone(),
        };
        let mut entries = self.entries();
        entries.bytes += entry.body.len();
        entries.requests.push_back(entry);
        while entries.requests.len() > REMEMBERED
            || (entries.bytes > REMEMBERED_BYTES && self.recording == Recording::Bounded)
        {
            let Some(oldest) = entries.requests.pop_front() else {
                break;
            };
            entries.bytes -= oldest.body.len();
        }
    }

    /// Counts a connection as open until the value returned is dropped.
    pub(crate) fn connect(self: &Arc<Self>) -> Connection {
        self.open.fetch_add(1, Ordering::AcqRel);
        let number = self.connections.fetch_add(1, Ordering::AcqRel);
        Connection { journal: Arc::clone(self), number }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open connection.
pub(crate) struct Connection {
    journal: Arc<Journal>,
    pub(crate) number: u64,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.journal.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A request being answered; dropped before it is finished, it counts as cancelled.
pub(crate) struct Exchange {
    journal: Arc<Journal>,
    pub(crate) number: u64,
    over: bool,
}

impl Exchange {
    /// Notes that the provider has said all that it meant to say.
    pub(crate) fn finish(&mut self) {
        self.over = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let cancelled = Cancelled { number: self.number, at: self.journal.clock.now() };
        let mut entries = self.journal.entries();
        if entries.cancelled.len() == REMEMBERED {
            entries.cancelled.pop_front();
        }
        entries.cancelled.push_back(cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u64, body: Bytes) -> Recorded {
        Recorded {
            number,
            connection: 0,
            method: Method::POST,
            path: "/v1/chat/completions?a=b".to_owned(),
            headers: HeaderMap::new(),
            body_length: body.len() as u64,
            body,
            at: Duration::ZERO,
        }
    }

    #[test]
    fn the_oldest_requests_are_forgotten_and_the_count_stays_exact() {
        let journal = Journal::new(Recording::Bounded, Clock::of(|| Duration::ZERO));
        for _ in 0..10_007 {
            let mut exchange = journal.begin();
            journal.record(&request(exchange.number, Bytes::new()));
            exchange.finish();
        }
        assert_eq!(journal.count(), 10_007);
        let requests = journal.requests();
        assert_eq!((requests.len(), requests[0].number), (10_000, 7));
        assert_eq!(requests[0].bare_path(), "/v1/chat/completions");
        assert!(journal.cancelled().is_empty());
    }

    #[test]
    fn a_long_body_leaves_its_beginning_and_its_length() {
        let body = Bytes::from(vec![7; WHOLE_BODY + 1]);
        for (recording, kept) in
            [(Recording::Bounded, BODY_PREFIX), (Recording::Everything, body.len())]
        {
            let journal = Journal::new(recording, Clock::of(|| Duration::ZERO));
            journal.record(&request(0, body.clone()));
            let requests = journal.requests();
            assert_eq!((requests[0].body.len(), requests[0].body_length), (kept, 1_048_577));
        }
        let journal = Journal::new(Recording::Count, Clock::of(|| Duration::ZERO));
        journal.record(&request(0, body));
        assert!(journal.requests().is_empty());
    }

    #[test]
    fn an_unfinished_exchange_is_cancelled_at_the_time_of_its_drop() {
        let journal = Journal::new(Recording::Bounded, Clock::of(|| Duration::from_secs(5)));
        drop(journal.begin());
        assert_eq!(journal.cancelled(), [Cancelled { number: 0, at: Duration::from_secs(5) }]);
    }
}
