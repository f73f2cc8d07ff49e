//! `check --live`: asks each provider, with its real key, for its list of models, which costs
//! nothing; and only if told so for one short answer.

use std::sync::Arc;
use std::time::Duration;

use engine::{Ledger, Timestamp};
use http::HeaderMap;
use settings::{ModelChoice, Settings};
use tokio::time::timeout;
use wire::Endpoint;

use crate::clock::Clock;
use crate::refused::Mends;
use crate::server::Intake;
use crate::server::discover::list;
use crate::upstream::{Asked, Limits, Recovery, prepare, send};
use crate::world::{World, model_name};

/// How long one provider may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was found of one provider.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) good: bool,
    pub(crate) told: String,
}

/// The configuration made ready, as it would serve.
pub(crate) fn ready(settings: &Settings) -> Result<World, String> {
    let day = engine::DayStart::midnight(jiff::tz::TimeZone::UTC);
    let mut ledger = Ledger::new(day, Timestamp::default());
    World::new(settings.clone(), &mut ledger, None)
}

/// Asks every provider, in their order.
pub(crate) async fn probe(world: &World, with_answer: bool) -> Vec<Finding> {
    let clock = Arc::new(Clock::new());
    let mut findings = Vec::new();
    for index in 0..world.routes.len() {
        let finding = match timeout(PATIENCE, ask(world, &clock, index, with_answer)).await {
            Ok(finding) => finding,
            Err(_) => Finding { good: false, told: "no answer in time".to_owned() },
        };
        findings.push(finding);
    }
    findings
}

async fn ask(world: &World, clock: &Arc<Clock>, index: usize, with_answer: bool) -> Finding {
    let route = &world.routes[index];
    let listed = match list(&world.client, route, 0).await {
        Ok(listed) => listed,
        Err(failure) => {
            let told = format!("{}: {}", failure.word, route.redact_error(&failure.fault.detail));
            return Finding { good: false, told };
        }
    };
    let missing: Vec<String> = route
        .provider
        .models
        .iter()
        .filter(|choice| matches!(choice, ModelChoice::Named(name) if !is_listed(&listed, name)))
        .map(model_name)
        .collect();
    if !listed.is_empty() && !missing.is_empty() {
        let told = format!("key accepted; not in its list of models: {}", missing.join(", "));
        return Finding { good: false, told };
    }
    if with_answer {
        return answer(world, clock, index).await;
    }
    Finding { good: true, told: format!("key accepted, {} models", listed.len()) }
}

/// Gemini lists its models as `models/NAME`.
fn is_listed(listed: &[String], name: &str) -> bool {
    listed.iter().any(|id| id == name || id.strip_prefix("models/") == Some(name))
}

async fn answer(world: &World, clock: &Arc<Clock>, index: usize) -> Finding {
    let route = &world.routes[index];
    let model = route.provider.models.first().map(model_name).unwrap_or_default();
    let body = r#"{"messages":[{"role":"user","content":"Say hello."}],"max_tokens":16}"#;
    let Ok(intake) = Intake::parse(Endpoint::Chat, HeaderMap::new(), body.into(), clock.now())
    else {
        return Finding { good: false, told: "the question could not be made".to_owned() };
    };
    let prepared = prepare(&intake, route, 0, &model, &Mends::new(), &[]);
    let asked = Asked {
        route: Arc::clone(route),
        model: model.as_str().into(),
        model_as_shown: model.as_str().into(),
        endpoint: Endpoint::Chat,
        request: bytes::Bytes::new(),
        stream: false,
        client_wants_usage: false,
        clock: Arc::clone(clock),
        recovery: Recovery::Off,
    };
    let limits = Limits { first: PATIENCE, stall: PATIENCE, quiet: PATIENCE, attempt: PATIENCE };
    match send(&world.client, &prepared, &asked, limits).await.result {
        Ok(_) => Finding { good: true, told: format!("answered as {model}") },
        Err(failure) => {
            Finding { good: false, told: format!("{}: {}", failure.word, failure.fault.detail) }
        }
    }
}
