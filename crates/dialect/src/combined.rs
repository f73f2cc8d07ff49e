//! Things that a provider takes, but not in one request: a refusal of that says nothing of each of
//! them alone.

use serde_json::Value;

use crate::ability;
use crate::beside;
use crate::body::ErrorBody;
use crate::parameter;
use crate::sent::Sent;

/// One thing that a request may ask for.
struct Feature {
    /// Texts or names of which a request has one that asks for it.
    asked: &'static [&'static str],
    /// Words for it, whole.
    words: &'static [&'static str],
}

/// Without these the answer would be another one.
const ESSENTIAL: &[Feature] = &[
    Feature { asked: &["tools", "functions"], words: &["tool", "tools", "function", "functions"] },
    Feature {
        asked: &["response_format"],
        words: &[
            "json",
            "json_object",
            "json_schema",
            "response_format",
            "response format",
            "structured output",
            "structured outputs",
            "response mime type",
            "response schema",
        ],
    },
    Feature {
        asked: &["image_url", "input_image"],
        words: &["image", "images", "image_url", "vision", "multimodal"],
    },
    Feature { asked: &["input_audio"], words: &["audio", "input_audio"] },
];

/// What can be left out beside another.
const OPTIONAL: &[Feature] = &[
    Feature { asked: parameter::THINKING, words: &["thinking", "reasoning", "reasoning_effort"] },
    Feature { asked: &["logprobs"], words: &["logprobs"] },
];

/// Words for a stream, which every request may name and only some ask for.
const STREAM: &[&str] = &["stream", "streaming", "streamed"];

/// What is said of two that are not taken together.
const TOGETHER: &[&str] = &[
    "cannot be combined",
    "can't be combined",
    "cannot be used",
    "cannot be set",
    "cannot both",
    "not be used",
    "not compatible",
    "incompatible",
    "mutually exclusive",
    "only one of",
    "not support",
    "n't support",
    "unsupported",
];

/// Whether a sentence in lower case names what the request can do without, and asks for.
pub(crate) fn names_optional(sentence: &str, sent: &Sent<'_>) -> bool {
    OPTIONAL.iter().any(|feature| feature.is_named(sentence, sent))
}

/// Whether a body names two things that the request asks for.
pub(crate) fn is_named(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    ability::sentences(&body.text).any(|sentence| names_several(sentence, sent))
}

/// Whether a sentence in lower case names two things that the request asks for.
pub(crate) fn names_several(sentence: &str, sent: &Sent<'_>) -> bool {
    several(ESSENTIAL.iter().chain(OPTIONAL), sentence, sent)
}

/// Whether things without which the answer would be another one are refused for standing together.
pub(crate) fn is_refused(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let is_together = |sentence: &str| {
        TOGETHER.iter().any(|phrase| sentence.contains(phrase))
            && several(ESSENTIAL.iter(), sentence, sent)
    };
    !beside::wants_single_calls(body, sent) && ability::sentences(&body.text).any(is_together)
}

fn several<'f>(
    features: impl Iterator<Item = &'f Feature>,
    sentence: &str,
    sent: &Sent<'_>,
) -> bool {
    let named = features.filter(|feature| feature.is_named(sentence, sent)).take(2).count();
    named > 1 || named == 1 && says(sentence, STREAM) && is_streamed(sent)
}

impl Feature {
    fn is_named(&self, sentence: &str, sent: &Sent<'_>) -> bool {
        says(sentence, self.words) && self.asked.iter().any(|name| sent.is_whole(name))
    }
}

fn says(sentence: &str, words: &[&str]) -> bool {
    words.iter().any(|word| parameter::says_word(sentence, word))
}

fn is_streamed(sent: &Sent<'_>) -> bool {
    sent.members(&["stream"]).get("stream") == Some(&Value::Bool(true))
}
