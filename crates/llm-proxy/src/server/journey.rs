//! One request on its way: the rotation's decisions made real, and what is told of them in the
//! log, the headers and, if nobody could serve, in the answer.

use std::sync::Arc;

use engine::{
    Abilities, Attempt, Candidate, FaultKind, Refusal, Remedy, Rotation, Step, Timestamp, Verdict,
    Why, policy,
};
use http::Response;
use wire::Endpoint;
use wire::history::Repair;

use super::attempt::Failed;
use super::body::ClientBody;
use super::deliver::original_response;
use super::error::ProxyError;
use super::intake::Intake;
use super::recording::Recording;
use super::report;
use super::rescue::{MOST_TRIED, refuses_recovery};
use super::wishes::Wishes;
use crate::app::App;
use crate::refused::Mend;
use crate::upstream::Original;
use crate::world::{AUTO_MODEL, World};

/// One request on its way.
#[derive(Debug)]
pub(crate) struct Journey {
    pub(crate) app: Arc<App>,
    pub(crate) world: Arc<World>,
    pub(crate) intake: Intake,
    pub(crate) recording: Recording,
    pub(super) rotation: Rotation,
    pub(super) deadline: Timestamp,
    /// Whether the client wants no other provider to go on with its stream.
    pub(super) no_recovery: bool,
    /// The provider's own error, for each failed attempt in which the request was at fault.
    originals: Vec<Option<Original>>,
    /// Repairs of the history, by the deployment that wants them.
    pub(super) repairs: Vec<(usize, Repair)>,
    /// What a deployment refuses of this request only.
    pub(super) mends: Vec<(usize, String, Mend)>,
}

impl Journey {
    /// Finds the chain for the model that was asked for.
    pub(crate) fn begin(app: &Arc<App>, intake: Intake) -> Result<Self, ProxyError> {
        let world = app.world();
        let model = intake.scan.model.as_deref();
        let Some(mut chain) = world.registry.resolve(model, world.unknown_model) else {
            return Err(ProxyError::unknown_model(&world.shown_name(model.unwrap_or_default())));
        };
        let wishes = Wishes::of(&intake.headers);
        let no_recovery = refuses_recovery(&intake.headers)?;
        keep_able(&mut chain, &world, intake.endpoint);
        wishes.narrow(&mut chain, &world, |name| app.unknown_provider(name))?;
        app.ledger().take_turns(&world.registry, &mut chain);
        let rotation = &world.settings.rotation;
        let deadline = intake.arrived.after(rotation.request_timeout);
        let needs = intake.needs(!rotation.allow_paid || wishes.free_only);
        let recording = Recording::begin(app, &world, &intake);
        Ok(Self {
            recording,
            rotation: Rotation::new(chain, needs, world.patience, deadline),
            app: Arc::clone(app),
            world,
            intake,
            deadline,
            no_recovery,
            originals: Vec::new(),
            repairs: Vec::new(),
            mends: Vec::new(),
        })
    }

    /// What to do now.
    pub(crate) fn next(&mut self) -> Step {
        let mut ledger = self.app.ledger();
        let now = self.app.clock.now();
        let step = self.rotation.next(&self.world.registry, &mut ledger, now);
        if let Step::Try(Attempt { lease, .. }) = &step
            && self.recording.is_beyond(lease.candidate)
        {
            let passed =
                self.rotation.passed_over(lease.candidate, &self.world.registry, &ledger, now);
            self.recording.walked_to(lease.candidate, passed);
        }
        step
    }

    /// Waits until `moment`, or until there is news.
    pub(crate) async fn wait(&mut self, moment: Timestamp) {
        let began = self.app.clock.now();
        let wait = began.until(moment);
        self.app.log.info(format_args!("Nobody can answer now: waiting {}", report::span(wait)));
        tokio::select! {
            () = self.app.clock.sleep_until(moment) => {}
            () = self.app.news.notified() => {}
        }
        self.recording.waited += began.until(self.app.clock.now());
    }

    /// Tells the rules what came of a failed attempt.
    pub(crate) fn settle(&mut self, mut failed: Failed) -> Verdict {
        let remedy = self.remedy(&failed);
        if remedy == Remedy::None && self.is_refused_again(&failed) {
            failed.failure.fault.kind = FaultKind::DoubtfulMistake;
        }
        let lacks = self.lacks(&failed);
        let Failed { held, failure, route, .. } = failed;
        let own = policy::is_requests_own(failure.fault.kind)
            || failure.fault.kind == FaultKind::ModelMissing;
        self.originals.push(failure.original.filter(|_| own).map(|original| *original));
        self.app.log.warning(report::failed_line(
            &route.provider.name,
            &self.recording.hops,
            failure.fault.kind,
        ));
        let Some(lease) = held.take() else {
            return Verdict::Rotate;
        };
        let was_probe = lease.is_probe();
        let now = self.app.clock.now();
        let mut ledger = self.app.ledger();
        let before = ledger.cooldowns_begun();
        ledger.learn_lack(&self.world.registry.deployments()[lease.deployment], lacks);
        let verdict = self.rotation.settle(
            &self.world.registry,
            &mut ledger,
            lease,
            failure.fault,
            remedy,
            now,
        );
        if ledger.cooldowns_begun() > before {
            self.recording.set_aside();
        }
        drop(ledger);
        if was_probe {
            self.app.news.notify_waiters();
        }
        verdict
    }

    /// What the request asks for and the reply shows that the deployment does not take.
    fn lacks(&self, failed: &Failed) -> Abilities {
        let Failed { held, failure, model, .. } = failed;
        let configured = &self.world.registry.deployments()[held.deployment()].model;
        let is_own = **configured == **model || configured == AUTO_MODEL;
        if is_own { failure.lacks.both(self.intake.wants()) } else { Abilities::default() }
    }

    /// The provider's own answer to a request that is at fault itself.
    pub(crate) fn original(self) -> Response<ClientBody> {
        let last = self.originals.len().saturating_sub(1);
        self.answer_with_original(last)
    }

    fn answer_with_original(mut self, attempt: usize) -> Response<ClientBody> {
        let original = self.originals.get_mut(attempt).and_then(Option::take);
        match (original, self.recording.hops.get(attempt)) {
            (Some(original), Some(hop)) => {
                let response = original_response(&self, hop, original);
                self.recording.refused(response.status().as_u16());
                response
            }
            _ => self.told(ProxyError::all_failed("the request was refused".to_owned())),
        }
    }

    /// The answer when nobody can serve.
    pub(crate) fn refuse(mut self, refusal: &Refusal) -> Response<ClientBody> {
        let message = report::refusal_message(refusal, &self.recording.hops);
        self.app.log.error(format_args!("{message}"));
        self.remember_passed();
        let error = match (refusal.why, refusal.retry_after) {
            (Why::RequestsOwn { attempt }, _) => {
                return self.answer_with_original(attempt);
            }
            (Why::AllCooling, wait) => ProxyError::all_cooling(message, wait),
            (Why::Incapable(_), _) => ProxyError::bad_request("unsupported_by_providers", message),
            (Why::NoneConfigured | Why::AllParked, _) => ProxyError::none_available(message),
            (Why::KeysRefused, _) => ProxyError::keys_refused(message),
            (Why::MixedFaults, _) => ProxyError::all_failed(message),
        };
        let attempts =
            report::attempts(self.rotation.chain(), &self.world, &self.recording.hops, refusal);
        self.told(error.with_attempts(attempts))
    }

    /// Nobody is left: all that were not tried were passed over.
    fn remember_passed(&mut self) {
        let end = self.rotation.chain().len();
        let now = self.app.clock.now();
        let passed = self.rotation.passed_over(end, &self.world.registry, &self.app.ledger(), now);
        self.recording.walked_to(end, passed);
    }

    fn told(&mut self, error: ProxyError) -> Response<ClientBody> {
        let mut response = error.into_response();
        self.recording.refused(response.status().as_u16());
        report::add_headers(response.headers_mut(), self);
        response
    }

    /// Begins anew after the answer broke off, with whom the rules leave.
    pub(super) fn begin_again(&mut self) {
        // The client has waited for the next word already: silence is bounded as in a stream, but
        // one provider that hangs must not use up the time of all who come after it.
        let rotation = &self.world.settings.rotation;
        let now = self.app.clock.now();
        self.rotation.begin_again(|left| {
            let before_last = left.min(MOST_TRIED).saturating_sub(1) as u32;
            let for_others = rotation.first_token_timeout.saturating_mul(before_last);
            let patience = rotation.stall_timeout.saturating_add(for_others);
            self.deadline = now.after(patience.min(rotation.request_timeout));
            self.deadline
        });
    }

    /// How many different deployments were tried.
    pub(crate) fn deployments_tried(&self) -> usize {
        self.rotation.deployments_tried()
    }
}

/// Leaves out providers that are known not to have the endpoint, unless none would be left.
fn keep_able(chain: &mut Arc<[Candidate]>, world: &World, endpoint: Endpoint) {
    let able = |candidate: &&Candidate| {
        let provider = world.registry.deployments()[candidate.deployment].provider;
        world.routes[provider].provider.legacy_completions != Some(false)
    };
    if endpoint == Endpoint::Completions && chain.iter().any(|candidate| able(&candidate)) {
        *chain = chain.iter().filter(able).cloned().collect();
    }
}
