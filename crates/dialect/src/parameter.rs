//! Which parameter a provider refuses, and what it would take instead.

use serde_json::Value;

use crate::body::ErrorBody;
use crate::history;
use crate::tree::walk;

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

/// Phrases before the name of a refused parameter.
const BEFORE: &[&str] = &[
    "unsupported parameter:",
    "unsupported value:",
    "unknown parameter:",
    "unrecognized request argument supplied:",
    "unrecognized request arguments supplied:",
    "argument not supported on this model:",
    "does not support parameters:",
    "does not support parameter:",
    "unexpected keyword argument",
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
    "must be",
    ": number must be",
    ": extra inputs are not permitted",
    "does not support",
];

/// Phrases after which the largest value of an output limit stands.
const CEILINGS: &[&str] = &[
    "less than or equal to",
    "must be at most",
    "supports at most",
    "can only afford",
    "range of max_tokens is [1,",
    "max_tokens is [1,",
    "<=",
    ">",
];

/// Words without which a ceiling is not one of output tokens.
const OUTPUT: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "completion tokens",
    "output tokens",
    "can only afford",
];

/// Whether a parameter is one that must not be stripped.
pub(crate) fn is_essential(name: &str) -> bool {
    ESSENTIAL.contains(&name)
}

/// The top-level name of the refused parameter.
pub(crate) fn refused(body: &ErrorBody) -> Option<String> {
    if history::refused(body).is_some() {
        return None;
    }
    let named = body.param.as_deref().and_then(top_level);
    named
        .or_else(|| by_location(&body.value))
        .or_else(|| in_prose(&body.message))
        .or_else(|| refused_option(body))
}

/// The option that an error names, in its field, its location or its words.
pub(crate) fn refused_option(body: &ErrorBody) -> Option<String> {
    let wrong_value = || located(&body.value, &["enum", "int_type", "int_parsing", "bool_type"]);
    let named = body.param.as_deref().and_then(top_level).or_else(|| by_location(&body.value));
    let named = named.or_else(wrong_value);
    let is_option = |name: &String| OPTIONS.contains(&name.as_str());
    if named.is_some() {
        return named.filter(is_option);
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let text = body.message.to_ascii_lowercase();
    let mut words = text.split(|c| !is_part(c));
    words.find(|word| OPTIONS.contains(word)).map(str::to_owned)
}

/// The parameter that is to be used in the place of another: "Use 'x' instead".
pub(crate) fn replacement(param: &str, body: &ErrorBody) -> Option<String> {
    let lower = body.message.to_ascii_lowercase();
    let named = lower.match_indices("use ").find_map(|(at, found)| {
        let (name, _) = lower[at + found.len()..].split_once(" instead")?;
        if name.len() <= LONGEST { leading(name, false) } else { None }
    });
    named.filter(|name| name != param && !is_essential(name))
}

/// The largest count of output tokens that the deployment takes, in tokens.
pub(crate) fn ceiling(body: &ErrorBody) -> Option<u64> {
    let text = body.message.to_ascii_lowercase();
    if !OUTPUT.iter().any(|word| text.contains(word)) {
        return None;
    }
    CEILINGS.iter().find_map(|phrase| {
        let found = text.match_indices(phrase).take(8);
        found.filter_map(|(at, _)| count(&text[at + phrase.len()..])).find(|&count| count > 0)
    })
}

fn count(tail: &str) -> Option<u64> {
    let tail = tail.trim_start_matches([' ', '`', '\'', '"', ':']);
    let end = tail.find(|c: char| !(c.is_ascii_digit() || c == ',')).unwrap_or(tail.len());
    tail[..end].replace(',', "").parse().ok()
}

/// The name in the `loc` of a validator's list: `["body", "reasoning"]`.
fn by_location(body: &Value) -> Option<String> {
    located(body, &["extra_forbidden", "literal_error"])
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

fn in_prose(message: &str) -> Option<String> {
    let lower = message.to_ascii_lowercase();
    let before = BEFORE.iter().flat_map(|phrase| {
        lower
            .match_indices(phrase)
            .take(4)
            .filter_map(|(at, found)| leading(&message[at + found.len()..], found.ends_with(':')))
    });
    let after = AFTER.iter().flat_map(|phrase| {
        lower.match_indices(phrase).take(4).filter_map(|(at, _)| trailing(&message[..at]))
    });
    before.chain(after).next()
}

/// The name at the beginning; unless it is quoted or `listed`, it must look like a name.
fn leading(tail: &str, listed: bool) -> Option<String> {
    let tail = tail.trim_start_matches([' ', '[']);
    if let Some(quote) = tail.chars().next().filter(|c| is_quote(*c)) {
        return top_level(tail[1..].split(quote).next()?);
    }
    let end = tail.find(|c: char| !is_in_name(c)).unwrap_or(tail.len());
    let name = tail[..end].trim_end_matches('.');
    if listed || name.contains('_') { top_level(name) } else { None }
}

/// The name at the end, quoted or with an underscore.
fn trailing(head: &str) -> Option<String> {
    let bare = head.trim_end().trim_end_matches(':').trim_end();
    let name = bare.trim_end_matches(is_quote);
    let quoted = name.len() < bare.len();
    let start = name.rfind(|c: char| !is_in_name(c)).map_or(0, |at| at + utf8_len(name, at));
    let name = &name[start..];
    if quoted || name.contains('_') { top_level(name) } else { None }
}

fn utf8_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

/// The part of a path before the first dot or bracket, written as requests write it.
fn top_level(path: &str) -> Option<String> {
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

fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '"' | '`')
}
