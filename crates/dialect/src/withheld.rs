//! The client's own words in what a provider says: left out of what is shown and kept, since
//! providers quote the prompts that they refuse; and, where they are a long run of words, out of
//! what is read, since a prompt may speak of limits and times as a provider does.

mod digest;
mod search;

use std::ops::Range;

use serde::de::DeserializeSeed;

use digest::{Digests, mixed, of_run, of_words, step};
use search::{Search, Texts};

/// What stands in the place of the client's words.
pub(crate) const MARK: &str = "[...]";

/// So many letters or so many words in a row that a text of the request has too are its words.
const LETTERS: usize = 12;
const WORDS: usize = 3;

/// So many words in a row are repeated, and not the same by chance, if they have so many letters.
const REPEATED: usize = 5;
const REPEATED_LETTERS: usize = 12;

/// A whole text of the request counts from so many letters on, however few its words are.
const SHORTEST_WHOLE: usize = 4;

/// What a reply has in common with the request's texts, found in one pass over them.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    found: Digests,
    repeats: bool,
}

impl Shared {
    /// Looks for what the request has of a message that is shown and of a text that is read.
    pub(crate) fn of(shown: &str, read: &str, request: &[u8]) -> Self {
        let (shown, read) = (Said::read(shown), Said::read(read));
        if request.is_empty() || shown.words.is_empty() && read.words.is_empty() {
            return Self::default();
        }
        let mut search = Search::of(&shown, &read);
        let mut json = serde_json::Deserializer::from_slice(request);
        if Texts(&mut search).deserialize(&mut json).is_err() {
            // Whatever it is, its words are the client's.
            search.text(&String::from_utf8_lossy(request));
        }
        let repeats = read.repetitions().any(|(digest, _)| search.found.contains(&digest));
        Self { found: search.found, repeats }
    }

    /// The message as it may be shown: without all that the request has too.
    pub(crate) fn withheld(&self, message: &str) -> String {
        if self.found.is_empty() {
            return message.to_owned();
        }
        let said = Said::read(message);
        masked(message, &said.words, &said.found(&self.found))
    }

    /// The text, or a part of it, without the runs of words that repeat the request; `None` if
    /// there are none.
    pub(crate) fn unrepeated(&self, text: &str) -> Option<String> {
        if !self.repeats {
            return None;
        }
        let said = Said::read(text);
        let hidden = said.repeated(&self.found);
        hidden.contains(&true).then(|| masked(text, &said.words, &hidden))
    }
}

/// A message in words of lower case letters and digits.
struct Said {
    letters: Vec<char>,
    /// The first letter of each word.
    starts: Vec<usize>,
    /// Where each word stands.
    words: Vec<Range<usize>>,
    digests: Vec<u64>,
}

impl Said {
    fn read(message: &str) -> Self {
        let mut said = Self { letters: vec![], starts: vec![], words: vec![], digests: vec![] };
        let mut before = None;
        for (at, c) in message.char_indices() {
            let end = at + c.len_utf8();
            let Some(letter) = letter(c) else {
                before = None;
                continue;
            };
            match (said.words.last_mut(), said.digests.last_mut()) {
                (Some(word), Some(digest)) if !parts(before, letter) => {
                    word.end = end;
                    *digest = step(*digest, letter);
                }
                _ => {
                    said.words.push(at..end);
                    said.starts.push(said.letters.len());
                    said.digests.push(step(0, letter));
                }
            }
            said.letters.push(letter);
            before = Some(letter);
        }
        said
    }

    /// Each run of the message that may be the client's: its digest and its letters.
    fn runs(&self) -> impl Iterator<Item = (u64, Range<usize>)> {
        let of_letters = self.letters.windows(LETTERS).enumerate().map(|(at, run)| {
            let digest = run.iter().fold(0, |digest, letter| step(digest, *letter));
            (mixed(digest, LETTERS), at..at + LETTERS)
        });
        let of_words = (1..=WORDS).flat_map(move |count| {
            let runs = self.digests.windows(count).enumerate();
            runs.map(move |(at, run)| {
                let letters = self.starts[at]..self.end_of(at + count - 1);
                (of_words(run.iter().copied(), count), letters)
            })
        });
        of_letters.chain(of_words)
    }

    /// Each run of words that may repeat the request: its digest and its words. Fewer than a run
    /// count if they are a whole text of the request and have a figure, such as a time.
    fn repetitions(&self) -> impl Iterator<Item = (u64, Range<usize>)> {
        (2..=REPEATED).flat_map(move |count| {
            let runs = self.digests.windows(count).enumerate();
            let runs = runs.map(move |(at, run)| (of_run(run), at..at + count));
            runs.filter(move |(_, words)| count == REPEATED || self.has_figure(words))
        })
    }

    fn has_figure(&self, words: &Range<usize>) -> bool {
        self.letters_of(words).iter().any(char::is_ascii_digit)
    }

    fn letters_of(&self, words: &Range<usize>) -> &[char] {
        &self.letters[self.starts[words.start]..self.end_of(words.end - 1)]
    }

    /// Which words repeat the request.
    fn repeated(&self, found: &Digests) -> Vec<bool> {
        let mut runs = vec![false; self.words.len()];
        let mut hidden = runs.clone();
        for (_, words) in self.repetitions().filter(|(digest, _)| found.contains(digest)) {
            let kind = if words.len() == REPEATED { &mut runs } else { &mut hidden };
            kind[words].fill(true);
        }
        let mut start = 0;
        for run in runs.chunk_by(|one, next| one == next) {
            let words = start..start + run.len();
            start = words.end;
            // Scripts without spaces have many words in a few letters.
            if run[0] && self.letters_of(&words).len() >= REPEATED_LETTERS {
                hidden[words].fill(true);
            }
        }
        hidden
    }

    fn end_of(&self, word: usize) -> usize {
        self.starts.get(word + 1).copied().unwrap_or(self.letters.len())
    }

    /// Which words are the client's: by half of their letters, or so many that they are a run.
    fn found(&self, found: &Digests) -> Vec<bool> {
        let mut known = vec![false; self.letters.len()];
        for (_, letters) in self.runs().filter(|(digest, _)| found.contains(digest)) {
            known[letters].fill(true);
        }
        let words = (0..self.words.len()).map(|word| &known[self.starts[word]..self.end_of(word)]);
        let is_hidden = |letters: &[bool]| {
            let count = letters.iter().filter(|known| **known).count();
            count >= LETTERS || 2 * count >= letters.len()
        };
        words.map(is_hidden).collect()
    }
}

/// What an ASCII letter or digit is in lower case; 0 for other signs.
const LOWER: [u8; 128] = {
    let mut lower = [0; 128];
    let mut byte = 0;
    while byte < 128_u8 {
        if byte.is_ascii_alphanumeric() {
            lower[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    lower
};

/// A letter or digit in lower case.
fn letter(c: char) -> Option<char> {
    if let Some(lower) = LOWER.get(c as usize) {
        return (*lower != 0).then(|| char::from(*lower));
    }
    c.is_alphanumeric().then(|| c.to_lowercase().next().unwrap_or(c))
}

/// Whether a word begins with a letter. Scripts without spaces have a word in each sign.
fn parts(before: Option<char>, letter: char) -> bool {
    let spaceless = |c: char| {
        !c.is_ascii()
            && matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{2e80}'..='\u{abff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..)
    };
    before.is_none_or(|before| spaceless(before) || spaceless(letter))
}

/// The message with a mark in the place of each run of hidden words.
fn masked(message: &str, words: &[Range<usize>], hidden: &[bool]) -> String {
    let mut shown = String::with_capacity(message.len());
    let mut rest = 0;
    let mut was_hidden = false;
    for (word, &is_hidden) in words.iter().zip(hidden) {
        if !was_hidden {
            shown.push_str(&message[rest..word.start]);
            rest = word.start;
        }
        if is_hidden {
            if !was_hidden {
                shown.push_str(MARK);
            }
            rest = word.end;
        }
        was_hidden = is_hidden;
    }
    shown.push_str(&message[rest..]);
    shown
}

#[cfg(test)]
mod tests;
