//! What providers were seen to refuse, for the life of the process: a parameter that was refused
//! once is left out, renamed or lowered from then on, for that provider's model alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use crate::lock::lock;

/// A provider that keeps refusing new names cannot fill the memory.
const MOST_PARAMETERS: usize = 64;
const MOST_MODELS: usize = 1024;

/// What to do with a parameter that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mend {
    /// Leave it out.
    Drop,
    /// Send it under this name.
    Rename(String),
    /// Send at most this number.
    AtMost(u64),
}

/// The mends of one provider's model, by the parameter's name.
pub(crate) type Mends = BTreeMap<String, Mend>;

/// What providers were seen to refuse.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    by_model: Mutex<HashMap<(String, String), Mends>>,
}

impl Refused {
    /// What is known of a provider's model.
    pub(crate) fn of(&self, provider: &str, model: &str) -> Mends {
        let by_model = lock(&self.by_model);
        if by_model.is_empty() {
            return Mends::new();
        }
        by_model.get(&(provider.to_owned(), model.to_owned())).cloned().unwrap_or_default()
    }

    /// Remembers a refusal; the newest counts.
    pub(crate) fn remember(&self, provider: &str, model: &str, name: &str, mend: Mend) {
        let mut by_model = lock(&self.by_model);
        let at = (provider.to_owned(), model.to_owned());
        if by_model.len() >= MOST_MODELS && !by_model.contains_key(&at) {
            return;
        }
        let mends = by_model.entry(at).or_default();
        if mends.len() < MOST_PARAMETERS || mends.contains_key(name) {
            mends.insert(name.to_owned(), mend);
        }
    }
}
