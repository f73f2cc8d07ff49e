//! Parameters that are refused for what stands beside them in a request, or does not: another
//! request with the same parameter is sound, so nothing is remembered of it.

use serde_json::Value;

use crate::body::ErrorBody;
use crate::combined;
use crate::parameter;
use crate::sent::Sent;

/// A choice among tools, and what a stream may tell beside its answer.
const CHOICE: &str = "tool_choice";
const OPTIONS: &str = "stream_options";

/// What it chooses among.
const TOOLS: &[&str] = &["tools", "functions"];

/// Texts of a choice that demands a call.
const DEMANDS: &[&str] = &["required", "any", "function"];

/// What is said of a parameter that is taken, but not beside the others of this request.
const BESIDE_OTHERS: &[&str] = &[
    "only allowed when",
    "only allowed if",
    "only valid when",
    "only valid if",
    "only supported when",
    "only supported with",
    "only be set when",
    "when thinking is enabled",
    "when reasoning is enabled",
    "when reasoning effort is",
    "when reasoning_effort is",
    "with this model when",
    "at the same time",
    "must be used with",
    "only be used when",
    "only be used with",
    "when using",
    "cannot be used together",
    "cannot be used with",
    "not compatible with",
    "incompatible with",
];

/// What is said by who takes one call of a tool at a time.
pub(crate) const SINGLE_CALLS: &[&str] = &[
    "single tool call",
    "single tool-call",
    "one tool call",
    "one tool-call",
    "parallel tool call",
    "parallel tool-call",
    "parallel function call",
    "multiple tool call",
    "multiple tool-call",
];

/// Whether tools are taken by an error's words, but not several calls of them at once.
pub(crate) fn wants_single_calls(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    sent.is_whole("tools") && SINGLE_CALLS.iter().any(|phrase| body.text.contains(phrase))
}

/// Whether a parameter was refused for what stands beside it.
pub(crate) fn depends_on_others(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    BESIDE_OTHERS.iter().any(|phrase| body.text.contains(phrase))
        || meaningless(body, sent).is_some()
        || combined::is_named(body, sent)
}

/// The parameter that an error names and the request has, where it means nothing and can be left
/// out: a choice among tools without tools, or options of a stream without one.
pub(crate) fn meaningless(body: &ErrorBody, sent: &Sent<'_>) -> Option<&'static str> {
    let is_named = |words: &[&str]| {
        words.iter().any(|word| {
            parameter::says_word(&body.text, word) || body.param.as_deref() == Some(*word)
        })
    };
    let has = |words: &[&str]| words.iter().any(|word| sent.is_whole(word));
    let is_choice = || has(&[CHOICE]) && !has(TOOLS) && !has(DEMANDS);
    let is_options = || has(&[OPTIONS]) && !sent.members(&["stream"]).values().any(is_true);
    let choice = Some(CHOICE).filter(|name| is_named(&[name]) && is_choice());
    choice.or_else(|| {
        Some(OPTIONS).filter(|name| is_named(&[name, "stream options"]) && is_options())
    })
}

fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true)
}
