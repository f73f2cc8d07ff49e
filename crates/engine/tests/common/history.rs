//! Random histories: what may happen in a world.

use std::time::Duration;

use engine::{DayStart, FaultKind, Limits, Needs, Patience, ProviderSpec, Remedy, Scope};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use super::{HOUR, SECOND, provider, zone};

pub(crate) const KINDS: [FaultKind; 20] = [
    FaultKind::RateLimited,
    FaultKind::TokensLimited,
    FaultKind::DailyLimit,
    FaultKind::OutOfCredit,
    FaultKind::NoAllowance,
    FaultKind::KeyRejected,
    FaultKind::ModelMissing,
    FaultKind::Overloaded,
    FaultKind::ServerError,
    FaultKind::Unreachable,
    FaultKind::ConnectionLost,
    FaultKind::TimedOut,
    FaultKind::NotAnAnswer,
    FaultKind::RequestTooLarge,
    FaultKind::ContextTooLong,
    FaultKind::ParameterRefused,
    FaultKind::CapabilityMissing,
    FaultKind::DoubtfulMistake,
    FaultKind::ContentFiltered,
    FaultKind::CallerMistake,
];

/// The same cases on every run, unless `PROPTEST_RNG_SEED` asks for others.
pub(crate) fn cases(cases: u32) -> Config {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        (config.rng_seed, config.cases) = (RngSeed::Fixed(7), cases);
    }
    config
}

/// How one attempt ends.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// With an answer that used so many tokens, and perhaps says how many requests are left for
    /// how many milliseconds.
    Answer(Option<u64>, Option<(u64, i64)>),
    /// With a fault that is over after so many milliseconds.
    Fault(FaultKind, Scope, Option<i64>, Remedy),
    /// The client left.
    Abandon,
}

/// What may happen.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Pass(i64),
    Begin(Needs, i64),
    /// One of the requests that hold no lease is asked for its next step.
    Next(usize),
    /// One of the leases ends.
    Settle(usize, Outcome),
    Switch(usize, bool),
    Reset(usize),
    Reload(Vec<ProviderSpec>),
}

pub(crate) fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Request),
        Just(Scope::Deployment),
        Just(Scope::Deployment),
        Just(Scope::Model),
        Just(Scope::ModelClass(":free".to_owned())),
        Just(Scope::Key),
        Just(Scope::Provider),
    ]
}

fn wait() -> impl Strategy<Value = i64> {
    prop_oneof![-5_000_i64..3_000, Just(0), 3_000_i64..100_000, Just(i64::MAX)]
}

fn remedy() -> impl Strategy<Value = Remedy> {
    prop_oneof![Just(Remedy::None), Just(Remedy::Repeat), Just(Remedy::Repair)]
}

pub(crate) fn outcome() -> impl Strategy<Value = Outcome> {
    let kind = (0..KINDS.len()).prop_map(|index| KINDS[index]);
    let fault = (kind, scope(), proptest::option::of(wait()), remedy());
    let left = proptest::option::of((0_u64..3, 1_000_i64..30_000));
    prop_oneof![
        2 => (proptest::option::of(0_u64..2_000), left).prop_map(|(used, left)| Outcome::Answer(used, left)),
        5 => fault.prop_map(|(kind, scope, wait, remedy)| Outcome::Fault(kind, scope, wait, remedy)),
        1 => Just(Outcome::Abandon),
    ]
}

/// Providers of which each keeps its own limits however often it comes and goes.
pub(crate) fn providers() -> impl Strategy<Value = Vec<ProviderSpec>> {
    let some = |all: &'static [&'static str]| proptest::sample::subsequence(all, 1..=all.len());
    let one = (some(&["j", "k"]), some(&["m", "n:free"]));
    let order = Just(vec![0_usize, 1, 2, 3]).prop_shuffle();
    (order, proptest::collection::vec(one, 0..5)).prop_map(|(order, parts)| {
        let named = order.into_iter().zip(parts);
        named
            .map(|(index, (keys, models))| {
                let mut spec = provider(["p", "q", "r", "s"][index], &keys, &models);
                spec.limits = limits_of(index);
                spec.paid = index == 3;
                spec
            })
            .collect()
    })
}

fn limits_of(index: usize) -> Limits {
    match index {
        1 => Limits { requests_per_minute: Some(3), concurrent: Some(2), ..Limits::default() },
        2 => Limits {
            requests_per_day: Some(9),
            tokens_per_minute: Some(1_500),
            context: Some(900),
            day: Some(DayStart::midnight(zone("America/Los_Angeles"))),
            ..Limits::default()
        },
        3 => Limits { tokens_per_day: Some(9_000), ..Limits::default() },
        _ => Limits::default(),
    }
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    let needs = (0_u64..1_200, any::<bool>()).prop_map(|(tokens, free_only)| Needs {
        tokens,
        free_only,
        ..Needs::default()
    });
    let pass = prop_oneof![0_i64..50, 50_i64..5_000, 5_000_i64..90_000];
    let deadline = prop_oneof![Just(4 * SECOND), Just(300 * SECOND)];
    prop_oneof![
        12 => pass.prop_map(Action::Pass),
        1 => (0_i64..12 * HOUR).prop_map(Action::Pass),
        16 => (needs, deadline).prop_map(|(needs, deadline)| Action::Begin(needs, deadline)),
        40 => any::<usize>().prop_map(Action::Next),
        40 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| Action::Settle(which, outcome)),
        1 => (0_usize..4, any::<bool>()).prop_map(|(which, off)| Action::Switch(which, off)),
        1 => (0_usize..4).prop_map(Action::Reset),
        2 => providers().prop_map(Action::Reload),
    ]
}

pub(crate) fn patience() -> impl Strategy<Value = Patience> {
    let wait_in_place = prop_oneof![Just(0_u64), Just(2_000)];
    let max_wait = prop_oneof![Just(0_u64), Just(10_000)];
    let default_cooldown = prop_oneof![Just(60_000_u64), Just(1_000), Just(0)];
    (wait_in_place, max_wait, default_cooldown).prop_map(|(in_place, max_wait, cooldown)| {
        Patience {
            wait_in_place: Duration::from_millis(in_place),
            max_wait: Duration::from_millis(max_wait),
            default_cooldown: Duration::from_millis(cooldown),
        }
    })
}
