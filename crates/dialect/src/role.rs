//! Whether a reply refuses the role `developer`, which many providers do not know. Most of them
//! do not say which role they mean, so what the request has decides.

use serde_json::Value;

use crate::body::ErrorBody;
use crate::sent::Sent;
use crate::tree::walk;

const DEVELOPER: &str = "developer";

/// What is said of a role that is not taken.
const REFUSED: &[&str] = &[
    "invalid",
    "incorrect",
    "illegal",
    "unexpected",
    "unknown",
    "unrecognized",
    "unsupported",
    "not support",
    "not allowed",
    "not valid",
    "not recognized",
    "not one of",
    "no such role",
    "must be one of",
    "must be either",
    "should be one of",
    "should be either",
    "expected one of",
    "expected tags",
    "input should be",
];

/// What stands before the roles that are taken.
const LISTS: &[&str] = &[
    "not one of",
    "must be one of",
    "must be either",
    "should be",
    ", expected",
    "expected tags",
    "expected one of",
    "supported values",
    "supported roles",
    "allowed values",
    "allowed roles",
    "valid values",
    "valid roles",
    "accepted values",
    "available roles",
];

/// Roles that everybody knows: who names one speaks of its place, not of its name.
const OTHERS: &[&str] = &["system", "user", "assistant", "tool", "function"];

/// Words about the order of messages.
const ORDER: &[&str] =
    &["alternat", "sequence", "order", "preced", "consecutive", "first message", "last message"];

/// Whether the role `developer` is refused.
pub(crate) fn is_refused(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let text = body.text.as_str();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    let (said, taken) = at_list(text);
    let is_named = said.contains(DEVELOPER);
    let about = is_about_role(body) || is_named && text.contains("unknown variant");
    about
        && says(REFUSED)
        && !says(ORDER)
        && !taken.contains(DEVELOPER)
        && (is_named || !names_another(said) && is_sent(sent))
}

/// Whether the request has the role, if it is known.
fn is_sent(sent: &Sent<'_>) -> bool {
    sent.body().is_empty() || sent.is_whole(DEVELOPER)
}

/// A text before the list of what is taken, and from there on.
fn at_list(text: &str) -> (&str, &str) {
    let starts = LISTS.iter().filter_map(|list| text.find(list));
    text.split_at(starts.min().unwrap_or(text.len()))
}

fn is_about_role(body: &ErrorBody) -> bool {
    let is_role = |word: &str| matches!(word, "role" | "roles");
    words(&body.text).any(is_role)
        || body.param.as_deref().is_some_and(|param| words(param).last().is_some_and(is_role))
        || walk(&body.value).any(|(_, entry)| is_at_role(entry))
}

/// Whether an entry of a validator's list is about the role of a message.
fn is_at_role(entry: &Value) -> bool {
    let steps = entry.get("loc").and_then(Value::as_array);
    steps.is_some_and(|steps| {
        let has = |word: &str| steps.iter().any(|step| step.as_str() == Some(word));
        has("messages") && steps.last().and_then(Value::as_str) == Some("role")
    })
}

/// Whether a role that everybody knows is named as the one that is meant: `role 'tool'`.
fn names_another(text: &str) -> bool {
    let pairs = words(text).zip(words(text).skip(1));
    pairs.into_iter().any(|(word, next)| word == "role" && OTHERS.contains(&next))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}
