//! A provider's stream on its way to the client: polled by the client's connection, so that a
//! slow reader holds back the provider, and a client that leaves cancels the call.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::json;
use tokio_util::sync::WaitForCancellationFutureOwned;
use wire::sse::data_event;

use super::attempt::Answered;
use super::heartbeat::Beat;
use super::intake::BYTES_PER_TOKEN;
use super::journey::Journey;
use super::recording::{Outcome, Recording};
use super::rescue::rescue;
use crate::app::{App, Held};
use crate::upstream::{Answer, EventStream, Failure, Recovery, StreamEnd};
use crate::world::Route;

/// The code of the error event that ends a stream which was cut.
const INTERRUPTED: &str = "upstream_stream_interrupted";

/// How long the rest of a stream is read after its end, so that the connection can serve again.
const DRAIN: Duration = Duration::from_secs(1);

/// Bytes of events beyond which no more are awaited to be written together.
const LARGEST_BATCH: usize = 32 << 10;

/// Turns of the scheduler that the next event of a burst may take: the connection's task is woken,
/// hands it over, and wakes us.
const MOST_TURNS: u8 = 2;

/// Events in a row that came alone, after which a stream is taken to be paced: only one in so many
/// is still held for those turns, which finds the next burst.
const FEW_ALONE: u32 = 8;

/// How many breaks of one answer are mended.
const MOST_RESCUES: u32 = 3;

/// A provider's stream on its way to the client.
pub(crate) struct Relayed {
    app: Arc<App>,
    state: State,
    /// What is needed to go on with another provider; `None` where that is off or not safe.
    journey: Option<Box<Journey>>,
    /// What will be remembered, where there is no journey that holds it.
    recording: Option<Recording>,
    rescues: u32,
    /// The tokens of the prompt, estimated.
    prompt_tokens: u64,
    /// The first break: who, and how.
    broken: Option<(String, String)>,
    /// Events that are ready together, to be written together.
    batch: Vec<Bytes>,
    /// Turns of the scheduler since the last event.
    turns: u8,
    /// Events in a row that came alone.
    alone: u32,
    /// Signs of life for the client, where they are wanted.
    beat: Option<Beat>,
    /// Ready when the process ends.
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
}

enum State {
    Playing(Playing),
    Seeking(Pin<Box<Seeking>>),
    Over,
}

/// The search for somebody who goes on; what was left unsaid, where there is nobody.
type Seeking = dyn Future<Output = (Journey, Result<Answered, Option<Bytes>>)> + Send;

/// One provider's part.
struct Playing {
    route: Arc<Route>,
    held: Held,
    stream: Box<EventStream>,
}

impl fmt::Debug for Relayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relayed").field("rescues", &self.rescues).finish_non_exhaustive()
    }
}

impl Relayed {
    pub(crate) fn new(
        mut journey: Journey,
        held: Held,
        route: Arc<Route>,
        stream: Box<EventStream>,
    ) -> Self {
        let app = Arc::clone(&journey.app);
        let beat = Beat::wanted(&app);
        let ending = Box::pin(app.ending.clone().cancelled_owned());
        let prompt_tokens = journey.intake.prompt_tokens();
        let (journey, recording) = match journey.recovery() {
            Recovery::Possible => {
                journey.intake.keep_apart();
                (Some(Box::new(journey)), None)
            }
            Recovery::Off | Recovery::Continuing(_) => (None, Some(journey.recording)),
        };
        let state = State::Playing(Playing { route, held, stream });
        Self {
            app,
            state,
            journey,
            recording,
            rescues: 0,
            prompt_tokens,
            broken: None,
            batch: Vec::new(),
            turns: 0,
            alone: 0,
            beat,
            ending,
        }
    }

    /// The next bytes for the client: one event, or all that are ready together. Events that
    /// arrived with one read of the provider's connection are handed over one by one, with turns
    /// of the scheduler between them; so as long as some turns bring one more, the next is
    /// awaited.
    pub(crate) fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while self.batch.iter().map(Bytes::len).sum::<usize>() < LARGEST_BATCH {
            match self.poll_next(cx) {
                Poll::Ready(Some(event)) => {
                    self.batch.push(event);
                    self.turns = 0;
                    if self.most_turns() == 0 {
                        break;
                    }
                }
                Poll::Ready(None) if self.batch.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) => break,
                Poll::Pending if self.batch.is_empty() => return self.poll_silence(cx).map(Some),
                Poll::Pending if self.turns == self.most_turns() => break,
                Poll::Pending => {
                    self.turns += 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        self.alone = if self.batch.len() == 1 { self.alone.wrapping_add(1) } else { 0 };
        let joined = match self.batch.as_mut_slice() {
            [only] => std::mem::take(only),
            several => several.concat().into(),
        };
        self.batch.clear();
        if let Some(beat) = &mut self.beat {
            beat.restart();
        }
        Poll::Ready(Some(joined))
    }

    /// How many turns the next event is awaited.
    const fn most_turns(&self) -> u8 {
        let may_burst = self.alone < FEW_ALONE || self.alone.is_multiple_of(FEW_ALONE);
        if may_burst { MOST_TURNS } else { 0 }
    }

    /// What the client hears although nothing comes: that the process ends, or a sign of life.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        if self.ending.as_mut().poll(cx).is_ready() {
            self.end_with_us();
            return Poll::Ready(self.interruption());
        }
        self.beat.as_mut().map_or(Poll::Pending, |beat| beat.poll(cx))
    }

    /// The process ends in the middle of the stream.
    fn end_with_us(&mut self) {
        self.broken = Some(("llm-proxy".to_owned(), "the proxy is stopping".to_owned()));
        self.count_part();
        self.ended(Outcome::Interrupted);
    }

    /// Ends a part that plays.
    fn count_part(&mut self) {
        if let State::Playing(playing) = std::mem::replace(&mut self.state, State::Over) {
            self.count(playing.held, &playing.stream);
        }
    }

    fn ended(&mut self, outcome: Outcome) {
        if let Some(recording) = self.recording() {
            recording.ended(outcome);
        }
    }

    fn recording(&mut self) -> Option<&mut Recording> {
        let of_journey = self.journey.as_mut().map(|journey| &mut journey.recording);
        of_journey.or(self.recording.as_mut())
    }

    /// The next event for the client.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Playing(playing) => {
                    if let Some(event) = ready!(playing.stream.poll_next(cx)) {
                        return Poll::Ready(Some(event));
                    }
                    if let Some(last) = self.end_part() {
                        return Poll::Ready(Some(last));
                    }
                }
                State::Seeking(seeking) => {
                    let (journey, answered) = ready!(seeking.as_mut().poll(cx));
                    self.journey = Some(Box::new(journey));
                    if let Some(last) = self.go_on(answered) {
                        return Poll::Ready(Some(last));
                    }
                }
            }
        }
    }

    /// One provider's part is over; the error event if that is the end of it all.
    fn end_part(&mut self) -> Option<Bytes> {
        let State::Playing(mut playing) = std::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        match playing.stream.take_end() {
            Some(StreamEnd::Interrupted(failure)) => self.mend(playing, &failure),
            Some(StreamEnd::Complete) | None => {
                playing.held.came_whole();
                self.count(playing.held, &playing.stream);
                self.ended(Outcome::Answered);
                if self.broken.is_some() {
                    self.app.metrics.saved();
                }
                drain(&self.app, *playing.stream);
                None
            }
        }
    }

    /// Ends a lease with the tokens that the provider counted, else with an estimate.
    fn count(&mut self, held: Held, stream: &EventStream) {
        let told = stream.usage().filter(|usage| usage.total().is_some()).copied();
        let estimate = self.estimate(stream);
        match told {
            Some(usage) => held.finished(usage.total()),
            None => held.finished_uncounted(estimate),
        }
        match (self.recording(), told) {
            (Some(recording), Some(usage)) => recording.used(&usage),
            (Some(recording), None) => recording.used_about(estimate),
            (None, _) => {}
        }
    }

    /// The tokens of prompt and answer, where nobody counted them.
    fn estimate(&self, stream: &EventStream) -> u64 {
        self.prompt_tokens + stream.text_bytes().div_ceil(BYTES_PER_TOKEN)
    }

    /// The stream broke off: another provider goes on if that is safe.
    fn mend(&mut self, mut playing: Playing, failure: &Failure) -> Option<Bytes> {
        let name = &playing.route.provider.name;
        let detail = &failure.fault.detail;
        self.app.log.warning(format_args!(
            "{name}: the stream was interrupted ({}): {detail}",
            failure.word
        ));
        self.broken.get_or_insert_with(|| (name.clone(), detail.clone()));
        let has_misread = failure.is_other_text() && playing.stream.was_given_the_text();
        let misread = has_misread.then(|| playing.held.deployment());
        let set_aside = playing.held.broken(&failure.fault);
        if let Some(recording) = self.recording() {
            recording.broke(&failure.fault, set_aside);
        }
        self.count(playing.held, &playing.stream);
        let told = playing.stream.take_told();
        match (told, self.journey.take()) {
            (Some(told), Some(journey)) if self.rescues < MOST_RESCUES => {
                self.rescues += 1;
                self.state = State::Seeking(Box::pin(rescue(*journey, told, misread)));
                None
            }
            (told, journey) => {
                self.journey = journey;
                self.ended(Outcome::Interrupted);
                Some(self.break_off(told.and_then(|told| told.unsaid)))
            }
        }
    }

    /// Somebody goes on, or nobody; the error event then.
    fn go_on(&mut self, answered: Result<Answered, Option<Bytes>>) -> Option<Bytes> {
        let (held, stream, route) = match answered {
            Ok(Answered { held, answer: Answer::Stream(stream), route, .. }) => {
                (held, stream, route)
            }
            other => {
                self.state = State::Over;
                self.ended(Outcome::Interrupted);
                return Some(self.break_off(other.err().flatten()));
            }
        };
        let name = &route.provider.name;
        self.app.log.info(format_args!("{name}: goes on with the stream"));
        self.state = State::Playing(Playing { route, held, stream });
        None
    }

    /// The last of a stream which was cut: what a provider said and nobody went on with, and the
    /// event that ends it.
    fn break_off(&self, unsaid: Option<Bytes>) -> Bytes {
        match unsaid {
            Some(unsaid) => [unsaid, self.interruption()].concat().into(),
            None => self.interruption(),
        }
    }

    /// The event that ends a stream which was cut. It names the first break, not what came of
    /// mending it.
    fn interruption(&self) -> Bytes {
        let (provider, detail) = self.broken.clone().unwrap_or_default();
        let error = json!({"error": {
            "message": format!("the stream from {provider} was interrupted: {detail}"),
            "type": "upstream_error",
            "param": null,
            "code": INTERRUPTED,
        }});
        data_event(error.to_string().as_bytes())
    }
}

impl Drop for Relayed {
    /// The client left: the call is cancelled, nobody is blamed, what came is counted.
    fn drop(&mut self) {
        self.count_part();
    }
}

fn drain(app: &App, stream: EventStream) {
    if let Some(mut rest) = stream.into_rest() {
        app.tasks.spawn(async move {
            let to_end = async { while let Some(Ok(_)) = rest.frame().await {} };
            let _ = tokio::time::timeout(DRAIN, to_end).await;
        });
    }
}
