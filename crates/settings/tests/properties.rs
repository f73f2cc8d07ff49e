//! What holds for every text, and for the files that the program writes itself.

use proptest::prelude::*;
use settings::{Catalogue, Env, env_example, parse, starter_config};

/// Pieces from which nearly valid configurations grow.
const PIECES: [&str; 44] = [
    "providers:",
    "\n",
    "  ",
    "- ",
    "name: ",
    "groq",
    "models:",
    "fast: ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ": ",
    "\"",
    "'",
    "${",
    "}",
    ":-",
    "A",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "|",
    ">",
    "#",
    "---\n",
    "server:",
    "port: ",
    "1",
    "-",
    "rotation:",
    "max_wait: ",
    "10s",
    "base_url: ",
    "http://localhost",
    "api_key: ",
    "é",
    "\t",
    "\r\n",
    "? ",
    "%TAG",
    "\u{0}",
];

fn near_yaml() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..60)
        .prop_map(|pieces| pieces.concat())
}

fn env() -> Env {
    Env::from_pairs([("A", "1"), ("GROQ_API_KEY", "gsk_1")])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = parse(&text, "c", &env());
    }

    #[test]
    fn no_nearly_valid_text_panics(text in near_yaml()) {
        let _ = parse(&text, "c", &env());
    }

    #[test]
    fn no_change_of_a_valid_file_panics(at in 0usize..3000, cut in 0usize..20, piece in near_yaml()) {
        let mut text: Vec<char> = include_str!("fixtures/valid/full.yaml").chars().collect();
        let start = at.min(text.len());
        let end = (start + cut).min(text.len());
        text.splice(start..end, piece.chars());
        let text: String = text.into_iter().collect();
        let _ = parse(&text, "c", &env());
    }

    #[test]
    fn no_env_file_panics(text in "(?s).{0,200}") {
        env().layer_under(&text, ".env", &mut Vec::new());
    }

    #[test]
    fn every_problem_has_its_place(text in near_yaml()) {
        if let Err(problems) = parse(&text, "c", &env()) {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|p| p.line > Some(0) && p.column > Some(0)));
        }
    }
}

#[test]
fn the_starter_file_is_valid_with_and_without_keys() {
    let all = Catalogue::builtin().providers.iter().flat_map(|entry| entry.key_variables.iter());
    let all: Vec<(String, String)> =
        all.enumerate().map(|(n, name)| (name.clone(), format!("key-{n}"))).collect();
    for env in [Env::default(), env(), Env::from_pairs(all)] {
        let text = starter_config(&env);
        let settings = parse(&text, "config.yaml", &env).unwrap();
        let usable = settings.providers.len();
        assert_eq!(usable > 0, env.get("GROQ_API_KEY").is_some(), "{text}");
    }
}

#[test]
fn the_starter_file_switches_on_what_has_a_key_and_comments_the_rest() {
    let text = starter_config(&env());
    assert!(text.contains("\n  - name: groq"), "{text}");
    assert!(text.contains("\n  # - xai "), "{text}");
    assert!(!text.contains("gsk_1"));
}

#[test]
fn the_commented_lines_of_the_starter_file_are_valid_too() {
    let text = starter_config(&env()).replace("\n  # - ", "\n  - ");
    let settings = parse(&text, "config.yaml", &env()).unwrap();
    assert_eq!(settings.providers.len() + settings.skipped.len(), 30);
}

#[test]
fn the_example_of_env_names_the_official_variables() {
    let text = env_example();
    for name in ["\n#XAI_API_KEY=", "\n#GROQ_API_KEY=", "\n#CLOUDFLARE_ACCOUNT_ID="] {
        assert!(text.contains(name), "{name}");
    }
    let mut warnings = Vec::new();
    Env::default().layer_under(&text, ".env", &mut warnings);
    assert!(warnings.is_empty());
}

#[test]
fn every_line_that_the_starter_file_leaves_in_comments_can_be_switched_on() {
    let is_setting =
        |line: &&str| line.starts_with("#  ") || line.starts_with('#') && !line.starts_with("# ");
    let text: Vec<String> = starter_config(&env())
        .lines()
        .map(|line| if is_setting(&line) { line[1..].to_owned() } else { line.to_owned() })
        .collect();
    let text = text.join("\n").replace("\n  # - ", "\n  - ");
    let settings = parse(&text, "config.yaml", &env()).unwrap();
    let defaults = parse("providers: [groq]", "config.yaml", &env()).unwrap();
    assert_eq!(settings.chains.len(), 1);
    assert_eq!((settings.server, settings.rotation), (defaults.server, defaults.rotation));
}
