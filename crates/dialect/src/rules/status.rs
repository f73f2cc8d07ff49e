//! What a status means when nothing else in the reply tells.

use engine::FaultKind::{
    CallerMistake, KeyRejected, ModelMissing, Overloaded, RequestTooLarge, ServerError, Unreachable,
};

use super::{ANY, Rule, Statuses, Whom};
use crate::clock::Clock;
use crate::evidence::Sign;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "request",
        statuses: Statuses::Of(&[400, 411, 415, 417, 422]),
        kind: CallerMistake,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "guard page before the provider",
        statuses: Statuses::Of(&[403]),
        any: &["cloudflare", "just a moment", "attention required", "captcha"],
        signs: &[Sign::Page],
        kind: ServerError,
        whom: Whom::Provider,
        ..ANY
    },
    Rule {
        name: "network that is not let in",
        statuses: Statuses::Of(&[403]),
        any: &["check your network settings", "virtual network", "firewall rules"],
        kind: Unreachable,
        whom: Whom::Provider,
        ..ANY
    },
    Rule { name: "key", statuses: Statuses::Of(&[401]), kind: KeyRejected, whom: Whom::Key, ..ANY },
    Rule {
        name: "key, without a word",
        statuses: Statuses::Of(&[403]),
        signs: &[Sign::Wordless],
        kind: KeyRejected,
        whom: Whom::KeyPerhaps,
        ..ANY
    },
    // It may be for what this request has in it, whatever the type says of permissions.
    Rule {
        name: "request that is blocked",
        statuses: Statuses::Of(&[403]),
        any: &[
            "request was blocked",
            "request has been blocked",
            "request is blocked",
            "request blocked",
            "blocked by policy",
        ],
        none: &["key", "account", "organization", "organisation", "project"],
        kind: ServerError,
        whom: Whom::Deployment,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "key, by what is spoken of",
        statuses: Statuses::Of(&[403]),
        any: &["key", "token", "credential"],
        kind: KeyRejected,
        whom: Whom::Key,
        ..ANY
    },
    Rule {
        name: "key, by what it may not do",
        statuses: Statuses::Of(&[403]),
        any: &["auth", "permission", "permitted", "forbidden", "account", "organization"],
        kind: KeyRejected,
        whom: Whom::KeyPerhaps,
        ..ANY
    },
    Rule {
        name: "refusal for no known reason",
        statuses: Statuses::Of(&[403]),
        kind: ServerError,
        whom: Whom::Deployment,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "path that is not there",
        statuses: Statuses::Of(&[404]),
        signs: &[Sign::PathUnknown],
        kind: ServerError,
        ..ANY
    },
    Rule {
        name: "model that is not there",
        statuses: Statuses::Of(&[404]),
        signs: &[Sign::ModelSpokenOf],
        kind: ModelMissing,
        ..ANY
    },
    Rule {
        name: "something else that is not there",
        statuses: Statuses::Of(&[404]),
        kind: CallerMistake,
        whom: Whom::Request,
        ..ANY
    },
    Rule { name: "gone for good", statuses: Statuses::Of(&[410]), kind: ModelMissing, ..ANY },
    Rule {
        name: "size",
        statuses: Statuses::Of(&[413, 414, 431]),
        kind: RequestTooLarge,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "capacity",
        statuses: Statuses::Of(&[498, 503, 529]),
        kind: Overloaded,
        whom: Whom::Outage,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "edge without its origin",
        statuses: Statuses::From(520, 524),
        kind: ServerError,
        whom: Whom::Provider,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "edge without a certificate",
        statuses: Statuses::From(525, 526),
        kind: Unreachable,
        whom: Whom::Provider,
        ..ANY
    },
    Rule { name: "fault of the provider", kind: ServerError, clock: Clock::Stated, ..ANY },
];
