//! Finds and reads the files; the only part of this crate that does.
//!
//! Order of the configuration: the given file, `config.yaml` in the working directory,
//! `config.yaml` in the platform's folders; without any, the environment alone. Order of variables:
//! the environment, the given `.env`, the `.env` beside the configuration, the one in the working
//! directory.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalogue::Catalogue;
use crate::env::{Env, Warnings};
use crate::model::Settings;
use crate::problem::Problem;
use crate::secret::is_placeholder;
use crate::yaml::LONGEST_FILE;

const CONFIG: &str = "config.yaml";
const DOT_ENV: &str = ".env";

/// Where to look.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The configuration that was asked for; it must exist.
    pub explicit: Option<PathBuf>,
    /// The `.env` file that was asked for; it must exist.
    pub env_file: Option<PathBuf>,
    /// The folder in which the program was started; relative paths are meant from here.
    pub working_dir: PathBuf,
    /// The platform's folders, see [`platform_dirs`].
    pub platform_dirs: Vec<PathBuf>,
    /// The variables of the process.
    pub env: Env,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The valid settings.
    pub settings: Settings,
    /// The configuration's file; `None` if the environment alone was used.
    pub source: Option<PathBuf>,
    /// The `.env` files that were read.
    pub env_files: Vec<PathBuf>,
}

/// Why there are no settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Something is wrong with a file.
    Problems(Vec<Problem>),
    /// There is no file, and no key in the environment.
    NoProviders {
        /// The variables that would have held a key.
        looked_for: Vec<String>,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => {
                for (index, problem) in problems.iter().enumerate() {
                    let separator = if index > 0 { "\n" } else { "" };
                    write!(f, "{separator}{problem}")?;
                }
                Ok(())
            }
            Self::NoProviders { looked_for } => write!(
                f,
                "no config.yaml and no key in the environment; looked for {}; \
                 llm-proxy demo needs none",
                looked_for.join(", ")
            ),
        }
    }
}

impl std::error::Error for LoadError {}

/// Returns the folders in which the platform keeps configurations, the usual one first.
pub fn platform_dirs(env: &Env) -> Vec<PathBuf> {
    const NAME: &str = "llm-proxy";
    let absolute = |name| env.filled(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = absolute("HOME");
    let mut dirs = Vec::new();
    if cfg!(target_os = "macos") {
        dirs.extend(home.as_ref().map(|home| home.join("Library/Application Support").join(NAME)));
    }
    if cfg!(windows) {
        dirs.extend(absolute("APPDATA").map(|data| data.join(NAME)));
    }
    let xdg = absolute("XDG_CONFIG_HOME").or_else(|| home.map(|home| home.join(".config")));
    dirs.extend(xdg.map(|config| config.join(NAME)));
    dirs
}

/// Returns the folder in which the platform keeps what programs remember; `None` without a home.
pub fn platform_state_dir(env: &Env) -> Option<PathBuf> {
    let absolute = |name| env.filled(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // What systemd gives to a service, then the XDG base directories, then their default.
    if let Some(given) = absolute("STATE_DIRECTORY") {
        return Some(given);
    }
    let home = absolute("HOME");
    let base = if cfg!(target_os = "macos") {
        home.map(|home| home.join("Library/Application Support"))
    } else if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else {
        absolute("XDG_STATE_HOME").or_else(|| home.map(|home| home.join(".local/state")))
    };
    base.map(|base| base.join("llm-proxy"))
}

/// Finds, reads and checks the configuration.
///
/// # Errors
/// Returns every problem of the file, or the variables that were looked for when there is neither a
/// file nor a key.
pub fn load(request: LoadRequest) -> Result<Loaded, LoadError> {
    let one = |problem| LoadError::Problems(vec![problem]);
    let found = find(&request).map_err(one)?;
    let LoadRequest { env_file, working_dir, env, .. } = request;
    let mut layers = Layers { env, files: Vec::new(), warnings: Warnings::new() };
    if let Some(path) = &env_file {
        layers.put_under(path).map_err(|error| one(unreadable(path, &error)))?;
    }
    let beside = found.as_ref().and_then(|(path, _)| path.parent()).map(|dir| dir.join(DOT_ENV));
    for path in beside.into_iter().chain([working_dir.join(DOT_ENV)]) {
        layers.try_under(&path);
    }
    let (mut settings, source) = match found {
        Some((path, text)) => {
            let settings = crate::read::parse(&text, &label(&path, &working_dir), &layers.env);
            (settings.map_err(LoadError::Problems)?, Some(path))
        }
        None => (from_environment(&layers.env)?, None),
    };
    if let (Some(file), Some(path)) = (&mut settings.server.ca_file, &source) {
        *file = path.parent().unwrap_or(Path::new("")).join(&*file);
    }
    settings.warnings.splice(..0, layers.warnings);
    Ok(Loaded { settings, source, env_files: layers.files })
}

/// Uses the catalogue's providers whose keys are in the environment, in the catalogue's order.
fn from_environment(env: &Env) -> Result<Settings, LoadError> {
    let is_set = |name: &String| env.filled(name).is_some_and(|value| !is_placeholder(value));
    let catalogue = Catalogue::builtin();
    let names: Vec<&str> = catalogue
        .automatic()
        .filter(|entry| entry.key_variables.iter().any(is_set))
        .filter(|entry| entry.url_variables.values().all(is_set))
        .map(|entry| entry.id.as_str())
        .collect();
    if names.is_empty() {
        let looked_for = catalogue.automatic().flat_map(|entry| entry.key_variables.clone());
        return Err(LoadError::NoProviders { looked_for: looked_for.collect() });
    }
    crate::read::from_names(&names, env).map_err(LoadError::Problems)
}

/// Returns the path and text of the first configuration there is.
fn find(request: &LoadRequest) -> Result<Option<(PathBuf, String)>, Problem> {
    if let Some(path) = &request.explicit {
        let path = request.working_dir.join(path);
        let text = read_text(&path).map_err(|error| unreadable(&path, &error))?;
        return Ok(Some((path, text)));
    }
    let folders = std::iter::once(&request.working_dir).chain(&request.platform_dirs);
    for path in folders.map(|folder| folder.join(CONFIG)) {
        match read_text(&path) {
            Ok(text) => return Ok(Some((path, text))),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    Ok(None)
}

/// The name of a file in messages: short where it lies in the working directory.
fn label(path: &Path, working_dir: &Path) -> String {
    path.strip_prefix(working_dir).unwrap_or(path).display().to_string()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Reads a text file of the size that a configuration may have, 1 MiB.
///
/// # Errors
/// Refuses what is larger, not UTF-8, or no file: a pipe could keep a program waiting for ever.
pub fn read_text(path: &Path) -> io::Result<String> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    // One byte more than the longest, so that its length can be judged.
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_FILE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LONGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = valid.split(|byte| *byte == b'\n').count();
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8 text"))
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let (what, hint) = if error.kind() == io::ErrorKind::NotFound {
        ("the file does not exist".to_owned(), Some("llm-proxy init writes a config.yaml"))
    } else {
        (format!("the file cannot be read: {error}"), None)
    };
    Problem {
        file: Arc::from(path.display().to_string()),
        line: None,
        column: None,
        what,
        hint: hint.map(ToOwned::to_owned),
    }
}

/// The environment with the `.env` files that lie under it.
#[derive(Debug)]
struct Layers {
    env: Env,
    files: Vec<PathBuf>,
    warnings: Warnings,
}

impl Layers {
    fn put_under(&mut self, path: &Path) -> io::Result<()> {
        let text = read_text(path)?;
        self.env.layer_under(&text, &path.display().to_string(), &mut self.warnings);
        self.files.push(path.to_owned());
        Ok(())
    }

    /// Reads a file that nobody asked for: its absence is normal, other faults are warnings.
    fn try_under(&mut self, path: &Path) {
        if self.files.iter().any(|known| known == path) {
            return;
        }
        match self.put_under(path) {
            Err(error) if !is_absent(&error) => {
                self.warnings.push(unreadable(path, &error).to_string());
            }
            Ok(()) | Err(_) => {}
        }
    }
}
