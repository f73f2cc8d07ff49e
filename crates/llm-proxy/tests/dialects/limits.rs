//! Limits that are declared, or learned from successes: used before a refusal comes.

use serde_json::{Value, json};
use simulated::{Behaviour, HeaderDialect, Limits, Quotas, Refill, Reply, SimulatedProvider};
use std::fmt::Write as _;

use crate::harness::{MS, SOON, Setup, always, good, now, question, script};
use crate::shared::{at_once, deployment, seconds_until, wall};

fn large(bytes: usize) -> Value {
    json!({"model": "default", "messages": [{"role": "user", "content": "x".repeat(bytes)}]})
}

fn told(pairs: &[(&str, &str)]) -> Reply {
    pairs.iter().fold(Reply::answer(&["a"]), |reply, (name, value)| reply.header(name, value))
}

/// A success of each dialect that says: nothing is left, and more comes in two to four seconds.
fn last_words() -> [(&'static str, Reply); 5] {
    // The one moment among the spans: it must not have come before the last of them is asked.
    let soon = (wall() + std::time::Duration::from_secs(4)).to_string();
    [
        (
            "groq",
            // All are back in a day, so that one comes back each two seconds.
            &[
                ("x-ratelimit-limit-requests", "43200"),
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "24h0m0s"),
            ][..],
        ),
        (
            "openai",
            &[
                ("x-ratelimit-limit-requests", "1"),
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "2s"),
            ],
        ),
        (
            "cerebras",
            &[
                ("x-ratelimit-limit-requests-minute", "5"),
                ("x-ratelimit-remaining-requests-minute", "0"),
                ("x-ratelimit-reset-requests-minute", "2.0"),
                ("x-ratelimit-limit-requests-day", "100"),
                ("x-ratelimit-remaining-requests-day", "60"),
                ("x-ratelimit-reset-requests-day", "3000"),
            ],
        ),
        (
            "anthropic",
            &[
                ("anthropic-ratelimit-requests-limit", "5"),
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", &soon),
            ],
        ),
        (
            "unheard-of",
            &[
                ("x-ratelimit-limit", "5"),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "2"),
            ],
        ),
    ]
    .map(|(name, pairs)| (name, told(pairs)))
}

#[tokio::test]
async fn who_said_that_nothing_is_left_is_passed_over_until_it_is_back() {
    let b = good("b").await;
    let (mut setup, mut chains) = (Setup::new(), "models:".to_owned());
    let mut providers = Vec::new();
    for (name, last) in last_words() {
        let a = script([last, Reply::answer(&["a"])]).await;
        setup = setup.provider(name, &a);
        let _ = write!(chains, "\n  {name}-first: [{name}, b]");
        providers.push((name, a));
    }
    let proxy = setup.provider("b", &b).top(&chains).start().await;
    let ask = async |name: &str| {
        let mut body = question(false);
        body["model"] = format!("{name}-first").into();
        proxy.ask(&body).await.by().to_owned()
    };
    for (name, a) in &providers {
        assert_eq!(ask(name).await, *name);
        assert_eq!(ask(name).await, "b", "{name}: {}", proxy.provider(name).await);
        assert_eq!(a.count(), 1);
        let seen = deployment(&proxy, name, &format!("{name}-model")).await;
        assert_eq!((&seen["kind"], &seen["origin"]), (&json!("limit_used_up"), &json!("learned")));
        let left = seconds_until(&seen["until"], wall()).unwrap();
        assert!((-1.0..=5.0).contains(&left), "{name}: {left} s");
    }
    tokio::time::sleep(MS * 4200).await;
    for (name, _) in &providers {
        assert_eq!(ask(name).await, *name, "it is back");
    }
}

#[tokio::test]
async fn what_is_under_way_counts_against_what_is_left() {
    let left = |count: &str| {
        told(&[
            ("x-ratelimit-limit-requests", "30"),
            ("x-ratelimit-remaining-requests", count),
            ("x-ratelimit-reset-requests", "58s"),
        ])
    };
    // Two more are allowed, and five come while the answers are under way.
    let a = script([left("2"), left("0").after(MS * 400)]).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(false).await.assert_says("a");
    let heard = at_once(&proxy, &vec![question(false); 5]).await;
    assert_eq!(heard.iter().filter(|one| one.by() == "a").count(), 2);
    assert_eq!((a.count(), b.count()), (3, 3));
}

#[tokio::test]
async fn a_declared_limit_is_exact_for_many_at_once() {
    let (a, b) = (always(Reply::answer(&["a"]).after(MS * 200)).await, good("b").await);
    let proxy =
        Setup::new().provider("a", &a).with("limits: {rpm: 7}").provider("b", &b).start().await;
    for heard in at_once(&proxy, &vec![question(true); 30]).await {
        assert_eq!(heard.status, 200);
    }
    assert_eq!((a.count(), b.count()), (7, 23));
}

#[tokio::test]
async fn declared_tokens_of_requests_under_way_are_reserved() {
    let (a, b) = (always(Reply::answer(&["a"]).after(MS * 500)).await, good("b").await);
    let proxy =
        Setup::new().provider("a", &a).with("limits: {tpm: 1000}").provider("b", &b).start().await;
    let mut body = question(false);
    body["max_tokens"] = 400.into();
    let heard = at_once(&proxy, &vec![body.clone(); 5]).await;
    assert_eq!(heard.iter().filter(|one| one.by() == "a").count(), 2);
    // What was reserved and not used is free again.
    proxy.ask(&body).await.assert_says("a");
}

#[tokio::test]
async fn what_cannot_fit_is_passed_over_yet_tried_last() {
    for limits in ["limits: {context: 1000}", "limits: {tpm: 1000}"] {
        let (a, b) = (good("a").await, good("b").await);
        let proxy = Setup::new().provider("a", &a).with(limits).provider("b", &b).start().await;
        proxy.ask(&large(8000)).await.assert_says("b");
        proxy.chat(false).await.assert_says("a");
        assert_eq!(a.count(), 1, "{limits}");
        // An estimate may be wrong: better tried than refused.
        b.set(Reply::rate_limited(Some("60")));
        let heard = proxy.ask(&large(8000)).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-attempts"), Some("2"), "{limits}");
    }
}

#[tokio::test]
async fn a_minute_that_is_too_small_is_learned_from_a_success() {
    let small = told(&[
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", "980"),
        ("x-ratelimit-reset-tokens", "1.2s"),
    ]);
    let (a, b) = (always(small).await, good("b").await);
    let proxy = Setup::new().provider("groq", &a).provider("b", &b).start().await;
    proxy.chat(false).await.assert_says("a");
    proxy.ask(&large(8000)).await.assert_says("b");
    proxy.chat(false).await.assert_says("a");
    assert_eq!(a.count(), 2);
}

#[tokio::test]
async fn what_cerebras_reserves_for_an_open_end_counts() {
    let (a, b) = (always(Reply::answer(&["a"]).after(MS * 400)).await, good("b").await);
    let lines = "api_key: sk-test-0123456789\n    model: gpt-oss-120b\n    limits: {tpm: 30000}";
    let proxy =
        Setup::new().provider_with("cerebras", a.address(), lines).provider("b", &b).start().await;
    // 16,384 are assumed for each, so that a second one has no room beside the first.
    let heard = at_once(&proxy, &[question(false), question(false)]).await;
    assert_eq!(heard.iter().filter(|one| one.by() == "cerebras").count(), 1);
    let mut short = question(false);
    short["max_tokens"] = 100.into();
    let heard = at_once(&proxy, &vec![short; 4]).await;
    assert_eq!(heard.iter().filter(|one| one.by() == "cerebras").count(), 4);
}

#[tokio::test]
async fn a_reservation_larger_than_a_learned_minute_is_tried_last() {
    let small = told(&[
        ("x-ratelimit-limit-tokens-minute", "8000"),
        ("x-ratelimit-remaining-tokens-minute", "7990"),
        ("x-ratelimit-reset-tokens-minute", "30.0"),
    ]);
    let (a, b) = (always(small).await, good("b").await);
    let proxy = Setup::new().provider("cerebras", &a).provider("b", &b).start().await;
    proxy.chat(false).await.assert_says("a");
    proxy.chat(false).await.assert_says("b");
    let mut short = question(false);
    short["max_tokens"] = 50.into();
    proxy.ask(&short).await.assert_says("a");
}

/// Traffic through three truly limiting providers and one without limits.
struct Traffic {
    count: usize,
    /// The limits of each, of requests and of tokens in a minute.
    limits: [(Option<u64>, Option<u64>); 3],
    declared: bool,
    refill: Refill,
    dialect: HeaderDialect,
}

/// So many requests are under way at once.
const TOGETHER: usize = 25;

const REQUESTS: [(Option<u64>, Option<u64>); 3] =
    [(Some(400), None), (Some(600), None), (Some(900), None)];
const TOKENS: [(Option<u64>, Option<u64>); 3] =
    [(None, Some(20_000)), (None, Some(30_000)), (None, Some(40_000))];

impl Traffic {
    /// What each refused, and the attempts of all together.
    async fn pass(self) -> (Vec<u64>, u64) {
        let mut setup = Setup::new();
        let mut providers = Vec::new();
        for (index, (rpm, tpm)) in self.limits.into_iter().enumerate() {
            let quotas =
                Quotas { requests_per_minute: rpm, tokens_per_minute: tpm, ..Quotas::default() };
            let (refill, dialect) = (self.refill, self.dialect);
            let limits = Limits { quotas, refill, dialect, ..Limits::default() };
            let provider = SimulatedProvider::start(Behaviour::Limiting(limits)).await.unwrap();
            setup = setup.provider(&format!("p{index}"), &provider);
            let all = [("rpm", rpm), ("tpm", tpm)];
            let told = all.iter().filter_map(|(key, limit)| Some(format!("{key}: {}", (*limit)?)));
            if self.declared {
                setup = setup.with(&format!("limits: {{{}}}", told.collect::<Vec<_>>().join(", ")));
            }
            providers.push(provider);
        }
        let last = good("last").await;
        let proxy = setup.provider("last", &last).start().await;
        let mut bodies: Vec<Value> =
            (0..self.count).map(|index| question(index % 4 == 0)).collect();
        for body in &mut bodies {
            body["max_tokens"] = 150.into();
        }
        let began = now();
        for some in bodies.chunks(TOGETHER) {
            assert!(at_once(&proxy, some).await.iter().all(|heard| heard.status == 200));
        }
        assert!(began.elapsed() < SOON * 3, "{:?}", began.elapsed());
        let mut refused = Vec::new();
        let mut attempts = last.count();
        for (index, provider) in providers.iter().enumerate() {
            let seen = proxy.provider(&format!("p{index}")).await;
            refused.push(provider.count() - seen["success_count"].as_u64().unwrap());
            attempts += provider.count();
        }
        (refused, attempts)
    }
}

#[tokio::test]
async fn with_truthful_limits_declared_nobody_is_asked_in_vain() {
    for refill in [Refill::Fixed, Refill::Continuous] {
        let traffic = Traffic {
            count: 2200,
            limits: REQUESTS,
            declared: true,
            refill,
            dialect: HeaderDialect::Bare,
        };
        assert_eq!(traffic.pass().await, (vec![0; 3], 2200), "{refill:?}");
    }
}

#[tokio::test]
async fn with_limits_told_by_headers_nobody_is_asked_in_vain() {
    for dialect in [HeaderDialect::OpenAi, HeaderDialect::Cerebras] {
        let traffic = Traffic {
            count: 1200,
            limits: REQUESTS,
            declared: false,
            refill: Refill::Fixed,
            dialect,
        };
        assert_eq!(traffic.pass().await, (vec![0; 3], 1200), "{dialect:?}");
    }
}

/// The provider counts the whole body, we its messages: by so much each estimate is short.
#[tokio::test]
async fn with_tokens_told_by_headers_few_are_asked_in_vain() {
    for (dialect, refill) in [
        (HeaderDialect::OpenAi, Refill::Continuous),
        (HeaderDialect::Groq, Refill::Continuous),
        (HeaderDialect::Cerebras, Refill::Fixed),
    ] {
        let traffic = Traffic { count: 700, limits: TOKENS, declared: false, refill, dialect };
        let (refused, _) = traffic.pass().await;
        assert!(refused.iter().all(|refused| *refused <= 4), "{dialect:?}: {refused:?}");
    }
}

/// The bucket has room for one at the stated time, not for all who wait for it.
#[tokio::test]
async fn a_stated_moment_lets_in_as_many_as_have_come_back() {
    let figures = |reply: Reply| {
        let pairs = [("limit", "20000"), ("remaining", "90"), ("reset", "59.73s")];
        pairs.iter().fold(reply, |reply, (what, value)| {
            reply.header(&format!("x-ratelimit-{what}-tokens"), value)
        })
    };
    let refusal = figures(Reply::rate_limited(None)).header("retry-after-ms", "270");
    let answer = figures(Reply::answer(&["a"])).after(MS * 400);
    let (a, b) = (script([refusal, answer]).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let mut body = question(false);
    body["max_tokens"] = 150.into();
    proxy.ask(&body).await.assert_says("b");
    tokio::time::sleep(MS * 300).await;
    let heard = at_once(&proxy, &vec![body; 20]).await;
    assert!(heard.iter().all(|one| one.status == 200));
    // Another one has room each half second, should this machine be slow.
    let asked = a.count();
    assert!((2..=4).contains(&asked), "{asked}: {}", proxy.provider("a").await);
    assert_eq!(asked + b.count(), 22);
}

#[tokio::test]
async fn without_any_word_of_limits_each_is_met_once_by_those_under_way() {
    let traffic = Traffic {
        count: 1200,
        limits: REQUESTS,
        declared: false,
        refill: Refill::Fixed,
        dialect: HeaderDialect::Bare,
    };
    let (refused, _) = traffic.pass().await;
    assert!(refused.iter().all(|refused| *refused <= TOGETHER as u64), "{refused:?}");
}

/// Reports of tokens that no answer uses.
const ABSURD: [u64; 3] = [10_000_001, 1 << 53, u64::MAX];

fn absurd(tokens: u64, stream: bool) -> Reply {
    let usage =
        json!({"prompt_tokens": 1, "completion_tokens": tokens - 1, "total_tokens": tokens});
    if !stream {
        let choice = json!({"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"});
        return Reply::json(200, &json!({"id": "x", "choices": [choice], "usage": usage}));
    }
    let choice = json!({"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"});
    let chunk = json!({"id": "x", "choices": [choice], "usage": usage});
    let events = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    Reply::bytes(200, events).header("content-type", "text/event-stream")
}

#[tokio::test]
async fn a_reply_cannot_spend_the_day_by_counting_more_tokens_than_an_answer_has() {
    for (tokens, stream) in ABSURD.into_iter().flat_map(|count| [(count, false), (count, true)]) {
        let a = always(absurd(tokens, stream)).await;
        let b = good("b").await;
        let limits = "limits: {tpd: 25000000}";
        let proxy = Setup::new().provider("a", &a).with(limits).provider("b", &b).start().await;
        for sum in [10_000_000_u64, 20_000_000] {
            let heard = proxy.ask(&question(stream)).await;
            assert_eq!(heard.by(), "a", "{tokens} {stream}: {}", heard.text());
            let seen = proxy.provider("a").await;
            assert_eq!(seen["total_tokens_used"], sum, "{tokens} {stream}: {seen}");
            assert_eq!(seen["available"], true, "{tokens} {stream}: {seen}");
        }
    }
}
