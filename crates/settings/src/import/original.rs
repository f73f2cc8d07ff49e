//! A file of the Python version, which works as it is. Importing tidies it: keys that stand in it
//! become variables, and what has no meaning here is named.

use super::draft::{Draft, Lines};
use super::keys::variable_of;
use super::tree::{entries, flow, get, items, list, scalar, text, text_of};
use crate::catalogue::Catalogue;
use crate::keys::Section;
use crate::problem::{may_be_key, shown};
use crate::yaml::{Node, Value};

pub(super) fn read(tree: &Node, draft: &mut Draft) {
    for item in get(tree, "providers").map(items).unwrap_or_default() {
        let lines = provider(item, draft);
        draft.providers.push(lines);
    }
    for (key, node) in entries(tree) {
        match key.text.as_str() {
            "providers" => {}
            "models" => draft.models = section(node, None, draft),
            "server" => draft.server = section(node, Some(Section::Server), draft),
            "rotation" => draft.rotation = section(node, Some(Section::Rotation), draft),
            other => draft.note(format!("{} has no meaning here", shown(other))),
        }
    }
}

fn provider(item: &Node, draft: &mut Draft) -> Lines {
    let name = match &item.value {
        Value::Scalar { .. } => text(item),
        Value::Mapping(_) | Value::Sequence(_) => text_of(item, "name"),
    };
    let Some(name) = name else {
        return short_form(item, draft);
    };
    let mut lines = vec![("name".to_owned(), scalar(name))];
    lines.extend(settings(item, name, draft));
    lines
}

/// `groq: {model: x}`
fn short_form(item: &Node, draft: &mut Draft) -> Lines {
    let [(key, inner)] = entries(item) else {
        draft.note("a provider has no name: give it one");
        return settings(item, "provider", draft);
    };
    let mut lines = vec![("name".to_owned(), scalar(&key.text))];
    lines.extend(settings(inner, &key.text, draft));
    lines
}

fn settings(item: &Node, name: &str, draft: &mut Draft) -> Lines {
    let mut lines = Lines::new();
    for (key, node) in entries(item) {
        let key = key.text.as_str();
        let value = match key {
            "name" => continue,
            "api_key" | "api_keys" => keys(node, name, draft),
            "headers" => headers(node, name, draft),
            "model" | "models" => {
                tell_retired(node, name, draft);
                flow(node)
            }
            _ if Section::Provider.row(key).is_none() => {
                draft.note(format!("provider {}: {} has no meaning here", shown(name), shown(key)));
                continue;
            }
            _ => flow(node),
        };
        lines.push((key.to_owned(), value));
    }
    lines
}

fn keys(node: &Node, name: &str, draft: &mut Draft) -> String {
    let entry = Catalogue::builtin().find(name);
    let wanted = entry.and_then(|entry| entry.key_variables.first()).cloned();
    let wanted = wanted.unwrap_or_else(|| variable_of(name));
    let written = |text: &str, draft: &mut Draft| scalar(&draft.key(text, &wanted));
    match &node.value {
        Value::Scalar { .. } => text(node).map_or("null".to_owned(), |text| written(text, draft)),
        Value::Sequence(items) => {
            list(items.iter().filter_map(text).map(|text| written(text, draft)).collect::<Vec<_>>())
        }
        Value::Mapping(_) => flow(node),
    }
}

/// Headers may hold keys too.
fn headers(node: &Node, name: &str, draft: &mut Draft) -> String {
    let pairs: Vec<(String, String)> = entries(node)
        .iter()
        .map(|(key, node)| match text(node) {
            Some(text) if may_be_key(text) => {
                let wanted = variable_of(&format!("{name}_{}", key.text));
                (scalar(&key.text), scalar(&draft.key(text, &wanted)))
            }
            Some(_) | None => (scalar(&key.text), flow(node)),
        })
        .collect();
    super::tree::mapping(pairs)
}

fn tell_retired(node: &Node, name: &str, draft: &mut Draft) {
    let Some(entry) = Catalogue::builtin().find(name) else { return };
    for model in items(node).iter().filter_map(text) {
        if let Some(when) = entry.retirement(model) {
            let now = entry.default_model.as_deref().map(|now| format!("; now there is {now}"));
            draft.note(format!(
                "provider {}: the model {model} is retired ({when}){}",
                shown(name),
                now.unwrap_or_default()
            ));
        }
    }
}

/// Copies a section that is written as it is here.
fn section(node: &Node, known: Option<Section>, draft: &mut Draft) -> Lines {
    let mut lines = Lines::new();
    for (key, node) in entries(node) {
        if known.is_some_and(|section| section.row(&key.text).is_none()) {
            draft.note(format!("{} has no meaning here", shown(&key.text)));
        } else if key.text == "api_keys" && known == Some(Section::Server) {
            let keys = items(node).iter().filter_map(text);
            let keys: Vec<String> =
                keys.map(|text| scalar(&draft.key(text, "LLM_PROXY_KEY"))).collect();
            lines.push((key.text.clone(), list(keys)));
        } else {
            lines.push((key.text.clone(), flow(node)));
        }
    }
    lines
}
