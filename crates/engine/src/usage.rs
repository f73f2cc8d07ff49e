//! How much of a deployment's limits is used: requests and tokens, under way and in the present
//! minute and day, against what the configuration declares and what replies reported.
//!
//! Quotas forecast, cooldowns know: a limit here only avoids a refusal that is certain; the
//! refusal itself is the truth.

mod ceilings;
mod kept;
mod learned;

use std::time::Duration;

use crate::calibration::{Calibration, Demand};
use crate::kept::KeptCount;
use crate::limits::Limits;
use crate::pace::Pace;
use crate::window::Count;
use crate::{Budget, Dimension, Origin, Timestamp, Window};

pub use ceilings::Ceiling;
use ceilings::{Counted, Recent};
pub(crate) use learned::Learned;

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

impl UsedUp {
    /// By which of several the longest is found: no end is later than any.
    const fn end(&self) -> (bool, Option<Timestamp>) {
        (self.until.is_none(), self.until)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Metered {
    pub(crate) dimension: Dimension,
    pub(crate) window: Window,
    pub(crate) limit: u64,
    pub(crate) count: Count,
    /// The same if what was reserved for answers stays counted, of tokens in a minute.
    as_reserved: Option<Count>,
}

/// The use of one deployment, or of one key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    pub(crate) in_flight: u64,
    /// The tokens that the requests under way may use.
    tokens_in_flight: u64,
    pub(crate) requests_today: u64,
    pub(crate) tokens_today: u64,
    /// Whether it has ever served.
    pub(crate) has_served: bool,
    /// Answers in a row that broke off, and when the last one did.
    pub(crate) breaks: u32,
    pub(crate) broke_at: Option<Timestamp>,
    /// The usual time to the first word of a stream.
    pub(crate) first_word: Option<Duration>,
    pub(crate) pace: Pace,
    pub(crate) calibration: Calibration,
    limits: Limits,
    pub(crate) metered: Vec<Metered>,
    /// Whether a refusal has shown that what is reserved for answers stays counted.
    keeps_reserved: bool,
    pub(crate) learned: Vec<Learned>,
    recent: Recent,
    ceilings: Vec<Counted>,
    /// What an earlier run counted, until the limits are known against which it counts.
    restored: Vec<KeptCount>,
}

/// What a reply told, and whom it answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) budgets: &'a [Budget],
    /// The request that was answered, and when it began.
    pub(crate) demand: Demand,
    pub(crate) asked: Timestamp,
    /// Its number, and that of the next request.
    pub(crate) request: u64,
    pub(crate) next: u64,
    /// When it can be sent again, if it was refused and this was stated.
    pub(crate) refused_until: Option<Timestamp>,
    /// No later time is believed.
    pub(crate) latest: Timestamp,
}

/// What a request that has ended cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// The tokens that it used.
    pub(crate) used: u64,
    /// The tokens that count against the limits.
    pub(crate) charged: u64,
    /// Those that would count if what was reserved for the answer stayed counted.
    pub(crate) as_reserved: u64,
}

impl Usage {
    pub(crate) const fn begin_day(&mut self) {
        self.requests_today = 0;
        self.tokens_today = 0;
    }

    /// Takes new limits; counts of limits that stay are kept.
    pub(crate) fn set_limits(&mut self, limits: &Limits) {
        if !self.has_other_limits(limits) {
            return;
        }
        let restored = std::mem::take(&mut self.restored);
        let same_day = limits.day == self.limits.day;
        let same_refill = limits.refills == self.limits.refills;
        let mut old = std::mem::take(&mut self.metered);
        for (dimension, window, limit) in declared(limits) {
            let Some(limit) = limit else { continue };
            let kept = old.iter().position(|metered| {
                metered.dimension == dimension
                    && metered.window == window
                    && (same_day || window != Window::Day)
            });
            let kept = kept.map(|index| old.swap_remove(index)).and_then(|old| {
                let now_otherwise = || old.kept().for_limits(limit, limits);
                if same_refill { Some(old.count) } else { now_otherwise() }
            });
            let restored = restored
                .iter()
                .filter(|count| (count.dimension, count.window) == (dimension, window));
            let mut count = kept
                .or_else(|| restored.into_iter().find_map(|count| count.for_limits(limit, limits)))
                .unwrap_or_else(|| Count::new(window, limit, limits));
            count.set_limit(limit);
            self.metered.push(Metered::new(dimension, window, limit, count));
        }
        self.keeps_reserved = false;
        self.limits = limits.clone();
    }

    /// Counts a request that is being sent, with the tokens that it may use.
    pub(crate) fn take(&mut self, demand: Demand, now: Timestamp) {
        let tokens = demand.foreseen;
        self.in_flight += 1;
        self.tokens_in_flight = self.tokens_in_flight.saturating_add(tokens);
        self.requests_today = self.requests_today.saturating_add(1);
        self.pace.add(tokens, now);
        self.count_sent(now);
        for metered in &mut self.metered {
            metered.add(now, amount(metered.dimension, tokens));
        }
        for learned in &mut self.learned {
            learned.reserve(amount(learned.budget.dimension, tokens), now);
        }
    }

    /// A request that was taken with `demand` has ended.
    pub(crate) fn release(&mut self, demand: Demand, request: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.tokens_in_flight = self.tokens_in_flight.saturating_sub(demand.foreseen);
        for learned in &mut self.learned {
            learned.release(request, amount(learned.budget.dimension, demand.foreseen));
        }
    }

    /// Replaces the tokens that were counted by those that the request really cost. Where replies
    /// tell what is left, what it used is enough: their own figures hold back the rest.
    pub(crate) fn correct(&mut self, demand: Demand, spent: Spent, taken: Timestamp) {
        let counted = demand.foreseen;
        self.pace.replace(taken, counted, spent.charged);
        for metered in self.metered.iter_mut().filter(|m| m.dimension == Dimension::Tokens) {
            let is_told = self.learned.iter().any(|learned| {
                let Budget { dimension, window, remaining, .. } = learned.budget;
                (dimension, window) == (metered.dimension, metered.window) && remaining.is_some()
            });
            let charged = if self.keeps_reserved { spent.as_reserved } else { spent.charged };
            let cost = if is_told { spent.used } else { charged };
            metered.count.replace(taken, counted, cost);
            if let Some(as_reserved) = &mut metered.as_reserved {
                as_reserved.replace(taken, counted, if is_told { cost } else { spent.as_reserved });
            }
        }
    }

    /// Takes what a reply told; the newest report of a budget replaces an older one, and what is
    /// under way besides the request that it answers is counted as used already. Replies overtake
    /// one another: one to a request that did not begin later never says that more is left.
    pub(crate) fn learn(&mut self, told: &Told<'_>) {
        let new = told.budgets.iter().map(|budget| {
            let mut new = Learned::told(budget, told.asked, told.latest);
            let old = self.learned.iter().find(|old| old.is_of(budget));
            if let Some(old) = old {
                new.refill_as(old);
            }
            new
        });
        let new: Vec<Learned> = new.collect();
        // Where one of them is the reason and back by then, the time says nothing of the others.
        let is_reason = |one: &Learned, at| one.is_short_of(told.demand) && one.is_back_by(at);
        let until = told.refused_until;
        let is_explained = until.is_some_and(|at| new.iter().any(|one| is_reason(one, at)));
        for mut new in new {
            let is_meant = |at: &Timestamp| {
                new.is_short_of(told.demand) && (!is_explained || new.is_back_by(*at))
            };
            if let Some(at) = until.filter(is_meant) {
                // Who is under way meanwhile is counted by the provider, or refused as well.
                new.refused_until(at, told.demand);
            } else {
                let dimension = new.budget.dimension;
                let besides = self.under_way_besides(told.demand, dimension);
                new.reserve_under_way(besides, told.request, told.next);
            }
            self.take_newer(new);
        }
    }

    fn under_way_besides(&self, demand: Demand, dimension: Dimension) -> u64 {
        match dimension {
            Dimension::Requests => self.in_flight.saturating_sub(1),
            Dimension::Tokens => self.tokens_in_flight.saturating_sub(demand.foreseen),
        }
    }

    fn take_newer(&mut self, mut new: Learned) {
        match self.learned.iter_mut().find(|old| old.is_of(&new.budget)) {
            Some(old) if new.asked > old.asked || new.budget.remaining < old.budget.remaining => {
                new.asked = new.asked.max(old.asked);
                *old = new;
            }
            Some(_) => {}
            None => self.learned.push(new),
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
        self.ceilings.clear();
        self.keeps_reserved = false;
        self.has_served = false;
        self.breaks = 0;
    }

    pub(crate) fn learned(&self) -> impl Iterator<Item = &Budget> {
        self.learned.iter().map(|learned| &learned.budget)
    }

    /// A request that is counted already was refused for a limit. Where that is explained only by
    /// what was reserved for earlier answers, that stays counted from now on.
    pub(crate) fn notice_reserved(&mut self, now: Timestamp) {
        for metered in self.metered.iter_mut().filter(|metered| metered.is_short_as_reserved(now)) {
            self.keeps_reserved = true;
            metered.count = metered.as_reserved.clone().unwrap_or_else(|| metered.count.clone());
        }
    }

    /// The limit that forbids another request of `demand` now, the longest of several.
    pub(crate) fn used_up(&self, demand: Demand, now: Timestamp) -> Option<UsedUp> {
        let all = self.surely_used_up(demand, now).into_iter().chain(self.reached(now));
        all.max_by_key(UsedUp::end)
    }

    /// The same without the ceilings that refusals told, which may have been raised since.
    pub(crate) fn surely_used_up(&self, demand: Demand, now: Timestamp) -> Option<UsedUp> {
        let declared = self.metered.iter().filter_map(|metered| metered.used_up(demand, now));
        let learned = self.learned.iter().filter_map(|learned| learned.used_up(now));
        declared.chain(learned).max_by_key(UsedUp::end)
    }

    /// Whether a request of `demand` can never pass within one minute, or finds no room in what
    /// was last said to be left: better tried elsewhere, as far as the estimate is right.
    pub(crate) fn cannot_hold(&self, demand: Demand, now: Timestamp) -> bool {
        if self.learned.iter().any(|learned| learned.lacks_room(demand, now)) {
            return true;
        }
        let declared = self.metered.iter().filter(|metered| metered.window == Window::Minute);
        let declared = declared.map(|metered| (metered.dimension, Some(metered.limit)));
        let learned = self.learned().filter(|budget| budget.window == Window::Minute);
        let learned = learned.map(|budget| (budget.dimension, budget.limit));
        declared.chain(learned).any(|(dimension, limit)| {
            dimension == Dimension::Tokens
                && limit.is_some_and(|limit| limit > 0 && demand.estimated > limit)
        })
    }

    /// Whether those under way hold all that is left, as far as replies told: one that ends may
    /// set some of it free.
    pub(crate) fn is_claimed(&self, now: Timestamp) -> bool {
        self.learned.iter().any(|learned| learned.is_claimed(now))
    }

    /// Whether as many requests are under way as may be.
    pub(crate) fn is_full(&self, concurrent: Option<u64>) -> bool {
        concurrent.is_some_and(|limit| self.in_flight >= limit)
    }
}

impl Metered {
    fn new(dimension: Dimension, window: Window, limit: u64, count: Count) -> Self {
        let is_of_tokens = (dimension, window) == (Dimension::Tokens, Window::Minute);
        let as_reserved = is_of_tokens.then(|| count.clone());
        Self { dimension, window, limit, count, as_reserved }
    }

    fn add(&mut self, now: Timestamp, amount: u64) {
        self.count.add(now, amount);
        if let Some(as_reserved) = &mut self.as_reserved {
            as_reserved.add(now, amount);
        }
    }

    /// Whether more than the limit is counted, but only with what was reserved.
    fn is_short_as_reserved(&self, now: Timestamp) -> bool {
        let is_over = |count: &Count| count.used(now) > self.limit;
        self.as_reserved.as_ref().is_some_and(is_over) && !is_over(&self.count)
    }
    fn kept(&self) -> KeptCount {
        KeptCount { dimension: self.dimension, window: self.window, span: self.count.kept() }
    }

    fn used_up(&self, demand: Demand, now: Timestamp) -> Option<UsedUp> {
        let estimated = amount(self.dimension, demand.estimated);
        let foreseen = amount(self.dimension, demand.foreseen);
        // A request larger than the whole limit is not held back for ever by its estimate: in a
        // minute, `cannot_hold` speaks of it as long as anything is left.
        let is_oversize = estimated > self.limit && self.window == Window::Minute;
        let wanted = if is_oversize { 1 } else { foreseen.min(self.limit).max(1) };
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

fn declared(limits: &Limits) -> [(Dimension, Window, Option<u64>); 5] {
    [
        (Dimension::Requests, Window::Second, limits.requests_per_second),
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

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(START + seconds)
    }

    fn of(tokens: u64) -> Demand {
        Calibration::default().foresee(tokens, false)
    }

    /// 6,000 tokens in a minute, of which some are left.
    fn minute(left: u64, next: i64, full: i64) -> Budget {
        Budget {
            dimension: Dimension::Tokens,
            window: Window::Minute,
            limit: Some(6_000),
            remaining: Some(left),
            next_at: Some(at(next)),
            full_at: Some(at(full)),
        }
    }

    fn learned(budget: Budget) -> Usage {
        let mut usage = Usage::default();
        hear(&mut usage, budget, of(0), at(0));
        usage
    }

    fn hear(usage: &mut Usage, budget: Budget, demand: Demand, asked: Timestamp) {
        tell(usage, budget, demand, asked, None);
    }

    fn tell(
        usage: &mut Usage,
        budget: Budget,
        demand: Demand,
        asked: Timestamp,
        refused_until: Option<Timestamp>,
    ) {
        let latest = at(1_000_000);
        let (request, next) = (0, 8);
        let budgets = &[budget];
        usage.learn(&Told { budgets, demand, asked, request, next, refused_until, latest });
    }

    #[test]
    fn a_bucket_that_refills_has_room_before_it_is_full() {
        let usage = learned(minute(1_000, 1, 50));
        assert!(!usage.cannot_hold(of(1_000), at(0)));
        assert!(usage.cannot_hold(of(2_000), at(9)));
        assert!(!usage.cannot_hold(of(2_000), at(10)));
    }

    #[test]
    fn a_short_time_that_a_minute_explains_says_nothing_of_the_day() {
        let day =
            Budget { window: Window::Day, limit: Some(100_000), ..minute(500, 36_000, 36_000) };
        let told = |budgets: &[Budget]| {
            let mut usage = Usage::default();
            let (demand, asked, latest) = (of(2_000), at(0), at(1_000_000));
            let refused_until = Some(at(5));
            let (request, next) = (0, 1);
            usage.learn(&Told { budgets, demand, asked, request, next, refused_until, latest });
            usage
        };
        let usage = told(&[minute(0, 5, 5), day.clone()]);
        assert!(usage.cannot_hold(of(2_000), at(35_999)), "the day's own reset decides");
        assert!(!usage.cannot_hold(of(400), at(5)), "what is left of the day is not held back");
        let usage = told(&[minute(6_000, 5, 5), day]);
        assert!(!usage.cannot_hold(of(2_000), at(5)), "nothing else explains the time");
    }

    #[test]
    fn a_window_has_room_when_it_ends() {
        let usage = learned(minute(1_000, 50, 50));
        assert!(usage.cannot_hold(of(2_000), at(49)));
        assert!(!usage.cannot_hold(of(2_000), at(50)));
        assert!(usage.cannot_hold(of(6_001), at(50)), "larger than the whole minute");
    }

    #[test]
    fn a_budget_of_a_refusal_is_back_by_the_stated_time() {
        let minute = || Budget { remaining: Some(0), ..minute(0, 0, 58) };
        for budget in [minute(), Budget { next_at: Some(at(58)), ..minute() }] {
            let mut usage = Usage::default();
            usage.take(of(6_000), at(0));
            usage.take(of(6_000), at(0));
            tell(&mut usage, budget, of(6_000), at(0), Some(at(4)));
            assert!(usage.cannot_hold(of(6_000), at(3)));
            assert_eq!(usage.used_up(of(6_000), at(4)), None);
            assert!(!usage.cannot_hold(of(6_000), at(4)));
        }
    }

    /// What was seen of one that says only when all of it is back: 20,000 in a minute.
    #[test]
    fn a_refusal_shows_that_a_budget_comes_back_bit_by_bit() {
        let unknown = |left, full: i64| Budget {
            window: Window::Unknown,
            limit: Some(20_000),
            remaining: Some(left),
            next_at: Some(Timestamp::from_millis(START * 1_000 + full)),
            full_at: Some(Timestamp::from_millis(START * 1_000 + full)),
            ..minute(0, 0, 0)
        };
        let after = |millis| Timestamp::from_millis(START * 1_000 + millis);
        let mut usage = Usage::default();
        for _ in 0..20 {
            usage.take(of(183), at(0));
        }
        tell(&mut usage, unknown(19, 59_943), of(183), at(0), Some(after(492)));
        assert!(!usage.cannot_hold(of(183), after(492)), "one has room");
        usage.take(of(183), after(492));
        assert!(usage.cannot_hold(of(183), after(492)), "not all the others");
        assert!(usage.cannot_hold(of(183), after(1_000)));
        assert!(!usage.cannot_hold(of(183), after(1_100)), "but another one each half second");
        for _ in 0..21 {
            usage.release(of(183), 0);
        }
        hear(&mut usage, unknown(100, 59_700), of(183), after(492));
        assert!(!usage.cannot_hold(of(183), after(900)), "as long as the limit is the same");
        tell(&mut usage, unknown(0, 30_000), of(183), after(900), Some(after(29_500)));
        assert!(!usage.cannot_hold(of(15_000), after(29_500)), "but this is a window's end");
    }

    #[test]
    fn a_refusal_of_a_bucket_lets_through_what_has_come_back_and_no_more() {
        // 3,500 in a minute, none left: one each 17.2 milliseconds, and the time is rounded.
        let after = |millis| Timestamp::from_millis(START * 1_000 + millis);
        let bucket = Budget {
            dimension: Dimension::Requests,
            limit: Some(3_500),
            next_at: Some(after(18)),
            ..minute(0, 0, 60)
        };
        let mut usage = Usage::default();
        usage.take(of(0), at(0));
        tell(&mut usage, bucket, of(0), at(0), Some(after(17)));
        usage.release(of(0), 0);
        let mut sent = 0;
        while usage.used_up(of(0), after(120)).is_none() && sent < 50 {
            usage.take(of(0), after(120));
            sent += 1;
        }
        assert!((6..=7).contains(&sent), "{sent}");
    }

    #[test]
    fn requests_that_come_back_bit_by_bit_are_sent_one_by_one() {
        let requests =
            Budget { dimension: Dimension::Requests, limit: Some(60), ..minute(0, 1, 60) };
        let mut usage = learned(requests);
        let may = |usage: &Usage, now| usage.used_up(of(0), at(now)).is_none();
        assert!(!may(&usage, 0) && may(&usage, 1));
        usage.take(of(0), at(1));
        assert!(!may(&usage, 1) && may(&usage, 2));
        usage.take(of(0), at(9));
        assert!(may(&usage, 9), "more have come back meanwhile");
    }

    #[test]
    fn tokens_under_way_are_counted_as_used() {
        let mut usage = learned(minute(3_000, 1, 30));
        usage.take(of(2_000), at(0));
        assert!(
            usage.cannot_hold(of(2_000), at(9)),
            "1,000 are left, and 1,000 come in ten seconds"
        );
        assert!(!usage.cannot_hold(of(2_000), at(10)));
        usage.take(of(500), at(10));
        hear(&mut usage, minute(2_500, 11, 45), of(500), at(10));
        assert!(usage.cannot_hold(of(600), at(10)), "the first one is still under way");
        usage.release(of(2_000), 0);
        usage.release(of(500), 0);
        hear(&mut usage, minute(2_500, 11, 45), of(0), at(11));
        assert!(!usage.cannot_hold(of(600), at(10)));
    }

    #[test]
    fn those_under_way_hold_what_is_left_of_a_day_until_they_end() {
        let day = Budget {
            dimension: Dimension::Requests,
            window: Window::Day,
            limit: Some(14_400),
            ..minute(4, 50_000, 50_000)
        };
        let mut usage = Usage::default();
        for _ in 0..8 {
            usage.take(of(0), at(0));
        }
        hear(&mut usage, day, of(0), at(0));
        assert!(usage.is_claimed(at(1)), "the seven others may not be counted yet");
        assert_eq!(usage.used_up(of(0), at(1)), None, "nobody knows that they are not");
        usage.release(of(0), 0);
        assert!(usage.is_claimed(at(1)), "who was told is counted");
        for request in 1..=4 {
            assert!(usage.is_claimed(at(1)), "{request}");
            usage.release(of(0), request);
        }
        assert!(!usage.is_claimed(at(1)), "three hold three of four");
        usage.take(of(0), at(1));
        assert!(usage.is_claimed(at(1)));
        usage.release(of(0), 8);
        assert!(usage.is_claimed(at(1)), "who came later is counted besides");
        for request in 5..=7 {
            usage.release(of(0), request);
        }
        let left = usage.learned().next().and_then(|budget| budget.remaining);
        assert_eq!((usage.is_claimed(at(1)), left), (false, Some(3)));
    }

    #[test]
    fn a_reply_that_was_overtaken_never_says_that_more_is_left() {
        let mut usage = Usage::default();
        let mut left_after = |left, asked| {
            hear(&mut usage, minute(left, 40, 40), of(0), at(asked));
            usage.learned().next().and_then(|budget| budget.remaining)
        };
        assert_eq!(left_after(0, 5), Some(0));
        assert_eq!(left_after(100, 4), Some(0));
        assert_eq!(left_after(100, 5), Some(0), "in the same moment");
        assert_eq!(left_after(6_000, 6), Some(6_000));
        assert_eq!(left_after(10, 5), Some(10), "less is believed of anyone");
    }

    #[test]
    fn what_no_minute_can_hold_is_not_said_to_wait_for_one() {
        let mut usage = Usage::default();
        usage.set_limits(&Limits { tokens_per_minute: Some(1_000), ..Limits::default() });
        usage.take(of(300), at(0));
        assert_eq!(usage.used_up(of(5_000), at(0)), None);
        assert!(usage.cannot_hold(of(5_000), at(0)));
        usage.take(of(700), at(0));
        assert!(usage.used_up(of(5_000), at(0)).is_some(), "nothing at all is left");
    }
}
