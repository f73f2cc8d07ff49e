//! Characters that two events share: JSON can say one half of a surrogate pair at an event's end,
//! and the other at the start of the next. A client that puts the text together in UTF-16 has the
//! whole character; each half alone becomes U+FFFD here.

use crate::json::{Kind, View, half_at_end, half_at_start};

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// A text that comes in pieces, and the first half that its last piece ends with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Halves {
    first: Option<u16>,
}

impl Halves {
    /// Whether the second half of a character is still to come.
    pub const fn is_open(self) -> bool {
        self.first.is_some()
    }

    /// The text of an event, whose data is `data`, in whole characters: the half that came before
    /// it joined to its start, and the one at its end kept for the next. `is_end` says that none
    /// comes.
    pub(super) fn join(&mut self, text: &str, data: &[u8], is_end: bool) -> String {
        let (mut joined, mut rest) = (String::new(), text);
        if let Some(high) = self.first.take_if(|_| is_end || !text.is_empty()) {
            let low = at_start(text, data);
            joined.push(low.map_or(REPLACEMENT, |low| character(high, low)));
            rest =
                if low.is_some() { text.strip_prefix(REPLACEMENT).unwrap_or(text) } else { text };
        }
        if !is_end && let Some(high) = at_end(rest, data) {
            self.first = Some(high);
            rest = rest.strip_suffix(REPLACEMENT).unwrap_or(rest);
        }
        joined + rest
    }

    /// Puts the text of an event, whose data is `data`, at the end of `told`; a character whose
    /// second half comes with it is made whole.
    pub fn append(&mut self, told: &mut String, text: &str, data: &[u8]) {
        if text.is_empty() {
            return;
        }
        let mut rest = text;
        if let Some(high) = self.first.take()
            && let Some(low) = at_start(text, data)
            && told.ends_with(REPLACEMENT)
        {
            told.pop();
            told.push(character(high, low));
            rest = text.strip_prefix(REPLACEMENT).unwrap_or(text);
        }
        told.push_str(rest);
        self.first = at_end(rest, data);
    }
}

/// The second half that an event's text starts with.
fn at_start(text: &str, data: &[u8]) -> Option<u16> {
    text.starts_with(REPLACEMENT).then(|| content(data)).flatten().and_then(half_at_start)
}

/// The first half that an event's text ends with.
fn at_end(text: &str, data: &[u8]) -> Option<u16> {
    text.ends_with(REPLACEMENT).then(|| content(data)).flatten().and_then(half_at_end)
}

/// The text of the first choice as it stands in an event's data.
fn content(data: &[u8]) -> Option<&[u8]> {
    let choice = View::parse(data.trim_ascii()).ok()?.get("choices")?.elements().next()?;
    let delta = choice.get("delta");
    let content = delta.map_or_else(|| choice.get("text"), |delta| delta.get("content"))?;
    (content.kind() == Kind::String).then(|| content.raw())
}

fn character(high: u16, low: u16) -> char {
    char::decode_utf16([high, low]).next().and_then(Result::ok).unwrap_or(REPLACEMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(content: &str) -> String {
        format!(r#"{{"choices":[{{"delta":{{"content":"{content}"}}}}]}}"#)
    }

    /// The text of each event, the half kept for the next, and all of it as the client has it.
    fn told(contents: &[&str]) -> (String, String, bool) {
        let (mut joining, mut telling) = (Halves::default(), Halves::default());
        let (mut joined, mut told) = (String::new(), String::new());
        for content in contents {
            let data = data(content);
            let facts = crate::chunk::classify(data.as_bytes(), None);
            let text = facts.text.unwrap_or_default();
            joined += &joining.join(&text, data.as_bytes(), false);
            telling.append(&mut told, &text, data.as_bytes());
        }
        assert_eq!(joining, telling);
        joined += &joining.join("", b"[DONE]", true);
        (joined, told, telling.is_open())
    }

    #[test]
    fn halves_of_a_legacy_text_are_one_character_too() {
        let (mut told, mut halves) = (String::new(), Halves::default());
        for half in [r"\ud83d", r"\ude00"] {
            let data = format!(r#"{{"choices":[{{"index":0,"text":"{half}"}}]}}"#);
            let facts = crate::chunk::classify(data.as_bytes(), None);
            halves.append(&mut told, &facts.text.unwrap_or_default(), data.as_bytes());
        }
        assert_eq!((told.as_str(), halves.is_open()), ("😀", false));
    }

    #[test]
    fn halves_in_two_events_are_one_character() {
        for (contents, expected, is_open) in [
            (&[r"a\ud83d", r"\ude00b"][..], "a😀b", false),
            (&[r"\uD83D", "", r"\uDE00\ud83d", r"\ude01"], "😀😁", false),
            (&[r"a\ud83d"], "a\u{fffd}", true),
            (&[r"a\ud83d", "b"], "a\u{fffd}b", false),
            (&["a\u{fffd}", r"\ude00"], "a\u{fffd}\u{fffd}", false),
            (&[r"\ud83d\ude00", "x"], "😀x", false),
            (&[r"\ud83d", r"\ud83d", r"\ude00"], "\u{fffd}😀", false),
            (&[r"\\ud83d", r"\\ude00"], r"\ud83d\ude00", false),
        ] {
            let seen = told(contents);
            assert_eq!(seen, (expected.to_owned(), expected.to_owned(), is_open), "{contents:?}");
        }
    }
}
