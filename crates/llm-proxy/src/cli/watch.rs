//! `status --watch`: the table, drawn again each second until Ctrl-C.
//!
//! On a terminal it has a screen of its own, which is given back whatever ends the view. A proxy
//! that is gone for a while is told, not an end.

use std::io::{self, Write as _};
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Outcome;
use super::status::{view, view_within};
use super::table::{Cell, Look, Table, Tone, is_screen, screen_rows};
use super::talk::Proxy;
use crate::clock::Clock;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(1);

/// Another screen, no cursor, and no lines that go on below.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// Shows the status again and again. The first look must succeed: a wrong address is an error.
pub(super) async fn watch(proxy: Proxy, json: bool) -> Outcome {
    let clock = Clock::new();
    let mut seen: Result<Value, String> =
        Ok(proxy.ask(Method::GET, "/status", None, "providers").await?);
    let mut ends = Ends::new()?;
    let screen = Screen::enter()?;
    loop {
        let shown = match &seen {
            Ok(status) if json => pretty(status),
            Ok(status) if screen.is_terminal => {
                view_within(picture_rows(screen_rows()), status, present(&clock), Look::here())
            }
            Ok(status) => view(status, present(&clock), Look::here()),
            Err(told) => gone(told),
        };
        match screen.show(&shown, seen.is_err()) {
            // Nobody reads on.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = ends.come() => return Ok(()),
        }
        seen = tokio::select! {
            answer = proxy.ask(Method::GET, "/status", None, "providers") => answer.map_err(|failed| failed.message),
            () = ends.come() => return Ok(()),
        };
    }
}

fn pretty(status: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(status).unwrap_or_default())
}

fn gone(told: &str) -> String {
    let line = Cell::toned(format!("looking again each second: {told}"), Tone::Bad);
    Table::line(line, Look::here())
}

fn present(clock: &Clock) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(clock.now().as_millis()).unwrap_or_default()
}

/// What ends the view.
struct Ends {
    signals: [Signal; 3],
}

impl Ends {
    fn new() -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    async fn come(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Where the view is drawn; a terminal gets its own screen back when this is dropped.
struct Screen {
    is_terminal: bool,
}

impl Screen {
    fn enter() -> io::Result<Self> {
        let screen = Self { is_terminal: is_screen() };
        if screen.is_terminal {
            write(ENTER)?;
        }
        Ok(screen)
    }

    fn show(&self, text: &str, is_error: bool) -> io::Result<()> {
        if self.is_terminal {
            return write(&drawn(text, screen_rows()));
        }
        if is_error {
            let _ = write!(io::stderr().lock(), "error: {text}");
            return Ok(());
        }
        write(text)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            let _ = write(LEAVE);
        }
    }
}

/// The rows for what is shown, above an empty one and how to end it.
const fn picture_rows(screen: usize) -> usize {
    screen.saturating_sub(2)
}

/// A whole picture in one piece, drawn over the last one, so that nothing flickers.
fn drawn(text: &str, rows: usize) -> String {
    let mut picture = String::from("\x1b[H");
    for line in text.lines().take(picture_rows(rows)).chain([""]) {
        picture.push_str(line);
        picture.push_str("\x1b[K\r\n");
    }
    // No line end behind the last one, which would scroll the screen.
    picture.push_str("Ctrl-C ends this view\x1b[K\x1b[J");
    picture
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_covers_the_last_one_and_fits_the_screen() {
        let picture = drawn("one\ntwo\nthree\n", 4);
        assert!(picture.starts_with("\x1b[Hone\x1b[K\r\ntwo\x1b[K\r\n\x1b[K\r\n"), "{picture:?}");
        assert!(picture.ends_with("view\x1b[K\x1b[J") && !picture.contains("three"));
        assert!(drawn("x", 0).contains("view"));
    }
}
