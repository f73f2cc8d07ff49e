//! One open database: what is written in one transaction, and what is read back.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Result, TransactionBehavior};

use crate::record::{Kept, Record};
use crate::rows::{put_requests, put_state, put_usage, read_state, read_usage, request};
use crate::schema;
use crate::usage::{Fold, Slot, Tallies, UsageQuery, UsageRow, Used};

/// How long another program's lock is waited for.
const BUSY: Duration = Duration::from_millis(500);

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

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(error) => write!(f, "is damaged ({error})"),
            Self::Foreign => f.write_str("is not a file of this program"),
            Self::Newer => f.write_str("was written by a newer version"),
            Self::Unusable(error) => write!(f, "cannot be used ({error})"),
        }
    }
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
    /// Whether commits are synced now.
    is_synced: bool,
}

impl Database {
    /// An empty database in memory.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(crate) fn in_memory() -> Result<Self> {
        let mut connection = Connection::open_in_memory()?;
        schema::migrate(&mut connection, 0)?;
        Ok(Self { connection, is_synced: false })
    }

    /// Opens or creates the file, that is to stay below `most_bytes`, and brings it to the newest
    /// version.
    ///
    /// # Errors
    /// Says why the file is not used; it has not been changed then.
    pub(crate) fn open(path: &Path, most_bytes: u64) -> Result<Self, Unfit> {
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
        // The log takes a sixteenth of what the file may, 4 MiB at most.
        let log = (most_bytes / 16).min(4 << 20);
        connection.execute_batch(&format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit={log};
             PRAGMA wal_autocheckpoint={};",
            log / 4096
        ))?;
        schema::migrate(&mut connection, version)?;
        Ok(Self { connection, is_synced: false })
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
        self.set_synced(batch.synced)?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        put_state(&transaction, batch)?;
        put_requests(&transaction, batch.records)?;
        let mut tallies = Tallies::default();
        tallies.add(batch.records);
        put_usage(&transaction, tallies.rows().chain(batch.dropped.rows()))?;
        transaction.commit()
    }

    /// With a write-ahead log, FULL syncs each commit; NORMAL leaves it to the system.
    fn set_synced(&mut self, is_synced: bool) -> Result<()> {
        if self.is_synced != is_synced {
            let level = if is_synced { "FULL" } else { "NORMAL" };
            self.connection.execute_batch(&format!("PRAGMA synchronous={level};"))?;
            self.is_synced = is_synced;
        }
        Ok(())
    }

    /// Writes sums from another file.
    ///
    /// # Errors
    /// Whatever the file answers; nothing was written then.
    pub(crate) fn adopt(&mut self, usage: &[(Slot, Used)]) -> Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        put_usage(&transaction, usage.iter().map(|(slot, used)| (slot, used)))?;
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
