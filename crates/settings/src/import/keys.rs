//! Keys: what refers to a variable stays a reference, what is a key itself becomes one.

use std::collections::HashSet;

use crate::env::Env;
use crate::expand;
use crate::secret::is_placeholder;

/// How a key goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// It was a reference to a variable, or was none at all.
    Reference(String),
    /// It stood in the file; now it is expected in this variable.
    Moved(String),
}

/// The variables that stand for keys.
#[derive(Debug)]
pub(super) struct Variables {
    /// Every word of the file, so that no name is taken that it already gives a meaning.
    taken: HashSet<String>,
    /// The literal keys and the variables that were made for them.
    moved: Vec<(String, String)>,
}

impl Variables {
    pub(super) fn new(text: &str) -> Self {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        Self { taken: words.map(ToOwned::to_owned).collect(), moved: Vec::new() }
    }

    /// Carries a key over; `wanted` is the variable for one that stands in the file.
    pub(super) fn carry(&mut self, text: &str, wanted: &str) -> Carried {
        if let Some(reference) = reference(text) {
            return Carried::Reference(reference);
        }
        if is_placeholder(text) {
            return Carried::Reference(format!("${{{wanted}}}"));
        }
        if let Some((_, variable)) = self.moved.iter().find(|(known, _)| known == text) {
            return Carried::Reference(format!("${{{variable}}}"));
        }
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        let name = names.find(|name| !self.taken.contains(name)).unwrap_or_default();
        self.taken.insert(name.clone());
        self.moved.push((text.to_owned(), name.clone()));
        Carried::Moved(name)
    }
}

/// Tells whether a text says that there is no key, as servers in the house are given one.
pub(super) fn is_no_key(text: &str) -> bool {
    let words =
        ["", "none", "null", "nil", "dummy", "anything", "fake", "empty", "no-key", "not-needed"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// The `${NAME}` of a text that refers to a variable: `os.environ/NAME`, or a `${NAME}` itself.
pub(super) fn reference(text: &str) -> Option<String> {
    if let Some(name) = text.strip_prefix("os.environ/") {
        return expand::is_name(name).then(|| format!("${{{name}}}"));
    }
    let is_whole = || expand::expand(text, &Env::from_pairs([] as [(&str, &str); 0])).is_ok();
    (text.contains("${") && is_whole()).then(|| text.to_owned())
}

/// A name as the beginning of a variable's: `my-server.lan` becomes `MY_SERVER_LAN`.
pub(super) fn variable_of(name: &str) -> String {
    let word: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    let lead = if word.starts_with(|c: char| c.is_ascii_digit()) { "KEY_" } else { "" };
    format!("{lead}{word}_API_KEY")
}
