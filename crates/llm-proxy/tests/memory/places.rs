//! Where the memory lies, and how it is switched off.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Place, Proxy, entry, provider};
use crate::parts::{config, killed, stopped};

/// What `/status` says of the memory.
async fn state(proxy: &Proxy) -> Value {
    proxy.get("/status").await.json()["state"].clone()
}

/// Starts it here and says in which folder it keeps its memory; `None` for none.
async fn kept_in(place: Place, arguments: &[&str]) -> Option<PathBuf> {
    let proxy = Proxy::start_with(place, arguments).await;
    let state = state(&proxy).await;
    let file = state["file"].as_str().map(PathBuf::from);
    let is_file = state["mode"] == "file";
    assert!(is_file || state["mode"] == "memory", "{state}");
    assert_eq!(is_file, file.is_some(), "{state}");
    let file = file.map(|file| proxy.place.work().join(file));
    if let Some(file) = &file {
        assert_eq!(file.file_name().unwrap(), "llm-proxy.db");
        assert!(file.is_file(), "{}", file.display());
    }
    let home = proxy.place.home();
    if file.is_none() {
        let in_home = home.join(".local/state/llm-proxy");
        assert!(!in_home.exists() && !proxy.place.work().join("memory").exists());
    }
    drop(stopped(proxy).await);
    file.map(|file| file.parent().unwrap().to_owned())
}

async fn place() -> Place {
    let upstream = provider(&["hi"]).await;
    Place::with(&config(&[entry("one", &upstream)]))
}

#[tokio::test]
async fn the_platforms_folder_is_used_if_none_is_named() {
    let plain = place().await;
    let usual = plain.home().join(".local/state/llm-proxy");
    assert_eq!(kept_in(plain, &[]).await, Some(usual));

    let mut xdg = place().await;
    let base = xdg.home().join("xdg");
    xdg.set("XDG_STATE_HOME", base.to_str().unwrap());
    assert_eq!(kept_in(xdg, &[]).await, Some(base.join("llm-proxy")));

    let mut service = place().await;
    let given = service.home().join("service");
    service.set("STATE_DIRECTORY", given.to_str().unwrap());
    service.set("XDG_STATE_HOME", service.home().join("xdg").to_str().unwrap());
    assert_eq!(kept_in(service, &[]).await, Some(given));
}

#[tokio::test]
async fn the_command_line_wins_over_the_configuration_and_that_over_the_platform() {
    let upstream = provider(&["hi"]).await;
    let text = format!("state: remembered\n{}", config(&[entry("one", &upstream)]));
    // What the configuration names is meant from where the configuration is.
    let elsewhere = Place::new();
    elsewhere.write("conf/config.yaml", &text);
    let beside = elsewhere.work().join("conf/remembered");
    assert_eq!(kept_in(elsewhere, &["--config", "conf/config.yaml"]).await, Some(beside));
    // What the command line names, from where it is typed.
    let both = Place::new();
    both.write("conf/config.yaml", &text);
    let here = both.work().join("here");
    let arguments = ["--config", "conf/config.yaml", "--state", "here"];
    assert_eq!(kept_in(both, &arguments).await, Some(here));
    let off = Place::new();
    off.write("conf/config.yaml", &text);
    let arguments = ["--config", "conf/config.yaml", "--state", "memory"];
    assert_eq!(kept_in(off, &arguments).await, None);
}

#[tokio::test]
async fn the_word_memory_keeps_nothing() {
    let upstream = provider(&["hi"]).await;
    let text = format!("state: memory\n{}", config(&[entry("one", &upstream)]));
    assert_eq!(kept_in(Place::with(&text), &[]).await, None);
    assert_eq!(kept_in(place().await, &["--state", "memory"]).await, None);
}

#[tokio::test]
async fn the_demo_keeps_nothing() {
    let place = Place::new();
    let command = place.command(&["demo", "--port", "0"]);
    let proxy = Proxy::of_command(place, command).await;
    assert_eq!(state(&proxy).await["mode"], "memory");
    let place = killed(proxy).await;
    let is_empty = |folder: &Path| std::fs::read_dir(folder).unwrap().next().is_none();
    assert!(is_empty(&place.home()) && is_empty(&place.work()));
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let proxy = Proxy::start_with(place().await, &["--state", "deep/state"]).await;
    let folder = proxy.place.work().join("deep/state");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
