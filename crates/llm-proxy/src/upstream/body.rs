//! A request body in pieces: slices of the client's bytes with small insertions between them, so
//! that a large prompt is held once, however many deployments are tried.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::clock;
use crate::lock::lock;

/// A body of more bytes may take its time on a slow line, which is not the provider's silence.
const LONG: usize = 256 << 10;

/// A long body goes out in pieces of at most so many bytes, so that one sees it going.
const LARGEST_PIECE: usize = 64 << 10;

/// A body of known length in pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segments {
    pieces: VecDeque<Bytes>,
    /// When the last piece of a long body was taken; shared by all copies.
    taken: Option<Arc<Mutex<Option<Instant>>>>,
}

impl From<Vec<Bytes>> for Segments {
    fn from(pieces: Vec<Bytes>) -> Self {
        let pieces: VecDeque<_> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let length: usize = pieces.iter().map(Bytes::len).sum();
        Self { pieces, taken: (length > LONG).then(Arc::default) }
    }
}

impl Segments {
    /// When the last piece of a long body was taken by the connection.
    pub(crate) fn last_taken(&self) -> Option<Instant> {
        *lock(self.taken.as_ref()?)
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        let Some(taken) = &self.taken else { return self.pieces.pop_front() };
        *lock(taken) = Some(clock::deadline_in(Duration::ZERO));
        match self.pieces.front_mut() {
            Some(piece) if piece.len() > LARGEST_PIECE => Some(piece.split_to(LARGEST_PIECE)),
            _ => self.pieces.pop_front(),
        }
    }
}

impl Body for Segments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_piece().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}
