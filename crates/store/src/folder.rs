//! The folder: who may see it, who holds it, and where damaged files go.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "llm-proxy.db";
const LOCK: &str = "llm-proxy.lock";
/// What the write-ahead log and its index are called after the file's name.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];
/// How many files that were set aside are kept.
const MOST_SET_ASIDE: usize = 3;
/// Longest text that is read from the lock file, in bytes.
const MOST_HOLDER: u64 = 300;

/// What came of asking for the folder.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is ours until the lock is dropped.
    Ours(File),
    /// Another process holds it; what that process wrote about itself.
    Taken(String),
}

/// Makes the folder if needed and claims it.
///
/// # Errors
/// When the folder cannot be made or written to.
pub(crate) fn claim(directory: &Path, holder: &str) -> io::Result<Claim> {
    private_folder().create(directory)?;
    let mut lock = private_file().open(directory.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut words = Vec::new();
            // On some systems a locked file cannot be read; then nobody is named.
            let _ = lock.take(MOST_HOLDER).read_to_end(&mut words);
            let words = String::from_utf8_lossy(&words);
            let words: String = words.chars().filter(|c| !c.is_control()).collect();
            return Ok(Claim::Taken(words.trim().to_owned()));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Only for people to read: a full disk must not keep us from the folder.
    let _ = name_holder(&mut lock, holder);
    Ok(Claim::Ours(lock))
}

/// Writes before it cuts: some systems flush a file that was cut to nothing first.
fn name_holder(lock: &mut File, holder: &str) -> io::Result<()> {
    let line = format!("{holder}\n");
    lock.write_all(line.as_bytes())?;
    lock.set_len(line.len() as u64)
}

/// Where the database lies.
pub(crate) fn database(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// Makes sure that the database exists and that only its owner can read it. Returns its length
/// in bytes as found, `None` if it was not there.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn prepare(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            private_file().open(path).map(|_| None)
        }
        Err(error) => Err(error),
    }
}

/// Bytes of the database with its log.
pub(crate) fn bytes(path: &Path) -> u64 {
    BESIDE[..2]
        .iter()
        .filter_map(|ending| fs::metadata(with_ending(path, ending)).ok())
        .map(|found| found.len())
        .sum()
}

/// Renames the database and what lies beside it, and removes all but the newest three of the
/// files that were set aside. Returns the new name.
///
/// # Errors
/// When the file cannot be renamed.
pub(crate) fn set_aside(path: &Path, now: i64) -> io::Result<PathBuf> {
    let free = (now.max(0)..).map(|now| with_ending(path, &format!(".damaged-{now:013}")));
    let aside = free.take(1000).find(|name| !name.exists()).ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &aside)?;
    for ending in &BESIDE[1..] {
        let beside = with_ending(path, ending);
        if beside.exists() {
            // A log that stayed behind would be taken for the new file's.
            fs::rename(&beside, with_ending(&aside, ending))
                .or_else(|_| fs::remove_file(&beside))?;
        }
    }
    thin_out(path);
    Ok(aside)
}

/// Removes the oldest files that were set aside; what cannot be removed stays.
fn thin_out(path: &Path) {
    let prefix = format!("{FILE}.damaged-");
    let Some(entries) = path.parent().and_then(|folder| fs::read_dir(folder).ok()) else { return };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            name.strip_prefix(&prefix)
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    let surplus = names.len().saturating_sub(MOST_SET_ASIDE);
    for name in &names[..surplus] {
        for ending in BESIDE {
            let _ = fs::remove_file(with_ending(&path.with_file_name(name), ending));
        }
    }
}

/// The path with `ending` after its name.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn private_folder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
