//! A sign of life for clients that give up on a silent connection: after `heartbeat` without an
//! answer the response begins, and comments keep it alive until there is one, and in each later
//! silence. Off by default, for it gives up a true status and the headers that say who served: an
//! error then comes as an event.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body as _;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use wire::sse::data_event;

use super::body::ClientBody;
use super::error::ProxyError;
use super::intake::Intake;
use super::relay::relay;
use crate::app::App;
use crate::clock;

/// Ticks while a client hears nothing.
#[derive(Debug)]
pub(crate) struct Beat {
    every: Duration,
    next: Pin<Box<Sleep>>,
}

impl Beat {
    /// The first beat comes after `first`, each further one after `every`.
    fn new(first: Duration, every: Duration) -> Self {
        Self { every, next: Box::pin(tokio::time::sleep(first)) }
    }

    /// The beats of a stream that has begun, as far as they are wanted.
    pub(super) fn wanted(app: &App) -> Option<Self> {
        let every = app.world().settings.rotation.heartbeat?;
        Some(Self::new(every, every))
    }

    /// The client hears something else.
    pub(super) fn restart(&mut self) {
        self.next.as_mut().reset(clock::deadline_in(self.every));
    }

    /// The comment for a client that has heard nothing for so long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        ready!(self.next.as_mut().poll(cx));
        self.restart();
        Poll::Ready(Bytes::from_static(COMMENT))
    }
}

/// One line, and no blank one after it: some clients take a blank line for the end of an event.
const COMMENT: &[u8] = b": waiting\n";

type Relaying = Pin<Box<dyn Future<Output = Response<ClientBody>> + Send>>;

/// Serves one proxied request, with heartbeats where they are wanted.
pub(crate) async fn relay_alive(app: &Arc<App>, intake: Intake) -> Response<ClientBody> {
    let wanted = app.world().settings.rotation.heartbeat.filter(|_| intake.scan.stream);
    let Some(every) = wanted else {
        return relay(app, intake).await;
    };
    let ending = Box::pin(app.ending.clone().cancelled_owned());
    let app = Arc::clone(app);
    let mut relaying: Relaying = Box::pin(async move { relay(&app, intake).await });
    if let Ok(response) = tokio::time::timeout(every, &mut relaying).await {
        return response;
    }
    let beat = Beat::new(Duration::ZERO, every);
    let waiting = Waiting { stage: Stage::Relaying(relaying), beat, ending };
    let mut response = Response::new(ClientBody::Waiting(Box::new(waiting)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A response that has begun before there is an answer.
pub(crate) struct Waiting {
    stage: Stage,
    beat: Beat,
    /// Ready when the process ends.
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
}

enum Stage {
    Relaying(Relaying),
    Answering { status: StatusCode, body: Box<ClientBody> },
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("beat", &self.beat).finish_non_exhaustive()
    }
}

impl Waiting {
    /// The next bytes for the client.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.stage {
                Stage::Relaying(relaying) => {
                    let response = match relaying.as_mut().poll(cx) {
                        Poll::Ready(response) => response,
                        Poll::Pending if self.ending.as_mut().poll(cx).is_ready() => {
                            ProxyError::stopping().into_response()
                        }
                        Poll::Pending => return self.beat.poll(cx).map(Some),
                    };
                    let status = response.status();
                    let body = Box::new(response.into_body());
                    self.stage = Stage::Answering { status, body };
                }
                Stage::Answering { status, body } => {
                    let is_error = !status.is_success();
                    let frame = ready!(Pin::new(body.as_mut()).poll_frame(cx));
                    let bytes = frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
                    return Poll::Ready(bytes.map(|bytes| {
                        // An error of ours or of a provider is one JSON document in one piece.
                        if is_error { as_event(&bytes) } else { bytes }
                    }));
                }
            }
        }
    }
}

fn as_event(error: &[u8]) -> Bytes {
    let one_line: Vec<u8> = error.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    data_event(&one_line)
}
