//! What one event of a stream means for the client: passed on, hidden, the end, or a failure.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use wire::chunk::{ChunkFacts, ChunkKind, Ends, MOST_BROKEN, classify};
use wire::continuation::{Continuation, Joined};
use wire::sse::Event;
use wire::usage::{self, Usage};

use super::failure::Failure;
use super::request::Prepared;
use super::send::{Asked, Recovery};
use super::told::Told;
use crate::clock;

/// So long a continuation may keep its first words to see whether it begins the answer anew.
const LONGEST_HELD: Duration = Duration::from_secs(1);

/// What becomes of one event.
pub(super) enum Passed {
    Forward { event: Bytes, meaningful: bool },
    Hidden,
    Done(Bytes),
    Failed(Failure),
}

/// What is no part of an answer.
#[derive(Debug)]
enum Oddity {
    /// Part of an event.
    Broken,
    /// Whatever this says.
    Said(Bytes),
}

/// So much of an oddity is kept.
const LONGEST_ODDITY: usize = 4 << 10;

impl Oddity {
    fn said(data: &[u8]) -> Self {
        Self::Said(Bytes::copy_from_slice(&data[..data.len().min(LONGEST_ODDITY)]))
    }
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
    ends: Ends,
    /// Events that could not be read. Whatever they said is missing.
    broken: usize,
    /// What came last of the answer, if it is no part of one: the provider may have failed.
    oddity: Option<Oddity>,
    /// Bytes of text that came.
    pub(super) text_bytes: u64,
    /// What the client has; `None` where nobody would go on with it.
    pub(super) told: Option<Told>,
    /// How this stream is made one with the one that broke off before it.
    join: Option<Continuation>,
    /// Until when it may hold text back to see how it goes on, if it does.
    pub(super) held_until: Option<Instant>,
}

impl Filter {
    pub(super) fn new(asked: Asked, status: u16, prepared: &Prepared) -> Self {
        let (told, join) = match &asked.recovery {
            Recovery::Off => (None, None),
            Recovery::Possible => (Some(Told::default()), None),
            Recovery::Continuing(continuing) => {
                (Some(continuing.told.clone()), Some(continuing.join.clone()))
            }
        };
        Self {
            asked,
            status,
            hide_usage: prepared.hide_usage,
            usage: None,
            output: false,
            finish_reason: None,
            ends: Ends::of(prepared.choices),
            broken: 0,
            oddity: None,
            text_bytes: 0,
            told,
            join,
            held_until: None,
        }
    }

    /// Reads one event, and says what becomes of it.
    pub(super) fn pass(&mut self, event: &Event) -> Passed {
        let said = event.said();
        if !said.has_fields {
            let event = self.asked.route.redactor.apply(event.raw());
            return Passed::Forward { event, meaningful: false };
        }
        if said.has_empty_data() {
            // By the standard it is no event at all, yet some clients look for JSON in it.
            return Passed::Hidden;
        }
        let (name, has_data) = (said.name, said.data.is_some());
        let data = said.data.unwrap_or_default();
        let facts = classify(&data, name);
        if facts.usage.is_some() {
            self.usage.clone_from(&facts.usage);
        }
        if facts.kind == ChunkKind::Done
            && let Some(failure) = self.odd_end()
        {
            return Passed::Failed(failure);
        }
        if name.is_none_or(|name| name == "message") {
            self.note_oddity(&facts, if has_data { &data } else { event.raw() });
        }
        if facts.kind == ChunkKind::Broken {
            return self.pass_broken();
        }
        // Some providers count with each word, or with the last one.
        let hidden = (self.hide_usage && facts.has_usage).then(|| usage::hide(event));
        let event = hidden.as_ref().unwrap_or(event);
        if self.join.is_some() {
            return self.pass_joined(event, &facts, &data);
        }
        let shown = |raw: &Bytes| self.asked.route.redactor.apply(raw);
        match facts.kind {
            ChunkKind::Done => Passed::Done(shown(&event.end_mark())),
            ChunkKind::Error => Passed::Failed(self.asked.error_event(self.status, &data)),
            ChunkKind::Content if facts.finish_is_error => {
                Passed::Failed(self.asked.error_event(self.status, &data))
            }
            ChunkKind::Stray | ChunkKind::Broken => Passed::Hidden,
            ChunkKind::UsageOnly if self.hide_usage => Passed::Hidden,
            ChunkKind::Preamble if self.is_absent_usage(&data) => Passed::Hidden,
            ChunkKind::Content => {
                let event = shown(event.raw());
                self.tell(&facts, facts.text.as_deref().unwrap_or_default(), &data);
                Passed::Forward { event, meaningful: self.note(&facts) }
            }
            ChunkKind::UsageOnly | ChunkKind::Preamble => {
                self.ends.note(&facts);
                Passed::Forward { event: shown(event.raw()), meaningful: false }
            }
        }
    }

    /// Notes what is no part of an answer, as an error of unknown form may be. What goes on after
    /// that takes it back.
    fn note_oddity(&mut self, facts: &ChunkFacts, data: &[u8]) {
        let is_foreign = facts.choices == 0 && facts.id.is_none() && !facts.has_usage;
        let looks_like_json = || data.trim_ascii_start().starts_with(b"{");
        match facts.kind {
            ChunkKind::Content => self.oddity = None,
            ChunkKind::Broken => self.oddity = Some(Oddity::Broken),
            ChunkKind::Stray => self.oddity = Some(Oddity::said(data)),
            ChunkKind::Preamble if is_foreign && looks_like_json() => {
                self.oddity = Some(Oddity::said(data));
            }
            ChunkKind::Done | ChunkKind::Error | ChunkKind::Preamble | ChunkKind::UsageOnly => {}
        }
    }

    /// Why an end mark is none: something odd came before it in the place of a finish reason.
    fn odd_end(&mut self) -> Option<Failure> {
        let oddity = self.oddity.take().filter(|_| self.output && self.finish_reason.is_none())?;
        Some(match oddity {
            Oddity::Broken => Failure::lost("an event was broken, and nothing followed it"),
            Oddity::Said(data) => self.asked.error_event(self.status, &data),
        })
    }

    /// Whether an event behind the answer was to tell counts that only we asked for, and has none.
    /// Some clients stumble over chunks without choices.
    fn is_absent_usage(&self, data: &[u8]) -> bool {
        self.hide_usage && self.is_finished() && usage::is_absent(data)
    }

    /// One broken event is left out. A second one tells that the provider does not send what it
    /// means to, and that is no answer.
    fn pass_broken(&mut self) -> Passed {
        self.broken += 1;
        if self.broken > MOST_BROKEN {
            return Passed::Failed(Failure::lost("more than one event was broken"));
        }
        Passed::Hidden
    }

    /// Notes what the client is told. After a gap nobody can go on with that: the text before the
    /// gap would have to be said anew.
    fn tell(&mut self, facts: &ChunkFacts, text: &str, data: &[u8]) {
        if self.broken > 0 {
            self.told = None;
        }
        if let Some(told) = &mut self.told {
            // As the client has it: the next provider must not learn this one's key.
            told.note(facts, &self.asked.route.redact_text(text), data);
        }
    }

    /// Reads one event of a stream that goes on with another one.
    fn pass_joined(&mut self, event: &Event, facts: &ChunkFacts, data: &[u8]) -> Passed {
        let is_error = facts.kind == ChunkKind::Error || facts.finish_is_error;
        if is_error {
            return Passed::Failed(self.asked.error_event(self.status, data));
        }
        if facts.kind == ChunkKind::UsageOnly && self.hide_usage {
            return Passed::Hidden;
        }
        let Some(join) = &mut self.join else { return Passed::Hidden };
        let joined = join.join(event, facts);
        self.held_until = join
            .is_waiting()
            .then(|| self.held_until.unwrap_or_else(|| clock::deadline_in(LONGEST_HELD)));
        match joined {
            Joined::Swallow => {
                // What only comes again is a sign of life all the same.
                let meaningful = facts.kind == ChunkKind::Content;
                self.output |= meaningful;
                self.text_bytes += facts.text.as_ref().map_or(0, |text| text.len() as u64);
                Passed::Forward { event: Bytes::new(), meaningful }
            }
            Joined::Mismatch => {
                // What is held back is another answer's; so are words of it that were shown.
                self.join = None;
                self.told.take_if(|told| told.has_grown());
                Passed::Failed(Failure::other_text())
            }
            Joined::Forward(event, text) => {
                let event = self.asked.route.redactor.apply(&event);
                if facts.kind == ChunkKind::Done {
                    return Passed::Done(event);
                }
                self.tell_joined(facts, &text, &event);
                Passed::Forward { event, meaningful: self.note(facts) }
            }
        }
    }

    /// Notes what the client is told by an event that goes on with another stream.
    fn tell_joined(&mut self, facts: &ChunkFacts, text: &str, event: &Bytes) {
        let raw = event.strip_prefix(b"data: ").unwrap_or(event);
        self.tell(&ChunkFacts { reasoning: false, ..facts.clone() }, text, raw);
    }

    /// Words that were held back for long enough, in an event of ours.
    pub(super) fn release(&mut self) -> Option<Bytes> {
        self.held_until = None;
        let (event, text) = self.held_words()?;
        self.tell_joined(&ChunkFacts::default(), &text, &event);
        Some(event)
    }

    /// Words that were still held back when the stream broke off, in an event of ours: they are of
    /// the answer, if nobody else goes on with it. Behind a gap they may lack something.
    pub(super) fn unsaid(&mut self) -> Option<Bytes> {
        let (event, _) = self.held_words().filter(|_| self.broken == 0)?;
        Some(event)
    }

    fn held_words(&mut self) -> Option<(Bytes, String)> {
        match self.join.as_mut()?.release() {
            Joined::Forward(event, text) => Some((self.asked.route.redactor.apply(&event), text)),
            Joined::Swallow | Joined::Mismatch => None,
        }
    }

    /// Notes what a content event brings; whether it is output, and not only an end.
    fn note(&mut self, facts: &ChunkFacts) -> bool {
        let text = facts.text.as_ref().is_some_and(|text| !text.is_empty());
        self.text_bytes += facts.text.as_ref().map_or(0, |text| text.len() as u64);
        self.ends.note(facts);
        self.output |= text
            || facts.tool_call
            || facts.reasoning
            || facts.other_output
            || (facts.other_choices && facts.finish_reason.is_none());
        if facts.finish_reason.is_some() {
            self.finish_reason.clone_from(&facts.finish_reason);
        }
        self.output || self.may_be_empty()
    }

    /// Whether the provider was given the beginning of this answer.
    pub(super) fn was_given_the_text(&self) -> bool {
        self.asked.recovery.gives_beginning()
    }

    /// Whether every choice has ended, so that only marks and counts can follow.
    pub(super) const fn is_finished(&self) -> bool {
        self.ends.are_all()
    }

    /// Whether the answer's end says that nothing was to come.
    fn may_be_empty(&self) -> bool {
        self.asked.may_be_empty(self.finish_reason.as_deref())
    }

    /// A stream that ended with nothing in it is no answer, unless tokens were spent or nothing was
    /// to come.
    pub(super) fn must_have_generated(&self) -> Result<(), Failure> {
        let tokens = self.usage.as_ref().and_then(|usage| usage.completion_tokens);
        if self.output || self.may_be_empty() || tokens.is_some_and(|tokens| tokens > 0) {
            Ok(())
        } else {
            Err(Failure::no_answer("the stream is empty and no token was generated"))
        }
    }
}
