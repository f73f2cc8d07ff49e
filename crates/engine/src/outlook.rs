//! What will become of the limits if things go on as of late: how much is left, at which pace it
//! is used, and whether it runs out before it comes back.

use std::time::Duration;

use crate::usage::Usage;
use crate::view::ProviderView;
use crate::{Dimension, Origin, Timestamp, Window};

const MILLIS_PER_HOUR: f64 = 3_600_000.0;

/// The outlook of one limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// What is counted.
    pub dimension: Dimension,
    /// Over which span.
    pub window: Window,
    /// How many are allowed in the span, if that is known.
    pub limit: Option<u64>,
    /// How many are left now; `None` if nobody said.
    pub left: Option<u64>,
    /// When all of it is there again without further use; `None` if nothing is used or nobody
    /// said.
    pub resets_at: Option<Timestamp>,
    /// Declared or learned.
    pub origin: Origin,
    /// Whether all models of the key share it.
    pub is_shared: bool,
    /// How many are used in an hour, as of late.
    pub per_hour: f64,
    /// When nothing is left at this pace; `None` if that never comes, since it comes back first
    /// or nothing is used.
    pub runs_out_at: Option<Timestamp>,
}

impl Outlook {
    /// Whether running out would be felt for more than a few minutes, as far as that is known.
    fn is_long(&self) -> bool {
        !matches!(self.window, Window::Second | Window::Minute | Window::Unknown)
    }

    /// The part that is left, if the whole is known.
    fn part_left(&self) -> Option<f64> {
        let limit = self.limit.filter(|limit| *limit > 0)?;
        Some(self.left? as f64 / limit as f64)
    }
}

impl ProviderView {
    /// The one limit of all its deployments that matters most: the one that runs out first, of
    /// an hour or longer if there is such a one; else the daily one of which the least part is
    /// left.
    pub fn most_pressing(&self) -> Option<&Outlook> {
        let all = || self.deployments.iter().flat_map(|deployment| &deployment.outlook);
        let first = all()
            .filter(|outlook| outlook.runs_out_at.is_some())
            .min_by_key(|outlook| (!outlook.is_long(), outlook.runs_out_at));
        let daily = all().filter(|outlook| outlook.window == Window::Day);
        let scarcest = || {
            daily
                .filter_map(|outlook| Some((outlook.part_left()?, outlook)))
                .min_by(|(one, _), (other, _)| one.total_cmp(other))
        };
        first.or_else(|| scarcest().map(|(_, outlook)| outlook))
    }
}

/// The outlook of everything that limits `usage`.
pub(crate) fn outlook(usage: &Usage, is_shared: bool, now: Timestamp) -> Vec<Outlook> {
    let declared = usage.metered.iter().map(|metered| {
        let per_hour = usage.pace.per_hour(metered.dimension, now);
        Outlook {
            dimension: metered.dimension,
            window: metered.window,
            limit: Some(metered.limit),
            left: Some(metered.limit.saturating_sub(metered.count.used(now))),
            resets_at: metered.count.resets_at(now),
            origin: Origin::Declared,
            is_shared,
            per_hour,
            runs_out_at: metered.count.runs_out_at(metered.limit, per_hour, now),
        }
    });
    let learned = usage.learned.iter().map(|learned| {
        let budget = &learned.budget;
        let left = learned.left(now);
        let resets_at = budget.full_at.or(budget.next_at).filter(|at| *at > now);
        let per_hour = usage.pace.per_hour(budget.dimension, now);
        let length = budget.window.length();
        // Without a stated time, a budget is whole again a window after it was spoken of.
        let latest = resets_at.or_else(|| Some(learned.asked.after(length?)));
        let regained = learned.refill_per_hour().unwrap_or(0.0);
        Outlook {
            dimension: budget.dimension,
            window: budget.window,
            limit: budget.limit,
            left,
            resets_at,
            origin: Origin::Learned,
            is_shared,
            per_hour,
            runs_out_at: left
                .and_then(|left| used_up_at(left, per_hour - regained, now))
                .filter(|at| regained > 0.0 || latest.is_none_or(|latest| *at < latest)),
        }
    });
    declared.chain(learned).chain(ceilings(usage, is_shared, now)).collect()
}

/// What only refusals have told, unless replies report of the same.
fn ceilings(usage: &Usage, is_shared: bool, now: Timestamp) -> impl Iterator<Item = Outlook> {
    let is_reported = |window: Window| {
        let mut reported = usage.learned.iter().map(|learned| &learned.budget);
        reported.any(|one| (one.dimension, one.window) == (Dimension::Requests, window))
    };
    let known = usage.known_ceilings(now).filter(move |(told, ..)| !is_reported(told.window));
    known.map(move |(told, left, resets_at)| Outlook {
        dimension: Dimension::Requests,
        window: told.window,
        limit: Some(told.most),
        left: Some(left),
        resets_at,
        origin: Origin::Learned,
        is_shared,
        per_hour: usage.pace.per_hour(Dimension::Requests, now),
        runs_out_at: None,
    })
}

/// When `left` are used up at this pace.
pub(crate) fn used_up_at(left: u64, per_hour: f64, now: Timestamp) -> Option<Timestamp> {
    let millis = left as f64 / per_hour * MILLIS_PER_HOUR;
    // Beyond a century it is never.
    (per_hour > 0.0 && millis < 1e15).then(|| now.after(Duration::from_millis(millis as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;
    use crate::DayStart;
    use crate::calibration::Demand;
    use crate::limits::Limits;
    use crate::usage::Told;
    use jiff::tz::TimeZone;

    /// 2001-09-09 00:00 UTC, and hours after it.
    fn at(hours: f64) -> Timestamp {
        Timestamp::from_millis(999_993_600_000 + (hours * MILLIS_PER_HOUR) as i64)
    }

    /// Sixty requests of `tokens` in each hour from `from` to `to`.
    fn steady(usage: &mut Usage, from: u32, to: u32, tokens: u64) {
        for minute in from * 60..to * 60 {
            let demand = Demand { foreseen: tokens, ..Demand::default() };
            usage.take(demand, at(f64::from(minute) / 60.0));
            usage.release(demand, 0);
        }
    }

    fn daily(limit: u64, day: Option<DayStart>) -> Usage {
        let mut usage = Usage::default();
        usage.set_limits(&Limits { requests_per_day: Some(limit), day, ..Limits::default() });
        usage
    }

    fn midnight() -> DayStart {
        DayStart::midnight(TimeZone::UTC)
    }

    fn only(usage: &Usage, now: f64) -> Outlook {
        let mut all = outlook(usage, false, at(now));
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    /// Asserts the hour at which it runs out, give or take six minutes.
    fn runs_out(outlook: &Outlook, hour: f64) {
        let at = outlook.runs_out_at.expect("it runs out").as_millis();
        let seen = (at - 999_993_600_000) as f64 / MILLIS_PER_HOUR;
        assert!((seen - hour).abs() < 0.1, "at {seen}");
    }

    #[test]
    fn a_daily_limit_that_does_not_last_the_day_says_when_it_ends() {
        // 600 of 1,000 are used by 10:00 at 60 an hour: 400 last until 16:40.
        let mut usage = daily(1_000, Some(midnight()));
        steady(&mut usage, 0, 10, 1);
        let seen = only(&usage, 10.0);
        assert_eq!((seen.limit, seen.left), (Some(1_000), Some(400)));
        assert_eq!(seen.resets_at, Some(at(24.0)));
        assert!((59.0..62.0).contains(&seen.per_hour), "{}", seen.per_hour);
        runs_out(&seen, 16.0 + 40.0 / 60.0);
    }

    #[test]
    fn a_daily_limit_that_lasts_the_day_does_not_run_out() {
        let mut usage = daily(1_500, Some(midnight()));
        steady(&mut usage, 0, 10, 1);
        assert_eq!(only(&usage, 10.0).runs_out_at, None);
        // Nor does one that nobody uses any more.
        let mut usage = daily(601, Some(midnight()));
        steady(&mut usage, 0, 10, 1);
        assert!(only(&usage, 10.0).runs_out_at.is_some());
        assert_eq!(only(&usage, 18.0).runs_out_at, None);
    }

    #[test]
    fn a_rolling_day_gives_back_what_was_used_the_day_before() {
        // 24 hours at 60 an hour fill 1,440, which is all that is ever used at once.
        let mut usage = daily(1_500, None);
        steady(&mut usage, 0, 48, 1);
        assert_eq!(only(&usage, 48.0).runs_out_at, None);
        // 1,200 are used by 20:00; at 24:00 they begin to leave as fast as new ones come.
        let mut usage = daily(1_500, None);
        steady(&mut usage, 0, 20, 1);
        let seen = only(&usage, 20.0);
        assert_eq!((seen.left, seen.runs_out_at), (Some(300), None));
        let mut usage = daily(1_300, None);
        steady(&mut usage, 0, 20, 1);
        runs_out(&only(&usage, 20.0), 20.0 + 100.0 / 60.0);
    }

    #[test]
    fn nothing_is_foreseen_without_a_pace() {
        let seen = only(&daily(10, Some(midnight())), 1.0);
        assert_eq!((seen.left, seen.runs_out_at), (Some(10), None));
        assert!(seen.per_hour.abs() < f64::EPSILON);
    }

    fn told(window: Window, left: u64, next: f64, full: f64) -> Budget {
        Budget {
            dimension: Dimension::Tokens,
            window,
            limit: Some(60_000),
            remaining: Some(left),
            next_at: Some(at(next)),
            full_at: Some(at(full)),
        }
    }

    fn learn(usage: &mut Usage, budget: Budget, asked: Timestamp) {
        let (demand, latest) = (Demand::default(), at(99.0));
        let budgets = &[budget];
        let (request, next) = (0, 1);
        let refused_until = None;
        usage.learn(&Told { budgets, demand, asked, request, next, refused_until, latest });
    }

    #[test]
    fn a_learned_day_runs_out_before_it_comes_back_or_not() {
        let mut usage = Usage::default();
        steady(&mut usage, 0, 10, 100);
        // 6,000 tokens an hour.
        learn(&mut usage, told(Window::Day, 12_000, 13.0, 13.0), at(10.0));
        let seen = only(&usage, 10.0);
        assert_eq!((seen.left, seen.origin), (Some(12_000), Origin::Learned));
        assert_eq!(seen.resets_at, Some(at(13.0)));
        runs_out(&seen, 12.0);
        learn(&mut usage, told(Window::Day, 24_000, 13.0, 13.0), at(10.01));
        assert_eq!(only(&usage, 10.0).runs_out_at, None);
        let later = only(&usage, 13.0);
        assert_eq!((later.left, later.resets_at), (Some(60_000), None));
    }

    #[test]
    fn a_bucket_that_refills_faster_than_it_is_used_never_runs_out() {
        let mut usage = Usage::default();
        steady(&mut usage, 0, 10, 100);
        // 60,000 in a day come back at 2,500 an hour; 20 hours from full, 50,000 are missing.
        learn(&mut usage, told(Window::Day, 10_000, 10.001, 30.0), at(10.0));
        let seen = only(&usage, 10.0);
        assert_eq!(seen.left, Some(10_000));
        // 6,000 used and 2,500 regained in an hour.
        runs_out(&seen, 10.0 + 10_000.0 / 3_500.0);
        learn(&mut usage, told(Window::Hour, 10_000, 10.001, 10.8), at(10.0));
        let all = outlook(&usage, false, at(10.0));
        assert_eq!(all.len(), 2);
        assert_eq!((all[1].left, all[1].runs_out_at), (Some(12_000), None));
    }
}
