//! What the program says when it opens the store, and what it is told.

use std::fmt;
use std::path::PathBuf;

use crate::record::Kept;

/// Where to keep things, and how much.
pub struct Options {
    /// The folder of the file; `None` keeps everything in memory.
    pub directory: Option<PathBuf>,
    /// How many days request records are kept.
    pub history_days: u32,
    /// Most bytes of the file with its log; at least one mebibyte.
    pub most_bytes: u64,
    /// What other processes are told of who holds the folder.
    pub holder: String,
    /// Told, on the store's own thread, when saving begins to fail and when it works again.
    pub tell: Box<dyn Fn(Note) + Send>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            directory: None,
            history_days: 30,
            most_bytes: 64 << 20,
            holder: format!("process {}", std::process::id()),
            tell: Box::new(|_| {}),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("directory", &self.directory)
            .field("history_days", &self.history_days)
            .field("most_bytes", &self.most_bytes)
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

/// What was found when the store was opened.
#[derive(Debug, Default)]
pub struct Opened {
    /// What the rules remembered; every value is there.
    pub kept: Vec<Kept>,
    /// What the user should know.
    pub notes: Vec<Note>,
}

/// One sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub level: Level,
    /// The sentence, without a full stop.
    pub text: String,
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Info,
    /// Something is lost or may be.
    Warning,
}

impl Note {
    pub(crate) fn info(text: String) -> Self {
        Self { level: Level::Info, text }
    }

    pub(crate) fn warning(text: String) -> Self {
        Self { level: Level::Warning, text }
    }
}

/// Where the store keeps things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In the file.
    File,
    /// In memory; nothing outlives the process.
    Memory,
    /// The file was read at the start, but what changes stays in memory.
    ReadOnly,
}

impl Mode {
    /// The word for it: `file`, `memory` or `read_only`.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Memory => "memory",
            Self::ReadOnly => "read_only",
        }
    }
}

/// How the store is.
#[derive(Debug, Clone)]
pub struct Health {
    /// The file, if there is one or was to be one.
    pub file: Option<PathBuf>,
    /// Where things are kept.
    pub mode: Mode,
    /// How long the oldest change has been waiting to be saved, in milliseconds.
    pub lag_ms: u64,
    /// Records that did not fit into the queue; they are counted in usage all the same.
    pub dropped_records: u64,
    /// Why saving fails at present.
    pub last_error: Option<String>,
    /// Size of the file with its log, in bytes; 0 in memory.
    pub bytes: u64,
}

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered(pub String);

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unanswered {}
