//! The built-in providers: facts as data (`data/catalogue.json`), read once.
//!
//! Facts change from month to month, code does not; so every base URL, key variable, model and
//! refused parameter stands in the data file, with dates where they matter.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::params::ParamRule;
use crate::traits::{LackRule, LimitScope, PrefillRule, SlowFirstToken};

const DATA: &str = include_str!("../data/catalogue.json");

/// All built-in providers in the order in which they are used when there is no configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The day on which the facts were put together (`YYYY-MM-DD`).
    pub as_of: String,
    /// The providers.
    pub providers: Vec<CatalogueEntry>,
}

/// What is known of one provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// The name by which a configuration refers to it.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// Other names that mean the same provider.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The base URL; may hold `{placeholders}` (see `url_variables`).
    pub base_url: String,
    /// The URL of chat completions; may hold the same placeholders.
    pub chat_url: String,
    /// Further hosts of the same provider.
    #[serde(default)]
    pub other_hosts: Vec<String>,
    /// Whether `/completions` is served; `None` if that is unknown.
    pub legacy_completions: Option<bool>,
    /// The URL of `/completions`, where it is not beside chat completions.
    #[serde(default)]
    pub completions_url: Option<String>,
    /// Whether `GET /models` is served; `None` if that is unknown.
    pub lists_models: Option<bool>,
    /// The URL of the model list, where it is not beside chat completions.
    #[serde(default)]
    pub models_url: Option<String>,
    /// The environment variables that may hold the key, the official one first.
    pub key_variables: Vec<String>,
    /// The environment variables that fill the placeholders of the URLs, by placeholder.
    #[serde(default)]
    pub url_variables: BTreeMap<String, String>,
    /// How the key is sent.
    pub auth: AuthStyle,
    /// The model that is used when none is named; `None` asks the provider's list.
    pub default_model: Option<String>,
    /// Other chat models worth naming.
    #[serde(default)]
    pub other_models: Vec<String>,
    /// Models that are gone, each with its date or another word on it; `*` at the end is a pattern.
    #[serde(default)]
    pub retired_models: BTreeMap<String, String>,
    /// The day on which the whole provider went away.
    #[serde(default)]
    pub retired: Option<String>,
    /// Whether it runs on the user's machine: no key is needed, and it is used only when named.
    #[serde(default)]
    pub local: bool,
    /// What was free on which day; for reading, never enforced.
    #[serde(default)]
    pub free_tier: Option<FreeTier>,
    /// When daily limits begin anew, in the words of the `reset` key.
    #[serde(default)]
    pub daily_reset: Option<String>,
    /// Whether token usage of a stream may be asked for.
    pub stream_usage: StreamUsage,
    /// Which request parameters are left out or renamed.
    #[serde(default)]
    pub parameters: Vec<ParamRule>,
    /// The output tokens that are taken from the quota when a request names no maximum.
    #[serde(default)]
    pub assumed_output: Option<u64>,
    /// Whether what is taken from the quota for an answer stays taken, however short it is.
    #[serde(default)]
    pub keeps_reserved: bool,
    /// For what one budget of requests and tokens counts.
    #[serde(default)]
    pub limit_scope: LimitScope,
    /// What is known not to be taken.
    #[serde(default)]
    pub lacks: Vec<LackRule>,
    /// Which models are known to be slow to their first token.
    #[serde(default)]
    pub slow_first_token: Vec<SlowFirstToken>,
    /// Whether and how an answer that was begun is continued; the first rule that fits decides.
    #[serde(default)]
    pub prefill: Vec<PrefillRule>,
    /// Other things to know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How a key is sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum AuthStyle {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// The bare key in a header of this (lower-case) name.
    Header(String),
}

impl From<String> for AuthStyle {
    fn from(name: String) -> Self {
        if name == "bearer" { Self::Bearer } else { Self::Header(name) }
    }
}

/// Whether `stream_options.include_usage` may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamUsage {
    /// Usage comes when it is asked for.
    #[default]
    Ask,
    /// Usage comes unasked; asking does no harm.
    Always,
    /// The field is refused.
    Refuses,
}

/// What a provider gives for nothing, as seen on a day.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeTier {
    /// The day or span of days on which it was seen.
    #[serde(default)]
    pub date: Option<String>,
    /// Limits by model or account; rpm and rpd count requests, tpm and tpd tokens.
    #[serde(default)]
    pub limits: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
    /// A word on it.
    #[serde(default)]
    pub note: Option<String>,
}

impl Catalogue {
    /// Returns the built-in catalogue.
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Catalogue> = OnceLock::new();
        // The data is part of the program; a test reads it, so the default is never met.
        BUILTIN.get_or_init(|| serde_json::from_str(DATA).unwrap_or_default())
    }

    /// Finds a provider by its id or one of its other names, in any case of letters.
    pub fn find(&self, name: &str) -> Option<&CatalogueEntry> {
        let same = |known: &String| known.eq_ignore_ascii_case(name);
        self.providers.iter().find(|entry| same(&entry.id) || entry.aliases.iter().any(same))
    }

    /// Finds the provider to which a host on the internet belongs.
    pub fn find_host(&self, host: &str) -> Option<&CatalogueEntry> {
        let remote =
            |entry: &&CatalogueEntry| !crate::url::is_loopback(host) && entry.owns_host(host);
        self.providers.iter().find(remote)
    }

    /// Iterates over the providers that a key in the environment switches on.
    pub fn automatic(&self) -> impl Iterator<Item = &CatalogueEntry> {
        self.providers.iter().filter(|entry| !entry.local && entry.retired.is_none())
    }
}

impl CatalogueEntry {
    /// Tells whether a host is one of the provider's.
    pub fn owns_host(&self, host: &str) -> bool {
        let own = host_of(&self.chat_url);
        let matches = match own.split_once('}') {
            // `{resource}.openai.azure.com`: any single label in front.
            Some((_, suffix)) => host
                .strip_suffix(suffix)
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
            None => own.eq_ignore_ascii_case(host),
        };
        matches || self.other_hosts.iter().any(|other| other.eq_ignore_ascii_case(host))
    }

    /// Returns what is said of a retired model: its date or another word.
    pub fn retirement(&self, model: &str) -> Option<&str> {
        self.retired_models
            .iter()
            .find(|(pattern, _)| crate::params::matches(pattern, model))
            .map(|(_, when)| when.as_str())
    }
}

/// Returns the host part of a catalogue URL, without its port.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.split(':').next().unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_read_whole() {
        let catalogue: Catalogue = serde_json::from_str(DATA).unwrap();
        assert_eq!(catalogue.providers.len(), 31);
        let first: Vec<&str> = catalogue.providers.iter().take(7).map(|p| p.id.as_str()).collect();
        assert_eq!(first, ["xai", "cerebras", "gemini", "openai", "mistral", "together", "groq"]);
    }

    #[test]
    fn no_name_means_two_providers() {
        let mut names: Vec<String> = Vec::new();
        for entry in &Catalogue::builtin().providers {
            names.push(entry.id.clone());
            names.extend(entry.aliases.clone());
        }
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn no_default_or_named_model_is_retired() {
        for entry in &Catalogue::builtin().providers {
            for model in entry.default_model.iter().chain(&entry.other_models) {
                assert_eq!(entry.retirement(model), None, "{} {model}", entry.id);
            }
        }
    }

    #[test]
    fn the_chat_url_lies_under_the_base_url() {
        for entry in &Catalogue::builtin().providers {
            assert_eq!(
                entry.chat_url,
                format!("{}/chat/completions", entry.base_url),
                "{}",
                entry.id
            );
        }
    }

    #[test]
    fn placeholders_of_urls_have_their_variables() {
        for entry in &Catalogue::builtin().providers {
            let placeholders = entry.base_url.matches('{').count();
            assert_eq!(placeholders, entry.url_variables.len(), "{}", entry.id);
            for name in entry.url_variables.keys() {
                assert!(entry.base_url.contains(&format!("{{{name}}}")));
            }
        }
    }

    #[test]
    fn daily_resets_can_be_read() {
        for entry in &Catalogue::builtin().providers {
            if let Some(reset) = &entry.daily_reset {
                assert!(crate::values::reset(reset).is_ok(), "{}", entry.id);
            }
        }
    }

    #[test]
    fn providers_are_found_by_id_alias_and_host() {
        let id = |found: Option<&'static CatalogueEntry>| found.map(|entry| entry.id.as_str());
        let catalogue = Catalogue::builtin();
        for (name, expected) in [
            ("xai", Some("xai")),
            ("grok", Some("xai")),
            ("Google", Some("gemini")),
            ("GROQ", Some("groq")),
            ("nobody", None),
        ] {
            assert_eq!(id(catalogue.find(name)), expected, "{name}");
        }
        for (host, expected) in [
            ("api.x.ai", Some("xai")),
            ("api.together.xyz", Some("together")),
            ("mine.openai.azure.com", Some("azure")),
            ("a.b.openai.azure.com", None),
            ("openai.azure.com", None),
            ("api.x.ai.example.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(id(catalogue.find_host(host)), expected, "{host}");
        }
    }

    #[test]
    fn retired_patterns_match() {
        let gemini = Catalogue::builtin().find("gemini").unwrap();
        assert_eq!(gemini.retirement("gemini-2.0-flash"), Some("gone"));
        assert_eq!(gemini.retirement("gemini-2.5-flash"), None);
    }

    #[test]
    fn local_and_retired_providers_are_never_automatic() {
        for entry in Catalogue::builtin().automatic() {
            assert!(
                !["ollama", "lmstudio", "llamacpp", "vllm", "osaurus", "github"]
                    .contains(&entry.id.as_str())
            );
        }
    }
}
