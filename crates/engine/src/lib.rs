//! The rules of the rotation: what to try, when and why.
//!
//! Everything here is a function of state and of a moment that is handed in. Nothing here can
//! read a clock, roll a die, open a socket or a file; it sees an upstream's failure only as a
//! [`Fault`]. Two halves of state: the [`Registry`] says who may serve what, in which order, and
//! is made anew from each configuration; the [`Ledger`] holds everything that changes. One
//! request is one [`Rotation`] over both.

mod abilities;
mod availability;
mod bucket;
mod budget;
mod calendar;
mod calibration;
mod cell;
mod fault;
mod kept;
mod lease;
mod ledger;
mod limits;
mod outlook;
mod pace;
pub mod policy;
mod refusal;
mod registry;
mod rotation;
mod sizes;
mod table;
mod time;
mod trials;
mod usage;
mod view;
mod window;

pub use abilities::Abilities;
pub use availability::{Availability, Closed, Needs, Reason, availability};
pub use budget::{Budget, Dimension, Window};
pub use calendar::{Day, DayStart};
pub use calibration::Calibration;
pub use cell::Shut;
pub use fault::{Fault, FaultKind, Origin, Resume, Scope};
pub use kept::{
    Kept, KeptBudget, KeptCell, KeptCount, KeptIdentity, KeptKind, KeptSpan, KeptTally, KeptUse,
    KeptValue,
};
pub use lease::Lease;
pub use ledger::{LastError, Ledger};
pub use limits::Limits;
pub use outlook::Outlook;
pub use pace::Pace;
pub use refusal::{Refusal, Why};
pub use registry::{
    Candidate, ChainStep, Deployment, Patience, Provider, ProviderSpec, Registry, RegistrySpec,
    UnknownModel,
};
pub use rotation::{Attempt, Remedy, Rotation, Step, Tried, Verdict};
pub use sizes::{KnownSize, StatedSize};
pub use time::Timestamp;
pub use usage::{Ceiling, UsedUp};
pub use view::{DeploymentView, Findings, ProviderView, findings, view};
