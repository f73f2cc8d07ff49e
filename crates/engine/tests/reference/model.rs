//! The rules once more, naive: everything is kept for ever in plain lists and searched anew.

use engine::{FaultKind, Limits, Needs, Patience, ProviderSpec, Remedy, Scope};

#[path = "walk.rs"]
mod walk;

use super::common::{HOUR, MINUTE, SECOND};
use super::rules::{Aside, Goes, aside, goes, is_limit, is_own, scope_of};

const FOREVER: i64 = i64::MAX;

/// One way out.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) provider: String,
    pub(crate) key: String,
    pub(crate) model: String,
    limits: Limits,
    paid: bool,
}

impl Door {
    fn name(&self) -> String {
        format!("{}/{}/{}", self.provider, self.key, self.model)
    }

    /// All that a fault of this door may concern.
    fn places(&self) -> Vec<String> {
        let scopes = [
            Scope::Provider,
            Scope::Key,
            Scope::Model,
            Scope::ModelClass(String::new()),
            Scope::Deployment,
        ];
        let mut places: Vec<_> = scopes.iter().filter_map(|scope| scope_of(self, scope)).collect();
        places.dedup();
        places
    }
}

#[derive(Debug, Clone)]
struct Shut {
    until: i64,
    kind: FaultKind,
    guessed: bool,
    since: i64,
}

#[derive(Debug, Clone, Default)]
struct Memory {
    shut: Option<Shut>,
    guesses: u32,
    faults: u32,
    /// Steps of opening again, and when the newest trial began.
    steps: u32,
    newest: i64,
}

/// One attempt that was ever sent.
#[derive(Debug)]
struct Sent {
    door: Door,
    at: i64,
    /// What the request itself seemed to need.
    estimated: u64,
    tokens: u64,
    under_way: bool,
    probes: Vec<String>,
    /// Whether one of them is of a guess.
    doubtful: bool,
}

/// What a provider said is left.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) door: String,
    pub(super) amount: u64,
    until: i64,
    /// When the request began that was told so, and which it is.
    asked: i64,
    by: usize,
    /// The first attempt that was sent after it.
    next: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    count: u32,
    repeated: bool,
    repairs: u32,
    spent: bool,
}

#[derive(Debug)]
struct Journey {
    chain: Vec<Door>,
    tries: Vec<Tries>,
    tried: Vec<FaultKind>,
    /// Providers that found the request doubtful.
    doubters: Vec<String>,
    needs: Needs,
    deadline: i64,
    waited: i64,
    waiting_since: Option<i64>,
    /// The door that is being tried, and the attempt.
    trying: Option<(usize, usize)>,
}

/// What keeps a door shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Off,
    Paid,
    Fault { kind: FaultKind, guessed: bool },
    Limit,
    Busy,
    Probing,
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    HalfOpen,
    Closed(Cause, Option<i64>),
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) now: i64,
    pub(crate) patience: Patience,
    providers: Vec<ProviderSpec>,
    memories: Vec<(String, Memory)>,
    sent: Vec<Sent>,
    left: Vec<Left>,
    /// Door, estimated and really used.
    reports: Vec<(String, u64, u64)>,
    off: Vec<String>,
    known: Vec<String>,
    journeys: Vec<Journey>,
}

impl Model {
    pub(crate) fn load(&mut self, providers: Vec<ProviderSpec>) {
        self.known.extend(providers.iter().map(|p| p.name.clone()));
        self.providers = providers;
        let mut places: Vec<String> = self.doors().iter().flat_map(Door::places).collect();
        places.sort();
        self.memories.retain(|(place, _)| places.binary_search(place).is_ok());
    }

    fn doors(&self) -> Vec<Door> {
        let mut doors = Vec::new();
        for spec in &self.providers {
            for model in &spec.models {
                for key in &spec.keys {
                    doors.push(Door {
                        provider: spec.name.clone(),
                        key: key.clone(),
                        model: model.clone(),
                        limits: spec.limits.clone(),
                        paid: spec.paid,
                    });
                }
            }
        }
        doors
    }

    pub(crate) fn switch(&mut self, provider: &str, off: bool) {
        self.off.retain(|name| name != provider);
        if off && self.known.iter().any(|name| name == provider) {
            self.off.push(provider.to_owned());
        }
    }

    pub(crate) fn reset(&mut self, provider: &str) {
        let prefix = format!("{provider}/");
        self.memories.retain(|(place, _)| !place.starts_with(&prefix));
        self.left.retain(|left| !left.door.starts_with(&prefix));
    }

    /// How many try a place now.
    fn trials(&self, place: &String) -> usize {
        self.sent.iter().filter(|sent| sent.probes.contains(place)).count()
    }

    /// After its time is over: whether a place is open to one, or shut to all until when.
    fn turn(&self, place: &String) -> State {
        let memory = self.memory(place);
        let Some(shut) = memory.shut.as_ref().filter(|shut| shut.until <= self.now) else {
            return State::Open;
        };
        let trials = self.trials(place);
        let over = memory.newest + (shut.until - shut.since).min(SECOND);
        if shut.guessed {
            if trials == 0 { State::HalfOpen } else { State::Closed(Cause::Probing, None) }
        } else if memory.steps >= 4 {
            State::Open
        } else if trials < 1 << memory.steps || self.now >= over {
            State::HalfOpen
        } else {
            State::Closed(Cause::Probing, Some(over))
        }
    }

    pub(crate) fn begin(&mut self, needs: Needs, deadline: i64) {
        let chain = self.doors();
        self.journeys.push(Journey {
            tries: vec![Tries::default(); chain.len()],
            chain,
            tried: Vec::new(),
            doubters: Vec::new(),
            needs,
            deadline: self.now + deadline,
            waited: 0,
            waiting_since: None,
            trying: None,
        });
    }

    fn memory(&self, place: &str) -> Memory {
        let found = self.memories.iter().find(|(other, _)| other == place);
        found.map(|(_, memory)| memory.clone()).unwrap_or_default()
    }

    fn remember(&mut self, place: &str, memory: Memory) {
        self.memories.retain(|(other, _)| other != place);
        self.memories.push((place.to_owned(), memory));
    }

    fn state(&self, door: &Door, needs: &Needs) -> State {
        if self.off.contains(&door.provider) {
            return State::Closed(Cause::Off, None);
        }
        if needs.free_only && door.paid {
            return State::Closed(Cause::Paid, None);
        }
        let (mut half_open, mut probing) = (false, None::<Option<i64>>);
        let mut longest: Option<(i64, Cause)> = None;
        for place in door.places() {
            let Some(shut) = self.memory(&place).shut else {
                continue;
            };
            let (kind, guessed) = (shut.kind, shut.guessed);
            if self.now < shut.until || shut.until == FOREVER {
                if longest.is_none_or(|(until, _)| shut.until > until) {
                    longest = Some((shut.until, Cause::Fault { kind, guessed }));
                }
                continue;
            }
            match self.turn(&place) {
                State::HalfOpen => half_open = true,
                State::Closed(_, until) => {
                    let end = |until: Option<i64>| until.unwrap_or(FOREVER);
                    if probing.is_none_or(|other| end(until) > end(other)) {
                        probing = Some(until);
                    }
                }
                State::Open => {}
            }
        }
        if let Some(until) = self.limit_until(door, needs.tokens)
            && longest.is_none_or(|(other, _)| until > other)
        {
            longest = Some((until, Cause::Limit));
        }
        if let Some((until, cause)) = longest {
            return State::Closed(cause, (until != FOREVER).then_some(until));
        }
        let mine = |sent: &&Sent| sent.door.provider == door.provider && sent.door.key == door.key;
        let under_way = self.sent.iter().filter(|sent| sent.under_way);
        let busy = under_way.filter(mine).count() as u64;
        if door.limits.concurrent.is_some_and(|limit| busy >= limit) {
            return State::Closed(Cause::Busy, None);
        }
        if self.left.iter().any(|left| left.door == door.name() && self.is_claimed(left)) {
            return State::Closed(Cause::Busy, None);
        }
        if let Some(until) = probing {
            return State::Closed(Cause::Probing, until);
        }
        let holds = [door.limits.context, door.limits.tokens_per_minute];
        if holds.into_iter().flatten().any(|most| needs.tokens > most) {
            return State::Closed(Cause::TooLong, None);
        }
        if half_open { State::HalfOpen } else { State::Open }
    }

    /// What experience makes of an estimate: in a short history every report still counts.
    fn foreseen(&self, door: &Door, estimated: u64) -> u64 {
        let name = door.name();
        let reports: Vec<_> = self.reports.iter().filter(|(door, ..)| *door == name).collect();
        let shares = reports.iter().map(|(_, asked, used)| (used * 1_000).div_ceil(*asked.max(&1)));
        let on_top = reports.iter().map(|(_, asked, used)| used.saturating_sub(*asked));
        let (Some(share), Some(on_top)) = (shares.max(), on_top.max()) else {
            return estimated;
        };
        let by_share = (estimated.max(1) * share.max(250)).div_ceil(1_000);
        let likely = by_share.min(estimated + on_top);
        let most = (4 * estimated).max(estimated + 8_192);
        (likely + likely.div_ceil(100)).clamp(estimated, most)
    }

    /// When every declared limit, and what the provider said is left, lets the request through.
    fn limit_until(&self, door: &Door, tokens: u64) -> Option<i64> {
        let limits = &door.limits;
        let rolling = |bucket: i64, span: i64| move |at: i64| (at / bucket + 1) * bucket + span;
        let minute = rolling(SECOND, MINUTE);
        let day = |at: i64| match &limits.day {
            Some(start) => start.next_after(super::common::at(at)).as_millis(),
            None => rolling(5 * MINUTE, 24 * HOUR)(at),
        };
        // What no minute holds is passed over for that, unless nothing at all is left.
        let is_oversize = limits.tokens_per_minute.is_some_and(|limit| tokens > limit);
        let tokens = self.foreseen(door, tokens);
        let in_a_minute = if is_oversize { 1 } else { tokens };
        let mut latest = None;
        for (limit, wanted, requests, counts_until) in [
            (limits.requests_per_minute, 1, true, &minute as &dyn Fn(i64) -> i64),
            (limits.requests_per_day, 1, true, &day),
            (limits.tokens_per_minute, in_a_minute, false, &minute),
            (limits.tokens_per_day, tokens, false, &day),
        ] {
            let Some(limit) = limit else { continue };
            let wanted = wanted.min(limit).max(1);
            let mut moment = self.now;
            while self.used(door, moment, requests, counts_until) + wanted > limit {
                moment = self.next_end(door, moment, counts_until);
            }
            if moment > self.now {
                latest = latest.max(Some(moment));
            }
        }
        let spent = self
            .left
            .iter()
            .filter(|left| left.door == door.name() && left.amount == 0 && left.until > self.now);
        latest.max(spent.map(|left| left.until).max())
    }

    /// Whether all that is left may be used up by attempts that were under way already.
    fn is_claimed(&self, left: &Left) -> bool {
        let earlier = self.sent.iter().enumerate().take(left.next);
        let held = earlier.filter(|(index, sent)| {
            *index != left.by && sent.under_way && sent.door.name() == left.door
        });
        left.amount > 0 && left.until > self.now && held.count() as u64 >= left.amount
    }

    fn sent_by<'a>(&'a self, door: &Door) -> impl Iterator<Item = &'a Sent> {
        let name = door.name();
        self.sent.iter().filter(move |sent| sent.door.name() == name)
    }

    fn used(&self, door: &Door, now: i64, requests: bool, until: &dyn Fn(i64) -> i64) -> u64 {
        self.sent_by(door)
            .filter(|sent| until(sent.at) > now)
            .map(|sent| if requests { 1 } else { sent.tokens })
            .sum()
    }

    fn next_end(&self, door: &Door, now: i64, until: &dyn Fn(i64) -> i64) -> i64 {
        let ends = self.sent_by(door).map(|sent| until(sent.at));
        ends.filter(|end| *end > now).min().unwrap()
    }

    pub(crate) fn answer(&mut self, number: usize, tokens: Option<u64>, left: Option<(u64, i64)>) {
        let (_, sent) = self.journeys[number].trying.take().unwrap();
        let (door, started) = (self.sent[sent].door.clone(), self.sent[sent].at);
        if let Some((left, wait)) = left {
            let known = self.left.iter().position(|known| known.door == door.name());
            let known = known.map(|index| self.left.remove(index));
            let asked = known.as_ref().map_or(started, |known| started.max(known.asked));
            let kept = known.filter(|known| started <= known.asked && left >= known.amount);
            self.left.push(kept.unwrap_or(Left {
                door: door.name(),
                amount: left,
                until: self.now + wait,
                asked,
                by: sent,
                next: self.sent.len(),
            }));
        }
        self.forgive(&door, started);
        if let Some(used) = tokens.filter(|used| *used > 0) {
            self.reports.push((door.name(), self.sent[sent].estimated, used));
        }
        self.end(sent, tokens);
    }

    fn forgive(&mut self, door: &Door, started: i64) {
        for place in door.places() {
            let memory = self.memory(&place);
            let stays = memory.shut.is_some_and(|shut| {
                started <= shut.since || (!shut.guessed && self.now < shut.until)
            });
            if stays {
                continue;
            }
            let memory = self.memory(&place);
            let steps = memory.steps + 1;
            let goes_on = steps < 4 && memory.shut.as_ref().is_some_and(|shut| !shut.guessed);
            let kept = Memory { guesses: 0, faults: 0, steps, ..memory };
            self.remember(&place, if goes_on { kept } else { Memory::default() });
        }
    }

    /// What becomes of a request after a fault: whether it goes on, is mended, or returns.
    pub(crate) fn fail(
        &mut self,
        number: usize,
        kind: FaultKind,
        scope: &Scope,
        over: Option<i64>,
        remedy: Remedy,
    ) -> Goes {
        let (index, sent) = self.journeys[number].trying.take().unwrap();
        let door = self.sent[sent].door.clone();
        let calm = door.places().iter().all(|p| self.memory(p).faults == 0);
        let first = calm && !self.sent[sent].doubtful && over.is_none();
        let quick = self.now - self.sent[sent].at < 1_500;
        let earned = self.journeys[number].waited / 100;
        let tries = &mut self.journeys[number].tries[index];
        let once = goes(kind) == Goes::Once && remedy == Remedy::Repeat;
        let repeat = once && first && quick && !tries.repeated;
        let mend = goes(kind) == Goes::Mend && remedy == Remedy::Repair && tries.repairs < 4;
        tries.repeated |= repeat;
        tries.repairs += u32::from(mend);
        let stated = over.is_some() && !is_own(kind);
        let may_return = (is_limit(kind) || stated) && i64::from(tries.count) < 3 + earned;
        self.sent[sent].probes.clear();
        let place = scope_of(&door, scope).filter(|_| !is_own(kind));
        if let Some(place) = place {
            let mut memory = self.memory(&place);
            if repeat {
                memory.faults += 1;
            } else {
                self.strike(&mut memory, kind, over, self.sent[sent].at);
            }
            self.remember(&place, memory);
        } else if !repeat {
            self.forgive(&door, self.sent[sent].at);
        }
        self.end(sent, Some(0));
        self.journeys[number].tried.push(kind);
        let state = self.states(number)[index];
        let open = matches!(state, State::Open | State::HalfOpen);
        self.journeys[number].tries[index].spent = !repeat && !mend && (!may_return || open);
        let journey = &mut self.journeys[number];
        for (other, tries) in journey.chain.iter().zip(&mut journey.tries) {
            let same = other.provider == door.provider && other.model == door.model;
            let smaller = match (other.limits.context, door.limits.context) {
                (Some(own), Some(full)) => own <= full,
                _ => false,
            };
            tries.spent |= kind == FaultKind::ContextTooLong && (same || smaller);
        }
        let shared = journey.doubters.iter().any(|other| *other != door.provider);
        if goes(kind) == Goes::Doubt {
            journey.doubters.push(door.provider.clone());
        }
        match goes(kind) {
            Goes::Back => Goes::Back,
            Goes::Doubt if shared => Goes::Back,
            Goes::Mend if mend => Goes::Mend,
            Goes::Next | Goes::Once | Goes::Mend | Goes::Doubt => Goes::Next,
        }
    }

    fn strike(&self, memory: &mut Memory, kind: FaultKind, over: Option<i64>, started: i64) {
        let now = self.now;
        let old = memory.shut.clone();
        let together = old.as_ref().is_some_and(|shut| started <= shut.since);
        let (until, guessed) = match (aside(kind), over) {
            (Aside::Not, _) => return,
            (_, Some(over)) => (over.clamp(now + 1, now + 31 * 24 * HOUR), false),
            (Aside::Parked, None) => (FOREVER, true),
            (Aside::Guess { after, spans }, None) => {
                if after > 0 {
                    memory.faults += u32::from(!together);
                    if memory.faults < after {
                        return;
                    }
                }
                let power = memory.guesses.saturating_sub(u32::from(together));
                memory.guesses += u32::from(!together);
                let span = spans(self.patience.default_cooldown.as_millis() as i64, power);
                (now + span.max(1), true)
            }
        };
        if let Some(old) = old.filter(|old| now < old.until) {
            let known = together && guessed && until != FOREVER && !old.guessed && old.kind == kind;
            if known || old.until >= until {
                return;
            }
        }
        memory.shut = Some(Shut { until, kind, guessed, since: now });
        memory.steps = 0;
    }
}
