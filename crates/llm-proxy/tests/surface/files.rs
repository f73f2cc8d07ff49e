//! Where the configuration comes from, and the forms that it may have.

use crate::harness::{Place, Proxy, QUESTION, entry, entry_at, only, provider};

const OLD: &str = include_str!("fixtures/old-config.yaml");

async fn names(proxy: &Proxy) -> Vec<String> {
    let status = proxy.get("/status").await.json();
    let providers = status["providers"].as_array().unwrap();
    providers.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_file_is_looked_for_in_its_order() {
    let upstream = provider(&["hi"]).await;
    let place = Place::new();
    place.write("../home/.config/llm-proxy/config.yaml", &only("platform", &upstream));
    let proxy = Proxy::start(place).await;
    assert_eq!(names(&proxy).await, ["platform"]);

    let place = proxy.place;
    place.write("config.yaml", &only("here", &upstream));
    let proxy = Proxy::start(place).await;
    assert_eq!(names(&proxy).await, ["here"]);

    let place = proxy.place;
    place.write("other/named.yaml", &only("named", &upstream));
    let proxy = Proxy::start_with(place, &["--config", "other/named.yaml"]).await;
    assert_eq!(names(&proxy).await, ["named"]);
}

#[tokio::test]
async fn the_platform_folder_can_be_moved() {
    let upstream = provider(&["hi"]).await;
    let mut place = Place::new();
    place.write("../xdg/llm-proxy/config.yaml", &only("moved", &upstream));
    let folder = place.work().parent().unwrap().join("xdg");
    place.set("XDG_CONFIG_HOME", folder.to_str().unwrap());
    let proxy = Proxy::start(place).await;
    assert_eq!(names(&proxy).await, ["moved"]);
}

#[tokio::test]
async fn without_a_file_the_keys_of_the_environment_choose_in_the_catalogues_order() {
    let mut place = Place::new();
    place.set("MISTRAL_API_KEY", "mistral-key-a1");
    place.set("GROQ_API_KEY", "gsk_a1");
    place.set("CEREBRAS_API_KEY", "YOUR_CEREBRAS_API_KEY_HERE");
    let catalogue = place.run(&["providers"]).await.good();
    let position = |name: &str| {
        catalogue.lines().position(|line| line.split_whitespace().next() == Some(name)).unwrap()
    };
    let mut expected = ["groq", "mistral"];
    expected.sort_by_key(|name| position(name));
    let proxy = Proxy::start(place).await;
    assert_eq!(names(&proxy).await, expected);
}

#[tokio::test]
async fn a_file_of_the_old_form_works_unchanged() {
    let groq = provider(&["from groq"]).await;
    let cerebras = provider(&["from cerebras"]).await;
    let openrouter = provider(&["from openrouter"]).await;
    let deepseek = provider(&["from deepseek"]).await;
    let mut place = Place::with(OLD);
    for (name, upstream, path) in [
        ("GROQ", &groq, "/openai"),
        ("CEREBRAS", &cerebras, ""),
        ("OPENROUTER", &openrouter, "/api"),
        ("DEEPSEEK", &deepseek, ""),
    ] {
        place.set(&format!("{name}_URL"), &format!("http://{}{path}", upstream.address()));
    }
    place.set("GROQ_API_KEY", "gsk_a1");
    place.set("CEREBRAS_API_KEY", "csk-a1");
    place.set("OPENROUTER_API", "sk-or-a1");
    place.set("DEEPSEEK_API", "sk-ds-a1");
    let proxy = Proxy::start(place).await;
    assert_eq!(names(&proxy).await, ["groq", "cerebras", "openrouter", "deepseek"]);
    for name in ["grok", "mistral"] {
        let skips = |line: &&String| line.contains(&format!("{name}: skipped"));
        assert_eq!(proxy.lines().iter().filter(skips).count(), 1, "{name}");
    }
    assert!(proxy.line("mistral: skipped").await.contains("MISTRAL_API_KEY"));
    for (name, upstream, path, key, model) in [
        ("groq", &groq, "/openai/v1/chat/completions", "gsk_a1", "llama-3.3-70b-versatile"),
        ("cerebras", &cerebras, "/v1/chat/completions", "csk-a1", "qwen-3-235b-a22b-instruct-2507"),
        (
            "openrouter",
            &openrouter,
            "/api/v1/chat/completions",
            "sk-or-a1",
            "minimax/minimax-m2:free",
        ),
        ("deepseek", &deepseek, "/chat/completions", "sk-ds-a1", "deepseek-chat"),
    ] {
        let answer = proxy.chat(&format!(r#"{{"model":"{name}","messages":[]}}"#)).await;
        assert_eq!(answer.provider(), name);
        let asked = &upstream.requests()[0];
        assert_eq!((asked.path.as_str(), asked.key()), (path, Some(key)));
        assert_eq!(asked.json()["model"], model);
    }
    assert_eq!(proxy.chat(QUESTION).await.provider(), "groq");
}

#[tokio::test]
async fn priorities_order_and_equal_ones_keep_the_files_order() {
    let upstream = provider(&["hi"]).await;
    let with =
        |name: &str, priority: i64| format!("{}    priority: {priority}\n", entry(name, &upstream));
    let config =
        format!("providers:\n{}{}{}{}", with("d", 9), with("b", 2), with("a", -1), with("c", 2));
    let proxy = Proxy::of(&config).await;
    assert_eq!(names(&proxy).await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn the_short_forms_name_providers_of_the_catalogue() {
    let mut place = Place::with(
        "providers:\n  - groq\n  - cerebras: {model: my-model}\n  - name: mistral\n    enabled: false\n",
    );
    for name in ["GROQ", "CEREBRAS", "MISTRAL"] {
        place.set(&format!("{name}_API_KEY"), "a-real-key-1");
    }
    let proxy = Proxy::start(place).await;
    assert_eq!(names(&proxy).await, ["groq", "cerebras"]);
    assert_eq!(proxy.state("cerebras").await["model"], "my-model");
    let models = proxy.get("/v1/models").await;
    assert!(models.text().contains("\"cerebras/my-model\""), "{}", models.text());
}

#[tokio::test]
async fn named_chains_are_walked_in_their_order() {
    chain_begins_with_two_special("[two-model, special]").await;
}

#[tokio::test]
async fn a_chain_may_name_a_model_that_its_provider_does_not_list() {
    chain_begins_with_two_special("two-model").await;
}

async fn chain_begins_with_two_special(models_of_two: &str) {
    let (one, two) = (provider(&["hi"]).await, provider(&["hi"]).await);
    let config = format!(
        "providers:\n{}{}models:\n  fast: [two/special, one]\n",
        entry("one", &one),
        entry("two", &two).replace("two-model", models_of_two)
    );
    let proxy = Proxy::of(&config).await;
    let answer = proxy.chat(r#"{"model":"fast","messages":[]}"#).await;
    assert_eq!(answer.provider(), "two");
    assert_eq!(answer.header("x-model"), Some("special"));
    assert_eq!(two.requests()[0].json()["model"], "special");
}

#[tokio::test]
async fn variables_are_read_from_the_environment_then_beside_the_file_then_here() {
    let upstream = provider(&["hi"]).await;
    let url = upstream.base_url();
    let mut place = Place::new();
    let mut config = "providers:\n".to_owned();
    for name in ["A", "B", "C", "D", "E"] {
        config.push_str(&entry_at(&format!("p{name}"), &url).replace(
            &format!("key-of-p{name}-0123456789"),
            &format!("\"${{KEY_{name}:-default-key-1}}\""),
        ));
    }
    place.write("etc/config.yaml", &config);
    place.set("KEY_A", "real-1");
    place.write("etc/.env", "KEY_A=beside-1\nexport KEY_B='beside-1'\n# KEY_E=no\n");
    place.write(".env", "KEY_A=here-1\nKEY_B=here-1\nKEY_C=\"here-1\"\n");
    place.write("more.env", "KEY_D=more-1\nKEY_C=more-1\n");
    let arguments = ["--config", "etc/config.yaml", "--env-file", "more.env"];
    let proxy = Proxy::start_with(place, &arguments).await;
    for (name, key) in [
        ("pA", "real-1"),
        ("pB", "beside-1"),
        ("pC", "more-1"),
        ("pD", "more-1"),
        ("pE", "default-key-1"),
    ] {
        proxy.chat(&format!(r#"{{"model":"{name}","messages":[]}}"#)).await;
        assert_eq!(upstream.requests().last().unwrap().key(), Some(key), "{name}");
    }
}

#[tokio::test]
async fn variables_work_in_every_string() {
    let upstream = provider(&["hi"]).await;
    let mut place = Place::with(
        "server: {allowed_hosts: [\"${HOST_OF_MINE}\"]}\n\
         providers:\n  - name: \"${NAME_OF_IT:-one}\"\n    base_url: \"http://${PLACE}/v1\"\n    \
         api_key: key-1\n    model: \"${MODEL_A}-${MODEL_B:-b}\"\n    headers: {x-team: \"${TEAM}\"}\n",
    );
    place.set("HOST_OF_MINE", "box.lan");
    place.set("PLACE", &upstream.address().to_string());
    place.set("MODEL_A", "a");
    place.set("MODEL_B", "");
    place.set("TEAM", "blue");
    let proxy = Proxy::start(place).await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "one");
    let asked = &upstream.requests()[0];
    assert_eq!(asked.json()["model"], "a-b");
    assert_eq!(asked.headers["x-team"], "blue");
}

#[tokio::test]
async fn a_provider_without_its_key_is_skipped_with_one_line_and_the_rest_runs() {
    let upstream = provider(&["hi"]).await;
    let mut place = Place::with(&format!(
        "providers:\n  - groq\n  - name: cerebras\n    api_key: ${{MY_CEREBRAS}}\n{}",
        entry("one", &upstream)
    ));
    place.set("MY_CEREBRAS", "");
    let proxy = Proxy::start(place).await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "one");
    for (name, variable) in [("groq", "GROQ_API_KEY"), ("cerebras", "MY_CEREBRAS")] {
        let lines = proxy.lines();
        let skips: Vec<_> = lines.iter().filter(|line| line.contains(name)).collect();
        assert_eq!(skips.len(), 1, "{skips:?}");
        assert!(skips[0].contains("skipped") && skips[0].contains(variable), "{skips:?}");
    }
}

#[tokio::test]
async fn with_every_provider_skipped_it_runs_and_says_why_it_cannot_serve() {
    let proxy = Proxy::of("providers: [groq]\n").await;
    assert_eq!(proxy.get("/health").await.json()["providers_loaded"], 0);
    let (status, _) = proxy.chat(QUESTION).await.error();
    assert_eq!(status, 503);
}
