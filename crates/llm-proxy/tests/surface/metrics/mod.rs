//! What `GET /metrics` tells: exact counts, bounded labels, names that dashboards can rely on.

mod exposition;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use self::exposition::Exposition;
use crate::harness::{Proxy, QUESTION, STREAMED, Wire, acting, entry, eventually, only, provider};

/// A label and its value.
type Label<'a> = (&'a str, &'a str);

async fn metrics(proxy: &Proxy) -> Exposition {
    let answer = proxy.get("/metrics").await;
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    Exposition::of(answer.text())
}

fn asking(model: &str) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]}).to_string()
}

/// A proxy, and its providers, which live as long as they are held.
async fn of_two(rest: &str, first: Behaviour, second: Reply) -> (Proxy, [SimulatedProvider; 2]) {
    let (first, second) = (acting(first).await, acting(Behaviour::always(second)).await);
    let providers = [entry("first", &first), entry("second", &second)].concat();
    (Proxy::of(&format!("{rest}providers:\n{providers}")).await, [first, second])
}

/// A first provider that is out for long, and a second that answers.
async fn limited_then_well() -> (Proxy, [SimulatedProvider; 2]) {
    let limited = Behaviour::always(Reply::rate_limited(Some("600")));
    of_two("", limited, Reply::answer(&["hi", " there"])).await
}

#[tokio::test]
async fn mixed_requests_are_counted_exactly() {
    let (proxy, _providers) = limited_then_well().await;
    for _ in 0..5 {
        assert_eq!(proxy.chat(QUESTION).await.status, 200);
    }
    for _ in 0..3 {
        assert_eq!(proxy.chat(STREAMED).await.status, 200);
    }
    assert_eq!(proxy.post("/v1/completions", r#"{"prompt":"a"}"#).await.status, 200);
    assert_eq!(proxy.chat("{").await.status, 400);
    assert_eq!(proxy.chat("{").await.status, 400);
    assert_eq!(proxy.get("/nothing/here").await.status, 404);
    let page = metrics(&proxy).await;
    let counts: [(&str, &[Label], u64); 17] = [
        ("llm_proxy_requests_total", &[("outcome", "answered"), ("status_class", "2xx")], 9),
        ("llm_proxy_requests_total", &[], 9),
        ("llm_proxy_rejected_requests_total", &[("code", "unknown_path")], 1),
        ("llm_proxy_rejected_requests_total", &[], 3),
        ("llm_proxy_attempts_total", &[("provider", "first"), ("result", "rate_limited")], 1),
        ("llm_proxy_attempts_total", &[("provider", "second"), ("result", "answered")], 9),
        ("llm_proxy_attempts_total", &[], 10),
        ("llm_proxy_cooldowns_total", &[("provider", "first"), ("kind", "rate_limited")], 1),
        ("llm_proxy_cooldowns_total", &[], 1),
        ("llm_proxy_deployments", &[("provider", "first"), ("state", "cooling")], 1),
        ("llm_proxy_deployments", &[("state", "open")], 1),
        ("llm_proxy_provider_available", &[("provider", "first")], 0),
        ("llm_proxy_provider_available", &[("provider", "second")], 1),
        ("llm_proxy_requests_in_flight", &[], 0),
        ("llm_proxy_open_streams", &[], 0),
        ("gen_ai_server_request_duration_seconds_count", &[], 9),
        ("gen_ai_client_operation_duration_seconds_count", &[], 10),
    ];
    for (name, labels, count) in counts {
        assert_eq!(page.count(name, labels), count, "{name} {labels:?}");
    }
    let back = page.count("llm_proxy_provider_back_seconds", &[("provider", "first")]);
    assert!((500..=600).contains(&back), "{back}");
    check_operations(&page);
}

fn check_operations(page: &Exposition) {
    let served = [
        ("gen_ai_provider_name", "second"),
        ("gen_ai_request_model", "second-model"),
        ("gen_ai_response_model", "second-model"),
    ];
    let at = |operation| [&served[..], &[("gen_ai_operation_name", operation)]].concat();
    let count = |name: &str, operation| page.count(name, &at(operation));
    assert_eq!(count("gen_ai_client_operation_duration_seconds_count", "chat"), 8);
    assert_eq!(count("gen_ai_client_operation_duration_seconds_count", "text_completion"), 1);
    assert_eq!(count("gen_ai_server_time_to_first_token_seconds_count", "chat"), 3);
    assert_eq!(count("gen_ai_client_operation_time_to_first_chunk_seconds_count", "chat"), 3);
    let failed = [("gen_ai_provider_name", "first"), ("error_type", "rate_limited")];
    assert_eq!(page.count("gen_ai_client_operation_duration_seconds_count", &failed), 1);
    let tokens = |kind| {
        let labels = [("gen_ai_provider_name", "second"), ("gen_ai_token_type", kind)];
        page.count("gen_ai_client_token_usage_sum", &labels)
    };
    let all = page.count("llm_proxy_tokens_total", &[("provider", "second")]);
    assert!(all > 0);
    assert_eq!(tokens("input") + tokens("output"), all);
}

#[tokio::test]
async fn nothing_from_outside_becomes_a_label() {
    let odd = json!({"error": {"message": "no\n\"such\"", "type": "odd_type", "code": "odd_code"}});
    let broken = Behaviour::always(Reply::error(500, &odd));
    let options = "rotation:\n  unknown_model: pass\n";
    let (proxy, _providers) = of_two(options, broken, Reply::answer(&["hi"])).await;
    for number in 0..40 {
        let model = format!("evil-{number}\"}} 1\n# TYPE evil_{number} \\ \u{1F600}");
        proxy.chat(&asking(&model)).await;
    }
    proxy.chat(&asking("second-model")).await;
    let page = metrics(&proxy).await;
    let words = |label: &str| -> BTreeSet<&str> {
        page.samples.iter().filter_map(|sample| Some(sample.labels.get(label)?.as_str())).collect()
    };
    let models = BTreeSet::from(["first-model", "second-model", "other"]);
    let asked = words("gen_ai_request_model");
    assert!(asked.is_subset(&models) && asked.contains("other"), "{asked:?}");
    assert!(words("gen_ai_response_model").is_subset(&models));
    assert!(words("model").is_subset(&models));
    for label in ["provider", "gen_ai_provider_name"] {
        assert!(words(label).is_subset(&BTreeSet::from(["first", "second"])));
    }
    let known = [
        "code",
        "dimension",
        "error_type",
        "gen_ai_operation_name",
        "gen_ai_provider_name",
        "gen_ai_request_model",
        "gen_ai_response_model",
        "gen_ai_token_type",
        "kind",
        "le",
        "mode",
        "model",
        "origin",
        "outcome",
        "provider",
        "result",
        "state",
        "status_class",
        "version",
        "window",
    ];
    for sample in &page.samples {
        assert!(sample.labels.keys().all(|label| known.contains(&label.as_str())), "{sample:?}");
        let is_ours = |value: &String| {
            !["evil", "odd_", "key-of"].iter().any(|foreign| value.contains(foreign))
        };
        assert!(sample.labels.values().all(is_ours), "{sample:?}");
    }
    let lines = page.samples.len();
    for number in 0..20 {
        proxy.chat(&asking(&format!("more-{number}"))).await;
    }
    assert!(metrics(&proxy).await.samples.len() <= lines + 5, "it grows with what is asked for");
}

#[tokio::test]
async fn counts_survive_a_reload() {
    let (proxy, _providers) = limited_then_well().await;
    proxy.chat(QUESTION).await;
    proxy.chat(STREAMED).await;
    let before = metrics(&proxy).await;
    let third = provider(&["hi"]).await;
    let old = std::fs::read_to_string(proxy.place.work().join("config.yaml")).unwrap();
    proxy.place.write("config.yaml", &format!("{old}{}", entry("third", &third)));
    assert_eq!(proxy.post("/reload", "").await.status, 200);
    let after = metrics(&proxy).await;
    for sample in before.samples {
        let stays = sample.name.ends_with("_total") || sample.name.ends_with("_count");
        if stays {
            let labels: Vec<_> =
                sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(after.count(&sample.name, &labels), sample.count(), "{sample:?}");
        }
    }
    let new = [("provider", "third"), ("result", "answered")];
    assert_eq!(after.with("llm_proxy_attempts_total", &new).count(), 1);
    proxy.chat(QUESTION).await;
    let second = [("provider", "second"), ("result", "answered")];
    assert_eq!(metrics(&proxy).await.count("llm_proxy_attempts_total", &second), 3);
}

#[tokio::test]
async fn a_saved_stream_counts_with_both_who_served_it() {
    let cut = Behaviour::always(Reply::answer(&["one ", "two ", "three "]).cut_after(700));
    let whole = Reply::answer(&["one ", "two ", "three ", "four"]);
    let (proxy, _providers) = of_two("", cut, whole).await;
    proxy.chat(STREAMED).await;
    let page = metrics(&proxy).await;
    let attempts = |provider, result| {
        let labels = [("provider", provider), ("result", result)];
        page.count("llm_proxy_attempts_total", &labels)
    };
    assert_eq!(attempts("first", "answered"), 1);
    assert_eq!(attempts("first", "interrupted"), 1);
    assert_eq!(attempts("second", "answered"), 1);
    assert_eq!(page.count("llm_proxy_streams_saved_total", &[]), 1);
    let estimated = [("provider", "first")];
    assert!(page.count("llm_proxy_estimated_tokens_total", &estimated) > 0);
    let first = [("gen_ai_provider_name", "first")];
    assert_eq!(page.count("gen_ai_server_time_to_first_token_seconds_count", &first), 1);
    assert_eq!(page.count("llm_proxy_requests_total", &[("outcome", "answered")]), 1);
}

#[tokio::test]
async fn what_is_under_way_is_seen_and_a_client_that_leaves_is_counted() {
    let event = |text: &str| {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1,
            "model": "m", "choices": [{"index": 0, "delta": {"content": text}}]});
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let writes = vec![(Duration::ZERO, event("hi")), (Duration::from_hours(1), event("never"))];
    let slow = acting(Behaviour::always(Reply::events(writes))).await;
    let proxy = Proxy::of(&only("slow", &slow)).await;
    let mut wire = Wire::open(proxy.address).await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n\
                content-type: application/json\r\ncontent-length: ";
    wire.write(format!("{head}{}\r\n\r\n{STREAMED}", STREAMED.len())).await;
    eventually("the open stream", async || {
        let page = metrics(&proxy).await;
        page.count("llm_proxy_open_streams", &[]) == 1
            && page.count("llm_proxy_requests_in_flight", &[]) == 1
            && page.count("llm_proxy_in_flight", &[("provider", "slow")]) == 1
    })
    .await;
    drop(wire);
    let left = [("outcome", "left"), ("status_class", "4xx")];
    eventually("the end", async || {
        let page = metrics(&proxy).await;
        page.count("llm_proxy_requests_total", &left) == 1
            && page.count("llm_proxy_open_streams", &[]) == 0
            && page.count("llm_proxy_requests_in_flight", &[]) == 0
    })
    .await;
}

#[tokio::test]
async fn a_wait_for_a_cooldown_is_measured() {
    let limited = Reply::rate_limited(None).header("retry-after-ms", "300");
    let one = acting(Behaviour::script([limited, Reply::answer(&["hi"])])).await;
    let proxy = Proxy::of(&only("one", &one)).await;
    assert_eq!(proxy.chat(QUESTION).await.status, 200);
    let page = metrics(&proxy).await;
    assert_eq!(page.count("llm_proxy_wait_seconds_count", &[]), 1);
    let waited = page.with("llm_proxy_wait_seconds_sum", &[]).next().unwrap().value;
    assert!(waited > 0.1, "{waited}");
}

#[tokio::test]
async fn what_is_left_of_a_limit_is_told_for_all_keys_together() {
    let one = provider(&["hi"]).await;
    let config = format!(
        "providers:\n  - name: one\n    base_url: {}\n    api_keys: [key-a-0123456789, \
         key-b-0123456789]\n    model: m\n    limits:\n      rpd: 100\n",
        one.base_url()
    );
    let proxy = Proxy::of(&config).await;
    for _ in 0..3 {
        assert_eq!(proxy.chat(QUESTION).await.status, 200);
    }
    let page = metrics(&proxy).await;
    let limit = [
        ("provider", "one"),
        ("model", "m"),
        ("dimension", "requests"),
        ("window", "day"),
        ("origin", "declared"),
    ];
    assert_eq!(page.count("llm_proxy_quota_limit", &limit), 200);
    assert_eq!(page.count("llm_proxy_quota_remaining", &limit), 197);
}

const DASHBOARD: &str = include_str!("../../../../../docs/grafana/llm-proxy.json");
const ALERTS: &str = include_str!("../../../../../docs/grafana/alerts.yml");
const DOCUMENT: &str = include_str!("../../../../../docs/metrics.md");

/// The words of a text that are names of our metrics.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let prefixes = ["llm_proxy_", "gen_ai_client_", "gen_ai_server_", "process_"];
    let is_ours = |word: &&str| prefixes.iter().any(|prefix| word.starts_with(prefix));
    words.filter(|word| is_ours(word) && !word.ends_with('_')).collect()
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| ["expr", "query", "definition"].contains(&&**name))
                {
                    Some(text) => found.push(text.to_owned()),
                    None => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn what_dashboard_alerts_and_document_name_is_there() {
    let (proxy, _providers) = limited_then_well().await;
    let page = metrics(&proxy).await;
    let mut dashboard = Vec::new();
    expressions(&serde_json::from_str(DASHBOARD).unwrap(), &mut dashboard);
    assert!(dashboard.len() > 10);
    let dashboard = dashboard.join("\n");
    for (file, text) in [("dashboard", &*dashboard), ("alerts", ALERTS)] {
        let names = named(text);
        assert!(!names.is_empty());
        for name in names {
            assert!(page.family(name).is_some(), "the {file} uses {name}");
        }
    }
    let documented = named(DOCUMENT);
    for family in page.kinds.keys() {
        assert!(documented.contains(family.as_str()), "docs/metrics.md lacks {family}");
    }
    for name in documented {
        let is_told = page.kinds.contains_key(name) || page.family(name).is_some();
        assert!(is_told, "docs/metrics.md tells of {name}");
    }
}
