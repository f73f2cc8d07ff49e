//! The vocabulary in which an upstream's failure is told: what it was, whom it concerns and when
//! it is over, whatever words the provider used for it.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What went wrong, as far as the choice of what to do next depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Too many requests in a short window, or a rate limit of unknown dimension.
    RateLimited,
    /// Too many tokens in a short window; another request may pass later.
    TokensLimited,
    /// A cap per day (or longer window) of requests or tokens is used up.
    DailyLimit,
    /// Money, credit or a plan's included usage is used up.
    OutOfCredit,
    /// The account has no allowance at all for this model (`limit: 0`).
    NoAllowance,
    /// The key is wrong, revoked or not entitled.
    KeyRejected,
    /// The model is unknown here, or retired.
    ModelMissing,
    /// Shared capacity is short; not this account's doing.
    Overloaded,
    /// A fault inside the provider (5xx and its disguises).
    ServerError,
    /// No connection could be made: refused, no route, DNS, TLS.
    Unreachable,
    /// The connection was closed or reset before an answer.
    ConnectionLost,
    /// Silence for longer than the limit.
    TimedOut,
    /// A reply that is no answer: HTML, empty, an error in a 200, nothing generated.
    NotAnAnswer,
    /// This one request is larger than a per-minute budget or a body limit.
    RequestTooLarge,
    /// The prompt does not fit this model's context window.
    ContextTooLong,
    /// A parameter that this provider refuses.
    ParameterRefused,
    /// A capability (images, tools, JSON schema) that this deployment lacks.
    CapabilityMissing,
    /// What reads like a mistake of the request's own, but may be this provider's alone.
    DoubtfulMistake,
    /// The content was refused by a filter or a moderation rule.
    ContentFiltered,
    /// The request itself is wrong; no provider would take it.
    CallerMistake,
}

impl FaultKind {
    /// All of them, in their order.
    pub const ALL: [Self; 20] = [
        Self::RateLimited,
        Self::TokensLimited,
        Self::DailyLimit,
        Self::OutOfCredit,
        Self::NoAllowance,
        Self::KeyRejected,
        Self::ModelMissing,
        Self::Overloaded,
        Self::ServerError,
        Self::Unreachable,
        Self::ConnectionLost,
        Self::TimedOut,
        Self::NotAnAnswer,
        Self::RequestTooLarge,
        Self::ContextTooLong,
        Self::ParameterRefused,
        Self::CapabilityMissing,
        Self::DoubtfulMistake,
        Self::ContentFiltered,
        Self::CallerMistake,
    ];

    /// The word used for this kind in `/status`, logs and error bodies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::TokensLimited => "tokens_limited",
            Self::DailyLimit => "daily_limit",
            Self::OutOfCredit => "out_of_credit",
            Self::NoAllowance => "no_allowance",
            Self::KeyRejected => "key_rejected",
            Self::ModelMissing => "model_missing",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::Unreachable => "unreachable",
            Self::ConnectionLost => "connection_lost",
            Self::TimedOut => "timed_out",
            Self::NotAnAnswer => "not_an_answer",
            Self::RequestTooLarge => "request_too_large",
            Self::ContextTooLong => "context_too_long",
            Self::ParameterRefused => "parameter_refused",
            Self::CapabilityMissing => "capability_missing",
            Self::DoubtfulMistake => "doubtful_mistake",
            Self::ContentFiltered => "content_filtered",
            Self::CallerMistake => "caller_mistake",
        }
    }
}

/// Whom a fault concerns; everything inside the scope is set aside together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Only the request that met it: nothing is set aside.
    Request,
    /// One key with one model.
    Deployment,
    /// One model of the provider, whichever key asks.
    Model,
    /// All models of the key whose id ends in this suffix, such as `:free`.
    ModelClass(String),
    /// One key (an account), whichever model it asks for.
    Key,
    /// The whole provider.
    Provider,
}

impl Scope {
    /// The word used for this scope in `/status`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Deployment => "deployment",
            Self::Model => "model",
            Self::ModelClass(_) => "model_class",
            Self::Key => "key",
            Self::Provider => "provider",
        }
    }
}

/// Where a time came from. A time that was guessed is probed; any other is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The provider said it in a header, a field or its prose.
    Stated,
    /// Computed from what the provider said of its budgets or from its calendar.
    Computed,
    /// Learned from what earlier successful replies said is left.
    Learned,
    /// From the limits that the configuration declares.
    Declared,
    /// Nobody said it: our own default.
    Guessed,
    /// A person asked for it.
    Person,
}

impl Origin {
    /// The word used for this origin in `/status` and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Computed => "computed",
            Self::Learned => "learned",
            Self::Declared => "declared",
            Self::Guessed => "guessed",
            Self::Person => "person",
        }
    }
}

/// When a fault is over, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// The first moment at which a request makes sense again.
    pub at: Timestamp,
    /// How the moment is known.
    pub origin: Origin,
}

/// One failure of one attempt, read and understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What went wrong.
    pub kind: FaultKind,
    /// Whom it concerns.
    pub scope: Scope,
    /// When it is over, if the provider said so or its calendar tells. A guessed time is the first
    /// guess for faults of its kind: it grows with each repeat.
    pub resume: Option<Resume>,
    /// The provider's own words, short; free of keys before it is shown.
    pub detail: String,
    /// Whether it may be the key's or what this request asked of it, and nothing tells which.
    pub is_vague: bool,
}

impl Fault {
    /// A fault without a known end.
    pub fn new(kind: FaultKind, scope: Scope, detail: impl Into<String>) -> Self {
        Self { kind, scope, resume: None, detail: detail.into(), is_vague: false }
    }

    /// When it is over, unless that is a guess.
    pub fn known_end(&self) -> Option<Timestamp> {
        self.resume.filter(|resume| resume.origin != Origin::Guessed).map(|resume| resume.at)
    }

    /// The same fault, over at a moment that is known from `origin`.
    #[must_use]
    pub fn until(mut self, at: Timestamp, origin: Origin) -> Self {
        self.resume = Some(Resume { at, origin });
        self
    }

    /// When it is over, if the provider itself stated that.
    pub fn stated_end(&self) -> Option<Timestamp> {
        self.resume.filter(|resume| resume.origin == Origin::Stated).map(|resume| resume.at)
    }
}

#[cfg(test)]
mod tests {
    use super::FaultKind;

    #[test]
    fn every_kind_stands_at_its_place() {
        let places = FaultKind::ALL.map(|kind| kind as usize);
        assert!(places.iter().copied().eq(0..FaultKind::ALL.len()));
        // The last one; a kind after it is missing from the list.
        assert_eq!(FaultKind::CallerMistake as usize + 1, FaultKind::ALL.len());
    }
}
