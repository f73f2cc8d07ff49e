//! What providers were seen to refuse: a parameter that was refused once is left out, renamed or
//! lowered from then on, for that provider's model alone. Where only its value was refused, it is
//! left out with that value alone. What it refuses in the messages of any conversation is
//! remembered beside them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use settings::MessageRefusal;
use sha2::{Digest as _, Sha256};
use wire::redact::without_keys;

use crate::lock::lock;

/// A provider that keeps refusing new names cannot fill the memory.
const MOST_PARAMETERS: usize = 64;
const MOST_MODELS: usize = 1024;
const MOST_VALUES: usize = 32;

/// What to do with a parameter that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mend {
    /// Leave it out.
    Drop,
    /// Leave it out if it has one of these values.
    DropIf(Values),
    /// Leave it out where this other parameter is sent.
    DropBeside(String),
    /// Send it under this name.
    Rename(String),
    /// Send at most this number.
    AtMost(u64),
    /// Send at most so many of its entries, the first ones.
    First(usize),
    /// Send `false`, be it given or not, where there are tools.
    Off,
    /// Mend the messages, whatever the parameters are.
    Messages(MessageRefusal),
    /// Give it no beginning of an answer as the last message: it starts afresh.
    Afresh,
}

/// Under which name it is known that no beginning of an answer is taken.
pub(crate) const BEGINNING: &str = "messages.prefill";

/// Values of a parameter as a request writes them, by their digests; the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// The same in every run and every version, since it is kept.
fn digest(raw: &[u8]) -> u64 {
    let hash = Sha256::digest(raw);
    hash.iter().take(8).fold(0, |digest, byte| digest << 8 | u64::from(*byte))
}

/// The mends of one provider's model, by the parameter's name.
pub(crate) type Mends = BTreeMap<String, Mend>;

/// What providers were seen to refuse.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    by_model: Mutex<HashMap<(String, String), Mends>>,
    /// Whose mends changed since they were last kept. Locked after the mends.
    changed: Mutex<BTreeSet<(String, String)>>,
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
        lock(&self.changed).insert(at.clone());
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

    /// Forgets all of the providers of which `is_meant` says so. Returns whether there was any.
    pub(crate) fn forget(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        let mut by_model = lock(&self.by_model);
        let before = by_model.len();
        let mut changed = lock(&self.changed);
        by_model.retain(|at, _| {
            let stays = !is_meant(&at.0);
            if !stays {
                changed.insert(at.clone());
            }
            stays
        });
        by_model.len() < before
    }

    /// What changed since the last call.
    pub(crate) fn take_changes(&self) -> Vec<KeptMends> {
        let by_model = lock(&self.by_model);
        let changed = std::mem::take(&mut *lock(&self.changed));
        let changed = changed.into_iter().filter(may_be_kept);
        changed.map(|at| KeptMends::of(&at, by_model.get(&at))).collect()
    }

    /// Everything that is known.
    pub(crate) fn everything(&self) -> Vec<KeptMends> {
        let by_model = lock(&self.by_model);
        let kept = by_model.iter().filter(|(at, _)| may_be_kept(at));
        kept.map(|(at, mends)| KeptMends::of(at, Some(mends))).collect()
    }

    /// Takes back what an earlier run kept, as far as it is understood.
    pub(crate) fn restore(&self, kept: Vec<(String, String, String)>) {
        let mut by_model = lock(&self.by_model);
        for (provider, model, text) in kept.into_iter().take(MOST_MODELS) {
            if let Ok(mends) = serde_json::from_str::<Mends>(&text) {
                by_model
                    .insert((provider, model), mends.into_iter().take(MOST_PARAMETERS).collect());
            }
        }
    }
}

/// Whether a model's name is none that a client has put a key into.
fn may_be_kept((_, model): &(String, String)) -> bool {
    matches!(without_keys(model), Cow::Borrowed(_))
}

/// The mends of one provider's model, to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeptMends {
    pub(crate) provider: String,
    pub(crate) model: String,
    /// As JSON; `None` if there are none any longer.
    pub(crate) mends: Option<String>,
}

impl KeptMends {
    fn of((provider, model): &(String, String), mends: Option<&Mends>) -> Self {
        let mends = mends.and_then(|mends| serde_json::to_string(mends).ok());
        Self { provider: provider.clone(), model: model.clone(), mends }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeptMends, MOST_VALUES, Mend, MessageRefusal, Refused, Values};

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

    #[test]
    fn all_that_is_kept_comes_back() {
        let refused = Refused::default();
        refused.remember("a", "m", "seed", Mend::DropIf(Values::of(b"7")));
        let role = Mend::Messages(MessageRefusal::DeveloperRole);
        refused.remember("a", "m", "messages.role", role);
        let kept = refused.everything().into_iter();
        let kept = kept.map(|kept| (kept.provider, kept.model, kept.mends.unwrap())).collect();
        let restored = Refused::default();
        restored.restore(kept);
        assert_eq!(restored.of("a", "m"), refused.of("a", "m"));
        assert_eq!(restored.of("a", "m").len(), 2);
    }

    #[test]
    fn what_is_forgotten_is_told_to_who_keeps_it() {
        let refused = Refused::default();
        refused.remember("a", "m", "seed", Mend::Drop);
        refused.remember("b", "m", "seed", Mend::Drop);
        assert_eq!(refused.take_changes().len(), 2);
        assert!(refused.forget(|provider| provider == "a"));
        assert!(!refused.forget(|provider| provider == "a"));
        assert!(refused.of("a", "m").is_empty() && !refused.of("b", "m").is_empty());
        let (provider, model) = ("a".to_owned(), "m".to_owned());
        assert_eq!(refused.take_changes(), [KeptMends { provider, model, mends: None }]);
    }
}
