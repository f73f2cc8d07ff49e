//! One request on its way: the rotation's decisions made real, and what is told of them in the
//! log, the headers and, if nobody could serve, in the answer.

use std::sync::Arc;

use dialect::HistoryFault;
use engine::{
    Abilities, Attempt, Candidate, FaultKind, Refusal, Remedy, Rotation, Step, Timestamp, Verdict,
    Why, policy,
};
use http::Response;
use wire::Endpoint;
use wire::history::Repair;
use wire::json::View;

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
use crate::refused::{BEGINNING, Mend, Values};
use crate::repairs;
use crate::upstream::{Original, is_at_most, is_longer};
use crate::world::{AUTO_MODEL, World};

/// Parameters without which a request is not the same request.
const ESSENTIAL: [&str; 4] = ["model", "messages", "prompt", "stream"];

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

    /// Whether the request can be mended for this provider; if so, how is remembered.
    fn remedy(&mut self, failed: &Failed) -> Remedy {
        let failure = &failed.failure;
        if failure.fault.kind != FaultKind::ParameterRefused {
            return failure.remedy;
        }
        let body = failure.original.as_ref().map_or(&[][..], |original| &original.body);
        let is_mended = match dialect::refused_history(body, &self.intake.body) {
            Some(fault) => self.repair_history(failed, fault),
            None => self.mend_parameter(failed, body),
        };
        if is_mended || self.start_afresh(failed, body) { Remedy::Repair } else { Remedy::None }
    }

    /// Leaves out the beginning of the answer that a provider was given and refuses: from now on for
    /// its model if that is what it says, else for this request.
    fn start_afresh(&mut self, failed: &Failed, body: &[u8]) -> bool {
        if !failed.had_beginning || self.intake.endpoint == Endpoint::Completions {
            return false;
        }
        let provider = &failed.route.provider.name;
        self.app.log.info(format_args!(
            "{provider}: does not go on with a text that it is given, asking it afresh"
        ));
        if dialect::refuses_beginning(body, &self.intake.body) {
            self.app.refused.remember(provider, &failed.model, BEGINNING, Mend::Afresh);
            self.app.memory.touch();
        }
        self.mends.push((failed.held.deployment(), BEGINNING.to_owned(), Mend::Afresh));
        true
    }

    /// Whether a parameter, or a field of the messages, is refused though it was mended: who says so
    /// without looking may say it of any request, or the request is at fault.
    fn is_refused_again(&self, failed: &Failed) -> bool {
        let failure = &failed.failure;
        if failure.fault.kind != FaultKind::ParameterRefused {
            return false;
        }
        let body = failure.original.as_ref().map_or(&[][..], |original| &original.body);
        let names = match dialect::refused_history(body, &self.intake.body) {
            Some(HistoryFault::ForeignFields(names)) => {
                names.into_iter().map(|name| format!("messages.{name}")).collect()
            }
            Some(_) => Vec::new(),
            None => Vec::from_iter(dialect::refused_parameter(body, &self.intake.body)),
        };
        !names.is_empty() && names.iter().all(|name| failed.adapted.contains(name))
    }

    /// Repairs what a provider refuses of a conversation that began elsewhere: for this request
    /// and this deployment only, and each kind once; from now on for this provider's model if it
    /// refuses that in any conversation.
    fn repair_history(&mut self, failed: &Failed, fault: HistoryFault) -> bool {
        let repair = repairs::repair_of(fault);
        let names = repairs::names(&repair);
        // What was repaired already and is refused again cannot be repaired.
        let is_new = names.iter().any(|name| !failed.adapted.contains(name));
        let helps = || {
            let scan = &self.intake.scan;
            wire::history::repair(&self.intake.body, &scan.layout, &repair).is_some()
        };
        if !is_new || !helps() {
            return false;
        }
        let provider = &failed.route.provider.name;
        self.app
            .log
            .info(format_args!("{provider}: refuses the history as it was sent, repairing it"));
        if let (Some(refusal), [name]) = (repairs::lasting(&repair), names.as_slice()) {
            self.app.refused.remember(provider, &failed.model, name, Mend::Messages(refusal));
            self.app.memory.touch();
        }
        self.repairs.push((failed.held.deployment(), repair));
        true
    }

    /// Leaves out, renames or lowers a refused parameter, from now on for this provider's model;
    /// one whose value alone was refused, with that value only.
    fn mend_parameter(&mut self, failed: &Failed, body: &[u8]) -> bool {
        if dialect::wants_single_calls(body, &self.intake.body) {
            return self.allow_single_calls(failed);
        }
        let Some(name) = dialect::refused_parameter(body, &self.intake.body) else {
            return false;
        };
        let given = self.intake.parameter(&name);
        let ours = failed.asked_for_usage && name == "stream_options";
        let mend = match given {
            Some(given) if !ours => self.mend_of(&name, given, body),
            _ => Mend::Drop,
        };
        let provider = &failed.route.provider.name;
        let mendable = (given.is_some() || ours) && self.may_be_mended(failed, &name, &mend);
        if !mendable {
            return false;
        }
        self.app.log.info(format_args!(
            "{provider}: refuses {name} as it was sent, repeating with that mended"
        ));
        let is_of_a_pair = matches!(mend, Mend::DropBeside(_));
        if !is_of_a_pair && dialect::depends_on_others(body, &self.intake.body) {
            self.mends.push((failed.held.deployment(), name, mend));
            return true;
        }
        let other = dialect::refused_too(&name, body, &self.intake.body);
        if let Some((other, given)) =
            other.zip(other.and_then(|other| self.intake.parameter(other)))
        {
            let mend = self.mend_of(other, given, body);
            self.app.refused.remember(provider, &failed.model, other, mend);
        }
        self.app.refused.remember(provider, &failed.model, &name, mend);
        self.app.memory.touch();
        true
    }

    /// Whether a mend is one that was not tried yet. What was mended already and is refused again
    /// cannot be mended, but what was only renamed may still be lowered.
    fn may_be_mended(&self, failed: &Failed, name: &str, mend: &Mend) -> bool {
        let is_lowered = || {
            let known = self.app.refused.of(&failed.route.provider.name, &failed.model);
            matches!(known.get(name), Some(Mend::AtMost(_)))
        };
        let is_new = !failed.adapted.iter().any(|adapted| adapted == name)
            || matches!(mend, Mend::AtMost(_)) && !is_lowered();
        !ESSENTIAL.contains(&name) && is_new
    }

    /// Asks for one call of a tool at a time, from now on for this provider's model.
    fn allow_single_calls(&self, failed: &Failed) -> bool {
        const NAME: &str = "parallel_tool_calls";
        let is_off = self.intake.parameter(NAME).is_some_and(|given| given.raw() == b"false");
        let is_new = !is_off && !failed.adapted.iter().any(|name| name == NAME);
        if is_new {
            let provider = &failed.route.provider.name;
            self.app.log.info(format_args!("{provider}: takes one call of a tool at a time"));
            self.app.refused.remember(provider, &failed.model, NAME, Mend::Off);
            self.app.memory.touch();
        }
        is_new
    }

    /// How a refused parameter of the client's is mended.
    fn mend_of(&self, name: &str, given: View<'_>, body: &[u8]) -> Mend {
        let request = &self.intake.body;
        if let Some(new) = dialect::replacement_for(name, body, request) {
            return Mend::Rename(new);
        }
        if let Some(other) = dialect::refused_beside(name, body, request) {
            return Mend::DropBeside(other.to_owned());
        }
        let most = dialect::stated_length(body, request).and_then(|most| most.try_into().ok());
        if let Some(most) = most.filter(|most| is_longer(given, *most)) {
            return Mend::First(most);
        }
        match dialect::stated_ceiling(name, body, request) {
            Some(most) if !is_at_most(given, most) => Mend::AtMost(most),
            _ if dialect::is_essential(name) || dialect::refuses_value_only(body) => {
                Mend::DropIf(Values::of(given.raw()))
            }
            _ => Mend::Drop,
        }
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

    /// Lets a deployment be asked once more, without the beginning that it was given.
    pub(super) fn ask_afresh(&mut self, deployment: usize) {
        self.mends.push((deployment, BEGINNING.to_owned(), Mend::Afresh));
        self.rotation.give_again(deployment);
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
