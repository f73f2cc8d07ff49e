//! What one event of a stream means for the client: passed on, hidden, the end, or a failure.

use bytes::Bytes;
use http::HeaderMap;
use wire::chunk::{ChunkFacts, ChunkKind, classify};
use wire::sse::Event;
use wire::usage::Usage;

use super::failure::Failure;
use super::send::Asked;

/// What becomes of one event.
pub(super) enum Passed {
    Forward { event: Bytes, meaningful: bool },
    Hidden,
    Done(Bytes),
    Failed(Failure),
}

/// What has been seen of a stream.
#[derive(Debug)]
pub(super) struct Filter {
    asked: Asked,
    status: u16,
    /// Whether usage was asked for on our own account, so that the client must not see it.
    hide_usage: bool,
    pub(super) usage: Option<Usage>,
    /// Whether text, reasoning, a tool call or a refusal has come.
    output: bool,
    pub(super) finish_reason: Option<String>,
}

impl Filter {
    pub(super) fn new(asked: Asked, status: u16, hide_usage: bool) -> Self {
        Self { asked, status, hide_usage, usage: None, output: false, finish_reason: None }
    }

    /// Reads one event, and says what becomes of it.
    pub(super) fn pass(&mut self, event: &Event) -> Passed {
        let raw = || self.asked.route.redactor.apply(event.raw());
        if event.is_empty() || event.is_comment_only() {
            return Passed::Forward { event: raw(), meaningful: false };
        }
        let data = event.data();
        let facts = classify(&data, event.name());
        if facts.usage.is_some() {
            self.usage.clone_from(&facts.usage);
        }
        match facts.kind {
            ChunkKind::Done => Passed::Done(raw()),
            ChunkKind::Error => Passed::Failed(self.failure(&data)),
            ChunkKind::Content if facts.finish_is_error => Passed::Failed(self.failure(&data)),
            ChunkKind::Broken => Passed::Hidden,
            ChunkKind::UsageOnly if self.hide_usage => Passed::Hidden,
            ChunkKind::Content => {
                let event = raw();
                Passed::Forward { event, meaningful: self.note(facts) }
            }
            ChunkKind::UsageOnly | ChunkKind::Preamble => {
                Passed::Forward { event: raw(), meaningful: false }
            }
        }
    }

    /// Notes what a content event brings; whether it is output, and not only an end.
    fn note(&mut self, facts: ChunkFacts) -> bool {
        let text = facts.text.is_some_and(|text| !text.is_empty());
        self.output |= text
            || facts.tool_call
            || facts.reasoning
            || facts.other_output
            || (facts.other_choices && facts.finish_reason.is_none());
        if facts.finish_reason.is_some() {
            self.finish_reason = facts.finish_reason;
        }
        self.output || self.finish_reason.as_deref().is_some_and(|reason| reason != "stop")
    }

    /// A stream that ended with nothing in it is no answer, unless tokens were spent.
    pub(super) fn must_have_generated(&self) -> Result<(), Failure> {
        let tokens = self.usage.as_ref().and_then(|usage| usage.completion_tokens);
        if self.output || tokens.is_some_and(|tokens| tokens > 0) {
            Ok(())
        } else {
            Err(Failure::no_answer("the stream is empty and no token was generated"))
        }
    }

    /// An error in the place of an event.
    fn failure(&self, data: &[u8]) -> Failure {
        self.asked.error_inside(self.status, &HeaderMap::new(), data).unwrap_or_else(|| {
            let mut failure = Failure::lost("the provider sent an error in the middle");
            "error-event".clone_into(&mut failure.word);
            failure
        })
    }
}
