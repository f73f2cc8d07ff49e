//! Every provider's own language, through the built binary: what it refuses, for how long, and
//! who answers instead.
#![cfg(test)]

#[allow(dead_code, unused_imports, reason = "each test binary uses its own part of the harness")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod shared;

mod bursts;
mod chains;
mod counted;
mod crowds;
mod doubts;
mod explained;
mod histories;
mod keys;
mod lacking;
mod limits;
mod mistakes;
mod parameters;
mod recorded;
mod returns;
mod shifted;
mod waits;
