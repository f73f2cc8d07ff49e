//! What is told of a request's hops: in the log, in the headers, in an error's body.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use engine::{
    Abilities, Candidate, Closed, Dimension, FaultKind, Reason, Refusal, Timestamp, Why, Window,
    policy,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Zoned;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::journey::Journey;
use super::recording::Hop;
use crate::world::World;

pub(crate) const X_PROVIDER: HeaderName = HeaderName::from_static("x-provider");
pub(crate) const X_MODEL: HeaderName = HeaderName::from_static("x-model");
pub(crate) const X_ATTEMPTS: HeaderName = HeaderName::from_static("x-attempts");
pub(crate) const X_ROTATION: HeaderName = HeaderName::from_static("x-rotation");
pub(crate) const X_DROPPED: HeaderName = HeaderName::from_static("x-dropped-params");

/// The headers that are ours to set, whatever a provider sends under these names.
pub(crate) const OURS: [HeaderName; 5] = [X_PROVIDER, X_MODEL, X_ATTEMPTS, X_ROTATION, X_DROPPED];

/// The rotation header names at most so many hops.
const MOST_HOPS_TOLD: usize = 40;

/// A span as a person writes it: `30s`, `1.5s`, `17ms`, `2h5m`.
pub(crate) fn span(span: Duration) -> String {
    // What is stated as 30 s has lost some milliseconds on its way to us.
    let millis = match span.as_millis() {
        exact @ 0..1000 => exact,
        longer => (longer + 50) / 100 * 100,
    };
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis}ms"),
        1..60 if millis.is_multiple_of(1000) => format!("{seconds}s"),
        1..60 => format!("{:.1}s", millis as f64 / 1000.0),
        60..3600 if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A moment as RFC 3339 with whole seconds and an offset.
pub(crate) fn moment(moment: Timestamp, zone: &TimeZone) -> Option<String> {
    Some(zoned(moment, zone)?.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

/// A moment by the clock of a zone.
pub(crate) fn zoned(moment: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    let instant = jiff::Timestamp::from_millisecond(moment.as_millis()).ok()?;
    Some(instant.to_zoned(zone.clone()))
}

/// A span as programs are told of it.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The log's line for the newest hop, which failed.
pub(crate) fn failed_line(provider: &str, hops: &[Hop], kind: FaultKind) -> String {
    let mut line = format!("{provider}: {}", kind.as_str().replace('_', " "));
    if let Some(hop) = hops.last() {
        let _ = write!(line, " ({})", hop.word);
        if let Some(wait) = hop.wait {
            let _ = write!(line, ", back in {}", span(wait));
        }
        // What is said of a request that is at fault itself may quote it.
        if !hop.detail.is_empty() && !policy::is_requests_own(kind) {
            let _ = write!(line, ": {}", hop.detail);
        }
    }
    line
}

/// `groq=429;retry=30s, cerebras=200`
fn rotation_header(hops: &[Hop]) -> String {
    let mut text = String::new();
    for hop in hops.iter().take(MOST_HOPS_TOLD) {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{}={}", hop.provider(), hop.word);
        if let Some(wait) = hop.wait {
            let _ = write!(text, ";retry={}", retry(wait));
        }
    }
    text
}

/// Seconds, with a fraction where there is one. Rounded up, since what is stated as 30 s has lost
/// some milliseconds on its way to us: to tenths, below a second to hundredths.
fn retry(wait: Duration) -> String {
    let step = if wait < Duration::from_secs(1) { 10 } else { 100 };
    let rounded = Duration::from_millis((wait.as_millis() as u64).div_ceil(step) * step);
    let text = format!("{:.2}", rounded.as_secs_f64());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Adds who served, and how the request came there.
pub(crate) fn add_headers(headers: &mut HeaderMap, journey: &Journey) {
    if let Some(hop) = journey.recording.hops.last() {
        add_server(headers, hop);
    }
    let tried = journey.deployments_tried();
    let attempts = if tried == 1 { HeaderValue::from_static("1") } else { tried.into() };
    headers.insert(X_ATTEMPTS, attempts);
    if tried > 1 {
        insert(headers, X_ROTATION, &rotation_header(&journey.recording.hops));
    }
}

/// Adds whose answer it is.
pub(crate) fn add_server(headers: &mut HeaderMap, hop: &Hop) {
    insert(headers, X_PROVIDER, hop.provider());
    insert(headers, X_MODEL, &hop.model);
}

/// Sets a header to a text from outside; what cannot stand in a header is replaced.
pub(crate) fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    let stands = |c: char| c.is_ascii_graphic() || c == ' ';
    let safe = if text.chars().all(stands) {
        Cow::from(text)
    } else {
        text.chars().map(|c| if stands(c) { c } else { '?' }).collect()
    };
    if let Ok(value) = HeaderValue::from_str(&safe) {
        headers.insert(name, value);
    }
}

/// Why a deployment is passed over, in words.
pub(crate) fn reason(closed: &Closed) -> String {
    match &closed.reason {
        Reason::Fault { kind, detail, .. } if detail.is_empty() => kind.as_str().replace('_', " "),
        Reason::Fault { kind, detail, .. } => {
            format!("{}: {detail}", kind.as_str().replace('_', " "))
        }
        Reason::Probing => "another request is probing whether it is back".to_owned(),
        Reason::Disabled => "switched off".to_owned(),
        Reason::LimitUsedUp(used) => {
            let what = dimension_word(used.dimension);
            let limit = used.limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
            if used.window == Window::Unknown && used.limit.is_none() {
                return format!("{what} used up");
            }
            format!("{what} per {}{limit} used up", used.window.as_str())
        }
        Reason::Busy => "as many requests under way as allowed".to_owned(),
        Reason::PaidForbidden => "costs money, which is forbidden here".to_owned(),
        Reason::DoesNotFit => {
            "the request is estimated not to fit its context window or its tokens per minute"
                .to_owned()
        }
        Reason::Lacks(lacking) => format!("it is known not to take {}", words(*lacking)),
    }
}

/// `images and tools`
pub(super) fn words(abilities: Abilities) -> String {
    abilities.words().collect::<Vec<_>>().join(" and ")
}

/// The word for why a deployment is passed over.
pub(crate) fn reason_word(closed: &Closed) -> &'static str {
    match &closed.reason {
        Reason::Fault { kind, .. } => kind.as_str(),
        Reason::Probing => "probing",
        Reason::Disabled => "disabled",
        Reason::LimitUsedUp(_) => "limit_used_up",
        Reason::Busy => "busy",
        Reason::PaidForbidden => "paid_forbidden",
        Reason::DoesNotFit => "does_not_fit",
        Reason::Lacks(_) => "lacks_ability",
    }
}

/// The word for the state of a deployment that is passed over.
pub(crate) fn state_word(closed: &Closed) -> &'static str {
    if closed.is_parked() {
        return "parked";
    }
    match closed.reason {
        Reason::Probing => "half_open",
        Reason::Busy => "busy",
        Reason::DoesNotFit | Reason::Lacks(_) => "unfit",
        Reason::Fault { .. }
        | Reason::LimitUsedUp(_)
        | Reason::Disabled
        | Reason::PaidForbidden => "cooling",
    }
}

/// The word for what a limit counts.
pub(crate) const fn dimension_word(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Requests => "requests",
        Dimension::Tokens => "tokens",
    }
}

/// One sentence on why nobody can serve.
pub(crate) fn refusal_message(refusal: &Refusal, hops: &[Hop]) -> String {
    let is_paid = |closed: &Option<Closed>| {
        closed.as_ref().is_some_and(|closed| closed.reason == Reason::PaidForbidden)
    };
    let forbidden = refusal.closed.iter().filter(|closed| is_paid(closed)).count();
    if forbidden == 0 {
        return why_nobody(refusal, hops);
    }
    if forbidden == refusal.closed.len() {
        return "only providers that cost money could answer, which rotation.allow_paid or the \
                header X-Allow-Paid forbids"
            .to_owned();
    }
    format!("{}; those that cost money are forbidden", why_nobody(refusal, hops))
}

fn why_nobody(refusal: &Refusal, hops: &[Hop]) -> String {
    match refusal.why {
        Why::NoneConfigured => "no provider is configured for this request".to_owned(),
        Why::AllParked => {
            "every provider is set aside until its key, model or configuration changes; \
             llm-proxy status says why"
                .to_owned()
        }
        Why::AllCooling => match refusal.retry_after {
            Some(wait) => {
                format!("every provider is rate-limited; the first is back in {}", span(wait))
            }
            None => "every provider is rate-limited, and not all said until when".to_owned(),
        },
        Why::Incapable(lacking) => {
            format!("no provider for this request takes {}", words(lacking))
        }
        Why::KeysRefused => {
            "every provider refused its key; llm-proxy status says which".to_owned()
        }
        Why::RequestsOwn { .. } => "the request itself was refused".to_owned(),
        Why::MixedFaults if hops.is_empty() => {
            "no provider can take this request now; llm-proxy status says why".to_owned()
        }
        Why::MixedFaults => format!("no provider could answer: {}", rotation_header(hops)),
    }
}

/// Each attempt with its reason and time, then each deployment that was passed over.
pub(crate) fn attempts(
    chain: &[Candidate],
    world: &World,
    hops: &[Hop],
    refusal: &Refusal,
) -> Vec<Value> {
    let zone = world.zone();
    let mut told: Vec<Value> = hops
        .iter()
        .map(|hop| {
            json!({
                "provider": hop.provider(),
                "model": &*hop.model,
                "status": hop.word.parse::<u16>().ok(),
                "result": hop.word,
                "reason": hop.kind.map(FaultKind::as_str),
                "message": hop.detail,
                "available_at": hop.until.and_then(|until| moment(until, &zone)),
                "retry_after_seconds": hop.wait.map(|wait| wait.as_secs_f64()),
                "duration_ms": millis(hop.took),
            })
        })
        .collect();
    for (candidate, closed) in chain.iter().zip(&refusal.closed) {
        let deployment = &world.registry.deployments()[candidate.deployment];
        let provider = &world.registry.provider_of(deployment).spec;
        let chosen = candidate.model.as_deref().map(|chosen| world.shown_name(chosen));
        let model = chosen.unwrap_or(Cow::Borrowed(&deployment.model));
        let was_tried = hops.iter().any(|hop| {
            hop.provider() == provider.name
                && *hop.model == *model
                && hop.key() == provider.keys[deployment.key]
        });
        if let (Some(closed), false) = (closed, was_tried) {
            told.push(json!({
                "provider": provider.name,
                "model": model,
                "status": null,
                "result": "skipped",
                "reason": reason_word(closed),
                "message": reason(closed),
                "available_at": closed.until.and_then(|until| moment(until, &zone)),
            }));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_write_them() {
        let cases = [
            (17, "17ms"),
            (1_500, "1.5s"),
            (29_997, "30s"),
            (59_960, "1m"),
            (60_000, "1m"),
            (425_000, "7m5s"),
            (7_500_000, "2h5m"),
        ];
        for (millis, text) in cases {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        assert_eq!(retry(Duration::from_millis(29_997)), "30s");
        assert_eq!(retry(Duration::from_millis(1_500)), "1.5s");
    }
}
