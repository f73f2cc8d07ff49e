//! What providers were seen to refuse, for the life of the process: a parameter that was refused
//! once is left out, renamed or lowered from then on, for that provider's model alone. Where only
//! its value was refused, it is left out with that value alone.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Mutex;

use crate::lock::lock;

/// A provider that keeps refusing new names cannot fill the memory.
const MOST_PARAMETERS: usize = 64;
const MOST_MODELS: usize = 1024;
const MOST_VALUES: usize = 32;

/// What to do with a parameter that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mend {
    /// Leave it out.
    Drop,
    /// Leave it out if it has one of these values.
    DropIf(Values),
    /// Send it under this name.
    Rename(String),
    /// Send at most this number.
    AtMost(u64),
}

/// Values of a parameter as a request writes them, by their digests; the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values(Vec<u64>);

impl Values {
    /// One value.
    pub(crate) fn of(raw: &[u8]) -> Self {
        Self(vec![digest(raw)])
    }

    /// Whether a value is one of them.
    pub(crate) fn hold(&self, raw: &[u8]) -> bool {
        self.0.contains(&digest(raw))
    }

    fn add(&mut self, newer: &Self) {
        self.0.retain(|value| !newer.0.contains(value));
        self.0.extend(&newer.0);
        let surplus = self.0.len().saturating_sub(MOST_VALUES);
        self.0.drain(..surplus);
    }
}

fn digest(raw: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    raw.hash(&mut hasher);
    hasher.finish()
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

    /// Remembers a refusal; the newest counts, but refused values add up.
    pub(crate) fn remember(&self, provider: &str, model: &str, name: &str, mend: Mend) {
        let mut by_model = lock(&self.by_model);
        let at = (provider.to_owned(), model.to_owned());
        if by_model.len() >= MOST_MODELS && !by_model.contains_key(&at) {
            return;
        }
        let mends = by_model.entry(at).or_default();
        let has_room = mends.len() < MOST_PARAMETERS;
        match (mends.get_mut(name), mend) {
            (Some(Mend::DropIf(values)), Mend::DropIf(newer)) => values.add(&newer),
            (Some(known), mend) => *known = mend,
            (None, mend) => {
                if has_room {
                    mends.insert(name.to_owned(), mend);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_VALUES, Mend, Refused, Values};

    #[test]
    fn refused_values_add_up_and_the_oldest_go_first() {
        let refused = Refused::default();
        for value in 0..=MOST_VALUES {
            let mend = Mend::DropIf(Values::of(value.to_string().as_bytes()));
            refused.remember("a", "m", "seed", mend);
        }
        let mends = refused.of("a", "m");
        let Some(Mend::DropIf(values)) = mends.get("seed") else { panic!("{mends:?}") };
        assert!(!values.hold(b"0") && values.hold(b"1") && values.hold(b"32"));
        assert!(!values.hold(b"33"));
        refused.remember("a", "m", "seed", Mend::Drop);
        assert_eq!(refused.of("a", "m").get("seed"), Some(&Mend::Drop));
    }
}
