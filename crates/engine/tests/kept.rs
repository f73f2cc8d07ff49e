//! What is kept and taken back is all that was known.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail loudly"
)]

mod common;
#[path = "kept/shelf.rs"]
mod shelf;

use common::history::{self, Action, Outcome};
use common::{
    Dice, HOUR, MINUTE, NOON, SECOND, Said, World, at, fault, limited, millis, plain, provider,
    zone,
};
use engine::{
    DayStart, Fault, FaultKind, Limits, Needs, Origin, Patience, ProviderSpec, Remedy, Scope,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use shelf::{Shelf, seen, start};

const DAY: i64 = 24 * HOUR;

fn utc() -> DayStart {
    DayStart::midnight(TimeZone::UTC)
}

/// The world that is there after the process was stopped and started.
fn again(world: &World, providers: &[ProviderSpec], kept: &Shelf) -> World {
    let mut twin = start(providers, utc(), kept.all(), world.now);
    twin.patience = world.patience;
    twin
}

fn act(world: &mut World, action: &Action) -> Option<Said> {
    match action {
        Action::Pass(span) => world.pass(*span),
        Action::Begin(needs, deadline) => {
            world.begin(*needs, *deadline);
        }
        Action::Next(which) => {
            let waiting = world.active(false);
            if !waiting.is_empty() {
                return Some(world.next(waiting[which % waiting.len()]));
            }
        }
        Action::Settle(which, outcome) => {
            let leased = world.active(true);
            if !leased.is_empty() {
                settle(world, leased[which % leased.len()], outcome);
            }
        }
        Action::Switch(which, off) => {
            world.ledger.set_disabled(["p", "q", "r", "s"][*which], *off);
        }
        Action::Reset(which) => {
            world.ledger.reset(Some(["p", "q", "r", "s"][*which]));
        }
        Action::Reload(providers) => world.reload(providers.clone()),
    }
    None
}

fn settle(world: &mut World, journey: usize, outcome: &Outcome) {
    match outcome {
        Outcome::Answer(tokens, left) => {
            if let Some((left, wait)) = left {
                world.learn(journey, *left, world.now.after(millis(*wait)));
            }
            world.succeed(journey, *tokens);
        }
        Outcome::Abandon => world.abandon(journey),
        Outcome::Fault(kind, scope, wait, remedy) => {
            let mut fault = Fault::new(*kind, scope.clone(), "words");
            if let Some(wait) = wait {
                let over = world.now.as_millis().saturating_add(*wait);
                fault = fault.until(at(over), Origin::Stated);
            }
            world.fail(journey, fault, *remedy);
        }
    }
}

proptest! {
    #![proptest_config(history::cases(120))]

    #[test]
    fn what_was_kept_is_all_that_is_needed(
        first in history::providers(),
        patience in history::patience(),
        actions in proptest::collection::vec(history::action(), 1..120),
        later in proptest::collection::vec(history::action(), 0..60),
        each in 1_usize..40,
    ) {
        let mut world = start(&first, utc(), Vec::new(), at(NOON));
        world.patience = patience;
        let (mut providers, mut shelf) = (first, Shelf::default());
        for (count, action) in actions.iter().enumerate() {
            act(&mut world, action);
            if let Action::Reload(specs) = action {
                providers.clone_from(specs);
            }
            if count % each == 0 {
                shelf.put(world.ledger.take_changes());
                prop_assert!(!world.ledger.is_changed());
            }
        }
        for journey in 0..world.journeys.len() {
            world.abandon(journey);
        }
        shelf.put(world.ledger.take_changes());
        let mut whole = Shelf::default();
        whole.put(world.ledger.everything());
        prop_assert_eq!(shelf.without_day(), whole.without_day());

        let mut twins = [again(&world, &providers, &shelf), again(&world, &providers, &whole)];
        world.journeys.clear();
        for action in later.iter().filter(|action| !matches!(action, Action::Reload(_))) {
            let said = act(&mut world, action);
            let shown = seen(&mut world);
            for twin in &mut twins {
                prop_assert_eq!(&act(twin, action), &said);
                prop_assert_eq!(seen(twin), shown.clone());
            }
        }
        for span in [SECOND, 30 * SECOND, MINUTE, HOUR, 13 * HOUR, DAY, 32 * DAY] {
            world.pass(span);
            let shown = seen(&mut world);
            for twin in &mut twins {
                twin.pass(span);
                prop_assert_eq!(seen(twin), shown.clone());
            }
        }
    }

    #[test]
    fn a_clock_that_went_anywhere_shuts_nothing_for_longer_than_was_meant(
        providers in history::providers(),
        actions in proptest::collection::vec(history::action(), 1..120),
        moved in prop_oneof![-40 * DAY..40 * DAY, Just(-NOON)],
    ) {
        let mut world = start(&providers, utc(), Vec::new(), at(NOON));
        let mut actions = actions;
        actions.retain(|action| !matches!(action, Action::Reload(_)));
        for action in &actions {
            act(&mut world, action);
        }
        let mut shelf = Shelf::default();
        shelf.put(world.ledger.everything());
        let now = at(world.now.as_millis().saturating_add(moved));
        let mut twin = start(&providers, utc(), shelf.all(), now);
        let latest = now.after(engine::policy::LONGEST_STATED);
        let views = engine::view(&twin.registry, &mut twin.ledger, &Needs::default(), now);
        for view in views.iter().flat_map(|view| &view.deployments) {
            if let engine::Availability::Closed(closed) = &view.availability {
                prop_assert!(closed.until.is_none_or(|until| until <= latest), "{closed:?}");
            }
            prop_assert_eq!(view.in_flight, 0);
        }
    }
}

/// A world in which the first of two providers was limited for `wait`, and what is kept of it.
fn limited_for(wait: i64) -> (World, Shelf) {
    let mut world = start(&plain(2), utc(), Vec::new(), at(NOON));
    let journey = world.request();
    world.next(journey);
    world.fail(journey, limited(world.now, wait), Remedy::None);
    world.abandon(journey);
    let mut shelf = Shelf::default();
    shelf.put(world.ledger.take_changes());
    (world, shelf)
}

#[test]
fn counts_of_a_day_end_with_it_also_when_nobody_was_there_at_midnight() {
    let (mut world, shelf) = limited_for(20 * HOUR);
    world.pass(11 * HOUR);
    let mut twin = again(&world, &plain(2), &shelf);
    assert!(seen(&mut twin).contains("requests: 1"));
    world.pass(HOUR);
    let mut twin = again(&world, &plain(2), &shelf);
    assert_eq!(twin.ledger.today(), "2026-03-02");
    assert!(!seen(&mut twin).contains("requests: 1"), "yesterday's are not today's");
    assert!(!twin.is_open(0), "the cooldown goes on");
    let mut next = shelf;
    next.put(twin.ledger.take_changes());
    assert!(!next.0.values().any(|text| text.contains("\"requests\":1,")));
}

#[test]
fn a_clock_that_was_put_back_by_a_day_prolongs_nothing() {
    let (world, shelf) = limited_for(MINUTE);
    let mut twin = start(&plain(2), utc(), shelf.all(), at(NOON - DAY));
    assert!(!twin.is_open(0));
    assert!(!seen(&mut twin).contains("requests: 1"), "counts of tomorrow");
    twin.pass(MINUTE - 1);
    assert!(!twin.is_open(0));
    twin.pass(1);
    assert!(twin.is_open(0));
    drop(world);
}

#[test]
fn a_rolling_limit_counts_also_what_a_clock_put_back_calls_tomorrow() {
    let mut specs = plain(2);
    specs[0].limits.requests_per_day = Some(2);
    let mut world = start(&specs, utc(), Vec::new(), at(NOON));
    assert_eq!([world.served_by(), world.served_by()].map(Option::unwrap), ["p0/k/m", "p0/k/m"]);
    let mut shelf = Shelf::default();
    shelf.put(world.ledger.take_changes());
    let mut twin = start(&specs, utc(), shelf.all(), at(NOON - DAY));
    assert!(!twin.is_open(0));
    twin.pass(DAY + 5 * MINUTE);
    assert!(twin.is_open(0));
}

#[test]
fn a_parked_key_that_was_removed_meanwhile_comes_back_unparked() {
    let with = |keys: &[&str]| vec![provider("p", keys, &["m"])];
    let mut world = start(&with(&["a", "b"]), utc(), Vec::new(), at(NOON));
    let journey = world.request();
    world.next(journey);
    world.fail(journey, fault(FaultKind::KeyRejected, Scope::Key), Remedy::None);
    let mut shelf = Shelf::default();
    shelf.put(world.ledger.take_changes());
    assert!(!again(&world, &with(&["a", "b"]), &shelf).is_open(0));

    let mut without = again(&world, &with(&["b"]), &shelf);
    shelf.put(without.ledger.take_changes());
    assert!(shelf.0.keys().all(|[.., key, _]| key != "a"), "{shelf:?}");
    without.reload(with(&["a", "b"]));
    assert!(without.is_open(0));
    assert!(again(&without, &with(&["a", "b"]), &shelf).is_open(0));
}

#[test]
fn what_matters_for_long_asks_to_be_saved_at_once_and_only_once() {
    let (mut world, _) = limited_for(30 * SECOND);
    assert!(!world.ledger.wants_saving_at_once(), "a short cooldown can wait");
    world.pass(MINUTE);
    let struck = |world: &mut World, fault| {
        let journey = world.request();
        world.next(journey);
        world.fail(journey, fault, Remedy::None);
        let wants = world.ledger.wants_saving_at_once();
        assert!(!world.ledger.wants_saving_at_once(), "once");
        assert!(world.ledger.is_changed());
        world.ledger.take_changes();
        wants
    };
    let long = limited(world.now, 31 * SECOND);
    assert!(struck(&mut world, long));
    assert!(struck(&mut world, fault(FaultKind::KeyRejected, Scope::Key)));
    assert!(world.ledger.set_disabled("p0", true) && world.ledger.wants_saving_at_once());
    assert!(world.ledger.reset(None) && world.ledger.wants_saving_at_once());
}

#[test]
fn what_answers_without_trouble_changes_only_counts() {
    let mut world = start(&plain(2), utc(), Vec::new(), at(NOON));
    assert!(!world.ledger.is_changed());
    for _ in 0..9 {
        world.served_by().unwrap();
    }
    let changes = world.ledger.take_changes();
    let kinds: Vec<_> = changes.iter().map(|kept| kept.identity.kind.as_str()).collect();
    assert_eq!(kinds, ["use", "use_of_key", "tally"]);
    assert!(world.ledger.take_changes().is_empty());
}

#[test]
fn a_limit_that_is_declared_no_longer_takes_its_count_along() {
    let of = |limits| {
        let mut specs = plain(1);
        specs[0].limits = limits;
        specs
    };
    let daily = || Limits { requests_per_day: Some(1), ..Limits::default() };
    let mut world = start(&of(daily()), utc(), Vec::new(), at(NOON));
    world.served_by().unwrap();
    let mut shelf = Shelf::default();
    shelf.put(world.ledger.take_changes());
    assert!(!again(&world, &of(daily()), &shelf).is_open(0));
    let calendar = Limits { day: Some(utc()), ..daily() };
    assert!(again(&world, &of(calendar), &shelf).is_open(0), "another kind of day");
    let mut none = again(&world, &of(Limits::default()), &shelf);
    shelf.put(none.ledger.take_changes());
    assert!(again(&world, &of(daily()), &shelf).is_open(0));
}

/// What of a week is the same for all zones: limits of all kinds, faults of all kinds.
fn weekly(zone: &TimeZone) -> Vec<ProviderSpec> {
    let mut specs = plain(3);
    specs[0].limits = Limits {
        requests_per_minute: Some(4),
        requests_per_day: Some(90),
        day: Some(DayStart::midnight(zone.clone())),
        ..Limits::default()
    };
    specs[1].limits =
        Limits { tokens_per_minute: Some(3_000), requests_per_day: Some(200), ..Limits::default() };
    specs
}

fn one_request(world: &mut World, dice: &mut Dice) -> Vec<Said> {
    let needs = Needs { tokens: dice.below(1_500), ..Needs::default() };
    let journey = world.begin(needs, 20 * SECOND);
    let mut said = Vec::new();
    loop {
        let next = world.next(journey);
        said.push(next.clone());
        match next {
            Said::Refuse(..) => break,
            Said::Wait(then) => world.now = at(then),
            Said::Try { .. } if dice.below(8) > 0 => {
                if dice.below(5) == 0 {
                    let wait = millis(dice.below(90_000) as i64);
                    world.learn(journey, dice.below(2), world.now.after(wait));
                }
                world.succeed(journey, Some(dice.below(2_000)));
                break;
            }
            Said::Try { .. } => {
                let kind = history::KINDS[dice.below(13) as usize];
                let mut seen = fault(kind, Scope::Deployment);
                if kind == FaultKind::KeyRejected || dice.below(2) == 0 {
                    let over = world.now.after(millis(dice.below(HOUR as u64) as i64));
                    seen = seen.until(over, Origin::Stated);
                }
                world.fail(journey, seen, Remedy::Repeat);
            }
        }
    }
    world.abandon(journey);
    world.journeys.clear();
    said
}

#[test]
fn weeks_with_restarts_are_like_weeks_without_also_when_clocks_change() {
    for (name, day) in [
        ("America/Los_Angeles", "2026-03-05T12:00:00Z"),
        ("America/Los_Angeles", "2026-10-29T12:00:00Z"),
        ("Europe/Berlin", "2026-03-26T12:00:00Z"),
        ("Europe/Berlin", "2026-10-22T12:00:00Z"),
        ("Asia/Kathmandu", "2026-03-26T12:00:00Z"),
        ("Asia/Kathmandu", "2026-10-29T12:00:00Z"),
    ] {
        let zone = zone(name);
        let local = || DayStart::midnight(zone.clone());
        let specs = weekly(&zone);
        let begin = at(day.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let mut steady = start(&specs, local(), Vec::new(), begin);
        let mut broken = start(&specs, local(), Vec::new(), begin);
        let (mut dice, mut shelf, mut restarts) = (Dice(7), Shelf::default(), 0);
        while steady.now < begin.after(millis(7 * DAY)) {
            let mut same = dice.clone();
            let said = one_request(&mut steady, &mut dice);
            assert_eq!(one_request(&mut broken, &mut same), said, "{name} at {}", steady.now);
            let longest = if dice.below(20) == 0 { HOUR } else { 10 * MINUTE };
            steady.pass(dice.below(longest as u64) as i64);
            if dice.below(6) == 0 {
                shelf.put(broken.ledger.take_changes());
                broken = start(&specs, local(), shelf.all(), steady.now);
                restarts += 1;
            }
            broken.now = steady.now;
            assert_eq!(seen(&mut broken), seen(&mut steady), "{name} at {}", steady.now);
        }
        assert!(restarts > 100, "{restarts}");
    }
}

#[test]
fn a_day_that_was_begun_by_another_zone_is_gone_on_with() {
    let (mut world, mut shelf) = limited_for(SECOND);
    world.ledger.set_local_day(DayStart::midnight(zone("Asia/Kathmandu")), world.now);
    shelf.put(world.ledger.take_changes());
    world.pass(HOUR);
    let mut twin =
        start(&plain(2), DayStart::midnight(zone("Asia/Kathmandu")), shelf.all(), world.now);
    twin.patience = Patience::default();
    for _ in 0..40 {
        assert_eq!(seen(&mut twin), seen(&mut world), "at {}", world.now);
        world.pass(HOUR);
        twin.pass(HOUR);
    }
}

#[test]
fn nonsense_that_was_kept_harms_nobody() {
    let (world, shelf) = limited_for(MINUTE);
    for number in ["18446744073709551615", "9223372036854775807", "-9223372036854775808", "0"] {
        let digits = shelf.0.iter().map(|(words, text)| {
            let mut odd = String::new();
            let mut digit = false;
            for letter in text.chars() {
                if letter.is_ascii_digit() && !digit && !odd.ends_with(['-', 'p']) {
                    odd.push_str(number);
                }
                digit = letter.is_ascii_digit();
                if !digit {
                    odd.push(letter);
                }
            }
            (words.clone(), odd)
        });
        let kept: Vec<_> = digits
            .filter_map(|(words, text)| {
                let value = serde_json::from_str(&text).ok()?;
                let identity =
                    engine::KeptIdentity::from_words(words.each_ref().map(String::as_str))?;
                Some(engine::Kept { identity, value: Some(value) })
            })
            .collect();
        let mut twin = start(&plain(2), utc(), kept, world.now);
        twin.served_by().unwrap();
        twin.pass(32 * DAY);
        assert!(twin.is_open(0));
        seen(&mut twin);
    }
}
