//! The program from outside: its commands, its configuration, its HTTP surface, its door.
//!
//! Every test starts the built binary in a folder and an environment of its own and looks only at
//! what a user can see: exit codes, output, answers.
#![cfg(test)]

mod commands;
mod demo;
mod files;
mod first_steps;
mod guard;
mod harness;
mod http_rules;
mod lifecycle;
mod live_check;
mod logs;
mod metrics;
mod pages;
mod reload;
mod start;
mod terminal;
mod tls;
mod transport;
