//! One event: its exact bytes and what its fields say.

use std::borrow::Cow;

use bytes::Bytes;

use super::{BOM, DONE, data_event};

/// What the fields of an event say.
#[derive(Debug, Default)]
pub struct Said<'a> {
    /// The values of all `data` fields, joined by line feeds; `None` if there are none.
    pub data: Option<Cow<'a, [u8]>>,
    /// The event's name, from its last `event` field; `None` if absent, empty or not UTF-8.
    pub name: Option<&'a str>,
    /// Whether there are fields at all; else there are comments, or nothing.
    pub has_fields: bool,
}

impl<'a> Said<'a> {
    fn add_data(&mut self, value: &'a [u8]) {
        let Some(data) = &mut self.data else {
            self.data = Some(Cow::Borrowed(value));
            return;
        };
        let data = data.to_mut();
        data.push(b'\n');
        data.extend_from_slice(value);
    }

    /// Whether there is data and that says nothing.
    pub fn has_empty_data(&self) -> bool {
        self.data.as_ref().is_some_and(|data| data.trim_ascii().is_empty())
    }
}

/// One event as it came, with the blank line that ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    raw: Bytes,
    is_first: bool,
    is_terminated: bool,
}

impl Event {
    pub(super) fn new(raw: Bytes, is_first: bool, is_terminated: bool) -> Self {
        Self { raw, is_first, is_terminated }
    }

    /// The exact bytes, with the ending blank line.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Whether the ending blank line came; false only for what a cut stream left over.
    pub fn is_terminated(&self) -> bool {
        self.is_terminated
    }

    /// What its fields say, read in one pass.
    pub fn said(&self) -> Said<'_> {
        let mut said = Said::default();
        for (name, value) in self.fields() {
            said.has_fields = true;
            match name {
                b"data" => said.add_data(value),
                b"event" => said.name = std::str::from_utf8(value).ok(),
                _ => {}
            }
        }
        said.name = said.name.filter(|name| !name.is_empty());
        said
    }

    /// The data: the values of all `data` fields, joined by line feeds. Empty if there are none.
    pub fn data(&self) -> Cow<'_, [u8]> {
        self.said().data.unwrap_or_default()
    }

    /// The event's name, from its last `event` field; `None` if absent, empty or not UTF-8.
    pub fn name(&self) -> Option<&str> {
        self.said().name
    }

    /// The bytes of an event that ends the stream: its own, if its data is `[DONE]` to the letter,
    /// since some clients compare no other way.
    pub fn end_mark(&self) -> Bytes {
        let is_exact = *self.data() == *b"[DONE]";
        if is_exact { self.raw.clone() } else { Bytes::from_static(DONE) }
    }

    /// The event with other data, which must hold no line end. The rest of it stays as it is, if
    /// its own data is in one line, too.
    #[must_use]
    pub fn with_data(&self, data: &[u8]) -> Self {
        let raw = match self.data() {
            Cow::Borrowed(own) if !own.is_empty() => {
                let start = own.as_ptr() as usize - self.raw.as_ptr() as usize;
                let (before, after) = (&self.raw[..start], &self.raw[start + own.len()..]);
                [before, data, after].concat().into()
            }
            Cow::Borrowed(_) | Cow::Owned(_) => data_event(data),
        };
        Self { raw, ..*self }
    }

    fn content(&self) -> &[u8] {
        let without_bom = self.raw.strip_prefix(BOM).filter(|_| self.is_first);
        without_bom.unwrap_or(&self.raw)
    }

    /// Between CR and LF of a CRLF this sees an empty line, which is no field either way.
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(self.content());
        std::iter::from_fn(move || {
            let text = rest?;
            let end = memchr::memchr2(b'\n', b'\r', text);
            rest = end.map(|end| &text[end + 1..]);
            Some(&text[..end.unwrap_or(text.len())])
        })
    }

    /// Name and value of each field line; comments and blank lines are passed over.
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines().filter(|line| !line.is_empty() && line[0] != b':').map(|line| {
            let Some(colon) = memchr::memchr(b':', line) else {
                return (line, &[][..]);
            };
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(raw: &'static str) -> Event {
        Event::new(Bytes::from_static(raw.as_bytes()), true, true)
    }

    #[test]
    fn fields_are_read_in_every_spelling() {
        let table: [(&str, &str, Option<&str>); 10] = [
            ("data: a\n\n", "a", None),
            ("data:a\r\n\r\n", "a", None),
            ("data:  a\r\r", " a", None),
            ("data: a\ndata:b\r\ndata\n\n", "a\nb\n", None),
            ("event: ping\ndata: {}\n\n", "{}", Some("ping")),
            ("event:x\nevent:error\n\n", "", Some("error")),
            ("event\ndata: a\n\n", "a", None),
            ("\u{feff}data: a\n\n", "a", None),
            (": note\nid: 7\ndata: a:b\n\n", "a:b", None),
            (" data: a\ndatax: b\n\n", "", None),
        ];
        for (raw, data, name) in table {
            assert_eq!(event(raw).data(), data.as_bytes(), "{raw:?}");
            assert_eq!(event(raw).name(), name, "{raw:?}");
        }
    }

    #[test]
    fn comments_and_blank_lines_are_no_fields() {
        for (raw, has_fields) in [
            (": keep-alive\r\n\r\n", false),
            ("\n", false),
            ("\u{feff}\n", false),
            (": note\ndata: a\n\n", true),
            ("id\n\n", true),
        ] {
            assert_eq!(event(raw).said().has_fields, has_fields, "{raw:?}");
        }
    }

    #[test]
    fn data_that_says_nothing_is_known() {
        for (raw, is_empty) in [
            ("data:\n\n", true),
            ("data: \ndata:\t\r\n\r\n", true),
            ("data:\ndata: a\n\n", false),
            ("id: 7\n\n", false),
        ] {
            assert_eq!(event(raw).said().has_empty_data(), is_empty, "{raw:?}");
        }
    }

    #[test]
    fn an_end_mark_is_exact() {
        for kept in ["data: [DONE]\r\n\r\n", "data:[DONE]\n\n", "event: done\ndata: [DONE]\n\n"] {
            assert_eq!(event(kept).end_mark(), kept);
        }
        for mended in ["data:  [DONE] \n\n", "data: [DONE]\t\r\r", "data:\ndata: [DONE]\n\n"] {
            assert_eq!(event(mended).end_mark(), DONE, "{mended:?}");
        }
    }

    #[test]
    fn data_is_replaced_in_its_place() {
        let table = [
            ("id: 7\r\ndata:old\r\n\r\n", "id: 7\r\ndata:new\r\n\r\n"),
            ("data: o\ndata: ld\n\n", "data: new\n\n"),
            ("id: 7\n\n", "data: new\n\n"),
        ];
        for (raw, expected) in table {
            assert_eq!(event(raw).with_data(b"new").raw(), expected);
        }
    }

    #[test]
    fn one_line_of_data_is_not_copied() {
        assert!(matches!(event("data: a\n\n").data(), Cow::Borrowed(_)));
    }
}
