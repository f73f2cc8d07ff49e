//! Numbers of a request that only some providers take as they are: which one is refused, how far
//! it may go, and beside which other one it is too much.

use std::ops::Range;

use serde_json::Value;

use crate::body::ErrorBody;
use crate::echo::{self, Whose};
use crate::parameter::{is_whole_word, top_level};
use crate::sent::Sent;
use crate::tree::walk;

/// Parameters that are numbers, with what errors call them; what is dearer to the client is last.
const NUMBERS: &[(&str, &[&str])] = &[
    ("frequency_penalty", &["frequency_penalty", "frequencypenalty", PENALTY]),
    ("presence_penalty", &["presence_penalty", "presencepenalty", PENALTY]),
    ("repetition_penalty", &["repetition_penalty", "repetitionpenalty"]),
    ("min_p", &["min_p"]),
    ("top_k", &["top_k", "topk"]),
    ("top_p", &["top_p", "topp"]),
    ("temperature", &["temperature"]),
    (
        "max_tokens",
        &["max_tokens", "maxoutputtokens", "max_output_tokens", "max tokens", "maximum tokens"],
    ),
    ("max_completion_tokens", &["max_completion_tokens"]),
];

/// What is said of all penalties together.
const PENALTY: &str = "penalty";

/// The limit of an answer's length: a provider may know it under the other name.
const OUTPUT_LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// What is said of a number that this provider does not take, though another may. Of one that
/// nobody takes, such as a text, something else is said.
const LIMITED: &[&str] = &[
    "is allowed for this model",
    "is allowed for {model}",
    "is deprecated",
    "is not enabled",
    "may only be set to",
    "can only be set to",
    "only be set when",
    "less than or equal to",
    "must be <=",
    "must be between",
    "must be in [",
    "must not exceed",
    "cannot exceed",
    "cannot be greater than",
    "cannot be larger than",
    "which is the maximum",
    "exceeds the maximum",
    "exceeds the model limit",
    "range",
    "范围",
    "参数非法",
];

/// What is said of an answer's length together with the prompt's, which is a matter of the context.
const WITH_THE_PROMPT: &[&str] = &[
    "prompt",
    "input tokens",
    "input length",
    "in the messages",
    "sum of",
    " + ",
    "context length",
    "context limit",
    "context size",
    "context window",
];

/// What is said of two that are taken one at a time.
const ONE_OF_TWO: &[&str] = &[
    "cannot both be",
    "can't both be",
    "cannot be both",
    "cannot be set simultaneously",
    "cannot be specified together",
    "cannot be used together",
    "not be set at the same time",
    "at the same time is not supported",
];

/// Phrases after which the largest value of an output limit stands.
const CEILINGS: &[&str] = &[
    "less than or equal to",
    "must be at most",
    "supports at most",
    "can only afford",
    "model limit of",
    "must not exceed",
    "cannot exceed",
    "cannot be greater than",
    "cannot be larger than",
    "<=",
    ">",
];

/// The same for any other parameter.
const BOUNDS: &[&str] = &["less than or equal to", "must be at most", "must be <=", "maximum of"];

/// Words without which a ceiling is not one of output tokens.
const OUTPUT: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "maxoutputtokens",
    "max tokens",
    "maximum tokens",
    "completion tokens",
    "output tokens",
    "can only afford",
];

/// Words before the two ends of what is taken, and how near they stand.
const RANGES: &[&str] = &["range", "范围", "must be between", "must be in"];
const NEAR: usize = 48;

/// So much of a text is looked at.
const MOST_SENTENCES: usize = 32;

/// The number of the request that is refused though it may be right elsewhere.
pub(crate) fn refused(body: &ErrorBody, sent: &Sent<'_>) -> Option<String> {
    let in_words = sentences(&body.text).find_map(|place| in_sentence(&place, &body.text, sent));
    let name = in_words.or_else(|| by_bound(&body.value)).or_else(|| by_field(body))?;
    given(name, sent).filter(|name| !is_too_small(name, &body.text, sent)).map(str::to_owned)
}

/// What the refused number is refused beside, if it is one of two.
pub(crate) fn beside(name: &str, body: &ErrorBody, sent: &Sent<'_>) -> Option<&'static str> {
    let both = sentences(&body.text).find(|place| says(&body.text[place.clone()], ONE_OF_TWO))?;
    let sentence = &body.text[both];
    let other = |one: &&(&str, &[&str])| one.0 != name && named_in(sentence, one.1).is_some();
    let mut others = NUMBERS.iter().rev().filter(other).map(|(one, _)| *one);
    others.find(|one| given(one, sent) == Some(*one))
}

/// The other number of the request that the same words refuse.
pub(crate) fn also(name: &str, body: &ErrorBody, sent: &Sent<'_>) -> Option<&'static str> {
    let is_penalty = |name: &str| matches!(name, "frequency_penalty" | "presence_penalty");
    let is_meant = |one: &&str| is_penalty(one) && *one != name && sent.is_whole(one);
    let both = is_penalty(name) && named_in(&body.text, &[PENALTY]).is_some();
    NUMBERS.iter().map(|(one, _)| *one).find(is_meant).filter(|_| both)
}

/// The largest count of output tokens that the deployment takes, in tokens, or the largest value
/// of another number.
pub(crate) fn ceiling(param: &str, body: &ErrorBody, sent: &Sent<'_>) -> Option<u64> {
    if let Some(most) = bound(&body.value, param) {
        return Some(most);
    }
    let text = body.message.to_ascii_lowercase();
    let output = param.starts_with("max_");
    if output && !says(&text, OUTPUT) {
        return None;
    }
    let phrases = if output { CEILINGS } else { BOUNDS };
    let after = |phrase: &&str| {
        let found = text.match_indices(*phrase).take(8);
        let mut found = found.filter_map(|(at, _)| {
            let (count, rest) = count(&text[at + phrase.len()..])?;
            let sound = count > 0 && is_own(at..text.len() - rest.len(), &text, sent);
            sound.then_some(count)
        });
        found.next()
    };
    phrases.iter().find_map(after).or_else(|| whole(range(&text, sent)?.1))
}

/// A whole number, and what follows it.
pub(crate) fn count(tail: &str) -> Option<(u64, &str)> {
    let tail = tail.trim_start_matches([' ', '`', '\'', '"', ':']);
    let end = tail.find(|c: char| !(c.is_ascii_digit() || c == ',')).unwrap_or(tail.len());
    let (digits, rest) = tail.split_at(end);
    let broken =
        rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let fraction =
        broken && rest.trim_start_matches(['.', '0']).starts_with(|c: char| c.is_ascii_digit());
    if fraction { None } else { Some((digits.replace(',', "").parse().ok()?, rest)) }
}

/// The number that a sentence refuses in the provider's own words.
fn in_sentence(place: &Range<usize>, text: &str, sent: &Sent<'_>) -> Option<&'static str> {
    let sentence = &text[place.clone()];
    if says(sentence, WITH_THE_PROMPT) {
        return None;
    }
    let mut phrases = LIMITED.iter().chain(ONE_OF_TWO);
    let said = phrases.find_map(|phrase| Some((sentence.find(phrase)?, phrase.len())))?;
    let is_refused = |(_, names): &&(&str, &[&str])| {
        named_in(sentence, names).is_some_and(|name| {
            let run = name.start.min(said.0)..name.end.max(said.0 + said.1);
            is_own(place.start + run.start..place.start + run.end, text, sent)
        })
    };
    let mut refused = NUMBERS.iter().filter(is_refused).map(|(name, _)| *name);
    refused.find(|name| given(name, sent).is_some())
}

/// Where a sentence has one of a number's names, whole.
fn named_in(sentence: &str, names: &[&str]) -> Option<Range<usize>> {
    let mut places = names.iter().flat_map(|name| {
        sentence.match_indices(name).take(4).map(|(at, name)| at..at + name.len())
    });
    places.find(|place| is_whole_word(sentence, place))
}

/// What the request calls a number that an error names; `None` if it has none.
fn given<'n>(name: &'n str, sent: &Sent<'_>) -> Option<&'n str> {
    let has = |name: &&str| sent.body().is_empty() || sent.number(name).is_some();
    let other = || OUTPUT_LIMITS.into_iter().find(|one| OUTPUT_LIMITS.contains(&name) && has(one));
    Some(name).filter(has).or_else(other)
}

/// Whether the request has less than the least that is taken: less than nothing is taken nowhere.
pub(crate) fn is_too_small(name: &str, text: &str, sent: &Sent<'_>) -> bool {
    let least = range(text, sent).map(|(least, _)| least);
    sent.number(name).zip(least).is_some_and(|(number, least)| number < least)
}

/// The number that a validator found too large.
fn by_bound(body: &Value) -> Option<&'static str> {
    bounds(body).find_map(|(name, _)| {
        NUMBERS.iter().map(|(number, _)| *number).find(|number| *number == name)
    })
}

/// The number that a field of its own names, where the words say no more than how far it may go.
fn by_field(body: &ErrorBody) -> Option<&'static str> {
    let named = body.param.as_deref().and_then(top_level)?;
    let mut numbers = NUMBERS.iter().map(|(number, _)| *number);
    numbers.find(|number| *number == named).filter(|_| says(&body.text, BOUNDS))
}

/// The largest whole value of a parameter that a validator states.
fn bound(body: &Value, param: &str) -> Option<u64> {
    bounds(body).find(|(name, _)| name == param).and_then(|(_, most)| most)
}

/// Parameters that a validator found too large, with the largest whole value if it is stated.
fn bounds(body: &Value) -> impl Iterator<Item = (String, Option<u64>)> {
    walk(body).filter_map(|(_, entry)| {
        let kind = entry.get("type")?.as_str()?;
        let (field, beyond) = match kind {
            "less_than_equal" => ("le", 0),
            "less_than" => ("lt", 1),
            _ => return None,
        };
        let mut steps = entry.get("loc")?.as_array()?.iter().filter_map(Value::as_str);
        let name = top_level(steps.find(|step| *step != "body")?)?;
        let stated = entry.get("ctx").and_then(|ctx| whole(ctx.get(field)?.as_f64()?));
        Some((name, stated.and_then(|most| most.checked_sub(beyond)).filter(|most| *most > 0)))
    })
}

/// The two ends of what is taken: `[1, 8192]`, `0..1`, `from 1 (inclusive) to 65537 (exclusive)`.
fn range(text: &str, sent: &Sent<'_>) -> Option<(f64, f64)> {
    RANGES.iter().find_map(|word| {
        let mut places = text.match_indices(word).take(8);
        places.find_map(|(at, _)| {
            let tail = &text[at + word.len()..];
            let (least, rest) = next_number(tail)?;
            let (most, rest) = next_number(rest)?;
            let place = at..text.len() - rest.len();
            let excludes = most > 1.0 && rest.trim_start().starts_with("(exclusive)");
            let sound = least < most && is_own(place, text, sent);
            sound.then_some((least, if excludes { most - 1.0 } else { most }))
        })
    })
}

/// The nearest number, and what follows it.
fn next_number(text: &str) -> Option<(f64, &str)> {
    let start = text.find(|c: char| c.is_ascii_digit()).filter(|at| *at <= NEAR)?;
    let tail = &text[start..];
    let end = tail.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(tail.len());
    // Two dots stand between numbers, one at the end of a sentence.
    let end = tail[..end].find("..").unwrap_or(end);
    let digits = tail[..end].trim_end_matches('.');
    let sign = if text[..start].ends_with('-') { -1.0 } else { 1.0 };
    Some((digits.parse::<f64>().ok()? * sign, &tail[digits.len()..]))
}

/// A whole number that is one above zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn whole(number: f64) -> Option<u64> {
    ((1.0..1e15).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// Where the sentences of a text lie.
pub(crate) fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    let parts = text.split_inclusive(['\n', ';']).flat_map(|line| line.split_inclusive(". "));
    let placed = parts.map(move |part| {
        at += part.len();
        at - part.len()..at
    });
    placed.take(MOST_SENTENCES)
}

fn says(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(phrase))
}

fn is_own(place: Range<usize>, text: &str, sent: &Sent<'_>) -> bool {
    echo::of_run(&place, text, sent) == Whose::Providers
}
