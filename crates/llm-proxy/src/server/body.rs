//! What goes to the client: bytes that are there, or a stream that comes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::events::Watching;
use super::heartbeat::Waiting;
use super::relayed::Relayed;

/// The body of a response.
#[derive(Debug)]
pub(crate) enum ClientBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// A provider's stream.
    Stream(Box<Relayed>),
    /// A stream that has begun before there is an answer.
    Waiting(Box<Waiting>),
    /// What happens here, for one who watches.
    Watching(Box<Watching>),
}

impl From<Bytes> for ClientBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

fn framed(bytes: Option<Bytes>) -> Option<Result<Frame<Bytes>, Infallible>> {
    bytes.map(|bytes| Ok(Frame::data(bytes)))
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(relayed) => relayed.poll_batch(cx).map(framed),
            Self::Waiting(waiting) => waiting.poll_next(cx).map(framed),
            Self::Watching(watching) => watching.poll_next(cx).map(framed),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Self::Stream(_) | Self::Waiting(_) | Self::Watching(_) => SizeHint::default(),
        }
    }
}
