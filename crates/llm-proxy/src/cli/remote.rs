//! The commands that ask or tell the running proxy.

use http::Method;
use serde_json::{Value, json};

use super::status::{items, text, view};
use super::table::{Cell, Look, Table, Tone};
use super::talk::Proxy;
use super::{Outcome, print};
use crate::clock::Clock;

pub(super) async fn status(proxy: Proxy, json: bool) -> Outcome {
    let status = proxy.ask(Method::GET, "/status", None, "providers").await?;
    if json {
        return print(&serde_json::to_string_pretty(&status).unwrap_or_default());
    }
    let now = jiff::Timestamp::from_millisecond(Clock::new().now().as_millis());
    print(&view(&status, now.unwrap_or_default(), Look::here()))
}

pub(super) async fn explain(proxy: Proxy, model: Option<String>) -> Outcome {
    let query =
        model.as_deref().map(|model| format!("?model={}", encoded(model))).unwrap_or_default();
    let told = proxy.ask(Method::GET, &format!("/explain{query}"), None, "chain").await?;
    if let Some(model) = model.filter(|model| !is_walked(&told, model)) {
        let listed = proxy.ask(Method::GET, "/v1/models", None, "data").await?;
        if !items(&listed["data"]).any(|one| text(&one["id"]) == model) {
            print(&format!("{model:?} is not listed: each provider's own model is used"))?;
        }
    }
    print(&chain(&told).render())
}

/// Whether a step of the chain asks for the model itself, under one of its names.
fn is_walked(told: &Value, model: &str) -> bool {
    items(&told["chain"]).any(|step| {
        let (provider, own) = (text(&step["provider"]), text(&step["model"]));
        model == own || model == provider || model == format!("{provider}/{own}")
    })
}

fn chain(told: &Value) -> Table {
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
            named(step, told).into(),
            text(&step["model"]).into(),
            why(step).into(),
        ]);
    }
    table
}

/// The provider, with the fingerprint of the key where it has several.
fn named(step: &Value, told: &Value) -> String {
    let (provider, key) = (text(&step["provider"]), text(&step["key"]));
    let several = items(&told["chain"])
        .any(|other| other["provider"] == step["provider"] && other["key"] != step["key"]);
    if several { format!("{provider} ({key})") } else { provider.to_owned() }
}

/// Why it is taken or not, and what else was learned of it.
fn why(step: &Value) -> String {
    let standing = standing(step);
    match step["known"].as_str() {
        Some(known) => format!("{standing}; {known}"),
        None => standing,
    }
}

fn standing(step: &Value) -> String {
    if step["available"].as_bool().unwrap_or(false) {
        return match text(&step["state"]) {
            "half_open" => "its time is over; one request probes".to_owned(),
            _ => "open".to_owned(),
        };
    }
    let reason = text(&step["reason"]);
    match (step["until"].as_str(), step["origin"].as_str()) {
        (Some(until), Some(origin)) => format!("{reason}; back at {until} ({origin})"),
        _ if text(&step["state"]) != "parked" => reason.to_owned(),
        _ => format!("{reason}; until the configuration or a person changes it"),
    }
}

pub(super) async fn act(proxy: Proxy, path: &str, provider: Option<String>) -> Outcome {
    let told =
        proxy.ask(Method::POST, path, Some(json!({"provider": provider})), "message").await?;
    let whom = provider.map(|name| format!("{name}: ")).unwrap_or_default();
    print(&format!("{whom}{}", text(&told["message"])))
}

pub(super) fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    text.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_parked_is_said_to_need_a_person() {
        let said = |state: &str| {
            standing(&json!({"available": false, "state": state, "reason": "so", "until": null}))
        };
        assert_eq!(said("busy"), "so");
        assert_eq!(said("half_open"), "so");
        assert_eq!(said("parked"), "so; until the configuration or a person changes it");
    }
}
