//! A stream that broke off goes on with another provider, where that is safe: plain text so far,
//! one choice, no tool call begun. Either the other provider continues an assistant message that
//! is given to it, or it starts afresh and repeats exactly what was sent, which is swallowed.

use std::collections::BTreeSet;

use bytes::Bytes;
use engine::Step;
use http::{HeaderMap, HeaderName};
use serde_json::Value;
use settings::Prefill;
use wire::Endpoint;
use wire::continuation::{Continuation, Habit, lengthen_prompt, put_beginning};
use wire::json::Kind;
use wire::request::RequestScan;
use wire::splice::{Edit, splice};

use super::attempt::Answered;
use super::error::ProxyError;
use super::intake::Intake;
use super::journey::Journey;
use crate::upstream::{Continuing, Recovery, Told};

/// A request header that switches recovery off: `off`; `auto` is as it is configured.
pub(crate) const STREAM_RECOVERY: HeaderName = HeaderName::from_static("x-stream-recovery");

/// How many providers are tried for one break.
pub(super) const MOST_TRIED: usize = 4;

/// What is sent to a provider that is to go on with an answer.
pub(super) struct Continued {
    pub(super) intake: Intake,
    pub(super) recovery: Recovery,
}

/// Whether a client wants no recovery for this request.
pub(super) fn refuses_recovery(headers: &HeaderMap) -> Result<bool, ProxyError> {
    let mut refuses = false;
    for value in headers.get_all(&STREAM_RECOVERY) {
        let word = String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase();
        match word.as_str() {
            "off" => refuses = true,
            "auto" => {}
            _ => return Err(ProxyError::unknown_word(&STREAM_RECOVERY, &word, "auto, off")),
        }
    }
    Ok(refuses)
}

impl Journey {
    /// Whether a stream of this request may go on with another provider.
    pub(super) fn recovery(&self) -> Recovery {
        let scan = &self.intake.scan;
        let is_on = self.world.settings.rotation.stream_recovery == settings::StreamRecovery::Auto;
        let is_of_text = match self.intake.endpoint {
            Endpoint::Chat => true,
            Endpoint::Completions => is_plain_prompt(&self.intake),
        };
        let is_plain = is_of_text
            && scan.stream
            && scan.n.is_none_or(|n| n <= 1)
            && !wants_logprobs(&self.intake);
        if is_on && !self.no_recovery && is_plain && self.rotation.chain().len() > 1 {
            Recovery::Possible
        } else {
            Recovery::Off
        }
    }
}

/// Whether the client wants more of each word than its text.
fn wants_logprobs(intake: &Intake) -> bool {
    let last = intake.scan.layout.named("logprobs").last();
    let value = last.and_then(|(_, member)| member.view(&intake.body));
    value.is_some_and(|value| !value.is_null() && value.raw() != b"false")
}

/// Whether a legacy request asks for nothing but what follows one text.
fn is_plain_prompt(intake: &Intake) -> bool {
    let is_off = |name: &str, off: &[u8]| {
        intake.parameter(name).is_none_or(|given| given.is_null() || given.raw() == off)
    };
    let is_text = intake.parameter("prompt").is_some_and(|prompt| prompt.kind() == Kind::String);
    is_text && is_off("suffix", b"\"\"") && is_off("echo", b"false") && is_off("best_of", b"1")
}

/// Finds a provider that goes on, else gives what was left unsaid; the journey in any case. The
/// deployment `misread`, or another one, may have been given the text and have said something else:
/// if nobody is left, it is asked afresh.
pub(super) async fn rescue(
    mut journey: Journey,
    told: Told,
    mut misread: Option<usize>,
) -> (Journey, Result<Answered, Option<Bytes>>) {
    journey.begin_again();
    let mut asked = BTreeSet::new();
    // A wait counts for nothing: news of others may end it many times. The deadline bounds it.
    while asked.len() < MOST_TRIED {
        match journey.next() {
            Step::Try(attempt) => {
                asked.insert(attempt.lease.candidate);
                match journey.attempt_as(attempt, Some(&told)).await {
                    Ok(answered) => return (journey, Ok(answered)),
                    Err(failed) => {
                        misread = misread.or(failed.misread());
                        journey.settle(failed);
                    }
                }
            }
            Step::WaitUntil(moment) => journey.wait(moment).await,
            Step::Refuse(_) => match misread.take() {
                Some(deployment) => journey.ask_afresh(deployment),
                None => break,
            },
        }
    }
    (journey, Err(told.unsaid))
}

/// The request for a provider that is to go on: with the text so far as the beginning of its own
/// answer where it continues that in some `way`, else as it was.
pub(super) fn continued(intake: &Intake, way: Prefill, told: &Told) -> Continued {
    let (id, spent) = (told.id.clone(), told.spent);
    let habit = match way {
        Prefill::Message { repeats: true, .. } => Habit::Repeats,
        Prefill::Message { .. } | Prefill::Body(_) => Habit::GoesOn,
        Prefill::Unknown | Prefill::No | Prefill::Plain => Habit::Unknown,
    };
    let endpoint = intake.endpoint;
    let (intake, join) = match (begun(intake, way, told), endpoint) {
        (Some(begun), Endpoint::Chat) => {
            (begun, Continuation::after_prefill(id, &told.text, habit, spent))
        }
        (Some(begun), Endpoint::Completions) => (begun, Continuation::after_prompt(id, spent)),
        (None, _) => (intake.clone(), Continuation::afresh(id, told.text.clone(), spent)),
    };
    let join = join.on(endpoint);
    let continuing = Continuing { told: told.clone(), join };
    Continued { intake, recovery: Recovery::Continuing(Box::new(continuing)) }
}

/// The request with the text so far in it, and with as many tokens less as were told; `None` where
/// that is not known to be continued.
fn begun(intake: &Intake, way: Prefill, told: &Told) -> Option<Intake> {
    let (scan, layout) = (&intake.scan, &intake.scan.layout);
    if scan.wants_json_object || scan.wants_json_schema {
        // A form that goes on in another layout, or in a fence, is broken without a sign of it.
        return None;
    }
    let mut edits = match intake.endpoint {
        Endpoint::Chat => with_message(intake, way, &told.text)?,
        Endpoint::Completions => vec![lengthen_prompt(&intake.body, layout, &told.text)?],
    };
    for (name, most) in
        [("max_tokens", scan.max_tokens), ("max_completion_tokens", scan.max_completion_tokens)]
    {
        let left = most.map(|most| most.saturating_sub(told.tokens).max(1));
        edits
            .extend(left.iter().flat_map(|left| Edit::set(layout, name, &left.to_string().into())));
    }
    let body = splice(&intake.body, layout, &edits).to_bytes();
    let scan = RequestScan::parse(&body, intake.endpoint).ok()?;
    Some(Intake { body, scan, ..intake.clone() })
}

/// The edits that make the text so far the last message, with the flag that the provider wants for
/// that; `None` where it is not known to continue one.
fn with_message(intake: &Intake, way: Prefill, text: &str) -> Option<Vec<Edit>> {
    let raw = |(name, value): (&String, &Value)| (name.clone(), Bytes::from(value.to_string()));
    let (of_message, of_body): (Vec<_>, Vec<_>) = match way {
        Prefill::Unknown | Prefill::No => return None,
        Prefill::Plain => (Vec::new(), Vec::new()),
        Prefill::Message { fields, .. } => (fields.iter().map(raw).collect(), Vec::new()),
        Prefill::Body(fields) => (Vec::new(), fields.iter().map(raw).collect()),
    };
    let layout = &intake.scan.layout;
    let mut edits = vec![put_beginning(&intake.body, layout, text, &of_message)?];
    edits.extend(of_body.iter().flat_map(|(name, value)| Edit::set(layout, name, value)));
    Some(edits)
}
