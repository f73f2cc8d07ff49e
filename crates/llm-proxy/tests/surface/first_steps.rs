//! `init`, `check` and `import`: from nothing, or from another proxy, to a configuration that serves.

use crate::commands::row;
use crate::harness::{Place, Proxy, only, provider};

#[tokio::test]
async fn check_is_a_table_without_keys_and_without_a_call() {
    let upstream = provider(&["hi"]).await;
    let place = Place::with(&format!(
        "{}  - name: groq\n    api_key: ${{GROQ_API_KEY}}\n  - name: mistral\n    enabled: false\n",
        only("one", &upstream)
    ));
    let told = place.run(&["check"]).await.good();
    assert!(told.contains("config.yaml"), "{told}");
    assert!(
        row(&told, "one").starts_with('✓') && row(&told, "one").contains("one-model"),
        "{told}"
    );
    assert!(row(&told, "groq").starts_with('!') && row(&told, "groq").contains("GROQ_API_KEY"));
    assert!(row(&told, "mistral").starts_with('-'), "{told}");
    assert!(!told.contains("key-of-one"), "{told}");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn check_says_what_to_do_next() {
    let upstream = provider(&["hi"]).await;
    let place = Place::with(&format!("{}  - groq\n", only("one", &upstream)));
    let told = place.run(&["check"]).await.good();
    assert!(
        told.contains("then: llm-proxy starts") && told.contains("check --live asks"),
        "{told}"
    );
    assert!(told.contains("put its key into") && told.contains("/.env\n"), "{told}");
    place.write("my place/c.yaml", &only("one", &upstream));
    let told = place.run(&["check", "--config", "my place/c.yaml"]).await.good();
    assert!(
        told.contains("then: llm-proxy --config '/") && told.contains("/c.yaml' starts"),
        "{told}"
    );
    assert!(!told.contains("put its key"), "{told}");
}

#[tokio::test]
async fn a_provider_with_a_warning_is_marked() {
    let mut place = Place::with("providers: [{name: groq, model: llama-3.3-70b-versatile}]\n");
    place.set("GROQ_API_KEY", "gsk_a1");
    let told = place.run(&["check"]).await.good();
    assert!(row(&told, "groq").starts_with('!'), "{told}");
    assert!(told.contains("! warning: ") && told.contains("retired"), "{told}");
}

#[tokio::test]
async fn check_without_any_usable_provider_fails() {
    let place = Place::with("providers: [groq, cerebras]\n");
    let done = place.run(&["check"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.out.contains("GROQ_API_KEY") && done.out.contains("llm-proxy demo"), "{done:?}");
    assert!(done.err.contains("no provider"), "{done:?}");
}

#[tokio::test]
async fn init_writes_files_that_load_and_never_overwrites_unasked() {
    let mut place = Place::new();
    place.set("GROQ_API_KEY", "gsk_abcdefghij0123456789");
    let told = place.run(&["init"]).await.good();
    assert!(told.contains("found for groq") && told.contains("\n  llm-proxy\n"), "{told}");
    assert!(told.contains("curl http://127.0.0.1:8000/v1/chat/completions"), "{told}");
    let config = place.read("config.yaml");
    assert!(!config.contains("gsk_") && !told.contains("gsk_"), "{config}");
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
async fn init_leaves_an_example_that_is_there() {
    let place = Place::new();
    place.write(".env.example", "mine");
    let told = place.run(&["init"]).await.good();
    assert!(told.contains("left ./.env.example") && told.contains("wrote ./config.yaml"), "{told}");
    assert!(place.work().join("config.yaml").exists());
    assert_eq!(place.read(".env.example"), "mine");
    place.run(&["init", "--force"]).await.good();
    assert!(place.read(".env.example").contains("GROQ_API_KEY"));
}

#[tokio::test]
async fn what_init_says_without_keys_leads_to_a_proxy_that_serves() {
    let place = Place::new();
    let told = place.run(&["init", "my folder"]).await.good();
    assert!(told.starts_with("made my folder\n"), "{told}");
    let commands: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(commands[1], "llm-proxy --config 'my folder/config.yaml'", "{told}");
    let echo = place.shell(&commands[0].replace("your key", "gsk_a1")).output().await.unwrap();
    assert!(echo.status.success(), "{echo:?}");
    let command = place.shell(&commands[1].replace("llm-proxy", "exec \"$PROGRAM\" --port 0"));
    let proxy = Proxy::of_command(place, command).await;
    let status = proxy.get("/status").await.json();
    assert_eq!(status["available_providers"], 1, "{status}");
}

#[tokio::test]
async fn what_init_writes_without_keys_loads_and_its_example_is_a_dot_env() {
    let place = Place::new();
    place.run(&["init", "folder"]).await.good();
    let done = place.run(&["check", "--config", "folder/config.yaml"]).await;
    assert!(!done.err.contains("config.yaml:"), "{done:?}");
    let example =
        place.read("folder/.env.example").replace("#CEREBRAS_API_KEY=", "CEREBRAS_API_KEY=csk-a1");
    place.write("folder/.env", &example);
    let table = place.run(&["check", "--config", "folder/config.yaml"]).await.good();
    assert!(row(&table, "cerebras").starts_with('✓'), "{table}");
}

#[tokio::test]
async fn init_makes_no_tree_and_takes_no_file_for_a_folder() {
    let place = Place::new();
    let told = place.run(&["init", "a/b"]).await.bad(1);
    assert!(told.contains("a/b: the folder above it does not exist"), "{told}");
    assert!(!place.work().join("a").exists());
    place.write("file", "");
    place.run(&["init", "file"]).await.bad(1);
    std::fs::create_dir(place.work().join("config.yaml")).unwrap();
    for arguments in [&["init"][..], &["init", "--force"]] {
        let told = place.run(arguments).await.bad(1);
        assert!(told.contains("config.yaml is there and is not a file"), "{told}");
    }
}

#[tokio::test]
async fn a_configuration_that_is_no_file_is_an_error_and_no_wait() {
    let place = Place::new();
    let fifo = place.shell("mkfifo config.yaml && mkdir folder").status().await.unwrap();
    assert!(fifo.success());
    for arguments in [&["serve", "--port", "0"][..], &["check"], &["check", "--config", "folder"]] {
        let told = place.run(arguments).await.bad(2);
        assert!(told.contains("not a regular file"), "{told}");
    }
    let told = place.run(&["init", "--force"]).await.bad(1);
    assert!(told.contains("is not a file"), "{told}");
}

const LITELLM: &str = "model_list:
  - model_name: fast
    litellm_params: {model: groq/openai/gpt-oss-20b, api_key: sk-literal-0123456789}
  - model_name: fast
    litellm_params: {model: cerebras/gpt-oss-120b, api_key: os.environ/CEREBRAS_API_KEY}
  - model_name: old
    litellm_params: {model: sagemaker/x}
";

#[tokio::test]
async fn import_prints_a_configuration_without_the_keys_of_the_file() {
    let mut place = Place::new();
    place.write("litellm.yaml", LITELLM);
    let config = place.run(&["import", "litellm.yaml"]).await.good();
    assert!(!config.contains("sk-literal") && config.contains("# - \"old\""), "{config}");
    place.write("config.yaml", &config);
    place.set("GROQ_API_KEY", "gsk_a1");
    place.set("CEREBRAS_API_KEY", "csk-a1");
    let table = place.run(&["check"]).await.good();
    assert!(row(&table, "groq").starts_with('✓') && row(&table, "cerebras").starts_with('✓'));
    let proxy = Proxy::start(place).await;
    let models = proxy.get("/v1/models").await;
    assert!(models.text().contains("\"fast\""), "{}", models.text());
}

#[tokio::test]
async fn import_writes_a_file_but_never_over_another() {
    let place = Place::new();
    place.write("old.yaml", LITELLM);
    let told = place.run(&["import", "old.yaml", "--output", "new.yaml"]).await.good();
    assert!(told.starts_with("wrote new.yaml\n") && told.contains("- \"old\""), "{told}");
    assert!(told.ends_with("next: llm-proxy check --config new.yaml\n"), "{told}");
    place.write("new.yaml", "mine");
    place.run(&["import", "old.yaml", "--output", "new.yaml"]).await.bad(1);
    assert_eq!(place.read("new.yaml"), "mine");
    place.run(&["import", "old.yaml", "--output", "new.yaml", "--force"]).await.good();
    assert!(place.read("new.yaml").contains("GROQ_API_KEY"));
}

#[tokio::test]
async fn import_says_what_is_wrong_with_a_file() {
    let place = Place::new();
    place.write("bad.yaml", "a: [");
    place.write("other.yaml", "a: 1");
    for (file, word) in
        [("bad.yaml", "bad.yaml:2:1: YAML"), ("other.yaml", "model_list"), ("none", "none:")]
    {
        let told = place.run(&["import", file]).await.bad(2);
        assert!(told.contains(word), "{told}");
    }
}
