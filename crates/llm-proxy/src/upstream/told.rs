//! What the client has of a stream's answer so far, as far as another provider could go on from
//! it: one choice of plain text.

use bytes::Bytes;
use wire::chunk::ChunkFacts;
use wire::continuation::{Continuation, Halves};
use wire::usage::{Spent, Usage};

/// A longer answer is not continued: its text would have to be held for each open stream.
const LONGEST: usize = 1 << 20;

/// What the client has of an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) id: Option<String>,
    /// What the parts used that are over.
    pub(crate) spent: Spent,
    /// Tokens of the text, as the parts that are over counted them, else estimated.
    pub(crate) tokens: u64,
    /// Bytes of the text that the part which is not over added.
    added: u64,
    /// Whether the text ends inside of a character.
    halves: Halves,
    /// Whether there is more than plain text, so that nobody else can go on.
    is_more: bool,
    /// What a provider said behind the text before it broke off, and the client does not have: an
    /// event for it, if nobody goes on.
    pub(crate) unsaid: Option<Bytes>,
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
        !self.is_more && !self.text.is_empty() && !self.halves.is_open()
    }

    /// Whether the part that is not over has added text.
    pub(super) const fn has_grown(&self) -> bool {
        self.added > 0
    }

    /// Notes a content event that goes to the client, with its new text and the event's data.
    pub(super) fn note(&mut self, facts: &ChunkFacts, text: &str, data: &[u8]) {
        self.is_more |= facts.tool_call
            || facts.reasoning
            || facts.other_output
            || facts.other_choices
            || self.text.len() + text.len() > LONGEST;
        if self.is_more {
            self.text = String::new();
        } else {
            self.halves.append(&mut self.text, text, data);
            self.added += text.len() as u64;
        }
        if self.unsaid.is_some() && !text.is_empty() {
            self.unsaid = None;
        }
        if self.id.is_none() {
            self.id.clone_from(&facts.id);
        }
    }

    /// Notes that a part is over, of which `text_bytes` came. What it counted are tokens of the
    /// text only if the client got all that came.
    pub(super) fn end_part(&mut self, usage: Option<Usage>, text_bytes: u64) {
        self.spent.add(usage, text_bytes);
        let added = std::mem::take(&mut self.added);
        let mut part = Spent::default();
        part.add(usage.filter(|_| added == text_bytes), added);
        self.tokens = self.tokens.saturating_add(part.completion_tokens());
    }
}
