//! A prompt that does not fit, told by the build of a sentence: what is meant, how it is measured,
//! and that it is too much. Providers have dozens of such sentences.

use std::ops::Range;

const MEANT: &[&str] = &["input", "prompt", "request", "conversation", "too many tokens"];

const MEASURED: &[&str] = &["token", "input length", "prompt length", "length of the"];

const TOO_MUCH: &[&str] = &[
    "exceed",
    "too many",
    "too long",
    "too large",
    "longer than",
    "larger than",
    "greater than",
    "more than",
    "less than",
    "fewer than",
    "at most",
    "over the limit",
    "should be [",
];

/// Words about something else that has a size: a budget over time, the answer, a part of the
/// request.
const OTHERWISE: &[&str] = &[
    "per min",
    "per day",
    "per hour",
    "per sec",
    "per month",
    "(tp",
    "minute",
    "daily",
    "rate",
    "quota",
    "throttl",
    "wait",
    "again",
    "retry",
    "max_",
    "max tokens",
    "output",
    "completion",
    "new_tokens",
    "string",
    "array",
    "image",
    "file",
    "field",
    "api token",
    "auth",
    "budget",
    "input should be",
    "greater than or equal",
];

/// So much of a text is looked at.
const MOST_SENTENCES: usize = 32;

/// Where a text in lower case has a sentence that says so.
pub(crate) fn too_long(text: &str) -> Option<Range<usize>> {
    let mut at = 0;
    let sentences = text.split_inclusive(['\n', ';']).flat_map(|line| line.split_inclusive(". "));
    let placed = sentences.map(|sentence| {
        let start = at;
        at += sentence.len();
        (start..at, sentence)
    });
    let has = |sentence: &str, words: &[&str]| words.iter().any(|word| sentence.contains(word));
    let mut found = placed.take(MOST_SENTENCES).filter(|(_, sentence)| {
        has(sentence, TOO_MUCH)
            && has(sentence, MEASURED)
            && has(sentence, MEANT)
            && !has(sentence, OTHERWISE)
    });
    found.next().map(|(place, sentence)| place.start..place.start + sentence.trim_end().len())
}

#[cfg(test)]
mod tests {
    use super::too_long;

    #[test]
    fn a_prompt_that_does_not_fit_is_known_by_the_build_of_the_sentence() {
        for text in [
            "too many tokens: total number of tokens in the prompt cannot exceed 132096 - received 140000",
            "too many tokens: size limit exceeded by 1200 tokens",
            "input validation error: `inputs` must have less than 4096 tokens. given: 5000",
            "your request exceeded model token limit: 131072",
            "input length 9000 exceeds the maximum allowed token size of 8192",
            "range of input length should be [1, 98304]",
            "bad request. the prompt has more than 4096 tokens",
            "number of input tokens (9000) is larger than 8192",
            "prompt tokens must be at most 8192",
        ] {
            assert!(too_long(text).is_some(), "{text}");
        }
    }

    #[test]
    fn other_sizes_are_not_those_of_a_prompt() {
        for text in [
            "request too large for model on tokens per minute (tpm): limit 6000, requested 9000",
            "max_tokens must be at most 8192 for this request",
            "invalid 'input[0].id': string too long. expected a string with maximum length 64",
            "too many tokens, please wait before trying again",
            "input token rate exceeds the limit",
            "your prompt is fine. there are too many tools",
            "output tokens exceed what the request allows",
            "thinking.enabled.budget_tokens: input should be greater than or equal to 1024",
            "",
        ] {
            assert_eq!(too_long(text), None, "{text}");
        }
    }
}
