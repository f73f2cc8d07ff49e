//! What a choice costs: one request from its chain to its lease and back, over chains of several
//! lengths, with the first deployment open or only the last.

use std::time::Duration;

use divan::Bencher;
use engine::{
    Attempt, DayStart, Fault, FaultKind, Ledger, Needs, Origin, Patience, ProviderSpec, Registry,
    RegistrySpec, Remedy, Rotation, Scope, Step, Timestamp, UnknownModel,
};
use jiff::tz::TimeZone;

const DEPLOYMENTS: [usize; 3] = [1, 10, 200];
const NOW: Timestamp = Timestamp::from_secs(1_772_366_400);

struct World {
    registry: Registry,
    ledger: Ledger,
}

impl World {
    fn new(deployments: usize) -> Self {
        let provider = |index| ProviderSpec {
            name: format!("provider{index}"),
            keys: vec!["key".to_owned()],
            models: vec!["model".to_owned()],
            ..ProviderSpec::default()
        };
        let providers = (0..deployments).map(provider).collect();
        let mut ledger = Ledger::new(DayStart::midnight(TimeZone::UTC), NOW);
        let spec = RegistrySpec { providers, ..RegistrySpec::default() };
        Self { registry: Registry::build(spec, &mut ledger), ledger }
    }

    fn request(&self) -> Rotation {
        let chain = self.registry.resolve(None, UnknownModel::Substitute).unwrap_or_default();
        let deadline = NOW.after(Duration::from_mins(5));
        Rotation::new(chain, Needs::default(), Patience::default(), deadline)
    }

    fn next(&mut self, request: &mut Rotation) -> Option<Attempt> {
        match request.next(&self.registry, &mut self.ledger, NOW) {
            Step::Try(attempt) => Some(attempt),
            Step::WaitUntil(_) | Step::Refuse(_) => None,
        }
    }

    /// Sets all but the last deployment aside for an hour.
    fn limit_all_but_the_last(&mut self, deployments: usize) {
        let mut request = self.request();
        let over = NOW.after(Duration::from_hours(1));
        for _ in 1..deployments {
            let Some(attempt) = self.next(&mut request) else { return };
            let fault = Fault::new(FaultKind::RateLimited, Scope::Deployment, "too many requests");
            let fault = fault.until(over, Origin::Stated);
            let ledger = &mut self.ledger;
            request.settle(&self.registry, ledger, attempt.lease, fault, Remedy::None, NOW);
        }
    }

    fn serve(&mut self) {
        let mut request = self.request();
        if let Some(mut attempt) = self.next(&mut request) {
            self.ledger.answer(&self.registry, &mut attempt.lease, NOW);
            self.ledger.finish(&self.registry, &mut attempt.lease, Some(100));
        }
    }
}

fn main() {
    divan::main();
}

#[divan::bench(args = DEPLOYMENTS)]
fn first_open(bencher: Bencher<'_, '_>, deployments: usize) {
    let mut world = World::new(deployments);
    bencher.bench_local(|| world.serve());
}

#[divan::bench(args = DEPLOYMENTS)]
fn only_the_last_open(bencher: Bencher<'_, '_>, deployments: usize) {
    let mut world = World::new(deployments);
    world.limit_all_but_the_last(deployments);
    bencher.bench_local(|| world.serve());
}
