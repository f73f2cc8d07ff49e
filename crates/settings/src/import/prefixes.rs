//! LiteLLM's names for providers, as data.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::catalogue::{Catalogue, CatalogueEntry};

const DATA: &str = include_str!("../../data/litellm.json");

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    /// The prefix of a model, and the provider of the catalogue.
    prefixes: BTreeMap<String, String>,
    /// Prefixes that say nothing but "OpenAI-compatible": the address says who it is.
    by_address: Vec<String>,
    /// How models begin that are written without a prefix, and whose they are.
    bare: Vec<(String, String)>,
    /// Words in the id of a model that does not chat.
    not_chat: Vec<String>,
    /// What is said of settings that are not carried over, by `section.key`.
    remarks: BTreeMap<String, String>,
}

/// Whose model it is, and its id there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose<'m> {
    /// A provider of the catalogue.
    Known(&'static str, &'m str),
    /// Whoever is at the address.
    AtAddress(&'m str),
    /// Nobody that is known here.
    Unknown,
}

impl Names {
    pub(super) fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Names> = OnceLock::new();
        // The data is part of the program; a test reads it, so the default is never met.
        BUILTIN.get_or_init(|| serde_json::from_str(DATA).unwrap_or_default())
    }

    /// Finds out whose a model is: `groq/llama-x`, or a bare `gpt-4o`.
    pub(super) fn whose<'m>(&self, model: &'m str, provider: Option<&str>) -> Whose<'m> {
        let (prefix, id) = match (provider, model.split_once('/')) {
            (Some(provider), Some((prefix, id))) if prefix == provider => (prefix, id),
            (Some(provider), _) => return self.by_prefix(provider, model),
            (None, Some((prefix, id))) => (prefix, id),
            (None, None) => return self.bare(model),
        };
        self.by_prefix(prefix, id)
    }

    fn by_prefix<'m>(&self, prefix: &str, id: &'m str) -> Whose<'m> {
        if self.by_address.iter().any(|known| known == prefix) {
            return Whose::AtAddress(id);
        }
        self.prefixes
            .get(prefix)
            .and_then(|name| entry(name))
            .map_or(Whose::Unknown, |entry| Whose::Known(entry.id.as_str(), id))
    }

    fn bare<'m>(&self, model: &'m str) -> Whose<'m> {
        let found = self.bare.iter().find(|(start, _)| model.starts_with(start.as_str()));
        found
            .and_then(|(_, name)| entry(name))
            .map_or(Whose::Unknown, |entry| Whose::Known(entry.id.as_str(), model))
    }

    /// The word in the id of a model which says that it does something else than chat.
    pub(super) fn not_chat(&self, model: &str) -> Option<&str> {
        let sign = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let words = format!("-{}-", model.chars().map(sign).collect::<String>());
        let named = |word: &&String| words.contains(&format!("-{word}-"));
        self.not_chat.iter().find(named).map(String::as_str)
    }

    /// What is said of a setting that is not carried over.
    pub(super) fn remark(&self, setting: &str) -> &str {
        self.remarks.get(setting).map_or("not carried over", String::as_str)
    }
}

fn entry(name: &str) -> Option<&'static CatalogueEntry> {
    Catalogue::builtin().find(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_in_the_catalogue() {
        let names: Names = serde_json::from_str(DATA).unwrap();
        let targets = names.prefixes.values().chain(names.bare.iter().map(|(_, name)| name));
        for name in targets {
            assert!(entry(name).is_some_and(|entry| entry.id == *name), "{name}");
        }
    }

    #[test]
    fn a_model_that_does_not_chat_is_known_by_a_word_of_its_id() {
        let names = Names::builtin();
        for (model, word) in [
            ("text-embedding-3-small", Some("embedding")),
            ("nomic-embed-text:latest", Some("embed")),
            ("distil-whisper-large-v3-en", Some("whisper")),
            ("gpt-4o-mini-TTS", Some("tts")),
            ("dall-e-3", Some("dall-e")),
            ("rerank-v3.5", Some("rerank")),
            ("omni-moderation-latest", Some("moderation")),
            ("watts-7b", None),
            ("gpt-4o-audio-preview", None),
        ] {
            assert_eq!(names.not_chat(model), word, "{model}");
        }
    }

    #[test]
    fn models_are_found_by_prefix_or_by_how_they_begin() {
        let names = Names::builtin();
        for (model, provider, expected) in [
            ("groq/openai/gpt-oss-20b", None, Whose::Known("groq", "openai/gpt-oss-20b")),
            ("gpt-4o", None, Whose::Known("openai", "gpt-4o")),
            ("together_ai/a/b", None, Whose::Known("together", "a/b")),
            ("custom_openai/m", None, Whose::AtAddress("m")),
            ("a/b", Some("groq"), Whose::Known("groq", "a/b")),
            ("groq/b", Some("groq"), Whose::Known("groq", "b")),
            ("bedrock/claude", None, Whose::Unknown),
            ("mine", None, Whose::Unknown),
        ] {
            assert_eq!(names.whose(model, provider), expected, "{model}");
        }
    }
}
