//! Where the members of a top-level object lie, so that single ones can be changed in place.

use std::ops::Range;

use super::problem::{Fault, JsonProblem, check_utf8};
use super::scan::{Event, Scanner, Token};
use super::text::unquote_known;
use super::view::View;

/// More top-level members than any real body has. The bound keeps a body of tiny members from
/// costing many times its own size in memory.
const MAX_MEMBERS: usize = 4096;

/// One member of a top-level object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The key, unescaped.
    pub key: String,
    /// Bytes of the key with its quotes.
    pub key_span: Range<usize>,
    /// Bytes of the value.
    pub value: Range<usize>,
}

impl Member {
    /// Bytes from the key's opening quote to the value's end, without separating commas.
    pub fn span(&self) -> Range<usize> {
        self.key_span.start..self.value.end
    }

    /// The value in the text that the layout was read from.
    pub fn view<'a>(&self, text: &'a [u8]) -> Option<View<'a>> {
        text.get(self.value.clone()).map(View::of_valid)
    }
}

/// The places of a top-level object's braces and members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Offset just past `{`.
    pub open: usize,
    /// Offset of the closing `}`.
    pub close: usize,
    /// All members in order, duplicates included.
    pub members: Vec<Member>,
}

impl Layout {
    /// Validates `text` as one JSON object and notes where its members lie.
    ///
    /// # Errors
    /// The first fault, another kind of value, or more than 4096 members.
    pub fn of(text: &[u8]) -> Result<Self, JsonProblem> {
        let whole = check_utf8(text)?;
        let mut builder = LayoutBuilder::default();
        let problem = |fault| JsonProblem::new(text, fault);
        let mut scanner = Scanner::new(text);
        while let Some(event) = scanner.next_event().map_err(problem)? {
            builder.note(whole, &event).map_err(problem)?;
        }
        Ok(builder.layout)
    }

    /// The members named `key`, with their indexes.
    pub fn named<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (usize, &'a Member)> {
        self.members.iter().enumerate().filter(move |(_, member)| member.key == key)
    }
}

/// Collects a layout from scanner events.
#[derive(Debug, Default)]
pub(crate) struct LayoutBuilder {
    pub(crate) layout: Layout,
    key: Range<usize>,
    key_has_escapes: bool,
    value_start: usize,
}

impl LayoutBuilder {
    pub(crate) fn note(&mut self, text: &str, event: &Event) -> Result<(), Fault> {
        let Event { token, span, depth, has_escapes } = event;
        match (depth, token) {
            (0, Token::ObjectStart) => self.layout.open = span.end,
            (0, Token::ObjectEnd) => self.layout.close = span.start,
            (0, _) => {
                return Err(Fault { offset: span.start, reason: "must be a JSON object" });
            }
            (1, Token::Key) => (self.key, self.key_has_escapes) = (span.clone(), *has_escapes),
            (1, token) if token.is_start() => self.value_start = span.start,
            (1, token) if token.is_end() => self.push(text, self.value_start..span.end)?,
            (1, _) => self.push(text, span.clone())?,
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, text: &str, value: Range<usize>) -> Result<(), Fault> {
        if self.layout.members.len() == MAX_MEMBERS {
            return Err(Fault { offset: self.key.start, reason: "too many members" });
        }
        let key = unquote_known(&text[self.key.clone()], self.key_has_escapes).into_owned();
        self.layout.members.push(Member { key, key_span: self.key.clone(), value });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_has_its_place() {
        let text = br#" { "a" : [1] , "\u0061":2} "#;
        let layout = Layout::of(text).unwrap();
        assert_eq!((layout.open, layout.close), (2, 25));
        assert_eq!(&text[layout.members[0].span()], br#""a" : [1]"#);
        assert_eq!(&text[layout.members[1].value.clone()], b"2");
        assert_eq!(layout.named("a").count(), 2);
    }

    #[test]
    fn only_an_object_has_a_layout() {
        for text in ["[]", "1", "\"x\"", "null"] {
            let problem = Layout::of(text.as_bytes()).unwrap_err();
            assert_eq!(problem.reason, "must be a JSON object", "{text}");
        }
    }

    #[test]
    fn a_flood_of_members_is_refused() {
        let text = format!("{{{}\"z\":1}}", "\"a\":1,".repeat(MAX_MEMBERS));
        assert_eq!(Layout::of(text.as_bytes()).unwrap_err().reason, "too many members");
    }
}
