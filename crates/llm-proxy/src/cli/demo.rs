//! `demo`: the real proxy in front of simulated providers with small quotas. No keys, no network.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use settings::Env;
use simulated::{Behaviour, HeaderDialect, Limits, Quotas, SimulatedProvider};

use super::talk::Proxy;
use super::{Failed, Outcome};
use crate::observe::log::{Format, Level};
use crate::serve::{Running, ServeOptions, start};
use crate::source::Source;

/// Requests of the tour: enough to spend the first provider's quota and half of the second's.
const TOUR: usize = 6;

pub(super) async fn demo(port: u16, once: bool) -> Outcome {
    let providers = providers().await?;
    let settings = settings::parse(&configuration(port, &providers), "demo", &Env::default())
        .map_err(|problems| {
            Failed::new(problems.iter().map(ToString::to_string).collect::<String>())
        })?;
    let options = ServeOptions {
        format: Format::Text,
        level: Level::Info,
        exit_with_parent: false,
        state: None,
    };
    let running = start(Source::fixed(settings), &options).await?;
    running.say(&welcome(&running));
    tour(&running).await?;
    if !once {
        running
            .say(&format!(
            "The proxy goes on serving; end it with Ctrl-C. Have a look: llm-proxy status --port {}",
            running.address.port()
        ));
        let _ = tokio::signal::ctrl_c().await;
    }
    running.stop().await;
    Ok(())
}

/// Three providers: a fast one with two requests a minute, one with three, and one without end.
async fn providers() -> Result<Vec<(&'static str, SimulatedProvider)>, Failed> {
    let limits = [
        ("swift", Some(2), HeaderDialect::Groq),
        ("steady", Some(3), HeaderDialect::Cerebras),
        ("patient", None, HeaderDialect::Bare),
    ];
    let mut started = Vec::new();
    for (name, requests_per_minute, dialect) in limits {
        let behaviour = Behaviour::Limiting(Limits {
            name: name.to_owned(),
            quotas: Quotas { requests_per_minute, ..Quotas::default() },
            dialect,
            pace: Duration::from_millis(30),
            ..Limits::default()
        });
        started.push((name, SimulatedProvider::start(behaviour).await?));
    }
    Ok(started)
}

fn configuration(port: u16, providers: &[(&'static str, SimulatedProvider)]) -> String {
    let mut text = format!("server:\n  port: {port}\nproviders:\n");
    for (name, provider) in providers {
        let _ = writeln!(
            text,
            "  - name: {name}\n    base_url: {}\n    api_key: demo-key-of-{name}\n    model: {name}-1",
            provider.base_url()
        );
    }
    text
}

fn welcome(running: &Running) -> String {
    let base = format!("http://{}", running.address);
    format!(
        "\nThree simulated providers: swift takes 2 requests a minute, steady 3, patient any number.\n\
         Try it from another terminal:\n\n\
         \x20 curl -i {base}/v1/chat/completions -H 'content-type: application/json' \\\n\
         \x20      -d '{{\"model\":\"default\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n\
         \x20 curl {base}/status\n\n\
         Any OpenAI client works with base URL {base}/v1 and any key. A short tour:\n"
    )
}

async fn tour(running: &Running) -> Outcome {
    let proxy = Proxy::at(running.address);
    for number in 1..=TOUR {
        let question = json!({
            "model": "default",
            "messages": [{"role": "user", "content": format!("Question {number}")}],
        });
        let answer = proxy.chat(&question).await?;
        let rotation = answer.rotation.map(|hops| format!("  ({hops})")).unwrap_or_default();
        running.say(&format!(">>> request {number}: answered by {}{rotation}", answer.provider));
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    running.say("swift and steady are cooling now, and come first again as soon as they are back.");
    Ok(())
}
