//! Pieces of an object that came in deltas, merged into the object they are pieces of.

use std::collections::BTreeMap;

use crate::json::{Kind, ObjectText, View, array_text};

/// More different keys than any object of a completion has; a flood of keys is cut off here.
const MAX_KEYS: usize = 64;

/// More tool calls than one message makes.
const MAX_CALLS: usize = 256;

/// An object under construction; keys keep the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Fields {
    list: Vec<(String, Merged)>,
}

#[derive(Debug)]
enum Merged {
    /// The inside of a JSON string, still escaped, so that even an escape pair that was cut in
    /// two grows together.
    Text(Vec<u8>),
    /// The inside of a JSON array.
    Items(Vec<u8>),
    Object(Fields),
    Calls(Calls),
    /// Any other value, the latest.
    Raw(Vec<u8>),
}

impl Fields {
    /// Merges the members of `object` whose key `wanted` accepts. Text grows, lists grow, objects
    /// merge down to `depth` levels; null adds nothing.
    pub(super) fn merge(&mut self, object: View<'_>, depth: u8, wanted: fn(&str) -> bool) {
        for (key, value) in object.members() {
            if value.is_null() || !wanted(&key) {
                continue;
            }
            let has_room = self.list.len() < MAX_KEYS;
            match self.list.iter_mut().find(|(held, _)| *held == key) {
                Some((key, held)) => held.add(key, value, depth),
                None if has_room => {
                    let merged = Merged::new(&key, value, depth);
                    self.list.push((key.into_owned(), merged));
                }
                None => {}
            }
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.list.iter().any(|(held, _)| held == key)
    }

    pub(super) fn write(self, text: &mut ObjectText) {
        for (key, merged) in self.list {
            text.put(&key, &merged.close());
        }
    }

    fn close(self) -> Vec<u8> {
        let mut text = ObjectText::new();
        self.write(&mut text);
        text.close()
    }

    /// The inside of the string named `key`, empty if there is none.
    fn text(&self, key: &str) -> &[u8] {
        let found = self.list.iter().find(|(held, _)| held == key);
        match found {
            Some((_, Merged::Text(text))) => text,
            _ => &[],
        }
    }
}

impl Merged {
    fn new(key: &str, value: View<'_>, depth: u8) -> Self {
        match value.kind() {
            Kind::String => Self::Text(inside(value).to_vec()),
            Kind::Array if key == "tool_calls" => {
                let mut calls = Calls::default();
                calls.add(value);
                Self::Calls(calls)
            }
            Kind::Array => Self::Items(inside(value).trim_ascii().to_vec()),
            Kind::Object if depth > 0 => {
                let mut fields = Fields::default();
                fields.merge(value, depth - 1, |_| true);
                Self::Object(fields)
            }
            Kind::Object | Kind::Number | Kind::Bool | Kind::Null => {
                Self::Raw(value.raw().to_vec())
            }
        }
    }

    fn add(&mut self, key: &str, value: View<'_>, depth: u8) {
        let is_whole = matches!(key, "role" | "id" | "type" | "name");
        match (&mut *self, value.kind()) {
            (Self::Text(held), Kind::String) if is_whole && !held.is_empty() => {}
            (Self::Text(held), Kind::String) => held.extend_from_slice(inside(value)),
            (Self::Text(held), Kind::Array) => {
                let mut items = text_part(held);
                push_item(&mut items, inside(value).trim_ascii());
                *self = Self::Items(items);
            }
            (Self::Items(held), Kind::Array) => push_item(held, inside(value).trim_ascii()),
            (Self::Items(held), Kind::String) => push_item(held, &text_part(inside(value))),
            (Self::Object(held), Kind::Object) => {
                held.merge(value, depth.saturating_sub(1), |_| true);
            }
            (Self::Calls(held), Kind::Array) => held.add(value),
            _ => *self = Self::new(key, value, depth),
        }
    }

    fn close(self) -> Vec<u8> {
        match self {
            Self::Text(text) => [b"\"", text.as_slice(), b"\""].concat(),
            Self::Items(items) => [b"[", items.as_slice(), b"]"].concat(),
            Self::Object(fields) => fields.close(),
            Self::Calls(calls) => calls.close(),
            Self::Raw(raw) => raw,
        }
    }
}

/// The bytes between the delimiters of a string or an array.
fn inside(value: View<'_>) -> &[u8] {
    value.raw().get(1..value.raw().len() - 1).unwrap_or_default()
}

/// Content that comes now as text, now as parts, becomes parts.
fn text_part(inside: &[u8]) -> Vec<u8> {
    if inside.is_empty() {
        return Vec::new();
    }
    [br#"{"type":"text","text":""#, inside, br#""}"#].concat()
}

fn push_item(items: &mut Vec<u8>, item: &[u8]) {
    if !items.is_empty() && !item.is_empty() {
        items.push(b',');
    }
    items.extend_from_slice(item);
}

/// Tool calls under construction.
///
/// Pieces belong together by `index`; where a provider gives several calls the same index or
/// none, a new id begins a new call.
#[derive(Debug, Default)]
struct Calls {
    list: Vec<Fields>,
    latest: BTreeMap<Option<u64>, usize>,
}

impl Calls {
    fn add(&mut self, pieces: View<'_>) {
        for piece in pieces.elements().filter(|piece| piece.kind() == Kind::Object) {
            let index = piece.get("index").and_then(View::as_u64);
            let id = piece.get("id").filter(|id| id.kind() == Kind::String).map_or(&[][..], inside);
            let slot = self.latest.get(&index).copied().filter(|slot| {
                let held = self.list[*slot].text("id");
                id.is_empty() || held.is_empty() || held == id
            });
            let slot = slot.unwrap_or(self.list.len());
            if slot == MAX_CALLS {
                return;
            }
            if slot == self.list.len() {
                self.list.push(Fields::default());
            }
            self.latest.insert(index, slot);
            self.list[slot].merge(piece, 1, |key| key != "index");
        }
    }

    fn close(self) -> Vec<u8> {
        array_text(self.list.into_iter().map(Fields::close))
    }
}
