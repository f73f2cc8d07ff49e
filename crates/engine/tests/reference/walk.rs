//! The walk of one request over its chain.

use engine::{FaultKind, Why};

use super::super::common::Said;
use super::super::rules::{is_own, is_rate};
use super::{Cause, Journey, Model, Sent, State};

impl Model {
    pub(super) fn states(&self, journey: usize) -> Vec<State> {
        let journey = &self.journeys[journey];
        let states = journey.chain.iter();
        states.map(|door| self.state(door, &journey.needs)).collect()
    }

    pub(crate) fn next(&mut self, number: usize) -> Said {
        let now = self.now;
        let states = self.states(number);
        let journey = &mut self.journeys[number];
        if let Some(since) = journey.waiting_since.take() {
            journey.waited += now - since;
        }
        let (waited, deadline) = (journey.waited, journey.deadline);
        if now >= deadline {
            return self.refuse(number, &states);
        }
        let unspent: Vec<usize> =
            (0..states.len()).filter(|&index| !journey.tries[index].spent).collect();
        let in_place = self.patience.wait_in_place.as_millis() as i64;
        for &index in &unspent {
            match states[index] {
                State::Open | State::HalfOpen => return self.take(number, index, &states),
                State::Closed(cause, Some(until)) => {
                    let guessed =
                        matches!(cause, Cause::Fault { guessed: true, .. } | Cause::Probing);
                    if !guessed && waited + until - now <= in_place && until < deadline {
                        journey.waiting_since = Some(now);
                        return Said::Wait(until);
                    }
                }
                State::Closed(..) => {}
            }
        }
        let patience = self.patience.max_wait.as_millis() as i64 - waited;
        let latest = (now + patience).min(deadline);
        let wait = |&index: &usize| match states[index] {
            State::Closed(Cause::Probing | Cause::Busy, until) => {
                (patience > 0).then_some(until.map_or(latest, |until| until.min(latest)))
            }
            State::Closed(_, Some(until)) => (until < deadline).then_some(until),
            State::Closed(..) | State::Open | State::HalfOpen => None,
        };
        let soonest = unspent.iter().filter_map(wait).min();
        if let Some(until) = soonest.filter(|until| patience >= 0 && *until <= latest) {
            journey.waiting_since = Some(now);
            return Said::Wait(until);
        }
        let doubtful = |&&index: &&usize| {
            matches!(states[index], State::Closed(Cause::Probing | Cause::TooLong, _))
        };
        match unspent.iter().find(doubtful) {
            Some(&index) => self.take(number, index, &states),
            None => self.refuse(number, &states),
        }
    }

    fn take(&mut self, number: usize, index: usize, states: &[State]) -> Said {
        let journey = &mut self.journeys[number];
        journey.tries[index].count += 1;
        journey.trying = Some((index, self.sent.len()));
        let (door, tokens) = (journey.chain[index].clone(), journey.needs.tokens);
        let (estimated, tokens) = (tokens, self.foreseen(&door, tokens));
        let name = door.name();
        for left in self.left.iter_mut().filter(|left| left.door == name) {
            left.amount = left.amount.saturating_sub(1);
        }
        let mut probes = door.places();
        probes.retain(|place| self.turn(place) == State::HalfOpen);
        let is_probe = !probes.is_empty();
        let mut doubtful = false;
        for place in &probes {
            let mut memory = self.memory(place);
            doubtful |= memory.shut.as_ref().is_some_and(|shut| shut.guessed);
            memory.steps += u32::from(self.trials(place) >= 1 << memory.steps);
            memory.newest = self.now;
            self.remember(place, memory);
        }
        debug_assert!(is_probe || states[index] != State::HalfOpen);
        self.sent.push(Sent {
            door,
            at: self.now,
            estimated,
            tokens,
            under_way: true,
            probes,
            doubtful,
        });
        let after = self.states(number);
        let tries = &self.journeys[number].tries;
        let is_last = !(0..after.len()).any(|other| {
            other != index
                && !tries[other].spent
                && matches!(after[other], State::Open | State::HalfOpen)
        });
        Said::Try { door: name, is_probe, is_last }
    }

    fn refuse(&self, number: usize, states: &[State]) -> Said {
        let tried = &self.journeys[number].tried;
        let wanted = states
            .iter()
            .filter(|state| !matches!(state, State::Closed(Cause::Off | Cause::Paid, _)));
        let guessed = wanted
            .clone()
            .any(|state| matches!(state, State::Closed(Cause::Fault { guessed: true, .. }, _)));
        let untils = wanted.map(|state| match state {
            State::Closed(Cause::Fault { kind, guessed }, until) => {
                until.filter(|_| is_rate(*kind) || !guessed)
            }
            State::Closed(Cause::Limit, until) => *until,
            State::Closed(..) | State::Open | State::HalfOpen => None,
        });
        let parked = states.iter().all(|state| match state {
            State::Closed(Cause::Off | Cause::Paid, _) => true,
            State::Closed(Cause::Fault { kind, .. }, until) => {
                until.is_none() || matches!(kind, FaultKind::ModelMissing | FaultKind::NoAllowance)
            }
            State::Closed(..) | State::Open | State::HalfOpen => false,
        });
        let keys = tried.iter().all(|kind| *kind == FaultKind::KeyRejected);
        if states.is_empty() {
            Said::Refuse(Why::NoneConfigured, None)
        } else if let Some(attempt) = self.own_fault(number, states) {
            Said::Refuse(Why::RequestsOwn { attempt }, None)
        } else if parked && tried.is_empty() {
            Said::Refuse(Why::AllParked, None)
        } else if parked && keys {
            Said::Refuse(Why::KeysRefused, None)
        } else if (tried.is_empty() || !keys)
            && let Some(untils) = untils.collect::<Option<Vec<i64>>>()
            && let Some(soonest) = untils.into_iter().min()
        {
            Said::Refuse(Why::AllCooling, (!guessed).then_some(soonest - self.now))
        } else {
            Said::Refuse(Why::MixedFaults, None)
        }
    }

    /// The attempt that shows that the request itself is at fault.
    fn own_fault(&self, number: usize, states: &[State]) -> Option<usize> {
        let Journey { tried, tries, .. } = &self.journeys[number];
        for telling in [FaultKind::ContextTooLong, FaultKind::DoubtfulMistake] {
            if let Some(first) = tried.iter().position(|kind| *kind == telling) {
                return Some(first);
            }
        }
        let others = states.iter().zip(tries).filter(|(_, tries)| tries.count == 0);
        let mut others = others.map(|(state, _)| state);
        let may_serve = |state: &State| match state {
            State::Closed(Cause::Off | Cause::Paid, _) | State::Open | State::HalfOpen => false,
            State::Closed(Cause::Fault { kind, .. }, until) => {
                let parks = matches!(kind, FaultKind::ModelMissing | FaultKind::NoAllowance);
                until.is_some() && !parks
            }
            State::Closed(Cause::Limit, until) => until.is_some(),
            State::Closed(..) => true,
        };
        let all_own = !tried.is_empty() && tried.iter().all(|kind| is_own(*kind));
        (all_own && !others.any(may_serve)).then_some(0)
    }

    pub(super) fn end(&mut self, sent: usize, tokens: Option<u64>) {
        let sent = &mut self.sent[sent];
        sent.under_way = false;
        sent.probes.clear();
        sent.tokens = tokens.unwrap_or(sent.tokens);
    }

    pub(crate) fn abandon(&mut self, number: usize) {
        if let Some((_, sent)) = self.journeys[number].trying.take() {
            self.end(sent, None);
        }
    }
}
