//! What a provider says, in the headers of any reply, about what is left of its limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Requests.
    Requests,
    /// Tokens, of prompts and answers together unless the provider splits them.
    Tokens,
}

/// The span over which a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// One second.
    Second,
    /// One minute.
    Minute,
    /// One hour.
    Hour,
    /// One day.
    Day,
    /// One calendar month.
    Month,
    /// Not said.
    Unknown,
}

impl Window {
    /// The length of the window; `None` when it is not known.
    pub const fn length(self) -> Option<Duration> {
        let secs = match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
            Self::Month => 30 * 86_400,
            Self::Unknown => return None,
        };
        Some(Duration::from_secs(secs))
    }

    /// The word used for this window in `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Unknown => "unknown",
        }
    }
}

/// One limit as a provider reported it with a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// What is counted.
    pub dimension: Dimension,
    /// Over which span.
    pub window: Window,
    /// How many are allowed in the window; 0 means no allowance at all.
    pub limit: Option<u64>,
    /// How many are left.
    pub remaining: Option<u64>,
    /// When one more unit can be had again, should nothing be left. For a bucket that refills
    /// continuously this is the next slot, not the moment at which the bucket is full.
    pub next_at: Option<Timestamp>,
    /// When the budget is whole again.
    pub full_at: Option<Timestamp>,
}
