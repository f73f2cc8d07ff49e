//! How the program starts, and how it says that it cannot.

use crate::harness::{Place, Proxy, QUESTION, only, provider};

#[tokio::test]
async fn no_command_is_serve() {
    let upstream = provider(&["hi"]).await;
    let place = Place::with(&only("one", &upstream));
    let command = place.command(&["--port", "0"]);
    let proxy = Proxy::of_command(place, command).await;
    assert_eq!(proxy.get("/health").await.status, 200);
    assert_eq!(proxy.chat(QUESTION).await.provider(), "one");
}

#[tokio::test]
async fn a_port_of_zero_prints_the_real_one_once_and_alone_on_its_line() {
    let proxy = Proxy::of(&only("one", &provider(&["hi"]).await)).await;
    assert_ne!(proxy.address.port(), 0);
    let lines = proxy.lines();
    let mentions: Vec<_> = lines.iter().filter(|line| line.contains("listening on")).collect();
    assert_eq!(mentions, [&format!("listening on http://{}", proxy.address)]);
}

#[tokio::test]
async fn the_host_can_be_the_other_loopback() {
    let place = Place::with(&only("one", &provider(&["hi"]).await));
    let proxy = Proxy::start_with(place, &["--host", "localhost"]).await;
    assert!(proxy.address.ip().is_loopback());
    assert_eq!(proxy.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_second_instance_on_the_port_says_so_and_ends_with_3() {
    let proxy = Proxy::of(&only("one", &provider(&["hi"]).await)).await;
    let told = proxy.tell(&["serve"]).await.bad(3);
    let place = proxy.address.to_string();
    assert!(told.contains(&place) && told.contains("in use"), "{told}");
    assert!(told.contains("--port"), "{told}");
    assert_eq!(proxy.get("/health").await.status, 200);
}

#[tokio::test]
async fn bad_usage_ends_with_2_and_names_the_nearest() {
    let place = Place::new();
    for (arguments, hint) in [
        (&["sevre"][..], "serve"),
        (&["serve", "--prot", "1"], "--port"),
        (&["serve", "--port", "99999"], "99999"),
        (&["serve", "--log-format", "xml"], "json"),
        (&["serve", "--log-level", "loud"], "info"),
        (&["check", "--send", "now"], "now"),
        (&["disable"], "PROVIDER"),
        (&["completions", "tcsh"], "bash"),
        // Before the command they would be another command's.
        (&["--port", "9", "status"], "status"),
    ] {
        let told = place.run(arguments).await.bad(2);
        assert!(told.contains(hint), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn help_and_version_are_results() {
    let place = Place::new();
    let help = place.run(&["--help"]).await.good();
    for word in [
        "serve",
        "check",
        "status",
        "explain",
        "reload",
        "reset",
        "disable",
        "enable",
        "init",
        "providers",
        "demo",
        "schema",
        "completions",
        "--config",
        "--host",
        "--port",
        "--state",
        "--env-file",
        "--log-format",
        "--log-level",
        "--exit-with-parent",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    let version = place.run(&["--version"]).await.good();
    assert!(version.starts_with("llm-proxy "), "{version}");
}

#[tokio::test]
async fn without_file_and_keys_the_message_names_the_variables_and_the_demo() {
    let told = Place::new().run(&["serve", "--port", "0"]).await.bad(2);
    for word in ["GROQ_API_KEY", "CEREBRAS_API_KEY", "llm-proxy demo", "none"] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[tokio::test]
async fn a_bad_file_ends_with_2_and_tells_every_problem_with_its_place() {
    let place = Place::with(
        "providers:\n  - name: groq\n    prioriy: 1\n    api_key: gsk_abcdefghij0123456789\n\
         rotation:\n  max_wiat: 5s\n  stall_timeout: soon\n",
    );
    for command in ["serve", "check"] {
        let told = place.run(&[command]).await.bad(2);
        for words in [
            ["config.yaml:3:5", "\"priority\""],
            ["config.yaml:6:3", "\"max_wait\""],
            ["config.yaml:7:18", "soon"],
        ] {
            let line = told.lines().find(|line| line.contains(words[0]));
            let line = line.unwrap_or_else(|| panic!("{words:?}: {told}"));
            assert!(line.contains(words[1]), "{line}");
        }
        assert!(!told.contains("gsk_"), "{told}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_yaml_is_reported_with_its_line() {
    let place = Place::with("providers:\n  - name: groq\n   bad: [\n");
    let told = place.run(&["serve"]).await.bad(2);
    assert!(told.contains("config.yaml:3"), "{told}");
}

#[tokio::test]
async fn a_file_that_was_named_must_exist() {
    let place = Place::new();
    let told = place.run(&["serve", "--config", "nowhere.yaml"]).await.bad(2);
    assert!(told.contains("nowhere.yaml"), "{told}");
    let told = place.run(&["serve", "--env-file", "nowhere.env"]).await.bad(2);
    assert!(told.contains("nowhere.env"), "{told}");
}

#[tokio::test]
async fn listening_for_others_without_keys_is_refused() {
    let config = only("one", &provider(&["hi"]).await);
    for (config, arguments) in [
        (config.clone(), &["serve", "--port", "0", "--host", "0.0.0.0"][..]),
        (config.clone(), &["serve", "--port", "0", "--host", "::"]),
        (format!("server:\n  host: 0.0.0.0\n{config}"), &["serve", "--port", "0"]),
        (format!("server:\n  host: 192.0.2.1\n{config}"), &["serve", "--port", "0"]),
        (format!("server:\n  host: 0.0.0.0\n{config}"), &["check"]),
    ] {
        let told = Place::with(&config).run(arguments).await.bad(2);
        assert!(told.contains("server.api_keys"), "{told}");
    }
}

#[tokio::test]
async fn listening_for_others_with_keys_is_allowed() {
    let config = only("one", &provider(&["hi"]).await);
    let config = format!("server:\n  host: 0.0.0.0\n  api_keys: [a-key-for-friends]\n{config}");
    let proxy = Proxy::of(&config).await;
    assert_eq!(proxy.get("/health").await.status, 200);
    assert_eq!(proxy.get("/status").await.error().0, 401);
}

#[tokio::test]
async fn an_empty_key_of_the_proxy_is_a_problem_and_not_an_open_door() {
    let config = only("one", &provider(&["hi"]).await);
    let config = format!("server:\n  api_keys: [\"${{NOT_SET_ANYWHERE}}\"]\n{config}");
    let told = Place::with(&config).run(&["serve", "--port", "0"]).await.bad(2);
    assert!(told.contains("config.yaml:2"), "{told}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_a_plain_failure() {
    let config = only("one", &provider(&["hi"]).await);
    let config = format!("server:\n  host: 192.0.2.1\n  api_keys: [a-key-for-friends]\n{config}");
    let told = Place::with(&config).run(&["serve", "--port", "0"]).await.bad(1);
    assert!(told.contains("192.0.2.1"), "{told}");
}
