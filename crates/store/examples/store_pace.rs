//! Measures the store: what a record costs its caller and the file, and how fast a start is.
//! `cargo run --release -p store --example store_pace`
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures")]
#![expect(clippy::unwrap_used, reason = "a failure ends it")]

use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use store::{Kept, Options, Record, Source, Store};

const RECORDS: u32 = 200_000;
const BATCH: u32 = 500;

struct Facts;

impl Source for Facts {
    fn changes(&mut self) -> Vec<Kept> {
        Vec::new()
    }

    fn everything(&mut self) -> Vec<Kept> {
        let fact = |n| Kept {
            kind: "cooldown".into(),
            provider: format!("provider-{}", n % 20),
            key: format!("{n:08x}"),
            model: "llama-3.3-70b-versatile".into(),
            value: Some(r#"{"until":1763807000000,"reason":"rate_limit","strikes":2}"#.into()),
        };
        (0..200).map(fact).collect()
    }
}

fn main() {
    let folder = std::env::temp_dir().join(format!("llm-proxy-pace-{}", std::process::id()));
    let (store, _) = open(&folder);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let mut pushing = Duration::ZERO;
    store.urgent();
    settle(&store);
    let begun = Instant::now();
    let busy = cpu();
    for batch in 0..RECORDS / BATCH {
        let records: Vec<Record> =
            (0..BATCH).map(|n| record(wall + i64::from(batch * BATCH + n))).collect();
        let start = Instant::now();
        for record in records {
            store.record(record);
        }
        pushing += start.elapsed();
        settle(&store);
    }
    println!(
        "record():       {:.2} us a record for the caller",
        micros(pushing) / f64::from(RECORDS)
    );
    println!(
        "everything:     {:.2} us a record, {BATCH} to a transaction",
        micros(begun.elapsed()) / f64::from(RECORDS)
    );
    if let (Some(busy), Some(after)) = (busy, cpu()) {
        println!(
            "processor time: {:.2} us a record, both threads",
            (after - busy) * 1e6 / f64::from(RECORDS)
        );
    }
    println!(
        "file:           {} KiB, {} dropped",
        store.health().bytes / 1024,
        store.health().dropped_records
    );
    store.stop();
    let mut starts: Vec<f64> = (0..20)
        .map(|_| {
            let start = Instant::now();
            let (store, _) =
                store::open(Options { directory: Some(folder.clone()), ..Options::default() });
            let took = micros(start.elapsed());
            drop(store);
            took
        })
        .collect();
    starts.sort_by(f64::total_cmp);
    println!("open():         {:.0} us median, {:.0} us most", starts[10], starts[19]);
    std::fs::remove_dir_all(folder).unwrap();
}

fn open(folder: &std::path::Path) -> (Store, store::Opened) {
    let tell = Box::new(|note: store::Note| println!("{}", note.text));
    let options = Options { directory: Some(folder.to_owned()), tell, ..Options::default() };
    let (store, opened) = store::open(options);
    store.start(Box::new(Facts));
    (store, opened)
}

/// Waits until everything is written.
fn settle(store: &Store) {
    let (reply, answer) = mpsc::channel();
    store.recent(0, Box::new(move |_| reply.send(()).unwrap()));
    answer.recv().unwrap();
}

fn record(at: i64) -> Record {
    Record {
        at,
        endpoint: "/v1/chat/completions".into(),
        asked: "auto".into(),
        status: 200,
        outcome: "answered".into(),
        provider: format!("provider-{}", at % 5),
        key: "8d0f3a21".into(),
        model: "llama-3.3-70b-versatile".into(),
        prompt_tokens: Some(812),
        completion_tokens: Some(128),
        total_tokens: Some(940),
        cost_nanos: Some(55_000),
        first_token_ms: Some(190),
        duration_ms: 870,
        ..Record::default()
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Seconds of processor time that this process took, on Linux.
fn cpu() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}
