//! `GET /usage` and `llm-proxy usage`: the figures are those that the providers counted.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{Proxy, acting, entry, eventually};
use crate::parts::{error, killed_and_back, leave, remembering, told, used};

const PIECES: [&str; 3] = ["one ", "two ", "three"];

/// The first provider: what it does is what the request's `user` says.
fn wayward() -> Behaviour {
    Behaviour::answer(|request| match request.json()["user"].as_str().unwrap_or_default() {
        "refused" => error(400, "invalid_request_error", "invalid_value", "no"),
        "rotated" => error(413, "invalid_request_error", "request_too_large", "too large"),
        "left" => Reply::hang(),
        "left amid" => Reply::stream(&PIECES[..1]).stall(),
        "rescued" => Reply::stream(&PIECES[..2]).cut(),
        _ => Reply::answer(&PIECES),
    })
}

/// How many of each, in turns.
const MIX: [(&str, bool); 7] = [
    ("plain", false),
    ("plain", true),
    ("refused", false),
    ("rotated", true),
    ("left", false),
    ("left amid", true),
    ("rescued", true),
];
const TURNS: u64 = 3;

struct Mixed {
    proxy: Proxy,
    first: SimulatedProvider,
    second: SimulatedProvider,
}

/// Sends the mix and waits until every request has ended.
async fn mixed() -> Mixed {
    let first = acting(wayward()).await;
    let second = acting(Behaviour::always(Reply::answer(&PIECES))).await;
    let proxy = remembering(&[entry("first", &first), entry("second", &second)]).await;
    let mut sent = 0;
    for _ in 0..TURNS {
        for (user, stream) in MIX {
            ask(&proxy, &first, user, stream).await;
            sent += 1;
            told(&proxy, sent).await;
            // A stream that was cut twice would set its provider aside.
            proxy.post("/reset", "").await;
        }
    }
    Mixed { proxy, first, second }
}

async fn ask(proxy: &Proxy, first: &SimulatedProvider, user: &str, stream: bool) {
    let body = json!({"user": user, "stream": stream,
        "messages": [{"role": "user", "content": "Count to three."}]})
    .to_string();
    match user {
        "left" => {
            let before = first.count();
            let waiting = leave(proxy.address, &body, None).await;
            eventually("the call", async || first.count() > before).await;
            drop(waiting);
        }
        "left amid" => drop(leave(proxy.address, &body, Some("one ")).await),
        _ => {
            let answer = proxy.chat(&body).await;
            assert_eq!(answer.status == 200, user != "refused", "{user}: {}", answer.text());
            let done = !stream || answer.text().ends_with("data: [DONE]\n\n");
            assert!(done, "{user}: {}", answer.text());
        }
    }
}

/// The row of this provider.
fn row<'r>(rows: &'r [Value], provider: &str) -> &'r Value {
    rows.iter().find(|row| row["provider"] == provider).unwrap_or(&Value::Null)
}

fn sum(rows: &[Value], column: &str) -> u64 {
    rows.iter().map(|row| row[column].as_u64().unwrap()).sum()
}

/// Tokens of the answers that a simulated provider completed.
fn exact_tokens(provider: &SimulatedProvider, completed: &[&str]) -> u64 {
    let requests = provider.requests();
    let answered = requests.iter().filter(|request| {
        let json = request.json();
        completed.contains(&json["user"].as_str().unwrap_or_default())
    });
    answered.map(|request| request.body_length / 4 + PIECES.len() as u64).sum()
}

#[tokio::test]
async fn the_figures_are_those_that_the_providers_counted() {
    let Mixed { proxy, first, second } = mixed().await;
    let by_provider = used(&proxy, "by=provider").await;
    let facts = |name: &str| {
        let row = row(&by_provider, name);
        [&row["attempts"], &row["failures"], &row["requests"]].map(|value| value.as_u64().unwrap())
    };
    // Failed: refused, rotated, cut. Served: two plain ones and the one that was left amid.
    assert_eq!(facts("first"), [first.count(), 3 * TURNS, 3 * TURNS]);
    assert_eq!(facts("second"), [second.count(), 0, 2 * TURNS]);
    assert_eq!((first.count(), second.count()), (7 * TURNS, 2 * TURNS));

    let by_day = used(&proxy, "by=day").await;
    assert_eq!(by_day.len(), 1);
    assert_eq!(sum(&by_day, "requests") + sum(&by_day, "refused"), 7 * TURNS);
    assert_eq!(sum(&by_day, "refused"), 2 * TURNS);

    // Exactly what was told in full, and an estimate of the rest.
    let requests = told(&proxy, 7 * TURNS as usize).await;
    let tokens = |estimated: bool| {
        let those = requests.iter().filter(|request| request["estimated"] == estimated);
        those.map(|request| request["total_tokens"].as_u64().unwrap_or(0)).sum::<u64>()
    };
    let exact = exact_tokens(&first, &["plain"]) + exact_tokens(&second, &["rotated"]);
    assert_eq!(tokens(false), exact);
    assert_eq!(sum(&by_day, "estimated_tokens"), tokens(true));
    assert_eq!(sum(&by_day, "total_tokens"), exact + tokens(true));
    let status = proxy.get("/status").await.json();
    let counted = status["providers"].as_array().unwrap();
    assert_eq!(sum(counted, "total_tokens_used"), exact + tokens(true));
    assert_eq!(sum(counted, "request_count"), first.count() + second.count());

    // However it is grouped, and after a kill, it is the same.
    let all = sums(&proxy).await;
    let proxy = killed_and_back(proxy).await;
    assert_eq!(sums(&proxy).await, all);
}

const SUMS: [&str; 8] = [
    "attempts",
    "failures",
    "requests",
    "refused",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "estimated_tokens",
];

/// The sums of each way of grouping; all alike, but that requests that nobody served are told of
/// with hours and days only.
async fn sums(proxy: &Proxy) -> Vec<u64> {
    let day = used(proxy, "by=day").await;
    let whole: Vec<u64> = SUMS.iter().map(|column| sum(&day, column)).collect();
    for by in ["hour", "provider", "key", "model", "day,provider", "hour,key", "provider,model"] {
        let rows = used(proxy, &format!("by={by}")).await;
        for (column, whole) in SUMS.iter().zip(&whole) {
            let is_told = *column != "refused" || by == "hour";
            assert!(!is_told || sum(&rows, column) == *whole, "{column} by {by}: {rows:#?}");
        }
        for name in by.split(',') {
            assert!(rows.iter().all(|row| row.get(name).is_some()), "{name} of {rows:#?}");
        }
    }
    whole
}

#[tokio::test]
async fn the_command_prints_the_same_as_a_table_as_json_and_for_spreadsheets() {
    let Mixed { proxy, .. } = mixed().await;
    let rows = used(&proxy, "by=day,provider").await;
    let by = ["usage", "--by", "day,provider"];
    let text = proxy.tell(&[&by[..], &["--format", "json"]].concat()).await.good();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["rows"], json!(rows));

    let csv = proxy.tell(&[&by[..], &["--format", "csv"]].concat()).await.good();
    let mut lines = csv.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let plain = |value: &Value| match value.as_str() {
        _ if value.is_null() => String::new(),
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    for (line, row) in lines.zip(&rows) {
        let fields: Vec<String> = columns.iter().map(|name| plain(&row[*name])).collect();
        assert_eq!(line, fields.join(","));
    }
    assert_eq!(csv.lines().count(), rows.len() + 1);

    let table = proxy.tell(&by).await.good();
    assert!(table.lines().next().unwrap().starts_with("DAY "), "{table}");
    for row in &rows {
        for value in [&row["provider"], &row["attempts"], &row["total_tokens"]] {
            assert!(*value == Value::Null || table.contains(&plain(value)), "{value} in {table}");
        }
    }
    let by_model = proxy.tell(&["usage", "--by", "model"]).await.good();
    assert!(by_model.starts_with("PROVIDER"), "{by_model}");
    let later = proxy.tell(&["usage", "--since", "2999-01-01"]).await.good();
    assert!(later.starts_with("nothing was used since 2999-01-01"), "{later}");
    proxy.tell(&["usage", "--by", "nonsense"]).await.bad(2);
}

#[tokio::test]
async fn spans_dates_and_times_bound_what_is_told() {
    let first = acting(wayward()).await;
    let proxy = remembering(&[entry("first", &first)]).await;
    ask(&proxy, &first, "plain", false).await;
    told(&proxy, 1).await;
    let all = [
        "",
        "since=30m",
        "since=2h",
        "since=7d",
        "since=1w",
        "since=2026-01-01",
        "since=2026-01-01T00:00:00Z",
        "since=2026-01-01T00:00:00%2B01:00",
        "since=2026-01-01T00:00:00+01:00",
        "since=4294967295w",
        "since=1h&until=2999-01-01",
    ];
    for query in all {
        assert_eq!(sum(&used(&proxy, query).await, "attempts"), 1, "{query}");
    }
    for query in ["until=1h", "since=2999-01-01", "since=2h&until=1h", "since=1h&until=2h"] {
        assert_eq!(used(&proxy, query).await, [Value::Null; 0], "{query}");
    }
    for by in ["nonsense", "day,", "day;provider", "Day"] {
        let answer = proxy.get(&format!("/usage?by={by}")).await;
        assert_eq!(answer.error(), (400, "invalid_by".to_owned()), "{by}");
    }
    for time in ["yesterday", "7", "7x", "-1d", "2026-13-01", "99999999999d", "%00"] {
        for name in ["since", "until"] {
            let answer = proxy.get(&format!("/usage?{name}={time}")).await;
            assert_eq!(answer.error(), (400, "invalid_time".to_owned()), "{name}={time}");
        }
    }
}
