//! Which path is answered by what.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderValue, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::timeout;
use wire::Endpoint;

use super::body::ClientBody;
use super::control::{self, Action};
use super::error::ProxyError;
use super::heartbeat::relay_alive;
use super::home::Asset;
use super::intake::{Intake, read_body};
use super::{events, guard, history, home, models, status};
use crate::app::App;
use crate::instance::has_been_here;
use crate::world::World;

/// What answers a path.
enum Route<'p> {
    Home,
    /// A file of the page for people.
    Page(&'static Asset),
    Health,
    Status,
    Explain,
    Metrics,
    Events,
    Requests,
    Usage,
    Models,
    Model(&'p str),
    Control(Action),
    Proxied(Endpoint),
}

impl<'p> Route<'p> {
    /// Both forms of base URL work, with and without `/v1`.
    fn find(path: &'p str) -> Option<Self> {
        let found = match path {
            "/" => Self::Home,
            "/health" => Self::Health,
            "/status" | "/stats" => Self::Status,
            "/explain" => Self::Explain,
            "/metrics" => Self::Metrics,
            "/events" => Self::Events,
            "/requests" => Self::Requests,
            "/usage" => Self::Usage,
            "/reload" => Self::Control(Action::Reload),
            "/reset" => Self::Control(Action::Reset),
            "/disable" => Self::Control(Action::Disable),
            "/enable" => Self::Control(Action::Enable),
            _ => match path.strip_prefix("/page/") {
                Some(name) => Self::Page(home::find_asset(name)?),
                None => return Self::find_api(path.strip_prefix("/v1").unwrap_or(path)),
            },
        };
        Some(found)
    }

    fn find_api(path: &'p str) -> Option<Self> {
        match path {
            "/chat/completions" => Some(Self::Proxied(Endpoint::Chat)),
            "/completions" => Some(Self::Proxied(Endpoint::Completions)),
            "/models" => Some(Self::Models),
            _ => path.strip_prefix("/models/").filter(|id| !id.is_empty()).map(Self::Model),
        }
    }

    const fn takes(&self) -> &'static str {
        match self {
            Self::Control(_) | Self::Proxied(_) => "POST",
            Self::Home
            | Self::Page(_)
            | Self::Health
            | Self::Status
            | Self::Explain
            | Self::Metrics
            | Self::Events
            | Self::Requests
            | Self::Usage
            | Self::Models
            | Self::Model(_) => "GET",
        }
    }

    /// What tells nothing of the configuration may be asked without a key.
    const fn is_open(&self) -> bool {
        matches!(self, Self::Health | Self::Home | Self::Page(_))
    }
}

/// Answers one request.
pub(crate) async fn respond(app: &Arc<App>, request: Request<Incoming>) -> Response<ClientBody> {
    let world = app.world();
    let (parts, body) = request.into_parts();
    let origin = guard::allowed_origin(&parts.headers, &world.settings.server).cloned();
    let answered = match guard::admit(&parts, &world.settings.server) {
        Ok(()) => answer(app, &world, parts, body).await,
        Err(error) => Err(error),
    };
    let mut response = answered.unwrap_or_else(|error| error.into_counted(app));
    if let Some(origin) = origin {
        grant(response.headers_mut(), origin);
    }
    response
}

async fn answer(
    app: &Arc<App>,
    world: &World,
    parts: Parts,
    body: Incoming,
) -> Result<Response<ClientBody>, ProxyError> {
    let path = parts.uri.path();
    let route = Route::find(path).ok_or_else(|| ProxyError::unknown_path(path))?;
    if parts.method == Method::OPTIONS {
        return Ok(preflight(&parts.headers, route.takes()));
    }
    let is_read = parts.method == Method::HEAD && route.takes() == "GET";
    if parts.method.as_str() != route.takes() && !is_read {
        return Err(ProxyError::wrong_method(route.takes()));
    }
    if !route.is_open() {
        guard::check_key(&parts.headers, &world.settings.server)?;
    }
    let query = parts.uri.query().unwrap_or_default();
    match route {
        Route::Home => Ok(home::home(&parts.headers)),
        Route::Page(asset) => Ok(home::file(asset, &parts.headers)),
        Route::Health => Ok(status::health(app, world)),
        Route::Status => Ok(status::status(app, world)),
        Route::Explain => status::explain(app, world, query),
        Route::Metrics => Ok(status::metrics(app, world)),
        Route::Events => events::events(app),
        Route::Requests => history::requests(app, world, query).await,
        Route::Usage => history::usage(app, world, query).await,
        Route::Models => Ok(models::list(app, world)),
        Route::Model(id) => models::one(app, world, id),
        Route::Control(action) => {
            let body = whole_body(world, body).await?;
            control::act(app, action, &body, query)
        }
        Route::Proxied(_) if has_been_here(&parts.headers) => Err(ProxyError::in_a_circle()),
        Route::Proxied(endpoint) => {
            let arrived = app.clock.now();
            let body = whole_body(world, body).await?;
            let intake = Intake::parse(endpoint, parts.headers, body, arrived)?;
            tokio::select! {
                biased;
                response = relay_alive(app, intake) => Ok(response),
                () = app.ending.cancelled() => Err(ProxyError::stopping()),
            }
        }
    }
}

async fn whole_body(world: &World, body: Incoming) -> Result<Bytes, ProxyError> {
    let patience = world.settings.rotation.request_timeout;
    match timeout(patience, read_body(body, world.settings.server.max_body)).await {
        Ok(body) => body,
        Err(_) => Err(ProxyError::slow_body()),
    }
}

/// Lets a page of this machine read the answer.
fn grant(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

fn preflight(asked: &HeaderMap, takes: &'static str) -> Response<ClientBody> {
    let mut response = Response::new(ClientBody::Whole(None));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(http::header::ALLOW, HeaderValue::from_static(takes));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(takes));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(wanted) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}
