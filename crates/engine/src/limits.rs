//! What a provider allows, and how it gives back what was used.

use crate::DayStart;

/// The limits that the configuration declares for each key and model of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests per second.
    pub requests_per_second: Option<u64>,
    /// Requests per minute.
    pub requests_per_minute: Option<u64>,
    /// Requests per day.
    pub requests_per_day: Option<u64>,
    /// Tokens per minute.
    pub tokens_per_minute: Option<u64>,
    /// Tokens per day.
    pub tokens_per_day: Option<u64>,
    /// Requests under way at once, per key.
    pub concurrent: Option<u64>,
    /// The context window in tokens.
    pub context: Option<u64>,
    /// Tokens that the provider reserves for the answer to a request that names no maximum.
    pub assumed_output: Option<u64>,
    /// Whether what is reserved stays counted, however short the answer is.
    pub keeps_reserved: bool,
    /// Whether all models of a key share the limits, instead of each having its own.
    pub is_per_account: bool,
    /// When a day of the limits begins; `None` is a rolling day.
    pub day: Option<DayStart>,
    /// Whether what was used is given back bit by bit, instead of a whole window later.
    pub refills: bool,
}

impl Limits {
    /// The limits of each model, and those that all models of a key share.
    pub(crate) fn split(&self) -> (Self, Self) {
        if self.is_per_account {
            (Self::default(), self.clone())
        } else {
            (self.clone(), Self::default())
        }
    }
}
