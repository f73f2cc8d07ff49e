//! Laws that hold for every input, against `serde_json` as the reference.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value};
use wire::json::{Layout, View};
use wire::splice::{Edit, splice};
use wire::sse::{Event, Framer};
use wire::usage::{Spent, Usage};
use wire::{Endpoint, chunk, reply, request};

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Quarters: serde_json reads them back exactly, which it does not promise for all floats.
        any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
        ".{0,12}".prop_map(Value::from),
        "[a-c\"\\\\\n\u{1}]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

fn any_object() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((key(), any_value()), 0..7).prop_map(Map::from_iter)
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-e]",
        ".{0,4}",
        prop::sample::select(vec![
            "choices",
            "delta",
            "message",
            "content",
            "index",
            "text",
            "type",
            "messages",
            "role",
            "usage",
            "error",
            "tool_calls",
            "id",
            "finish_reason",
        ])
        .prop_map(str::to_owned),
    ]
}

/// JSON text spelled compactly or with space everywhere.
fn text_of(value: &Value, is_pretty: bool) -> Vec<u8> {
    if is_pretty { format!("{value:#}") } else { value.to_string() }.into_bytes()
}

fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok()
        && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// Bytes that hit JSON's rules more often than random ones.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        prop::sample::select(
            b"{}[]\",:\\u0123456789+-.eEtrufalsn \t\r\n/\x00\x1f\x7f\x80\xff".to_vec()
        ),
        any::<u8>(),
    ]
}

#[derive(Debug, Clone)]
enum Mutation {
    Put(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Delete(prop::sample::Index),
    Cut(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), byte()).prop_map(|(at, byte)| Mutation::Put(at, byte)),
        (index(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        index().prop_map(Mutation::Delete),
        index().prop_map(Mutation::Cut),
    ]
}

fn mutate(text: &mut Vec<u8>, mutation: &Mutation) {
    let at = |index: &prop::sample::Index| index.index(text.len().max(1));
    match mutation {
        Mutation::Put(index, byte) => {
            let at = at(index);
            if let Some(old) = text.get_mut(at) {
                *old = *byte;
            }
        }
        Mutation::Insert(index, byte) => text.insert(at(index).min(text.len()), *byte),
        Mutation::Delete(index) if !text.is_empty() => drop(text.remove(at(index))),
        Mutation::Delete(_) => {}
        Mutation::Cut(index) => text.truncate(at(index)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_scanner_accepts_what_serde_json_accepts(
        value in any_value(),
        is_pretty: bool,
        mutations in prop::collection::vec(mutation(), 0..4),
    ) {
        let mut text = text_of(&value, is_pretty);
        for mutation in &mutations {
            mutate(&mut text, mutation);
        }
        prop_assert_eq!(View::parse(&text).is_ok(), is_json(&text), "{:?}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn the_scanner_accepts_what_serde_json_accepts_of_noise(text in prop::collection::vec(byte(), 0..12)) {
        prop_assert_eq!(View::parse(&text).is_ok(), is_json(&text), "{:?}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn a_view_sees_what_serde_json_sees(object in any_object(), is_pretty: bool) {
        let text = text_of(&Value::Object(object.clone()), is_pretty);
        let seen: Vec<(String, Value)> = View::parse(&text).unwrap().members()
            .map(|(key, value)| (key.into_owned(), serde_json::from_slice(value.raw()).unwrap()))
            .collect();
        prop_assert_eq!(seen.len(), object.len());
        for ((key, value), (expected_key, expected)) in seen.iter().zip(&object) {
            prop_assert_eq!(key, expected_key);
            prop_assert_eq!(value, expected);
        }
    }

    #[test]
    fn no_input_harms_a_reader(
        object in any_object(),
        mutations in prop::collection::vec(mutation(), 0..3),
    ) {
        let mut text = text_of(&Value::Object(object), false);
        for mutation in &mutations {
            mutate(&mut text, mutation);
        }
        let body = Bytes::from(text);
        for endpoint in [Endpoint::Chat, Endpoint::Completions] {
            let scan = request::RequestScan::parse(&body, endpoint);
            prop_assert!(scan.is_err() || is_json(&body));
            request::developer_role_spans(&body);
            chunk::classify(&body, None);
            reply::inspect(&body);
            let mut gather = reply::Gather::new(endpoint);
            gather.push(&body);
            gather.push(&body);
            prop_assert!(gather.finish().is_none_or(|whole| is_json(&whole)));
            if let Some(events) = reply::completion_to_events(&body, endpoint, true) {
                for event in events_of([&events[..]]) {
                    let data = event.data();
                    prop_assert!(*data == *b"[DONE]" || is_json(&data));
                }
            }
        }
    }

    #[test]
    fn a_spliced_text_is_the_edited_object(
        object in any_object(),
        is_pretty: bool,
        removed in prop::collection::vec(any::<bool>(), 7),
        replaced in prop::collection::vec(prop::option::of(any_value()), 7),
        renamed in prop::collection::vec(any::<bool>(), 7),
        appended in prop::collection::vec(any_value(), 0..3),
    ) {
        let body = Bytes::from(text_of(&Value::Object(object.clone()), is_pretty));
        let layout = Layout::of(&body).unwrap();
        let mut expected = Map::new();
        let mut edits = Vec::new();
        let mut untouched = Vec::new();
        for (index, (key, value)) in object.into_iter().enumerate() {
            if removed[index] {
                edits.push(Edit::Remove(index));
            }
            let new_key = if renamed[index] { format!("renamed {index}") } else { key };
            if renamed[index] {
                edits.push(Edit::Rename { index, to: new_key.clone() });
            }
            let new_value = replaced[index].clone().unwrap_or(value);
            if replaced[index].is_some() {
                let with = Bytes::from(text_of(&new_value, false));
                edits.push(Edit::Replace { span: layout.members[index].value.clone(), with });
            }
            if !removed[index] {
                expected.insert(new_key, new_value);
                if !renamed[index] && replaced[index].is_none() {
                    untouched.push(body.slice(layout.members[index].span()));
                }
            }
        }
        for (index, value) in appended.iter().enumerate() {
            let key = format!("appended {index}");
            expected.insert(key.clone(), value.clone());
            edits.push(Edit::Append { key, value: text_of(value, false).into() });
        }
        let spliced = splice(&body, &layout, &edits);
        let text = spliced.to_bytes();
        prop_assert_eq!(text.len(), spliced.len);
        let seen: Map<String, Value> = serde_json::from_slice(&text).unwrap();
        prop_assert!(seen.iter().eq(expected.iter()), "{:?}", String::from_utf8_lossy(&text));
        let mut rest = &text[..];
        for member in untouched {
            let at = memchr::memmem::find(rest, &member);
            prop_assert!(at.is_some());
            rest = &rest[at.unwrap() + member.len()..];
        }
    }

    #[test]
    fn chunk_borders_do_not_matter_to_the_framer(
        lines in prop::collection::vec(
            (prop::sample::select(vec!["", "", "data: a", ":c", "data", "ä", "\u{feff}"]),
             prop::sample::select(vec!["\n", "\r\n", "\r"])),
            0..14,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let text: String = lines.iter().flat_map(|(line, end)| [*line, *end]).collect();
        let text = text.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]);
        let whole = events_of([text]);
        prop_assert_eq!(events_of(parts), whole.clone());
        let raw: Vec<u8> = whole.iter().flat_map(|event| event.raw().to_vec()).collect();
        prop_assert_eq!(raw, text);
    }
}

fn events_of<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut framer = Framer::new(usize::MAX);
    let mut events = Vec::new();
    for chunk in chunks {
        framer.push(Bytes::copy_from_slice(chunk));
        events.extend(std::iter::from_fn(|| framer.next_event()).map(Result::unwrap));
    }
    events.extend(framer.finish());
    events
}

proptest! {
    #[test]
    fn the_usage_of_all_parts_is_their_sum(
        parts in prop::collection::vec((0..1_000_000_u64, 0..1_000_000_u64, 0..99_u64), 1..6),
    ) {
        let used = |(prompt, completion, more): (u64, u64, u64)| Usage {
            prompt_tokens: Some(prompt),
            completion_tokens: Some(completion),
            total_tokens: (more > 0).then_some(prompt + completion + more),
            reasoning_tokens: None,
        };
        let mut earlier = Spent::default();
        for part in &parts[1..] {
            earlier.add(Some(used(*part)), 77);
        }
        let all = earlier.with(used(parts[0]));
        prop_assert_eq!(all.prompt_tokens, Some(parts.iter().map(|part| part.0).sum()));
        prop_assert_eq!(all.completion_tokens, Some(parts.iter().map(|part| part.1).sum()));
        let total = parts.iter().map(|part| part.0 + part.1 + part.2).sum();
        prop_assert_eq!(all.total(), Some(total));
    }
}
