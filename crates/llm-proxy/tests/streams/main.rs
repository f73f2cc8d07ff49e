//! Streams through the built binary: how they begin, go on with another provider, and end; what
//! they cost in memory and time; and that the client's bytes are the provider's.
#![cfg(test)]

#[path = "../it/harness/mod.rs"]
#[expect(dead_code, reason = "shared with another test binary")]
mod harness;

mod parts;

mod afresh;
mod again;
mod beating;
mod before;
mod catalogue;
mod counted;
mod ends;
mod gathered;
mod held;
mod legacy;
mod nothing;
mod onward;
mod pace;
mod property;
mod readers;
mod refused_onward;
mod seams;
mod silence;
mod splits;
mod waiting;
mod words;
