//! Recorded and constructed replies, each with what it means.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{Reply, error_in_success, failure};
use engine::{Fault, Origin, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

const NOW: &str = "2026-11-22T05:00:00Z";

/// One reply; without a kind it is no failure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    provider: String,
    #[serde(default = "some_model")]
    model: String,
    #[serde(default = "now")]
    now: String,
    status: u16,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    #[serde(default)]
    request: String,
    body: Value,
    kind: Option<String>,
    scope: Option<String>,
    seconds: Option<f64>,
    until: Option<String>,
    /// Seconds of the first guess, where the reply states no time.
    guess: Option<f64>,
}

fn some_model() -> String {
    "some-model".to_owned()
}

fn now() -> String {
    NOW.to_owned()
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

impl Case {
    fn headers(&self) -> HeaderMap {
        let pairs = self.headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value.as_str().unwrap()).unwrap())
        });
        pairs.collect()
    }

    /// A string stands for the bytes themselves, any other value for its JSON.
    fn bytes(&self) -> Vec<u8> {
        let text = self.body.as_str().map(|text| text.as_bytes().to_vec());
        text.unwrap_or_else(|| serde_json::to_vec(&self.body).unwrap())
    }

    fn fault(&self) -> Option<Fault> {
        let headers = self.headers();
        let now = at(&self.now);
        let (provider, model, status) = (self.provider.as_str(), self.model.as_str(), self.status);
        let request = self.request.as_bytes();
        let reply = Reply { provider, model, status, headers: &headers, request, now };
        if status < 400 {
            return error_in_success(&reply, &self.bytes()).map(|read| read.fault);
        }
        Some(failure(&reply, &self.bytes()).fault)
    }

    fn expected_wait(&self) -> Option<f64> {
        let until = self.until.as_ref().map(|until| at(&self.now).until(at(until)).as_secs_f64());
        until.or(self.seconds).or(self.guess)
    }
}

fn cases(text: &str) -> Vec<Case> {
    serde_json::from_str(text).unwrap()
}

/// All that is wrong with what was read from a reply.
fn mistakes(case: &Case) -> Vec<String> {
    let fault = case.fault();
    let seen = (
        fault.as_ref().map(|fault| fault.kind.as_str()),
        fault.as_ref().map(|fault| fault.scope.as_str()),
    );
    let mut mistakes = Vec::new();
    if seen != (case.kind.as_deref(), case.scope.as_deref()) {
        mistakes.push(format!("{}: {seen:?}, not {:?} {:?}", case.id, case.kind, case.scope));
    }
    let wait = fault.and_then(|fault| fault.resume);
    let is_guess = wait.is_some_and(|resume| resume.origin == Origin::Guessed);
    if is_guess != case.guess.is_some() {
        mistakes.push(format!("{}: a guess: {is_guess}", case.id));
    }
    let wait = wait.map(|resume| at(&case.now).until(resume.at).as_secs_f64());
    let fits = match (wait, case.expected_wait()) {
        (Some(seen), Some(expected)) => (seen - expected).abs() <= 0.002 + expected * 0.001,
        (None, None) => true,
        _ => false,
    };
    if !fits {
        mistakes.push(format!("{}: a wait of {wait:?}, not {:?}", case.id, case.expected_wait()));
    }
    mistakes
}

fn check(text: &str) {
    let mistakes: Vec<String> = cases(text).iter().flat_map(mistakes).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn each_recorded_reply_means_what_is_known_of_it() {
    check(include_str!("fixtures/replies.json"));
}

#[test]
fn each_constructed_reply_means_what_its_fingerprint_says() {
    check(include_str!("fixtures/constructed.json"));
}

#[test]
fn a_reply_that_names_a_date_in_words_means_that_date() {
    check(include_str!("fixtures/dated.json"));
}

#[test]
fn a_wait_is_as_long_as_the_reply_tells_in_all_its_parts() {
    check(include_str!("fixtures/waits.json"));
}
