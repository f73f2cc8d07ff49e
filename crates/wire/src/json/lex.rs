//! The ends of JSON's smallest parts: strings, numbers, literals (RFC 8259, sections 3, 6 and 7).

use super::problem::Fault;

fn fault<T>(offset: usize, reason: &'static str) -> Result<T, Fault> {
    Err(Fault { offset, reason })
}

/// Most strings are keys and short words: a vector search pays from here on.
const SHORT: usize = 24;

/// A byte in each byte of a word.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// How many of eight bytes stand before the first quote, escape or control character. The lowest
/// mark is exact; a borrow can set false ones above it only.
fn ordinary(eight: [u8; 8]) -> usize {
    let word = u64::from_le_bytes(eight);
    let less = |word: u64, bound: u8| word.wrapping_sub(each(bound)) & !word & each(0x80);
    let marks = less(word, 0x20) | less(word ^ each(b'"'), 1) | less(word ^ each(b'\\'), 1);
    marks.trailing_zeros() as usize / 8
}

/// Where a run of ordinary bytes from `from` on ends, if it is soon; else where to search on.
fn near_end(text: &[u8], from: usize) -> Result<usize, usize> {
    let mut at = from;
    while at < from + SHORT {
        let Some(eight) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) else {
            return Err(at);
        };
        let run = ordinary(*eight);
        at += run;
        if run < 8 {
            return Ok(at);
        }
    }
    Err(at)
}

/// The offset just past a string whose opening quote is at `start`, and whether it has escapes.
pub(crate) fn string_end(text: &[u8], start: usize) -> Result<(usize, bool), Fault> {
    let mut at = start + 1;
    let mut has_escapes = false;
    loop {
        at = run_end(text, at);
        match text.get(at) {
            Some(b'"') => return Ok((at + 1, has_escapes)),
            Some(b'\\') => {
                at = escape_end(text, at)?;
                has_escapes = true;
            }
            Some(_) => return fault(at, "raw control character in a string"),
            None => return fault(text.len(), "unterminated string"),
        }
    }
}

/// The offset of the first byte from `from` on that ends a run of ordinary ones.
fn run_end(text: &[u8], from: usize) -> usize {
    let from = match near_end(text, from) {
        Ok(end) => return end,
        Err(far) => far,
    };
    let rest = text.get(from..).unwrap_or_default();
    let run = &rest[..memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len())];
    // By the lowest byte and without early exit, so that it compiles to SIMD.
    if run.iter().fold(u8::MAX, |lowest, byte| lowest.min(*byte)) >= 0x20 {
        return from + run.len();
    }
    from + run.iter().position(|byte| *byte < 0x20).unwrap_or(run.len())
}

/// The offset just past a valid string whose opening quote is at `start`.
pub(crate) fn valid_string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        at = near_end(text, at).unwrap_or_else(|far| {
            let rest = text.get(far..).unwrap_or_default();
            far + memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len())
        });
        match text.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return text.len(),
        }
    }
}

/// The offset just past a valid value that begins at `start`.
pub(crate) fn valid_value_end(text: &[u8], start: usize) -> usize {
    match text.get(start) {
        Some(b'"') => valid_string_end(text, start),
        Some(b'{' | b'[') => valid_container_end(text, start),
        _ => {
            let rest = text.get(start..).unwrap_or_default();
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            start + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

fn valid_container_end(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = valid_string_end(text, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return at + 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    text.len()
}

fn escape_end(text: &[u8], backslash: usize) -> Result<usize, Fault> {
    match text.get(backslash + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(backslash + 2),
        Some(b'u') => {
            let digits = text.get(backslash + 2..backslash + 6);
            if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                Ok(backslash + 6)
            } else {
                fault(backslash, "\\u needs four hexadecimal digits")
            }
        }
        Some(_) => fault(backslash, "unknown escape in a string"),
        None => fault(text.len(), "unterminated string"),
    }
}

/// The offset just past a number that begins at `start`.
pub(crate) fn number_end(text: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start + usize::from(text[start] == b'-');
    at = match text.get(at) {
        Some(b'0') => at + 1,
        _ => digits_end(text, at)?,
    };
    if text.get(at) == Some(&b'.') {
        at = digits_end(text, at + 1)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = matches!(text.get(at + 1), Some(b'+' | b'-'));
        at = digits_end(text, at + 1 + usize::from(sign))?;
    }
    Ok(at)
}

/// The offset just past at least one digit.
fn digits_end(text: &[u8], start: usize) -> Result<usize, Fault> {
    let rest = text.get(start..).unwrap_or_default();
    match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => fault(start.min(text.len()), "expected a digit"),
        count => Ok(start + count),
    }
}

/// The offset just past `word`, which must stand at `start`.
pub(crate) fn literal_end(text: &[u8], start: usize, word: &str) -> Result<usize, Fault> {
    if text[start..].starts_with(word.as_bytes()) {
        Ok(start + word.len())
    } else {
        fault(start, "expected a JSON value")
    }
}
