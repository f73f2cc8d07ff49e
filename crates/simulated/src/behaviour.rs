//! How a provider decides what to answer.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::journal::Recorded;
use crate::limiting::Limits;
use crate::reply::Reply;

/// A closure that answers any request.
pub type Answering = Arc<dyn Fn(&Recorded) -> Reply + Send + Sync>;

/// How a provider decides what to answer.
#[derive(Clone)]
pub enum Behaviour {
    /// Replies come from a list, whatever the path; only `GET .../models` is answered beside it.
    Scripted(Script),
    /// Every request, whatever its path and method, is answered by the closure.
    Answer(Answering),
    /// Replies come from a provider with true limits.
    Limiting(Limits),
}

impl Behaviour {
    /// Answers every request alike.
    pub fn always(reply: Reply) -> Self {
        Self::Scripted(Script::new([reply]))
    }

    /// Answers with each reply once and with the last one from then on.
    pub fn script(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::Scripted(Script::new(replies))
    }

    /// Asks the closure.
    pub fn answer(answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        Self::Answer(Arc::new(answer))
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scripted(script) => formatter.debug_tuple("Scripted").field(script).finish(),
            Self::Answer(_) => formatter.write_str("Answer"),
            Self::Limiting(limits) => formatter.debug_tuple("Limiting").field(limits).finish(),
        }
    }
}

/// A queue of replies. When it is used up, its default answers if it has one, else its last reply.
#[derive(Clone, Debug, Default)]
pub struct Script {
    queue: VecDeque<Reply>,
    last: Option<Box<Reply>>,
    default: Option<Box<Reply>>,
}

impl Script {
    /// Queues the replies.
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self { queue: replies.into_iter().collect(), ..Self::default() }
    }

    /// Names the reply for every request after the queue.
    #[must_use]
    pub fn then(mut self, default: Reply) -> Self {
        self.default = Some(Box::new(default));
        self
    }

    pub(crate) fn push(&mut self, reply: Reply) {
        self.queue.push_back(reply);
    }

    /// The next reply if it does not wait for the request's body.
    pub(crate) fn next_early(&mut self) -> Option<Reply> {
        let upcoming = self.queue.front().or(self.default.as_deref()).or(self.last.as_deref());
        if upcoming.is_some_and(Reply::is_early) { Some(self.next()) } else { None }
    }

    pub(crate) fn next(&mut self) -> Reply {
        if let Some(reply) = self.queue.pop_front() {
            self.last = Some(Box::new(reply.clone()));
            return reply;
        }
        let repeated = self.default.as_deref().or(self.last.as_deref());
        repeated.cloned().unwrap_or_else(|| {
            Reply::error(500, &fault("the script of this simulated provider is empty", "script"))
        })
    }
}

/// Whether a request asks which models there are.
pub(crate) fn asks_for_models(method: &Method, path: &str) -> bool {
    method == Method::GET && path.split('?').next().is_some_and(|path| path.ends_with("/models"))
}

/// The answer of `GET /v1/models`.
pub(crate) fn model_list<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    let models: Vec<Value> = names.into_iter().map(model).collect();
    json!({"object": "list", "data": models})
}

/// One entry of the model list.
pub(crate) fn model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": "simulated"})
}

/// An error body in the `OpenAI` shape for a request that is itself at fault.
pub(crate) fn fault(message: &str, code: &str) -> Value {
    json!({"error": {
        "message": message,
        "type": "invalid_request_error",
        "param": null,
        "code": code,
    }})
}
