//! How fast something is used, as an average in which the past fades.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Dimension, Timestamp};

/// After this time a request counts half: long enough to bridge pauses between two questions,
/// short enough that the morning says nothing of the evening.
const HALF_LIFE: Duration = Duration::from_mins(30);

/// Less time than this never makes a pace, or one request would promise hundreds.
const SHORTEST_WATCH: Duration = Duration::from_mins(10);

/// What one unit counts; parts of it fade too.
const UNIT: u64 = 1_000_000;

/// The pace of one deployment or key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pace {
    /// Since when it is watched.
    since: Timestamp,
    /// To which moment the sums have faded.
    at: Timestamp,
    /// Millionths of requests.
    requests: u64,
    /// Millionths of tokens.
    tokens: u64,
}

impl Pace {
    /// Counts a request of so many tokens.
    pub(crate) fn add(&mut self, tokens: u64, now: Timestamp) {
        if *self == Self::default() {
            (self.since, self.at) = (now, now);
        }
        let fade = fade(self.at, now);
        self.requests = faded(self.requests, fade).saturating_add(UNIT);
        self.tokens = faded(self.tokens, fade).saturating_add(tokens.saturating_mul(UNIT));
        self.at = self.at.max(now);
    }

    /// Puts the tokens that were really used in the place of those that were counted at `then`.
    pub(crate) fn replace(&mut self, then: Timestamp, counted: u64, used: u64) {
        let fade = fade(then, self.at);
        let fresh = |tokens: u64| faded(tokens.saturating_mul(UNIT), fade);
        self.tokens = self.tokens.saturating_sub(fresh(counted)).saturating_add(fresh(used));
    }

    /// Units per hour, as of late.
    pub(crate) fn per_hour(&self, dimension: Dimension, now: Timestamp) -> f64 {
        let sum = match dimension {
            Dimension::Requests => self.requests,
            Dimension::Tokens => self.tokens,
        };
        let sum = sum as f64 * fade(self.at, now) / UNIT as f64;
        // An even pace of one per half-life adds up to 1 / ln 2 in the long run, and to the part
        // of it that the watch has lasted before.
        let watched = self.since.until(now).max(SHORTEST_WATCH);
        let whole = (1.0 - halvings(watched)) / std::f64::consts::LN_2;
        sum / whole / (HALF_LIFE.as_secs_f64() / 3600.0)
    }

    /// The same with no moment that is yet to come, should the clock have been put back.
    pub(crate) fn believed(self, now: Timestamp) -> Self {
        let at = self.at.min(now);
        Self { since: self.since.min(at), at, ..self }
    }
}

/// What is left of one after so long.
fn halvings(span: Duration) -> f64 {
    (-span.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
}

fn fade(then: Timestamp, now: Timestamp) -> f64 {
    if now <= then { 1.0 } else { halvings(then.until(now)) }
}

fn faded(sum: u64, fade: f64) -> u64 {
    if fade < 1.0 { (sum as f64 * fade) as u64 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + 60 * minutes)
    }

    fn requests(pace: &Pace, minutes: i64) -> f64 {
        pace.per_hour(Dimension::Requests, at(minutes))
    }

    #[test]
    fn an_even_pace_is_seen_as_it_is_from_the_first_minutes_on() {
        let mut pace = Pace::default();
        for minute in 0..600 {
            pace.add(500, at(minute));
            if minute >= 30 {
                let seen = requests(&pace, minute);
                assert!((58.0..64.0).contains(&seen), "{seen} after {minute}");
            }
        }
        let tokens = pace.per_hour(Dimension::Tokens, at(600));
        assert!((29_000.0..31_000.0).contains(&tokens), "{tokens}");
    }

    #[test]
    fn a_pace_halves_in_every_half_hour_of_rest() {
        let mut pace = Pace::default();
        for minute in 0..600 {
            pace.add(1, at(minute));
        }
        let busy = requests(&pace, 600);
        assert!((requests(&pace, 630) / busy - 0.5).abs() < 0.01);
        assert!((requests(&pace, 660) / busy - 0.25).abs() < 0.01);
        assert!(requests(&pace, 600 + 24 * 60) < 0.001);
    }

    #[test]
    fn one_request_promises_little() {
        let mut pace = Pace::default();
        pace.add(0, at(0));
        // 1 / ((1 - 2^(-1/3)) / ln 2) / 0.5
        assert!((requests(&pace, 0) - 6.72).abs() < 0.01, "{}", requests(&pace, 0));
    }

    #[test]
    fn what_was_reserved_and_not_used_leaves_no_trace() {
        let (mut one, mut other) = (Pace::default(), Pace::default());
        one.add(9_000, at(0));
        one.add(1, at(20));
        one.replace(at(0), 9_000, 10);
        other.add(10, at(0));
        other.add(1, at(20));
        let of = |pace: &Pace| pace.per_hour(Dimension::Tokens, at(25));
        assert!((of(&one) - of(&other)).abs() < 0.01);
    }

    #[test]
    fn absurd_amounts_and_moments_stay_numbers() {
        let mut pace = Pace::default();
        pace.add(u64::MAX, Timestamp::from_millis(i64::MAX));
        pace.replace(Timestamp::from_millis(i64::MIN), u64::MAX, u64::MAX);
        pace.add(u64::MAX, at(0));
        assert!(pace.per_hour(Dimension::Tokens, at(0)).is_finite());
        assert!(pace.believed(at(0)).per_hour(Dimension::Tokens, at(1)).is_finite());
    }
}
