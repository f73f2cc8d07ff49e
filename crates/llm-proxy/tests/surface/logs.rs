//! The log: one line per decision in an exact form, and never a prompt, an answer or a key.

use serde_json::Value;
use simulated::{Behaviour, Reply};

use crate::harness::{Place, Proxy, acting, entry, provider};

const PROMPT: &str = "a-secret-prompt";
const REPLY: &str = "a-secret-answer";

/// A proxy whose first provider refuses, whose second answers, and which was asked both ways.
async fn busy(arguments: &[&str]) -> Proxy {
    let first = acting(Behaviour::always(Reply::rate_limited(Some("30")))).await;
    let second = provider(&[REPLY]).await;
    let config =
        format!("{}{}{}", "providers:\n", entry("first", &first), entry("second", &second));
    let proxy = Proxy::start_with(Place::with(&config), arguments).await;
    for stream in [false, true] {
        let body =
            format!(r#"{{"stream":{stream},"messages":[{{"role":"user","content":"{PROMPT}"}}]}}"#);
        let answer = proxy.chat(&body).await;
        assert_eq!(answer.provider(), "second");
        assert!(answer.text().contains(REPLY));
    }
    proxy
}

fn is_decision(line: &str) -> bool {
    let bytes = line.as_bytes();
    let shape = b"dddd-dd-dd dd:dd:dd - ";
    let fits = bytes.len() > shape.len()
        && shape.iter().zip(bytes).all(|(shape, byte)| match shape {
            b'd' => byte.is_ascii_digit(),
            other => other == byte,
        });
    let level = line.split(" - ").nth(1).unwrap_or_default();
    fits && ["DEBUG", "INFO", "WARNING", "ERROR"].contains(&level)
}

#[tokio::test]
async fn the_lines_have_the_form_that_scripts_know() {
    let mut proxy = busy(&[]).await;
    proxy.signal(rustix::process::Signal::TERM);
    proxy.ended().await;
    let lines = proxy.lines();
    for line in lines.iter().filter(|line| !line.starts_with("listening on http://")) {
        assert!(is_decision(line), "{line}");
    }
    let says = |text: &str| lines.iter().filter(|line| line.ends_with(text)).count();
    assert_eq!(says(" - INFO - Selected provider: first (priority 1)"), 1);
    assert_eq!(says(" - INFO - Selected provider: second (priority 2)"), 2);
    assert_eq!(says(" - INFO - second: Request successful (status 200)"), 2);
    let refused = lines.iter().find(|line| line.contains(" - WARNING - first: ")).unwrap();
    assert!(refused.contains("429") && refused.contains("30s"), "{refused}");
}

#[tokio::test]
async fn no_line_holds_a_prompt_an_answer_or_a_key() {
    for arguments in
        [&["--log-level", "debug"][..], &["--log-level", "debug", "--log-format", "json"]]
    {
        let mut proxy = busy(arguments).await;
        proxy.signal(rustix::process::Signal::TERM);
        proxy.ended().await;
        let log = proxy.lines().join("\n");
        for secret in [PROMPT, REPLY, "key-of-"] {
            assert!(!log.contains(secret), "{secret}: {log}");
        }
    }
}

#[tokio::test]
async fn a_key_that_a_provider_echoes_is_not_logged() {
    let body = serde_json::json!({"error": {
        "message": "Incorrect API key provided: key-of-first-0123456789",
        "code": "invalid_api_key",
    }});
    let first = acting(Behaviour::always(Reply::error(401, &body))).await;
    let second = provider(&["hi"]).await;
    let config = format!("providers:\n{}{}", entry("first", &first), entry("second", &second));
    let proxy = Proxy::of(&config).await;
    proxy.chat("{}").await;
    let _ = proxy.chat(r#"{"model":"first","messages":[]}"#).await;
    proxy.line("second: Request successful").await;
    let status = proxy.get("/status").await;
    for text in [proxy.lines().join("\n"), status.text().to_owned()] {
        assert!(!text.contains("key-of-first"), "{text}");
    }
}

#[tokio::test]
async fn a_provider_cannot_forge_a_line_or_move_the_cursor() {
    let body = serde_json::json!({"error": {
        "message": "bad\n2025-11-06 10:30:00 - INFO - forged\r\u{1b}[2Jgone\u{9b}31m\u{7}",
        "code": "server_error",
    }});
    let first = acting(Behaviour::always(Reply::error(500, &body))).await;
    let second = provider(&["hi"]).await;
    let config = format!("providers:\n{}{}", entry("first", &first), entry("second", &second));
    let proxy = Proxy::of(&config).await;
    proxy.chat("{}").await;
    proxy.line("second: Request successful").await;
    let table = proxy.tell(&["status"]).await.good();
    for text in proxy.lines().into_iter().chain(table.lines().map(str::to_owned)) {
        assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
        assert!(!text.ends_with(" - INFO - forged"), "{text:?}");
    }
}

#[tokio::test]
async fn every_line_of_the_json_log_is_json() {
    let mut proxy = busy(&["--log-format", "json"]).await;
    proxy.signal(rustix::process::Signal::TERM);
    proxy.ended().await;
    let lines = proxy.lines();
    let decisions: Vec<Value> = lines
        .iter()
        .filter(|line| !line.starts_with("listening on http://"))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    for line in &decisions {
        for key in ["time", "level", "message"] {
            assert!(line[key].is_string(), "{line}");
        }
    }
    let said = |text: &str| decisions.iter().any(|line| line["message"] == text);
    assert!(said("Selected provider: first (priority 1)"));
    assert!(said("second: Request successful (status 200)"));
}

#[tokio::test]
async fn the_level_leaves_out_what_is_below_it() {
    let proxy = busy(&["--log-level", "warning"]).await;
    proxy.line(" - WARNING - first: ").await;
    assert!(!proxy.lines().iter().any(|line| line.contains(" - INFO - ")));
    let proxy = busy(&["--log-level", "error"]).await;
    assert!(!proxy.lines().iter().any(|line| line.contains(" - WARNING - ")));
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_nothing_up() {
    let upstream = provider(&["hi"]).await;
    let mut place = Place::with(&format!("providers:\n{}", entry("one", &upstream)));
    place.set("LINE", "listening on");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // The pipe's other end is closed at once.
    let mut command = place.command(&["serve", "--port", &port.port().to_string()]);
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    crate::harness::eventually("the proxy", async || {
        tokio::net::TcpStream::connect(port).await.is_ok()
    })
    .await;
    for _ in 0..20 {
        let answer = crate::harness::post(port, "/v1/chat/completions", &[], "{}").await;
        assert_eq!(answer.provider(), "one");
    }
    assert!(child.try_wait().unwrap().is_none());
}
