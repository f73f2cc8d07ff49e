//! One open database: what is written in one transaction, and what is read back.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Result, Row, Transaction, TransactionBehavior, params};

use crate::record::{Kept, Record};
use crate::schema;
use crate::usage::{COLUMNS, Fold, Slot, Tallies, UsageQuery, UsageRow, Used};

/// How long another program's lock is waited for.
const BUSY: Duration = Duration::from_millis(500);
/// Most rows of state that are read.
const MOST_STATE: i64 = 100_000;
/// Longest text of one row of state, in bytes.
const MOST_VALUE: i64 = 1 << 20;

/// Why a file is not used.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// Its bytes are no database, or not a whole one.
    Damaged(String),
    /// It belongs to another program.
    Foreign,
    /// A newer version of this program wrote it.
    Newer,
    /// The disk or the folder says no; the file itself may be well.
    Unusable(String),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) {
            Self::Damaged(error.to_string())
        } else {
            Self::Unusable(error.to_string())
        }
    }
}

/// Whether `error` says that the file's bytes are wrong. A table or a column that is not there
/// counts too: no version of ours lacks it.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | Unknown))
}

/// What one transaction writes.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// Rows of state.
    pub(crate) kept: &'a [Kept],
    /// Whether `kept` is all there is, so that every other row goes.
    pub(crate) anew: bool,
    /// Requests, oldest first.
    pub(crate) records: &'a [Record],
    /// Sums of records that were dropped.
    pub(crate) dropped: &'a Tallies,
    /// When, in milliseconds since the epoch.
    pub(crate) now: i64,
    /// Whether the commit has to be on the disk itself.
    pub(crate) synced: bool,
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
}

impl Database {
    /// An empty database in memory.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(crate) fn in_memory() -> Result<Self> {
        let mut connection = Connection::open_in_memory()?;
        schema::migrate(&mut connection, 0)?;
        Ok(Self { connection })
    }

    /// Opens or creates the file and brings it to the newest version.
    ///
    /// # Errors
    /// Says why the file is not used; it has not been changed then.
    pub(crate) fn open(path: &Path) -> Result<Self, Unfit> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("PRAGMA trusted_schema=OFF; PRAGMA cache_size=-1024;")?;
        let version = inspect(&connection)?;
        if version == 0 {
            connection.execute_batch(&format!(
                "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA application_id={};",
                schema::APPLICATION_ID
            ))?;
        }
        connection.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=4194304;",
        )?;
        schema::migrate(&mut connection, version)?;
        Ok(Self { connection })
    }

    /// Every remembered row of state.
    ///
    /// # Errors
    /// Whatever the file answers.
    pub(crate) fn state(&self) -> Result<Vec<Kept>> {
        read_state(&self.connection, "", |_| {})
    }

    /// Writes a batch, whole or not at all.
    ///
    /// # Errors
    /// Whatever the file answers; nothing was written then.
    pub(crate) fn save(&mut self, batch: &Batch<'_>) -> Result<()> {
        // With a write-ahead log, FULL syncs this one commit; NORMAL leaves it to the system.
        let level = if batch.synced { "FULL" } else { "NORMAL" };
        self.connection.execute_batch(&format!("PRAGMA synchronous={level};"))?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        put_state(&transaction, batch)?;
        put_requests(&transaction, batch.records)?;
        let mut tallies = Tallies::default();
        batch.records.iter().for_each(|record| tallies.add(record));
        put_usage(&transaction, tallies.rows().chain(batch.dropped.rows()))?;
        transaction.commit()
    }

    /// Writes sums from another file.
    ///
    /// # Errors
    /// Whatever the file answers; nothing was written then.
    pub(crate) fn adopt(&mut self, usage: Vec<(Slot, Used)>) -> Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        put_usage(&transaction, usage.into_iter())?;
        transaction.commit()
    }

    /// Syncs what was committed before.
    ///
    /// # Errors
    /// Whatever the file answers.
    pub(crate) fn sync(&self) -> Result<()> {
        self.connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE);")
    }

    /// Moves the write-ahead log into the file and closes it.
    pub(crate) fn close(self) {
        // A reader may hold the log; then it stays beside the file and is read at the next start.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);");
        drop(self.connection);
    }

    /// The newest requests, newest first.
    ///
    /// # Errors
    /// Whatever the file answers.
    pub(crate) fn recent(&self, limit: usize) -> Result<Vec<Record>> {
        let mut statement = self.connection.prepare(
            "SELECT at, endpoint, asked, stream, status, outcome, provider, key, model,
                prompt_tokens, completion_tokens, total_tokens, estimated, cost_nanos,
                first_token_ms, duration_ms, hops, skipped, id
             FROM requests ORDER BY id DESC LIMIT ?1",
        )?;
        let rows = statement.query_map([limit as i64], |row| Ok(request(row)))?;
        rows.collect()
    }

    /// Usage, grouped as asked.
    ///
    /// # Errors
    /// Whatever the file answers.
    pub(crate) fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>> {
        let since = query.since.map_or(i64::MIN, crate::usage::quarter);
        let until = query.until.unwrap_or(i64::MAX);
        let mut fold = Fold::new(query);
        let condition = "WHERE quarter_start >= ?1 AND quarter_start < ?2";
        read_usage(&self.connection, condition, &[since, until], |slot, used| {
            fold.add(slot, used);
        })?;
        Ok(fold.rows())
    }

    /// The connection, for pruning.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Whose file this is: its version, 0 for an empty one.
fn inspect(connection: &Connection) -> Result<i64, Unfit> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let version = number("user_version")?;
    let owner = number("application_id")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner == i64::from(schema::APPLICATION_ID) {
        return if version > schema::VERSION { Err(Unfit::Newer) } else { Ok(version.max(0)) };
    }
    if owner == 0 && version == 0 && tables == 0 { Ok(0) } else { Err(Unfit::Foreign) }
}

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

fn put_state(transaction: &Transaction<'_>, batch: &Batch<'_>) -> Result<()> {
    if batch.anew {
        transaction.execute("DELETE FROM state", [])?;
    }
    if batch.kept.is_empty() {
        return Ok(());
    }
    let mut put = transaction.prepare(
        "INSERT INTO state (kind, provider, key, model, value, saved_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET value = excluded.value, saved_at = excluded.saved_at",
    )?;
    let mut forget = transaction.prepare(
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

fn put_requests(transaction: &Transaction<'_>, records: &[Record]) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let mut put = transaction.prepare(
        "INSERT OR REPLACE INTO requests (at, endpoint, asked, stream, status, outcome, provider, key, model,
            prompt_tokens, completion_tokens, total_tokens, estimated, cost_nanos,
            first_token_ms, duration_ms, hops, skipped, id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
            ?19)",
    )?;
    for record in records {
        put.execute(params![
            record.at,
            record.endpoint,
            record.asked,
            record.stream,
            record.status,
            record.outcome,
            record.provider,
            record.key,
            record.model,
            record.prompt_tokens.map(signed),
            record.completion_tokens.map(signed),
            record.total_tokens.map(signed),
            record.estimated,
            record.cost_nanos.map(signed),
            record.first_token_ms.map(signed),
            signed(record.duration_ms),
            json(&record.hops),
            json(&record.skipped),
            (record.id != 0).then_some(record.id),
        ])?;
    }
    Ok(())
}

fn put_usage(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = (Slot, Used)>,
) -> Result<()> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let columns = COLUMNS.join(", ");
    let places: Vec<String> = (5..17).map(|place| format!("?{place}")).collect();
    let sums: Vec<String> =
        COLUMNS.iter().map(|name| format!("{name} = {name} + excluded.{name}")).collect();
    let mut put = transaction.prepare(&format!(
        "INSERT INTO usage (quarter_start, provider, key, model, {columns})
         VALUES (?1, ?2, ?3, ?4, {}) ON CONFLICT DO UPDATE SET {}",
        places.join(", "),
        sums.join(", ")
    ))?;
    for ((quarter, provider, key, model), mut used) in rows {
        put.raw_bind_parameter(1, quarter)?;
        put.raw_bind_parameter(2, provider)?;
        put.raw_bind_parameter(3, key)?;
        put.raw_bind_parameter(4, model)?;
        for (index, sum) in used.columns().into_iter().enumerate() {
            put.raw_bind_parameter(5 + index, signed(*sum))?;
        }
        put.raw_execute()?;
    }
    Ok(())
}

fn request(row: &Row<'_>) -> Record {
    Record {
        id: whole(row, 18).unwrap_or(0),
        at: whole(row, 0).unwrap_or(0),
        endpoint: text(row, 1),
        asked: text(row, 2),
        stream: whole(row, 3) == Some(1),
        status: whole(row, 4).and_then(|status| u16::try_from(status).ok()).unwrap_or(0),
        outcome: text(row, 5),
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
