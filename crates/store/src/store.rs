//! The store as the program sees it.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::folder;
use crate::opening::{self, Place};
use crate::options::{Health, Mode, Note, Opened, Options};
use crate::prune::Bounds;
use crate::record::Record;
use crate::shared::{Question, Reply, Shared};
use crate::usage::{UsageQuery, UsageRow};
use crate::writer::{Source, Writer};

/// How long a stop may take.
const STOP: Duration = Duration::from_secs(2);
/// Least that the file may take, in bytes.
const LEAST_BYTES: u64 = 1 << 20;
/// Most that is held in memory: newest requests, and bytes.
const MEMORY: (i64, u64) = (2_000, 8 << 20);
/// Most requests that one answer gives.
const MOST_RECENT: usize = 10_000;
const DAY: i64 = 86_400_000;

/// The durable memory. Nothing here waits for the disk, save [`Store::stop`].
pub struct Store {
    shared: Arc<Shared>,
    /// What the thread will need; taken when it starts.
    ready: Mutex<Option<Ready>>,
}

struct Ready {
    place: Place,
    bounds: Bounds,
    holder: String,
    tell: Box<dyn Fn(Note) + Send>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("health", &self.health()).finish_non_exhaustive()
    }
}

/// Opens the store and reads what the rules remembered. Never fails: where there is no file to
/// be had, memory has to do, and a note says why.
pub fn open(options: Options) -> (Store, Opened) {
    let mut opened = Opened::default();
    let Options { directory, history_days, most_bytes, holder, tell } = options;
    let most_bytes = most_bytes.max(LEAST_BYTES);
    let place = match &directory {
        None => Place::memory(Mode::Memory),
        Some(directory) => {
            let (place, kept) = opening::open(directory, &holder, most_bytes, &mut opened.notes);
            opened.kept = kept;
            place
        }
    };
    let history = i64::from(history_days) * DAY;
    let bounds = if place.mode == Mode::File {
        Bounds { history, bytes: most_bytes, requests: None }
    } else {
        Bounds { history, bytes: MEMORY.1, requests: Some(MEMORY.0) }
    };
    let file: Option<PathBuf> = directory.as_deref().map(folder::database);
    let health = Health {
        bytes: place.path.as_deref().map_or(0, folder::bytes),
        file,
        mode: place.mode,
        lag_ms: 0,
        dropped_records: 0,
        last_error: None,
    };
    let ready = Mutex::new(Some(Ready { place, bounds, holder, tell }));
    (Store { shared: Arc::new(Shared::new(health)), ready }, opened)
}

impl Store {
    /// Starts to write; `source` is asked for what changed. What was touched or recorded before
    /// is written then. A second call does nothing.
    pub fn start(&self, source: Box<dyn Source>) {
        let Some(Ready { place, bounds, holder, tell }) = self.take_ready() else { return };
        let shared = Arc::clone(&self.shared);
        let writer = Writer::new(shared, source, tell, holder, place, bounds);
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || writer.run());
        match thread {
            Ok(thread) => self.shared.wakes(thread.thread().clone()),
            Err(error) => self.shared.settled(Some(format!("no thread to write: {error}")), 0),
        }
    }

    /// Says that something changed: it is saved within 50 ms or so. Costs an atomic swap, and a
    /// wake-up for the first touch of a window.
    pub fn touch(&self) {
        self.shared.touch();
    }

    /// Says that something changed that must outlive a power cut: it is saved and synced at once.
    pub fn urgent(&self) {
        self.shared.urgent();
    }

    /// Remembers what became of a request. At most 8,192 records and 16 MiB wait; what is beyond
    /// that counts in usage, but is not listed.
    pub fn record(&self, record: Record) {
        self.shared.record(record);
    }

    /// Asks for the newest records, newest first; at most 10,000.
    pub fn recent(&self, limit: usize, reply: Reply<Vec<Record>>) {
        self.shared.ask(Question::Recent(limit.min(MOST_RECENT), reply));
    }

    /// Asks for usage. Hours and days come in their order, others with the most requests first.
    pub fn usage(&self, query: UsageQuery, reply: Reply<Vec<UsageRow>>) {
        self.shared.ask(Question::Usage(query, reply));
    }

    /// How the store is.
    pub fn health(&self) -> Health {
        self.shared.report()
    }

    /// Writes everything, synced, and lets go of the folder; gives up after two seconds, while
    /// the thread goes on. Later questions are refused.
    pub fn stop(&self) {
        self.shared.stop(STOP);
        drop(self.take_ready());
    }

    fn take_ready(&self) -> Option<Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop();
    }
}
