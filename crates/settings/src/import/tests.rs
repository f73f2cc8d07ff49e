use std::fmt::Write as _;

use super::*;
use crate::env::Env;
use crate::{Settings, parse};

/// Reads what was made as a configuration, with these variables.
#[track_caller]
fn loaded(made: &Imported, pairs: &[(&str, &str)]) -> Settings {
    parse(&made.config, "made", &Env::from_pairs(pairs.iter().copied())).unwrap_or_else(
        |problems| {
            panic!("{problems:?} in\n{}", made.config);
        },
    )
}

fn made(text: &str) -> Imported {
    import(text, "litellm.yaml").unwrap()
}

fn steps<'s>(settings: &'s Settings, chain: &str) -> Vec<(&'s str, Option<&'s str>)> {
    let found = settings.chains.iter().find(|one| one.name == chain).unwrap();
    found.steps.iter().map(|step| (step.provider.as_str(), step.model.as_deref())).collect()
}

const WHOLE: &str = r"
model_list:
  - model_name: fast
    litellm_params:
      model: groq/openai/gpt-oss-20b
      api_key: os.environ/GROQ_API_KEY
      rpm: 30
      tpm: 6000
      order: 1
  - model_name: fast
    litellm_params:
      model: cerebras/gpt-oss-120b
      api_key: os.environ/CEREBRAS_API_KEY
      order: 2
  - model_name: gpt-4o
    litellm_params:
      model: gpt-4o
      api_key: sk-live0123456789abcdefghij
      timeout: 30
      stream_timeout: 2.5
  - model_name: local
    litellm_params:
      model: openai/qwen
      api_base: http://127.0.0.1:9000/v1
      api_key: fake
  - model_name: vectors
    litellm_params: {model: openai/text-embedding-3-small}
    model_info: {mode: embedding}
  - model_name: sonnet
    litellm_params: {model: bedrock/anthropic.claude-x, aws_region_name: us-east-1}
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 2
  timeout: 120
  cooldown_time: 30
  fallbacks: [{fast: [gpt-4o, nobody]}]
  model_group_alias: {quick: fast, hidden: {model: gpt-4o, hidden: true}, lost: nowhere}
litellm_settings:
  drop_params: true
  default_fallbacks: [local]
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  database_url: postgresql://user:pass@db/x
environment_variables: {REDIS_PASSWORD: hunter2hunter2}
";

#[test]
fn a_whole_file_of_litellm_becomes_one_that_loads() {
    let made = made(WHOLE);
    let settings = loaded(
        &made,
        &[
            ("GROQ_API_KEY", "gsk_1"),
            ("CEREBRAS_API_KEY", "csk-1"),
            ("OPENAI_API_KEY", "sk-1"),
            ("LITELLM_MASTER_KEY", "mine-1"),
        ],
    );
    let names: Vec<&str> = settings.providers.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["groq", "cerebras", "openai", "127.0.0.1-9000"]);
    assert_eq!(
        (settings.providers[0].limits.rpm, settings.providers[0].limits.tpm),
        (Some(30), Some(6000))
    );
    assert_eq!(settings.providers[2].timeouts.first_token.unwrap().as_millis(), 2500);
    assert_eq!(settings.providers[3].endpoints.chat, "http://127.0.0.1:9000/v1/chat/completions");
    assert_eq!(settings.server.api_keys[0].expose(), "mine-1");
    assert_eq!(settings.rotation.request_timeout.as_secs(), 120);
    assert_eq!(settings.rotation.default_cooldown.as_secs(), 30);
    let local = ("127.0.0.1-9000", Some("qwen"));
    let fast = [
        ("groq", Some("openai/gpt-oss-20b")),
        ("cerebras", Some("gpt-oss-120b")),
        ("openai", Some("gpt-4o")),
        local,
    ];
    assert_eq!(steps(&settings, "fast"), fast);
    assert_eq!(steps(&settings, "quick"), fast);
    assert_eq!(steps(&settings, "hidden"), [("openai", Some("gpt-4o")), local]);
    assert_eq!(settings.chains.len(), 5);
    assert_eq!(settings.skipped, []);
}

#[test]
fn what_is_not_carried_over_is_told() {
    let made = made(WHOLE);
    for word in [
        "vectors",
        "sonnet",
        "nobody",
        "nowhere",
        "num_retries",
        "drop_params",
        "database_url",
        "environment_variables",
        "OPENAI_API_KEY=",
        "routing_strategy",
        "server.port",
    ] {
        assert!(made.notes.iter().any(|note| note.contains(word)), "{word} in {:#?}", made.notes);
        assert!(made.config.contains(word), "{word}");
    }
}

#[test]
fn no_key_of_the_file_is_in_what_is_made() {
    let made = made(WHOLE);
    for secret in ["sk-live", "fake", "hunter2", "pass@"] {
        assert!(!made.config.contains(secret), "{secret} in\n{}", made.config);
    }
}

#[test]
fn keys_of_the_same_models_are_one_provider() {
    let one = |key: &str, model: &str| {
        format!("  - {{model_name: m, litellm_params: {{model: {model}, api_key: {key}}}}}\n")
    };
    let text = format!(
        "model_list:\n{}{}{}",
        one("os.environ/A", "groq/x"),
        one("os.environ/B", "groq/x"),
        one("literal-key-0123456789", "groq/y"),
    );
    let made = made(&text);
    let settings = loaded(&made, &[("A", "a1"), ("B", "b1"), ("GROQ_API_KEY", "c1")]);
    let told: Vec<(&str, usize)> =
        settings.providers.iter().map(|one| (one.name.as_str(), one.keys.len())).collect();
    assert_eq!(told, [("groq", 2), ("groq-2", 1)]);
    assert_eq!(settings.providers[0].endpoints, settings.providers[1].endpoints);
    assert_eq!(steps(&settings, "m"), [("groq", Some("x")), ("groq-2", Some("y"))]);
}

#[test]
fn literal_keys_get_variables_that_the_file_does_not_use() {
    let text = "model_list:
  - {model_name: a, litellm_params: {model: groq/x, api_key: key-number-1}}
  - {model_name: b, litellm_params: {model: groq/x, api_key: key-number-1, rpm: 1}}
  - {model_name: c, litellm_params: {model: groq/x, api_key: key-number-2}}
  - {model_name: d, litellm_params: {model: groq/x, api_key: os.environ/GROQ_API_KEY}}
";
    let made = made(text);
    assert!(made.config.contains("${GROQ_API_KEY_2}") && made.config.contains("${GROQ_API_KEY_3}"));
    assert!(!made.config.contains("GROQ_API_KEY_4"), "{}", made.config);
    let settings = loaded(
        &made,
        &[("GROQ_API_KEY", "k1"), ("GROQ_API_KEY_2", "k2"), ("GROQ_API_KEY_3", "k3")],
    );
    assert_eq!(settings.providers.iter().map(|one| one.keys.len()).sum::<usize>(), 4);
}

#[test]
fn azure_keeps_its_address_and_patterns_their_key() {
    let text = "model_list:
  - {model_name: eu, litellm_params: {model: azure/my-gpt, api_base: 'https://mine-eu.openai.azure.com/', api_version: '2024-02-01', api_key: os.environ/AZURE_EU}}
  - {model_name: '*', litellm_params: {model: 'openrouter/*', api_key: os.environ/OPENROUTER_API_KEY}}
";
    let made = made(text);
    let settings = loaded(&made, &[("AZURE_EU", "a1"), ("OPENROUTER_API_KEY", "o1")]);
    let chat = &settings.providers[0].endpoints.chat;
    assert_eq!(chat, "https://mine-eu.openai.azure.com/openai/v1/chat/completions");
    assert_eq!(settings.providers[1].name, "openrouter");
    assert!(made.notes.iter().any(|note| note.contains("pattern")), "{:?}", made.notes);
}

#[test]
fn a_bare_host_of_a_known_provider_gets_its_path() {
    let text = "model_list:
  - {model_name: a, litellm_params: {model: azure/gpt-4o, api_base: 'https://x.openai.azure.com', api_key: os.environ/K}}
  - {model_name: b, litellm_params: {model: openai/m, api_base: 'http://127.0.0.1:9000'}}
";
    let config = made(text).config;
    assert!(config.contains("base_url: \"https://x.openai.azure.com/openai/v1\"\n"), "{config}");
    assert!(config.contains("base_url: \"http://127.0.0.1:9000\"\n"), "{config}");
}

#[test]
fn models_that_do_not_chat_are_left_out_unless_they_are_said_to() {
    let text = "model_list:
  - {model_name: chat, litellm_params: {model: groq/x, api_key: os.environ/K}}
  - {model_name: voice, litellm_params: {model: openai/whisper-1}}
  - {model_name: picture, litellm_params: {model: openai/x}, model_info: {mode: image_generation}}
  - {model_name: odd, litellm_params: {model: groq/tts-talks, api_key: os.environ/K}, model_info: {mode: chat}}
router_settings: {fallbacks: [{chat: [voice, nobody]}]}
";
    let made = made(text);
    let settings = loaded(&made, &[("K", "k1")]);
    let names: Vec<&str> = settings.providers.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["groq"]);
    assert_eq!(steps(&settings, "odd"), [("groq", Some("tts-talks"))]);
    for told in [
        "\"voice\" was left out",
        "no model is named \"nobody\"",
        "\"whisper\"",
        "image_generation",
    ] {
        assert!(made.notes.iter().any(|note| note.contains(told)), "{told}: {:#?}", made.notes);
    }
}

#[test]
fn a_filler_is_no_key() {
    for key in ["none", "'null'", "dummy", "anything", "''", "None"] {
        let entry =
            format!("model: openai/m, api_base: 'http://127.0.0.1:9000/v1', api_key: {key}");
        let made =
            made(&format!("model_list:\n  - {{model_name: m, litellm_params: {{{entry}}}}}\n"));
        assert!(
            !made.config.contains("KEY") && !made.config.contains("api_key"),
            "{}",
            made.config
        );
        assert_eq!(loaded(&made, &[]).providers.len(), 1, "{key}");
    }
}

#[test]
fn a_file_without_a_provider_to_carry_over_is_refused() {
    for (text, word) in [
        ("model_list: []", "no provider is listed"),
        ("providers: []", "no provider is listed"),
        ("model_list: [{model_name: v, litellm_params: {model: openai/whisper-1}}]", "whisper"),
    ] {
        let problems = import(text, "f.yaml").unwrap_err();
        assert!(problems[0].to_string().contains(word), "{problems:?}");
    }
}

#[test]
fn the_steps_of_what_is_no_chain_are_told_plainly() {
    let text = "model_list:
  - {model_name: 'a b', litellm_params: {model: 'groq/x:1', api_key: os.environ/K}}
  - {model_name: 'a b', litellm_params: {model: groq/y, api_key: os.environ/K}}
";
    let notes = made(text).notes;
    assert!(
        notes.iter().any(|note| note.ends_with("its steps are groq/x:1, groq/y")),
        "{notes:#?}"
    );
}

#[test]
fn odd_names_and_values_are_left_out_and_told() {
    let text = "model_list:
  - {model_name: default, litellm_params: {model: groq/x, api_key: os.environ/K, rpm: -3, timeout: soon}}
  - {model_name: 'a b', litellm_params: {model: groq/x, api_key: os.environ/K}}
  - {model_name: url, litellm_params: {model: openai/x, api_base: 'not a url'}}
  - {model_name: id, litellm_params: {model: 'groq/a b'}}
  - {model_name: var, litellm_params: {model: 'groq/${X}'}}
  - {model_name: none}
  - {model_name: groq/x, litellm_params: {model: groq/x, api_key: os.environ/K}}
  - just a text
router_settings: {timeout: 1e9}
";
    let made = made(text);
    let settings = loaded(&made, &[("K", "k1")]);
    assert_eq!(settings.chains, []);
    for word in ["default", "rpm", "timeout", "a b", "api_base", "\"id\"", "\"var\"", "\"none\""] {
        assert!(made.notes.iter().any(|note| note.contains(word)), "{word} in {:#?}", made.notes);
    }
    assert!(!made.notes.iter().any(|note| note.starts_with("\"groq/x")), "it means just that");
}

#[test]
fn headers_are_carried_over_without_their_keys() {
    let text = "model_list:
  - model_name: m
    litellm_params:
      model: groq/x
      api_key: os.environ/K
      extra_headers: {X-Team: blue, x-token: abcdefghij0123456789abc, Authorization: no, bad name: x}
";
    let made = made(text);
    let settings = loaded(&made, &[("K", "k1"), ("X_TOKEN_API_KEY", "t-1")]);
    let headers = &settings.providers[0].headers;
    assert_eq!((headers[0].0.as_str(), headers[0].1.expose()), ("x-team", "blue"));
    assert_eq!((headers[1].0.as_str(), headers[1].1.expose()), ("x-token", "t-1"));
    assert_eq!(headers.len(), 2);
}

#[test]
fn a_file_of_the_python_version_keeps_its_meaning() {
    let text = include_str!("../../tests/fixtures/valid/original.yaml");
    let env = [
        ("GROQ_API_KEY", "gsk_1"),
        ("CEREBRAS_API_KEY", "csk-1"),
        ("OPENROUTER_API", "sk-1"),
        ("DEEPSEEK_API", "sk-2"),
        ("MISTRAL_API_KEY", "m-1"),
    ];
    let made = import(text, "old.yaml").unwrap();
    let before = parse(text, "old", &Env::from_pairs(env)).unwrap();
    let after = loaded(&made, &env);
    assert_eq!(after.providers, before.providers);
    assert!(made.notes.iter().any(|note| note.contains("retired")), "{:?}", made.notes);
}

#[test]
fn keys_in_a_file_of_the_python_version_become_variables() {
    let text = "providers:
  - {name: mine, base_url: 'https://llm.example/v1', api_key: real-key-123456, model: m, retries: 3}
  - groq: {api_keys: [gsk_aaaa1111, '${B}'], headers: {x-key: abcdefghij0123456789}}
log: debug
server: {port: 1, api_keys: [door-key-1]}
";
    let made = import(text, "old.yaml").unwrap();
    for secret in ["real-key", "gsk_aaaa", "abcdefghij", "door-key"] {
        assert!(!made.config.contains(secret), "{}", made.config);
    }
    let env = [
        ("MINE_API_KEY", "1a"),
        ("GROQ_API_KEY", "2a"),
        ("B", "3a"),
        ("GROQ_X_KEY_API_KEY", "4a"),
        ("LLM_PROXY_KEY", "5a"),
    ];
    let settings = loaded(&made, &env);
    assert_eq!((settings.providers[1].keys.len(), settings.server.port), (2, 1));
    for word in ["retries", "log", "MINE_API_KEY=", "LLM_PROXY_KEY="] {
        assert!(made.notes.iter().any(|note| note.contains(word)), "{word} in {:?}", made.notes);
    }
}

#[test]
fn other_files_are_refused_with_their_place() {
    for (text, word) in
        [("", "neither"), ("a: 1", "neither"), ("model_list: [", "YAML"), ("- x", "neither")]
    {
        let problems = import(text, "f.yaml").unwrap_err();
        assert!(problems[0].to_string().starts_with("f.yaml:"), "{problems:?}");
        assert!(problems[0].to_string().contains(word), "{problems:?}");
    }
}

proptest::proptest! {
    /// Whatever a file says of its models, what is made of it is a configuration.
    #[test]
    fn what_is_made_always_loads(
        name in "[a-z*/ ${}:\"'\\\\-]{0,12}",
        model in "(groq|openai|azure|bedrock|ollama|custom_openai)?/?[a-z*/ ${}:\"#-]{0,12}",
        key in proptest::option::of("[ -~]{0,24}"),
        base in proptest::option::of("(https?://)?[a-z0-9.:/-]{0,20}"),
        number in "[0-9.e-]{0,6}",
    ) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut params = format!("model: {}, rpm: {}, timeout: {}", quoted(&model), quoted(&number), quoted(&number));
        for (field, text) in [("api_key", &key), ("api_base", &base)] {
            if let Some(text) = text {
                let _ = write!(params, ", {field}: {}", quoted(text));
            }
        }
        let entry = format!("  - {{model_name: {}, litellm_params: {{{params}}}}}\n", quoted(&name));
        let text = format!("model_list:\n{entry}{entry}  - {{model_name: sure, litellm_params: {{model: groq/x, api_key: os.environ/K}}}}\n");
        let made = import(&text, "f.yaml").unwrap();
        let loaded = parse(&made.config, "made", &Env::from_pairs([("K", "k1")]));
        proptest::prop_assert!(loaded.is_ok(), "{:?}\n{}", loaded, made.config);
    }
}
