//! What outlasts a request and the process: the ledger and what providers refused, written behind
//! the requests into one file; what became of each request; and who watches that.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use engine::{KeptIdentity, KeptValue};
use jiff::tz::TimeZone;
use serde_json::Value;
use settings::{Settings, StatePlace};
use store::{Health, Kept, Level, Note, Options, Record, Source, Store, UsageQuery, UsageRow};
use tokio::sync::{broadcast, oneshot};

use crate::app::App;
use crate::observe::log::Log;
use crate::refused::KeptMends;
use crate::server::record_json;

/// Requests that a slow watcher may be behind.
const MOST_BEHIND: usize = 256;

/// The kind under which refused parameters are kept.
const REFUSED: &str = "refused";

/// What outlasts a request.
#[derive(Debug)]
pub(crate) struct Memory {
    store: Store,
    watched: broadcast::Sender<Arc<Value>>,
}

/// What an earlier run left.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) ledger: Vec<engine::Kept>,
    /// Provider, model, and what it refused.
    pub(crate) refused: Vec<(String, String, String)>,
}

impl Memory {
    /// Opens the memory of a configuration. It never fails: at worst nothing outlives the process.
    pub(crate) fn open(
        settings: &Settings,
        directory: Option<PathBuf>,
        holder: String,
        log: &Log,
    ) -> (Self, Left) {
        let tell = log.clone();
        let (store, opened) = store::open(Options {
            directory,
            history_days: settings.memory.history_days,
            most_bytes: settings.memory.most_bytes,
            holder,
            tell: Box::new(move |note| say(&tell, &note)),
        });
        for note in &opened.notes {
            say(log, note);
        }
        let (watched, _) = broadcast::channel(MOST_BEHIND);
        (Self { store, watched }, Left::of(opened.kept))
    }

    /// Begins to write behind the requests.
    pub(crate) fn start(&self, app: &Arc<App>) {
        self.store.start(Box::new(Remembered { app: Arc::downgrade(app) }));
    }

    /// Something changed that is worth keeping.
    pub(crate) fn touch(&self) {
        self.store.touch();
    }

    /// Something changed that must not be lost.
    pub(crate) fn urgent(&self) {
        self.store.urgent();
    }

    /// Keeps a request that has ended, and tells those who watch.
    pub(crate) fn record(&self, record: Record, zone: impl FnOnce() -> TimeZone) {
        if self.watched.receiver_count() > 0 {
            let told = Arc::new(record_json(&record, &zone()));
            // Nobody left to hear it is no fault.
            let _ = self.watched.send(told);
        }
        self.store.record(record);
    }

    /// Each request that ends from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<Value>> {
        self.watched.subscribe()
    }

    /// The newest requests, the newest first.
    pub(crate) async fn recent(&self, most: usize) -> Result<Vec<Record>, String> {
        let (sender, answer) = oneshot::channel();
        self.store.recent(most, Box::new(move |found| drop(sender.send(found))));
        answered(answer).await
    }

    /// What was used.
    pub(crate) async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRow>, String> {
        let (sender, answer) = oneshot::channel();
        self.store.usage(query, Box::new(move |found| drop(sender.send(found))));
        answered(answer).await
    }

    pub(crate) fn health(&self) -> Health {
        self.store.health()
    }

    /// Writes what is left. Waits for the disk, for a while.
    pub(crate) fn stop(&self) {
        self.store.stop();
    }
}

async fn answered<T>(answer: oneshot::Receiver<Result<T, store::Unanswered>>) -> Result<T, String> {
    match answer.await {
        Ok(found) => found.map_err(|unanswered| unanswered.to_string()),
        Err(_) => Err("it is closed".to_owned()),
    }
}

fn say(log: &Log, note: &Note) {
    match note.level {
        Level::Info => log.info(&note.text),
        Level::Warning => log.warning(&note.text),
    }
}

/// Where the memory is kept: as the command line says, else as the configuration says.
pub(crate) fn directory(
    settings: &Settings,
    wanted: Option<&StatePlace>,
    platform: Option<PathBuf>,
) -> Option<PathBuf> {
    match wanted.unwrap_or(&settings.memory.place) {
        StatePlace::Nowhere => None,
        StatePlace::Folder(folder) => Some(folder.clone()),
        StatePlace::Platform => platform,
    }
}

impl Left {
    /// What this version understands of it.
    fn of(kept: Vec<Kept>) -> Self {
        let mut left = Self::default();
        for Kept { kind, provider, key, model, value } in kept {
            let Some(value) = value else { continue };
            if kind == REFUSED {
                left.refused.push((provider, model, value));
                continue;
            }
            let identity = KeptIdentity::from_words([&kind, &provider, &key, &model]);
            let value = serde_json::from_str::<KeptValue>(&value).ok();
            if let (Some(identity), Some(value)) = (identity, value) {
                left.ledger.push(engine::Kept { identity, value: Some(value) });
            }
        }
        left
    }
}

/// What the store asks for.
struct Remembered {
    app: Weak<App>,
}

impl Source for Remembered {
    fn changes(&mut self) -> Vec<Kept> {
        let Some(app) = self.app.upgrade() else { return Vec::new() };
        // The lock is held for this line only; the texts are made without it.
        let ledger = app.ledger_to_keep().take_changes();
        all(&ledger, app.refused.take_changes())
    }

    fn everything(&mut self) -> Vec<Kept> {
        let Some(app) = self.app.upgrade() else { return Vec::new() };
        let ledger = app.ledger_to_keep().everything();
        all(&ledger, app.refused.everything())
    }
}

fn all(ledger: &[engine::Kept], refused: Vec<KeptMends>) -> Vec<Kept> {
    ledger.iter().map(of_ledger).chain(refused.into_iter().map(of_refused)).collect()
}

fn of_ledger(kept: &engine::Kept) -> Kept {
    let [kind, provider, key, model] = kept.identity.words().map(str::to_owned);
    let value = kept.value.as_ref().and_then(|value| serde_json::to_string(value).ok());
    Kept { kind, provider, key, model, value }
}

fn of_refused(KeptMends { provider, model, mends }: KeptMends) -> Kept {
    Kept { kind: REFUSED.to_owned(), provider, key: String::new(), model, value: mends }
}
