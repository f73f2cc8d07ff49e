//! Server-sent events: cutting a byte stream into events without touching their bytes, and
//! reading one event's fields (WHATWG HTML, section 9.2).

mod event;
mod framer;

use bytes::Bytes;

pub use event::{Event, Said};
pub use framer::{Framer, TooLarge};

/// The event that ends a stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// One event with `data`, which must hold no line end.
pub fn data_event(data: &[u8]) -> Bytes {
    [b"data: ", data, b"\n\n"].concat().into()
}
