//! The built binary as a child process.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use simulated::SimulatedProvider;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::client::{Heard, Listening, Request, post};
use super::{CHAT, SOON, question};

/// A configuration in the making. Every provider has the model `NAME-model` and the key
/// `sk-test-NAME-0123456789` unless it says otherwise.
#[derive(Default)]
pub(crate) struct Setup {
    providers: String,
    rotation: String,
    rest: String,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Providers named `a`, `b`, ... in this order.
    pub(crate) fn chain<'p>(providers: impl IntoIterator<Item = &'p SimulatedProvider>) -> Self {
        let names = 'a'..='z';
        names.zip(providers).fold(Self::new(), |setup, (name, provider)| {
            setup.provider(&name.to_string(), provider)
        })
    }

    pub(crate) fn provider(self, name: &str, provider: &SimulatedProvider) -> Self {
        self.provider_at(name, provider.address())
    }

    pub(crate) fn provider_at(self, name: &str, address: SocketAddr) -> Self {
        let lines = format!("api_key: sk-test-{name}-0123456789\n    model: {name}-model");
        self.provider_with(name, address, &lines)
    }

    /// A provider whose key and model stand in `lines`.
    pub(crate) fn provider_with(mut self, name: &str, address: SocketAddr, lines: &str) -> Self {
        let _ = write!(
            self.providers,
            "  - name: {name}\n    base_url: http://{address}/v1\n    {lines}\n"
        );
        self
    }

    /// One more line for the provider named last.
    pub(crate) fn with(mut self, line: &str) -> Self {
        let _ = writeln!(self.providers, "    {line}");
        self
    }

    pub(crate) fn rotation(mut self, line: &str) -> Self {
        let _ = writeln!(self.rotation, "  {line}");
        self
    }

    /// Whole lines at the top level.
    pub(crate) fn top(mut self, lines: &str) -> Self {
        let _ = writeln!(self.rest, "{lines}");
        self
    }

    fn text(&self) -> String {
        let mut text = format!("providers:\n{}", self.providers);
        if !self.rotation.is_empty() {
            let _ = write!(text, "rotation:\n{}", self.rotation);
        }
        text + &self.rest
    }

    /// Starts the proxy and waits until it listens.
    pub(crate) async fn start(self) -> Proxy {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, self.text()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_llm-proxy"))
            .args(["serve", "--port", "0", "--log-level", "debug", "--config"])
            .arg(&config)
            .env_clear()
            .env("HOME", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (told, listening) = oneshot::channel();
        let out = child.stdout.take().unwrap();
        let err = child.stderr.take().unwrap();
        thread::spawn({
            let log = Arc::clone(&log);
            move || note_lines(out, &log, Some(told))
        });
        thread::spawn({
            let log = Arc::clone(&log);
            move || note_lines(err, &log, None)
        });
        let mut proxy = Proxy { child, address: SocketAddr::from(([0, 0, 0, 0], 0)), log, folder };
        match tokio::time::timeout(SOON * 2, listening).await {
            Ok(Ok(address)) => proxy.address = address,
            _ => panic!("the proxy did not start: {}", proxy.log()),
        }
        proxy
    }
}

fn note_lines(
    from: impl std::io::Read,
    log: &Mutex<String>,
    mut told: Option<oneshot::Sender<SocketAddr>>,
) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        if let Some(address) = line.strip_prefix("listening on http://")
            && let Some(told) = told.take()
        {
            let _ = told.send(address.parse().unwrap());
        }
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&line);
        log.push('\n');
    }
}

/// A running proxy, killed when dropped.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
    folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Proxy {
    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Everything printed so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the log says this.
    pub(crate) async fn logged(&self, text: &str) {
        self.until(&format!("{text:?} in the log"), async || self.log().contains(text)).await;
    }

    /// Waits until the condition holds.
    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let look = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(
            tokio::time::timeout(SOON, look).await.is_ok(),
            "waited for {what} in vain\n{}",
            self.log()
        );
    }

    pub(crate) async fn ask(&self, body: &Value) -> Heard {
        self.send(post(CHAT).json(body)).await
    }

    /// The small question, plain or as a stream.
    pub(crate) async fn chat(&self, stream: bool) -> Heard {
        self.ask(&question(stream)).await
    }

    pub(crate) async fn send(&self, request: Request) -> Heard {
        self.open(request).await.finish().await
    }

    /// Sends a request without waiting for anything.
    pub(crate) async fn open(&self, request: Request) -> Listening {
        Listening::open(self.address, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Heard {
        self.send(Request::new("GET", path)).await
    }

    pub(crate) async fn status(&self) -> Value {
        self.get("/status").await.json()
    }

    /// What `/status` says of one provider.
    pub(crate) async fn provider(&self, name: &str) -> Value {
        let status = self.status().await;
        let providers = status["providers"].as_array().unwrap();
        let found = providers.iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("{name} in {status}")).clone()
    }

    /// The resident memory in bytes, where the system tells it.
    pub(crate) fn memory(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }

    /// Writes the configuration anew and reloads it.
    pub(crate) async fn reload(&self, setup: Setup) -> Heard {
        std::fs::write(self.folder.path().join("config.yaml"), setup.text()).unwrap();
        self.send(post("/reload")).await
    }
}
