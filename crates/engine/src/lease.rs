//! The right to use a deployment once, and what its end does to the ledger.

use std::sync::Arc;
use std::time::Duration;

use crate::calibration::Demand;
use crate::cell::Gate;
use crate::ledger::Ledger;
use crate::ledger::ScopeSlot;
use crate::policy::SetAside;
use crate::registry::{Deployment, Patience, Registry};
use crate::usage::{Spent, Told};
use crate::{Abilities, Budget, Ceiling, Fault, FaultKind, Scope, Timestamp};

/// No answer uses more tokens than this; a reply that reports more is not believed, so that it
/// cannot spend the budget of a whole day.
const MOST_TOKENS: u64 = 10_000_000;

/// The right to use a deployment once. It must end in exactly one of [`Ledger::fail`],
/// [`Ledger::finish`] and [`Ledger::abandon`].
#[derive(Debug, Clone)]
pub struct Lease {
    /// Index into the registry's deployments.
    pub deployment: usize,
    /// Index into the chain of the request.
    pub candidate: usize,
    /// When it was taken.
    pub started: Timestamp,
    /// Its number among all of the ledger, in the order in which they were taken.
    number: u64,
    /// Whether the model asked for is not one that the configuration lists.
    pub foreign_model: bool,
    /// Whether it probes a scope whose guessed time is over.
    pub(crate) is_doubtful: bool,
    /// Whether it is more than a learned ceiling allows.
    exceeds_ceiling: bool,
    pub(crate) demand: Demand,
    /// What it asks for although the model was seen to lack it.
    pub(crate) defied: Abilities,
    probed: [Option<ScopeSlot>; 5],
}

impl Lease {
    /// Whether others wait for what comes of this request: it tries a scope whose time is over.
    pub fn is_probe(&self) -> bool {
        self.probed.iter().any(Option::is_some)
    }
}

impl Spent {
    /// What an answer that used so many tokens costs.
    fn answered(registry: &Registry, lease: &Lease, used: u64) -> Self {
        let deployment = &registry.deployments()[lease.deployment];
        let keeps = registry.provider_of(deployment).spec.limits.keeps_reserved;
        let Demand { foreseen, reserved, .. } = lease.demand;
        // How much of `used` is the prompt nobody said: at most all of it.
        let as_reserved = used.saturating_add(reserved).min(foreseen).max(used);
        Self { used, charged: if keeps { as_reserved } else { used }, as_reserved }
    }
}

impl Ledger {
    /// Takes a lease: counts the request as sent and claims the probes of half-open scopes.
    pub(crate) fn take(
        &mut self,
        registry: &Registry,
        candidate: usize,
        deployment: usize,
        foreign_model: bool,
        demand: Demand,
        now: Timestamp,
    ) -> Lease {
        self.roll_day(now);
        let chosen = &registry.deployments()[deployment];
        let mut probed = [None; 5];
        let mut is_doubtful = false;
        for (claim, slot) in probed.iter_mut().zip(chosen.scopes.all()) {
            if self.cell(slot).gate(now) == Gate::HalfOpen {
                is_doubtful |= self.cell(slot).was_guessed();
                self.cell_mut(slot).start_probe(now);
                *claim = Some(slot);
            }
        }
        let exceeds_ceiling = chosen.usages().any(|slot| self.usage(slot).is_at_ceiling(now));
        for slot in chosen.usages() {
            self.usage_mut(slot).take(demand, now);
        }
        let tally = self.tally_mut(registry.provider_of(chosen).slot);
        tally.requests = tally.requests.saturating_add(1);
        let number = self.leases_taken;
        self.leases_taken += 1;
        Lease {
            deployment,
            candidate,
            started: now,
            number,
            foreign_model,
            is_doubtful,
            exceeds_ceiling,
            demand,
            defied: Abilities::default(),
            probed,
        }
    }

    /// The provider has begun to answer: its faults are forgiven, its probe is over.
    pub fn answer(&mut self, registry: &Registry, lease: &mut Lease, now: Timestamp) {
        self.end_probes(lease);
        self.forget_size(registry, lease);
        let deployment = &registry.deployments()[lease.deployment];
        self.forget_lack(deployment, lease.defied);
        self.forgive(deployment, lease.started, now);
        for slot in deployment.usages().filter(|_| lease.exceeds_ceiling) {
            self.usage_mut(slot).disprove_ceilings(lease.started);
        }
        self.usage_mut(deployment.key_usage).has_served = true;
        let today = self.is_today(lease.started);
        let tally = self.tally_mut(registry.provider_of(deployment).slot);
        tally.consecutive_errors = 0;
        tally.successes = tally.successes.saturating_add(u64::from(today));
    }

    /// An answer has come whole.
    pub fn came_whole(&mut self, registry: &Registry, lease: &Lease) {
        let slot = registry.deployments()[lease.deployment].usage;
        self.usage_mut(slot).breaks = 0;
    }

    /// An answer broke off. Its beginning has forgiven the fault of the one before, so that those
    /// that follow one another are counted apart; what broke off together counts once.
    pub fn break_off(
        &mut self,
        registry: &Registry,
        lease: &mut Lease,
        fault: &Fault,
        patience: &Patience,
        now: Timestamp,
    ) {
        let deployment = &registry.deployments()[lease.deployment];
        let usage = self.usage_mut(deployment.usage);
        if usage.broke_at.is_none_or(|at| at < lease.started) {
            usage.breaks = usage.breaks.saturating_add(1);
            usage.broke_at = Some(now);
        }
        let before = usage.breaks.saturating_sub(1);
        let slot = deployment.scopes.of(&narrowed(fault));
        if let (SetAside::Breaker { after }, Some(slot)) =
            (crate::policy::rule(fault.kind).set_aside, slot.filter(|_| before > 0))
        {
            self.cell_mut(slot).recall(before, after);
        }
        self.strike(registry, lease, fault, patience, now);
    }

    /// The first word of a stream has come: how long the deployment thinks is remembered.
    pub fn first_word(&mut self, registry: &Registry, lease: &Lease, now: Timestamp) {
        let slot = registry.deployments()[lease.deployment].usage;
        self.usage_mut(slot).note_first_word(lease.started.until(now));
    }

    /// How long a deployment usually thinks before its first word, as far as it has shown.
    pub fn usual_first_word(&self, deployment: &Deployment) -> Option<Duration> {
        self.usage(deployment.usage).first_word
    }

    /// The answer is over; `tokens` is what it used, if that is known.
    pub fn finish(&mut self, registry: &Registry, lease: &mut Lease, tokens: Option<u64>) {
        let tokens = tokens.map(|tokens| tokens.min(MOST_TOKENS));
        if let Some(used) = tokens {
            let deployment = &registry.deployments()[lease.deployment];
            self.usage_mut(deployment.usage).calibration.learn(lease.demand, used);
        }
        self.end(registry, lease, tokens.map(|used| Spent::answered(registry, lease, used)));
    }

    fn end(&mut self, registry: &Registry, lease: &mut Lease, spent: Option<Spent>) {
        self.end_probes(lease);
        let deployment = &registry.deployments()[lease.deployment];
        let today = self.is_today(lease.started);
        let used = spent.map_or(0, |spent| spent.used);
        for slot in deployment.usages() {
            let usage = self.usage_mut(slot);
            usage.release(lease.demand, lease.number);
            if let Some(spent) = spent {
                usage.correct(lease.demand, spent, lease.started);
            }
        }
        if today {
            let usage = self.usage_mut(deployment.usage);
            usage.tokens_today = usage.tokens_today.saturating_add(used);
            let tally = self.tally_mut(registry.provider_of(deployment).slot);
            tally.tokens = tally.tokens.saturating_add(used);
        }
    }

    /// The answer is over and nobody counted its tokens, such as when the client left early.
    pub fn finish_estimated(&mut self, registry: &Registry, lease: &mut Lease, tokens: u64) {
        let tokens = tokens.min(MOST_TOKENS);
        self.end(registry, lease, Some(Spent::answered(registry, lease, tokens)));
        if self.is_today(lease.started) {
            let deployment = &registry.deployments()[lease.deployment];
            let tally = self.tally_mut(registry.provider_of(deployment).slot);
            tally.estimated_tokens = tally.estimated_tokens.saturating_add(tokens);
        }
    }

    /// The attempt failed. Sets aside what the fault concerns.
    pub fn fail(
        &mut self,
        registry: &Registry,
        lease: &mut Lease,
        fault: &Fault,
        patience: &Patience,
        now: Timestamp,
    ) {
        self.strike(registry, lease, fault, patience, now);
        self.learn_size(registry, lease, fault.kind, now);
        if crate::policy::is_limit(fault.kind) {
            for slot in registry.deployments()[lease.deployment].usages() {
                self.usage_mut(slot).refused(lease.started);
                if crate::policy::is_rate(fault.kind) {
                    self.usage_mut(slot).notice_reserved(now);
                }
            }
        }
        self.end(registry, lease, Some(Spent::default()));
    }

    /// A fault of an attempt whose lease goes on, such as one that is repeated in place.
    fn strike(
        &mut self,
        registry: &Registry,
        lease: &mut Lease,
        fault: &Fault,
        patience: &Patience,
        now: Timestamp,
    ) {
        self.end_probes(lease);
        let deployment = &registry.deployments()[lease.deployment];
        let of_what_was_asked = self.of_what_was_asked(deployment, fault);
        let is_of_the_model =
            matches!(fault.kind, FaultKind::ModelMissing | FaultKind::NoAllowance)
                || of_what_was_asked.is_some();
        let foreign = lease.foreign_model && is_of_the_model;
        let fault = of_what_was_asked.as_ref().unwrap_or(fault);
        let scope = if foreign { None } else { deployment.scopes.of(&narrowed(fault)) };
        let Some(slot) = scope else {
            self.forgive(deployment, lease.started, now);
            return;
        };
        let cell = self.cell_mut(slot);
        let was_shut = matches!(cell.gate(now), Gate::Shut(_));
        cell.strike(fault, lease.started, now, patience.default_cooldown);
        let begins = !was_shut && matches!(cell.gate(now), Gate::Shut(_));
        self.is_urgent |= cell.was_shut_for_long(now);
        self.cooldowns_begun += u64::from(begins);
        let tally = self.tally_mut(registry.provider_of(deployment).slot);
        tally.consecutive_errors = tally.consecutive_errors.saturating_add(1);
        tally.last_error = Some(crate::ledger::LastError {
            at: now,
            text: format!("{}: {}", fault.kind.as_str(), fault.detail),
        });
    }

    /// What a vague fault is if the key has served before: not the key's, but of what it was asked
    /// for, and for nobody knows how long.
    fn of_what_was_asked(&self, deployment: &Deployment, fault: &Fault) -> Option<Fault> {
        let is_good = fault.is_vague && self.usage(deployment.key_usage).has_served;
        is_good.then(|| {
            let detail = fault.detail.clone();
            Fault::new(FaultKind::ServerError, Scope::Deployment, detail)
        })
    }

    /// Forgives the scopes of a deployment that is seen to be at work, be it by an answer or by a
    /// refusal of the request itself.
    fn forgive(&mut self, deployment: &Deployment, started: Timestamp, now: Timestamp) {
        for slot in deployment.scopes.all() {
            if !self.cell(slot).is_blank() {
                self.cell_mut(slot).forgive(started, now);
            }
        }
    }

    /// A fault that is about to be repeated in place: remembered, but nothing is set aside yet.
    pub(crate) fn note(&mut self, registry: &Registry, lease: &mut Lease, fault: &Fault) {
        let deployment = &registry.deployments()[lease.deployment];
        if let Some(slot) = deployment.scopes.of(&fault.scope) {
            self.cell_mut(slot).note_fault();
        }
        self.end(registry, lease, Some(Spent::default()));
    }

    /// The client left, or the attempt was given up without anybody's fault.
    pub fn abandon(&mut self, registry: &Registry, lease: &mut Lease) {
        self.end(registry, lease, None);
    }

    /// Takes what a reply's headers reported of the provider's budgets, and when the request can
    /// be sent again if it was refused and the provider stated that. A time that is further away
    /// than any real one is cut, so that no header can disable a provider for good.
    pub fn learn(
        &mut self,
        registry: &Registry,
        lease: &Lease,
        budgets: &[Budget],
        refused_until: Option<Timestamp>,
    ) {
        let deployment = &registry.deployments()[lease.deployment];
        let slot = deployment.reported_usage(&registry.provider_of(deployment).spec.limits);
        let next = self.leases_taken;
        self.usage_mut(slot).learn(&Told {
            budgets,
            demand: lease.demand,
            asked: lease.started,
            request: lease.number,
            next,
            refused_until,
            latest: lease.started.after(crate::policy::LONGEST_STATED),
        });
    }

    /// Takes how many requests a refusal says are taken in a window, and when the next one is, as
    /// far as that was told.
    pub fn learn_ceiling(
        &mut self,
        registry: &Registry,
        lease: &Lease,
        ceiling: Ceiling,
        back_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        let deployment = &registry.deployments()[lease.deployment];
        let slot = deployment.reported_usage(&registry.provider_of(deployment).spec.limits);
        self.usage_mut(slot).learn_ceiling(ceiling, back_at, now);
    }

    /// Whether the deployment's model or provider has had faults since its last success.
    pub(crate) fn is_suspect(&self, deployment: &Deployment) -> bool {
        deployment.scopes.all().any(|slot| self.cell(slot).is_suspect())
    }

    fn end_probes(&mut self, lease: &mut Lease) {
        for slot in &mut lease.probed {
            if let Some(slot) = slot.take() {
                self.cell_mut(slot).end_probe();
            }
        }
    }
}

/// The scope that is really set aside: a fault that concerns only the request sets nothing aside.
fn narrowed(fault: &Fault) -> Scope {
    if crate::policy::is_requests_own(fault.kind) { Scope::Request } else { fault.scope.clone() }
}

impl Ledger {
    /// Lets the keys of providers that spread take turns at the head of their runs in `chain`.
    pub fn take_turns(&mut self, registry: &Registry, chain: &mut Arc<[crate::Candidate]>) {
        if !registry.spreads_keys() {
            return;
        }
        let mut rest = Arc::make_mut(chain);
        while let Some(first) = rest.first() {
            let head = &registry.deployments()[first.deployment];
            let (provider, model) = (head.provider, &head.model);
            let length = rest
                .iter()
                .take_while(|candidate| {
                    let other = &registry.deployments()[candidate.deployment];
                    other.provider == provider && other.model == *model
                })
                .count();
            let (run, tail) = rest.split_at_mut(length);
            let provider = &registry.providers()[provider];
            if provider.spec.spread_keys && length > 1 {
                let tally = self.tally_mut(provider.slot);
                run.rotate_left(tally.turn % length);
                tally.turn = tally.turn.wrapping_add(1);
            }
            rest = tail;
        }
    }
}
