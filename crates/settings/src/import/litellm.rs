//! A configuration of LiteLLM's proxy: `model_list` becomes providers, the groups of one model name
//! become named chains with their fallbacks at the end.

use std::collections::HashMap;

use super::deployment::{self, Deployment, Terms, bare, seconds};
use super::draft::{Draft, Lines};
use super::keys::{reference, variable_of};
use super::prefixes::Names;
use super::tree::{entries, get, items, list, scalar, text, text_of};
use crate::catalogue::Catalogue;
use crate::problem::shown;
use crate::url::Url;
use crate::values;
use crate::yaml::Node;

/// The most deployments that are read, and the most steps of a chain; they bound the work.
const MOST: usize = 1000;
const MOST_STEPS: usize = 256;

pub(super) fn read(tree: &Node, draft: &mut Draft) {
    let listed = get(tree, "model_list").map(items).unwrap_or_default();
    if listed.len() > MOST {
        draft.note(format!("only the first {MOST} entries of model_list are read"));
    }
    let entries = listed.iter().take(MOST);
    let mut deployments: Vec<Deployment> =
        entries.filter_map(|item| deployment::read(item, draft)).collect();
    deployments.sort_by_key(|deployment| deployment.order);
    if deployments.is_empty() {
        return;
    }
    let (providers, places) = gather(&deployments);
    let mut names = Vec::new();
    for provider in &providers {
        let (name, lines) = written(provider, &names, draft);
        names.push(name);
        draft.providers.push(lines);
    }
    let steps = groups(&deployments, &places, &names, draft);
    draft.models = chains(tree, steps, draft);
    server(tree, draft);
    rotation(tree, draft);
    tell_unread(tree, draft);
}

/// Deployments that are one provider here.
#[derive(Debug)]
struct Gathered<'d> {
    terms: &'d Terms,
    keys: Vec<Option<&'d str>>,
    models: Vec<&'d str>,
}

/// Gathers the models of one key, then the keys of the same models. Tells for each deployment which
/// provider it went to.
fn gather(deployments: &[Deployment]) -> (Vec<Gathered<'_>>, Vec<usize>) {
    let mut by_key: Vec<Gathered> = Vec::new();
    let mut places = Vec::new();
    for one in deployments {
        let key = one.key.as_deref();
        let same = |other: &Gathered| *other.terms == one.terms && other.keys[0] == key;
        let place = by_key.iter().position(same).unwrap_or_else(|| {
            by_key.push(Gathered { terms: &one.terms, keys: vec![key], models: Vec::new() });
            by_key.len() - 1
        });
        let models = &mut by_key[place].models;
        let new = one.model.as_deref().filter(|id| !models.contains(id));
        models.extend(new);
        places.push(place);
    }
    let mut gathered: Vec<Gathered> = Vec::new();
    let mut moved = Vec::new();
    for one in by_key {
        let same = |other: &Gathered| {
            let has_keys = one.keys[0].is_some() && other.keys[0].is_some();
            has_keys && other.terms == one.terms && other.models == one.models
        };
        let place = gathered.iter().position(same);
        moved.push(place.unwrap_or(gathered.len()));
        match place {
            Some(place) => gathered[place].keys.extend(one.keys),
            None => gathered.push(one),
        }
    }
    (gathered, places.into_iter().map(|place| moved[place]).collect())
}

/// A provider's name and lines.
fn written(provider: &Gathered, taken: &[String], draft: &mut Draft) -> (String, Lines) {
    let terms = provider.terms;
    let entry = terms.id.and_then(|id| Catalogue::builtin().find(id));
    let stem = entry.map_or_else(|| stem(terms), |entry| entry.id.clone());
    let name = free(&stem, taken);
    let mut lines = vec![("name".to_owned(), scalar(&name))];
    if let Some(entry) = entry.filter(|entry| entry.retired.is_some()) {
        let when = entry.retired.as_deref().unwrap_or_default();
        draft.note(format!("provider {name}: {} has gone ({when})", entry.name));
    }
    let base = terms.base_url.clone().or_else(|| {
        // Only the first one has the catalogue's name, and with it its address.
        entry.filter(|entry| entry.id != name).map(|entry| {
            let variables = entry.url_variables.iter();
            variables.fold(entry.base_url.clone(), |base, (place, variable)| {
                base.replace(&format!("{{{place}}}"), &format!("${{{variable}}}"))
            })
        })
    });
    lines.extend(base.as_deref().map(|base| ("base_url".to_owned(), scalar(base))));
    let wanted = entry.and_then(|entry| entry.key_variables.first()).cloned();
    let wanted = wanted.unwrap_or_else(|| variable_of(&stem));
    let keys = provider.keys.iter().flatten().map(|key| {
        let key = draft.key(key, &wanted);
        scalar(&if base.as_deref().is_some_and(is_at_home) { optional(key) } else { key })
    });
    let mut keys: Vec<String> = keys.collect();
    match keys.len() {
        0 => {}
        1 => lines.push(("api_key".to_owned(), keys.remove(0))),
        _ => {
            lines.push(("api_keys".to_owned(), list(keys)));
            lines.push(("keys".to_owned(), "spread".to_owned()));
        }
    }
    if !provider.models.is_empty() {
        let models = provider.models.iter().map(|id| scalar(id));
        lines.push(("models".to_owned(), list(models)));
    }
    lines.extend(terms.lines.iter().cloned());
    (name, lines)
}

/// Whether a server is on this machine or in the house, where a key is often only a filler.
fn is_at_home(base: &str) -> bool {
    base.starts_with("http://")
}

/// `${NAME}` with something in its place, so that the server is asked without the variable too.
fn optional(key: String) -> String {
    match key.strip_suffix('}') {
        Some(name) if !key.contains(":-") => format!("{name}:-none}}"),
        Some(_) | None => key,
    }
}

/// The name of a provider that the catalogue does not have: its host, with the port if it is local.
fn stem(terms: &Terms) -> String {
    let url = terms.base_url.as_deref().and_then(|base| Url::parse(base).ok());
    let Some(url) = url else { return "provider".to_owned() };
    let host = url.host().trim_matches(['[', ']']).replace(':', "-");
    let name =
        if crate::url::is_loopback(url.host()) { format!("{host}-{}", url.port()) } else { host };
    let name: String = name.trim_matches('-').chars().take(56).collect();
    if values::is_name(&name) && name != "default" && name != "auto" {
        name
    } else {
        "provider".to_owned()
    }
}

fn free(stem: &str, taken: &[String]) -> String {
    let numbered = (2..).map(|number| format!("{stem}-{number}"));
    let mut names = std::iter::once(stem.to_owned()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or_default()
}

/// The steps of every group, in the order of the file.
type Groups = Vec<(String, Vec<String>)>;

fn groups(
    deployments: &[Deployment],
    places: &[usize],
    names: &[String],
    draft: &mut Draft,
) -> Groups {
    let mut groups: Groups = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    let mut unordered = false;
    for (one, place) in deployments.iter().zip(places) {
        let Some(model) = &one.model else {
            draft.note(format!(
                "{}: a pattern is no chain here; a model that nobody lists goes to each provider's \
                 own, or as it is with rotation.unknown_model: pass",
                shown(&one.group)
            ));
            continue;
        };
        let at = *index.entry(one.group.as_str()).or_insert_with(|| {
            groups.push((one.group.clone(), Vec::new()));
            groups.len() - 1
        });
        let step = format!("{}/{model}", names[*place]);
        let steps = &mut groups[at].1;
        if !steps.contains(&step) && steps.len() < MOST_STEPS {
            unordered |= !steps.is_empty() && one.order == i64::MAX;
            steps.push(step);
        }
    }
    if unordered {
        draft.note(
            "deployments of one model name are asked in the order of its chain, the next one only \
             when the one before cannot serve; requests are not shuffled between them",
        );
    }
    groups
}

/// Writes the chains: each group, then those it falls back to, and its other names.
fn chains(tree: &Node, groups: Groups, draft: &mut Draft) -> Lines {
    let settings = ["router_settings", "litellm_settings"].map(|key| get(tree, key));
    let fallbacks = |key| settings.iter().flatten().filter_map(move |node| get(node, key));
    let by_name: HashMap<&str, &Vec<String>> =
        groups.iter().map(|(name, steps)| (name.as_str(), steps)).collect();
    let mut written = Lines::new();
    for (name, own) in &groups {
        let named = fallbacks("fallbacks").flat_map(items).flat_map(entries);
        let own_next = named.filter(|(key, _)| key.text == *name || key.text == "*");
        let next = own_next.map(|(_, node)| node).chain(fallbacks("default_fallbacks"));
        let mut steps = own.clone();
        for other in next.flat_map(items).filter_map(text) {
            let Some(further) = by_name.get(other) else {
                draft.note(format!("{}: {}", shown(name), missing(tree, other)));
                continue;
            };
            for step in *further {
                if !steps.contains(step) && steps.len() < MOST_STEPS {
                    steps.push(step.clone());
                }
            }
        }
        push_chain(name, &steps, &mut written, draft);
    }
    let aliases = settings[0].and_then(|node| get(node, "model_group_alias"));
    for (alias, node) in aliases.map(entries).unwrap_or_default() {
        let target = text(node).or_else(|| text_of(node, "model")).unwrap_or_default();
        let found = written.iter().find(|(name, _)| name == target);
        if let Some(steps) = found.map(|(_, steps)| steps.clone()) {
            push_written(&alias.text, steps, &mut written, draft);
        } else {
            draft.note(format!("{}: {}", shown(&alias.text), missing(tree, target)));
        }
    }
    written
}

/// Why a name that something leads to has no chain.
fn missing(tree: &Node, name: &str) -> String {
    let mut listed = get(tree, "model_list").map(items).unwrap_or_default().iter();
    if listed.any(|item| text_of(item, "model_name") == Some(name)) {
        format!("{} was left out", shown(name))
    } else {
        format!("no model is named {}", shown(name))
    }
}

fn push_chain(name: &str, steps: &[String], written: &mut Lines, draft: &mut Draft) {
    push_written(name, list(steps.iter().map(|step| scalar(step))), written, draft);
}

fn push_written(name: &str, steps: String, written: &mut Lines, draft: &mut Draft) {
    if matches!(name, "default" | "auto") {
        draft.note(format!("{name} means all providers in their order here, and is no chain"));
    } else if steps == list([scalar(name)]) {
        // `provider/model` means just that without a chain.
    } else if !values::is_name(name) {
        draft.note(format!(
            "{} cannot be the name of a chain (1 to 64 letters, digits, \".\", \"_\" or \"-\"); \
             its steps are {}",
            shown(name),
            bare(&steps.replace(['[', ']', '"'], ""))
        ));
    } else if written.len() < MOST_STEPS && !written.iter().any(|(known, _)| known == name) {
        written.push((name.to_owned(), steps));
    }
}

fn server(tree: &Node, draft: &mut Draft) {
    let key = get(tree, "general_settings").and_then(|node| text_of(node, "master_key"));
    if let Some(key) = key {
        let key = reference(key).unwrap_or_else(|| draft.key(key, "LLM_PROXY_KEY"));
        draft.note("master_key is server.api_keys here: the proxy starts only when it is set");
        draft.server.push(("api_keys".to_owned(), list([scalar(&key)])));
    }
    draft.note("LiteLLM listens on port 4000 by default, llm-proxy on 8000: see server.port");
}

/// Settings that have a counterpart: theirs, and ours.
const TIMES: [(&str, &str, &str); 4] = [
    ("router_settings", "timeout", "request_timeout"),
    ("litellm_settings", "request_timeout", "request_timeout"),
    ("router_settings", "stream_timeout", "first_token_timeout"),
    ("router_settings", "cooldown_time", "default_cooldown"),
];

fn rotation(tree: &Node, draft: &mut Draft) {
    for (section, theirs, ours) in TIMES {
        let Some(text) = get(tree, section).and_then(|node| text_of(node, theirs)) else {
            continue;
        };
        match seconds(text) {
            Some(time) if !draft.rotation.iter().any(|(key, _)| key == ours) => {
                draft.rotation.push((ours.to_owned(), time));
            }
            Some(_) => {}
            None => draft.note(format!("{section}.{theirs}: {} is left out", shown(text))),
        }
    }
}

/// Names the settings that were not carried over.
fn tell_unread(tree: &Node, draft: &mut Draft) {
    let read = |section: &str, key: &str| {
        TIMES.iter().any(|(s, k, _)| *s == section && *k == key)
            || matches!(key, "fallbacks" | "default_fallbacks" | "model_group_alias" | "master_key")
    };
    for (section, node) in entries(tree).iter().filter(|(_, node)| !node.is_null()) {
        let section = section.text.as_str();
        match section {
            "model_list" => {}
            "router_settings" | "litellm_settings" | "general_settings" => {
                for (key, _) in entries(node).iter().filter(|(key, _)| !read(section, &key.text)) {
                    tell(&format!("{section}.{}", key.text), draft);
                }
            }
            other => tell(other, draft),
        }
    }
}

fn tell(setting: &str, draft: &mut Draft) {
    draft.note(format!("{}: {}", bare(setting), Names::builtin().remark(setting)));
}
