//! Keeps the file small, one short step at a time.

use std::time::Instant;

use rusqlite::{Connection, Result, params};

use crate::pace::PRUNE_EVERY;

/// Most rows that one step deletes.
const STEP_ROWS: i64 = 2_000;
/// Most free pages that one step gives back.
const STEP_PAGES: i64 = 512;
/// Requests that are left alone while usage can be shortened instead.
const FEW_REQUESTS: i64 = 1_000;
/// How long usage is kept, in milliseconds.
const USAGE_KEPT: i64 = 400 * 86_400_000;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How long requests are kept, in milliseconds.
    pub(crate) history: i64,
    /// Most bytes of the file.
    pub(crate) bytes: u64,
    /// Most requests, where there is such a bound.
    pub(crate) requests: Option<i64>,
}

/// What is being pruned.
#[derive(Debug)]
pub(crate) struct Pruning {
    bounds: Bounds,
    looked: Option<Instant>,
    aging: bool,
    shrinking: bool,
}

impl Pruning {
    /// Nothing yet.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, looked: None, aging: false, shrinking: false }
    }

    /// Most bytes that the file may take.
    pub(crate) fn most_bytes(&self) -> u64 {
        self.bounds.bytes
    }

    /// Whether a step is waiting.
    pub(crate) fn busy(&self) -> bool {
        self.aging || self.shrinking
    }

    /// Leaves what was begun until the next look.
    pub(crate) fn give_up(&mut self) {
        (self.aging, self.shrinking) = (false, false);
    }

    /// Looks, after a save, whether there is something to do: at ages once a minute, at the size
    /// every time, for a busy proxy writes tens of mebibytes in a minute. Says whether a minute
    /// was over.
    pub(crate) fn look(&mut self, connection: &Connection, now: Instant) -> Result<bool> {
        let minute = self.looked.is_none_or(|last| now.duration_since(last) >= PRUNE_EVERY);
        if minute {
            self.looked = Some(now);
            self.aging = true;
        }
        if let Some(most) = self.bounds.requests {
            // Numbers may have gaps, so they are no count.
            let mut forget = connection.prepare_cached(
                "DELETE FROM requests
                 WHERE id <= (SELECT id FROM requests ORDER BY id DESC LIMIT 1 OFFSET ?1)",
            )?;
            forget.execute([most])?;
        }
        // An eighth is left for the write-ahead log.
        self.shrinking |= size(connection)? > self.bounds.bytes / 8 * 7;
        Ok(minute)
    }

    /// Takes one step; `now` is the wall clock's, in milliseconds since the epoch.
    pub(crate) fn step(&mut self, connection: &Connection, now: i64) -> Result<()> {
        if self.aging {
            self.aging = forget_old(connection, now, self.bounds.history)?;
        } else if self.shrinking {
            self.shrinking = shrink(connection, self.bounds.bytes / 4 * 3)?;
        }
        Ok(())
    }
}

/// Bytes of the database.
fn size(connection: &Connection) -> Result<u64> {
    let bytes = number(connection, "PRAGMA page_count")? * number(connection, "PRAGMA page_size")?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// The one number that `sql` asks for.
fn number(connection: &Connection, sql: &str) -> Result<i64> {
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// Deletes rows that are too old; says whether there may be more.
fn forget_old(connection: &Connection, now: i64, history: i64) -> Result<bool> {
    let requests = connection.execute(
        "DELETE FROM requests
         WHERE id IN (SELECT id FROM requests ORDER BY id LIMIT ?1) AND at < ?2",
        params![STEP_ROWS, now.saturating_sub(history)],
    )?;
    let usage = oldest_usage(connection, "AND quarter_start < ?2", now.saturating_sub(USAGE_KEPT))?;
    Ok(requests as i64 == STEP_ROWS || usage > 0)
}

/// Gives free pages back, then deletes the oldest rows; says whether there is more to do.
fn shrink(connection: &Connection, enough: u64) -> Result<bool> {
    if number(connection, "PRAGMA freelist_count")? > 0 {
        let mut statement =
            connection.prepare(&format!("PRAGMA incremental_vacuum({STEP_PAGES})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        return Ok(true);
    }
    if size(connection)? <= enough {
        return Ok(false);
    }
    let held: i64 = connection.query_row(
        "SELECT count(*) FROM (SELECT 1 FROM requests LIMIT ?1)",
        [STEP_ROWS * 10],
        |row| row.get(0),
    )?;
    let deleted = if held >= FEW_REQUESTS {
        connection.execute(
            "DELETE FROM requests WHERE id IN (SELECT id FROM requests ORDER BY id LIMIT ?1)",
            [STEP_ROWS.min(held / 10)],
        )?
    } else {
        oldest_usage(connection, "AND ?2 = 0", 0)?
    };
    Ok(deleted > 0)
}

/// Deletes the oldest rows of usage under a condition on `?2`; says how many.
fn oldest_usage(connection: &Connection, condition: &str, bound: i64) -> Result<usize> {
    connection.execute(
        &format!(
            "DELETE FROM usage WHERE (quarter_start, provider, key, model) IN (
                SELECT quarter_start, provider, key, model FROM usage
                ORDER BY quarter_start LIMIT ?1) {condition}"
        ),
        params![STEP_ROWS, bound],
    )
}
