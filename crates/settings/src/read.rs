//! From a tree with places to `Settings`, or to every problem in it.

mod chains;
mod fields;
mod provider;
mod provider_keys;
mod providers;

use crate::catalogue::Catalogue;
use crate::env::Env;
use crate::keys::Section;
use crate::model::{
    KeyOrder, Memory, Rotation, Server, Settings, StatePlace, StreamRecovery, UnknownModel,
    Unlisted,
};
use crate::problem::{Fault, Findings, Place, Problem};
use crate::secret::{self, Secret};
use crate::values;
use crate::yaml::{self, Node, Value};
use fields::{Fields, Reading};

/// Tells whether a header (lower case) is the proxy's own to set.
pub(crate) fn is_own_header(name: &str) -> bool {
    name == "authorization" || provider::OWN_HEADERS.contains(&name)
}

const START: Place = Place { line: 1, column: 1 };

/// Reads a configuration; `file` is the name used in messages.
///
/// # Errors
/// Returns every problem that the text has, in the order of its lines.
pub fn parse(text: &str, file: &str, env: &Env) -> Result<Settings, Vec<Problem>> {
    let mut findings = Findings::new(file);
    let tree = yaml::parse(text, &mut findings);
    if tree.is_none() && findings.has_problems() {
        return findings.finish().map_or_else(Err, |_| Err(Vec::new()));
    }
    let mut reading = Reading::new(env, findings);
    let settings = Settings { unlisted: unlisted(text, env), ..root(tree.as_ref(), &mut reading) };
    finish(settings, reading)
}

/// The providers whose keys are in the environment, but neither they nor their variables in the
/// file; a comment does not count.
fn unlisted(text: &str, env: &Env) -> Vec<Unlisted> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let written: Vec<&str> = lines
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)))
        .collect();
    let is_set =
        |name: &String| env.filled(name).is_some_and(|value| !secret::is_placeholder(value));
    let found = Catalogue::builtin().automatic().filter_map(|entry| {
        let variable = entry.key_variables.iter().find(|name| is_set(name))?;
        let is_named = written.contains(&entry.id.as_str())
            || entry.key_variables.iter().any(|name| written.contains(&name.as_str()));
        let found = Unlisted { name: entry.id.clone(), variable: variable.clone() };
        (!is_named).then_some(found)
    });
    found.collect()
}

/// Makes settings of providers named by the catalogue alone, as if a file had listed them.
pub(crate) fn from_names(names: &[&str], env: &Env) -> Result<Settings, Vec<Problem>> {
    let place = Place::default();
    let scalar = |text: &&str| Node {
        place,
        value: Value::Scalar { text: (*text).to_owned(), plain: true },
    };
    let key = yaml::Key { place, text: "providers".to_owned() };
    let list = Node { place, value: Value::Sequence(names.iter().map(scalar).collect()) };
    let tree = Node { place, value: Value::Mapping(vec![(key, list)]) };
    let mut reading = Reading::new(env, Findings::new("environment"));
    let settings = root(Some(&tree), &mut reading);
    finish(settings, reading)
}

fn finish(settings: Settings, mut reading: Reading) -> Result<Settings, Vec<Problem>> {
    reading.report_unset();
    let warnings = reading.findings.finish()?;
    Ok(Settings { warnings, ..settings })
}

fn root(tree: Option<&Node>, reading: &mut Reading) -> Settings {
    let top = match tree.filter(|node| !node.is_null()) {
        Some(node) => Fields::open(node, Section::Top, "the file".to_owned(), reading),
        None => Fields::empty(Section::Top),
    };
    let server = server(&reading.section(&top, "server", Section::Server), reading);
    let rotation = rotation(&reading.section(&top, "rotation", Section::Rotation), reading);
    let memory = memory(&top, reading);
    let listed = providers::read(&top, reading);
    providers::warn_of_self_calls(&listed, &server, reading);
    let chains = chains::read(&top, &listed, reading);
    let (providers, skipped) = providers::sorted(listed);
    Settings {
        server,
        rotation,
        memory,
        providers,
        chains,
        skipped,
        unlisted: Vec::new(),
        warnings: Vec::new(),
    }
}

fn memory(top: &Fields, reading: &mut Reading) -> Memory {
    let history = reading.section(top, "history", Section::History);
    Memory {
        place: match reading.filled_text(top, "state").as_deref() {
            None => StatePlace::Platform,
            Some("memory") => StatePlace::Nowhere,
            Some(folder) => StatePlace::Folder(folder.into()),
        },
        history_days: reading
            .integer(&history, "days")
            .and_then(|days| u32::try_from(days).ok())
            .unwrap_or(30),
        most_bytes: reading.size(&history, "max_size"),
    }
}

fn server(fields: &Fields, reading: &mut Reading) -> Server {
    let host = reading.text_or_default(fields, "host");
    if !crate::url::is_host(&host) {
        let fault = Fault::new("\"host\" in server is not an address or a name");
        reading.problem_at(fields, "host", fault.hint("the port has its own key, \"port\""));
    }
    let lower = |texts: Vec<String>| texts.iter().map(|text| text.to_lowercase()).collect();
    Server {
        host,
        port: u16::try_from(reading.integer(fields, "port").unwrap_or_default())
            .unwrap_or_default(),
        api_keys: server_keys(fields, reading),
        allowed_hosts: lower(reading.texts(fields, "allowed_hosts")),
        allowed_origins: lower(reading.texts(fields, "allowed_origins")),
        max_body: reading.size(fields, "max_body"),
        ca_file: reading.filled_text(fields, "ca_file").map(Into::into),
        timezone: reading.value(fields, "timezone", values::zone),
    }
}

/// Keys that guard the proxy: one that is missing is a problem, for it would leave the door open.
fn server_keys(fields: &Fields, reading: &mut Reading) -> Vec<Secret> {
    let mut keys = Vec::new();
    for (text, node) in reading.placed_texts(fields, "api_keys") {
        if secret::is_placeholder(&text) {
            let fault = Fault::new("\"api_keys\" in server holds a placeholder or an empty key");
            reading.findings.problem(node.place, fault);
            continue;
        }
        match Secret::new(&text) {
            Ok(key) => keys.push(key),
            Err(fault) => reading.findings.problem(node.place, fault),
        }
    }
    keys
}

fn rotation(fields: &Fields, reading: &mut Reading) -> Rotation {
    Rotation {
        default_cooldown: reading.duration(fields, "default_cooldown").unwrap_or_default(),
        wait_in_place: reading.duration(fields, "wait_in_place").unwrap_or_default(),
        max_wait: reading.duration(fields, "max_wait").unwrap_or_default(),
        connect_timeout: reading.duration(fields, "connect_timeout").unwrap_or_default(),
        first_token_timeout: reading.duration(fields, "first_token_timeout").unwrap_or_default(),
        response_timeout: reading.duration(fields, "response_timeout").unwrap_or_default(),
        stall_timeout: reading.duration(fields, "stall_timeout").unwrap_or_default(),
        request_timeout: reading.duration(fields, "request_timeout").unwrap_or_default(),
        unknown_model: match reading.word(fields, "unknown_model") {
            Some("pass") => UnknownModel::Pass,
            Some("reject") => UnknownModel::Reject,
            _ => UnknownModel::Substitute,
        },
        stream_recovery: match reading.word(fields, "stream_recovery") {
            Some("off") => StreamRecovery::Off,
            _ => StreamRecovery::Auto,
        },
        allow_paid: reading.switch(fields, "allow_paid").unwrap_or(true),
        heartbeat: reading.duration(fields, "heartbeat"),
        keys: key_order(fields, reading).unwrap_or(KeyOrder::InOrder),
    }
}

fn key_order(fields: &Fields, reading: &mut Reading) -> Option<KeyOrder> {
    reading.word(fields, "keys").map(|word| match word {
        "spread" => KeyOrder::Spread,
        _ => KeyOrder::InOrder,
    })
}
