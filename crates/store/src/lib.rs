//! The durable memory: what the rules remember, what became of each request, what was used.
//!
//! One `SQLite` file, owned by one thread. Requests never wait for it: [`Store::touch`] is an
//! atomic swap, [`Store::record`] a push onto a bounded queue, and questions are answered through
//! a callback.
//!
//! How durable that is:
//!
//! * A killed process loses what was touched in the last 100 ms or so: changes are gathered for
//!   50 ms and committed to a write-ahead log, which the system keeps whatever becomes of us.
//! * A power cut loses about a second: a commit does not wait for the disk, but when the last
//!   sync is a second old the next commit is synced (`synchronous=FULL` for it alone), and after
//!   the last commit of a burst the log is synced within a second by a checkpoint.
//! * [`Store::urgent`] commits and syncs at once, and so does [`Store::stop`].
//!
//! No file is ever a reason not to start. What is damaged, foreign or newer is renamed, what can
//! be read of it is taken over; where nothing can be written, memory has to do.

mod clock;
mod database;
mod folder;
mod opening;
mod options;
mod pace;
mod prune;
mod record;
mod rows;
mod salvage;
mod schema;
mod shared;
mod store;
mod usage;
mod writer;

pub use options::{Health, Level, Mode, Note, Opened, Options, Unanswered};
pub use record::{Hop, Kept, Record, Skipped};
pub use shared::Reply;
pub use store::{Store, open};
pub use usage::{By, UsageQuery, UsageRow, Used};
pub use writer::Source;
