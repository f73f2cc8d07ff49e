//! The built binary between real sockets: clients before it, simulated providers behind it.
#![cfg(test)]

mod harness;

mod control;
mod credentials;
mod crowds;
mod drips;
mod endings;
mod faults;
mod fidelity;
mod leaving;
mod limits;
mod models;
mod priority;
mod refusals;
mod shapes;
mod streams;
