//! Faults of this one request: too long, too large, or not wanted. Nothing is set aside.

use engine::FaultKind::{ContentFiltered, ContextTooLong, RequestTooLarge};

use super::{ANY, Rule, Statuses, Whom};
use crate::evidence::Sign;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "context, by code",
        labels: &["context_length_exceeded", "exceed_context_size_error", "tokens_limit_reached"],
        kind: ContextTooLong,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "context, by number",
        providers: &["zai"],
        labels: &["1261"],
        kind: ContextTooLong,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "context, by sentence",
        statuses: Statuses::Of(&[0, 400, 403, 413, 422, 500]),
        any: &[
            "context length",
            "context window",
            "context size",
            "context limit",
            "maximum prompt length",
            "longer than the maximum model length",
            "must be less than max_seq_len",
            "exceeds max length",
            "exceeds the maximum number of tokens",
            "prompt is too long",
            "input is too long",
            "input too long",
            "reduce the length of the messages",
            "`inputs` tokens + `max_new_tokens` must be",
            "超出最大长度",
        ],
        kind: ContextTooLong,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "context, by the build of the sentence",
        statuses: Statuses::Of(&[0, 400, 413, 422, 500]),
        signs: &[Sign::PromptTooLong],
        kind: ContextTooLong,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "larger than a minute's tokens",
        statuses: Statuses::Of(&[0, 400, 413, 429]),
        signs: &[Sign::TooLarge],
        kind: RequestTooLarge,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "content",
        statuses: Statuses::Of(&[0, 400, 403, 422, 451]),
        labels: &["content_filter", "content_policy_violation", "moderation_blocked"],
        any: &[
            "violates usage guidelines",
            "requires moderation",
            "input was flagged",
            "flagged by",
            "content management policy",
            "content policy",
            "content filter",
            "safety_check",
            "safety system",
            "guardrail",
            "敏感",
        ],
        kind: ContentFiltered,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "context under the name of a refusal",
        statuses: Statuses::Of(&[403]),
        providers: &["together"],
        kind: ContextTooLong,
        whom: Whom::Request,
        ..ANY
    },
];
