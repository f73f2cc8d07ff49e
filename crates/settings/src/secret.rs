//! The text of a key, kept out of logs, messages and serialised forms by its type.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::Fault;

/// The longest key in bytes: signed tokens reach a few KiB, and headers end at about 16 KiB.
const LONGEST: usize = 8 * 1024;

/// A key or another text that must not be shown; compared in constant time.
#[derive(Clone)]
pub struct Secret {
    text: Box<str>,
}

impl Secret {
    /// Takes a text without the white space around it.
    ///
    /// # Errors
    /// Refuses an empty text, one longer than 8 KiB, and one with characters that a header cannot
    /// carry (control characters, anything beyond ASCII).
    pub fn new(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Fault::new("the key is empty"));
        }
        if text.len() > LONGEST {
            return Err(Fault::new("the key is longer than 8 KiB"));
        }
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(Fault::new("the key holds characters that cannot be sent")
                .hint("only printable ASCII; look for a line break or typographic quotes"));
        }
        Ok(Self { text: text.into() })
    }

    /// Opens the text; only the place that writes the header to a provider needs it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Tells whether another text is the same, in a time that does not tell how near it is.
    pub fn matches(&self, text: &str) -> bool {
        self.text.as_bytes().ct_eq(text.as_bytes()).into()
    }

    /// Returns the first 8 hex digits of the text's SHA-256, by which a key is told from others.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(self.text.as_bytes())
            .iter()
            .take(4)
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
            .collect()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.text)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Tells whether a text only stands where a key should be (`YOUR_GROK_API_KEY_HERE`, `sk-...`).
///
/// No pattern admits a digit, so that no real key, which is random and long, is caught.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    if text.is_empty() {
        return true;
    }
    let bracketed = |open, close| text.starts_with(open) && text.ends_with(close);
    if bracketed('<', '>') || bracketed('[', ']') || bracketed('{', '}') {
        return true;
    }
    if text.len() > 64 || text.bytes().any(|byte| byte.is_ascii_digit()) {
        return false;
    }
    is_unexpanded(&text) || is_filler(&text) || is_request(&text)
}

/// `$GROQ_API_KEY`: written as in a shell, where only `${GROQ_API_KEY}` is expanded.
fn is_unexpanded(text: &str) -> bool {
    text.strip_prefix('$').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
    })
}

/// `xxx`, `sk-...`, `gsk_xxxxxxxx`, `****`.
fn is_filler(text: &str) -> bool {
    let tail = text.rsplit(['-', '_']).next().unwrap_or(text);
    tail == "…"
        || (tail.len() >= 3 && ['x', '.', '*'].iter().any(|fill| tail.chars().all(|c| c == *fill)))
}

/// `your-api-key`, `changeme`, `insert_key_here`, `api_key`.
fn is_request(text: &str) -> bool {
    let words: Vec<&str> = text.split(['-', '_', ' ', '.']).filter(|w| !w.is_empty()).collect();
    let has = |word: &str| words.contains(&word);
    let names_key = has("key") || has("apikey") || has("token") || has("secret");
    words.first() == Some(&"your")
        || text.starts_with("your") && (text.contains("key") || text.contains("token"))
        || (has("your") && names_key)
        || (has("here") && names_key)
        || matches!(
            words.as_slice(),
            ["changeme" | "change" | "replaceme" | "todo" | "placeholder"]
        )
        || matches!(words.as_slice(), ["change" | "replace" | "fill", "me" | "this" | "in", ..])
        || matches!(words.as_slice(), ["apikey"] | ["api", "key"] | ["my" | "the", "api", "key"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_its_text() {
        let secret = Secret::new(" gsk_abc\n").unwrap();
        assert_eq!(secret.expose(), "gsk_abc");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)).matches("gsk").count(), 0);
        assert_eq!(format!("{secret:?}"), "[secret]");
    }

    #[test]
    fn the_fingerprint_is_the_start_of_sha_256() {
        // SHA-256("abc") = ba7816bf 8f01cfea ..., FIPS 180-4.
        assert_eq!(Secret::new("abc").unwrap().fingerprint(), "ba7816bf");
    }

    #[test]
    fn secrets_are_equal_by_text() {
        assert_eq!(Secret::new("a b").unwrap(), Secret::new("a b ").unwrap());
        assert_ne!(Secret::new("ab").unwrap(), Secret::new("abc").unwrap());
    }

    #[test]
    fn a_key_with_a_line_break_or_curly_quotes_is_refused() {
        for text in ["", "  \n", "a\nb", "a\0b", "“abc”", "a\u{7f}"] {
            assert!(Secret::new(text).is_err(), "{text:?}");
        }
        assert!(Secret::new(&"k".repeat(LONGEST + 1)).is_err());
    }

    #[test]
    fn placeholders_count_as_no_key() {
        for text in [
            "",
            " ",
            "YOUR_GROK_API_KEY_HERE",
            "your-api-key",
            "your_openai_key",
            "yourkey",
            "sk-...",
            "sk-xxxxxxxx",
            "gsk_xxx",
            "changeme",
            "change-me",
            "CHANGE_ME",
            "<key>",
            "<your key>",
            "[API_KEY]",
            "{key}",
            "xxx",
            "XXXXXXXX",
            "***",
            "...",
            "sk-…",
            "insert-your-key-here",
            "PUT_KEY_HERE",
            "replace_me",
            "replace-this-key",
            "api_key",
            "API-KEY",
            "my-api-key",
            "TODO",
            "placeholder",
            "$GROQ_API_KEY",
            "your key",
            "sk-your-key",
        ] {
            assert!(is_placeholder(text), "{text:?}");
        }
    }

    #[test]
    fn no_real_form_of_key_is_taken_for_a_placeholder() {
        for text in [
            "gsk_4Fh0sKz9yourkeyAB12",
            "sk-proj-9aXXXxxx1",
            "xai-7b3e9d",
            "csk-abcd1234xxx",
            "k",
            "AIzaSyD0yourKEYhere1",
            "hf_qwertyuiopasdfgh",
            "ollama",
            "EMPTY",
            "dummy",
            "not-needed",
            "test",
            "secret",
            "local",
            "tgp_v1_abc",
            "0123",
            "sk-or-v1-00aa",
            "yourselfabcdefghij",
        ] {
            assert!(!is_placeholder(text), "{text:?}");
        }
    }
}
