//! How real providers write their limits into headers, and how they write durations.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::meter::{Gauge, Standing};

/// Whose headers and errors are imitated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderDialect {
    /// Durations until full on every answer; `retry-after-ms` and `retry-after` on a 429.
    #[default]
    OpenAi,
    /// As `OpenAI`, but requests are of the day and tokens of the minute; whole seconds to wait.
    Groq,
    /// Decimal seconds, a header set for each window; flat error bodies.
    Cerebras,
    /// Epoch milliseconds, only on a 429, in headers and again inside the body.
    OpenRouter,
    /// Counts without any time.
    Mistral,
    /// No headers; the wait stands in the body's `RetryInfo`.
    Gemini,
    /// A 429 that says nothing.
    Bare,
}

/// Headers as names and texts.
pub(super) type Texts = Vec<(String, String)>;

impl HeaderDialect {
    /// The headers of a success, or of a refusal before those that state a wait.
    pub(super) fn headers(
        self,
        standing: &Standing,
        cost: Option<u64>,
    ) -> Vec<(HeaderName, HeaderValue)> {
        to_headers(match self {
            Self::OpenAi => {
                let requests = standing.requests_minute.or(standing.requests_day);
                in_durations(requests, standing.tokens_minute.or(standing.tokens_day))
            }
            Self::Groq => in_durations(standing.requests_day, standing.tokens_minute),
            Self::Cerebras => in_seconds(standing),
            Self::Mistral => in_counts(standing, cost),
            Self::OpenRouter | Self::Gemini | Self::Bare => Texts::new(),
        })
    }
}

/// Texts made here are plain ASCII; anything else would be left out.
pub(super) fn to_headers(texts: Texts) -> Vec<(HeaderName, HeaderValue)> {
    texts
        .into_iter()
        .filter_map(|(name, text)| {
            Some((name.parse::<HeaderName>().ok()?, text.parse::<HeaderValue>().ok()?))
        })
        .collect()
}

fn in_durations(requests: Option<Gauge>, tokens: Option<Gauge>) -> Texts {
    let mut texts = Texts::new();
    for (what, gauge) in [("requests", requests), ("tokens", tokens)] {
        if let Some(gauge) = gauge {
            counts(&mut texts, what, gauge);
            texts.push((format!("x-ratelimit-reset-{what}"), go_duration(gauge.full_in)));
        }
    }
    texts
}

fn in_seconds(standing: &Standing) -> Texts {
    let mut texts = Texts::new();
    for (what, gauge) in [
        ("requests-day", standing.requests_day),
        ("requests-minute", standing.requests_minute),
        ("tokens-minute", standing.tokens_minute),
    ] {
        if let Some(gauge) = gauge {
            counts(&mut texts, what, gauge);
            texts.push((format!("x-ratelimit-reset-{what}"), seconds(gauge.full_in)));
        }
    }
    texts
}

fn in_counts(standing: &Standing, cost: Option<u64>) -> Texts {
    let mut texts = Texts::new();
    for (what, gauge) in
        [("req-minute", standing.requests_minute), ("tokens-minute", standing.tokens_minute)]
    {
        if let Some(gauge) = gauge {
            counts(&mut texts, what, gauge);
        }
    }
    if let Some(cost) = cost {
        texts.push(("x-ratelimit-tokens-query-cost".to_owned(), cost.to_string()));
    }
    texts
}

fn counts(texts: &mut Texts, what: &str, gauge: Gauge) {
    texts.push((format!("x-ratelimit-limit-{what}"), gauge.limit.to_string()));
    texts.push((format!("x-ratelimit-remaining-{what}"), gauge.remaining.to_string()));
}

/// A duration as Go prints it: `17ms`, `7.66s`, `2m59.56s`, `1h0m0s`.
pub(super) fn go_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    if milliseconds < 1_000 {
        return format!("{milliseconds}ms");
    }
    let (hours, minutes) = (milliseconds / 3_600_000, milliseconds / 60_000 % 60);
    let rest = seconds(Duration::from_millis((milliseconds % 60_000) as u64));
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// Decimal seconds to the millisecond, without trailing zeros: `38`, `38.2`.
pub(super) fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:03}", duration.as_secs(), duration.subsec_millis());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whole seconds, rounded up so that whoever obeys is not early.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_millis() as u64).div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_look_as_the_providers_print_them() {
        for (milliseconds, expected) in [
            (0, "0s"),
            (17, "17ms"),
            (7_660, "7.66s"),
            (20_000, "20s"),
            (179_560, "2m59.56s"),
            (360_000, "6m0s"),
            (432_000, "7m12s"),
            (5_025_600, "1h23m45.6s"),
            (86_400_000, "24h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(milliseconds)), expected);
        }
        assert_eq!(seconds(Duration::from_millis(38_200)), "38.2");
        assert_eq!(seconds(Duration::from_secs(100)), "100");
        assert_eq!(whole_seconds(Duration::from_millis(1_001)), 2);
    }
}
