//! The commands beside `serve`.

use serde_json::Value;
use simulated::{Behaviour, Reply};

use crate::harness::{Place, Proxy, QUESTION, acting, entry, only, provider};

pub(crate) async fn two() -> (Proxy, simulated::SimulatedProvider, simulated::SimulatedProvider) {
    let first = acting(Behaviour::always(Reply::rate_limited(Some("600")))).await;
    let second = provider(&["hi"]).await;
    let config = format!("providers:\n{}{}", entry("first", &first), entry("second", &second));
    (Proxy::of(&config).await, first, second)
}

/// The row of a table that tells of this.
#[track_caller]
pub(crate) fn row<'t>(table: &'t str, name: &str) -> &'t str {
    let found = table.lines().find(|line| line.split_whitespace().any(|word| word == name));
    found.unwrap_or_else(|| panic!("{name} is not in {table}"))
}

#[tokio::test]
async fn status_as_json_is_the_answer_of_get_status() {
    let (proxy, _first, _second) = two().await;
    let told: Value =
        serde_json::from_str(&proxy.tell(&["status", "--json"]).await.good()).unwrap();
    assert_eq!(told, proxy.get("/status").await.json());
}

#[tokio::test]
async fn explain_shows_the_chain_with_its_reasons() {
    let (proxy, _first, _second) = two().await;
    proxy.chat(QUESTION).await;
    let table = proxy.tell(&["explain"]).await.good();
    assert!(row(&table, "first").starts_with("skip"), "{table}");
    assert!(row(&table, "first").contains("back at 20"), "{table}");
    assert!(row(&table, "second").starts_with("take"), "{table}");
    let one = proxy.tell(&["explain", "--model", "first/first-model"]).await.good();
    assert!(!one.contains("second"), "{one}");
}

#[tokio::test]
async fn explain_tells_keys_apart_and_says_that_a_name_is_not_listed() {
    let upstream = provider(&["hi"]).await;
    let config = only("one", &upstream)
        .replace("api_key: key-of-one-0123456789", "api_keys: [key-1-abc, key-2-abc]");
    let proxy = Proxy::of(&config).await;
    let table = proxy.tell(&["explain", "--model", "nope"]).await.good();
    assert!(table.starts_with("\"nope\" is not listed"), "{table}");
    let rows: Vec<&str> = table.lines().filter(|line| line.contains(" one (")).collect();
    assert!(rows.len() == 2 && rows[0][6..] != rows[1][6..], "{table}");
    for name in ["default", "one", "one-model", "one/one-model", "one/other"] {
        let table = proxy.tell(&["explain", "--model", name]).await.good();
        assert!(!table.contains("not listed"), "{name}: {table}");
    }
}

#[tokio::test]
async fn another_program_at_the_address_is_no_empty_table() {
    let other = acting(Behaviour::always(Reply::json(200, &serde_json::json!({"ok": true})))).await;
    let port = other.address().port().to_string();
    let place = Place::new();
    let commands =
        [&["status"][..], &["status", "--json"], &["explain"], &["usage"], &["reset"], &["reload"]];
    for command in commands {
        let told = place.run(&[command, &["--port", &port]].concat()).await.bad(1);
        assert!(told.contains("something else answers at http://127.0.0.1:"), "{told}");
    }
}

#[tokio::test]
async fn a_grouping_or_time_that_cannot_be_read_is_bad_usage() {
    let (proxy, _first, _second) = two().await;
    proxy.tell(&["usage", "--by", "foo"]).await.bad(2);
    proxy.tell(&["usage", "--since", "xx"]).await.bad(2);
}

#[tokio::test]
async fn reset_opens_again_what_cools() {
    let (proxy, first, _second) = two().await;
    proxy.chat(QUESTION).await;
    first.set(Reply::answer(&["back"]));
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    proxy.tell(&["reset", "second"]).await.good();
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    proxy.tell(&["reset", "first"]).await.good();
    assert_eq!(proxy.chat(QUESTION).await.provider(), "first");
    first.set(Reply::rate_limited(Some("600")));
    proxy.chat(QUESTION).await;
    first.set(Reply::answer(&["back"]));
    proxy.tell(&["reset"]).await.good();
    assert_eq!(proxy.chat(QUESTION).await.provider(), "first");
}

#[tokio::test]
async fn a_disabled_provider_is_passed_over_until_it_is_enabled() {
    let (proxy, first, second) = two().await;
    first.set(Reply::answer(&["hi"]));
    proxy.tell(&["disable", "first"]).await.good();
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    assert_eq!(proxy.state("first").await["available"], false);
    assert_eq!(first.count(), 0);
    proxy.tell(&["reload"]).await.good();
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second", "a reload keeps it");
    proxy.tell(&["enable", "first"]).await.good();
    assert_eq!(proxy.chat(QUESTION).await.provider(), "first");
    assert_eq!(second.count(), 2);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_an_error_with_the_nearest_name() {
    let (proxy, _first, _second) = two().await;
    for command in ["reset", "disable", "enable"] {
        let told = proxy.tell(&[command, "frist"]).await.bad(1);
        assert!(told.contains("frist") && told.contains("\"first\""), "{told}");
    }
}

#[tokio::test]
async fn reload_says_how_many_providers_there_are() {
    let (proxy, _first, second) = two().await;
    proxy.place.replace("config.yaml", &only("second", &second));
    let told = proxy.tell(&["reload"]).await.good();
    assert!(told.contains("1 provider"), "{told}");
    let names = proxy.get("/status").await.json()["total_providers"].clone();
    assert_eq!(names, 1);
}

#[tokio::test]
async fn the_commands_find_the_proxy_by_its_configuration_and_use_its_key() {
    let upstream = provider(&["hi"]).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "server:\n  port: {port}\n  api_keys: [a-key-for-friends]\n{}",
        only("one", &upstream)
    );
    let place = Place::with(&config);
    let command = place.command(&["serve"]);
    let proxy = Proxy::of_command(place, command).await;
    assert_eq!(proxy.address.port(), port);
    let table = proxy.place.run(&["status"]).await.good();
    assert!(table.contains("one"), "{table}");
}

#[tokio::test]
async fn without_a_running_proxy_the_commands_say_where_they_looked() {
    let place = Place::with(&only("one", &provider(&["hi"]).await));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for command in [&["status"][..], &["explain"], &["reload"], &["reset"], &["disable", "one"]] {
        let told = place.run(&[command, &["--port", &port.to_string()]].concat()).await.bad(1);
        assert!(told.contains(&format!("127.0.0.1:{port}")), "{told}");
    }
}

#[tokio::test]
async fn providers_is_the_catalogue_and_shows_which_keys_are_set() {
    let mut place = Place::new();
    place.set("CEREBRAS_API_KEY", "csk-abcdefghij0123456789");
    let table = place.run(&["providers"]).await.good();
    assert!(row(&table, "groq").contains("GROQ_API_KEY"), "{table}");
    assert!(!row(&table, "groq").contains("yes"), "{table}");
    assert!(row(&table, "cerebras").contains("yes"), "{table}");
    assert!(!table.contains("csk-"), "{table}");
    let json = place.run(&["providers", "--json"]).await.good();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["providers"].as_array().unwrap().iter().any(|one| one["id"] == "groq"));
}

#[tokio::test]
async fn schema_is_json_that_knows_every_section() {
    let schema: Value = serde_json::from_str(&Place::new().run(&["schema"]).await.good()).unwrap();
    for key in ["providers", "models", "server", "rotation"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    assert!(schema["$schema"].is_string());
}

#[tokio::test]
async fn completions_are_scripts_that_know_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["completions", shell]).await.good();
        for word in ["explain", "exit-with-parent", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[tokio::test]
async fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    let output = place.shell("\"$PROGRAM\" schema | head -c 1").output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[tokio::test]
async fn man_prints_the_page_and_writes_those_of_all_commands() {
    let place = Place::new();
    let page = place.run(&["man"]).await.good();
    assert!(page.contains(".TH llm-proxy 1") && page.contains("explain"), "{page}");
    place.run(&["man", "."]).await.good();
    assert!(place.read("llm-proxy.1").contains("llm-proxy"));
    assert!(place.read("llm-proxy-status.1").contains("watch"));
    assert!(!place.run(&["--help"]).await.good().contains(" man "), "it is for packagers");
}
