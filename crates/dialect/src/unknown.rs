//! A parameter that the API has and this provider does not know, in whatever words: a sentence is
//! built of a name that the request has at its top, a word for what a name stands for, and one for
//! not knowing it or not taking it.

use std::ops::Range;

use crate::body::ErrorBody;
use crate::echo::{self, Whose};
use crate::parameter::{is_quote, top_level};
use crate::sent::Sent;

/// What a name stands for.
const NOUNS: &[&str] = &[
    "field",
    "fields",
    "parameter",
    "parameters",
    "parameter(s",
    "param",
    "params",
    "property",
    "properties",
    "argument",
    "arguments",
    "attribute",
    "option",
    "input",
    "inputs",
];

/// What may stand between the words of a phrase.
const FILLERS: &[&str] = &["name", "names", "supplied", "request", "body", "the", "a", "an"];

/// What is said before a noun, or after a name.
const UNKNOWN: &[&str] = &[
    "unknown",
    "unrecognized",
    "unrecognised",
    "unexpected",
    UNSUPPORTED,
    "extra",
    "extraneous",
    "additional",
    "such",
];
const UNSUPPORTED: &str = "unsupported";
const INVALID: &str = "invalid";

/// What is said to be not the case.
const TAKEN: &[&str] = &[
    "permitted",
    "allowed",
    "recognized",
    "recognised",
    "known",
    "supported",
    "accepted",
    "valid",
    "expected",
];
const TAKE: &[&str] = &["support", "accept", "allow", "recognize", "recognise", "know"];

/// Of these, what a name without a noun or quotation marks may be said to be not.
const PLAINLY: &[&str] = &["supported", "recognized", "recognised", "unsupported"];

/// What is inside of these is no parameter.
const INSIDE: &[&str] = &["messages[", "messages.", "messages/", "tools[", "tools.", "tools/"];

/// So many words are looked at, and so many between the ends of one phrase.
const MOST_WORDS: usize = 256;
const REACH: usize = 5;

/// So many names are looked for in the request.
const MOST_NAMES: usize = 8;

/// One word of a message in lower case.
struct Word<'a> {
    /// Without what stands around it.
    core: &'a str,
    place: Range<usize>,
    is_quoted: bool,
    /// Whether a colon follows, or the end of a sentence.
    is_before_colon: bool,
    is_last: bool,
}

/// The parameter of the request that is not known.
pub(crate) fn refused(body: &ErrorBody, sent: &Sent<'_>) -> Option<String> {
    let lower = body.message.to_ascii_lowercase();
    if INSIDE.iter().any(|path| lower.contains(path)) {
        return None;
    }
    let words = words(&lower);
    let refused = (0..words.len()).filter_map(|at| {
        let run = refusal(&words, at)?;
        let place = words[run.start].place.start..words[run.end - 1].place.end;
        let is_own = echo::of_run(&place, &lower, sent) == Whose::Providers;
        if is_own { name(&body.message[words[at].place.clone()]) } else { None }
    });
    let names: Vec<String> = refused.take(MOST_NAMES).collect();
    if names.is_empty() {
        return None;
    }
    let asked = sent.members(&names.iter().map(String::as_str).collect::<Vec<_>>());
    names.into_iter().find(|name| asked.contains_key(name))
}

/// Whether a text speaks of a parameter that is not known as such, whatever its value.
pub(crate) fn is_said(text: &str) -> bool {
    is_said_with(UNKNOWN, text)
}

/// The same of one that the provider knows of no model.
pub(crate) fn is_strange(text: &str) -> bool {
    let strange: Vec<&str> = UNKNOWN.iter().copied().filter(|word| *word != UNSUPPORTED).collect();
    is_said_with(&strange, text)
}

fn is_said_with(unknown: &[&str], text: &str) -> bool {
    let words = words(text);
    let is_unknown = |at: usize| {
        let noun = skip(&words[at + 1..], FILLERS);
        let is_noun = words.get(at + 1 + noun).is_some_and(|word| NOUNS.contains(&word.core));
        let next = words.get(at + 2 + noun).map(|word| word.core);
        is_noun && !matches!(next, Some("value" | "values"))
    };
    (0..words.len()).any(|at| match words[at].core {
        "not" => {
            let rest = &words[at + 1..];
            let article = skip(rest, &["a", "an"]);
            let follows = article > 0 && is_noun(rest.get(article + 1));
            let is_of_noun = at > 1 && is_noun(words.get(at - 2)) && !is_valid(rest.first());
            is_taken(rest.get(article)) && (follows || is_of_noun)
        }
        "such" => at > 0 && words[at - 1].core == "no" && is_unknown(at),
        word => unknown.contains(&word) && is_unknown(at),
    })
}

/// The words that refuse the one at a place, with itself.
fn refusal(words: &[Word<'_>], at: usize) -> Option<Range<usize>> {
    announced(words, at).or_else(|| denied(words, at)).or_else(|| untaken(words, at))
}

/// "unknown field: parameter 'x'", "no such parameter: x", "extra fields not permitted: x"
fn announced(words: &[Word<'_>], at: usize) -> Option<Range<usize>> {
    let before = nearest(words, at);
    let first = at - before.len();
    let is_marked = words[at].is_quoted || before.last()?.is_before_colon;
    let nouns = before.iter().rev().take_while(|word| is_between(word)).count();
    let head = &before[..before.len() - nouns];
    let has_noun = before[head.len()..].iter().any(|word| NOUNS.contains(&word.core));
    let start = first + head.len().checked_sub(1)?;
    let said = words[start].core;
    if has_noun && (UNKNOWN.contains(&said) || said == INVALID && is_marked) {
        return Some(start..at + 1);
    }
    let is_refused = is_marked && nouns == 0 && TAKEN.contains(&said) && is_not(words, start);
    let extra = before.iter().position(|word| UNKNOWN.contains(&word.core));
    extra.filter(|_| is_refused).map(|extra| first + extra..at + 1)
}

/// "'x' is not a permitted field", "x: unknown field", "x parameter is not allowed"
fn denied(words: &[Word<'_>], at: usize) -> Option<Range<usize>> {
    let word = &words[at];
    let rest = &words[at + 1..words.len().min(at + 1 + 2 * REACH)];
    if word.is_last {
        return None;
    }
    if word.is_before_colon {
        let noun = 1 + skip(rest.get(1..)?, FILLERS);
        let is_unknown = UNKNOWN.contains(&rest[0].core) && is_noun(rest.get(noun));
        return is_unknown.then_some(at..at + noun + 2);
    }
    let noun = skip(rest, NOUNS).min(1);
    let is = noun + usize::from(matches!(rest.get(noun)?.core, "is" | "are" | "was"));
    let not = is + usize::from(rest.get(is)?.core == "not");
    let article = skip(&rest[not..], &["a", "an"]).min(1);
    let said = rest.get(not + article)?;
    let is_refused = if not > is {
        TAKEN.contains(&said.core)
    } else {
        is > noun && UNKNOWN.contains(&said.core)
    };
    let follows = article > 0 && is_noun(rest.get(not + article + 1));
    let is_named = noun > 0 || at > 0 && NOUNS.contains(&words[at - 1].core);
    let begins = at == 0 || words[at - 1].is_last;
    let is_marked = word.is_quoted || is_named || follows || begins && PLAINLY.contains(&said.core);
    let start = if is_named && noun == 0 { at - 1 } else { at };
    (is_refused && is_marked && (article == 0 || follows)).then(|| start..at + 2 + not + article)
}

/// "does not support the `x` parameter"
fn untaken(words: &[Word<'_>], at: usize) -> Option<Range<usize>> {
    let before = nearest(words, at);
    let between = before.iter().rev().take_while(|word| is_between(word)).count();
    let verb = at.checked_sub(between + 1)?;
    let is_named = is_noun(words.get(at + 1)) && !words[at].is_last;
    let is_announced = before.iter().rev().take(between).any(|word| is_noun(Some(word)));
    let is_marked = words[at].is_quoted || is_named || is_announced;
    let is_refused = is_marked && TAKE.contains(&words[verb].core) && is_not(words, verb);
    is_refused.then(|| verb - 1..at + 1)
}

/// Whether the word before one is a negation.
fn is_not(words: &[Word<'_>], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| words[before].core);
    before.is_some_and(|word| matches!(word, "not" | "cannot") || word.ends_with("n't"))
}

fn is_between(word: &Word<'_>) -> bool {
    NOUNS.contains(&word.core) || FILLERS.contains(&word.core)
}

fn is_noun(word: Option<&Word<'_>>) -> bool {
    word.is_some_and(|word| NOUNS.contains(&word.core))
}

fn is_taken(word: Option<&Word<'_>>) -> bool {
    word.is_some_and(|word| TAKEN.contains(&word.core))
}

fn is_valid(word: Option<&Word<'_>>) -> bool {
    word.is_some_and(|word| word.core == "valid")
}

/// How many of the first words are some of these.
fn skip(words: &[Word<'_>], some: &[&str]) -> usize {
    words.iter().take_while(|word| some.contains(&word.core)).count()
}

/// The name of a parameter itself, not of a part of one.
fn name(core: &str) -> Option<String> {
    let bare = ["body.", "request."].iter().find_map(|path| core.strip_prefix(path));
    let bare = bare.unwrap_or(core);
    if bare.contains(['.', '[']) { None } else { top_level(bare) }
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut start = 0;
    let parts = text.split_inclusive(char::is_whitespace).filter_map(|part| {
        start += part.len();
        word(text, start - part.len()..start)
    });
    parts.take(MOST_WORDS).collect()
}

/// The word in a part of a text, if there is one.
fn word(text: &str, place: Range<usize>) -> Option<Word<'_>> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let part = &text[place.clone()];
    let start = place.start + part.find(is_part)?;
    let end = start + text[start..place.end].trim_end_matches(|c| !is_part(c)).len();
    let (before, after) = (&text[place.start..start], &text[end..place.end]);
    Some(Word {
        core: &text[start..end],
        place: start..end,
        is_quoted: before.ends_with(is_quote) && after.starts_with(is_quote),
        is_before_colon: after.contains(':'),
        is_last: after.contains(['.', ';']),
    })
}

/// The nearest words before one, of the same sentence.
fn nearest<'w, 'a>(words: &'w [Word<'a>], at: usize) -> &'w [Word<'a>] {
    let near = &words[at.saturating_sub(REACH)..at];
    let other = near.iter().rposition(|word| word.is_last).map_or(0, |last| last + 1);
    &near[other..]
}
