//! One request's journey over the deployments of its chain: what to try next, when to wait, when
//! to give up. `next` says what to do, `settle` takes what came of it.
//!
//! The walk has no budget of its own but the chain's length: a request that finds eleven
//! deployments broken is answered by the twelfth. Repeats in place and waits are bounded apart.

mod findings;
mod onward;
mod resort;

use std::sync::Arc;
use std::time::Duration;

use crate::availability::{Availability, Closed, Needs, Reason, availability, beyond_ceilings};
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::policy::{self, Then};
use crate::refusal::{Refusal, refusal};
use crate::registry::{Candidate, Patience, Registry};
use crate::{Fault, FaultKind, Timestamp};

/// A request with several parameters that a provider refuses is mended one by one, so often.
const MOST_REPAIRS: u32 = 4;

/// A fault this soon after the attempt began is quick: repeating it costs the user little.
pub(crate) const QUICK: Duration = Duration::from_millis(1500);

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send the request to this deployment.
    Try(Attempt),
    /// Nothing is open, but something will be soon: ask again at this moment, or when the ledger
    /// has changed.
    WaitUntil(Timestamp),
    /// Nobody can serve.
    Refuse(Refusal),
}

/// One attempt to make.
#[derive(Debug)]
pub struct Attempt {
    /// The lease under which it is made.
    pub lease: Lease,
    /// Whether no other deployment is left, so that this one may take its time.
    pub is_last: bool,
}

/// What the caller can do about a fault besides going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing.
    None,
    /// The fault is one of the provider's moment (a 5xx, a reset): the same may work at once.
    Repeat,
    /// The caller can mend the request for this provider.
    Repair,
}

/// What becomes of the request after an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on with [`Rotation::next`], which may name the same deployment once more.
    Rotate,
    /// Mend the request for this deployment, then go on with [`Rotation::next`].
    Repair,
    /// Give the client the provider's own answer.
    Return,
}

/// What is remembered of one attempt.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Index into the chain.
    pub candidate: usize,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What came of it.
    pub fault: Fault,
    /// Whether it asked for a model that the configuration does not list.
    pub is_foreign: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    tries: u32,
    repeated: bool,
    repairs: u32,
    /// Not to be tried again for this request.
    spent: bool,
}

/// One request's journey.
#[derive(Debug)]
pub struct Rotation {
    chain: Arc<[Candidate]>,
    /// By the index into the chain, as far as anything happened.
    progress: Vec<Progress>,
    tried: Vec<Tried>,
    needs: Needs,
    patience: Patience,
    deadline: Timestamp,
    waited: Duration,
    waiting_since: Option<Timestamp>,
    /// Whether a ceiling that was only learned is taken for wrong, since nothing else is left.
    doubts_ceilings: bool,
}

impl Rotation {
    /// A journey over `chain` that gives up at `deadline`.
    pub fn new(
        chain: Arc<[Candidate]>,
        needs: Needs,
        patience: Patience,
        deadline: Timestamp,
    ) -> Self {
        Self {
            chain,
            progress: Vec::new(),
            tried: Vec::new(),
            needs,
            patience,
            deadline,
            waited: Duration::ZERO,
            waiting_since: None,
            doubts_ceilings: false,
        }
    }

    fn progress(&self, index: usize) -> Progress {
        self.progress.get(index).copied().unwrap_or_default()
    }

    fn progress_mut(&mut self, index: usize) -> &mut Progress {
        self.note_up_to(index + 1);
        &mut self.progress[index]
    }

    fn note_up_to(&mut self, count: usize) {
        if self.progress.len() < count {
            self.progress.resize(count, Progress::default());
        }
    }

    /// The deployments of the chain in the order in which they are tried.
    pub fn chain(&self) -> &[Candidate] {
        &self.chain
    }

    /// The attempts that failed so far, in order.
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// How many different deployments were tried.
    pub fn deployments_tried(&self) -> usize {
        self.progress.iter().filter(|progress| progress.tries > 0).count()
    }

    /// What to do at `now`.
    pub fn next(&mut self, registry: &Registry, ledger: &mut Ledger, now: Timestamp) -> Step {
        if let Some(since) = self.waiting_since.take() {
            self.waited = self.waited.saturating_add(since.until(now));
        }
        if now >= self.deadline {
            return Step::Refuse(self.refusal(registry, ledger, now));
        }
        if let Some(step) = self.step(registry, ledger, now) {
            return step;
        }
        self.doubts_ceilings = true;
        let step = self.step(registry, ledger, now);
        self.doubts_ceilings = false;
        step.unwrap_or_else(|| Step::Refuse(self.refusal(registry, ledger, now)))
    }

    /// What can be tried or waited for, if anything.
    fn step(&mut self, registry: &Registry, ledger: &mut Ledger, now: Timestamp) -> Option<Step> {
        if let Some(step) = self.first_open(registry, ledger, now) {
            return Some(step);
        }
        if let Some(until) = self.soonest(registry, ledger, now) {
            self.waiting_since = Some(now);
            return Some(Step::WaitUntil(until));
        }
        let index = self.last_resort(registry, ledger, now)?;
        Some(self.take(index, registry, ledger, now))
    }

    /// The first deployment that is open, or whose stated wait is short enough to stay with it.
    fn first_open(
        &mut self,
        registry: &Registry,
        ledger: &mut Ledger,
        now: Timestamp,
    ) -> Option<Step> {
        for index in 0..self.chain.len() {
            if self.progress(index).spent {
                continue;
            }
            match self.availability(index, registry, ledger, now) {
                Availability::Open | Availability::HalfOpen => {
                    return Some(self.take(index, registry, ledger, now));
                }
                Availability::Closed(closed) => {
                    if let Some(until) = self.worth_staying(&closed, now) {
                        self.waiting_since = Some(now);
                        return Some(Step::WaitUntil(until));
                    }
                }
            }
        }
        None
    }

    fn worth_staying(&self, closed: &Closed, now: Timestamp) -> Option<Timestamp> {
        let until = closed.until.filter(|_| closed.is_stated())?;
        // All waits of a request count together: others may use up each new allowance first.
        let wait = self.waited.saturating_add(now.until(until));
        (wait <= self.patience.wait_in_place && until < self.deadline).then_some(until)
    }

    /// When the soonest deployment is back, if that is within the request's patience.
    fn soonest(&self, registry: &Registry, ledger: &Ledger, now: Timestamp) -> Option<Timestamp> {
        let patience = self.patience.max_wait.checked_sub(self.waited)?;
        let latest = now.after(patience).min(self.deadline);
        (0..self.chain.len())
            .filter(|&index| !self.progress(index).spent)
            .filter_map(|index| match self.availability(index, registry, ledger, now) {
                // A probe or a request under way ends at no known time: wait for news of it.
                Availability::Closed(Closed {
                    reason: Reason::Probing | Reason::Busy,
                    until,
                    ..
                }) => {
                    (!patience.is_zero()).then(|| until.map_or(latest, |until| until.min(latest)))
                }
                Availability::Closed(Closed { until: Some(until), .. }) => {
                    (until < self.deadline).then_some(until)
                }
                Availability::Open | Availability::HalfOpen | Availability::Closed(_) => None,
            })
            .min()
            .filter(|until| *until <= latest)
    }

    fn take(
        &mut self,
        index: usize,
        registry: &Registry,
        ledger: &mut Ledger,
        now: Timestamp,
    ) -> Step {
        self.progress_mut(index).tries += 1;
        let Candidate { deployment, model } = &self.chain[index];
        let chosen = &registry.deployments()[*deployment];
        let limits = &registry.provider_of(chosen).spec.limits;
        let demand = self.needs.demand_at(limits, ledger.usage(chosen.usage));
        let mut lease = ledger.take(registry, index, *deployment, model.is_some(), demand, now);
        lease.defied = self.needs.wants.both(ledger.lacks_of(chosen));
        let is_last = !self.has_other(index, registry, ledger, now);
        Step::Try(Attempt { lease, is_last })
    }

    /// Whether another deployment than `index` could be tried now.
    fn has_other(
        &self,
        index: usize,
        registry: &Registry,
        ledger: &Ledger,
        now: Timestamp,
    ) -> bool {
        (0..self.chain.len()).any(|other| {
            other != index
                && !self.progress(other).spent
                && self.is_open(other, registry, ledger, now)
        })
    }

    fn is_open(&self, index: usize, registry: &Registry, ledger: &Ledger, now: Timestamp) -> bool {
        !matches!(self.availability(index, registry, ledger, now), Availability::Closed(_))
    }

    fn availability(
        &self,
        index: usize,
        registry: &Registry,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Availability {
        let deployment = &registry.deployments()[self.chain[index].deployment];
        let judge = if self.doubts_ceilings { beyond_ceilings } else { availability };
        judge(registry, ledger, deployment, &self.needs, now)
    }

    /// The deployments of the chain before `candidate` that were never tried, and why they may not
    /// be tried now.
    pub fn passed_over(
        &self,
        candidate: usize,
        registry: &Registry,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Vec<(usize, Closed)> {
        (0..candidate.min(self.chain.len()))
            .filter(|&index| self.progress(index).tries == 0)
            .filter_map(|index| {
                let closed = self.availability(index, registry, ledger, now).closed()?;
                Some((self.chain[index].deployment, closed))
            })
            .collect()
    }

    /// Takes what came of an attempt, and ends its lease.
    pub fn settle(
        &mut self,
        registry: &Registry,
        ledger: &mut Ledger,
        mut lease: Lease,
        fault: Fault,
        remedy: Remedy,
        now: Timestamp,
    ) -> Verdict {
        let suspect = ledger.is_suspect(&registry.deployments()[lease.deployment]);
        let unexpected = !suspect && !lease.is_doubtful && fault.resume.is_none();
        let quick = lease.started.until(now) < QUICK;
        let waited = self.waited;
        let progress = self.progress_mut(lease.candidate);
        let then = policy::rule(fault.kind).then;
        let repeat = then == Then::OnceMoreThenNext
            && remedy == Remedy::Repeat
            && unexpected
            && quick
            && !progress.repeated;
        let repair = then == Then::RepairThenNext
            && remedy == Remedy::Repair
            && progress.repairs < MOST_REPAIRS;
        progress.repeated |= repeat;
        progress.repairs += u32::from(repair);
        let waits = findings::may_return(&fault, progress.tries, waited);
        if repeat {
            ledger.note(registry, &mut lease, &fault);
        } else {
            ledger.fail(registry, &mut lease, &fault, &self.patience, now);
        }
        let (candidate, started) = (lease.candidate, lease.started);
        let is_foreign = lease.foreign_model;
        // What is open all the same would be tried again at once, with the same result.
        let is_open = self.is_open(candidate, registry, ledger, now);
        self.progress_mut(candidate).spent = !repeat && !repair && (is_open || !waits);
        if fault.kind == FaultKind::ContextTooLong {
            self.spend_smaller(registry, candidate);
        }
        let returns = then == Then::Return
            || then == Then::SecondOpinion && self.was_doubted_elsewhere(registry, candidate);
        self.tried.push(Tried { candidate, started, ended: now, fault, is_foreign });
        if returns {
            Verdict::Return
        } else if repair {
            Verdict::Repair
        } else {
            Verdict::Rotate
        }
    }

    fn refusal(&self, registry: &Registry, ledger: &Ledger, now: Timestamp) -> Refusal {
        let closed = (0..self.chain.len())
            .map(|index| self.availability(index, registry, ledger, now).closed())
            .collect();
        refusal(closed, &self.tried, now)
    }
}
