//! Spans such as `2m59.56s`, `6m 11.52s`, `1 hour 3 minutes` or a bare `38`.

use std::time::Duration;

const NANOS: u128 = 1_000_000_000;

/// A longer run of digits is no number that a provider means.
const DIGITS: usize = 18;

/// Units by the whole word; the nanoseconds of one.
const UNITS: &[(&[&str], u128)] = &[
    (&["ns"], 1),
    (&["us", "µs", "μs"], 1_000),
    (&["ms", "msec", "msecs", "millisecond", "milliseconds"], 1_000_000),
    (
        &[
            "s", "sec", "secs", "second", "seconds", "segundo", "segundos", "seconde", "secondes",
            "sekunde", "sekunden",
        ],
        NANOS,
    ),
    (&["m", "min", "mins", "minute", "minutes", "minuto", "minutos", "minuten"], 60 * NANOS),
    (
        &[
            "h", "hr", "hrs", "hour", "hours", "hora", "horas", "heure", "heures", "stunde",
            "stunden",
        ],
        3600 * NANOS,
    ),
    (&["d", "day", "days"], 86_400 * NANOS),
    (&["w", "week", "weeks"], 7 * 86_400 * NANOS),
];

/// Units of scripts that put no space after a word; the beginning is enough.
const JOINED_UNITS: &[(&str, u128)] = &[
    ("毫秒", 1_000_000),
    ("秒", NANOS),
    ("分钟", 60 * NANOS),
    ("分", 60 * NANOS),
    ("小时", 3600 * NANOS),
    ("時間", 3600 * NANOS),
    ("天", 86_400 * NANOS),
    ("日", 86_400 * NANOS),
    ("초", NANOS),
    ("분", 60 * NANOS),
    ("시간", 3600 * NANOS),
];

/// Reads an unsigned decimal at the beginning: its billionths, and what follows.
pub(crate) fn number(text: &str) -> Option<(u128, &str)> {
    let (whole, rest) = digits(text);
    if whole.is_empty() || whole.len() > DIGITS {
        return None;
    }
    let (fraction, rest) = match rest.strip_prefix('.').map(digits) {
        Some((fraction, rest)) if !fraction.is_empty() => (fraction, rest),
        _ => ("", rest),
    };
    let kept = &fraction[..fraction.len().min(9)];
    let billionths = format!("{kept:0<9}").parse::<u128>().ok()?;
    Some((whole.parse::<u128>().ok()? * NANOS + billionths, rest))
}

/// Reads a text that is one span and nothing else.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let (span, rest) = leading(text.trim())?;
    rest.trim().is_empty().then_some(span)
}

/// Reads the span at the beginning of a text, and what follows it. A number without a unit
/// counts seconds, if no word follows that could be another unit.
pub(crate) fn leading(text: &str) -> Option<(Duration, &str)> {
    if let Some(shown) = by_days(text).or_else(|| by_clock(text)) {
        return Some(shown);
    }
    let mut total: u128 = 0;
    let mut rest = text;
    let mut parts = 0;
    while let Some((billionths, after)) = number(joined(rest, parts)) {
        let Some((unit, after_unit)) = unit(after.trim_start()) else {
            return if parts == 0 { bare(billionths, after) } else { duration(total, rest) };
        };
        total = total.saturating_add(billionths.saturating_mul(unit) / NANOS);
        rest = after_unit;
        parts += 1;
    }
    if parts == 0 { None } else { duration(total, rest) }
}

/// Reads `12:34:56`, as hours, minutes and seconds.
fn by_clock(text: &str) -> Option<(Duration, &str)> {
    let (hours, rest) = digits(text);
    let (minutes, rest) = digits(rest.strip_prefix(':')?);
    let (seconds, rest) = digits(rest.strip_prefix(':')?);
    let two = |part: &str| part.parse::<u64>().ok().filter(|&value| part.len() == 2 && value < 60);
    let hours = hours.parse::<u64>().ok().filter(|_| hours.len() <= 3)?;
    let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':');
    let span = Duration::from_secs(hours * 3600 + two(minutes)? * 60 + two(seconds)?);
    ends.then_some((span, rest))
}

/// Reads `6.12:34:56`, as days and what a clock shows.
fn by_days(text: &str) -> Option<(Duration, &str)> {
    let (days, rest) = digits(text);
    let (clock, rest) = by_clock(rest.strip_prefix('.')?)?;
    let days = days.parse::<u64>().ok().filter(|_| days.len() <= 3)?;
    let days = Duration::from_hours(24 * days);
    (clock < Duration::from_hours(24)).then(|| (days + clock, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// What stands between two parts of one span: spaces, a comma, "and".
fn joined(rest: &str, parts: usize) -> &str {
    if parts == 0 {
        return rest;
    }
    let rest = rest.trim_start_matches([' ', ',']);
    rest.strip_prefix("and ").unwrap_or(rest)
}

fn unit(text: &str) -> Option<(u128, &str)> {
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let lower = word.to_lowercase();
    let known = UNITS.iter().find(|(names, _)| names.contains(&lower.as_str()));
    let exact = known.map(|&(_, nanos)| (nanos, rest));
    exact.or_else(|| {
        JOINED_UNITS.iter().find_map(|&(name, nanos)| Some((nanos, text.strip_prefix(name)?)))
    })
}

fn bare(billionths: u128, after: &str) -> Option<(Duration, &str)> {
    let ends = after.is_empty() || after.starts_with(['.', ',', ';', ')', '"', '\'', ' ', '\n']);
    let word = after.trim_start().starts_with(char::is_alphanumeric);
    if ends && !word { duration(billionths, after) } else { None }
}

fn duration(nanos: u128, rest: &str) -> Option<(Duration, &str)> {
    let secs = u64::try_from(nanos / NANOS).ok()?;
    Some((Duration::new(secs, (nanos % NANOS) as u32), rest))
}
