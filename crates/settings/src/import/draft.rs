//! The configuration that is being put together, and how it is written.

use std::fmt::Write as _;

use super::Imported;
use super::keys::{Carried, Variables};
use super::tree::scalar;
use crate::problem::Fault;

/// The most notes that are kept: beyond it nobody reads on.
const MOST_NOTES: usize = 200;

/// Keys with their values, which are written already.
pub(super) type Lines = Vec<(String, String)>;

/// A configuration on its way.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) providers: Vec<Lines>,
    pub(super) models: Lines,
    pub(super) server: Lines,
    pub(super) rotation: Lines,
    variables: Variables,
    notes: Vec<String>,
}

impl Draft {
    pub(super) fn new(source: &str) -> Self {
        Self {
            providers: Vec::new(),
            models: Lines::new(),
            server: Lines::new(),
            rotation: Lines::new(),
            variables: Variables::new(source),
            notes: Vec::new(),
        }
    }

    /// Tells the reader something, once.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        let text = text.into().replace(char::is_control, " ");
        if self.notes.len() < MOST_NOTES && !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Carries a key over as a reference to a variable, of this name if it stands in the file.
    pub(super) fn key(&mut self, text: &str, wanted: &str) -> String {
        match self.variables.carry(text, wanted) {
            Carried::Reference(text) => text,
            Carried::Moved(variable) => {
                self.note(format!(
                    "a key stood in the file itself: put it into .env as {variable}=..."
                ));
                format!("${{{variable}}}")
            }
        }
    }

    /// Why there is nothing to write: no provider could be carried over.
    pub(super) fn lack(&self) -> Option<Fault> {
        let lacks = self.providers.is_empty();
        lacks.then(|| match &self.notes[..] {
            [] => Fault::new("no provider is listed: there is nothing to carry over"),
            notes => Fault::new("no provider could be carried over").hint(notes.join("; ")),
        })
    }

    pub(super) fn finish(self, file: &str) -> Imported {
        let file = file.replace(char::is_control, " ");
        let mut config = format!("# Made from {file} by llm-proxy import.\n");
        if !self.notes.is_empty() {
            config.push_str("#\n# To know:\n");
        }
        for note in &self.notes {
            // Writing to a String cannot fail.
            let _ = writeln!(config, "# - {note}");
        }
        config.push_str("\nproviders:\n");
        for provider in &self.providers {
            for (index, (key, value)) in provider.iter().enumerate() {
                let lead = if index == 0 { "-" } else { " " };
                let _ = writeln!(config, "  {lead} {key}: {value}");
            }
        }
        for (name, lines) in
            [("models", &self.models), ("server", &self.server), ("rotation", &self.rotation)]
        {
            push_section(&mut config, name, lines);
        }
        Imported { config, notes: self.notes }
    }
}

fn push_section(config: &mut String, name: &str, lines: &Lines) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(config, "\n{name}:");
    for (key, value) in lines {
        let _ = writeln!(config, "  {}: {value}", scalar(key));
    }
}
