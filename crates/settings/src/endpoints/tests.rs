use super::*;
use crate::catalogue::Catalogue;

fn chat(base: &str, path: Option<&str>) -> String {
    let host = Url::parse(base).unwrap().host().to_owned();
    endpoints(base, path, Catalogue::builtin().find_host(&host)).unwrap().chat
}

const BASES: &[(&str, &str)] = &[
    ("https://api.x.ai/v1", "https://api.x.ai/v1/chat/completions"),
    ("https://api.x.ai/v1/", "https://api.x.ai/v1/chat/completions"),
    ("https://api.x.ai", "https://api.x.ai/v1/chat/completions"),
    ("https://api.x.ai/v1/chat/completions", "https://api.x.ai/v1/chat/completions"),
    ("https://api.groq.com/openai", "https://api.groq.com/openai/v1/chat/completions"),
    ("https://api.groq.com/openai/v1", "https://api.groq.com/openai/v1/chat/completions"),
    ("https://api.groq.com", "https://api.groq.com/openai/v1/chat/completions"),
    ("https://api.groq.com/v1", "https://api.groq.com/openai/v1/chat/completions"),
    ("https://openrouter.ai/api", "https://openrouter.ai/api/v1/chat/completions"),
    ("https://openrouter.ai", "https://openrouter.ai/api/v1/chat/completions"),
    (
        "https://generativelanguage.googleapis.com",
        "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    ),
    (
        "https://generativelanguage.googleapis.com/v1beta",
        "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    ),
    (
        "https://generativelanguage.googleapis.com/v1beta/openai/v1",
        "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    ),
    ("https://api.deepseek.com", "https://api.deepseek.com/chat/completions"),
    ("https://api.deepseek.com/v1", "https://api.deepseek.com/chat/completions"),
    ("https://api.deepseek.com/beta", "https://api.deepseek.com/beta/chat/completions"),
    ("https://api.perplexity.ai/", "https://api.perplexity.ai/chat/completions"),
    ("https://models.github.ai/inference", "https://models.github.ai/inference/chat/completions"),
    ("https://models.github.ai", "https://models.github.ai/inference/chat/completions"),
    ("https://api.z.ai/api/paas/v4", "https://api.z.ai/api/paas/v4/chat/completions"),
    ("https://api.z.ai/api/coding/paas/v4", "https://api.z.ai/api/coding/paas/v4/chat/completions"),
    (
        "https://api.fireworks.ai/inference",
        "https://api.fireworks.ai/inference/v1/chat/completions",
    ),
    ("https://api.novita.ai", "https://api.novita.ai/v3/openai/chat/completions"),
    ("https://api.together.xyz", "https://api.together.xyz/v1/chat/completions"),
    (
        "https://api.cloudflare.com/client/v4/accounts/abc",
        "https://api.cloudflare.com/client/v4/accounts/abc/ai/v1/chat/completions",
    ),
    ("https://me.openai.azure.com", "https://me.openai.azure.com/openai/v1/chat/completions"),
    ("http://localhost:1234", "http://localhost:1234/v1/chat/completions"),
    ("http://[::1]:8080/v1", "http://[::1]:8080/v1/chat/completions"),
    ("HTTP://Gateway.Example/llm", "http://Gateway.Example/llm/v1/chat/completions"),
    ("https://gateway.example/v1beta2", "https://gateway.example/v1beta2/chat/completions"),
    ("https://gateway.example/v1/openai", "https://gateway.example/v1/openai/chat/completions"),
    ("https://gateway.example/vanilla", "https://gateway.example/vanilla/v1/chat/completions"),
    ("https://gateway.example/inference", "https://gateway.example/inference/chat/completions"),
    ("https://gateway.example/openai", "https://gateway.example/openai/v1/chat/completions"),
    (
        "https://me.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
        "https://me.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
    ),
];

#[test]
fn every_form_of_base_url_gives_the_right_url() {
    for (base, expected) in BASES {
        assert_eq!(chat(base, None), *expected, "{base}");
    }
}

#[test]
fn an_override_is_the_exact_path() {
    for (base, path, expected) in [
        ("https://api.x.ai/v1", "/chat/completions", "https://api.x.ai/v1/chat/completions"),
        ("https://api.x.ai/v1/", "/v1/chat/completions", "https://api.x.ai/v1/chat/completions"),
        ("https://api.x.ai", "/v1/chat/completions", "https://api.x.ai/v1/chat/completions"),
        ("https://api.x.ai", "chat/completions", "https://api.x.ai/chat/completions"),
        (
            "https://api.deepseek.com",
            "/chat/completions",
            "https://api.deepseek.com/chat/completions",
        ),
        ("https://a.example/v1", "/v1/chat", "https://a.example/v1/chat"),
        ("https://a.example/v1", "https://b.example/x", "https://b.example/x"),
        (
            "https://a.example/v1/chat/completions",
            "/chat/completions",
            "https://a.example/v1/chat/completions",
        ),
    ] {
        assert_eq!(chat(base, Some(path)), expected, "{base} {path}");
    }
}

#[test]
fn every_provider_of_the_catalogue_gets_its_url_from_base_and_bare_host() {
    let fill = |url: &str| url.replace("{account_id}", "acc").replace("{resource}", "res");
    for entry in &Catalogue::builtin().providers {
        let (base, expected) = (fill(&entry.base_url), fill(&entry.chat_url));
        let got = endpoints(&base, None, Some(entry)).unwrap();
        assert_eq!(got.chat, expected, "{}", entry.id);
        if entry.id != "cloudflare" {
            let slash = base.match_indices('/').nth(2).map_or(base.len(), |(at, _)| at);
            let short = endpoints(&base[..slash], None, Some(entry)).unwrap();
            assert_eq!(short, got, "{} bare", entry.id);
        }
    }
}

#[test]
fn siblings_stand_beside_chat() {
    let groq =
        endpoints("https://api.groq.com/openai", None, Catalogue::builtin().find("groq")).unwrap();
    assert_eq!(groq.completions, "https://api.groq.com/openai/v1/completions");
    assert_eq!(groq.models, "https://api.groq.com/openai/v1/models");
    let whole = endpoints("https://a.example/x/chat/completions?v=1", None, None).unwrap();
    assert_eq!(whole.models, "https://a.example/x/models?v=1");
    let odd = endpoints("https://a.example", Some("/generate"), None).unwrap();
    assert_eq!(odd.models, "https://a.example/v1/models");
    let deepseek = Catalogue::builtin().find("deepseek");
    let deepseek = endpoints("https://api.deepseek.com", None, deepseek).unwrap();
    assert_eq!(deepseek.completions, "https://api.deepseek.com/beta/completions");
    assert_eq!(deepseek.models, "https://api.deepseek.com/models");
}

#[test]
fn what_is_no_plain_url_is_refused() {
    for base in [
        "",
        "api.x.ai/v1",
        "ftp://x",
        "http://",
        "https:///v1",
        "https://a b/",
        "https://u:p@host/v1",
        "https://host:99999/v1",
        "https://host:0",
        "https://h\u{e9}.example",
        "https://host/a b",
        "https://host/{account_id}/v1",
        "https://host/v1#x",
        "https://[::1",
        "https://[zz]/v1",
        "https://host/v1?x=1",
        "https://host/\u{0}",
        "https://ho_st-.example:80:90/",
    ] {
        assert!(endpoints(base, None, None).is_err(), "{base:?}");
    }
    assert!(endpoints("https://host", Some("ftp://x"), None).is_err());
    assert!(endpoints("https://host", Some("/a b"), None).is_err());
}

#[test]
fn hosts_and_ports_are_read_back() {
    let at = |base: &str| {
        let ends = endpoints(base, None, None).unwrap();
        (ends.host().to_owned(), ends.port(), ends.is_loopback())
    };
    assert_eq!(at("http://localhost:11434/v1"), ("localhost".into(), 11434, true));
    assert_eq!(at("http://[::1]:1/v1"), ("[::1]".into(), 1, true));
    assert_eq!(at("https://127.0.0.2"), ("127.0.0.2".into(), 443, true));
    assert_eq!(at("http://127.0.0.1.example.com"), ("127.0.0.1.example.com".into(), 80, false));
}
