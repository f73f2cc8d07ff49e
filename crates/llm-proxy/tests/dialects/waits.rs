//! Fifteen stated waits in fifteen dialects, each kept to the second.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};
use tokio::task::JoinSet;

use crate::harness::{MS, Proxy, Setup, always, error, good, now, question};
use crate::shared::{at_once, deployment, seconds_until, wall};

/// How a wait is told: the provider that speaks so, and its refusal `millis` before it is over.
type Dialect = (&'static str, fn(u64) -> Reply);

fn bare() -> Reply {
    Reply::rate_limited(None)
}

fn said(text: String) -> Reply {
    error(429, &text, "tokens", "rate_limit_exceeded")
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

fn moment(millis: u64) -> jiff::Timestamp {
    wall() + Duration::from_millis(millis)
}

fn spent(reset: &str, value: String) -> Reply {
    bare()
        .header("x-ratelimit-limit-requests", "30")
        .header("x-ratelimit-remaining-requests", "0")
        .header(reset, value)
}

fn google(millis: u64) -> Reply {
    let body = json!([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", seconds(millis))}]}}]);
    Reply::json(429, &body)
}

fn router(millis: u64) -> Reply {
    let at = moment(millis).as_millisecond().to_string();
    let body = json!({"error": {"message": "Rate limit exceeded: free-models-per-min. ", "code": 429,
        "metadata": {"headers": {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": at}}}});
    Reply::json(429, &body)
}

fn dated(millis: u64) -> Reply {
    const FORM: &str = "%a, %d %b %Y %H:%M:%S GMT";
    // Of whole seconds, on a clock of its own.
    let sent: jiff::Timestamp = "2001-02-03T04:05:06Z".parse().unwrap();
    let until = sent + Duration::from_millis(millis);
    bare()
        .header("date", sent.strftime(FORM).to_string())
        .header("retry-after", until.strftime(FORM).to_string())
}

const DIALECTS: [Dialect; 15] = [
    ("nvidia", |millis| bare().header("retry-after", (millis / 1000).to_string())),
    ("together", |millis| bare().header("retry-after", seconds(millis))),
    ("openai", |millis| {
        bare().header("retry-after", "60").header("retry-after-ms", millis.to_string())
    }),
    ("dated", dated),
    ("groq", |millis| {
        said(format!(
            "Rate limit reached for model `m` on tokens per minute (TPM): Limit 6000, \
            Used 5800, Requested 400. Please try again in {}s.",
            seconds(millis)
        ))
    }),
    ("sambanova", |millis| said(format!("Rate limit reached. Please try again in {millis}ms."))),
    ("gemini", google),
    ("openrouter", router),
    ("cerebras", |millis| {
        bare()
            .header("x-ratelimit-limit-requests-minute", "30")
            .header("x-ratelimit-remaining-requests-minute", "0")
            .header("x-ratelimit-reset-requests-minute", seconds(millis))
    }),
    ("fireworks", |millis| spent("x-ratelimit-reset", moment(millis).as_millisecond().to_string())),
    ("epoch", |millis| {
        // Of whole seconds.
        let at = (moment(millis).as_millisecond() as u64).div_ceil(1000);
        bare().header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", at.to_string())
    }),
    ("anthropic", |millis| {
        bare()
            .header("anthropic-ratelimit-requests-limit", "50")
            .header("anthropic-ratelimit-requests-remaining", "0")
            .header("anthropic-ratelimit-requests-reset", moment(millis).to_string())
    }),
    ("fields", |millis| {
        Reply::json(
            429,
            &json!({"error": {"message": "slow down", "retry_after": millis as f64 / 1000.0}}),
        )
    }),
    ("moonshot", |millis| {
        said(format!(
            "Your account reached max concurrency: 1, please try again after {} seconds",
            seconds(millis)
        ))
    }),
    ("go", |millis| spent("x-ratelimit-reset-requests", format!("{}s", seconds(millis)))),
];

struct House {
    proxy: Proxy,
    providers: Vec<SimulatedProvider>,
    _backup: SimulatedProvider,
}

/// So many requests meet each refusal together.
const TOGETHER: usize = 3;

/// Every provider refuses those that come first, and tells each the time until `millis` later.
async fn house(millis: u64) -> House {
    let backup = good("backup").await;
    let (mut setup, mut chains) = (Setup::new(), "models:".to_owned());
    let mut providers = Vec::new();
    for (name, refusal) in DIALECTS {
        let behaviour = Behaviour::answer(move |request| {
            if request.number < TOGETHER as u64 {
                refusal(millis).after(MS * 200)
            } else {
                Reply::answer(&["itself"])
            }
        });
        let provider = SimulatedProvider::start(behaviour).await.unwrap();
        setup = setup.provider(name, &provider);
        let _ = write!(chains, "\n  {name}-first: [{name}, backup]");
        providers.push(provider);
    }
    let proxy = setup.provider("backup", &backup).top(&chains).start().await;
    House { proxy, providers, _backup: backup }
}

fn asking(name: &str) -> Value {
    let mut body = question(false);
    body["model"] = format!("{name}-first").into();
    body
}

async fn ask(proxy: &Proxy, name: &str) -> String {
    proxy.ask(&asking(name)).await.by().to_owned()
}

/// The time from the refusal to the first answer of the provider itself.
async fn kept(house: &House, index: usize) -> Result<Duration, String> {
    let (name, _) = DIALECTS[index];
    let provider = &house.providers[index];
    for heard in at_once(&house.proxy, &vec![asking(name); TOGETHER]).await {
        if heard.by() != "backup" {
            return Err(format!("{name}: its refusal was not passed over"));
        }
    }
    let began = now();
    while ask(&house.proxy, name).await == "backup" {
        if began.elapsed() > Duration::from_secs(12) {
            return Err(format!("{name}: never tried again: {}", house.proxy.provider(name).await));
        }
        tokio::time::sleep(MS * 40).await;
    }
    let requests = provider.requests();
    if requests.len() != TOGETHER + 1 {
        return Err(format!("{name}: {} attempts", requests.len()));
    }
    Ok(requests[TOGETHER].at.saturating_sub(requests[0].at))
}

#[tokio::test]
async fn fifteen_stated_waits_that_several_requests_meet_are_each_kept_to_the_second() {
    for millis in [1000, 3000] {
        let house = std::sync::Arc::new(house(millis).await);
        let mut waits = JoinSet::new();
        for (index, (name, _)) in DIALECTS.iter().enumerate() {
            let house = std::sync::Arc::clone(&house);
            waits.spawn(async move { (*name, kept(&house, index).await) });
        }
        let mut wrong = Vec::new();
        for (name, waited) in waits.join_all().await {
            match waited {
                Err(error) => wrong.push(error),
                Ok(waited) => {
                    // Epoch seconds are whole and may lie one later.
                    let most = if name == "epoch" { 2000 } else { 1000 };
                    let range = MS * (millis - 30) as u32..MS * (millis + most) as u32;
                    if !range.contains(&waited) {
                        wrong.push(format!("{name}: {waited:?} instead of {millis} ms"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// One clock shows half an hour from now, the other one many hours: whichever is meant, nobody is
/// set aside for longer than the sooner reading before it is probed.
#[tokio::test]
async fn a_date_without_a_zone_is_taken_for_the_sooner_moment_that_lies_ahead() {
    for zone in ["UTC", "Asia/Shanghai"] {
        let at = moment(1_800_000).to_zoned(TimeZone::get(zone).unwrap());
        let text = at.strftime("Your limit will reset at %Y-%m-%d %H:%M:%S").to_string();
        let body = json!({"error": {"code": "1308", "message": text}});
        let (zai, backup) = (always(Reply::json(429, &body)).await, good("backup").await);
        let proxy = Setup::new().provider("zai", &zai).provider("backup", &backup).start().await;
        proxy.ask(&question(false)).await.assert_says("backup");
        let seen = deployment(&proxy, "zai", "zai-model").await;
        let left = seconds_until(&seen["until"], wall()).unwrap();
        assert!((1790.0..1805.0).contains(&left), "{zone}: {left}, {seen}");
        assert_eq!((&seen["origin"], &seen["kind"]), (&json!("guessed"), &json!("out_of_credit")));
    }
}
