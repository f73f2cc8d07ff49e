//! Every recorded and constructed reply through the binary: who answers, and what `/status` then
//! says of the deployment that was refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};
use simulated::{Reply, SimulatedProvider};
use tokio::task::JoinSet;

use crate::harness::{Heard, Proxy, Setup, good, post, question};
use crate::shared::{deployment, seconds_until, wall};
use crate::shifted::shifted;

const RECORDED: &str = include_str!("../../../dialect/tests/fixtures/replies.json");
const CONSTRUCTED: &str = include_str!("../../../dialect/tests/fixtures/constructed.json");

/// Providers of no known name are called so.
const NAMELESS: &str = "unheard-of";
const MODEL: &str = "some-model";
const BACKUP: &str = "backup";

/// One reply; without a kind it is no failure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    provider: String,
    #[serde(default, rename = "model")]
    _model: Option<String>,
    #[serde(default = "now")]
    now: String,
    status: u16,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    body: Value,
    kind: Option<String>,
    scope: Option<String>,
    seconds: Option<f64>,
    until: Option<String>,
    guess: Option<f64>,
}

fn now() -> String {
    "2026-11-22T05:00:00Z".to_owned()
}

/// Pieces of streams, which are no replies, and a model that no configuration can name.
const NOT_HERE: [&str; 3] =
    ["deepseek-keepalive", "a-pong", "a-model-name-is-no-word-of-the-provider"];

fn cases(text: &str) -> Vec<Case> {
    let all: Vec<Case> = serde_json::from_str(text).unwrap();
    all.into_iter().filter(|case| !NOT_HERE.contains(&case.id.as_str())).collect()
}

/// The reply as it would be sent now.
struct Present {
    reply: Reply,
    body: String,
    /// Seconds until the fault is over, if the reply or the calendar tells.
    wait: Option<f64>,
}

impl Case {
    fn name(&self) -> &str {
        if self.provider.is_empty() { NAMELESS } else { &self.provider }
    }

    /// A string stands for the bytes themselves, any other value for its JSON.
    fn text(&self) -> String {
        if let Some(text) = self.body.as_str() {
            return text.to_owned();
        }
        match (self.body.is_null(), self.is_stream()) {
            (true, _) if self.status == 200 => completion().to_string(),
            (true, _) => String::new(),
            (false, true) => format!("data: {}\n\n", self.body),
            (false, false) => self.body.to_string(),
        }
    }

    fn is_stream(&self) -> bool {
        let begins = |text: &str| text.starts_with("data:") || text.starts_with("event:");
        self.body.as_str().is_some_and(begins) || self.body["choices"][0]["delta"].is_object()
    }

    fn content_type(&self, body: &str) -> &'static str {
        match body.trim_start().chars().next() {
            _ if self.is_stream() => "text/event-stream",
            Some('<') => "text/html",
            Some('{' | '[' | '"') => "application/json",
            _ => "text/plain",
        }
    }

    fn at_present(&self) -> Present {
        let present = wall();
        let then: Timestamp = self.now.parse().unwrap();
        let span = SignedDuration::from_secs(present.as_second() - then.as_second());
        let mut moved = false;
        let mut shift = |text: &str| {
            let new = shifted(text, span);
            moved |= new.is_some();
            new.unwrap_or_else(|| text.to_owned())
        };
        let body = shift(&self.text());
        let mut reply = Reply::bytes(self.status, body.clone())
            .header("content-type", self.content_type(&body));
        for (name, value) in &self.headers {
            reply = reply.header(name, shift(value.as_str().unwrap()));
        }
        let until = self.until.as_ref().map(|until| until.parse::<Timestamp>().unwrap());
        let wait = until.map(|until| {
            let until = if moved { until + span } else { on_the_calendar(until, present) };
            until.duration_since(present).as_secs_f64()
        });
        Present { reply, body, wait: wait.or(self.seconds) }
    }
}

/// The same instant of the calendar as `until`, seen from the present: the first of the month,
/// midnight in California, or midnight.
fn on_the_calendar(until: Timestamp, present: Timestamp) -> Timestamp {
    let utc = until.to_zoned(TimeZone::UTC);
    let zone =
        if utc.hour() == 0 { TimeZone::UTC } else { TimeZone::get("America/Los_Angeles").unwrap() };
    assert_eq!(until.to_zoned(zone.clone()).hour(), 0, "{until} is no beginning of a day");
    let today = present.to_zoned(zone).start_of_day().unwrap();
    if utc.day() == 1 {
        return today.first_of_month().unwrap().saturating_add(1.month()).timestamp();
    }
    today.tomorrow().unwrap().timestamp()
}

fn completion() -> Value {
    json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}

/// What a fault of this kind leads to, besides what is set aside.
#[derive(Debug, PartialEq)]
enum Served {
    Itself,
    ByTheNext,
}

fn served(kind: Option<&str>) -> Served {
    match kind {
        None | Some("caller_mistake" | "content_filtered") => Served::Itself,
        Some(_) => Served::ByTheNext,
    }
}

/// For how long a fault is set aside whose end nobody told: the state's name, seconds at most.
fn guess(kind: &str) -> Option<(&'static str, f64, f64)> {
    Some(match kind {
        "rate_limited" | "tokens_limited" => ("cooling", 60.0, 60.0),
        "daily_limit" | "out_of_credit" => ("cooling", 3600.0, 3600.0),
        "no_allowance" | "model_missing" => ("parked", 86_400.0, 86_400.0),
        "overloaded" | "server_error" | "unreachable" => ("cooling", 2.0, 4.0),
        _ => return None,
    })
}

/// One proxy before every provider that the replies are of.
struct House {
    proxy: Proxy,
    providers: BTreeMap<String, SimulatedProvider>,
    _backup: SimulatedProvider,
}

async fn house(by_provider: &BTreeMap<String, Vec<Case>>) -> House {
    let backup = good(BACKUP).await;
    let mut providers = BTreeMap::new();
    let (mut setup, mut chains) = (Setup::new(), "models:".to_owned());
    for name in by_provider.keys() {
        let provider = good("to be replaced").await;
        let lines = format!("api_key: sk-test-{name}-0123456789\n    model: {MODEL}");
        setup = setup.provider_with(name, provider.address(), &lines);
        let _ = write!(chains, "\n  {name}-first: [{name}, {BACKUP}]");
        providers.insert(name.clone(), provider);
    }
    let proxy = setup.provider(BACKUP, &backup).top(&chains).start().await;
    House { proxy, providers, _backup: backup }
}

impl House {
    async fn ask(&self, first: &str, stream: bool) -> Heard {
        let mut body = question(stream);
        body["model"] = format!("{first}-first").into();
        self.proxy.ask(&body).await
    }

    /// All that is wrong with what becomes of one reply.
    async fn mistakes(&self, case: &Case, stream: bool) -> Vec<String> {
        let reset = self.proxy.send(post(&format!("/reset?provider={}", case.name()))).await;
        assert_eq!(reset.status, 200, "{}", reset.text());
        let present = case.at_present();
        let asked = wall();
        self.providers[case.name()].set(present.reply.clone());
        let heard = self.ask(case.name(), stream).await;
        let mut wrong = Vec::new();
        let expected = served(case.kind.as_deref());
        let fits = match expected {
            Served::ByTheNext => heard.status == 200 && heard.by() == BACKUP,
            Served::Itself => heard.by() == case.name() && is_its_own(case, &present, &heard),
        };
        if !fits {
            let (status, by) = (heard.status, heard.by());
            let shown = String::from_utf8_lossy(&heard.body);
            wrong.push(format!("{status} by {by:?}, not {expected:?}: {shown}"));
        }
        let seen = deployment(&self.proxy, case.name(), MODEL).await;
        let rotation = heard.header("x-rotation").unwrap_or_default();
        let attempts = rotation.matches(&format!("{}=", case.name())).count();
        wrong.extend(misread(case, &present, &seen, attempts, asked));
        wrong
            .into_iter()
            .map(|what| format!("{}{}: {what}", case.id, if stream { " (stream)" } else { "" }))
            .collect()
    }
}

fn is_its_own(case: &Case, present: &Present, heard: &Heard) -> bool {
    let is_whole = case.status == 200 || heard.text() == present.body;
    heard.status == case.status && is_whole
}

/// A wait that may be over before `/status` is read.
const INSTANT: f64 = 0.5;

/// What `/status` gets wrong.
/// Between `asked` and now the machine may have been busy with other things.
fn misread(
    case: &Case,
    present: &Present,
    seen: &Value,
    attempts: usize,
    asked: Timestamp,
) -> Option<String> {
    let now = wall();
    let passed = now.duration_since(asked).as_secs_f64();
    let told = |what: &str| Some(format!("{what}: {seen}"));
    let (kind, scope) = (case.kind.as_deref(), case.scope.as_deref());
    let is_over = present.wait.is_some_and(|wait| wait < INSTANT + passed);
    // One fault alone benches nobody.
    let is_single = kind == Some("server_error") && present.wait.is_none() && attempts == 1;
    if seen["state"] == "open" && (is_over || is_single) {
        return None;
    }
    let expected = match (kind, scope) {
        (None, _) | (_, Some("request")) => None,
        (Some("key_rejected"), _) => Some(("parked", None, "guessed")),
        (Some(kind), _) => match (present.wait, case.guess) {
            (Some(wait), _) => Some(("cooling", Some((wait, wait)), "known")),
            (None, Some(wait)) => Some(("cooling", Some((wait, wait)), "guessed")),
            (None, None) => {
                guess(kind).map(|(state, least, most)| (state, Some((least, most)), "guessed"))
            }
        },
    };
    let is_past = |wait: (f64, f64)| wait.0 < INSTANT + passed;
    if let Some((_, Some(wait), _)) = expected
        && is_past(wait)
        && seen["available"] == true
    {
        return None;
    }
    let Some((state, wait, origin)) = expected else {
        return if seen["available"] == true { None } else { told("set aside") };
    };
    if (&seen["state"], &seen["kind"], &seen["scope"])
        != (&json!(state), &json!(kind), &json!(scope))
    {
        return told(&format!("not {state} {kind:?} {scope:?}"));
    }
    let until = seconds_until(&seen["until"], now);
    let fits = match (until, wait) {
        (None, None) => true,
        (Some(until), Some((least, most))) => {
            let slack = |wait: f64| (wait * 0.1).clamp(2.0, 30.0);
            until + passed >= least - slack(least) && until <= most + slack(most)
        }
        _ => false,
    };
    if !fits {
        return told(&format!("{until:?} s, not {wait:?}"));
    }
    let is_guess = seen["origin"] == "guessed";
    (wait.is_some() && is_guess != (origin == "guessed")).then(|| told(origin))?
}

/// The providers side by side, the replies of each one after the other.
async fn check(text: &str) {
    let mut by_provider: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases(text) {
        by_provider.entry(case.name().to_owned()).or_default().push(case);
    }
    let house = Arc::new(house(&by_provider).await);
    let mut walks = JoinSet::new();
    for cases in by_provider.into_values() {
        let house = Arc::clone(&house);
        walks.spawn(async move {
            let mut mistakes = Vec::new();
            for case in &cases {
                for stream in [false, true] {
                    if stream || !case.is_stream() {
                        mistakes.extend(house.mistakes(case, stream).await);
                    }
                }
            }
            mistakes
        });
    }
    let mut mistakes = walks.join_all().await.concat();
    mistakes.sort();
    assert!(mistakes.is_empty(), "{} mistakes\n{}", mistakes.len(), mistakes.join("\n"));
}

#[tokio::test]
async fn each_recorded_reply_sets_aside_whom_it_concerns_for_as_long_as_it_says() {
    check(RECORDED).await;
}

#[tokio::test]
async fn each_constructed_reply_sets_aside_whom_it_concerns_for_as_long_as_it_says() {
    check(CONSTRUCTED).await;
}
