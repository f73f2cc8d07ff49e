//! `init`: a first configuration, with the providers whose keys are there switched on.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use settings::{Env, env_example, starter_config};

use super::{Failed, Outcome, print};

pub(super) fn init(folder: &Path, force: bool) -> Outcome {
    let mut warnings = Vec::new();
    let env = Env::from_process(&mut warnings);
    std::fs::create_dir_all(folder)
        .map_err(|error| Failed::new(format!("{}: {error}", folder.display())))?;
    let files = [("config.yaml", starter_config(&env)), (".env.example", env_example())];
    if !force && let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).exists()) {
        return Err(Failed::new(format!(
            "{} is there already; --force overwrites it",
            folder.join(name).display()
        )));
    }
    for (name, text) in files {
        let path = folder.join(name);
        write(&path, &text, force)?;
        print(&format!("wrote {}", path.display()))?;
    }
    print("next: put your keys into .env (see .env.example), then run llm-proxy check")
}

fn write(path: &Path, text: &str, force: bool) -> Outcome {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let place = path.display();
        if error.kind() == ErrorKind::AlreadyExists {
            Failed::new(format!("{place} is there already; --force overwrites it"))
        } else {
            Failed::new(format!("{place}: {error}"))
        }
    })
}
