//! What the requests' side and the writer's thread share: flags, two bounded queues, a report.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::clock;
use crate::options::{Health, Unanswered};
use crate::record::Record;
use crate::usage::{Tallies, UsageQuery, UsageRow};

/// Most records that wait.
const MOST_RECORDS: usize = 8_192;
/// Most bytes that waiting records take.
const MOST_WEIGHT: usize = 16 << 20;
/// Most questions that wait.
const MOST_QUESTIONS: usize = 64;

/// Where an answer goes; called on the store's own thread, so it has to be quick.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Unanswered>) + Send>;

/// A question to the file.
pub(crate) enum Question {
    /// The newest requests.
    Recent(usize, Reply<Vec<Record>>),
    /// Usage.
    Usage(UsageQuery, Reply<Vec<UsageRow>>),
}

impl Question {
    /// Says that there will be no answer.
    pub(crate) fn refuse(self, why: &str) {
        match self {
            Self::Recent(_, reply) => reply(Err(Unanswered(why.to_owned()))),
            Self::Usage(_, reply) => reply(Err(Unanswered(why.to_owned()))),
        }
    }
}

/// What waits for the writer.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Records, oldest first.
    pub(crate) records: VecDeque<Record>,
    weight: usize,
    /// Sums of records that did not fit.
    pub(crate) dropped: Tallies,
}

/// Shared by both sides.
pub(crate) struct Shared {
    touched: AtomicBool,
    urgent: AtomicBool,
    stopping: AtomicBool,
    inbox: Mutex<Inbox>,
    questions: Mutex<Vec<Question>>,
    health: Mutex<Health>,
    dropped: AtomicU64,
    started: Instant,
    /// Milliseconds from `started` to the oldest unsaved change, plus one; 0 if there is none.
    waiting: AtomicU64,
    ended: Mutex<bool>,
    end: Condvar,
    writer: OnceLock<Thread>,
}

impl Shared {
    pub(crate) fn new(health: Health) -> Self {
        Self {
            touched: AtomicBool::new(false),
            urgent: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            inbox: Mutex::default(),
            questions: Mutex::default(),
            health: Mutex::new(health),
            dropped: AtomicU64::new(0),
            started: clock::instant(),
            waiting: AtomicU64::new(0),
            ended: Mutex::new(false),
            end: Condvar::new(),
            writer: OnceLock::new(),
        }
    }

    /// Names the writer's thread, so that it can be woken.
    pub(crate) fn wakes(&self, writer: Thread) {
        let _ = self.writer.set(writer);
        self.wake();
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    pub(crate) fn touch(&self) {
        if !self.touched.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    pub(crate) fn urgent(&self) {
        if !self.urgent.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    pub(crate) fn record(&self, mut record: Record) {
        record.trim();
        let weight = record.weight();
        let mut inbox = held(&self.inbox);
        if inbox.records.len() < MOST_RECORDS && inbox.weight + weight <= MOST_WEIGHT {
            inbox.weight += weight;
            inbox.records.push_back(record);
        } else {
            inbox.dropped.add(std::slice::from_ref(&record));
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(inbox);
        self.touch();
    }

    pub(crate) fn ask(&self, question: Question) {
        if self.has_ended() {
            return question.refuse("the store has stopped");
        }
        let mut questions = held(&self.questions);
        if questions.len() >= MOST_QUESTIONS {
            drop(questions);
            return question.refuse("too many questions are waiting");
        }
        questions.push(question);
        drop(questions);
        self.wake();
        // The writer may have ended between the look and the push.
        if self.has_ended() {
            self.refuse_questions();
        }
    }

    pub(crate) fn stop(&self, patience: Duration) {
        self.stopping.store(true, Ordering::Release);
        if self.writer.get().is_none() {
            return self.ended();
        }
        self.wake();
        let ended = held(&self.ended);
        drop(self.end.wait_timeout_while(ended, patience, |ended| !*ended));
    }

    pub(crate) fn report(&self) -> Health {
        let mut health = held(&self.health).clone();
        health.dropped_records = self.dropped.load(Ordering::Relaxed);
        health.lag_ms = match self.waiting.load(Ordering::Relaxed) {
            0 => 0,
            since => self.age().saturating_sub(since - 1),
        };
        health
    }

    fn age(&self) -> u64 {
        clock::instant().duration_since(self.started).as_millis() as u64
    }

    // What follows is the writer's side.

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent.load(Ordering::Acquire)
    }

    pub(crate) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }

    /// What comes after this wakes the writer again. Says whether it was urgent.
    pub(crate) fn take_flags(&self) -> bool {
        self.touched.swap(false, Ordering::AcqRel);
        self.urgent.swap(false, Ordering::AcqRel)
    }

    /// Something waits from now on, unless something older does.
    pub(crate) fn begin_wait(&self) {
        let now = self.age() + 1;
        let _ = self.waiting.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn take_inbox(&self) -> Inbox {
        std::mem::take(&mut *held(&self.inbox))
    }

    /// The newest waiting records, newest first.
    pub(crate) fn newest(&self, limit: usize) -> Vec<Record> {
        held(&self.inbox).records.iter().rev().take(limit).cloned().collect()
    }

    pub(crate) fn has_questions(&self) -> bool {
        !held(&self.questions).is_empty()
    }

    pub(crate) fn take_questions(&self) -> Vec<Question> {
        std::mem::take(&mut *held(&self.questions))
    }

    /// Everything asked for is saved, or it is known why not.
    pub(crate) fn settled(&self, error: Option<String>, bytes: u64) {
        if error.is_none() {
            self.waiting.store(0, Ordering::Relaxed);
        }
        let mut health = held(&self.health);
        health.last_error = error;
        health.bytes = bytes;
    }

    /// The writer is gone; whoever asks or waits is told.
    pub(crate) fn ended(&self) {
        *held(&self.ended) = true;
        self.end.notify_all();
        self.refuse_questions();
    }

    fn has_ended(&self) -> bool {
        *held(&self.ended)
    }

    fn refuse_questions(&self) {
        let why = "the store has stopped";
        for question in self.take_questions() {
            question.refuse(why);
        }
    }
}

/// A lock that a panic elsewhere does not take away; all that is held is whole at any moment.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
