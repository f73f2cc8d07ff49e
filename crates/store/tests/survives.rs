//! Whatever lies where the file should be, the store starts and keeps what can be kept.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "only for tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::{
    Facts, NEW_YEAR, answered, begin, eventually, kept, options, recent, remembered, usage,
};
use jiff::tz::TimeZone;
use rusqlite::Connection;
use store::{By, Kept, Level, Mode, Note, Options, Source};

fn file(folder: &Path) -> PathBuf {
    folder.join("llm-proxy.db")
}

/// The databases that were set aside, oldest first.
fn set_aside(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.contains(".damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .collect();
    found.sort();
    found
}

/// A file with 300 facts in front and 3,000 requests behind them, closed.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (store, facts, _) = begin(folder.path());
    for n in 0..300 {
        facts.set(&format!("k{n:03}"), &format!("\"{}\"", "x".repeat(200)));
    }
    store.touch();
    assert_eq!(recent(&store, 1), []);
    for at in 0..3_000 {
        store.record(answered(at, "groq"));
    }
    store.stop();
    assert!(!file(folder.path()).with_extension("db-wal").exists());
    folder
}

/// Opens the folder, expects one note with `words`, and that everything works afterwards.
fn reopens(folder: &Path, words: &str) -> usize {
    let (store, facts, opened) = begin(folder);
    let [note] = opened.notes.as_slice() else { panic!("{:?}", opened.notes) };
    assert_eq!(note.level, Level::Warning);
    assert!(note.text.contains(words), "{}", note.text);
    assert_eq!(store.health().mode, Mode::File);
    facts.set("new", "1");
    store.record(answered(9_000_000, "xai"));
    assert_eq!(recent(&store, 1), [answered(9_000_000, "xai")]);
    store.stop();
    let (store, _, again) = begin(folder);
    assert_eq!(again.notes, []);
    assert_eq!(remembered(&again).remove("new").as_deref(), Some("1"));
    drop(store);
    opened.kept.len()
}

#[test]
fn a_file_of_noise_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(file(folder.path()), b"not a database, whatever its name says".repeat(300)).unwrap();
    assert_eq!(reopens(folder.path(), "is damaged"), 0);
    assert_eq!(set_aside(folder.path()).len(), 1);
}

#[test]
fn an_empty_file_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(file(folder.path()), b"").unwrap();
    assert_eq!(reopens(folder.path(), "was empty"), 0);
    assert_eq!(set_aside(folder.path()), [] as [PathBuf; 0]);
}

#[test]
fn a_cut_file_gives_what_is_left_of_it() {
    for part in [1, 100, 5_000, 60_000, 100_000] {
        let folder = filled();
        let bytes = fs::read(file(folder.path())).unwrap();
        assert!(bytes.len() > 200_000, "{}", bytes.len());
        fs::write(file(folder.path()), &bytes[..part]).unwrap();
        let left = reopens(folder.path(), "is damaged");
        assert_eq!(set_aside(folder.path()).len(), 1);
        assert!(left > 0 || part < 100_000, "{left} facts of {part} bytes");
    }
}

#[test]
fn a_file_with_a_hole_gives_what_is_around_it() {
    let folder = filled();
    let mut bytes = fs::read(file(folder.path())).unwrap();
    // Find a leaf of the state table by its contents and blank it.
    let leaf = bytes.windows(4).position(|word| word == b"k150").unwrap() / 4096 * 4096;
    bytes[leaf..leaf + 4096].fill(0);
    fs::write(file(folder.path()), bytes).unwrap();
    let left = reopens(folder.path(), "is damaged");
    assert!((150..300).contains(&left), "{left}");
    // The sums were in another part of the file.
    let (store, ..) = begin(folder.path());
    assert_eq!(usage(&store, By::Provider, TimeZone::UTC)[0].used.requests, 3_000);
}

#[test]
fn a_blanked_file_is_set_aside() {
    let folder = filled();
    let length = fs::metadata(file(folder.path())).unwrap().len();
    fs::write(file(folder.path()), vec![0; length as usize]).unwrap();
    reopens(folder.path(), "is damaged");
}

#[test]
fn any_bytes_anywhere_are_survived() {
    let pristine = fs::read(file(filled().path())).unwrap();
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = |sides: usize| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        (dice % sides as u64) as usize
    };
    for _ in 0..25 {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = pristine.clone();
        for _ in 0..20 {
            // Half of the damage goes where the structure is.
            let reach = if roll(2) == 0 { bytes.len() } else { 20_000 };
            let at = roll(reach);
            bytes[at] = roll(256) as u8;
        }
        fs::write(file(folder.path()), bytes).unwrap();
        let (store, facts, _) = begin(folder.path());
        facts.set("new", "1");
        for at in 0..50 {
            store.record(answered(at, "groq"));
        }
        store.stop();
        assert_eq!(store.health().last_error, None);
        let (_store, opened) = store::open(options(folder.path()));
        assert_eq!(remembered(&opened).remove("new").as_deref(), Some("1"));
    }
}

#[test]
fn somebody_elses_file_is_left_whole() {
    let folder = tempfile::tempdir().unwrap();
    let other = Connection::open(file(folder.path())).unwrap();
    other
        .execute_batch(
            "PRAGMA application_id=7; CREATE TABLE state (kind, provider, key, model, value);
             INSERT INTO state VALUES ('a', 'b', 'c', 'd', '{}');",
        )
        .unwrap();
    drop(other);
    let before = fs::read(file(folder.path())).unwrap();
    assert_eq!(reopens(folder.path(), "is not a file of this program"), 0);
    assert_eq!(fs::read(&set_aside(folder.path())[0]).unwrap(), before);
}

#[test]
fn a_newer_file_is_read_and_left() {
    let folder = filled();
    let newer = Connection::open(file(folder.path())).unwrap();
    newer.execute_batch("ALTER TABLE state ADD COLUMN more TEXT; PRAGMA user_version=99;").unwrap();
    drop(newer);
    assert_eq!(reopens(folder.path(), "was written by a newer version"), 300);
    let (store, ..) = begin(folder.path());
    assert_eq!(usage(&store, By::Provider, TimeZone::UTC)[0].used.requests, 3_000);
}

#[test]
fn only_the_newest_three_that_were_set_aside_stay() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("llm-proxy.db.damaged-copy");
    fs::write(&precious, b"a user's own").unwrap();
    for round in 0..6 {
        fs::write(file(folder.path()), vec![b'x'; 5_000 + round]).unwrap();
        fs::write(file(folder.path()).with_extension("db-wal"), b"log").unwrap();
        drop(begin(folder.path()));
    }
    assert!(precious.exists());
    fs::remove_file(precious).unwrap();
    let kept = set_aside(folder.path());
    let sizes: Vec<u64> = kept.iter().map(|path| path.metadata().unwrap().len()).collect();
    assert_eq!(sizes, [5_003, 5_004, 5_005]);
}

#[test]
fn a_second_instance_reads_once_and_stays_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let holder = "process 123, http://127.0.0.1:8000".to_owned();
    let (first, _) = store::open(Options { holder: holder.clone(), ..options(folder.path()) });
    let facts = Facts::default();
    first.start(Box::new(facts.clone()));
    facts.set("k1", "1");
    first.urgent();
    eventually("the second sees it", || {
        let (second, other, opened) = begin(folder.path());
        assert_eq!(second.health().mode, Mode::ReadOnly);
        assert!(opened.notes[0].text.contains(&holder), "{:?}", opened.notes);
        other.set("k2", "2");
        second.record(answered(1, "groq"));
        assert_eq!(recent(&second, 5).len(), 1);
        second.stop();
        opened.kept == [kept("k1", Some("1"))]
    });
    assert_eq!(recent(&first, 5).len(), 0);
    first.stop();
    let (third, _, opened) = begin(folder.path());
    assert_eq!((third.health().mode, opened.kept.len()), (Mode::File, 1));
}

#[test]
fn a_file_that_breaks_while_it_is_used_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let notes = Arc::new(Mutex::new(Vec::<Note>::new()));
    let told = Arc::clone(&notes);
    let tell = Box::new(move |note| told.lock().unwrap().push(note));
    let (store, _) = store::open(Options { tell, ..options(folder.path()) });
    let facts = Facts::default();
    store.start(Box::new(facts.clone()));
    facts.set("k1", "1");
    store.record(answered(1, "groq"));
    assert_eq!(recent(&store, 1).len(), 1);
    // Another program empties the tables' definitions.
    let vandal = Connection::open(file(folder.path())).unwrap();
    vandal.execute_batch("DROP TABLE requests;").unwrap();
    drop(vandal);
    facts.set("k2", "2");
    store.record(answered(2, "groq"));
    assert_eq!(recent(&store, 5), [answered(2, "groq")]);
    assert_eq!(usage(&store, By::Provider, TimeZone::UTC)[0].used.requests, 2);
    assert_eq!(set_aside(folder.path()).len(), 1);
    assert!(notes.lock().unwrap()[0].text.contains("was renamed"));
    store.stop();
    assert_eq!(begin(folder.path()).2.kept.len(), 2);
}

/// Mounts a file system of one mebibyte, which only the superuser of Linux may; `None` elsewhere.
#[cfg(target_os = "linux")]
struct Tiny(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl Tiny {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(Self(folder));
        }
        println!("skipped: a file system cannot be mounted here");
        None
    }

    fn remount(&self, options: &str) {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-o", options]).arg(self.0.path());
        assert!(mount.status().unwrap().success());
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

#[cfg(target_os = "linux")]
impl Drop for Tiny {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.unwrap().success());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_and_empties_again_loses_nothing() {
    let Some(disk) = Tiny::mount() else { return };
    let notes = Arc::new(Mutex::new(Vec::<Note>::new()));
    let told = Arc::clone(&notes);
    let tell = Box::new(move |note| told.lock().unwrap().push(note));
    let (store, _) = store::open(Options { tell, ..options(disk.path()) });
    let facts = Facts::default();
    store.start(Box::new(facts.clone()));
    facts.set("before", "1");
    store.record(answered(1, "groq"));
    assert_eq!(recent(&store, 5).len(), 1);
    // The rest of the disk is filled until not a byte goes on it.
    let _ = fs::write(disk.path().join("ballast"), vec![1; 2 << 20]);
    for n in 0..500 {
        facts.set(&format!("k{n}"), &"x".repeat(500));
        store.record(answered(2 + n, "groq"));
    }
    facts.forget("before");
    store.touch();
    eventually("the error is known", || store.health().last_error.is_some());
    eventually("it is told", || notes.lock().unwrap().len() == 1);
    assert_eq!(store.health().mode, Mode::File);
    assert_eq!(recent(&store, 1_000).len(), 501);
    fs::remove_file(disk.path().join("ballast")).unwrap();
    eventually("it is saved", || store.health().last_error.is_none());
    store.stop();
    let texts: Vec<String> = notes.lock().unwrap().iter().map(|note| note.text.clone()).collect();
    assert!(texts[0].contains("cannot save to"), "{texts:?}");
    assert!(texts[1].contains("works again"), "{texts:?}");
    let (store, _, opened) = begin(disk.path());
    assert_eq!(opened.notes, []);
    let kept = remembered(&opened);
    assert_eq!((kept.len(), kept.contains_key("before")), (500, false));
    assert_eq!(usage(&store, By::Provider, TimeZone::UTC)[0].used.requests, 501);
    store.stop();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_at_the_start_leaves_memory() {
    let Some(disk) = Tiny::mount() else { return };
    let _ = fs::write(disk.path().join("ballast"), vec![1; 2 << 20]);
    let (store, _, opened) = begin(disk.path());
    assert_eq!(store.health().mode, Mode::Memory);
    assert!(opened.notes[0].text.contains("kept in memory only"), "{:?}", opened.notes);
    store.record(answered(1, "groq"));
    assert_eq!(recent(&store, 1).len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_at_the_start_still_lets_the_state_be_read() {
    let Some(disk) = Tiny::mount() else { return };
    let (store, facts, _) = begin(disk.path());
    facts.set("k1", "1");
    store.stop();
    let _ = fs::write(disk.path().join("ballast"), vec![1; 2 << 20]);
    let (store, facts, opened) = begin(disk.path());
    assert_eq!(opened.kept, [kept("k1", Some("1"))]);
    facts.set("k2", "2");
    store.urgent();
    store.record(answered(1, "groq"));
    assert_eq!(recent(&store, 1).len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_for_reading_only_is_read() {
    let Some(disk) = Tiny::mount() else { return };
    let (store, facts, _) = begin(disk.path());
    facts.set("k1", "1");
    store.stop();
    drop(store);
    disk.remount("remount,ro");
    let (store, _, opened) = begin(disk.path());
    assert_eq!(opened.kept, [kept("k1", Some("1"))]);
    assert_eq!(store.health().mode, Mode::ReadOnly);
    assert!(opened.notes[0].text.contains("changes are kept in memory only"), "{:?}", opened.notes);
    store.record(answered(1, "groq"));
    assert_eq!(recent(&store, 1).len(), 1);
}

#[test]
fn a_folder_that_is_removed_while_it_is_used_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = store::open(options(folder.path()));
    let facts = Facts::default();
    facts.set("k1", "1");
    // Gone before the first save, which looks whether it is there.
    fs::remove_file(file(folder.path())).unwrap();
    store.start(Box::new(facts));
    store.touch();
    eventually("it is written anew", || {
        remembered(&store::open(options(folder.path())).1).contains_key("k1")
    });
}

#[test]
fn a_folder_that_cannot_be_made_leaves_memory() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in-the-way"), b"").unwrap();
    let (store, _, opened) = begin(&folder.path().join("in-the-way/state"));
    assert_eq!(store.health().mode, Mode::Memory);
    assert!(opened.notes[0].text.contains("kept in memory only"), "{:?}", opened.notes);
    store.record(answered(1, "groq"));
    assert_eq!(recent(&store, 1).len(), 1);
}

#[test]
fn an_odd_name_of_the_folder_is_no_problem() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("50% of ü? #1 & 'more'");
    let (store, facts, _) = begin(&odd);
    facts.set("k1", "1");
    store.stop();
    assert_eq!(begin(&odd).2.kept.len(), 1);
    assert!(file(&odd).exists());
}

/// Works at a snail's pace when it is asked, like a rule state behind a slow disk.
struct Slow(std::sync::mpsc::Receiver<()>);

impl Source for Slow {
    fn changes(&mut self) -> Vec<Kept> {
        let _ = self.0.recv();
        Vec::new()
    }

    fn everything(&mut self) -> Vec<Kept> {
        Vec::new()
    }
}

#[test]
fn a_writer_that_hangs_holds_nobody_up_and_no_count_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = store::open(options(folder.path()));
    let (release, hang) = std::sync::mpsc::channel();
    store.start(Box::new(Slow(hang)));
    store.urgent();
    // None of this can wait for the writer, for it hangs until `release` goes.
    for at in 0..20_000 {
        store.record(answered(at, "groq"));
        store.touch();
    }
    let dropped = store.health().dropped_records;
    assert!((20_000 - 2 * 8_192..20_000).contains(&dropped), "{dropped}");
    drop(release);
    let rows = usage(&store, By::Provider, TimeZone::UTC);
    assert_eq!((rows[0].used.requests, rows[0].used.total_tokens), (20_000, 200_000));
    let listed = recent(&store, 10_000).len() as u64;
    assert_eq!(listed, (20_000 - dropped).min(10_000));
}

#[test]
fn the_file_stays_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let most_bytes = 2 << 20;
    let (store, _) = store::open(Options { most_bytes, ..options(folder.path()) });
    store.start(Box::new(Facts::default()));
    for round in 0..60 {
        for at in 0..1_000 {
            store.record(answered(round * 1_000 + at, "groq"));
        }
        let newest = recent(&store, 1);
        assert_eq!(newest, [answered(round * 1_000 + 999, "groq")]);
    }
    eventually("the file is small", || {
        store.touch();
        store.health().bytes <= most_bytes
    });
    let left = recent(&store, 10_000).len();
    assert!(left > 2_000, "{left}");
    assert_eq!(usage(&store, By::Provider, TimeZone::UTC)[0].used.requests, 60_000);
    store.stop();
    assert!(fs::metadata(file(folder.path())).unwrap().len() <= most_bytes);
}

#[test]
fn old_requests_go_and_their_sums_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = store::open(Options { history_days: 7, ..options(folder.path()) });
    store.start(Box::new(Facts::default()));
    let day = 86_400_000;
    let now = jiff_now();
    for ago in [500, 300, 30, 8, 6, 1, 0] {
        store.record(answered(now - ago * day - NEW_YEAR, "groq"));
    }
    eventually("the old are gone", || recent(&store, 10).len() == 3);
    eventually("the sums of the last 400 days stay", || {
        usage(&store, By::Provider, TimeZone::UTC)[0].used.requests == 6
    });
}

#[expect(clippy::disallowed_methods, reason = "ages are measured from the real time")]
fn jiff_now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
