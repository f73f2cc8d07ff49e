//! What is wrong with a body and where, in words a caller can act on.

use std::borrow::Cow;
use std::fmt;

/// A fault at a byte offset, before anybody counted lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) reason: &'static str,
}

/// Why a body cannot be used, and the place of the fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonProblem {
    /// Offset of the fault in bytes from the start of the body.
    pub offset: usize,
    /// Line of the fault, from 1.
    pub line: usize,
    /// Column of the fault in characters, from 1.
    pub column: usize,
    /// What was expected, in a few words.
    pub reason: Cow<'static, str>,
    /// The request parameter at fault, where it is one.
    pub param: Option<&'static str>,
}

impl JsonProblem {
    pub(crate) fn new(text: &[u8], fault: Fault) -> Self {
        let before = text.get(..fault.offset).unwrap_or(text);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let is_first_byte_of_a_char = |byte: &&u8| (**byte & 0xC0) != 0x80;
        Self {
            offset: fault.offset,
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before[line_start..].iter().filter(is_first_byte_of_a_char).count() + 1,
            reason: Cow::Borrowed(fault.reason),
            param: None,
        }
    }

    /// A problem with one named request parameter.
    pub(crate) fn in_param(text: &[u8], offset: usize, param: &'static str, demand: &str) -> Self {
        let mut problem = Self::new(text, Fault { offset, reason: "" });
        problem.reason = Cow::Owned(format!("`{param}` {demand}"));
        problem.param = Some(param);
        problem
    }
}

impl fmt::Display for JsonProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {} column {}", self.reason, self.line, self.column)
    }
}

impl std::error::Error for JsonProblem {}

/// Checks the encoding of a whole body. The standard library's check takes half of the time that a
/// long prompt is read in; a vector unit's does not.
pub(crate) fn check_utf8(text: &[u8]) -> Result<&str, JsonProblem> {
    simdutf8::compat::from_utf8(text).map_err(|error| {
        let fault = Fault { offset: error.valid_up_to(), reason: "invalid UTF-8" };
        JsonProblem::new(text, fault)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_told_in_lines_and_characters() {
        let text = "{\n \"ä\": x}".as_bytes();
        let problem = JsonProblem::new(text, Fault { offset: 9, reason: "expected a value" });
        assert_eq!((problem.line, problem.column), (2, 7));
        assert_eq!(problem.to_string(), "expected a value at line 2 column 7");
    }
}
