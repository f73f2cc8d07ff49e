//! Whose words a phrase of a reply is: the provider's own, or the client's that it gives back. A
//! phrase that the request does not have is the provider's; one that it has is too, unless it
//! stands there by itself or goes on with the same words in both.

use std::ops::Range;

use crate::sent::Sent;

/// So many places of one phrase are looked at, in the reply and in the request.
const MOST_PLACES: usize = 8;
const MOST_SOURCES: usize = 64;

/// So many words on each side of a phrase may belong with it to a name of the client's.
const REACH: usize = 3;

/// So many words beyond a phrase make a repetition of it.
const REPEATED: usize = 2;

/// What stands before a name of one word; without it, one word of the client's proves nothing.
const NAMERS: &[&str] = &[
    "agent",
    "argument",
    "assistant",
    "field",
    "file",
    "function",
    "image",
    "name",
    "plugin",
    "property",
    "role",
    "server",
    "tool",
    "url",
    "user",
    "value",
];

/// Whose a phrase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    Providers,
    /// The request has it, or a part of it, in a place from which it may have been taken.
    Unknown,
    Clients,
}

/// Whose a phrase of a text in lower case is, at the place where it is most the provider's. One
/// that is not in the text is put together of it, and the provider's if the request has it not.
pub(crate) fn whose(phrase: &str, text: &str, sent: &Sent<'_>) -> Whose {
    let places = text.match_indices(phrase).take(MOST_PLACES);
    let found = places.map(|(at, _)| {
        let place = at..at + phrase.len();
        of_names(&place, text, sent).max(of_run(&place, text, sent))
    });
    let most = found.min();
    most.unwrap_or(if sent.holds(phrase) { Whose::Unknown } else { Whose::Providers })
}

/// Whose the words at one place are, whatever names they have in them.
pub(crate) fn of_run(place: &Range<usize>, text: &str, sent: &Sent<'_>) -> Whose {
    let phrase = &text[place.clone()];
    if !sent.holds(phrase) {
        return Whose::Providers;
    }
    let (before, after) = (words_before(text, place.start), words_after(text, place.end));
    let repeated = (0..=REPEATED).any(|left| {
        let right = REPEATED - left;
        let start =
            if left == 0 { Some(place.start) } else { before.get(left - 1).map(|w| w.start) };
        let end = if right == 0 { Some(place.end) } else { after.get(right - 1).map(|w| w.end) };
        start.zip(end).is_some_and(|(start, end)| sent.holds(&text[start..end]))
    });
    if repeated {
        return Whose::Clients;
    }
    let sources = sent.text().match_indices(phrase).take(MOST_SOURCES);
    let mut sources = sources.map(|(at, _)| stands_alone(sent.text(), at, at + phrase.len()));
    if sources.any(|alone| alone) { Whose::Unknown } else { Whose::Providers }
}

/// Whether the words before or after a place repeat the request's.
pub(crate) fn is_repeated(place: &Range<usize>, text: &str, sent: &Sent<'_>) -> bool {
    of_run(place, text, sent) == Whose::Clients
}

/// Whether a part of the request begins or ends with the phrase, such as a line or a value.
fn stands_alone(request: &str, start: usize, end: usize) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, ',' | '-' | '_');
    let before = request[..start].trim_end_matches(' ');
    let after = request[end..].trim_start_matches(' ');
    !before.ends_with(goes_on) || !after.starts_with(goes_on)
}

/// Whose the words at a place are by the names that the request has: a whole text of it, such as
/// the name of a tool, may be all of them or only a part.
fn of_names(place: &Range<usize>, text: &str, sent: &Sent<'_>) -> Whose {
    let mut words = words_before(text, place.start);
    words.reverse();
    words.extend(words_within(text, place.clone()));
    words.extend(words_after(text, place.end).into_iter().take(REACH));
    let runs = (0..words.len()).flat_map(|first| {
        let ends = words[first..].iter().map(|word| word.end);
        ends.map(|end| words[first].start..end).collect::<Vec<_>>()
    });
    let touching = runs.filter(|run| run.start < place.end && run.end > place.start);
    let named = std::iter::once(place.clone())
        .chain(touching)
        .filter(|run| is_telling(run, text) && sent.is_whole(&text[run.clone()]));
    let holds_all = |run: Range<usize>| run.start <= place.start && run.end >= place.end;
    let found = named.map(|run| if holds_all(run) { Whose::Clients } else { Whose::Unknown });
    found.max().unwrap_or(Whose::Providers)
}

/// Whether words are no chance find: several, no plain word, or said to be a name.
fn is_telling(run: &Range<usize>, text: &str) -> bool {
    let plain = text[run.clone()].chars().all(|c| c.is_ascii_lowercase());
    let before = words_before(text, run.start);
    let named = before.first().is_some_and(|word| NAMERS.contains(&&text[word.clone()]));
    !plain || named
}

/// The words before a place, the nearest first.
fn words_before(text: &str, end: usize) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut end = end;
    while words.len() < REACH {
        let head = text[..end].trim_end_matches(is_between);
        if head.is_empty() {
            break;
        }
        let start = head.rfind(char::is_whitespace).map_or(0, |at| at + width(head, at));
        let start = head.len() - head[start..].trim_start_matches(is_between).len();
        words.push(start..head.len());
        end = start;
    }
    words
}

/// The words after a place, the nearest first.
fn words_after(text: &str, start: usize) -> Vec<Range<usize>> {
    words_within(text, start..text.len())
}

fn words_within(text: &str, place: Range<usize>) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut rest = place;
    while words.len() < 2 * REACH {
        let tail = text[rest.clone()].trim_start_matches(is_between);
        if tail.is_empty() {
            break;
        }
        let start = rest.end - tail.len();
        let end = tail.find(char::is_whitespace).map_or(rest.end, |at| start + at);
        let word = text[start..end].trim_end_matches(is_between);
        words.push(start..start + word.len());
        rest.start = end;
    }
    words
}

fn width(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || c.is_ascii_punctuation() && !matches!(c, '{' | '}' | '_')
}
