//! Simulated providers with true limits, as pure state machines: they count for themselves and
//! know nothing of the rules that they test.

use std::collections::VecDeque;

use engine::{Budget, Dimension, Fault, FaultKind, Origin, Scope, Timestamp, Window};
use jiff::ToSpan;
use jiff::tz::TimeZone;

use super::common::{MINUTE, at};

/// What one limit counts over.
#[derive(Debug, Clone)]
pub(crate) enum Span {
    /// Minutes that begin with the clock's.
    ClockMinute,
    /// Days that begin at midnight in a zone.
    Day(TimeZone),
    /// A bucket that refills continuously, full in a minute.
    Bucket,
    /// The last sixty seconds.
    LastMinute,
}

/// One limit of a provider.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    span: Span,
    most: u64,
    counts_tokens: bool,
    /// In parts of which a minute's milliseconds make one unit, so that a bucket is exact.
    used: i64,
    /// When the present window ends; for a bucket, when it was last looked at.
    mark: i64,
    /// What was taken in the last minute: when, and how much.
    taken: VecDeque<(i64, i64)>,
}

impl Limit {
    pub(crate) fn requests(most: u64, span: Span) -> Self {
        Self { span, most, counts_tokens: false, used: 0, mark: 0, taken: VecDeque::new() }
    }

    pub(crate) fn tokens(most: u64, span: Span) -> Self {
        Self { counts_tokens: true, ..Self::requests(most, span) }
    }

    pub(crate) const fn is_bucket(&self) -> bool {
        matches!(self.span, Span::Bucket)
    }

    fn wanted(&self, tokens: u64) -> i64 {
        MINUTE * if self.counts_tokens { tokens as i64 } else { 1 }
    }

    fn look(&mut self, now: i64) {
        match &self.span {
            Span::Bucket => {
                let refilled = (now - self.mark).saturating_mul(self.most as i64);
                self.used = self.used.saturating_sub(refilled).max(0);
                self.mark = now;
            }
            Span::LastMinute => {
                while self.taken.front().is_some_and(|(then, _)| then + MINUTE <= now) {
                    self.used -= self.taken.pop_front().map_or(0, |(_, amount)| amount);
                }
            }
            Span::ClockMinute | Span::Day(_) if now < self.mark => {}
            Span::ClockMinute => {
                self.used = 0;
                self.mark = (now.div_euclid(MINUTE) + 1) * MINUTE;
            }
            Span::Day(zone) => {
                self.used = 0;
                self.mark = next_midnight(zone, now);
            }
        }
    }

    /// When a request of `tokens` would be taken, if not now.
    fn refuses_until(&mut self, now: i64, tokens: u64) -> Option<i64> {
        self.look(now);
        let over = self.used + self.wanted(tokens) - self.most as i64 * MINUTE;
        if over <= 0 {
            return None;
        }
        Some(match self.span {
            Span::Bucket => now + (over as u64).div_ceil(self.most) as i64,
            Span::LastMinute => self.taken.front().map_or(now, |(then, _)| then + MINUTE),
            Span::ClockMinute | Span::Day(_) => self.mark,
        })
    }
}

impl Limit {
    /// What the provider says of it with an answer.
    fn told(&mut self, now: i64) -> Budget {
        self.look(now);
        let left = self.most as i64 - (self.used as u64).div_ceil(MINUTE as u64) as i64;
        let (next, full) = match self.span {
            Span::Bucket => {
                let full = (self.used as u64).div_ceil(self.most) as i64;
                (full.min(MINUTE / self.most as i64 + 1), full)
            }
            Span::LastMinute => (MINUTE, MINUTE),
            Span::ClockMinute | Span::Day(_) => (self.mark - now, self.mark - now),
        };
        Budget {
            dimension: if self.counts_tokens { Dimension::Tokens } else { Dimension::Requests },
            window: if matches!(self.span, Span::Day(_)) { Window::Day } else { Window::Minute },
            limit: Some(self.most),
            remaining: Some(left.max(0) as u64),
            next_at: Some(at(now + next)),
            full_at: Some(at(now + full)),
        }
    }
}

fn next_midnight(zone: &TimeZone, now: i64) -> i64 {
    let local = jiff::Timestamp::from_millisecond(now).unwrap().to_zoned(zone.clone());
    let tomorrow = local.date().checked_add(1.day()).unwrap();
    let midnight = tomorrow.to_zoned(zone.clone()).unwrap();
    midnight.timestamp().as_millisecond()
}

/// One provider.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upstream {
    pub(crate) limits: Vec<Limit>,
    /// Whether its refusals say when they are over.
    pub(crate) states_times: bool,
    /// From when to when it is down, and how that shows.
    pub(crate) outages: Vec<(i64, i64, FaultKind)>,
    /// What it says to every request: a wrong key, a retired model.
    pub(crate) always: Option<(FaultKind, Scope)>,
    /// All attempts that it saw: when, and whether it took them.
    pub(crate) seen: Vec<(i64, bool)>,
}

impl Upstream {
    pub(crate) fn limited(limits: Vec<Limit>, states_times: bool) -> Self {
        Self { limits, states_times, ..Self::default() }
    }

    pub(crate) fn refused(&self) -> usize {
        self.seen.iter().filter(|(_, taken)| !taken).count()
    }

    /// Whether it would take a request now.
    pub(crate) fn would_take(&mut self, now: i64, tokens: u64) -> bool {
        self.complaint(now, tokens).is_none()
    }

    /// When the next request will be taken, if it is known that one would not be now.
    pub(crate) fn spent_until(&mut self, now: i64, tokens: u64) -> Option<i64> {
        let limits = self.limits.iter_mut();
        limits.filter_map(|limit| limit.refuses_until(now, tokens)).max()
    }

    /// What it says with an answer of what is left.
    pub(crate) fn told(&mut self, now: Timestamp) -> Vec<Budget> {
        self.limits.iter_mut().map(|limit| limit.told(now.as_millis())).collect()
    }

    fn complaint(&mut self, now: i64, tokens: u64) -> Option<Fault> {
        if let Some((kind, scope)) = &self.always {
            return Some(Fault::new(*kind, scope.clone(), "never"));
        }
        let down = self.outages.iter();
        let mut down = down.filter(|(from, to, _)| (*from..*to).contains(&now));
        if let Some((.., kind)) = down.next() {
            return Some(Fault::new(*kind, Scope::Model, "down"));
        }
        let until = self.spent_until(now, tokens)?;
        let daily = until - now > MINUTE;
        let kind = if daily { FaultKind::DailyLimit } else { FaultKind::RateLimited };
        let fault = Fault::new(kind, Scope::Deployment, "too many");
        let stated = self.states_times;
        Some(if stated { fault.until(at(until), Origin::Stated) } else { fault })
    }

    /// Takes a request, or says why not.
    pub(crate) fn ask(&mut self, now: Timestamp, tokens: u64) -> Result<(), Fault> {
        let now = now.as_millis();
        let complaint = self.complaint(now, tokens);
        self.seen.push((now, complaint.is_none()));
        if let Some(fault) = complaint {
            return Err(fault);
        }
        for limit in &mut self.limits {
            let wanted = limit.wanted(tokens);
            limit.used += wanted;
            limit.taken.push_back((now, wanted));
            if !matches!(limit.span, Span::LastMinute) {
                limit.taken.clear();
            }
        }
        Ok(())
    }
}
