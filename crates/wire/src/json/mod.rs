//! JSON read in place: validated in one pass without recursion, then looked at through spans.
//!
//! A parsed tree would lose what must reach the other side unchanged (number spelling, key order,
//! duplicates, escapes), and a recursive parser would give a body power over the stack.

mod layout;
mod lex;
mod problem;
mod scan;
mod text;
mod view;

pub(crate) use layout::LayoutBuilder;
pub use layout::{Layout, Member};
pub use problem::JsonProblem;
pub(crate) use problem::check_utf8;
pub(crate) use scan::{Event, Scanner, Token};
pub use text::quote;
pub(crate) use text::{ObjectText, array_text, half_at_end, half_at_start, unquote_known};
pub use view::{Elements, Kind, Members, View};
