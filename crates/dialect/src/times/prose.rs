//! Times within a sentence: "Please try again in 7m12.5s", "will reset at 2026-11-23 00:00 UTC".

use engine::Timestamp;
use jiff::tz::TimeZone;

use super::date::written_in;
use super::duration::leading;
use super::instant::believable;
use crate::pairs::Pairs;

/// What stands before a span that says when to come back, the more telling first.
const RETRY: &[&str] = &[
    "try again in",
    "try again after",
    "retry again in",
    "retry in",
    "retry after",
    "retry-after",
    "retry_after",
    "retrying in",
    "retrying after",
    "available again in",
    "available in",
    "again in",
    "wait",
    "de nuevo en",
    "novamente em",
    "erneut in",
    "sie es in",
    "réessayer dans",
    "réessayez dans",
    "请在",
    "等待",
];

/// What stands before a span that says when a budget is whole again.
const RESET: &[&str] = &[
    "reset after",
    "resets after",
    "reset in",
    "resets in",
    "refresh in",
    "refreshes in",
    "renews in",
    "replenished in",
];

/// What stands after a span in tongues that put it last: "30 seconds from now".
const AFTERWARDS: &[&str] = &["后", "後", "之后", "以后", "후"];

/// What stands before an instant at which to come back.
const RETRY_AT: &[&str] = &[
    "until",
    "again at",
    "again on",
    "again after",
    "retry after",
    "retry at",
    "retry on",
    "available at",
    "available on",
    "available after",
];

/// What stands before an instant at which a budget is whole again.
const RESET_AT: &[&str] = &[
    "reset at",
    "resets at",
    "reset on",
    "resets on",
    "reset by",
    "reset:",
    "resets:",
    "access on",
    "access at",
    "resets",
    "renews at",
    "renews on",
    "renews",
    "refreshes at",
    "refreshes on",
    "until",
    "将在",
    "将于",
];

/// Words that may stand between the telling words and the time.
const FILLERS: &[&str] = &[
    "about ",
    "approximately ",
    "at least ",
    "another ",
    "for ",
    "up to ",
    "the next ",
    "after ",
    "daily ",
    "every day ",
    "at ",
    "on ",
];

/// How often one phrase is looked at; a text that repeats it more often says nothing.
const TRIES: usize = 8;

/// When to come back, by a sentence in lower case.
pub(crate) fn retry(text: &str, now: Timestamp) -> Option<Timestamp> {
    retry_in(TimeZone::UTC, text, now)
}

/// The same, with a date that names no zone taken as one of `zone`.
pub(crate) fn retry_in(zone: TimeZone, text: &str, now: Timestamp) -> Option<Timestamp> {
    let before = spans(RETRY, text, now).or_else(|| postponed(text, now));
    let at = || instants(RETRY_AT, &zone, text, now);
    before
        .or_else(at)
        .or_else(|| spans(RESET, text, now))
        .or_else(|| instants(RESET_AT, &zone, text, now))
}

/// Whether a sentence in lower case says to come back after no time at all.
pub(crate) fn retry_at_once(text: &str) -> bool {
    tails(RETRY, text).filter_map(leading).any(|(span, _)| span.is_zero())
}

/// When a budget is whole again, by a sentence in lower case.
pub(crate) fn reset(text: &str, now: Timestamp) -> Option<Timestamp> {
    spans(RESET, text, now).or_else(|| instants(RESET_AT, &TimeZone::UTC, text, now))
}

fn spans(phrases: &[&str], text: &str, now: Timestamp) -> Option<Timestamp> {
    let spans = tails(phrases, text).filter_map(leading);
    spans.map(|(span, _)| now.after(span)).find_map(|at| believable(at, now))
}

fn instants(phrases: &[&str], zone: &TimeZone, text: &str, now: Timestamp) -> Option<Timestamp> {
    let written = tails(phrases, text).filter_map(|tail| written_in(zone, tail, now));
    written.into_iter().find_map(|at| believable(at, now))
}

/// The first span that says of itself that it is to pass.
fn postponed(text: &str, now: Timestamp) -> Option<Timestamp> {
    let starts = text.char_indices().scan(false, |within, (at, letter)| {
        let begins = letter.is_ascii_digit() && !*within;
        *within = letter.is_ascii_digit() || letter == '.';
        Some(begins.then_some(at))
    });
    let spans = starts.flatten().take(TRIES).filter_map(|at| leading(&text[at..]));
    let passing = |rest: &str| AFTERWARDS.iter().any(|word| rest.trim_start().starts_with(word));
    let spans = spans.filter(|(_, rest)| passing(rest)).map(|(span, _)| now.after(span));
    spans.into_iter().find_map(|at| believable(at, now))
}

/// What follows each phrase, without the filling words.
fn tails<'a>(phrases: &'a [&'a str], text: &'a str) -> impl Iterator<Item = &'a str> {
    let pairs = Pairs::of([text]);
    phrases.iter().filter(move |phrase| pairs.may_hold(phrase)).flat_map(move |phrase| {
        let found = text.match_indices(phrase).take(TRIES);
        found
            .filter(|&(at, _)| begins_word(text, at))
            .map(|(at, _)| filled(&text[at + phrase.len()..]))
    })
}

fn begins_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn filled(tail: &str) -> &str {
    let mut tail = tail;
    for _ in 0..3 {
        tail = tail.trim_start_matches([' ', ':', '=', '~', '"', '\'', '`', '(', '\n']);
        let filler = FILLERS.iter().find_map(|filler| tail.strip_prefix(filler));
        tail = filler.unwrap_or(tail);
    }
    tail
}
