//! The start and the stop of the proxy, as two checklists.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use settings::{Loaded, StatePlace};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::Clock;
use crate::memory::{self, Left, Memory};
use crate::observe::log::{Format, Level, Log};
use crate::reload::Hangups;
use crate::source::{Source, check_exposure, lines, tell};
use crate::{parent, reload, server};

/// How long requests under way may take to finish once we were asked to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// How long streams that are cut by our end have for saying so.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Open files that many connections at once need: two for each request.
const WANTED_FILES: u64 = 65_536;

/// What `serve` was told besides the configuration.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// The form of the log.
    pub format: Format,
    /// The least level that is logged.
    pub level: Level,
    /// Whether to end when the process that started us is gone.
    pub exit_with_parent: bool,
    /// Where the memory is kept, whatever the configuration says.
    pub state: Option<StatePlace>,
}

/// Why the proxy did not start, or not go on.
#[derive(Debug)]
pub enum ServeError {
    /// The configuration is wrong; every problem is a line.
    Configuration(Vec<String>),
    /// Somebody listens on the address already.
    AddressInUse(String),
    /// Anything else.
    Failed(String),
}

/// A proxy that accepts requests.
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    terminal_gone: CancellationToken,
    accepting: tokio::task::JoinHandle<()>,
}

/// Runs the proxy until it is told to stop.
pub async fn serve(source: Source, options: ServeOptions) -> Result<(), ServeError> {
    let started_by = parent::Parent::now();
    let running = start(source, &options).await?;
    let stopped = async {
        if options.exit_with_parent {
            started_by.gone().await;
            "the process that started it is gone"
        } else {
            std::future::pending().await
        }
    };
    let why = tokio::select! {
        why = stopped => why,
        why = told_to_stop() => why,
        () = running.terminal_gone.cancelled() => "its terminal is gone",
    };
    running.app.log.info(format_args!("Stopping: {why}"));
    running.stop().await;
    Ok(())
}

/// Starts the proxy.
pub async fn start(mut source: Source, options: &ServeOptions) -> Result<Running, ServeError> {
    let loaded = source.load().map_err(|error| ServeError::Configuration(lines(&error)))?;
    check_exposure(&loaded.settings).map_err(|problem| ServeError::Configuration(vec![problem]))?;
    allow_many_files();
    let listener = bind(&loaded).await?;
    let address = listener.local_addr().map_err(|error| ServeError::Failed(error.to_string()))?;
    let clock = Arc::new(Clock::new());
    let zone = loaded.settings.server.timezone.clone().unwrap_or_else(jiff::tz::TimeZone::system);
    let log = Log::to_stdout(options.format, options.level, zone, Arc::clone(&clock))
        .map_err(|error| ServeError::Failed(error.to_string()))?;
    source.stay_with(&loaded);
    let files = source.watched(&loaded);
    tell_start(&source, &loaded, &log);
    let memory = open_memory(&loaded, &source, options, address, &log);
    let app = App::new(loaded.settings, source, clock, log, memory)
        .map_err(|problem| ServeError::Configuration(vec![problem]))?;
    let hangups = Hangups::new().map_err(|error| ServeError::Failed(error.to_string()))?;
    let stop = app.stopping.clone();
    let accepting = tokio::spawn(server::accept(Arc::clone(&app), listener, stop.clone()));
    app.log.plain(&format!("listening on http://{address}"));
    let terminal_gone = CancellationToken::new();
    app.tasks.spawn(hangups.reload(Arc::clone(&app), terminal_gone.clone(), stop.clone()));
    if !files.is_empty() {
        app.tasks.spawn(reload::on_change(Arc::clone(&app), files, stop.clone()));
    }
    Ok(Running { app, address, stop, terminal_gone, accepting })
}

impl Running {
    /// Says something to the user, in order with the log's lines.
    pub(crate) fn say(&self, text: &str) {
        self.app.log.plain(text);
    }

    /// Stops accepting, lets requests under way finish for a while, and writes the last lines.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.accepting.await;
        self.app.tasks.close();
        let again = told_to_stop();
        tokio::select! {
            () = self.app.tasks.wait() => {}
            () = tokio::time::sleep(LAST_REQUESTS) => {}
            _ = again => {}
        }
        self.app.ending.cancel();
        let _ = tokio::time::timeout(LAST_WORDS, self.app.tasks.wait()).await;
        #[cfg(feature = "otlp")]
        if let Some(traces) = &self.app.traces {
            traces.end().await;
        }
        self.app.memory.stop();
        self.app.log.close();
    }
}

fn open_memory(
    loaded: &Loaded,
    source: &Source,
    options: &ServeOptions,
    address: SocketAddr,
    log: &Log,
) -> (Memory, Left) {
    let settings = &loaded.settings;
    let folder = memory::directory(settings, options.state.as_ref(), source.state_folder());
    // A relative folder in the configuration is meant from where the configuration is.
    let folder = folder.map(|folder| match (&options.state, &loaded.source) {
        (None, Some(file)) => crate::source::folder(file).join(folder),
        _ => folder,
    });
    let holder = format!("process {}, http://{address}", std::process::id());
    Memory::open(settings, folder, holder, log)
}

fn tell_start(source: &Source, loaded: &Loaded, log: &Log) {
    match &loaded.source {
        Some(path) => log.info(format_args!("Configuration: {}", path.display())),
        None if source.is_fixed() => {}
        None => {
            log.info(
                "No configuration file: using the providers whose keys are in the environment",
            );
        }
    }
    tell(&loaded.settings, log);
    for provider in &loaded.settings.providers {
        log.info(format_args!(
            "Loaded provider: {} (priority {})",
            provider.name, provider.priority
        ));
    }
    if loaded.settings.providers.is_empty() {
        log.warning("No provider is usable: every request will be refused until one has a key");
    }
}

async fn bind(loaded: &Loaded) -> Result<TcpListener, ServeError> {
    let server = &loaded.settings.server;
    let place = format!("{}:{}", server.host, server.port);
    TcpListener::bind((server.host.trim_matches(['[', ']']), server.port)).await.map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            ServeError::AddressInUse(format!(
                "{place} is in use: another llm-proxy or another program listens there; \
                 stop it, or choose another port with --port"
            ))
        } else {
            ServeError::Failed(format!("cannot listen on {place}: {error}"))
        }
    })
}

async fn told_to_stop() -> &'static str {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "told to by SIGTERM",
        _ = interrupt.recv() => "interrupted",
    }
}

/// The usual limit of 1024 open files (256 on macOS) is too low for 500 requests at once.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(WANTED_FILES, |most| most.min(WANTED_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        // Without it we serve fewer at once.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
