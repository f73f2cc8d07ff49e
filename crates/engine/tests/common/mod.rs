//! What the tests of the rules share: a small world and a seeded die.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod history;

use std::rc::Rc;
use std::time::Duration;

use engine::{
    Availability, Budget, Ceiling, DayStart, Dimension, Fault, FaultKind, Lease, Ledger, Needs,
    Origin, Patience, ProviderSpec, Registry, RegistrySpec, Remedy, Rotation, Scope, Step,
    Timestamp, UnknownModel, Verdict, Why, Window,
};
use jiff::tz::TimeZone;

/// 2026-03-01, noon in UTC.
pub(crate) const NOON: i64 = 1_772_366_400_000;
pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) const fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.unsigned_abs())
}

pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

pub(crate) fn provider(name: &str, keys: &[&str], models: &[&str]) -> ProviderSpec {
    ProviderSpec {
        name: name.to_owned(),
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
        models: models.iter().map(|&model| model.to_owned()).collect(),
        ..ProviderSpec::default()
    }
}

/// `count` providers with one key and one model each.
pub(crate) fn plain(count: usize) -> Vec<ProviderSpec> {
    (0..count).map(|index| provider(&format!("p{index}"), &["k"], &["m"])).collect()
}

pub(crate) fn fault(kind: FaultKind, scope: Scope) -> Fault {
    Fault::new(kind, scope, "")
}

/// A rate limit of the deployment that is stated to be over in `wait` milliseconds.
pub(crate) fn limited(now: Timestamp, wait: i64) -> Fault {
    fault(FaultKind::RateLimited, Scope::Deployment).until(now.after(millis(wait)), Origin::Stated)
}

/// One request under way.
#[derive(Debug)]
pub(crate) struct Journey {
    pub(crate) rotation: Rotation,
    pub(crate) registry: Rc<Registry>,
    pub(crate) needs: Needs,
    pub(crate) lease: Option<Lease>,
    pub(crate) over: bool,
}

impl Journey {
    /// The context window that is declared for a candidate.
    pub(crate) fn window(&self, candidate: usize) -> Option<u64> {
        let deployment = self.rotation.chain()[candidate].deployment;
        let deployment = &self.registry.deployments()[deployment];
        self.registry.provider_of(deployment).spec.limits.context
    }
}

impl Journey {
    /// The provider of a candidate, and the model that it is asked for.
    pub(crate) fn house(&self, candidate: usize) -> (usize, String) {
        let candidate = &self.rotation.chain()[candidate];
        let deployment = &self.registry.deployments()[candidate.deployment];
        let model = candidate.model.clone().unwrap_or_else(|| deployment.model.clone());
        (deployment.provider, model)
    }
}

/// What the rules said to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Try { door: String, is_probe: bool, is_last: bool },
    Wait(i64),
    Refuse(Why, Option<i64>),
}

/// A registry, a ledger, a moment and the requests under way.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) registry: Rc<Registry>,
    pub(crate) ledger: Ledger,
    pub(crate) now: Timestamp,
    pub(crate) patience: Patience,
    pub(crate) journeys: Vec<Journey>,
}

impl World {
    pub(crate) fn new(providers: Vec<ProviderSpec>) -> Self {
        let mut ledger = Ledger::new(DayStart::midnight(TimeZone::UTC), at(NOON));
        let registry = Rc::new(build(providers, &mut ledger));
        Self {
            registry,
            ledger,
            now: at(NOON),
            patience: Patience::default(),
            journeys: Vec::new(),
        }
    }

    pub(crate) fn reload(&mut self, providers: Vec<ProviderSpec>) {
        self.registry = Rc::new(build(providers, &mut self.ledger));
    }

    pub(crate) fn pass(&mut self, span: i64) {
        self.now = self.now.after(millis(span));
    }

    /// Begins a request over the whole chain; returns its number.
    pub(crate) fn begin(&mut self, needs: Needs, deadline: i64) -> usize {
        let chain = self.registry.resolve(None, UnknownModel::Substitute).unwrap();
        let deadline = self.now.after(millis(deadline));
        self.journeys.push(Journey {
            rotation: Rotation::new(chain, needs, self.patience, deadline),
            registry: Rc::clone(&self.registry),
            needs,
            lease: None,
            over: false,
        });
        self.journeys.len() - 1
    }

    /// Begins a request without special needs.
    pub(crate) fn request(&mut self) -> usize {
        self.begin(Needs::default(), 300 * SECOND)
    }

    pub(crate) fn next(&mut self, journey: usize) -> Said {
        let journey = &mut self.journeys[journey];
        match journey.rotation.next(&journey.registry, &mut self.ledger, self.now) {
            Step::Try(attempt) => {
                let said = Said::Try {
                    door: door(&journey.registry, attempt.lease.deployment),
                    is_probe: attempt.lease.is_probe(),
                    is_last: attempt.is_last,
                };
                journey.lease = Some(attempt.lease);
                said
            }
            Step::WaitUntil(then) => Said::Wait(then.as_millis()),
            Step::Refuse(refusal) => {
                journey.over = true;
                let wait = refusal.retry_after.map(|wait| wait.as_millis() as i64);
                Said::Refuse(refusal.why, wait)
            }
        }
    }

    /// The door that the request tries next; moves time over waits.
    pub(crate) fn next_door(&mut self, journey: usize) -> Option<String> {
        loop {
            match self.next(journey) {
                Said::Try { door, .. } => return Some(door),
                Said::Wait(then) => {
                    assert!(then > self.now.as_millis(), "a wait leads into the future");
                    self.now = at(then);
                }
                Said::Refuse(..) => return None,
            }
        }
    }

    pub(crate) fn fail(&mut self, journey: usize, fault: Fault, remedy: Remedy) -> Verdict {
        let journey = &mut self.journeys[journey];
        let lease = journey.lease.take().unwrap();
        let verdict = journey.rotation.settle(
            &journey.registry,
            &mut self.ledger,
            lease,
            fault,
            remedy,
            self.now,
        );
        journey.over |= verdict == Verdict::Return;
        verdict
    }

    pub(crate) fn succeed(&mut self, journey: usize, tokens: Option<u64>) {
        let journey = &mut self.journeys[journey];
        let mut lease = journey.lease.take().unwrap();
        self.ledger.answer(&journey.registry, &mut lease, self.now);
        self.ledger.came_whole(&journey.registry, &lease);
        self.ledger.finish(&journey.registry, &mut lease, tokens);
        journey.over = true;
    }

    /// The provider begins to answer, and breaks off.
    pub(crate) fn break_off(&mut self, journey: usize, fault: &Fault) {
        let journey = &mut self.journeys[journey];
        let mut lease = journey.lease.take().unwrap();
        self.ledger.answer(&journey.registry, &mut lease, self.now);
        let patience = &self.patience;
        self.ledger.break_off(&journey.registry, &mut lease, fault, patience, self.now);
        self.ledger.finish(&journey.registry, &mut lease, None);
        journey.over = true;
    }

    pub(crate) fn abandon(&mut self, journey: usize) {
        let journey = &mut self.journeys[journey];
        if let Some(mut lease) = journey.lease.take() {
            self.ledger.abandon(&journey.registry, &mut lease);
        }
        journey.over = true;
    }

    /// The provider reports with a reply how many requests are left until when.
    pub(crate) fn learn(&mut self, journey: usize, remaining: u64, next_at: Timestamp) {
        let journey = &self.journeys[journey];
        let budget = Budget {
            dimension: Dimension::Requests,
            window: Window::Minute,
            limit: None,
            remaining: Some(remaining),
            next_at: Some(next_at),
            full_at: None,
        };
        let lease = journey.lease.as_ref().unwrap();
        self.ledger.learn(&journey.registry, lease, &[budget], None);
    }

    /// The provider reports budgets with a reply.
    pub(crate) fn tell(&mut self, journey: usize, budgets: &[Budget]) {
        let journey = &self.journeys[journey];
        let lease = journey.lease.as_ref().unwrap();
        self.ledger.learn(&journey.registry, lease, budgets, None);
    }

    /// A refusal tells how many requests are taken in a window.
    pub(crate) fn learn_ceiling(
        &mut self,
        journey: usize,
        ceiling: Ceiling,
        back_at: Option<Timestamp>,
    ) {
        let journey = &self.journeys[journey];
        let lease = journey.lease.as_ref().unwrap();
        self.ledger.learn_ceiling(&journey.registry, lease, ceiling, back_at, self.now);
    }

    /// One whole request that is answered at once; the door that served it.
    pub(crate) fn served_by(&mut self) -> Option<String> {
        let journey = self.request();
        let door = self.next_door(journey)?;
        self.succeed(journey, None);
        Some(door)
    }

    pub(crate) fn availability(&self, deployment: usize) -> Availability {
        let chosen = &self.registry.deployments()[deployment];
        let needs = Needs::default();
        engine::availability(&self.registry, &self.ledger, chosen, &needs, self.now)
    }

    pub(crate) fn is_open(&self, deployment: usize) -> bool {
        !matches!(self.availability(deployment), Availability::Closed(_))
    }

    /// The requests that may be asked for their next step, or that hold a lease.
    pub(crate) fn active(&self, with_lease: bool) -> Vec<usize> {
        (0..self.journeys.len())
            .filter(|&index| {
                let journey = &self.journeys[index];
                !journey.over && journey.lease.is_some() == with_lease
            })
            .collect()
    }
}

fn build(providers: Vec<ProviderSpec>, ledger: &mut Ledger) -> Registry {
    let spec = RegistrySpec { providers, chains: Vec::new() };
    Registry::build(spec, ledger)
}

pub(crate) fn door(registry: &Registry, deployment: usize) -> String {
    let deployment = &registry.deployments()[deployment];
    let spec = &registry.provider_of(deployment).spec;
    format!("{}/{}/{}", spec.name, spec.keys[deployment.key], deployment.model)
}

/// The generator `SplitMix64`: the same throws for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % end
    }
}
