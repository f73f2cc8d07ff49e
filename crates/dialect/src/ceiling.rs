//! How many requests a refusal says are taken in a minute or a second, in its fields, its words
//! or its headers.

use engine::{Ceiling, Dimension, Fault, FaultKind, Window};

use crate::evidence::Evidence;
use crate::profile::Refill;
use crate::shares;
use crate::tree::{scalar, walk};

/// What stands before the figure.
const BEFORE: &[(&str, Window)] = &[
    ("max rpm", Window::Minute),
    ("rpm limit", Window::Minute),
    ("max rps", Window::Second),
    ("rps limit", Window::Second),
];

/// What is counted, between the figure and its window.
const COUNTED: &[&str] = &["requests", "request", "req", "api calls", "calls"];

/// What stands between what is counted and the window.
const PER: &[&str] = &["per", "/", "a", "every"];

/// The window's names, the longest first.
const WINDOWS: &[(&str, Window)] = &[
    ("minute", Window::Minute),
    ("min", Window::Minute),
    ("second", Window::Second),
    ("sec", Window::Second),
];

/// A larger figure is no limit on requests.
const MOST: u64 = 1_000_000;

/// The ceiling that was met, if the refusal is one of requests and tells it. Providers that give
/// back bit by bit tell what is left instead.
pub(crate) fn told(seen: &Evidence<'_>, fault: &Fault) -> Option<Ceiling> {
    if fault.kind != FaultKind::RateLimited || seen.profile.refill == Refill::Continuous {
        return None;
    }
    let found = in_fields(seen)
        .or_else(|| shares::met(seen.claim()))
        .or_else(|| in_words(seen.claim()))
        .or_else(|| in_headers(seen))
        .or_else(|| of_second(seen))?;
    let is_met = seen.window().is_none_or(|window| window == found.window);
    (is_met && (1..=MOST).contains(&found.most)).then_some(found)
}

/// Google's: a `quotaId` that names the window beside a `quotaValue`.
fn in_fields(seen: &Evidence<'_>) -> Option<Ceiling> {
    let violations = walk(&seen.body.value).filter_map(|(_, value)| {
        let id = scalar(value.get("quotaId")?)?.to_ascii_lowercase();
        let most = scalar(value.get("quotaValue")?)?.parse().ok()?;
        let is_of_requests = id.contains("perminute") && !id.contains("token");
        is_of_requests.then_some(Ceiling { window: Window::Minute, most })
    });
    violations.min_by_key(|ceiling| ceiling.most)
}

/// "max RPM: 20", "limited to 20 API calls / minute".
fn in_words(text: &str) -> Option<Ceiling> {
    let before = BEFORE.iter().find_map(|&(phrase, window)| {
        let (_, tail) = text.split_once(phrase)?;
        let most = leading(tail.trim_start_matches([':', '=', ' ']))?.0;
        Some(Ceiling { window, most })
    });
    before.or_else(|| sentence(text))
}

/// A figure that what is counted and its window follow.
fn sentence(text: &str) -> Option<Ceiling> {
    let mut starts = text.char_indices().scan(false, |within, (at, letter)| {
        let begins = letter.is_ascii_digit() && !*within;
        *within = letter.is_ascii_digit() || matches!(letter, ',' | '.' | '-');
        Some((at, begins))
    });
    starts.by_ref().filter(|(_, begins)| *begins).take(16).find_map(|(at, _)| {
        let (most, rest) = leading(&text[at..])?;
        let rest = after(rest, COUNTED)?;
        let rest = after(rest, PER)?;
        let rest = rest.trim_start();
        let window = WINDOWS.iter().find(|(name, _)| rest.starts_with(name));
        window.map(|&(_, window)| Ceiling { window, most })
    })
}

fn after<'t>(text: &'t str, words: &[&str]) -> Option<&'t str> {
    let text = text.trim_start();
    words.iter().find_map(|word| text.strip_prefix(word))
}

fn leading(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// A header's limit, spent, where the text alone names the window.
fn in_headers(seen: &Evidence<'_>) -> Option<Ceiling> {
    let window = seen.window()?;
    let spent = seen
        .spent()
        .find(|budget| budget.dimension == Dimension::Requests && budget.window == Window::Unknown);
    spent?.limit.map(|most| Ceiling { window, most })
}

/// The even share of a second, of a provider that limits by the second too and tells of the
/// minute that something is left of it.
fn of_second(seen: &Evidence<'_>) -> Option<Ceiling> {
    let minute = seen.budgets.iter().find(|budget| {
        (budget.dimension, budget.window) == (Dimension::Requests, Window::Minute)
    })?;
    let is_left = minute.remaining.is_none_or(|left| left > 0);
    let limit = minute.limit.filter(|_| seen.profile.limits_seconds && is_left)?;
    Some(Ceiling { window: Window::Second, most: limit.div_ceil(60) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_found_beside_its_window() {
        let found = |text| in_words(text).map(|ceiling| (ceiling.window, ceiling.most));
        let minute = |most| Some((Window::Minute, most));
        for (text, told) in [
            ("request reached organization max rpm: 20, please try again", minute(20)),
            ("you are using a trial key, which is limited to 20 api calls / minute.", minute(20)),
            ("rate limit of 50 requests per minute", minute(50)),
            ("15 requests per minute, 1500 requests per day", minute(15)),
            ("1 request per second", Some((Window::Second, 1))),
            ("try again in 20 seconds, requests per minute exceeded", None),
            ("1500 requests per day", None),
            ("max rpm", None),
            ("99999999999999999999999 requests per minute", None),
        ] {
            assert_eq!(found(text), told, "{text}");
        }
    }
}
