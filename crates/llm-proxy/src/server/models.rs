//! `GET /v1/models`: the names that a client may ask for.

use std::collections::HashSet;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::body::ClientBody;
use super::error::{ProxyError, json_response};
use crate::app::App;
use crate::world::World;

/// The list in OpenAI's shape.
pub(crate) fn list(app: &App, world: &World) -> Response<ClientBody> {
    let created = app.started_at();
    let data: Vec<Value> = names(world).map(|(id, owner)| model(&id, &owner, created)).collect();
    json_response(StatusCode::OK, &json!({"object": "list", "data": data}))
}

/// One model of the list. Ids have slashes, so the rest of the path is the id.
pub(crate) fn one(app: &App, world: &World, id: &str) -> Result<Response<ClientBody>, ProxyError> {
    let id = super::query::percent_decoded(id);
    names(world)
        .find(|(name, _)| *name == id)
        .map(|(name, owner)| json_response(StatusCode::OK, &model(&name, &owner, app.started_at())))
        .ok_or_else(|| ProxyError::unknown_model(&world.shown_name(&id)))
}

fn model(id: &str, owner: &str, created: i64) -> Value {
    json!({"id": id, "object": "model", "created": created, "owned_by": owner})
}

/// `default`, the named chains, and every `provider/model`, each once.
fn names(world: &World) -> impl Iterator<Item = (String, String)> + '_ {
    let ours = |name: &str| (name.to_owned(), "llm-proxy".to_owned());
    let registry = &world.registry;
    let deployments = registry.deployments().iter().map(move |deployment| {
        let provider = &registry.provider_of(deployment).spec.name;
        (format!("{provider}/{}", deployment.model), provider.clone())
    });
    let mut told = HashSet::new();
    std::iter::once(ours("default"))
        .chain(registry.chain_names().map(ours))
        .chain(deployments)
        .filter(move |(id, _)| told.insert(id.clone()))
}
