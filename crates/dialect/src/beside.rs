//! Parameters that are refused for what stands beside them in a request, or does not: another
//! request with the same parameter is sound, so nothing is remembered of it.

use crate::body::ErrorBody;
use crate::parameter;
use crate::sent::Sent;

/// A choice among tools.
pub(crate) const CHOICE: &str = "tool_choice";

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
    BESIDE_OTHERS.iter().any(|phrase| body.text.contains(phrase)) || is_lonely_choice(body, sent)
}

/// Whether an error names the choice among tools, and the request has one, but no tools. It means
/// nothing then, and can be left out.
pub(crate) fn is_lonely_choice(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let is_named =
        parameter::says_word(&body.text, CHOICE) || body.param.as_deref() == Some(CHOICE);
    let has = |words: &[&str]| words.iter().any(|word| sent.is_whole(word));
    is_named && has(&[CHOICE]) && !has(TOOLS) && !has(DEMANDS)
}
