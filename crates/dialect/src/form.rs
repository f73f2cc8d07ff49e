//! What is wrong with a request by the API itself, so that no provider takes it: a value of
//! another type, a choice of a tool that is not there, a member that nobody knows. A refusal that
//! names just that is the caller's mistake, in whatever words.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::body::ErrorBody;
use crate::history;
use crate::parameter;
use crate::sent::Sent;
use crate::tree::walk;

/// Whether a value is of a form.
type IsForm = fn(&Value) -> bool;

/// Parameters with what all who take them take.
const FORMS: &[(&str, IsForm)] = &[
    ("n", is_count),
    ("temperature", Value::is_number),
    ("top_p", Value::is_number),
    ("frequency_penalty", Value::is_number),
    ("presence_penalty", Value::is_number),
    ("seed", is_whole),
    ("max_tokens", is_whole),
    ("max_completion_tokens", is_whole),
    ("top_logprobs", is_whole),
    // A number in the older completions.
    ("logprobs", |value| value.is_boolean() || is_whole(value)),
    ("parallel_tool_calls", Value::is_boolean),
    ("store", Value::is_boolean),
    ("stream_options", Value::is_object),
    ("metadata", is_metadata),
    ("logit_bias", is_bias),
    ("stop", |value| value.is_string() || are_texts(value)),
    ("modalities", are_texts),
    ("reasoning_effort", Value::is_string),
    ("verbosity", Value::is_string),
    ("service_tier", Value::is_string),
    ("user", Value::is_string),
    ("tools", are_tools),
    ("response_format", is_format),
];

/// Words for a choice among tools, and forms of an answer, of whichever provider.
const CHOICES: &[&str] = &["none", "auto", "required", "any"];
const FORMATS: &[&str] = &[
    "text",
    "json",
    "json_object",
    "json_schema",
    "regex",
    "grammar",
    "ebnf",
    "structural_tag",
    "choice",
];

/// Members of a form of an answer, of tools, and of messages and their parts, that some provider
/// knows.
const OF_FORMATS: &[&str] = &[
    "type",
    "json_schema",
    "schema",
    "name",
    "description",
    "strict",
    "regex",
    "pattern",
    "grammar",
    "value",
    "structures",
    "triggers",
    "format",
    "choice",
];
const OF_TOOLS: &[&str] = &[
    "type",
    "function",
    "custom",
    "name",
    "description",
    "parameters",
    "parameters_json_schema",
    "input_schema",
    "response",
    "strict",
    "format",
    "cache_control",
    "extra_content",
];
const OF_PARTS: &[&str] = &[
    "type",
    "text",
    "refusal",
    "image_url",
    "video_url",
    "audio_url",
    "document_url",
    "input_audio",
    "image",
    "video",
    "audio",
    "file",
    "document",
    "source",
    "thinking",
    "signature",
    "data",
    "uuid",
    "id",
    "name",
    "input",
    "content",
    "tool_use_id",
    "is_error",
    "title",
    "context",
    "citations",
    "annotations",
    "media_resolution",
    "min_pixels",
    "max_pixels",
    "total_pixels",
    "fps",
    "cache_control",
    "extra_content",
    "thought_signature",
    "reasoning",
    "reference_ids",
];

/// The messages of a larger request are not read.
const MOST_READ: usize = 1 << 20;

/// So many messages, tools or parts are looked at, and so many names.
const MOST: usize = 4 * 1024;
const MOST_NAMED: usize = 256;

/// Whether a reply refuses a value of the request that nobody takes.
pub(crate) fn refuses_a_wrong_value(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let name = || parameter::refused(body, sent).or_else(|| parameter::pointed_at(body));
    !is_of_the_history(body, sent) && name().is_some_and(|name| is_wrong(&name, sent))
}

/// Whether a reply names a member of the request's that no provider is known to take: one may all
/// the same.
pub(crate) fn names_a_stranger(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let names = ["response_format", "tools", "messages"];
    let is_short = sent.body().len() <= MOST_READ;
    let asked = sent.members(if is_short { &names } else { &names[..2] });
    let is_named = |name: &&str| {
        let lower = name.to_ascii_lowercase();
        let is_pointed_at = |path: &str| parameter::says_word(path, name);
        name.len() > 1 && parameter::says_word(&body.text, &lower)
            || body.param.as_deref().is_some_and(is_pointed_at)
            || walk(&body.value).any(|(key, step)| key == "loc" && step.as_str() == Some(name))
    };
    !is_of_the_history(body, sent) && strangers(&asked).iter().take(MOST_NAMED).any(is_named)
}

/// Whether a mend of the messages is asked for.
fn is_of_the_history(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    history::refused(body, sent).is_some()
}

fn is_wrong(name: &str, sent: &Sent<'_>) -> bool {
    if name == "tool_choice" {
        let asked = sent.members(&["tool_choice", "tools"]);
        return given(&asked, name).is_some_and(|choice| !is_choice(choice, asked.get("tools")));
    }
    let form = FORMS.iter().find(|(known, _)| *known == name).map(|(_, form)| form);
    form.is_some_and(|form| given(&sent.members(&[name]), name).is_some_and(|value| !form(value)))
}

/// A member that is not null.
fn given<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    members.get(name).filter(|value| !value.is_null())
}

/// The names that stand where a name has a meaning, and have none.
fn strangers(asked: &Map<String, Value>) -> BTreeSet<&str> {
    let format = asked.get("response_format");
    let formats = [format, format.and_then(|format| format.get("json_schema"))];
    let tools = items(asked.get("tools"));
    let tools = tools.flat_map(|tool| [Some(tool), tool.get("function")]);
    let parts = items(asked.get("messages")).flat_map(|message| items(message.get("content")));
    let of_formats = formats.into_iter().flatten().map(|place| (place, OF_FORMATS));
    let of_tools = tools.flatten().map(|place| (place, OF_TOOLS));
    let of_parts = parts.map(|place| (place, OF_PARTS));
    let places = of_formats.chain(of_tools).chain(of_parts);
    let names = places.filter_map(|(place, known)| Some((place.as_object()?, known)));
    let names = names.flat_map(|(members, known)| members.keys().map(move |name| (name, known)));
    names.filter(|(name, known)| !known.contains(&name.as_str())).map(|(name, _)| &**name).collect()
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten().take(MOST)
}

fn is_whole(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn is_count(value: &Value) -> bool {
    is_whole(value) && value.as_f64().is_some_and(|number| number >= 1.0)
}

fn are_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|all| all.iter().all(Value::is_string))
}

/// Tokens by their numbers, each with a weight.
fn is_bias(value: &Value) -> bool {
    value.as_object().is_some_and(|biases| {
        biases.iter().all(|(token, weight)| {
            token.bytes().all(|byte| byte.is_ascii_digit())
                && weight.as_f64().is_some_and(|weight| (-100.0..=100.0).contains(&weight))
        })
    })
}

/// Texts by their names.
fn is_metadata(value: &Value) -> bool {
    value.as_object().is_some_and(|named| named.values().all(Value::is_string))
}

fn are_tools(value: &Value) -> bool {
    value.as_array().is_some_and(|tools| tools.iter().all(Value::is_object))
}

fn is_format(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| FORMATS.contains(&kind))
        && (kind != Some("json_schema")
            || ["json_schema", "schema"].iter().any(|name| value.get(name).is_some()))
}

/// Whether a choice is a known word, or of a tool that is there.
fn is_choice(choice: &Value, tools: Option<&Value>) -> bool {
    if let Some(word) = choice.as_str() {
        return CHOICES.iter().any(|known| known.eq_ignore_ascii_case(word));
    }
    let chosen = name_of(choice);
    let is_there = |name: &str| items(tools).any(|tool| name_of(tool) == Some(name));
    choice.is_object() && chosen.is_none_or(is_there)
}

/// What a tool, or the choice of one, is called.
fn name_of(tool: &Value) -> Option<&str> {
    let inner = ["function", "custom"].iter().find_map(|kind| tool.get(kind));
    inner.unwrap_or(tool).get("name").and_then(Value::as_str)
}
