//! What outlives the process: the ledger as plain values, for a store that another crate writes,
//! and back.
//!
//! Each thing is kept by itself under an identity of four words, so that a store writes only
//! what changed. What is read back is believed no further than it can be right: a time that
//! lies too far ahead is cut, counts of another day are left behind, and what the configuration
//! no longer has is forgotten. Requests and probes under way are never kept.

mod identity;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use identity::{KeptIdentity, KeptKind};

use crate::calibration::Calibration;
use crate::cell::Cell;
use crate::ledger::{LastError, Ledger, ProviderTally};
use crate::pace::Pace;
use crate::usage::Usage;
use crate::{Budget, Day, Dimension, Shut, Timestamp, Window, policy};

/// One thing that is kept, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Which thing.
    pub identity: KeptIdentity,
    /// What is known of it; `None` if nothing is any longer, so that a store deletes it.
    pub value: Option<KeptValue>,
}

/// What is known of one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptValue {
    /// Faults of a scope.
    Cell(KeptCell),
    /// The use of a deployment or of a key.
    Use(KeptUse),
    /// The counters of a provider.
    Tally(KeptTally),
    /// The day to which the daily counts belong.
    Today(Day),
}

/// The faults of one scope.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptCell {
    /// Why and until when it is shut.
    pub shut: Option<Shut>,
    /// Cooldowns in a row without a success between them.
    pub strikes: u32,
    /// Faults in a row of the kind that only benches when it repeats.
    pub faults: u32,
    /// Answers since its stated time was over, as far as they count for how many may go through.
    pub answers: u32,
}

/// The use of one deployment or key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptUse {
    /// The first moment of the day to which the counts of a day belong.
    pub day: Timestamp,
    /// Attempts sent in that day.
    pub requests: u64,
    /// Tokens of that day.
    pub tokens: u64,
    /// The usual time to the first word of a stream.
    pub first_word: Option<Duration>,
    /// What requests cost beside what was estimated.
    pub calibration: Calibration,
    /// How fast it was used.
    pub pace: Pace,
    /// What replies reported.
    pub learned: Vec<KeptBudget>,
    /// What counts against declared limits.
    pub counts: Vec<KeptCount>,
}

/// A budget as a reply reported it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptBudget {
    /// What was reported.
    pub budget: Budget,
    /// When the request began that was answered so.
    pub asked: Timestamp,
    /// How long all of it takes to come back bit by bit, as far as a refusal has shown it.
    #[serde(default)]
    pub refill: Option<Duration>,
}

/// What counts against one declared limit; the limit itself is the configuration's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptCount {
    /// What is counted.
    pub dimension: Dimension,
    /// Over which span.
    pub window: Window,
    /// How much, and when.
    pub span: KeptSpan,
}

/// How much was used when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptSpan {
    /// Amounts with the moments from which they count.
    Rolling(Vec<(Timestamp, u64)>),
    /// One amount in a day between two moments.
    Calendar {
        /// The first moment of the day.
        begins: Timestamp,
        /// The first moment of the next day.
        ends: Timestamp,
        /// The amount.
        used: u64,
    },
}

/// The counters of one provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptTally {
    /// Whether a person switched it off.
    pub disabled: bool,
    /// The first moment of the day to which the counts belong.
    pub day: Timestamp,
    /// Attempts sent in that day.
    pub requests: u64,
    /// Tokens of that day.
    pub tokens: u64,
    /// The part of the tokens that nobody counted.
    pub estimated_tokens: u64,
    /// Answers of that day.
    pub successes: u64,
    /// Faults since the last success.
    pub consecutive_errors: u64,
    /// The newest error.
    pub last_error: Option<LastError>,
}

/// The end of something that began at `since`, as it may be believed at `now`: it never lasts
/// longer from now than it was meant to last as a whole, should the clock have been put back.
pub(crate) fn believed(until: Timestamp, since: Timestamp, now: Timestamp) -> Timestamp {
    let whole = since.until(until).min(policy::LONGEST_STATED);
    until.min(now.after(whole))
}

/// A value, unless it says nothing.
fn telling<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

impl Ledger {
    /// Whether anything changed since the last [`Ledger::take_changes`].
    pub fn is_changed(&self) -> bool {
        self.today_changed
            || self.cells.is_changed()
            || self.usages.is_changed()
            || self.tallies.is_changed()
    }

    /// Whether something changed that should not be lost with the next few seconds: a cooldown
    /// longer than 30 seconds or a parked mark began, or a person switched or reset. Says so once.
    pub const fn wants_saving_at_once(&mut self) -> bool {
        std::mem::replace(&mut self.is_urgent, false)
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> Vec<Kept> {
        self.is_urgent = false;
        let day = self.today.begins;
        let mut changes = Vec::new();
        if std::mem::take(&mut self.today_changed) {
            changes.push(self.kept_today());
        }
        let mut report = |identity: &KeptIdentity, value| {
            changes.push(Kept { identity: identity.clone(), value });
        };
        self.cells.take_changes(|cell| telling(cell.kept()).map(KeptValue::Cell), &mut report);
        self.usages.take_changes(|usage| telling(usage.kept(day)).map(KeptValue::Use), &mut report);
        self.tallies
            .take_changes(|tally| telling(tally.kept(day)).map(KeptValue::Tally), &mut report);
        changes
    }

    /// Everything that is known.
    pub fn everything(&self) -> Vec<Kept> {
        let day = self.today.begins;
        let mut all = vec![self.kept_today()];
        let mut report = |identity: &KeptIdentity, value: Option<KeptValue>| {
            if value.is_some() {
                all.push(Kept { identity: identity.clone(), value });
            }
        };
        for (identity, cell) in self.cells.wanted() {
            report(identity, telling(cell.kept()).map(KeptValue::Cell));
        }
        for (identity, usage) in self.usages.wanted() {
            report(identity, telling(usage.kept(day)).map(KeptValue::Use));
        }
        for (identity, tally) in self.tallies.wanted() {
            report(identity, telling(tally.kept(day)).map(KeptValue::Tally));
        }
        all
    }

    /// Takes back what an earlier run kept. To be called on a new ledger, before a registry is
    /// built over it: what that registry does not have is then forgotten. What makes no sense
    /// at `now` is left out or cut, and reported with the next changes.
    pub fn restore(&mut self, kept: Vec<Kept>, now: Timestamp) {
        for value in kept.iter().filter_map(|kept| kept.value.as_ref()) {
            if let KeptValue::Today(day) = value {
                self.restore_today(day, now);
            }
        }
        for Kept { identity, value } in kept {
            if let Some(value) = value {
                self.restore_one(identity, value, now);
            }
        }
    }

    fn kept_today(&self) -> Kept {
        let value = Some(KeptValue::Today(self.today.clone()));
        Kept { identity: KeptIdentity::today(), value }
    }

    /// A day that was begun is gone on with, also if it now would have begun at another time.
    fn restore_today(&mut self, day: &Day, now: Timestamp) {
        if day.contains(now) && !day.date.is_empty() {
            self.today.date.clone_from(&day.date);
            self.today.begins = day.begins;
        }
        self.today_changed = self.today != *day;
    }

    fn restore_one(&mut self, identity: KeptIdentity, value: KeptValue, now: Timestamp) {
        let day = self.today.begins;
        match value {
            KeptValue::Cell(kept) if identity.kind.is_of_faults() => {
                let cell = Cell::restored(&kept, now);
                let differs = cell.kept() != kept;
                self.cells.restore(identity, cell, differs);
            }
            KeptValue::Use(kept) if identity.kind.is_of_use() => {
                let usage = Usage::restored(&kept, day, now);
                let differs = usage.kept(day) != kept;
                self.usages.restore(identity, usage, differs);
            }
            KeptValue::Tally(kept) if identity.kind == KeptKind::Tally => {
                let tally = ProviderTally::restored(&kept, day, now);
                let differs = tally.kept(day) != kept;
                self.tallies.restore(identity, tally, differs);
            }
            KeptValue::Cell(_) | KeptValue::Use(_) | KeptValue::Tally(_) | KeptValue::Today(_) => {}
        }
    }
}
