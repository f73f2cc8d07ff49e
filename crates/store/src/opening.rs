//! From a folder's name to an open database, whatever lies there.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::clock;
use crate::database::{Batch, Database, Unfit};
use crate::folder::{self, Claim};
use crate::options::{Mode, Note};
use crate::record::Kept;
use crate::salvage::{self, Salvaged};
use crate::usage::Tallies;

/// The smallest page that a database can have, in bytes.
const LEAST_BYTES: u64 = 512;

/// Where things are kept from now on.
#[derive(Debug)]
pub(crate) struct Place {
    /// The file; `None` in memory.
    pub(crate) path: Option<PathBuf>,
    /// The right to write to the folder.
    pub(crate) lock: Option<File>,
    /// The open database; `None` if not even memory could be had.
    pub(crate) database: Option<Database>,
    /// How it is kept.
    pub(crate) mode: Mode,
}

impl Place {
    /// Everything in memory.
    pub(crate) fn memory(mode: Mode) -> Self {
        Self { path: None, lock: None, database: Database::in_memory().ok(), mode }
    }
}

/// Opens the folder's database, or says in `notes` why memory has to do.
pub(crate) fn open(
    directory: &Path,
    holder: &str,
    most_bytes: u64,
    notes: &mut Vec<Note>,
) -> (Place, Vec<Kept>) {
    let path = folder::database(directory);
    let shown = path.display();
    let problem = match folder::claim(directory, holder) {
        Ok(Claim::Ours(lock)) => match open_or_renew(&path, most_bytes, notes) {
            Ok((database, kept)) => {
                let (database, lock) = (Some(database), Some(lock));
                return (Place { path: Some(path), lock, database, mode: Mode::File }, kept);
            }
            Err(error) => format!("cannot use {shown}: {error}"),
        },
        Ok(Claim::Taken(by)) => {
            let by = if by.is_empty() { "another process" } else { by.as_str() };
            format!("{shown} is in use by {by}")
        }
        Err(error) => format!("cannot write to {}: {error}", directory.display()),
    };
    let read = if path.exists() { salvage::peek(&path) } else { None };
    let (mode, what) = match &read {
        Some(_) => (Mode::ReadOnly, "what it holds was read, changes are kept in memory only"),
        None => (Mode::Memory, "everything is kept in memory only"),
    };
    notes.push(Note::warning(format!("{problem}; {what}")));
    (Place::memory(mode), read.unwrap_or_default())
}

/// Opens the file, or sets it aside and begins a new one with what could be read.
///
/// # Errors
/// Says why neither can be done.
pub(crate) fn open_or_renew(
    path: &Path,
    most_bytes: u64,
    notes: &mut Vec<Note>,
) -> Result<(Database, Vec<Kept>), String> {
    let length = folder::prepare(path).map_err(|error| error.to_string())?;
    if length == Some(0) {
        notes.push(Note::warning(format!("{} was empty and is begun anew", path.display())));
    }
    // SQLite takes a few stray bytes for an empty file.
    let opened = if length.is_some_and(|length| (1..LEAST_BYTES).contains(&length)) {
        Err(Unfit::Damaged("it is too short".to_owned()))
    } else {
        Database::open(path, most_bytes).and_then(|database| {
            let kept = database.state()?;
            Ok((database, kept))
        })
    };
    match opened {
        Ok(opened) => Ok(opened),
        Err(Unfit::Unusable(error)) => Err(error),
        Err(why) => renew(path, &why, most_bytes, notes),
    }
}

/// Sets the file aside and begins a new one with what can be read of it.
///
/// # Errors
/// Says why that cannot be done.
pub(crate) fn renew(
    path: &Path,
    why: &Unfit,
    most_bytes: u64,
    notes: &mut Vec<Note>,
) -> Result<(Database, Vec<Kept>), String> {
    let now = clock::wall();
    let aside = folder::set_aside(path, now).map_err(|error| error.to_string())?;
    let Salvaged { kept, usage } = match why {
        Unfit::Foreign => Salvaged::default(),
        Unfit::Damaged(_) | Unfit::Newer | Unfit::Unusable(_) => salvage::salvage(&aside),
    };
    notes.push(Note::warning(format!(
        "{} {why}; it was renamed to {} and a new one begun with {} remembered facts and {} \
         rows of usage from it",
        path.display(),
        aside.display(),
        kept.len(),
        usage.len()
    )));
    folder::prepare(path).map_err(|error| error.to_string())?;
    let mut database = Database::open(path, most_bytes).map_err(|unfit| unfit.to_string())?;
    let dropped = Tallies::default();
    let batch =
        Batch { kept: &kept, anew: true, records: &[], dropped: &dropped, now, synced: true };
    let written = database.save(&batch).and_then(|()| database.adopt(&usage));
    written.map_err(|error| error.to_string())?;
    Ok((database, kept))
}
