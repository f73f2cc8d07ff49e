//! One provider: what the file says, and what the catalogue knows of its host.

use super::fields::{Fields, Reading};
use super::provider_keys::{self, Found};
use super::providers::Outcome;
use crate::catalogue::{AuthStyle, Catalogue, CatalogueEntry, StreamUsage};
use crate::endpoints::{Endpoints, endpoints};
use crate::keys::Section;
use crate::model::{Limits, ModelChoice, Provider, ProviderKey, Tier, Timeouts};
use crate::problem::{Fault, Place, shown};
use crate::secret::Secret;
use crate::traits::{LackRule, Lacks, LimitScope};
use crate::url::Url;
use crate::values;

pub(super) fn read(
    name: &str,
    place: Place,
    priority: i64,
    fields: &Fields,
    reading: &mut Reading,
) -> Outcome {
    let base = base_url(name, place, fields, reading);
    let about = About { name, place, entry: base.entry };
    let enabled = reading.switch(fields, "enabled").unwrap_or(true);
    let written = provider_keys::written(&about, fields, reading);
    let described = described(&about, priority, fields, reading);
    if !enabled {
        return Outcome::Skipped("it is switched off (enabled: false)".to_owned());
    }
    let ends = match base.endpoints {
        Ok(ends) => ends,
        Err(outcome) => return written.and_then(without_key).unwrap_or(outcome),
    };
    let keys = match provider_keys::choose(&about, &ends, written, reading) {
        Found::Keys(keys) => keys,
        Found::Missing(reason) => return Outcome::Skipped(reason),
    };
    warn_of_retirement(&about, reading);
    if !keys.is_empty() && ends.is_plain_http() && !ends.is_loopback() {
        let what =
            format!("provider \"{name}\": its key goes over the network unencrypted (http://)");
        reading.findings.warn(Some(place), &what);
    }
    Outcome::Usable(Box::new(Provider { endpoints: ends, keys, ..described }))
}

/// A provider without a key is skipped, whatever else it lacks.
fn without_key((keys, reason): (Vec<ProviderKey>, String)) -> Option<Outcome> {
    keys.is_empty().then_some(Outcome::Skipped(reason))
}

/// Everything but the URLs and keys, which are put in when the provider turns out to be usable.
fn described(about: &About, priority: i64, fields: &Fields, reading: &mut Reading) -> Provider {
    let entry = about.entry;
    let daily_reset = entry.and_then(|entry| entry.daily_reset.as_deref());
    let blank = String::new;
    let (limits, assumed_output) = limits(entry, fields, reading);
    Provider {
        name: about.name.to_owned(),
        catalogue_id: entry.map(|entry| entry.id.as_str()),
        priority,
        endpoints: Endpoints { chat: blank(), completions: blank(), models: blank() },
        legacy_completions: entry.and_then(|entry| entry.legacy_completions),
        auth: entry.map_or(AuthStyle::Bearer, |entry| entry.auth.clone()),
        keys: Vec::new(),
        key_order: super::key_order(fields, reading),
        models: models(about, fields, reading),
        limits,
        reset: reading
            .value(fields, "reset", values::reset)
            .or_else(|| daily_reset.and_then(|text| values::reset(text).ok())),
        tier: reading.word(fields, "tier").map(tier),
        timeouts: timeouts(fields, reading),
        drop_params: reading.texts(fields, "drop_params"),
        param_rules: entry.map_or(&[], |entry| entry.parameters.as_slice()),
        stream_usage: entry.map_or(StreamUsage::Ask, |entry| entry.stream_usage),
        assumed_output,
        keeps_reserved: entry.is_some_and(|entry| entry.keeps_reserved),
        lack_rules: lacks(entry, fields, reading),
        slow_first_token: entry.map_or(&[], |entry| entry.slow_first_token.as_slice()),
        headers: headers(fields, reading),
        prefill: reading.switch(fields, "prefill"),
        prefill_rules: entry.map_or(&[], |entry| entry.prefill.as_slice()),
    }
}

/// The provider that is being read.
pub(super) struct About<'a> {
    pub(super) name: &'a str,
    pub(super) place: Place,
    pub(super) entry: Option<&'static CatalogueEntry>,
}

struct Base {
    entry: Option<&'static CatalogueEntry>,
    endpoints: Result<Endpoints, Outcome>,
}

/// Finds the URLs and the catalogue's entry.
///
/// The catalogue's facts belong to hosts: a provider of a known name on another host is another
/// provider, and no key of the environment is sent to it unasked. Local servers may move, and a
/// known name on this machine is a relay to that provider.
fn base_url(name: &str, place: Place, fields: &Fields, reading: &mut Reading) -> Base {
    let catalogue = Catalogue::builtin();
    let by_name = catalogue.find(name);
    let written = reading.text(fields, "base_url");
    let path = reading.filled_text(fields, "endpoint_override");
    let (base, entry) = match (written, by_name) {
        (Some(base), by_name) => {
            let url = Url::parse(&base).ok();
            let by_host = url.as_ref().and_then(|url| catalogue.find_host(url.host()));
            let is_here = url.is_some_and(|url| crate::url::is_loopback(url.host()));
            (base, by_host.or(by_name.filter(|entry| entry.local || is_here)))
        }
        // The problem was in the URL itself, and has been reported.
        (None, _) if fields.node("base_url").is_some() => {
            return Base { entry: by_name, endpoints: Err(Outcome::Broken) };
        }
        (None, Some(entry)) => match filled(entry, reading) {
            Ok(base) => (base, Some(entry)),
            Err(outcome) => {
                return Base { entry: by_name, endpoints: Err(outcome) };
            }
        },
        (None, None) => {
            reading.findings.problem(place, unknown_name(name));
            return Base { entry: None, endpoints: Err(Outcome::Broken) };
        }
    };
    let ends = endpoints(&base, path.as_deref(), entry).map_err(|fault| {
        let key = if fields.node("endpoint_override").is_some() && Url::parse(&base).is_ok() {
            "endpoint_override"
        } else {
            "base_url"
        };
        let what = fields.about(key, &fault.what);
        let at = fields.node(key).map_or(place, |node| node.place);
        reading.findings.problem(at, Fault { what, hint: fault.hint });
        Outcome::Broken
    });
    Base { entry, endpoints: ends }
}

fn unknown_name(name: &str) -> Fault {
    let catalogue = Catalogue::builtin();
    let names = catalogue.providers.iter().map(|entry| entry.id.as_str());
    let what = format!("provider {} is not in the catalogue and has no \"base_url\"", shown(name));
    Fault::new(what).nearest(name, names)
}

/// Fills the placeholders of the catalogue's base URL from the environment.
fn filled(entry: &CatalogueEntry, reading: &Reading) -> Result<String, Outcome> {
    let mut base = entry.base_url.clone();
    for (placeholder, variable) in &entry.url_variables {
        let Some(value) = reading.env.filled(variable) else {
            return Err(Outcome::Skipped(format!("{variable} is not set")));
        };
        if !value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            let reason =
                format!("{variable} does not fit into a URL: only letters, digits, - and _");
            return Err(Outcome::Skipped(reason));
        }
        base = base.replace(&format!("{{{placeholder}}}"), value);
    }
    Ok(base)
}

fn models(about: &About, fields: &Fields, reading: &mut Reading) -> Vec<ModelChoice> {
    if let (Some(_), Some(second)) = (fields.node("model"), fields.node("models")) {
        let what = fields.about("models", "\"model\" is given too");
        reading.findings.problem(second.place, Fault::new(what).hint("write only one of them"));
    }
    let mut models: Vec<ModelChoice> = Vec::new();
    for key in ["model", "models"] {
        for (text, node) in reading.placed_texts(fields, key) {
            let text = text.trim();
            if !values::is_model(text) {
                let what = fields.about(key, "not the id of a model");
                reading.findings.problem(node.place, Fault::new(what));
                continue;
            }
            warn_of_retired_model(about, text, node.place, reading);
            let choice = match text {
                "auto" => ModelChoice::Auto,
                id => ModelChoice::Named(id.to_owned()),
            };
            if !models.contains(&choice) {
                models.push(choice);
            }
        }
    }
    if models.is_empty() {
        let default = about.entry.and_then(|entry| entry.default_model.clone());
        models.push(default.map_or(ModelChoice::Auto, ModelChoice::Named));
    }
    models
}

fn warn_of_retired_model(about: &About, model: &str, place: Place, reading: &mut Reading) {
    let Some(entry) = about.entry else { return };
    let Some(when) = entry.retirement(model) else {
        return;
    };
    let mut what = format!("provider \"{}\": the model {model} is retired ({when})", about.name);
    if let Some(default) = &entry.default_model {
        what.push_str("; the current default is ");
        what.push_str(default);
    }
    reading.findings.warn(Some(place), &what);
}

fn warn_of_retirement(about: &About, reading: &mut Reading) {
    if let Some((entry, day)) = about.entry.and_then(|entry| Some((entry, entry.retired.as_ref()?)))
    {
        let what = format!("provider \"{}\": {} was shut down on {day}", about.name, entry.name);
        reading.findings.warn(Some(about.place), &what);
    }
}

/// What the catalogue knows, and what the file adds for every model.
fn lacks(entry: Option<&CatalogueEntry>, fields: &Fields, reading: &mut Reading) -> Vec<LackRule> {
    let mut rules = entry.map(|entry| entry.lacks.clone()).unwrap_or_default();
    let lacks = Lacks::read(reading.words(fields, "lacks")).unwrap_or_default();
    if lacks != Lacks::default() {
        rules.push(LackRule { models: Vec::new(), except_models: Vec::new(), lacks });
    }
    rules
}

/// The limits, and the output that is assumed when a request names no maximum.
fn limits(
    entry: Option<&CatalogueEntry>,
    fields: &Fields,
    reading: &mut Reading,
) -> (Limits, Option<u64>) {
    let fields = reading.section(fields, "limits", Section::Limits);
    let scope = reading.word(&fields, "scope").map(limit_scope);
    let mut count =
        |key| reading.integer(&fields, key).and_then(|number| u64::try_from(number).ok());
    let limits = Limits {
        rps: count("rps"),
        rpm: count("rpm"),
        rpd: count("rpd"),
        tpm: count("tpm"),
        tpd: count("tpd"),
        concurrent: count("concurrent"),
        scope: scope.or(entry.map(|entry| entry.limit_scope)).unwrap_or_default(),
        context: count("context"),
        max_output: count("max_output"),
    };
    let assumed = count("assumed_output").or(entry.and_then(|entry| entry.assumed_output));
    (limits, assumed)
}

fn limit_scope(word: &str) -> LimitScope {
    if word == "account" { LimitScope::Account } else { LimitScope::Model }
}

fn timeouts(fields: &Fields, reading: &mut Reading) -> Timeouts {
    let fields = reading.section(fields, "timeouts", Section::Timeouts);
    let mut time = |key| reading.duration(&fields, key);
    Timeouts {
        connect: time("connect"),
        first_token: time("first_token"),
        response: time("response"),
        stall: time("stall"),
        request: time("request"),
    }
}

fn tier(word: &str) -> Tier {
    if word == "paid" { Tier::Paid } else { Tier::Free }
}

/// Headers that the proxy itself must decide on.
pub(super) const OWN_HEADERS: [&str; 11] = [
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn headers(fields: &Fields, reading: &mut Reading) -> Vec<(String, Secret)> {
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (name, text, place) in reading.text_map(fields, "headers") {
        let lower = name.to_ascii_lowercase();
        let fault = if !values::is_header_name(name) {
            Some(Fault::new(format!("{} is not the name of a header", shown(name))))
        } else if OWN_HEADERS.contains(&lower.as_str()) {
            Some(Fault::new(format!("the header \"{lower}\" cannot be set")))
        } else if lower == "authorization" {
            Some(Fault::new("the header \"authorization\" cannot be set").hint("write api_key"))
        } else if headers.iter().any(|(known, _)| *known == lower) {
            Some(Fault::new(format!("the header \"{lower}\" is given twice")))
        } else {
            None
        };
        let value = Secret::new(&text)
            .map_err(|_| Fault::new(format!("the value of the header \"{lower}\" cannot be sent")));
        match fault.map_or(value, Err) {
            Ok(value) => headers.push((lower, value)),
            Err(fault) => {
                let what = fields.about("headers", &fault.what);
                reading.findings.problem(place, Fault { what, hint: fault.hint });
            }
        }
    }
    headers
}
