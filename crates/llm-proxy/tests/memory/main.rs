//! The proxy's memory through the built binary: what outlives a kill, what is told of requests
//! and of use, and what happens when the folder is not as it should be.
#![cfg(test)]

#[path = "../surface/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with another test binary")]
mod harness;

mod parts;

mod figures;
mod folders;
mod killed;
mod pairs;
mod places;
mod reloaded;
mod requests;
mod secrets;
mod watched;
