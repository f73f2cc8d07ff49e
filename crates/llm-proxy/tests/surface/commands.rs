//! The commands beside `serve`.

use serde_json::Value;
use simulated::{Behaviour, Reply};

use crate::harness::{Place, Proxy, QUESTION, acting, entry, only, provider};

async fn two() -> (Proxy, simulated::SimulatedProvider, simulated::SimulatedProvider) {
    let first = acting(Behaviour::always(Reply::rate_limited(Some("600")))).await;
    let second = provider(&["hi"]).await;
    let config = format!("providers:\n{}{}", entry("first", &first), entry("second", &second));
    (Proxy::of(&config).await, first, second)
}

/// The row of a table that tells of this.
#[track_caller]
fn row<'t>(table: &'t str, name: &str) -> &'t str {
    let found = table.lines().find(|line| line.split_whitespace().any(|word| word == name));
    found.unwrap_or_else(|| panic!("{name} is not in {table}"))
}

#[tokio::test]
async fn status_is_a_table_of_who_is_available_and_until_when_not() {
    let (proxy, _first, _second) = two().await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "second");
    let table = proxy.tell(&["status"]).await.good();
    let until = proxy.state("first").await["rate_limited_until"].as_str().unwrap().to_owned();
    assert!(row(&table, "first").contains(&until), "{table}");
    assert!(row(&table, "second").contains("available"), "{table}");
    assert!(table.contains("1 of 2 providers available"), "{table}");
    assert!(!table.contains('\u{1b}'), "colour in a pipe: {table}");
}

#[tokio::test]
async fn a_terminal_gets_colour_unless_it_is_refused() {
    let mut place = Place::new();
    place.set("GROQ_API_KEY", "gsk_abcdefghij0123456789");
    let shown = on_a_terminal(&place, &["providers"]).await;
    assert!(shown.contains("\u{1b}[32myes"), "{shown}");
    place.set("NO_COLOR", "1");
    let shown = on_a_terminal(&place, &["providers"]).await;
    assert!(shown.contains("yes") && !shown.contains('\u{1b}'), "{shown}");
}

/// Runs the program on a terminal and returns what that shows.
async fn on_a_terminal(place: &Place, arguments: &[&str]) -> String {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let terminal = std::fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut child = place.command(arguments).stdout(terminal).spawn().unwrap();
    let shown = tokio::task::spawn_blocking(move || {
        let (mut screen, mut shown) = (std::fs::File::from(screen), Vec::new());
        // When the last writer is gone, reading ends with an error.
        let _ = std::io::Read::read_to_end(&mut screen, &mut shown);
        String::from_utf8(shown).unwrap()
    });
    assert!(child.wait().await.unwrap().success());
    shown.await.unwrap()
}

#[tokio::test]
async fn status_can_be_watched() {
    let (proxy, _first, _second) = two().await;
    let port = proxy.address.port().to_string();
    let mut watching =
        proxy.place.command(&["status", "--watch", "--json", "--port", &port]).spawn().unwrap();
    let mut told = watching.stdout.take().unwrap();
    let mut text = String::new();
    crate::harness::eventually("a second look", async || {
        let mut piece = [0; 4096];
        let length = tokio::io::AsyncReadExt::read(&mut told, &mut piece).await.unwrap();
        text.push_str(&String::from_utf8_lossy(&piece[..length]));
        text.matches("total_providers").count() == 2
    })
    .await;
    crate::harness::signal(watching.id().unwrap(), rustix::process::Signal::INT);
    assert_eq!(watching.wait().await.unwrap().code(), Some(0));
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
async fn check_is_a_table_without_keys_and_without_a_call() {
    let upstream = provider(&["hi"]).await;
    let place = Place::with(&format!(
        "{}  - name: groq\n    api_key: ${{GROQ_API_KEY}}\n",
        only("one", &upstream)
    ));
    let told = place.run(&["check"]).await.good();
    assert!(told.contains("config.yaml"), "{told}");
    assert!(row(&told, "one").contains("one-model"), "{told}");
    assert!(row(&told, "groq").contains("GROQ_API_KEY"), "{told}");
    assert!(!told.contains("key-of-one"), "{told}");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn check_without_any_usable_provider_fails() {
    let place = Place::with("providers: [groq, cerebras]\n");
    let done = place.run(&["check"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.out.contains("GROQ_API_KEY"), "{done:?}");
    assert!(done.err.contains("no provider"), "{done:?}");
}

#[tokio::test]
async fn init_writes_files_that_load_and_never_overwrites_unasked() {
    let mut place = Place::new();
    place.set("GROQ_API_KEY", "gsk_abcdefghij0123456789");
    place.run(&["init"]).await.good();
    let config = place.read("config.yaml");
    assert!(!config.contains("gsk_"), "{config}");
    let table = place.run(&["check"]).await.good();
    assert!(row(&table, "groq").starts_with('✓'), "{table}");
    assert!(!table.contains("mistral"), "{table}");

    place.write("config.yaml", "providers: [cerebras] # mine\n");
    place.run(&["init"]).await.bad(1);
    assert_eq!(place.read("config.yaml"), "providers: [cerebras] # mine\n");
    place.run(&["init", "--force"]).await.good();
    assert_eq!(place.read("config.yaml"), config);
}

#[tokio::test]
async fn init_does_not_write_a_half_when_one_file_is_there() {
    let place = Place::new();
    place.write(".env.example", "mine");
    let told = place.run(&["init"]).await.bad(1);
    assert!(told.contains(".env.example") && told.contains("--force"), "{told}");
    assert!(!place.work().join("config.yaml").exists());
    assert_eq!(place.read(".env.example"), "mine");
}

#[tokio::test]
async fn what_init_writes_without_keys_loads_and_its_example_is_a_dot_env() {
    let place = Place::new();
    place.run(&["init", "sub/folder"]).await.good();
    let done = place.run(&["check", "--config", "sub/folder/config.yaml"]).await;
    assert!(!done.err.contains("config.yaml:"), "{done:?}");
    let example = place
        .read("sub/folder/.env.example")
        .replace("#CEREBRAS_API_KEY=", "CEREBRAS_API_KEY=csk-a1");
    place.write("sub/folder/.env", &example);
    let table = place.run(&["check", "--config", "sub/folder/config.yaml"]).await.good();
    assert!(row(&table, "cerebras").starts_with('✓'), "{table}");
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
