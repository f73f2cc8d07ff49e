//! A stream of events: held until the first meaningful one, then passed on one by one.
//!
//! Up to that event everything can still rotate: an error inside a 200, an end, a reset, silence.
//! After it, whole events go on with their bytes unchanged, and a stream that does not end as it
//! should is told as interrupted, never as finished.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, Sleep};
use wire::sse::{DONE, Event};
use wire::usage::Usage;

use super::driven::ReplyBody;
use super::failure::Failure;
use super::filter::{Filter, Passed};
use super::request::Prepared;
use super::send::{Asked, Limits};
use super::source::Source;
use super::told::Told;
use crate::clock;

/// How much of what comes before the first meaningful event is held. More of it is left out: a
/// provider that thinks long may send an empty word for each hidden one.
const MOST_HELD_EVENTS: usize = 2_000;
const MOST_HELD_BYTES: usize = 1 << 20;

/// How much of it there may be in all, where each event is taken for at least so many bytes.
const LONGEST_PREAMBLE: usize = 16 << 20;
const LEAST_BYTES: usize = 256;

/// How long a stream that gave its finish reason may take to end.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// And one that has told its token counts, too, so that only `[DONE]` is missing.
const AFTER_COUNTS: Duration = Duration::from_secs(1);

/// How a stream ended.
#[derive(Debug)]
pub(crate) enum StreamEnd {
    /// As it should.
    Complete,
    /// In the middle.
    Interrupted(Box<Failure>),
}

/// A stream whose first meaningful event has come.
#[derive(Debug)]
pub(crate) struct EventStream {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    source: Source,
    filter: Filter,
    ready: VecDeque<Bytes>,
    stall: Duration,
    quiet: Duration,
    silence: Pin<Box<Sleep>>,
    /// Until when signs of life alone are enough; `None` after a meaningful event.
    quiet_until: Option<Instant>,
    /// Ends the holding back of a continuation's first words; there once some are held.
    release: Option<Pin<Box<Sleep>>>,
    end: Option<StreamEnd>,
}

impl EventStream {
    /// Holds the stream until its first meaningful event.
    pub(super) async fn begin(
        source: Source,
        status: StatusCode,
        headers: HeaderMap,
        prepared: &Prepared,
        asked: &Asked,
        limits: Limits,
    ) -> Result<Box<Self>, Failure> {
        // In a box from the beginning, so that those who wait for it stay small.
        let mut stream = Box::new(Self {
            source,
            filter: Filter::new(asked.clone(), status.as_u16(), prepared),
            status,
            headers,
            ready: VecDeque::new(),
            stall: limits.stall,
            quiet: limits.quiet,
            quiet_until: None,
            silence: Box::pin(tokio::time::sleep(limits.stall)),
            release: None,
            end: None,
        });
        stream.hold().await?;
        stream.be_patient();
        Ok(stream)
    }

    /// The same with token counts that its events do not tell.
    pub(super) fn counted(mut self: Box<Self>, usage: Option<Usage>) -> Box<Self> {
        self.filter.usage = usage;
        self
    }

    async fn hold(&mut self) -> Result<(), Failure> {
        let mut preamble = 0;
        loop {
            while let Some(event) = self.source.next_event() {
                let event = event.map_err(|_| Failure::no_answer("an event is too large"))?;
                preamble += event.raw().len().max(LEAST_BYTES);
                let held = self.ready.len();
                if self.take(&event)? {
                    return Ok(());
                }
                if held >= MOST_HELD_EVENTS || preamble > MOST_HELD_BYTES {
                    self.ready.truncate(held);
                }
            }
            if preamble > LONGEST_PREAMBLE {
                return Err(Failure::no_answer("too much came before the first word"));
            }
            if self.source.has_ended() {
                return self.ended_while_held();
            }
            poll_fn(|cx| self.source.poll_piece(cx)).await?;
        }
    }

    /// Takes one event; whether it is the one that commits.
    fn take(&mut self, event: &Event) -> Result<bool, Failure> {
        match self.filter.pass(event) {
            Passed::Forward { event, meaningful } => {
                self.push_ready(event);
                Ok(meaningful)
            }
            Passed::Hidden => Ok(false),
            Passed::Done(event) => {
                self.filter.must_have_generated()?;
                self.ready.push_back(event);
                self.end = Some(StreamEnd::Complete);
                Ok(true)
            }
            Passed::Failed(failure) => Err(failure),
        }
    }

    /// The body is over before a word: an empty answer, or one whose last event lacks its end.
    fn ended_while_held(&mut self) -> Result<(), Failure> {
        if let Some(event) = self.source.last_event()
            && self.take(&event)?
        {
            return Ok(());
        }
        if self.ready.is_empty() {
            return Err(Failure::no_answer("the stream is empty"));
        }
        if self.filter.finish_reason.is_none() {
            return Err(Failure::lost("the stream ended before the first word"));
        }
        self.filter.must_have_generated()
    }

    /// The next bytes for the client; `None` when the stream is over, see [`Self::end`].
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Some(event));
            }
            if self.end.is_some() {
                return Poll::Ready(None);
            }
            match self.source.next_event() {
                Some(Ok(event)) => self.pass(&event),
                Some(Err(_)) => self.interrupt(Failure::no_answer("an event is too large")),
                None if self.source.has_ended() => self.finish(),
                None => ready!(self.poll_source(cx)),
            }
        }
    }

    fn pass(&mut self, event: &Event) {
        let progress = |filter: &Filter| (filter.is_finished(), filter.usage.is_some());
        let before = progress(&self.filter);
        let passed = self.filter.pass(event);
        if self.filter.is_finished() && progress(&self.filter) != before {
            self.be_patient();
        }
        match passed {
            Passed::Forward { event, meaningful } => {
                self.push_ready(event);
                self.quiet_until.take_if(|_| meaningful);
            }
            Passed::Hidden => {}
            Passed::Done(event) => {
                self.ready.push_back(event);
                self.end = Some(StreamEnd::Complete);
            }
            Passed::Failed(failure) => self.interrupt(failure),
        }
    }

    fn push_ready(&mut self, event: Bytes) {
        if !event.is_empty() {
            self.ready.push_back(event);
        }
    }

    /// Waits anew for what comes next. After the finish reason that is not much, and no sign of
    /// life makes it more; a provider that gives nothing else is not waited for without end.
    fn be_patient(&mut self) {
        let patience = match (self.filter.is_finished(), &self.filter.usage) {
            (false, _) => self.stall,
            (true, None) => AFTER_FINISH,
            (true, Some(_)) => AFTER_COUNTS,
        };
        let until = clock::deadline_in(patience.min(self.stall));
        let more = self.quiet.saturating_sub(self.stall);
        let latest = *self.quiet_until.get_or_insert(until.checked_add(more).unwrap_or(until));
        self.silence.as_mut().reset(until.min(latest));
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.source.shows_life() && !self.filter.is_finished() {
            self.be_patient();
        }
        match self.source.poll_piece(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(failure)) => self.interrupt(failure),
            Poll::Pending if self.poll_release(cx).is_ready() => {}
            Poll::Pending => {
                ready!(self.silence.as_mut().poll(cx));
                self.interrupt(Failure::silence("the stream fell silent"));
            }
        }
        Poll::Ready(())
    }

    /// Shows words that were held back for long enough; ready if it was time for that.
    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.filter.held_until else { return Poll::Pending };
        let timer = self.release.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        ready!(timer.as_mut().poll(cx));
        self.ready.extend(self.filter.release());
        Poll::Ready(())
    }

    /// The body is over.
    fn finish(&mut self) {
        if let Some(event) = self.source.last_event() {
            self.pass(&event);
        }
        if self.end.is_none() {
            self.interrupt(Failure::lost("the stream ended in the middle"));
        }
    }

    /// Ends the stream: as complete where only the last mark is missing, else as interrupted.
    fn interrupt(&mut self, failure: Failure) {
        self.end = Some(if self.filter.is_finished() {
            self.ready.push_back(Bytes::from_static(DONE));
            StreamEnd::Complete
        } else {
            StreamEnd::Interrupted(Box::new(failure))
        });
    }

    /// How the stream ended, once [`Self::poll_next`] has given `None`.
    pub(crate) fn take_end(&mut self) -> Option<StreamEnd> {
        self.end.take()
    }

    /// Bytes of text that came.
    pub(crate) const fn text_bytes(&self) -> u64 {
        self.filter.text_bytes
    }

    /// The token counts seen so far.
    pub(crate) const fn usage(&self) -> Option<&Usage> {
        self.filter.usage.as_ref()
    }

    /// Whether the provider was given the beginning of this answer.
    pub(crate) fn was_given_the_text(&self) -> bool {
        self.filter.was_given_the_text()
    }

    /// What the client has of the answer, if another provider could go on with it.
    pub(crate) fn take_told(&mut self) -> Option<Told> {
        let unsaid = self.filter.unsaid();
        let mut told = self.filter.told.take().filter(Told::can_go_on)?;
        told.unsaid = unsaid.or(told.unsaid);
        told.end_part(self.filter.usage, self.filter.text_bytes);
        Some(told)
    }

    /// The connection's rest: read to its end, the connection can serve again.
    pub(crate) fn into_rest(self) -> Option<ReplyBody> {
        self.source.into_rest()
    }
}
