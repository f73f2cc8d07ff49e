//! The bytes of the OpenAI-compatible wire: what a request asks, what an answer says, and how to
//! change a little of either while the rest stays byte for byte.
//!
//! Bytes in, facts out. Nothing here knows providers, keys, the network or the time, and nothing
//! recurses, so that no body can exhaust the stack.

mod answer;
pub mod chunk;
pub mod continuation;
pub mod history;
pub mod json;
mod output;
pub mod redact;
pub mod reply;
pub mod request;
pub mod splice;
pub mod sse;
pub mod usage;

/// Which of the two proxied calls a body belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completions,
}
