//! What the client has of a stream's answer so far, as far as another provider could go on from
//! it: one choice of plain text.

use wire::chunk::ChunkFacts;
use wire::continuation::Continuation;
use wire::usage::Spent;

/// A longer answer is not continued: its text would have to be held for each open stream.
const LONGEST: usize = 1 << 20;

/// What the client has of an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) id: Option<String>,
    /// What the parts used that are over.
    pub(crate) spent: Spent,
    /// Whether there is more than plain text, so that nobody else can go on.
    is_more: bool,
}

/// An answer that broke off, and how the next provider is to go on with it.
#[derive(Debug, Clone)]
pub(crate) struct Continuing {
    pub(crate) told: Told,
    pub(crate) join: Continuation,
}

impl Told {
    /// Whether another provider could go on.
    pub(crate) fn can_go_on(&self) -> bool {
        !self.is_more && !self.text.is_empty()
    }

    /// Notes a content event that goes to the client, with its new text.
    pub(super) fn note(&mut self, facts: &ChunkFacts, text: &str) {
        self.is_more |= facts.tool_call
            || facts.reasoning
            || facts.other_output
            || facts.other_choices
            || self.text.len() + text.len() > LONGEST;
        if self.is_more {
            self.text = String::new();
        } else {
            self.text.push_str(text);
        }
        if self.id.is_none() {
            self.id.clone_from(&facts.id);
        }
    }
}
