//! Replies of providers that pass requests on: whose limit was met is in their metadata.

use engine::FaultKind::{DailyLimit, OutOfCredit, Overloaded, RateLimited, ServerError};

use super::{ANY, Rule, Statuses, Whom};
use crate::clock::Clock;
use crate::evidence::Sign;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "too much credit in flight",
        labels: &["openrouter_in_flight_budget"],
        kind: RateLimited,
        whom: Whom::Key,
        clock: Clock::Limit,
        ..ANY
    },
    Rule {
        name: "a payment that only needs a wait",
        statuses: Statuses::Of(&[402]),
        providers: &["openrouter"],
        signs: &[Sign::RetryAfter],
        kind: RateLimited,
        whom: Whom::Key,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "credit too short for this request",
        any: &["requires more credits", "can only afford"],
        kind: OutOfCredit,
        whom: Whom::Request,
        ..ANY
    },
    // What is left pays for a shorter prompt.
    Rule {
        name: "credit too short for this prompt",
        statuses: Statuses::Of(&[0, 402]),
        any: &["prompt tokens limit exceeded"],
        kind: OutOfCredit,
        whom: Whom::Request,
        ..ANY
    },
    Rule {
        name: "free models of the day",
        labels: &["openrouter_free_tier_daily"],
        any: &["free-models-per-day"],
        kind: DailyLimit,
        whom: Whom::FreeModels,
        clock: Clock::Day,
        ..ANY
    },
    Rule {
        name: "free models of the minute",
        any: &["free-models-per-min"],
        kind: RateLimited,
        whom: Whom::FreeModels,
        clock: Clock::Limit,
        ..ANY
    },
    Rule {
        name: "shared pool upstream",
        labels: &["upstream_provider_shared_pool"],
        any: &["temporarily rate-limited upstream"],
        kind: Overloaded,
        whom: Whom::Model,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "limit of another's upstream",
        statuses: Statuses::Of(&[429]),
        any: &["provider returned error"],
        kind: Overloaded,
        whom: Whom::Model,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "refusal of another's key or credit",
        statuses: Statuses::Of(&[401, 402, 403]),
        any: &["provider returned error"],
        none: &["moderation", "flagged", "safety", "content"],
        kind: ServerError,
        whom: Whom::Model,
        clock: Clock::Stated,
        ..ANY
    },
];
