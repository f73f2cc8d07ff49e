//! What a deployment does not take, or fails at, though the request is sound: another may serve.

use engine::FaultKind::{CapabilityMissing, ParameterRefused, ServerError};

use super::{ANY, Rule, Statuses, Whom};
use crate::beside::SINGLE_CALLS;
use crate::clock::Clock;
use crate::evidence::Sign;

/// Statuses with which a request is refused.
const REFUSED: Statuses = Statuses::Of(&[0, 400, 404, 422]);

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "history of another provider",
        // A server of one's own breaks down over a role that its template does not know.
        statuses: Statuses::Of(&[0, 400, 422, 500]),
        signs: &[Sign::HistoryRefused],
        kind: ParameterRefused,
        whom: Whom::Request,
        ..ANY
    },
    // A conversation that went on without the thoughts of who is asked now: what is missing cannot
    // be made up, and another takes it as it is.
    Rule {
        name: "thoughts that are missing",
        statuses: Statuses::Of(&[0, 400, 422]),
        any: &[
            "expected `thinking` or `redacted_thinking`",
            "expected thinking or redacted_thinking",
            "must start with a thinking block",
        ],
        kind: CapabilityMissing,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "model's own failure",
        labels: &["tool_use_failed", "json_validate_failed"],
        kind: ServerError,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "capability",
        statuses: REFUSED,
        any: &[
            "support image",
            "images are not supported",
            "image input is not",
            "image_url is only supported",
            "support tool",
            "support function calling",
            "tool calling` is not supported",
            "support response format",
            "requested parameters",
            "not supported in the v1/",
        ],
        kind: CapabilityMissing,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "parameter, by code",
        statuses: Statuses::Of(&[0, 400, 422]),
        labels: &[
            "unsupported_parameter",
            "unsupported_value",
            "unknown_parameter",
            "extra_forbidden",
            "value_error.extra",
            "literal_error",
            "wrong_api_format",
        ],
        // Nothing that is left out mends what is missing.
        none: &["field required", "missing required"],
        kind: ParameterRefused,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "value of an option",
        statuses: Statuses::Of(&[400, 422]),
        signs: &[Sign::OptionRefused],
        kind: ParameterRefused,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "list that is too long",
        statuses: Statuses::Of(&[0, 400, 422]),
        signs: &[Sign::ListTooLong],
        kind: ParameterRefused,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "several calls of tools at once",
        statuses: REFUSED,
        any: SINGLE_CALLS,
        kind: ParameterRefused,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "parameter that is not known",
        statuses: Statuses::Of(&[0, 400, 422]),
        signs: &[Sign::ParameterUnknown],
        kind: ParameterRefused,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "parameter, by sentence",
        statuses: Statuses::Of(&[0, 400, 422]),
        any: &[
            "unsupported parameter",
            "unsupported value",
            "unknown parameter",
            "unrecognized request argument",
            "argument not supported",
            "unexpected keyword argument",
            "unknown name \"",
            "extra inputs are not permitted",
            "does not support parameter",
            "unrecognized key(s) in object",
            "extraneous key",
            "json: unknown field",
            "unknown field `",
            "additional properties are not allowed",
            "invalid field:",
            "is not supported",
            "is unsupported",
            "not supported with this model",
            "not supported by this model",
            "must be less than or equal to",
            "must be at most",
            "valid range of max_tokens",
            "maximum allowed number of output tokens",
            "max_tokens is too large",
        ],
        kind: ParameterRefused,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "failure further up",
        statuses: Statuses::Of(&[400]),
        any: &["upstream request failed"],
        kind: ServerError,
        whom: Whom::Model,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "refusal further up",
        statuses: Statuses::Of(&[400]),
        any: &["provider returned error"],
        kind: ServerError,
        whom: Whom::Request,
        ..ANY
    },
];
