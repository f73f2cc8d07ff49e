//! The framer: bytes arrive cut anywhere, events leave whole. Each byte is looked at once.

use std::collections::VecDeque;
use std::fmt;

use bytes::{Bytes, BytesMut};

use super::BOM;
use super::event::Event;

/// An event grew past the framer's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// The limit in bytes.
    pub limit: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a stream event is larger than {} bytes", self.limit)
    }
}

impl std::error::Error for TooLarge {}

/// A carriage return that was the last byte seen: a line feed after it belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Return {
    None,
    EndedLine,
    EndedEvent,
}

/// How the line before the present one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    /// In a line feed, with or without a carriage return.
    Feed,
    BareReturn,
}

/// Cuts a stream into events, which keep their exact bytes.
///
/// An event is handed out with its last byte, in a stream of line feeds, of both, or of bare
/// carriage returns. Only where the last return stands behind a line that did not end in a bare
/// one, the next byte is waited for, which may be that return's line feed.
pub struct Framer {
    limit: usize,
    queue: VecDeque<Bytes>,
    /// The present event's bytes from chunks before the queue's front.
    carry: BytesMut,
    /// Length of the present line so far, in bytes.
    line: usize,
    last: Return,
    before: LineEnd,
    /// Lines that have ended.
    lines: u64,
    in_first_line: bool,
    in_first_event: bool,
    is_spent: bool,
}

impl Framer {
    /// A framer that refuses events of more than `max_event_bytes`.
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            limit: max_event_bytes,
            queue: VecDeque::new(),
            carry: BytesMut::new(),
            line: 0,
            last: Return::None,
            before: LineEnd::Feed,
            lines: 0,
            in_first_line: true,
            in_first_event: true,
            is_spent: false,
        }
    }

    /// Takes the stream's next bytes.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() && !self.is_spent {
            self.queue.push_back(chunk);
        }
    }

    /// The next whole event, or `None` until more is pushed. After an error there are no more.
    pub fn next_event(&mut self) -> Option<Result<Event, TooLarge>> {
        while let Some(mut front) = self.queue.pop_front() {
            let end = self.event_end(&front);
            let piece = front.split_to(end.unwrap_or(front.len()));
            if self.carry.len() + piece.len() > self.limit {
                return Some(Err(self.give_up()));
            }
            if end.is_some() {
                if !front.is_empty() {
                    self.queue.push_front(front);
                }
                return Some(Ok(self.emit(piece)));
            }
            self.carry.extend_from_slice(&piece);
        }
        None
    }

    /// How many lines have ended in what was looked at so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// What is left when the stream has ended and [`Self::next_event`] gives no more: the last
    /// event if it ended in a bare carriage return, or the beginning of one that was cut.
    pub fn finish(&mut self) -> Option<Event> {
        let is_terminated = self.last == Return::EndedEvent;
        let raw = self.carry.split().freeze();
        (!raw.is_empty()).then(|| Event::new(raw, self.in_first_event, is_terminated))
    }

    /// Scans on through `front` to the offset just past the present event, if it ends there.
    fn event_end(&mut self, front: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < front.len() {
            if self.last != Return::None {
                let has_feed = front[at] == b'\n';
                at += usize::from(has_feed);
                self.before = if has_feed { LineEnd::Feed } else { LineEnd::BareReturn };
                if std::mem::replace(&mut self.last, Return::None) == Return::EndedEvent {
                    return Some(at);
                }
                continue;
            }
            let Some(run) = memchr::memchr2(b'\n', b'\r', &front[at..]) else {
                self.line += front.len() - at;
                return None;
            };
            self.line += run;
            at += run + 1;
            let is_blank = self.is_blank_line(front);
            (self.line, self.in_first_line) = (0, false);
            self.lines += 1;
            self.last = match front[at - 1] {
                b'\n' => Return::None,
                _ if is_blank && self.before == LineEnd::Feed => Return::EndedEvent,
                // A line feed that still belongs to it would stand before the next event.
                _ => Return::EndedLine,
            };
            if self.last == Return::None {
                self.before = LineEnd::Feed;
            }
            if is_blank && self.last != Return::EndedEvent {
                return Some(at);
            }
        }
        None
    }

    /// Whether the line that ends now is blank; the stream's first may hold a byte order mark.
    fn is_blank_line(&self, front: &[u8]) -> bool {
        let is_mark = || self.carry.iter().chain(front).take(BOM.len()).eq(BOM);
        self.line == 0 || self.in_first_line && self.line == BOM.len() && is_mark()
    }

    fn emit(&mut self, piece: Bytes) -> Event {
        let raw = if self.carry.is_empty() {
            piece
        } else {
            self.carry.extend_from_slice(&piece);
            self.carry.split().freeze()
        };
        Event::new(raw, std::mem::replace(&mut self.in_first_event, false), true)
    }

    fn give_up(&mut self) -> TooLarge {
        self.is_spent = true;
        self.queue.clear();
        self.carry.clear();
        TooLarge { limit: self.limit }
    }
}

/// Shows sizes only: contents are answers, which no log may hold.
impl fmt::Debug for Framer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Framer({} bytes held, {} chunks queued)", self.carry.len(), self.queue.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORPUS: &[&str] = &[
        "data: a\n\ndata: b\n\n",
        "data: a\r\n\r\ndata: b\r\n\r\n",
        "data: a\r\rdata: b\r\r",
        "data: a\r\n\ndata: b\n\r\ndata: c\r\n\rdata: d\n\n",
        "\u{feff}data: a\n\n: note\n\n\n\nevent: x\ndata: ä😀\n\ndata: cut",
        "\u{feff}\r\n\r\ndata: a\n\n",
        "\n\n\r\n\r\r\ndata: a\r\r\n\n",
        "data: a\r",
        "data: a\r\r",
        ": note\r\revent: x\rdata: a\rdata: b\r\r\r\rdata: c\r\r\ndata: d\n\n",
        "",
    ];

    /// All events of a stream that came in these chunks, the rest last.
    fn framed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        let mut framer = Framer::new(1 << 20);
        let mut events = Vec::new();
        for chunk in chunks {
            framer.push(Bytes::copy_from_slice(chunk));
            events.extend(std::iter::from_fn(|| framer.next_event()).map(Result::unwrap));
        }
        events.extend(framer.finish());
        events
    }

    #[test]
    fn every_split_gives_the_same_events() {
        for text in CORPUS {
            let text = text.as_bytes();
            let whole = framed([text]);
            let raw: Vec<u8> = whole.iter().flat_map(|event| event.raw().to_vec()).collect();
            assert_eq!(raw, text);
            assert_eq!(framed(text.chunks(1)), whole);
            for first in 0..=text.len() {
                for second in first..=text.len() {
                    let parts = [&text[..first], &text[first..second], &text[second..]];
                    assert_eq!(framed(parts), whole, "{text:?} at {first}, {second}");
                }
            }
        }
    }

    #[test]
    fn line_ends_of_all_kinds_end_events() {
        let raws = |text: &str| -> Vec<String> {
            let events = framed([text.as_bytes()]);
            events.iter().map(|e| String::from_utf8_lossy(e.raw()).into_owned()).collect()
        };
        assert_eq!(raws(CORPUS[1]), ["data: a\r\n\r\n", "data: b\r\n\r\n"]);
        assert_eq!(raws(CORPUS[2]), ["data: a\r\r", "data: b\r\r"]);
        assert_eq!(
            raws(CORPUS[3]),
            ["data: a\r\n\n", "data: b\n\r\n", "data: c\r\n\r", "data: d\n\n"]
        );
        assert_eq!(raws(CORPUS[5]), ["\u{feff}\r\n", "\r\n", "data: a\n\n"]);
        assert_eq!(raws(CORPUS[6]), ["\n", "\n", "\r\n", "\r", "\r", "\ndata: a\r\r", "\n\n"]);
    }

    #[test]
    fn a_finished_event_is_never_held_back() {
        for end in ["\n\n", "\r\n\r\n", "\r\n\n", "\n\r\n", "\r\r"] {
            let mut framer = Framer::new(100);
            let text = format!("data: a{end}");
            for byte in text.bytes() {
                assert_eq!(framer.next_event(), None);
                framer.push(Bytes::copy_from_slice(&[byte]));
            }
            assert_eq!(framer.next_event().unwrap().unwrap().raw(), text.as_bytes());
            assert_eq!((framer.next_event(), framer.finish()), (None, None));
        }
    }

    #[test]
    fn a_cut_event_is_told_from_a_whole_one() {
        assert!(framed([&b"data: a\r\r"[..]])[0].is_terminated());
        for cut in ["data: a", "data: a\r", "data: a\n", "data: a\r\n"] {
            assert!(!framed([cut.as_bytes()])[0].is_terminated(), "{cut:?}");
        }
    }

    #[test]
    fn an_event_inside_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
        let mut framer = Framer::new(100);
        framer.push(chunk.clone());
        let events: Vec<_> =
            std::iter::from_fn(|| framer.next_event()).map(Result::unwrap).collect();
        assert_eq!(events[0].raw().as_ptr(), chunk.as_ptr());
        assert_eq!(events[1].raw().as_ptr(), chunk[9..].as_ptr());
    }

    #[test]
    fn a_large_event_passes_and_a_too_large_one_ends_the_stream() {
        let text = format!("data: {}\n\n", "x".repeat(2 << 20));
        let mut framer = Framer::new(4 << 20);
        for chunk in text.as_bytes().chunks(1000) {
            framer.push(Bytes::copy_from_slice(chunk));
        }
        assert_eq!(framer.next_event().unwrap().unwrap().raw().len(), text.len());

        let mut framer = Framer::new(10);
        framer.push(Bytes::from_static(b"data: 0123456789"));
        assert_eq!(framer.next_event(), Some(Err(TooLarge { limit: 10 })));
        framer.push(Bytes::from_static(b"\n\ndata: a\n\n"));
        assert_eq!((framer.next_event(), framer.finish()), (None, None));
    }
}
