//! Conversations that come from another provider: only what is named changes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use wire::history::{Repair, repair};
use wire::json::Layout;
use wire::splice::splice;

fn mended(body: &str, wanted: &Repair) -> Option<String> {
    let layout = Layout::of(body.as_bytes()).unwrap();
    let edits = repair(body.as_bytes(), &layout, wanted)?;
    let text = splice(&Bytes::from(body.to_owned()), &layout, &edits).to_bytes();
    Some(String::from_utf8(text.to_vec()).unwrap())
}

fn foreign(names: &[&str]) -> Repair {
    Repair::ForeignFields(names.iter().map(|name| (*name).to_owned()).collect())
}

const ALL: [fn() -> Repair; 8] = [
    || Repair::ToolCallIds,
    || foreign(&["reasoning", "reasoning_content", "extra_content", "index"]),
    || Repair::MissingReasoning,
    || Repair::MissingThoughtSignature,
    || Repair::DeveloperRole,
    || Repair::NullContent,
    || Repair::ContentParts,
    || Repair::StrictTools,
];

#[test]
fn foreign_fields_go_from_messages_and_their_calls_and_nowhere_else() {
    let table = [
        (
            r#"{"reasoning":1,"messages":[ {"role":"user"} , { "reasoning" : {"a":[1]}, "role":"assistant"}]}"#,
            r#"{"reasoning":1,"messages":[ {"role":"user"} , { "role":"assistant"}]}"#,
        ),
        (
            r#"{"messages":[{"role":"assistant", "reasoning":"x"}, {"a":1,"index":0,"reasoning":0,"b":2.0}]}"#,
            r#"{"messages":[{"role":"assistant"}, {"a":1,"b":2.0}]}"#,
        ),
        (r#"{"messages":[{"reasoning":"x"}]}"#, r#"{"messages":[{}]}"#),
        (
            r#"{"messages":[{"tool_calls":[{"index":0,"id":"a","function":{"index":1}}],"content":[{"index":2}]}]}"#,
            r#"{"messages":[{"tool_calls":[{"id":"a","function":{"index":1}}],"content":[{"index":2}]}]}"#,
        ),
        (
            r#"{"messages":[{"reasoning":1,"a":1,"reason\u0069ng":2}],"messages":[{"index":1}]}"#,
            r#"{"messages":[{"a":1}],"messages":[{}]}"#,
        ),
    ];
    for (body, expected) in table {
        let seen = mended(body, &foreign(&["reasoning", "index"]));
        assert_eq!(seen.as_deref(), Some(expected));
    }
}

#[test]
fn reasoning_is_given_back_or_stood_in_for() {
    let table = [
        (
            r#"{"messages":[{"role":"assistant","content":"x" },{"role":"user"}]}"#,
            r#"{"messages":[{"role":"assistant","content":"x" ,"reasoning_content":" "},{"role":"user"}]}"#,
        ),
        (
            r#"{"messages":[{"role":"assistant","reasoning_content":null},{"role":"assistant","reasoning_content":""}]}"#,
            r#"{"messages":[{"role":"assistant","reasoning_content":" "},{"role":"assistant","reasoning_content":" "}]}"#,
        ),
        (
            r#"{"messages":[{"role":"assistant","reasoning":"so\u0021"},{"role":"assistant","reasoning":{}}]}"#,
            r#"{"messages":[{"role":"assistant","reasoning":"so\u0021","reasoning_content":"so\u0021"},{"role":"assistant","reasoning":{},"reasoning_content":" "}]}"#,
        ),
    ];
    for (body, expected) in table {
        assert_eq!(mended(body, &Repair::MissingReasoning).as_deref(), Some(expected));
    }
}

#[test]
fn the_first_call_of_a_message_gets_the_signature_that_is_not_checked() {
    let dummy = r#"{"google":{"thought_signature":"skip_thought_signature_validator"}}"#;
    let table = [
        (
            r#"{"messages":[{"tool_calls":[{"id":"a"},{"id":"b"}]}]}"#,
            r#"{"messages":[{"tool_calls":[{"id":"a","extra_content":DUMMY},{"id":"b"}]}]}"#,
        ),
        (
            r#"{"messages":[{"tool_calls":[{"extra_content":{"google":{"thought_signature":"s"}}},{}]},{"tool_calls":[{}]}]}"#,
            r#"{"messages":[{"tool_calls":[{"extra_content":{"google":{"thought_signature":"s"}}},{}]},{"tool_calls":[{"extra_content":DUMMY}]}]}"#,
        ),
        (
            r#"{"messages":[{"tool_calls":[{"extra_content":{"google":{"thought_signature":""}},"id":"a"}]}]}"#,
            r#"{"messages":[{"tool_calls":[{"extra_content":DUMMY,"id":"a"}]}]}"#,
        ),
    ];
    for (body, expected) in table {
        let seen = mended(body, &Repair::MissingThoughtSignature);
        assert_eq!(seen, Some(expected.replace("DUMMY", dummy)));
    }
}

#[test]
fn foreign_signatures_are_replaced_or_left_out() {
    let dummy = r#"{"google":{"thought_signature":"skip_thought_signature_validator"}}"#;
    let table = [
        (
            r#"{"messages":[{"tool_calls":[{"extra_content":{"google":{"thought_signature":"s"}},"id":"a"},{"extra_content":{"google":{"thought_signature":"t"}}},{"id":"b"}]}]}"#,
            r#"{"messages":[{"tool_calls":[{"extra_content":DUMMY,"id":"a"},{"extra_content":DUMMY},{"id":"b"}]}]}"#,
        ),
        (
            r#"{"messages":[{"role":"assistant","extra_content":{"google":{"thought_signature":"s"}},"content":"x"}]}"#,
            r#"{"messages":[{"role":"assistant","content":"x"}]}"#,
        ),
        (
            r#"{"messages":[{"content":[{"type":"thinking","signature":"s"}, {"type":"text","text":"x"},{"type":"redacted_thinking"}]}]}"#,
            r#"{"messages":[{"content":[{"type":"text","text":"x"}]}]}"#,
        ),
        (
            r#"{"messages":[{"content":[{"type":"thinking","signature":"s"}]}]}"#,
            r#"{"messages":[{"content":""}]}"#,
        ),
        (
            r#"{"messages":[{"role":"assistant","thinking_blocks":[1],"content":"x","reasoning_details":[]}]}"#,
            r#"{"messages":[{"role":"assistant","content":"x"}]}"#,
        ),
    ];
    for (body, expected) in table {
        let seen = mended(body, &Repair::ForeignSignatures);
        assert_eq!(seen, Some(expected.replace("DUMMY", dummy)));
    }
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    for sound in [
        format!(r#"{{"messages":[{{"tool_calls":[{{"extra_content":{dummy}}}]}}]}}"#),
        r#"{"messages":[{"content":[{"type":"text","text":"signature"},1,"thinking"]}]}"#
            .to_owned(),
        r#"{"messages":[{"extra_content":{"google":{}},"tool_calls":[{"extra_content":1}]}]}"#
            .to_owned(),
        format!(r#"{{"messages":[{{"content":{open}{close}}}]}}"#),
    ] {
        assert_eq!(mended(&sound, &Repair::ForeignSignatures), None);
    }
}

#[test]
fn roles_and_contents_are_mended() {
    let body = r#"{"messages":[{"role":"developer","content":null},{"role":"assistant"}]}"#;
    assert_eq!(
        mended(body, &Repair::DeveloperRole).unwrap(),
        r#"{"messages":[{"role":"system","content":null},{"role":"assistant"}]}"#
    );
    assert_eq!(
        mended(body, &Repair::NullContent).unwrap(),
        r#"{"messages":[{"role":"developer","content":""},{"role":"assistant","content":""}]}"#
    );
}

#[test]
fn tool_call_ids_become_nine_letters_and_stay_pairs() {
    let body = r#"{"messages":[
        {"role":"assistant","tool_calls":[{"id":"call_0fypS1hVX"},{"id":"cLg99HV1t"},{"id":"ä"}]},
        {"role":"tool","tool_call_id":"call_0fypS1hVX","content":"call_0fypS1hVX"},
        {"role":"tool","tool_call_id":"cLg99HV1t"},{"role":"tool","tool_call_id":"\u00e4"}]}"#;
    let text = mended(body, &Repair::ToolCallIds).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let messages = &value["messages"];
    let calls = &messages[0]["tool_calls"];
    assert_eq!(calls[0]["id"], messages[1]["tool_call_id"]);
    assert_eq!(calls[1]["id"], "cLg99HV1t");
    assert_eq!(calls[1]["id"], messages[2]["tool_call_id"]);
    assert_eq!(calls[2]["id"], messages[3]["tool_call_id"]);
    assert_ne!(calls[0]["id"], calls[2]["id"]);
    assert_eq!(messages[1]["content"], "call_0fypS1hVX");
    let shorter = r#"{"messages":[{"tool_call_id":"call_0fypS1hVX"}]}"#;
    let later: Value =
        serde_json::from_str(&mended(shorter, &Repair::ToolCallIds).unwrap()).unwrap();
    assert_eq!(later["messages"][0]["tool_call_id"], calls[0]["id"]);
}

#[test]
fn a_sound_conversation_cannot_be_mended() {
    let sound = r#"{"messages":[{"role":"user","content":"x"},
        {"role":"assistant","content":"","reasoning_content":"r","tool_calls":[{"id":"abcdefghi",
          "extra_content":{"google":{"thought_signature":"s"}}}]},
        {"role":"tool","tool_call_id":"abcdefghi","content":"x"}]}"#;
    for wanted in ALL {
        let wanted = wanted();
        if !matches!(wanted, Repair::ForeignFields(_)) {
            assert_eq!(mended(sound, &wanted), None, "{wanted:?}");
        }
    }
    for body in [
        "{}",
        r#"{"messages":null}"#,
        r#"{"messages":{"role":"developer"}}"#,
        r#"{"messages":[1,"x",[{"role":"developer","content":null}]]}"#,
        r#"{"messages":[{"content":"","tool_calls":{"id":"call_1"},"tool_call_id":7}]}"#,
        r#"{"input":[{"role":"developer","reasoning":1,"tool_call_id":"x"}]}"#,
    ] {
        for wanted in ALL {
            assert_eq!(mended(body, &wanted()), None, "{body} {:?}", wanted());
        }
    }
}

#[test]
fn a_layout_of_another_body_does_no_harm() {
    let layout = Layout::of(br#"{"messages":[{"role":"assistant","reasoning":"x"}]}"#).unwrap();
    for body in [&b""[..], b"{}", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff[{\"a\":"] {
        for wanted in ALL {
            repair(body, &layout, &wanted());
        }
    }
}

#[test]
fn a_hundred_thousand_levels_are_mended_around() {
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let message = format!(
        r#"{{"role":"developer","reasoning":{open}{close},"tool_calls":[{{"id":"call_1","function":{open}{close}}}],"content":null}}"#
    );
    let body = format!(r#"{{"messages":[{message},{open}{close}]}}"#);
    for wanted in ALL {
        let text = mended(&body, &wanted());
        let idle = [Repair::MissingReasoning, Repair::ContentParts, Repair::StrictTools];
        assert_eq!(text.is_some(), !idle.contains(&wanted()));
        assert!(text.is_none_or(|text| Layout::of(text.as_bytes()).is_ok()));
    }
}

#[test]
fn parts_that_are_all_texts_become_one_text_with_their_escapes() {
    let table = [
        (
            r#"{"messages":[{"role":"user","content":[ {"type":"text","text":"a\u0062\"","cache_control":{}}, {"text":"c","type":"text"} ]},{"content":"d"}]}"#,
            Some(r#"{"messages":[{"role":"user","content":"a\u0062\"\nc"},{"content":"d"}]}"#),
        ),
        (r#"{"messages":[{"content":[]}]}"#, Some(r#"{"messages":[{"content":""}]}"#)),
        (r#"{"messages":[{"content":[{"type":"text","text":"a"},{"type":"image_url"}]}]}"#, None),
        (r#"{"messages":[{"content":[{"type":"text"}]},{"content":["a"]}]}"#, None),
    ];
    for (body, expected) in table {
        assert_eq!(mended(body, &Repair::ContentParts).as_deref(), expected, "{body}");
    }
}

#[test]
fn strict_goes_from_tools_and_their_functions_and_not_from_their_parameters() {
    let body = r#"{"strict":1,"tools":[{"type":"function","strict":true,"function":{"name":"f","strict":true,"parameters":{"strict":{}}}},{"function":5},7],"messages":[{"strict":1}]}"#;
    let expected = r#"{"strict":1,"tools":[{"type":"function","function":{"name":"f","parameters":{"strict":{}}}},{"function":5},7],"messages":[{"strict":1}]}"#;
    assert_eq!(mended(body, &Repair::StrictTools).as_deref(), Some(expected));
    assert_eq!(mended(expected, &Repair::StrictTools), None);
    assert_eq!(mended(r#"{"tools":"strict"}"#, &Repair::StrictTools), None);
}

#[test]
fn a_flood_of_messages_or_calls_is_left_alone() {
    let many = 1 + (1 << 16);
    let listed = |item: &str| vec![item; many].join(",");
    let messages = listed(r#"{"role":"developer","reasoning":1,"tool_call_id":"x"}"#);
    let calls = listed(r#"{"id":"x","index":1}"#);
    for body in [messages, format!(r#"{{"role":"assistant","tool_calls":[{calls}]}}"#)] {
        let body = format!(r#"{{"messages":[{body}]}}"#);
        for wanted in [Repair::ToolCallIds, foreign(&["reasoning", "index"])] {
            assert_eq!(mended(&body, &wanted), None, "{wanted:?}");
        }
    }
}

#[test]
fn many_members_of_one_name_do_not_multiply_what_they_are_given() {
    let reasoning = "x".repeat(10_000);
    let empty = r#""reasoning_content":"","#.repeat(4_000);
    let body =
        format!(r#"{{"messages":[{{"role":"assistant",{empty}"reasoning":"{reasoning}"}}]}}"#);
    let text = mended(&body, &Repair::MissingReasoning).unwrap();
    assert_eq!(text.len(), body.len() + reasoning.len());
}

fn text_or_null() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        "\\PC{1,8}".prop_map(Value::from),
        Just(json!(5)),
        Just(json!({"a": null}))
    ]
}

fn id() -> impl Strategy<Value = Value> {
    let known = prop::sample::select(vec!["call_1", "call_2", "abcdefghi", "123456789", "ä", ""]);
    prop_oneof![
        known.prop_map(Value::from),
        "[a-zA-Z0-9_]{7,10}".prop_map(Value::from),
        Just(Value::Null)
    ]
}

fn call() -> impl Strategy<Value = Value> {
    let extra = prop_oneof![
        Just(json!({"google": {"thought_signature": "s"}})),
        Just(json!({"google": {}})),
        Just(Value::Null),
    ];
    let member = prop_oneof![
        id().prop_map(|id| ("id", id)),
        extra.prop_map(|extra| ("extra_content", extra)),
        text_or_null().prop_map(|value| ("function", value)),
        Just(("index", json!(0))),
    ];
    members(member)
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => "\\PC{0,8}".prop_map(|text| json!({"type": "text", "text": text})),
        1 => text_or_null(),
        1 => Just(json!({"type": "image_url", "text": "x", "image_url": {"url": "y"}})),
        1 => Just(json!({"type": "text", "text": null})),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let role = prop::sample::select(vec!["user", "assistant", "developer", "system", "tool"]);
    let calls = prop::collection::vec(prop_oneof![call(), text_or_null()], 0..4);
    let member = prop_oneof![
        role.prop_map(|role| ("role", json!(role))),
        text_or_null().prop_map(|value| ("content", value)),
        prop::collection::vec(part(), 0..3).prop_map(|parts| ("content", Value::from(parts))),
        text_or_null().prop_map(|value| ("reasoning", value)),
        text_or_null().prop_map(|value| ("reasoning_content", value)),
        calls.prop_map(|calls| ("tool_calls", Value::from(calls))),
        id().prop_map(|id| ("tool_call_id", id)),
    ];
    members(member)
}

fn members(member: impl Strategy<Value = (&'static str, Value)>) -> impl Strategy<Value = Value> {
    prop::collection::vec(member, 0..6).prop_map(|members| {
        Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    })
}

fn has_text(value: Option<&Value>) -> bool {
    value.and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

/// The same change, done to a tree. Ids are left to a law of their own, signatures to a table.
fn naively(message: &mut Value, wanted: &Repair) {
    let Value::Object(message) = message else { return };
    match wanted {
        Repair::ToolCallIds | Repair::ForeignSignatures | Repair::StrictTools => {}
        Repair::ForeignFields(names) => {
            message.retain(|key, _| !names.contains(key));
            for call in calls_of(message) {
                call.retain(|key, _| !names.contains(key));
            }
        }
        Repair::MissingReasoning => {
            if message.get("role") == Some(&json!("assistant"))
                && !has_text(message.get("reasoning_content"))
            {
                let known = message.get("reasoning").filter(|value| has_text(Some(*value)));
                let reasoning = known.cloned().unwrap_or_else(|| json!(" "));
                message.insert("reasoning_content".to_owned(), reasoning);
            }
        }
        Repair::MissingThoughtSignature => {
            if let Some(call) = calls_of(message).next() {
                let extra = call.get("extra_content");
                if !has_text(extra.and_then(|extra| extra["google"].get("thought_signature"))) {
                    let dummy = json!({"google":
                        {"thought_signature": "skip_thought_signature_validator"}});
                    call.insert("extra_content".to_owned(), dummy);
                }
            }
        }
        Repair::DeveloperRole => {
            if message.get("role") == Some(&json!("developer")) {
                message.insert("role".to_owned(), json!("system"));
            }
        }
        Repair::NullContent => {
            if message.get("content").is_none_or(Value::is_null) {
                message.insert("content".to_owned(), json!(""));
            }
        }
        Repair::ContentParts => {
            if let Some(parts) = message.get("content").and_then(Value::as_array) {
                let text = |part: &Value| Some(part.get("text")?.as_str()?.to_owned());
                let is_text = |part: &Value| part.get("type") == Some(&json!("text"));
                let texts = parts.iter().map(|part| text(part).filter(|_| is_text(part)));
                if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
                    message.insert("content".to_owned(), texts.join("\n").into());
                }
            }
        }
    }
}

fn calls_of(message: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    calls.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// All ids with the message they stand in, in order.
fn ids(messages: &mut [Value]) -> Vec<String> {
    let mut ids = Vec::new();
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        ids.extend(message.get("tool_call_id").cloned());
        ids.extend(calls_of(message).filter_map(|call| call.get("id").cloned()));
    }
    ids.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

fn without_ids(messages: &mut [Value]) {
    let blank = |members: &mut Map<String, Value>, key: &str| {
        if let Some(id) = members.get_mut(key).filter(|id| id.is_string()) {
            *id = json!("");
        }
    };
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        blank(message, "tool_call_id");
        calls_of(message).for_each(|call| blank(call, "id"));
    }
}

fn fits(id: &str) -> bool {
    id.len() == 9 && id.chars().all(|letter| letter.is_ascii_alphanumeric())
}

fn body_of(messages: &[Value], is_pretty: bool) -> String {
    let shown: Vec<String> = messages
        .iter()
        .map(|message| if is_pretty { format!("{message:#}") } else { message.to_string() })
        .collect();
    format!("{{ \"n\" : 1.0e0,\"messages\" : [ {} ], \"\\u0061\":[1 ] }}", shown.join(" , "))
}

fn assert_kept(text: &str, pieces: &[String]) {
    let mut rest = text;
    for piece in pieces {
        let at = rest.find(piece.as_str());
        assert!(at.is_some(), "{piece} is not in {text}");
        rest = &rest[at.unwrap() + piece.len()..];
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn only_what_a_repair_names_changes(
        messages in prop::collection::vec(prop_oneof![4 => message(), 1 => text_or_null()], 0..6),
        is_pretty: bool,
        which in 1..ALL.len(),
    ) {
        let wanted = ALL[which]();
        let mut expected = messages.clone();
        for message in &mut expected {
            naively(message, &wanted);
        }
        let text = mended(&body_of(&messages, is_pretty), &wanted);
        prop_assert_eq!(text.is_some(), expected != messages);
        let Some(text) = text else { return Ok(()) };
        let seen: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&seen["messages"], &Value::from(expected.clone()), "{}", text);
        let mut kept = vec!["{ \"n\" : 1.0e0,\"messages\" : [ ".to_owned()];
        let untouched = messages.iter().zip(&expected).filter(|(old, new)| old == new);
        kept.extend(untouched.map(|(message, _)| {
            if is_pretty { format!("{message:#}") } else { message.to_string() }
        }));
        kept.push(" ], \"\\u0061\":[1 ] }".to_owned());
        assert_kept(&text, &kept);
    }

    #[test]
    fn ids_change_together_and_nothing_else_does(
        mut messages in prop::collection::vec(prop_oneof![4 => message(), 1 => text_or_null()], 0..6),
        is_pretty: bool,
    ) {
        let old = ids(&mut messages);
        let text = mended(&body_of(&messages, is_pretty), &Repair::ToolCallIds);
        prop_assert_eq!(text.is_some(), old.iter().any(|id| !fits(id)));
        let Some(text) = text else { return Ok(()) };
        let mut seen: Value = serde_json::from_str(&text).unwrap();
        let seen = seen["messages"].as_array_mut().unwrap();
        let new = ids(seen);
        prop_assert!(new.iter().all(|id| fits(id)));
        let pairs: BTreeMap<_, _> = old.iter().zip(&new).collect();
        prop_assert_eq!(pairs.values().collect::<BTreeSet<_>>().len(), pairs.len());
        prop_assert!(old.iter().zip(&new).all(|(old, new)| pairs[old] == new));
        prop_assert!(old.iter().zip(&new).all(|(old, new)| !fits(old) || old == new));
        without_ids(seen);
        without_ids(&mut messages);
        prop_assert_eq!(seen, &messages);
    }
}
