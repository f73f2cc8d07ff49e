//! `/health`, `/status`, `/explain` and `/metrics`: the state of the proxy, read only.

use std::sync::Arc;

use bytes::Bytes;
use engine::{
    Availability, Closed, DeploymentView, Outlook, ProviderView, Reason, Timestamp, Window,
    availability, findings, view,
};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::body::ClientBody;
use super::error::{ProxyError, json_response};
use super::known::Known;
use super::query::query_value;
use super::report::{dimension_word, millis, moment, reason, reason_word, state_word, zoned};
use crate::app::App;
use crate::observe::metrics::page;
use crate::world::World;

/// `GET /health`
pub(crate) fn health(app: &App, world: &World) -> Response<ClientBody> {
    let body = json!({
        "status": "healthy",
        "timestamp": moment(app.clock.now(), &world.zone()),
        "providers_loaded": world.registry.providers().len(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    json_response(StatusCode::OK, &body)
}

/// `GET /status`
pub(crate) fn status(app: &Arc<App>, world: &World) -> Response<ClientBody> {
    json_response(StatusCode::OK, &status_document(app, world))
}

/// What `GET /status` and the events of `GET /events` tell.
pub(crate) fn status_document(app: &App, world: &World) -> Value {
    let zone = world.zone();
    let now = app.clock.now();
    let (views, today) = {
        let mut ledger = app.ledger();
        let views = view(&world.registry, &mut ledger, &world.plain_needs(), now);
        (views, ledger.today().to_owned())
    };
    let available = views.iter().filter(|view| view.closed.is_none()).count();
    let providers: Vec<Value> = views
        .iter()
        .map(|view| {
            let known =
                |one: &DeploymentView| Known::of(app, &view.name, &one.model, one.findings.clone());
            let deployment = |one| deployment_json(one, &known(one), now, &zone);
            let deployments = view.deployments.iter().map(deployment).collect();
            provider_json(view, deployments, world.tier(&view.name), &today, now, &zone)
        })
        .collect();
    let skipped: Vec<Value> = world
        .settings
        .skipped
        .iter()
        .map(|skipped| json!({"name": skipped.name, "reason": skipped.reason}))
        .collect();
    json!({
        "providers": providers,
        "total_providers": views.len(),
        "available_providers": available,
        "streams_saved": app.metrics.streams_saved(),
        "skipped_providers": skipped,
        "today": today,
        "now": moment(now, &zone),
        "time_zone": zone.iana_name(),
        "version": env!("CARGO_PKG_VERSION"),
        "config": app.config_file(),
        "config_error": app.not_taken(),
        "state": state_json(app),
    })
}

/// How the memory is.
fn state_json(app: &App) -> Value {
    let health = app.memory.health();
    json!({
        "mode": health.mode.word(),
        "file": health.file,
        "error": health.last_error,
        "lag_ms": health.lag_ms,
        "dropped_records": health.dropped_records,
        "bytes": health.bytes,
    })
}

fn provider_json(
    view: &ProviderView,
    deployments: Vec<Value>,
    tier: Option<&'static str>,
    today: &str,
    now: Timestamp,
    zone: &TimeZone,
) -> Value {
    let until = view.closed.as_ref().and_then(|closed| closed.until);
    let limited = view.closed.as_ref().is_some_and(|closed| closed.until.is_some());
    json!({
        "name": view.name,
        "priority": view.priority,
        "model": view.deployments.first().map(|deployment| &deployment.model),
        "tier": tier,
        "available": view.closed.is_none(),
        "disabled": view.disabled,
        "reason": view.closed.as_ref().map(reason),
        "is_rate_limited": limited,
        "rate_limited_until": until.and_then(|until| moment(until, zone)),
        "request_count": view.requests,
        "success_count": view.successes,
        "last_reset": today,
        "consecutive_errors": view.consecutive_errors,
        "last_error": view.last_error.as_ref().map(|error| &error.text),
        "last_error_at": view.last_error.as_ref().and_then(|error| moment(error.at, zone)),
        "total_tokens_used": view.tokens,
        "estimated_tokens": view.estimated_tokens,
        "first_token_ms": view.deployments.first().and_then(first_token_ms),
        "forecast": forecast(view, now, zone),
        "deployments": deployments,
    })
}

fn deployment_json(view: &DeploymentView, known: &Known, now: Timestamp, zone: &TimeZone) -> Value {
    let mut told = json!({
        "model": view.model,
        "key": if view.key.is_empty() { Value::Null } else { Value::from(view.key.as_str()) },
        "in_flight": view.in_flight,
        "first_token_ms": first_token_ms(view),
        "request_count": view.requests,
        "total_tokens_used": view.tokens,
        "quotas": view.outlook.iter().map(|one| quota_json(one, now, zone)).collect::<Vec<_>>(),
    });
    merge(&mut told, known.json());
    merge(&mut told, availability_json(&view.availability, zone));
    told
}

/// The usual time to the first word of a stream, in milliseconds.
fn first_token_ms(view: &DeploymentView) -> Option<u64> {
    view.first_word.map(millis)
}

fn availability_json(availability: &Availability, zone: &TimeZone) -> Value {
    match availability {
        Availability::Open => json!({"available": true, "state": "open"}),
        Availability::HalfOpen => json!({"available": true, "state": "half_open"}),
        Availability::Closed(closed) => closed_json(closed, zone),
    }
}

fn closed_json(closed: &Closed, zone: &TimeZone) -> Value {
    json!({
        "available": false,
        "state": state_word(closed),
        "kind": reason_word(closed),
        "scope": scope_word(closed),
        "reason": reason(closed),
        "until": closed.until.and_then(|until| moment(until, zone)),
        "origin": closed.until.map(|_| closed.origin.as_str()),
    })
}

/// Whom the fault concerned that closed a deployment.
fn scope_word(closed: &Closed) -> Option<&'static str> {
    if let Reason::Fault { scope, .. } = &closed.reason { Some(scope.as_str()) } else { None }
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn quota_json(outlook: &Outlook, now: Timestamp, zone: &TimeZone) -> Value {
    let at = |then: Option<Timestamp>| {
        then.filter(|then| *then > now).and_then(|then| moment(then, zone))
    };
    let pace = (outlook.per_hour * 10.0).round() / 10.0;
    json!({
        "counts": dimension_word(outlook.dimension),
        "per": outlook.window.as_str(),
        "limit": outlook.limit,
        "remaining": outlook.left,
        "resets_at": at(outlook.resets_at),
        "origin": outlook.origin.as_str(),
        "pace_per_hour": (pace > 0.0).then_some(pace),
        "runs_out_at": at(outlook.runs_out_at),
    })
}

/// The limit that matters most, in words: `212 of 1000 requests left today, at this pace until
/// 16:40`.
fn forecast(view: &ProviderView, now: Timestamp, zone: &TimeZone) -> Option<String> {
    let outlook = view.most_pressing()?;
    let left = outlook.left?;
    let what = dimension_word(outlook.dimension);
    let limit = outlook.limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let span = match outlook.window {
        Window::Day => " today".to_owned(),
        Window::Unknown => String::new(),
        Window::Second | Window::Minute | Window::Hour | Window::Month => {
            format!(" this {}", outlook.window.as_str())
        }
    };
    let mut text = format!("{left}{limit} {what} left{span}");
    if let Some(until) = outlook.runs_out_at.filter(|_| left > 0) {
        text.push_str(", at this pace until ");
        text.push_str(&clock_time(until, now, zone)?);
    } else if left == 0
        && let Some(at) = outlook.resets_at
    {
        text.push_str(", back at ");
        text.push_str(&clock_time(at, now, zone)?);
    }
    Some(text)
}

/// `16:40`, or with the day where it is another one.
fn clock_time(then: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<String> {
    let (then, now) = (zoned(then, zone)?, zoned(now, zone)?);
    let form = if then.date() == now.date() { "%H:%M" } else { "%a %H:%M" };
    Some(then.strftime(form).to_string())
}

/// `GET /explain?model=M`: the chain that a request would walk now.
pub(crate) fn explain(
    app: &Arc<App>,
    world: &World,
    query: &str,
) -> Result<Response<ClientBody>, ProxyError> {
    let zone = world.zone();
    let model = query_value(query, "model");
    let shown = |name: &str| world.shown_name(name).into_owned();
    let chain = world
        .registry
        .resolve(model.as_deref(), world.unknown_model)
        .ok_or_else(|| ProxyError::unknown_model(&shown(model.as_deref().unwrap_or_default())))?;
    let ledger = app.ledger();
    let now = app.clock.now();
    let needs = world.plain_needs();
    let mut taken = false;
    let steps: Vec<Value> = chain
        .iter()
        .map(|candidate| {
            let deployment = &world.registry.deployments()[candidate.deployment];
            let spec = &world.registry.provider_of(deployment).spec;
            let state = availability(&world.registry, &ledger, deployment, &needs, now);
            let open = !matches!(state, Availability::Closed(_));
            let asked = candidate.model.as_deref().unwrap_or(&deployment.model);
            let known = Known::of(app, &spec.name, asked, findings(&ledger, deployment, now));
            let decision = match (open, taken) {
                (true, false) => "take",
                (true, true) => "next",
                (false, _) => "skip",
            };
            taken |= open;
            let mut step = json!({
                "provider": spec.name,
                "priority": spec.priority,
                "key": spec.keys[deployment.key],
                "model": candidate.model.as_deref().map_or_else(|| deployment.model.clone(), shown),
                "decision": decision,
            });
            merge(&mut step, known.json());
            merge(&mut step, availability_json(&state, &zone));
            step
        })
        .collect();
    drop(ledger);
    Ok(json_response(
        StatusCode::OK,
        &json!({"model": model.as_deref().map(shown), "chain": steps}),
    ))
}

/// `GET /metrics`
pub(crate) fn metrics(app: &Arc<App>, world: &World) -> Response<ClientBody> {
    let mut response = Response::new(ClientBody::from(Bytes::from(page(app, world))));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}
