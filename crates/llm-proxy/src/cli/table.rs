//! Plain tables for the terminal, with colour only where a person looks.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

/// How a view is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) colour: bool,
    /// The columns of the terminal; longer lines are cut.
    pub(super) width: Option<usize>,
}

impl Look {
    /// For whoever reads our stdout.
    pub(super) fn here() -> Self {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        Self { colour: use_colour(), width }
    }

    fn paint(self, text: &str, tone: Tone, into: &mut String) {
        let (on, off) =
            if self.colour && tone != Tone::Plain { (tone.code(), "\x1b[0m") } else { ("", "") };
        let _ = write!(into, "{on}{text}{off}");
    }
}

/// The rows of the terminal.
pub(super) fn screen_rows() -> usize {
    const USUAL: usize = 24;
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    size.map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0).unwrap_or(USUAL)
}

/// A table that grows row by row.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Row {
    Cells(Vec<Cell>),
    /// A line across all columns.
    Note(Cell),
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
    Warn,
    Bad,
    Faint,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
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
        Self { rows: vec![Row::Cells(head)] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(Row::Cells(cells.into_iter().collect()));
    }

    /// Leaves out columns, in this order, until the rows fit.
    pub(super) fn narrow(&mut self, width: Option<usize>, spare: &[usize]) {
        let Some(width) = width else { return };
        let mut widths = self.widths();
        let mut gone = Vec::new();
        for column in spare {
            // Two blanks are between columns.
            if widths.iter().map(|width| width + 2).sum::<usize>() <= width + 2 {
                break;
            }
            let before = gone.iter().filter(|other| *other < column).count();
            if column - before < widths.len() {
                self.remove(column - before);
                widths.remove(column - before);
                gone.push(*column);
            }
        }
    }

    fn remove(&mut self, column: usize) {
        for row in &mut self.rows {
            if let Row::Cells(cells) = row
                && column < cells.len()
            {
                cells.remove(column);
            }
        }
    }

    /// How many lines it takes, with the headings.
    pub(super) fn lines(&self) -> usize {
        self.rows.len()
    }

    /// A line that belongs to the row above.
    pub(super) fn note(&mut self, line: Cell) {
        self.rows.push(Row::Note(line));
    }

    /// The table as text, for whoever reads our stdout.
    pub(super) fn render(&self) -> String {
        self.draw(Look::here())
    }

    /// The table as text.
    pub(super) fn draw(&self, look: Look) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            match row {
                Row::Cells(cells) => text.push_str(&drawn(cells, &widths, look)),
                Row::Note(line) => text.push_str(&Self::line(line.clone(), look)),
            }
        }
        text
    }

    /// A line that stands alone.
    pub(super) fn line(cell: Cell, look: Look) -> String {
        drawn(&[cell], &[], look)
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in &self.rows {
            let Row::Cells(cells) = row else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = cell.width().max(*width);
            }
        }
        widths
    }
}

/// A row with its line end, cut where the terminal ends.
fn drawn(cells: &[Cell], widths: &[usize], look: Look) -> String {
    let mut room = look.width.unwrap_or(usize::MAX);
    let mut text = String::new();
    let last = cells.iter().rposition(|cell| cell.width() > 0).unwrap_or(0);
    for (index, cell) in cells.iter().enumerate().take(last + 1) {
        // What is left out behind a cell is told at its end.
        if cell.width() > room || (cell.width() == room && index < last) {
            let cut: String = cell.text.chars().take(room.saturating_sub(1)).collect();
            look.paint(&format!("{cut}…"), cell.tone, &mut text);
            break;
        }
        look.paint(&cell.text, cell.tone, &mut text);
        if index == last {
            break;
        }
        let width = widths.get(index).copied().unwrap_or(0).max(cell.width()) + 2;
        let pad = (width - cell.width()).min(room - cell.width());
        let _ = write!(text, "{:pad$}", "");
        room = room.saturating_sub(width);
        if room == 0 {
            text.pop();
            text.push('…');
            break;
        }
    }
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
    text
}

/// Whether a person looks, and has nothing against colour.
pub(super) fn use_colour() -> bool {
    let refused = settings::Env::from_process(&mut Vec::new()).filled("NO_COLOR").is_some();
    is_screen() && !refused
}

/// Whether stdout is a terminal that understands more than text.
pub(super) fn is_screen() -> bool {
    let env = settings::Env::from_process(&mut Vec::new());
    io::stdout().is_terminal() && env.filled("TERM") != Some("dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["A", "BB"]);
        table.row(["one".into(), Cell::toned("two\u{1b}", Tone::Good)]);
        table.note("  a longer line".into());
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let plain = Look { colour: false, width: None };
        assert_eq!(table().draw(plain), "A    BB\none  two\n  a longer line\n");
        let painted = table().draw(Look { colour: true, width: None });
        assert!(painted.contains("one  \u{1b}[32mtwo \u{1b}[0m\n"), "{painted:?}");
    }

    #[test]
    fn spare_columns_go_in_their_order_until_the_rows_fit() {
        let drawn = |width| {
            let mut table = Table::new(&["A", "BB", "CCC", "DDDD"]);
            table.row(["a".into(), "b".into(), "c".into()]);
            table.narrow(Some(width), &[3, 1]);
            table.draw(Look { colour: false, width: None })
        };
        assert_eq!(drawn(16), "A  BB  CCC  DDDD\na  b   c\n");
        assert_eq!(drawn(15), "A  BB  CCC\na  b   c\n");
        assert_eq!(drawn(9), "A  CCC\na  c\n");
        assert_eq!(drawn(1), "A  CCC\na  c\n");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut wide = table();
        wide.row(["".into(), "".into(), "x".into()]);
        for width in 1..20 {
            let drawn = wide.draw(Look { colour: false, width: Some(width) });
            let longest = drawn.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= width, "{width}: {drawn}");
            assert_eq!(drawn.contains('…'), width < 15, "{width}: {drawn}");
        }
    }
}
