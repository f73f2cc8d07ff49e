//! A source that tests fill, and questions that wait for their answers.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "only for tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use jiff::tz::TimeZone;
use store::{By, Kept, Opened, Options, Record, Source, Store, UsageQuery, UsageRow};

/// How long a test waits before it fails; long, since the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The first of January 2100 in UTC: what lies in the future is never too old to be kept.
pub(crate) const NEW_YEAR: i64 = 4_102_444_800_000;

/// State that tests change; a clone is the same state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts(Arc<Mutex<Told>>);

/// Everything, and what changed since it was last asked for.
type Told = (BTreeMap<String, String>, Vec<Kept>);

impl Facts {
    pub(crate) fn set(&self, key: &str, value: &str) {
        let mut facts = self.0.lock().unwrap();
        facts.0.insert(key.to_owned(), value.to_owned());
        facts.1.push(kept(key, Some(value)));
    }

    pub(crate) fn forget(&self, key: &str) {
        let mut facts = self.0.lock().unwrap();
        facts.0.remove(key);
        facts.1.push(kept(key, None));
    }
}

impl Source for Facts {
    fn changes(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }

    fn everything(&mut self) -> Vec<Kept> {
        let mut facts = self.0.lock().unwrap();
        facts.1.clear();
        facts.0.iter().map(|(key, value)| kept(key, Some(value))).collect()
    }
}

pub(crate) fn kept(key: &str, value: Option<&str>) -> Kept {
    Kept {
        kind: "cooldown".into(),
        provider: "groq".into(),
        key: key.into(),
        model: "llama".into(),
        value: value.map(str::to_owned),
    }
}

pub(crate) fn options(directory: &Path) -> Options {
    Options { directory: Some(directory.to_owned()), ..Options::default() }
}

/// Opens a store in `directory` and starts it.
pub(crate) fn begin(directory: &Path) -> (Store, Facts, Opened) {
    let (store, opened) = store::open(options(directory));
    let facts = Facts::default();
    store.start(Box::new(facts.clone()));
    (store, facts, opened)
}

/// What a fresh start would remember: keys and values.
pub(crate) fn remembered(opened: &Opened) -> BTreeMap<String, String> {
    opened.kept.iter().map(|kept| (kept.key.clone(), kept.value.clone().unwrap())).collect()
}

/// The newest records, without the numbers that they were given.
pub(crate) fn recent(store: &Store, limit: usize) -> Vec<Record> {
    let (reply, answer) = mpsc::channel();
    store.recent(limit, Box::new(move |records| reply.send(records).unwrap()));
    let mut records = answer.recv_timeout(PATIENCE).unwrap().unwrap();
    // Most tests let the file choose the numbers.
    for record in &mut records {
        record.id = 0;
    }
    records
}

pub(crate) fn usage(store: &Store, by: By, zone: TimeZone) -> Vec<UsageRow> {
    let (reply, answer) = mpsc::channel();
    let query = UsageQuery { by: vec![by], since: None, until: None, zone };
    store.usage(query, Box::new(move |rows| reply.send(rows).unwrap()));
    answer.recv_timeout(PATIENCE).unwrap().unwrap()
}

/// A request that `provider` answered `at` milliseconds into 2100, with 10 tokens.
pub(crate) fn answered(at: i64, provider: &str) -> Record {
    Record {
        at: NEW_YEAR + at,
        endpoint: "/v1/chat/completions".into(),
        asked: "auto".into(),
        status: 200,
        outcome: "answered".into(),
        provider: provider.into(),
        key: "k1".into(),
        model: "llama".into(),
        prompt_tokens: Some(7),
        completion_tokens: Some(3),
        total_tokens: Some(10),
        cost_nanos: Some(50),
        first_token_ms: Some(200),
        duration_ms: 900,
        ..Record::default()
    }
}

/// Waits until `done`, and fails when that takes far too long.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..PATIENCE.as_millis() / 5 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never: {what}");
}
