//! A provider with true limits: keys, models, quotas, and the words of a real one when they end.

mod dialect;
mod meter;
mod refusals;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::ALLOW;
use http::{HeaderName, HeaderValue, Method};

use crate::answer::Answer;
use crate::asked::{Asked, is_object};
use crate::behaviour::{fault, model, model_list};
use crate::journal::Recorded;
use crate::reply::Reply;

pub use dialect::HeaderDialect;
pub use meter::{Admission, Dimension, Gauge, Meter, Quotas, Refill, Refusal, Standing};

/// What a simulated provider has to say, one sentence after the other.
const SENTENCES: [&str; 6] = [
    "Every socket here is real, only the wisdom is simulated.",
    "A short queue and a kind word make any afternoon shorter.",
    "Somewhere a quota has just been refilled, and nobody applauded.",
    "The kettle is on, the packets are in order, and all is well.",
    "Patience is a fine virtue, but another provider is faster.",
    "If this sentence reaches you word by word, streaming works.",
];

/// A provider that counts and refuses.
///
/// The tokens of a request are estimated as a quarter of its body's bytes plus `max_tokens` (or
/// `max_completion_tokens`), or plus the length of the coming answer if neither is given, and are
/// charged when it is admitted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Who says hello in the answers.
    pub name: String,
    /// How much is allowed.
    pub quotas: Quotas,
    /// How spent budget comes back.
    pub refill: Refill,
    /// Over which span it counts what its documents call a minute.
    pub minute: Duration,
    /// Who shares a budget.
    pub scope: Scope,
    /// Whose headers and errors are imitated.
    pub dialect: HeaderDialect,
    /// The bearer keys that are accepted; all, even none, if absent.
    pub keys: Option<Vec<String>>,
    /// The models that exist; all if absent.
    pub models: Option<Vec<String>>,
    /// The wait before an answer's head.
    pub latency: Duration,
    /// The wait before each word of a stream.
    pub pace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name: "simulated".to_owned(),
            quotas: Quotas::default(),
            refill: Refill::default(),
            minute: Duration::from_mins(1),
            scope: Scope::default(),
            dialect: HeaderDialect::default(),
            keys: None,
            models: None,
            latency: Duration::ZERO,
            pace: Duration::ZERO,
        }
    }
}

impl Limits {
    fn meter(&self) -> Meter {
        Meter::counting(&self.quotas, self.refill, self.minute)
    }
}

/// Who shares a budget. Keys and models are told apart only as far as they are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All requests to the provider.
    Provider,
    /// The requests with one key.
    Key,
    /// The requests with one key for one model.
    #[default]
    KeyAndModel,
}

/// The key and the model that share a meter, where the scope and the lists tell them apart.
type Account = (Option<String>, Option<String>);
type Meters = Arc<Mutex<HashMap<Account, Meter>>>;

/// The running state of a limiting provider.
pub(crate) struct Limiting {
    limits: Limits,
    meters: Meters,
}

/// A place among the concurrent requests, given back when dropped.
pub(crate) struct Permit {
    meters: Meters,
    account: Account,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(meter) = lock(&self.meters).get_mut(&self.account) {
            meter.release();
        }
    }
}

impl Limiting {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, meters: Meters::default() }
    }

    /// Answers any request.
    pub(crate) fn answer(&self, request: &Recorded) -> (Reply, Option<Permit>) {
        match self.refuse_caller(request) {
            Some(reply) => (reply, None),
            None if request.method == Method::GET => (self.models(request.bare_path()), None),
            None => self.complete(request),
        }
    }

    /// Refuses unknown paths, wrong methods and unknown keys.
    fn refuse_caller(&self, request: &Recorded) -> Option<Reply> {
        let path = request.bare_path();
        let allowed = match path {
            "/v1/chat/completions" | "/v1/completions" => Method::POST,
            _ if path == "/v1/models" || path.starts_with("/v1/models/") => Method::GET,
            _ => {
                let body = fault(&format!("No such URL: {} {path}", request.method), "unknown_url");
                return Some(Reply::error(404, &body));
            }
        };
        if request.method != allowed {
            let body = fault("Method not allowed", "method_not_allowed");
            let allow = HeaderValue::from_str(allowed.as_str()).ok()?;
            return Some(Reply::error(405, &body).with(ALLOW, allow));
        }
        let known = self.limits.keys.as_ref().is_none_or(|keys| {
            request.key().is_some_and(|key| keys.iter().any(|known| known == key))
        });
        (!known).then(|| self.limits.dialect.unknown_key())
    }

    fn models(&self, path: &str) -> Reply {
        let names = self.limits.models.iter().flatten().map(String::as_str);
        match path.strip_prefix("/v1/models/") {
            None => Reply::json(200, &model_list(names)),
            Some(name) if self.knows(name) => Reply::json(200, &model(name)),
            Some(name) => self.limits.dialect.unknown_model(name),
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.limits.models.as_ref().is_none_or(|models| models.iter().any(|model| model == name))
    }

    fn complete(&self, request: &Recorded) -> (Reply, Option<Permit>) {
        if !is_object(&request.body) {
            return (
                Reply::error(400, &fault("The body is not a JSON object", "invalid_json")),
                None,
            );
        }
        let asked = Asked::read(request.bare_path(), &request.body);
        if !self.knows(&asked.model) {
            return (self.limits.dialect.unknown_model(&asked.model), None);
        }
        let answer = self.compose(request.number, asked.max_tokens);
        let reserved = asked.max_tokens.unwrap_or(answer.tokens());
        let tokens = asked.prompt_tokens.saturating_add(reserved);
        let account = self.account(request.key(), &asked.model);
        let mut meters = lock(&self.meters);
        let meter = meters.entry(account.clone()).or_insert_with(|| self.limits.meter());
        let admission = meter.admit(request.at, tokens);
        let standing = meter.standing(request.at);
        drop(meters);
        let dialect = self.limits.dialect;
        match admission {
            Admission::Refused(refusal) => {
                (dialect.refusal(&refusal, &standing, &asked.model, request.at), None)
            }
            Admission::Admitted => {
                let permit = Permit { meters: Arc::clone(&self.meters), account };
                let headers = dialect.headers(&standing, Some(tokens));
                (self.say(answer, headers, request.number), Some(permit))
            }
        }
    }

    fn account(&self, key: Option<&str>, model: &str) -> Account {
        let Limits { scope, keys, models, .. } = &self.limits;
        let by_key = *scope != Scope::Provider && keys.is_some();
        let by_model = *scope == Scope::KeyAndModel && models.is_some();
        (key.filter(|_| by_key).map(ToOwned::to_owned), by_model.then(|| model.to_owned()))
    }

    fn compose(&self, number: u64, max_tokens: Option<u64>) -> Answer {
        let sentence = SENTENCES[(number % SENTENCES.len() as u64) as usize];
        let mut answer = Answer::words(&format!("Hello from {}. {sentence}", self.limits.name));
        let wanted = max_tokens.map_or(usize::MAX, |tokens| tokens as usize);
        if wanted < answer.pieces.len() {
            answer.pieces.truncate(wanted);
            "length".clone_into(&mut answer.finish_reason);
        }
        answer
    }

    fn say(&self, answer: Answer, headers: Vec<(HeaderName, HeaderValue)>, number: u64) -> Reply {
        let reply = Reply::saying(answer).after(self.limits.latency).gap(self.limits.pace);
        let reply = headers.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value));
        match HeaderValue::from_str(&format!("req_sim_{number:06}")) {
            Ok(id) => reply.with(HeaderName::from_static("x-request-id"), id),
            Err(_) => reply,
        }
    }
}

fn lock(meters: &Meters) -> MutexGuard<'_, HashMap<Account, Meter>> {
    meters.lock().unwrap_or_else(PoisonError::into_inner)
}
