//! Whole configurations: valid ones with what they mean, invalid ones with all their messages.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use settings::{
    AuthStyle, DailyReset, Env, KeyOrder, Lacks, LimitScope, ModelChoice, Prefill, Settings,
    StreamRecovery, StreamUsage, UnknownModel, parse,
};

fn fixture(name: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name))
        .unwrap()
}

fn valid(name: &str, env: &Env) -> Settings {
    parse(&fixture(&format!("valid/{name}")), name, env)
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn names(settings: &Settings) -> Vec<&str> {
    settings.providers.iter().map(|provider| provider.name.as_str()).collect()
}

#[test]
fn every_invalid_file_gives_all_its_problems_at_once() {
    let env = Env::from_pairs([("GROQ_API_KEY", "gsk_never_shown"), ("SPLIT", "never\nshown")]);
    for name in ["many", "empty", "syntax", "shape", "secrets"] {
        let file = format!("{name}.yaml");
        let problems = parse(&fixture(&format!("invalid/{file}")), &file, &env).unwrap_err();
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let got = lines.join(
            "
",
        ) + "
";
        let expected = fixture(&format!("invalid/{name}.expected"));
        assert!(got == expected, "{name}:\n--- got\n{got}--- expected\n{expected}");
        assert!(!got.contains("never_shown") && !got.contains("gsk_"), "{got}");
    }
}

#[test]
fn the_file_of_the_original_works_unchanged() {
    let env = Env::from_pairs([
        ("GROQ_API_KEY", "gsk_1"),
        ("CEREBRAS_API_KEY", "csk_1"),
        ("OPENROUTER_API", "sk-or-1"),
        ("DEEPSEEK_API", "sk-2"),
    ]);
    let settings = valid("original.yaml", &env);
    assert_eq!(names(&settings), ["groq", "cerebras", "openrouter", "deepseek"]);
    let urls: Vec<&str> = settings.providers.iter().map(|p| p.endpoints.chat.as_str()).collect();
    assert_eq!(
        urls,
        [
            "https://api.groq.com/openai/v1/chat/completions",
            "https://api.cerebras.ai/v1/chat/completions",
            "https://openrouter.ai/api/v1/chat/completions",
            "https://api.deepseek.com/chat/completions",
        ]
    );
    let skipped: Vec<String> =
        settings.skipped.iter().map(|s| format!("{}: {}", s.name, s.reason)).collect();
    assert_eq!(
        skipped,
        [
            "grok: no key: api_key is a placeholder that was never filled in",
            "mistral: no key: MISTRAL_API_KEY is not set",
        ]
    );
    assert_eq!(
        settings.providers[0].models,
        [ModelChoice::Named("llama-3.3-70b-versatile".into())]
    );
    assert_eq!(
        settings.warnings[0],
        "original.yaml:7:12: provider \"groq\": the model llama-3.3-70b-versatile is retired \
         (2026-08-16); the current default is openai/gpt-oss-120b"
    );
    assert_eq!((settings.server.host.as_str(), settings.server.port), ("127.0.0.1", 8000));
}

#[test]
fn the_alias_of_the_original_brings_the_facts_of_xai() {
    let text = "providers: [{name: grok, base_url: 'https://api.x.ai/v1', api_key: 'xai-1'}]";
    let settings = parse(text, "c", &Env::default()).unwrap();
    let grok = &settings.providers[0];
    assert_eq!((grok.name.as_str(), grok.catalogue_id), ("grok", Some("xai")));
    assert!(!grok.param_rules.is_empty());
}

#[test]
fn a_list_of_names_needs_nothing_else() {
    let env = Env::from_pairs([("GROQ_API_KEY", "gsk_1"), ("GOOGLE_API_KEY", "AIza1")]);
    let settings = valid("short.yaml", &env);
    assert_eq!(names(&settings), ["groq", "gemini"]);
    assert_eq!(settings.providers.iter().map(|p| p.priority).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(settings.providers[1].models, [ModelChoice::Named("gemini-3.1-flash-lite".into())]);
    assert!(matches!(settings.providers[1].reset, Some(DailyReset::At { hour: 0, minute: 0, .. })));
    assert_eq!(settings.skipped[0].reason, "no key: CEREBRAS_API_KEY is not set");
}

fn full() -> Settings {
    let env = Env::from_pairs([
        ("GROQ_API_KEY", "gsk_1"),
        ("GEMINI_API_KEY", "AIza1"),
        ("GOOGLE_API_KEY", "AIza2"),
        ("OPENAI_API_KEY", "sk-1"),
        ("CLOUDFLARE_API_KEY", "cf1"),
        ("DOOR_KEY", "door-1"),
    ]);
    valid("full.yaml", &env)
}

#[test]
fn every_switch_arrives() {
    let settings = full();
    let (server, rotation) = (&settings.server, &settings.rotation);
    assert_eq!((server.host.as_str(), server.port, server.max_body), ("::1", 9000, 10_000_000));
    assert!(server.is_loopback());
    assert_eq!(server.api_keys.len(), 2);
    assert_eq!(server.allowed_hosts, ["proxy.home"]);
    assert_eq!(server.timezone.as_ref().unwrap().iana_name(), Some("Europe/Berlin"));
    assert_eq!(rotation.max_wait, Duration::ZERO);
    assert_eq!(rotation.wait_in_place, Duration::from_millis(250));
    assert_eq!(rotation.request_timeout, Duration::from_hours(1));
    assert_eq!(rotation.unknown_model, UnknownModel::Reject);
    assert_eq!(rotation.stream_recovery, StreamRecovery::Off);
    assert_eq!(rotation.heartbeat, Some(Duration::from_secs(15)));
    assert_eq!((rotation.allow_paid, rotation.keys), (false, KeyOrder::Spread));
}

#[test]
fn every_key_of_a_provider_arrives() {
    let settings = full();
    assert_eq!(names(&settings), ["groq", "gemini-2", "dear", "local"]);
    let groq = &settings.providers[0];
    assert_eq!(groq.keys.len(), 2);
    assert_eq!(groq.limits.max_output, Some(32768));
    assert_eq!((groq.limits.scope, groq.assumed_output), (LimitScope::Account, Some(4096)));
    assert_eq!(groq.timeouts.request, Some(Duration::from_mins(2)));
    assert_eq!(groq.headers[0].0, "x-title");
    assert_eq!(groq.headers[0].1.expose(), "llm door-1");
    assert_eq!((groq.prefill, groq.key_order), (Some(false), Some(KeyOrder::InOrder)));
    assert_eq!(groq.auth, AuthStyle::Bearer);
    let local = &settings.providers[3];
    assert!(local.keys.is_empty() && local.endpoints.is_loopback());
    assert_eq!(
        (local.models.as_slice(), local.stream_usage),
        (&[ModelChoice::Auto][..], StreamUsage::Ask)
    );
    assert_eq!(settings.providers[1].catalogue_id, Some("gemini"));
}

#[test]
fn what_the_file_says_is_lacking_adds_to_what_is_known() {
    let settings = full();
    let expected = Lacks { images: true, tools: true, n: true, ..Lacks::default() };
    assert_eq!(settings.providers[0].lacks("any"), expected);
    assert_eq!(settings.providers[1].lacks("any"), Lacks::default());
}

#[test]
fn what_is_known_of_budgets_and_slow_models_arrives() {
    let settings = parse(
        "providers: [{name: nvidia, api_key: k1}, {name: cerebras, api_key: k2}, \
         {name: deepseek, api_key: k3, limits: {scope: model}}]",
        "c",
        &Env::default(),
    )
    .unwrap();
    let [nvidia, cerebras, deepseek] = settings.providers.as_slice() else {
        panic!("{:?}", settings.skipped);
    };
    assert_eq!(nvidia.limits.scope, LimitScope::Account);
    assert_eq!(nvidia.usual_first_token("any"), Some(Duration::from_mins(1)));
    assert_eq!(cerebras.limits.scope, LimitScope::Model);
    assert_eq!(cerebras.assumed_output, Some(16384));
    assert_eq!(cerebras.usual_first_token("any"), None);
    assert_eq!(deepseek.limits.scope, LimitScope::Model);
    assert_eq!(deepseek.assumed_output, None);
}

#[test]
fn the_file_decides_whether_an_answer_is_continued_and_the_catalogue_how() {
    let way = |provider: &str, model: &str| {
        let text = format!("providers: [{provider}]");
        let settings = parse(&text, "c", &Env::default()).unwrap();
        settings.providers[0].prefill_for(model)
    };
    let flag = |way| matches!(way, Prefill::Message { repeats: true, .. });
    assert!(flag(way("{name: mistral, api_key: k1}", "any")));
    assert!(flag(way("{name: mistral, api_key: k1, prefill: true}", "any")));
    for (provider, expected) in [
        ("{name: mistral, api_key: k1, prefill: false}", Prefill::No),
        ("{name: openai, api_key: k1}", Prefill::Unknown),
        ("{name: openai, api_key: k1, prefill: true}", Prefill::Plain),
        ("{name: mine, base_url: 'http://localhost:1'}", Prefill::Unknown),
        ("{name: deepseek, api_key: k1}", Prefill::No),
        ("llamacpp", Prefill::Plain),
    ] {
        assert_eq!(way(provider, "any"), expected, "{provider}");
    }
    let beta = "{name: deepseek, base_url: 'https://api.deepseek.com/beta', api_key: k1}";
    assert!(matches!(way(beta, "any"), Prefill::Message { .. }));
}

#[test]
fn who_is_left_out_is_told_with_the_reason() {
    let settings = full();
    let skipped: Vec<(&str, &str)> =
        settings.skipped.iter().map(|s| (s.name.as_str(), s.reason.as_str())).collect();
    assert_eq!(
        skipped,
        [
            ("cloudflare", "CLOUDFLARE_ACCOUNT_ID is not set"),
            ("openai", "it is switched off (enabled: false)"),
            ("openai-gateway", "no key: no api_key is given"),
        ]
    );
    assert!(
        settings.warnings.iter().any(|w| w.contains("GOOGLE_API_KEY is set too; GEMINI_API_KEY"))
    );
    assert!(settings.warnings.iter().any(|w| w.contains("left out: NOT_SET is not set")));
    assert!(settings.warnings.iter().any(|w| w.contains("the same key is given twice")));
}

#[test]
fn chains_keep_their_order_and_only_usable_steps() {
    let settings = full();
    let steps = |index: usize| -> Vec<(String, Option<String>)> {
        settings.chains[index].steps.iter().map(|s| (s.provider.clone(), s.model.clone())).collect()
    };
    assert_eq!(
        steps(0),
        [("groq".into(), Some("openai/gpt-oss-20b".into())), ("gemini-2".into(), None)]
    );
    assert_eq!(steps(1), [("local".into(), Some("auto".into()))]);
    assert!(steps(2).is_empty());
    assert!(
        settings.warnings.iter().any(|w| w.contains("no provider of the chain \"off\" is usable"))
    );
}

#[test]
fn anchors_and_merge_keys_work() {
    let settings = valid("anchors.yaml", &Env::from_pairs([("GROQ_API_KEY", "gsk_1")]));
    assert_eq!(names(&settings), ["groq", "groq-second"]);
    assert_eq!(settings.providers[1].timeouts.connect, Some(Duration::from_secs(2)));
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let rotation = valid("short.yaml", &Env::default()).rotation;
    let seconds = Duration::from_secs;
    assert_eq!(rotation.default_cooldown, seconds(60));
    assert_eq!((rotation.wait_in_place, rotation.max_wait), (seconds(0), seconds(10)));
    assert_eq!((rotation.connect_timeout, rotation.first_token_timeout), (seconds(5), seconds(12)));
    assert_eq!((rotation.response_timeout, rotation.stall_timeout), (seconds(60), seconds(30)));
    assert_eq!((rotation.request_timeout, rotation.heartbeat), (seconds(300), None));
    assert_eq!(rotation.unknown_model, UnknownModel::Substitute);
    assert_eq!(rotation.stream_recovery, StreamRecovery::Auto);
    assert!(rotation.allow_paid);
    assert_eq!(rotation.keys, KeyOrder::InOrder);
}

#[test]
fn a_file_whose_providers_have_no_key_is_valid_and_empty() {
    let settings = valid("short.yaml", &Env::default());
    assert!(settings.providers.is_empty());
    assert_eq!(settings.skipped.len(), 3);
}

#[test]
fn a_known_name_on_a_foreign_host_gets_no_key_unasked() {
    let env = Env::from_pairs([("OPENAI_API_KEY", "sk-1")]);
    for base in ["https://evil.example/v1", "https://api.openai.com.evil.example/v1"] {
        let text = format!("providers: [{{name: openai, base_url: '{base}'}}]");
        let settings = parse(&text, "c", &env).unwrap();
        assert!(settings.providers.is_empty(), "{base}");
    }
    let moved = "providers: [{name: openai, endpoint_override: 'https://evil.example/v1/chat/completions'}]";
    assert!(parse(moved, "c", &env).unwrap().providers.is_empty());
    let local = "providers: [{name: openai, base_url: 'http://localhost:1234'}]";
    assert!(parse(local, "c", &env).unwrap().providers[0].keys.is_empty());
}

#[test]
fn a_key_over_plain_http_is_warned_of() {
    let text = "providers: [{name: lan, base_url: 'http://192.168.1.9/v1', api_key: k1}]";
    let settings = parse(text, "c", &Env::default()).unwrap();
    assert!(settings.warnings[0].contains("unencrypted"), "{:?}", settings.warnings);
}

#[test]
fn the_proxys_own_port_is_warned_of() {
    let settings = parse("providers: [vllm]", "c", &Env::default()).unwrap();
    assert!(settings.warnings[0].contains("port 8000, where the proxy itself listens"));
    assert_eq!(settings.providers[0].models, [ModelChoice::Auto]);
}

#[test]
fn another_variable_that_is_set_is_pointed_to() {
    let text = "providers: [{name: xai, api_key: '${GROK_API_KEY}'}]";
    let settings = parse(text, "c", &Env::from_pairs([("XAI_API_KEY", "xai-1")])).unwrap();
    assert_eq!(
        settings.skipped[0].reason,
        "no key: GROK_API_KEY is not set (XAI_API_KEY is set: leave api_key out to use it)"
    );
}

#[test]
fn azure_uses_its_own_header_and_resource() {
    let env = Env::from_pairs([("AZURE_API_KEY", "a1"), ("AZURE_OPENAI_RESOURCE", "mine")]);
    let settings = parse("providers: [azure]", "c", &env).unwrap();
    assert_eq!(settings.providers[0].auth, AuthStyle::Header("api-key".into()));
    assert_eq!(
        settings.providers[0].endpoints.chat,
        "https://mine.openai.azure.com/openai/v1/chat/completions"
    );
}

#[test]
fn a_retired_provider_is_warned_of() {
    let env = Env::from_pairs([("GITHUB_TOKEN", "ghp_1")]);
    let settings = parse("providers: [github]", "c", &env).unwrap();
    assert!(settings.warnings[0].contains("GitHub Models was shut down on 2026-07-30"));
}

#[test]
fn debug_shows_no_key() {
    let text = format!("{:?}", full());
    for key in ["gsk_1", "AIza1", "door-1", "gsk_literal2", "second-door-key"] {
        assert!(!text.contains(key), "{key}");
    }
}

#[test]
fn equal_priorities_keep_the_files_order_and_gaps_continue() {
    let text = "providers:\n\
        - {name: a, base_url: 'http://localhost:1', priority: 5}\n\
        - {name: b, base_url: 'http://localhost:2'}\n\
        - {name: c, base_url: 'http://localhost:3', priority: 5}\n\
        - {name: d, base_url: 'http://localhost:4', priority: -1}\n";
    let settings = parse(text, "c", &Env::default()).unwrap();
    assert_eq!(names(&settings), ["d", "a", "c", "b"]);
}

#[test]
fn a_provider_without_a_key_may_lack_other_variables_too() {
    let text = "providers:\n\
        - name: cf\n  base_url: 'https://api.cloudflare.com/client/v4/accounts/${ID}/ai/v1'\n  api_key: '${KEY}'\n\
        - {name: groq, enabled: false, headers: {X-A: '${NONE}'}}\n";
    let settings = parse(text, "c", &Env::default()).unwrap();
    assert_eq!(settings.skipped[0].reason, "no key: KEY is not set");
    let problems = parse(text, "c", &Env::from_pairs([("KEY", "k1")])).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].what.contains("the variable ID is not set"), "{}", problems[0]);
}

#[test]
fn an_empty_base_url_is_a_problem() {
    for base in ["''", "'${EMPTY}'"] {
        let text = format!("providers: [{{name: groq, base_url: {base}, api_key: k1}}]");
        let problems = parse(&text, "c", &Env::from_pairs([("EMPTY", "")])).unwrap_err();
        assert!(problems[0].what.contains("\"base_url\""), "{}", problems[0]);
    }
}

#[test]
fn a_list_without_end_is_a_problem_and_no_work() {
    for key in ["api_keys", "models", "drop_params", "lacks"] {
        let many = "k, ".repeat(100_000);
        let text = format!("providers: [{{name: groq, {key}: [{many}]}}]");
        let problems = parse(&text, "c", &Env::default()).unwrap_err();
        assert!(problems[0].what.contains("more than 256 entries"), "{}", problems[0]);
    }
}
