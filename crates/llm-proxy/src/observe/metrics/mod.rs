//! Numbers for Prometheus. Labels are names of the configuration and a fixed set of words, so that
//! no request and no provider can make them many.
//!
//! A request is counted once, when its recording is dropped, with a few additions to atomics that
//! its routes hold. What changes by itself, such as who is open, is asked for when it is told.

mod histogram;
mod meters;
mod page;
mod process;
mod standing;
mod text;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wire::Endpoint;

use crate::lock::lock;
use histogram::{DURATION, Histogram};
pub(crate) use meters::{Came, Ended, RouteMeters};
use meters::{Meters, ModelMeters};
pub(crate) use page::page;

/// Classes of HTTP status codes.
const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// How requests end.
const OUTCOMES: [(Ended, &str); 4] = [
    (Ended::Well, "answered"),
    (Ended::Interrupted, "interrupted"),
    (Ended::Refused, "refused"),
    (Ended::Left, "left"),
];

/// What is counted of the process as a whole.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// By outcome, then by class of status.
    requests: [[AtomicU64; CLASSES.len()]; OUTCOMES.len()],
    /// Requests of all kinds that were turned away, by the code of their error.
    rejected: Mutex<BTreeMap<&'static str, u64>>,
    saved: AtomicU64,
    in_flight: AtomicU64,
    open_streams: AtomicU64,
    waits: Histogram,
    /// Requests that nobody served.
    unserved: ModelMeters,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Default::default(),
            rejected: Mutex::default(),
            saved: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            open_streams: AtomicU64::new(0),
            waits: Histogram::new(&DURATION),
            unserved: ModelMeters::default(),
        }
    }
}

impl Metrics {
    /// A request that is to be proxied has begun.
    pub(crate) fn began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Its stream has begun.
    pub(crate) fn stream_began(&self) {
        self.open_streams.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended, after it had `waited` for somebody to be free, if it had to.
    pub(crate) fn ended(&self, ended: Ended, status: u16, was_stream: bool, waited: Duration) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        if was_stream {
            self.open_streams.fetch_sub(1, Ordering::Relaxed);
        }
        if !waited.is_zero() {
            self.waits.add_span(waited);
        }
        let class = usize::from(status / 100);
        let class = if class < CLASSES.len() { class } else { 0 };
        self.requests[ended as usize][class].fetch_add(1, Ordering::Relaxed);
    }

    /// The meters of requests that nobody served.
    pub(crate) fn unserved(&self, endpoint: Endpoint) -> &Meters {
        self.unserved.at(endpoint)
    }

    /// Counts a request that was turned away with this code before any provider was considered.
    pub(crate) fn rejected(&self, code: &'static str) {
        *lock(&self.rejected).entry(code).or_default() += 1;
    }

    /// Counts a stream that broke off and was brought to its end all the same.
    pub(crate) fn saved(&self) {
        self.saved.fetch_add(1, Ordering::Relaxed);
    }

    /// How many streams were saved.
    pub(crate) fn streams_saved(&self) -> u64 {
        self.saved.load(Ordering::Relaxed)
    }
}
