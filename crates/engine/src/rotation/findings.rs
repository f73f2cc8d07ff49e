//! What an attempt that failed shows of the others: who would find the same, and whether the
//! same deployment may be asked again.

use std::time::Duration;

use super::Rotation;
use crate::registry::{Candidate, Registry};
use crate::{Fault, FaultKind, policy};

/// A deployment whose cooldown ends while the request waits is tried again: so often in any case,
/// as long as the request may wait.
const TRIES_PER_DEPLOYMENT: u128 = 3;

/// Beyond that, it is tried once for each such span that the request has waited: what bounds the
/// waits bounds the tries.
const WAIT_PER_TRY: Duration = Duration::from_millis(100);

impl Rotation {
    /// What did not fit here does not fit into a window that is known to be no larger, nor into
    /// that of the same model with another key.
    pub(super) fn spend_smaller(&mut self, registry: &Registry, tried: usize) {
        let deployment = |candidate: &Candidate| &registry.deployments()[candidate.deployment];
        let window =
            |candidate: &Candidate| registry.provider_of(deployment(candidate)).spec.limits.context;
        let house = |candidate: &Candidate| {
            let deployment = deployment(candidate);
            let model = candidate.model.as_ref().unwrap_or(&deployment.model);
            (deployment.provider, model.clone())
        };
        let (full, here) = (window(&self.chain[tried]), house(&self.chain[tried]));
        self.note_up_to(self.chain.len());
        for (candidate, progress) in self.chain.iter().zip(&mut self.progress) {
            let is_smaller = window(candidate).is_some_and(|own| Some(own) <= full);
            progress.spent |= is_smaller || house(candidate) == here;
        }
    }

    /// Whether another provider than that of `candidate` found the request doubtful too. Whatever
    /// is peculiar to one provider or key, two that have nothing in common hardly share it.
    pub(super) fn was_doubted_elsewhere(&self, registry: &Registry, candidate: usize) -> bool {
        let provider =
            |candidate: usize| registry.deployments()[self.chain[candidate].deployment].provider;
        self.tried.iter().any(|tried| {
            tried.fault.kind == FaultKind::DoubtfulMistake
                && provider(tried.candidate) != provider(candidate)
        })
    }
}

/// Whether the deployment may be tried once more for the same request when its cooldown is over:
/// a limit passes with time, a fault or a silence is not paid for twice, and the request's own
/// fault stays.
pub(super) fn may_return(fault: &Fault, tries: u32, waited: Duration) -> bool {
    let is_stated = fault.resume.is_some() && !policy::is_requests_own(fault.kind);
    let waits = policy::is_limit(fault.kind) || is_stated;
    let earned = waited.as_nanos() / WAIT_PER_TRY.as_nanos();
    waits && u128::from(tries) < TRIES_PER_DEPLOYMENT + earned
}
