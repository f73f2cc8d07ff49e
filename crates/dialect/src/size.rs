//! The largest size of a request that is taken, where a refusal states it, and what it found the
//! refused request to have.

use engine::{Fault, FaultKind, StatedSize};
use serde_json::Value;

use crate::echo::{self, Whose};
use crate::evidence::Evidence;
use crate::number;
use crate::tree::walk;
use crate::words;

/// What stands before the limit, the clearest first.
const LIMITS: &[&str] = &[
    "maximum context length is",
    "maximum context length of",
    "context length is only",
    "context length of",
    "context length is",
    "context window of",
    "context window is",
    "context size of",
    "available context size (",
    "context limit of",
    "configured limit of",
    "maximum prompt length is",
    "maximum prompt length of",
    "token limit is",
    "token limit of",
    "token limit:",
    "max_new_tokens` must be <=",
    "must have less than",
    "must be less than max_seq_len",
    "prompt cannot exceed",
    "maximum allowed token size of",
    "maximum number of tokens allowed",
    "maximum allowed length of",
    "prompt has more than",
    "is larger than",
    "tokens >",
    "max tokens per request:",
];

/// What stands before the size of the refused request.
const REQUESTED: &[&str] = &[
    "you requested",
    "requested",
    "resulted in",
    "your request has",
    "request has",
    "request contains",
    "prompt contains",
    "prompt is too long:",
    "input contains",
    "received",
    "given:",
    "request (",
    "you passed",
    "got",
];

/// Names of fields that tell the same.
const LIMIT_FIELDS: &[&str] = &["n_ctx", "max_context_length", "context_length"];
const REQUESTED_FIELDS: &[&str] = &["n_prompt_tokens", "prompt_tokens"];

/// No model takes less, or more.
const LEAST: u64 = 256;
const MOST: u64 = 100_000_000;

/// So many places of one phrase are looked at.
const MOST_PLACES: usize = 4;

/// What a refusal of a request for its size states.
pub(crate) fn stated(seen: &Evidence<'_>, fault: &Fault) -> Option<StatedSize> {
    if !matches!(fault.kind, FaultKind::RequestTooLarge | FaultKind::ContextTooLong) {
        return None;
    }
    let found = in_fields(&seen.body.value).or_else(|| in_figures(seen)).or_else(|| {
        let most = after(LIMITS, seen)?;
        Some(StatedSize { most, requested: after(REQUESTED, seen) })
    })?;
    let requested = found.requested.filter(|requested| (found.most..=MOST).contains(requested));
    (LEAST..=MOST).contains(&found.most).then_some(StatedSize { requested, ..found })
}

fn in_fields(body: &Value) -> Option<StatedSize> {
    let number = |names: &[&str]| {
        let mut found = walk(body).filter(|(name, _)| names.contains(name));
        found.find_map(|(_, value)| value.as_u64())
    };
    Some(StatedSize { most: number(LIMIT_FIELDS)?, requested: number(REQUESTED_FIELDS) })
}

/// "Limit 6000, Requested 9000"
fn in_figures(seen: &Evidence<'_>) -> Option<StatedSize> {
    let text = seen.body.text.as_str();
    let figures = words::figures(text).filter(|figures| figures.requested > figures.limit)?;
    let start = text.find("limit")?;
    let end = start + text[start..].find("requested").map_or(0, |at| at + "requested".len());
    let is_own = echo::of_run(&(start..end), text, &seen.sent) == Whose::Providers;
    is_own.then_some(StatedSize { most: figures.limit, requested: Some(figures.requested) })
}

/// The number after one of the phrases, in the provider's own words.
fn after(phrases: &[&str], seen: &Evidence<'_>) -> Option<u64> {
    let text = seen.body.text.as_str();
    phrases.iter().find_map(|phrase| {
        text.match_indices(*phrase).take(MOST_PLACES).find_map(|(at, _)| {
            let tail = text[at + phrase.len()..].trim_start_matches([' ', '(', '=']);
            let (count, rest) = number::count(tail)?;
            let run = at..text.len() - rest.len();
            (echo::of_run(&run, text, &seen.sent) == Whose::Providers).then_some(count)
        })
    })
}
