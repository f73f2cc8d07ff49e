//! What the program tells about itself: log lines and counters.

pub mod log;
pub(crate) mod metrics;
#[cfg(feature = "otlp")]
pub(crate) mod traces;
