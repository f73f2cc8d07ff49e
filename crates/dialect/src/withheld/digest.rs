//! Digests of letters, words and runs of them, by which texts are compared without being kept.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// An odd factor for digests of sequences: 2^64 by the golden ratio.
pub(super) const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Digests of runs that are read are told apart from those of runs that are shown.
const READ: usize = 0x100;

/// Digests, which need no hash of their own.
pub(super) type Digests = HashSet<u64, BuildHasherDefault<Own>>;

#[derive(Debug, Default)]
pub(super) struct Own(u64);

impl Hasher for Own {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |digest, byte| digest << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(super) fn step(digest: u64, letter: char) -> u64 {
    digest.wrapping_mul(FACTOR).wrapping_add(u64::from(letter) + 1)
}

/// Digests of letters and of words, one, two or three, are told apart.
pub(super) fn mixed(digest: u64, kind: usize) -> u64 {
    let digest = (digest ^ kind as u64).wrapping_mul(FACTOR);
    digest ^ digest >> 32
}

pub(super) fn of_words(words: impl Iterator<Item = u64>, count: usize) -> u64 {
    let digest = words.fold(0, |digest: u64, word| mixed(digest.rotate_left(1) ^ word, count));
    mixed(digest, count)
}

/// The digest of a run of words that is read.
pub(super) fn of_run(words: &[u64]) -> u64 {
    let sum = |digest: u64, word: &u64| digest.wrapping_mul(FACTOR) ^ (word ^ word >> 29);
    mixed(words.iter().fold(0, sum), READ + words.len())
}

/// Words of a sieve: some hundreds of digests set one in thirty of its bits.
pub(super) const SIEVE: usize = 1 << 8;

/// Where a digest's bit is in a sieve.
pub(super) fn sieve_bit(digest: u64) -> (usize, u64) {
    let bit = digest >> 50;
    (usize::try_from(bit >> 6).unwrap_or_default(), 1 << (bit & 63))
}
