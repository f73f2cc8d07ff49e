//! What was too large for a model, so that the like is not sent there again in vain: big requests
//! take longest to send.
//!
//! Sizes are our own estimates, and compared with estimates only: what a model really holds need
//! not be known. An estimate may be wrong, so a model that seems too small is tried last, and
//! what it takes all the same is believed.

use std::collections::HashMap;
use std::time::Duration;

use crate::calibration::Demand;
use crate::lease::Lease;
use crate::ledger::{Ledger, ScopeSlot};
use crate::registry::{Deployment, Registry};
use crate::{FaultKind, Timestamp};

/// After this time it is found out again: plans change, and estimates err by the language.
const BELIEVED: Duration = Duration::from_hours(1);

/// What seems smaller is not refused for its size, or the estimate is no measure.
const LEAST: u64 = 2_000;

/// The smallest estimates of requests that were too large, by the scope of the model.
#[derive(Debug, Default)]
pub(crate) struct Sizes(HashMap<ScopeSlot, (u64, Timestamp)>);

impl Sizes {
    /// Keeps only what `keep` says.
    pub(crate) fn retain(&mut self, keep: impl Fn(ScopeSlot) -> bool) {
        self.0.retain(|slot, _| keep(*slot));
    }

    fn too_large(&self, model: ScopeSlot, now: Timestamp) -> Option<u64> {
        let (size, told) = self.0.get(&model)?;
        (told.until(now) < BELIEVED).then_some(*size)
    }
}

impl Ledger {
    /// Whether a request of that size was too large for the deployment's model lately.
    pub(crate) fn is_too_large(
        &self,
        deployment: &Deployment,
        demand: Demand,
        now: Timestamp,
    ) -> bool {
        let too_large = self.sizes.too_large(deployment.scopes.model, now);
        too_large.is_some_and(|size| demand.estimated >= size)
    }

    /// Takes that a request failed so.
    pub(crate) fn learn_size(
        &mut self,
        registry: &Registry,
        lease: &Lease,
        kind: FaultKind,
        now: Timestamp,
    ) {
        let is_of_size = matches!(kind, FaultKind::RequestTooLarge | FaultKind::ContextTooLong);
        let estimated = lease.demand.estimated;
        if is_of_size && estimated >= LEAST && !lease.foreign_model {
            let model = registry.deployments()[lease.deployment].scopes.model;
            let size = self.sizes.too_large(model, now).map_or(estimated, |old| old.min(estimated));
            self.sizes.0.insert(model, (size, now));
        }
    }

    /// Takes that a request was answered, whatever seemed too large before.
    pub(crate) fn forget_size(&mut self, registry: &Registry, lease: &Lease) {
        let model = registry.deployments()[lease.deployment].scopes.model;
        let is_disproved = |(size, _): &(u64, Timestamp)| lease.demand.estimated >= *size;
        if self.sizes.0.get(&model).is_some_and(is_disproved) {
            self.sizes.0.remove(&model);
        }
    }
}
