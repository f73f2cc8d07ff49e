//! How much of a deployment's limits is used: requests and tokens, under way and in the present
//! minute and day, against what the configuration declares and what replies reported.
//!
//! Quotas forecast, cooldowns know: a limit here only avoids a refusal that is certain; the
//! refusal itself is the truth.

use std::time::Duration;

use crate::registry::Limits;
use crate::window::{Count, Rolling};
use crate::{Budget, Dimension, Origin, Timestamp, Window};

/// Why a limit forbids another request, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUp {
    /// What is used up.
    pub dimension: Dimension,
    /// Over which span.
    pub window: Window,
    /// The limit, if it is known.
    pub limit: Option<u64>,
    /// When enough is free again; `None` if the limit is 0, so that it never is.
    pub until: Option<Timestamp>,
    /// Declared or learned.
    pub origin: Origin,
}

#[derive(Debug, Clone)]
struct Metered {
    dimension: Dimension,
    window: Window,
    limit: u64,
    count: Count,
}

/// The use of one deployment, or of one key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    pub(crate) in_flight: u64,
    pub(crate) requests_today: u64,
    pub(crate) tokens_today: u64,
    /// The usual time to the first word of a stream.
    pub(crate) first_word: Option<Duration>,
    limits: Limits,
    metered: Vec<Metered>,
    learned: Vec<Budget>,
}

impl Usage {
    pub(crate) const fn begin_day(&mut self) {
        self.requests_today = 0;
        self.tokens_today = 0;
    }

    /// Takes new limits; counts of limits that stay are kept.
    pub(crate) fn set_limits(&mut self, limits: &Limits) {
        if *limits == self.limits {
            return;
        }
        let same_day = limits.day == self.limits.day;
        let mut old = std::mem::take(&mut self.metered);
        for (dimension, window, limit) in declared(limits) {
            let Some(limit) = limit else { continue };
            let kept = old.iter().position(|metered| {
                metered.dimension == dimension
                    && metered.window == window
                    && (same_day || window == Window::Minute)
            });
            let count = match kept {
                Some(index) => old.swap_remove(index).count,
                None if window == Window::Minute => Count::Rolling(Rolling::minute()),
                None => Count::for_day(limits.day.as_ref()),
            };
            self.metered.push(Metered { dimension, window, limit, count });
        }
        self.limits = limits.clone();
    }

    /// Counts a request that is being sent, with the tokens that it may use.
    pub(crate) fn take(&mut self, tokens: u64, now: Timestamp) {
        self.in_flight += 1;
        self.requests_today += 1;
        for metered in &mut self.metered {
            metered.count.add(now, amount(metered.dimension, tokens));
        }
        for budget in &mut self.learned {
            let used = amount(budget.dimension, tokens);
            budget.remaining = budget.remaining.map(|remaining| remaining.saturating_sub(used));
        }
    }

    /// A request that was taken at `taken` has ended.
    pub(crate) const fn release(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Replaces the reserved tokens by those really used.
    pub(crate) fn correct(&mut self, reserved: u64, used: u64, taken: Timestamp) {
        for metered in self.metered.iter_mut().filter(|m| m.dimension == Dimension::Tokens) {
            metered.count.replace(taken, reserved, used);
        }
    }

    /// Takes what a reply reported; the newest report of a budget replaces an older one, and
    /// what is under way is counted as used already. No time after `latest` is believed.
    pub(crate) fn learn(&mut self, budgets: &[Budget], latest: Timestamp) {
        for budget in budgets {
            let under_way = self.in_flight.saturating_sub(1);
            let mut budget = budget.clone();
            budget.next_at = budget.next_at.map(|at| at.min(latest));
            if budget.dimension == Dimension::Requests {
                budget.remaining = budget.remaining.map(|left| left.saturating_sub(under_way));
            }
            let same = self
                .learned
                .iter_mut()
                .find(|old| old.dimension == budget.dimension && old.window == budget.window);
            match same {
                Some(old) => *old = budget,
                None => self.learned.push(budget),
            }
        }
    }

    /// Takes a time to the first word; a quarter of each new one counts, so that one slow answer
    /// changes little.
    pub(crate) fn note_first_word(&mut self, span: Duration) {
        let usual = self.first_word.map_or(span, |usual| usual.saturating_mul(3) / 4 + span / 4);
        self.first_word = Some(usual);
    }

    pub(crate) fn forget_learned(&mut self) {
        self.learned.clear();
    }

    pub(crate) fn learned(&self) -> &[Budget] {
        &self.learned
    }

    /// What of the declared limits is used: dimension, window, limit and used.
    pub(crate) fn declared(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (Dimension, Window, u64, u64, Timestamp)> + '_ {
        self.metered.iter().map(move |metered| {
            let frees = metered.count.falls_to(0, now);
            (metered.dimension, metered.window, metered.limit, metered.count.used(now), frees)
        })
    }

    /// The limit that forbids another request of `tokens` now, the longest of several.
    pub(crate) fn used_up(&self, tokens: u64, now: Timestamp) -> Option<UsedUp> {
        let declared = self.metered.iter().filter_map(|metered| metered.used_up(tokens, now));
        let learned = self.learned.iter().filter_map(|budget| nothing_left(budget, now));
        declared.chain(learned).max_by_key(|used_up| (used_up.until.is_none(), used_up.until))
    }

    /// Whether a request of `tokens` can never pass within one minute: better tried elsewhere, as
    /// far as the estimate is right.
    pub(crate) fn cannot_hold(&self, tokens: u64) -> bool {
        let declared = self.metered.iter().filter(|metered| metered.window == Window::Minute);
        let declared = declared.map(|metered| (metered.dimension, Some(metered.limit)));
        let learned = self.learned.iter().filter(|budget| budget.window == Window::Minute);
        let learned = learned.map(|budget| (budget.dimension, budget.limit));
        declared.chain(learned).any(|(dimension, limit)| {
            dimension == Dimension::Tokens && limit.is_some_and(|limit| limit > 0 && tokens > limit)
        })
    }

    /// Whether as many requests are under way as may be.
    pub(crate) fn is_full(&self, concurrent: Option<u64>) -> bool {
        concurrent.is_some_and(|limit| self.in_flight >= limit)
    }
}

impl Metered {
    fn used_up(&self, tokens: u64, now: Timestamp) -> Option<UsedUp> {
        // A request larger than the whole limit is not held back for ever by its estimate.
        let wanted = amount(self.dimension, tokens).min(self.limit).max(1);
        let used = self.count.used(now);
        (used.saturating_add(wanted) > self.limit).then(|| UsedUp {
            dimension: self.dimension,
            window: self.window,
            limit: Some(self.limit),
            until: (self.limit > 0).then(|| self.count.falls_to(self.limit - wanted, now)),
            origin: Origin::Declared,
        })
    }
}

fn declared(limits: &Limits) -> [(Dimension, Window, Option<u64>); 4] {
    [
        (Dimension::Requests, Window::Minute, limits.requests_per_minute),
        (Dimension::Requests, Window::Day, limits.requests_per_day),
        (Dimension::Tokens, Window::Minute, limits.tokens_per_minute),
        (Dimension::Tokens, Window::Day, limits.tokens_per_day),
    ]
}

const fn amount(dimension: Dimension, tokens: u64) -> u64 {
    match dimension {
        Dimension::Requests => 1,
        Dimension::Tokens => tokens,
    }
}

fn nothing_left(budget: &Budget, now: Timestamp) -> Option<UsedUp> {
    let until = budget.next_at?;
    (budget.remaining == Some(0) && now < until).then_some(UsedUp {
        dimension: budget.dimension,
        window: budget.window,
        limit: budget.limit,
        until: Some(until),
        origin: Origin::Learned,
    })
}
