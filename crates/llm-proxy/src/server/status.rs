//! `/health`, `/status`, `/explain` and `/metrics`: the state of the proxy, read only.

use std::sync::Arc;

use bytes::Bytes;
use engine::{
    Availability, Budget, Closed, DeclaredUse, DeploymentView, Dimension, Origin, ProviderView,
    Reason, Timestamp, availability, view,
};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::body::ClientBody;
use super::error::{ProxyError, json_response};
use super::query::query_value;
use super::report::{moment, reason, reason_word};
use crate::app::App;
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
    let (views, today) = {
        let mut ledger = app.ledger();
        let views = view(&world.registry, &mut ledger, &world.plain_needs(), app.clock.now());
        (views, ledger.today().to_owned())
    };
    let available = views.iter().filter(|view| view.closed.is_none()).count();
    let providers: Vec<Value> =
        views.iter().map(|view| provider_json(view, &today, &zone)).collect();
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
        "now": moment(app.clock.now(), &zone),
        "time_zone": zone.iana_name(),
        "version": env!("CARGO_PKG_VERSION"),
        "config": app.config_file(),
        "state": app.memory.health_json(),
    })
}

fn provider_json(view: &ProviderView, today: &str, zone: &TimeZone) -> Value {
    let until = view.closed.as_ref().and_then(|closed| closed.until);
    let limited = view.closed.as_ref().is_some_and(|closed| closed.until.is_some());
    json!({
        "name": view.name,
        "priority": view.priority,
        "model": view.deployments.first().map(|deployment| &deployment.model),
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
        "deployments": view.deployments.iter().map(|one| deployment_json(one, zone)).collect::<Vec<_>>(),
    })
}

fn deployment_json(view: &DeploymentView, zone: &TimeZone) -> Value {
    let mut told = json!({
        "model": view.model,
        "key": if view.key.is_empty() { Value::Null } else { Value::from(view.key.as_str()) },
        "in_flight": view.in_flight,
        "request_count": view.requests,
        "total_tokens_used": view.tokens,
        "quotas": quotas(view, zone),
    });
    merge(&mut told, availability_json(&view.availability, zone));
    told
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

fn state_word(closed: &Closed) -> &'static str {
    if closed.is_parked() {
        return "parked";
    }
    match closed.reason {
        Reason::Probing => "half_open",
        Reason::Busy => "busy",
        Reason::DoesNotFit | Reason::Lacks(_) => "unfit",
        Reason::Fault { .. }
        | Reason::LimitUsedUp(_)
        | Reason::Disabled
        | Reason::PaidForbidden => "cooling",
    }
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

fn quotas(view: &DeploymentView, zone: &TimeZone) -> Vec<Value> {
    let declared = view.declared.iter().map(|used| declared_json(used, zone));
    declared.chain(view.learned.iter().map(|budget| learned_json(budget, zone))).collect()
}

const fn dimension_word(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Requests => "requests",
        Dimension::Tokens => "tokens",
    }
}

fn declared_json(used: &DeclaredUse, zone: &TimeZone) -> Value {
    json!({
        "counts": dimension_word(used.dimension),
        "per": used.window.as_str(),
        "limit": used.limit,
        "remaining": used.limit.saturating_sub(used.used),
        "resets_at": moment(used.free_at, zone),
        "origin": Origin::Declared.as_str(),
    })
}

fn learned_json(budget: &Budget, zone: &TimeZone) -> Value {
    let at = |moment_of: Option<Timestamp>| moment_of.and_then(|then| moment(then, zone));
    json!({
        "counts": dimension_word(budget.dimension),
        "per": budget.window.as_str(),
        "limit": budget.limit,
        "remaining": budget.remaining,
        "resets_at": at(budget.full_at.or(budget.next_at)),
        "origin": Origin::Learned.as_str(),
    })
}

/// `GET /explain?model=M`: the chain that a request would walk now.
pub(crate) fn explain(
    app: &Arc<App>,
    world: &World,
    query: &str,
) -> Result<Response<ClientBody>, ProxyError> {
    let zone = world.zone();
    let model = query_value(query, "model");
    let chain = world
        .registry
        .resolve(model.as_deref(), world.unknown_model)
        .ok_or_else(|| ProxyError::unknown_model(model.as_deref().unwrap_or_default()))?;
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
                "model": candidate.model.as_ref().unwrap_or(&deployment.model),
                "decision": decision,
            });
            merge(&mut step, availability_json(&state, &zone));
            step
        })
        .collect();
    drop(ledger);
    Ok(json_response(StatusCode::OK, &json!({"model": model, "chain": steps})))
}

/// `GET /metrics`
pub(crate) fn metrics(app: &Arc<App>, world: &World) -> Response<ClientBody> {
    let views = view(&world.registry, &mut app.ledger(), &world.plain_needs(), app.clock.now());
    let text = app.metrics.render(&views);
    let mut response = Response::new(ClientBody::from(Bytes::from(text)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    response
}
