//! What replies told of one budget, and how it comes back: all at once when its window ends, or
//! bit by bit.
//!
//! Some providers are known to refill bit by bit, and their budgets are reported so. Another one
//! shows it when it refuses: it says that there is room for the request long before the time at
//! which its headers promise the whole budget.

use std::time::Duration;

use super::{UsedUp, amount};
use crate::calibration::Demand;
use crate::kept::{KeptBudget, believed};
use crate::{Budget, Dimension, Origin, Timestamp};

/// Some state their times in whole seconds: two of them further apart than this are two.
const ROUNDING: Duration = Duration::from_secs(1);

/// What a reply told of one budget, less what was sent since.
#[derive(Debug, Clone)]
pub(crate) struct Learned {
    pub(crate) budget: Budget,
    /// When the request began that was answered so.
    pub(crate) asked: Timestamp,
    /// How long all of it takes to come back bit by bit; `None` if it comes back at once.
    refill: Option<Duration>,
    held: Held,
}

/// What requests hold that were under way when a budget was reported, which comes back at once at
/// a time that may be far: whether the report counts them, nobody knows before they end.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    amount: u64,
    /// The request that was answered with the report, and the first that began after it.
    reporter: u64,
    next: u64,
}

impl Learned {
    /// Takes what a reply to a request of `asked` told. No time after `latest` is believed.
    pub(super) fn told(budget: &Budget, asked: Timestamp, latest: Timestamp) -> Self {
        let mut budget = budget.clone();
        budget.next_at = budget.next_at.map(|at| at.min(latest));
        budget.full_at = budget.full_at.map(|at| at.min(latest));
        let refill = if budget.next_at < budget.full_at && budget.next_at.is_some() {
            budget.window.length()
        } else {
            None
        };
        Self { budget, asked, refill, held: Held::default() }
    }

    /// Whether it is a report of the same budget.
    pub(super) fn is_of(&self, budget: &Budget) -> bool {
        (self.budget.dimension, self.budget.window) == (budget.dimension, budget.window)
    }

    /// Whether less than `demand` is left, as far as it was told.
    pub(super) fn is_short_of(&self, demand: Demand) -> bool {
        self.budget.remaining.is_none_or(|left| left < self.wanted(demand))
    }

    /// Whether all of it is back at `at`, as far as it was told; times may be rounded.
    pub(super) fn is_back_by(&self, at: Timestamp) -> bool {
        let whole_at = self.budget.full_at.max(self.budget.next_at);
        whole_at.is_some_and(|whole_at| whole_at <= at.after(ROUNDING))
    }

    fn wanted(&self, demand: Demand) -> u64 {
        amount(self.budget.dimension, demand.foreseen)
    }

    /// Takes that `demand`, for which too little is left, was refused until `at`. That time
    /// outranks the figures beside it: either they and it are right together, if the budget comes
    /// back bit by bit, or all of it is back by then.
    pub(super) fn refused_until(&mut self, at: Timestamp, demand: Demand) {
        let Some(whole_at) = self.budget.full_at.max(self.budget.next_at) else { return };
        let wanted = self.wanted(demand);
        self.refill = self.shown_refill(at, whole_at, wanted);
        if self.refill.is_some() {
            self.budget.remaining = Some(wanted);
            self.budget.next_at = Some(at);
            self.budget.full_at = Some(whole_at);
        } else {
            self.budget.next_at = Some(whole_at.min(at));
            self.budget.full_at = self.budget.next_at;
        }
    }

    /// How long all of it takes, if what is left now and comes back until `at` makes up for
    /// `wanted`. Ours is an estimate, so that half of it will do.
    fn shown_refill(&self, at: Timestamp, whole_at: Timestamp, wanted: u64) -> Option<Duration> {
        let (limit, left) = (self.budget.limit?, self.budget.remaining?);
        let missing = limit.checked_sub(left).filter(|missing| *missing > 0)?;
        let refill = part(self.asked.until(whole_at), limit, missing);
        let regained = share(limit, self.asked.until(at), refill);
        // Of one that is known to come back so, a part of a unit may be left besides.
        let part = u64::from(self.refill.is_some());
        let room = left.saturating_add(regained).saturating_add(part);
        (at.after(ROUNDING) < whole_at && room >= wanted.div_ceil(2)).then_some(refill)
    }

    /// Keeps that the budget comes back bit by bit, if an earlier reply has shown it.
    pub(super) fn refill_as(&mut self, old: &Self) {
        if self.budget.limit == old.budget.limit {
            self.refill = self.refill.or(old.refill);
        }
    }

    /// Counts `used`, which is sent now, as gone before the provider reports it.
    pub(super) fn reserve(&mut self, used: u64, now: Timestamp) {
        self.budget.remaining = self.budget.remaining.map(|left| left.saturating_sub(used));
        if let (Some(full_at), Some(span)) = (self.budget.full_at, self.span_of(used)) {
            // Nothing is emptier than empty, from which all of it comes back in one refill.
            let empty = self.refill.map_or(full_at, |refill| now.after(refill)).max(full_at);
            self.budget.full_at = Some(full_at.max(now).after(span).min(empty));
        }
    }

    /// Counts `used`, which was under way when the request `reporter` was told this, before the
    /// request `next` began, as gone: at most what is left, since whatever finds no room is
    /// refused, and then costs nothing. What comes back at once is only held for them.
    pub(super) fn reserve_under_way(&mut self, used: u64, reporter: u64, next: u64) {
        if self.refill.is_none() {
            self.held = Held { amount: used, reporter, next };
            return;
        }
        let most = self.budget.remaining.unwrap_or(used);
        let gone = used.min(most);
        self.budget.remaining = self.budget.remaining.map(|left| left - gone);
        if let (Some(full_at), Some(span)) = (self.budget.full_at, self.span_of(gone)) {
            self.budget.full_at = Some(full_at.after(span));
        }
    }

    /// A request has ended. If it was counted behind the report, its own reply told so.
    pub(super) const fn release(&mut self, request: u64, used: u64) {
        let Held { amount, reporter, next } = self.held;
        if request < next && request != reporter {
            self.held.amount = amount.saturating_sub(used);
        }
    }

    /// What is left besides what is held.
    fn free(&self) -> Option<u64> {
        self.budget.remaining.map(|left| left.saturating_sub(self.held.amount))
    }

    /// Whether all that is left is held by requests that are under way.
    pub(super) fn is_claimed(&self, now: Timestamp) -> bool {
        self.free() == Some(0)
            && self.budget.remaining != Some(0)
            && self.budget.next_at.is_some_and(|at| now < at)
    }

    /// How long `amount` takes to come back bit by bit; `None` if all comes back at once.
    fn span_of(&self, amount: u64) -> Option<Duration> {
        let limit = self.budget.limit.filter(|limit| *limit > 0)?;
        Some(part(self.refill?, amount, limit))
    }

    /// When `amount` has come back, if nothing was left.
    fn back_at(&self, amount: u64) -> Option<Timestamp> {
        let whole_at = self.budget.full_at.or(self.budget.next_at)?;
        let rest = self.budget.limit.map_or(0, |limit| limit.saturating_sub(amount));
        Some(self.span_of(rest).map_or(whole_at, |early| whole_at.before(early)))
    }

    /// Whether too little for `demand` was left when it was last told, and has not come back.
    pub(super) fn lacks_room(&self, demand: Demand, now: Timestamp) -> bool {
        self.budget.dimension == Dimension::Tokens
            && self.free().is_some_and(|left| left < demand.foreseen)
            && self.back_at(demand.foreseen).is_some_and(|at| now < at)
    }

    /// Why nothing can be sent now, if nothing is left.
    pub(super) fn used_up(&self, now: Timestamp) -> Option<UsedUp> {
        let next_at = self.budget.next_at?;
        let until = match self.refill {
            Some(_) => self.back_at(1)?.max(next_at),
            None => next_at,
        };
        (self.budget.remaining == Some(0) && now < until).then_some(UsedUp {
            dimension: self.budget.dimension,
            window: self.budget.window,
            limit: self.budget.limit,
            until: Some(until),
            origin: Origin::Learned,
        })
    }

    /// How much is left now; where nobody can say, what was left when it was told of.
    pub(crate) fn left(&self, now: Timestamp) -> Option<u64> {
        let Budget { limit, remaining, full_at, next_at, .. } = self.budget;
        let Some(whole_at) = full_at.or(next_at) else {
            return remaining;
        };
        if now >= whole_at {
            return limit.or(remaining);
        }
        match (limit, self.refill_per_hour()) {
            (Some(limit), Some(refill)) => {
                let missing = refill * now.until(whole_at).as_secs_f64() / 3600.0;
                Some(limit.saturating_sub(missing.ceil() as u64))
            }
            _ => remaining,
        }
    }

    /// How many come back in an hour, if they do so bit by bit.
    pub(crate) fn refill_per_hour(&self) -> Option<f64> {
        Some(self.budget.limit? as f64 * 3600.0 / self.refill?.as_secs_f64())
    }

    pub(super) fn kept(&self) -> KeptBudget {
        KeptBudget { budget: self.budget.clone(), asked: self.asked, refill: self.refill }
    }

    pub(super) fn restored(kept: &KeptBudget, now: Timestamp) -> Self {
        let mut budget = kept.budget.clone();
        let sane = |at: Timestamp| believed(at, kept.asked, now);
        budget.next_at = budget.next_at.map(sane);
        budget.full_at = budget.full_at.map(sane);
        let asked = kept.asked.min(now);
        let told = Self::told(&budget, asked, Timestamp::from_millis(i64::MAX));
        Self { refill: kept.refill.or(told.refill), ..told }
    }
}

/// `span` times `amount / whole`.
fn part(span: Duration, amount: u64, whole: u64) -> Duration {
    let nanos = span.as_nanos().saturating_mul(amount.into()) / u128::from(whole.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// `amount` times `span / whole`.
fn share(amount: u64, span: Duration, whole: Duration) -> u64 {
    let share = span.as_nanos().saturating_mul(amount.into()) / whole.as_nanos().max(1);
    u64::try_from(share).unwrap_or(u64::MAX)
}
