//! The ends of JSON's smallest parts: strings, numbers, literals (RFC 8259, sections 3, 6 and 7).

use super::problem::Fault;

fn fault<T>(offset: usize, reason: &'static str) -> Result<T, Fault> {
    Err(Fault { offset, reason })
}

/// The offset just past a string whose opening quote is at `start`.
pub(crate) fn string_end(text: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start + 1;
    loop {
        let Some(run) = memchr::memchr2(b'"', b'\\', &text[at..]) else {
            check_no_control(text, at, text.len())?;
            return fault(text.len(), "unterminated string");
        };
        check_no_control(text, at, at + run)?;
        at += run;
        if text[at] == b'"' {
            return Ok(at + 1);
        }
        at = escape_end(text, at)?;
    }
}

/// Refuses raw control characters, by the lowest byte and without early exit so that it compiles to SIMD.
fn check_no_control(text: &[u8], from: usize, to: usize) -> Result<(), Fault> {
    let run = &text[from..to];
    if run.iter().fold(u8::MAX, |lowest, byte| lowest.min(*byte)) < 0x20 {
        let offset = run.iter().position(|byte| *byte < 0x20).unwrap_or(0);
        return fault(from + offset, "raw control character in a string");
    }
    Ok(())
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
