//! Where the configuration comes from, so that it can be read again: the files found at the
//! start, the variables of the process, and what the command line overrides.

use std::path::{Path, PathBuf};

use settings::{Env, LoadError, LoadRequest, Loaded, Settings, load, platform_dirs};

use crate::observe::log::Log;

/// What the command line says of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--env-file`
    pub env_file: Option<PathBuf>,
    /// `--host`
    pub host: Option<String>,
    /// `--port`
    pub port: Option<u16>,
}

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub struct Source {
    from: From,
}

#[derive(Debug, Clone)]
enum From {
    Files {
        request: Box<LoadRequest>,
        overrides: Overrides,
    },
    /// Made by the program itself; there is nothing to read again.
    Fixed(Box<Settings>),
}

impl Source {
    /// The files and variables of this process.
    pub fn of_process(overrides: Overrides, working_dir: PathBuf) -> Self {
        let mut warnings = Vec::new();
        let env = Env::from_process(&mut warnings);
        let request = LoadRequest {
            explicit: overrides.config.clone(),
            env_file: overrides.env_file.clone(),
            working_dir,
            platform_dirs: platform_dirs(&env),
            env,
        };
        Self { from: From::Files { request: Box::new(request), overrides } }
    }

    /// A configuration that the program makes itself.
    pub fn fixed(settings: Settings) -> Self {
        Self { from: From::Fixed(Box::new(settings)) }
    }

    /// Whether the program made the configuration itself.
    pub(crate) const fn is_fixed(&self) -> bool {
        matches!(self.from, From::Fixed(_))
    }

    /// The configuration's file, if one was found or named.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.from {
            From::Files { request, .. } => request.explicit.as_deref(),
            From::Fixed(_) => None,
        }
    }

    /// The folder in which the platform keeps what programs remember. What the program made itself
    /// is not worth remembering.
    pub(crate) fn state_folder(&self) -> Option<PathBuf> {
        match &self.from {
            From::Files { request, .. } => settings::platform_state_dir(&request.env),
            From::Fixed(_) => None,
        }
    }

    /// From now on only the file that was found counts: should it vanish, the configuration stays
    /// as it was, and with it the keys that are asked of clients.
    pub(crate) fn stay_with(&mut self, loaded: &Loaded) {
        if let (From::Files { request, .. }, Some(path)) = (&mut self.from, &loaded.source) {
            request.explicit = Some(path.clone());
        }
    }

    /// Reads the configuration.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        match &self.from {
            From::Fixed(settings) => {
                let settings = (**settings).clone();
                Ok(Loaded { settings, source: None, env_files: Vec::new() })
            }
            From::Files { request, overrides } => {
                let mut loaded = load((**request).clone())?;
                let server = &mut loaded.settings.server;
                if let Some(host) = &overrides.host {
                    server.host.clone_from(host);
                }
                server.port = overrides.port.unwrap_or(server.port);
                Ok(loaded)
            }
        }
    }

    /// Where the proxy would listen if the configuration does not say.
    pub(crate) fn overridden_address(&self) -> (String, u16) {
        let overrides = match &self.from {
            From::Files { overrides, .. } => overrides.clone(),
            From::Fixed(_) => Overrides::default(),
        };
        (overrides.host.unwrap_or_else(|| "127.0.0.1".to_owned()), overrides.port.unwrap_or(8000))
    }

    /// Whether the command line names a port.
    pub(crate) const fn names_port(&self) -> bool {
        matches!(&self.from, From::Files { overrides, .. } if overrides.port.is_some())
    }

    /// Reads the configuration for a reload; every problem as a line.
    pub(crate) fn read(&self) -> Result<Settings, Vec<String>> {
        let loaded = self.load().map_err(|error| lines(&error))?;
        check_exposure(&loaded.settings).map_err(|problem| vec![problem])?;
        Ok(loaded.settings)
    }

    /// The files whose change means a reload, whether they exist yet or not.
    pub(crate) fn watched(&self, loaded: &Loaded) -> Vec<PathBuf> {
        let From::Files { request, .. } = &self.from else {
            return Vec::new();
        };
        let config =
            loaded.source.clone().unwrap_or_else(|| request.working_dir.join("config.yaml"));
        let beside = config.parent().map(|dir| dir.join(".env"));
        let mut files = vec![config, request.working_dir.join(".env")];
        files.extend(beside);
        files.extend(request.env_file.iter().map(|file| request.working_dir.join(file)));
        files.sort();
        files.dedup();
        files
    }
}

/// Tells what the user should know of a configuration that was just read.
pub(crate) fn tell(settings: &Settings, log: &Log) {
    for warning in &settings.warnings {
        log.warning(warning);
    }
    for skipped in &settings.skipped {
        log.info(format_args!("{}: skipped: {}", skipped.name, skipped.reason));
    }
    if settings.providers.is_empty() {
        for unlisted in &settings.unlisted {
            log.warning(unlisted_line(unlisted));
        }
    }
}

/// A key that nothing uses.
pub(crate) fn unlisted_line(unlisted: &settings::Unlisted) -> String {
    let settings::Unlisted { name, variable } = unlisted;
    format!("{variable} is set, but the configuration does not name {name}: add it to providers")
}

/// Every problem as a line of its own.
pub(crate) fn lines(error: &LoadError) -> Vec<String> {
    match error {
        LoadError::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
        LoadError::NoProviders { .. } => vec![error.to_string()],
    }
}

/// Listening where others can reach us without asking for a key would lend them the user's keys.
pub(crate) fn check_exposure(settings: &Settings) -> Result<(), String> {
    let server = &settings.server;
    if server.is_loopback() || !server.api_keys.is_empty() {
        return Ok(());
    }
    Err(format!(
        "listening on {} would let anyone who can reach it spend your keys: \
         set server.api_keys, or listen on 127.0.0.1",
        server.host
    ))
}

/// The folder of a file, `.` for a bare name.
pub(crate) fn folder(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
