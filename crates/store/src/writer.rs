//! The thread that owns the file.
//!
//! It sleeps until somebody touches the store, gathers for 50 ms, asks what changed and writes
//! all of it in one transaction. It wakes by itself only to sync what it wrote, to go on pruning
//! or to try again after a failure; with nothing to do it does not wake at all.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::clock;
use crate::database::{Batch, Database, Unfit};
use crate::folder::{self, Claim};
use crate::opening::{self, Place};
use crate::options::{Mode, Note, Unanswered};
use crate::pace::{self, Syncs};
use crate::prune::{Bounds, Pruning};
use crate::record::{Kept, Record};
use crate::shared::{Question, Shared};
use crate::usage::Tallies;

/// Most changes that are held while nothing can be written; beyond it everything is asked for.
const MOST_UNSAVED: usize = 10_000;

/// Who is asked for what changed; called on the store's own thread.
pub trait Source: Send {
    /// What changed since the last call. Must be quick.
    fn changes(&mut self) -> Vec<Kept>;
    /// Everything, for a file that has to be written anew.
    fn everything(&mut self) -> Vec<Kept>;
}

/// Why the thread woke.
enum Wake {
    Stop,
    Answer,
    Save,
    Sync,
    Prune,
}

/// What the thread works with.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    source: Box<dyn Source>,
    tell: Box<dyn Fn(Note) + Send>,
    holder: String,
    place: Place,
    records: Vec<Record>,
    dropped: Tallies,
    unsaved: Vec<Kept>,
    /// Whether the file has to be written anew from everything.
    anew: bool,
    syncs: Syncs,
    pruning: Pruning,
    window: Option<Instant>,
    failures: u32,
    retry: Option<Instant>,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        source: Box<dyn Source>,
        tell: Box<dyn Fn(Note) + Send>,
        holder: String,
        place: Place,
        bounds: Bounds,
    ) -> Self {
        Self {
            shared,
            source,
            tell,
            holder,
            place,
            records: Vec::new(),
            dropped: Tallies::default(),
            unsaved: Vec::new(),
            anew: false,
            syncs: Syncs::default(),
            pruning: Pruning::new(bounds),
            window: None,
            failures: 0,
            retry: None,
        }
    }

    /// Works until it is told to stop.
    pub(crate) fn run(mut self) {
        loop {
            match self.wait() {
                Wake::Stop => break,
                Wake::Answer => self.answer(),
                Wake::Save => {
                    let urgent = self.shared.is_urgent();
                    self.save(urgent);
                }
                Wake::Sync => self.sync(),
                Wake::Prune => self.prune(),
            }
        }
        self.save(true);
        for question in self.shared.take_questions() {
            self.reply(question);
        }
        if let Some(database) = self.place.database.take() {
            database.close();
        }
    }

    fn wait(&mut self) -> Wake {
        loop {
            if self.shared.is_stopping() {
                return Wake::Stop;
            }
            let now = clock::instant();
            if let Some(wake) = self.ready(now) {
                return wake;
            }
            let next = [self.window, self.retry, self.syncs.due()].into_iter().flatten().min();
            match next {
                Some(next) => thread::park_timeout(next.saturating_duration_since(now)),
                None => thread::park(),
            }
        }
    }

    /// What is to be done at `now`, if anything.
    fn ready(&mut self, now: Instant) -> Option<Wake> {
        if self.shared.has_questions() {
            return Some(Wake::Answer);
        }
        if let Some(retry) = self.retry {
            return (now >= retry).then_some(Wake::Save);
        }
        if self.shared.is_touched() || self.shared.is_urgent() {
            self.shared.begin_wait();
            let window = *self.window.get_or_insert(now + pace::GATHER);
            if now >= window || self.shared.is_urgent() {
                return Some(Wake::Save);
            }
        }
        if self.pruning.busy() {
            return Some(Wake::Prune);
        }
        self.syncs.due().filter(|due| now >= *due).map(|_| Wake::Sync)
    }

    /// Gathers what there is and writes it; what cannot be written stays here.
    fn save(&mut self, urgent: bool) {
        self.window = None;
        let urgent = self.shared.take_flags() || urgent;
        self.gather();
        let mut outcome = self.write(urgent);
        if let Err(Unfit::Damaged(_)) = &outcome {
            outcome = self.begin_anew(outcome).and_then(|()| self.write(urgent));
        }
        match outcome {
            Ok(()) => self.saved(),
            Err(unfit) => self.failed(&unfit),
        }
    }

    fn gather(&mut self) {
        // After a failure the queue is left to fill up, so that memory stays bounded.
        if self.records.is_empty() {
            let inbox = self.shared.take_inbox();
            self.records = inbox.records.into();
            self.dropped.absorb(inbox.dropped);
        }
        self.unsaved.extend(self.source.changes());
        self.anew |= self.unsaved.len() > MOST_UNSAVED;
        if self.anew {
            self.unsaved = self.source.everything();
        }
    }

    fn write(&mut self, urgent: bool) -> Result<(), Unfit> {
        let now = clock::instant();
        let nothing = self.records.is_empty()
            && self.unsaved.is_empty()
            && self.dropped.is_empty()
            && !self.anew;
        if nothing {
            if urgent && self.syncs.due().is_some() {
                self.sync();
            }
            return Ok(());
        }
        let synced = self.syncs.wanted(now, urgent);
        if self.place.database.is_none() {
            self.reopen()?;
        }
        let Some(database) = &mut self.place.database else {
            return Err(Unfit::Unusable("there is no memory for it".to_owned()));
        };
        database.save(&Batch {
            kept: &self.unsaved,
            anew: self.anew,
            records: &self.records,
            dropped: &self.dropped,
            now: clock::wall(),
            synced,
        })?;
        self.syncs.committed(now, synced);
        self.records.clear();
        self.unsaved.clear();
        self.dropped = Tallies::default();
        self.anew = false;
        self.look(now)
    }

    /// Looks after a save whether something has to be pruned, and whether the file is there.
    fn look(&mut self, now: Instant) -> Result<(), Unfit> {
        let Some(database) = &self.place.database else { return Ok(()) };
        let minute = self.pruning.look(database.connection(), now)?;
        if minute && self.place.path.as_ref().is_some_and(|path| !path.exists()) {
            self.place.database = None;
            self.anew = true;
            self.shared.touch();
        }
        Ok(())
    }

    fn saved(&mut self) {
        if self.failures > 0 {
            (self.tell)(Note::info(format!("saving to {} works again", self.shown())));
        }
        self.failures = 0;
        self.retry = None;
        self.shared.settled(None, self.bytes());
    }

    fn failed(&mut self, unfit: &Unfit) {
        let error = match unfit {
            Unfit::Unusable(error) => error.clone(),
            Unfit::Damaged(_) | Unfit::Foreign | Unfit::Newer => format!("the file {unfit}"),
        };
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            (self.tell)(Note::warning(format!(
                "cannot save to {}: {error}; changes are kept in memory and saving is tried again",
                self.shown()
            )));
        }
        self.retry = Some(clock::instant() + pace::pause(self.failures));
        self.shared.settled(Some(error), self.bytes());
    }

    /// Sets the damaged file aside; the new one gets everything.
    fn begin_anew(&mut self, outcome: Result<(), Unfit>) -> Result<(), Unfit> {
        let (Some(path), Err(why)) = (self.place.path.clone(), &outcome) else { return outcome };
        self.place.database = None;
        let mut notes = Vec::new();
        let renewed = opening::renew(&path, why, self.pruning.most_bytes(), &mut notes);
        notes.into_iter().for_each(&self.tell);
        self.anew = true;
        self.unsaved = self.source.everything();
        self.place.database = Some(renewed.map_err(Unfit::Unusable)?.0);
        Ok(())
    }

    /// Opens the file again after it was lost, folder and all.
    fn reopen(&mut self) -> Result<(), Unfit> {
        let Some((path, directory)) =
            self.place.path.as_ref().and_then(|path| Some((path.clone(), path.parent()?)))
        else {
            self.place.database = Some(Database::in_memory()?);
            return Ok(());
        };
        self.place.lock = None;
        match folder::claim(directory, &self.holder) {
            Ok(Claim::Ours(lock)) => self.place.lock = Some(lock),
            Ok(Claim::Taken(by)) => return Err(Unfit::Unusable(format!("in use by {by}"))),
            Err(error) => return Err(Unfit::Unusable(error.to_string())),
        }
        let mut notes = Vec::new();
        let opened = opening::open_or_renew(&path, self.pruning.most_bytes(), &mut notes);
        notes.into_iter().for_each(&self.tell);
        self.place.database = Some(opened.map_err(Unfit::Unusable)?.0);
        Ok(())
    }

    fn sync(&mut self) {
        let result = self.place.database.as_ref().map_or(Ok(()), Database::sync);
        if result.is_ok() {
            self.syncs.committed(clock::instant(), true);
        } else {
            // The next commit is synced in its stead.
            self.syncs = Syncs::default();
        }
    }

    fn prune(&mut self) {
        let Some(database) = &self.place.database else { return };
        if self.pruning.step(database.connection(), clock::wall()).is_err() {
            // A file that cannot be pruned cannot be written either; the next save says so.
            self.pruning.give_up();
        }
    }

    fn answer(&mut self) {
        let questions = self.shared.take_questions();
        if self.retry.is_none() && self.shared.is_touched() {
            self.save(false);
        }
        // Those that come meanwhile wait for the next round, which saves first.
        for question in questions {
            self.reply(question);
        }
    }

    fn reply(&self, question: Question) {
        let Some(database) = &self.place.database else {
            return question.refuse("the file cannot be opened");
        };
        let refusal = |error: rusqlite::Error| Unanswered(error.to_string());
        match question {
            Question::Recent(limit, reply) => {
                let mut newest = self.shared.newest(limit);
                newest.extend(self.records.iter().rev().cloned());
                newest.truncate(limit);
                let saved = database.recent(limit - newest.len()).map_err(refusal);
                reply(saved.map(|saved| {
                    newest.extend(saved);
                    newest
                }));
            }
            Question::Usage(query, reply) => reply(database.usage(&query).map_err(refusal)),
        }
    }

    fn shown(&self) -> String {
        self.place
            .path
            .as_ref()
            .map_or_else(|| "memory".to_owned(), |path| path.display().to_string())
    }

    fn bytes(&self) -> u64 {
        let path: Option<&PathBuf> = self.place.path.as_ref();
        path.filter(|_| self.place.mode == Mode::File).map_or(0, |path| folder::bytes(path))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.place.lock = None;
        if thread::panicking() {
            self.shared.settled(Some("the thread that writes has broken".to_owned()), 0);
        }
        self.shared.ended();
    }
}
