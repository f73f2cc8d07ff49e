//! Keeps keys out of what leaves the proxy, also where a provider echoes them.

use std::fmt;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

const MARK: &[u8] = b"[redacted]";

/// A shorter secret would be found in innocent text.
const SHORTEST: usize = 8;

/// Replaces secrets in bytes. Its searches are prepared once.
#[derive(Clone)]
pub struct Redactor {
    finders: Vec<Finder<'static>>,
}

impl Redactor {
    /// A redactor of these secrets, also in the spelling that JSON gives them. Secrets of less
    /// than 8 bytes are ignored.
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut texts: Vec<Vec<u8>> = secrets
            .into_iter()
            .filter(|secret| secret.as_ref().len() >= SHORTEST)
            .flat_map(|secret| spellings(secret.as_ref()))
            .collect();
        // The longest first, so that a secret inside another does not leave the other's ends.
        texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        texts.dedup();
        Self { finders: texts.iter().map(|text| Finder::new(text).into_owned()).collect() }
    }

    /// Whether a secret stands in `text`.
    pub fn finds_any(&self, text: &[u8]) -> bool {
        self.finders.iter().any(|finder| finder.find(text).is_some())
    }

    /// `text` with `[redacted]` in the place of each secret; the same bytes, uncopied, if there
    /// are none.
    pub fn apply(&self, text: &Bytes) -> Bytes {
        self.finders.iter().fold(text.clone(), |text, finder| replaced(&text, finder))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} spellings)", self.finders.len())
    }
}

/// The secret itself, and inside JSON strings: with `"` and `\` escaped, with `/` escaped.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut spellings = vec![secret.to_vec()];
    if let Ok(text) = std::str::from_utf8(secret) {
        let quoted = crate::json::quote(text);
        let inside = String::from_utf8_lossy(&quoted[1..quoted.len() - 1]).into_owned();
        spellings.push(inside.replace('/', "\\/").into_bytes());
        spellings.push(inside.into_bytes());
    }
    spellings
}

fn replaced(text: &Bytes, finder: &Finder<'_>) -> Bytes {
    let mut found = finder.find_iter(text).peekable();
    if found.peek().is_none() {
        return text.clone();
    }
    let mut clean = BytesMut::with_capacity(text.len());
    let mut at = 0;
    for start in found {
        clean.extend_from_slice(&text[at..start]);
        clean.extend_from_slice(MARK);
        at = start + finder.needle().len();
    }
    clean.extend_from_slice(&text[at..]);
    clean.freeze()
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
    fn short_secrets_are_ignored() {
        assert_eq!(clean(&["none", ""], "none of it"), "none of it");
    }

    #[test]
    fn text_without_secrets_is_not_copied_and_debug_tells_nothing() {
        let redactor = Redactor::new(["sk-12345678"]);
        let text = Bytes::from_static(b"nothing here");
        assert_eq!(redactor.apply(&text).as_ptr(), text.as_ptr());
        assert!(!format!("{redactor:?}").contains("1234"));
    }
}
