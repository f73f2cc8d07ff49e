//! Rate-limit headers of every dialect, read by the words in their names.

mod structured;

use std::time::Duration;

use engine::{Budget, Dimension, Timestamp, Window};

use crate::evidence::Evidence;
use crate::headers::{Headers, in_millis};
use crate::profile::{Profile, Refill};
use crate::times::{moment, next_midnight, next_month, number};
use crate::words;

/// The parts of names after which the telling words come, with what they count.
const FAMILIES: &[(&str, Option<Dimension>)] = &[
    ("ratelimit-", None),
    ("rate-limit-", None),
    ("ratelimitbysize-", Some(Dimension::Tokens)),
    ("tokenlimit-", Some(Dimension::Tokens)),
    ("endpoint-call-", Some(Dimension::Requests)),
];

/// Words that tell kinds of tokens apart; a header with any other word is not understood.
const KINDS: &[&str] =
    &["input", "output", "prompt", "generated", "cache", "cached", "adjusted", "uncached"];

/// No provider reports on more budgets than this.
const COUNT: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Limit,
    Remaining,
    Reset,
    /// In milliseconds.
    ResetMillis,
}

/// What one header is about, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subject {
    dimension: Dimension,
    window: Option<Window>,
    kinds: Vec<String>,
}

#[derive(Debug)]
struct Row {
    subject: Subject,
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<Timestamp>,
}

/// All budgets that the headers tell of.
pub(crate) fn read(headers: &Headers<'_>, profile: &Profile, now: Timestamp) -> Vec<Budget> {
    let mut rows: Vec<Row> = Vec::new();
    for (name, value) in headers.iter() {
        let Some((role, subject)) = meaning(name) else {
            continue;
        };
        let Some(row) = row_of(&mut rows, subject) else {
            continue;
        };
        match role {
            Role::Limit => row.limit = row.limit.or_else(|| count(value)),
            Role::Remaining => row.remaining = row.remaining.or_else(|| left(value)),
            Role::Reset => row.reset = row.reset.or_else(|| reset(value, now)),
            Role::ResetMillis => {
                let at = || in_millis(value, now).or_else(|| reset(value, now));
                row.reset = row.reset.or_else(at);
            }
        }
    }
    share_resets(&mut rows, now);
    let told = |row: &Row| row.limit.is_some() || row.remaining.is_some() || row.reset.is_some();
    let named = rows.into_iter().filter(told).map(|row| budget(&row, profile, now));
    named.chain(structured::read(headers, profile, now)).take(COUNT).collect()
}

/// The budget of which the text gives the figures, of a bucket that refills bit by bit. Not that
/// of a day: no later reply would correct what is counted against it by estimate.
pub(crate) fn in_words(seen: &Evidence<'_>) -> Option<Budget> {
    let figures = words::figures(seen.text())?;
    let is_short = |window: &Window| matches!(window, Window::Second | Window::Minute);
    let (used, window) = (figures.used?, seen.window().filter(is_short)?);
    let nanos = window.length()?.as_nanos().saturating_mul(used.into());
    let nanos = nanos.checked_div(figures.limit.into())?;
    let full_in = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
    Some(Budget {
        dimension: if seen.names_tokens() { Dimension::Tokens } else { Dimension::Requests },
        window,
        limit: Some(figures.limit),
        remaining: Some(figures.limit.saturating_sub(used)),
        next_at: slot(window, figures.limit, seen.now),
        full_at: Some(seen.now.after(full_in)),
    })
}

/// One reset that names no window is told beside windows without one: it is that of the window
/// which has as much left. Without it only the window's length would be known.
fn share_resets(rows: &mut [Row], now: Timestamp) {
    let is_general = |row: &&Row| row.subject.window.is_none() && row.subject.kinds.is_empty();
    let general: Vec<_> = rows
        .iter()
        .filter(is_general)
        .filter_map(|row| Some((row.subject.dimension, row.remaining?, row.reset?)))
        .collect();
    for row in rows.iter_mut().filter(|row| row.reset.is_none()) {
        let Some(length) = row.subject.window.and_then(Window::length) else { continue };
        let found = general.iter().find(|(dimension, remaining, reset)| {
            *dimension == row.subject.dimension
                && Some(*remaining) == row.remaining
                && now.until(*reset) <= length
        });
        row.reset = found.map(|(_, _, reset)| *reset);
    }
}

fn row_of(rows: &mut Vec<Row>, subject: Subject) -> Option<&mut Row> {
    let at = rows.iter().position(|row| row.subject == subject).unwrap_or(rows.len());
    if at == rows.len() && at < COUNT {
        rows.push(Row { subject, limit: None, remaining: None, reset: None });
    }
    rows.get_mut(at)
}

fn meaning(name: &str) -> Option<(Role, Subject)> {
    // By the hyphens: most names have none that ends a family, and this is asked of every reply.
    let hyphens = name.bytes().enumerate().filter(|(_, byte)| *byte == b'-');
    let (words, dimension) =
        hyphens.map(|(at, _)| name.split_at(at + 1)).find_map(|(to, words)| {
            let family = FAMILIES.iter().find(|(family, _)| to.ends_with(family));
            family.map(|(_, dimension)| (words, *dimension))
        })?;
    let mut role = None;
    let mut subject = Subject {
        dimension: dimension.unwrap_or(Dimension::Requests),
        window: None,
        kinds: vec![],
    };
    for word in words.split('-') {
        match word {
            "limit" => role = Some(Role::Limit),
            "remaining" => role = Some(Role::Remaining),
            "reset" => role = Some(Role::Reset),
            "ms" if role == Some(Role::Reset) => role = Some(Role::ResetMillis),
            "after" if role == Some(Role::Reset) => {}
            "requests" | "request" | "req" => subject.dimension = Dimension::Requests,
            "tokens" | "token" => subject.dimension = Dimension::Tokens,
            "second" => subject.window = Some(Window::Second),
            "minute" => subject.window = Some(Window::Minute),
            "hour" => subject.window = Some(Window::Hour),
            "day" => subject.window = Some(Window::Day),
            "month" => subject.window = Some(Window::Month),
            kind if KINDS.contains(&kind) => subject.kinds.push(kind.to_owned()),
            _ => return None,
        }
    }
    Some((role?, subject))
}

/// When a budget is whole again; a reset of no time at all is over.
fn reset(value: &str, now: Timestamp) -> Option<Timestamp> {
    let is_zero = |text: &str| {
        let mut digits = text.bytes().filter(u8::is_ascii_digit);
        text.starts_with('0') && digits.all(|digit| digit == b'0')
    };
    moment(value, now).or_else(|| is_zero(value.trim()).then_some(now))
}

fn count(value: &str) -> Option<u64> {
    let (billionths, _) = number(value.trim())?;
    u64::try_from(billionths / 1_000_000_000).ok()
}

/// What is left; nothing where more was used than there is. With some, -1 means no limit.
fn left(value: &str) -> Option<u64> {
    match value.trim().strip_prefix('-') {
        Some(over) => count(over).filter(|over| *over > 1).map(|_| 0),
        None => count(value),
    }
}

fn budget(row: &Row, profile: &Profile, now: Timestamp) -> Budget {
    let window = window_of(row, profile, now);
    Budget {
        dimension: row.subject.dimension,
        window,
        limit: row.limit,
        remaining: row.remaining,
        next_at: next(row, window, profile, now),
        full_at: row.reset,
    }
}

/// The window by the header's name, else by the provider's habit. A bucket that refills over a
/// minute is full within one; if its reset is further off, the day's bucket is meant.
fn window_of(row: &Row, profile: &Profile, now: Timestamp) -> Window {
    let habit = match row.subject.dimension {
        Dimension::Requests => profile.requests,
        Dimension::Tokens => profile.tokens,
    };
    let far = row.reset.is_some_and(|reset| now.until(reset).as_secs() > 60);
    let daily = profile.refill == Refill::Continuous && habit == Window::Minute && far;
    row.subject.window.unwrap_or(if daily { Window::Day } else { habit })
}

/// When one more request or token can be had again, should nothing be left.
fn next(row: &Row, window: Window, profile: &Profile, now: Timestamp) -> Option<Timestamp> {
    if row.limit == Some(0) {
        return None;
    }
    if profile.refill == Refill::Continuous {
        let slot = row.limit.and_then(|limit| slot(window, limit, now));
        return [slot, row.reset].into_iter().flatten().min();
    }
    row.reset.or_else(|| end_of(window, profile, now))
}

fn slot(window: Window, limit: u64, now: Timestamp) -> Option<Timestamp> {
    let limit = u32::try_from(limit).ok()?;
    Some(now.after(window.length()?.checked_div(limit)?))
}

/// The latest moment at which a window that began before now is over.
pub(crate) fn end_of(window: Window, profile: &Profile, now: Timestamp) -> Option<Timestamp> {
    match (window, profile.refill) {
        (Window::Day, Refill::Midnight(zone)) => next_midnight(now, zone),
        (Window::Month, _) => next_month(now),
        (Window::Second | Window::Minute | Window::Hour, _) => Some(now.after(window.length()?)),
        (Window::Day, Refill::Continuous) | (Window::Unknown, _) => None,
    }
}
