//! An attempt that failed: the fault as the rules see it, and the provider's own answer in case
//! it is the one that the client gets.

use bytes::Bytes;
use engine::{Abilities, Budget, Ceiling, Fault, FaultKind, Remedy, Scope, StatedSize};
use http::{HeaderMap, StatusCode};

use super::client::SendError;

/// What the rotation header says of a stream that does not go on with the one before it.
const OTHER_TEXT: &str = "other-text";

/// The provider's own answer.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    pub(crate) remedy: Remedy,
    /// What the rotation header says of it: a status, or a word such as `timeout`.
    pub(crate) word: String,
    pub(crate) original: Option<Box<Original>>,
    /// What is left by the words of the refusal, where its headers may not tell.
    pub(crate) budget: Option<Budget>,
    /// How many requests it says are taken in a minute or a second.
    pub(crate) ceiling: Option<Ceiling>,
    /// The largest size that it says is taken.
    pub(crate) size: Option<StatedSize>,
    /// What it says that the model lacks as such.
    pub(crate) lacks: Abilities,
}

impl Failure {
    /// One without an answer of the provider's.
    fn mute(fault: Fault, remedy: Remedy, word: impl Into<String>) -> Self {
        Self {
            fault,
            remedy,
            word: word.into(),
            original: None,
            budget: None,
            ceiling: None,
            size: None,
            lacks: Abilities::default(),
        }
    }

    /// Silence for longer than the limit.
    pub(crate) fn silence(detail: &str) -> Self {
        let fault = Fault::new(FaultKind::TimedOut, Scope::Model, detail);
        Self::mute(fault, Remedy::None, "timeout")
    }

    /// What the provider said, if it said something.
    pub(crate) fn body(&self) -> &[u8] {
        self.original.as_ref().map_or(&[], |original| &original.body)
    }

    /// A connection that ended before the answer did.
    pub(crate) fn lost(detail: impl Into<String>) -> Self {
        let fault = Fault::new(FaultKind::ConnectionLost, Scope::Model, detail);
        Self::mute(fault, Remedy::Repeat, "reset")
    }

    /// No connection could be made.
    pub(crate) fn unreachable(detail: impl Into<String>) -> Self {
        let fault = Fault::new(FaultKind::Unreachable, Scope::Provider, detail);
        Self::mute(fault, Remedy::None, "unreachable")
    }

    /// A stream that was to go on with another one, and says something else. Nobody's fault.
    pub(crate) fn other_text() -> Self {
        let detail = "it did not repeat what was sent already";
        let fault = Fault::new(FaultKind::NotAnAnswer, Scope::Request, detail);
        Self::mute(fault, Remedy::None, OTHER_TEXT)
    }

    /// Whether it is a stream that says something else than what it was to go on with.
    pub(crate) fn is_other_text(&self) -> bool {
        self.word == OTHER_TEXT
    }

    /// A reply that is no answer.
    pub(crate) fn no_answer(detail: &str) -> Self {
        let fault = Fault::new(FaultKind::NotAnAnswer, Scope::Model, detail);
        Self::mute(fault, Remedy::None, "no-answer")
    }
}

impl Failure {
    /// What a connection's error means.
    pub(crate) fn connection(error: &SendError) -> Self {
        let detail = super::send::describe(error);
        let mut failure = match error {
            SendError::Unreachable(_) => Self::unreachable(detail),
            SendError::Lost(_) => Self::lost(detail),
        };
        if is_our_lack(error) {
            // We have no file descriptor left: no provider is to blame for that.
            failure.fault.scope = Scope::Request;
        }
        failure
    }

    /// Takes a refusal of a request for one of the answer's beginning that was put into it for this
    /// attempt: as the client has sent it, it may be taken.
    pub(crate) fn blame_beginning(&mut self, request: &[u8]) {
        let body = self.original.as_ref().map_or(&[][..], |original| &original.body);
        let kind = self.fault.kind;
        let is_refused = matches!(kind, FaultKind::CallerMistake | FaultKind::DoubtfulMistake)
            || kind == FaultKind::CapabilityMissing && self.lacks.is_empty()
            // A server of one's own breaks down over messages that its template does not know.
            || kind == FaultKind::ServerError && dialect::refuses_beginning(body, request);
        if is_refused {
            self.fault.kind = FaultKind::ParameterRefused;
            self.fault.scope = Scope::Request;
            self.remedy = Remedy::Repair;
        }
    }

    /// A list of models that was refused.
    pub(crate) fn list_refused(status: StatusCode, body: &Bytes) -> Self {
        let kind = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FaultKind::KeyRejected,
            _ => FaultKind::ServerError,
        };
        let scope = if kind == FaultKind::KeyRejected { Scope::Key } else { Scope::Model };
        let detail = format!("its list of models answered {status}, {} bytes", body.len());
        let word = status.as_u16().to_string();
        Self::mute(Fault::new(kind, scope, detail), Remedy::None, word)
    }
}

/// Whether a connection failed since this process or machine has no more open files.
fn is_our_lack(error: &(dyn std::error::Error + 'static)) -> bool {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    let mut cause = Some(error);
    while let Some(error) = cause {
        let code = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        if matches!(code, Some(EMFILE | ENFILE)) {
            return true;
        }
        cause = error.source();
    }
    false
}
