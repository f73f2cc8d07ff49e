//! The one list of everything that may be written in a configuration.
//!
//! Reading, the check for unknown keys, the JSON Schema and the reference all come from this table,
//! so that they cannot differ.

mod reference;
mod schema;
mod table;

pub use reference::reference;
pub use schema::schema;

/// A mapping of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Top,
    Server,
    Rotation,
    History,
    Provider,
    Limits,
    Timeouts,
}

/// What may stand behind a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text or a list of texts.
    Texts,
    Switch,
    Integer {
        least: i64,
        most: i64,
    },
    /// A duration; bounds in milliseconds.
    Duration {
        least: u64,
        most: u64,
    },
    /// A duration or `off`; bounds in milliseconds.
    OptionalDuration {
        least: u64,
        most: u64,
    },
    /// A size; bounds in bytes.
    Size {
        least: u64,
        most: u64,
    },
    OneOf(&'static [&'static str]),
    /// One of these words or a list of them.
    SomeOf(&'static [&'static str]),
    /// Texts by names.
    TextMap,
    Section(Section),
    /// The list of providers.
    Providers,
    /// Lists of steps by names.
    Chains,
}

/// One key of a section.
#[derive(Debug)]
pub(crate) struct KeyRow {
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// In the words of the configuration; empty if there is none.
    pub(crate) default: &'static str,
    /// One sentence on it.
    pub(crate) doc: &'static str,
}

impl Section {
    pub(crate) const ALL: [Self; 7] = [
        Self::Top,
        Self::Server,
        Self::Rotation,
        Self::History,
        Self::Provider,
        Self::Limits,
        Self::Timeouts,
    ];

    /// Returns the words by which messages call the section.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Top => "the file",
            Self::Server => "server",
            Self::Rotation => "rotation",
            Self::History => "history",
            Self::Provider => "provider",
            Self::Limits => "limits",
            Self::Timeouts => "timeouts",
        }
    }

    pub(crate) fn rows(self) -> &'static [KeyRow] {
        match self {
            Self::Top => table::TOP,
            Self::Server => table::SERVER,
            Self::Rotation => table::ROTATION,
            Self::History => table::HISTORY,
            Self::Provider => table::PROVIDER,
            Self::Limits => table::LIMITS,
            Self::Timeouts => table::TIMEOUTS,
        }
    }

    pub(crate) fn row(self, key: &str) -> Option<&'static KeyRow> {
        self.rows().iter().find(|row| row.key == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_twice_and_each_has_a_sentence() {
        for section in Section::ALL {
            let mut keys: Vec<&str> = section.rows().iter().map(|row| row.key).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), section.rows().len(), "{section:?}");
            assert!(section.rows().iter().all(|row| row.doc.ends_with('.')), "{section:?}");
        }
    }

    #[test]
    fn every_default_can_be_read_within_its_bounds() {
        for row in Section::ALL.iter().flat_map(|section| section.rows()) {
            let (text, millis) = (row.default, |t| crate::values::duration(t).unwrap().as_millis());
            match row.kind {
                _ if text.is_empty() => {}
                Kind::Duration { least, most } => {
                    assert!(
                        (u128::from(least)..=u128::from(most)).contains(&millis(text)),
                        "{}",
                        row.key
                    );
                }
                Kind::Size { least, most } => {
                    assert!((least..=most).contains(&crate::values::size(text).unwrap()));
                }
                Kind::OneOf(words) => assert!(words.contains(&text)),
                Kind::Integer { least, most } => {
                    assert!((least..=most).contains(&text.parse().unwrap()));
                }
                Kind::Switch => assert!(crate::values::switch(text).is_ok()),
                Kind::OptionalDuration { .. } => assert_eq!(text, "off"),
                Kind::Text => {}
                Kind::Texts
                | Kind::SomeOf(_)
                | Kind::TextMap
                | Kind::Section(_)
                | Kind::Providers
                | Kind::Chains => {
                    panic!("{} cannot have a default", row.key)
                }
            }
        }
    }
}
