//! `init`: a first configuration, with the providers whose keys are there switched on.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;

use settings::{Catalogue, Env, Settings, env_example, starter_config};

use super::files::{config_option, quoted, write};
use super::{Failed, Outcome, print};
use crate::source::{Overrides, Source, lines};

const CONFIG: &str = "config.yaml";
const EXAMPLE: &str = ".env.example";

pub(super) fn init(folder: &Path, force: bool) -> Outcome {
    let env = Env::from_process(&mut Vec::new());
    let mut told = String::new();
    if make(folder)? {
        let _ = writeln!(told, "made {}", folder.display());
    }
    let config = folder.join(CONFIG);
    write(&config, &starter_config(&env), force)?;
    let _ = writeln!(told, "wrote {}", config.display());
    let example = folder.join(EXAMPLE);
    if example.exists() && !force {
        let _ = writeln!(told, "left {} as it was", example.display());
    } else {
        write(&example, &env_example(), force)?;
        let _ = writeln!(told, "wrote {}", example.display());
    }
    print(&told)?;
    print(&next_step(folder, &config)?)
}

/// Makes the folder itself, but none above it: a slip of the pen should not become a tree.
fn make(folder: &Path) -> Result<bool, Failed> {
    match std::fs::create_dir(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failed::new(format!(
            "{}: the folder above it does not exist; make it first",
            folder.display()
        ))),
        Err(error) => Err(Failed::new(format!("{}: {error}", folder.display()))),
    }
}

/// What is left to do before the first answer.
fn next_step(folder: &Path, config: &Path) -> Result<String, Failed> {
    let serve = format!("llm-proxy{}", config_option(config));
    let overrides = Overrides { config: Some(config.to_owned()), ..Overrides::default() };
    let settings = Source::of_process(overrides, std::env::current_dir()?)
        .load()
        .map_err(|error| Failed::configuration(&lines(&error)))?
        .settings;
    Ok(if settings.providers.is_empty() {
        let env = folder.join(".env");
        format!(
            "\nnext: put a key into {}, for example\n\n  echo '{}=your key' >> {}\n\n\
             then start it\n\n  {serve}\n",
            env.display(),
            variable(&settings),
            quoted(&env)
        )
    } else {
        format!(
            "\nnext: start it{}\n\n  {serve}\n\nand ask from another terminal\n\n  {}\n",
            with(&settings),
            question(&settings)
        )
    })
}

/// The variable of a provider that waits for its key, one with a free tier if there is any.
fn variable(settings: &Settings) -> &'static str {
    let catalogue = Catalogue::builtin();
    let skipped = settings.skipped.iter().filter_map(|one| catalogue.find(&one.name));
    let mut entries = skipped.filter(|entry| !entry.key_variables.is_empty());
    let mut all = entries.clone();
    let found = entries
        .find(|entry| entry.free_tier.as_ref().is_some_and(|free| !free.limits.is_empty()))
        .or_else(|| all.next());
    found.map_or("GROQ_API_KEY", |entry| entry.key_variables[0].as_str())
}

fn with(settings: &Settings) -> String {
    let names: Vec<&str> = settings.providers.iter().map(|one| one.name.as_str()).collect();
    format!(" (keys were found for {})", names.join(", "))
}

fn question(settings: &Settings) -> String {
    format!(
        "curl http://127.0.0.1:{}/v1/chat/completions -H 'content-type: application/json' \\\n       \
         -d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'",
        settings.server.port
    )
}
