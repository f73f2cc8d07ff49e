//! The HTTP surface: connections in, responses out.

mod attempt;
mod body;
mod control;
mod deliver;
pub(crate) mod discover;
mod error;
mod events;
mod guard;
mod heartbeat;
mod history;
mod home;
mod intake;
mod journey;
mod known;
mod mending;
mod models;
mod query;
mod recording;
mod relay;
mod relayed;
pub(crate) mod report;
pub(crate) mod rescue;
mod routes;
mod status;
pub(crate) mod wishes;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) use history::record_json;
pub(crate) use intake::Intake;

use crate::app::App;

/// A client may keep an idle connection a little longer than its own library usually does.
const IDLE: Duration = Duration::from_secs(75);

/// Connections at once; more wait in the system's queue.
const MOST_CONNECTIONS: usize = 8192;

/// How long a connection without any request may still bring one once we stop.
const LAST_WORD: Duration = Duration::from_millis(200);

/// How long to wait when the system has no more file descriptors for us.
const BREATHER: Duration = Duration::from_millis(50);

/// Accepts connections until `stop`.
pub(crate) async fn accept(app: Arc<App>, listener: TcpListener, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let serving = serve(Arc::clone(&app), stream, stop.clone());
                app.tasks.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                if is_ours(&error) {
                    app.log.warning(format_args!("cannot accept a connection: {error}"));
                    tokio::time::sleep(BREATHER).await;
                }
            }
        }
    }
}

/// Whether a failed accept is our lack of resources and not a client's hurry.
fn is_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

async fn serve(app: Arc<App>, stream: TcpStream, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let log = app.log.clone();
    let was_asked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&was_asked);
    let service = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        let app = Arc::clone(&app);
        async move {
            // Boxed, for the connection keeps room for this future as long as it lives, and a
            // stream needs it only until its head is sent.
            Ok::<_, Infallible>(Box::pin(routes::respond(&app, request)).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                served = connection => served,
                () = stays_unasked(&was_asked) => return,
            }
        }
    };
    if let Err(error) = served {
        log.debug(format_args!("a client's connection ended: {error}"));
    }
}

/// Ends if nobody asks anything on a connection; browsers open such ones to have them.
async fn stays_unasked(was_asked: &AtomicBool) {
    tokio::time::sleep(LAST_WORD).await;
    if was_asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
