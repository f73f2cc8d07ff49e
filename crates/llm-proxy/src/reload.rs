//! Three of the four doors to a new configuration: a saved file, `SIGHUP`, and the watch that
//! tells a saved file from one that was only touched. The fourth is `POST /reload`. All lead to
//! [`App::reload`].

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::source::folder;

/// Editors write a file in several steps; the last of them counts.
const SETTLE: Duration = Duration::from_millis(100);

/// `SIGHUP`, listened to from its making on.
#[derive(Debug)]
pub(crate) struct Hangups {
    signals: Signal,
    had_terminal: bool,
}

impl Hangups {
    pub(crate) fn new() -> io::Result<Self> {
        let signals = signal(SignalKind::hangup())?;
        Ok(Self { signals, had_terminal: io::stdout().is_terminal() })
    }

    /// Reloads on each until `stop`. A terminal that was closed sends the same signal, and is
    /// gone then: the one who started us there wants us to end.
    pub(crate) async fn reload(
        mut self,
        app: Arc<App>,
        terminal_gone: CancellationToken,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                hangup = self.signals.recv() => if hangup.is_none() { return },
                () = stop.cancelled() => return,
            }
            if self.had_terminal && !io::stdout().is_terminal() {
                terminal_gone.cancel();
                return;
            }
            // The reload tells of itself in the log.
            let _ = app.reload();
        }
    }
}

/// Reloads when one of `files` changes, until `stop`.
pub(crate) async fn on_change(app: Arc<App>, files: Vec<PathBuf>, stop: CancellationToken) {
    let touched = Arc::new(Notify::new());
    let _watcher = match watch(&files, &touched) {
        Ok(watcher) => watcher,
        Err(error) => {
            app.log.warning(format_args!(
                "the configuration file cannot be watched ({error}); use llm-proxy reload"
            ));
            return;
        }
    };
    let mut before = contents(&files);
    loop {
        tokio::select! {
            () = touched.notified() => {}
            () = stop.cancelled() => return,
        }
        tokio::time::sleep(SETTLE).await;
        let after = contents(&files);
        if after != before {
            before = after;
            let _ = app.reload();
        }
    }
}

/// Watches the folders: editors put a new file in the place of the old one.
fn watch(files: &[PathBuf], touched: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let news = Arc::clone(touched);
    let names: Vec<_> =
        files.iter().filter_map(|file| file.file_name()).map(OsString::from).collect();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Other files of the folder may change all the time, such as our own log.
        let is_ours =
            |path: &PathBuf| path.file_name().is_some_and(|name| names.iter().any(|n| n == name));
        if event.is_ok_and(|event| {
            !event.kind.is_access() && (event.paths.is_empty() || event.paths.iter().any(is_ours))
        }) {
            news.notify_one();
        }
    })?;
    let mut folders: Vec<_> = files.iter().map(|file| folder(file)).collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

fn contents(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}
