//! Undoes compression that came although none was asked for, piece by piece.

use std::io;

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// How many bytes one reply may unpack to before it is a bomb and not an answer.
const MOST_UNPACKED: usize = 256 << 20;

/// A thousandfold of this, the most that deflate packs, is what one step may unpack.
const SLICE: usize = 16 << 10;

/// A running decoder for one reply's body.
#[derive(Debug)]
pub(crate) enum Decoder {
    /// The body is as it is.
    Identity,
    /// `gzip`, of one member or several (RFC 1952, section 2.2).
    Gzip(Box<MultiGzDecoder<Vec<u8>>>, usize),
    /// `deflate`, in its usual zlib form.
    Deflate(Box<ZlibDecoder<Vec<u8>>>, usize),
}

impl Decoder {
    /// The decoder for a reply with these headers; `None` for a coding that we cannot undo.
    pub(crate) fn for_headers(headers: &HeaderMap) -> Option<Self> {
        let Some(coding) = headers.get(CONTENT_ENCODING) else {
            return Some(Self::Identity);
        };
        match coding.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new())), 0)),
            "deflate" => Some(Self::Deflate(Box::new(ZlibDecoder::new(Vec::new())), 0)),
            _ => None,
        }
    }

    /// Whether the body's bytes differ from those on the wire.
    pub(crate) const fn changes(&self) -> bool {
        !matches!(self, Self::Identity)
    }

    /// Decodes the next piece as far as it goes.
    pub(crate) fn push(&mut self, piece: Bytes) -> io::Result<Bytes> {
        match self {
            Self::Identity => Ok(piece),
            Self::Gzip(decoder, total) => {
                unpack(&mut **decoder, MultiGzDecoder::get_mut, &piece, total).map(Bytes::from)
            }
            Self::Deflate(decoder, total) => {
                unpack(&mut **decoder, ZlibDecoder::get_mut, &piece, total).map(Bytes::from)
            }
        }
    }
}

/// Feeds small slices, so that a bomb is noticed before it has unpacked far.
fn unpack<D: io::Write>(
    decoder: &mut D,
    unpacked: fn(&mut D) -> &mut Vec<u8>,
    piece: &[u8],
    total: &mut usize,
) -> io::Result<Vec<u8>> {
    for slice in piece.chunks(SLICE) {
        decoder.write_all(slice)?;
        decoder.flush()?;
        if *total + unpacked(decoder).len() > MOST_UNPACKED {
            return Err(io::Error::other("the compressed reply is too large"));
        }
    }
    let bytes = std::mem::take(unpacked(decoder));
    *total += bytes.len();
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzip() -> Decoder {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        Decoder::for_headers(&headers).unwrap()
    }

    fn member(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_undone_event_by_event() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut decoder = gzip();
        for event in ["data: one\n\n", "data: two\n\n"] {
            encoder.write_all(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let piece = std::mem::take(encoder.get_mut());
            assert_eq!(decoder.push(piece.into()).unwrap(), event);
        }
    }

    #[test]
    fn gzip_of_a_member_for_each_event_is_undone_wherever_it_is_cut() {
        let events = ["data: one\n\n", "", "data: two\n\n", ": three\n\n"];
        let members: Vec<Vec<u8>> = events.map(member).to_vec();
        let mut decoder = gzip();
        for (event, member) in events.iter().zip(&members) {
            assert_eq!(decoder.push(member.clone().into()).unwrap(), *event);
        }
        let (packed, whole) = (members.concat(), events.concat());
        for size in 1..=packed.len() {
            let mut decoder = gzip();
            let pieces = packed.chunks(size).map(Bytes::copy_from_slice);
            let unpacked: Vec<Bytes> = pieces.map(|piece| decoder.push(piece).unwrap()).collect();
            assert_eq!(unpacked.concat(), whole.as_bytes(), "in pieces of {size}");
        }
    }

    #[test]
    fn what_follows_a_member_and_is_none_is_refused() {
        let mut decoder = gzip();
        decoder.push(member("data: one\n\n").into()).unwrap();
        assert!(decoder.push(Bytes::from_static(b"data: two\n\n")).is_err());
    }
}
