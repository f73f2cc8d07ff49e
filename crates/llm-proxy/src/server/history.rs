//! `GET /requests` and `GET /usage`: what became of requests, and what was used.

use std::time::Duration;

use engine::Timestamp;
use http::{Response, StatusCode};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, civil};
use serde_json::{Map, Value, json};
use store::{By, Hop, Record, Skipped, UsageQuery, UsageRow};

use super::body::ClientBody;
use super::error::{ProxyError, json_response};
use super::query::query_value;
use super::report::moment;
use crate::app::App;
use crate::world::World;

/// Requests that are told if nobody says how many.
const USUAL: usize = 200;
const MOST: usize = 2000;

/// What was used is told of so many days if nobody says since when.
const USUAL_SPAN: Duration = Duration::from_hours(7 * 24);

/// `GET /requests?limit=200`: the newest requests.
pub(crate) async fn requests(
    app: &App,
    world: &World,
    query: &str,
) -> Result<Response<ClientBody>, ProxyError> {
    let most = match query_value(query, "limit") {
        None => USUAL,
        Some(text) => {
            text.parse().ok().filter(|most| (1..=MOST).contains(most)).ok_or_else(|| {
                let message = format!("limit is a number from 1 to {MOST}");
                ProxyError::bad_request("invalid_limit", message)
            })?
        }
    };
    let found = app.memory.recent(most).await;
    let records = found.map_err(|problem| ProxyError::no_history(&problem))?;
    let zone = world.zone();
    let told: Vec<Value> = records.iter().map(|record| record_json(record, &zone)).collect();
    Ok(json_response(StatusCode::OK, &json!({"requests": told})))
}

/// A request as programs and pages are told of it.
pub(crate) fn record_json(record: &Record, zone: &TimeZone) -> Value {
    json!({
        "id": record.id,
        "time": at(record.at, zone),
        "endpoint": record.endpoint,
        "asked": record.asked,
        "stream": record.stream,
        "status": record.status,
        "outcome": record.outcome,
        "provider": filled(&record.provider),
        "key": filled(&record.key),
        "model": filled(&record.model),
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "total_tokens": record.total_tokens,
        "estimated": record.estimated,
        "cost_usd": record.cost_nanos.map(dollars),
        "first_token_ms": record.first_token_ms,
        "duration_ms": record.duration_ms,
        "hops": hops(record, zone),
        "skipped": record.skipped.iter().map(|one| skipped_json(one, zone)).collect::<Vec<_>>(),
    })
}

/// The attempts. A single one that was answered is not kept apart.
fn hops(record: &Record, zone: &TimeZone) -> Vec<Value> {
    if !record.hops.is_empty() || record.provider.is_empty() {
        let mut ended = record.at;
        let told = record.hops.iter().map(|hop| {
            ended = ended.saturating_add_unsigned(hop.took_ms);
            hop_json(hop, ended, zone)
        });
        return told.collect();
    }
    let only = Hop {
        provider: record.provider.clone(),
        key: record.key.clone(),
        model: record.model.clone(),
        result: "200".to_owned(),
        kind: None,
        detail: String::new(),
        until: None,
        took_ms: record.first_token_ms.unwrap_or(record.duration_ms),
    };
    vec![hop_json(&only, record.at, zone)]
}

/// An attempt that ended at about `ended`.
fn hop_json(hop: &Hop, ended: i64, zone: &TimeZone) -> Value {
    json!({
        "provider": hop.provider,
        "key": filled(&hop.key),
        "model": hop.model,
        "result": hop.result,
        "kind": hop.kind,
        "detail": hop.detail,
        "until": hop.until.and_then(|until| at(until, zone)),
        "wait_ms": hop.until.map(|until| until.saturating_sub(ended).max(0)),
        "took_ms": hop.took_ms,
    })
}

fn skipped_json(skipped: &Skipped, zone: &TimeZone) -> Value {
    json!({
        "provider": skipped.provider,
        "key": filled(&skipped.key),
        "model": skipped.model,
        "reason": skipped.reason,
        "detail": skipped.detail,
        "until": skipped.until.and_then(|until| at(until, zone)),
    })
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn at(millis: i64, zone: &TimeZone) -> Option<String> {
    moment(Timestamp::from_millis(millis), zone)
}

fn dollars(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// `GET /usage?by=day&since=7d`: what was used.
pub(crate) async fn usage(
    app: &App,
    world: &World,
    query: &str,
) -> Result<Response<ClientBody>, ProxyError> {
    let zone = world.zone();
    let now = app.clock.now();
    let grouping = query_value(query, "by").unwrap_or_else(|| "day".to_owned());
    let by = groups(&grouping)?;
    let since = instant(query, "since", now, &zone)?.unwrap_or_else(|| back(now, USUAL_SPAN));
    let until = instant(query, "until", now, &zone)?;
    let asked = UsageQuery {
        by: by.clone(),
        since: Some(since.as_millis()),
        until: until.map(Timestamp::as_millis),
        zone: zone.clone(),
    };
    let found = app.memory.usage(asked).await;
    let rows = found.map_err(|problem| ProxyError::no_history(&problem))?;
    let told: Vec<Value> = rows.iter().map(|row| row_json(row, &by, &zone)).collect();
    let body = json!({
        "by": grouping,
        "since": moment(since, &zone),
        "until": moment(until.unwrap_or(now), &zone),
        "rows": told,
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// What the answer is grouped by: one word, or several with commas.
fn groups(words: &str) -> Result<Vec<By>, ProxyError> {
    let group = |word: &str| match word {
        "provider" => Some(By::Provider),
        "model" => Some(By::Model),
        "key" => Some(By::Key),
        "day" => Some(By::Day),
        "hour" => Some(By::Hour),
        _ => None,
    };
    words.split(',').map(|word| group(word.trim())).collect::<Option<Vec<_>>>().ok_or_else(|| {
        let message = "by is provider, model, key, day or hour, or several of them with commas";
        ProxyError::bad_request("invalid_by", message)
    })
}

/// A moment of the query: `24h`, `7d` (so long ago), `2026-11-22` or RFC 3339.
fn instant(
    query: &str,
    name: &str,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<Option<Timestamp>, ProxyError> {
    let Some(text) = query_value(query, name) else { return Ok(None) };
    let found = ago(&text, now)
        .or_else(|| midnight(&text, zone))
        // A plus sign in a query stands for a space.
        .or_else(|| Some(millis(text.replace(' ', "+").parse::<jiff::Timestamp>().ok()?)));
    found.map(Some).ok_or_else(|| {
        let message = format!("{name} is a span (24h, 7d), a date (2026-11-22) or a time");
        ProxyError::bad_request("invalid_time", message)
    })
}

fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let count: u32 = digits.parse().ok()?;
    let unit = match &text[digits.len()..] {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    Some(back(now, Duration::from_secs(u64::from(count) * unit)))
}

fn midnight(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let date: civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
    Some(millis(date.to_zoned(zone.clone()).ok()?.timestamp()))
}

fn millis(instant: jiff::Timestamp) -> Timestamp {
    Timestamp::from_millis(instant.as_millisecond())
}

fn back(now: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    let back = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(back))
}

fn row_json(row: &UsageRow, by: &[By], zone: &TimeZone) -> Value {
    let mut told = Map::new();
    for group in by {
        match group {
            By::Day => {
                let day = row.start.and_then(|start| at(start, zone));
                let date = day.as_deref().and_then(|day| day.get(..10)).map(str::to_owned);
                told.insert("day".to_owned(), date.into());
            }
            By::Hour => {
                let hour = row.start.and_then(|start| at(start, zone));
                told.insert("hour".to_owned(), hour.into());
            }
            By::Provider => drop(told.insert("provider".to_owned(), filled(&row.provider).into())),
            By::Key => drop(told.insert("key".to_owned(), filled(&row.key).into())),
            By::Model => drop(told.insert("model".to_owned(), filled(&row.model).into())),
        }
    }
    if by.iter().any(|group| matches!(group, By::Key | By::Model)) {
        told.insert("provider".to_owned(), filled(&row.provider).into());
    }
    let used = &row.used;
    let average = |sum: u64, count: u64| (count > 0).then(|| sum / count.max(1));
    let counts = json!({
        "attempts": used.attempts,
        "requests": used.requests,
        "refused": used.refused,
        "failures": used.failures,
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.total_tokens,
        "estimated_tokens": used.estimated_tokens,
        "cost_usd": (used.cost_nanos > 0).then(|| dollars(used.cost_nanos)),
        "average_first_token_ms": average(used.first_token_ms, used.first_token_count),
        "average_duration_ms": average(used.duration_ms, used.requests + used.refused),
    });
    if let Value::Object(counts) = counts {
        told.extend(counts);
    }
    Value::Object(told)
}
