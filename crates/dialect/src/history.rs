//! Which part of a conversation a provider refuses that another one has written: ids of tool
//! calls, reasoning, signatures, roles. To mend it is to mend messages, not parameters.

use serde_json::Value;

use crate::ability;
use crate::body::ErrorBody;
use crate::parameter;
use crate::role;
use crate::sent::Sent;
use crate::tree::walk;

/// What a provider refuses in the messages of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HistoryFault {
    /// Ids of tool calls that are longer than it takes, or of other characters.
    ToolCallIds,
    /// Members of messages or of their tool calls that it does not know, by name: at most 16 of
    /// letters, digits and underscores, none of those that a message is made of.
    ForeignFields(Vec<String>),
    /// Assistant messages without their `reasoning_content`.
    MissingReasoning,
    /// Tool calls without Gemini's thought signature.
    MissingThoughtSignature,
    /// Signatures of thoughts that are not its own.
    ForeignSignatures,
    /// The role `developer`.
    DeveloperRole,
    /// A `content` that is null or left out.
    NullContent,
    /// A `content` of several parts, all of them texts.
    ContentParts,
    /// The member `strict` of tools.
    StrictTools,
}

const MOST_NAMES: usize = 16;
const LONGEST: usize = 64;
/// So many places are looked for in one text.
const MOST_PLACES: usize = 64;
/// So many steps of one path.
const DEEPEST: usize = 8;

/// Members without which a message or a tool call would say something else.
const ESSENTIAL: &[&str] = &[
    "role",
    "content",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "prefix",
    "id",
    "type",
    "function",
    "custom",
];

/// What a validator's path has between a message's number and its members.
const ROLES: &[&str] = &["assistant", "user", "system", "tool", "developer", "function"];

/// Words in which a member is refused for being there at all.
const REFUSALS: &[&str] = &[
    "unsupported",
    "not supported",
    "unknown parameter",
    "unknown name",
    "unknown field",
    "unexpected property",
    "unexpected field",
    "not allowed",
    "not accepted",
    "must not be",
    "must not contain",
    "cannot contain",
    "should not contain",
    "extra_forbidden",
    "extra inputs are not permitted",
];

/// Members that only some providers know, which are told by their names wherever they are named.
const ONLY_OF_SOME: &[&str] =
    &["reasoning_content", "reasoning_details", "thinking_blocks", "extra_content"];

/// What is said of a signature that is not taken, and what it is a signature of.
const NOT_GENUINE: &[&str] = &[
    "invalid",
    "not valid",
    "corrupt",
    "malformed",
    "mismatch",
    "does not match",
    "decoding failed",
    "failed to decode",
    "could not be verified",
    "cannot be verified",
    "verification failed",
    "failed to verify",
    "field required",
];
const THOUGHTS: &[&str] = &["thought", "thinking", "reasoning"];

const REASONING: &[&str] = &[
    "must be passed back",
    "missing `reasoning_content`",
    "missing reasoning_content",
    "reasoning_content is missing",
];

const IDS: &[&str] = &["tool call id was", "tool call id has to be defined"];

/// What ids of tool calls are called, and what is said of their form.
const ID_NAMES: &[&str] =
    &["tool call id", "tool_call_id", "tooluseid", "tool_use_id", "tool use id"];
const ID_FORMS: &[&str] = &[
    "alphanumeric",
    "with length 9",
    "length of 9",
    "regular expression",
    "satisfy constraint",
    "match pattern",
    "match the pattern",
];

/// What is said of an id, where it is named by its place.
const UNFIT: &[&str] = &["too long", "above_max_length", "match pattern"];

/// The member of a tool that asks for arguments exactly by its schema.
const STRICT: &str = "strict";

const NULL: &[&str] = &[
    "content must not be null",
    "content cannot be null",
    "message content type: <nil>",
    "'content' field must be a string",
    "/content', 'null' not in",
    "are 'role,content'",
];

/// What is refused; `None` if it is not a part of the conversation, or not one that is known.
pub(crate) fn refused(body: &ErrorBody, sent: &Sent<'_>) -> Option<HistoryFault> {
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| body.text.contains(phrase));
    let places = places(body);
    let fault = if says(&["thought_signature", "thought signature"]) && says(&["missing"]) {
        HistoryFault::MissingThoughtSignature
    } else if says(&["signature"]) && says(THOUGHTS) && says(NOT_GENUINE) {
        HistoryFault::ForeignSignatures
    } else if says(&["reasoning"]) && says(REASONING) {
        HistoryFault::MissingReasoning
    } else if says(IDS)
        || says(ID_NAMES) && says(ID_FORMS)
        || says(UNFIT) && places.iter().any(|place| is_call_id(place))
    {
        HistoryFault::ToolCallIds
    } else if role::is_refused(body, sent) {
        HistoryFault::DeveloperRole
    } else if says(NULL) || says(&["content': expected"]) && says(&["got null"]) || is_null(body) {
        HistoryFault::NullContent
    } else if ability::wants_one_text(body, sent) {
        HistoryFault::ContentParts
    } else if says(REFUSALS) && is_strict_of_tools(body, sent) {
        HistoryFault::StrictTools
    } else {
        let names = if says(REFUSALS) { foreign(body, &places) } else { Vec::new() };
        return (!names.is_empty()).then_some(HistoryFault::ForeignFields(names));
    };
    Some(fault)
}

/// Whether members are refused that the request does not have.
pub(crate) fn refuses_what_is_not_sent(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let Some(HistoryFault::ForeignFields(names)) = refused(body, sent) else {
        return false;
    };
    !sent.body().is_empty() && !names.iter().any(|name| sent.is_whole(&name.to_ascii_lowercase()))
}

/// The steps of a path from a message inwards, without numbers and the message's role.
type Place<'a> = Vec<&'a str>;

fn is_call_id(place: &[&str]) -> bool {
    matches!(place, [.., "tool_calls" | "tool_use", "id"] | [.., "tool_call_id" | "tool_use_id"])
}

/// The place that a path leads to; `None` if it does not lead into the messages.
fn place(path: &str) -> Option<Place<'_>> {
    inside(path.split(|c: char| !is_in_name(c)).filter(|step| !step.is_empty()))
}

fn inside<'a>(mut steps: impl Iterator<Item = &'a str>) -> Option<Place<'a>> {
    steps.find(|step| *step == "messages")?;
    let is_number = |step: &&str| step.bytes().all(|byte| byte.is_ascii_digit());
    let mut place: Place<'_> = steps.filter(|step| !is_number(step)).take(DEEPEST).collect();
    if place.len() > 1 && ROLES.contains(&place[0]) {
        place.remove(0);
    }
    Some(place)
}

/// All places in messages that a body names: in its sentence, in fields of their own, and in the
/// `loc` of a validator's list, also of one that is cut off in the middle.
fn places(body: &ErrorBody) -> Vec<Place<'_>> {
    const FIELDS: &[&str] = &["param", "location", "field"];
    let message = body.message.as_str();
    let in_prose = message.match_indices("messages").map(|(at, _)| {
        let tail = &message[at..];
        let end = tail.find(|c: char| !(is_in_name(c) || is_between(c))).unwrap_or(tail.len());
        &tail[..end]
    });
    let in_fields = walk(&body.value)
        .filter(|(key, _)| FIELDS.contains(key))
        .filter_map(|(_, value)| value.as_str());
    let in_lists = message.match_indices("\"loc\"").filter_map(|(at, _)| {
        let tail = &message[at..];
        Some(&tail[..tail.find(']')?])
    });
    let paths = in_prose.chain(in_fields).chain(in_lists).take(MOST_PLACES);
    let forbidden = entries(&body.value, "extra_forbidden").take(MOST_PLACES);
    let forbidden = forbidden.filter_map(|(_, steps)| inside(steps.into_iter()));
    paths.filter_map(place).chain(forbidden).collect()
}

/// The entries of one type in a validator's list, with the words of their `loc`.
fn entries<'a>(
    body: &'a Value,
    kind: &'static str,
) -> impl Iterator<Item = (&'a Value, Vec<&'a str>)> {
    walk(body).filter_map(move |(_, entry)| {
        let fits = entry.get("type")?.as_str()? == kind;
        let steps = entry.get("loc")?.as_array()?;
        fits.then(|| (entry, steps.iter().filter_map(Value::as_str).collect()))
    })
}

/// Whether a tool's `strict` is what is refused, and the request has it.
fn is_strict_of_tools(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let leads_there = |path: &str| {
        let mut steps = path.split(|c: char| !is_in_name(c)).filter(|step| !step.is_empty());
        steps.next() == Some("tools") && steps.next_back() == Some(STRICT)
    };
    let is_told = parameter::says_word(&body.text, STRICT)
        && ["tools[", "'tools.", "/tools/"].iter().any(|path| body.text.contains(path));
    let is_located = || {
        entries(&body.value, "extra_forbidden")
            .any(|(_, steps)| steps.contains(&"tools") && steps.last() == Some(&STRICT))
    };
    sent.is_whole(STRICT)
        && (is_told || body.param.as_deref().is_some_and(leads_there) || is_located())
}

/// Whether a validator found null where a content's text should be.
fn is_null(body: &ErrorBody) -> bool {
    entries(&body.value, "string_type").any(|(entry, steps)| {
        entry.get("input").is_some_and(Value::is_null)
            && steps.contains(&"messages")
            && steps.contains(&"content")
    }) || is_written_null(&body.message)
}

/// The same in a list that a validator in Python has written out as text. Only its first entry
/// counts: what follows may repeat the request.
fn is_written_null(message: &str) -> bool {
    let entry = message.split_once("[{'type': 'string_type', 'loc': (").map(|(_, entry)| entry);
    entry.and_then(|entry| entry.split_once(')')).is_some_and(|(place, rest)| {
        let end = rest.find('}').unwrap_or(rest.len());
        let has = |step: &str| place.split(',').any(|part| part.trim() == step);
        has("'messages'") && has("'content'") && rest[..end].ends_with("'input': None")
    })
}

/// The names of the members that are refused.
fn foreign(body: &ErrorBody, places: &[Place<'_>]) -> Vec<String> {
    let at_places = places.iter().filter_map(|place| match place.as_slice() {
        [name] | ["tool_calls", name] => Some(*name),
        _ => None,
    });
    let message = body.message.as_str();
    let told = ONLY_OF_SOME.iter().copied().filter(|name| {
        let mut words = message.split(|c: char| !is_in_name(c));
        message.contains("message") && words.any(|word| word == *name)
    });
    let mut names: Vec<String> = Vec::new();
    for name in at_places.chain(before_place(message)).chain(after_place(message)).chain(told) {
        let sound = !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_in_name);
        let new = sound && !ESSENTIAL.contains(&name) && !names.iter().any(|known| known == name);
        if new && names.len() < MOST_NAMES {
            names.push(name.to_owned());
        }
    }
    names
}

/// `Unknown name "reasoning" at 'messages[1]'`
fn before_place(message: &str) -> impl Iterator<Item = &str> {
    let named = message.split("nknown name \"").skip(1).take(MOST_PLACES);
    named.filter_map(|tail| {
        let (name, tail) = tail.split_once('"')?;
        let (path, _) = tail.strip_prefix(" at '")?.split_once('\'')?;
        holds_members(path).then_some(name)
    })
}

/// `('messages.2' : property 'reasoning_content' is unsupported)`
fn after_place(message: &str) -> impl Iterator<Item = &str> {
    let named = message.match_indices(" : property '").take(MOST_PLACES);
    named.filter_map(|(at, found)| {
        let (_, path) = message[..at].trim_end_matches('\'').rsplit_once('\'')?;
        let (name, _) = message[at + found.len()..].split_once('\'')?;
        holds_members(path).then_some(name)
    })
}

/// Whether a path leads to a message or to a tool call as a whole.
fn holds_members(path: &str) -> bool {
    place(path).is_some_and(|place| matches!(place.as_slice(), [] | ["tool_calls"]))
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_between(c: char) -> bool {
    matches!(c, '.' | '[' | ']' | '/')
}
