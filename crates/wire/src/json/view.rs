//! A look into validated JSON text: kinds, members, elements, scalars, all without a tree.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::lex::{valid_string_end, valid_value_end};
use super::problem::{JsonProblem, check_utf8};
use super::scan::Scanner;
use super::text::unquote;

/// The kind of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{...}`
    Object,
    /// `[...]`
    Array,
    /// `"..."`
    String,
    /// A number of any spelling.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// One value inside validated JSON text. A look one level down costs one scan of the value.
#[derive(Clone, Copy)]
pub struct View<'a> {
    text: &'a str,
}

impl<'a> View<'a> {
    /// Validates `text` as one JSON value of any depth.
    ///
    /// # Errors
    /// The first fault with its place.
    pub fn parse(text: &'a [u8]) -> Result<Self, JsonProblem> {
        let whole = check_utf8(text)?;
        let mut scanner = Scanner::new(text);
        let mut span = 0..0;
        let next = |scanner: &mut Scanner<'_>| {
            scanner.next_event().map_err(|fault| JsonProblem::new(text, fault))
        };
        while let Some(event) = next(&mut scanner)? {
            if event.depth == 0 {
                let start = if event.token.is_end() { span.start } else { event.span.start };
                span = start..event.span.end;
            }
        }
        Ok(Self { text: &whole[span] })
    }

    /// The value's exact bytes, without space around them.
    pub fn raw(self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The value's kind.
    pub fn kind(self) -> Kind {
        match self.raw().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// Whether the value is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The members of an object in order, duplicates included; none for another kind.
    pub fn members(self) -> Members<'a> {
        Members(Children::of(self, Kind::Object))
    }

    /// The elements of an array in order; none for another kind.
    pub fn elements(self) -> Elements<'a> {
        Elements(Children::of(self, Kind::Array))
    }

    /// Where the elements of an array lie in its text; none for another kind.
    pub(crate) fn element_spans(self) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let mut children = Children::of(self, Kind::Array);
        std::iter::from_fn(move || children.next_spans().map(|(_, span)| span))
    }

    /// The member named `key`; of duplicates the last.
    pub fn get(self, key: &str) -> Option<View<'a>> {
        self.members().filter(|(name, _)| name == key).last().map(|(_, value)| value)
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        (self.kind() == Kind::String).then(|| unquote(self.text))
    }

    /// A whole number from 0 to 2^64-1; `12.0` and `1e3` count as whole numbers up to 2^53.
    pub fn as_u64(self) -> Option<u64> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let text = Some(self.text).filter(|_| self.kind() == Kind::Number)?;
        text.parse().ok().or_else(|| {
            let number: f64 = text.parse().ok()?;
            ((0.0..=EXACT).contains(&number) && number.fract() == 0.0).then_some(number as u64)
        })
    }

    /// A boolean.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.text.starts_with('t'))
    }

    /// Whether the value is a non-empty string, array or object.
    pub(crate) fn is_filled(self) -> bool {
        match self.kind() {
            Kind::String => self.text.len() > 2,
            Kind::Array => self.elements().next().is_some(),
            Kind::Object => self.members().next().is_some(),
            Kind::Number | Kind::Bool | Kind::Null => false,
        }
    }

    /// Views part of already validated text.
    pub(crate) const fn of_checked(text: &'a str) -> Self {
        Self { text }
    }

    /// The same of bytes.
    pub(crate) fn of_valid(text: &'a [u8]) -> Self {
        Self { text: std::str::from_utf8(text).unwrap_or_default() }
    }
}

/// Shows kind and size only: contents are prompts and answers, which no log may hold.
impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View({:?}, {} bytes)", self.kind(), self.text.len())
    }
}

/// The values one level down, each with the key that stood before it. What was validated once is
/// not validated again.
#[derive(Debug)]
struct Children<'a> {
    text: &'a str,
    at: usize,
    is_object: bool,
}

impl<'a> Children<'a> {
    fn of(view: View<'a>, kind: Kind) -> Self {
        let text = if view.kind() == kind { view.text } else { "" };
        Self { text, at: 1, is_object: kind == Kind::Object }
    }

    fn next_child(&mut self) -> Option<(Option<&'a str>, View<'a>)> {
        let (key, value) = self.next_spans()?;
        let text = &self.text[value];
        Some((key.map(|key| &self.text[key]), View { text }))
    }

    fn next_spans(&mut self) -> Option<(Option<Range<usize>>, Range<usize>)> {
        let start = self.next_start()?;
        if !self.is_object {
            return Some((None, self.value_from(start)));
        }
        let key = start..valid_string_end(self.text.as_bytes(), start);
        self.at = key.end;
        let start = self.next_start()?;
        Some((Some(key), self.value_from(start)))
    }

    /// Where the next key or value begins; `None` at the end.
    fn next_start(&mut self) -> Option<usize> {
        let between = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':');
        let rest = self.text.as_bytes().get(self.at..)?;
        let ahead = rest.iter().position(|byte| !between(byte))?;
        self.at += ahead;
        (!matches!(rest[ahead], b'}' | b']')).then_some(self.at)
    }

    fn value_from(&mut self, start: usize) -> Range<usize> {
        self.at = valid_value_end(self.text.as_bytes(), start);
        start..self.at
    }
}

/// Iterator over an object's members: key (unescaped) and value.
#[derive(Debug)]
pub struct Members<'a>(Children<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, View<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.0.next_child()?;
        Some((unquote(key.unwrap_or_default()), value))
    }
}

/// Iterator over an array's elements.
#[derive(Debug)]
pub struct Elements<'a>(Children<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = View<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_child().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(text: &str) -> View<'_> {
        View::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn members_and_elements_are_seen_one_level_down() {
        let value = view(r#" {"a":[1,{"b":2}],"\u0062":{"a":null}, "a" : "x"} "#);
        let seen: Vec<_> = value.members().map(|(k, v)| (k.into_owned(), v.raw())).collect();
        assert_eq!(seen[0], ("a".to_owned(), &br#"[1,{"b":2}]"#[..]));
        assert_eq!(seen[1], ("b".to_owned(), &br#"{"a":null}"#[..]));
        assert_eq!(value.get("a").unwrap().as_str().unwrap(), "x");
        let list: Vec<_> = view("[ [], 2 ,{} ]").elements().map(View::raw).collect();
        assert_eq!(list, [&b"[]"[..], b"2", b"{}"]);
        assert!(view("[]").members().next().is_none());
    }

    #[test]
    fn only_whole_numbers_in_range_are_numbers() {
        let table = [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("12.0", Some(12)),
            ("1e3", Some(1000)),
            ("1.5", None),
            ("1e999", None),
            ("\"7\"", None),
            ("null", None),
        ];
        for (text, number) in table {
            assert_eq!(view(text).as_u64(), number, "{text}");
        }
    }
}
