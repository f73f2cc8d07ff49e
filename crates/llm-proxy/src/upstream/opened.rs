//! A body whose first bytes decide what it is: some providers give a document where events were
//! asked for, and call it what they like.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::decode::Decoder;
use super::driven::ReplyBody;
use super::failure::Failure;
use super::send::describe;

/// How much white space may come before the byte that decides.
const MOST_BLANK: usize = 64 << 10;

/// A body and what has been read of it.
pub(super) struct Opened {
    pub(super) body: ReplyBody,
    pub(super) decoder: Decoder,
    /// Decoded.
    pub(super) first: Bytes,
}

impl Opened {
    /// A body of which nothing has been read.
    pub(super) fn unread(body: ReplyBody, decoder: Decoder) -> Self {
        Self { body, decoder, first: Bytes::new() }
    }

    /// Reads up to the first bytes that are more than white space.
    pub(super) async fn look(&mut self) -> Result<(), Failure> {
        let mut blank = BytesMut::new();
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Failure::lost(describe(&error)))?;
            let Ok(piece) = frame.into_data() else { continue };
            let piece =
                self.decoder.push(piece).map_err(|error| Failure::lost(error.to_string()))?;
            let decides = !piece.trim_ascii().is_empty() || blank.len() > MOST_BLANK;
            if blank.is_empty() && decides {
                self.first = piece;
                return Ok(());
            }
            blank.extend_from_slice(&piece);
            if decides {
                break;
            }
        }
        self.first = blank.freeze();
        Ok(())
    }

    /// Whether it is JSON or a web page: no line of an event stream begins so.
    pub(super) fn is_document(&self) -> bool {
        matches!(self.first.trim_ascii_start().first(), Some(b'{' | b'[' | b'<'))
    }
}
