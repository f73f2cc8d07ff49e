//! Plain tables for the terminal, with colour only where a person looks.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

/// A table that grows row by row.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

/// How a cell is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    Faint,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Faint => "\x1b[2m",
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl Cell {
    /// Text from outside may hold control characters, which a terminal must not see.
    pub(super) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        let text = text.into().replace(char::is_control, " ");
        Self { text, tone }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl Table {
    /// A table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        let head = headings.iter().map(|text| Cell::toned(*text, Tone::Faint)).collect();
        Self { rows: vec![head] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as text.
    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let colour = use_colour();
        let mut text = String::new();
        for row in &self.rows {
            let last = row.len().saturating_sub(1);
            for (index, cell) in row.iter().enumerate() {
                let (on, off) = if colour && cell.tone != Tone::Plain {
                    (cell.tone.code(), "\x1b[0m")
                } else {
                    ("", "")
                };
                let pad = if index == last { 0 } else { widths[index] - cell.width() + 2 };
                let _ = write!(text, "{on}{}{off}{:pad$}", cell.text, "");
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        text
    }
}

/// Whether a person looks, and has nothing against colour.
pub(super) fn use_colour() -> bool {
    let mut warnings = Vec::new();
    let refused = settings::Env::from_process(&mut warnings).filled("NO_COLOR").is_some();
    io::stdout().is_terminal() && !refused
}
