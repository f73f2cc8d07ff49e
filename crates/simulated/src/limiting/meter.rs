//! How much a key may still do: a pure state machine with the time handed in.
//!
//! Time is counted in whole milliseconds and all arithmetic is exact, so that a stated wait is
//! exact too: the same request is admitted at the stated instant and not one millisecond before,
//! unless another request takes the room first.

use std::time::Duration;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Requests in a minute.
    RequestsPerMinute,
    /// Requests in a day.
    RequestsPerDay,
    /// Tokens in a minute.
    TokensPerMinute,
    /// Tokens in a day.
    TokensPerDay,
    /// Requests at the same time.
    Concurrent,
}

/// How spent budget comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refill {
    /// All at once, when a window ends. Windows begin at multiples of their length since the Unix
    /// epoch, so a day ends at 00:00 UTC.
    Fixed,
    /// Evenly: the limit in the course of one window, as far as it is not full.
    #[default]
    Continuous,
}

/// The limits of one meter; absent ones do not limit, and 0 admits nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Requests in a minute.
    pub requests_per_minute: Option<u64>,
    /// Requests in a day.
    pub requests_per_day: Option<u64>,
    /// Tokens in a minute, of prompt and answer together.
    pub tokens_per_minute: Option<u64>,
    /// Tokens in a day.
    pub tokens_per_day: Option<u64>,
    /// Requests at the same time.
    pub concurrent: Option<u64>,
}

/// The answer to a request for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There was room, and it is taken.
    Admitted,
    /// There was none, and nothing was taken.
    Refused(Refusal),
}

/// Why there was no room. Of several exhausted budgets it names the one with the longest wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The budget that lacks room.
    pub dimension: Dimension,
    /// Its limit.
    pub limit: u64,
    /// How much of it is spent.
    pub used: u64,
    /// How much the request needs.
    pub requested: u64,
    /// How long until there is room; none for a request beyond the limit itself, for which there
    /// never is, and for a limit of concurrency, where nobody knows.
    pub wait: Option<Duration>,
}

impl Refusal {
    /// Whether no wait would help, because the request alone is beyond the limit.
    pub fn is_too_large(&self) -> bool {
        self.requested > self.limit && self.dimension != Dimension::Concurrent
    }
}

/// The state of one budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// Its limit.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// How long until all of it is there again.
    pub full_in: Duration,
}

/// The state of all budgets that are limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Requests in a minute.
    pub requests_minute: Option<Gauge>,
    /// Requests in a day.
    pub requests_day: Option<Gauge>,
    /// Tokens in a minute.
    pub tokens_minute: Option<Gauge>,
    /// Tokens in a day.
    pub tokens_day: Option<Gauge>,
}

/// Measures the use of one key, or of whatever shares these quotas.
#[derive(Clone, Debug)]
pub struct Meter {
    budgets: Vec<Budget>,
    concurrent: Option<u64>,
    running: u64,
    /// The latest time seen, in milliseconds; a clock that goes back stands still.
    latest: u64,
}

impl Meter {
    /// Begins with every budget full.
    pub fn new(quotas: &Quotas, refill: Refill) -> Self {
        Self::counting(quotas, refill, Duration::from_millis(MINUTE_MS))
    }

    /// The same for who counts over another span than a minute, of at least a millisecond.
    pub fn counting(quotas: &Quotas, refill: Refill, minute: Duration) -> Self {
        let minute = u64::try_from(minute.as_millis()).unwrap_or(MINUTE_MS).max(1);
        let limits = [
            (Dimension::RequestsPerMinute, quotas.requests_per_minute, minute),
            (Dimension::RequestsPerDay, quotas.requests_per_day, DAY_MS),
            (Dimension::TokensPerMinute, quotas.tokens_per_minute, minute),
            (Dimension::TokensPerDay, quotas.tokens_per_day, DAY_MS),
        ];
        let budgets = limits
            .into_iter()
            .filter_map(|(dimension, limit, window)| {
                Some(Budget { dimension, limit: limit?, window, refill, spent: 0, at: 0 })
            })
            .collect();
        Self { budgets, concurrent: quotas.concurrent, running: 0, latest: 0 }
    }

    /// Takes room for one request of so many tokens, or says when there will be some. `now` is
    /// the time since the Unix epoch.
    pub fn admit(&mut self, now: Duration, tokens: u64) -> Admission {
        self.advance(now);
        if let Some(limit) = self.concurrent.filter(|limit| self.running >= *limit) {
            return Admission::Refused(Refusal {
                dimension: Dimension::Concurrent,
                limit,
                used: self.running,
                requested: 1,
                wait: None,
            });
        }
        let refusals = self.budgets.iter().filter_map(|budget| budget.refusal(tokens));
        // A request that never fits waits longest of all.
        let longest = refusals.max_by_key(|refusal| refusal.wait.unwrap_or(Duration::MAX));
        if let Some(refusal) = longest {
            return Admission::Refused(refusal);
        }
        for budget in &mut self.budgets {
            budget.take(tokens);
        }
        self.running += 1;
        Admission::Admitted
    }

    /// Notes that an admitted request is over. Tokens that were reserved and not used are not
    /// given back, as with the providers that count reservations.
    pub fn release(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Returns what is left of each budget.
    pub fn standing(&mut self, now: Duration) -> Standing {
        self.advance(now);
        let mut standing = Standing::default();
        for budget in &self.budgets {
            let place = match budget.dimension {
                Dimension::RequestsPerMinute => &mut standing.requests_minute,
                Dimension::RequestsPerDay => &mut standing.requests_day,
                Dimension::TokensPerMinute => &mut standing.tokens_minute,
                Dimension::TokensPerDay => &mut standing.tokens_day,
                Dimension::Concurrent => continue,
            };
            *place = Some(budget.gauge());
        }
        standing
    }

    fn advance(&mut self, now: Duration) {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.latest = self.latest.max(now);
        for budget in &mut self.budgets {
            budget.advance(self.latest);
        }
    }
}

/// One limit and what is spent of it.
#[derive(Clone, Debug)]
struct Budget {
    dimension: Dimension,
    limit: u64,
    /// In milliseconds.
    window: u64,
    refill: Refill,
    /// In units of 1/`window`, so that `limit` units come back each millisecond.
    spent: u128,
    /// The time up to which refills are counted, in milliseconds.
    at: u64,
}

impl Budget {
    fn advance(&mut self, now: u64) {
        match self.refill {
            Refill::Fixed if now / self.window > self.at / self.window => self.spent = 0,
            Refill::Fixed => {}
            Refill::Continuous => {
                let back = u128::from(now - self.at) * u128::from(self.limit);
                self.spent = self.spent.saturating_sub(back);
            }
        }
        self.at = now;
    }

    fn cost(&self, tokens: u64) -> u64 {
        match self.dimension {
            Dimension::RequestsPerMinute | Dimension::RequestsPerDay | Dimension::Concurrent => 1,
            Dimension::TokensPerMinute | Dimension::TokensPerDay => tokens,
        }
    }

    fn units(&self, amount: u64) -> u128 {
        u128::from(amount) * u128::from(self.window)
    }

    fn take(&mut self, tokens: u64) {
        self.spent += self.units(self.cost(tokens));
    }

    fn refusal(&self, tokens: u64) -> Option<Refusal> {
        let requested = self.cost(tokens);
        let lacking = (self.spent + self.units(requested)).saturating_sub(self.units(self.limit));
        (lacking > 0).then(|| Refusal {
            dimension: self.dimension,
            limit: self.limit,
            used: self.spent.div_ceil(u128::from(self.window)) as u64,
            requested,
            wait: (requested <= self.limit).then(|| self.until_back(lacking)),
        })
    }

    fn gauge(&self) -> Gauge {
        let left = self.units(self.limit).saturating_sub(self.spent);
        let full_in = if self.spent == 0 { Duration::ZERO } else { self.until_back(self.spent) };
        Gauge { limit: self.limit, remaining: (left / u128::from(self.window)) as u64, full_in }
    }

    /// How long until so many spent units have come back, rounded up to a millisecond.
    fn until_back(&self, units: u128) -> Duration {
        let milliseconds = match self.refill {
            Refill::Fixed => self.window - self.at % self.window,
            Refill::Continuous => units.div_ceil(u128::from(self.limit.max(1))) as u64,
        };
        Duration::from_millis(milliseconds)
    }
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
