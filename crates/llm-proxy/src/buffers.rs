//! Bytes that are kept apart from the buffer that they were read into: an event of a hundred bytes
//! must not hold the eight thousand of its connection's buffer, which could take the next one.

use bytes::Bytes;

/// Above this, a copy costs more than the buffer that it frees.
const SMALL: usize = 4 << 10;

/// The same bytes, of their own if they are few.
pub(crate) fn apart(bytes: Bytes) -> Bytes {
    if bytes.len() <= SMALL { Bytes::copy_from_slice(&bytes) } else { bytes }
}
