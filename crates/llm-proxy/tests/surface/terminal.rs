//! What people see on a terminal: tables, colour, and the live view.

use std::io::Read as _;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::process::Child;

use crate::commands::{row, two};
use crate::harness::{Place, Proxy, QUESTION, eventually, only, provider, signal};

#[tokio::test]
async fn status_is_a_table_of_who_is_available_and_until_when_not() {
    let (proxy, _first, _second) = two().await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    let table = proxy.tell(&["status"]).await.good();
    let until = proxy.state("first").await["rate_limited_until"].as_str().unwrap().to_owned();
    assert!(row(&table, "first").contains("rate limited until "), "{table}");
    assert!(row(&table, "first").contains(&until[11..16]), "{until}: {table}");
    assert!(row(&table, "first").contains(" (in "), "{table}");
    assert!(row(&table, "second").contains("available"), "{table}");
    assert!(table.contains("1 of 2 providers available"), "{table}");
    assert!(!table.contains('\u{1b}'), "colour in a pipe: {table}");
}

#[tokio::test]
async fn status_has_a_line_for_each_of_several_keys() {
    let upstream = provider(&["hi"]).await;
    let config = only("one", &upstream)
        .replace("api_key: key-of-one-0123456789", "api_keys: [key-1-abc, key-2-abc]");
    let proxy = Proxy::of(&config).await;
    let table = proxy.tell(&["status"]).await.good();
    let lines: Vec<&str> = table.lines().filter(|line| line.contains("one-model")).collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines.iter().all(|line| line.starts_with("  ")), "{table}");
    assert!(!table.contains("key-1"), "{table}");
}

#[tokio::test]
async fn a_terminal_gets_colour_unless_it_is_refused() {
    let mut place = Place::new();
    place.set("GROQ_API_KEY", "gsk_abcdefghij0123456789");
    let shown = Terminal::run(&place, &["providers"], 200).await;
    assert!(shown.contains("\u{1b}[32myes"), "{shown}");
    place.set("NO_COLOR", "1");
    let shown = Terminal::run(&place, &["providers"], 200).await;
    assert!(shown.contains("yes") && !shown.contains('\u{1b}'), "{shown}");
    place.set("NO_COLOR", "");
    place.set("TERM", "dumb");
    let shown = Terminal::run(&place, &["providers"], 200).await;
    assert!(shown.contains("yes") && !shown.contains('\u{1b}'), "{shown}");
}

#[tokio::test]
async fn a_narrow_terminal_gets_lines_that_fit() {
    let mut place = Place::new();
    place.set("NO_COLOR", "1");
    let shown = Terminal::run(&place, &["providers"], 40).await;
    let longest = shown.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest == 40 && shown.contains('…'), "{shown}");
}

#[tokio::test]
async fn status_can_be_watched_through_a_pipe() {
    let (proxy, _first, _second) = two().await;
    let port = proxy.address.port().to_string();
    let mut watching =
        proxy.place.command(&["status", "--watch", "--json", "--port", &port]).spawn().unwrap();
    let mut told = watching.stdout.take().unwrap();
    let mut text = String::new();
    eventually("a second look", async || {
        let mut piece = [0; 4096];
        let length = tokio::io::AsyncReadExt::read(&mut told, &mut piece).await.unwrap();
        text.push_str(&String::from_utf8_lossy(&piece[..length]));
        text.matches("total_providers").count() == 2
    })
    .await;
    signal(watching.id().unwrap(), Signal::INT);
    assert_eq!(watching.wait().await.unwrap().code(), Some(0));
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[tokio::test]
async fn watching_ends_when_nobody_reads_on() {
    let (proxy, _first, _second) = two().await;
    let script = format!("\"$PROGRAM\" status --watch --port {} | head -n 1", proxy.address.port());
    let ended = tokio::time::timeout(crate::harness::PATIENCE, proxy.place.shell(&script).output());
    assert!(ended.await.expect("it goes on for ever").unwrap().stderr.is_empty());
}

#[tokio::test]
async fn the_live_view_outlives_the_proxy_and_gives_the_screen_back() {
    let upstream = provider(&["hi"]).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = Place::with(&format!("server: {{port: {port}}}\n{}", only("one", &upstream)));
    let command = place.command(&["serve"]);
    let mut proxy = Proxy::of_command(place, command).await;
    let view = Terminal::start(&proxy.place, &["status", "--watch"], 80);
    view.shows("available").await;
    proxy.signal(Signal::TERM);
    proxy.ended().await;
    let place = proxy.place;
    view.shows("no proxy answers").await;
    let command = place.command(&["serve"]);
    let _again = Proxy::of_command(place, command).await;
    view.forget();
    view.shows("1 of 1 providers available").await;
    let shown = view.end().await;
    assert!(shown.starts_with("\u{1b}[?1049h"), "{shown:?}");
    assert!(shown.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{shown:?}");
}

/// The program on a terminal.
struct Terminal {
    child: Child,
    shown: Arc<Mutex<String>>,
    reading: tokio::task::JoinHandle<()>,
    /// What was shown before this is not looked at.
    seen: Mutex<usize>,
}

impl Terminal {
    fn start(place: &Place, arguments: &[&str], columns: u16) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
        let terminal = std::fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
        let child = place.command(arguments).stdout(terminal).spawn().unwrap();
        let shown = Arc::<Mutex<String>>::default();
        let told = Arc::clone(&shown);
        let reading = tokio::task::spawn_blocking(move || {
            let (mut screen, mut piece) = (std::fs::File::from(screen), [0; 4096]);
            // When the last writer is gone, reading ends with an error.
            while let Ok(length @ 1..) = screen.read(&mut piece) {
                told.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        Self { child, shown, reading, seen: Mutex::default() }
    }

    /// Runs a command to its good end; what it showed.
    async fn run(place: &Place, arguments: &[&str], columns: u16) -> String {
        let mut terminal = Self::start(place, arguments, columns);
        assert!(terminal.child.wait().await.unwrap().success());
        terminal.reading.await.unwrap();
        terminal.shown.lock().unwrap().replace('\r', "")
    }

    async fn shows(&self, text: &str) {
        eventually(text, async || {
            let seen = *self.seen.lock().unwrap();
            self.shown.lock().unwrap()[seen..].contains(text)
        })
        .await;
    }

    fn forget(&self) {
        *self.seen.lock().unwrap() = self.shown.lock().unwrap().len();
    }

    /// Ends it as Ctrl-C does; all that it showed.
    async fn end(mut self) -> String {
        signal(self.child.id().unwrap(), Signal::INT);
        assert_eq!(self.child.wait().await.unwrap().code(), Some(0));
        self.reading.await.unwrap();
        self.shown.lock().unwrap().clone()
    }
}
