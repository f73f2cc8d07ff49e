//! What was told to the store is there again after a start, and can be asked for.

mod common;

use common::{Facts, NEW_YEAR, answered, begin, eventually, kept, recent, remembered, usage};
use jiff::tz::TimeZone;
use store::{By, Hop, Mode, Options, Record, Skipped};

#[test]
fn what_was_touched_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, facts, opened) = begin(folder.path());
    assert_eq!((opened.kept, opened.notes), (vec![], vec![]));
    facts.set("k1", "{\"until\":1}");
    facts.set("k2", "{}");
    store.touch();
    store.stop();
    let (store, facts, opened) = begin(folder.path());
    assert_eq!(opened.kept, [kept("k1", Some("{\"until\":1}")), kept("k2", Some("{}"))]);
    facts.forget("k1");
    facts.set("k2", "[]");
    store.urgent();
    drop(store);
    assert_eq!(begin(folder.path()).2.kept, [kept("k2", Some("[]"))]);
}

#[test]
fn records_come_back_newest_first_with_hops_and_skips() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = begin(folder.path());
    let plain = answered(1_000, "groq");
    let rotated = Record {
        stream: true,
        estimated: true,
        hops: vec![
            Hop {
                provider: "cerebras".into(),
                key: "k9".into(),
                model: "qwen".into(),
                result: "429".into(),
                kind: Some("rate_limit".into()),
                detail: "slow down".into(),
                until: Some(5_000),
                took_ms: 30,
            },
            Hop { provider: "groq".into(), result: "200".into(), ..Hop::default() },
        ],
        skipped: vec![Skipped {
            provider: "xai".into(),
            reason: "shut".into(),
            ..Skipped::default()
        }],
        ..answered(2_000, "groq")
    };
    let refused =
        Record { status: 503, outcome: "refused".into(), at: NEW_YEAR, ..Record::default() };
    for record in [&plain, &rotated, &refused] {
        store.record(record.clone());
    }
    assert_eq!(recent(&store, 10), [refused.clone(), rotated.clone(), plain.clone()]);
    assert_eq!(recent(&store, 1)[0], refused);
    store.stop();
    let (store, ..) = begin(folder.path());
    assert_eq!(recent(&store, 10), [refused, rotated, plain]);
}

#[test]
fn usage_counts_attempts_failures_and_tokens_by_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = begin(folder.path());
    store.record(answered(1_000, "groq"));
    store.record(Record {
        hops: vec![
            Hop { provider: "xai".into(), kind: Some("timeout".into()), ..Hop::default() },
            Hop {
                provider: "groq".into(),
                key: "k1".into(),
                model: "llama".into(),
                ..Hop::default()
            },
        ],
        ..answered(2_000, "groq")
    });
    store.record(Record { at: NEW_YEAR, status: 503, ..Record::default() });
    let rows = usage(&store, By::Provider, TimeZone::UTC);
    let [groq, xai] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((groq.provider.as_str(), xai.provider.as_str()), ("groq", "xai"));
    assert_eq!((groq.used.attempts, groq.used.failures, groq.used.requests), (2, 0, 2));
    assert_eq!((groq.used.total_tokens, groq.used.cost_nanos), (20, 100));
    assert_eq!((groq.used.first_token_ms, groq.used.first_token_count), (400, 2));
    assert_eq!((xai.used.attempts, xai.used.failures, xai.used.requests), (1, 1, 0));
    let day = usage(&store, By::Day, TimeZone::UTC);
    assert_eq!((day.len(), day[0].start, day[0].used.refused), (1, Some(NEW_YEAR), 1));
    assert_eq!((day[0].used.attempts, day[0].used.requests), (3, 2));
}

#[test]
fn whoever_asks_without_end_sees_all_that_was_recorded_before() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = begin(folder.path());
    for at in 0..300 {
        store.record(answered(at, "groq"));
        assert_eq!(usage(&store, By::Provider, TimeZone::UTC)[0].used.requests, at as u64 + 1);
    }
}

#[test]
fn without_a_folder_everything_works_in_memory() {
    let (store, opened) = store::open(Options::default());
    assert_eq!(opened.notes, []);
    store.start(Box::new(Facts::default()));
    for at in 0..2_500 {
        // Numbers as the program gives them, far apart.
        let id = (NEW_YEAR + at) * 1_000;
        store.record(Record { id, ..answered(at, "groq") });
    }
    assert_eq!(recent(&store, 10_000).len(), 2_000);
    assert_eq!(usage(&store, By::Model, TimeZone::UTC)[0].used.requests, 2_500);
    let health = store.health();
    assert_eq!((health.mode, health.bytes, health.last_error), (Mode::Memory, 0, None));
}

#[test]
fn numbers_with_gaps_are_no_count_of_what_is_held() {
    let (store, _) = store::open(Options::default());
    store.start(Box::new(Facts::default()));
    for at in 1..=2_100 {
        store.record(Record { id: at * 1_000_000, ..answered(at, "groq") });
    }
    let held = recent(&store, 10_000);
    assert_eq!((held.len(), held[0].at, held[1_999].at), (2_000, NEW_YEAR + 2_100, NEW_YEAR + 101));
}

#[test]
fn a_touch_is_saved_without_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (store, facts, _) = begin(folder.path());
    facts.set("k1", "1");
    store.touch();
    // A second instance reads what the first has committed.
    eventually("the touch is in the file", || {
        remembered(&store::open(common::options(folder.path())).1).contains_key("k1")
    });
    eventually("nothing waits any more", || store.health().lag_ms == 0);
}

#[test]
fn after_a_stop_nothing_is_answered_and_nothing_hangs() {
    let (store, ..) = begin(tempfile::tempdir().unwrap().path());
    store.stop();
    store.stop();
    let (reply, answer) = std::sync::mpsc::channel();
    store.recent(1, Box::new(move |records| reply.send(records).unwrap()));
    assert!(answer.recv().unwrap().is_err());
    store.record(answered(0, "groq"));
    store.touch();
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_look() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("deep/state");
    let (store, ..) = begin(&inner);
    store.record(answered(0, "groq"));
    assert_eq!(recent(&store, 1).len(), 1);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for name in ["llm-proxy.db", "llm-proxy.db-wal", "llm-proxy.db-shm", "llm-proxy.lock"] {
        assert_eq!(mode(&inner.join(name)), 0o600, "{name}");
    }
}
