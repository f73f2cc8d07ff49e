//! What `/status` says, as a table for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::table::{Cell, Look, Table, Tone};

/// The headings, and the columns that a narrow terminal goes without, the first one first.
const HEADINGS: [&str; 7] =
    ["PROVIDER", "STATE", "REQUESTS", "TOKENS", "LEFT", "FIRST TOKEN", "MODEL"];
const SPARE: [usize; 4] = [6, 5, 3, 2];

/// A view of the answer to `GET /status`, at a moment.
pub(super) fn view(status: &Value, now: jiff::Timestamp, look: Look) -> String {
    let mut told = table(items(&status["providers"]), status, now, look);
    for skipped in items(&status["skipped_providers"]) {
        let line = format!("skipped {}: {}", text(&skipped["name"]), text(&skipped["reason"]));
        told.push_str(&faint(line, look));
    }
    told.push_str(&footer(status, look));
    told
}

/// The same in so many lines: where it does not fit, first those go that are available.
pub(super) fn view_within(rows: usize, status: &Value, now: jiff::Timestamp, look: Look) -> String {
    let whole = view(status, now, look);
    if whole.lines().count() <= rows {
        return whole;
    }
    let providers: Vec<&Value> = items(&status["providers"]).collect();
    let skipped = items(&status["skipped_providers"]).count();
    // The headings, what is left out, who is skipped, and the summary.
    let room = rows.saturating_sub(3 + usize::from(skipped > 0));
    let shown = chosen(&providers, room, now);
    let is_shown = providers.iter().zip(&shown).filter(|(_, shown)| **shown);
    let mut told = table(is_shown.map(|(provider, _)| *provider), status, now, look);
    let left_out = || providers.iter().zip(&shown).filter(|(_, shown)| !**shown);
    let word = if left_out().all(|(one, _)| is_open(one)) { " available" } else { "" };
    if left_out().next().is_some() {
        told.push_str(&faint(format!("… and {} more{word}", left_out().count()), look));
    }
    if skipped > 0 {
        told.push_str(&faint(format!("{skipped} skipped: llm-proxy check says why"), look));
    }
    told.push_str(&footer(status, look));
    told
}

/// Which providers have room: those that cannot serve come first.
fn chosen(providers: &[&Value], mut room: usize, now: jiff::Timestamp) -> Vec<bool> {
    let mut shown = vec![false; providers.len()];
    let (open, closed): (Vec<usize>, Vec<usize>) =
        (0..providers.len()).partition(|at| is_open(providers[*at]));
    for at in closed.into_iter().chain(open) {
        let mut alone = Table::new(&[]);
        add(providers[at], now, &mut alone);
        let lines = alone.lines() - 1;
        shown[at] = lines <= room;
        room -= if shown[at] { lines } else { 0 };
    }
    shown
}

fn is_open(provider: &Value) -> bool {
    provider["available"].as_bool().unwrap_or(false)
}

fn table<'v>(
    providers: impl Iterator<Item = &'v Value>,
    status: &Value,
    now: jiff::Timestamp,
    look: Look,
) -> String {
    let now = instant(&status["now"]).unwrap_or(now);
    let mut table = Table::new(&HEADINGS);
    for provider in providers {
        add(provider, now, &mut table);
    }
    table.narrow(look.width, &SPARE);
    table.draw(look)
}

fn faint(line: String, look: Look) -> String {
    Table::line(Cell::toned(line, Tone::Faint), look)
}

fn footer(status: &Value, look: Look) -> String {
    let (open, all) = (number(&status["available_providers"]), number(&status["total_providers"]));
    let mut footer = format!("{open} of {all} providers available");
    match status["streams_saved"].as_u64() {
        Some(1) => footer.push_str("; 1 broken stream was continued"),
        Some(saved) if saved > 0 => {
            let _ = write!(footer, "; {saved} broken streams were continued");
        }
        Some(_) | None => {}
    }
    Table::line(footer.into(), look)
}

/// The row of a provider, and one for each of its deployments where there are several.
fn add(provider: &Value, now: jiff::Timestamp, table: &mut Table) {
    let deployments: Vec<&Value> = items(&provider["deployments"]).collect();
    let remains = match provider["forecast"].as_str() {
        Some(forecast) => forecast.to_owned(),
        None => left(items(&provider["deployments"])),
    };
    let several = deployments.len() > 1;
    table.row([
        text(&provider["name"]).into(),
        provider_state(provider, now),
        number(&provider["request_count"]).into(),
        number(&provider["total_tokens_used"]).into(),
        remains.into(),
        first_token(provider).into(),
        if several { "".into() } else { Cell::toned(text(&provider["model"]), Tone::Faint) },
    ]);
    if !several {
        add_reason(provider, table);
        return deployments.iter().for_each(|one| add_known(one, table));
    }
    for one in deployments {
        table.row([
            Cell::toned(format!("  {}", text(&one["key"])), Tone::Faint),
            deployment_state(one, now),
            number(&one["request_count"]).into(),
            number(&one["total_tokens_used"]).into(),
            left(std::iter::once(one)).into(),
            first_token(one).into(),
            Cell::toned(text(&one["model"]), Tone::Faint),
        ]);
        add_reason(one, table);
        add_known(one, table);
    }
}

/// In whose words a provider or a deployment is passed over, on a line of its own.
fn add_reason(of: &Value, table: &mut Table) {
    let reason = text(&of["reason"]);
    // `rate limited: what the provider said`; the word itself is in the row already.
    let said = reason.split_once(": ").map_or("", |(_, said)| said);
    if !of["available"].as_bool().unwrap_or(false) && !said.is_empty() {
        table.note(Cell::toned(format!("  {said}"), Tone::Faint));
    }
}

/// What was learned of a deployment, on a line of its own.
fn add_known(deployment: &Value, table: &mut Table) {
    if let Some(known) = deployment["known"].as_str() {
        table.note(Cell::toned(format!("  {known}"), Tone::Faint));
    }
}

fn provider_state(provider: &Value, now: jiff::Timestamp) -> Cell {
    if provider["disabled"].as_bool().unwrap_or(false) {
        return Cell::toned("disabled", Tone::Faint);
    }
    if provider["available"].as_bool().unwrap_or(false) {
        let some_closed =
            items(&provider["deployments"]).any(|one| one["available"].as_bool() == Some(false));
        return available(some_closed);
    }
    // The deployment that is back first says why.
    let until = &provider["rate_limited_until"];
    let mut closed = items(&provider["deployments"]).filter(|one| one["kind"].is_string());
    let first = closed.clone().find(|one| one["until"] == *until).or_else(|| closed.next());
    match first {
        Some(one) => closed_state(one, until, now),
        None => closed_state(provider, until, now),
    }
}

fn available(partly: bool) -> Cell {
    Cell::toned(if partly { "available, in part" } else { "available" }, Tone::Good)
}

fn deployment_state(one: &Value, now: jiff::Timestamp) -> Cell {
    match (one["available"].as_bool().unwrap_or(false), text(&one["state"])) {
        (true, "half_open") => Cell::toned("to be probed", Tone::Warn),
        (true, _) => available(false),
        (false, _) => closed_state(one, &one["until"], now),
    }
}

/// `rate limited until 16:40 (in 24m)`, or `key refused (parked)`.
fn closed_state(of: &Value, until: &Value, now: jiff::Timestamp) -> Cell {
    let mut told = match text(&of["kind"]) {
        "" => text(&of["reason"]).split(": ").next().unwrap_or_default().to_owned(),
        kind => kind.replace('_', " "),
    };
    let tone = match (until.as_str(), text(&of["state"])) {
        (Some(until), _) => {
            let _ = write!(told, " until {}", moment(until, now));
            Tone::Warn
        }
        (None, "parked") => {
            told.push_str(" (parked)");
            Tone::Bad
        }
        (None, _) => Tone::Warn,
    };
    Cell::toned(told, tone)
}

/// `16:40 (in 24m)`; with its day if that is another one.
fn moment(until: &str, now: jiff::Timestamp) -> String {
    let Ok(zoned) = jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%:z", until) else {
        return until.to_owned();
    };
    let (Ok(then), Some(offset)) = (zoned.to_timestamp(), zoned.offset()) else {
        return until.to_owned();
    };
    let seconds = then.as_second() - now.as_second();
    // A short wait is told to the second, else the clock would show it as over.
    let form = match (seconds, offset.to_datetime(now).date() == offset.to_datetime(then).date()) {
        (..120, true) => "%H:%M:%S",
        (_, true) => "%H:%M",
        (_, false) => "%Y-%m-%d %H:%M",
    };
    let clock = offset.to_datetime(then).strftime(form).to_string();
    if seconds > 0 { format!("{clock} (in {})", countdown(seconds)) } else { clock }
}

fn countdown(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `212/1000 requests/day`, for the first limits that are known.
fn left<'v>(deployments: impl Iterator<Item = &'v Value>) -> String {
    let quotas = deployments.flat_map(|deployment| items(&deployment["quotas"]));
    let told: Vec<String> = quotas
        .filter(|quota| quota["remaining"].is_u64() && quota["limit"].is_u64())
        .take(2)
        .map(|quota| {
            let (remaining, limit) = (&quota["remaining"], &quota["limit"]);
            format!("{remaining}/{limit} {}/{}", text(&quota["counts"]), text(&quota["per"]))
        })
        .collect();
    told.join(", ")
}

/// The usual time until the first token: `420ms`, `1.2s`.
fn first_token(of: &Value) -> String {
    match of["first_token_ms"].as_f64() {
        Some(millis) if millis < 1000.0 => format!("{millis:.0}ms"),
        Some(millis) => format!("{:.1}s", millis / 1000.0),
        None => String::new(),
    }
}

fn instant(value: &Value) -> Option<jiff::Timestamp> {
    value.as_str().and_then(|text| text.parse().ok())
}

pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> + Clone {
    list.as_array().into_iter().flatten()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> String {
    value.as_u64().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Look = Look { colour: false, width: None };

    fn now() -> jiff::Timestamp {
        "2026-11-22T15:16:00Z".parse().unwrap()
    }

    fn seen(status: &Value) -> String {
        view(status, now(), PLAIN)
    }

    fn provider(name: &str, more: Value) -> Value {
        let mut provider = json!({
            "name": name, "model": "m-1", "available": true, "disabled": false, "reason": null,
            "rate_limited_until": null, "request_count": 7, "total_tokens_used": 900,
            "deployments": [],
        });
        provider.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        provider
    }

    fn status(providers: &[Value]) -> Value {
        json!({"providers": providers, "total_providers": providers.len(), "available_providers": 1})
    }

    #[test]
    fn a_time_is_told_by_the_clock_of_the_proxy_and_as_a_wait() {
        for (until, told) in [
            ("2026-11-22T16:40:00+01:00", "16:40 (in 24m)"),
            ("2026-11-22T16:16:30+01:00", "16:16:30 (in 30s)"),
            ("2026-11-22T20:46:00+01:00", "20:46 (in 4h30m)"),
            ("2026-11-23T00:00:00-08:00", "2026-11-23 00:00 (in 16h44m)"),
            ("2026-11-30T16:16:00+01:00", "2026-11-30 16:16 (in 8d)"),
            ("2026-11-22T16:00:00+01:00", "16:00:00"),
            ("soon", "soon"),
        ] {
            assert_eq!(moment(until, now()), told, "{until}");
        }
    }

    #[test]
    fn who_rests_is_told_with_word_time_and_reason() {
        let until = "2026-11-22T16:40:00+01:00";
        let deployment =
            json!({"available": false, "state": "cooling", "kind": "rate_limited", "until": until});
        let told = seen(&status(&[provider(
            "groq",
            json!({"available": false, "reason": "rate limited: slow \u{1b}[2Jdown", "rate_limited_until": until,
                   "deployments": [deployment]}),
        )]));
        assert!(
            told.contains("groq      rate limited until 16:40 (in 24m)  7         900"),
            "{told}"
        );
        assert!(told.contains("\n  slow  [2Jdown\n"), "{told}");
    }

    #[test]
    fn who_is_parked_or_switched_off_has_no_time() {
        let parked =
            json!({"available": false, "state": "parked", "kind": "key_rejected", "until": null});
        let told = seen(&status(&[
            provider(
                "a",
                json!({"available": false, "reason": "key rejected", "deployments": [parked]}),
            ),
            provider("b", json!({"available": false, "disabled": true, "reason": "switched off"})),
        ]));
        assert!(told.contains("a         key rejected (parked)  7"), "{told}");
        assert!(told.contains("b         disabled "), "{told}");
    }

    #[test]
    fn several_deployments_have_a_line_each() {
        let one = |key: &str, open: bool| {
            json!({"key": key, "model": "m", "available": open, "state": if open {"open"} else {"cooling"},
                   "kind": if open {Value::Null} else {"daily_quota".into()}, "request_count": 3,
                   "total_tokens_used": 5, "first_token_ms": 420,
                   "quotas": [{"counts": "requests", "per": "day", "limit": 1000, "remaining": 212}]})
        };
        let told = seen(&status(&[provider(
            "p",
            json!({"deployments": [one("aaaa1111", true), one("bbbb2222", false)], "forecast": "212 left, until 16:40",
                   "first_token_ms": 1234}),
        )]));
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[1].starts_with("p ") && lines[1].contains("available, in part"), "{told}");
        assert!(lines[1].contains("212 left, until 16:40") && lines[1].contains("1.2s"), "{told}");
        assert!(
            lines[2].starts_with("  aaaa1111") && lines[2].contains("212/1000 requests/day"),
            "{told}"
        );
        assert!(lines[3].contains("daily quota") && lines[3].contains("420ms"), "{told}");
    }

    #[test]
    fn the_footer_counts_saved_streams_and_names_the_skipped() {
        let mut status = status(&[provider("p", json!({}))]);
        assert!(seen(&status).ends_with("1 of 1 providers available\n"));
        status["streams_saved"] = json!(2);
        status["skipped_providers"] = json!([{"name": "groq", "reason": "no key"}]);
        let told = seen(&status);
        assert!(told.contains("skipped groq: no key\n"), "{told}");
        assert!(told.ends_with("; 2 broken streams were continued\n"), "{told}");
    }

    #[test]
    fn eighty_columns_hold_state_and_what_is_left() {
        let until = "2026-11-22T16:40:00+01:00";
        let closed =
            json!({"available": false, "state": "cooling", "kind": "rate_limited", "until": until});
        let status = status(&[provider(
            "first",
            json!({"available": false, "rate_limited_until": until,
                "forecast": "0/1000 requests/day", "deployments": [closed],
                "model": "a-very-long-name-of-a-model"}),
        )]);
        let told = view(&status, now(), Look { colour: false, width: Some(80) });
        assert!(told.contains("rate limited until 16:40 (in 24m)"), "{told}");
        assert!(told.contains("0/1000 requests/day\n") && !told.contains("MODEL"), "{told}");
    }

    #[test]
    fn a_short_screen_shows_first_who_cannot_serve() {
        let mut all: Vec<Value> =
            (0..30).map(|number| provider(&format!("p{number}"), json!({}))).collect();
        all.push(provider("last", json!({"available": false, "disabled": true})));
        let mut status = status(&all);
        status["skipped_providers"] = json!([{"name": "a", "reason": "b"}]);
        let told = view_within(10, &status, now(), PLAIN);
        assert_eq!(told.lines().count(), 10, "{told}");
        assert!(told.contains("p4 ") && told.contains("last ") && !told.contains("p5 "), "{told}");
        assert!(told.contains("\n… and 25 more available\n1 skipped: "), "{told}");
        assert!(told.ends_with("1 of 31 providers available\n"), "{told}");
        assert!(view_within(1, &status, now(), PLAIN).contains("… and 31 more\n"));
        assert_eq!(view_within(40, &status, now(), PLAIN), view(&status, now(), PLAIN));
    }

    #[test]
    fn an_empty_or_odd_answer_is_a_table_too() {
        for odd in [Value::Null, json!({"providers": [null, 7, {}]}), json!([])] {
            assert!(seen(&odd).contains("0 of 0 providers available"));
        }
    }
}
