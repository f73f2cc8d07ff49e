//! An object inside a body, whose members can be looked at and changed in place.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::json::{Layout, View, quote};
use crate::splice::{Edit, removals};

/// The objects among the elements of the array at `array`; none if there is no array.
pub(super) fn objects(body: &[u8], array: Range<usize>) -> impl Iterator<Item = Object<'_>> {
    let start = array.start;
    let text = body.get(array).unwrap_or_default();
    View::of_valid(text)
        .element_spans()
        .filter_map(move |span| Object::at(body, start + span.start..start + span.end))
}

/// One object of a body, with the layout of its own members.
pub(super) struct Object<'a> {
    body: &'a [u8],
    start: usize,
    layout: Layout,
}

impl<'a> Object<'a> {
    fn at(body: &'a [u8], span: Range<usize>) -> Option<Self> {
        let start = span.start;
        let layout = Layout::of(body.get(span)?).ok()?;
        Some(Self { body, start, layout })
    }

    /// Where the values of the members named `key` lie in the body.
    pub(super) fn spans<'s>(&'s self, key: &'s str) -> impl Iterator<Item = Range<usize>> + 's {
        self.layout.named(key).map(|(_, member)| self.in_body(&member.value))
    }

    /// The value of the member named `key`; of duplicates the last.
    pub(super) fn value(&self, key: &str) -> Option<View<'a>> {
        let span = self.spans(key).last()?;
        self.body.get(span).map(View::of_valid)
    }

    /// What the string at `span` of the body says; `None` if another value is there.
    pub(super) fn text(&self, span: Range<usize>) -> Option<String> {
        let value = self.body.get(span).map(View::of_valid)?;
        value.as_str().map(Cow::into_owned)
    }

    /// The objects in the array that is the member named `key`.
    pub(super) fn objects<'s>(&'s self, key: &'s str) -> impl Iterator<Item = Object<'a>> + 's {
        self.spans(key).flat_map(|span| objects(self.body, span))
    }

    /// The object that is the member named `key`; of duplicates the last.
    pub(super) fn object(&self, key: &str) -> Option<Object<'a>> {
        Object::at(self.body, self.spans(key).last()?)
    }

    /// The edit that gives `key` a raw JSON value: the one that counts replaced, or one added.
    pub(super) fn with(&self, key: &str, value: Bytes) -> Edit {
        match self.spans(key).last() {
            Some(span) => Edit::Replace { span, with: value },
            None => self.added(key, &value),
        }
    }

    /// The edits that take out the members of these names.
    pub(super) fn without(&self, names: &[String]) -> Vec<Edit> {
        let members = self.layout.members.iter();
        let kept: Vec<_> = members.map(|member| !names.contains(&member.key)).collect();
        removals(&self.layout, &kept)
            .iter()
            .map(|span| Edit::Replace { span: self.in_body(span), with: Bytes::new() })
            .collect()
    }

    /// The edit that puts a member before the closing brace.
    fn added(&self, key: &str, value: &[u8]) -> Edit {
        let mut with = BytesMut::new();
        if !self.layout.members.is_empty() {
            with.put_u8(b',');
        }
        with.extend_from_slice(&quote(key));
        with.put_u8(b':');
        with.extend_from_slice(value);
        with.put_u8(b'}');
        let brace = self.layout.close..self.layout.close + 1;
        Edit::Replace { span: self.in_body(&brace), with: with.freeze() }
    }

    fn in_body(&self, span: &Range<usize>) -> Range<usize> {
        self.start + span.start..self.start + span.end
    }
}
