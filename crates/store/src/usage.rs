//! Usage by quarter of an hour, and how it is grouped.
//!
//! Every time zone's hours and days begin at a quarter of an hour of UTC (Kathmandu is at
//! +05:45), so quarters can be folded into the hours and days of any of them.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::record::Record;

/// A quarter of an hour, in milliseconds.
const QUARTER: i64 = 900_000;
/// Sums stay below this, so that adding two of them cannot overflow a column.
const MOST_SUM: u64 = 1 << 60;
/// Most deployments and quarters whose sums are held while nothing can be written.
const MOST_HELD: usize = 4_096;

/// What usage is grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// One row per provider.
    Provider,
    /// One row per provider and key.
    Key,
    /// One row per provider and model.
    Model,
    /// One row per hour of the asked zone.
    Hour,
    /// One row per day of the asked zone.
    Day,
}

/// A question about usage.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// What to group by; of an hour and a day the hour counts.
    pub by: Vec<By>,
    /// From when, in milliseconds since the epoch; its whole quarter of an hour counts.
    pub since: Option<i64>,
    /// Until when, in milliseconds since the epoch; quarters that begin then or later do not
    /// count.
    pub until: Option<i64>,
    /// Whose hours and days are meant.
    pub zone: TimeZone,
}

/// What was used in one group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageRow {
    /// When the hour or day began, in milliseconds since the epoch; `None` for other groups.
    pub start: Option<i64>,
    /// The provider; empty where hours or days are asked for.
    pub provider: String,
    /// The fingerprint of the key; empty unless keys are asked for.
    pub key: String,
    /// The model; empty unless models are asked for.
    pub model: String,
    /// The sums.
    pub used: Used,
}

/// Sums over requests and attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Attempts, good or not.
    pub attempts: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Requests that were served from here, also if the answer broke off or the client left.
    pub requests: u64,
    /// Requests that nobody served; counted with hours and days only.
    pub refused: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// Tokens in all.
    pub total_tokens: u64,
    /// How many of these are an estimate.
    pub estimated_tokens: u64,
    /// Billionths of a US dollar.
    pub cost_nanos: u64,
    /// Sum of the times to the first token, in milliseconds.
    pub first_token_ms: u64,
    /// How many such times there are.
    pub first_token_count: u64,
    /// Sum of the durations of requests, in milliseconds.
    pub duration_ms: u64,
}

/// The sums' columns, in the order of [`Used::columns`].
pub(crate) const COLUMNS: [&str; 12] = [
    "attempts",
    "failures",
    "requests",
    "refused",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "estimated_tokens",
    "cost_nanos",
    "first_token_ms",
    "first_token_count",
    "duration_ms",
];

impl Used {
    /// The sums in the order of [`COLUMNS`].
    pub(crate) fn columns(&mut self) -> [&mut u64; 12] {
        [
            &mut self.attempts,
            &mut self.failures,
            &mut self.requests,
            &mut self.refused,
            &mut self.prompt_tokens,
            &mut self.completion_tokens,
            &mut self.total_tokens,
            &mut self.estimated_tokens,
            &mut self.cost_nanos,
            &mut self.first_token_ms,
            &mut self.first_token_count,
            &mut self.duration_ms,
        ]
    }

    /// Adds `other`, far from any overflow.
    pub(crate) fn add(&mut self, mut other: Self) {
        for (sum, more) in self.columns().into_iter().zip(other.columns()) {
            *sum = sum.saturating_add(*more).min(MOST_SUM);
        }
    }

    /// What the served request itself adds to whoever served it.
    fn of(record: &Record) -> Self {
        let prompt_tokens = record.prompt_tokens.unwrap_or(0);
        let completion_tokens = record.completion_tokens.unwrap_or(0);
        let total_tokens = record.total_tokens.unwrap_or(prompt_tokens + completion_tokens);
        let served = u64::from(!record.provider.is_empty());
        Self {
            attempts: if record.hops.is_empty() { served } else { 0 },
            failures: 0,
            requests: served,
            refused: 1 - served,
            prompt_tokens,
            completion_tokens,
            total_tokens,
            estimated_tokens: if record.estimated { total_tokens } else { 0 },
            cost_nanos: record.cost_nanos.unwrap_or(0),
            first_token_ms: record.first_token_ms.unwrap_or(0),
            first_token_count: u64::from(record.first_token_ms.is_some()),
            duration_ms: record.duration_ms,
        }
    }
}

/// A quarter's start, provider, key and model.
pub(crate) type Slot = (i64, String, String, String);

/// Sums by quarter and deployment, gathered in memory.
#[derive(Debug, Default)]
pub(crate) struct Tallies(HashMap<i64, HashMap<String, Vec<(String, String, Used)>>>, usize);

impl Tallies {
    /// Adds one request with all its attempts. Beyond 4,096 slots new ones are left out.
    pub(crate) fn add(&mut self, record: &Record) {
        let quarter = quarter(record.at);
        self.put(quarter, record.deployment(), Used::of(record));
        for hop in &record.hops {
            let failures = u64::from(hop.kind.is_some());
            let used = Used { attempts: 1, failures, ..Used::default() };
            self.put(quarter, hop.deployment(), used);
        }
    }

    fn put(&mut self, quarter: i64, (provider, key, model): (&str, &str, &str), used: Used) {
        let found = self
            .0
            .get_mut(&quarter)
            .and_then(|providers| providers.get_mut(provider))
            .and_then(|rows| rows.iter_mut().find(|row| row.0 == key && row.1 == model));
        if let Some((_, _, sums)) = found {
            sums.add(used);
        } else if self.1 < MOST_HELD {
            let rows = self.0.entry(quarter).or_default().entry(provider.to_owned()).or_default();
            rows.push((key.to_owned(), model.to_owned(), used));
            self.1 += 1;
        }
    }

    /// Adds all of `other`.
    pub(crate) fn absorb(&mut self, other: Self) {
        for ((quarter, provider, key, model), used) in other.rows() {
            self.put(quarter, (&provider, &key, &model), used);
        }
    }

    /// Every slot with its sums.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Slot, Used)> + '_ {
        self.0.iter().flat_map(|(quarter, providers)| {
            providers.iter().flat_map(move |(provider, rows)| {
                rows.iter().map(move |(key, model, used)| {
                    ((*quarter, provider.clone(), key.clone(), model.clone()), *used)
                })
            })
        })
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.1 == 0
    }
}

/// The start of the quarter of an hour that holds `at`.
pub(crate) fn quarter(at: i64) -> i64 {
    at - at.rem_euclid(QUARTER)
}

/// Folds quarters into the groups that a query asks for.
#[derive(Debug)]
pub(crate) struct Fold<'a> {
    query: &'a UsageQuery,
    groups: HashMap<(Option<i64>, String, String, String), Used>,
}

impl<'a> Fold<'a> {
    /// Nothing yet.
    pub(crate) fn new(query: &'a UsageQuery) -> Self {
        Self { query, groups: HashMap::new() }
    }

    /// Adds one slot to its group.
    pub(crate) fn add(&mut self, (quarter, provider, key, model): Slot, used: Used) {
        let asks = |by: By| self.query.by.contains(&by);
        let (by_key, by_model) = (asks(By::Key), asks(By::Model));
        let by_provider = asks(By::Provider) || by_key || by_model;
        if by_provider && provider.is_empty() {
            return;
        }
        let by_time = asks(By::Hour) || asks(By::Day);
        let group = (
            by_time.then(|| self.start(quarter)),
            if by_provider { provider } else { String::new() },
            if by_key { key } else { String::new() },
            if by_model { model } else { String::new() },
        );
        self.groups.entry(group).or_default().add(used);
    }

    /// When the hour or day that holds a quarter began.
    fn start(&self, quarter: i64) -> i64 {
        let Ok(moment) = Timestamp::from_millisecond(quarter) else { return quarter };
        let local = moment.to_zoned(self.query.zone.clone());
        if self.query.by.contains(&By::Hour) {
            return quarter
                - i64::from(local.minute()) * 60_000
                - i64::from(local.second()) * 1_000;
        }
        local.start_of_day().map_or(quarter, |day| day.timestamp().as_millisecond())
    }

    /// The groups: hours and days in their order, others with the most requests first.
    pub(crate) fn rows(self) -> Vec<UsageRow> {
        let mut rows: Vec<UsageRow> = self
            .groups
            .into_iter()
            .map(|((start, provider, key, model), used)| UsageRow {
                start,
                provider,
                key,
                model,
                used,
            })
            .collect();
        rows.sort_by(|a, b| {
            let most = b.used.requests.cmp(&a.used.requests);
            let names = (&a.provider, &a.key, &a.model).cmp(&(&b.provider, &b.key, &b.model));
            a.start.cmp(&b.start).then(most).then(names)
        });
        rows
    }
}
