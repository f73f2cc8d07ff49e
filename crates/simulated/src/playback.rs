//! The body of an answer, played step by step, and the ways in which it can end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::journal::Exchange;
use crate::limiting::Permit;
use crate::socket::Fate;

/// One write, after a wait.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) wait: Duration,
    pub(crate) bytes: Bytes,
}

impl Step {
    pub(crate) fn now(bytes: Bytes) -> Self {
        Self { wait: Duration::ZERO, bytes }
    }
}

/// What comes after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Finish,
    Close,
    Reset,
    Stall,
}

/// An answer was ended by the provider on purpose.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the simulated provider broke off")
    }
}

impl std::error::Error for Broken {}

/// Plays the steps of an answer to hyper.
pub(crate) struct Playback {
    steps: std::vec::IntoIter<Step>,
    next: Option<Bytes>,
    waiting: Option<Pin<Box<Sleep>>>,
    ending: Ending,
    /// Bytes left of a body whose length is announced.
    left: Option<u64>,
    /// The connection to end with; absent where several streams share one.
    fate: Option<Arc<Fate>>,
    breaking: bool,
    exchange: Exchange,
    _permit: Option<Permit>,
}

impl Playback {
    pub(crate) fn new(
        steps: Vec<Step>,
        sized: bool,
        ending: Ending,
        fate: Option<Arc<Fate>>,
        exchange: Exchange,
        permit: Option<Permit>,
    ) -> Self {
        let left = sized.then(|| steps.iter().map(|step| step.bytes.len() as u64).sum());
        let mut body = Self {
            steps: steps.into_iter(),
            next: None,
            waiting: None,
            ending,
            left,
            fate,
            breaking: false,
            exchange,
            _permit: permit,
        };
        // An empty body is never polled.
        body.settle();
        body
    }

    /// Whether the last byte has been handed over and nothing but the end follows.
    fn is_over(&self) -> bool {
        self.ending == Ending::Finish && self.next.is_none() && self.steps.as_slice().is_empty()
            || self.ending == Ending::Finish && self.left == Some(0)
    }

    fn settle(&mut self) {
        if self.is_over() {
            self.exchange.finish();
        }
    }

    fn end(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.ending == Ending::Stall {
            return Poll::Pending;
        }
        self.exchange.finish();
        match (&self.fate, self.ending) {
            (_, Ending::Finish) => return Poll::Ready(None),
            (Some(fate), Ending::Reset) => fate.reset(),
            (Some(fate), _) => fate.close(),
            // The stream alone is reset, one turn later, so that what was written goes out.
            (None, _) if self.breaking => return Poll::Ready(Some(Err(Broken))),
            (None, _) => {
                self.breaking = true;
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            if let Some(bytes) = self.next.take().filter(|bytes| !bytes.is_empty()) {
                self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
                self.settle();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let Some(step) = self.steps.next() else {
                return self.end(cx);
            };
            self.waiting = (!step.wait.is_zero()).then(|| Box::pin(sleep(step.wait)));
            self.next = Some(step.bytes);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
