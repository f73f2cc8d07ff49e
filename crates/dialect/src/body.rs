//! The eight shapes of error bodies, brought into one.

use serde_json::{Map, Value};

use crate::nested;
use crate::pairs::Pairs;
use crate::quoted::without_quotations;
use crate::tree::{scalar, walk};

/// Only so much of a body is looked at: errors are short, and their sender may be hostile.
const LOOKED_AT: usize = 64 * 1024;

/// So much of one text is kept.
const TEXT_KEPT: usize = 4 * 1024;

/// So many texts of one body are kept, and so much of a label.
const TEXTS_KEPT: usize = 32;
const LABEL_KEPT: usize = 256;

/// So much is kept of all texts of one body together.
const TOTAL_KEPT: usize = 16 * 1024;

/// The fields that say something in words.
const TEXTS: &[&str] = &[
    "message",
    "error",
    "errors",
    "detail",
    "title",
    "msg",
    "raw",
    "error_message",
    "quotaId",
    "quotaMetric",
    "quota_limit",
    "quota_metric",
    "@type",
];

/// The fields that say something in one fixed word or number.
const LABELS: &[&str] =
    &["code", "type", "__type", "status", "reason", "limit_source", "error_type", "finish_reason"];

/// Where a message is looked for in an object, the best place first.
const MESSAGES: &[&str] =
    &["message", "detail", "error", "errors", "title", "msg", "error_message"];

/// A sentence that begins so sells something and speaks of other limits than the one that was met.
const PITCHES: &[&str] =
    &["upgrade", "unlock", "need more", "increase your rate limit", "contact sales"];

/// What a bare sentence in the place of an answer says of a limit.
const LIMITED: &[&str] = &["rate limit", "too many requests", "quota exceeded"];

/// What a body is, apart from what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Empty,
    Json,
    Html,
    Text,
}

/// An error body of any shape.
#[derive(Debug)]
pub(crate) struct ErrorBody {
    pub(crate) form: Form,
    /// The provider's own words, in their own case.
    pub(crate) message: String,
    /// The field that names what is wrong with the request.
    pub(crate) param: Option<String>,
    /// Codes, types, status words and reasons, in lower case; integers as their digits.
    pub(crate) labels: Vec<String>,
    /// All that was said in words, and the labels, in ASCII lower case.
    pub(crate) text: String,
    /// The same without the sentences that sell a larger plan.
    pub(crate) claim: String,
    /// `text` and `claim` without what stands between quotation marks.
    pub(crate) own_text: String,
    pub(crate) own_claim: String,
    /// The body as JSON; null for any other.
    pub(crate) value: Value,
}

impl ErrorBody {
    /// Reads the first 64 KiB of a body of any shape; never fails.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(LOOKED_AT)]);
        let head = head.trim_start_matches('\u{feff}').trim();
        let data = event_data(head);
        let text = data.as_deref().unwrap_or(head);
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Null) => Self::of_text(Form::Empty, ""),
            Ok(value) => Self::of_json(value),
            Err(_) if text.is_empty() => Self::of_text(Form::Empty, ""),
            Err(_) if text.starts_with('<') => Self::of_text(Form::Html, text),
            Err(_) => Self::of_text(Form::Text, text),
        }
    }

    fn of_text(form: Form, text: &str) -> Self {
        let said = [clipped(text, TEXT_KEPT).to_owned()];
        let message = if form == Form::Html { page_title(text) } else { said[0].clone() };
        Self { form, message, ..Self::saying(&said) }
    }

    fn of_json(value: Value) -> Self {
        let (said, labels) = gathered(&value);
        let param =
            walk(&value).find(|(key, _)| *key == "param").and_then(|(_, param)| scalar(param));
        Self {
            form: Form::Json,
            message: own_words(&value),
            param: param.filter(|param| !param.is_empty()),
            labels,
            value,
            ..Self::saying(&said)
        }
    }

    /// The same with the texts opened that are JSON themselves.
    pub(crate) fn opened(mut self, is_own: impl Fn(&str) -> bool) -> Self {
        let any = self.form == Form::Json && nested::open(&mut self.value, &is_own);
        if any { Self::of_json(self.value) } else { self }
    }

    fn saying(said: &[String]) -> Self {
        let own: Vec<String> = said.iter().map(|text| without_quotations(text)).collect();
        Self {
            form: Form::Empty,
            message: String::new(),
            param: None,
            labels: Vec::new(),
            text: joined(said, |text| text),
            claim: joined(said, unsold),
            own_text: joined(&own, |text| text),
            own_claim: joined(&own, unsold),
            value: Value::Null,
        }
    }

    /// Whether one of the codes, types or words is among the labels.
    pub(crate) fn is_labelled(&self, names: &[&str]) -> bool {
        self.labels.iter().any(|label| names.contains(&label.as_str()))
    }

    /// The status that stands in the body, where the reply's own status does not tell.
    pub(crate) fn inner_status(&self) -> Option<u16> {
        const FIELDS: &[&str] = &["status_code", "code", "status", "raw_status_code"];
        let field = |name: &&str| {
            let mut found = walk(&self.value).filter(|(key, _)| key == name);
            found.find_map(|(_, value)| {
                scalar(value)?.parse().ok().filter(|&status| is_error(status))
            })
        };
        FIELDS.iter().find_map(field)
    }

    /// Why an answer ended, by its own word.
    pub(crate) fn finish_reason(&self) -> Option<&str> {
        walk(&self.value).find(|(key, _)| *key == "finish_reason")?.1.as_str()
    }

    /// Whether a body that came with a 200 tells of an error all the same.
    pub(crate) fn carries_error(&self) -> bool {
        let root = self.value.get(0).unwrap_or(&self.value);
        let Value::Object(root) = root else {
            return false;
        };
        let word = |key: &str, word: &str| root.get(key).and_then(Value::as_str) == Some(word);
        let answers = root.contains_key("choices");
        names_error(root.get("error"), answers)
            || word("type", "error")
            || word("object", "error")
            || root.get("success") == Some(&Value::Bool(false))
            || names_error(root.get("x_groq").and_then(|groq| groq.get("error")), true)
            || walk(&self.value).any(|(key, value)| key == "finish_reason" && is_broken_off(value))
            || !answers && self.is_flat_error(root)
    }

    fn is_flat_error(&self, root: &Map<String, Value>) -> bool {
        let said = ["message", "detail", "title"].iter().any(|key| root.contains_key(*key));
        let typed = self.labels.iter().any(|label| label.ends_with("error"));
        let limited = || root.len() <= 2 && LIMITED.iter().any(|said| self.text.contains(said));
        said && (typed || self.inner_status().is_some() || limited())
    }
}

/// Whether a stream's last word is that the provider gave up.
fn is_broken_off(reason: &Value) -> bool {
    matches!(reason.as_str(), Some("error" | "insufficient_system_resource"))
}

fn is_error(status: u16) -> bool {
    (400..600).contains(&status)
}

fn names_error(error: Option<&Value>, answers: bool) -> bool {
    match error {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty() || !answers,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Bool(true) | Value::Number(_)) => true,
    }
}

/// The data of the first event, should the body be an event stream.
fn event_data(text: &str) -> Option<String> {
    let framed = ["data:", "event:", "id:", ":"].iter().any(|start| text.starts_with(start));
    if !framed {
        return None;
    }
    let mut data = text.lines().skip_while(|line| !line.starts_with("data:"));
    let lines: Vec<&str> = data.by_ref().map_while(|line| line.strip_prefix("data:")).collect();
    Some(lines.join("\n").trim().to_owned())
}

/// The provider's message: the words of whoever really failed, where an aggregator has kept them.
fn own_words(value: &Value) -> String {
    let Some(message) = message_of(value, 0) else { return words_in_choice(value) };
    if !message.eq_ignore_ascii_case("provider returned error") {
        return message;
    }
    let raw = walk(value).find(|(key, _)| *key == "raw").and_then(|(_, raw)| scalar(raw));
    raw.map_or(message, |raw| clipped(&raw, TEXT_KEPT).to_owned())
}

/// The words of an error that stands in the choice which it ended.
fn words_in_choice(value: &Value) -> String {
    let choices = value.get("choices").into_iter().flat_map(walk);
    let mut errors = choices.filter(|(key, _)| *key == "error");
    errors.find_map(|(_, error)| message_of(error, 0)).unwrap_or_default()
}

fn message_of(value: &Value, depth: usize) -> Option<String> {
    if depth > 6 {
        return None;
    }
    match value {
        Value::String(text) => {
            (!text.trim().is_empty()).then(|| clipped(text, TEXT_KEPT).to_owned())
        }
        Value::Array(items) => message_of(items.first()?, depth + 1),
        Value::Object(fields) => MESSAGES
            .iter()
            .find_map(|key| fields.get(*key).and_then(|value| message_of(value, depth + 1))),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The texts and the labels of a JSON body.
fn gathered(value: &Value) -> (Vec<String>, Vec<String>) {
    let mut said = Vec::new();
    let mut labels = Vec::new();
    for (key, value) in walk(value) {
        let label = LABELS.contains(&key);
        if !label && !TEXTS.contains(&key) && !key.is_empty() {
            continue;
        }
        let Some(text) = scalar(value) else { continue };
        if label && labels.len() < TEXTS_KEPT {
            labels.push(clipped(&text, LABEL_KEPT).to_ascii_lowercase());
        }
        if said.len() < TEXTS_KEPT {
            said.push(clipped(&text, TEXT_KEPT).to_owned());
        }
    }
    (said, labels)
}

fn joined(said: &[String], part: impl Fn(&str) -> &str) -> String {
    let lower: Vec<String> = said.iter().map(|text| text.to_ascii_lowercase()).collect();
    let whole = lower.iter().map(|text| part(text)).collect::<Vec<_>>().join("\n");
    clipped(&whole, TOTAL_KEPT).to_owned()
}

fn unsold(text: &str) -> &str {
    let pairs = Pairs::of([text]);
    let pitches = PITCHES.iter().filter(|pitch| pairs.may_hold(pitch));
    let end = pitches.filter_map(|pitch| text.find(pitch)).min();
    &text[..end.unwrap_or(text.len())]
}

fn clipped(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

fn page_title(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|at| {
        let end = lower[at..].find("</title>")?;
        page.get(at + 7..at + end)
    });
    format!("an HTML page: {}", clipped(title.unwrap_or("untitled").trim(), TEXT_KEPT))
}
