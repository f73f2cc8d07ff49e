//! What is counted of one provider and of each of its models. A route holds them, so that a
//! request counts without looking anything up; a reload hands them on by name.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use engine::FaultKind;
use wire::Endpoint;
use wire::usage::Usage;

use super::histogram::{DURATION, FIRST_TOKEN, Histogram, Measure, PER_TOKEN, TOKENS};

/// The label of models that the configuration does not name.
const OTHER: &str = "other";

/// What may come of an attempt besides a fault.
const ANSWERED: usize = FaultKind::ALL.len();
const INTERRUPTED: usize = ANSWERED + 1;
const LEFT: usize = ANSWERED + 2;
const RESULTS: usize = ANSWERED + 3;

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// An answer.
    Answered,
    /// An answer that broke off.
    Interrupted,
    /// Nothing: the client left before.
    Left,
    /// A fault.
    Failed(FaultKind),
}

impl Came {
    const fn index(self) -> usize {
        match self {
            Self::Answered => ANSWERED,
            Self::Interrupted => INTERRUPTED,
            Self::Left => LEFT,
            Self::Failed(kind) => kind as usize,
        }
    }

    const fn word_of(index: usize) -> &'static str {
        match index {
            ANSWERED => "answered",
            INTERRUPTED => "interrupted",
            LEFT => "left",
            fault => FaultKind::ALL[fault].as_str(),
        }
    }
}

/// What is counted of one provider.
#[derive(Debug)]
pub(crate) struct ProviderMeters {
    results: [AtomicU64; RESULTS],
    cooldowns: [AtomicU64; FaultKind::ALL.len()],
    tokens: AtomicU64,
    estimated_tokens: AtomicU64,
}

impl ProviderMeters {
    fn new() -> Self {
        Self {
            results: [const { AtomicU64::new(0) }; RESULTS],
            cooldowns: [const { AtomicU64::new(0) }; FaultKind::ALL.len()],
            tokens: AtomicU64::new(0),
            estimated_tokens: AtomicU64::new(0),
        }
    }

    /// Counts an attempt. One that was answered and broke off counts as both.
    pub(crate) fn came(&self, came: Came) {
        add(&self.results[came.index()], 1);
    }

    /// Counts a cooldown that began.
    pub(crate) fn set_aside(&self, kind: FaultKind) {
        add(&self.cooldowns[kind as usize], 1);
    }

    /// Counts tokens that it reported.
    pub(crate) fn used(&self, tokens: u64) {
        add(&self.tokens, tokens);
    }

    /// Counts tokens that nobody counted.
    pub(crate) fn used_about(&self, tokens: u64) {
        add(&self.estimated_tokens, tokens);
    }

    /// The results that there were, and always the answers.
    pub(crate) fn results(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.results.iter().map(|count| count.load(Ordering::Relaxed)).enumerate();
        let told = counts.filter(|(index, count)| *count > 0 || *index == ANSWERED);
        told.map(|(index, count)| (Came::word_of(index), count))
    }

    /// The cooldowns that there were.
    pub(crate) fn cooldowns(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = FaultKind::ALL.into_iter().zip(&self.cooldowns);
        let counts = counts.map(|(kind, count)| (kind.as_str(), count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0)
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    pub(crate) fn estimated_tokens(&self) -> u64 {
        self.estimated_tokens.load(Ordering::Relaxed)
    }
}

fn add(count: &AtomicU64, more: u64) {
    if more > 0 {
        count.fetch_add(more, Ordering::Relaxed);
    }
}

/// A histogram that takes no room until something is counted.
#[derive(Debug)]
pub(crate) struct Lazy {
    measure: &'static Measure,
    histogram: OnceLock<Histogram>,
}

impl Lazy {
    const fn new(measure: &'static Measure) -> Self {
        Self { measure, histogram: OnceLock::new() }
    }

    fn get(&self) -> &Histogram {
        self.histogram.get_or_init(|| Histogram::new(self.measure))
    }

    pub(crate) fn seen(&self) -> Option<&Histogram> {
        self.histogram.get()
    }
}

/// How a request ended for its client, as far as durations are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With an answer.
    Well,
    /// With an answer that broke off.
    Interrupted,
    /// With an error.
    Refused,
    /// The client left.
    Left,
}

impl Ended {
    const ALL: [Self; 4] = [Self::Well, Self::Interrupted, Self::Refused, Self::Left];

    const fn error(self) -> Option<&'static str> {
        match self {
            Self::Well => None,
            Self::Interrupted => Some("interrupted"),
            Self::Refused => Some("refused"),
            Self::Left => Some("left"),
        }
    }
}

/// What is measured of one model at one endpoint.
#[derive(Debug)]
pub(crate) struct Meters {
    attempts: [Lazy; RESULTS],
    requests: [Lazy; Ended::ALL.len()],
    pub(crate) input: Lazy,
    pub(crate) output: Lazy,
    pub(crate) first_chunk: Lazy,
    pub(crate) first_token: Lazy,
    pub(crate) per_token: Lazy,
}

impl Meters {
    fn new() -> Self {
        Self {
            attempts: [const { Lazy::new(&DURATION) }; RESULTS],
            requests: [const { Lazy::new(&DURATION) }; Ended::ALL.len()],
            input: Lazy::new(&TOKENS),
            output: Lazy::new(&TOKENS),
            first_chunk: Lazy::new(&FIRST_TOKEN),
            first_token: Lazy::new(&FIRST_TOKEN),
            per_token: Lazy::new(&PER_TOKEN),
        }
    }

    /// An attempt took so long.
    pub(crate) fn attempt(&self, came: Came, took: Duration) {
        self.attempts[came.index()].get().add_span(took);
    }

    /// A request took so long, from its arrival to the end of its answer.
    pub(crate) fn request(&self, ended: Ended, took: Duration) {
        self.requests[ended as usize].get().add_span(took);
    }

    /// The client saw its first token after so long.
    pub(crate) fn first_token(&self, span: Duration) {
        self.first_token.get().add_span(span);
    }

    /// A stream's first event came `first` after the attempt began, and its end after `whole`.
    pub(crate) fn streamed(&self, first: Duration, whole: Duration, output: Option<u64>) {
        self.first_chunk.get().add_span(first);
        if let Some(further) = output.and_then(|tokens| tokens.checked_sub(1)).filter(|n| *n > 0) {
            let micros = whole.saturating_sub(first).as_micros() / u128::from(further);
            self.per_token.get().add(u64::try_from(micros).unwrap_or(u64::MAX));
        }
    }

    /// The provider reported these tokens.
    pub(crate) fn used(&self, usage: &Usage) {
        let parts = [(&self.input, usage.prompt_tokens), (&self.output, usage.completion_tokens)];
        for (part, tokens) in parts {
            if let Some(tokens) = tokens {
                part.get().add(tokens);
            }
        }
    }

    /// The durations of attempts, by what came of them; `None` is an answer.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = (Option<&'static str>, &Lazy)> {
        self.attempts.iter().enumerate().map(|(index, durations)| {
            ((index != ANSWERED).then(|| Came::word_of(index)), durations)
        })
    }

    /// The durations of requests, by how they ended; `None` is well.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (Option<&'static str>, &Lazy)> {
        Ended::ALL.into_iter().map(Ended::error).zip(&self.requests)
    }
}

/// What is measured of one model.
#[derive(Debug, Default)]
pub(crate) struct ModelMeters {
    chat: OnceLock<Box<Meters>>,
    completions: OnceLock<Box<Meters>>,
}

impl ModelMeters {
    /// Those of an endpoint.
    pub(crate) fn at(&self, endpoint: Endpoint) -> &Meters {
        let meters = match endpoint {
            Endpoint::Chat => &self.chat,
            Endpoint::Completions => &self.completions,
        };
        meters.get_or_init(|| Box::new(Meters::new()))
    }

    /// Those that were used, with the operation's name in the conventions.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (&'static str, &Meters)> {
        let both = [("chat", &self.chat), ("text_completion", &self.completions)];
        both.into_iter().filter_map(|(operation, meters)| Some((operation, &**meters.get()?)))
    }
}

/// What is counted of a provider and its models, as one configuration names them.
#[derive(Debug)]
pub(crate) struct RouteMeters {
    pub(crate) provider: Arc<ProviderMeters>,
    /// By model.
    models: Vec<(String, Arc<ModelMeters>)>,
    /// Where those count that the configuration does not name.
    other: usize,
}

impl RouteMeters {
    /// The meters of a provider with these models. Those of `before` that keep their names go on.
    pub(crate) fn new(models: impl Iterator<Item = String>, before: Option<&Self>) -> Self {
        let provider = before.map(|before| Arc::clone(&before.provider));
        let mut all: Vec<(String, Arc<ModelMeters>)> = Vec::new();
        for name in models.chain([OTHER.to_owned()]) {
            if all.iter().all(|(known, _)| *known != name) {
                let meters = before.and_then(|before| before.model_named(&name));
                all.push((name, meters.unwrap_or_default()));
            }
        }
        let other = all.iter().position(|(name, _)| name == OTHER).unwrap_or(0);
        let provider = provider.unwrap_or_else(|| Arc::new(ProviderMeters::new()));
        Self { provider, models: all, other }
    }

    fn model_named(&self, name: &str) -> Option<Arc<ModelMeters>> {
        let found = self.models.iter().find(|(known, _)| known == name);
        found.map(|(_, meters)| Arc::clone(meters))
    }

    /// Where a model counts.
    pub(crate) fn index_of(&self, model: &str) -> usize {
        self.models.iter().position(|(known, _)| known == model).unwrap_or(self.other)
    }

    /// The meters at an index.
    pub(crate) fn model(&self, index: usize) -> &ModelMeters {
        &self.models[index.min(self.models.len() - 1)].1
    }

    /// The models with their names.
    pub(crate) fn models(&self) -> impl Iterator<Item = (&str, &ModelMeters)> {
        self.models.iter().map(|(name, meters)| (name.as_str(), &**meters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str], before: Option<&RouteMeters>) -> RouteMeters {
        RouteMeters::new(names.iter().map(|name| (*name).to_owned()), before)
    }

    #[test]
    fn what_the_configuration_does_not_name_counts_as_other() {
        let meters = named(&["a", "b"], None);
        assert_eq!([meters.index_of("b"), meters.index_of("of a client")], [1, 2]);
        assert_eq!(meters.models().last().map(|(name, _)| name), Some("other"));
    }

    #[test]
    fn a_model_that_is_called_other_is_there_once() {
        let meters = named(&["other", "a", "a"], None);
        assert_eq!(meters.models().map(|(name, _)| name).collect::<Vec<_>>(), ["other", "a"]);
        assert_eq!(meters.index_of("x"), 0);
    }

    #[test]
    fn what_keeps_its_name_keeps_its_counts() {
        let before = named(&["a", "b"], None);
        before.provider.came(Came::Failed(FaultKind::RateLimited));
        before.model(1).at(Endpoint::Chat).attempt(Came::Answered, Duration::from_secs(1));
        let after = named(&["c", "b"], Some(&before));
        assert_eq!(
            after.provider.results().collect::<Vec<_>>(),
            [("rate_limited", 1), ("answered", 0)]
        );
        assert!(Arc::ptr_eq(&after.models[1].1, &before.models[1].1));
        assert_eq!(after.model(0).seen().count(), 0);
    }

    #[test]
    fn each_further_token_has_its_part_of_the_time() {
        let meters = Meters::new();
        meters.streamed(Duration::from_secs(1), Duration::from_secs(3), Some(5));
        meters.streamed(Duration::from_secs(1), Duration::from_secs(3), Some(1));
        let spread = meters.per_token.seen().and_then(Histogram::spread).unwrap();
        assert_eq!((spread.count, spread.sum), (1, 0.5));
    }
}
