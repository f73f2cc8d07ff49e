//! Shared capacity that is short: no account is to blame, and it is over soon.

use engine::FaultKind::Overloaded;

use super::{ANY, Rule, Statuses, Whom};
use crate::clock::Clock;
use crate::evidence::Sign;

/// Statuses with which a lack of capacity is told.
const SHORT: Statuses = Statuses::Of(&[0, 429, 498, 500, 502, 503, 504, 529]);

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "sick deployment",
        any: &["degraded function"],
        kind: Overloaded,
        whom: Whom::Model,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "model's capacity, by number",
        providers: &["cloudflare", "mistral"],
        labels: &["3040", "3505"],
        kind: Overloaded,
        whom: Whom::Model,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "model's capacity",
        labels: &["model_capacity_exhausted"],
        any: &["tier capacity exceeded"],
        kind: Overloaded,
        whom: Whom::Model,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "model that is not in memory",
        statuses: Statuses::Of(&[0, 400, 404, 500, 503]),
        any: &[
            "model unloaded",
            "model has crashed",
            "failed to load model",
            "model is currently unavailable",
            "{model} is currently unavailable",
            "model is temporarily unavailable",
            "{model} is temporarily unavailable",
        ],
        kind: Overloaded,
        whom: Whom::Model,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "model that is being loaded",
        statuses: SHORT,
        any: &["loading model", "currently loading"],
        kind: Overloaded,
        whom: Whom::Model,
        clock: Clock::StatedOr(20),
        ..ANY
    },
    Rule {
        name: "capacity, by code",
        labels: &[
            "overloaded_error",
            "engine_overloaded_error",
            "queue_exceeded",
            "server_is_overloaded",
            "capacity_exceeded",
            "insufficient_system_resource",
        ],
        kind: Overloaded,
        whom: Whom::Outage,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "capacity, by sentence",
        statuses: SHORT,
        any: &[
            "no capacity",
            "out of capacity",
            "at capacity",
            "capacity exceeded",
            "overloaded",
            "high traffic",
            "high demand",
            "server busy",
            "model busy",
            "is busy",
            "are busy",
            "too busy",
            "访问量过大",
            "繁忙",
        ],
        kind: Overloaded,
        whom: Whom::Outage,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "resource exhausted without a quota",
        statuses: Statuses::Of(&[0, 429]),
        providers: &["gemini"],
        labels: &["resource_exhausted"],
        none: &[
            "quotafailure",
            "current quota",
            "reset after",
            "retry in",
            "rate_limit_exceeded",
            "per day",
            "perday",
            "daily",
        ],
        kind: Overloaded,
        whom: Whom::Model,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "bare 429 after the start",
        statuses: Statuses::Of(&[429]),
        none: &["limit", "quota", "too many", "per min", "per day"],
        signs: &[Sign::WithinSuccess],
        kind: Overloaded,
        whom: Whom::Outage,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "error without words after the start",
        statuses: Statuses::Of(&[0]),
        providers: &["groq"],
        none: &["internal", "invalid", "server error", "limit"],
        signs: &[Sign::WithinSuccess],
        kind: Overloaded,
        whom: Whom::Outage,
        clock: Clock::Stated,
        ..ANY
    },
];
