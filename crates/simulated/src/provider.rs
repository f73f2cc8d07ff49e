//! A simulated provider on a socket: start, watch, change its mind, stop.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::behaviour::Behaviour;
use crate::clock::Clock;
use crate::journal::{Cancelled, Journal, Recorded, Recording};
use crate::reply::Reply;
use crate::serve::{Arrival, Simulation};
use crate::socket::Socket;

/// The rest after an accept that failed, as it does when file descriptors run out.
const ACCEPT_REST: Duration = Duration::from_millis(5);
/// How often [`SimulatedProvider::wait_until`] looks.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Where and how a provider runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The address to listen on; by default a free port of the loopback interface.
    pub address: SocketAddr,
    /// The provider's sense of time.
    pub clock: Clock,
    /// What is remembered of requests.
    pub recording: Recording,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::real(),
            recording: Recording::default(),
        }
    }
}

/// The version of HTTP spoken on a connection that is handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2. A cut or reset answer resets its stream and leaves the connection alone.
    Http2,
}

/// A provider that runs until it is dropped.
pub struct SimulatedProvider {
    address: SocketAddr,
    simulation: Arc<Simulation>,
    accepting: JoinHandle<()>,
}

impl SimulatedProvider {
    /// Starts a provider on a free loopback port of the current runtime.
    pub async fn start(behaviour: Behaviour) -> io::Result<Self> {
        Self::start_with(behaviour, Setup::default()).await
    }

    /// Starts a provider on a given address.
    pub async fn start_on(address: SocketAddr, behaviour: Behaviour) -> io::Result<Self> {
        Self::start_with(behaviour, Setup { address, ..Setup::default() }).await
    }

    /// Starts a provider with its own address, clock and recording.
    pub async fn start_with(behaviour: Behaviour, setup: Setup) -> io::Result<Self> {
        let listener = TcpListener::bind(setup.address).await?;
        let address = listener.local_addr()?;
        let journal = Journal::new(setup.recording, setup.clock.clone());
        let simulation = Simulation::new(behaviour, setup.clock, journal);
        let accepting = tokio::spawn(accept(listener, Arc::clone(&simulation)));
        Ok(Self { address, simulation, accepting })
    }

    /// Returns the base URL with the version segment: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the time since the Unix epoch as the provider sees it.
    pub fn now(&self) -> Duration {
        self.simulation.clock.now()
    }

    /// Returns the requests that arrived in full, oldest first, at most the last 10,000.
    pub fn requests(&self) -> Vec<Recorded> {
        self.simulation.journal.requests()
    }

    /// Returns the exact number of requests whose head arrived.
    pub fn count(&self) -> u64 {
        self.simulation.journal.count()
    }

    /// Returns how many connections are open.
    pub fn open_connections(&self) -> u64 {
        self.simulation.journal.open()
    }

    /// Returns how many connections there have been.
    pub fn connections_total(&self) -> u64 {
        self.simulation.journal.connections()
    }

    /// Returns the requests whose client went away before the answer's end, at most the last
    /// 10,000. Answers that the provider itself broke off are not among them.
    pub fn cancelled(&self) -> Vec<Cancelled> {
        self.simulation.journal.cancelled()
    }

    /// Appends a reply to the script. A provider without a script gets one of this reply alone.
    pub fn push(&self, reply: Reply) {
        self.simulation.push(reply);
    }

    /// Answers every request with this reply from now on.
    pub fn set(&self, reply: Reply) {
        self.act(Behaviour::always(reply));
    }

    /// Behaves differently from now on; answers under way go on as they began.
    pub fn act(&self, behaviour: Behaviour) {
        self.simulation.behave(behaviour);
    }

    /// Waits until the condition holds, at most for the given time; returns whether it does.
    pub async fn wait_until(&self, within: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        let look = async {
            while !condition(self) {
                sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(within, look).await.is_ok()
    }

    /// Serves a connection that someone else accepted, such as one inside TLS, until it ends.
    /// Its requests are recorded and counted with the others; a reset is an abrupt close there.
    pub fn serve_connection<I>(
        &self,
        io: I,
        protocol: Protocol,
    ) -> impl Future<Output = ()> + Send + use<I>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        serve(Arc::clone(&self.simulation), Socket::new(io, |_| {}), protocol)
    }

    /// Stops, and returns when the port is closed and every connection is gone.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // The only possible error is the abort itself.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for SimulatedProvider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl std::fmt::Debug for SimulatedProvider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SimulatedProvider")
            .field("address", &self.address)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

/// Accepts connections and owns their tasks: all end when this one is aborted.
async fn accept(listener: TcpListener, simulation: Arc<Simulation>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // A provider that batches small writes would blur what the tests time.
                    let _ = stream.set_nodelay(true);
                    let socket = Socket::new(stream, arm_reset);
                    connections.spawn(serve(Arc::clone(&simulation), socket, Protocol::Http1));
                }
                Err(_) => sleep(ACCEPT_REST).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// With a linger time of zero the close that follows sends RST instead of FIN.
fn arm_reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

async fn serve<I>(simulation: Arc<Simulation>, socket: Socket<I>, protocol: Protocol)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connection = simulation.journal.connect();
    let number = connection.number;
    let fate = (protocol == Protocol::Http1).then(|| socket.fate());
    let service = service_fn(move |request| {
        let arrival = Arrival { connection: number, fate: fate.clone() };
        Arc::clone(&simulation).answer(request, arrival)
    });
    let io = TokioIo::new(socket);
    // How a connection ends is for the client to judge; the simulation ends many on purpose.
    match protocol {
        Protocol::Http1 => {
            let _ = http1::Builder::new().serve_connection(io, service).await;
        }
        Protocol::Http2 => {
            let _ = http2::Builder::new(Streams::default()).serve_connection(io, service).await;
        }
    }
    drop(connection);
}

/// Runs the streams of one HTTP/2 connection and ends them with it.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<JoinSet<()>>>);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while streams.try_join_next().is_some() {}
        streams.spawn(stream);
    }
}
