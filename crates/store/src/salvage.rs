//! What can still be read of a file that is not used.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::record::Kept;
use crate::rows::{read_state, read_usage};
use crate::usage::{Slot, Used};

/// Most rows of usage that are taken over.
const MOST_USAGE: usize = 500_000;

/// Rows that were saved from a file.
#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    /// Rows of state.
    pub(crate) kept: Vec<Kept>,
    /// Sums.
    pub(crate) usage: Vec<(Slot, Used)>,
}

/// Reads what can be read, from both ends of each table up to the damage.
pub(crate) fn salvage(path: &Path) -> Salvaged {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(connection) = Connection::open_with_flags(path, flags) else {
        return Salvaged::default();
    };
    // `writable_schema` lets a file be read that is shorter than it says.
    let lenient = "PRAGMA trusted_schema=OFF; PRAGMA writable_schema=ON;";
    if connection.execute_batch(lenient).is_err() {
        return Salvaged::default();
    }
    Salvaged { kept: state(&connection), usage: usage(&connection) }
}

fn state(connection: &Connection) -> Vec<Kept> {
    let mut found = HashMap::new();
    for order in ["", "ORDER BY kind DESC, provider DESC, key DESC, model DESC"] {
        let whole = read_state(connection, order, |row| {
            let Kept { kind, provider, key, model, value } = row.clone();
            found.insert((kind, provider, key, model), value);
        });
        if whole.is_ok() {
            break;
        }
    }
    found
        .into_iter()
        .filter(|((kind, ..), _)| !kind.is_empty())
        .map(|((kind, provider, key, model), value)| Kept { kind, provider, key, model, value })
        .collect()
}

fn usage(connection: &Connection) -> Vec<(Slot, Used)> {
    let mut found = HashMap::new();
    for order in ["", "ORDER BY quarter_start DESC, provider DESC, key DESC, model DESC"] {
        let whole = read_usage(connection, order, &[], |slot, used| {
            if found.len() < MOST_USAGE {
                found.insert(slot, used);
            }
        });
        if whole.is_ok() {
            break;
        }
    }
    found.into_iter().collect()
}

/// Reads the state of a file that somebody else writes, or that lies in a folder that cannot be
/// written to; empty if that cannot be done.
pub(crate) fn peek(path: &Path) -> Option<Vec<Kept>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read = |connection: Connection| {
        connection.execute_batch("PRAGMA trusted_schema=OFF;")?;
        read_state(&connection, "", |_| {})
    };
    let direct = Connection::open_with_flags(path, flags).and_then(read);
    // A write-ahead log needs an index beside it, which a folder for reading only may not take.
    direct
        .or_else(|_| {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(as_immutable(path), flags).and_then(read)
        })
        .ok()
}

/// The path as an address that promises that nobody writes.
fn as_immutable(path: &Path) -> String {
    let mut address = String::from("file:");
    let text = path.to_string_lossy().replace('\\', "/");
    if !text.starts_with('/') && path.is_absolute() {
        address.push('/');
    }
    for character in text.chars() {
        match character {
            '%' => address.push_str("%25"),
            '?' => address.push_str("%3f"),
            '#' => address.push_str("%23"),
            other => address.push(other),
        }
    }
    address.push_str("?immutable=1");
    address
}
