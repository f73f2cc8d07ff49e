//! What a text is like: whether it says so much that it does not come again by chance, what it has
//! in common with another one, and whether an answer could begin with it.

use memchr::memmem;

/// Bytes of text that no continuation begins with by chance.
const NO_COINCIDENCE: usize = 24;

/// Bytes of several words that do not come again by chance.
const SEVERAL_WORDS: usize = 12;

/// Whether an answer could begin so. Scripts without small letters leave it open.
pub(super) fn begins_an_answer(words: &str) -> bool {
    let inside = [',', '.', ';', ':', '!', '?', ')', ']', '}', '%', '-', '…', '’', '”'];
    let first = words.chars().next();
    first.is_none_or(|char| !(char.is_lowercase() || char.is_numeric() || inside.contains(&char)))
}

/// Whether several spaces stand between words of one line, as in columns or before a remark.
pub(super) fn has_wide_gaps(text: &str) -> bool {
    let is_wide = |line: &str| line.trim().contains("  ");
    text.lines().any(is_wide)
}

/// Whether a sentence is over where the text ends.
pub(super) fn ends_a_sentence(text: &str) -> bool {
    let closing = ['"', '\'', ')', ']', '*', '_', '”', '’', '»'];
    text.trim_end_matches(closing).ends_with(['.', '!', '?', '…', '。', '！', '？'])
}

/// Whether a line or a sentence ends inside of a text, and something comes behind it. Some scripts
/// put no space there.
pub(super) fn spans_sentences(text: &str) -> bool {
    let text = text.trim();
    let mut words = text.split_whitespace();
    words.next_back();
    text.contains(['\n', '\r', '。', '！', '？']) || words.any(ends_a_sentence)
}

/// Whether two texts end with the same word.
pub(super) fn end_with_one_word(one: &str, other: &str) -> bool {
    let word = one.split_whitespace().next_back();
    word.is_some() && word == other.split_whitespace().next_back()
}

/// What a text says again and again, at least twice and a part of the last time; white space
/// between two times may be missing at the end.
pub(super) fn repeated_unit(text: &str) -> Option<&str> {
    let period = text.len() - longest_border(text.as_bytes());
    let unit = text.get(..period).filter(|unit| !unit.is_empty())?;
    (text.len() >= period * 2 || text.len() >= period + unit.trim_end().len()).then_some(unit)
}

/// Bytes of the longest end of a text that is its beginning, too, and not all of it.
fn longest_border(text: &[u8]) -> usize {
    let mut borders = vec![0_usize; text.len()];
    for at in 1..text.len() {
        let mut border = borders[at - 1];
        while border > 0 && text[border] != text[at] {
            border = borders[border - 1];
        }
        borders[at] = border + usize::from(text[border] == text[at]);
    }
    borders.last().copied().unwrap_or(0)
}

/// How many bytes two texts have in common at their beginning.
pub(super) fn alike(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// How many bytes two texts have in common at their end.
pub(super) fn common_end(one: &str, other: &str) -> usize {
    one.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count()
}

/// Bytes of the beginning of a text that do not come again by chance, 0 if it has no such one. A
/// text that begins with a rule or a frame has a longer one; one that says it again by itself none.
pub(super) fn distinctive_beginning(text: &str) -> usize {
    let lengths = [1, 2, 4].map(|times| text.ceil_char_boundary(times * NO_COINCIDENCE));
    let length = lengths.into_iter().find(|length| says_much(&text[..*length])).unwrap_or(0);
    let is_alone = || memmem::find(&text.as_bytes()[1..], &text.as_bytes()[..length]).is_none();
    if length > 0 && is_alone() { length } else { 0 }
}

/// Whether a text says so much that it does not come again by chance.
pub(super) fn says_much(text: &str) -> bool {
    let meaningful: usize =
        text.chars().filter(|char| char.is_alphanumeric()).map(char::len_utf8).sum();
    let mut words = text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
    let first = words.next();
    let has_several = words.any(|word| Some(word) != first);
    meaningful >= NO_COINCIDENCE || has_several && text.trim().len() >= SEVERAL_WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_repeats_itself_is_known() {
        for (text, unit) in [
            ("aaa", Some("a")),
            ("ha ha", Some("ha ")),
            ("ha ha h", Some("ha ")),
            ("abcab", None),
            ("Hello", None),
            ("", None),
        ] {
            assert_eq!(repeated_unit(text), unit, "{text}");
        }
    }
}
