//! What a request is told when nobody can serve it: an honest status, and a time only if one is
//! known.

use std::time::Duration;

use crate::abilities::Abilities;
use crate::availability::{Closed, Reason};
use crate::rotation::Tried;
use crate::{FaultKind, Origin, Timestamp, policy};

/// Why nobody can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Every deployment waits for a known time.
    AllCooling,
    /// The chain is empty.
    NoneConfigured,
    /// Every deployment is parked, switched off or forbidden.
    AllParked,
    /// Nobody takes what the request asks for.
    Incapable(Abilities),
    /// All keys that were tried were refused.
    KeysRefused,
    /// The request itself is at fault: the error of this attempt goes back as it is.
    RequestsOwn {
        /// Index into the attempts of the rotation.
        attempt: usize,
    },
    /// Faults of several kinds.
    MixedFaults,
}

/// Nobody can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub why: Why,
    /// How long until the soonest deployment is back, if every one waits for a time that was told
    /// and not guessed.
    pub retry_after: Option<Duration>,
    /// For each candidate of the chain why it is passed over now; `None` for one that is open.
    pub closed: Vec<Option<Closed>>,
}

pub(crate) fn refusal(closed: Vec<Option<Closed>>, tried: &[Tried], now: Timestamp) -> Refusal {
    let why = why(&closed, tried);
    let retry_after = (why == Why::AllCooling).then(|| soonest(&closed)).flatten();
    Refusal { why, retry_after: retry_after.map(|soonest| now.until(soonest)), closed }
}

/// When the soonest is back, if every time is one that a provider or a limit told: what we only
/// guess is no promise to a client.
fn soonest(closed: &[Option<Closed>]) -> Option<Timestamp> {
    let wanted = || closed.iter().flatten().filter(|closed| !closed.is_unwanted());
    let is_known = |closed: &Closed| closed.origin != Origin::Guessed;
    if wanted().all(is_known) { wanted().filter_map(|closed| closed.until).min() } else { None }
}

fn why(closed: &[Option<Closed>], tried: &[Tried]) -> Why {
    let every = |test: fn(&Closed) -> bool| closed.iter().all(|one| one.as_ref().is_some_and(test));
    let waiting = |closed: &Closed| closed.is_waiting() || closed.is_unwanted();
    if closed.is_empty() {
        return Why::NoneConfigured;
    }
    if let Some(attempt) = own_fault(closed, tried) {
        return Why::RequestsOwn { attempt };
    }
    if let Some(lacking) = incapable(closed) {
        return Why::Incapable(lacking);
    }
    if !tried.is_empty() && tried.iter().all(|tried| tried.fault.kind == FaultKind::KeyRejected) {
        return if every(Closed::is_parked) { Why::KeysRefused } else { Why::MixedFaults };
    }
    if every(Closed::is_parked) && tried.is_empty() {
        return Why::AllParked;
    }
    if every(waiting) && !every(Closed::is_unwanted) {
        return Why::AllCooling;
    }
    Why::MixedFaults
}

/// The attempt whose error goes back, since the request itself is at fault: that of a context
/// that is too long, which a client can mend, or one that finds the request doubtful, whatever
/// became of the others; else the first, if everybody else who may serve was tried and met the
/// request's own fault too.
fn own_fault(closed: &[Option<Closed>], tried: &[Tried]) -> Option<usize> {
    let own = |tried: &Tried| {
        // A model that nobody lists was the request's own choice.
        let is_chosen = tried.is_foreign && tried.fault.kind == FaultKind::ModelMissing;
        policy::is_requests_own(tried.fault.kind) || is_chosen
    };
    let first = |kind| tried.iter().position(|tried| tried.fault.kind == kind);
    let may_serve = |(candidate, closed): (usize, &Option<Closed>)| {
        let is_away = |closed: &Closed| closed.is_parked() || closed.is_unwanted();
        let is_tried = tried.iter().any(|tried| tried.candidate == candidate);
        !is_tried && closed.as_ref().is_some_and(|closed| !is_away(closed))
    };
    let all_own = !tried.is_empty() && tried.iter().all(own);
    let alone = || !closed.iter().enumerate().any(may_serve);
    let telling = first(FaultKind::ContextTooLong).or_else(|| first(FaultKind::DoubtfulMistake));
    telling.or_else(|| (all_own && alone()).then_some(0))
}

/// What the request asks for that no deployment has, if that is all that stands in its way.
fn incapable(closed: &[Option<Closed>]) -> Option<Abilities> {
    let lacking = |closed: &Option<Closed>| match closed.as_ref().map(|closed| &closed.reason) {
        Some(Reason::Lacks(lacking)) => Some(*lacking),
        _ => None,
    };
    let all: Option<Vec<_>> = closed.iter().map(lacking).collect();
    all?.into_iter().reduce(|one, other| one | other)
}
