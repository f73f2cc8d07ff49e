//! Who is tried when nobody is open and no wait helps.

use super::Rotation;
use crate::Timestamp;
use crate::availability::{Availability, Closed, Needs, availability};
use crate::ledger::Ledger;
use crate::registry::Registry;

impl Rotation {
    /// A deployment that was passed over for a reason that may be wrong or that nobody can date:
    /// better tried than refused.
    pub(super) fn last_resort(
        &self,
        registry: &Registry,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Option<usize> {
        let is = |index, test: fn(&Closed) -> bool| {
            self.availability(index, registry, ledger, now).closed().is_some_and(|one| test(&one))
        };
        let mut left = (0..self.chain.len()).filter(|&index| !self.progress(index).spent);
        left.clone().find(|&index| is(index, Closed::is_dateless)).or_else(|| {
            left.find(|&index| {
                is(index, Closed::seems_to_lack) && self.is_ready(index, registry, ledger, now)
            })
        })
    }

    /// Whether a deployment could be tried but for what it was seen to lack.
    fn is_ready(&self, index: usize, registry: &Registry, ledger: &Ledger, now: Timestamp) -> bool {
        let deployment = &registry.deployments()[self.chain[index].deployment];
        let wants = self.needs.wants.without(ledger.lacks_of(deployment));
        let needs = Needs { wants, ..self.needs };
        !matches!(
            availability(registry, ledger, deployment, &needs, now),
            Availability::Closed(closed) if !closed.is_dateless()
        )
    }
}
