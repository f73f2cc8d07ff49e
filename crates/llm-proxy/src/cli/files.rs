//! Writing files for the user, who never loses one.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use settings::{Env, platform_dirs};

use super::{Failed, Outcome};

/// Writes a file; one that is there already stays, unless `force` is said.
pub(super) fn write(path: &Path, text: &str, force: bool) -> Outcome {
    let place = path.display();
    // Opening a pipe would wait for a reader.
    if path.metadata().is_ok_and(|known| !known.is_file()) {
        return Err(Failed::new(format!("{place} is there and is not a file")));
    }
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        Failed::new(if error.kind() == ErrorKind::AlreadyExists {
            format!("{place} is there already; --force overwrites it")
        } else {
            format!("{place}: {error}")
        })
    })
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%,:".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// ` --config FILE`, unless the file is found without it.
pub(super) fn config_option(config: &Path) -> String {
    let env = Env::from_process(&mut Vec::new());
    let here = [Some(PathBuf::new()), Some(PathBuf::from(".")), std::env::current_dir().ok()];
    let mut folders = here.into_iter().flatten().chain(platform_dirs(&env));
    if folders.any(|folder| folder.join("config.yaml") == config) {
        return String::new();
    }
    format!(" --config {}", quoted(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_quoted_for_the_shell() {
        for (path, told) in
            [("a/b.yaml", "a/b.yaml"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''")]
        {
            assert_eq!(quoted(Path::new(path)), told);
        }
    }
}
