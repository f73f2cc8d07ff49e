//! What a request asks for beyond plain text, and what a deployment is known not to take.

use std::ops::BitOr;

/// A set of abilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Abilities(u8);

impl Abilities {
    /// Pictures in messages.
    pub const IMAGES: Self = Self(1);
    /// Sound in messages.
    pub const AUDIO: Self = Self(2);
    /// Tools or functions.
    pub const TOOLS: Self = Self(4);
    /// An answer that follows a JSON schema.
    pub const JSON_SCHEMA: Self = Self(8);
    /// More than one choice.
    pub const SEVERAL_CHOICES: Self = Self(16);

    /// That some tool must be called (`tool_choice: required`).
    pub const REQUIRED_TOOLS: Self = Self(32);

    const NAMES: [(Self, &'static str); 6] = [
        (Self::IMAGES, "images"),
        (Self::AUDIO, "audio"),
        (Self::TOOLS, "tools"),
        (Self::JSON_SCHEMA, "json_schema"),
        (Self::SEVERAL_CHOICES, "n"),
        (Self::REQUIRED_TOOLS, "required_tools"),
    ];

    /// What both sets have.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What the set has and the other has not.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The words of the set, as the configuration writes them.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(ability, _)| !self.both(*ability).is_empty())
            .map(|(_, word)| word)
    }
}

impl BitOr for Abilities {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_say_their_words() {
        let both = Abilities::IMAGES | Abilities::TOOLS;
        assert_eq!(both.words().collect::<Vec<_>>(), ["images", "tools"]);
        assert!(both.both(Abilities::AUDIO).is_empty());
        assert_eq!(both.without(Abilities::TOOLS | Abilities::AUDIO), Abilities::IMAGES);
    }
}
