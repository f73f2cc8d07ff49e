//! `import`: another proxy's configuration as one of ours.

use std::fmt::Write as _;
use std::path::Path;

use super::files::{quoted, write};
use super::{Failed, Outcome, print};

pub(super) fn import(file: &Path, output: Option<&Path>, force: bool) -> Outcome {
    let label = file.display().to_string();
    let text = settings::read_text(file)
        .map_err(|error| Failed::configuration(&[format!("{label}: {error}")]))?;
    let made = settings::import(&text, &label).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failed::configuration(&lines)
    })?;
    let Some(path) = output else {
        return print(&made.config);
    };
    write(path, &made.config, force)?;
    let mut told = format!("wrote {}\n", path.display());
    for note in &made.notes {
        let _ = writeln!(told, "- {note}");
    }
    let _ = write!(told, "next: llm-proxy check --config {}", quoted(path));
    print(&told)
}
