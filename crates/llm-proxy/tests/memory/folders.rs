//! A folder that is not as it should be never keeps the proxy from serving.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{Place, Proxy, QUESTION, acting, entry, eventually, provider};
use crate::parts::{config, killed_and_back, remembering, saved, start, stopped};

/// Longer than a start takes: a tenth of this by design, but the machine may be busy.
const SOON: Duration = Duration::from_secs(5);

/// A limited and a good provider.
async fn pair() -> [SimulatedProvider; 2] {
    let limited = acting(Behaviour::always(Reply::rate_limited(Some("3600")))).await;
    [limited, provider(&["good"]).await]
}

fn entries(pair: &[SimulatedProvider; 2]) -> [String; 2] {
    [entry("limited", &pair[0]), entry("good", &pair[1])]
}

/// A place with a memory in which one provider cools.
async fn remembered(pair: &[SimulatedProvider; 2]) -> Place {
    let proxy = remembering(&entries(pair)).await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "good");
    saved(&proxy).await;
    stopped(proxy).await
}

async fn state(proxy: &Proxy) -> Value {
    proxy.get("/status").await.json()["state"].clone()
}

/// The lines of the log about the memory.
fn warnings(proxy: &Proxy) -> Vec<String> {
    proxy.lines().into_iter().filter(|line| line.contains(" - WARNING - ")).collect()
}

/// Starts soon, serves, and warns in exactly one line that holds `words`.
async fn starts_and_warns(place: Place, words: &str) -> Proxy {
    let starting = tokio::time::timeout(SOON, start(place));
    serves_and_warns(starting.await.expect("it starts late"), words).await
}

async fn serves_and_warns(proxy: Proxy, words: &str) -> Proxy {
    let warnings = warnings(&proxy);
    assert!(warnings.len() == 1 && warnings[0].contains(words), "{words}: {warnings:#?}");
    assert_eq!(proxy.chat(QUESTION).await.provider(), "good");
    proxy
}

fn database(place: &Place) -> std::path::PathBuf {
    place.work().join("state/llm-proxy.db")
}

async fn cools(proxy: &Proxy) -> bool {
    proxy.state("limited").await["deployments"][0]["state"] == "cooling"
}

type Damage = fn(&Path);

#[tokio::test]
async fn a_damaged_file_is_set_aside_with_a_warning() {
    let pair = pair().await;
    let damages: [(&str, &str, Damage); 4] = [
        ("truncated", "renamed to", |file| cut(file, 5_000)),
        ("zeroed", "renamed to", |file| std::fs::write(file, vec![0; 20_000]).unwrap()),
        ("no database", "renamed to", |file| {
            std::fs::write(file, "not SQLite\n".repeat(900)).unwrap();
        }),
        ("empty", "was empty and is begun anew", |file| cut(file, 0)),
    ];
    for (name, words, damage) in damages {
        let place = remembered(&pair).await;
        damage(&database(&place));
        let proxy = starts_and_warns(place, words).await;
        assert_eq!(state(&proxy).await["mode"], "file", "{name}");
        // And from then on it remembers again.
        let proxy = killed_and_back(proxy).await;
        assert!(warnings(&proxy).is_empty(), "{name}: {:#?}", warnings(&proxy));
        assert!(cools(&proxy).await, "{name}");
    }
}

fn cut(file: &Path, length: u64) {
    std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length).unwrap();
}

/// Writes four bytes of the file's header.
fn patch(file: &Path, at: u64, bytes: [u8; 4]) {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&bytes).unwrap();
}

#[tokio::test]
async fn a_file_of_a_newer_version_or_another_program_is_set_aside() {
    let pair = pair().await;
    // Places of user_version and application_id in the header of an SQLite file.
    for (at, still_cools) in [(60, true), (68, false)] {
        let place = remembered(&pair).await;
        patch(&database(&place), at, [0, 0, 0x7f, 0xff]);
        let seen = pair[0].count();
        let proxy = starts_and_warns(place, "renamed to").await;
        // What is ours and newer is read as far as it is understood.
        assert_eq!(pair[0].count() == seen, still_cools);
        assert_eq!(state(&proxy).await["mode"], "file");
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_leaves_the_memory_in_memory() {
    let pair = pair().await;
    let place = Place::with(&config(&entries(&pair)));
    place.write("state", "a file where the folder should be");
    let proxy = starts_and_warns(place, "everything is kept in memory only").await;
    assert_eq!(state(&proxy).await["mode"], "memory");
    assert_eq!(proxy.get("/requests").await.json()["requests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_folder_that_is_missing_is_made() {
    let pair = pair().await;
    let place = Place::with(&config(&entries(&pair)));
    let proxy = Proxy::start_with(place, &["--state", "not/yet/there"]).await;
    let file = proxy.place.work().join("not/yet/there/llm-proxy.db");
    assert!(file.is_file() && warnings(&proxy).is_empty());
}

/// A script that mounts something for the proxy alone and then becomes it; `None`, with a printed
/// reason, where that is not allowed.
fn mounted(place: &Place, mounting: &str) -> Option<tokio::process::Command> {
    let allowed = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .output()
        .is_ok_and(|done| done.status.success());
    if !allowed {
        eprintln!("skipped: mounting is not allowed here");
        return None;
    }
    let serve = "exec \"$PROGRAM\" serve --port 0 --state state";
    Some(place.shell(&format!("exec unshare -rm /bin/sh -c 'set -e; {mounting}; {serve}'")))
}

#[tokio::test]
async fn a_read_only_folder_is_read_and_not_written() {
    let pair = pair().await;
    let place = remembered(&pair).await;
    let mounting = "mount --bind state state; mount -o remount,bind,ro state";
    let Some(command) = mounted(&place, mounting) else { return };
    let seen = pair[0].count();
    let proxy = Proxy::of_command(place, command).await;
    let proxy = serves_and_warns(proxy, "what it holds was read").await;
    assert_eq!(state(&proxy).await["mode"], "read_only");
    assert!(cools(&proxy).await && pair[0].count() == seen);
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_leaves_the_memory_in_memory() {
    let pair = pair().await;
    let place = Place::with(&config(&entries(&pair)));
    place.write("state/.keep", "");
    let mounting = "mount -t tmpfs -o size=64k tmpfs state; \
                    dd if=/dev/zero of=state/fill bs=1k count=64 2>/dev/null || true";
    let Some(command) = mounted(&place, mounting) else { return };
    let proxy = Proxy::of_command(place, command).await;
    let proxy = serves_and_warns(proxy, "memory only").await;
    assert_eq!(state(&proxy).await["mode"], "memory");
}

#[tokio::test]
async fn a_disk_that_fills_up_and_has_room_again_is_told_of_once_each() {
    let pair = pair().await;
    let place = Place::with(&config(&entries(&pair)));
    place.write("state/.keep", "");
    let Some(command) = mounted(&place, "mount -t tmpfs -o size=1m tmpfs state") else { return };
    let proxy = Proxy::of_command(place, command).await;
    let inside = format!("/proc/{}/cwd/state/fill", proxy.id());
    fill(Path::new(&inside));
    assert_eq!(proxy.chat(QUESTION).await.provider(), "good");
    eventually("an error of the memory", async || {
        // Small changes may still find room in what the log has already.
        proxy.chat(QUESTION).await;
        !state(&proxy).await["error"].is_null()
    })
    .await;
    let is_about_it = |line: &&String| line.contains("state/llm-proxy.db");
    proxy.line("state/llm-proxy.db").await;
    assert_eq!(warnings(&proxy).iter().filter(is_about_it).count(), 1);
    assert_eq!(proxy.chat(QUESTION).await.provider(), "good");
    std::fs::remove_file(&inside).unwrap();
    eventually("saving again", async || state(&proxy).await["error"].is_null()).await;
    assert!(cools(&proxy).await);
    let requests = proxy.get("/requests").await.json();
    assert!(!requests["requests"].as_array().unwrap().is_empty());
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
