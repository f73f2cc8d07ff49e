//! A connection of HTTP/1.1 that is driven by the request that uses it.
//!
//! It has no task of its own: whoever waits for the reply moves its bytes, so that what comes from
//! the provider wakes one task, and a request that is dropped closes its connection at once.
//!
//! Taking a piece of a reply wakes whoever drove the connection to it, since there is room for the
//! next piece then. That would be ourselves, for nothing: so who was woken drives it unheard first,
//! and asks to be woken only when nothing came of that.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};

use super::body::Segments;
use super::connector::Stream;
use super::origin::Origin;
use super::read_on::ReadOn;

/// The largest head of a reply, and so much of a request waits at most for the system to take it.
const LARGEST_BUFFER: usize = 128 << 10;

/// How many headers a reply may have where one had more than the library's usual 100. Room for them
/// costs instructions with every reply.
const MANY_HEADERS: usize = 1_000;

/// A connection that carries one request at a time.
pub(super) struct Driven {
    sender: SendRequest<Segments>,
    /// `None` once it has ended.
    connection: Option<Connection<ReadOn<Stream>, Segments>>,
    /// How often it was driven since something came of it.
    in_vain: u32,
}

/// So often a connection is driven in vain without having been woken by its provider: the server
/// asks twice before it waits.
const ASKED_ANYWAY: u32 = 2;

impl Driven {
    pub(super) async fn new(stream: Stream, has_many_headers: bool) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(LARGEST_BUFFER);
        if has_many_headers {
            builder.max_headers(MANY_HEADERS);
        }
        let (sender, connection) = builder.handshake(ReadOn::from(stream)).await?;
        Ok(Self { sender, connection: Some(connection), in_vain: 0 })
    }

    /// Whether it has ended.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(connection) = &mut self.connection else { return true };
        let has_ended = Pin::new(connection).poll(cx).is_ready();
        if has_ended {
            // What went wrong is told to those who wait for the reply.
            self.connection = None;
        }
        has_ended
    }

    /// Drives it for something that comes by it alone, so that only it has to wake whoever waits.
    fn drive_for<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let quiet = &mut Context::from_waker(Waker::noop());
        let mut polled = Poll::Pending;
        if self.in_vain >= ASKED_ANYWAY && !self.drive(quiet) {
            polled = poll(quiet);
        }
        if polled.is_pending() {
            let has_ended = self.drive(cx);
            polled = poll(if has_ended { cx } else { quiet });
        }
        self.in_vain = if polled.is_ready() { 0 } else { self.in_vain.saturating_add(1) };
        polled
    }

    /// Whether it is open and has nothing left to do. Whoever asks is not woken by it.
    pub(super) fn is_free(&mut self) -> bool {
        !self.drive(&mut Context::from_waker(Waker::noop())) && self.sender.is_ready()
    }

    /// Sends a request and waits for the reply's head.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Segments>,
    ) -> hyper::Result<Response<Incoming>> {
        let mut reply = pin!(self.sender.send_request(request));
        poll_fn(|cx| self.drive_for(cx, |cx| reply.as_mut().poll(cx))).await
    }
}

/// A reply's body, with the connection that it comes by.
pub(crate) struct ReplyBody {
    incoming: Incoming,
    /// `None` where the connection has a task of its own, and after the end.
    driven: Option<(Box<Driven>, Arc<Origin>)>,
}

impl ReplyBody {
    /// Of a connection that others use, too.
    pub(super) const fn shared(incoming: Incoming) -> Self {
        Self { incoming, driven: None }
    }

    pub(super) const fn driven(incoming: Incoming, by: Box<Driven>, origin: Arc<Origin>) -> Self {
        Self { incoming, driven: Some((by, origin)) }
    }

    /// Keeps the connection for the next request if it can carry one.
    fn settle(&mut self) {
        if let Some((mut driven, origin)) = self.driven.take()
            && driven.is_free()
        {
            origin.keep(driven);
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Self { incoming, driven } = &mut *self;
        let Some((driven, _)) = driven else { return Pin::new(incoming).poll_frame(cx) };
        let mut frame =
            Pin::new(&mut *incoming).poll_frame(&mut Context::from_waker(Waker::noop()));
        if frame.is_pending() {
            frame = driven.drive_for(cx, |cx| Pin::new(&mut *incoming).poll_frame(cx));
        }
        if matches!(frame, Poll::Ready(None)) {
            self.settle();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for ReplyBody {
    /// A body that is not read to its end takes its connection with it.
    fn drop(&mut self) {
        if self.incoming.is_end_stream() {
            self.settle();
        }
    }
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyBody").finish_non_exhaustive()
    }
}
