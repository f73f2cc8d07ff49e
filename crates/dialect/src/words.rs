//! What a provider's sentence says of a limit: over which window, of what, and how much.

use engine::{Dimension, Window};

use crate::pairs::Pairs;

const MONTH: &[&str] = &[
    "per month",
    "/month",
    "/ month",
    "permonth",
    "monthly quota",
    "monthly limit",
    "monthly usage",
    "monthly request",
    "monthly token",
];
const DAY: &[&str] = &[
    "per day",
    "perday",
    "per-day",
    "/day",
    "/ day",
    "daily",
    "(rpd)",
    "(tpd)",
    "bymodelbyday",
    "per 24 hours",
    "24-hour",
    "86400s",
    "per 1 day",
    "rpd limit",
    "tpd limit",
    "rpd rate",
    "tpd rate",
    "max rpd",
    "max tpd",
    "for today",
    "tomorrow",
    "今日",
    "今天",
    "明天",
    "每天",
    "每日",
    "当日",
];
const HOUR: &[&str] =
    &["per hour", "per 1 hour", "perhour", "per-hour", "/hour", "/ hour", "hourly", "每小时"];
const MINUTE: &[&str] = &[
    "per min",
    "permin",
    "per-min",
    "/min",
    "/ min",
    "per 1 min",
    "per 60s",
    "per 60 s",
    "rpm limit",
    "tpm limit",
    "rpm rate",
    "tpm rate",
    "max rpm",
    "max tpm",
    "(rpm)",
    "(tpm)",
    "bymodelbyminute",
    "每分钟",
];
const SECOND: &[&str] = &[
    "per sec",
    "persec",
    "per-sec",
    "/sec",
    "/ sec",
    "per 1 sec",
    "per 1s",
    "max rps",
    "(rps)",
    "每秒",
];

/// The longest first: where several limits are met at once, the longest holds.
const WINDOWS: &[(Window, &[&str])] = &[
    (Window::Month, MONTH),
    (Window::Day, DAY),
    (Window::Hour, HOUR),
    (Window::Minute, MINUTE),
    (Window::Second, SECOND),
];

const TOKENS: &[&str] = &[
    "tokens per",
    "token per",
    "tokens/",
    "tokens /",
    "token limit",
    "tokens limit",
    "token rate",
    "token quota",
    "too many tokens",
    "too_many_tokens",
    "token_count",
    "inputtokens",
    "token_quota",
    "token_limited",
    "(tpm)",
    "(tpd)",
    "tpm limit",
    "tpd limit",
    "tpm rate",
    "tpd rate",
    "max tpm",
    "max tpd",
    "per-token",
];

const REQUESTS: &[&str] = &[
    "requests per",
    "request per",
    "requests/",
    "requests /",
    "request limit",
    "requests limit",
    "request rate",
    "requests rate",
    "(rpm)",
    "(rpd)",
    "rpm limit",
    "rpd limit",
    "rpm rate",
    "rpd rate",
    "max rpm",
    "max rpd",
];

/// The longest window of those of which a phrase is said, and the longest shorter one.
pub(crate) fn windows(is_said: impl Fn(&str) -> bool) -> (Option<Window>, Option<Window>) {
    let named = |(_, phrases): &&(Window, &[&str])| phrases.iter().any(|phrase| is_said(phrase));
    let mut named = WINDOWS.iter().filter(named).map(|&(window, _)| window);
    (named.next(), named.next())
}

/// What a sentence says is counted.
pub(crate) fn dimension(text: &str) -> Dimension {
    if names(TOKENS, text) { Dimension::Tokens } else { Dimension::Requests }
}

/// Whether a sentence says that requests are counted.
pub(crate) fn names_requests(text: &str) -> bool {
    names(REQUESTS, text)
}

fn names(phrases: &[&str], text: &str) -> bool {
    let pairs = Pairs::of([text]);
    phrases.iter().any(|phrase| pairs.may_hold(phrase) && text.contains(phrase))
}

/// The figures of "Limit 12000, Used 4437, Requested 9854".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) limit: u64,
    pub(crate) used: Option<u64>,
    pub(crate) requested: u64,
}

/// The figures that a sentence gives.
pub(crate) fn figures(text: &str) -> Option<Figures> {
    let (limit, requested) = (figure(text, "limit")?, figure(text, "requested")?);
    Some(Figures { limit, used: figure(text, "used"), requested })
}

/// Whether a sentence says that the limit is nothing at all: `limit: 0`, but not `limit: 0.5`.
pub(crate) fn no_limit_at_all(text: &str) -> bool {
    text.match_indices("limit: 0").any(|(at, zero)| {
        let mut rest = text[at + zero.len()..].chars();
        match rest.next() {
            Some('.' | ',') => !rest.next().is_some_and(|next| next.is_ascii_digit()),
            Some(next) => !next.is_ascii_alphanumeric(),
            None => true,
        }
    })
}

/// The number after a word, with or without separators for thousands.
fn figure(text: &str, word: &str) -> Option<u64> {
    text.match_indices(word).take(16).find_map(|(at, _)| {
        let tail = text[at + word.len()..].trim_start_matches([' ', ':', '=', '~']);
        let end = tail.find(|c: char| !(c.is_ascii_digit() || c == ',')).unwrap_or(tail.len());
        tail[..end].replace(',', "").parse().ok()
    })
}
