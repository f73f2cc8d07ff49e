//! The keys of one provider: those written in the file, else the catalogue's variables.

use super::fields::{Fields, Reading};
use super::provider::About;
use crate::catalogue::CatalogueEntry;
use crate::endpoints::Endpoints;
use crate::model::ProviderKey;
use crate::problem::Fault;
use crate::secret::{Secret, is_placeholder};
use crate::yaml::Value;

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// Keys, or none where none is needed.
    Keys(Vec<ProviderKey>),
    /// No key, and why.
    Missing(String),
}

/// What the file says: the keys, and why there is none.
pub(super) type Written = Option<(Vec<ProviderKey>, String)>;

/// Reads the keys of the file; `None` if it leaves them to the environment.
pub(super) fn written(about: &About, fields: &Fields, reading: &mut Reading) -> Written {
    let given = ["api_key", "api_keys"].into_iter().filter(|key| fields.node(key).is_some());
    let given: Vec<&str> = given.collect();
    if let [_, second] = given.as_slice() {
        let what = fields.about(second, "\"api_key\" is given too");
        reading.problem_at(fields, second, Fault::new(what).hint("write only one of them"));
    }
    given.first().map(|key| from_file(about, key, fields, reading))
}

/// Takes the keys of the file, else those of the catalogue's variables.
pub(super) fn choose(
    about: &About,
    ends: &Endpoints,
    written: Written,
    reading: &mut Reading,
) -> Found {
    let is_written = written.is_some();
    let (keys, reason) = match (written, about.entry) {
        (Some((keys, reason)), entry) => (keys, with_other_variable(reason, entry, ends, reading)),
        (None, Some(entry)) if owns(entry, ends) => from_environment(about, entry, reading),
        (None, _) => (Vec::new(), "no key: no api_key is given".to_owned()),
    };
    // A server on this machine, or a local kind of server in the house, may want no key; but a
    // key that the file speaks of and that is not there is missing.
    let is_local =
        ends.is_loopback() || about.entry.is_some_and(|entry| entry.local && ends.is_plain_http());
    let optional = is_local && !is_written;
    if keys.is_empty() && !optional { Found::Missing(reason) } else { Found::Keys(keys) }
}

/// Tells whether the keys of the catalogue's variables may be sent to these URLs.
fn owns(entry: &CatalogueEntry, ends: &Endpoints) -> bool {
    entry.owns_host(ends.host()) || (entry.local && ends.is_loopback())
}

/// Reads the keys of the file; the text says why there is none.
fn from_file(
    about: &About,
    key: &str,
    fields: &Fields,
    reading: &mut Reading,
) -> (Vec<ProviderKey>, String) {
    let (mut keys, mut missing) = (Vec::new(), Vec::new());
    for node in reading.items(fields, key) {
        let Value::Scalar { text, .. } = &node.value else {
            continue;
        };
        let Some(expanded) = reading.expanded(text, node.place) else {
            continue;
        };
        let why = match (expanded.unset.first(), expanded.empty.first()) {
            (Some(name), _) => Some(format!("{name} is not set")),
            (None, Some(name)) => Some(format!("{name} is empty")),
            (None, None) if is_placeholder(&expanded.text) => {
                Some(placeholder(key, &expanded.text))
            }
            (None, None) => None,
        };
        if let Some(why) = why {
            missing.push((why, node.place));
            continue;
        }
        match Secret::new(&expanded.text) {
            Ok(secret) => {
                if !add(&mut keys, secret) {
                    let what = format!("provider \"{}\": the same key is given twice", about.name);
                    reading.findings.warn(Some(node.place), &what);
                }
            }
            Err(fault) => {
                let what = fields.about(key, &fault.what);
                reading.findings.problem(node.place, Fault { what, hint: fault.hint });
            }
        }
    }
    if !keys.is_empty() {
        for (why, place) in &missing {
            let what = format!("provider \"{}\": one key is left out: {why}", about.name);
            reading.findings.warn(Some(*place), &what);
        }
    }
    let reasons: Vec<String> = missing.into_iter().map(|(why, _)| why).collect();
    (keys, format!("no key: {}", reasons.join(", ")))
}

fn placeholder(key: &str, text: &str) -> String {
    if text.trim().is_empty() {
        format!("{key} is empty")
    } else if text.trim().starts_with('$') {
        format!("{key} is written ${{NAME}}, with braces, to use a variable")
    } else {
        format!("{key} is a placeholder that was never filled in")
    }
}

/// Adds a key unless it is there already.
fn add(keys: &mut Vec<ProviderKey>, secret: Secret) -> bool {
    let new = !keys.iter().any(|known| known.secret == secret);
    if new {
        let fingerprint = secret.fingerprint();
        keys.push(ProviderKey { secret, fingerprint });
    }
    new
}

/// Points to a variable of the catalogue that is set while the one in the file is not.
fn with_other_variable(
    reason: String,
    entry: Option<&CatalogueEntry>,
    ends: &Endpoints,
    reading: &Reading,
) -> String {
    let set = entry.filter(|entry| owns(entry, ends)).and_then(|entry| {
        entry.key_variables.iter().find(|name| reading.env.filled(name).is_some_and(is_key))
    });
    match set {
        Some(name) => format!("{reason} ({name} is set: leave api_key out to use it)"),
        None => reason,
    }
}

fn is_key(value: &str) -> bool {
    !is_placeholder(value)
}

/// Takes the first of the catalogue's variables that holds a key.
fn from_environment(
    about: &About,
    entry: &CatalogueEntry,
    reading: &mut Reading,
) -> (Vec<ProviderKey>, String) {
    let env = reading.env;
    let names = entry.key_variables.iter();
    let mut set =
        names.filter_map(|name| Some((name, env.filled(name).filter(|value| is_key(value))?)));
    let Some((name, value)) = set.next() else {
        let looked_for = entry.key_variables.join(" or ");
        return (Vec::new(), format!("no key: {looked_for} is not set"));
    };
    for (other, _) in set.filter(|(_, other)| *other != value) {
        let what = format!("provider \"{}\": {other} is set too; {name} is used", about.name);
        reading.findings.warn(Some(about.place), &what);
    }
    let mut keys = Vec::new();
    match Secret::new(value) {
        Ok(secret) => drop(add(&mut keys, secret)),
        Err(fault) => {
            let what = format!("provider \"{}\": {name}: {}", about.name, fault.what);
            reading.findings.problem(about.place, Fault { what, hint: fault.hint });
        }
    }
    (keys, String::new())
}
