//! The name of a thing that is kept, as four words, so that any store can hold it.

/// What kind of thing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeptKind {
    /// The faults of a whole provider.
    Provider,
    /// The faults of one key.
    Key,
    /// The faults of one model.
    Model,
    /// The faults of all models of a key whose id ends alike.
    Class,
    /// The faults of one key with one model.
    Deployment,
    /// The use of one key with one model.
    Use,
    /// The use of one key by all its models together.
    UseOfKey,
    /// The use of one key by all its models whose id ends alike.
    UseOfClass,
    /// The counters of a provider.
    Tally,
    /// The day to which the daily counts belong.
    Today,
}

impl KeptKind {
    const ALL: [Self; 10] = [
        Self::Provider,
        Self::Key,
        Self::Model,
        Self::Class,
        Self::Deployment,
        Self::Use,
        Self::UseOfKey,
        Self::UseOfClass,
        Self::Tally,
        Self::Today,
    ];

    /// The word for this kind in a store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Key => "key",
            Self::Model => "model",
            Self::Class => "class",
            Self::Deployment => "deployment",
            Self::Use => "use",
            Self::UseOfKey => "use_of_key",
            Self::UseOfClass => "use_of_class",
            Self::Tally => "tally",
            Self::Today => "today",
        }
    }

    pub(crate) const fn is_of_faults(self) -> bool {
        matches!(self, Self::Provider | Self::Key | Self::Model | Self::Class | Self::Deployment)
    }

    pub(crate) const fn is_of_use(self) -> bool {
        matches!(self, Self::Use | Self::UseOfKey | Self::UseOfClass)
    }
}

/// Which thing is kept: the same words name the same thing in every run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeptIdentity {
    /// What kind of thing.
    pub kind: KeptKind,
    /// The provider's name; empty for what belongs to none.
    pub provider: String,
    /// The key's fingerprint; empty for what belongs to none, or to a provider without keys.
    pub key: String,
    /// The model's id, or the common end of a class; empty for what belongs to none.
    pub model: String,
}

impl KeptIdentity {
    pub(crate) fn new(kind: KeptKind, provider: &str, key: &str, model: &str) -> Self {
        let (provider, key, model) = (provider.to_owned(), key.to_owned(), model.to_owned());
        Self { kind, provider, key, model }
    }

    pub(crate) fn today() -> Self {
        Self::new(KeptKind::Today, "", "", "")
    }

    /// Kind, provider, key and model as words; together they are unique.
    pub fn words(&self) -> [&str; 4] {
        [self.kind.as_str(), &self.provider, &self.key, &self.model]
    }

    /// The identity that has these words; `None` for a kind that this version does not know.
    pub fn from_words([kind, provider, key, model]: [&str; 4]) -> Option<Self> {
        let kind = KeptKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        Some(Self::new(kind, provider, key, model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identity_is_read_back_from_its_words() {
        for kind in KeptKind::ALL {
            let identity = KeptIdentity::new(kind, "p/q", "", "m:free");
            assert_eq!(KeptIdentity::from_words(identity.words()), Some(identity));
        }
        assert_eq!(KeptIdentity::from_words(["later", "", "", ""]), None);
    }
}
