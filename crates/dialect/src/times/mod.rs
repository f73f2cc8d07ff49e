//! Every way in which a provider writes a time: spans, instants, prose and calendars. The rest of
//! the crate never parses a time itself.

mod calendar;
mod date;
mod duration;
mod instant;
mod prose;

pub(crate) use calendar::{named, next_midnight, next_month};
pub(crate) use duration::{number, span};
pub(crate) use instant::{believable, moment, moment_by};
pub(crate) use prose::{reset, retry, retry_at_once, retry_in};

#[cfg(test)]
mod tests;
