//! Keeps keys out of what leaves the proxy, also where a provider echoes them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;
use memchr::{memchr, memchr2_iter};

const MARK: &[u8] = b"[redacted]";
const MARK_TEXT: &str = "[redacted]";

/// What no name of a model begins with, and keys of many services do.
const OPENAI_LIKE: &str = "sk-";
/// So much follows it at least.
const SHORTEST_TAIL: usize = 8;

/// What keys of other services begin with; names may, too, but not with so long a tail.
const PREFIXES: &[&str] =
    &["sk_", "gsk_", "csk-", "xai-", "AIza", "hf_", "nvapi-", "pplx-", "ghp_"];
const LONG_TAIL: usize = 24;

/// No word of a name is so long a mixture of letters and digits.
const LONGEST_WORD: usize = 28;

/// A shorter secret would be found in innocent text. Down to the second length it is looked for
/// in errors, as a word of its own.
const SHORTEST: usize = 8;
const SHORTEST_WORD: usize = 4;

/// Replaces secrets in bytes, as they are and in every spelling that JSON allows. Its searches
/// are prepared once.
#[derive(Clone)]
pub struct Redactor {
    finders: Vec<Finder<'static>>,
    /// Secrets that are short, for errors alone.
    words: Vec<Finder<'static>>,
}

impl Redactor {
    /// A redactor of these secrets. Those of less than 8 bytes count for
    /// [`apply_to_error`](Self::apply_to_error) alone, those of less than 4 not at all.
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut texts: Vec<Vec<u8>> = secrets
            .into_iter()
            .map(|secret| secret.as_ref().to_vec())
            .filter(|secret| secret.len() >= SHORTEST_WORD)
            .collect();
        // The longest first, so that a secret inside another does not leave the other's ends.
        texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        texts.dedup();
        let (long, short): (Vec<_>, Vec<_>) = texts.iter().partition(|text| text.len() >= SHORTEST);
        let finders = |texts: Vec<&Vec<u8>>| {
            texts.into_iter().map(|text| Finder::new(text).into_owned()).collect()
        };
        Self { finders: finders(long), words: finders(short) }
    }

    /// Whether a secret stands in `text`.
    pub fn finds_any(&self, text: &[u8]) -> bool {
        self.finders.iter().any(|finder| finder.find(text).is_some())
    }

    /// Whether a secret stands in `text`, be its letters large or small.
    pub fn finds_any_of_any_case(&self, text: &[u8]) -> bool {
        self.finders.iter().any(|finder| {
            let needle = finder.needle();
            text.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
        })
    }

    /// `text` with `[redacted]` in the place of each secret; the same bytes, uncopied, if there
    /// are none.
    pub fn apply(&self, text: &Bytes) -> Bytes {
        let plain = self.finders.iter().fold(text.clone(), |text, finder| {
            let found = finder.find_iter(&text).map(|at| at..at + finder.needle().len());
            let found: Vec<_> = found.collect();
            without(&text, &found)
        });
        if memchr(b'\\', &plain).is_none() {
            return plain;
        }
        self.finders.iter().fold(plain, |text, finder| {
            let found = escaped(&text, finder.needle());
            without(&text, &found)
        })
    }
}

impl Redactor {
    /// The same for what tells of an error. Short secrets count there too, as whole words: a
    /// placeholder for a key, such as `none`, must not spoil an answer.
    pub fn apply_to_error(&self, text: &Bytes) -> Bytes {
        self.words.iter().fold(self.apply(text), |text, finder| {
            let found = finder.find_iter(&text).map(|at| at..at + finder.needle().len());
            let found: Vec<_> = found.filter(|place| is_word(&text, place)).collect();
            without(&text, &found)
        })
    }
}

/// Whether no letter, digit, hyphen or underscore stands beside a place.
fn is_word(text: &[u8], place: &Range<usize>) -> bool {
    let is_part = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    !is_part(text[..place.start].last()) && !is_part(text.get(place.end))
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.finders.len() + self.words.len())
    }
}

/// A name that somebody chose, with `[redacted]` in the place of what looks like a key. For names
/// only: in prose it would hide ids as well.
pub fn without_keys(name: &str) -> Cow<'_, str> {
    let is_between = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !name.split(is_between).any(looks_like_key) {
        return Cow::Borrowed(name);
    }
    let masked = name.split_inclusive(is_between).map(|part| {
        let word = part.trim_end_matches(is_between);
        let rest = &part[word.len()..];
        if looks_like_key(word) { [MARK_TEXT, rest] } else { [word, rest] }
    });
    Cow::Owned(masked.flatten().collect())
}

fn looks_like_key(word: &str) -> bool {
    let is_random = |text: &str| {
        text.bytes().any(|byte| byte.is_ascii_digit())
            && text.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    let has_tail = |prefix: &str, least: usize| {
        let begins =
            word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        begins && word.len() >= prefix.len() + least
    };
    has_tail(OPENAI_LIKE, SHORTEST_TAIL)
        || is_random(word) && PREFIXES.iter().any(|prefix| has_tail(prefix, LONG_TAIL))
        || word.split(['-', '_', '.']).any(|part| part.len() >= LONGEST_WORD && is_random(part))
}

/// The text with a mark in the place of each span.
fn without(text: &Bytes, spans: &[Range<usize>]) -> Bytes {
    if spans.is_empty() {
        return text.clone();
    }
    let mut clean = BytesMut::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        clean.extend_from_slice(&text[at..span.start]);
        clean.extend_from_slice(MARK);
        at = span.end;
    }
    clean.extend_from_slice(&text[at..]);
    clean.freeze()
}

/// Where the secret stands with some of its characters escaped.
fn escaped(text: &[u8], secret: &[u8]) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for start in memchr2_iter(secret[0], b'\\', text) {
        let is_inside = spans.last().is_some_and(|span| start < span.end);
        if !is_inside && let Some(end) = end_of_escaped(text, start, secret) {
            spans.push(start..end);
        }
    }
    spans
}

/// Where the secret ends that begins at `start`: each byte as it is, behind backslashes (more
/// than one where JSON stands inside JSON), or as `\u00XX`.
fn end_of_escaped(text: &[u8], start: usize, secret: &[u8]) -> Option<usize> {
    let mut at = start;
    for &byte in secret {
        if text.get(at) == Some(&byte) && byte != b'\\' {
            at += 1;
            continue;
        }
        let backslashes = text[at..].iter().take_while(|byte| **byte == b'\\').count();
        if backslashes == 0 {
            return None;
        }
        if byte == b'\\' {
            at += backslashes;
            continue;
        }
        at += backslashes;
        if text.get(at) == Some(&byte) {
            at += 1;
        } else if is_unicode_escape(text.get(at..at + 5)?, byte) {
            at += 5;
        } else {
            return None;
        }
    }
    Some(at)
}

fn is_unicode_escape(escape: &[u8], byte: u8) -> bool {
    let digits = escape.strip_prefix(b"u").and_then(|hex| std::str::from_utf8(hex).ok());
    digits.is_some_and(|hex| u32::from_str_radix(hex, 16) == Ok(u32::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(secrets: &[&str], text: &str) -> String {
        let redacted = Redactor::new(secrets).apply(&Bytes::from(text.to_owned()));
        String::from_utf8(redacted.to_vec()).unwrap()
    }

    #[test]
    fn every_occurrence_is_replaced() {
        let secrets = ["sk-12345678", "gsk_abcdefgh"];
        let text = "a sk-12345678sk-12345678, gsk_abcdefgh.";
        assert_eq!(clean(&secrets, text), "a [redacted][redacted], [redacted].");
    }

    #[test]
    fn the_longest_secret_goes_first() {
        assert_eq!(
            clean(&["12345678", "sk-12345678-tail"], "sk-12345678-tail 12345678"),
            "[redacted] [redacted]"
        );
    }

    #[test]
    fn a_secret_is_known_in_its_json_spelling() {
        let secrets = ["ab/cd+ef\"gh"];
        assert_eq!(clean(&secrets, r#"{"k":"ab/cd+ef\"gh"}"#), r#"{"k":"[redacted]"}"#);
        assert_eq!(clean(&secrets, r#"{"k":"ab\/cd+ef\"gh"}"#), r#"{"k":"[redacted]"}"#);
    }

    #[test]
    fn a_secret_is_known_with_any_of_its_characters_escaped() {
        let secrets = ["sk-ab+cd=12"];
        for spelling in [
            r"sk-ab\u002bcd\u003d12",
            r"sk\u002Dab+cd=12",
            r"\u0073k-ab+cd=12",
            r"sk-ab\\u002bcd=12",
            r"sk-ab\+cd=12",
        ] {
            assert_eq!(clean(&secrets, &format!("a {spelling} b")), "a [redacted] b", "{spelling}");
        }
        let innocent = r"sk-ab\u002ccd=12 \n sk-";
        assert_eq!(clean(&secrets, innocent), innocent);
        assert!(Redactor::new(["SK-abcd1234"]).finds_any_of_any_case(b"x-sk-abcd1234"));
    }

    #[test]
    fn what_looks_like_a_key_is_left_out_of_names() {
        let table = [
            ("sk-live-4711", "[redacted]"),
            ("sk-proj-AbCdEfGh", "[redacted]"),
            ("SK-ABCDEFGHIJ", "[redacted]"),
            ("groq/gsk_0123456789abcdefghijABCDEF", "groq/[redacted]"),
            ("Bearer sk-0123456789 x", "Bearer [redacted] x"),
            ("AIzaSyA-0123456789_0123456789-0123456", "[redacted]"),
            (
                "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x-y_z",
                "[redacted]",
            ),
            ("0123456789abcdef0123456789abcdef", "[redacted]"),
            ("\u{e9}sk-0123456789\u{e9}", "\u{e9}[redacted]\u{e9}"),
        ];
        for (name, shown) in table {
            assert_eq!(without_keys(name), shown);
        }
        for name in [
            "",
            "sk-",
            "openai/gpt-oss-120b",
            "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo",
            "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
            "accounts/fireworks/models/glm-5p3-flash",
            "pplx-70b-online",
            "ft:gpt-4o-mini-2024-07-18:my-org:custom:9aBcDeFg",
            "xai-org/grok-2",
            "deepseek-ai/DeepSeek-V4.1-Flash",
        ] {
            assert!(matches!(without_keys(name), Cow::Borrowed(_)), "{name}");
        }
    }

    #[test]
    fn short_secrets_count_in_errors_alone_and_as_words() {
        assert_eq!(clean(&["none", ""], "none of it"), "none of it");
        let redactor = Redactor::new(["pw-12", "abc", ""]);
        for (error, shown) in [
            ("bad key pw-12, 'pw-12'", "bad key [redacted], '[redacted]'"),
            ("pw-123 xpw-12 pw-12_", "pw-123 xpw-12 pw-12_"),
            ("abc", "abc"),
        ] {
            assert_eq!(redactor.apply_to_error(&Bytes::from(error)), shown);
        }
    }

    #[test]
    fn text_without_secrets_is_not_copied_and_debug_tells_nothing() {
        let redactor = Redactor::new(["sk-12345678"]);
        let text = Bytes::from_static(b"nothing here");
        assert_eq!(redactor.apply(&text).as_ptr(), text.as_ptr());
        assert!(!format!("{redactor:?}").contains("1234"));
    }
}
