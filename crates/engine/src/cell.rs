//! One scope's memory of faults: shut until a moment, for a reason.
//!
//! A cooldown is a deadline, not a timer: nothing has to wake up to open it again. Its laws:
//!
//! * A deadline only moves later while it runs; of two, the later one stays with its own reason.
//! * A time that the provider stated is believed: when it has passed, the scope opens, to one
//!   request at first and with each answer to more.
//! * A time that was guessed is probed: when it has passed, one request goes through, and the
//!   others go elsewhere until it has succeeded.
//! * Requests that were under way together strike once, not once each, and none of them puts a
//!   guess in the place of what the provider stated to another.
//! * An old success does not forgive a newer fault.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kept::{KeptCell, believed};
use crate::policy::{self, SetAside};
use crate::trials::{Trials, Turn};
use crate::{Fault, FaultKind, Origin, Scope, Timestamp};

/// Why and until when a scope is shut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shut {
    /// The first moment at which it may be tried again; `None` is "not before the configuration
    /// or a person changes it".
    pub until: Option<Timestamp>,
    /// What it was shut for.
    pub kind: FaultKind,
    /// Whom that concerned.
    pub scope: Scope,
    /// How the moment is known.
    pub origin: Origin,
    /// When it was shut.
    pub since: Timestamp,
    /// The provider's own words.
    pub detail: String,
}

impl Shut {
    fn runs_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether an attempt that began at `started` was under way when this was shut: no attempt
    /// begins in the very millisecond, since every shut lasts for one at least.
    fn is_newer(&self, started: Timestamp) -> bool {
        started <= self.since
    }

    fn ends_after(&self, other: &Self) -> bool {
        match (self.until, other.until) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => mine >= theirs,
        }
    }
}

/// A cooldown that is no longer than this is little loss should the process die at once.
const BRIEF: Duration = Duration::from_secs(30);

/// Whether a scope may be tried now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Gate<'a> {
    Open,
    /// The time has passed: one request may probe.
    HalfOpen,
    /// The time has passed and the probe is under way; unless the time was guessed, it is waited
    /// for until this moment at most.
    Probing(Option<Timestamp>),
    Shut(&'a Shut),
}

/// One scope's faults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    shut: Option<Shut>,
    /// Cooldowns in a row without a success between them.
    strikes: u32,
    /// Breaker faults in a row.
    faults: u32,
    trials: Trials,
}

impl Cell {
    pub(crate) fn gate(&self, now: Timestamp) -> Gate<'_> {
        match &self.shut {
            None => Gate::Open,
            Some(shut) if shut.runs_at(now) => Gate::Shut(shut),
            Some(Shut { origin, since, until: Some(until), .. }) if *origin != Origin::Guessed => {
                match self.trials.turn(since.until(*until), now) {
                    Turn::All => Gate::Open,
                    Turn::One => Gate::HalfOpen,
                    Turn::After(over) => Gate::Probing(Some(over)),
                }
            }
            Some(_) if self.trials.is_any_under_way() => Gate::Probing(None),
            Some(_) => Gate::HalfOpen,
        }
    }

    pub(crate) fn kept(&self) -> KeptCell {
        KeptCell {
            shut: self.shut.clone(),
            strikes: self.strikes,
            faults: self.faults,
            answers: self.trials.step(),
        }
    }

    pub(crate) fn restored(kept: &KeptCell, now: Timestamp) -> Self {
        let shut = kept.shut.clone().map(|shut| Shut {
            until: shut.until.map(|until| believed(until, shut.since, now)),
            since: shut.since.min(now),
            ..shut
        });
        Self {
            shut,
            strikes: kept.strikes,
            faults: kept.faults,
            trials: Trials::after(kept.answers),
        }
    }

    /// Whether nothing is remembered.
    pub(crate) const fn is_blank(&self) -> bool {
        self.shut.is_none() && self.strikes == 0 && self.faults == 0
    }

    /// Whether it was shut just now for a time that is worth keeping at once.
    pub(crate) fn was_shut_for_long(&self, now: Timestamp) -> bool {
        self.shut.as_ref().is_some_and(|shut| {
            shut.since == now && shut.until.is_none_or(|until| now.until(until) > BRIEF)
        })
    }

    /// Whether breaker faults have been seen since the last success.
    pub(crate) const fn is_suspect(&self) -> bool {
        self.faults > 0
    }

    /// Whether the time that has passed was only guessed.
    pub(crate) fn was_guessed(&self) -> bool {
        self.shut.as_ref().is_some_and(|shut| shut.origin == Origin::Guessed)
    }

    pub(crate) fn start_probe(&mut self, now: Timestamp) {
        self.trials.begin(now);
    }

    pub(crate) const fn end_probe(&mut self) {
        self.trials.end();
    }

    /// Remembers a breaker fault that is repeated in place at once.
    pub(crate) const fn note_fault(&mut self) {
        self.faults = self.faults.saturating_add(1);
    }

    /// Remembers faults in a row that answers had begun to make up for, and then did not. `after` so
    /// many it is set aside.
    pub(crate) fn recall(&mut self, faults: u32, after: u32) {
        self.faults = self.faults.max(faults);
        self.strikes = self.strikes.max((faults + 1).saturating_sub(after));
    }

    /// Takes a fault of an attempt that began at `started`.
    pub(crate) fn strike(
        &mut self,
        fault: &Fault,
        started: Timestamp,
        now: Timestamp,
        default_cooldown: Duration,
    ) {
        let set_aside = policy::rule(fault.kind).set_aside;
        let together = self.shut.as_ref().is_some_and(|shut| shut.is_newer(started));
        let Some((until, origin)) =
            self.deadline(fault, set_aside, together, now, default_cooldown)
        else {
            return;
        };
        let kind = fault.kind;
        if together && origin == Origin::Guessed && self.is_known(kind, now) {
            return;
        }
        self.shut_until(
            Shut {
                until,
                kind,
                scope: fault.scope.clone(),
                origin,
                since: now,
                detail: fault.detail.clone(),
            },
            now,
        );
    }

    fn deadline(
        &mut self,
        fault: &Fault,
        set_aside: SetAside,
        together: bool,
        now: Timestamp,
        default_cooldown: Duration,
    ) -> Option<(Option<Timestamp>, Origin)> {
        if set_aside == SetAside::Never {
            return None;
        }
        if let Some(resume) = fault.resume.filter(|resume| resume.origin != Origin::Guessed) {
            let at = resume
                .at
                .clamp(now.after(policy::SHORTEST_COOLDOWN), now.after(policy::LONGEST_STATED));
            return Some((Some(at), resume.origin));
        }
        if set_aside == SetAside::Parked {
            return Some((None, Origin::Guessed));
        }
        if let SetAside::Breaker { after } = set_aside {
            if !together {
                self.faults = self.faults.saturating_add(1);
            }
            if self.faults < after {
                return None;
            }
        }
        let strikes = if together { self.strikes.saturating_sub(1) } else { self.strikes };
        if !together {
            self.strikes = self.strikes.saturating_add(1);
        }
        let span = match fault.resume {
            Some(first) => policy::guess_from(now.until(first.at), strikes),
            None => policy::guess(set_aside, strikes, default_cooldown),
        };
        Some((Some(now.after(span.max(policy::SHORTEST_COOLDOWN))), Origin::Guessed))
    }

    /// Whether a time for this kind of fault is running that the provider stated.
    fn is_known(&self, kind: FaultKind, now: Timestamp) -> bool {
        self.shut.as_ref().is_some_and(|shut| {
            shut.kind == kind && shut.origin != Origin::Guessed && shut.runs_at(now)
        })
    }

    /// Shuts, unless a later deadline is running already.
    pub(crate) fn shut_until(&mut self, shut: Shut, now: Timestamp) {
        match &self.shut {
            Some(current) if current.runs_at(now) && current.ends_after(&shut) => {}
            _ => {
                self.shut = Some(shut);
                self.trials.restart();
            }
        }
    }

    /// Takes a success of an attempt that began at `started`.
    pub(crate) fn forgive(&mut self, started: Timestamp, now: Timestamp) {
        let newer_fault = self.shut.as_ref().is_some_and(|shut| {
            shut.is_newer(started) || (shut.runs_at(now) && shut.origin != Origin::Guessed)
        });
        if newer_fault {
            return;
        }
        let was_stated = self.shut.is_some() && !self.was_guessed();
        if was_stated && !self.trials.succeed() {
            (self.strikes, self.faults) = (0, 0);
        } else {
            self.reset();
        }
    }

    /// Forgets everything but who is under way.
    pub(crate) fn reset(&mut self) {
        self.trials.restart();
        *self = Self { trials: self.trials, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn limited(until: Option<i64>) -> Fault {
        let fault = Fault::new(FaultKind::RateLimited, Scope::Deployment, "");
        match until {
            Some(millis) => fault.until(at(millis), Origin::Stated),
            None => fault,
        }
    }

    fn until(cell: &Cell) -> Option<i64> {
        cell.shut.as_ref().and_then(|shut| shut.until).map(Timestamp::as_millis)
    }

    #[test]
    fn a_deadline_only_moves_later() {
        let mut cell = Cell::default();
        cell.strike(&limited(Some(60_000)), at(0), at(10), MINUTE);
        cell.strike(&limited(Some(1_000)), at(0), at(20), MINUTE);
        assert_eq!(until(&cell), Some(60_000));
        cell.strike(&limited(Some(90_000)), at(0), at(30), MINUTE);
        assert_eq!(until(&cell), Some(90_000));
    }

    #[test]
    fn a_stated_deadline_is_believed_to_the_millisecond() {
        let mut cell = Cell::default();
        cell.strike(&limited(Some(17)), at(0), at(0), MINUTE);
        assert!(matches!(cell.gate(at(16)), Gate::Shut(_)));
        assert_eq!(cell.gate(at(17)), Gate::HalfOpen);
    }

    #[test]
    fn a_guessed_deadline_is_probed_by_one() {
        let mut cell = Cell::default();
        cell.strike(&limited(None), at(0), at(0), MINUTE);
        assert!(matches!(cell.gate(at(59_999)), Gate::Shut(_)));
        assert_eq!(cell.gate(at(60_000)), Gate::HalfOpen);
        cell.start_probe(at(60_000));
        assert_eq!(cell.gate(at(60_000)), Gate::Probing(None));
        cell.end_probe();
        cell.forgive(at(60_000), at(60_100));
        assert_eq!(cell.gate(at(60_100)), Gate::Open);
    }

    /// How many are let through at a moment, and stay under way.
    fn let_through(cell: &mut Cell, now: i64) -> usize {
        let may = |cell: &Cell| matches!(cell.gate(at(now)), Gate::HalfOpen | Gate::Open);
        (0..40)
            .take_while(|_| {
                let may = may(cell);
                if may {
                    cell.start_probe(at(now));
                }
                may
            })
            .count()
    }

    #[test]
    fn after_a_stated_time_one_goes_first_and_each_answer_lets_more_through() {
        let mut cell = Cell::default();
        cell.strike(&limited(Some(5_000)), at(0), at(0), MINUTE);
        for (now, most) in [(5_000, 1), (5_100, 2), (5_200, 4), (5_300, 8), (5_400, 40)] {
            let taken = let_through(&mut cell, now);
            assert_eq!(taken, most, "at {now}");
            (0..taken).for_each(|_| cell.end_probe());
            cell.forgive(at(now), at(now + 50));
        }
    }

    #[test]
    fn a_trial_that_takes_long_holds_the_others_back_for_a_second_at_most() {
        let mut cell = Cell::default();
        cell.strike(&limited(Some(5_000)), at(0), at(0), MINUTE);
        assert_eq!(let_through(&mut cell, 5_000), 1);
        assert_eq!(cell.gate(at(5_999)), Gate::Probing(Some(at(6_000))));
        let taken = [6_000, 7_000, 8_000, 9_000].map(|now| let_through(&mut cell, now));
        assert_eq!(taken, [1, 2, 4, 40]);
        let mut cell = Cell::default();
        cell.strike(&limited(Some(20)), at(0), at(0), MINUTE);
        assert_eq!(let_through(&mut cell, 20), 1);
        assert_eq!(
            cell.gate(at(20)),
            Gate::Probing(Some(at(40))),
            "nor for longer than it was shut"
        );
    }

    #[test]
    fn a_trial_that_is_refused_begins_anew() {
        let mut cell = Cell::default();
        cell.strike(&limited(Some(5_000)), at(0), at(0), MINUTE);
        assert_eq!(let_through(&mut cell, 5_000), 1);
        cell.end_probe();
        cell.forgive(at(5_000), at(5_100));
        assert_eq!(let_through(&mut cell, 5_100), 2);
        cell.end_probe();
        cell.strike(&limited(Some(9_000)), at(5_100), at(5_200), MINUTE);
        cell.end_probe();
        cell.forgive(at(5_100), at(5_300));
        assert!(matches!(cell.gate(at(8_999)), Gate::Shut(_)));
        assert_eq!(let_through(&mut cell, 9_000), 1);
    }

    #[test]
    fn a_first_guess_grows_and_is_probed() {
        let mut cell = Cell::default();
        for (now, end) in [(0, 5_000), (5_000, 15_000), (15_000, 35_000)] {
            let fault = limited(None).until(at(now + 5_000), Origin::Guessed);
            cell.strike(&fault, at(now), at(now), MINUTE);
            assert_eq!(until(&cell), Some(end));
            assert!(matches!(cell.gate(at(end - 1)), Gate::Shut(_)));
            assert_eq!(cell.gate(at(end)), Gate::HalfOpen);
        }
        let stated = limited(Some(90_000));
        cell.strike(&stated, at(35_000), at(35_000), MINUTE);
        assert!(!cell.was_guessed());
    }

    #[test]
    fn requests_under_way_together_strike_once() {
        let mut cell = Cell::default();
        for now in 1..=50 {
            cell.strike(&limited(None), at(0), at(now), MINUTE);
        }
        assert_eq!(cell.strikes, 1);
        assert_eq!(until(&cell), Some(60_050));
    }

    #[test]
    fn a_guess_does_not_replace_a_time_that_was_stated_to_another() {
        let mut cell = Cell::default();
        cell.strike(&limited(Some(60_000)), at(0), at(10), MINUTE);
        cell.strike(&limited(None), at(0), at(20), MINUTE);
        assert_eq!(until(&cell), Some(60_000));
        assert!(!cell.was_guessed());
    }

    #[test]
    fn a_person_who_forgives_does_not_let_a_second_probe_in() {
        let mut cell = Cell::default();
        cell.strike(&limited(None), at(0), at(0), MINUTE);
        cell.start_probe(at(60_000));
        cell.reset();
        assert_eq!(cell.gate(at(1)), Gate::Open);
        cell.strike(&limited(None), at(2), at(3), MINUTE);
        assert_eq!(cell.gate(at(90_000)), Gate::Probing(None));
    }

    #[test]
    fn an_old_success_does_not_forgive_a_newer_fault() {
        let mut cell = Cell::default();
        cell.strike(&limited(Some(60_000)), at(100), at(200), MINUTE);
        cell.forgive(at(50), at(300));
        assert_eq!(until(&cell), Some(60_000));
    }

    #[test]
    fn one_fault_never_benches_and_the_second_does() {
        let mut cell = Cell::default();
        let fault = Fault::new(FaultKind::ServerError, Scope::Model, "");
        cell.strike(&fault, at(0), at(1), MINUTE);
        assert_eq!(cell.gate(at(1)), Gate::Open);
        cell.strike(&fault, at(2), at(3), MINUTE);
        assert_eq!(until(&cell), Some(2_003));
        cell.strike(&fault, at(2_003), at(2_004), MINUTE);
        assert_eq!(until(&cell), Some(6_004));
    }

    #[test]
    fn nonsense_times_are_cut_and_never_shut_for_good() {
        let mut cell = Cell::default();
        cell.strike(&limited(Some(i64::MAX)), at(0), at(0), MINUTE);
        assert_eq!(until(&cell), Some(31 * 86_400_000));
    }
}
