//! A connection that can be told to end badly.
//!
//! hyper ends a connection politely or with whatever it has not yet flushed lost. Tests of cut
//! answers need the bytes before the cut to arrive, so the cut waits for the flush: an answer
//! sets the [`Fate`], and the socket fails the first flush that has nothing left to write.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const LIVES: u8 = 0;
const CLOSES: u8 = 1;
const RESETS: u8 = 2;

/// How a connection ends once what was written is flushed.
#[derive(Debug, Default)]
pub(crate) struct Fate(AtomicU8);

impl Fate {
    pub(crate) fn close(&self) {
        self.0.store(CLOSES, Ordering::Relaxed);
    }

    pub(crate) fn reset(&self) {
        self.0.store(RESETS, Ordering::Relaxed);
    }

    fn is(&self, fate: u8) -> bool {
        self.0.load(Ordering::Relaxed) == fate
    }
}

/// A stream of bytes that obeys its fate.
pub(crate) struct Socket<I> {
    io: I,
    fate: Arc<Fate>,
    /// Makes the coming close a reset, where the transport has such a thing.
    arm_reset: fn(&I),
}

impl<I> Socket<I> {
    pub(crate) fn new(io: I, arm_reset: fn(&I)) -> Self {
        Self { io, fate: Arc::default(), arm_reset }
    }

    pub(crate) fn fate(&self) -> Arc<Fate> {
        Arc::clone(&self.fate)
    }
}

impl<I> Drop for Socket<I> {
    fn drop(&mut self) {
        if self.fate.is(RESETS) {
            (self.arm_reset)(&self.io);
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Socket<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Socket<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        if self.fate.is(LIVES) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
