//! `llm-proxy usage`: what was used, as a table, as JSON or as CSV.

use http::Method;
use serde_json::Value;

use super::remote::encoded;
use super::status::items;
use super::table::{Cell, Table};
use super::talk::Proxy;
use super::{Outcome, print};

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Form {
    /// For people.
    #[default]
    Table,
    /// As the proxy tells it.
    Json,
    /// For spreadsheets.
    Csv,
}

/// The columns after those that are grouped by.
const COUNTS: [&str; 11] = [
    "requests",
    "refused",
    "attempts",
    "failures",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "estimated_tokens",
    "cost_usd",
    "average_first_token_ms",
    "average_duration_ms",
];

pub(super) async fn usage(proxy: Proxy, by: &str, since: Option<&str>, form: Form) -> Outcome {
    let since = since.map(|since| format!("&since={}", encoded(since))).unwrap_or_default();
    let told =
        proxy.ask(Method::GET, &format!("/usage?by={}{since}", encoded(by)), None, "rows").await?;
    match form {
        Form::Json => print(&serde_json::to_string_pretty(&told).unwrap_or_default()),
        Form::Table => print(&table(&told)),
        Form::Csv => print(&csv(&told)),
    }
}

/// The columns that are grouped by, and then the counts. A key or model is told with its provider.
fn columns(told: &Value) -> Vec<&str> {
    let by = told["by"].as_str().unwrap_or("day");
    let mut columns: Vec<&str> = by.split(',').map(str::trim).collect();
    if let Some(at) = columns.iter().position(|name| ["key", "model"].contains(name))
        && !columns.contains(&"provider")
    {
        columns.insert(at, "provider");
    }
    columns.extend(COUNTS);
    columns
}

fn table(told: &Value) -> String {
    let columns = columns(told);
    let headings: Vec<String> = columns.iter().map(|name| heading(name)).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut table = Table::new(&headings);
    for row in items(&told["rows"]) {
        table.row(columns.iter().map(|name| Cell::from(field(&row[*name], "-"))));
    }
    if items(&told["rows"]).next().is_none() {
        return format!("nothing was used since {}\n", field(&told["since"], "then"));
    }
    table.render()
}

fn heading(column: &str) -> String {
    let name = match column {
        "average_first_token_ms" => "first token ms",
        "average_duration_ms" => "duration ms",
        "prompt_tokens" => "prompt",
        "completion_tokens" => "completion",
        "total_tokens" => "tokens",
        "estimated_tokens" => "estimated",
        "cost_usd" => "cost $",
        other => other,
    };
    name.to_uppercase()
}

fn csv(told: &Value) -> String {
    let columns = columns(told);
    let mut text = columns.join(",") + "\n";
    for row in items(&told["rows"]) {
        let fields: Vec<String> =
            columns.iter().map(|name| quoted(&field(&row[*name], ""))).collect();
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

fn field(value: &Value, absent: &str) -> String {
    match value {
        Value::Null => absent.to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// A field of a CSV row. A leading sign that a spreadsheet takes for a formula is defused.
fn quoted(text: &str) -> String {
    let text = match text.chars().next() {
        Some('=' | '+' | '-' | '@') if text.parse::<f64>().is_err() => format!("'{text}"),
        _ => text.to_owned(),
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_of_csv_holds_hostile_names_and_defuses_formulas() {
        let told = json!({"by": "model", "rows": [
            {"model": "a,\"b\"", "requests": 3}, {"model": "=1+1"},
        ]});
        let text = csv(&told);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("provider,model,requests,refused,attempts"));
        assert_eq!(lines[1], ",\"a,\"\"b\"\"\",3,,,,,,,,,,");
        assert!(lines[2].starts_with(",'=1+1,"));
    }
}
