//! Money, plans and allowances. The word "billing" proves nothing: the text of an ordinary limit
//! per minute links to the billing page too.

use engine::FaultKind::{DailyLimit, NoAllowance, OutOfCredit, RateLimited};

use super::{ANY, Rule, Statuses, Whom};
use crate::clock::Clock;
use crate::evidence::Sign;

/// Statuses with which a limit of an account is told.
const LIMITS: Statuses = Statuses::Of(&[0, 400, 402, 403, 429]);

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "too many at the same time, whatever the quota is called",
        statuses: Statuses::Of(&[0, 403, 429]),
        any: &["concurrent", "concurrency", "并发"],
        kind: RateLimited,
        whom: Whom::Bucket,
        clock: Clock::LimitOrGuess(5),
        ..ANY
    },
    Rule {
        name: "too many at the same time, by number",
        providers: &["zai"],
        labels: &["1302"],
        kind: RateLimited,
        whom: Whom::Bucket,
        clock: Clock::LimitOrGuess(5),
        ..ANY
    },
    Rule {
        name: "no allowance",
        statuses: Statuses::Of(&[0, 403, 429]),
        signs: &[Sign::NoLimitAtAll],
        kind: NoAllowance,
        whom: Whom::Deployment,
        ..ANY
    },
    Rule {
        name: "model of a larger plan",
        statuses: Statuses::Of(&[402, 403]),
        any: &["requires a subscription", "requires a paid"],
        kind: NoAllowance,
        whom: Whom::Deployment,
        ..ANY
    },
    Rule {
        name: "month's included credit",
        any: &["monthly included credits"],
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Month,
        ..ANY
    },
    Rule {
        name: "free usage",
        labels: &["freeusagelimiterror", "subscription:free-usage-exhausted"],
        any: &["free usage limit"],
        none: &["hourly", "per hour", "per minute"],
        kind: DailyLimit,
        whom: Whom::Deployment,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "model's free part",
        labels: &["allocationquota.freetieronly"],
        any: &["free tier of the model has been exhausted"],
        kind: OutOfCredit,
        whom: Whom::Deployment,
        clock: Clock::Reset,
        ..ANY
    },
    Rule {
        name: "plan's usage",
        statuses: LIMITS,
        any: &[
            "weekly limit",
            "weekly usage limit",
            "monthly usage limit",
            "usage limit reached",
            "api usage limits",
        ],
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Plan,
        ..ANY
    },
    Rule {
        name: "plan's usage, by number",
        providers: &["zai"],
        labels: &["1308"],
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "money, by code",
        labels: &[
            "insufficient_quota",
            "insufficient_user_quota",
            "insufficient_balance",
            "not_enough_balance",
            "credit_balance_exhausted",
            "billing_not_active",
            "billing_hard_limit_reached",
            "billing_error",
            "exceeded_current_quota_error",
            "enforced_spend_limit_reached",
            "blocked_api_access",
            "arrearage",
            "budget_exceeded",
            "budget_limit",
            "budget_limit_exceeded",
            "billing_balance_not_enough",
            "billing_failed",
        ],
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Reset,
        ..ANY
    },
    Rule {
        name: "money, by number",
        providers: &["zai"],
        labels: &["1113", "1309"],
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Reset,
        ..ANY
    },
    Rule {
        name: "money, by sentence",
        any: &[
            "used all available credits",
            "credit balance is too low",
            "insufficient balance",
            "insufficient account balance",
            "balance is insufficient",
            "balance is not enough",
            "not enough balance",
            "balance not enough",
            "balance is negative",
            "insufficient funds",
            "quota is not enough",
            "insufficient credit",
            "not enough credit",
            "not have enough credit",
            "n't have enough credit",
            "no prepaid credits",
            "budget has been exceeded",
            "reached its budget limit",
            "reached your budget limit",
            "exceeded its budget limit",
            "exceeded your budget limit",
            "exceeded its monthly spending cap",
            "exceeded its spending cap",
            "exceeded your monthly spending cap",
            "exceeded your spending cap",
            "spending cap exceeded",
            "spending cap reached",
            "have any credits",
            "credits depleted",
            "credits are depleted",
            "out of credits",
            "monthly spending limit",
            "spend limit reached",
            "spend limit has been reached",
            "spend limit exceeded",
            "spending limit reached",
            "spending limit has been reached",
            "spending limit exceeded",
            "reached your spend limit",
            "reached your spending limit",
            "reached its spend limit",
            "reached its spending limit",
            "account is in good standing",
            "account is in arrears",
            "余额不足",
            "欠费",
        ],
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Reset,
        ..ANY
    },
    Rule {
        name: "money under the status of a breakdown",
        statuses: Statuses::Of(&[500, 502]),
        any: &["insufficient_quota", "litellm.budgetexceedederror"],
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Reset,
        ..ANY
    },
    Rule {
        name: "credit that is used up",
        statuses: LIMITS,
        any: &[
            "credits have been used up",
            "credits exhausted",
            "credits are exhausted",
            "balance is exhausted",
            "no credits left",
            "no active subscription",
            "subscription has expired",
            "billing hard limit",
            "payment required",
            "payment method required",
            "payment method is required",
        ],
        none: &[
            "daily",
            "per day",
            "today",
            "hourly",
            "per hour",
            "per minute",
            "rate limit",
            "too many requests",
        ],
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Reset,
        ..ANY
    },
    Rule {
        name: "month's allowance",
        statuses: LIMITS,
        signs: &[Sign::MonthNamed],
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Month,
        ..ANY
    },
    Rule {
        name: "limit that was set for the key",
        statuses: LIMITS,
        any: &["key limit exceeded"],
        none: &["daily", "per day", "per minute"],
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Reset,
        ..ANY
    },
    Rule {
        name: "payment required",
        statuses: Statuses::Of(&[402]),
        kind: OutOfCredit,
        whom: Whom::Key,
        clock: Clock::Reset,
        ..ANY
    },
];
