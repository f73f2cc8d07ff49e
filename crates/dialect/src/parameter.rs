//! Which parameter a provider refuses, and what it would take instead.

use std::ops::Range;

use serde_json::Value;

use crate::beside;
use crate::body::ErrorBody;
use crate::echo::{self, Whose};
use crate::history;
use crate::list;
use crate::number;
use crate::sent::Sent;
use crate::tree::walk;
use crate::unknown;

const LONGEST: usize = 64;

/// No provider refuses these as such; a text that names one speaks of what is inside it. The last
/// is what Cerebras has in the place of a name.
const PROTECTED: &[&str] = &["messages", "model", "prompt", "input", "stream", "validation_error"];

/// Parameters without which the answer would be another one. A deployment that refuses one lacks
/// a capability, and to strip it would be to answer a question that was not asked.
const ESSENTIAL: &[&str] = &[
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "modalities",
    "audio",
    "n",
];

/// Hints whose values only some providers take: without them the answer is as good.
const OPTIONS: &[&str] = &[
    "reasoning_effort",
    "top_logprobs",
    "logprobs",
    "logit_bias",
    "service_tier",
    "parallel_tool_calls",
    "stream_options",
    "verbosity",
    "prompt_cache_key",
    "safety_identifier",
    "metadata",
    "store",
];

/// Parameters that ask for thinking, and what is said by who does not think.
pub(crate) const THINKING: &[&str] =
    &["reasoning_effort", "think", "thinking", "enable_thinking", "reasoning"];
const NO_THINKING: &[&str] = &[
    "not support thinking",
    "not support reasoning",
    "thinking is not supported",
    "reasoning is not supported",
];

/// Phrases before the name of a refused parameter.
const BEFORE: &[&str] = &[
    "unsupported parameter:",
    "unsupported value:",
    "unsupported parameter(s):",
    "unknown parameter(s):",
    "unknown parameter:",
    "unrecognized request argument supplied:",
    "unrecognized request arguments supplied:",
    "argument not supported on this model:",
    "does not support parameters:",
    "does not support parameter:",
    "does not support parameter",
    "unrecognized key(s) in object:",
    "invalid field:",
    "extraneous key",
    "additional properties are not allowed",
    "unexpected keyword argument",
    "unknown field",
    "unknown name",
    "property",
    "parameter",
];

/// Phrases after the name of a refused parameter.
const AFTER: &[&str] = &[
    "is not supported",
    "is unsupported",
    "not supported",
    "is too large",
    "is invalid",
    "is not valid",
    "parameter is invalid",
    "parameter is not supported",
    "must be",
    ": number must be",
    ": extra inputs are not permitted",
    "does not support",
];

/// Phrases with which no value is taken but the default.
const ONLY_THE_DEFAULT: &[&str] = &[
    "only the default",
    "only default",
    "must be the default",
    "must be left at its default",
    "is allowed for this model",
    "is allowed for {model}",
];

/// Codes and types that refuse a parameter as such.
const WHOLLY_LABELS: &[&str] = &[
    "unsupported_parameter",
    "unknown_parameter",
    "extra_forbidden",
    "value_error.extra",
    "wrong_api_format",
];

/// Codes and types that refuse a value.
const VALUE_LABELS: &[&str] = &[
    "unsupported_value",
    "invalid_value",
    "literal_error",
    "enum",
    "int_type",
    "int_parsing",
    "bool_type",
    "less_than_equal",
    "greater_than_equal",
];

/// Phrases that refuse a value.
const VALUE: &[&str] = &[
    "unsupported value",
    "invalid value",
    "supported values",
    "allowed values",
    "valid values",
    "accepted values",
    "permitted values",
    "must be one of",
    "should be one of",
    "expected one of",
    "not one of",
    "input should be",
    "must be a",
    "must be between",
    "less than or equal",
    "greater than or equal",
    "at most",
    "out of range",
    "too large",
];

/// Phrases that refuse a parameter as such.
const WHOLLY: &[&str] = &[
    "unsupported parameter",
    "unknown parameter",
    "unrecognized request argument",
    "argument not supported",
    "unexpected keyword argument",
    "unknown name \"",
    "extra inputs are not permitted",
    "does not support",
    "is not supported",
    "is unsupported",
    "not supported",
    "is not enabled",
    "is deprecated",
];

/// Whether a parameter is one that must not be stripped.
pub(crate) fn is_essential(name: &str) -> bool {
    ESSENTIAL.contains(&name)
}

/// The top-level name of the refused parameter.
pub(crate) fn refused(body: &ErrorBody, sent: &Sent<'_>) -> Option<String> {
    if history::refused(body, sent).is_some() {
        return None;
    }
    if let Some(name) = beside::meaningless(body, sent) {
        return Some(name.to_owned());
    }
    let named = body.param.as_deref().and_then(top_level);
    let named = named
        .or_else(|| by_location(&body.value))
        .or_else(|| by_written_location(&body.message))
        .or_else(|| number::refused(body, sent))
        .or_else(|| refused_thinking(body, sent).map(str::to_owned))
        .or_else(|| unknown::refused(body, sent))
        .or_else(|| in_prose(&body.message, sent))
        .or_else(|| refused_option(body, sent))
        .or_else(|| list::refused(body, sent));
    named.filter(|name| !number::is_too_small(name, &body.text, sent))
}

/// The top-level name of the parameter that a field or a validator's list leads to, whatever is
/// wrong with it.
pub(crate) fn pointed_at(body: &ErrorBody) -> Option<String> {
    let located = || {
        let mut places = walk(&body.value).filter_map(|(_, entry)| entry.get("loc")?.as_array());
        places.find_map(|place| {
            let mut steps = place.iter().filter_map(Value::as_str);
            top_level(steps.find(|step| *step != "body")?)
        })
    };
    body.param.as_deref().and_then(top_level).or_else(located)
}

/// The option that an error names, in its field, its location or its words.
pub(crate) fn refused_option(body: &ErrorBody, sent: &Sent<'_>) -> Option<String> {
    let wrong_value = || located(&body.value, &["enum", "int_type", "int_parsing", "bool_type"]);
    let named = body.param.as_deref().and_then(top_level).or_else(|| by_location(&body.value));
    let named = named.or_else(wrong_value);
    let is_option = |name: &String| OPTIONS.contains(&name.as_str());
    if named.is_some() {
        return named.filter(is_option);
    }
    let text = body.message.to_ascii_lowercase();
    let is_said = |name: &&&str| {
        let mut places = text.match_indices(**name).take(4).map(|(at, _)| at..at + name.len());
        places.any(|place| is_whole_word(&text, &place) && !echo::is_repeated(&place, &text, sent))
    };
    let by_name = OPTIONS.iter().find(is_said);
    by_name.copied().or_else(|| refused_thinking(body, sent)).map(str::to_owned)
}

/// The parameter that asks for thinking, if it is that which is not taken.
fn refused_thinking(body: &ErrorBody, sent: &Sent<'_>) -> Option<&'static str> {
    let text = body.text.as_str();
    let own = |phrase: &&str| {
        let mut places = text.match_indices(*phrase).take(4);
        places.any(|(at, _)| is_own(at..at + phrase.len(), text, sent))
    };
    let mut asks = THINKING.iter().copied();
    if NO_THINKING.iter().any(own) { asks.find(|name| sent.is_whole(name)) } else { None }
}

/// Whether a text has a word, whole.
pub(crate) fn says_word(text: &str, word: &str) -> bool {
    let mut places = text.match_indices(word).take(8);
    places.any(|(at, _)| is_whole_word(text, &(at..at + word.len())))
}

pub(crate) fn is_whole_word(text: &str, place: &Range<usize>) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text[..place.start].ends_with(is_part) && !text[place.end..].starts_with(is_part)
}

/// Whether the words at a place of a text in lower case are the provider's, not the client's.
fn is_own(place: Range<usize>, text: &str, sent: &Sent<'_>) -> bool {
    echo::of_run(&place, text, sent) == Whose::Providers
}

/// The parameter that is to be used in the place of another: "Use 'x' instead".
pub(crate) fn replacement(param: &str, body: &ErrorBody, sent: &Sent<'_>) -> Option<String> {
    let lower = body.message.to_ascii_lowercase();
    let named = lower.match_indices("use ").find_map(|(at, found)| {
        let (name, _) = lower[at + found.len()..].split_once(" instead")?;
        let own = name.len() <= LONGEST && is_own(at..at + found.len() + name.len(), &lower, sent);
        if own { leading(name, false).map(|(name, _)| name) } else { None }
    });
    named.filter(|name| name != param && !is_essential(name))
}

/// Whether only the value was refused, so that the same parameter with another may be taken.
pub(crate) fn is_of_the_value(body: &ErrorBody) -> bool {
    let text = body.text.as_str();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if says(ONLY_THE_DEFAULT) || body.is_labelled(WHOLLY_LABELS) || unknown::is_said(text) {
        return false;
    }
    body.is_labelled(VALUE_LABELS) || says(VALUE) || !says(WHOLLY)
}

/// The name in the `loc` of a validator's list: `["body", "reasoning"]`.
fn by_location(body: &Value) -> Option<String> {
    located(body, &["extra_forbidden", "value_error.extra", "literal_error"])
}

/// The same of a list that a validator in Python has written out as text. Only its first entry
/// counts: what follows repeats the request.
fn by_written_location(message: &str) -> Option<String> {
    let (_, entry) = message.split_once("[{'type': '")?;
    let (kind, rest) = entry.split_once("', 'loc': (")?;
    if !["extra_forbidden", "literal_error"].contains(&kind) {
        return None;
    }
    let (place, _) = rest.split_once(')')?;
    let mut names = place.split(',').map(|name| name.trim().trim_matches('\''));
    top_level(names.find(|name| *name != "body")?)
}

/// The same for entries of these types.
fn located(body: &Value, types: &[&str]) -> Option<String> {
    let refusal = |entry: &&Value| {
        entry.get("type").and_then(Value::as_str).is_some_and(|kind| types.contains(&kind))
    };
    let entries = walk(body).map(|(_, value)| value).filter(refusal);
    let mut places = entries.filter_map(|entry| entry.get("loc")?.as_array());
    places.find_map(|place| {
        let mut names = place.iter().filter_map(Value::as_str).filter(|name| *name != "body");
        top_level(names.next()?)
    })
}

fn in_prose(message: &str, sent: &Sent<'_>) -> Option<String> {
    let lower = message.to_ascii_lowercase();
    let before = BEFORE.iter().flat_map(|phrase| {
        lower.match_indices(phrase).take(4).filter_map(|(at, found)| {
            let (name, rest) = leading(&message[at + found.len()..], found.ends_with(':'))?;
            Some((name, at..message.len() - rest.len()))
        })
    });
    let after = AFTER.iter().flat_map(|phrase| {
        lower.match_indices(phrase).take(4).filter_map(|(at, found)| {
            let (name, start) = trailing(&message[..at])?;
            Some((name, start..at + found.len()))
        })
    });
    let mut named = before.chain(after);
    named.find(|(_, place)| is_own(place.clone(), &lower, sent)).map(|(name, _)| name)
}

/// The name at the beginning, and what follows it; unless it is quoted or `listed`, it must look
/// like a name.
fn leading(tail: &str, listed: bool) -> Option<(String, &str)> {
    let inner = tail.trim_start_matches([' ', '[']);
    let listed = listed || tail[..tail.len() - inner.len()].ends_with('[');
    // What is in parentheses is a name only if it is quoted too.
    let tail = inner.strip_prefix('(').filter(|name| name.starts_with(is_quote)).unwrap_or(inner);
    if let Some(quote) = tail.chars().next().filter(|c| is_quote(*c)) {
        let name = tail[1..].split(quote).next()?;
        return Some((top_level(name)?, &tail[1 + name.len()..]));
    }
    let end = tail.find(|c: char| !is_in_name(c)).unwrap_or(tail.len());
    let name = tail[..end].trim_end_matches('.');
    let named = if listed || is_compound(name) { top_level(name) } else { None };
    Some((named?, &tail[end..]))
}

/// The name at the end, quoted or with an underscore, and where it begins.
fn trailing(head: &str) -> Option<(String, usize)> {
    let bare = head.trim_end().trim_end_matches(':').trim_end();
    let name = bare.trim_end_matches(is_quote);
    let quoted = name.len() < bare.len();
    let start = name.rfind(|c: char| !is_in_name(c)).map_or(0, |at| at + utf8_len(name, at));
    let name = &name[start..];
    let named = if quoted || is_compound(name) { top_level(name) } else { None };
    Some((named?, start))
}

/// Whether a word is put together as names are: `top_p`, `logitBias`.
fn is_compound(name: &str) -> bool {
    let hump = |pair: &[u8]| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase();
    name.contains('_') || name.as_bytes().windows(2).any(hump)
}

fn utf8_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

/// The part of a path before the first dot or bracket, written as requests write it.
pub(crate) fn top_level(path: &str) -> Option<String> {
    let name = snake(path.split(['.', '[']).next()?);
    let sound = !name.is_empty() && name.len() <= LONGEST && name.chars().all(is_in_name);
    (sound && !PROTECTED.contains(&name.as_str())).then_some(name)
}

/// `frequencyPenalty` is how one provider calls what the request calls `frequency_penalty`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars().take(LONGEST + 1) {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

pub(crate) fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '"' | '`')
}
