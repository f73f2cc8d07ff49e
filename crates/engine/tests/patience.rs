//! Laws of waiting, and of not waiting in vain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail loudly"
)]

mod common;

use common::{HOUR, MINUTE, NOON, SECOND, Said, World, at, fault, limited, millis, plain};
use engine::{
    Abilities, Budget, Ceiling, DayStart, Dimension, Fault, FaultKind, Limits, Needs, Origin,
    Patience, Remedy, Scope, Why, Window,
};
use jiff::tz::TimeZone;

#[test]
fn what_sets_nothing_aside_is_not_tried_twice_for_one_request() {
    for (kind, scope) in [
        (FaultKind::RequestTooLarge, Scope::Deployment),
        (FaultKind::TokensLimited, Scope::Request),
        (FaultKind::RateLimited, Scope::Request),
    ] {
        let mut world = World::new(plain(2));
        let journey = world.request();
        assert_eq!(world.next_door(journey).unwrap(), "p0/k/m");
        let seen = fault(kind, scope).until(at(NOON + SECOND), Origin::Stated);
        world.fail(journey, seen, Remedy::None);
        assert_eq!(world.next_door(journey).unwrap(), "p1/k/m");
    }
}

#[test]
fn a_request_does_not_wait_in_place_for_ever() {
    let mut world = World::new(plain(2));
    world.patience = Patience { wait_in_place: millis(5 * SECOND), ..Patience::default() };
    let patient = world.request();
    for _ in 0..5 {
        let rival = world.request();
        let said = world.next(rival);
        if matches!(said, Said::Try { ref door, .. } if door == "p0/k/m") {
            world.fail(rival, limited(world.now, 2 * SECOND), Remedy::None);
        } else {
            world.abandon(rival);
        }
        match world.next(patient) {
            Said::Wait(then) => world.now = at(then),
            Said::Try { door, .. } => return assert_eq!(door, "p1/k/m"),
            Said::Refuse(why, _) => panic!("{why:?}"),
        }
    }
    panic!("it waited for more than five seconds");
}

#[test]
fn an_answer_that_broke_off_goes_on_with_whom_was_limited_only_and_not_with_whom_had_begun_it() {
    let mut world = World::new(plain(4));
    let journey = world.request();
    let broken = || fault(FaultKind::TimedOut, Scope::Deployment);
    for seen in [broken(), limited(world.now, 2 * SECOND)] {
        world.next_door(journey).unwrap();
        world.fail(journey, seen, Remedy::None);
    }
    assert_eq!(world.next_door(journey).unwrap(), "p2/k/m");
    world.succeed(journey, None);
    let deadline = at(NOON + MINUTE);
    world.journeys[journey].rotation.begin_again(|left| {
        assert_eq!(left, 2);
        deadline
    });
    assert_eq!(world.next_door(journey).unwrap(), "p3/k/m");
    world.fail(journey, fault(FaultKind::NotAnAnswer, Scope::Request), Remedy::None);
    assert_eq!(world.next(journey), Said::Wait(NOON + 2 * SECOND));
    world.now = at(NOON + 2 * SECOND);
    assert_eq!(world.next_door(journey).unwrap(), "p1/k/m");
    world.fail(journey, fault(FaultKind::NotAnAnswer, Scope::Request), Remedy::None);
    assert!(matches!(world.next(journey), Said::Refuse(..)));
    world.journeys[journey].rotation.give_again(2);
    assert_eq!(world.next_door(journey).unwrap(), "p2/k/m", "it can be asked in another way");
    world.fail(journey, fault(FaultKind::NotAnAnswer, Scope::Request), Remedy::None);
    assert!(matches!(world.next(journey), Said::Refuse(..)));
}

#[test]
fn a_limit_of_zero_is_no_wait() {
    let mut specs = plain(1);
    specs[0].limits.requests_per_minute = Some(0);
    let mut world = World::new(specs);
    let journey = world.request();
    assert_eq!(world.next(journey), Said::Refuse(Why::AllParked, None));
}

#[test]
fn a_limit_of_zero_lasts_longer_than_one_that_is_used_up() {
    let mut specs = plain(1);
    specs[0].limits.requests_per_day = Some(1);
    let mut world = World::new(specs.clone());
    world.served_by();
    specs[0].limits.requests_per_minute = Some(0);
    world.reload(specs);
    let journey = world.request();
    assert_eq!(world.next(journey), Said::Refuse(Why::AllParked, None));
}

#[test]
fn an_estimate_above_the_whole_limit_holds_nobody_back_for_ever() {
    let mut specs = plain(1);
    specs[0].limits.tokens_per_minute = Some(1_000);
    let mut world = World::new(specs);
    let needs = Needs { tokens: 5_000, ..Needs::default() };
    let journey = world.begin(needs, 300 * SECOND);
    assert_eq!(world.next_door(journey).unwrap(), "p0/k/m");
}

#[test]
fn a_wait_that_outlasts_the_request_is_not_begun() {
    let mut world = World::new(plain(1));
    let first = world.request();
    world.next(first);
    world.fail(first, limited(world.now, 4 * SECOND), Remedy::None);
    let hasty = world.begin(Needs::default(), 4 * SECOND);
    let said = world.next(hasty);
    assert_eq!(said, Said::Refuse(Why::AllCooling, Some(4 * SECOND)));
    let patient = world.begin(Needs::default(), 4 * SECOND + 1);
    assert!(matches!(world.next(patient), Said::Wait(_)));
}

#[test]
fn a_daily_limit_without_a_time_wins_over_a_stated_short_wait() {
    let mut world = World::new(plain(2));
    let (short, daily) = (world.request(), world.request());
    world.next(short);
    world.next(daily);
    world.pass(SECOND);
    world.fail(short, limited(world.now, 25 * SECOND), Remedy::None);
    let spent = fault(FaultKind::DailyLimit, Scope::Deployment);
    world.fail(daily, spent, Remedy::None);
    world.pass(HOUR - 1);
    assert_eq!(world.served_by().unwrap(), "p1/k/m");
}

#[test]
fn of_a_fault_and_a_used_up_limit_the_later_end_is_told() {
    let mut specs = plain(1);
    specs[0].limits.requests_per_day = Some(1);
    specs[0].limits.day = Some(DayStart::midnight(TimeZone::UTC));
    let mut world = World::new(specs);
    let journey = world.request();
    world.next(journey);
    world.fail(journey, limited(world.now, 5 * SECOND), Remedy::None);
    let said = world.next(journey);
    assert_eq!(said, Said::Refuse(Why::AllCooling, Some(12 * HOUR)));
}

#[test]
fn a_request_that_fits_nowhere_by_estimate_is_tried_all_the_same() {
    let mut specs = plain(2);
    specs[0].limits.tokens_per_minute = Some(8_000);
    let mut world = World::new(specs);
    let needs = Needs { tokens: 20_000, ..Needs::default() };
    let journey = world.begin(needs, 300 * SECOND);
    assert_eq!(world.next_door(journey).unwrap(), "p1/k/m", "the roomier one comes first");
    let fault = Fault::new(FaultKind::ServerError, Scope::Model, "");
    world.fail(journey, fault, Remedy::None);
    assert_eq!(world.next_door(journey).unwrap(), "p0/k/m", "an estimate may be wrong");
}

#[test]
fn what_a_deployment_lacks_is_never_asked_of_it() {
    let mut specs = plain(2);
    specs[0].lacks = vec![Abilities::IMAGES];
    specs[1].lacks = vec![Abilities::TOOLS];
    let mut world = World::new(specs);
    let needs = |wants| Needs { wants, ..Needs::default() };
    let journey = world.begin(needs(Abilities::IMAGES), 300 * SECOND);
    assert_eq!(world.next_door(journey).unwrap(), "p1/k/m");
    let both = Abilities::IMAGES | Abilities::TOOLS;
    let journey = world.begin(needs(both), 300 * SECOND);
    assert_eq!(world.next(journey), Said::Refuse(Why::Incapable(both), None));
}

#[test]
fn what_was_seen_to_be_lacking_is_passed_over_until_a_reset_or_a_reload() {
    let mut world = World::new(plain(2));
    let lacks_images = |world: &mut World| {
        let deployment = &world.registry.deployments()[0];
        world.ledger.learn_lack(deployment, Abilities::IMAGES);
    };
    let needs = Needs { wants: Abilities::IMAGES, ..Needs::default() };
    let next = |world: &mut World, needs| {
        let journey = world.begin(needs, 300 * SECOND);
        world.next_door(journey).unwrap()
    };
    lacks_images(&mut world);
    assert_eq!(next(&mut world, needs), "p1/k/m");
    assert_eq!(next(&mut world, Needs::default()), "p0/k/m", "only what asks for it goes on");
    world.ledger.reset(Some("p1"));
    assert_eq!(next(&mut world, needs), "p1/k/m", "another one's reset changes nothing");
    world.ledger.reset(Some("p0"));
    assert_eq!(next(&mut world, needs), "p0/k/m");
    lacks_images(&mut world);
    world.reload(plain(2));
    assert_eq!(next(&mut world, needs), "p0/k/m");
}

#[test]
fn who_was_seen_to_lack_something_is_tried_if_nobody_else_has_it() {
    let mut specs = plain(2);
    specs[0].lacks = vec![Abilities::IMAGES];
    let mut world = World::new(specs);
    let needs = Needs { wants: Abilities::IMAGES, ..Needs::default() };
    let deployment = &world.registry.deployments()[1];
    world.ledger.learn_lack(deployment, Abilities::IMAGES);
    let journey = world.begin(needs, 300 * SECOND);
    assert_eq!(world.next_door(journey).unwrap(), "p1/k/m", "what was learned may be wrong");
    world.fail(journey, fault(FaultKind::CapabilityMissing, Scope::Request), Remedy::None);
    let own = Why::RequestsOwn { attempt: 0 };
    assert_eq!(world.next(journey), Said::Refuse(own, None));
}

/// Two providers that need images, of which the first was seen to lack them.
fn a_seeming_lack() -> (World, Needs) {
    let mut world = World::new(plain(2));
    let deployment = &world.registry.deployments()[0];
    world.ledger.learn_lack(deployment, Abilities::IMAGES);
    (world, Needs { wants: Abilities::IMAGES, ..Needs::default() })
}

#[test]
fn who_was_seen_to_lack_something_is_tried_when_the_others_have_failed() {
    for kind in [FaultKind::ServerError, FaultKind::Unreachable, FaultKind::RateLimited] {
        let (mut world, needs) = a_seeming_lack();
        let journey = world.begin(needs, 300 * SECOND);
        assert_eq!(world.next_door(journey).unwrap(), "p1/k/m");
        world.fail(journey, fault(kind, Scope::Model), Remedy::None);
        assert_eq!(world.next_door(journey).unwrap(), "p0/k/m", "{kind:?}");
    }
}

#[test]
fn who_was_seen_to_lack_something_waits_its_time_all_the_same() {
    let (mut world, needs) = a_seeming_lack();
    let first = world.request();
    assert_eq!(world.next_door(first).unwrap(), "p0/k/m");
    world.fail(first, limited(world.now, 60 * SECOND), Remedy::None);
    let second = world.begin(needs, 300 * SECOND);
    assert_eq!(world.next_door(second).unwrap(), "p1/k/m");
    world.fail(second, limited(world.now, 90 * SECOND), Remedy::None);
    let wait = Some(90 * SECOND);
    assert_eq!(world.next(second), Said::Refuse(Why::AllCooling, wait));
}

#[test]
fn what_is_answered_is_no_lack_any_more() {
    let (mut world, needs) = a_seeming_lack();
    let first = world.begin(needs, 300 * SECOND);
    assert_eq!(world.next_door(first).unwrap(), "p1/k/m");
    world.fail(first, fault(FaultKind::ServerError, Scope::Model), Remedy::None);
    assert_eq!(world.next_door(first).unwrap(), "p0/k/m");
    world.succeed(first, None);
    let second = world.begin(needs, 300 * SECOND);
    assert_eq!(world.next_door(second).unwrap(), "p0/k/m");
}

#[test]
fn models_that_share_an_account_share_its_limits() {
    let mut specs = plain(1);
    specs[0].models = vec!["m".to_owned(), "n".to_owned()];
    specs[0].limits =
        Limits { requests_per_minute: Some(1), is_per_account: true, ..Limits::default() };
    let mut world = World::new(specs);
    let first = world.request();
    assert_eq!(world.next_door(first).unwrap(), "p0/k/m");
    world.succeed(first, None);
    let second = world.request();
    assert!(world.next_door(second).is_none(), "the other model's allowance is the same one");
}

#[test]
fn what_a_provider_reserves_counts_before_it_is_used() {
    let mut specs = plain(1);
    specs[0].limits = Limits {
        tokens_per_minute: Some(30_000),
        assumed_output: Some(16_384),
        ..Limits::default()
    };
    let mut world = World::new(specs);
    let needs = Needs { tokens: 100, is_open_ended: true, ..Needs::default() };
    let first = world.begin(needs, 300 * SECOND);
    assert!(world.next_door(first).is_some());
    let second = world.begin(needs, 300 * SECOND);
    assert!(world.next_door(second).is_none(), "two reservations do not fit into one minute");
    let modest = world.begin(Needs { tokens: 200, ..Needs::default() }, 300 * SECOND);
    assert!(world.next_door(modest).is_some());
}

#[test]
fn what_a_provider_keeps_reserved_counts_after_the_answer_unless_it_tells_what_is_left() {
    let limits = Limits {
        tokens_per_minute: Some(30_000),
        assumed_output: Some(16_384),
        ..Limits::default()
    };
    let needs = Needs { tokens: 5, is_open_ended: true, ..Needs::default() };
    for (keeps_reserved, told, taken) in
        [(false, None, 4), (true, None, 1), (true, Some(29_000), 4), (true, Some(13_000), 1)]
    {
        let mut specs = plain(2);
        specs[0].limits = Limits { keeps_reserved, ..limits.clone() };
        let mut world = World::new(specs);
        let mut served = 0;
        for _ in 0..4 {
            world.pass(1);
            let journey = world.begin(needs, SECOND);
            served += usize::from(world.next_door(journey).unwrap().starts_with("p0"));
            if let Some(left) = told {
                let full = Some(world.now.after(millis(40 * SECOND)));
                world.tell(
                    journey,
                    &[Budget {
                        dimension: Dimension::Tokens,
                        window: Window::Minute,
                        limit: Some(30_000),
                        remaining: Some(left),
                        next_at: full,
                        full_at: full,
                    }],
                );
            }
            world.succeed(journey, Some(28));
        }
        assert_eq!(served, taken, "keeps {keeps_reserved}, told {told:?}");
    }
}

#[test]
fn a_refused_request_keeps_nothing_reserved() {
    let mut specs = plain(1);
    specs[0].limits = Limits {
        tokens_per_minute: Some(30_000),
        assumed_output: Some(16_384),
        keeps_reserved: true,
        ..Limits::default()
    };
    let mut world = World::new(specs);
    let needs = Needs { tokens: 5, is_open_ended: true, ..Needs::default() };
    let first = world.begin(needs, 300 * SECOND);
    assert!(world.next_door(first).is_some());
    world.fail(first, limited(world.now, SECOND), Remedy::None);
    world.pass(SECOND);
    let second = world.begin(needs, 300 * SECOND);
    assert!(world.next_door(second).is_some());
}

#[test]
fn models_that_share_a_budget_are_passed_over_together() {
    let mut specs = plain(1);
    specs[0].models = ["a:free", "b:free", "c"].map(str::to_owned).to_vec();
    specs[0].shared_class = Some(":free".to_owned());
    let mut world = World::new(specs);
    let first = world.request();
    assert_eq!(world.next_door(first).unwrap(), "p0/k/a:free");
    let back = Some(world.now.after(millis(50 * MINUTE)));
    let spent = Budget {
        dimension: Dimension::Requests,
        window: Window::Unknown,
        limit: Some(50),
        remaining: Some(0),
        next_at: back,
        full_at: back,
    };
    world.tell(first, &[spent]);
    world.succeed(first, None);
    let second = world.request();
    assert_eq!(world.next_door(second).unwrap(), "p0/k/c");
    world.succeed(second, None);
    world.pass(50 * MINUTE);
    let third = world.request();
    assert_eq!(world.next_door(third).unwrap(), "p0/k/a:free");
}

#[test]
fn a_declared_limit_counts_once_for_models_that_share_a_budget() {
    let mut specs = plain(1);
    specs[0].models = ["a:free", "b:free", "c"].map(str::to_owned).to_vec();
    specs[0].keys = ["k", "l"].map(str::to_owned).to_vec();
    specs[0].shared_class = Some(":free".to_owned());
    specs[0].limits = Limits { requests_per_minute: Some(2), ..Limits::default() };
    let mut world = World::new(specs);
    for door in ["p0/k/a:free", "p0/k/a:free", "p0/l/a:free", "p0/l/a:free", "p0/k/c", "p0/k/c"] {
        assert_eq!(world.served_by().unwrap(), door, "both models of a key share its budget");
    }
    assert_eq!(world.served_by().unwrap(), "p0/l/c");
    world.pass(2 * MINUTE);
    assert_eq!(world.served_by().unwrap(), "p0/k/a:free");
}

#[test]
fn a_declared_limit_that_is_given_back_bit_by_bit_is_exact_for_many_at_once() {
    let minute = Limits { requests_per_minute: Some(2), ..Limits::default() };
    let day = Limits { requests_per_day: Some(2), ..Limits::default() };
    for (limits, slot) in [(minute, 30 * SECOND), (day, 12 * HOUR)] {
        let mut specs = plain(1);
        specs[0].limits = Limits { refills: true, ..limits };
        let mut world = World::new(specs);
        let taken = |world: &mut World| {
            (0..50)
                .filter(|_| {
                    let journey = world.request();
                    world.next_door(journey).is_some()
                })
                .count()
        };
        assert_eq!(taken(&mut world), 2);
        world.pass(slot - 15 * SECOND);
        assert_eq!(taken(&mut world), 0);
        world.pass(16 * SECOND);
        assert_eq!(taken(&mut world), 1);
    }
}

#[test]
fn a_context_that_is_too_long_is_said_to_be_whether_the_others_were_tried_or_not() {
    for other in [FaultKind::RateLimited, FaultKind::Overloaded] {
        let mut world = World::new(plain(2));
        for _ in 0..2 {
            let journey = world.begin(Needs::default(), 300 * SECOND);
            while let Some(door) = world.next_door(journey) {
                let fault = if door.starts_with("p0") {
                    fault(FaultKind::ContextTooLong, Scope::Request)
                } else {
                    fault(other, Scope::Deployment)
                        .until(world.now.after(millis(MINUTE)), Origin::Stated)
                };
                world.fail(journey, fault, Remedy::None);
            }
            let own = Said::Refuse(Why::RequestsOwn { attempt: 0 }, None);
            assert_eq!(world.next(journey), own);
        }
    }
}

#[test]
fn what_one_provider_does_not_take_is_not_the_requests_fault_while_another_may_take_it() {
    let mut world = World::new(plain(2));
    for _ in 0..2 {
        let journey = world.begin(Needs::default(), 300 * SECOND);
        while let Some(door) = world.next_door(journey) {
            let fault = if door.starts_with("p0") {
                fault(FaultKind::ParameterRefused, Scope::Request)
            } else {
                limited(world.now, MINUTE)
            };
            world.fail(journey, fault, Remedy::None);
        }
        assert_eq!(world.next(journey), Said::Refuse(Why::MixedFaults, None));
    }
}

#[test]
fn a_declared_second_holds_what_is_said_and_no_more() {
    let mut specs = plain(2);
    specs[0].limits = Limits { requests_per_second: Some(2), ..Limits::default() };
    let mut world = World::new(specs);
    let mut doors = Vec::new();
    for _ in 0..8 {
        doors.push(world.served_by().unwrap());
        world.pass(200);
    }
    let by_first: Vec<bool> = doors.iter().map(|door| door.starts_with("p0")).collect();
    assert_eq!(by_first, [true, true, false, false, false, false, false, true]);
}

/// One request of so many tokens; the doors that it came to, of which the first provider's says
/// that it is too large.
fn doors_of(world: &mut World, tokens: u64, kind: FaultKind) -> Vec<String> {
    let journey = world.begin(Needs { tokens, ..Needs::default() }, 300 * SECOND);
    let mut doors = Vec::new();
    while let Some(door) = world.next_door(journey) {
        doors.push(door);
        if !doors.last().unwrap().starts_with("p0") {
            world.succeed(journey, None);
            break;
        }
        world.fail(journey, fault(kind, Scope::Request), Remedy::None);
    }
    doors
}

#[test]
fn what_was_too_large_for_a_model_is_not_sent_there_again_for_an_hour() {
    for kind in [FaultKind::RequestTooLarge, FaultKind::ContextTooLong] {
        let mut world = World::new(plain(2));
        assert_eq!(doors_of(&mut world, 9_000, kind), ["p0/k/m", "p1/k/m"]);
        assert_eq!(doors_of(&mut world, 9_000, kind), ["p1/k/m"]);
        assert_eq!(doors_of(&mut world, 20_000, kind), ["p1/k/m"]);
        assert_eq!(doors_of(&mut world, 8_000, kind), ["p0/k/m", "p1/k/m"], "it may fit");
        assert_eq!(doors_of(&mut world, 8_500, kind), ["p1/k/m"]);
        world.pass(61 * MINUTE);
        assert_eq!(doors_of(&mut world, 9_000, kind), ["p0/k/m", "p1/k/m"]);
        world.ledger.reset(Some("p0"));
        assert_eq!(doors_of(&mut world, 9_000, kind), ["p0/k/m", "p1/k/m"]);
        world.reload(plain(2));
        assert_eq!(doors_of(&mut world, 9_000, kind), ["p0/k/m", "p1/k/m"]);
    }
}

#[test]
fn a_small_request_that_is_called_too_large_says_nothing_of_sizes() {
    let mut world = World::new(plain(2));
    for _ in 0..2 {
        let doors = doors_of(&mut world, 500, FaultKind::RequestTooLarge);
        assert_eq!(doors, ["p0/k/m", "p1/k/m"]);
    }
}

#[test]
fn who_seemed_too_small_is_tried_last_and_believed_if_it_answers() {
    let mut world = World::new(plain(2));
    assert_eq!(doors_of(&mut world, 9_000, FaultKind::ContextTooLong).len(), 2);
    world.ledger.set_disabled("p1", true);
    let journey = world.begin(Needs { tokens: 9_000, ..Needs::default() }, 300 * SECOND);
    assert_eq!(world.next_door(journey).unwrap(), "p0/k/m");
    world.succeed(journey, None);
    world.ledger.set_disabled("p1", false);
    let journey = world.begin(Needs { tokens: 9_000, ..Needs::default() }, 300 * SECOND);
    assert_eq!(world.next_door(journey).unwrap(), "p0/k/m");
}

/// A world of so many providers, the first of which told that it takes five in a minute.
fn ceiling_of_five(providers: usize) -> World {
    let mut world = World::new(plain(providers));
    for _ in 0..5 {
        assert_eq!(world.served_by().as_deref(), Some("p0/k/m"));
    }
    let journey = world.request();
    world.next_door(journey);
    let ceiling = Ceiling { window: Window::Minute, most: 5 };
    let back_at = world.now.after(millis(59 * SECOND));
    world.learn_ceiling(journey, ceiling, Some(back_at));
    world.fail(journey, limited(world.now, 59 * SECOND), Remedy::None);
    world.abandon(journey);
    world.pass(MINUTE + 2 * SECOND);
    for _ in 0..5 {
        assert_eq!(world.served_by().as_deref(), Some("p0/k/m"));
    }
    world
}

#[test]
fn a_learned_ceiling_is_doubted_when_nobody_else_is_left_and_forgotten_when_it_is_wrong() {
    let mut world = ceiling_of_five(1);
    let before = world.now;
    for _ in 0..50 {
        assert_eq!(world.served_by().as_deref(), Some("p0/k/m"));
        assert!(world.is_open(0), "it was answered beyond it");
    }
    assert_eq!(world.now, before, "nobody waits for it");
    // With somebody else, it is kept.
    let mut world = ceiling_of_five(2);
    for _ in 0..50 {
        assert_eq!(world.served_by().as_deref(), Some("p1/k/m"));
    }
}

#[test]
fn a_learned_ceiling_that_holds_costs_one_refusal_for_each_stated_wait() {
    let mut world = ceiling_of_five(1);
    let mut asked = 0;
    for _ in 0..50 {
        let journey = world.request();
        if world.next_door(journey).is_some() {
            asked += 1;
            world.fail(journey, limited(world.now, 50 * SECOND), Remedy::None);
        }
        assert!(world.next_door(journey).is_none());
    }
    assert_eq!(asked, 1);
    assert!(!world.is_open(0));
}

#[test]
fn who_meets_one_a_second_waits_for_it_as_long_as_max_wait_allows() {
    let mut world = World::new(plain(1));
    let mut free_at = world.now;
    let mut served = Vec::new();
    let mut turns: Vec<_> = (0..8).map(|_| world.request()).collect();
    // Every tenth of a second all are asked; replies come at once.
    for tenth in 0..100 {
        world.now = at(NOON + tenth * 100);
        turns.retain(|&journey| match world.next(journey) {
            Said::Try { .. } if world.now >= free_at => {
                free_at = world.now.after(millis(SECOND));
                world.succeed(journey, None);
                served.push(tenth);
                false
            }
            Said::Try { .. } => {
                world.fail(journey, limited(world.now, SECOND), Remedy::None);
                true
            }
            Said::Wait(_) => true,
            Said::Refuse(why, _) => panic!("{why:?} after {tenth} tenths, served: {served:?}"),
        });
    }
    assert_eq!(served.len(), 8, "{served:?}");
}

#[test]
fn a_wait_that_is_stated_again_and_again_ends_with_max_wait() {
    for wait in [1, 20, 150, 1_000] {
        let mut world = World::new(plain(1));
        let journey = world.request();
        let mut tries = 0;
        while world.next_door(journey).is_some() {
            tries += 1;
            world.fail(journey, limited(world.now, wait), Remedy::None);
        }
        let waited = world.now.as_millis() - NOON;
        assert!(waited <= 10 * SECOND && tries <= 3 + 100, "{wait}: {tries} in {waited}");
        assert!(wait <= 100 || waited > 9 * SECOND, "{wait}: {tries} in {waited}");
    }
}

#[test]
fn a_refusal_that_only_reservations_explain_makes_them_count() {
    let limits = Limits { tokens_per_minute: Some(10_000), ..Limits::default() };
    for is_explained in [true, false] {
        let mut specs = plain(2);
        specs[0].limits = limits.clone();
        let mut world = World::new(specs);
        let answer = if is_explained { 4_900 } else { 900 };
        let needs = Needs { tokens: 100 + answer, answer, ..Needs::default() };
        for _ in 0..2 {
            let journey = world.begin(needs, 300 * SECOND);
            assert_eq!(world.next_door(journey).unwrap(), "p0/k/m");
            world.succeed(journey, Some(200));
        }
        let journey = world.begin(needs, 300 * SECOND);
        assert_eq!(world.next_door(journey).unwrap(), "p0/k/m", "little was used");
        world.fail(journey, limited(world.now, SECOND), Remedy::None);
        world.pass(2 * SECOND);
        let journey = world.begin(needs, 300 * SECOND);
        let door = world.next_door(journey).unwrap();
        assert_eq!(door, if is_explained { "p1/k/m" } else { "p0/k/m" });
        world.succeed(journey, Some(200));
        world.ledger.reset(Some("p0"));
        world.pass(2 * MINUTE);
        for _ in 0..3 {
            let journey = world.begin(needs, 300 * SECOND);
            assert_eq!(world.next_door(journey).unwrap(), "p0/k/m", "forgotten");
            world.succeed(journey, Some(200));
        }
    }
}
