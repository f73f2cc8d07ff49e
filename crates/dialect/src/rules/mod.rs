//! The fingerprints of faults, as one ordered table: the first entry that fits a reply says what
//! it means. What decides is before what merely hints, money before windows, wording before
//! status. A new dialect is one entry here and one reply among the tests.

mod aggregator;
mod allowance;
mod capacity;
mod doubt;
mod fetch;
mod key;
mod limit;
mod model;
mod moderation;
mod refused;
mod request;
mod status;

use engine::{FaultKind, Resume, Scope};

use crate::body::ErrorBody;
use crate::clock::{Clock, resume};
use crate::defaults;
use crate::evidence::{Evidence, Sign};
use crate::form;
use crate::parameter;

#[cfg(test)]
mod tests;

/// The table, section by section.
const TABLE: &[&[Rule]] = &[
    moderation::RULES,
    fetch::RULES,
    aggregator::RULES,
    allowance::RULES,
    key::RULES,
    model::RULES,
    capacity::RULES,
    request::RULES,
    limit::RULES,
    refused::RULES,
    status::RULES,
];

/// The statuses a rule is for.
#[derive(Debug, Clone, Copy)]
enum Statuses {
    Any,
    Of(&'static [u16]),
    From(u16, u16),
}

/// Whom a fault concerns, where that may hang on the reply.
#[derive(Debug, Clone, Copy)]
enum Whom {
    Request,
    Deployment,
    Model,
    Key,
    /// The key, unless it is known to be good: then what this request asked of it.
    KeyPerhaps,
    Provider,
    /// All models of the key that are free of charge.
    FreeModels,
    /// Whose the limit is by the text, else by the provider's habit.
    Bucket,
    /// The model or the provider, by the wording.
    Outage,
}

/// One fingerprint. What is empty does not matter; `labels` and `any` are two ways to fit, and
/// one of them is enough.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// What is recognised; unique. It stands in for the words of a reply that has none.
    name: &'static str,
    statuses: Statuses,
    /// Catalogue ids.
    providers: &'static [&'static str],
    /// Codes, types, status words or reasons, whole and in lower case.
    labels: &'static [&'static str],
    /// Phrases of which the text has one, in lower case.
    any: &'static [&'static str],
    /// Phrases of which the text has each.
    all: &'static [&'static str],
    /// Phrases of which the text has none.
    none: &'static [&'static str],
    /// Signs of which the reply shows each.
    signs: &'static [Sign],
    kind: FaultKind,
    whom: Whom,
    clock: Clock,
}

/// What the entries of the table leave unsaid.
const ANY: Rule = Rule {
    name: "",
    statuses: Statuses::Any,
    providers: &[],
    labels: &[],
    any: &[],
    all: &[],
    none: &[],
    signs: &[],
    kind: FaultKind::ServerError,
    whom: Whom::Model,
    clock: Clock::Never,
};

/// What a reply means by the table.
pub(crate) struct Meaning {
    /// What was recognised, in a few words.
    pub(crate) name: &'static str,
    pub(crate) kind: FaultKind,
    pub(crate) scope: Scope,
    pub(crate) resume: Option<Resume>,
    /// Whether it is the key's fault only if that has never served.
    pub(crate) is_vague: bool,
}

/// The status that a type, a code or a status word stands for, where no number is given.
const WORDS: &[(u16, &[&str])] = &[
    (529, &["overloaded_error"]),
    (503, &["unavailable", "service_unavailable_error"]),
    (504, &["deadline_exceeded", "timeout_error"]),
    (500, &["api_error", "server_error", "internal", "internal_error", "internal_server_error"]),
    (402, &["billing_error"]),
    (401, &["authentication_error", "unauthenticated"]),
    (403, &["permission_error", "permission_denied"]),
    (404, &["not_found_error"]),
    (413, &["request_too_large"]),
    (
        429,
        &[
            "rate_limit_error",
            "rate_limit_exceeded",
            "rate_limited",
            "resource_exhausted",
            "too_many_requests_error",
            "too_many_tokens_error",
        ],
    ),
    (400, &["invalid_request_error", "invalid_argument"]),
];

/// The status that the words of a body stand for.
pub(crate) fn status_of(body: &ErrorBody) -> Option<u16> {
    WORDS.iter().find(|(_, words)| body.is_labelled(words)).map(|&(status, _)| status)
}

/// Finds what a reply means.
pub(crate) fn meaning(seen: &Evidence<'_>) -> Meaning {
    let rule = first(seen);
    let (name, kind) = (rule.name, kind(rule.kind, seen));
    let is_vague = matches!(rule.whom, Whom::KeyPerhaps);
    Meaning { name, kind, scope: rule.scope(seen), resume: resume(rule.clock, seen), is_vague }
}

/// The kind of fault that a rule names, narrowed by what is refused.
fn kind(found: FaultKind, seen: &Evidence<'_>) -> FaultKind {
    let kind = if found == FaultKind::ParameterRefused { refused(seen) } else { found };
    let is_refused = matches!(kind, FaultKind::CapabilityMissing | FaultKind::ParameterRefused);
    if is_refused && form::refuses_a_wrong_value(&seen.body, &seen.sent) {
        return FaultKind::CallerMistake;
    }
    let is_doubtful = is_refused && doubt::may_be_of_the_request(seen)
        || kind == FaultKind::CallerMistake && doubt::may_be_of_the_account(seen);
    if is_doubtful { FaultKind::DoubtfulMistake } else { kind }
}

/// What it means that a parameter is refused.
fn refused(seen: &Evidence<'_>) -> FaultKind {
    let name = parameter::refused(&seen.body, &seen.sent);
    let is_essential = name.is_some_and(|name| {
        parameter::is_essential(&name) && !defaults::holds_anyway(&name, &seen.body, &seen.sent)
    });
    if is_essential && !seen.shows(Sign::MeansNothing) {
        FaultKind::CapabilityMissing
    } else {
        FaultKind::ParameterRefused
    }
}

fn first(seen: &Evidence<'_>) -> Rule {
    TABLE.iter().copied().flatten().copied().find(|rule| rule.fits(seen)).unwrap_or(ANY)
}

impl Rule {
    fn fits(&self, seen: &Evidence<'_>) -> bool {
        self.statuses.hold(seen.status)
            && (self.providers.is_empty() || self.providers.contains(&seen.provider))
            && self.is_worded(seen)
            && self.all.iter().all(|phrase| seen.text().contains(phrase))
            && !seen.says(self.none)
            && self.signs.iter().all(|&sign| seen.shows(sign))
    }

    fn is_worded(&self, seen: &Evidence<'_>) -> bool {
        let free = self.labels.is_empty() && self.any.is_empty();
        free || seen.body.is_labelled(self.labels) || self.is_said(seen)
    }

    /// What sets nothing aside may be in words that the client has too, since it is its request
    /// that is meant, but not in those that are given back to it.
    fn is_said(&self, seen: &Evidence<'_>) -> bool {
        if matches!(self.whom, Whom::Request) {
            seen.says_itself(self.any)
        } else {
            seen.tells(self.any)
        }
    }

    fn scope(&self, seen: &Evidence<'_>) -> Scope {
        match self.whom {
            Whom::Request => Scope::Request,
            Whom::Deployment => Scope::Deployment,
            Whom::Model => Scope::Model,
            Whom::Key | Whom::KeyPerhaps => Scope::Key,
            Whom::Provider => Scope::Provider,
            Whom::FreeModels => Scope::ModelClass(":free".to_owned()),
            Whom::Bucket => seen.bucket(),
            Whom::Outage => seen.outage(),
        }
    }
}

impl Statuses {
    fn hold(self, status: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Of(some) => some.contains(&status),
            Self::From(first, last) => (first..=last).contains(&status),
        }
    }
}
