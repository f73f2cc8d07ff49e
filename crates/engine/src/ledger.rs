//! Everything that changes: the cooldowns, counts and budgets of all scopes.
//!
//! Cells are found by identity (provider name, key fingerprint, model) and never move, so a
//! request that began before a reload still settles into the right one, and a provider that
//! keeps its name keeps its counters.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::abilities::Abilities;
use crate::calendar::{Day, DayStart};
use crate::cell::Cell;
use crate::kept::{KeptIdentity, KeptKind, KeptTally};
use crate::limits::Limits;
use crate::registry::{Deployment, Registry, Scopes};
use crate::sizes::Sizes;
use crate::table::Table;
use crate::usage::Usage;

/// Where a scope's cooldown lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ScopeSlot(usize);

/// Where the use of a deployment, or of a key, is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct UsageSlot(usize);

/// Where a provider's counters live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ProviderSlot(usize);

/// A provider's counters of the current day.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProviderTally {
    pub(crate) disabled: bool,
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
    /// The part of `tokens` that nobody counted.
    pub(crate) estimated_tokens: u64,
    pub(crate) successes: u64,
    pub(crate) consecutive_errors: u64,
    pub(crate) last_error: Option<LastError>,
    /// Whose turn it is among the keys; not kept.
    pub(crate) turn: usize,
}

impl ProviderTally {
    fn begin_day(&mut self) {
        (self.requests, self.tokens, self.successes) = (0, 0, 0);
        self.estimated_tokens = 0;
    }

    fn has_counts(&self) -> bool {
        (self.requests, self.tokens, self.successes, self.estimated_tokens) != (0, 0, 0, 0)
    }

    /// What is worth keeping, of the day that begins at `day`.
    pub(crate) fn kept(&self, day: Timestamp) -> KeptTally {
        KeptTally {
            disabled: self.disabled,
            day: if self.has_counts() { day } else { Timestamp::default() },
            requests: self.requests,
            tokens: self.tokens,
            estimated_tokens: self.estimated_tokens,
            successes: self.successes,
            consecutive_errors: self.consecutive_errors,
            last_error: self.last_error.clone(),
        }
    }

    /// What was kept, with the counts if they are of the day that begins at `day`.
    pub(crate) fn restored(kept: &KeptTally, day: Timestamp, now: Timestamp) -> Self {
        let last_error = kept.last_error.clone();
        let mut tally = Self {
            disabled: kept.disabled,
            requests: kept.requests,
            tokens: kept.tokens,
            estimated_tokens: kept.estimated_tokens,
            successes: kept.successes,
            consecutive_errors: kept.consecutive_errors,
            last_error: last_error.map(|last| LastError { at: last.at.min(now), ..last }),
            turn: 0,
        };
        if kept.day != day {
            tally.begin_day();
        }
        tally
    }
}

/// The newest error of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When it was seen.
    pub at: Timestamp,
    /// What was seen, in the provider's words.
    pub text: String,
}

/// Everything that changes.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) cells: Table<Cell>,
    pub(crate) usages: Table<Usage>,
    pub(crate) tallies: Table<ProviderTally>,
    /// What providers' models were seen not to take, by the scope of the model.
    lacks: HashMap<ScopeSlot, Abilities>,
    pub(crate) sizes: Sizes,
    local_day: DayStart,
    pub(crate) today: Day,
    /// Whether a store has to learn of another day than that of the clock.
    pub(crate) today_changed: bool,
    pub(crate) is_urgent: bool,
    pub(crate) cooldowns_begun: u64,
    pub(crate) leases_taken: u64,
}

impl Ledger {
    /// An empty ledger whose days begin at `local_day`.
    pub fn new(local_day: DayStart, now: Timestamp) -> Self {
        let today = local_day.day_at(now);
        Self {
            cells: Table::default(),
            usages: Table::default(),
            tallies: Table::default(),
            lacks: HashMap::new(),
            sizes: Sizes::default(),
            local_day,
            today,
            today_changed: false,
            is_urgent: false,
            cooldowns_begun: 0,
            leases_taken: 0,
        }
    }

    /// How many times something that was open was set aside, since the beginning.
    pub const fn cooldowns_begun(&self) -> u64 {
        self.cooldowns_begun
    }

    /// The current day, `YYYY-MM-DD`, as of the last change.
    pub fn today(&self) -> &str {
        &self.today.date
    }

    /// Begins a new day of counters if `now` lies in one.
    pub fn roll_day(&mut self, now: Timestamp) {
        if now < self.today.ends {
            return;
        }
        self.today = self.local_day.day_at(now);
        self.today_changed = true;
        self.tallies.change(|_, tally| tally.has_counts(), ProviderTally::begin_day);
        self.usages.change(|_, usage| usage.has_counts_of_day(), Usage::begin_day);
    }

    /// Changes when a day of the counters begins; today's counts stay.
    pub fn set_local_day(&mut self, local_day: DayStart, now: Timestamp) {
        if local_day != self.local_day {
            self.today.ends = local_day.next_after(now);
            self.today_changed = true;
            self.local_day = local_day;
        }
    }

    /// Whether a request that was sent at `then` belongs to the current day.
    pub(crate) fn is_today(&self, then: Timestamp) -> bool {
        then >= self.today.begins
    }

    /// Forgets the cooldowns, parked marks and breaker counts of one provider, or of all. Counts
    /// stay. Returns whether there was anyone to forget.
    pub fn reset(&mut self, provider: Option<&str>) -> bool {
        let concerns =
            |identity: &KeptIdentity| provider.is_none_or(|name| identity.provider == name);
        let found = self.cells.change(|identity, _| concerns(identity), Cell::reset);
        self.usages.change(|identity, _| concerns(identity), Usage::forget_learned);
        self.tallies.change(
            |identity, _| concerns(identity),
            |tally| {
                tally.consecutive_errors = 0;
                tally.last_error = None;
            },
        );
        let cells = &self.cells;
        self.lacks.retain(|slot, _| !concerns(cells.identity(slot.0)));
        self.sizes.retain(|slot| !concerns(cells.identity(slot.0)));
        self.is_urgent |= found;
        found
    }

    /// Remembers that a provider's model was seen not to take something, until a reset, a new
    /// configuration or the end of the process. A model that the configuration does not list
    /// teaches nothing.
    pub fn learn_lack(&mut self, deployment: &Deployment, lacks: Abilities) {
        if !lacks.is_empty() {
            let known = self.lacks.entry(deployment.scopes.model).or_default();
            *known = *known | lacks;
        }
    }

    /// Takes that a request was answered that asked for this.
    pub(crate) fn forget_lack(&mut self, deployment: &Deployment, taken: Abilities) {
        if let Some(known) = self.lacks.get_mut(&deployment.scopes.model) {
            *known = known.without(taken);
        }
    }

    /// What a deployment's model was seen not to take.
    pub fn lacks_of(&self, deployment: &Deployment) -> Abilities {
        self.lacks.get(&deployment.scopes.model).copied().unwrap_or_default()
    }

    /// Switches a provider off or on by a person's wish. Returns whether it is known.
    pub fn set_disabled(&mut self, provider: &str, disabled: bool) -> bool {
        let identity = KeptIdentity::new(KeptKind::Tally, provider, "", "");
        let Some(tally) = self.tallies.find_mut(&identity) else {
            return false;
        };
        tally.disabled = disabled;
        self.is_urgent = true;
        true
    }

    /// Clears the faults of every scope that `registry` no longer has: a key that comes back
    /// later starts afresh. Its counts stay in memory, but are no longer kept.
    pub(crate) fn keep_only(&mut self, registry: &Registry) {
        self.lacks.clear();
        self.sizes = Sizes::default();
        let mut cells = vec![false; self.cells.len()];
        let mut usages = vec![false; self.usages.len()];
        let mut tallies = vec![false; self.tallies.len()];
        for provider in registry.providers() {
            for slot in provider.key_scopes.iter().chain([&provider.scope]) {
                cells[slot.0] = true;
            }
            tallies[provider.slot.0] = true;
        }
        for deployment in registry.deployments() {
            for slot in deployment.scopes.all() {
                cells[slot.0] = true;
            }
            for slot in deployment.usages() {
                usages[slot.0] = true;
            }
        }
        self.cells.keep_only(&cells, Cell::reset);
        self.usages.keep_only(&usages, |_| ());
        self.tallies.keep_only(&tallies, |_| ());
    }

    fn scope(&mut self, kind: KeptKind, provider: &str, key: &str, model: &str) -> ScopeSlot {
        ScopeSlot(self.cells.slot(KeptIdentity::new(kind, provider, key, model)))
    }

    pub(crate) fn provider_scope(&mut self, provider: &str) -> ScopeSlot {
        self.scope(KeptKind::Provider, provider, "", "")
    }

    pub(crate) fn key_scope(&mut self, provider: &str, key: &str) -> ScopeSlot {
        self.scope(KeptKind::Key, provider, key, "")
    }

    pub(crate) fn scopes(&mut self, provider: &str, key: &str, model: &str) -> Scopes {
        // OpenRouter's `:free` is such a class: one counter for all models that end so.
        let class = model.rfind(':').map(|colon| &model[colon..]);
        Scopes {
            provider: self.provider_scope(provider),
            key: self.key_scope(provider, key),
            model: self.scope(KeptKind::Model, provider, "", model),
            class: class.map(|class| self.scope(KeptKind::Class, provider, key, class)),
            deployment: self.scope(KeptKind::Deployment, provider, key, model),
        }
    }

    /// The use of one key with one model, within its own limits.
    pub(crate) fn usage_slot(
        &mut self,
        provider: &str,
        key: &str,
        model: &str,
        limits: &Limits,
    ) -> UsageSlot {
        self.limited(KeptIdentity::new(KeptKind::Use, provider, key, model), limits)
    }

    /// The use of one key by all its models, within the limits that they share.
    pub(crate) fn key_usage_slot(
        &mut self,
        provider: &str,
        key: &str,
        limits: &Limits,
    ) -> UsageSlot {
        self.limited(KeptIdentity::new(KeptKind::UseOfKey, provider, key, ""), limits)
    }

    /// The use of one key by all its models that end alike, within the limits that they share.
    pub(crate) fn class_usage_slot(
        &mut self,
        provider: &str,
        key: &str,
        class: &str,
        limits: &Limits,
    ) -> UsageSlot {
        self.limited(KeptIdentity::new(KeptKind::UseOfClass, provider, key, class), limits)
    }

    fn limited(&mut self, identity: KeptIdentity, limits: &Limits) -> UsageSlot {
        let slot = self.usages.slot(identity);
        if self.usages.get(slot).has_other_limits(limits) {
            self.usages.get_mut(slot).set_limits(limits);
        }
        UsageSlot(slot)
    }

    pub(crate) fn provider_slot(&mut self, provider: &str) -> ProviderSlot {
        ProviderSlot(self.tallies.slot(KeptIdentity::new(KeptKind::Tally, provider, "", "")))
    }

    pub(crate) fn cell(&self, slot: ScopeSlot) -> &Cell {
        self.cells.get(slot.0)
    }

    pub(crate) fn cell_mut(&mut self, slot: ScopeSlot) -> &mut Cell {
        self.cells.get_mut(slot.0)
    }

    pub(crate) fn usage(&self, slot: UsageSlot) -> &Usage {
        self.usages.get(slot.0)
    }

    pub(crate) fn usage_mut(&mut self, slot: UsageSlot) -> &mut Usage {
        self.usages.get_mut(slot.0)
    }

    pub(crate) fn tally(&self, slot: ProviderSlot) -> &ProviderTally {
        self.tallies.get(slot.0)
    }

    pub(crate) fn tally_mut(&mut self, slot: ProviderSlot) -> &mut ProviderTally {
        self.tallies.get_mut(slot.0)
    }
}
