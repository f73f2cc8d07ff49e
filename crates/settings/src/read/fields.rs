//! Typed access to the keys of one mapping, by the table of keys.
//!
//! A value is looked up in the table first: its kind decides how it is read and within which
//! bounds, its default what stands in for it. Messages show what is written in the file and never
//! the value of a variable, which may be a key.

use std::time::Duration;

use crate::env::Env;
use crate::expand::{self, Expanded};
use crate::keys::{KeyRow, Kind, Section};
use crate::problem::{Fault, Findings, Place, nearest, shown};
use crate::values;
use crate::yaml::{Node, Value};

/// What all expanded strings of a file may hold together, in bytes.
const EXPANSION_BUDGET: usize = 4 * 1024 * 1024;

/// The most entries of one list or mapping of texts.
const MOST_ITEMS: usize = 256;

/// The known keys of one mapping.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    section: Section,
    /// How messages call the mapping: `rotation`, `provider "groq"`.
    whose: String,
    entries: Vec<(&'static KeyRow, &'n Node)>,
}

/// One reading of a configuration.
#[derive(Debug)]
pub(super) struct Reading<'e> {
    pub(super) env: &'e Env,
    pub(super) findings: Findings,
    /// Variables that are not set, not yet reported: a provider that is skipped may lack them.
    unset: Vec<(Place, Fault)>,
    budget: usize,
}

impl<'n> Fields<'n> {
    pub(super) fn empty(section: Section) -> Self {
        Self { section, whose: section.name().to_owned(), entries: Vec::new() }
    }

    /// Reads the keys of a mapping; unknown ones are problems.
    pub(super) fn open(
        node: &'n Node,
        section: Section,
        whose: String,
        reading: &mut Reading,
    ) -> Self {
        let mut fields = Self { section, whose, entries: Vec::new() };
        let Value::Mapping(entries) = &node.value else {
            let fault = Fault::new(format!("{} must be a mapping of keys", fields.whose));
            reading.findings.problem(node.place, fault);
            return fields;
        };
        for (key, value) in entries {
            match section.row(&key.text) {
                Some(row) => fields.entries.push((row, value)),
                None => reading.findings.problem(key.place, fields.unknown(&key.text)),
            }
        }
        fields
    }

    fn unknown(&self, key: &str) -> Fault {
        let fault = Fault::new(format!("unknown key {} in {}", shown(key), self.whose));
        if let Some(name) = nearest(key, self.section.rows().iter().map(|row| row.key)) {
            return fault.hint(format!("did you mean \"{name}\"?"));
        }
        match Section::ALL.iter().find(|other| other.row(key).is_some()) {
            Some(Section::Top) => fault.hint("it belongs at the top level"),
            Some(other) => fault.hint(format!("it belongs in {}", other.name())),
            None => fault,
        }
    }

    /// Returns the value of a key, unless it was left out.
    pub(super) fn node(&self, key: &str) -> Option<&'n Node> {
        let found = self.entries.iter().find(|(row, _)| row.key == key);
        found.map(|(_, node)| *node).filter(|node| !node.is_null())
    }

    /// Names a key and its mapping for a message.
    pub(super) fn about(&self, key: &str, what: &str) -> String {
        format!("\"{key}\" in {}: {what}", self.whose)
    }
}

impl<'e> Reading<'e> {
    pub(super) fn new(env: &'e Env, findings: Findings) -> Self {
        Self { env, findings, unset: Vec::new(), budget: EXPANSION_BUDGET }
    }

    /// Reports the variables that were missed so far.
    pub(super) fn report_unset(&mut self) {
        for (place, fault) in self.unset.drain(..) {
            self.findings.problem(place, fault);
        }
    }

    /// Forgets the variables that were missed since the last report.
    pub(super) fn forget_unset(&mut self) {
        self.unset.clear();
    }

    pub(super) fn problem_at(&mut self, fields: &Fields, key: &str, fault: Fault) {
        let place = fields.node(key).map_or(Place { line: 1, column: 1 }, |node| node.place);
        self.findings.problem(place, fault);
    }

    pub(super) fn section<'n>(
        &mut self,
        fields: &Fields<'n>,
        key: &str,
        section: Section,
    ) -> Fields<'n> {
        match fields.node(key) {
            Some(node) => {
                let whose = if fields.section == Section::Top {
                    section.name().to_owned()
                } else {
                    format!("\"{key}\" of {}", fields.whose)
                };
                Fields::open(node, section, whose, self)
            }
            None => Fields::empty(section),
        }
    }

    /// Puts variables into a text; a broken form is a problem.
    pub(super) fn expanded(&mut self, text: &str, place: Place) -> Option<Expanded> {
        let spent = |expanded: Expanded, budget: &mut usize| {
            *budget = budget.checked_sub(expanded.text.len())?;
            Some(expanded)
        };
        match expand::expand(text, self.env) {
            Ok(expanded) => {
                let within = spent(expanded, &mut self.budget);
                if within.is_none() {
                    self.findings
                        .problem(place, Fault::new("the variables make this file too large"));
                }
                within
            }
            Err(fault) => {
                self.findings.problem(place, fault);
                None
            }
        }
    }

    /// Returns the text of a scalar with its variables; one that is not set is a problem.
    fn scalar(&mut self, node: &Node, about: impl Fn(&str) -> String) -> Option<String> {
        let Value::Scalar { text, .. } = &node.value else {
            self.findings.problem(node.place, Fault::new(about("must be a single value")));
            return None;
        };
        let expanded = self.expanded(text, node.place)?;
        let Some(name) = expanded.unset.first() else {
            return Some(expanded.text);
        };
        let fault = Fault::new(about(&format!("the variable {name} is not set")));
        let hint = format!("set it, or write ${{{name}:-default}}");
        self.unset.push((node.place, fault.hint(hint)));
        None
    }

    /// Returns the scalars of a key that takes one or a list.
    pub(super) fn items<'n>(&mut self, fields: &Fields<'n>, key: &str) -> Vec<&'n Node> {
        let Some(node) = fields.node(key) else {
            return Vec::new();
        };
        let items: Vec<&Node> = match &node.value {
            Value::Sequence(items) => items.iter().collect(),
            Value::Scalar { .. } | Value::Mapping(_) => vec![node],
        };
        if items.len() > MOST_ITEMS {
            let what = fields.about(key, &format!("more than {MOST_ITEMS} entries"));
            self.findings.problem(node.place, Fault::new(what));
            return Vec::new();
        }
        let is_scalar = |node: &Node| matches!(node.value, Value::Scalar { .. }) && !node.is_null();
        for bad in items.iter().filter(|item| !is_scalar(item)) {
            let what = fields.about(key, "must be a text or a list of texts");
            self.findings.problem(bad.place, Fault::new(what));
        }
        items.into_iter().filter(|item| is_scalar(item)).collect()
    }

    pub(super) fn placed_texts<'n>(
        &mut self,
        fields: &Fields<'n>,
        key: &str,
    ) -> Vec<(String, &'n Node)> {
        let items = self.items(fields, key).into_iter();
        items
            .filter_map(|node| Some((self.scalar(node, |what| fields.about(key, what))?, node)))
            .collect()
    }

    pub(super) fn texts(&mut self, fields: &Fields, key: &str) -> Vec<String> {
        self.placed_texts(fields, key).into_iter().map(|(text, _)| text).collect()
    }

    /// Returns the texts of a mapping with their names.
    pub(super) fn text_map<'n>(
        &mut self,
        fields: &Fields<'n>,
        key: &str,
    ) -> Vec<(&'n str, String, Place)> {
        let Some(node) = fields.node(key) else {
            return Vec::new();
        };
        let Value::Mapping(entries) = &node.value else {
            let what = fields.about(key, "must be a mapping of names and texts");
            self.findings.problem(node.place, Fault::new(what));
            return Vec::new();
        };
        if entries.len() > MOST_ITEMS {
            let what = fields.about(key, &format!("more than {MOST_ITEMS} entries"));
            self.findings.problem(node.place, Fault::new(what));
            return Vec::new();
        }
        let texts = entries.iter();
        texts
            .filter_map(|(name, node)| {
                let text = self.scalar(node, |what| fields.about(key, what))?;
                Some((name.text.as_str(), text, name.place))
            })
            .collect()
    }

    pub(super) fn text(&mut self, fields: &Fields, key: &str) -> Option<String> {
        let node = fields.node(key)?;
        self.scalar(node, |what| fields.about(key, what))
    }

    pub(super) fn filled_text(&mut self, fields: &Fields, key: &str) -> Option<String> {
        self.text(fields, key).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn text_or_default(&mut self, fields: &Fields, key: &str) -> String {
        let default = fields.section.row(key).map_or("", |row| row.default);
        self.text(fields, key).unwrap_or_else(|| default.to_owned())
    }

    /// Reads the value of a key, or its default.
    pub(super) fn value<T>(
        &mut self,
        fields: &Fields,
        key: &str,
        read: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let default = fields.section.row(key).map_or("", |row| row.default);
        let Some(node) = fields.node(key) else {
            return Some(default).filter(|text| !text.is_empty()).and_then(|text| read(text).ok());
        };
        let text = self.scalar(node, |what| fields.about(key, what))?;
        let value = read(&text);
        value.map_err(|fault| self.refuse(fields, key, node, fault)).ok()
    }

    /// Reports a value with what is written in the file.
    fn refuse(&mut self, fields: &Fields, key: &str, node: &Node, fault: Fault) {
        let what = match &node.value {
            Value::Scalar { text, .. } => format!("{} is {}", shown(text), fault.what),
            Value::Sequence(_) | Value::Mapping(_) => fault.what,
        };
        let what = fields.about(key, &what);
        let hint = fault.hint;
        self.findings.problem(node.place, Fault { what, hint });
    }

    pub(super) fn switch(&mut self, fields: &Fields, key: &str) -> Option<bool> {
        self.value(fields, key, values::switch)
    }

    pub(super) fn integer(&mut self, fields: &Fields, key: &str) -> Option<i64> {
        let Some(Kind::Integer { least, most }) = kind(fields, key) else {
            return None;
        };
        self.value(fields, key, |text| {
            let digits = text.trim().replace('_', "");
            let number = digits.parse::<i64>().map_err(|_| Fault::new("not a whole number"))?;
            let within = (least..=most).contains(&number);
            within
                .then_some(number)
                .ok_or_else(|| Fault::new(format!("not between {least} and {most}")))
        })
    }

    /// Reads a duration; `None` if it is off, or left out without a default.
    pub(super) fn duration(&mut self, fields: &Fields, key: &str) -> Option<Duration> {
        let kind = kind(fields, key)?;
        let (Kind::Duration { least, most } | Kind::OptionalDuration { least, most }) = kind else {
            return None;
        };
        let may_be_off = matches!(kind, Kind::OptionalDuration { .. });
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        let read = |text: &str| {
            if may_be_off && matches!(text.trim(), "off" | "false") {
                return Ok(None);
            }
            let duration = values::duration(text)?;
            let within = (least..=most).contains(&duration);
            let outside = || Fault::new(format!("not between {least:?} and {}", in_hours(most)));
            within.then_some(Some(duration)).ok_or_else(outside)
        };
        self.value(fields, key, read).flatten()
    }

    pub(super) fn size(&mut self, fields: &Fields, key: &str) -> u64 {
        let Some(Kind::Size { least, most }) = kind(fields, key) else {
            return 0;
        };
        let read = |text: &str| {
            let size = values::size(text)?;
            let within = (least..=most).contains(&size);
            within
                .then_some(size)
                .ok_or_else(|| Fault::new(format!("not between {least} and {most} bytes")))
        };
        self.value(fields, key, read).unwrap_or_default()
    }

    /// Reads one of the words that the table allows.
    pub(super) fn word(&mut self, fields: &Fields, key: &str) -> Option<&'static str> {
        let Some(Kind::OneOf(words)) = kind(fields, key) else {
            return None;
        };
        self.value(fields, key, |text| one_of(words, text))
    }

    /// Reads those words of a list that the table allows; each other one is a problem.
    pub(super) fn words(&mut self, fields: &Fields, key: &str) -> Vec<&'static str> {
        let Some(Kind::SomeOf(words)) = kind(fields, key) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (text, node) in self.placed_texts(fields, key) {
            match one_of(words, &text) {
                Ok(word) => found.push(word),
                Err(fault) => self.refuse(fields, key, node, fault),
            }
        }
        found
    }
}

fn one_of(words: &'static [&'static str], text: &str) -> Result<&'static str, Fault> {
    let found = words.iter().copied().find(|word| *word == text.trim());
    found.ok_or_else(|| {
        let fault = Fault::new("not a valid word").nearest(text, words.iter().copied());
        if fault.hint.is_some() {
            return fault;
        }
        fault.hint(format!("write {}", words.join(" or ")))
    })
}

fn kind(fields: &Fields, key: &str) -> Option<Kind> {
    fields.section.row(key).map(|row| row.kind)
}

fn in_hours(duration: Duration) -> String {
    format!("{}h", duration.as_secs() / 3600)
}
