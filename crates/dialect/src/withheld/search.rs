//! The search for runs of a message in the texts of a request, in one pass over them.

use std::fmt;
use std::hash::BuildHasherDefault;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::digest::{Digests, FACTOR, SIEVE, mixed, of_run, of_words, sieve_bit, step};
use super::{LETTERS, REPEATED, SHORTEST_WHOLE, Said, WORDS, letter, parts};

/// Members of a request that hold no text of its author.
const NAMES: &[&str] = &["model", "models", "role", "type"];

/// A single pass over the request's texts that finds the runs of a message.
pub(super) struct Search {
    sought: Digests,
    /// A bit for the upper half of each sought digest: nearly every run is none of them.
    sieve: Vec<u64>,
    pub(super) found: Digests,
    /// The weight of the letter that leaves a run.
    oldest: u64,
}

impl Search {
    pub(super) fn of(shown: &Said, read: &Said) -> Self {
        let most = shown.letters.len() + WORDS * shown.words.len() + REPEATED * read.words.len();
        let mut sought = Digests::with_capacity_and_hasher(most, BuildHasherDefault::default());
        sought.extend(shown.runs().map(|(digest, _)| digest));
        sought.extend(read.repetitions().map(|(digest, _)| digest));
        let mut sieve = vec![0; SIEVE];
        for digest in &sought {
            let (place, bit) = sieve_bit(*digest);
            sieve[place] |= bit;
        }
        let oldest = (0..LETTERS).fold(1_u64, |weight, _| weight.wrapping_mul(FACTOR));
        Self { sought, sieve, found: Digests::default(), oldest }
    }

    fn look(&mut self, digest: u64) {
        let (place, bit) = sieve_bit(digest);
        if self.sieve[place] & bit != 0 && self.sought.contains(&digest) {
            self.found.insert(digest);
        }
    }

    /// Looks at one text.
    pub(super) fn text(&mut self, text: &str) {
        let mut passed = Passed::default();
        for c in text.chars() {
            let Some(letter) = letter(c) else {
                self.end_word(&mut passed);
                continue;
            };
            if parts(passed.before, letter) {
                self.end_word(&mut passed);
            }
            self.letter(&mut passed, letter);
        }
        self.end_word(&mut passed);
        let Passed { words, ended, count, .. } = passed;
        if (1..WORDS).contains(&ended) && count >= SHORTEST_WHOLE {
            self.look(of_words(words[REPEATED - ended..].iter().copied(), ended));
        }
        if (2..REPEATED).contains(&ended) {
            self.look(of_run(&words[REPEATED - ended..]));
        }
    }

    fn letter(&mut self, passed: &mut Passed, letter: char) {
        passed.before = Some(letter);
        passed.word = step(passed.word, letter);
        let slot = &mut passed.run[passed.slot];
        let left = std::mem::replace(slot, u64::from(letter) + 1);
        passed.slot = if passed.slot + 1 == LETTERS { 0 } else { passed.slot + 1 };
        passed.count += 1;
        passed.rolling = step(passed.rolling, letter).wrapping_sub(left.wrapping_mul(self.oldest));
        if passed.count >= LETTERS {
            self.look(mixed(passed.rolling, LETTERS));
        }
    }

    /// Looks for the words that end here, if one does.
    fn end_word(&mut self, passed: &mut Passed) {
        if passed.before.take().is_none() {
            return;
        }
        passed.words.rotate_left(1);
        passed.words[REPEATED - 1] = std::mem::take(&mut passed.word);
        passed.ended += 1;
        if passed.ended >= WORDS {
            self.look(of_words(passed.words[REPEATED - WORDS..].iter().copied(), WORDS));
        }
        if passed.ended >= REPEATED {
            self.look(of_run(&passed.words));
        }
    }
}

/// What of a text was passed.
#[derive(Default)]
struct Passed {
    /// The last letters, each with one added, in a ring; the slot of the oldest.
    run: [u64; LETTERS],
    slot: usize,
    count: usize,
    /// Their digest.
    rolling: u64,
    /// The digests of the last words, and of the one that has begun.
    words: [u64; REPEATED],
    ended: usize,
    word: u64,
    /// The letter before, if it is of the same word.
    before: Option<char>,
}

/// Gives every text of a JSON value to a search.
pub(super) struct Texts<'s>(pub(super) &'s mut Search);

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Texts(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            if NAMES.contains(&name.as_str()) {
                members.next_value::<IgnoredAny>()?;
            } else {
                members.next_value_seed(Texts(&mut *self.0))?;
            }
        }
        Ok(())
    }
}
