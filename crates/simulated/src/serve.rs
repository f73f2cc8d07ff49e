//! One request, from its head to the answer that is played back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::time::sleep;

use crate::asked::Asked;
use crate::behaviour::{Answering, Behaviour, Script, asks_for_models, fault, model_list};
use crate::clock::Clock;
use crate::journal::{Exchange, Journal, Recorded};
use crate::limiting::{Limiting, Permit};
use crate::playback::{Broken, Ending, Playback};
use crate::reply::{Plan, Reply};
use crate::socket::Fate;

/// The longest request body that is read, in bytes; beyond it the answer is 413.
const LONGEST_BODY: usize = 128 << 20;

/// A provider without its sockets.
pub(crate) struct Simulation {
    pub(crate) journal: Arc<Journal>,
    pub(crate) clock: Clock,
    act: Mutex<Act>,
}

enum Act {
    Script(Script),
    Answer(Answering),
    Limiting(Arc<Limiting>),
}

impl From<Behaviour> for Act {
    fn from(behaviour: Behaviour) -> Self {
        match behaviour {
            Behaviour::Scripted(script) => Self::Script(script),
            Behaviour::Answer(answer) => Self::Answer(answer),
            Behaviour::Limiting(limits) => Self::Limiting(Arc::new(Limiting::new(limits))),
        }
    }
}

enum Choice {
    Say(Box<Reply>),
    Ask(Answering),
    Measure(Arc<Limiting>),
}

/// Where a request arrived.
pub(crate) struct Arrival {
    pub(crate) connection: u64,
    /// Absent where several streams share one connection.
    pub(crate) fate: Option<Arc<Fate>>,
}

impl Simulation {
    pub(crate) fn new(behaviour: Behaviour, clock: Clock, journal: Arc<Journal>) -> Arc<Self> {
        Arc::new(Self { journal, clock, act: Mutex::new(behaviour.into()) })
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.act() = behaviour.into();
    }

    /// Appends to the script; any other behaviour is replaced by a script of this one reply.
    pub(crate) fn push(&self, reply: Reply) {
        let mut act = self.act();
        if let Act::Script(script) = &mut *act {
            script.push(reply);
        } else {
            *act = Act::Script(Script::new([reply]));
        }
    }

    fn act(&self) -> MutexGuard<'_, Act> {
        self.act.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        arrival: Arrival,
    ) -> Result<Response<Playback>, Broken> {
        let exchange = self.journal.begin();
        let (head, body) = request.into_parts();
        if let Some(reply) = self.early_reply(&head) {
            let request = self.note(head, Bytes::new(), &exchange, &arrival);
            return self.play(reply, None, &request, exchange, arrival.fate).await;
        }
        let body = match Limited::new(body, LONGEST_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let request = self.note(head, Bytes::new(), &exchange, &arrival);
                let reply = Reply::error(413, &fault("the body is too long", "too_large"));
                return self.play(reply, None, &request, exchange, arrival.fate).await;
            }
            // The client went away in the middle of its upload.
            Err(_) => return Err(Broken),
        };
        let request = self.note(head, body, &exchange, &arrival);
        let (reply, permit) = self.reply(&request);
        self.play(reply, permit, &request, exchange, arrival.fate).await
    }

    fn note(&self, head: Parts, body: Bytes, exchange: &Exchange, arrival: &Arrival) -> Recorded {
        let request = Recorded {
            number: exchange.number,
            connection: arrival.connection,
            path: head.uri.path_and_query().map_or("", |path| path.as_str()).to_owned(),
            method: head.method,
            headers: head.headers,
            body_length: body.len() as u64,
            body,
            at: self.clock.now(),
        };
        self.journal.record(&request);
        request
    }

    fn early_reply(&self, head: &Parts) -> Option<Reply> {
        match &mut *self.act() {
            Act::Script(_) if asks_for_models(&head.method, head.uri.path()) => None,
            Act::Script(script) => script.next_early(),
            Act::Answer(_) | Act::Limiting(_) => None,
        }
    }

    fn reply(&self, request: &Recorded) -> (Reply, Option<Permit>) {
        match self.choose(request) {
            Choice::Say(reply) => (*reply, None),
            Choice::Ask(answering) => (answering(request), None),
            Choice::Measure(limiting) => limiting.answer(request),
        }
    }

    /// The part of a decision that needs the lock; foreign code runs outside it.
    fn choose(&self, request: &Recorded) -> Choice {
        match &mut *self.act() {
            Act::Script(_) if asks_for_models(&request.method, &request.path) => {
                let models = model_list(["simulated-model"]);
                Choice::Say(Box::new(Reply::json(200, &models)))
            }
            Act::Script(script) => Choice::Say(Box::new(script.next())),
            Act::Answer(answering) => Choice::Ask(Arc::clone(answering)),
            Act::Limiting(limiting) => Choice::Measure(Arc::clone(limiting)),
        }
    }

    async fn play(
        &self,
        reply: Reply,
        permit: Option<Permit>,
        request: &Recorded,
        mut exchange: Exchange,
        fate: Option<Arc<Fate>>,
    ) -> Result<Response<Playback>, Broken> {
        let asked = || Asked::read(request.bare_path(), &request.body);
        let plan = reply.plan(asked, exchange.number, self.clock.now());
        if !plan.before_head.is_zero() {
            sleep(plan.before_head).await;
        }
        if plan.silent {
            return Err(break_off(plan.ending, &mut exchange, fate.as_deref()).await);
        }
        Ok(respond(plan, permit, exchange, fate))
    }
}

/// Ends a request without an answer: by closing, by a reset, or never.
async fn break_off(ending: Ending, exchange: &mut Exchange, fate: Option<&Fate>) -> Broken {
    if ending == Ending::Stall {
        std::future::pending::<()>().await;
    }
    exchange.finish();
    if let (Some(fate), Ending::Reset) = (fate, ending) {
        fate.reset();
    }
    Broken
}

fn respond(
    plan: Plan,
    permit: Option<Permit>,
    exchange: Exchange,
    fate: Option<Arc<Fate>>,
) -> Response<Playback> {
    let body = Playback::new(plan.steps, plan.sized, plan.ending, fate, exchange, permit);
    let mut response = Response::new(body);
    *response.status_mut() = plan.status;
    *response.headers_mut() = plan.headers;
    response
}
