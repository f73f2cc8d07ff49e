//! Small changes to a JSON object's text. What is not changed stays byte for byte and is not
//! copied.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::json::{Layout, quote};

/// One change to a top-level object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Puts raw JSON in the place of a value, or any other bytes in the place of some anywhere
    /// inside the object, as long as JSON comes out.
    Replace {
        /// Bytes of the original, at least one.
        span: Range<usize>,
        /// What comes in their place; nothing takes them out.
        with: Bytes,
    },
    /// Takes a top-level member out, with one comma. Wins over other edits of that member.
    Remove(usize),
    /// Gives a top-level member another key.
    Rename {
        /// Index of the member in the layout.
        index: usize,
        /// The new key, unescaped.
        to: String,
    },
    /// Adds a member at the end.
    Append {
        /// The key, unescaped.
        key: String,
        /// The value, valid JSON.
        value: Bytes,
    },
}

impl Edit {
    /// The edits that give `key` one raw JSON value: every occurrence replaced, or one appended.
    pub fn set(layout: &Layout, key: &str, value: &Bytes) -> Vec<Self> {
        let replaced: Vec<_> = layout
            .named(key)
            .map(|(_, member)| Self::Replace { span: member.value.clone(), with: value.clone() })
            .collect();
        if replaced.is_empty() {
            return vec![Self::Append { key: key.to_owned(), value: value.clone() }];
        }
        replaced
    }

    /// The edits that remove every member named `key`.
    pub fn unset(layout: &Layout, key: &str) -> Vec<Self> {
        layout.named(key).map(|(index, _)| Self::Remove(index)).collect()
    }
}

/// An edited text as pieces: slices of the original and inserted bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spliced {
    /// The pieces in order, none of them empty.
    pub segments: Vec<Bytes>,
    /// Length of all pieces in bytes.
    pub len: usize,
}

impl Spliced {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.segments.push(piece);
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces as one; copies only when there are several.
    pub fn to_bytes(&self) -> Bytes {
        if let [only] = self.segments.as_slice() {
            return only.clone();
        }
        let mut whole = BytesMut::with_capacity(self.len);
        self.segments.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }
}

/// A range of the original and what comes in its place.
struct Cut {
    span: Range<usize>,
    with: Bytes,
}

/// Applies `edits` to `body`, whose layout is `layout`.
///
/// Where two edits touch the same bytes the wider one wins, of equals the later. Edits outside
/// the object or of members that do not exist are passed over.
pub fn splice(body: &Bytes, layout: &Layout, edits: &[Edit]) -> Spliced {
    let kept = kept_members(layout, edits);
    let mut cuts: Vec<_> =
        removals(layout, &kept).into_iter().map(|span| Cut { span, with: Bytes::new() }).collect();
    cuts.extend(edits.iter().rev().filter_map(|edit| replacement(layout, edit)));
    cuts.sort_by_key(|cut| (cut.span.start, std::cmp::Reverse(cut.span.end)));

    let end = layout.members.last().map_or(layout.open, |member| member.value.end);
    let mut spliced = Spliced::default();
    let mut at = 0;
    for cut in cuts.into_iter().filter(|cut| cut.span.end <= end) {
        if cut.span.start >= at {
            spliced.push(body.slice(at..cut.span.start));
            spliced.push(cut.with);
            at = cut.span.end;
        }
    }
    spliced.push(body.slice(at..end));
    spliced.push(appended(edits, kept.contains(&true)));
    spliced.push(body.slice(end..));
    spliced
}

fn kept_members(layout: &Layout, edits: &[Edit]) -> Vec<bool> {
    let mut kept = vec![true; layout.members.len()];
    for edit in edits {
        if let Edit::Remove(index) = edit
            && let Some(keep) = kept.get_mut(*index)
        {
            *keep = false;
        }
    }
    kept
}

/// The bytes of the members that are not kept: one takes the comma after it along, a run at the
/// end the one before. `kept` is as long as the layout has members.
pub(crate) fn removals(layout: &Layout, kept: &[bool]) -> Vec<Range<usize>> {
    let members = &layout.members;
    let tail = kept.iter().rposition(|keep| *keep).map_or(0, |last| last + 1);
    let mut spans: Vec<_> = (0..tail)
        .filter(|index| !kept[*index])
        .map(|index| members[index].key_span.start..members[index + 1].key_span.start)
        .collect();
    if let (Some(first), Some(last)) = (members.get(tail), members.last()) {
        let previous = tail.checked_sub(1).map(|index| members[index].value.end);
        spans.push(previous.unwrap_or(first.key_span.start)..last.value.end);
    }
    spans
}

fn replacement(layout: &Layout, edit: &Edit) -> Option<Cut> {
    match edit {
        Edit::Replace { span, with } => {
            let inside = layout.open <= span.start && span.start < span.end;
            inside.then(|| Cut { span: span.clone(), with: with.clone() })
        }
        Edit::Rename { index, to } => {
            let span = layout.members.get(*index)?.key_span.clone();
            Some(Cut { span, with: quote(to) })
        }
        Edit::Remove(_) | Edit::Append { .. } => None,
    }
}

fn appended(edits: &[Edit], mut needs_comma: bool) -> Bytes {
    let mut text = BytesMut::new();
    for edit in edits {
        if let Edit::Append { key, value } = edit {
            if needs_comma {
                text.put_u8(b',');
            }
            needs_comma = true;
            text.extend_from_slice(&quote(key));
            text.put_u8(b':');
            text.extend_from_slice(value);
        }
    }
    text.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(body: &str, edits: impl Fn(&Layout) -> Vec<Edit>) -> String {
        let layout = Layout::of(body.as_bytes()).unwrap();
        let spliced = splice(&Bytes::from(body.to_owned()), &layout, &edits(&layout));
        assert_eq!(spliced.len, spliced.to_bytes().len());
        String::from_utf8(spliced.to_bytes().to_vec()).unwrap()
    }

    fn append(key: &str, value: &'static str) -> Edit {
        Edit::Append { key: key.to_owned(), value: Bytes::from_static(value.as_bytes()) }
    }

    #[test]
    fn commas_are_right_whatever_is_removed() {
        let body = "{ \"a\": 1 , \"b\":2,\"c\":3 }";
        let table: [(&[usize], &str); 8] = [
            (&[], "{ \"a\": 1 , \"b\":2,\"c\":3 }"),
            (&[0], "{ \"b\":2,\"c\":3 }"),
            (&[1], "{ \"a\": 1 , \"c\":3 }"),
            (&[2], "{ \"a\": 1 , \"b\":2 }"),
            (&[0, 1], "{ \"c\":3 }"),
            (&[1, 2], "{ \"a\": 1 }"),
            (&[0, 2], "{ \"b\":2 }"),
            (&[0, 1, 2, 9], "{  }"),
        ];
        for (removed, expected) in table {
            let removals = |_: &Layout| removed.iter().map(|i| Edit::Remove(*i)).collect();
            assert_eq!(edited(body, removals), expected, "{removed:?}");
        }
    }

    #[test]
    fn members_are_appended_to_full_and_empty_objects() {
        assert_eq!(edited("{}", |_| vec![append("k\"", "1")]), r#"{"k\"":1}"#);
        assert_eq!(
            edited(" { } ", |_| vec![append("a", "1"), append("b", "2")]),
            r#" {"a":1,"b":2 } "#
        );
        assert_eq!(edited("{\"a\":1 }", |_| vec![append("b", "2")]), "{\"a\":1,\"b\":2 }");
        let both = |_: &Layout| vec![Edit::Remove(0), append("b", "2")];
        assert_eq!(edited("{\"a\":1}", both), "{\"b\":2}");
    }

    #[test]
    fn a_value_is_set_wherever_it_stands() {
        let set = |layout: &Layout| Edit::set(layout, "model", &Bytes::from_static(b"\"x\""));
        assert_eq!(
            edited(r#"{"model":"a","n":1,"model" : null}"#, set),
            r#"{"model":"x","n":1,"model" : "x"}"#
        );
        assert_eq!(edited(r#"{"n":1}"#, set), r#"{"n":1,"model":"x"}"#);
        let unset = |layout: &Layout| Edit::unset(layout, "n");
        assert_eq!(edited(r#"{"n":1,"a":2,"n":3}"#, unset), r#"{"a":2}"#);
    }

    #[test]
    fn a_key_is_renamed_in_place() {
        let rename = |_: &Layout| vec![Edit::Rename { index: 0, to: "max_tokens".to_owned() }];
        assert_eq!(
            edited(r#"{"max_completion_tokens" : 1.0e2}"#, rename),
            r#"{"max_tokens" : 1.0e2}"#
        );
    }

    #[test]
    fn overlapping_and_absurd_edits_do_no_harm() {
        let body = r#"{"a":{"b":1},"c":2} "#;
        let replace = |span, with: &'static str| Edit::Replace {
            span,
            with: Bytes::from_static(with.as_bytes()),
        };
        let wider =
            |_: &Layout| vec![replace(10..11, "8"), replace(5..12, "9"), replace(5..12, "7")];
        assert_eq!(edited(body, wider), r#"{"a":7,"c":2} "#);
        let removed = |_: &Layout| vec![replace(10..11, "8"), Edit::Remove(0)];
        assert_eq!(edited(body, removed), r#"{"c":2} "#);
        #[expect(clippy::reversed_empty_ranges, reason = "a caller's slip must not panic")]
        let absurd = |_: &Layout| {
            vec![
                replace(0..1, "x"),
                replace(9..3, "x"),
                replace(18..99, "x"),
                Edit::Rename { index: 7, to: String::new() },
            ]
        };
        assert_eq!(edited(body, absurd), body);
    }

    #[test]
    fn what_stays_is_not_copied() {
        let body = Bytes::from_static(br#"{"a":1,"model":"x","z":2}"#);
        let layout = Layout::of(&body).unwrap();
        let edits = Edit::set(&layout, "model", &Bytes::from_static(b"\"y\""));
        let spliced = splice(&body, &layout, &edits);
        assert_eq!(spliced.segments[0].as_ptr(), body.as_ptr());
        assert_eq!(spliced.segments.len(), 4);
    }
}
