//! The times at which the budgets come back of which a refusal's headers tell.

use std::time::Duration;

use engine::{Budget, Dimension, Origin, Resume, Timestamp, Window};

use super::HINT;
use crate::evidence::{Evidence, LONG};
use crate::profile::Refill;

/// A prompt has about one token for so many of its bytes.
const BYTES_OF_A_TOKEN: u64 = 4;

/// The reset of what is spent, the latest of several. Headers that never say what is left are
/// taken to speak of the limit that was met, unless the text means another. Tokens that come back
/// bit by bit are waited for until this request has room, any others until all are back.
pub(super) fn spent(seen: &Evidence<'_>) -> Option<Resume> {
    if let Some(at) = suggested(seen) {
        return Some(Resume { at, origin: Origin::Stated });
    }
    let counts = seen.budgets.iter().any(|budget| budget.remaining.is_some());
    let may_be_met = |budget: &Budget| budget.full_at.is_some() && !is_another(budget, seen);
    let is_met = |budget: &&Budget| {
        if counts { budget.remaining == Some(0) } else { may_be_met(budget) }
    };
    let latest = seen.budgets.iter().filter(is_met);
    let back = |budget: &Budget| match budget.dimension {
        Dimension::Requests => budget.next_at,
        Dimension::Tokens => room_at(budget, seen).or(budget.next_at.max(budget.full_at)),
    };
    let latest = latest.filter_map(|budget| Some((back(budget)?, budget.full_at)));
    let latest = latest.filter(|(at, _)| *at > seen.now).max()?;
    let origin = if latest.1 == Some(latest.0) { Origin::Stated } else { Origin::Computed };
    Some(Resume { at: latest.0, origin })
}

/// When to try again, of a provider whose reset header says that, whatever limit was met.
fn suggested(seen: &Evidence<'_>) -> Option<Timestamp> {
    let resets = seen.budgets.iter().filter_map(|budget| budget.full_at);
    resets.max().filter(|at| seen.profile.reset_is_retry && *at > seen.now)
}

/// The reset of a window that has something left, but too little for the request: of what cannot
/// hold the prompt, else the latest of those that the text may mean. What is left of a day or a
/// month is no reason to wait for its end.
pub(super) fn unspent(seen: &Evidence<'_>) -> Option<Resume> {
    let is_short = |budget: &Budget| {
        let is_long = matches!(budget.window, Window::Day | Window::Month);
        let is_near = |at: Timestamp| at > seen.now && seen.now.until(at) <= LONG;
        !is_long && budget.full_at.is_some_and(is_near)
    };
    let met = || seen.budgets.iter().filter(|one| is_short(one) && !is_another(one, seen));
    if seen.profile.refill == Refill::Continuous {
        return met().filter_map(|budget| room(budget, seen)).max_by_key(|resume| resume.at);
    }
    let lacking = met().filter(|budget| lacks(budget, seen) > 0);
    let lacking = lacking.filter_map(|budget| budget.full_at).max();
    let at = lacking.or_else(|| met().filter_map(|budget| budget.full_at).max())?;
    Some(Resume { at, origin: Origin::Stated })
}

/// Whether the text means another budget: another window, or the other thing that is counted.
fn is_another(budget: &Budget, seen: &Evidence<'_>) -> bool {
    let is_window = |window| budget.window == window || budget.window == Window::Unknown;
    let is_counted = seen.profile.reset_is_retry
        || match budget.dimension {
            Dimension::Requests => !seen.names_tokens() || seen.names_requests(),
            Dimension::Tokens => !seen.names_requests() || seen.names_tokens(),
        };
    !(is_counted && seen.window().is_none_or(is_window))
}

/// How many tokens the request needs beyond what is left: its prompt, as far as the length
/// tells, and what it allows for the answer.
fn lacks(budget: &Budget, seen: &Evidence<'_>) -> u64 {
    let prompt = seen.sent.body().len() as u64 / BYTES_OF_A_TOKEN;
    let wanted = prompt.saturating_add(seen.sent.most_for_answer());
    let left = budget.remaining.filter(|_| budget.dimension == Dimension::Tokens);
    left.map_or(0, |left| wanted.saturating_sub(left))
}

/// When a bucket of tokens that refills bit by bit has room for the request; when it is full if
/// the text means it and the request's size does not explain it.
fn room(budget: &Budget, seen: &Evidence<'_>) -> Option<Resume> {
    let full_at = budget.full_at.filter(|_| budget.dimension == Dimension::Tokens)?;
    budget.window.length()?;
    match room_at(budget, seen).filter(|at| *at < full_at) {
        Some(at) => Some(Resume { at, origin: Origin::Computed }),
        None => seen.names_tokens().then_some(Resume { at: full_at, origin: Origin::Stated }),
    }
}

/// What others of ours that are under way take of what comes back meanwhile.
const OTHERS: Duration = Duration::from_secs(1);

/// The same, as far as the figures tell and agree with one another; never later than it is full.
fn room_at(budget: &Budget, seen: &Evidence<'_>) -> Option<Timestamp> {
    let full_at = budget.full_at.filter(|_| seen.profile.refill == Refill::Continuous)?;
    let (limit, window) = (budget.limit.filter(|limit| *limit > 0)?, budget.window.length()?);
    let span_of = |tokens: u64| {
        let nanos = window.as_nanos().saturating_mul(tokens.into()).div_ceil(limit.into());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    };
    let full_in = seen.now.until(full_at);
    let expected = span_of(limit.saturating_sub(budget.remaining.unwrap_or(0)));
    let agrees = full_in.abs_diff(expected) <= expected / 5;
    let wait = span_of(lacks(budget, seen));
    (agrees && !wait.is_zero()).then(|| seen.now.after(wait + OTHERS).min(full_at))
}

/// The reset of the day: of what is spent if that is told, else of any daily budget, since they
/// all come back together.
pub(super) fn day(seen: &Evidence<'_>) -> Option<Resume> {
    let is_far = |at: Timestamp| seen.now.until(at) > HINT;
    // One of an unknown window that is back soon is not the day's.
    let is_daily = |budget: &&Budget| match budget.window {
        Window::Day => true,
        Window::Unknown => budget.full_at.is_some_and(is_far),
        Window::Second | Window::Minute | Window::Hour | Window::Month => false,
    };
    let spent = seen.spent().filter(is_daily).filter_map(|budget| budget.full_at);
    let any = seen.budgets.iter().filter(|budget| budget.window == Window::Day);
    let at = spent.max().or_else(|| any.filter_map(|budget| budget.full_at).max());
    at.filter(|at| *at > seen.now).map(|at| Resume { at, origin: Origin::Stated })
}
