//! The way to the providers: connections, requests, replies. Nothing here knows that there are
//! other deployments, or whether there will be another try.

mod body;
mod client;
mod connector;
mod decode;
mod driven;
mod failure;
mod filter;
mod headers;
mod opened;
mod origin;
mod plain;
mod read_on;
mod request;
mod send;
mod source;
mod stream;
mod told;

#[cfg(feature = "otlp")]
pub(crate) use body::Segments;
pub(crate) use client::{Client, ClientOptions};
pub(crate) use failure::{Failure, Original};
pub(crate) use request::{is_at_most, is_longer, list_models, prepare};
pub(crate) use send::{Answer, Asked, Limits, Outcome, Recovery, send};
pub(crate) use stream::{EventStream, StreamEnd};
pub(crate) use told::{Continuing, Told};
