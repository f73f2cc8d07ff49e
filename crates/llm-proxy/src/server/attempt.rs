//! One attempt of a request's journey: which limits it has, what is sent, what came back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use engine::Timestamp;
use http::StatusCode;
use settings::Prefill;
use wire::usage::Usage;

use super::discover::discover;
use super::journey::Journey;
use super::recording::Hop;
use super::rescue::continued;
use crate::app::Held;
use crate::refused::BEGINNING;
use crate::upstream::{Answer, Asked, Failure, Limits, Outcome, Recovery, Told, prepare, send};
use crate::world::{AUTO_MODEL, Route};

/// An attempt that is answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) held: Held,
    pub(crate) answer: Answer,
    pub(crate) route: Arc<Route>,
    /// Parameters that were left out, renamed or lowered.
    pub(crate) adapted: Vec<String>,
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(super) held: Held,
    pub(super) failure: Failure,
    pub(super) route: Arc<Route>,
    pub(super) model: Arc<str>,
    /// Whether usage was asked for on our own account.
    pub(super) asked_for_usage: bool,
    /// Parameters that were mended before it was sent.
    pub(super) adapted: Vec<String>,
    /// Whether it was given the beginning of its answer.
    pub(super) had_beginning: bool,
}

impl Failed {
    /// The deployment, if it was given the beginning of its answer and said something else.
    pub(super) fn misread(&self) -> Option<usize> {
        let has_misread = self.had_beginning && self.failure.is_other_text();
        has_misread.then(|| self.held.deployment())
    }
}

/// Where one attempt goes.
struct Target {
    deployment: usize,
    route: Arc<Route>,
    key: usize,
    model: Arc<str>,
    /// The model's name as it may be shown.
    told: Arc<str>,
    /// Where the model counts, under the name that the configuration gives it.
    series: usize,
    /// How long it has shown to think before its first word.
    shown: Option<Duration>,
}

/// What was sent and what came of it.
struct Sent {
    outcome: Outcome,
    adapted: Vec<String>,
    asked_for_usage: bool,
    had_beginning: bool,
}

impl Journey {
    /// Makes one attempt.
    pub(crate) async fn attempt(&mut self, attempt: engine::Attempt) -> Result<Answered, Failed> {
        self.attempt_as(attempt, None).await
    }

    /// Makes one attempt, from the beginning or to go on with an answer that broke off.
    pub(super) async fn attempt_as(
        &mut self,
        attempt: engine::Attempt,
        told: Option<&Told>,
    ) -> Result<Answered, Failed> {
        let engine::Attempt { lease, is_last } = attempt;
        let started = lease.started;
        let mut target = self.target(&lease);
        let mut held = Held::new(&self.app, &self.world, lease);
        let (name, priority) = (&target.route.provider.name, target.route.provider.priority);
        self.app.log.info(format_args!("Selected provider: {name} (priority {priority})"));
        let limits = self.limits(&target, is_last, started);
        let sent = self.send(&mut target, limits, told).await;
        let took = started.until(self.app.clock.now());
        let hop = self.hop(&target, &sent.outcome, started, took);
        self.recording.tried(hop);
        let Target { route, model, .. } = target;
        let Sent { outcome, adapted, asked_for_usage, had_beginning } = sent;
        match outcome.result {
            Ok(answer) => {
                held.answered(&outcome.budgets, matches!(answer, Answer::Stream(_)));
                Ok(Answered { held, answer, route, adapted })
            }
            Err(failure) => {
                held.learn(&outcome.budgets, &failure.fault);
                if let Some(ceiling) = failure.ceiling {
                    held.learn_ceiling(ceiling, failure.fault.known_end());
                }
                if let Some(size) = failure.size {
                    held.learn_size(size);
                }
                let failed =
                    Failed { held, failure, route, model, asked_for_usage, adapted, had_beginning };
                Err(failed)
            }
        }
    }

    fn target(&self, lease: &engine::Lease) -> Target {
        let deployment = &self.world.registry.deployments()[lease.deployment];
        let asked = self.rotation.chain()[lease.candidate].model.as_ref();
        let model = asked.unwrap_or(&deployment.model).as_str();
        let route = &self.world.routes[deployment.provider];
        let told = asked.map(|chosen| Arc::from(&*self.world.shown_name(chosen)));
        Target {
            told: told.unwrap_or_else(|| model.into()),
            deployment: lease.deployment,
            route: Arc::clone(route),
            key: deployment.key,
            model: model.into(),
            series: route.meters.index_of(model),
            shown: self.app.ledger().usual_first_word(deployment),
        }
    }

    async fn send(&mut self, target: &mut Target, limits: Limits, told: Option<&Told>) -> Sent {
        if let Err(failure) = self.find_model(target, limits).await {
            let outcome = Outcome { budgets: Vec::new(), result: Err(failure) };
            let (asked_for_usage, had_beginning) = (false, false);
            return Sent { outcome, adapted: Vec::new(), asked_for_usage, had_beginning };
        }
        let Target { deployment, route, key, model, told: name, series, .. } = target;
        self.recording.tries(route, *key, name, *series);
        let mut mends = self.app.refused.of(&route.provider.name, model);
        let once = self.mends.iter().filter(|(at, ..)| *at == *deployment);
        mends.extend(once.map(|(_, name, mend)| (name.clone(), mend.clone())));
        let way = if mends.contains_key(BEGINNING) {
            Prefill::No
        } else {
            route.provider.prefill_for(model)
        };
        let continued = told.map(|told| continued(&self.intake, way, told));
        let (intake, recovery) = match &continued {
            Some(continued) => (&continued.intake, continued.recovery.clone()),
            None => (&self.intake, self.recovery()),
        };
        let had_beginning = recovery.gives_beginning();
        let repairs = self.repairs.iter().filter(|(at, _)| *at == *deployment);
        let repairs: Vec<_> = repairs.map(|(_, repair)| repair).collect();
        let prepared = prepare(intake, route, *key, model, &mends, &repairs);
        let asked = self.asked(route, model, name, recovery);
        let mut outcome = send(&self.world.client, &prepared, &asked, limits).await;
        if let (true, Err(failure)) = (had_beginning, &mut outcome.result) {
            failure.blame_beginning(&self.intake.body);
        }
        let (adapted, asked_for_usage) = (prepared.adapted, prepared.hide_usage);
        Sent { outcome, adapted, asked_for_usage, had_beginning }
    }

    /// Puts a real model in the place of `auto`.
    async fn find_model(&self, target: &mut Target, limits: Limits) -> Result<(), Failure> {
        if *target.model == *AUTO_MODEL {
            let (route, key) = (&target.route, target.key);
            let client = &self.world.client;
            let found = Box::pin(discover(&self.app, client, route, key, limits.first)).await?;
            target.model = found.into();
            target.told = Arc::clone(&target.model);
        }
        Ok(())
    }

    fn asked(
        &self,
        route: &Arc<Route>,
        model: &Arc<str>,
        name: &Arc<str>,
        recovery: Recovery,
    ) -> Asked {
        Asked {
            route: Arc::clone(route),
            model: Arc::clone(model),
            model_as_shown: Arc::clone(name),
            endpoint: self.intake.endpoint,
            request: self.intake.body.clone(),
            stream: self.intake.scan.stream,
            client_wants_usage: self.intake.scan.client_wants_usage,
            clock: Arc::clone(&self.app.clock),
            recovery,
        }
    }

    /// The last deployment in reach may take what is left of the request's time.
    fn limits(&self, target: &Target, is_last: bool, now: Timestamp) -> Limits {
        let Target { route, model, .. } = target;
        let left = now.until(self.deadline);
        let stream = self.intake.scan.stream;
        let usual = self.world.first_limit(route, model, stream, target.shown);
        let attempt = route.provider.timeouts.request.map_or(left, |own| own.min(left));
        let first = if is_last { attempt } else { usual.min(attempt) };
        let stall = self.world.stall_limit(route);
        let quiet = self.world.settings.rotation.request_timeout.max(stall);
        Limits { first, stall, quiet, attempt }
    }

    fn hop(&self, target: &Target, outcome: &Outcome, started: Timestamp, took: Duration) -> Hop {
        let failure = outcome.result.as_ref().err();
        let until = failure.and_then(|failure| failure.fault.known_end());
        let word = match &outcome.result {
            Ok(Answer::Plain(reply)) => status_word(reply.status),
            Ok(Answer::Stream(stream)) => status_word(stream.status),
            Err(failure) => failure.word.clone().into(),
        };
        Hop {
            route: Arc::clone(&target.route),
            key: target.key,
            model: Arc::clone(&target.told),
            word,
            kind: failure.map(|failure| failure.fault.kind),
            answered: failure.is_none(),
            detail: failure.map(|failure| failure.fault.detail.clone()).unwrap_or_default(),
            until,
            wait: until.map(|until| self.app.clock.now().until(until)),
            took,
            started,
            series: target.series,
            set_aside: false,
            broke_at: None,
            usage: Usage::default(),
            estimated: 0,
        }
    }
}

fn status_word(status: StatusCode) -> Cow<'static, str> {
    match status {
        StatusCode::OK => "200".into(),
        other => other.as_u16().to_string().into(),
    }
}
