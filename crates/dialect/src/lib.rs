//! What a provider's reply means.
//!
//! Status, headers and body go in; a fault with its scope and time, and the budgets that are
//! left, come out. Nothing here knows the clock, the network or what is done about a fault.

mod ability;
mod absent;
mod beginning;
mod beside;
mod body;
mod ceiling;
mod choices;
mod clock;
mod combined;
mod context;
mod defaults;
mod detail;
mod echo;
mod evidence;
mod fetched;
mod fields;
mod form;
mod headers;
mod history;
mod limits;
mod list;
mod nested;
mod number;
mod pairs;
mod parameter;
mod profile;
mod quoted;
mod role;
mod rules;
mod sent;
mod shares;
mod size;
mod times;
mod tree;
mod unknown;
mod withheld;
mod words;

use engine::{Abilities, Budget, Ceiling, Fault, FaultKind, Scope, StatedSize, Timestamp};
use http::HeaderMap;

use body::{ErrorBody, Form};
use evidence::Evidence;
pub use history::HistoryFault;
use sent::Sent;
use withheld::Shared;

/// The head of a reply, and who sent it when.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The provider's id in the catalogue, such as `groq`; empty for one that is not in it.
    pub provider: &'a str,
    /// The model that was asked for, as this provider calls it.
    pub model: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// The HTTP headers.
    pub headers: &'a HeaderMap,
    /// The request's body as the client has sent it, so that its words are not taken for the
    /// provider's; empty if it is not known.
    pub request: &'a [u8],
    /// When the reply came.
    pub now: Timestamp,
}

/// What a reply that is no answer was read to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What went wrong.
    pub fault: Fault,
    /// What is left by the words of a refusal, such as "Limit 200, Used 200, Requested 1", of a
    /// provider that gives back bit by bit. `None` for any other, and without all of these figures.
    pub budget: Option<Budget>,
    /// How many requests are taken in a minute or a second, if the refusal tells and no `budget`.
    pub ceiling: Option<Ceiling>,
    /// The largest size that is taken, if a refusal of the request for its size tells.
    pub size: Option<StatedSize>,
    /// What a [`FaultKind::CapabilityMissing`] says that the model lacks as such, whatever the
    /// request: some of it may be what the request does not ask for. Empty for any other fault.
    pub lacks: Abilities,
}

impl From<Fault> for Reading {
    fn from(fault: Fault) -> Self {
        Self { fault, budget: None, ceiling: None, size: None, lacks: Abilities::default() }
    }
}

/// Reads a failure: a reply with a status from 400 on, or any other that is no answer. Only the
/// first 64 KiB of the body count.
pub fn failure(reply: &Reply<'_>, body: &[u8]) -> Reading {
    let body = ErrorBody::read(body);
    if reply.status >= 400 {
        return reading(&Evidence::gather(reply, body));
    }
    if body.carries_error() {
        return within_success(reply, body);
    }
    not_an_answer(reply, &body).into()
}

/// Reads an error that came with a success: in the JSON body of a 200, or in the data of one
/// event of a stream. `None` if the data carries no error.
pub fn error_in_success(reply: &Reply<'_>, data: &[u8]) -> Option<Reading> {
    if is_plain_answer(data) {
        return None;
    }
    let body = ErrorBody::read(data);
    body.carries_error().then(|| within_success(reply, body))
}

/// Reads the data of a stream's event that is known to be an error, by the event's name or by a
/// finish reason: of any shape, words too. `None` if it says nothing at all.
pub fn error_event(reply: &Reply<'_>, data: &[u8]) -> Option<Reading> {
    let body = ErrorBody::read(data);
    let is_mute = body.message.is_empty() && body.labels.is_empty();
    (!is_mute).then(|| within_success(reply, body))
}

/// Reads what the headers of any reply say is left, and those that an aggregator has put into
/// the error body.
pub fn budgets(reply: &Reply<'_>, body: Option<&[u8]>) -> Vec<Budget> {
    let value = body.map(|body| ErrorBody::read(body).value).unwrap_or_default();
    let headers = headers::Headers::of(reply.headers, &value);
    limits::read(&headers, &profile::of(reply.provider), reply.now)
}

/// Whether a provider of the catalogue gives back bit by bit what was used of its limits.
pub fn refills(provider: &str) -> bool {
    profile::of(provider).refill == profile::Refill::Continuous
}

/// The common end of those models of a provider of the catalogue that share one budget.
pub fn shared_class(provider: &str) -> Option<&'static str> {
    profile::of(provider).shared_class
}

/// What a [`FaultKind::ParameterRefused`] is about if it is not a parameter but something in the
/// messages that another provider has left there. `None` if it is not known to be that.
pub fn refused_history(body: &[u8], request: &[u8]) -> Option<HistoryFault> {
    history::refused(&ErrorBody::read(body), &Sent::new(request))
}

/// Whether a reply to a request that ends with the beginning of its answer refuses that it does,
/// whatever the beginning is.
pub fn refuses_beginning(body: &[u8], request: &[u8]) -> bool {
    beginning::is_refused(&ErrorBody::read(body), &Sent::new(request))
}

/// The top-level name of the parameter that a [`FaultKind::ParameterRefused`] is about, of
/// letters, digits and underscores, as requests write it. `None` if none is named, or if it is
/// about the messages.
///
/// Words that the request has too do not count, here and below, so that nobody can teach a
/// refusal that there is not.
pub fn refused_parameter(body: &[u8], request: &[u8]) -> Option<String> {
    parameter::refused(&ErrorBody::read(body), &Sent::new(request))
}

/// Whether a refused parameter was refused for what stands beside it in this request, or does not,
/// such as one that "is only allowed when tools are specified".
pub fn depends_on_others(body: &[u8], request: &[u8]) -> bool {
    beside::depends_on_others(&ErrorBody::read(body), &Sent::new(request))
}

/// The other parameter of the request beside which the refused one is too much, where only one of
/// two is taken. Without that one it may be sent.
pub fn refused_beside(param: &str, body: &[u8], request: &[u8]) -> Option<&'static str> {
    number::beside(param, &ErrorBody::read(body), &Sent::new(request))
}

/// The other parameter of the request that is refused by the same words.
pub fn refused_too(param: &str, body: &[u8], request: &[u8]) -> Option<&'static str> {
    number::also(param, &ErrorBody::read(body), &Sent::new(request))
}

/// Whether a [`FaultKind::ParameterRefused`] is about several calls of tools at once, which no
/// parameter of the request needs to ask for: it is mended with `parallel_tool_calls: false`.
pub fn wants_single_calls(body: &[u8], request: &[u8]) -> bool {
    beside::wants_single_calls(&ErrorBody::read(body), &Sent::new(request))
}

/// Whether a refused parameter was refused for its value alone, so that another value of it may
/// be taken. Not so if the provider takes nothing but the default.
pub fn refuses_value_only(body: &[u8]) -> bool {
    parameter::is_of_the_value(&ErrorBody::read(body))
}

/// Whether an answer would be another one without a parameter, unless its value is what holds
/// anyway: whatever is said of one value, another must still be sent.
pub fn is_essential(param: &str) -> bool {
    parameter::is_essential(param)
}

/// The parameter that the provider wants in the place of the refused one, if it says so.
pub fn replacement_for(param: &str, body: &[u8], request: &[u8]) -> Option<String> {
    parameter::replacement(param, &ErrorBody::read(body), &Sent::new(request))
}

/// The largest value of a refused parameter that the provider takes, if it says so and the value
/// is a whole number.
pub fn stated_ceiling(param: &str, body: &[u8], request: &[u8]) -> Option<u64> {
    number::ceiling(param, &ErrorBody::read(body), &Sent::new(request))
}

/// How many entries of a refused list the provider takes, if it was refused for their number and
/// it says so.
pub fn stated_length(body: &[u8], request: &[u8]) -> Option<u64> {
    let body = ErrorBody::read(body);
    list::refused(&body, &Sent::new(request)).and_then(|_| list::most(&body))
}

fn reading(seen: &Evidence<'_>) -> Reading {
    let fault = fault(seen);
    let tells_figures = seen.status == 429 && seen.profile.refill == profile::Refill::Continuous;
    let budget = if tells_figures { limits::in_words(seen) } else { None };
    let lacks = if fault.kind == FaultKind::CapabilityMissing {
        ability::lasting(&seen.body, &seen.sent)
    } else {
        Abilities::default()
    };
    let ceiling = ceiling::told(seen, &fault);
    let size = size::stated(seen, &fault);
    Reading { fault, budget, ceiling, size, lacks }
}

fn fault(seen: &Evidence<'_>) -> Fault {
    let meaning = rules::meaning(seen);
    let detail = match (seen.body.message.as_str(), seen.status) {
        ("", 0) => wordless(&seen.body),
        ("", status) => format!("status {status} without a message ({})", meaning.name),
        (message, _) => detail::shown(message, &seen.shared),
    };
    let rules::Meaning { kind, scope, resume, is_vague, .. } = meaning;
    Fault { kind, scope, resume, detail, is_vague }
}

/// What is told of an error that names neither a status nor a reason in words.
fn wordless(body: &ErrorBody) -> String {
    let reason = body.finish_reason().map(|reason| detail::shown(reason, &Shared::default()));
    reason.map_or_else(
        || "an error without a message".to_owned(),
        |reason| format!("it ended with finish_reason {reason}"),
    )
}

fn within_success(reply: &Reply<'_>, body: ErrorBody) -> Reading {
    let status = body.inner_status().or_else(|| rules::status_of(&body)).unwrap_or(0);
    let mut seen = Evidence::gather(&Reply { status, ..*reply }, body);
    seen.within_success = true;
    reading(&seen)
}

/// A page in the place of an answer comes from something before the provider, such as a login
/// page of the network; an empty reply from the model.
fn not_an_answer(reply: &Reply<'_>, body: &ErrorBody) -> Fault {
    let scope = if body.form == Form::Html { Scope::Provider } else { Scope::Model };
    let said = match body.message.as_str() {
        "" => "nothing",
        message => message,
    };
    let detail = format!("status {} with {said}", reply.status);
    let shared = Shared::of(&detail::plain(&detail), "", reply.request);
    let detail = detail::shown(&detail, &shared);
    Fault::new(FaultKind::NotAnAnswer, scope, detail)
}

/// Whether data is an answer without a doubt, by bytes alone: this is asked of every event.
fn is_plain_answer(data: &[u8]) -> bool {
    let has = |word: &[u8]| data.windows(word.len()).any(|window| window == word);
    has(b"\"choices\"") && !has(b"error") && !has(b"insufficient_system_resource")
}
