//! One request on its way: the rotation's decisions made real, and what is told of them in the
//! log, the headers and, if nobody could serve, in the answer.

use std::sync::Arc;
use std::time::Duration;

use engine::{
    Attempt, Candidate, FaultKind, Refusal, Remedy, Rotation, Step, Timestamp, Verdict, Why, policy,
};
use http::Response;
use wire::Endpoint;

use super::body::ClientBody;
use super::deliver::original_response;
use super::discover::discover;
use super::error::ProxyError;
use super::intake::Intake;
use super::report;
use crate::app::{App, Held};
use crate::upstream::{Answer, Asked, Failure, Limits, Original, Outcome, prepare, send};
use crate::world::{AUTO_MODEL, Route, World};

/// Parameters without which a request is not the same request.
const ESSENTIAL: [&str; 4] = ["model", "messages", "prompt", "stream"];

/// What is told of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) provider: String,
    pub(crate) key: String,
    pub(crate) model: String,
    /// A status, or a word such as `timeout`.
    pub(crate) word: String,
    pub(crate) kind: Option<FaultKind>,
    pub(crate) detail: String,
    /// When the provider said it is open again.
    pub(crate) until: Option<Timestamp>,
    pub(crate) wait: Option<Duration>,
    pub(crate) took: Duration,
}

/// An attempt that is answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) held: Held,
    pub(crate) answer: Answer,
    pub(crate) route: Arc<Route>,
    pub(crate) adapted: Vec<String>,
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    held: Held,
    failure: Failure,
    route: Arc<Route>,
    model: String,
    /// Whether usage was asked for on our own account.
    asked_for_usage: bool,
}

/// One request on its way.
#[derive(Debug)]
pub(crate) struct Journey {
    pub(crate) app: Arc<App>,
    pub(crate) world: Arc<World>,
    pub(crate) intake: Intake,
    pub(crate) hops: Vec<Hop>,
    rotation: Rotation,
    deadline: Timestamp,
    /// The provider's own error, for each failed attempt in which the request was at fault.
    originals: Vec<Option<Original>>,
}

impl Journey {
    /// Finds the chain for the model that was asked for.
    pub(crate) fn begin(app: &Arc<App>, intake: Intake) -> Result<Self, ProxyError> {
        let world = app.world();
        let model = intake.scan.model.as_deref();
        let Some(mut chain) = world.registry.resolve(model, world.unknown_model) else {
            return Err(ProxyError::unknown_model(model.unwrap_or_default()));
        };
        keep_able(&mut chain, &world, intake.endpoint);
        app.ledger().take_turns(&world.registry, &mut chain);
        let rotation = &world.settings.rotation;
        let deadline = intake.arrived.after(rotation.request_timeout);
        let needs = intake.needs(!rotation.allow_paid);
        Ok(Self {
            rotation: Rotation::new(chain, needs, world.patience, deadline),
            app: Arc::clone(app),
            world,
            intake,
            hops: Vec::new(),
            deadline,
            originals: Vec::new(),
        })
    }

    /// What to do now.
    pub(crate) fn next(&mut self) -> Step {
        let mut ledger = self.app.ledger();
        self.rotation
            .next(&self.world.registry, &mut ledger, self.app.clock.now())
    }

    /// Waits until `moment`, or until there is news.
    pub(crate) async fn wait(&self, moment: Timestamp) {
        let wait = self.app.clock.now().until(moment);
        self.app.log.info(format_args!(
            "Every provider is cooling: waiting {}",
            report::span(wait)
        ));
        tokio::select! {
            () = self.app.clock.sleep_until(moment) => {}
            () = self.app.news.notified() => {}
        }
    }

    /// Makes one attempt.
    pub(crate) async fn attempt(&mut self, attempt: Attempt) -> Result<Answered, Failed> {
        let Attempt { lease, is_last } = attempt;
        let deployment = &self.world.registry.deployments()[lease.deployment];
        let route = Arc::clone(&self.world.routes[deployment.provider]);
        let key = deployment.key;
        let candidate = &self.rotation.chain()[lease.candidate];
        let mut model = candidate
            .model
            .clone()
            .unwrap_or_else(|| deployment.model.clone());
        let started = lease.started;
        let held = Held::new(&self.app, &self.world, lease);
        let (name, priority) = (&route.provider.name, route.provider.priority);
        self.app.log.info(format_args!(
            "Selected provider: {name} (priority {priority})"
        ));
        let limits = self.limits(&route, is_last, started);
        let mut asked_for_usage = false;
        let mut adapted = Vec::new();
        let outcome = match self.real_model(&route, key, &mut model, limits).await {
            Err(failure) => Outcome {
                budgets: Vec::new(),
                result: Err(failure),
            },
            Ok(()) => {
                let refused = self.app.refused_parameters(name, &model);
                let prepared = prepare(&self.intake, &route, key, &model, &refused);
                asked_for_usage = prepared.hide_usage;
                adapted.clone_from(&prepared.adapted);
                send(
                    &self.world.client,
                    &prepared,
                    self.asked(&route, &model),
                    limits,
                )
                .await
            }
        };
        let took = started.until(self.app.clock.now());
        self.hops
            .push(self.hop(&route, key, &model, &outcome, took));
        match outcome.result {
            Ok(answer) => {
                let mut held = held;
                held.answered(&outcome.budgets);
                Ok(Answered {
                    held,
                    answer,
                    route,
                    adapted,
                })
            }
            Err(failure) => {
                held.learn(&outcome.budgets);
                Err(Failed {
                    held,
                    failure,
                    route,
                    model,
                    asked_for_usage,
                })
            }
        }
    }

    async fn real_model(
        &self,
        route: &Arc<Route>,
        key: usize,
        model: &mut String,
        limits: Limits,
    ) -> Result<(), Failure> {
        if model == AUTO_MODEL {
            *model = discover(&self.app, &self.world.client, route, key, limits.first).await?;
        }
        Ok(())
    }

    fn asked<'a>(&'a self, route: &'a Arc<Route>, model: &'a str) -> Asked<'a> {
        Asked {
            route,
            model,
            endpoint: self.intake.endpoint,
            stream: self.intake.scan.stream,
            client_wants_usage: self.intake.scan.client_wants_usage,
            clock: &self.app.clock,
        }
    }

    /// The last deployment in reach may take what is left of the request's time.
    fn limits(&self, route: &Route, is_last: bool, now: Timestamp) -> Limits {
        let left = now.until(self.deadline);
        let usual = self.world.first_limit(route, self.intake.scan.stream);
        let attempt = route
            .provider
            .timeouts
            .request
            .map_or(left, |own| own.min(left));
        let first = if is_last { attempt } else { usual.min(attempt) };
        Limits {
            first,
            stall: self.world.stall_limit(route),
            attempt,
        }
    }

    fn hop(
        &self,
        route: &Route,
        key: usize,
        model: &str,
        outcome: &Outcome,
        took: Duration,
    ) -> Hop {
        let failure = outcome.result.as_ref().err();
        let until = failure
            .and_then(|failure| failure.fault.resume)
            .map(|resume| resume.at);
        let word = match &outcome.result {
            Ok(Answer::Plain(reply)) => reply.status.as_u16().to_string(),
            Ok(Answer::Stream(stream)) => stream.status.as_u16().to_string(),
            Err(failure) => failure.word.clone(),
        };
        Hop {
            provider: route.provider.name.clone(),
            key: route
                .provider
                .keys
                .get(key)
                .map(|key| key.fingerprint.clone())
                .unwrap_or_default(),
            model: model.to_owned(),
            word,
            kind: failure.map(|failure| failure.fault.kind),
            detail: failure
                .map(|failure| failure.fault.detail.clone())
                .unwrap_or_default(),
            until,
            wait: until.map(|until| self.app.clock.now().until(until)),
            took,
        }
    }

    /// Tells the rules what came of a failed attempt.
    pub(crate) fn settle(&mut self, failed: Failed) -> Verdict {
        let remedy = self.remedy(&failed);
        let Failed {
            held,
            failure,
            route,
            ..
        } = failed;
        let own = policy::is_requests_own(failure.fault.kind);
        self.originals.push(failure.original.filter(|_| own));
        self.app.log.warning(report::failed_line(
            &route.provider.name,
            &self.hops,
            failure.fault.kind,
        ));
        self.app
            .metrics
            .attempt(&route.provider.name, failure.fault.kind.as_str());
        let Some(lease) = held.take() else {
            return Verdict::Rotate;
        };
        let was_probe = lease.is_probe();
        let now = self.app.clock.now();
        let verdict = self.rotation.settle(
            &self.world.registry,
            &mut self.app.ledger(),
            lease,
            failure.fault,
            remedy,
            now,
        );
        if was_probe {
            self.app.news.notify_waiters();
        }
        verdict
    }

    /// Whether the request can be mended for this provider; if so, how is remembered.
    fn remedy(&self, failed: &Failed) -> Remedy {
        let failure = &failed.failure;
        if failure.fault.kind != FaultKind::ParameterRefused {
            return failure.remedy;
        }
        let body = failure.original.as_ref().map(|original| &original.body[..]);
        let Some(name) = body.and_then(dialect::refused_parameter) else {
            return Remedy::None;
        };
        let given = self.intake.scan.layout.named(&name).next().is_some();
        let ours = failed.asked_for_usage && name == "stream_options";
        let mendable = (given || ours) && !ESSENTIAL.contains(&name.as_str());
        let provider = &failed.route.provider.name;
        if mendable && self.app.remember_refused(provider, &failed.model, &name) {
            self.app.log.info(format_args!(
                "{provider}: does not take {name}, repeating without it"
            ));
            Remedy::Repair
        } else {
            Remedy::None
        }
    }

    /// The provider's own answer to a request that is at fault itself.
    pub(crate) fn original(mut self) -> Response<ClientBody> {
        let last = self.originals.pop().flatten();
        self.answer_with_original(last)
    }

    fn answer_with_original(&self, original: Option<Original>) -> Response<ClientBody> {
        match original {
            Some(original) => original_response(self, original),
            None => self.told(ProxyError::all_failed("the request was refused".to_owned())),
        }
    }

    /// The answer when nobody can serve.
    pub(crate) fn refuse(mut self, refusal: &Refusal) -> Response<ClientBody> {
        let message = report::refusal_message(refusal, &self.hops);
        self.app.log.error(format_args!("{message}"));
        let error = match (refusal.why, refusal.retry_after) {
            (Why::RequestsOwn { attempt }, _) => {
                let original = self.originals.get_mut(attempt).and_then(Option::take);
                return self.answer_with_original(original);
            }
            (Why::AllCooling, Some(wait)) => ProxyError::all_cooling(message, wait),
            (Why::NoneConfigured | Why::AllParked, _) => ProxyError::none_available(message),
            (Why::KeysRefused, _) => ProxyError::keys_refused(message),
            (Why::AllCooling | Why::MixedFaults, _) => ProxyError::all_failed(message),
        };
        let attempts = report::attempts(self.rotation.chain(), &self.world, &self.hops, refusal);
        self.told(error.with_attempts(attempts))
    }

    fn told(&self, error: ProxyError) -> Response<ClientBody> {
        let mut response = error.into_response();
        report::add_headers(response.headers_mut(), self);
        response
    }

    /// How many different deployments were tried.
    pub(crate) fn deployments_tried(&self) -> usize {
        self.rotation.deployments_tried()
    }
}

/// Leaves out providers that are known not to have the endpoint, unless none would be left.
fn keep_able(chain: &mut Vec<Candidate>, world: &World, endpoint: Endpoint) {
    let able = |candidate: &Candidate| {
        let provider = world.registry.deployments()[candidate.deployment].provider;
        world.routes[provider].provider.legacy_completions != Some(false)
    };
    if endpoint == Endpoint::Completions && chain.iter().any(able) {
        chain.retain(able);
    }
}
