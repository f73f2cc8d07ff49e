//! Days of simulated traffic against providers with true limits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a test may fail loudly"
)]

mod common;
#[path = "simulated_days/crowds.rs"]
mod crowds;
#[path = "simulated_days/languages.rs"]
mod languages;
#[path = "simulated_days/upstream.rs"]
mod upstream;

use common::{Dice, HOUR, MINUTE, NOON, SECOND, Said, World, at, plain, zone};
use engine::{
    Ceiling, DayStart, Fault, FaultKind, Limits, Needs, ProviderSpec, Remedy, Scope, Window,
};
use upstream::{Limit, Span, Upstream};

const DAY: i64 = 24 * HOUR;
/// Both days on which the clocks of Los Angeles are changed in 2026, and an ordinary one.
const STARTS: [&str; 3] = ["2026-03-07T20:00:00Z", "2026-10-31T20:00:00Z", "2026-07-01T00:00:00Z"];

fn instant(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn pacific() -> Span {
    Span::Day(zone("America/Los_Angeles"))
}

/// The proxy and its upstreams, one for each provider.
struct City {
    world: World,
    upstreams: Vec<Upstream>,
    /// Whether the upstreams tell with each answer that nothing is left.
    reports: bool,
    /// How many requests in a minute the refusals of the first one say are taken.
    ceiling: Option<u64>,
    day: i64,
    /// Attempts and answers of the present UTC day, for each upstream.
    today: Vec<(u64, u64)>,
}

impl City {
    fn new(specs: Vec<ProviderSpec>, upstreams: Vec<Upstream>, start: i64) -> Self {
        assert_eq!(specs.len(), upstreams.len());
        let mut world = World::new(specs);
        world.now = at(start);
        Self {
            world,
            reports: false,
            ceiling: None,
            day: 0,
            today: vec![(0, 0); upstreams.len()],
            upstreams,
        }
    }

    /// Sends one request; the upstream that served it.
    fn request(&mut self, tokens: u64) -> Option<usize> {
        let needs = Needs { tokens, ..Needs::default() };
        let journey = self.world.begin(needs, 300 * SECOND);
        let served = loop {
            match self.world.next(journey) {
                Said::Refuse(..) => break None,
                Said::Wait(then) => {
                    assert!(at(then) > self.world.now);
                    self.world.now = at(then);
                }
                Said::Try { door, .. } => {
                    let index: usize = door[1..door.find('/').unwrap()].parse().unwrap();
                    let reply = self.upstreams[index].ask(self.world.now, tokens);
                    self.count(index, reply.is_ok());
                    match reply {
                        Ok(()) => {
                            self.report(index, journey);
                            self.world.succeed(journey, Some(tokens));
                            break Some(index);
                        }
                        Err(fault) => {
                            self.tell_ceiling(index, journey, &fault);
                            self.world.fail(journey, fault, Remedy::Repeat);
                        }
                    }
                }
            }
        };
        self.world.journeys.pop();
        self.judge();
        served
    }

    fn report(&mut self, index: usize, journey: usize) {
        let now = self.world.now.as_millis();
        if let (true, Some(until)) = (self.reports, self.upstreams[index].spent_until(now, 1)) {
            self.world.learn(journey, 0, at(until));
        }
    }

    fn tell_ceiling(&mut self, index: usize, journey: usize, fault: &Fault) {
        if let (0, Some(most)) = (index, self.ceiling) {
            let ceiling = Ceiling { window: Window::Minute, most };
            self.world.learn_ceiling(journey, ceiling, fault.known_end());
        }
    }

    fn count(&mut self, index: usize, taken: bool) {
        self.begin_day();
        self.today[index].0 += 1;
        self.today[index].1 += u64::from(taken);
    }

    fn begin_day(&mut self) {
        let day = self.world.now.as_millis().div_euclid(DAY);
        if day != self.day {
            self.day = day;
            self.today.fill((0, 0));
        }
    }

    /// What holds after every request.
    fn judge(&mut self) {
        self.begin_day();
        let world = &mut self.world;
        let views =
            engine::view(&world.registry, &mut world.ledger, &engine::Needs::default(), world.now);
        for (seen, &counted) in views.iter().zip(&self.today) {
            assert_eq!((seen.requests, seen.successes), counted, "{}", seen.name);
            assert!(seen.deployments.iter().all(|one| one.in_flight == 0));
        }
    }
}

/// Providers of which the first declares what it really allows.
fn declared(limits: Limits) -> Vec<ProviderSpec> {
    let mut specs = plain(2);
    specs[0].limits = limits;
    specs
}

#[test]
fn truthful_declared_limits_meet_no_refusal() {
    let cases = [
        (Some(6), Some(700), None, Span::ClockMinute),
        (Some(6), Some(5_000), None, Span::Bucket),
        (None, Some(900), Some(3_000), Span::ClockMinute),
        (None, None, Some(3_000), Span::Bucket),
    ];
    for (seed, (rpm, rpd, tpm, span)) in cases.into_iter().enumerate() {
        let start = instant(STARTS[seed % 3]);
        let specs = declared(Limits {
            requests_per_minute: rpm,
            requests_per_day: rpd,
            tokens_per_minute: tpm,
            day: Some(DayStart::midnight(zone("America/Los_Angeles"))),
            ..Limits::default()
        });
        let mut limits = Vec::new();
        limits.extend(rpm.map(|most| Limit::requests(most, span.clone())));
        limits.extend(rpd.map(|most| Limit::requests(most, pacific())));
        limits.extend(tpm.map(|most| Limit::tokens(most, span)));
        let upstreams = vec![Upstream::limited(limits, false), Upstream::default()];
        let mut city = City::new(specs, upstreams, start);
        let mut dice = Dice(seed as u64);
        while city.world.now < at(start + 2 * DAY) {
            let served = city.request(1 + dice.below(1_500));
            assert!(served.is_some());
            let burst = dice.below(12) > 0;
            city.world.pass(dice.below(if burst { 9_000 } else { 900_000 }) as i64);
        }
        assert_eq!(city.upstreams[0].refused(), 0, "case {seed}");
        assert!(city.upstreams[0].seen.len() > 500, "case {seed} is idle");
        assert!(!city.upstreams[1].seen.is_empty(), "case {seed} meets no limit");
    }
}

#[test]
fn a_stated_time_costs_one_refusal_a_window_and_the_first_is_back_to_the_millisecond() {
    for (seed, start) in STARTS.into_iter().map(instant).enumerate() {
        for reports in [false, true] {
            let limits =
                vec![Limit::requests(7, Span::ClockMinute), Limit::requests(900, pacific())];
            let upstreams = vec![Upstream::limited(limits, true), Upstream::default()];
            let mut city = City::new(plain(2), upstreams, start);
            city.reports = reports;
            let mut dice = Dice(seed as u64);
            while city.world.now < at(start + 3 * DAY) {
                let open = city.upstreams[0].would_take(city.world.now.as_millis(), 1);
                let served = city.request(1);
                assert_eq!(served, Some(usize::from(!open)), "at {}", city.world.now);
                city.world.pass(dice.below(30_000) as i64);
            }
            let refused = city.upstreams[0].seen.iter().filter(|(_, taken)| !taken);
            let mut minutes: Vec<_> = refused.map(|(then, _)| then / MINUTE).collect();
            let all = minutes.len();
            minutes.dedup();
            assert_eq!(minutes.len(), all, "two refusals in one window");
            assert!(!reports || all == 0, "what was reported was not believed");
            assert!(reports || all > 0);
        }
    }
}

#[test]
fn a_bucket_with_stated_slots_is_used_to_the_last_drop() {
    let limits = vec![Limit::requests(20, Span::Bucket)];
    let upstreams = vec![Upstream::limited(limits, true), Upstream::default()];
    let mut city = City::new(plain(2), upstreams, NOON);
    for _ in 0..20_000 {
        let open = city.upstreams[0].would_take(city.world.now.as_millis(), 1);
        assert_eq!(city.request(1), Some(usize::from(!open)));
        city.world.pass(500);
    }
    // One slot comes every three seconds, that is, every sixth request.
    assert!(city.upstreams[0].refused() <= 20_000 / 6 + 1);
}

#[test]
fn the_daily_limit_ends_at_midnight_on_the_days_of_25_and_23_hours() {
    for (start, midnight) in [
        ("2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
        ("2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
    ] {
        let specs = declared(Limits {
            requests_per_day: Some(3),
            day: Some(DayStart::midnight(zone("America/Los_Angeles"))),
            ..Limits::default()
        });
        let limits = vec![Limit::requests(3, pacific())];
        let upstreams = vec![Upstream::limited(limits, false), Upstream::default()];
        let mut city = City::new(specs, upstreams, instant(start));
        for expected in [0, 0, 0, 1] {
            assert_eq!(city.request(1), Some(expected));
        }
        city.world.now = at(instant(midnight) - 1);
        assert_eq!(city.request(1), Some(1));
        city.world.pass(1);
        assert_eq!(city.request(1), Some(0));
    }
}

#[test]
fn a_minute_of_outage_costs_the_users_nothing_and_the_primary_few_attempts() {
    for kind in [
        FaultKind::ServerError,
        FaultKind::Overloaded,
        FaultKind::ConnectionLost,
        FaultKind::Unreachable,
        FaultKind::TimedOut,
        FaultKind::NotAnAnswer,
    ] {
        let (from, to) = (NOON + 10 * SECOND, NOON + 70 * SECOND);
        let primary = Upstream { outages: vec![(from, to, kind)], ..Upstream::default() };
        let mut city = City::new(plain(2), vec![primary, Upstream::default()], NOON);
        for second in 0..100 {
            let served = city.request(1);
            let down = (10..70).contains(&second);
            // Probes come after 2, 4, 8, 15, 15, ... seconds.
            assert!(served == Some(0) || down || second < 86, "{kind:?} at {second}");
            assert!(served.is_some());
            city.world.pass(SECOND);
        }
        // One, once more in place, and the probes after 2, 6, 14, 29, 44 and 59 seconds.
        assert!(city.upstreams[0].refused() <= 8, "{kind:?}");
    }
}

#[test]
fn an_unstated_daily_limit_is_asked_for_a_few_times_a_day() {
    let limits = vec![Limit::requests(50, pacific())];
    let upstreams = vec![Upstream::limited(limits, false), Upstream::default()];
    let mut city = City::new(plain(2), upstreams, instant("2026-05-04T07:00:00Z"));
    for _ in 0..5 * 24 * 60 {
        assert!(city.request(1).is_some());
        city.world.pass(MINUTE);
    }
    // After 1, 3, 7, 13 and 19 hours, beside the first refusal.
    assert!(city.upstreams[0].refused() <= 5 * 6);
    assert!(city.upstreams[0].seen.len() >= 5 * 50);
}

#[test]
fn what_never_works_is_asked_once_or_once_a_day() {
    for (kind, scope, most) in [
        (FaultKind::KeyRejected, Scope::Key, 1),
        (FaultKind::ModelMissing, Scope::Model, 7),
        (FaultKind::NoAllowance, Scope::Deployment, 7),
    ] {
        let never = Upstream { always: Some((kind, scope)), ..Upstream::default() };
        let mut city = City::new(plain(2), vec![never, Upstream::default()], NOON);
        for _ in 0..7 * 24 * 6 {
            assert_eq!(city.request(1), Some(1));
            city.world.pass(10 * MINUTE);
        }
        assert!(city.upstreams[0].refused() <= most, "{kind:?}");
    }
}

#[test]
fn a_ceiling_that_a_refusal_told_is_met_once_an_hour() {
    for (seed, span) in [Span::ClockMinute, Span::Bucket, Span::LastMinute].into_iter().enumerate()
    {
        for most in [2, 15] {
            let start = instant(STARTS[seed]);
            let limits = vec![Limit::requests(most, span.clone())];
            let upstreams = vec![Upstream::limited(limits, true), Upstream::default()];
            let mut city = City::new(plain(2), upstreams, start);
            city.ceiling = Some(most);
            let mut dice = Dice(seed as u64 + most);
            while city.world.now < at(start + 2 * DAY) {
                assert!(city.request(1).is_some());
                let busy = dice.below(300) > 0;
                city.world.pass(dice.below(if busy { 60_000 / most } else { 900_000 }) as i64);
            }
            let seen = city.upstreams[0].seen.len();
            let refused = city.upstreams[0].refused();
            let away = city.upstreams[1].seen.len();
            println!("{most} in a minute, {span:?}: {refused} of {seen} refused, {away} elsewhere");
            assert!(seen > 2_000, "idle");
            assert!(refused <= 2 * 24 + 2, "{most} in a minute, {span:?}: {refused} of {seen}");
            // Half of what is asked for is more than it takes.
            assert!(seen * 4 > away, "{most} in a minute, {span:?}: hardly used, {seen} of {away}");
        }
    }
}

#[test]
fn an_idle_day_asks_nobody() {
    let mut city = City::new(plain(1), vec![Upstream::default()], NOON);
    city.request(1);
    for _ in 0..24 {
        city.world.pass(HOUR);
        engine::view(
            &city.world.registry,
            &mut city.world.ledger,
            &engine::Needs::default(),
            city.world.now,
        );
    }
    assert_eq!(city.upstreams[0].seen.len(), 1);
}

#[test]
fn a_week_of_all_troubles_serves_every_request() {
    const DOWN: [FaultKind; 4] = [
        FaultKind::ServerError,
        FaultKind::Unreachable,
        FaultKind::NotAnAnswer,
        FaultKind::Overloaded,
    ];
    for (seed, start) in STARTS.into_iter().map(instant).enumerate() {
        let mut dice = Dice(seed as u64 + 99);
        let mut upstreams: Vec<_> = (0..4)
            .map(|index| {
                let limits = vec![
                    Limit::requests(4 + index, Span::ClockMinute),
                    Limit::tokens(9_000, Span::Bucket),
                    Limit::requests(300 << index, pacific()),
                ];
                let mut upstream = Upstream::limited(limits, index % 2 == 0);
                for _ in 0..12 {
                    let from = start + dice.below(7 * DAY as u64) as i64;
                    let to = from + dice.below(2 * HOUR as u64) as i64;
                    let kind = DOWN[dice.below(4) as usize];
                    upstream.outages.push((from, to, kind));
                }
                upstream
            })
            .collect();
        upstreams[1].always = Some((FaultKind::KeyRejected, Scope::Key));
        upstreams.push(Upstream::default());
        let mut city = City::new(plain(5), upstreams, start);
        let mut served = [0_u32; 5];
        while city.world.now < at(start + 7 * DAY) {
            let tokens = 1 + dice.below(2_000);
            served[city.request(tokens).expect("every request is served")] += 1;
            city.world.pass(dice.below(4 * MINUTE as u64) as i64);
        }
        assert_eq!(city.upstreams[1].seen.len(), 1);
        assert!(served[0] > 1_000, "the first is hardly used: {served:?}");
    }
}
