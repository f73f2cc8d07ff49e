//! Rows of the three tables, there and back.

use std::sync::LazyLock;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Result, Row, Transaction, params};

use crate::database::Batch;
use crate::record::{Kept, Record};
use crate::usage::{COLUMNS, Slot, Used};

/// Most rows of state that are read.
const MOST_STATE: i64 = 100_000;
/// Longest text of one row of state, in bytes.
const MOST_VALUE: i64 = 1 << 20;

/// Reads rows of state; what is read before an error has been given to `each`.
///
/// # Errors
/// Whatever the file answers.
pub(crate) fn read_state(
    connection: &Connection,
    order: &str,
    mut each: impl FnMut(&Kept),
) -> Result<Vec<Kept>> {
    let sql = format!(
        "SELECT kind, provider, key, model, value FROM state
         WHERE length(value) <= {MOST_VALUE} {order} LIMIT {MOST_STATE}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next()? {
        let one = Kept {
            kind: text(row, 0),
            provider: text(row, 1),
            key: text(row, 2),
            model: text(row, 3),
            value: Some(text(row, 4)),
        };
        each(&one);
        kept.push(one);
    }
    Ok(kept)
}

/// Reads rows of usage, each given to `each`.
///
/// # Errors
/// Whatever the file answers.
pub(crate) fn read_usage(
    connection: &Connection,
    condition: &str,
    bounds: &[i64],
    mut each: impl FnMut(Slot, Used),
) -> Result<()> {
    let columns = COLUMNS.join(", ");
    let sql =
        format!("SELECT quarter_start, provider, key, model, {columns} FROM usage {condition}");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(bounds))?;
    while let Some(row) = rows.next()? {
        let mut used = Used::default();
        for (index, sum) in used.columns().into_iter().enumerate() {
            *sum = count(row, 4 + index).unwrap_or(0);
        }
        each((whole(row, 0).unwrap_or(0), text(row, 1), text(row, 2), text(row, 3)), used);
    }
    Ok(())
}

/// Writes and forgets rows of state.
///
/// # Errors
/// Whatever the file answers.
pub(crate) fn put_state(transaction: &Transaction<'_>, batch: &Batch<'_>) -> Result<()> {
    if batch.anew {
        transaction.execute("DELETE FROM state", [])?;
    }
    if batch.kept.is_empty() {
        return Ok(());
    }
    let mut put = transaction.prepare_cached(
        "INSERT INTO state (kind, provider, key, model, value, saved_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET value = excluded.value, saved_at = excluded.saved_at",
    )?;
    let mut forget = transaction.prepare_cached(
        "DELETE FROM state WHERE kind = ?1 AND provider = ?2 AND key = ?3 AND model = ?4",
    )?;
    for Kept { kind, provider, key, model, value } in batch.kept {
        match value {
            Some(value) => put.execute(params![kind, provider, key, model, value, batch.now])?,
            None => forget.execute(params![kind, provider, key, model])?,
        };
    }
    Ok(())
}

/// Writes requests.
///
/// # Errors
/// Whatever the file answers.
pub(crate) fn put_requests(transaction: &Transaction<'_>, records: &[Record]) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let mut put = transaction.prepare_cached(
        "INSERT OR REPLACE INTO requests (at, endpoint, asked, stream, status, outcome, provider, key, model,
            prompt_tokens, completion_tokens, total_tokens, estimated, cost_nanos,
            first_token_ms, duration_ms, hops, skipped, id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
            ?19)",
    )?;
    let mut last = None;
    for record in records {
        bind_request(&mut put, record, last)?;
        put.raw_execute()?;
        last = Some(record);
    }
    Ok(())
}

/// Binds a request's columns. What is bound stays bound, and most of what requests say they say
/// alike: a text is bound, and copied, only where the `last` one said something else.
fn bind_request(
    put: &mut CachedStatement<'_>,
    record: &Record,
    last: Option<&Record>,
) -> Result<()> {
    let texts: [fn(&Record) -> &str; 6] = [
        |record| &record.endpoint,
        |record| &record.asked,
        |record| &record.outcome,
        |record| &record.provider,
        |record| &record.key,
        |record| &record.model,
    ];
    for (place, text) in [2, 3, 6, 7, 8, 9].into_iter().zip(texts) {
        if last.is_none_or(|last| text(last) != text(record)) {
            put.raw_bind_parameter(place, text(record))?;
        }
    }
    let numbers = [
        (1, Some(record.at)),
        (4, Some(i64::from(record.stream))),
        (5, Some(i64::from(record.status))),
        (10, record.prompt_tokens.map(signed)),
        (11, record.completion_tokens.map(signed)),
        (12, record.total_tokens.map(signed)),
        (13, Some(i64::from(record.estimated))),
        (14, record.cost_nanos.map(signed)),
        (15, record.first_token_ms.map(signed)),
        (16, Some(signed(record.duration_ms))),
        (19, (record.id != 0).then_some(record.id)),
    ];
    for (place, number) in numbers {
        put.raw_bind_parameter(place, number)?;
    }
    put.raw_bind_parameter(17, json(&record.hops))?;
    put.raw_bind_parameter(18, json(&record.skipped))
}

/// Adds the sums of one slot to those that are there.
static PUT_USAGE: LazyLock<String> = LazyLock::new(|| {
    let columns = COLUMNS.join(", ");
    let places: Vec<String> = (5..17).map(|place| format!("?{place}")).collect();
    let sums: Vec<String> =
        COLUMNS.iter().map(|name| format!("{name} = {name} + excluded.{name}")).collect();
    format!(
        "INSERT INTO usage (quarter_start, provider, key, model, {columns})
         VALUES (?1, ?2, ?3, ?4, {}) ON CONFLICT DO UPDATE SET {}",
        places.join(", "),
        sums.join(", ")
    )
});

/// Adds sums to those that are there.
///
/// # Errors
/// Whatever the file answers.
pub(crate) fn put_usage<'a>(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = (&'a Slot, &'a Used)>,
) -> Result<()> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut put = transaction.prepare_cached(&PUT_USAGE)?;
    for ((quarter, provider, key, model), used) in rows {
        put.raw_bind_parameter(1, quarter)?;
        put.raw_bind_parameter(2, provider)?;
        put.raw_bind_parameter(3, key)?;
        put.raw_bind_parameter(4, model)?;
        for (index, sum) in { *used }.columns().into_iter().enumerate() {
            put.raw_bind_parameter(5 + index, signed(*sum))?;
        }
        put.raw_execute()?;
    }
    Ok(())
}

/// One request from its columns, in the order of [`put_requests`].
pub(crate) fn request(row: &Row<'_>) -> Record {
    Record {
        id: whole(row, 18).unwrap_or(0),
        at: whole(row, 0).unwrap_or(0),
        endpoint: text(row, 1).into(),
        asked: text(row, 2),
        stream: whole(row, 3) == Some(1),
        status: whole(row, 4).and_then(|status| u16::try_from(status).ok()).unwrap_or(0),
        outcome: text(row, 5).into(),
        provider: text(row, 6),
        key: text(row, 7),
        model: text(row, 8),
        prompt_tokens: count(row, 9),
        completion_tokens: count(row, 10),
        total_tokens: count(row, 11),
        estimated: whole(row, 12) == Some(1),
        cost_nanos: count(row, 13),
        first_token_ms: count(row, 14),
        duration_ms: count(row, 15).unwrap_or(0),
        hops: serde_json::from_str(&text(row, 16)).unwrap_or_default(),
        skipped: serde_json::from_str(&text(row, 17)).unwrap_or_default(),
    }
}

/// A column as text; empty where it is anything else, for the file may have been edited.
fn text(row: &Row<'_>, index: usize) -> String {
    row.get_ref(index).ok().and_then(|value| value.as_str().ok()).unwrap_or_default().to_owned()
}

fn whole(row: &Row<'_>, index: usize) -> Option<i64> {
    match row.get_ref(index) {
        Ok(ValueRef::Integer(number)) => Some(number),
        _ => None,
    }
}

fn count(row: &Row<'_>, index: usize) -> Option<u64> {
    whole(row, index).and_then(|number| u64::try_from(number).ok())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn json<T: serde::Serialize>(list: &[T]) -> Option<String> {
    if list.is_empty() { None } else { serde_json::to_string(list).ok() }
}
