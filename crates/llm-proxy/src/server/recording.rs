//! What will be remembered of one request: who was asked and why, who was passed over and why, and
//! what came of it. Never a prompt and never an answer.
//!
//! It goes with the request, and is handed over when it is dropped: whichever way a request ends,
//! it is remembered, and exactly once.

mod counted;
#[cfg(feature = "otlp")]
mod traced;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use engine::{Closed, Fault, FaultKind, Timestamp, policy};
use store::{Record, Skipped};
use wire::Endpoint;
use wire::usage::Usage;

use super::intake::Intake;
use super::report::{millis, reason, reason_word};
use crate::app::App;
use crate::world::{Route, World};

/// A request that passes over more deployments remembers the first ones.
const MOST_SKIPPED: usize = 16;

/// Bytes of a model's name that are remembered.
const LONGEST_NAME: usize = 200;

/// How a request ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With an answer.
    Answered,
    /// With a stream that broke off.
    Interrupted,
    /// With an error.
    Refused,
    /// The client went away.
    Left,
}

impl Outcome {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Interrupted => "interrupted",
            Self::Refused => "refused",
            Self::Left => "left",
        }
    }
}

/// What is told of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    pub(crate) route: Arc<Route>,
    /// Index into the provider's keys.
    pub(crate) key: usize,
    pub(crate) model: Arc<str>,
    /// A status, or a word such as `timeout`.
    pub(crate) word: Cow<'static, str>,
    /// What was wrong; `None` of an attempt that was answered and whose answer did not break off.
    pub(crate) kind: Option<FaultKind>,
    /// Whether there was an answer, be it one that broke off.
    pub(crate) answered: bool,
    /// The provider's own words.
    pub(crate) detail: String,
    /// When the provider said it is open again.
    pub(crate) until: Option<Timestamp>,
    pub(crate) wait: Option<Duration>,
    /// The time to its result: to the first event of a stream, else to its end.
    pub(crate) took: Duration,
    pub(crate) started: Timestamp,
    /// Where its model counts among the meters of the route.
    pub(crate) series: usize,
    /// Whether it began a cooldown.
    pub(crate) set_aside: bool,
    /// When its answer broke off.
    pub(crate) broke_at: Option<Timestamp>,
    /// The tokens that the provider reported.
    pub(crate) usage: Usage,
    /// The tokens that nobody counted.
    pub(crate) estimated: u64,
}

impl Hop {
    pub(crate) fn provider(&self) -> &str {
        &self.route.provider.name
    }

    /// The fingerprint of the key; empty where none was sent.
    pub(crate) fn key(&self) -> &str {
        self.route.provider.keys.get(self.key).map_or("", |key| &key.fingerprint)
    }

    fn remembered(self) -> store::Hop {
        // What is said of a request that is at fault itself may quote it.
        let may_quote = self.kind.is_some_and(policy::is_requests_own);
        store::Hop {
            provider: self.provider().to_owned(),
            key: self.key().to_owned(),
            model: self.model.as_ref().to_owned(),
            result: self.word.into_owned(),
            kind: self.kind.map(|kind| kind.as_str().to_owned()),
            detail: if may_quote { String::new() } else { self.detail },
            until: self.until.map(Timestamp::as_millis),
            took_ms: millis(self.took),
        }
    }
}

/// What will be remembered of one request.
#[derive(Debug)]
pub(crate) struct Recording {
    app: Arc<App>,
    world: Arc<World>,
    arrived: Timestamp,
    endpoint: Endpoint,
    asked: String,
    stream: bool,
    /// The attempts, in order.
    pub(crate) hops: Vec<Hop>,
    /// The attempt that is under way: remembered if the client leaves meanwhile.
    under_way: Option<Hop>,
    skipped: Vec<Skipped>,
    /// The deployments that `skipped` tells of.
    passed: Vec<usize>,
    /// The deployments of the chain that the walk has come past.
    walked: usize,
    outcome: Outcome,
    status: u16,
    usage: Usage,
    is_estimated: bool,
    first_word: Option<Duration>,
    /// How long it waited for a cooldown.
    pub(crate) waited: Duration,
}

impl Recording {
    pub(crate) fn begin(app: &Arc<App>, world: &Arc<World>, intake: &Intake) -> Self {
        app.metrics.began();
        Self {
            app: Arc::clone(app),
            world: Arc::clone(world),
            arrived: intake.arrived,
            endpoint: intake.endpoint,
            asked: shortened(&world.shown_name(intake.scan.model.as_deref().unwrap_or_default())),
            stream: intake.scan.stream,
            hops: Vec::new(),
            under_way: None,
            skipped: Vec::new(),
            passed: Vec::new(),
            walked: 0,
            // Unless somebody says otherwise, the client went away.
            outcome: Outcome::Left,
            status: 0,
            usage: Usage::default(),
            is_estimated: false,
            first_word: None,
            waited: Duration::ZERO,
        }
    }

    /// Whether the walk along the chain has come to a place beyond those that it passed already.
    pub(crate) const fn is_beyond(&self, candidate: usize) -> bool {
        candidate > self.walked
    }

    /// The walk has come to `candidate`; `passed` were not tried so far.
    pub(crate) fn walked_to(&mut self, candidate: usize, mut passed: Vec<(usize, Closed)>) {
        passed.retain(|(deployment, _)| !self.passed.contains(deployment));
        for (deployment, closed) in passed.into_iter().take(MOST_SKIPPED - self.skipped.len()) {
            self.passed.push(deployment);
            let deployment = &self.world.registry.deployments()[deployment];
            let spec = &self.world.registry.provider_of(deployment).spec;
            self.skipped.push(Skipped {
                provider: spec.name.clone(),
                key: spec.keys[deployment.key].clone(),
                model: deployment.model.clone(),
                reason: reason_word(&closed).to_owned(),
                detail: reason(&closed),
                until: closed.until.map(Timestamp::as_millis),
            });
        }
        self.walked = candidate;
    }

    /// An attempt begins. Until it ends, it is one that the client did not wait for.
    pub(crate) fn tries(
        &mut self,
        route: &Arc<Route>,
        key: usize,
        model: &Arc<str>,
        series: usize,
    ) {
        let hop = Hop {
            route: Arc::clone(route),
            key,
            model: Arc::clone(model),
            word: "left".into(),
            kind: None,
            answered: false,
            detail: String::new(),
            until: None,
            wait: None,
            took: Duration::ZERO,
            started: self.app.clock.now(),
            series,
            set_aside: false,
            broke_at: None,
            usage: Usage::default(),
            estimated: 0,
        };
        self.under_way = Some(hop);
    }

    /// The attempt has ended so.
    pub(crate) fn tried(&mut self, hop: Hop) {
        self.under_way = None;
        self.hops.push(hop);
    }

    /// The newest attempt, which failed, began a cooldown.
    pub(crate) fn set_aside(&mut self) {
        if let Some(hop) = self.hops.last_mut() {
            hop.set_aside = true;
        }
    }

    /// The answer that was given last broke off, which may have begun a cooldown.
    pub(crate) fn broke(&mut self, fault: &Fault, set_aside: bool) {
        let now = self.app.clock.now();
        if let Some(hop) = self.playing() {
            hop.set_aside = set_aside;
            hop.broke_at = Some(now);
            hop.kind = Some(fault.kind);
            hop.detail.clone_from(&fault.detail);
        }
    }

    /// The answer has begun with this status.
    pub(crate) fn began(&mut self, status: u16) {
        self.status = status;
        if self.stream {
            self.app.metrics.stream_began();
            self.first_word = Some(self.arrived.until(self.app.clock.now()));
        }
    }

    /// How it ended for the client.
    pub(crate) fn ended(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// The request was refused with this status.
    pub(crate) fn refused(&mut self, status: u16) {
        self.status = status;
        self.outcome = Outcome::Refused;
    }

    /// Adds the tokens of an answer, or of a part of it.
    pub(crate) fn used(&mut self, usage: &Usage) {
        if let Some(hop) = self.playing() {
            add(&mut hop.usage, usage);
        }
        add(&mut self.usage, usage);
    }

    /// Adds tokens that nobody counted.
    pub(crate) fn used_about(&mut self, tokens: u64) {
        if let Some(hop) = self.playing() {
            hop.estimated = hop.estimated.saturating_add(tokens);
        }
        add(&mut self.usage, &Usage { total_tokens: Some(tokens), ..Usage::default() });
        self.is_estimated = true;
    }

    /// The attempt whose answer goes to the client.
    fn playing(&mut self) -> Option<&mut Hop> {
        self.hops.iter_mut().rev().find(|hop| hop.answered)
    }

    /// The attempt that served last, if one did.
    fn served(&self) -> Option<&Hop> {
        self.hops.iter().rev().find(|hop| hop.answered)
    }
}

/// What web servers commonly log for a client that went away before its answer.
const CLIENT_LEFT: u16 = 499;

impl Drop for Recording {
    fn drop(&mut self) {
        let now = self.app.clock.now();
        if let Some(mut hop) = self.under_way.take() {
            hop.took = hop.started.until(now);
            self.hops.push(hop);
        }
        self.count(now);
        #[cfg(feature = "otlp")]
        self.trace(now);
        let word = |of: fn(&Hop) -> &str| self.served().map(of).unwrap_or_default().to_owned();
        let mut record = Record {
            id: self.app.next_record(self.arrived),
            at: self.arrived.as_millis(),
            endpoint: endpoint_word(self.endpoint).into(),
            provider: word(Hop::provider),
            key: word(Hop::key),
            model: word(|hop| &hop.model),
            asked: std::mem::take(&mut self.asked),
            stream: self.stream,
            status: self.told_status(),
            outcome: self.outcome.word().into(),
            prompt_tokens: self.usage.prompt_tokens,
            completion_tokens: self.usage.completion_tokens,
            total_tokens: self.usage.total_tokens,
            estimated: self.is_estimated,
            cost_nanos: None,
            first_token_ms: self.first_word.map(millis),
            duration_ms: millis(self.arrived.until(now)),
            hops: Vec::new(),
            skipped: std::mem::take(&mut self.skipped),
        };
        // A lone attempt that was answered says nothing more.
        if !matches!(self.hops.as_slice(), [only] if only.answered && only.kind.is_none()) {
            record.hops = self.hops.drain(..).map(Hop::remembered).collect();
        }
        self.app.remember(record, &self.world);
    }
}

/// Adds the tokens of a part.
fn add(sum: &mut Usage, part: &Usage) {
    let add = |slot: &mut Option<u64>, more: Option<u64>| {
        if let Some(more) = more {
            *slot = Some(slot.unwrap_or(0).saturating_add(more));
        }
    };
    add(&mut sum.prompt_tokens, part.prompt_tokens);
    add(&mut sum.completion_tokens, part.completion_tokens);
    add(&mut sum.total_tokens, part.total());
}

/// A name from outside, of which no more is kept than a person reads.
fn shortened(name: &str) -> String {
    name[..name.floor_char_boundary(LONGEST_NAME)].to_owned()
}

const fn endpoint_word(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Chat => "chat",
        Endpoint::Completions => "completions",
    }
}
