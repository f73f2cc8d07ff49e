//! What is wrong with a configuration, and where.
//!
//! All problems of a file are collected, so that one run shows everything there is to mend.

use std::fmt;
use std::sync::Arc;

/// The most problems that are kept of one file: beyond it nobody reads on, and memory stays bounded.
const MOST_PROBLEMS: usize = 100;

/// The widest distance at which another name is still offered as the meant one.
const LONGEST_NAME: usize = 64;

/// Tells what is wrong and how to mend it, not yet where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, in one clause without a full stop.
    pub what: String,
    /// How to mend it, when that is known.
    pub hint: Option<String>,
}

impl Fault {
    /// Makes a fault without a hint.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the nearest of some valid names, if one is near.
    #[must_use]
    pub fn nearest<'a>(self, written: &str, valid: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(written, valid) {
            Some(name) => self.hint(format!("did you mean \"{name}\"?")),
            None => self,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// One thing that is wrong with a file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name as it was given.
    pub file: Arc<str>,
    /// The line, counted from 1; absent when the file as a whole is meant.
    pub line: Option<u32>,
    /// The column in characters, counted from 1.
    pub column: Option<u32>,
    /// What is wrong.
    pub what: String,
    /// How to mend it, when that is known.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for Problem {}

/// A place in a file; lines and columns are counted from 1, and 0 is nowhere in particular.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Collects the problems and warnings of one file.
#[derive(Debug)]
pub(crate) struct Findings {
    file: Arc<str>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Findings {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: Arc::from(file), problems: Vec::new(), warnings: Vec::new() }
    }

    pub(crate) fn problem(&mut self, place: Place, fault: Fault) {
        if self.problems.len() < MOST_PROBLEMS {
            let file = Arc::clone(&self.file);
            let [line, column] = [place.line, place.column].map(|n| Some(n).filter(|n| *n > 0));
            self.problems.push(Problem { file, line, column, what: fault.what, hint: fault.hint });
        }
    }

    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Tells whether further problems would not be kept.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= MOST_PROBLEMS
    }

    /// Notes what is odd but does not keep the file from being used.
    pub(crate) fn warn(&mut self, place: Option<Place>, what: &str) {
        if self.warnings.len() < MOST_PROBLEMS {
            self.warnings.push(match place {
                Some(at) if at.line > 0 => {
                    format!("{}:{}:{}: {what}", self.file, at.line, at.column)
                }
                Some(_) | None => what.to_owned(),
            });
        }
    }

    /// Returns the warnings, or the problems in the order of the file.
    pub(crate) fn finish(mut self) -> Result<Vec<String>, Vec<Problem>> {
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        Err(self.problems)
    }
}

/// Returns the valid name that a written one most likely meant.
pub(crate) fn nearest<'a>(
    written: &str,
    valid: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.len() > LONGEST_NAME {
        return None;
    }
    let written = written.to_ascii_lowercase();
    // A third of the letters may be wrong, but always one swap or slip.
    let farthest = (written.chars().count() / 3).max(2);
    valid
        .into_iter()
        .filter(|name| name.len() <= LONGEST_NAME)
        .map(|name| (strsim::damerau_levenshtein(&written, &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| *distance <= farthest && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Shows a written value in a message, shortened; what may be a key is masked.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    if may_be_key(text) {
        return "a text that may be a key".to_owned();
    }
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if text.chars().count() > LONGEST {
        short.push('…');
    }
    format!("\"{short}\"")
}

/// Tells whether a text holds a long word of letters and digits, as keys are.
pub(crate) fn may_be_key(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
    words.any(|word| {
        word.len() >= 20
            && word.bytes().any(|b| b.is_ascii_digit())
            && word.bytes().any(|b| b.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_file_line_column_what_and_hint() {
        let mut findings = Findings::new("config.yaml");
        let fault = Fault::new("unknown key \"prioriy\" in provider \"groq\"");
        findings
            .problem(Place { line: 7, column: 5 }, fault.nearest("prioriy", ["name", "priority"]));
        let problems = findings.finish().unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "config.yaml:7:5: unknown key \"prioriy\" in provider \"groq\" (did you mean \"priority\"?)"
        );
    }

    #[test]
    fn a_far_name_is_not_offered() {
        assert_eq!(nearest("temperature", ["priority", "model"]), None);
        assert_eq!(nearest("apikey", ["api_key", "api_keys"]), Some("api_key"));
        assert_eq!(nearest("x", ["a", "b"]), None);
    }

    #[test]
    fn what_may_be_a_key_is_never_shown() {
        assert!(!shown("gsk_abcdefghij0123456789").contains("gsk"));
        assert_eq!(shown("soon"), "\"soon\"");
    }

    #[test]
    fn problems_are_bounded_and_in_the_files_order() {
        let mut findings = Findings::new("c");
        for line in (1..1000).rev() {
            findings.problem(Place { line, column: 1 }, Fault::new("x"));
        }
        let problems = findings.finish().unwrap_err();
        assert_eq!(problems.len(), MOST_PROBLEMS);
        assert!(problems[0].line < problems[1].line);
    }
}
