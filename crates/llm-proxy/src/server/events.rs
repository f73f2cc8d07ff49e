//! `GET /events`: the state of the proxy and each request that ended, as server-sent events, for
//! pages and programs that watch.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};

use super::body::ClientBody;
use super::error::ProxyError;
use super::status::status_document;
use crate::app::App;
use crate::clock;

/// How often the state is looked at while somebody watches.
const LOOK: Duration = Duration::from_millis(500);

/// How often it is told even if nothing has changed: a sign of life, and times that moved on.
const AT_LEAST: Duration = Duration::from_secs(15);

/// Events that may wait for a slow reader.
const MOST_WAITING: usize = 16;

/// What moves with time alone, and is no news.
const NO_NEWS: [&str; 4] = ["now", "pace_per_hour", "runs_out_at", "forecast"];

/// The body of `GET /events`.
#[derive(Debug)]
pub(crate) struct Watching {
    events: mpsc::Receiver<Bytes>,
    _seat: OwnedSemaphorePermit,
}

impl Watching {
    /// The next bytes for the client.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.events.poll_recv(cx)
    }
}

pub(crate) fn events(app: &Arc<App>) -> Result<Response<ClientBody>, ProxyError> {
    let seats = Arc::clone(&app.watchers);
    let seat = seats.try_acquire_owned().map_err(|_| ProxyError::too_many_watchers())?;
    let (sender, events) = mpsc::channel(MOST_WAITING);
    let requests = app.memory.watch();
    app.tasks.spawn(tell(Arc::clone(app), requests, sender));
    let mut response =
        Response::new(ClientBody::Watching(Box::new(Watching { events, _seat: seat })));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Tells one watcher until it leaves or the proxy stops.
async fn tell(
    app: Arc<App>,
    requests: broadcast::Receiver<Arc<Value>>,
    sender: mpsc::Sender<Bytes>,
) {
    tokio::select! {
        () = app.stopping.cancelled() => {}
        () = sender.closed() => {}
        _ = tell_all(&app, requests, &sender) => {}
    }
}

/// Ends, with `None`, when the watcher has left.
async fn tell_all(
    app: &Arc<App>,
    mut requests: broadcast::Receiver<Arc<Value>>,
    sender: &mpsc::Sender<Bytes>,
) -> Option<()> {
    let mut told = Value::Null;
    let mut next_look = clock::deadline_in(Duration::ZERO);
    let mut next_sign = next_look;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next_look) => {
                next_look = clock::deadline_in(LOOK);
                let document = status_document(app, &app.world());
                let news = without_times(document.clone());
                let now = clock::deadline_in(Duration::ZERO);
                if news != told || now >= next_sign {
                    told = news;
                    next_sign = clock::deadline_in(AT_LEAST);
                    sender.send(event("status", &document)).await.ok()?;
                }
            }
            request = requests.recv() => match request {
                Ok(request) => sender.send(event("request", &request)).await.ok()?,
                // A slow reader has missed some; it can ask for them.
                Err(RecvError::Lagged(_)) => sender.send(event("missed", &Value::Null)).await.ok()?,
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn event(name: &str, document: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {document}\n\n"))
}

fn without_times(mut document: Value) -> Value {
    forget(&mut document);
    document
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !NO_NEWS.contains(&name.as_str()));
            members.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
