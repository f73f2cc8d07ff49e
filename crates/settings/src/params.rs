//! Which request parameters a provider refuses or calls otherwise, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is changed in a request for some models: parameters that are left out, are sent under
/// another name or have other values, and messages that are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParamRule {
    /// The models meant, as ids or beginnings (`grok-4*`); empty means all.
    pub models: Vec<String>,
    /// Models not meant, in the same form.
    pub except_models: Vec<String>,
    /// Names of parameters to leave out.
    pub drop: Vec<String>,
    /// New names by old names.
    pub rename: BTreeMap<String, String>,
    /// The texts that a parameter may be, by its name; with any other value it is left out.
    pub only: BTreeMap<String, Vec<String>>,
    /// Other values for a parameter's values, by its name and by the JSON of what is replaced.
    pub values: BTreeMap<String, BTreeMap<String, Value>>,
    /// How many entries of a list are sent at most, by its name.
    pub first: BTreeMap<String, usize>,
    /// What is refused in messages.
    pub messages: Vec<MessageRefusal>,
}

/// What a provider's model refuses in the messages of any conversation, whoever began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageRefusal {
    /// The role `developer`.
    DeveloperRole,
    /// A `content` that is null or left out.
    NullContent,
    /// A `content` of several parts, even if all of them are texts.
    ContentParts,
    /// The member `strict` of tools.
    StrictTools,
}

impl ParamRule {
    /// Tells whether the rule is meant for a model.
    pub fn applies_to(&self, model: &str) -> bool {
        is_meant(&self.models, &self.except_models, model)
    }
}

/// Tells whether a rule for some models, or for all if none is named, is meant for a model.
pub(crate) fn is_meant(models: &[String], except: &[String], model: &str) -> bool {
    let among = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, model));
    (models.is_empty() || among(models)) && !among(except)
}

/// Tells whether an id is the pattern, or begins with what stands before the pattern's last `*`.
pub(crate) fn matches(pattern: &str, id: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => id.starts_with(beginning),
        None => pattern == id,
    }
}

#[cfg(test)]
mod tests {
    use crate::catalogue::Catalogue;

    fn dropped(provider: &str, model: &str) -> Vec<String> {
        let rules = &Catalogue::builtin().find(provider).unwrap().parameters;
        rules
            .iter()
            .filter(|rule| rule.applies_to(model))
            .flat_map(|rule| rule.drop.clone())
            .collect()
    }

    #[test]
    fn rules_hold_for_the_models_they_name() {
        assert!(dropped("xai", "grok-4.7").contains(&"stop".to_owned()));
        assert!(dropped("xai", "grok-3").is_empty());
        assert!(dropped("cerebras", "gpt-oss-120b").is_empty());
        assert_eq!(dropped("cerebras", "gemma-4-31b"), ["reasoning_effort"]);
        assert!(dropped("mistral", "any").contains(&"stream_options".to_owned()));
    }

    #[test]
    fn values_and_messages_are_facts_of_a_provider_too() {
        let rules = |provider| &Catalogue::builtin().find(provider).unwrap().parameters;
        assert_eq!(rules("mistral")[0].only["reasoning_effort"], ["none", "high"]);
        assert_eq!(rules("together")[0].values["logprobs"]["true"], 1);
        assert_eq!(rules("cerebras")[0].first["stop"], 4);
        assert_eq!(rules("cloudflare")[0].messages, [super::MessageRefusal::NullContent]);
        let unknown = r#"{"messages": ["empty_content"]}"#;
        assert!(serde_json::from_str::<super::ParamRule>(unknown).is_err());
    }

    #[test]
    fn mistral_calls_the_seed_random_seed() {
        let rules = &Catalogue::builtin().find("mistral").unwrap().parameters;
        assert_eq!(rules[0].rename["seed"], "random_seed");
        assert_eq!(rules[0].rename["max_completion_tokens"], "max_tokens");
    }
}
