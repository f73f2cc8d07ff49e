//! What a fault means, as the contract's table says it.

use engine::{FaultKind, Scope};

use super::common::{HOUR, MINUTE, SECOND};
use super::model::Door;

/// What becomes of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    Next,
    Once,
    Mend,
    /// Back if another provider found the same.
    Doubt,
    Back,
}

pub(crate) fn goes(kind: FaultKind) -> Goes {
    match kind {
        FaultKind::Overloaded | FaultKind::ServerError | FaultKind::ConnectionLost => Goes::Once,
        FaultKind::ParameterRefused => Goes::Mend,
        FaultKind::DoubtfulMistake => Goes::Doubt,
        FaultKind::ContentFiltered | FaultKind::CallerMistake => Goes::Back,
        _ => Goes::Next,
    }
}

/// What becomes of the scope when no time is stated.
pub(crate) enum Aside {
    Not,
    Parked,
    /// Shut after so many faults in a row (0 is at once), for a span that depends on the default
    /// and on how often it was shut before.
    Guess {
        after: u32,
        spans: fn(i64, u32) -> i64,
    },
}

fn pick(spans: &[i64], power: u32) -> i64 {
    spans[(power as usize).min(spans.len() - 1)]
}

pub(crate) fn aside(kind: FaultKind) -> Aside {
    let seconds: fn(i64, u32) -> i64 =
        |_, power| pick(&[2 * SECOND, 4 * SECOND, 8 * SECOND, 15 * SECOND], power);
    let (after, spans): (u32, fn(i64, u32) -> i64) = match kind {
        FaultKind::RateLimited | FaultKind::TokensLimited => {
            (0, |first, power| (first << power.min(20)).min(15 * MINUTE))
        }
        FaultKind::DailyLimit | FaultKind::OutOfCredit => {
            (0, |_, power| pick(&[HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR], power))
        }
        FaultKind::NoAllowance | FaultKind::ModelMissing => (0, |_, _| 24 * HOUR),
        FaultKind::Overloaded | FaultKind::Unreachable | FaultKind::TimedOut => (1, seconds),
        FaultKind::ServerError | FaultKind::ConnectionLost | FaultKind::NotAnAnswer => (2, seconds),
        FaultKind::KeyRejected => return Aside::Parked,
        _ => return Aside::Not,
    };
    Aside::Guess { after, spans }
}

pub(crate) fn is_rate(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::RateLimited | FaultKind::TokensLimited)
}

pub(crate) fn is_limit(kind: FaultKind) -> bool {
    is_rate(kind)
        || matches!(kind, FaultKind::DailyLimit | FaultKind::OutOfCredit | FaultKind::NoAllowance)
}

/// Whether the request itself is at fault.
pub(crate) fn is_own(kind: FaultKind) -> bool {
    matches!(aside(kind), Aside::Not)
}

/// The name of what a fault of that scope sets aside.
pub(crate) fn scope_of(door: &Door, scope: &Scope) -> Option<String> {
    let Door { provider, key, model, .. } = door;
    let deployment = format!("{provider}/key {key}/model {model}");
    Some(match scope {
        Scope::Request => return None,
        Scope::Deployment => deployment,
        Scope::Model => format!("{provider}/model {model}"),
        Scope::ModelClass(_) => match model.split_once(':') {
            Some((_, class)) => format!("{provider}/key {key}/class {class}"),
            None => deployment,
        },
        Scope::Key => format!("{provider}/key {key}"),
        Scope::Provider => format!("{provider}/"),
    })
}
