//! How a scope opens again when the time is over that its provider stated: not to all who wait at
//! once. A provider that says when to come back says so of one request; how many more it takes
//! is seen only by sending them.
//!
//! One goes first. With each answer twice as many may be under way, until nothing holds them back
//! any more. One that thinks for long holds the others back for a moment only, and never for
//! longer than the provider itself had shut: strict priority must come back promptly.

use std::time::Duration;

use crate::Timestamp;

/// After so many steps all are let through.
const STEPS: u32 = 4;

/// So long a step waits for an answer at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// The requests that try a scope after its time is over.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trials {
    under_way: u32,
    step: u32,
    /// When the newest of them began.
    newest: Timestamp,
}

/// Whether a request may go through now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Everybody may.
    All,
    /// One may, as a trial.
    One,
    /// Not before this moment, unless a trial ends.
    After(Timestamp),
}

impl Trials {
    /// Those of a scope that has answered so often since its time was over.
    pub(crate) fn after(answers: u32) -> Self {
        Self { step: answers.min(STEPS), ..Self::default() }
    }

    pub(crate) const fn step(&self) -> u32 {
        self.step
    }

    /// Whether one more may try, after the scope was shut for `span`.
    pub(crate) fn turn(&self, span: Duration, now: Timestamp) -> Turn {
        let over = self.newest.after(span.min(PATIENCE));
        if self.step >= STEPS {
            Turn::All
        } else if self.has_room() || now >= over {
            Turn::One
        } else {
            Turn::After(over)
        }
    }

    const fn has_room(&self) -> bool {
        self.under_way < 1 << self.step
    }

    pub(crate) const fn is_any_under_way(&self) -> bool {
        self.under_way > 0
    }

    pub(crate) fn begin(&mut self, now: Timestamp) {
        if !self.has_room() {
            self.step += 1;
        }
        self.under_way = self.under_way.saturating_add(1);
        self.newest = now;
    }

    pub(crate) const fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// An answer has come. Whether nothing is to be tried any more.
    pub(crate) const fn succeed(&mut self) -> bool {
        self.step = self.step.saturating_add(1);
        self.step >= STEPS
    }

    /// Begins anew; who is under way still is.
    pub(crate) const fn restart(&mut self) {
        self.step = 0;
    }
}
