//! One entry of `model_list`: which provider, which model, on which terms.

use super::draft::{Draft, Lines};
use super::keys::{is_no_key, reference};
use super::prefixes::{Names, Whose};
use super::tree::{entries, get, mapping, scalar, text, text_of};
use crate::catalogue::Catalogue;
use crate::problem::{may_be_key, shown};
use crate::url::Url;
use crate::values;
use crate::yaml::Node;

/// A deployment as the other proxy has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Deployment {
    /// The name by which clients ask for it, with others.
    pub(super) group: String,
    /// Lower is asked first; those without come last.
    pub(super) order: i64,
    pub(super) terms: Terms,
    /// A text with `${VAR}`, or the key itself.
    pub(super) key: Option<String>,
    /// `None` for a pattern such as `openai/*`.
    pub(super) model: Option<String>,
}

/// What deployments have in common that can be one provider here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// The provider of the catalogue.
    pub(super) id: Option<&'static str>,
    pub(super) base_url: Option<String>,
    /// Limits, timeouts and headers.
    pub(super) lines: Lines,
}

/// Modes of a model that are served here; none is chat.
const SERVED: [&str; 2] = ["chat", "completion"];

/// What is read of `litellm_params`; the rest gets a note.
const READ: [&str; 15] = [
    "model",
    "custom_llm_provider",
    "api_key",
    "api_base",
    "base_url",
    "api_version",
    "order",
    "rpm",
    "tpm",
    "max_parallel_requests",
    "timeout",
    "stream_timeout",
    "extra_headers",
    "headers",
    "drop_params",
];

/// Reads an entry; `None` with a note if it cannot be served here.
pub(super) fn read(item: &Node, draft: &mut Draft) -> Option<Deployment> {
    let group = text_of(item, "model_name").unwrap_or_default();
    let Some(params) = get(item, "litellm_params") else {
        draft.note(format!("{}: it has no litellm_params", shown(group)));
        return None;
    };
    let mode = get(item, "model_info").and_then(|info| text_of(info, "mode"));
    if let Some(mode) = mode.filter(|mode| !SERVED.contains(mode)) {
        let remark = Names::builtin().remark("model_info.mode");
        draft.note(format!("{}: mode {}: {remark}", shown(group), shown(mode)));
        return None;
    }
    let Some(written) = text_of(params, "model") else {
        draft.note(format!("{}: it names no model", shown(group)));
        return None;
    };
    if let Some(word) = Names::builtin().not_chat(written).filter(|_| mode.is_none()) {
        let remark = Names::builtin().remark("model_info.mode");
        draft.note(format!(
            "{}: {} is left out for its \"{word}\": {remark}; if it does chat, say \
                            model_info.mode: chat",
            shown(group),
            shown(written)
        ));
        return None;
    }
    let (terms, id) = upstream(group, written, params, draft)?;
    let model = (!id.contains('*')).then(|| id.to_owned());
    if model.as_ref().is_some_and(|id| !values::is_model(id) || id.contains("${")) {
        draft.note(format!("{}: {} cannot be the id of a model", shown(group), shown(written)));
        return None;
    }
    tell_unread(params, draft);
    Some(Deployment {
        group: group.to_owned(),
        order: text_of(params, "order").and_then(|text| text.parse().ok()).unwrap_or(i64::MAX),
        terms,
        key: text_of(params, "api_key")
            .filter(|text| !is_no_key(text))
            .map(|text| reference(text).unwrap_or(text.to_owned())),
        model,
    })
}

/// Whose model it is, on which terms, and its id there.
fn upstream<'n>(
    group: &str,
    written: &'n str,
    params: &'n Node,
    draft: &mut Draft,
) -> Option<(Terms, &'n str)> {
    let address = text_of(params, "api_base").or_else(|| text_of(params, "base_url"));
    let base_url = match address.map(|text| reference(text).unwrap_or(text.to_owned())) {
        Some(base) if !base.contains("${") && Url::parse(&base).is_err() => {
            draft.note(format!("{}: its api_base is no URL", shown(group)));
            return None;
        }
        other => other.map(completed),
    };
    let whose = Names::builtin().whose(written, text_of(params, "custom_llm_provider"));
    let (id, model) = match (whose, &base_url) {
        // The prefix means only the way of speaking when the address is another's.
        (Whose::Known("openai", model) | Whose::AtAddress(model), Some(base)) => {
            (owner(base), model)
        }
        (Whose::Known(id, model), _) => (Some(id), model),
        (Whose::Unknown, Some(base)) if !written.contains('/') => (owner(base), written),
        (Whose::AtAddress(_) | Whose::Unknown, _) => {
            draft.note(format!(
                "{}: {} is nobody whom llm-proxy knows; an OpenAI-compatible service can be added \
                 with its base_url",
                shown(group),
                shown(written)
            ));
            return None;
        }
    };
    Some((Terms { id, base_url, lines: lines(group, params, draft) }, model))
}

/// The base URL of a provider that is known; a bare host gets the path of the catalogue's, which
/// other proxies add by themselves.
fn completed(base: String) -> String {
    let Ok(url) = Url::parse(&base) else { return base };
    let no_path = url.path().is_empty() && !url.has_query();
    let entry = Catalogue::builtin().find_host(url.host()).filter(|_| no_path);
    let path = entry.and_then(|entry| entry.base_url.splitn(4, '/').nth(3));
    path.map_or(base, |path| url.with_tail(&format!("/{path}")))
}

/// The provider of the catalogue to whom a URL belongs.
fn owner(base: &str) -> Option<&'static str> {
    let url = Url::parse(base).ok()?;
    Catalogue::builtin().find_host(url.host()).map(|entry| entry.id.as_str())
}

/// Limits, timeouts and headers.
fn lines(group: &str, params: &Node, draft: &mut Draft) -> Lines {
    let mut lines = Lines::new();
    let limits = [("rpm", "rpm"), ("tpm", "tpm"), ("max_parallel_requests", "concurrent")];
    let limits = limits.map(|(theirs, ours)| (theirs, ours, whole as Reading));
    let timeouts = [("timeout", "response"), ("stream_timeout", "first_token")];
    let timeouts = timeouts.map(|(theirs, ours)| (theirs, ours, seconds as Reading));
    for (key, fields) in [("limits", &limits[..]), ("timeouts", &timeouts[..])] {
        let pairs = numbers(group, params, fields, draft);
        if !pairs.is_empty() {
            lines.push((key.to_owned(), mapping(pairs)));
        }
    }
    let headers = get(params, "extra_headers").or_else(|| get(params, "headers"));
    let pairs = headers.map(|node| header_lines(node, group, draft)).unwrap_or_default();
    if !pairs.is_empty() {
        lines.push(("headers".to_owned(), mapping(pairs)));
    }
    lines
}

/// How a number is read and written; `None` if it is none that is taken here.
type Reading = fn(&str) -> Option<String>;

fn numbers(
    group: &str,
    params: &Node,
    fields: &[(&str, &str, Reading)],
    draft: &mut Draft,
) -> Lines {
    let mut pairs = Lines::new();
    for (theirs, ours, reading) in fields {
        let Some(text) = text_of(params, theirs) else { continue };
        match reading(text) {
            Some(number) => pairs.push(((*ours).to_owned(), number)),
            None => draft.note(format!("{}: {theirs}: {} is left out", shown(group), shown(text))),
        }
    }
    pairs
}

/// A count of at least one that JSON can hold.
fn whole(text: &str) -> Option<String> {
    text.parse().ok().filter(|number: &u64| (1..=1 << 53).contains(number)).map(|n| n.to_string())
}

/// Seconds, from a millisecond to a day.
pub(super) fn seconds(text: &str) -> Option<String> {
    let span = values::duration(text).ok()?;
    let fits = (1..=86_400_000).contains(&span.as_millis());
    fits.then(|| format!("{}s", span.as_secs_f64()))
}

fn header_lines(node: &Node, group: &str, draft: &mut Draft) -> Lines {
    let mut lines = Lines::new();
    for (key, node) in entries(node) {
        let name = key.text.to_ascii_lowercase();
        let known = lines.iter().any(|(other, _)| *other == name);
        let Some(text) = text(node).filter(|_| values::is_header_name(&name) && !known) else {
            continue;
        };
        if crate::read::is_own_header(&name) {
            draft.note(format!("{}: the header {name} cannot be set", shown(group)));
            continue;
        }
        let value = match reference(text) {
            Some(reference) => reference,
            None if may_be_key(text) => draft.key(text, &super::keys::variable_of(&name)),
            None => text.to_owned(),
        };
        lines.push((name, scalar(&value)));
    }
    lines
}

fn tell_unread(params: &Node, draft: &mut Draft) {
    for (key, node) in entries(params) {
        if !node.is_null() && !READ.contains(&key.text.as_str()) {
            let setting = format!("litellm_params.{}", key.text);
            let remark = Names::builtin().remark(&setting);
            draft.note(format!("{}: {remark}", bare(&setting)));
        }
    }
}

/// The name of a setting in a note.
pub(super) fn bare(setting: &str) -> String {
    shown(setting).trim_matches('"').to_owned()
}
