//! Simulated OpenAI-compatible providers that answer over real sockets.
//!
//! A proxy is only as good as the faults it was tried against, and real providers do not fail on
//! demand. A [`SimulatedProvider`] either plays a [`Script`], asks a closure, or keeps true quotas
//! ([`Limits`]) and refuses in the words of a real provider once they are spent. The integration
//! tests use all three; the demo of the shipped binary uses the last.

mod answer;
mod asked;
mod behaviour;
mod clock;
mod events;
mod journal;
mod limiting;
mod playback;
mod provider;
mod reply;
mod serve;
mod socket;

pub use behaviour::{Answering, Behaviour, Script};
pub use clock::Clock;
pub use events::Events;
pub use journal::{Cancelled, Recorded, Recording};
pub use limiting::{
    Admission, Dimension, Gauge, HeaderDialect, Limits, Meter, Quotas, Refill, Refusal, Scope,
    Standing,
};
pub use provider::{Protocol, Setup, SimulatedProvider};
pub use reply::Reply;
