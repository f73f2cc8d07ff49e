//! What a person does to the running proxy: reload, reset, disable, enable.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::json;
use wire::json::{Kind, View};

use super::body::ClientBody;
use super::error::{ProxyError, json_response};
use super::query::query_value;
use crate::app::App;

/// A person's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Read the configuration anew.
    Reload,
    /// Forget cooldowns and parked marks.
    Reset,
    /// Do not use a provider.
    Disable,
    /// Use it again.
    Enable,
}

/// Does it.
pub(crate) fn act(
    app: &Arc<App>,
    action: Action,
    body: &[u8],
    query: &str,
) -> Result<Response<ClientBody>, ProxyError> {
    if action == Action::Reload {
        return Ok(reload(app));
    }
    let provider = provider_of(body, query)?;
    let Some(name) = provider.as_deref() else {
        if action != Action::Reset {
            let message = "name the provider: {\"provider\": \"groq\"}";
            return Err(ProxyError::bad_request("missing_provider", message));
        }
        app.reset(None);
        return Ok(done("every provider starts afresh"));
    };
    if !app.is_known(name) {
        let message = app.unknown_provider(name);
        return Err(ProxyError::bad_request("unknown_provider", message));
    }
    match action {
        Action::Disable | Action::Enable => app.set_disabled(name, action == Action::Disable),
        Action::Reset | Action::Reload => app.reset(Some(name)),
    }
    Ok(done(match action {
        Action::Disable => "switched off",
        Action::Enable => "switched on",
        Action::Reset | Action::Reload => "starts afresh",
    }))
}

fn done(message: &str) -> Response<ClientBody> {
    json_response(StatusCode::OK, &json!({"status": "success", "message": message}))
}

fn reload(app: &Arc<App>) -> Response<ClientBody> {
    match app.reload() {
        Ok(loaded) => json_response(
            StatusCode::OK,
            &json!({
                "status": "success",
                "message": format!("Configuration reloaded: {loaded} providers"),
                "providers_loaded": loaded,
            }),
        ),
        Err(problems) => {
            let message = format!("the configuration stays as it was: {}", problems.join("; "));
            ProxyError::bad_request("invalid_configuration", message).into_response()
        }
    }
}

/// The provider named in the body or in the query.
fn provider_of(body: &[u8], query: &str) -> Result<Option<String>, ProxyError> {
    if let Some(name) = query_value(query, "provider") {
        return Ok(Some(name));
    }
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let wrong =
        || ProxyError::bad_request("invalid_json", "send {\"provider\": \"groq\"} or nothing");
    let view = View::parse(body).map_err(|_| wrong())?;
    if view.kind() != Kind::Object {
        return Err(wrong());
    }
    match view.get("provider") {
        None => Ok(None),
        Some(name) if name.is_null() => Ok(None),
        Some(name) => name.as_str().map(|name| Some(name.into_owned())).ok_or_else(wrong),
    }
}
