//! Laws of what outlives a request: probes, reloads, days.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail loudly"
)]

mod common;

use common::history::{self, Action, Outcome};
use common::{HOUR, MINUTE, SECOND, Said, World, at, fault, limited, millis, plain, provider};
use engine::{Availability, FaultKind, Needs, Origin, Patience, Remedy, Scope};
use proptest::prelude::*;

fn guessed(world: &mut World) {
    let journey = world.request();
    world.next(journey);
    let seen = fault(FaultKind::RateLimited, Scope::Deployment);
    world.fail(journey, seen, Remedy::None);
    world.abandon(journey);
}

#[test]
fn one_request_probes_while_the_others_go_on_elsewhere() {
    let mut world = World::new(plain(2));
    guessed(&mut world);
    world.pass(MINUTE);
    let doors: Vec<_> = (0..50)
        .map(|_| {
            let journey = world.request();
            world.next_door(journey).unwrap()
        })
        .collect();
    assert_eq!(doors.iter().filter(|door| *door == "p0/k/m").count(), 1);
    assert_eq!(doors.iter().filter(|door| *door == "p1/k/m").count(), 49);
}

#[test]
fn a_probe_frees_its_place_however_it_ends() {
    for end in 0..4 {
        let mut world = World::new(plain(2));
        guessed(&mut world);
        world.pass(MINUTE);
        let probe = world.request();
        assert!(matches!(world.next(probe), Said::Try { is_probe: true, .. }));
        match end {
            0 => world.abandon(probe),
            1 => world.succeed(probe, None),
            2 => {
                world.fail(probe, fault(FaultKind::CallerMistake, Scope::Request), Remedy::None);
            }
            _ => {
                world.fail(probe, limited(world.now, 1), Remedy::None);
                world.pass(1);
            }
        }
        let next = world.request();
        assert_eq!(world.next_door(next).unwrap(), "p0/k/m", "{end}");
    }
}

#[test]
fn a_limit_holds_also_while_a_probe_is_under_way() {
    let mut specs = plain(1);
    specs[0].limits.requests_per_day = Some(2);
    let mut world = World::new(specs);
    guessed(&mut world);
    world.pass(MINUTE);
    let probe = world.request();
    assert!(matches!(world.next(probe), Said::Try { is_probe: true, .. }));
    let other = world.request();
    assert!(matches!(world.next(other), Said::Refuse(..)));
}

#[test]
fn a_request_that_has_only_a_probed_deployment_waits_and_then_tries_it() {
    let mut world = World::new(plain(1));
    guessed(&mut world);
    world.pass(MINUTE);
    let (probe, other) = (world.request(), world.request());
    world.next(probe);
    let end = world.now.after(Patience::default().max_wait);
    assert_eq!(world.next(other), Said::Wait(end.as_millis()));
    world.now = end;
    assert!(matches!(world.next(other), Said::Try { is_probe: false, .. }));
}

#[test]
fn a_header_that_lies_about_its_reset_disables_nobody_for_good() {
    let mut world = World::new(plain(2));
    let journey = world.request();
    world.next(journey);
    world.learn(journey, 0, at(i64::MAX));
    world.succeed(journey, Some(u64::MAX));
    assert_eq!(world.served_by().unwrap(), "p1/k/m");
    world.pass(31 * 24 * HOUR);
    assert_eq!(world.served_by().unwrap(), "p0/k/m");
}

#[test]
fn absurd_usage_overflows_nothing() {
    let mut specs = plain(1);
    specs[0].limits.tokens_per_minute = Some(u64::MAX);
    specs[0].limits.tokens_per_day = Some(u64::MAX);
    let mut world = World::new(specs);
    for _ in 0..3 {
        let journey = world.request();
        world.next_door(journey);
        world.succeed(journey, Some(u64::MAX));
        world.pass(25 * HOUR);
    }
    for _ in 0..3 {
        let needs = Needs { tokens: u64::MAX, ..Needs::default() };
        let journey = world.begin(needs, 300 * SECOND);
        world.next(journey);
        world.abandon(journey);
        world.pass(SECOND);
    }
    engine::view(&world.registry, &mut world.ledger, &engine::Needs::default(), world.now);
}

#[test]
fn a_request_is_counted_in_the_day_in_which_it_was_sent() {
    let mut specs = plain(1);
    specs[0].limits.tokens_per_day = Some(1_000);
    specs[0].limits.day = Some(engine::DayStart::midnight(jiff::tz::TimeZone::UTC));
    for seen_before_midnight in [true, false] {
        let mut world = World::new(specs.clone());
        world.pass(12 * HOUR - 1);
        let journey = world.request();
        world.next(journey);
        world.pass(2);
        if seen_before_midnight {
            world.served_by();
        }
        world.succeed(journey, Some(900));
        let seen =
            engine::view(&world.registry, &mut world.ledger, &engine::Needs::default(), world.now);
        assert_eq!(world.ledger.today(), "2026-03-02");
        let later = u64::from(seen_before_midnight);
        assert_eq!((seen[0].requests, seen[0].tokens, seen[0].successes), (later, 0, later));
        assert_eq!(seen[0].deployments[0].outlook[0].left, seen[0].deployments[0].outlook[0].limit);
    }
}

#[test]
fn a_clock_put_back_by_an_hour_counts_the_day_once() {
    let mut world = World::new(plain(1));
    world.pass(12 * HOUR + MINUTE);
    world.served_by();
    world.now = at(world.now.as_millis() - HOUR);
    world.served_by();
    world.pass(HOUR);
    world.served_by();
    let seen =
        engine::view(&world.registry, &mut world.ledger, &engine::Needs::default(), world.now);
    assert_eq!(seen[0].requests, 3);
}

#[test]
fn a_rejected_key_is_parked_until_it_changes() {
    let mut world =
        World::new(vec![provider("p", &["old"], &["m"]), provider("q", &["k"], &["m"])]);
    let journey = world.request();
    world.next(journey);
    world.fail(journey, fault(FaultKind::KeyRejected, Scope::Key), Remedy::None);
    world.pass(400 * 24 * HOUR);
    assert_eq!(world.served_by().unwrap(), "q/k/m");
    world.reload(vec![provider("p", &["new"], &["m"]), provider("q", &["k"], &["m"])]);
    assert_eq!(world.served_by().unwrap(), "p/new/m");
    world.reload(vec![provider("p", &["old"], &["m"]), provider("q", &["k"], &["m"])]);
    assert_eq!(world.served_by().unwrap(), "p/old/m");
}

proptest! {
    #![proptest_config(history::cases(200))]

    #[test]
    fn a_reload_keeps_what_stays(
        before in history::providers(),
        after in history::providers(),
        history in proptest::collection::vec(history::action(), 1..60),
    ) {
        let mut world = World::new(before);
        for action in history {
            play(&mut world, action);
        }
        let old = states(&mut world);
        world.reload(after);
        let new = states(&mut world);
        for (door, state) in &new {
            if let Some((_, kept)) = old.iter().find(|(other, _)| other == door) {
                prop_assert_eq!(kept, state, "{}", door);
            }
        }
        // The requests of the old registry end without harm.
        for journey in world.active(true) {
            world.succeed(journey, Some(5));
        }
        for (door, state) in states(&mut world) {
            prop_assert_eq!(state.1, 0, "{} is still in flight", door);
        }
    }
}

/// Plays what does not change the registry.
fn play(world: &mut World, action: Action) {
    match action {
        Action::Pass(span) => world.pass(span),
        Action::Begin(needs, deadline) => {
            world.begin(needs, deadline);
        }
        Action::Next(which) => {
            let list = world.active(false);
            if !list.is_empty() {
                world.next(list[which % list.len()]);
            }
        }
        Action::Settle(which, outcome) => {
            let list = world.active(true);
            if let (false, Outcome::Fault(kind, scope, wait, remedy)) = (list.is_empty(), outcome) {
                let mut seen = fault(kind, scope);
                if let Some(wait) = wait.filter(|wait| *wait > 0) {
                    seen = seen.until(world.now.after(millis(wait)), Origin::Stated);
                }
                world.fail(list[which % list.len()], seen, remedy);
            }
        }
        Action::Switch(..) | Action::Reset(_) | Action::Reload(_) => {}
    }
}

type State = (Availability, u64, u64);

/// What is known of each door. A fault of the model, or of the class, is told of no other key,
/// so it stays too.
fn states(world: &mut World) -> Vec<(String, State)> {
    let seen =
        engine::view(&world.registry, &mut world.ledger, &engine::Needs::default(), world.now);
    let doors = seen.into_iter().flat_map(|provider| {
        let name = provider.name;
        provider.deployments.into_iter().map(move |one| {
            let door = format!("{name}/{}/{}", one.key, one.model);
            (door, (one.availability, one.in_flight, one.requests))
        })
    });
    doors.collect()
}

#[test]
fn a_vague_refusal_parks_no_key_that_has_served() {
    let vague = || engine::Fault { is_vague: true, ..fault(FaultKind::KeyRejected, Scope::Key) };
    let mut world = World::new(vec![provider("p", &["k"], &["m"]), provider("q", &["k"], &["m"])]);
    assert_eq!(world.served_by().unwrap(), "p/k/m");
    for _ in 0..2 {
        let journey = world.request();
        world.next(journey);
        world.fail(journey, vague(), Remedy::None);
        world.abandon(journey);
        world.pass(SECOND);
    }
    world.pass(MINUTE);
    assert_eq!(world.served_by().unwrap(), "p/k/m", "it is only set aside as after a fault");

    let mut world = World::new(vec![provider("p", &["k"], &["m"]), provider("q", &["k"], &["m"])]);
    let journey = world.request();
    world.next(journey);
    world.fail(journey, vague(), Remedy::None);
    world.pass(400 * 24 * HOUR);
    assert_eq!(world.served_by().unwrap(), "q/k/m", "one that has never served is bad");
}

#[test]
fn whoever_breaks_off_each_answer_is_set_aside() {
    let lost = fault(FaultKind::ConnectionLost, Scope::Deployment);
    let mut world = World::new(plain(2));
    let break_off = |world: &mut World| {
        let journey = world.request();
        assert_eq!(world.next_door(journey).unwrap(), "p0/k/m");
        world.break_off(journey, &lost);
        world.pass(1);
    };
    break_off(&mut world);
    assert_eq!(world.served_by().unwrap(), "p0/k/m", "a single break is no habit");
    for seconds in [2, 4, 8, 15, 15] {
        if seconds == 2 {
            break_off(&mut world);
        }
        break_off(&mut world);
        assert_eq!(world.served_by().unwrap(), "p1/k/m");
        world.pass(seconds * SECOND - 2);
        assert_eq!(world.served_by().unwrap(), "p1/k/m", "{seconds}");
        world.pass(2);
    }
    assert_eq!(world.served_by().unwrap(), "p0/k/m");
    break_off(&mut world);
    assert_eq!(world.served_by().unwrap(), "p0/k/m", "a whole answer makes up for it");
}

#[test]
fn answers_that_break_off_together_count_once() {
    let lost = fault(FaultKind::ConnectionLost, Scope::Deployment);
    let mut world = World::new(plain(2));
    let journeys: Vec<_> = (0..4).map(|_| world.request()).collect();
    for journey in &journeys {
        assert_eq!(world.next_door(*journey).unwrap(), "p0/k/m");
    }
    world.pass(SECOND);
    world.break_off(journeys[0], &lost);
    world.break_off(journeys[1], &lost);
    world.pass(1);
    assert_eq!(world.served_by().unwrap(), "p0/k/m", "each had begun to answer");
}
