//! The one table from a fault to what follows: who is set aside, for how long when the provider
//! named no time, and whether the request goes on to the next deployment.

use std::time::Duration;

use crate::FaultKind;

/// What becomes of the request after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next deployment of the chain.
    Next,
    /// The same deployment once more if this was its first quick fault, else the next one.
    OnceMoreThenNext,
    /// The same deployment once more without the refused parameter, else the next one.
    RepairThenNext,
    /// The next deployment, unless another provider found the request doubtful too: then as
    /// [`Then::Return`].
    SecondOpinion,
    /// The provider's own answer goes to the client.
    Return,
}

/// How long a scope is set aside when the provider named no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAside {
    /// Not at all.
    Never,
    /// `default_cooldown`, doubled on each repeat up to [`LONGEST_GUESS`]; then probed.
    DefaultCooldown,
    /// After this many faults in a row: 2, 4, 8, at most 15 seconds; then probed.
    Breaker {
        /// Faults in a row that it takes.
        after: u32,
    },
    /// `first`, doubled on each repeat up to `longest`; then probed.
    Long {
        /// The first guess.
        first: Duration,
        /// The longest guess.
        longest: Duration,
    },
    /// Until the configuration or a person changes it.
    Parked,
}

/// What a fault of one kind leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How long the scope is set aside without a stated time.
    pub set_aside: SetAside,
    /// What becomes of the request.
    pub then: Then,
}

/// The longest cooldown that is our own guess for a rate limit: users of long guesses found
/// healthy providers benched for hours, so a guess stays short and is probed.
pub const LONGEST_GUESS: Duration = Duration::from_mins(15);

/// The longest stated time that is believed; anything above is nonsense and is cut to this, so
/// that no reply can disable a provider for good. Monthly budgets are the longest that exist.
pub const LONGEST_STATED: Duration = Duration::from_hours(744);

/// A stated, or configured, time of zero or in the past still means "not at once".
pub const SHORTEST_COOLDOWN: Duration = Duration::from_millis(1);

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The table.
pub const fn rule(kind: FaultKind) -> Rule {
    let (set_aside, then) = match kind {
        FaultKind::RateLimited | FaultKind::TokensLimited => {
            (SetAside::DefaultCooldown, Then::Next)
        }
        FaultKind::DailyLimit | FaultKind::OutOfCredit => {
            (SetAside::Long { first: HOUR, longest: Duration::from_hours(6) }, Then::Next)
        }
        FaultKind::NoAllowance | FaultKind::ModelMissing => {
            (SetAside::Long { first: DAY, longest: DAY }, Then::Next)
        }
        FaultKind::KeyRejected => (SetAside::Parked, Then::Next),
        FaultKind::Overloaded => (SetAside::Breaker { after: 1 }, Then::OnceMoreThenNext),
        FaultKind::ServerError | FaultKind::ConnectionLost => {
            (SetAside::Breaker { after: 2 }, Then::OnceMoreThenNext)
        }
        FaultKind::NotAnAnswer => (SetAside::Breaker { after: 2 }, Then::Next),
        FaultKind::Unreachable | FaultKind::TimedOut => {
            (SetAside::Breaker { after: 1 }, Then::Next)
        }
        FaultKind::RequestTooLarge | FaultKind::ContextTooLong | FaultKind::CapabilityMissing => {
            (SetAside::Never, Then::Next)
        }
        FaultKind::ParameterRefused => (SetAside::Never, Then::RepairThenNext),
        FaultKind::DoubtfulMistake => (SetAside::Never, Then::SecondOpinion),
        FaultKind::ContentFiltered | FaultKind::CallerMistake => (SetAside::Never, Then::Return),
    };
    Rule { set_aside, then }
}

/// The guess for a scope that was struck `strikes` times before in a row.
pub fn guess(set_aside: SetAside, strikes: u32, default_cooldown: Duration) -> Duration {
    let doubled = |first, longest| doubled(first, strikes, longest);
    match set_aside {
        SetAside::Never | SetAside::Parked => Duration::ZERO,
        SetAside::DefaultCooldown => doubled(default_cooldown, LONGEST_GUESS.max(default_cooldown)),
        SetAside::Breaker { .. } => doubled(Duration::from_secs(2), Duration::from_secs(15)),
        SetAside::Long { first, longest } => doubled(first, longest),
    }
}

/// The guess of a fault that is usually over after `first`, for a scope that was struck `strikes`
/// times before in a row.
pub fn guess_from(first: Duration, strikes: u32) -> Duration {
    doubled(first, strikes, LONGEST_GUESS.max(first))
}

fn doubled(first: Duration, strikes: u32, longest: Duration) -> Duration {
    first.saturating_mul(1_u32.checked_shl(strikes.min(20)).unwrap_or(u32::MAX)).min(longest)
}

/// Whether a fault of this kind is over after a time that is known even when the provider named
/// none, since the configuration names one: `default_cooldown`.
pub const fn is_rate(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::RateLimited | FaultKind::TokensLimited)
}

/// Whether a fault of this kind passes with time alone.
pub const fn is_limit(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::RateLimited
            | FaultKind::TokensLimited
            | FaultKind::DailyLimit
            | FaultKind::OutOfCredit
            | FaultKind::NoAllowance
    )
}

/// Whether the request itself is at fault, so that its own error goes back to the client when no
/// deployment takes it.
pub const fn is_requests_own(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::RequestTooLarge
            | FaultKind::ContextTooLong
            | FaultKind::ParameterRefused
            | FaultKind::CapabilityMissing
            | FaultKind::DoubtfulMistake
            | FaultKind::ContentFiltered
            | FaultKind::CallerMistake
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_grow_and_stay_bounded() {
        let seconds =
            |set_aside, strikes| guess(set_aside, strikes, Duration::from_mins(1)).as_secs();
        let breaker = SetAside::Breaker { after: 2 };
        assert_eq!([0, 1, 2, 3, 99].map(|n| seconds(breaker, n)), [2, 4, 8, 15, 15]);
        let limited = SetAside::DefaultCooldown;
        assert_eq!([0, 1, 3, 4, u32::MAX].map(|n| seconds(limited, n)), [60, 120, 480, 900, 900]);
    }

    #[test]
    fn a_callers_own_mistake_sets_nothing_aside() {
        for kind in
            [FaultKind::CallerMistake, FaultKind::ContentFiltered, FaultKind::RequestTooLarge]
        {
            assert_eq!(rule(kind).set_aside, SetAside::Never);
            assert!(is_requests_own(kind));
        }
    }
}
