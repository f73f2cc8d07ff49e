//! When a fault is over: where the time is looked for, and in which order.

mod told;

use std::time::Duration;

use engine::{Origin, Resume, Timestamp, Window};

use crate::evidence::Evidence;
use crate::profile::Refill;
use crate::times::{
    named as named_zone, next_month, reset as reset_in_prose, retry as retry_in_prose,
    retry_at_once as retry_at_once_in_prose, retry_in as retry_in_prose_of,
};
use crate::{fields, limits, words};

/// A shorter hint that comes with a spent day does not speak of the day: `RetryInfo` says 25 s
/// while the quota is back at midnight.
const HINT: Duration = Duration::from_mins(5);

/// Some cut their times to whole seconds.
const ROUNDING: Duration = Duration::from_secs(1);

/// The first guess where a wait of no time at all is stated.
const SOON: Duration = Duration::from_secs(1);

/// How the end of a fault is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// No time is looked for; whatever the reply says of one is not believed.
    Never,
    /// A stated time only.
    Stated,
    /// A stated time, else the reset of the account's plan.
    Plan,
    /// A stated time, else this many seconds, which the provider's documents name.
    StatedOr(u64),
    /// A stated time, else the reset of what is spent, else of what has too little left, else the
    /// window that the text names.
    Limit,
    /// As `Limit`, but what is not spent does not count, since the limit that was met may be one
    /// of which no header tells; if all that fails this many seconds, the window in which the
    /// provider's documents count.
    LimitOr(u64),
    /// As `LimitOr`, but a guess of at first this many seconds.
    LimitOrGuess(u64),
    /// The day's own reset; a short hint is not believed where days end at midnight.
    Day,
    /// A stated reset, else the first of the next month.
    Month,
    /// A stated reset; a time to retry is not believed.
    Reset,
}

/// The end of the fault that the evidence shows.
pub(crate) fn resume(clock: Clock, seen: &Evidence<'_>) -> Option<Resume> {
    match clock {
        Clock::Never => None,
        Clock::Stated => stated(seen),
        Clock::Plan => stated(seen).or_else(|| plan(seen)),
        Clock::StatedOr(secs) => stated(seen).or_else(|| computed(Some(after(seen, secs)))),
        Clock::Limit => {
            let known = limit(seen).or_else(|| told::unspent(seen)).or_else(|| at_once(seen));
            known.or_else(|| named(seen))
        }
        Clock::LimitOr(secs) => {
            let known = limit(seen).or_else(|| at_once(seen)).or_else(|| named(seen));
            known.or_else(|| computed(Some(after(seen, secs))))
        }
        Clock::LimitOrGuess(secs) => {
            let known = limit(seen).or_else(|| named(seen));
            known.or_else(|| Some(Resume { at: after(seen, secs), origin: Origin::Guessed }))
        }
        Clock::Day => day(seen),
        Clock::Month => reset(seen).or_else(|| computed(next_month(seen.now))),
        Clock::Reset => reset(seen),
    }
}

/// A time that the body states in a field or in prose.
pub(crate) fn written(seen: &Evidence<'_>) -> Option<Timestamp> {
    let prose = || retry_in_prose(seen.text(), seen.now);
    match fields::retry(&seen.body.value, seen.now) {
        Some(field) => Some(unrounded(field, prose, seen.now)),
        None => prose(),
    }
}

fn stated(seen: &Evidence<'_>) -> Option<Resume> {
    let told = |at| Resume { at, origin: Origin::Stated };
    let header = seen.headers.retry_after(seen.now);
    let header = header.map(|at| told(unrounded(at, || written(seen), seen.now)));
    header.or_else(|| Some(unzoned(written(seen)?, seen)))
}

/// A time in whole seconds, or another one that tells the same with its fraction: some cut it
/// off, and the request would come too early.
fn unrounded(
    at: Timestamp,
    other: impl FnOnce() -> Option<Timestamp>,
    now: Timestamp,
) -> Timestamp {
    let is_whole = now.until(at).subsec_nanos() == 0;
    let finer = |other: &Timestamp| is_whole && *other > at && at.until(*other) < ROUNDING;
    other().filter(finer).unwrap_or(at)
}

/// Soon, if a wait of no time at all is stated: it is no reason to stay away for long, and
/// who comes back at once is refused at once.
fn at_once(seen: &Evidence<'_>) -> Option<Resume> {
    let is_zero = seen.headers.states_no_wait()
        || fields::retry_at_once(&seen.body.value)
        || retry_at_once_in_prose(seen.text());
    is_zero.then(|| Resume { at: seen.now.after(SOON), origin: Origin::Guessed })
}

/// A written time, or its other reading where the provider names no zone and may mean its own: the
/// sooner one that lies ahead. The other may be right, so this one is a guess that is probed; were
/// it believed, a plan could be out of use for hours after it is whole again.
fn unzoned(at: Timestamp, seen: &Evidence<'_>) -> Resume {
    let other = seen.profile.home.and_then(named_zone).map(|home| {
        let other = retry_in_prose_of(home, seen.text(), seen.now);
        (other != Some(at)).then(|| other.map_or(at, |other| other.min(at)))
    });
    match other.flatten() {
        Some(at) => Resume { at, origin: Origin::Guessed },
        None => Resume { at, origin: Origin::Stated },
    }
}

fn reset(seen: &Evidence<'_>) -> Option<Resume> {
    let at =
        fields::reset(&seen.body.value, seen.now).or_else(|| reset_in_prose(seen.text(), seen.now));
    at.map(|at| Resume { at, origin: Origin::Stated })
}

/// A stated time, else the reset of what is spent, else that of the plan.
fn limit(seen: &Evidence<'_>) -> Option<Resume> {
    let spent = || by_figures(seen).or_else(|| told::spent(seen));
    stated(seen).or_else(spent).or_else(|| plan(seen))
}

fn plan(seen: &Evidence<'_>) -> Option<Resume> {
    let at = seen.headers.plan_reset(seen.now)?;
    Some(Resume { at, origin: Origin::Stated })
}

/// The end of the window that the text names.
fn named(seen: &Evidence<'_>) -> Option<Resume> {
    computed(limits::end_of(seen.window()?, &seen.profile, seen.now))
}

fn day(seen: &Evidence<'_>) -> Option<Resume> {
    if seen.profile.refill == Refill::Continuous || shows_refill(seen) {
        return stated(seen).or_else(|| by_figures(seen)).or_else(|| told::spent(seen));
    }
    // A short one may stand beside a long one, and then says nothing of the day.
    let times = [seen.headers.retry_after(seen.now), written(seen), reset(seen).map(|one| one.at)];
    let long = times.into_iter().flatten().find(|at| seen.now.until(*at) > HINT);
    let long = long.map(|at| Resume { at, origin: Origin::Stated });
    let midnight = || computed(limits::end_of(Window::Day, &seen.profile, seen.now));
    long.or_else(|| told::day(seen)).or_else(midnight)
}

/// Whether the text's figures are those of a day that comes back bit by bit: a stated time that
/// is much shorter than they are is a mere hint.
fn shows_refill(seen: &Evidence<'_>) -> bool {
    let is_told = words::figures(seen.text()).is_some_and(|figures| figures.used.is_some());
    let wait = |resume: Option<Resume>| resume.map(|resume| seen.now.until(resume.at));
    let is_hint = match (wait(stated(seen)), wait(by_figures(seen))) {
        (Some(stated), Some(computed)) => stated.saturating_mul(2) < computed,
        _ => false,
    };
    is_told && !is_hint
}

/// The wait until a bucket that refills continuously has room for the request again:
/// (used + requested - limit) / limit of the window.
fn by_figures(seen: &Evidence<'_>) -> Option<Resume> {
    let figures = words::figures(seen.text())?;
    let window = seen.window()?.length()?;
    let over = figures.used?.checked_add(figures.requested)?.checked_sub(figures.limit)?;
    let nanos =
        window.as_nanos().checked_mul(u128::from(over))?.checked_div(figures.limit.into())?;
    let wait = Duration::from_nanos(u64::try_from(nanos).ok()?).min(window);
    (!wait.is_zero()).then(|| Resume { at: seen.now.after(wait), origin: Origin::Computed })
}

fn after(seen: &Evidence<'_>, secs: u64) -> Timestamp {
    seen.now.after(Duration::from_secs(secs))
}

fn computed(at: Option<Timestamp>) -> Option<Resume> {
    at.map(|at| Resume { at, origin: Origin::Computed })
}
