//! The commands that ask or tell the running proxy.

use http::Method;
use serde_json::{Value, json};

use super::status::{items, text, view};
use super::table::{Cell, Look, Table, Tone};
use super::talk::Proxy;
use super::{Outcome, print};
use crate::clock::Clock;

pub(super) async fn status(proxy: Proxy, json: bool) -> Outcome {
    let status = proxy.ask(Method::GET, "/status", None).await?;
    if json {
        return print(&serde_json::to_string_pretty(&status).unwrap_or_default());
    }
    let now = jiff::Timestamp::from_millisecond(Clock::new().now().as_millis());
    print(&view(&status, now.unwrap_or_default(), Look::here()))
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

pub(super) fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    text.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
