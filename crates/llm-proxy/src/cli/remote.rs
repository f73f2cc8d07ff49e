//! The commands that ask or tell the running proxy.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::table::{Cell, Table, Tone};
use super::talk::Proxy;
use super::{Outcome, print};

/// How often `status --watch` looks again.
const LOOK: Duration = Duration::from_secs(2);

pub(super) async fn status(proxy: Proxy, watch: bool, json: bool) -> Outcome {
    loop {
        let status = proxy.ask(Method::GET, "/status", None).await?;
        if watch && io::stdout().is_terminal() {
            // Clear the screen and go to its upper left corner.
            let _ = io::Write::write_all(&mut io::stdout(), b"\x1b[2J\x1b[H");
        }
        if json {
            print(&serde_json::to_string_pretty(&status).unwrap_or_default())?;
        } else {
            print(&status_table(&status))?;
        }
        if !watch {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn status_table(status: &Value) -> String {
    let mut table = Table::new(&[
        "PROVIDER", "PRIORITY", "MODEL", "STATE", "UNTIL", "REQUESTS", "TOKENS", "LEFT",
    ]);
    for provider in items(&status["providers"]) {
        let available = provider["available"].as_bool().unwrap_or(false);
        let state = if available {
            Cell::toned("available", Tone::Good)
        } else {
            Cell::toned(short(text(&provider["reason"])), Tone::Bad)
        };
        table.row([
            text(&provider["name"]).into(),
            provider["priority"].to_string().into(),
            text(&provider["model"]).into(),
            state,
            text(&provider["rate_limited_until"]).into(),
            provider["request_count"].to_string().into(),
            provider["total_tokens_used"].to_string().into(),
            left(provider).into(),
        ]);
    }
    let mut told = table.render();
    for skipped in items(&status["skipped_providers"]) {
        let _ = writeln!(told, "skipped {}: {}", text(&skipped["name"]), text(&skipped["reason"]));
    }
    let _ = writeln!(
        told,
        "{} of {} providers available",
        status["available_providers"], status["total_providers"]
    );
    told
}

/// `212/1000 requests per day`, for the first deployment that has limits.
fn left(provider: &Value) -> String {
    let quotas =
        items(&provider["deployments"]).flat_map(|deployment| items(&deployment["quotas"]));
    let told: Vec<String> = quotas
        .filter(|quota| quota["remaining"].is_u64() && quota["limit"].is_u64())
        .take(2)
        .map(|quota| {
            let (remaining, limit) = (&quota["remaining"], &quota["limit"]);
            format!("{remaining}/{limit} {}/{}", text(&quota["counts"]), text(&quota["per"]))
        })
        .collect();
    told.join(", ")
}

pub(super) async fn explain(proxy: Proxy, model: Option<String>) -> Outcome {
    let query = model.map(|model| format!("?model={}", encoded(&model))).unwrap_or_default();
    let told = proxy.ask(Method::GET, &format!("/explain{query}"), None).await?;
    let mut table = Table::new(&["", "PROVIDER", "MODEL", "WHY"]);
    for step in items(&told["chain"]) {
        let decision = text(&step["decision"]);
        let tone = match decision {
            "take" => Tone::Good,
            "skip" => Tone::Bad,
            _ => Tone::Plain,
        };
        table.row([
            Cell::toned(decision, tone),
            text(&step["provider"]).into(),
            text(&step["model"]).into(),
            why(step).into(),
        ]);
    }
    print(&table.render())
}

fn why(step: &Value) -> String {
    if step["available"].as_bool().unwrap_or(false) {
        return match text(&step["state"]) {
            "half_open" => "its guessed time is over; one request probes".to_owned(),
            _ => "open".to_owned(),
        };
    }
    let reason = text(&step["reason"]);
    match (step["until"].as_str(), step["origin"].as_str()) {
        (Some(until), Some(origin)) => format!("{reason}; back at {until} ({origin})"),
        _ => format!("{reason}; until the configuration or a person changes it"),
    }
}

pub(super) async fn act(proxy: Proxy, path: &str, provider: Option<String>) -> Outcome {
    let told = proxy.ask(Method::POST, path, Some(json!({"provider": provider}))).await?;
    let whom = provider.map(|name| format!("{name}: ")).unwrap_or_default();
    print(&format!("{whom}{}", text(&told["message"])))
}

pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn short(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let cut: String = text.chars().take(MOST - 1).collect();
    format!("{cut}…")
}

pub(super) fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    text.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
