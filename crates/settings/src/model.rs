//! What a configuration means, with everything checked: a `Settings` that exists is valid.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::catalogue::{AuthStyle, StreamUsage};
use crate::endpoints::Endpoints;
use crate::params::ParamRule;
use crate::secret::Secret;
use crate::traits::{LackRule, Lacks, LimitScope, Prefill, PrefillRule, SlowFirstToken};
use crate::values::DailyReset;

/// A valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The proxy's own door.
    pub server: Server,
    /// How requests move between providers.
    pub rotation: Rotation,
    /// What is kept across restarts.
    pub memory: Memory,
    /// The usable providers in the order in which they are tried; empty if none has a key.
    pub providers: Vec<Provider>,
    /// The named chains.
    pub chains: Vec<Chain>,
    /// The providers that are not used, with the reason.
    pub skipped: Vec<Skipped>,
    /// Providers of the catalogue whose keys are there, but which the file does not name.
    pub unlisted: Vec<Unlisted>,
    /// Sentences for the log.
    pub warnings: Vec<String>,
}

/// A provider of the catalogue that is not used although its key is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// Its name in the catalogue.
    pub name: String,
    /// The variable that holds the key.
    pub variable: String,
}

/// What is kept across restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Where it is kept.
    pub place: StatePlace,
    /// How long single requests are remembered, in days.
    pub history_days: u32,
    /// The size of the file in bytes beyond which the oldest requests are forgotten earlier.
    pub most_bytes: u64,
}

/// Where the proxy's memory is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatePlace {
    /// In the platform's folder.
    Platform,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere: it ends with the process.
    Nowhere,
}

/// The proxy's own door.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The address or name to listen on.
    pub host: String,
    /// The port to listen on; 0 lets the system choose.
    pub port: u16,
    /// The keys of which a client must send one; empty means none is asked for.
    pub api_keys: Vec<Secret>,
    /// Further values of `Host` that are answered, in lower case.
    pub allowed_hosts: Vec<String>,
    /// Further values of `Origin` that are answered, in lower case.
    pub allowed_origins: Vec<String>,
    /// The largest request body in bytes.
    pub max_body: u64,
    /// A file of further certificate authorities for the providers' side (PEM).
    pub ca_file: Option<PathBuf>,
    /// The zone of the daily counters; `None` is the machine's own.
    pub timezone: Option<TimeZone>,
}

impl Server {
    /// Tells whether the configured host can be reached from this machine only.
    pub fn is_loopback(&self) -> bool {
        crate::url::is_loopback(&self.host)
    }

    /// Tells whether the configured host stands for every address of this machine.
    pub fn is_wildcard(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified())
    }
}

/// How requests move between providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The cooldown of a 429 that names no time.
    pub default_cooldown: Duration,
    /// The longest stated wait for which a request stays with a preferred deployment.
    pub wait_in_place: Duration,
    /// The longest time a request waits when every deployment is cooling.
    pub max_wait: Duration,
    /// The longest time for a connection to be made.
    pub connect_timeout: Duration,
    /// The longest silence before the first meaningful event of a stream.
    pub first_token_timeout: Duration,
    /// The longest silence before the head of a plain reply.
    pub response_timeout: Duration,
    /// The longest silence between events of a stream that has begun.
    pub stall_timeout: Duration,
    /// The longest time from a request's arrival to the beginning of its answer.
    pub request_timeout: Duration,
    /// What becomes of a model name that nobody lists.
    pub unknown_model: UnknownModel,
    /// What becomes of a stream that is cut after it began.
    pub stream_recovery: StreamRecovery,
    /// Whether providers of the paid tier are used.
    pub allow_paid: bool,
    /// How often a comment is sent to a client that waits for its stream; `None` is never.
    pub heartbeat: Option<Duration>,
    /// How the keys of one provider are used.
    pub keys: KeyOrder,
}

/// What becomes of a model name that nobody lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownModel {
    /// Each provider's own model takes its place.
    Substitute,
    /// It goes on as it is.
    Pass,
    /// The request is refused with 404.
    Reject,
}

/// What becomes of a stream that is cut after it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRecovery {
    /// It is continued on another deployment where that is safe.
    Auto,
    /// It ends with an error event.
    Off,
}

/// How the keys of one provider are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    /// The first one until it is set aside, then the next.
    InOrder,
    /// In turn.
    Spread,
}

/// One usable provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The name; no two providers share one.
    pub name: String,
    /// The id of the catalogue's entry whose facts are used.
    pub catalogue_id: Option<&'static str>,
    /// Lower is tried first.
    pub priority: i64,
    /// The URLs.
    pub endpoints: Endpoints,
    /// Whether legacy completions are served; `None` if that is unknown.
    pub legacy_completions: Option<bool>,
    /// How a key is sent.
    pub auth: AuthStyle,
    /// The keys, each once; empty if the provider needs none.
    pub keys: Vec<ProviderKey>,
    /// How the keys are used; `None` follows `Rotation::keys`.
    pub key_order: Option<KeyOrder>,
    /// The models, the preferred one first; never empty.
    pub models: Vec<ModelChoice>,
    /// Declared limits.
    pub limits: Limits,
    /// When daily limits begin anew, if that is known.
    pub reset: Option<DailyReset>,
    /// Whether its use costs money, if that was said.
    pub tier: Option<Tier>,
    /// Times that differ from `Rotation`.
    pub timeouts: Timeouts,
    /// Request parameters to leave out, as the configuration says.
    pub drop_params: Vec<String>,
    /// Request parameters to leave out or rename, as the catalogue says.
    pub param_rules: &'static [ParamRule],
    /// Whether token usage of a stream may be asked for.
    pub stream_usage: StreamUsage,
    /// The output tokens that are taken from the quota when a request names no maximum, if known.
    pub assumed_output: Option<u64>,
    /// Whether what is taken from the quota for an answer stays taken, however short it is.
    pub keeps_reserved: bool,
    /// What it is known not to take, by catalogue and configuration; see [`Provider::lacks`].
    pub lack_rules: Vec<LackRule>,
    /// Which models are slow, as the catalogue says; see [`Provider::usual_first_token`].
    pub slow_first_token: &'static [SlowFirstToken],
    /// Further headers with lower-case names; values are kept as secrets.
    pub headers: Vec<(String, Secret)>,
    /// Whether it continues an answer that is given as the last message, as the configuration
    /// says; see [`Provider::prefill_for`].
    pub prefill: Option<bool>,
    /// How it continues such an answer, as the catalogue says.
    pub prefill_rules: &'static [PrefillRule],
}

impl Provider {
    /// Returns what a model is known not to take.
    pub fn lacks(&self, model: &str) -> Lacks {
        let meant = self.lack_rules.iter().filter(|rule| rule.applies_to(model));
        meant.fold(Lacks::default(), |lacks, rule| lacks.or(rule.lacks))
    }

    /// Returns the usual time to the first token of a model that is known to be slow.
    pub fn usual_first_token(&self, model: &str) -> Option<Duration> {
        SlowFirstToken::usual(self.slow_first_token, model)
    }

    /// Returns whether and how a model continues an answer that is given as the last message.
    ///
    /// The configuration decides on whether, the catalogue on how.
    pub fn prefill_for(&self, model: &str) -> Prefill {
        let known = Prefill::find(self.prefill_rules, model, &self.endpoints.chat);
        match (self.prefill, known) {
            (Some(false), _) => Prefill::No,
            (Some(true), Prefill::Unknown | Prefill::No) => Prefill::Plain,
            (Some(true) | None, known) => known,
        }
    }
}

/// One key of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderKey {
    /// The key.
    pub secret: Secret,
    /// What is shown in its place, 8 hex digits.
    pub fingerprint: String,
}

/// Which model of a provider is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelChoice {
    /// The first chat model of the provider's own list.
    Auto,
    /// This id.
    Named(String),
}

/// What a provider allows, as far as it was declared; all numbers are at least 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests in a second.
    pub rps: Option<u64>,
    /// Requests in a minute.
    pub rpm: Option<u64>,
    /// Requests in a day.
    pub rpd: Option<u64>,
    /// Tokens in a minute.
    pub tpm: Option<u64>,
    /// Tokens in a day.
    pub tpd: Option<u64>,
    /// Requests at the same time.
    pub concurrent: Option<u64>,
    /// For what the numbers of requests and tokens count.
    pub scope: LimitScope,
    /// Tokens of the context window.
    pub context: Option<u64>,
    /// Tokens of the longest answer.
    pub max_output: Option<u64>,
}

/// Whether the use of a provider costs money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// It does not.
    Free,
    /// It does.
    Paid,
}

/// Times of one provider that differ from those of `Rotation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// As `Rotation::connect_timeout`.
    pub connect: Option<Duration>,
    /// As `Rotation::first_token_timeout`.
    pub first_token: Option<Duration>,
    /// As `Rotation::response_timeout`.
    pub response: Option<Duration>,
    /// As `Rotation::stall_timeout`.
    pub stall: Option<Duration>,
    /// As `Rotation::request_timeout`.
    pub request: Option<Duration>,
}

/// A named order of providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The name under which a client asks for it.
    pub name: String,
    /// What is tried, in this order; empty if none of its providers is usable.
    pub steps: Vec<Step>,
}

/// One step of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name of a usable provider.
    pub provider: String,
    /// The model; `None` is the provider's own.
    pub model: Option<String>,
}

/// A provider that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why, with the variables that were looked for.
    pub reason: String,
}
