//! JSON strings and objects as text: quoting, unquoting, and writing members from raw parts.

use std::borrow::Cow;

use bytes::Bytes;

/// `text` as a JSON string, quotes included.
pub fn quote(text: &str) -> Bytes {
    if text.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        return Bytes::from(serde_json::Value::from(text).to_string());
    }
    Bytes::from([b"\"", text.as_bytes(), b"\""].concat())
}

/// What a valid JSON string says; `raw` includes the quotes.
///
/// Half of a surrogate pair, which no Rust string can hold, becomes U+FFFD.
pub(crate) fn unquote(raw: &str) -> Cow<'_, str> {
    let body = inside(raw);
    if has_escape(body.as_bytes()) {
        return Cow::Owned(unescape(body.as_bytes()));
    }
    Cow::Borrowed(body)
}

/// The same where it is known whether there are escapes.
pub(crate) fn unquote_known(raw: &str, has_escapes: bool) -> Cow<'_, str> {
    if has_escapes { unquote(raw) } else { Cow::Borrowed(inside(raw)) }
}

/// What stands between the quotes.
fn inside(raw: &str) -> &str {
    raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
}

/// Most strings are keys and short words: a vector search pays from here on.
const SHORT: usize = 32;

fn has_escape(body: &[u8]) -> bool {
    if body.len() < SHORT {
        // Without early exit, so that it compiles to SIMD.
        return body.iter().fold(0, |found, byte| found | u8::from(*byte == b'\\')) != 0;
    }
    memchr::memchr(b'\\', body).is_some()
}

fn unescape(mut body: &[u8]) -> String {
    let mut text = Vec::with_capacity(body.len());
    while let Some(run) = memchr::memchr(b'\\', body) {
        text.extend_from_slice(&body[..run]);
        let (char, length) = unescape_one(&body[run..]);
        text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        body = body.get(run + length..).unwrap_or_default();
    }
    text.extend_from_slice(body);
    String::from_utf8(text)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The character of the escape at the start of `text`, and the escape's length in bytes.
fn unescape_one(text: &[u8]) -> (char, usize) {
    match text.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => unescape_unicode(text),
        Some(other) => (char::from(*other), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

fn unescape_unicode(text: &[u8]) -> (char, usize) {
    let high = hex4(text);
    let low = text.get(6..).filter(|rest| rest.starts_with(b"\\u")).and_then(hex4);
    if let (Some(high @ 0xD800..0xDC00), Some(low @ 0xDC00..0xE000)) = (high, low) {
        let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (high.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

/// The second half of a surrogate pair that a valid JSON string starts with; `raw` includes the
/// quotes.
pub(crate) fn half_at_start(raw: &[u8]) -> Option<u16> {
    let unit = raw.get(1..).filter(|body| body.starts_with(b"\\u")).and_then(hex4)?;
    u16::try_from(unit).ok().filter(|unit| (0xDC00..0xE000).contains(unit))
}

/// The first half that one ends with.
pub(crate) fn half_at_end(raw: &[u8]) -> Option<u16> {
    let body = raw.get(1..raw.len().checked_sub(1)?)?;
    let start = body.len().checked_sub(6)?;
    let is_escaped = body[..start].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
    let unit = Some(&body[start..]).filter(|last| last.starts_with(b"\\u")).and_then(hex4)?;
    let unit = u16::try_from(unit).ok().filter(|unit| (0xD800..0xDC00).contains(unit))?;
    (!is_escaped).then_some(unit)
}

/// The four digits after a `\u` at the start of `text`.
fn hex4(text: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(text.get(2..6)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

/// An object written member by member from raw JSON values.
#[derive(Debug)]
pub(crate) struct ObjectText(Vec<u8>);

impl ObjectText {
    pub(crate) fn new() -> Self {
        Self(vec![b'{'])
    }

    pub(crate) fn put(&mut self, key: &str, raw_value: &[u8]) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.extend_from_slice(&quote(key));
        self.0.push(b':');
        self.0.extend_from_slice(raw_value);
    }

    pub(crate) fn close(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// An array of raw JSON values.
pub(crate) fn array_text(items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut text = vec![b'['];
    for item in items {
        if text.len() > 1 {
            text.push(b',');
        }
        text.extend_from_slice(&item);
    }
    text.push(b']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read() {
        let raw = r#""a\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00z""#;
        assert_eq!(unquote(raw), "a\"\\/\u{8}\u{c}\n\r\tä😀z");
    }

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
        assert_eq!(unquote(r#""\ud83dx""#), "\u{fffd}x");
        assert_eq!(unquote(r#""\ude00\ud83d""#), "\u{fffd}\u{fffd}");
        assert_eq!(unquote(r#""\ud83d\u0041""#), "\u{fffd}A");
    }

    #[test]
    fn quoting_and_unquoting_are_inverse() {
        for text in ["", "plain", "q\"b\\s/\n\u{1}\u{7f}ä😀"] {
            assert_eq!(unquote(std::str::from_utf8(&quote(text)).unwrap()), text);
        }
    }
}
