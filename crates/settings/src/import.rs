//! `import`: turns the configuration of another proxy into one of ours. Text in, text and notes out.
//!
//! What has no counterpart here becomes a note instead of a guess, and a key that stands in the file
//! becomes a variable, so that the result can be shown and kept under version control.

mod deployment;
mod draft;
mod keys;
mod litellm;
mod original;
mod prefixes;
mod tree;

use crate::problem::{Fault, Findings, Place, Problem};
use crate::yaml;
use draft::Draft;

/// A configuration made from another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The text of a `config.yaml`, which begins with the notes as comments.
    pub config: String,
    /// What could not be carried over, or means something else here; one sentence each.
    pub notes: Vec<String>,
}

/// Turns a configuration of the Python version (`providers`) or of LiteLLM's proxy (`model_list`)
/// into one of this program; `file` is the name used in messages.
///
/// # Errors
/// Returns the problems of a text that is not YAML, that has neither of the two lists, or
/// of which no provider could be carried over.
pub fn import(text: &str, file: &str) -> Result<Imported, Vec<Problem>> {
    let mut findings = Findings::new(file);
    let tree = yaml::parse(text, &mut findings);
    let mut draft = Draft::new(text);
    match &tree {
        Some(tree) if tree::get(tree, "model_list").is_some() => litellm::read(tree, &mut draft),
        Some(tree) if tree::get(tree, "providers").is_some() => original::read(tree, &mut draft),
        Some(_) | None if findings.has_problems() => {}
        Some(_) | None => {
            let fault = Fault::new("neither \"providers\" nor \"model_list\" is listed");
            let hint = "configurations of the Python version and of LiteLLM's proxy are read";
            findings.problem(Place { line: 1, column: 1 }, fault.hint(hint));
        }
    }
    if let Some(fault) = draft.lack().filter(|_| !findings.has_problems()) {
        findings.problem(Place { line: 1, column: 1 }, fault);
    }
    findings.finish()?;
    Ok(draft.finish(file))
}

#[cfg(test)]
mod tests;
