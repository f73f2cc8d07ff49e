//! What headers say is left.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{Reply, budgets, failure};
use engine::{Budget, Dimension, Timestamp, Window};
use http::{HeaderMap, HeaderName};

const NOW: Timestamp = Timestamp::from_secs(1_795_323_600);

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
    pairs.collect()
}

fn read(provider: &str, pairs: &[(&str, &str)]) -> Vec<Budget> {
    let headers = headers(pairs);
    budgets(
        &Reply { provider, model: "m", status: 200, headers: &headers, request: b"", now: NOW },
        None,
    )
}

/// Seconds until a refusal of a prompt of so many bytes is over.
fn refused(provider: &str, bytes: usize, pairs: &[(&str, &str)]) -> Option<f64> {
    let (headers, request) = (headers(pairs), vec![b'x'; bytes]);
    let reply =
        Reply { provider, model: "m", status: 429, headers: &headers, request: &request, now: NOW };
    let fault = failure(&reply, b"{\"error\":{\"message\":\"Rate limit exceeded\"}}").fault;
    wait(fault.resume.map(|resume| resume.at))
}

fn wait(at: Option<Timestamp>) -> Option<f64> {
    at.map(|at| NOW.until(at).as_secs_f64())
}

fn found(budgets: &[Budget], dimension: Dimension, window: Window) -> &Budget {
    budgets.iter().find(|budget| (budget.dimension, budget.window) == (dimension, window)).unwrap()
}

#[test]
fn groq_counts_requests_by_the_day_and_tokens_by_the_minute() {
    let budgets = read(
        "groq",
        &[
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-remaining-requests", "14370"),
            ("x-ratelimit-reset-requests", "2m59.56s"),
            ("x-ratelimit-limit-tokens", "18000"),
            ("x-ratelimit-remaining-tokens", "17997"),
            ("x-ratelimit-reset-tokens", "7.66s"),
        ],
    );
    assert_eq!(budgets.len(), 2);
    let requests = found(&budgets, Dimension::Requests, Window::Day);
    assert_eq!((requests.limit, requests.remaining), (Some(14400), Some(14370)));
    assert_eq!(wait(requests.next_at), Some(6.0), "one slot, not the full bucket");
    assert_eq!(wait(requests.full_at), Some(179.56));
    let tokens = found(&budgets, Dimension::Tokens, Window::Minute);
    assert_eq!(tokens.remaining, Some(17997));
    assert_eq!(wait(tokens.full_at), Some(7.66));
}

#[test]
fn an_openai_reset_beyond_a_minute_is_that_of_a_day() {
    let pairs = |reset| {
        [
            ("x-ratelimit-limit-requests", "200"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", reset),
        ]
    };
    let day = read("openai", &pairs("23h59m"));
    assert_eq!(wait(found(&day, Dimension::Requests, Window::Day).next_at), Some(432.0));
    let minute = read("openai", &pairs("59s"));
    assert_eq!(wait(found(&minute, Dimension::Requests, Window::Minute).next_at), Some(0.3));
}

#[test]
fn a_bucket_of_tokens_refills_bit_by_bit() {
    let pairs = [
        ("x-ratelimit-limit-tokens", "8000"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "60s"),
    ];
    for provider in ["groq", "openai"] {
        let tokens = &read(provider, &pairs)[0];
        assert!(wait(tokens.next_at).unwrap() < 0.01, "the next token, not the full bucket");
        assert_eq!(wait(tokens.full_at), Some(60.0));
    }
}

#[test]
fn a_reset_of_no_time_is_now() {
    for reset in ["0", "0s", "0ms"] {
        let pairs = [
            ("x-ratelimit-limit-requests", "100"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", reset),
        ];
        assert_eq!(wait(read("groq", &pairs)[0].next_at), Some(0.0), "{reset}");
    }
}

#[test]
fn cerebras_resets_are_seconds_and_windows_are_named() {
    let budgets = read(
        "cerebras",
        &[
            ("x-ratelimit-limit-requests-day", "10000"),
            ("x-ratelimit-remaining-requests-day", "9500"),
            ("x-ratelimit-reset-requests-day", "33011.382867"),
            ("x-ratelimit-remaining-requests-minute", "115"),
            ("x-ratelimit-remaining-tokens-minute", "195000"),
            ("x-ratelimit-reset-tokens-minute", "30.2"),
        ],
    );
    assert_eq!(budgets.len(), 3);
    let day = found(&budgets, Dimension::Requests, Window::Day);
    assert_eq!(wait(day.next_at), Some(33011.383));
    assert_eq!(wait(found(&budgets, Dimension::Tokens, Window::Minute).next_at), Some(30.2));
}

#[test]
fn mistral_names_no_reset_but_its_windows_end() {
    let budgets = read(
        "mistral",
        &[
            ("x-ratelimit-limit-req-minute", "60"),
            ("x-ratelimit-remaining-req-minute", "59"),
            ("x-ratelimit-limit-tokens-month", "4000000"),
            ("x-ratelimit-remaining-tokens-month", "3950246"),
            ("x-ratelimit-tokens-query-cost", "2804"),
        ],
    );
    assert_eq!(budgets.len(), 2);
    let minute = found(&budgets, Dimension::Requests, Window::Minute);
    assert_eq!((wait(minute.next_at), minute.full_at), (Some(60.0), None));
    assert!(found(&budgets, Dimension::Tokens, Window::Month).next_at.is_some());
}

#[test]
fn a_limit_of_nothing_is_never_back() {
    let budgets = read("mistral", &[("x-ratelimit-limit-req-minute", "0")]);
    assert_eq!((budgets[0].limit, budgets[0].next_at), (Some(0), None));
}

#[test]
fn anthropic_and_together_and_cohere_are_read_by_their_own_names() {
    let anthropic = read(
        "anthropic",
        &[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-11-22T05:00:01Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "7"),
            ("anthropic-ratelimit-output-tokens-remaining", "8"),
        ],
    );
    assert_eq!(anthropic.len(), 3, "input and output are counted apart");
    assert_eq!(wait(anthropic[0].next_at), Some(1.0));
    let together = read(
        "together",
        &[
            ("x-ratelimit-limit", "10"),
            ("x-ratelimit-remaining", "9"),
            ("x-ratelimit-reset", "1"),
            ("x-tokenlimit-limit", "5000"),
            ("x-tokenlimit-remaining", "4000"),
            ("x-ratelimit-limit-dynamic", "0"),
        ],
    );
    assert_eq!(together.len(), 2);
    assert_eq!(found(&together, Dimension::Tokens, Window::Second).remaining, Some(4000));
    let cohere = read("cohere", &[("x-trial-endpoint-call-remaining", "0")]);
    assert_eq!(found(&cohere, Dimension::Requests, Window::Minute).remaining, Some(0));
}

#[test]
fn openrouter_resets_are_epoch_milliseconds_and_may_stand_in_the_body() {
    let body = br#"{"error":{"metadata":{"headers":{"X-RateLimit-Limit":"50",
        "X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1795392000000"}}}}"#;
    let headers = HeaderMap::new();
    let reply = Reply {
        provider: "openrouter",
        model: "m",
        status: 429,
        headers: &headers,
        request: b"",
        now: NOW,
    };
    let budgets = budgets(&reply, Some(body));
    assert_eq!((budgets[0].limit, budgets[0].remaining), (Some(50), Some(0)));
    assert_eq!(wait(budgets[0].next_at), Some(68_400.0));
}

#[test]
fn of_two_windows_the_one_that_cannot_hold_the_prompt_decides() {
    let pairs = [
        ("x-ratelimit-remaining-requests", "5"),
        ("x-ratelimit-reset-requests", "50s"),
        ("x-ratelimit-remaining-tokens", "900"),
        ("x-ratelimit-reset-tokens", "22s"),
    ];
    assert_eq!(refused("", 4_000, &pairs), Some(22.0));
    assert_eq!(refused("", 400, &pairs), Some(50.0), "both can hold it");
}

#[test]
fn a_bucket_is_waited_for_until_it_holds_the_prompt() {
    let pairs = [
        ("x-ratelimit-limit-tokens", "30000"),
        ("x-ratelimit-remaining-tokens", "500"),
        ("x-ratelimit-reset-tokens", "59s"),
    ];
    let in_six_and_a_margin = Some(7.0);
    assert_eq!(refused("openai", 14_000, &pairs), in_six_and_a_margin, "3,000 come back in six");
    assert_eq!(refused("openai", 400, &pairs), None, "it can hold this one");
    assert_eq!(refused("openai", 4_000_000, &pairs), None, "no bucket can hold this one");
}

#[test]
fn the_figures_of_a_refusal_tell_of_a_bucket_and_of_nothing_else() {
    let headers = HeaderMap::new();
    let read = |provider, status, said: &str| {
        let reply =
            Reply { provider, model: "m", status, headers: &headers, request: b"", now: NOW };
        let body = format!("{{\"error\":{{\"message\":\"{said}\"}}}}");
        failure(&reply, body.as_bytes()).budget
    };
    let said = "Rate limit reached on requests per min (RPM): Limit 3500, Used 1750, Requested 1.";
    let budget = read("openai", 429, said).unwrap();
    assert_eq!((budget.dimension, budget.window), (Dimension::Requests, Window::Minute));
    assert_eq!((budget.limit, budget.remaining), (Some(3_500), Some(1_750)));
    assert_eq!((wait(budget.next_at), wait(budget.full_at)), (Some(0.018), Some(30.0)));
    let tokens = said.replace("requests", "tokens").replace("RPM", "TPM");
    assert_eq!(read("groq", 429, &tokens).unwrap().dimension, Dimension::Tokens);
    assert_eq!(read("gemini", 429, said), None, "it comes back at once, or nobody knows");
    assert_eq!(read("openai", 400, said), None, "these may be the client's words");
    assert_eq!(read("openai", 429, &said.replace("per min (RPM)", "per day (RPD)")), None);
    assert_eq!(read("openai", 429, "Limit 3500, Used 1750, Requested 1."), None, "of what?");
    assert_eq!(read("openai", 429, "per min: Limit 0, Used 0, Requested 1."), None);
}

#[test]
fn nonsense_tells_nothing() {
    let budgets = read(
        "",
        &[
            ("x-ratelimit-limit-requests", "many"),
            ("x-ratelimit-remaining-requests", "-1"),
            ("x-ratelimit-reset-requests", "NaN"),
            ("x-ratelimit-type", "UserByModelByDay"),
            ("x-ratelimit-", "1"),
            ("x-ratelimit-limit-99999999999999999999999", "1"),
            ("ratelimit", "1"),
        ],
    );
    assert_eq!(budgets, []);
}

#[test]
fn a_flood_of_headers_is_cut_off() {
    let names: Vec<String> = (0..2000)
        .map(|i| format!("x-ratelimit-remaining{}", "-input".repeat(i % 30 + 1)))
        .collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    assert!(read("", &pairs).len() <= 16);
}

#[test]
fn the_structured_headers_are_read_item_by_item() {
    let budgets = read(
        "",
        &[
            ("ratelimit-policy", r#""burst";q=10;w=1, "day;x,y";q=1000;w=86400;qu="requests""#),
            ("ratelimit-policy", r#""minute-tokens";q=8000;w=60"#),
            ("ratelimit", r#""burst";r=10;t=1, "day;x,y";r=0;t=3600"#),
            ("ratelimit", r#""minute-tokens";r=7000"#),
        ],
    );
    assert_eq!(budgets.len(), 3);
    let day = found(&budgets, Dimension::Requests, Window::Day);
    assert_eq!((day.limit, day.remaining), (Some(1000), Some(0)));
    assert_eq!(wait(day.next_at), Some(3600.0));
    let burst = found(&budgets, Dimension::Requests, Window::Second);
    assert_eq!((burst.limit, burst.remaining), (Some(10), Some(10)));
    let tokens = found(&budgets, Dimension::Tokens, Window::Minute);
    assert_eq!((tokens.limit, tokens.remaining), (Some(8000), Some(7000)));
}

#[test]
fn the_older_drafts_are_read_too() {
    let budgets = read(
        "",
        &[("ratelimit", "limit=100, remaining=0, reset=37"), ("ratelimit-policy", "100;w=60")],
    );
    assert_eq!(budgets.len(), 1);
    assert_eq!((budgets[0].limit, budgets[0].remaining), (Some(100), Some(0)));
    assert_eq!((budgets[0].window, wait(budgets[0].full_at)), (Window::Minute, Some(37.0)));
    let pairs = [
        ("ratelimit-limit", "100, 100;w=60"),
        ("ratelimit-remaining", "0"),
        ("ratelimit-reset", "37"),
    ];
    let budgets = read("", &pairs);
    assert_eq!((budgets[0].limit, budgets[0].remaining), (Some(100), Some(0)));
    assert_eq!(wait(budgets[0].next_at), Some(37.0));
}

#[test]
fn nonsense_in_structured_headers_tells_nothing() {
    for value in
        ["", ";", "\"", ";;;,,,", "\"a;r=1,b", "default", "\"a\";r=-1;t=x", "x=y", "\"a\";q"]
    {
        assert!(
            read("", &[("ratelimit", value), ("ratelimit-policy", value)]).is_empty(),
            "{value}"
        );
    }
    let many = (0..200).map(|at| format!("\"{at}x\";r=0")).collect::<Vec<_>>().join(",");
    assert!(read("", &[("ratelimit", &many)]).len() <= 16);
}
