//! Rate limits: by the day, by tokens, or by a shorter window. A 429 that says nothing known is
//! one too, since a short wait is the safe side.

use engine::FaultKind::{DailyLimit, OutOfCredit, RateLimited, TokensLimited};

use super::{ANY, Rule, Statuses, Whom};
use crate::clock::Clock;
use crate::evidence::Sign;

const LIMITED: Statuses = Statuses::Of(&[429]);

/// Statuses under which some providers hide a limit.
const HIDDEN: Statuses = Statuses::Of(&[0, 400, 403, 409, 422, 503]);

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "day's neurons",
        providers: &["cloudflare"],
        labels: &["4006", "3036"],
        kind: DailyLimit,
        whom: Whom::Key,
        clock: Clock::Day,
        ..ANY
    },
    Rule {
        name: "day",
        statuses: LIMITED,
        signs: &[Sign::DayNamed],
        kind: DailyLimit,
        whom: Whom::Bucket,
        clock: Clock::Day,
        ..ANY
    },
    Rule {
        name: "day under another status",
        statuses: HIDDEN,
        any: &["limit", "quota", "exceed", "allocation", "too many", "throttl", "额度", "次数"],
        signs: &[Sign::DayNamed],
        kind: DailyLimit,
        whom: Whom::Bucket,
        clock: Clock::Day,
        ..ANY
    },
    Rule {
        name: "month spent by the headers",
        statuses: LIMITED,
        signs: &[Sign::MonthSpent],
        kind: OutOfCredit,
        whom: Whom::Deployment,
        clock: Clock::Month,
        ..ANY
    },
    Rule {
        name: "day spent by the headers, whatever shorter limit was met too",
        statuses: LIMITED,
        signs: &[Sign::DayOver],
        kind: DailyLimit,
        whom: Whom::Bucket,
        clock: Clock::Day,
        ..ANY
    },
    Rule {
        name: "tokens",
        statuses: LIMITED,
        signs: &[Sign::TokensNamed],
        kind: TokensLimited,
        whom: Whom::Bucket,
        clock: Clock::Limit,
        ..ANY
    },
    Rule {
        name: "requests per second, by sentence",
        statuses: LIMITED,
        providers: &["mistral"],
        any: &["requests rate limit exceeded"],
        kind: RateLimited,
        whom: Whom::Bucket,
        clock: Clock::LimitOr(1),
        ..ANY
    },
    Rule {
        name: "requests per second, since the minute is not spent",
        statuses: LIMITED,
        providers: &["mistral"],
        labels: &["1300"],
        signs: &[Sign::NothingSpent],
        kind: RateLimited,
        whom: Whom::Bucket,
        clock: Clock::LimitOr(1),
        ..ANY
    },
    Rule {
        name: "short window",
        statuses: LIMITED,
        signs: &[Sign::ShorterNamed],
        kind: RateLimited,
        whom: Whom::Bucket,
        clock: Clock::Limit,
        ..ANY
    },
    Rule {
        name: "day spent by the headers",
        statuses: LIMITED,
        signs: &[Sign::DaySpent],
        kind: DailyLimit,
        whom: Whom::Bucket,
        clock: Clock::Day,
        ..ANY
    },
    Rule {
        name: "tokens spent by the headers",
        statuses: LIMITED,
        signs: &[Sign::TokensSpent],
        kind: TokensLimited,
        whom: Whom::Bucket,
        clock: Clock::Limit,
        ..ANY
    },
    Rule {
        name: "wait too long for a minute",
        statuses: LIMITED,
        signs: &[Sign::LongWait],
        kind: DailyLimit,
        whom: Whom::Bucket,
        clock: Clock::Stated,
        ..ANY
    },
    Rule {
        name: "limit on what runs at once",
        statuses: LIMITED,
        providers: &["deepseek"],
        kind: RateLimited,
        whom: Whom::Bucket,
        clock: Clock::LimitOrGuess(5),
        ..ANY
    },
    Rule {
        name: "rate limit",
        statuses: LIMITED,
        kind: RateLimited,
        whom: Whom::Bucket,
        clock: Clock::Limit,
        ..ANY
    },
    Rule {
        name: "rate limit under another status",
        statuses: HIDDEN,
        labels: &[
            "rate_limit_exceeded",
            "rate_limited",
            "rate_limit_error",
            "ratelimitexceeded",
            "userratelimitexceeded",
            "quotaexceeded",
            "throttling_error",
            "throttlingexception",
        ],
        any: &[
            "rate limit",
            "rate-limit",
            "too many requests",
            "quota exceeded",
            "exceeded your current quota",
            "usage limit",
            "volume quota",
            "request was throttled",
            "requests are throttled",
            "límite de solicitudes",
            "limite de requisi",
            "demasiadas solicitudes",
            "muitas solicita",
            "limite de requêtes",
            "trop de requêtes",
            "anfragelimit",
            "zu viele anfragen",
            "лишком много запросов",
            "превышен лимит",
            "レート制限",
            "リクエストが多すぎ",
            "요청이 너무 많",
            "过于频繁",
            "频率限制",
            "频率过高",
            "速率限制",
            "限流",
            "请求过多",
            "并发数",
        ],
        kind: RateLimited,
        whom: Whom::Bucket,
        clock: Clock::Limit,
        ..ANY
    },
    Rule {
        name: "rate limit under the status of a breakdown",
        statuses: Statuses::Of(&[500, 502]),
        any: &[
            "rate limit exceeded",
            "rate limit reached",
            "rate limit was exceeded",
            "rate_limit_exceeded",
            "litellm.ratelimiterror",
            "exceeded your current quota",
            "too many requests",
        ],
        kind: RateLimited,
        whom: Whom::Bucket,
        clock: Clock::Limit,
        ..ANY
    },
];
