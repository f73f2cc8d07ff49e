//! The program: everything that acts. What it decides is decided in the `engine` crate.
//!
//! A request comes in by `server`, walks the chain in `server::relay`, goes out by `upstream`,
//! and comes back the same way. [`app`] holds the shared state, `world` one configuration made
//! ready to serve.

pub mod app;
mod buffers;
pub mod cli;
pub mod clock;
mod instance;
mod lock;
mod memory;
pub mod observe;
mod parent;
mod probe;
mod refused;
mod reload;
mod repairs;
pub mod serve;
mod server;
pub mod source;
mod upstream;
mod world;
