//! A key that is wrong, revoked or not entitled, under whatever status.

use engine::FaultKind::{KeyRejected, ModelMissing};

use super::{ANY, Rule, Statuses, Whom};
use crate::evidence::Sign;

/// Statuses with which a key is refused.
const REFUSALS: Statuses = Statuses::Of(&[0, 400, 401, 403, 404, 422]);

/// What speaks of somebody else who may refuse a key: a server of tools, or of pictures.
const ELSEWHERE: &[&str] = &[
    "mcp",
    "tool",
    "connector",
    "webhook",
    "image",
    "picture",
    "audio",
    "video",
    "file",
    "url",
    "fetch",
    "download",
    "retriev",
    "search",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "key without this model",
        statuses: Statuses::Of(&[401, 403]),
        labels: &["model_not_found", "model_not_allowed"],
        any: &[
            "access to model",
            "access to the model",
            "access to this model",
            "access model",
            "access {model}",
            "access to {model}",
            "entitled to model",
            "entitled to {model}",
            "allowed to use model",
            "allowed to use {model}",
            "allowed to sample from",
            "access this model",
            "access the tuned model",
            "access tuned model",
            "authorized to use model",
            "authorized to use {model}",
            "to use this model",
            "action on model",
            "action on {model}",
            "model access denied",
            "model disabled",
            "model is disabled",
            "gated repo",
        ],
        none: &["invalid api key", "incorrect api key", "api key not valid", "invalid_api_key"],
        kind: ModelMissing,
        whom: Whom::Deployment,
        ..ANY
    },
    Rule {
        name: "model that is not served where the account is",
        statuses: REFUSALS,
        any: &[
            "model is not available in your",
            "{model} is not available in your",
            "models is not allowed from unsupported",
        ],
        kind: ModelMissing,
        whom: Whom::Deployment,
        ..ANY
    },
    // Under the status of a refusal it is there for others.
    Rule {
        name: "model that is not there for this account",
        statuses: Statuses::Of(&[401, 403]),
        none: &["api key", "api_key"],
        signs: &[Sign::ModelAbsent],
        kind: ModelMissing,
        whom: Whom::Deployment,
        ..ANY
    },
    Rule {
        name: "model of which the account shuts out every provider",
        statuses: Statuses::Of(&[404]),
        any: &["all providers have been ignored"],
        kind: ModelMissing,
        whom: Whom::Deployment,
        ..ANY
    },
    Rule {
        name: "model that the account was not given, by number",
        providers: &["zai"],
        labels: &["1220", "1311"],
        kind: ModelMissing,
        whom: Whom::Deployment,
        ..ANY
    },
    Rule {
        name: "model that the account was not given",
        labels: &[
            "model_terms_required",
            "model_permission_blocked_org",
            "model_permission_blocked_project",
        ],
        kind: ModelMissing,
        whom: Whom::Deployment,
        ..ANY
    },
    Rule {
        name: "key, by code",
        statuses: REFUSALS,
        labels: &[
            "invalid_api_key",
            "wrong_api_key",
            "api_key_invalid",
            "authentication_error",
            "unauthenticated",
            "oauth_not_allowed",
            "organization_restricted",
            "account_deactivated",
            "consumer_suspended",
            "auth_error",
            "token_not_found_in_db",
            "expired_key",
        ],
        kind: KeyRejected,
        whom: Whom::Key,
        ..ANY
    },
    // Z.ai: an account that is inactive, unknown or locked. Cloudflare: 6111 is a malformed header,
    // 9106, 9109 and 10001 are tokens and headers with which nobody can be told apart.
    Rule {
        name: "account, by number",
        providers: &["zai"],
        labels: &["1110", "1111", "1112", "1121"],
        kind: KeyRejected,
        whom: Whom::Key,
        ..ANY
    },
    Rule {
        name: "key, by number",
        statuses: REFUSALS,
        providers: &["cloudflare"],
        labels: &["6111", "9106", "9109", "10001"],
        kind: KeyRejected,
        whom: Whom::Key,
        ..ANY
    },
    Rule {
        name: "key, by sentence",
        statuses: REFUSALS,
        any: &[
            "incorrect api key",
            "invalid api key",
            "wrong api key",
            "api key not valid",
            "api key is invalid",
            "api key not found",
            "api key expired",
            "api key has expired",
            "api key does not exist",
            "api key has been revoked",
            "api key has been disabled",
            "api key is disabled",
            "format for authorization header",
            "invalid authorization header",
            "malformed authorization header",
        ],
        kind: KeyRejected,
        whom: Whom::Key,
        ..ANY
    },
    Rule {
        name: "key, by sentence about who asks",
        statuses: REFUSALS,
        any: &[
            "authentication failed",
            "authentication error",
            "invalid authentication",
            "unable to authenticate",
            "invalid access token",
            "invalid bearer token",
            "invalid proxy server token",
            "access token is invalid",
            "access token invalid",
            "token is expired",
            "token has expired",
            "access token has expired",
            "bad credentials",
            "invalid x-api-key",
            "missing api key",
            "no api key provided",
            "account deactivated",
        ],
        none: ELSEWHERE,
        kind: KeyRejected,
        whom: Whom::Key,
        ..ANY
    },
    // The account behind a gateway, which each of its models may have for itself.
    Rule {
        name: "key under the status of a breakdown",
        statuses: Statuses::Of(&[500, 502]),
        any: &[
            "litellm.authenticationerror",
            "incorrect api key",
            "invalid api key",
            "invalid_api_key",
            "api key not valid",
        ],
        none: ELSEWHERE,
        kind: KeyRejected,
        whom: Whom::Deployment,
        ..ANY
    },
    Rule {
        name: "account that is shut",
        statuses: REFUSALS,
        any: &[
            "organization has been restricted",
            "organization has been disabled",
            "account has been restricted",
            "account has been disabled",
            "account has been suspended",
            "account has been deactivated",
            "account is suspended",
            "account is disabled",
        ],
        kind: KeyRejected,
        whom: Whom::Key,
        ..ANY
    },
    Rule {
        name: "country or region",
        statuses: REFUSALS,
        any: &[
            "location is not supported",
            "region is not supported",
            "country, region, or territory not supported",
            "not available in your country",
            "not available in your region",
        ],
        kind: KeyRejected,
        whom: Whom::Key,
        ..ANY
    },
    Rule {
        name: "account that is not set up",
        statuses: Statuses::Of(&[0, 400]),
        providers: &["gemini"],
        labels: &["failed_precondition"],
        kind: KeyRejected,
        whom: Whom::Key,
        ..ANY
    },
];
