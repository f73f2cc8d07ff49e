//! Where a stream's events come from: the provider's connection, or a whole completion that was
//! turned into events.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;
use wire::chunk::{ChunkKind, classify};
use wire::sse::{Event, Framer, TooLarge};

use super::decode::Decoder;
use super::driven::ReplyBody;
use super::failure::Failure;
use super::opened::Opened;
use super::send::describe;
use crate::buffers::apart;

/// The largest single event.
const LARGEST_EVENT: usize = 16 << 20;

/// Bytes of an unfinished line that are a sign of life, as any finished line is.
const SIGN_OF_LIFE: usize = 1 << 10;

/// A stream's bytes, cut into events.
pub(super) struct Source {
    /// `None` once it has ended.
    body: Option<ReplyBody>,
    decoder: Decoder,
    framer: Framer,
    /// Bytes that came since the last sign of life, and the lines that had ended then.
    grown: usize,
    lines: u64,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("ended", &self.has_ended()).finish_non_exhaustive()
    }
}

impl From<Opened> for Source {
    fn from(Opened { body, decoder, first }: Opened) -> Self {
        Self { body: Some(body), decoder, ..Self::whole(first) }
    }
}

impl Source {
    /// Events that are all there.
    pub(super) fn whole(events: Bytes) -> Self {
        let mut framer = Framer::new(LARGEST_EVENT);
        framer.push(apart(events));
        Self { body: None, decoder: Decoder::Identity, framer, grown: 0, lines: 0 }
    }

    /// The next whole event of what has come.
    pub(super) fn next_event(&mut self) -> Option<Result<Event, TooLarge>> {
        self.framer.next_event()
    }

    /// Whether nothing more will come.
    pub(super) const fn has_ended(&self) -> bool {
        self.body.is_none()
    }

    /// Takes the next piece of the body, if there is one; ready at its end, too.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                Poll::Ready(frame.into_data().map_or(Ok(()), |piece| self.push(piece)))
            }
            Some(Err(error)) => Poll::Ready(Err(Failure::lost(describe(&error)))),
            None => {
                self.body = None;
                Poll::Ready(Ok(()))
            }
        }
    }

    fn push(&mut self, piece: Bytes) -> Result<(), Failure> {
        let piece = self.decoder.push(piece).map_err(|error| Failure::lost(error.to_string()))?;
        self.grown += piece.len();
        self.framer.push(apart(piece));
        Ok(())
    }

    /// Whether there was a sign of life since this was asked last: a whole line, or much of a long
    /// one. Single bytes are none, for a drip of them would hold the client for ever.
    pub(super) fn shows_life(&mut self) -> bool {
        let lines = self.framer.lines();
        let is_alive = lines > self.lines || self.grown >= SIGN_OF_LIFE;
        if is_alive {
            (self.lines, self.grown) = (lines, 0);
        }
        is_alive
    }

    /// An event whose blank line is missing at the end of the body, if it is whole otherwise.
    pub(super) fn last_event(&mut self) -> Option<Event> {
        let event = self.framer.finish()?;
        if event.is_terminated() {
            return Some(event);
        }
        // What says nothing may be the beginning of something: half a field's name, say.
        let kind = classify(&event.data(), event.name()).kind;
        if matches!(kind, ChunkKind::Broken | ChunkKind::Stray | ChunkKind::Preamble) {
            return None;
        }
        let mut framer = Framer::new(LARGEST_EVENT);
        framer.push(event.raw().clone());
        framer.push(Bytes::from_static(b"\n\n"));
        framer.next_event()?.ok()
    }

    /// What of the body has not been read.
    pub(super) fn into_rest(self) -> Option<ReplyBody> {
        self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_or_much_of_one_is_life_and_a_drip_of_bytes_is_not() {
        let mut source = Source::whole(Bytes::new());
        let mut after = |piece: &'static [u8]| {
            source.push(Bytes::from_static(piece)).unwrap();
            while source.next_event().is_some() {}
            source.shows_life()
        };
        assert!(!after(b""));
        assert!(!after(b"data: {"));
        assert!(!after(b"\"a\":"));
        assert!(after(b"1}\n"));
        assert!(after(b": note\n"));
        assert!(!after(b"data: "));
        assert!(!after(&[b'x'; 1000]));
        assert!(after(&[b'x'; 100]), "more than a thousand since the last sign");
        assert!(!after(&[b'x'; 100]));
    }
}
