//! The log: one line per decision, never a prompt, an answer or a key.
//!
//! Lines are handed to a thread of their own through a bounded buffer, so that a parent process
//! that does not read our output can never hold up a request. What does not fit is counted, and
//! the count is told.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use engine::Timestamp;
use jiff::tz::TimeZone;

use crate::clock::Clock;

/// What may wait for a slow reader of our output; more is dropped and counted.
const MOST_PENDING: usize = 1 << 20;

/// Lines that come close together are written together.
const LINGER: Duration = Duration::from_millis(20);

/// How long the last lines may take at the end.
const LAST_CHANCE: Duration = Duration::from_millis(500);

/// How loud a line is; the names are those of the Python original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// For finding faults in the proxy itself.
    Debug,
    /// What was decided.
    #[default]
    Info,
    /// Something that the user may want to mend.
    Warning,
    /// Something that the user must mend.
    Error,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "debug" | "trace" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warning" | "warn" => Ok(Self::Warning),
            "error" => Ok(Self::Error),
            _ => Err(format!("unknown log level {text:?}: use debug, info, warning or error")),
        }
    }
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// `2025-11-06 10:30:00 - INFO - message`, in local time.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// A second since the epoch, and its text, which many lines share.
    second: (i64, String),
    dropped: u64,
    closed: bool,
    /// Whether somebody waits for what is pending.
    is_awaited: bool,
    drained: bool,
}

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    news: Condvar,
}

/// The log of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    shared: Arc<Shared>,
    format: Format,
    least: Level,
    zone: TimeZone,
    clock: Arc<Clock>,
}

impl Log {
    /// Starts the writing thread.
    pub fn to_stdout(
        format: Format,
        least: Level,
        zone: TimeZone,
        clock: Arc<Clock>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared { pending: Mutex::default(), news: Condvar::new() });
        let writer = Arc::clone(&shared);
        thread::Builder::new().name("log".into()).spawn(move || writer.write_all_lines())?;
        Ok(Self { shared, format, least, zone, clock })
    }

    /// Logs a decision.
    pub fn info(&self, message: impl fmt::Display) {
        self.line(Level::Info, &message);
    }

    /// Logs something that the user may want to mend.
    pub fn warning(&self, message: impl fmt::Display) {
        self.line(Level::Warning, &message);
    }

    /// Logs something that the user must mend.
    pub fn error(&self, message: impl fmt::Display) {
        self.line(Level::Error, &message);
    }

    /// Logs something for finding faults in the proxy itself.
    pub fn debug(&self, message: impl fmt::Display) {
        self.line(Level::Debug, &message);
    }

    fn line(&self, level: Level, message: &dyn fmt::Display) {
        if level < self.least {
            return;
        }
        let now = self.clock.now();
        self.shared.append(|pending| match self.format {
            Format::Text => self.write_text(pending, now, level, message),
            Format::Json => self.write_json(pending, now, level, message),
        });
    }

    /// Writes a line as it is, without time and level, such as the one that says where we listen.
    pub fn plain(&self, line: &str) {
        self.shared.append(|pending| writeln!(pending.bytes, "{line}"));
        // Programs wait for it.
        self.shared.hurry();
    }

    fn write_text(
        &self,
        pending: &mut Pending,
        now: Timestamp,
        level: Level,
        message: &dyn fmt::Display,
    ) -> io::Result<()> {
        let second = now.as_millis().div_euclid(1000);
        let Pending { bytes, second: last, .. } = pending;
        if last.0 != second || last.1.is_empty() {
            *last = (second, self.zoned(now).strftime("%Y-%m-%d %H:%M:%S").to_string());
        }
        let start = bytes.len();
        for part in [&last.1, " - ", level.name(), " - "] {
            bytes.extend_from_slice(part.as_bytes());
        }
        write!(bytes, "{message}")?;
        make_one_line(&mut bytes[start..]);
        bytes.push(b'\n');
        Ok(())
    }

    fn write_json(
        &self,
        pending: &mut Pending,
        now: Timestamp,
        level: Level,
        message: &dyn fmt::Display,
    ) -> io::Result<()> {
        let time = self.zoned(now).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
        let message = message.to_string().replace(['\n', '\r'], " ");
        let object = serde_json::json!({"time": time, "level": level.name(), "message": message});
        writeln!(pending.bytes, "{object}")
    }

    fn zoned(&self, now: Timestamp) -> jiff::Zoned {
        jiff::Timestamp::from_millisecond(now.as_millis())
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(self.zone.clone())
    }

    /// Writes what is pending, for at most half a second, and ends the writing thread.
    pub fn close(&self) {
        let mut pending = self.shared.lock();
        pending.closed = true;
        self.shared.news.notify_all();
        while !pending.drained {
            let (guard, timeout) = self
                .shared
                .news
                .wait_timeout(pending, LAST_CHANCE)
                .unwrap_or_else(PoisonError::into_inner);
            pending = guard;
            if timeout.timed_out() {
                return;
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `write` add a line to what is pending.
    fn append(&self, write: impl FnOnce(&mut Pending) -> io::Result<()>) {
        let mut pending = self.lock();
        let before = pending.bytes.len();
        let written = write(&mut pending);
        if written.is_err() || pending.bytes.len() > MOST_PENDING {
            pending.bytes.truncate(before);
            pending.dropped += 1;
            return;
        }
        let was_idle = before == 0;
        drop(pending);
        if was_idle {
            self.news.notify_all();
        }
    }

    /// Has what is pending written at once.
    fn hurry(&self) {
        self.lock().is_awaited = true;
        self.news.notify_all();
    }

    fn write_all_lines(&self) {
        let mut bytes = Vec::new();
        while self.next_lines(&mut bytes) {
            let mut out = io::stdout().lock();
            // A reader that is gone is no reason to stop serving.
            let _ = out.write_all(&bytes).and_then(|()| out.flush());
        }
    }

    /// Waits for lines and takes them into `bytes`, whose room serves the next ones; whether
    /// there are any.
    fn next_lines(&self, bytes: &mut Vec<u8>) -> bool {
        bytes.clear();
        let mut pending = self.lock();
        while pending.bytes.is_empty() && !pending.closed {
            pending = self.news.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        let lingers = |pending: &mut Pending| !pending.closed && !pending.is_awaited;
        pending = self
            .news
            .wait_timeout_while(pending, LINGER, lingers)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        pending.is_awaited = false;
        if pending.bytes.is_empty() {
            pending.drained = true;
            self.news.notify_all();
            return false;
        }
        std::mem::swap(bytes, &mut pending.bytes);
        let dropped = std::mem::take(&mut pending.dropped);
        if dropped > 0 {
            bytes.extend_from_slice(format!("({dropped} log lines dropped)\n").as_bytes());
        }
        true
    }
}

/// Text from a provider may hold line ends; a log line is one line.
fn make_one_line(text: &mut [u8]) {
    for byte in text {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
