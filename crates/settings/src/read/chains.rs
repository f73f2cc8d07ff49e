//! Named chains: `fast: [groq/llama-x, cerebras]`.

use std::collections::HashMap;

use super::fields::{Fields, Reading};
use super::providers::{Listed, Outcome};
use crate::model::{Chain, Step};
use crate::problem::{Fault, Place, shown};
use crate::values;
use crate::yaml::{Key, Node, Value};

/// More than this is a slip, and it bounds the work that a file can cause.
const MOST: usize = 256;

pub(super) fn read(top: &Fields, listed: &[Listed], reading: &mut Reading) -> Vec<Chain> {
    let Some(node) = top.node("models") else {
        return Vec::new();
    };
    let Value::Mapping(entries) = &node.value else {
        let fault = Fault::new("\"models\" at the top level must name chains");
        reading.findings.problem(node.place, fault.hint("for example: fast: [groq, cerebras]"));
        return Vec::new();
    };
    if entries.len() > MOST {
        reading.findings.problem(node.place, Fault::new("more than 256 chains are named"));
        return Vec::new();
    }
    let by_name = listed.iter().map(|provider| (provider.name.as_str(), provider)).collect();
    entries.iter().filter_map(|(key, node)| one(key, node, &by_name, reading)).collect()
}

/// The listed providers by their names.
type ByName<'a> = HashMap<&'a str, &'a Listed>;

fn one(key: &Key, node: &Node, listed: &ByName, reading: &mut Reading) -> Option<Chain> {
    if reading.findings.is_full() {
        return None;
    }
    let name = &key.text;
    if !values::is_name(name) || matches!(name.as_str(), "default" | "auto") {
        let what = format!("{} cannot be the name of a chain", shown(name));
        let hint =
            "1 to 64 letters, digits, \".\", \"_\" or \"-\"; \"default\" and \"auto\" are taken";
        reading.findings.problem(key.place, Fault::new(what).hint(hint));
        return None;
    }
    if listed.contains_key(name.as_str()) {
        let what = format!("the name \"{name}\" means the chain, not the provider of that name");
        reading.findings.warn(Some(key.place), &what);
    }
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        Value::Scalar { .. } | Value::Mapping(_) => std::slice::from_ref(node),
    };
    if items.is_empty() || node.is_null() || items.len() > MOST {
        let what = format!("the chain \"{name}\" needs 1 to {MOST} steps");
        reading.findings.problem(node.place, Fault::new(what));
        return None;
    }
    let steps: Vec<Step> =
        items.iter().filter_map(|item| step(name, item, listed, reading)).collect();
    if steps.is_empty() {
        let what = format!("no provider of the chain \"{name}\" is usable");
        reading.findings.warn(Some(key.place), &what);
    }
    Some(Chain { name: name.clone(), steps })
}

/// Reads one step; `None` if its provider is not usable or not known.
fn step(chain: &str, item: &Node, listed: &ByName, reading: &mut Reading) -> Option<Step> {
    let wrong = |reading: &mut Reading, place: Place, what: &str| {
        let what = format!("the chain \"{chain}\": {what}");
        reading.findings.problem(place, Fault::new(what).hint("write provider or provider/model"));
    };
    let Value::Scalar { text, .. } = &item.value else {
        wrong(reading, item.place, "a step must be a text");
        return None;
    };
    let expanded = reading.expanded(text, item.place)?;
    if let Some(variable) = expanded.unset.first() {
        wrong(reading, item.place, &format!("the variable {variable} is not set"));
        return None;
    }
    let text = expanded.text.trim();
    let (name, model) = match text.split_once('/') {
        Some((name, model)) => (name, Some(model)),
        None => (text, None),
    };
    if model.is_some_and(|model| !values::is_model(model)) {
        wrong(reading, item.place, "not the id of a model behind \"/\"");
        return None;
    }
    let Some(provider) = listed.get(name) else {
        let what = format!("the chain \"{chain}\": no provider {} is listed", shown(name));
        let fault = Fault::new(what).nearest(name, sorted_names(listed));
        reading.findings.problem(item.place, fault);
        return None;
    };
    match provider.outcome {
        Outcome::Usable(_) => {
            Some(Step { provider: name.to_owned(), model: model.map(ToOwned::to_owned) })
        }
        Outcome::Skipped(_) | Outcome::Broken => None,
    }
}

/// The names in one order, so that the nearest of equally near ones is always the same.
fn sorted_names<'a>(listed: &ByName<'a>) -> Vec<&'a str> {
    let mut names: Vec<&str> = listed.keys().copied().collect();
    names.sort_unstable();
    names
}
