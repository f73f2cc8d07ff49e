//! Everything that changes: the cooldowns, counts and budgets of all scopes.
//!
//! Cells are found by identity (provider name, key fingerprint, model) and never move, so a
//! request that began before a reload still settles into the right one, and a provider that
//! keeps its name keeps its counters.

use std::collections::HashMap;

use crate::Timestamp;
use crate::calendar::{Day, DayStart};
use crate::cell::Cell;
use crate::registry::{Limits, Registry, Scopes};
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

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Identity {
    Provider(String),
    Key(String, String),
    Model(String, String),
    Class(String, String, String),
    Deployment(String, String, String),
}

impl Identity {
    fn provider(&self) -> &str {
        match self {
            Self::Provider(name)
            | Self::Key(name, _)
            | Self::Model(name, _)
            | Self::Class(name, ..)
            | Self::Deployment(name, ..) => name,
        }
    }
}

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
    pub(crate) turn: usize,
}

/// The newest error of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When it was seen.
    pub at: Timestamp,
    /// What was seen, in the provider's words.
    pub text: String,
}

/// Everything that changes.
#[derive(Debug)]
pub struct Ledger {
    cells: Vec<Cell>,
    cell_index: HashMap<Identity, usize>,
    usages: Vec<Usage>,
    usage_index: HashMap<Identity, usize>,
    providers: Vec<ProviderTally>,
    provider_index: HashMap<String, usize>,
    local_day: DayStart,
    today: Day,
}

impl Ledger {
    /// An empty ledger whose days begin at `local_day`.
    pub fn new(local_day: DayStart, now: Timestamp) -> Self {
        let today = local_day.day_at(now);
        Self {
            cells: Vec::new(),
            cell_index: HashMap::new(),
            usages: Vec::new(),
            usage_index: HashMap::new(),
            providers: Vec::new(),
            provider_index: HashMap::new(),
            local_day,
            today,
        }
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
        for tally in &mut self.providers {
            (tally.requests, tally.tokens, tally.successes) = (0, 0, 0);
            tally.estimated_tokens = 0;
        }
        for usage in &mut self.usages {
            usage.begin_day();
        }
    }

    /// Changes when a day of the counters begins; today's counts stay.
    pub fn set_local_day(&mut self, local_day: DayStart, now: Timestamp) {
        if local_day != self.local_day {
            self.today.ends = local_day.next_after(now);
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
        let mut found = false;
        for (identity, &slot) in &self.cell_index {
            if provider.is_none_or(|name| identity.provider() == name) {
                self.cells[slot].reset();
                found = true;
            }
        }
        for (identity, &slot) in &self.usage_index {
            if provider.is_none_or(|name| identity.provider() == name) {
                self.usages[slot].forget_learned();
            }
        }
        for (name, &slot) in &self.provider_index {
            if provider.is_none_or(|wanted| name == wanted) {
                self.providers[slot].consecutive_errors = 0;
                self.providers[slot].last_error = None;
            }
        }
        found
    }

    /// Switches a provider off or on by a person's wish. Returns whether it is known.
    pub fn set_disabled(&mut self, provider: &str, disabled: bool) -> bool {
        let Some(&slot) = self.provider_index.get(provider) else {
            return false;
        };
        self.providers[slot].disabled = disabled;
        true
    }

    /// Clears the faults of every scope that `registry` no longer has: a key that comes back
    /// later starts afresh.
    pub(crate) fn keep_only(&mut self, registry: &Registry) {
        let mut kept = vec![false; self.cells.len()];
        for provider in registry.providers() {
            for slot in provider.key_scopes.iter().chain([&provider.scope]) {
                kept[slot.0] = true;
            }
        }
        for deployment in registry.deployments() {
            for slot in deployment.scopes.all() {
                kept[slot.0] = true;
            }
        }
        for (cell, kept) in self.cells.iter_mut().zip(kept) {
            if !kept {
                cell.reset();
            }
        }
    }

    fn scope(&mut self, identity: Identity) -> ScopeSlot {
        let cells = &mut self.cells;
        ScopeSlot(*self.cell_index.entry(identity).or_insert_with(|| {
            cells.push(Cell::default());
            cells.len() - 1
        }))
    }

    pub(crate) fn provider_scope(&mut self, provider: &str) -> ScopeSlot {
        self.scope(Identity::Provider(provider.to_owned()))
    }

    pub(crate) fn key_scope(&mut self, provider: &str, key: &str) -> ScopeSlot {
        self.scope(Identity::Key(provider.to_owned(), key.to_owned()))
    }

    pub(crate) fn scopes(&mut self, provider: &str, key: &str, model: &str) -> Scopes {
        let (name, key, model) = (provider.to_owned(), key.to_owned(), model.to_owned());
        // OpenRouter's `:free` is such a class: one counter for all models that end so.
        let class = model.rfind(':').map(|colon| model[colon..].to_owned());
        Scopes {
            provider: self.provider_scope(provider),
            key: self.key_scope(provider, &key),
            model: self.scope(Identity::Model(name.clone(), model.clone())),
            class: class.map(|class| self.scope(Identity::Class(name.clone(), key.clone(), class))),
            deployment: self.scope(Identity::Deployment(name, key, model)),
        }
    }

    pub(crate) fn usage_slot(
        &mut self,
        provider: &str,
        key: &str,
        model: &str,
        limits: &Limits,
    ) -> UsageSlot {
        let identity = Identity::Deployment(provider.to_owned(), key.to_owned(), model.to_owned());
        let usages = &mut self.usages;
        let slot = *self.usage_index.entry(identity).or_insert_with(|| {
            usages.push(Usage::default());
            usages.len() - 1
        });
        self.usages[slot].set_limits(limits);
        UsageSlot(slot)
    }

    pub(crate) fn provider_slot(&mut self, provider: &str) -> ProviderSlot {
        let providers = &mut self.providers;
        ProviderSlot(*self.provider_index.entry(provider.to_owned()).or_insert_with(|| {
            providers.push(ProviderTally::default());
            providers.len() - 1
        }))
    }

    pub(crate) fn cell(&self, slot: ScopeSlot) -> &Cell {
        &self.cells[slot.0]
    }

    pub(crate) fn cell_mut(&mut self, slot: ScopeSlot) -> &mut Cell {
        &mut self.cells[slot.0]
    }

    pub(crate) fn usage(&self, slot: UsageSlot) -> &Usage {
        &self.usages[slot.0]
    }

    pub(crate) fn usage_mut(&mut self, slot: UsageSlot) -> &mut Usage {
        &mut self.usages[slot.0]
    }

    pub(crate) fn tally(&self, slot: ProviderSlot) -> &ProviderTally {
        &self.providers[slot.0]
    }

    pub(crate) fn tally_mut(&mut self, slot: ProviderSlot) -> &mut ProviderTally {
        &mut self.providers[slot.0]
    }
}
