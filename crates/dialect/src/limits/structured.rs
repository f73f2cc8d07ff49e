//! The headers of the IETF's draft: `RateLimit: "default";r=0;t=37` and
//! `RateLimit-Policy: "default";q=100;w=60`, where items of one name belong together. Its older
//! form without names, `RateLimit: limit=100, remaining=0, reset=37`, is read too.

use std::time::Duration;

use engine::{Budget, Dimension, Timestamp, Window};

use super::{COUNT, end_of};
use crate::headers::Headers;
use crate::profile::Profile;
use crate::times::{believable, number};

const STATE: &str = "ratelimit";
const POLICY: &str = "ratelimit-policy";

/// What is told of one policy.
#[derive(Debug, Default)]
struct Row {
    name: String,
    tokens: bool,
    quota: Option<u64>,
    window: Option<u64>,
    remaining: Option<u64>,
    reset: Option<u64>,
}

/// All budgets that the two headers tell of.
pub(super) fn read(headers: &Headers, profile: &Profile, now: Timestamp) -> Vec<Budget> {
    let mut rows: Vec<Row> = Vec::new();
    for (_, value) in headers.iter().filter(|(name, _)| *name == STATE || *name == POLICY) {
        for item in split(value, ',').take(COUNT) {
            add(item, &mut rows);
        }
    }
    let told = |row: &Row| {
        row.remaining.is_some()
            || row.reset.is_some()
            || row.quota.is_some() && row.window.is_some()
    };
    rows.iter().filter(|row| told(row)).map(|row| budget(row, profile, now)).collect()
}

fn add(item: &str, rows: &mut Vec<Row>) {
    let mut parts = split(item, ';').map(str::trim);
    let first = parts.next().unwrap_or_default();
    let pair = first.split_once('=');
    let name = if pair.is_some() { "" } else { first.trim_matches('"') }.to_ascii_lowercase();
    // The older policy has its quota in the place of the name: `100;w=60`.
    let (name, quota) = match count(&name) {
        Some(quota) => (String::new(), Some(quota)),
        None => (name, None),
    };
    let at = rows.iter().position(|row| row.name == name).unwrap_or(rows.len());
    if at == rows.len() {
        if at >= COUNT {
            return;
        }
        rows.push(Row { tokens: name.contains("token"), name, ..Row::default() });
    }
    let row = &mut rows[at];
    row.quota = row.quota.or(quota);
    let pairs = pair.into_iter().chain(parts.filter_map(|part| part.split_once('=')));
    for (key, value) in pairs {
        let value = value.trim().trim_matches('"');
        match key.trim() {
            "q" | "limit" => row.quota = row.quota.or_else(|| count(value)),
            "w" => row.window = row.window.or_else(|| count(value)),
            "r" | "remaining" => row.remaining = row.remaining.or_else(|| count(value)),
            "t" | "reset" => row.reset = row.reset.or_else(|| count(value)),
            "qu" => row.tokens |= value.contains("token"),
            _ => {}
        }
    }
}

/// The parts between separators that stand outside of quotation marks.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |letter| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    })
    .filter(|part| !part.trim().is_empty())
}

fn count(text: &str) -> Option<u64> {
    let (billionths, rest) = number(text)?;
    u64::try_from(billionths / 1_000_000_000).ok().filter(|_| rest.is_empty())
}

fn budget(row: &Row, profile: &Profile, now: Timestamp) -> Budget {
    let window = row.window.map_or(Window::Unknown, window_of);
    let reset = row.reset.and_then(|secs| believable(now.after(Duration::from_secs(secs)), now));
    let end = || row.window.and_then(|_| end_of(window, profile, now));
    Budget {
        dimension: if row.tokens { Dimension::Tokens } else { Dimension::Requests },
        window,
        limit: row.quota,
        remaining: row.remaining,
        next_at: reset.or_else(end).filter(|_| row.quota != Some(0)),
        full_at: reset,
    }
}

/// The window of so many seconds.
fn window_of(secs: u64) -> Window {
    match secs {
        1 => Window::Second,
        60 => Window::Minute,
        3600 => Window::Hour,
        86_400 => Window::Day,
        2_419_200..=2_678_400 => Window::Month,
        _ => Window::Unknown,
    }
}
