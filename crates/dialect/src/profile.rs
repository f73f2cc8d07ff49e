//! What is known of a provider's limits beyond what its replies say. A provider without an entry
//! is read by the general rules.

use engine::Window;

/// How a daily budget comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refill {
    /// All at once at midnight in this time zone.
    Midnight(&'static str),
    /// Bit by bit, also within the day: a spent budget has its next slot after window / limit,
    /// and a reset header tells when it is full.
    Continuous,
}

/// Whose budget a rate limit is, when the reply does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// Each model of an account has its own.
    KeyAndModel,
    /// All models of an account share one.
    Key,
}

/// The peculiarities of one provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    pub(crate) id: &'static str,
    pub(crate) refill: Refill,
    pub(crate) bucket: Bucket,
    /// What a request header without a window's name counts over.
    pub(crate) requests: Window,
    /// What a token header without a window's name counts over.
    pub(crate) tokens: Window,
    /// The common end of models of which all share one budget of an account.
    pub(crate) shared_class: Option<&'static str>,
    /// Whether its reset header suggests when to try again, whatever limit was met.
    pub(crate) reset_is_retry: bool,
    /// Where its dates without a zone may be from, if they may be from elsewhere than UTC.
    pub(crate) home: Option<&'static str>,
    /// Whether it limits requests by the second too, of which no header tells.
    pub(crate) limits_seconds: bool,
    /// Whether it passes requests on, so that an outage is one model's and not its own.
    pub(crate) passes_on: bool,
}

const PLAIN: Profile = Profile {
    id: "",
    refill: Refill::Midnight("UTC"),
    bucket: Bucket::KeyAndModel,
    requests: Window::Unknown,
    tokens: Window::Unknown,
    shared_class: None,
    reset_is_retry: false,
    home: None,
    limits_seconds: false,
    passes_on: false,
};

const PROFILES: &[Profile] = &[
    Profile {
        id: "openai",
        refill: Refill::Continuous,
        requests: Window::Minute,
        tokens: Window::Minute,
        ..PLAIN
    },
    Profile {
        id: "groq",
        refill: Refill::Continuous,
        requests: Window::Day,
        tokens: Window::Minute,
        ..PLAIN
    },
    Profile { id: "gemini", refill: Refill::Midnight("America/Los_Angeles"), ..PLAIN },
    Profile {
        id: "together",
        requests: Window::Second,
        tokens: Window::Second,
        reset_is_retry: true,
        ..PLAIN
    },
    Profile { id: "anthropic", requests: Window::Minute, tokens: Window::Minute, ..PLAIN },
    Profile { id: "openrouter", shared_class: Some(":free"), passes_on: true, ..PLAIN },
    Profile { id: "huggingface", passes_on: true, ..PLAIN },
    Profile { id: "mistral", limits_seconds: true, ..PLAIN },
    Profile { id: "nvidia", bucket: Bucket::Key, ..PLAIN },
    Profile { id: "deepseek", bucket: Bucket::Key, ..PLAIN },
    Profile { id: "cloudflare", bucket: Bucket::Key, ..PLAIN },
    // It tells when a plan's limit resets by some clock, and nowhere by which.
    Profile { id: "zai", home: Some("Asia/Shanghai"), ..PLAIN },
    Profile { id: "cohere", bucket: Bucket::Key, requests: Window::Minute, ..PLAIN },
];

/// The profile of a provider of the catalogue; a plain one for any other.
pub(crate) fn of(provider: &str) -> Profile {
    PROFILES.iter().copied().find(|profile| profile.id == provider).unwrap_or(PLAIN)
}
