//! A connection that is still read when nothing more can be written to it.
//!
//! A provider may answer before it has taken the whole request, and close: what it said lies in our
//! buffers then, while each further write fails. The reply is what counts, so such a failure is
//! kept to ourselves unless there is none.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

/// A connection and what stopped the writing, if anything did.
#[derive(Debug)]
pub(super) struct ReadOn<S> {
    stream: S,
    broken: Option<io::Error>,
}

impl<S> From<S> for ReadOn<S> {
    fn from(stream: S) -> Self {
        Self { stream, broken: None }
    }
}

impl<S> ReadOn<S> {
    /// Pretends that all was written once the other side takes nothing more.
    fn written(&mut self, written: Poll<io::Result<usize>>, all: usize) -> Poll<io::Result<usize>> {
        written.map(|written| match written {
            Err(error) if takes_no_more(&error) => {
                self.broken = Some(error);
                Ok(all)
            }
            Ok(_) | Err(_) => written,
        })
    }
}

fn takes_no_more(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset | ConnectionAborted)
}

impl<S: Read + Unpin> Read for ReadOn<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        read.map_err(|error| self.broken.take().unwrap_or(error))
    }
}

impl<S: Write + Unpin> Write for ReadOn<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(written, buf.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(flushed.map_ok(|()| 0), 0).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = bufs.iter().map(|buf| buf.len()).sum();
        if self.broken.is_some() {
            return Poll::Ready(Ok(all));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(written, all)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http::Request;
    use hyper::client::conn::http1;

    use super::super::body::Segments;
    use super::*;

    /// Refuses to take a request, and says this about it.
    struct Refusing {
        says: &'static [u8],
        reader: Option<Waker>,
        was_written: bool,
    }

    impl Read for Refusing {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            mut buf: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            if !self.was_written {
                self.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let says = std::mem::take(&mut self.says);
            if says == b"-" {
                return Poll::Ready(Err(ErrorKind::NotConnected.into()));
            }
            buf.put_slice(says);
            Poll::Ready(Ok(()))
        }
    }

    impl Write for Refusing {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.was_written = true;
            self.reader.take().into_iter().for_each(Waker::wake);
            Poll::Ready(Err(ErrorKind::ConnectionReset.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn status(says: &'static [u8]) -> hyper::Result<u16> {
        let stream = ReadOn::from(Refusing { says, reader: None, was_written: false });
        let (mut sender, connection) = http1::handshake(stream).await?;
        let mut request = Request::new(Segments::from(vec![vec![b'x'; 2 << 20].into()]));
        *request.method_mut() = http::Method::POST;
        let reply = sender.send_request(request);
        let (_, reply) = tokio::join!(connection, reply);
        reply.map(|reply| reply.status().as_u16())
    }

    #[tokio::test]
    async fn what_is_said_of_a_request_that_nobody_takes_is_heard() {
        let said = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
        assert_eq!(status(said).await.unwrap(), 413);
        let error = super::super::send::describe(&status(b"-").await.unwrap_err());
        assert!(error.contains("reset"), "{error}");
        assert!(status(b"").await.unwrap_err().is_incomplete_message());
    }
}
