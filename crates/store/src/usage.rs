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
pub(crate) struct Tallies(HashMap<Slot, Used>);

impl Tallies {
    /// Adds requests with all their attempts. Beyond 4,096 slots new ones are left out.
    pub(crate) fn add(&mut self, records: &[Record]) {
        // Those that come one after another are mostly served alike: they are looked up together.
        for alike in records.chunk_by(|one, next| place(one) == place(next)) {
            let Some(first) = alike.first() else { continue };
            let mut sums = Used::default();
            for record in alike {
                sums.add(Used::of(record));
                self.add_hops(record);
            }
            let (quarter, deployment) = place(first);
            self.put(slot(quarter, deployment), sums);
        }
    }

    fn add_hops(&mut self, record: &Record) {
        for hop in &record.hops {
            let failures = u64::from(hop.kind.is_some());
            let used = Used { attempts: 1, failures, ..Used::default() };
            self.put(slot(quarter(record.at), hop.deployment()), used);
        }
    }

    fn put(&mut self, slot: Slot, used: Used) {
        if let Some(sums) = self.0.get_mut(&slot) {
            sums.add(used);
        } else if self.0.len() < MOST_HELD {
            self.0.insert(slot, used);
        }
    }

    /// Adds all of `other`.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (slot, used) in other.0 {
            self.put(slot, used);
        }
    }

    /// Every slot with its sums.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Slot, &Used)> {
        self.0.iter()
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The quarter and the deployment that a request counts for.
fn place(record: &Record) -> (i64, (&str, &str, &str)) {
    (quarter(record.at), record.deployment())
}

fn slot(quarter: i64, (provider, key, model): (&str, &str, &str)) -> Slot {
    (quarter, provider.to_owned(), key.to_owned(), model.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The starts of the groups and how many of the quarters from `from` to `to` each holds.
    fn groups(by: By, zone: &str, from: &str, to: &str) -> Vec<(String, u64)> {
        let zone = TimeZone::get(zone).unwrap();
        let query = UsageQuery { by: vec![by], since: None, until: None, zone: zone.clone() };
        let moment = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let mut fold = Fold::new(&query);
        for quarter in (moment(from)..moment(to)).step_by(900_000) {
            let slot = (quarter, "a".to_owned(), String::new(), String::new());
            fold.add(slot, Used { requests: 1, ..Used::default() });
        }
        let named = |row: UsageRow| {
            let start = Timestamp::from_millisecond(row.start.unwrap()).unwrap();
            let start = start.to_zoned(zone.clone()).strftime("%d %H:%M%:z").to_string();
            (start, row.used.requests)
        };
        fold.rows().into_iter().map(named).collect()
    }

    fn expect(found: Vec<(String, u64)>, expected: &[(&str, u64)]) {
        let expected: Vec<(String, u64)> =
            expected.iter().map(|(start, quarters)| ((*start).to_owned(), *quarters)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn days_of_berlin_have_23_and_25_hours_when_the_clocks_change() {
        expect(
            groups(By::Day, "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-30T22:00:00Z"),
            &[("29 00:00+01:00", 92), ("30 00:00+02:00", 96)],
        );
        expect(
            groups(By::Day, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-26T23:00:00Z"),
            &[("25 00:00+02:00", 100), ("26 00:00+01:00", 96)],
        );
    }

    #[test]
    fn days_of_los_angeles_have_23_and_25_hours_when_the_clocks_change() {
        expect(
            groups(By::Day, "America/Los_Angeles", "2026-03-08T08:00:00Z", "2026-03-09T08:00:00Z"),
            &[("08 00:00-08:00", 92), ("09 00:00-07:00", 4)],
        );
        expect(
            groups(By::Day, "America/Los_Angeles", "2026-11-01T06:00:00Z", "2026-11-02T09:00:00Z"),
            &[("31 00:00-07:00", 4), ("01 00:00-07:00", 100), ("02 00:00-08:00", 4)],
        );
    }

    #[test]
    fn the_hour_that_comes_twice_is_two_hours() {
        expect(
            groups(By::Hour, "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"),
            &[("25 02:00+02:00", 4), ("25 02:00+01:00", 4)],
        );
        expect(
            groups(By::Hour, "America/Los_Angeles", "2026-11-01T08:00:00Z", "2026-11-01T10:00:00Z"),
            &[("01 01:00-07:00", 4), ("01 01:00-08:00", 4)],
        );
    }

    #[test]
    fn hours_and_days_of_kathmandu_begin_at_a_quarter() {
        expect(
            groups(By::Hour, "Asia/Kathmandu", "2026-06-01T18:00:00Z", "2026-06-01T19:30:00Z"),
            &[("01 23:00+05:45", 1), ("02 00:00+05:45", 4), ("02 01:00+05:45", 1)],
        );
        expect(
            groups(By::Day, "Asia/Kathmandu", "2026-06-01T18:15:00Z", "2026-06-02T18:30:00Z"),
            &[("02 00:00+05:45", 96), ("03 00:00+05:45", 1)],
        );
    }

    #[test]
    fn quarters_begin_before_their_moments_also_before_1970() {
        assert_eq!((quarter(899_999), quarter(900_000), quarter(-1)), (0, 900_000, -900_000));
    }

    #[test]
    fn sums_stay_far_from_overflow() {
        let most = Used { total_tokens: u64::MAX, ..Used::default() };
        let mut sums = most;
        sums.add(most);
        assert!(i64::try_from(sums.total_tokens + sums.total_tokens).is_ok());
    }

    #[test]
    fn held_sums_are_bounded() {
        let mut tallies = Tallies::default();
        for n in 0..10_000 {
            let model = n.to_string();
            tallies.add(&[Record { provider: "a".into(), model, ..Record::default() }]);
        }
        assert_eq!(tallies.rows().count(), MOST_HELD);
    }
}
