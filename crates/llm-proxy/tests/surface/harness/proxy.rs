//! The running proxy.

use std::net::SocketAddr;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Answer, Done, PATIENCE, Place, eventually, get, post};

/// The running proxy; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) place: Place,
    pub(crate) address: SocketAddr,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reading: JoinHandle<()>,
}

impl Proxy {
    /// Starts `serve` on a free port.
    pub(crate) async fn start(place: Place) -> Self {
        Self::start_with(place, &[]).await
    }

    /// Starts it with this configuration.
    pub(crate) async fn of(config: &str) -> Self {
        Self::start(Place::with(config)).await
    }

    /// Starts `serve` on a free port with further arguments.
    pub(crate) async fn start_with(place: Place, arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--port", "0"], arguments].concat();
        let command = place.command(&arguments);
        Self::of_command(place, command).await
    }

    /// Starts whatever prints the proxy's line.
    pub(crate) async fn of_command(place: Place, mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = Arc::default();
        let reading = collect(child.stdout.take().unwrap(), Arc::clone(&lines));
        let complaints: Arc<Mutex<Vec<String>>> = Arc::default();
        collect(child.stderr.take().unwrap(), Arc::clone(&complaints));
        let listening = async {
            loop {
                if let Some(address) = address(&lines.lock().unwrap()) {
                    return address;
                }
                assert!(!reading.is_finished(), "it ended: {complaints:?}");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let address = timeout(PATIENCE, listening).await;
        let address = address.unwrap_or_else(|_| panic!("never listens: {lines:?} {complaints:?}"));
        Self { place, address, child, lines, reading }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for a line that holds the text.
    pub(crate) async fn line(&self, text: &str) -> String {
        let find = || self.lines().into_iter().find(|line| line.contains(text));
        let waiting = timeout(PATIENCE, async {
            loop {
                if let Some(line) = find() {
                    return line;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        });
        let found = waiting.await.ok();
        found.unwrap_or_else(|| panic!("no line with {text:?} in {:#?}", self.lines()))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        get(self.address, path).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        post(self.address, path, &[], body).await
    }

    /// Sends a chat request.
    pub(crate) async fn chat(&self, body: &str) -> Answer {
        self.post("/v1/chat/completions", body).await
    }

    /// The state of one provider.
    pub(crate) async fn state(&self, provider: &str) -> Value {
        let status = self.get("/status").await.json();
        let providers = status["providers"].as_array().unwrap().clone();
        let found = providers.into_iter().find(|one| one["name"] == provider);
        found.unwrap_or(Value::Null)
    }

    /// Runs a command that talks to this proxy.
    pub(crate) async fn tell(&self, arguments: &[&str]) -> Done {
        let port = self.address.port().to_string();
        self.place.run(&[arguments, &["--port", &port]].concat()).await
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, which: Signal) {
        signal(self.id(), which);
    }

    /// Waits for its end; its log is then complete.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let status = self.ended_only().await;
        let _ = timeout(PATIENCE, &mut self.reading).await;
        status
    }

    /// Waits for the end of what was started, whose children may write on.
    pub(crate) async fn ended_only(&mut self) -> ExitStatus {
        let status = timeout(PATIENCE, self.child.wait()).await;
        status.expect("it does not end").unwrap()
    }

    /// Waits until nobody accepts connections any more.
    pub(crate) async fn closed(&self) {
        let address = self.address;
        eventually("the end of listening", async || {
            tokio::net::TcpStream::connect(address).await.is_err()
        })
        .await;
    }
}

/// Sends a process a signal.
pub(crate) fn signal(id: u32, which: Signal) {
    let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    kill_process(id, which).unwrap();
}

fn collect(
    from: impl AsyncRead + Unpin + Send + 'static,
    into: Arc<Mutex<Vec<String>>>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            into.lock().unwrap().push(line);
        }
    })
}

fn address(lines: &[String]) -> Option<SocketAddr> {
    lines
        .iter()
        .find_map(|line| line.strip_prefix("listening on http://"))
        .map(|address| address.parse().unwrap())
        .map(|address: SocketAddr| {
            if address.ip().is_unspecified() {
                SocketAddr::from(([127, 0, 0, 1], address.port()))
            } else {
                address
            }
        })
}
