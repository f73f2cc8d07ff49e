//! The laws of the rotation, as properties in simulated time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail loudly"
)]

mod common;

use std::collections::HashMap;

use common::history::{self, Action, Outcome};
use common::{
    HOUR, MINUTE, NOON, SECOND, Said, World, at, fault, limited, millis, plain, provider,
};
use engine::{
    Availability, Closed, DayStart, Fault, FaultKind, Limits, Origin, Reason, Remedy, Scope, Tried,
    Verdict, Why,
};
use proptest::prelude::*;

/// A world that checks itself after each action.
struct Court {
    world: World,
    off: Vec<String>,
    /// Attempts per provider and UTC day.
    sent: HashMap<(String, i64), u64>,
}

type Judged = Result<(), TestCaseError>;

impl Court {
    fn seen_by(&self, journey: usize) -> Vec<Availability> {
        let journey = &self.world.journeys[journey];
        let (registry, ledger) = (&journey.registry, &self.world.ledger);
        let chain = journey.rotation.chain().iter();
        let deployments = chain.map(|candidate| &registry.deployments()[candidate.deployment]);
        deployments
            .map(|one| engine::availability(registry, ledger, one, &journey.needs, self.world.now))
            .collect()
    }

    fn act(&mut self, action: Action) -> Judged {
        let now = self.world.now;
        match action {
            Action::Pass(span) => self.world.pass(span),
            Action::Begin(needs, deadline) => {
                self.world.begin(needs, deadline);
            }
            Action::Next(which) => {
                if let Some(&journey) = nth(&self.world.active(false), which) {
                    let before = self.seen_by(journey);
                    let said = self.world.next(journey);
                    self.judge_step(journey, &before, said)?;
                }
            }
            Action::Settle(which, outcome) => {
                if let Some(&journey) = nth(&self.world.active(true), which) {
                    let before = self.seen_by(journey);
                    self.settle(journey, outcome);
                    for (old, new) in before.iter().zip(self.seen_by(journey)) {
                        judge_deadline(old, &new)?;
                    }
                }
            }
            Action::Switch(which, off) => {
                let name = ["p", "q", "r", "s"][which];
                if self.world.ledger.set_disabled(name, off) {
                    self.off.retain(|other| other != name);
                    self.off.extend(off.then(|| name.to_owned()));
                }
            }
            Action::Reset(which) => {
                self.world.ledger.reset(Some(["p", "q", "r", "s"][which]));
            }
            Action::Reload(providers) => self.world.reload(providers),
        }
        prop_assert!(self.world.now >= now);
        self.judge_counts()
    }

    fn settle(&mut self, journey: usize, outcome: Outcome) {
        let now = self.world.now;
        match outcome {
            Outcome::Answer(tokens, left) => {
                if let Some((left, wait)) = left {
                    self.world.learn(journey, left, now.after(millis(wait)));
                }
                self.world.succeed(journey, tokens);
            }
            Outcome::Abandon => self.world.abandon(journey),
            Outcome::Fault(kind, scope, wait, remedy) => {
                let mut fault = Fault::new(kind, scope, "words");
                if let Some(wait) = wait {
                    fault = fault.until(at(now.as_millis().saturating_add(wait)), Origin::Stated);
                }
                self.world.fail(journey, fault, remedy);
            }
        }
    }

    fn judge_step(&mut self, number: usize, before: &[Availability], said: Said) -> Judged {
        let journey = &self.world.journeys[number];
        match said {
            Said::Try { door, .. } => {
                let chosen = journey.lease.as_ref().unwrap().candidate;
                if let Availability::Closed(closed) = &before[chosen] {
                    let doubtful = [Reason::Probing, Reason::DoesNotFit];
                    prop_assert!(doubtful.contains(&closed.reason), "{closed:?} was tried");
                }
                let may_wait = matches!(before[chosen], Availability::Closed(_));
                let ahead = if may_wait { before.len() } else { chosen };
                let tried = journey.rotation.tried();
                let too_long = |t: &&Tried| t.fault.kind == FaultKind::ContextTooLong;
                let overfull =
                    tried.iter().filter(too_long).filter_map(|t| journey.window(t.candidate));
                let overfull = overfull.max();
                let same = |index| {
                    let mut too_long = tried.iter().filter(too_long);
                    too_long.any(|t| journey.house(t.candidate) == journey.house(index))
                };
                for (index, other) in before[..ahead].iter().enumerate() {
                    let was_tried = tried.iter().any(|t| t.candidate == index);
                    let shut = matches!(other, Availability::Closed(_));
                    let no_larger = journey.window(index).is_some_and(|own| Some(own) <= overfull);
                    prop_assert!(
                        shut || was_tried || no_larger || same(index),
                        "{index} was passed over for {chosen}"
                    );
                }
                let name = door.split('/').next().unwrap().to_owned();
                let spec = &journey.registry.provider_named(&name).unwrap().spec;
                prop_assert!(!self.off.contains(&name), "{name} is switched off");
                prop_assert!(!(journey.needs.free_only && spec.paid), "{name} costs money");
                let day = self.world.now.as_millis().div_euclid(24 * HOUR);
                *self.sent.entry((name, day)).or_default() += 1;
            }
            Said::Wait(then) => prop_assert!(then > self.world.now.as_millis()),
            Said::Refuse(Why::AllCooling, wait) => {
                let ends = before.iter().filter_map(|one| match one {
                    Availability::Closed(closed) if closed.is_unwanted() => None,
                    Availability::Closed(Closed { until, .. }) => Some(*until),
                    Availability::Open | Availability::HalfOpen => Some(None),
                });
                let ends: Option<Vec<_>> = ends.collect();
                prop_assert!(ends.is_some(), "not every end is known: {before:?}");
                let soonest = ends.unwrap().into_iter().min().unwrap().as_millis();
                let is_guessed = |one: &Availability| {
                    matches!(one, Availability::Closed(closed)
                        if !closed.is_unwanted() && closed.origin == Origin::Guessed)
                };
                if before.iter().any(is_guessed) {
                    prop_assert_eq!(wait, None, "a guess is no promise");
                } else {
                    prop_assert_eq!(wait, Some(soonest - self.world.now.as_millis()));
                    prop_assert!(wait > Some(0));
                }
            }
            Said::Refuse(_, wait) => prop_assert_eq!(wait, None),
        }
        Ok(())
    }

    fn judge_counts(&mut self) -> Judged {
        let mut under_way: HashMap<String, u64> = HashMap::new();
        for journey in &self.world.journeys {
            if let Some(lease) = &journey.lease {
                let door = common::door(&journey.registry, lease.deployment);
                *under_way.entry(door).or_default() += 1;
            }
        }
        let world = &mut self.world;
        let day = world.now.as_millis().div_euclid(24 * HOUR);
        for seen in
            engine::view(&world.registry, &mut world.ledger, &engine::Needs::default(), world.now)
        {
            let sent = self.sent.get(&(seen.name.clone(), day));
            prop_assert_eq!(seen.requests, sent.copied().unwrap_or(0), "{}", seen.name);
            for one in &seen.deployments {
                let door = format!("{}/{}/{}", seen.name, one.key, one.model);
                let expected = under_way.get(&door).copied().unwrap_or(0);
                prop_assert_eq!(one.in_flight, expected, "{}", door);
            }
        }
        Ok(())
    }
}

fn nth(list: &[usize], which: usize) -> Option<&usize> {
    list.get(which.checked_rem(list.len())?)
}

/// A deadline that runs only moves later.
fn judge_deadline(old: &Availability, new: &Availability) -> Judged {
    let running = |one: &Availability| match one {
        Availability::Closed(closed) if matches!(closed.reason, Reason::Fault { .. }) => {
            Some(closed.until)
        }
        _ => None,
    };
    if let Some(old) = running(old) {
        let Availability::Closed(new) = new else {
            return Err(TestCaseError::fail(format!("{old:?} was cut short")));
        };
        prop_assert!(new.until.is_none() || (old.is_some() && new.until >= old));
    }
    Ok(())
}

/// Faults after which another deployment is asked.
fn rotating() -> impl Strategy<Value = FaultKind> {
    (0..history::KINDS.len() - 2).prop_map(|index| history::KINDS[index])
}

proptest! {
    #![proptest_config(history::cases(250))]

    #[test]
    fn no_history_breaks_a_law(
        providers in history::providers(),
        patience in history::patience(),
        actions in proptest::collection::vec(history::action(), 1..120),
    ) {
        let mut world = World::new(providers);
        world.patience = patience;
        let mut court = Court { world, off: Vec::new(), sent: HashMap::new() };
        for action in actions {
            court.act(action)?;
        }
        for journey in court.world.active(true) {
            court.world.abandon(journey);
        }
        court.judge_counts()?;
    }

    #[test]
    fn the_twelfth_is_reached_when_eleven_are_broken(
        faults in proptest::collection::vec((rotating(), history::scope(), any::<bool>(), 0_i64..3_000), 12),
        remedy in prop_oneof![Just(Remedy::None), Just(Remedy::Repeat), Just(Remedy::Repair)],
    ) {
        let mut world = World::new(plain(12));
        let journey = world.request();
        for _ in 0..120 {
            let door = world.next_door(journey);
            prop_assert!(door.is_some());
            if door.as_deref() == Some("p11/k/m") {
                return Ok(());
            }
            let chosen = world.journeys[journey].lease.as_ref().unwrap().candidate;
            let (kind, scope, stated, span) = &faults[chosen];
            world.pass(*span);
            let mut seen = fault(*kind, scope.clone());
            if *stated {
                seen = seen.until(world.now.after(millis(*span)), Origin::Stated);
            }
            world.fail(journey, seen, remedy);
        }
        prop_assert!(false, "the twelfth was not reached");
    }

    #[test]
    fn a_rotation_ends_whatever_comes_of_it(
        count in 1_usize..6,
        patience in history::patience(),
        outcomes in proptest::collection::vec((rotating(), history::scope(), proptest::option::of(-1_000_i64..9_000), any::<bool>()), 1..40),
    ) {
        let mut world = World::new(plain(count));
        world.patience = patience;
        let journey = world.request();
        let mut outcomes = outcomes.into_iter().cycle();
        // Three tries, one repeat, four mendings, and a wait before each.
        for _ in 0..count * 2 * 8 {
            match world.next(journey) {
                Said::Refuse(..) => return Ok(()),
                Said::Wait(then) => world.now = at(then),
                Said::Try { .. } => {
                    let (kind, scope, wait, mend) = outcomes.next().unwrap();
                    let mut seen = fault(kind, scope);
                    if let Some(wait) = wait {
                        seen = seen.until(at(world.now.as_millis() + wait), Origin::Stated);
                    }
                    let remedy = if mend { Remedy::Repair } else { Remedy::Repeat };
                    world.fail(journey, seen, remedy);
                }
            }
        }
        prop_assert!(false, "it goes on and on");
    }

    #[test]
    fn the_first_request_after_a_stated_deadline_returns_to_the_first(wait in 2_i64..40_000_000) {
        let mut world = World::new(plain(3));
        let journey = world.request();
        world.next(journey);
        world.fail(journey, limited(world.now, wait), Remedy::None);
        world.abandon(journey);
        world.pass(wait - 1);
        prop_assert_eq!(world.served_by().unwrap(), "p1/k/m");
        world.pass(1);
        prop_assert_eq!(world.served_by().unwrap(), "p0/k/m");
    }

    #[test]
    fn a_declared_limit_is_never_exceeded(
        per_minute in 1_u64..6,
        per_day in 1_u64..40,
        gaps in proptest::collection::vec(prop_oneof![0_i64..4_000, 4_000_i64..4_000_000], 1..150),
    ) {
        let mut specs = plain(2);
        let pacific = DayStart::midnight(common::zone("America/Los_Angeles"));
        specs[0].limits = Limits {
            requests_per_minute: Some(per_minute),
            requests_per_day: Some(per_day),
            day: Some(pacific.clone()),
            ..Limits::default()
        };
        let mut world = World::new(specs);
        let mut sent: Vec<i64> = Vec::new();
        for gap in gaps {
            world.pass(gap);
            if world.served_by().unwrap() == "p0/k/m" {
                sent.push(world.now.as_millis());
            }
            let now = world.now.as_millis();
            let day = pacific.day_at(world.now).begins.as_millis();
            let within = |from: i64| sent.iter().filter(|then| **then > from).count() as u64;
            prop_assert!(within(now - MINUTE) <= per_minute);
            prop_assert!(within(day - 1) <= per_day);
        }
    }

    #[test]
    fn a_fault_sets_aside_its_scope_and_no_more(kind in rotating(), which in 0_usize..4) {
        let two = |name| provider(name, &["j", "k"], &["m", "n"]);
        let mut world = World::new(vec![two("p"), two("q")]);
        let journey = world.request();
        world.next(journey);
        let scope = [Scope::Deployment, Scope::Key, Scope::Model, Scope::Provider][which].clone();
        let seen = fault(kind, scope).until(world.now.after(millis(MINUTE)), Origin::Stated);
        world.fail(journey, seen, Remedy::None);
        let aside = engine::policy::rule(kind).set_aside != engine::policy::SetAside::Never;
        for (index, deployment) in world.registry.deployments().iter().enumerate() {
            let (first, key, model) = (deployment.provider == 0, deployment.key == 0, deployment.model == "m");
            let inside = first && [key && model, key, model, true][which];
            prop_assert_eq!(world.is_open(index), !(aside && inside), "{}", common::door(&world.registry, index));
        }
    }
}

#[test]
fn a_callers_mistake_goes_back_and_shuts_nothing() {
    for kind in [FaultKind::CallerMistake, FaultKind::ContentFiltered] {
        for remedy in [Remedy::None, Remedy::Repeat, Remedy::Repair] {
            let mut world = World::new(plain(2));
            let journey = world.request();
            world.next(journey);
            let seen = fault(kind, Scope::Provider).until(at(NOON + HOUR), Origin::Stated);
            assert_eq!(world.fail(journey, seen, remedy), Verdict::Return);
            assert_eq!(world.availability(0), Availability::Open);
            assert_eq!(world.served_by().unwrap(), "p0/k/m");
        }
    }
}

#[test]
fn a_doubtful_mistake_is_shown_to_one_more_provider_and_shuts_nothing() {
    let doubt = || fault(FaultKind::DoubtfulMistake, Scope::Request);
    let mut specs = plain(3);
    specs[0].keys.push("l".to_owned());
    let mut world = World::new(specs);
    let journey = world.request();
    for door in ["p0/k/m", "p0/l/m", "p1/k/m"] {
        assert_eq!(world.next_door(journey).unwrap(), door);
        let expected = if door == "p1/k/m" { Verdict::Return } else { Verdict::Rotate };
        assert_eq!(world.fail(journey, doubt(), Remedy::None), expected, "{door}");
    }
    assert_eq!(world.served_by().unwrap(), "p0/k/m");
}

#[test]
fn a_doubtful_mistake_goes_back_if_the_others_fail_otherwise() {
    let mut world = World::new(plain(2));
    let journey = world.request();
    world.next(journey);
    world.fail(journey, fault(FaultKind::DoubtfulMistake, Scope::Request), Remedy::None);
    world.next(journey);
    let unpaid = fault(FaultKind::OutOfCredit, Scope::Key);
    assert_eq!(world.fail(journey, unpaid, Remedy::None), Verdict::Rotate);
    let own = Why::RequestsOwn { attempt: 0 };
    assert_eq!(world.next(journey), Said::Refuse(own, None));
}

#[test]
fn fifty_refusals_at_once_strike_once() {
    let mut world = World::new(plain(2));
    for round in [60, 120, 240] {
        let journeys: Vec<_> =
            (0..if round == 60 { 50 } else { 1 }).map(|_| world.request()).collect();
        for &journey in &journeys {
            assert_eq!(world.next_door(journey).unwrap(), "p0/k/m");
        }
        for journey in journeys {
            let seen = fault(FaultKind::RateLimited, Scope::Deployment);
            world.fail(journey, seen, Remedy::None);
            assert_eq!(world.next_door(journey).unwrap(), "p1/k/m");
            world.succeed(journey, None);
        }
        world.pass(round * SECOND - 1);
        assert!(!world.is_open(0), "{round}");
        world.pass(1);
        assert_eq!(world.availability(0), Availability::HalfOpen);
    }
}
