//! Which pairs of bytes a text has. The tables hold some hundred phrases, of which a text holds a
//! few: nearly all others are told apart by a pair that is not there, without a search.

/// A set of pairs. It may take a pair for one of the set, but never misses one.
#[derive(Debug)]
pub(crate) struct Pairs([u64; 64]);

impl Pairs {
    pub(crate) fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut bits = [0; 64];
        for pair in texts.into_iter().flat_map(|text| text.as_bytes().windows(2)) {
            let (word, bit) = place(pair);
            bits[word] |= bit;
        }
        Self(bits)
    }

    /// Whether one of the texts may hold the phrase; if not, none does.
    pub(crate) fn may_hold(&self, phrase: &str) -> bool {
        phrase.as_bytes().windows(2).all(|pair| {
            let (word, bit) = place(pair);
            self.0[word] & bit != 0
        })
    }
}

fn place(pair: &[u8]) -> (usize, u64) {
    let [first, second] = [pair[0], pair[1]].map(usize::from);
    let place = (first << 5 ^ second) % 4096;
    (place / 64, 1 << (place % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_never_missed() {
        let text = "rate limit reached for model 每分钟, try again in 7m12s";
        let pairs = Pairs::of([text, "another"]);
        for from in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            for to in (from..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                assert!(pairs.may_hold(&text[from..to]));
            }
        }
        assert!(pairs.may_hold("other"));
        assert!(!pairs.may_hold("per minute"));
    }
}
