//! The running program's shared state, and the one place where the rules' ledger is locked.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwap;
use engine::{DayStart, Lease, Ledger, Timestamp};
use jiff::tz::TimeZone;
use settings::Settings;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::lock::lock;
use crate::memory::{Left, Memory};
use crate::observe::log::Log;
use crate::observe::metrics::Metrics;
#[cfg(feature = "otlp")]
use crate::observe::traces::Traces;
use crate::refused::Refused;
use crate::source::{Source, tell};
use crate::world::World;

/// Pages and programs that may watch at once.
const MOST_WATCHERS: usize = 32;

/// The running program's shared state.
#[derive(Debug)]
pub struct App {
    started: Timestamp,
    source: Source,
    pub(crate) clock: Arc<Clock>,
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    #[cfg(feature = "otlp")]
    pub(crate) traces: Option<Traces>,
    pub(crate) tasks: TaskTracker,
    /// Told whenever something may have opened: a probe that ended, a reset, a reload.
    pub(crate) news: Notify,
    /// Cancelled when streams must end, since the process does.
    pub(crate) ending: CancellationToken,
    world: ArcSwap<World>,
    ledger: Mutex<Ledger>,
    pub(crate) refused: Refused,
    pub(crate) memory: Memory,
    /// How many requests were remembered.
    records: AtomicI64,
    /// Seats for those who watch.
    pub(crate) watchers: Arc<Semaphore>,
    /// Cancelled when the process begins to stop.
    pub(crate) stopping: CancellationToken,
    /// Models chosen from a provider's own list.
    pub(crate) discovered: Mutex<HashMap<String, String>>,
    /// What was wrong with the configuration that was read last.
    not_taken: Mutex<Option<String>>,
}

impl App {
    /// Makes the state from a configuration.
    pub(crate) fn new(
        settings: Settings,
        source: Source,
        clock: Arc<Clock>,
        log: Log,
        (memory, left): (Memory, Left),
    ) -> Result<Arc<Self>, String> {
        let now = clock.now();
        let mut ledger = Ledger::new(local_day(&settings), now);
        ledger.restore(left.ledger, now);
        let refused = Refused::default();
        refused.restore(left.refused);
        let world = World::new(settings, &mut ledger, None)?;
        let app = Arc::new(Self {
            started: now,
            source,
            clock,
            #[cfg(feature = "otlp")]
            traces: Traces::begin(&log),
            log,
            metrics: Metrics::default(),
            tasks: TaskTracker::new(),
            news: Notify::new(),
            ending: CancellationToken::new(),
            world: ArcSwap::from_pointee(world),
            ledger: Mutex::new(ledger),
            refused,
            memory,
            records: AtomicI64::new(0),
            watchers: Arc::new(Semaphore::new(MOST_WATCHERS)),
            stopping: CancellationToken::new(),
            discovered: Mutex::default(),
            not_taken: Mutex::default(),
        });
        app.memory.start(&app);
        app.forget_refused(|provider| !app.is_known(provider));
        Ok(app)
    }

    pub(crate) fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Locks the ledger: for a moment, and never across an await. What changes is kept.
    pub(crate) fn ledger(&self) -> LedgerGuard<'_> {
        LedgerGuard { ledger: lock(&self.ledger), memory: &self.memory }
    }

    /// Locks the ledger for the memory itself.
    pub(crate) fn ledger_to_keep(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// A number for a request that arrived at `then`: later ones have larger numbers, also after a
    /// restart, and JSON can hold them exactly.
    pub(crate) fn next_record(&self, then: Timestamp) -> i64 {
        let next = self.records.fetch_add(1, Ordering::Relaxed) % 1000;
        then.as_millis().saturating_mul(1000).saturating_add(next)
    }

    /// Keeps a request that has ended.
    pub(crate) fn remember(&self, record: store::Record, world: &World) {
        self.memory.record(record, || world.zone());
    }

    /// Why the configuration that was read last was not taken.
    pub(crate) fn not_taken(&self) -> Option<String> {
        lock(&self.not_taken).clone()
    }

    /// The configuration's file, if there is one.
    pub(crate) fn config_file(&self) -> Option<&std::path::Path> {
        self.source.file()
    }

    /// Swaps a new configuration in. Requests in flight finish with the old one; counters,
    /// cooldowns and parked marks stay with the providers that keep their names.
    pub(crate) fn adopt(&self, settings: Settings) -> Result<usize, String> {
        let before = self.world();
        let mut ledger = self.ledger();
        let day = local_day(&settings);
        let world = World::new(settings, &mut ledger, Some(&before))?;
        ledger.set_local_day(day, self.clock.now());
        let loaded = world.registry.providers().len();
        self.world.store(Arc::new(world));
        drop(ledger);
        lock(&self.discovered).clear();
        self.forget_refused(|provider| !self.is_known(provider));
        self.news.notify_waiters();
        Ok(loaded)
    }

    /// Reads the configuration anew and swaps it in; a bad one changes nothing.
    pub(crate) fn reload(&self) -> Result<usize, Vec<String>> {
        let loaded = self.read_and_adopt().inspect_err(|problems| {
            let told = problems.join("; ");
            self.log.error(format_args!("The configuration stays as it was: {told}"));
            *lock(&self.not_taken) = Some(told);
        })?;
        *lock(&self.not_taken) = None;
        self.log.info(format_args!("Configuration reloaded: {loaded} providers"));
        Ok(loaded)
    }

    fn read_and_adopt(&self) -> Result<usize, Vec<String>> {
        let settings = self.source.read()?;
        tell(&settings, &self.log);
        self.adopt(settings).map_err(|problem| vec![problem])
    }

    /// Forgets cooldowns, parked marks and refused parameters of one provider, or of all.
    pub(crate) fn reset(&self, provider: Option<&str>) {
        self.ledger().reset(provider);
        self.forget_refused(|name| provider.is_none_or(|provider| provider == name));
        self.log.info(format_args!("Reset by a person: {}", provider.unwrap_or("all providers")));
        self.news.notify_waiters();
    }

    fn forget_refused(&self, is_meant: impl Fn(&str) -> bool) {
        if self.refused.forget(is_meant) {
            self.memory.touch();
        }
    }

    /// Switches a provider off or on.
    pub(crate) fn set_disabled(&self, provider: &str, disabled: bool) {
        self.ledger().set_disabled(provider, disabled);
        let what = if disabled { "off" } else { "on" };
        self.log.info(format_args!("{provider}: switched {what} by a person"));
        self.news.notify_waiters();
    }

    pub(crate) fn is_known(&self, provider: &str) -> bool {
        self.world().registry.provider_named(provider).is_some()
    }

    /// What to say of a provider that is not there.
    pub(crate) fn unknown_provider(&self, name: &str) -> String {
        let world = self.world();
        let names = world.registry.providers().iter().map(|provider| provider.spec.name.as_str());
        let near = names
            .map(|known| (strsim::damerau_levenshtein(known, name), known))
            .min()
            .filter(|(distance, _)| *distance <= 3)
            .map(|(_, known)| format!(" (did you mean {known:?}?)"));
        let shown: String = world.shown_name(name).chars().take(100).collect();
        format!("there is no provider {shown:?}{}", near.unwrap_or_default())
    }

    /// Seconds since the epoch at which the process started.
    pub(crate) const fn started_at(&self) -> i64 {
        self.started.as_millis() / 1000
    }
}

/// The locked ledger. When it is let go, the memory is told that there is something to keep.
pub(crate) struct LedgerGuard<'a> {
    ledger: MutexGuard<'a, Ledger>,
    memory: &'a Memory,
}

impl Deref for LedgerGuard<'_> {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

impl DerefMut for LedgerGuard<'_> {
    fn deref_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }
}

impl Drop for LedgerGuard<'_> {
    fn drop(&mut self) {
        if self.ledger.wants_saving_at_once() {
            self.memory.urgent();
        } else if self.ledger.is_changed() {
            self.memory.touch();
        }
    }
}

fn local_day(settings: &Settings) -> DayStart {
    DayStart::midnight(settings.server.timezone.clone().unwrap_or_else(TimeZone::system))
}

/// A lease that settles itself when the request is dropped: a client that leaves blames nobody,
/// and frees what it held.
#[derive(Debug)]
pub(crate) struct Held {
    app: Arc<App>,
    world: Arc<World>,
    lease: Option<Lease>,
}

impl Held {
    pub(crate) fn new(app: &Arc<App>, world: &Arc<World>, lease: Lease) -> Self {
        Self { app: Arc::clone(app), world: Arc::clone(world), lease: Some(lease) }
    }

    /// Hands the lease to the rotation, which settles it.
    pub(crate) fn take(mut self) -> Option<Lease> {
        self.lease.take()
    }

    /// The deployment that it is for.
    pub(crate) fn deployment(&self) -> usize {
        self.lease.as_ref().map_or(usize::MAX, |lease| lease.deployment)
    }

    /// The provider has begun to answer.
    pub(crate) fn answered(&mut self, budgets: &[engine::Budget], is_stream: bool) {
        let now = self.app.clock.now();
        if let Some(lease) = &mut self.lease {
            let was_probe = lease.is_probe();
            let mut ledger = self.app.ledger();
            if is_stream {
                ledger.first_word(&self.world.registry, lease, now);
            }
            ledger.answer(&self.world.registry, lease, now);
            if !is_stream {
                ledger.came_whole(&self.world.registry, lease);
            }
            ledger.learn(&self.world.registry, lease, budgets, None);
            drop(ledger);
            if was_probe {
                self.app.news.notify_waiters();
            }
        }
    }

    /// A stream has come to its end.
    pub(crate) fn came_whole(&self) {
        if let Some(lease) = &self.lease {
            self.app.ledger().came_whole(&self.world.registry, lease);
        }
    }

    /// Takes what a failed reply's headers and its time said of the provider's limits.
    pub(crate) fn learn(&self, budgets: &[engine::Budget], fault: &engine::Fault) {
        let Some(lease) = &self.lease else { return };
        let refused_until = fault.stated_end();
        if !budgets.is_empty() || refused_until.is_some() {
            self.app.ledger().learn(&self.world.registry, lease, budgets, refused_until);
        }
    }

    /// Takes how many requests a refusal says are taken in a window.
    pub(crate) fn learn_ceiling(
        &self,
        ceiling: engine::Ceiling,
        back_at: Option<engine::Timestamp>,
    ) {
        if let Some(lease) = &self.lease {
            let now = self.app.clock.now();
            let mut ledger = self.app.ledger();
            ledger.learn_ceiling(&self.world.registry, lease, ceiling, back_at, now);
        }
    }

    /// Takes the largest size that a refusal says is taken.
    pub(crate) fn learn_size(&self, size: engine::StatedSize) {
        if let Some(lease) = &self.lease {
            let now = self.app.clock.now();
            self.app.ledger().learn_stated_size(&self.world.registry, lease, size, now);
        }
    }

    /// The answer is over.
    pub(crate) fn finished(mut self, tokens: Option<u64>) {
        if let Some(mut lease) = self.lease.take() {
            self.app.ledger().finish(&self.world.registry, &mut lease, tokens);
            self.app.news.notify_waiters();
        }
    }

    /// The answer is over, and nobody counted its tokens.
    pub(crate) fn finished_uncounted(mut self, estimate: u64) {
        if let Some(mut lease) = self.lease.take() {
            self.app.ledger().finish_estimated(&self.world.registry, &mut lease, estimate);
            self.app.news.notify_waiters();
        }
    }

    /// The answer broke off after it had begun; what it used is still to be told. Whether that
    /// began a cooldown.
    pub(crate) fn broken(&mut self, fault: &engine::Fault) -> bool {
        let now = self.app.clock.now();
        let Some(lease) = &mut self.lease else { return false };
        let mut ledger = self.app.ledger();
        let before = ledger.cooldowns_begun();
        ledger.break_off(&self.world.registry, lease, fault, &self.world.patience, now);
        ledger.cooldowns_begun() > before
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut lease) = self.lease.take() {
            self.app.ledger().abandon(&self.world.registry, &mut lease);
            self.app.news.notify_waiters();
        }
    }
}
