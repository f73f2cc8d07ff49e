//! The ledger as a person may see it: one view per provider and per deployment, read only.

use std::time::Duration;

use crate::abilities::Abilities;
use crate::availability::{Availability, Closed, Needs, availability};
use crate::ledger::{LastError, Ledger};
use crate::outlook::{Outlook, outlook};
use crate::registry::{Deployment, Provider, Registry};
use crate::sizes::KnownSize;
use crate::{Ceiling, Timestamp};

/// One provider at one moment.
#[derive(Debug, Clone)]
pub struct ProviderView {
    /// Its name.
    pub name: String,
    /// Lower is tried first.
    pub priority: i64,
    /// Whether a person switched it off.
    pub disabled: bool,
    /// Why it cannot be used at all now: the deployment that is back first. `None` if one is
    /// open.
    pub closed: Option<Closed>,
    /// Attempts sent in the current day.
    pub requests: u64,
    /// Tokens of the current day.
    pub tokens: u64,
    /// The part of the tokens that nobody counted, such as those of answers that were left early.
    pub estimated_tokens: u64,
    /// Answers of the current day.
    pub successes: u64,
    /// Faults since the last success.
    pub consecutive_errors: u64,
    /// The newest error.
    pub last_error: Option<LastError>,
    /// Its deployments, in the order in which they are tried.
    pub deployments: Vec<DeploymentView>,
}

/// One deployment at one moment.
#[derive(Debug, Clone)]
pub struct DeploymentView {
    /// The key's fingerprint; empty without a key.
    pub key: String,
    /// The upstream's model id.
    pub model: String,
    /// Whether it may be tried.
    pub availability: Availability,
    /// Requests under way.
    pub in_flight: u64,
    /// Attempts sent in the current day.
    pub requests: u64,
    /// Tokens of the current day.
    pub tokens: u64,
    /// The declared limits and what replies reported, and what will become of them.
    pub outlook: Vec<Outlook>,
    /// What refusals have shown of it.
    pub findings: Findings,
    /// The usual time to the first word of a stream, as far as it has shown.
    pub first_word: Option<Duration>,
}

/// What refusals have shown of a deployment, be it open or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What its model does not take.
    pub lacks: Abilities,
    /// Which size of a request was too large for its model lately.
    pub size: Option<KnownSize>,
    /// How many requests are taken in a short time.
    pub ceilings: Vec<Ceiling>,
}

/// What refusals have shown of a deployment, as far as it is believed at `now`.
pub fn findings(ledger: &Ledger, deployment: &Deployment, now: Timestamp) -> Findings {
    let known = |slot| ledger.usage(slot).known_ceilings(now).map(|(ceiling, ..)| ceiling);
    Findings {
        lacks: ledger.lacks_of(deployment),
        size: ledger.size_of(deployment, now),
        ceilings: deployment.usages().flat_map(known).collect(),
    }
}

/// All providers at `now`, in order of priority, as a request with `needs` would find them.
pub fn view(
    registry: &Registry,
    ledger: &mut Ledger,
    needs: &Needs,
    now: Timestamp,
) -> Vec<ProviderView> {
    ledger.roll_day(now);
    registry
        .providers()
        .iter()
        .map(|provider| provider_view(registry, ledger, provider, needs, now))
        .collect()
}

fn provider_view(
    registry: &Registry,
    ledger: &Ledger,
    provider: &Provider,
    needs: &Needs,
    now: Timestamp,
) -> ProviderView {
    let deployments: Vec<_> = provider
        .deployments
        .iter()
        .map(|&index| deployment_view(registry, ledger, index, needs, now))
        .collect();
    let tally = ledger.tally(provider.slot);
    ProviderView {
        name: provider.spec.name.clone(),
        priority: provider.spec.priority,
        disabled: tally.disabled,
        closed: all_closed(&deployments),
        requests: tally.requests,
        tokens: tally.tokens,
        estimated_tokens: tally.estimated_tokens,
        successes: tally.successes,
        consecutive_errors: tally.consecutive_errors,
        last_error: tally.last_error.clone(),
        deployments,
    }
}

/// The soonest of the closed deployments, if all are closed.
fn all_closed(deployments: &[DeploymentView]) -> Option<Closed> {
    let mut soonest: Option<&Closed> = None;
    for deployment in deployments {
        let Availability::Closed(closed) = &deployment.availability else {
            return None;
        };
        let sooner = match (soonest.and_then(|other| other.until), closed.until) {
            (_, None) => soonest.is_none(),
            (None, Some(_)) => true,
            (Some(other), Some(until)) => until < other,
        };
        if sooner {
            soonest = Some(closed);
        }
    }
    soonest.cloned()
}

fn deployment_view(
    registry: &Registry,
    ledger: &Ledger,
    index: usize,
    needs: &Needs,
    now: Timestamp,
) -> DeploymentView {
    let deployment = &registry.deployments()[index];
    let usage = ledger.usage(deployment.usage);
    let outlook = deployment
        .usages()
        .flat_map(|slot| outlook(ledger.usage(slot), slot != deployment.usage, now));
    let spec = &registry.provider_of(deployment).spec;
    DeploymentView {
        key: spec.keys[deployment.key].clone(),
        model: deployment.model.clone(),
        availability: availability(registry, ledger, deployment, needs, now),
        in_flight: usage.in_flight,
        requests: usage.requests_today,
        tokens: usage.tokens_today,
        outlook: outlook.collect(),
        findings: findings(ledger, deployment, now),
        first_word: usage.first_word,
    }
}
