//! The list of providers: names, order, and who is left out.

use std::collections::HashMap;

use super::fields::{Fields, Reading};
use super::provider;
use crate::model::{Provider, Server, Skipped};
use crate::problem::{Fault, Place, shown};
use crate::values;
use crate::yaml::{Node, Value};

/// More providers than anybody has keys for; it bounds the work that a file can cause.
const MOST: usize = 1000;

/// One provider of the list, usable or not.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Usable(Box<Provider>),
    Skipped(String),
    /// A problem was reported.
    Broken,
}

pub(super) fn read(top: &Fields, reading: &mut Reading) -> Vec<Listed> {
    let nobody = || {
        let fault = Fault::new("no providers are listed");
        fault.hint("add for example: providers: [groq, cerebras, gemini]")
    };
    let Some(node) = top.node("providers") else {
        reading.findings.problem(super::START, nobody());
        return Vec::new();
    };
    let Value::Sequence(items) = &node.value else {
        let fault = Fault::new("\"providers\" must be a list");
        reading.findings.problem(node.place, fault.hint("begin each provider with \"- \""));
        return Vec::new();
    };
    if items.is_empty() {
        reading.findings.problem(node.place, nobody());
    }
    if items.len() > MOST {
        reading.findings.problem(node.place, Fault::new("more than 1000 providers are listed"));
        return Vec::new();
    }
    let mut listed = Vec::with_capacity(items.len());
    let mut priority = 0;
    for item in items {
        listed.extend(one(item, &mut priority, reading));
    }
    report_doubles(&listed, reading);
    listed
}

fn report_doubles(listed: &[Listed], reading: &mut Reading) {
    let mut seen: HashMap<&str, Place> = HashMap::with_capacity(listed.len());
    for provider in listed {
        if let Some(first) = seen.insert(&provider.name, provider.place) {
            let what = format!("two providers have the name \"{}\"", provider.name);
            let hint = format!("the first is in line {}; give one another name", first.line);
            reading.findings.problem(provider.place, Fault::new(what).hint(hint));
        }
    }
}

/// Reads `- groq`, `- name: groq` or `- groq: {...}`.
fn one(item: &Node, priority: &mut i64, reading: &mut Reading) -> Option<Listed> {
    let (name, place, fields) = match &item.value {
        Value::Scalar { text, .. } => {
            let name = reading.expanded(text, item.place)?.text;
            (name, item.place, Fields::empty(crate::keys::Section::Provider))
        }
        Value::Mapping(entries) => match entries.as_slice() {
            [(key, inner)] if is_short_form(&key.text, inner) => {
                let fields = open(inner, &key.text, reading);
                (key.text.clone(), key.place, fields)
            }
            _ => {
                let name = name_of(item, reading)?;
                let place = entries.iter().find(|(key, _)| key.text == "name");
                let place = place.map_or(item.place, |(_, node)| node.place);
                (name.clone(), place, open(item, &name, reading))
            }
        },
        Value::Sequence(_) => {
            let fault = Fault::new("a provider is a name or a mapping, not a list");
            reading.findings.problem(item.place, fault);
            return None;
        }
    };
    if !values::is_name(&name) || matches!(name.as_str(), "default" | "auto") {
        let what = format!("{} cannot be the name of a provider", shown(&name));
        let hint =
            "1 to 64 letters, digits, \".\", \"_\" or \"-\"; \"default\" and \"auto\" are taken";
        reading.findings.problem(place, Fault::new(what).hint(hint));
        return None;
    }
    *priority = match fields.node("priority") {
        Some(_) => reading.integer(&fields, "priority").unwrap_or(*priority),
        None => priority.saturating_add(1),
    };
    reading.report_unset();
    let outcome = provider::read(&name, place, *priority, &fields, reading);
    match outcome {
        Outcome::Skipped(_) => reading.forget_unset(),
        Outcome::Usable(_) | Outcome::Broken => reading.report_unset(),
    }
    Some(Listed { name, place, outcome })
}

/// A mapping of one key that is no key of a provider: `groq: {model: x}`.
fn is_short_form(key: &str, inner: &Node) -> bool {
    let has_settings = matches!(inner.value, Value::Mapping(_)) || inner.is_null();
    crate::keys::Section::Provider.row(key).is_none() && has_settings
}

fn open<'n>(node: &'n Node, name: &str, reading: &mut Reading) -> Fields<'n> {
    let section = crate::keys::Section::Provider;
    if node.is_null() {
        return Fields::empty(section);
    }
    Fields::open(node, section, format!("provider {}", shown(name)), reading)
}

/// Reads the name ahead of the other keys, for their messages tell it.
fn name_of(item: &Node, reading: &mut Reading) -> Option<String> {
    let Value::Mapping(entries) = &item.value else {
        return None;
    };
    let node = entries.iter().find(|(key, _)| key.text == "name").map(|(_, node)| node);
    match node.map(|node| (node, &node.value)) {
        Some((node, Value::Scalar { text, .. })) if !node.is_null() => {
            reading.expanded(text, node.place).map(|expanded| expanded.text.trim().to_owned())
        }
        Some((node, _)) => {
            reading
                .findings
                .problem(node.place, Fault::new("the name of a provider must be a text"));
            None
        }
        None => {
            // Its other keys are checked all the same.
            Fields::open(item, crate::keys::Section::Provider, "this provider".to_owned(), reading);
            reading.findings.problem(item.place, Fault::new("a provider has no \"name\""));
            None
        }
    }
}

/// A provider on the proxy's own port would be the proxy itself.
pub(super) fn warn_of_self_calls(listed: &[Listed], server: &Server, reading: &mut Reading) {
    for provider in listed {
        if let Outcome::Usable(usable) = &provider.outcome
            && usable.endpoints.is_loopback()
            && usable.endpoints.port() == server.port
        {
            let what = format!(
                "provider \"{}\" is on this machine's port {}, where the proxy itself listens",
                provider.name, server.port
            );
            reading.findings.warn(Some(provider.place), &what);
        }
    }
}

/// Sorts by priority, equal ones in the file's order, and sets the skipped ones apart.
pub(super) fn sorted(listed: Vec<Listed>) -> (Vec<Provider>, Vec<Skipped>) {
    let (mut providers, mut skipped) = (Vec::new(), Vec::new());
    for provider in listed {
        match provider.outcome {
            Outcome::Usable(usable) => providers.push(*usable),
            Outcome::Skipped(reason) => skipped.push(Skipped { name: provider.name, reason }),
            Outcome::Broken => {}
        }
    }
    providers.sort_by_key(|provider| provider.priority);
    (providers, skipped)
}
