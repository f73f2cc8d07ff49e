//! The scanner: one pass over JSON text, one event for each token, depth as a counter and one bit.

use std::ops::Range;

use super::lex::{literal_end, number_end, string_end};
use super::problem::Fault;

/// What a scanner met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Key,
    Text,
    Number,
    True,
    False,
    Null,
}

impl Token {
    pub(crate) fn is_start(self) -> bool {
        matches!(self, Self::ObjectStart | Self::ArrayStart)
    }

    pub(crate) fn is_end(self) -> bool {
        matches!(self, Self::ObjectEnd | Self::ArrayEnd)
    }
}

/// One token and its place. A key or string's span includes its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) token: Token,
    pub(crate) span: Range<usize>,
    /// How many objects and arrays are around the token; its own brackets do not count.
    pub(crate) depth: usize,
    /// Whether it is a key or string with escapes.
    pub(crate) has_escapes: bool,
}

#[derive(Debug, Clone, Copy)]
enum Expect {
    Value,
    FirstKey,
    FirstElement,
    Next,
}

/// Open containers, one bit each: 100,000 levels take 12.5 kB.
#[derive(Debug, Default)]
struct Nesting {
    /// The innermost ones, the last in the lowest bit.
    inner: u64,
    /// Those around them, 64 in each; common texts have none.
    outer: Vec<u64>,
    depth: usize,
}

impl Nesting {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.inner);
        }
        self.inner = self.inner << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.inner >>= 1;
        if self.depth.is_multiple_of(64) {
            self.inner = self.outer.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost container is an object; `None` outside of all.
    fn in_object(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.inner & 1 == 1)
    }
}

/// Reads one JSON text. After a fault it must not be asked again.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    nesting: Nesting,
    expect: Expect,
}

#[expect(clippy::inline_always, reason = "a fifth less for each token, in loops of four readers")]
impl<'a> Scanner<'a> {
    /// Scans `text`, whose UTF-8 the caller has checked or checks.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, nesting: Nesting::default(), expect: Expect::Value }
    }

    /// The next token, or `None` after one whole value and nothing else.
    #[inline(always)]
    pub(crate) fn next_event(&mut self) -> Result<Option<Event>, Fault> {
        self.skip_space();
        match (self.expect, self.peek()) {
            (Expect::FirstKey, Some(b'}')) => Ok(Some(self.close(Token::ObjectEnd))),
            (Expect::FirstElement, Some(b']')) => Ok(Some(self.close(Token::ArrayEnd))),
            (Expect::FirstKey, _) => self.key().map(Some),
            (Expect::FirstElement | Expect::Value, _) => self.value().map(Some),
            (Expect::Next, next) => self.follow(next),
        }
    }

    #[inline(always)]
    fn follow(&mut self, next: Option<u8>) -> Result<Option<Event>, Fault> {
        match (self.nesting.in_object(), next) {
            (None, None) => Ok(None),
            (None, Some(_)) => self.fault("characters after the end of the JSON value"),
            (Some(is_object), Some(b',')) => {
                self.at += 1;
                self.skip_space();
                if is_object { self.key() } else { self.value() }.map(Some)
            }
            (Some(true), Some(b'}')) => Ok(Some(self.close(Token::ObjectEnd))),
            (Some(false), Some(b']')) => Ok(Some(self.close(Token::ArrayEnd))),
            (Some(true), _) => self.fault("expected `,` or `}`"),
            (Some(false), _) => self.fault("expected `,` or `]`"),
        }
    }

    #[inline(always)]
    fn key(&mut self) -> Result<Event, Fault> {
        if self.peek() != Some(b'"') {
            return self.fault("expected a string as key");
        }
        let start = self.at;
        let (end, has_escapes) = string_end(self.text, start)?;
        let event =
            Event { token: Token::Key, span: start..end, depth: self.nesting.depth, has_escapes };
        self.at = end;
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.fault("expected `:`");
        }
        self.at += 1;
        self.expect = Expect::Value;
        Ok(event)
    }

    #[inline(always)]
    fn value(&mut self) -> Result<Event, Fault> {
        let (text, start) = (self.text, self.at);
        let mut has_escapes = false;
        let (token, end) = match self.peek() {
            Some(b'{') => return Ok(self.open(Token::ObjectStart, Expect::FirstKey)),
            Some(b'[') => return Ok(self.open(Token::ArrayStart, Expect::FirstElement)),
            Some(b'"') => {
                let (end, escapes) = string_end(text, start)?;
                has_escapes = escapes;
                (Token::Text, end)
            }
            Some(b'-' | b'0'..=b'9') => (Token::Number, number_end(text, start)?),
            Some(b't') => (Token::True, literal_end(text, start, "true")?),
            Some(b'f') => (Token::False, literal_end(text, start, "false")?),
            Some(b'n') => (Token::Null, literal_end(text, start, "null")?),
            Some(_) => return self.fault("expected a JSON value"),
            None => return self.fault("unexpected end, expected a JSON value"),
        };
        self.at = end;
        self.expect = Expect::Next;
        Ok(Event { token, span: start..end, depth: self.nesting.depth, has_escapes })
    }

    #[inline(always)]
    fn open(&mut self, token: Token, expect: Expect) -> Event {
        let event = self.bracket(token, self.at);
        self.nesting.push(token == Token::ObjectStart);
        self.expect = expect;
        self.at += 1;
        event
    }

    #[inline(always)]
    fn close(&mut self, token: Token) -> Event {
        self.nesting.pop();
        self.expect = Expect::Next;
        self.at += 1;
        self.bracket(token, self.at - 1)
    }

    #[inline(always)]
    fn bracket(&self, token: Token, at: usize) -> Event {
        Event { token, span: at..at + 1, depth: self.nesting.depth, has_escapes: false }
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn fault<T>(&self, reason: &'static str) -> Result<T, Fault> {
        Err(Fault { offset: self.at, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::View;

    fn reason(text: &str) -> String {
        View::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn faults_are_told_with_their_place() {
        let table = [
            ("", "unexpected end, expected a JSON value at line 1 column 1"),
            ("{", "expected a string as key at line 1 column 2"),
            ("{\"a\" 1}", "expected `:` at line 1 column 6"),
            ("{\"a\":1,}", "expected a string as key at line 1 column 8"),
            ("{\"a\":1\n\"b\"", "expected `,` or `}` at line 2 column 1"),
            ("[1 2]", "expected `,` or `]` at line 1 column 4"),
            ("[1,]", "expected a JSON value at line 1 column 4"),
            ("[1}", "expected `,` or `]` at line 1 column 3"),
            ("{} x", "characters after the end of the JSON value at line 1 column 4"),
            ("01", "characters after the end of the JSON value at line 1 column 2"),
            ("-", "expected a digit at line 1 column 2"),
            ("1.e1", "expected a digit at line 1 column 3"),
            ("1e+", "expected a digit at line 1 column 4"),
            ("+1", "expected a JSON value at line 1 column 1"),
            ("nul", "expected a JSON value at line 1 column 1"),
            ("NaN", "expected a JSON value at line 1 column 1"),
            ("\"a", "unterminated string at line 1 column 3"),
            ("\"a\\", "unterminated string at line 1 column 4"),
            ("\"\\x\"", "unknown escape in a string at line 1 column 2"),
            ("\"\\u12g4\"", "\\u needs four hexadecimal digits at line 1 column 2"),
            ("\"a\tb\"", "raw control character in a string at line 1 column 3"),
            ("\u{feff}{}", "expected a JSON value at line 1 column 1"),
        ];
        for (text, expected) in table {
            assert_eq!(reason(text), expected, "{text:?}");
        }
        let utf8 = View::parse(b"\"\xff\"").unwrap_err();
        assert_eq!(utf8.to_string(), "invalid UTF-8 at line 1 column 2");
    }

    #[test]
    fn every_spelling_of_a_value_passes() {
        let table = [
            "0",
            "-0",
            "10.25",
            "1e9",
            "1E+9",
            "-1.0e-99999",
            " true ",
            "false",
            "\r\n\tnull",
            "\"\\u00E4\\ud800\\/\u{7f}\"",
            "[[],{}]",
            "{\"\":{}}",
        ];
        for text in table {
            assert!(View::parse(text.as_bytes()).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn mixed_brackets_are_remembered_at_any_depth() {
        let levels = 200_000;
        let deep = format!("{}1{}", "[{\"a\":".repeat(levels), "}]".repeat(levels));
        assert!(View::parse(deep.as_bytes()).is_ok());
        let wrong = format!("{}1{}", "[{\"a\":".repeat(levels), "]}".repeat(levels));
        assert!(View::parse(wrong.as_bytes()).is_err());
    }
}
