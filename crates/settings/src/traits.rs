//! What a provider is known not to take, how long it thinks, and how it continues an answer: data
//! that decides who is asked, never what is answered.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::params::is_meant;

/// The words for what may be lacking, as the configuration and the catalogue write them.
pub(crate) const LACKS: &[&str] =
    &["images", "audio", "tools", "json_schema", "n", "required_tools"];

/// What a provider or a model does not take, or takes and ignores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
#[expect(clippy::struct_excessive_bools, reason = "six independent yes-or-no facts")]
pub struct Lacks {
    /// Images in messages.
    pub images: bool,
    /// Audio in messages.
    pub audio: bool,
    /// Tools.
    pub tools: bool,
    /// A `response_format` with a JSON schema.
    pub json_schema: bool,
    /// More than one choice (`n` above 1).
    pub n: bool,
    /// That some tool must be called (`tool_choice: required`).
    pub required_tools: bool,
}

impl Lacks {
    /// Marks one of [`LACKS`]; `None` if the word is none of them.
    fn marked(mut self, word: &str) -> Option<Self> {
        let fact = match word {
            "images" => &mut self.images,
            "audio" => &mut self.audio,
            "tools" => &mut self.tools,
            "json_schema" => &mut self.json_schema,
            "n" => &mut self.n,
            "required_tools" => &mut self.required_tools,
            _ => return None,
        };
        *fact = true;
        Some(self)
    }

    /// Reads words of [`LACKS`]; the first other one is given back.
    pub(crate) fn read<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut lacks = Self::default();
        for word in words {
            lacks = lacks.marked(word).ok_or(word)?;
        }
        Ok(lacks)
    }

    /// Returns what either side lacks.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            images: self.images || other.images,
            audio: self.audio || other.audio,
            tools: self.tools || other.tools,
            json_schema: self.json_schema || other.json_schema,
            n: self.n || other.n,
            required_tools: self.required_tools || other.required_tools,
        }
    }
}

impl TryFrom<Vec<String>> for Lacks {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        let read = Self::read(words.iter().map(String::as_str));
        read.map_err(|word| format!("{word} is none of {LACKS:?}"))
    }
}

/// What some models of a provider lack.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LackRule {
    /// The models meant, as ids or beginnings (`grok-4*`); empty means all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Models not meant, in the same form.
    #[serde(default)]
    pub except_models: Vec<String>,
    /// What they lack.
    pub lacks: Lacks,
}

impl LackRule {
    pub(crate) fn applies_to(&self, model: &str) -> bool {
        is_meant(&self.models, &self.except_models, model)
    }
}

/// For what one budget of requests and tokens counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// Each model of a key has its own.
    #[default]
    Model,
    /// All models of a key share it.
    Account,
}

/// How long some models usually take to their first token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowFirstToken {
    /// The models meant, as ids or beginnings; empty means all.
    #[serde(default)]
    pub models: Vec<String>,
    /// The usual time in seconds.
    pub seconds: u64,
}

impl SlowFirstToken {
    /// Returns the usual time of a model; the first rule that is meant for it decides.
    pub(crate) fn usual(rules: &[Self], model: &str) -> Option<Duration> {
        let mut meant = rules.iter().filter(|rule| is_meant(&rule.models, &[], model));
        meant.next().map(|rule| Duration::from_secs(rule.seconds))
    }
}

/// Whether and how some models continue an answer that is given as the last message.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefillRule {
    /// The models meant, as ids or beginnings; empty means all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Models not meant, in the same form.
    #[serde(default)]
    pub except_models: Vec<String>,
    /// The beginning that the URL of chat completions must have; `None` means any.
    #[serde(default)]
    pub under: Option<String>,
    /// Whether the reply begins with the text of the message that it continues.
    #[serde(default)]
    pub repeats: bool,
    /// What holds for them.
    pub way: PrefillWay,
}

/// What a [`PrefillRule`] says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrefillWay {
    /// They refuse it, or answer afresh.
    No,
    /// They continue it without further ado.
    Plain,
    /// They continue it if the last message has these fields too.
    Message(Map<String, Value>),
    /// They continue it if the request's body has these fields too.
    Body(Map<String, Value>),
}

/// Whether and how an answer that was begun is continued.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Prefill {
    /// Nothing is known.
    #[default]
    Unknown,
    /// It is refused, or answered afresh.
    No,
    /// The answer so far is the last message, with the role `assistant`.
    Plain,
    /// As `Plain`, and that message gets further fields.
    Message {
        /// The fields.
        fields: &'static Map<String, Value>,
        /// Whether the reply begins with the text of the message that it continues.
        repeats: bool,
    },
    /// As `Plain`, and the request's body gets these fields too, in place of its own.
    Body(&'static Map<String, Value>),
}

impl Prefill {
    /// Finds the way of a model at a URL; the first rule that is meant for it decides.
    pub(crate) fn find(rules: &'static [PrefillRule], model: &str, chat_url: &str) -> Self {
        let mut meant = rules.iter().filter(|rule| {
            let under = rule.under.as_deref().unwrap_or_default();
            chat_url.starts_with(under) && is_meant(&rule.models, &rule.except_models, model)
        });
        let Some(rule) = meant.next() else {
            return Self::Unknown;
        };
        match &rule.way {
            PrefillWay::No => Self::No,
            PrefillWay::Plain => Self::Plain,
            PrefillWay::Message(fields) => Self::Message { fields, repeats: rule.repeats },
            PrefillWay::Body(fields) => Self::Body(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    fn way(provider: &str, model: &str) -> Prefill {
        let entry = Catalogue::builtin().find(provider).unwrap();
        Prefill::find(&entry.prefill, model, &entry.chat_url)
    }

    #[test]
    fn every_word_marks_one_lack() {
        for word in LACKS {
            assert_ne!(Lacks::read([*word]), Ok(Lacks::default()), "{word}");
        }
        let all = Lacks::read(LACKS.iter().copied()).unwrap();
        assert!(
            all.images && all.audio && all.tools && all.json_schema && all.n && all.required_tools
        );
        assert_eq!(Lacks::read(["tools", "legs"]), Err("legs"));
        assert!(serde_json::from_str::<LackRule>(r#"{"lacks": ["legs"]}"#).is_err());
    }

    #[test]
    fn both_sides_of_a_union_count() {
        let one = Lacks::read(["images"]).unwrap();
        let other = Lacks::read(["n"]).unwrap();
        assert_eq!(one.or(other), Lacks::read(["n", "images"]).unwrap());
    }

    #[test]
    fn a_slow_model_is_known_and_its_fast_sibling_is_not() {
        let usual = |provider: &str, model: &str| {
            let entry = Catalogue::builtin().find(provider).unwrap();
            SlowFirstToken::usual(&entry.slow_first_token, model)
        };
        assert_eq!(usual("zai", "glm-4.7-flash"), Some(Duration::from_secs(41)));
        assert_eq!(usual("zai", "glm-5.3"), None);
        assert_eq!(usual("nvidia", "openai/gpt-oss-120b"), Some(Duration::from_mins(1)));
        assert_eq!(usual("groq", "openai/gpt-oss-120b"), None);
    }

    #[test]
    fn a_flag_comes_with_its_value() {
        for (provider, model, flag, again) in [
            ("mistral", "mistral-small-latest", "prefix", true),
            ("moonshot", "kimi-k2.6", "partial", false),
        ] {
            let Prefill::Message { fields, repeats } = way(provider, model) else {
                panic!("{provider}");
            };
            assert_eq!((fields.len(), &fields[flag]), (1, &Value::Bool(true)));
            assert_eq!(repeats, again, "{provider}");
        }
        let Prefill::Body(fields) = way("vllm", "any") else {
            panic!("vllm");
        };
        assert_eq!(fields["continue_final_message"], true);
        assert_eq!(fields["add_generation_prompt"], false);
    }

    #[test]
    fn a_beta_is_used_only_under_its_url() {
        let rules = &Catalogue::builtin().find("deepseek").unwrap().prefill;
        let at = |url| Prefill::find(rules, "deepseek-v4-flash", url);
        assert_eq!(at("https://api.deepseek.com/chat/completions"), Prefill::No);
        assert!(matches!(
            at("https://api.deepseek.com/beta/chat/completions"),
            Prefill::Message { repeats: false, .. }
        ));
    }

    #[test]
    fn newer_models_that_refuse_are_told_from_older_ones() {
        assert_eq!(way("anthropic", "claude-haiku-4-5"), Prefill::Plain);
        assert_eq!(way("anthropic", "claude-sonnet-5-5"), Prefill::No);
        assert_eq!(way("anthropic", "claude-opus-4-6"), Prefill::No);
        assert_eq!(way("anthropic", "claude-3-haiku"), Prefill::Unknown);
        assert_eq!(way("openai", "gpt-5.4-mini"), Prefill::Unknown);
    }
}
