//! What was too large for a model, so that the like is not sent there again in vain: big requests
//! take longest to send.
//!
//! Sizes are our own estimates, and compared with estimates only: a limit that a refusal states in
//! the provider's tokens is measured by what the same refusal says of the request's, and never
//! passes for more than was refused. An estimate may be wrong, so a model that seems too small is
//! tried last, and what it takes all the same is believed.

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

/// Nor is it one if the limit that is stated is so many times as large.
const MOST_TIMES: u64 = 4;

/// What a refusal says of a request's size, in the provider's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatedSize {
    /// The most that is taken of one request.
    pub most: u64,
    /// How many the refused request was found to have, if that is told.
    pub requested: Option<u64>,
}

impl StatedSize {
    /// Whether our estimate of the refused request is of the order of what is stated.
    fn fits(self, refused: u64) -> bool {
        refused >= self.most.min(LEAST) && refused.saturating_mul(MOST_TIMES) >= self.most
    }

    /// The smallest estimate that is too large, of which `refused` is one.
    fn too_large_from(self, refused: u64) -> u64 {
        let beyond = self.most.saturating_add(1);
        let measured = self.requested.filter(|requested| *requested > self.most).map(|requested| {
            let share = u128::from(refused) * u128::from(beyond) / u128::from(requested);
            u64::try_from(share).unwrap_or(u64::MAX)
        });
        measured.unwrap_or(beyond).clamp(1, refused.max(1))
    }
}

/// What is known of the size that a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownSize {
    /// The smallest estimate of a request, in tokens, that is too large.
    pub too_large_from: u64,
    /// The most that is taken, in the provider's tokens, if a refusal stated it.
    pub stated: Option<u64>,
    told: Timestamp,
}

/// What was too large, by the scope of the model.
#[derive(Debug, Default)]
pub(crate) struct Sizes(HashMap<ScopeSlot, KnownSize>);

impl Sizes {
    /// Keeps only what `keep` says.
    pub(crate) fn retain(&mut self, keep: impl Fn(ScopeSlot) -> bool) {
        self.0.retain(|slot, _| keep(*slot));
    }

    fn known(&self, model: ScopeSlot, now: Timestamp) -> Option<KnownSize> {
        self.0.get(&model).copied().filter(|known| known.told.until(now) < BELIEVED)
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
        self.size_of(deployment, now).is_some_and(|known| demand.estimated >= known.too_large_from)
    }

    /// What refusals have shown lately of the size that the deployment's model takes.
    pub fn size_of(&self, deployment: &Deployment, now: Timestamp) -> Option<KnownSize> {
        self.sizes.known(deployment.scopes.model, now)
    }

    /// Takes the limit that a refusal of a request for its size has stated.
    pub fn learn_stated_size(
        &mut self,
        registry: &Registry,
        lease: &Lease,
        stated: StatedSize,
        now: Timestamp,
    ) {
        let refused = lease.demand.estimated;
        if stated.fits(refused) && !lease.foreign_model {
            let from = stated.too_large_from(refused);
            self.note_size(registry, lease, from, Some(stated.most), now);
        }
    }

    /// The smaller size counts, and the newest statement.
    fn note_size(
        &mut self,
        registry: &Registry,
        lease: &Lease,
        from: u64,
        stated: Option<u64>,
        now: Timestamp,
    ) {
        let model = registry.deployments()[lease.deployment].scopes.model;
        let old = self.sizes.known(model, now);
        let too_large_from = old.map_or(from, |old| old.too_large_from.min(from));
        let stated = stated.or_else(|| old.and_then(|old| old.stated));
        self.sizes.0.insert(model, KnownSize { too_large_from, stated, told: now });
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
            self.note_size(registry, lease, estimated, None, now);
        }
    }

    /// Takes that a request was answered, whatever seemed too large before.
    pub(crate) fn forget_size(&mut self, registry: &Registry, lease: &Lease) {
        let model = registry.deployments()[lease.deployment].scopes.model;
        let is_disproved = |known: &KnownSize| lease.demand.estimated >= known.too_large_from;
        if self.sizes.0.get(&model).is_some_and(is_disproved) {
            self.sizes.0.remove(&model);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(most: u64, requested: Option<u64>, refused: u64) -> u64 {
        StatedSize { most, requested }.too_large_from(refused)
    }

    #[test]
    fn a_stated_limit_is_measured_by_what_is_said_of_the_refused_request() {
        assert_eq!(from(6_000, Some(9_000), 9_000), 6_001);
        assert_eq!(from(6_000, Some(12_000), 9_000), 4_500, "three of ours are four of theirs");
        assert_eq!(from(6_000, None, 9_000), 6_001);
        assert_eq!(from(6_000, None, 4_000), 4_000, "never more than was refused");
        assert_eq!(from(6_000, Some(5_000), 4_000), 4_000, "a contradiction says nothing");
        let fits = |most, refused| StatedSize { most, requested: None }.fits(refused);
        assert!(fits(8_000, 2_000) && fits(1_000, 1_000), "a quarter of it, and a small limit");
        assert!(!fits(8_192, 10) && !fits(8_192, 1_999) && !fits(100_000, 3_000));
        assert_eq!(from(0, Some(u64::MAX), 9), 1);
        assert_eq!(from(u64::MAX, Some(u64::MAX), u64::MAX), u64::MAX);
    }
}
