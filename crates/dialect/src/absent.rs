//! A model that is not there, told by the build of a sentence: the model, and that it is gone; or
//! that it is a wrong one, and the model. What is said of a model together with something else,
//! such as a way of asking, says nothing of the model alone.

use std::ops::Range;

/// Words that may stand before the model.
const LEADING: &[&str] =
    &["the ", "this ", "that ", "your ", "requested ", "specified ", "provided ", "selected "];

/// What may stand between the word "model" and a name.
const BETWEEN: &[&str] = &[" id", " name", " identifier"];

const VERBS: &[&str] =
    &["is ", "was ", "were ", "are ", "has been ", "have been ", "does ", "could ", "can "];

/// What is said of a model alone, whatever follows.
const GONE: &[&str] = &[
    "not exist",
    "doesn't exist",
    "not found",
    "not be found",
    "not deployed",
    "no longer available",
    "no longer supported",
    "no longer served",
    "deprecated",
    "discontinued",
    "retired",
    "removed",
    "decommissioned",
    "shut down",
    "sunset",
    "not a valid model",
    "not in the list",
];

/// What is said of a model alone only if nothing else follows that it is said of.
const WRONG: &[&str] = &[
    "not available",
    "not supported",
    "not recognized",
    "not recognised",
    "not valid",
    "not enabled",
    "unsupported",
    "unrecognized",
    "unknown",
    "invalid",
    "disabled",
];

/// What may follow then.
const ONWARD: &[&str] =
    &["or ", "and ", "by ", "on ", "here", "anymore", "for inference", "for your", "in your"];

/// What may stand before the word "model".
const BEFORE: &[&str] = &[
    "unsupported ",
    "invalid ",
    "unknown ",
    "unrecognized ",
    "no such ",
    "not find ",
    "not find the ",
    "unable to find ",
    "unable to find the ",
    "cannot find ",
    "cannot find the ",
];

const MODEL: &str = "model";
const NAME: &str = "{model}";

/// So much of a text is looked at, and so long is a name.
const MOST_CLAUSES: usize = 32;
const LONGEST_NAME: usize = 256;

/// A place at which it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) whole: Range<usize>,
    /// What is said there of the model, without the model.
    pub(crate) said: Range<usize>,
}

/// The places at which a text in lower case says so, with a mark in place of the model's name; one
/// of letters only stands there as it is.
pub(crate) fn told<'t>(text: &'t str, model: &'t str) -> impl Iterator<Item = Place> + 't {
    let clauses = clauses(text).take(MOST_CLAUSES);
    clauses.filter_map(move |at| of_it(text, at, model)).chain(wrong_ones(text, model))
}

/// Where a sentence or a part of one begins.
fn clauses(text: &str) -> impl Iterator<Item = usize> + '_ {
    let breaks = text.char_indices().filter_map(|(at, letter)| {
        let next = at + letter.len_utf8();
        let parts = matches!(letter, '.' | ':' | ';' | '!' | '-') && text[next..].starts_with(' ');
        if letter == '\n' { Some(next) } else { parts.then_some(next + 1) }
    });
    std::iter::once(0).chain(breaks)
}

/// "The model `x` has been discontinued".
fn of_it(text: &str, start: usize, model: &str) -> Option<Place> {
    let mut rest = &text[start..];
    for _ in 0..3 {
        let leading = LEADING.iter().find_map(|word| rest.strip_prefix(word));
        rest = leading.unwrap_or(rest);
    }
    let rest = subject(rest, model)?.strip_prefix(' ')?;
    let said = text.len() - rest.len();
    let rest = VERBS.iter().find_map(|verb| rest.strip_prefix(verb)).unwrap_or(rest);
    let gone = GONE.iter().find_map(|phrase| rest.strip_prefix(phrase));
    let gone = gone.filter(|rest| ends_word(rest)).or_else(|| wrong(rest, model))?;
    let end = text.len() - gone.len();
    Some(Place { whole: start..end, said: said..end })
}

fn wrong<'t>(rest: &'t str, model: &str) -> Option<&'t str> {
    let rest = WRONG.iter().find_map(|phrase| rest.strip_prefix(phrase))?;
    let after = rest.strip_prefix(' ');
    let goes_on = after.is_some_and(|rest| ONWARD.iter().any(|word| rest.starts_with(word)));
    let names = rest.strip_prefix(": ").is_some_and(|rest| name(rest, model).is_some());
    (goes_on || names || is_over(rest)).then_some(rest)
}

/// "Unsupported model: x".
fn wrong_ones<'t>(text: &'t str, model: &'t str) -> impl Iterator<Item = Place> + 't {
    let found = text.match_indices(MODEL).take(MOST_CLAUSES);
    found.filter_map(move |(at, _)| {
        let before = BEFORE.iter().find(|before| text[..at].ends_with(*before))?;
        let rest = qualified(&text[at + MODEL.len()..]);
        let named = rest.trim_start_matches([':', '=', ' ']);
        let end = if is_over(rest) { rest } else { name(named, model)? };
        let start = at - before.len();
        let said = start..text.len() - rest.len();
        Some(Place { whole: start..text.len() - end.len(), said })
    })
}

/// What follows the model at the beginning of a text.
fn subject<'t>(text: &'t str, model: &str) -> Option<&'t str> {
    let Some(rest) = text.strip_prefix(MODEL) else {
        let rest = text.strip_prefix(NAME)?;
        return Some(rest.strip_prefix(" model").unwrap_or(rest));
    };
    let rest = qualified(rest);
    let named = rest.trim_start_matches([':', '=', ' ']);
    Some(name(named, model).filter(|_| named.len() < rest.len()).unwrap_or(rest))
}

fn qualified(rest: &str) -> &str {
    BETWEEN.iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest)
}

/// What follows a name: the mark, a quotation, or one that is no plain word.
fn name<'t>(text: &'t str, model: &str) -> Option<&'t str> {
    if let Some(rest) = text.strip_prefix(NAME) {
        return Some(rest);
    }
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"' | '`'));
    if let Some(quote) = quote {
        let end = text[1..].find(quote).filter(|&end| end <= LONGEST_NAME)?;
        return Some(&text[end + 2..]);
    }
    let end = text.find([' ', '\n', ',', ';', '!']).unwrap_or(text.len());
    let word = text[..end].trim_end_matches(['.', ':']);
    let plain = word.chars().all(char::is_alphabetic) && !word.eq_ignore_ascii_case(model);
    (!plain && word.len() <= LONGEST_NAME).then(|| &text[word.len()..])
}

fn ends_word(rest: &str) -> bool {
    !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Whether a sentence, or a part of it, is over here.
fn is_over(rest: &str) -> bool {
    let rest = rest.trim_start_matches(['\'', '"', '`']);
    rest.is_empty() || rest.starts_with(['.', ',', ';', '!', ')', '\n'])
}
