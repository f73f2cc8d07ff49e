//! Whether one deployment may be tried now, and if not, why and until when.

use crate::abilities::Abilities;
use crate::calibration::Demand;
use crate::cell::{Gate, Shut};
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::registry::{Deployment, Registry};
use crate::usage::{Usage, UsedUp};
use crate::{FaultKind, Origin, Scope, Timestamp, policy};

/// What a request needs, as far as it decides who can serve it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// The tokens that the request may use, estimated: prompt and, if it names a maximum, answer.
    pub tokens: u64,
    /// The part of them that is the maximum for the answer.
    pub answer: u64,
    /// Whether it names no maximum for the answer, so that some providers reserve their own.
    pub is_open_ended: bool,
    /// What it asks for beyond plain text.
    pub wants: Abilities,
    /// Whether providers that cost money are forbidden.
    pub free_only: bool,
}

impl Needs {
    /// The tokens that a provider counts for the request when it begins, by estimate and as
    /// `usage` knows from experience.
    pub(crate) fn demand_at(&self, limits: &Limits, usage: &Usage) -> Demand {
        let assumed = limits.assumed_output.filter(|_| self.is_open_ended);
        let tokens = self.tokens.saturating_add(assumed.unwrap_or(0));
        let demand = usage.calibration.foresee(tokens, self.is_open_ended && assumed.is_none());
        Demand { reserved: assumed.unwrap_or(self.answer), ..demand }
    }
}

/// Why a deployment is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A fault set it, or something it belongs to, aside.
    Fault {
        /// What it was set aside for.
        kind: FaultKind,
        /// Whom that concerned.
        scope: Scope,
        /// The provider's own words.
        detail: String,
    },
    /// Its time is over and other requests are trying whether it is back.
    Probing,
    /// A person switched it off.
    Disabled,
    /// A declared or learned limit is used up.
    LimitUsedUp(UsedUp),
    /// As many requests are under way as are allowed at once.
    Busy,
    /// It costs money, and the request or the configuration forbids that.
    PaidForbidden,
    /// The request, as estimated, does not fit its context window or its tokens per minute.
    DoesNotFit,
    /// It is known not to take what the request asks for.
    Lacks(Abilities),
}

/// A deployment that is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Why.
    pub reason: Reason,
    /// The first moment at which it may be tried again; `None` when no time is known.
    pub until: Option<Timestamp>,
    /// How the moment is known.
    pub origin: Origin,
}

impl Closed {
    /// Whether it waits for a moment that is known and for the kind of fault that time heals.
    pub fn is_waiting(&self) -> bool {
        self.until.is_some()
            && match &self.reason {
                Reason::Fault { kind, .. } => {
                    policy::is_rate(*kind) || self.origin != Origin::Guessed
                }
                Reason::LimitUsedUp(_) => true,
                Reason::Probing
                | Reason::Disabled
                | Reason::Busy
                | Reason::PaidForbidden
                | Reason::DoesNotFit
                | Reason::Lacks(_) => false,
            }
    }

    /// Whether only the configuration or a person opens it again, or a long time.
    pub fn is_parked(&self) -> bool {
        match &self.reason {
            Reason::Fault { kind, .. } => {
                self.until.is_none()
                    || matches!(kind, FaultKind::ModelMissing | FaultKind::NoAllowance)
            }
            Reason::Disabled | Reason::PaidForbidden => true,
            Reason::LimitUsedUp(_) => self.until.is_none(),
            Reason::Probing | Reason::Busy | Reason::DoesNotFit | Reason::Lacks(_) => false,
        }
    }

    /// Whether somebody wants it passed over, or it could never serve this request: it is as if
    /// it were not in the chain.
    pub fn is_unwanted(&self) -> bool {
        matches!(self.reason, Reason::Disabled | Reason::PaidForbidden | Reason::Lacks(_))
    }

    /// Whether its reason may be wrong, or ends at no known time.
    pub(crate) fn is_dateless(&self) -> bool {
        matches!(self.reason, Reason::Probing | Reason::DoesNotFit)
    }

    /// Whether it was seen not to take what the request asks for, which may be wrong for this one.
    pub(crate) fn seems_to_lack(&self) -> bool {
        matches!(self.reason, Reason::Lacks(_)) && self.origin == Origin::Learned
    }

    /// Whether the provider itself said, in whatever form, when it will be open.
    pub(crate) fn is_stated(&self) -> bool {
        self.until.is_some() && !matches!(self.origin, Origin::Guessed | Origin::Person)
    }
}

/// Whether one deployment may be tried now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It may.
    Open,
    /// One request may, as a probe.
    HalfOpen,
    /// It may not.
    Closed(Closed),
}

impl Availability {
    /// Why not, if it may not.
    pub(crate) fn closed(self) -> Option<Closed> {
        match self {
            Self::Closed(closed) => Some(closed),
            Self::Open | Self::HalfOpen => None,
        }
    }
}

/// Whether `deployment` may be tried now for a request that needs `needs`.
pub fn availability(
    registry: &Registry,
    ledger: &Ledger,
    deployment: &Deployment,
    needs: &Needs,
    now: Timestamp,
) -> Availability {
    judged(registry, ledger, deployment, needs, now, Usage::used_up)
}

/// Whether `deployment` might be tried now if the ceilings that refusals told did not hold any
/// more: plans change.
pub(crate) fn beyond_ceilings(
    registry: &Registry,
    ledger: &Ledger,
    deployment: &Deployment,
    needs: &Needs,
    now: Timestamp,
) -> Availability {
    judged(registry, ledger, deployment, needs, now, Usage::surely_used_up)
}

fn judged(
    registry: &Registry,
    ledger: &Ledger,
    deployment: &Deployment,
    needs: &Needs,
    now: Timestamp,
    used_up: fn(&Usage, Demand, Timestamp) -> Option<UsedUp>,
) -> Availability {
    let provider = registry.provider_of(deployment);
    if ledger.tally(provider.slot).disabled {
        return closed(Reason::Disabled, None, Origin::Person);
    }
    if needs.free_only && provider.spec.paid {
        return closed(Reason::PaidForbidden, None, Origin::Declared);
    }
    let lacking = needs.wants.both(deployment.lacks);
    if !lacking.is_empty() {
        return closed(Reason::Lacks(lacking), None, Origin::Declared);
    }
    let lacking = needs.wants.both(ledger.lacks_of(deployment));
    if !lacking.is_empty() {
        return closed(Reason::Lacks(lacking), None, Origin::Learned);
    }
    let limits = &provider.spec.limits;
    let usages = || deployment.usages().map(|slot| ledger.usage(slot));
    let demand = needs.demand_at(limits, ledger.usage(deployment.usage));
    let gates = gates(ledger, deployment, now);
    let used_up = usages()
        .filter_map(|usage| used_up(usage, demand, now))
        .map(used_up_by)
        .reduce(|one, other| if later(other.until, one.until) { other } else { one });
    if let Some(closed) = longest(gates.shut.map(shut_by), used_up) {
        return Availability::Closed(closed);
    }
    if ledger.usage(deployment.key_usage).is_full(limits.concurrent) {
        return closed(Reason::Busy, None, Origin::Declared);
    }
    if usages().any(|usage| usage.is_claimed(now)) {
        return closed(Reason::Busy, None, Origin::Learned);
    }
    if gates.probing {
        return closed(Reason::Probing, gates.over, Origin::Guessed);
    }
    // What a provider reserves for an answer without a maximum is no part of its window.
    if limits.context.is_some_and(|context| needs.tokens > context)
        || usages().any(|usage| usage.cannot_hold(demand, now))
    {
        return closed(Reason::DoesNotFit, None, Origin::Declared);
    }
    if ledger.is_too_large(deployment, demand, now) {
        return closed(Reason::DoesNotFit, None, Origin::Learned);
    }
    if gates.half_open { Availability::HalfOpen } else { Availability::Open }
}

/// What the scopes of one deployment say together.
#[derive(Default)]
struct Gates<'a> {
    /// The one that is shut the longest.
    shut: Option<&'a Shut>,
    probing: bool,
    /// Until when the probes are waited for, if that is not until they end.
    over: Option<Timestamp>,
    half_open: bool,
}

fn gates<'a>(ledger: &'a Ledger, deployment: &Deployment, now: Timestamp) -> Gates<'a> {
    let mut gates = Gates::default();
    for slot in deployment.scopes.all() {
        match ledger.cell(slot).gate(now) {
            Gate::Open => {}
            // After a stated time one goes first too, but nobody doubts that it may.
            Gate::HalfOpen => gates.half_open |= ledger.cell(slot).was_guessed(),
            Gate::Probing(over) => {
                let is_later = !gates.probing || later(over, gates.over);
                gates.over = if is_later { over } else { gates.over };
                gates.probing = true;
            }
            Gate::Shut(shut) => {
                if gates.shut.is_none_or(|other| later(shut.until, other.until)) {
                    gates.shut = Some(shut);
                }
            }
        }
    }
    gates
}

fn shut_by(shut: &Shut) -> Closed {
    Closed {
        reason: Reason::Fault {
            kind: shut.kind,
            scope: shut.scope.clone(),
            detail: shut.detail.clone(),
        },
        until: shut.until,
        origin: shut.origin,
    }
}

fn used_up_by(used_up: UsedUp) -> Closed {
    Closed { until: used_up.until, origin: used_up.origin, reason: Reason::LimitUsedUp(used_up) }
}

/// Of a fault and a limit the later end counts: before it, neither lets a request through.
fn longest(fault: Option<Closed>, limit: Option<Closed>) -> Option<Closed> {
    match (fault, limit) {
        (Some(fault), Some(limit)) if later(limit.until, fault.until) => Some(limit),
        (fault, limit) => fault.or(limit),
    }
}

/// Whether the first end is later; no end is later than any.
fn later(end: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (end, other) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(end), Some(other)) => end > other,
    }
}

fn closed(reason: Reason, until: Option<Timestamp>, origin: Origin) -> Availability {
    Availability::Closed(Closed { reason, until, origin })
}
