use super::*;

const START: Duration = Duration::from_millis(1_795_000_012_345);
const MS: Duration = Duration::from_millis(1);

fn quotas(rpm: Option<u64>, rpd: Option<u64>, tpm: Option<u64>) -> Quotas {
    Quotas {
        requests_per_minute: rpm,
        requests_per_day: rpd,
        tokens_per_minute: tpm,
        ..Quotas::default()
    }
}

fn refused(admission: Admission) -> Refusal {
    match admission {
        Admission::Refused(refusal) => refusal,
        Admission::Admitted => panic!("admitted"),
    }
}

/// A small fixed generator, so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn a_continuous_daily_limit_gives_a_slot_every_432_seconds_at_200_a_day() {
    let mut meter = Meter::new(&quotas(None, Some(200), None), Refill::Continuous);
    for _ in 0..200 {
        assert_eq!(meter.admit(START, 1), Admission::Admitted);
    }
    let refusal = refused(meter.admit(START, 1));
    assert_eq!(refusal.wait, Some(Duration::from_secs(432)));
    assert_eq!((refusal.limit, refusal.used, refusal.requested), (200, 200, 1));
}

#[test]
fn a_recorded_token_wait_is_reproduced() {
    // Limit 12000, Used 4437, Requested 9854: try again in 11.455s.
    let mut meter = Meter::new(&quotas(None, None, Some(12_000)), Refill::Continuous);
    assert_eq!(meter.admit(START, 4_437), Admission::Admitted);
    let refusal = refused(meter.admit(START, 9_854));
    assert_eq!(refusal.wait, Some(Duration::from_millis(11_455)));
    assert_eq!(refusal.used, 4_437);
}

#[test]
fn a_fixed_day_ends_at_midnight_utc() {
    let mut meter = Meter::new(&quotas(None, Some(1), None), Refill::Fixed);
    let noon = Duration::from_hours(20_000 * 24 + 12);
    assert_eq!(meter.admit(noon, 1), Admission::Admitted);
    assert_eq!(refused(meter.admit(noon, 1)).wait, Some(Duration::from_hours(12)));
    assert_eq!(meter.standing(noon).requests_day.unwrap().full_in, Duration::from_hours(12));
    assert_eq!(meter.admit(noon + Duration::from_hours(12), 1), Admission::Admitted);
}

#[test]
fn a_stated_wait_is_exact_to_the_millisecond() {
    let mut dice = Dice(1);
    let mut waits = 0;
    for refill in [Refill::Fixed, Refill::Continuous] {
        for _ in 0..200 {
            let mut meter = Meter::new(
                &quotas(
                    Some(1 + dice.below(9)),
                    Some(1 + dice.below(20)),
                    Some(50 + dice.below(99)),
                ),
                refill,
            );
            let mut now = START;
            for _ in 0..60 {
                now += Duration::from_millis(dice.below(9_000));
                let tokens = dice.below(60);
                let Admission::Refused(Refusal { wait: Some(wait), .. }) = meter.admit(now, tokens)
                else {
                    continue;
                };
                waits += 1;
                assert!(wait >= MS);
                let early = meter.clone().admit(now + wait.saturating_sub(MS), tokens);
                assert!(matches!(early, Admission::Refused(_)), "admitted too early");
                assert_eq!(meter.clone().admit(now + wait, tokens), Admission::Admitted);
            }
        }
    }
    assert!(waits > 1_000, "{waits} waits are too few to prove anything");
}

#[test]
fn a_fixed_window_never_admits_more_than_its_limit() {
    let mut dice = Dice(2);
    for _ in 0..50 {
        let (requests, tokens) = (1 + dice.below(8), 50 + dice.below(100));
        let mut meter = Meter::new(&quotas(Some(requests), None, Some(tokens)), Refill::Fixed);
        let mut now = START;
        let (mut window, mut admitted, mut spent) = (0, 0, 0);
        for _ in 0..500 {
            now += Duration::from_millis(dice.below(5_000));
            if now.as_millis() / 60_000 != window {
                (window, admitted, spent) = (now.as_millis() / 60_000, 0, 0);
            }
            let cost = dice.below(40);
            if meter.admit(now, cost) == Admission::Admitted {
                admitted += 1;
                spent += cost;
            }
            assert!(admitted <= requests && spent <= tokens);
        }
    }
}

#[test]
fn continuous_refill_never_admits_more_than_the_limit_and_what_came_back() {
    let mut dice = Dice(3);
    for _ in 0..20 {
        let limit = 1 + dice.below(30);
        let mut meter = Meter::new(&quotas(Some(limit), None, None), Refill::Continuous);
        let mut now = START;
        let mut admitted: Vec<Duration> = Vec::new();
        for _ in 0..400 {
            now += Duration::from_millis(dice.below(2_000));
            if meter.admit(now, 1) == Admission::Admitted {
                admitted.push(now);
                for (index, since) in admitted.iter().enumerate() {
                    let span = now.saturating_sub(*since).as_millis() as u64;
                    let taken = (admitted.len() - index) as u64;
                    assert!(taken * 60_000 <= limit * 60_000 + limit * span);
                }
            }
        }
        assert!(admitted.len() as u64 > limit);
    }
}

#[test]
fn a_refused_request_takes_nothing() {
    let mut meter = Meter::new(&quotas(Some(10), None, Some(100)), Refill::Continuous);
    assert_eq!(meter.admit(START, 60), Admission::Admitted);
    let before = meter.standing(START);
    let refusal = refused(meter.admit(START, 60));
    assert_eq!(refusal.dimension, Dimension::TokensPerMinute);
    assert_eq!(meter.standing(START), before);
    assert_eq!(before.requests_minute.unwrap().remaining, 9);
    assert_eq!(
        before.tokens_minute.unwrap(),
        Gauge { limit: 100, remaining: 40, full_in: Duration::from_secs(36) }
    );
}

#[test]
fn what_is_beyond_the_limit_itself_is_never_promised() {
    let mut meter = Meter::new(&quotas(None, None, Some(8_000)), Refill::Continuous);
    let refusal = refused(meter.admit(START, 11_881));
    assert!(refusal.is_too_large());
    assert_eq!(refusal.wait, None);
    let mut none = Meter::new(&quotas(Some(0), None, None), Refill::Continuous);
    assert_eq!(refused(none.admit(START, 1)).wait, None);
    assert_eq!(none.standing(START).requests_minute.unwrap().remaining, 0);
}

#[test]
fn concurrency_frees_a_place_with_each_release() {
    let mut meter =
        Meter::new(&Quotas { concurrent: Some(2), ..Quotas::default() }, Refill::Continuous);
    assert_eq!(meter.admit(START, 1), Admission::Admitted);
    assert_eq!(meter.admit(START, 1), Admission::Admitted);
    let refusal = refused(meter.admit(START, 1));
    assert_eq!((refusal.dimension, refusal.wait), (Dimension::Concurrent, None));
    meter.release();
    assert_eq!(meter.admit(START, 1), Admission::Admitted);
}

#[test]
fn extreme_numbers_and_a_clock_that_goes_back_do_no_harm() {
    for refill in [Refill::Fixed, Refill::Continuous] {
        let mut meter = Meter::new(&quotas(Some(u64::MAX), Some(1), Some(u64::MAX)), refill);
        assert_eq!(meter.admit(START, u64::MAX), Admission::Admitted);
        assert!(refused(meter.admit(Duration::ZERO, u64::MAX)).wait.is_some());
        assert!(matches!(meter.admit(Duration::MAX, u64::MAX), Admission::Admitted));
    }
}
