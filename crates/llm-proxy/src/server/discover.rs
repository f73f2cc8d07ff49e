//! The model of a provider for which none is named: the first chat model of its own list.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;
use wire::json::{Kind, View};

use crate::app::App;
use crate::lock::lock;
use crate::upstream::{Client, Failure, list_models};
use crate::world::Route;

/// The largest list that is read; OpenRouter's has some hundred models and about 1 MB.
const LARGEST_LIST: usize = 16 << 20;

/// How long asking for the list may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Words in the ids of models that do not chat.
const NOT_CHAT: [&str; 17] = [
    "embed",
    "whisper",
    "tts",
    "rerank",
    "moderation",
    "dall-e",
    "image",
    "audio",
    "speech",
    "transcribe",
    "guard",
    "ocr",
    "vision-encoder",
    "diffusion",
    "video",
    "realtime",
    "clip",
];

/// The id of the provider's first chat model, remembered until the configuration changes.
pub(crate) async fn discover(
    app: &Arc<App>,
    client: &Client,
    route: &Arc<Route>,
    key: usize,
    limit: Duration,
) -> Result<String, Failure> {
    let name = &route.provider.name;
    if let Some(model) = lock(&app.discovered).get(name) {
        return Ok(model.clone());
    }
    let listed = timeout(limit.min(PATIENCE), list(client, route, key))
        .await
        .unwrap_or_else(|_| Err(Failure::silence("no list of models in time")))?;
    let chosen = listed.into_iter().find(|id| is_chat(id));
    let model = chosen
        .ok_or_else(|| Failure::no_answer("its list has no chat model; name one as model"))?;
    app.log.info(format_args!("{name}: using its model {model}"));
    lock(&app.discovered).insert(name.clone(), model.clone());
    Ok(model)
}

/// The ids of the provider's models, in its order.
pub(crate) async fn list(
    client: &Client,
    route: &Arc<Route>,
    key: usize,
) -> Result<Vec<String>, Failure> {
    let reply =
        client.send(&list_models(route, key)).await.map_err(|error| Failure::connection(&error))?;
    let status = reply.status();
    let body = Limited::new(reply.into_body(), LARGEST_LIST).collect().await;
    let body =
        body.map_err(|_| Failure::lost("the list of models was cut or too large"))?.to_bytes();
    if !status.is_success() {
        return Err(Failure::list_refused(status, &body));
    }
    Ok(ids(&body))
}

fn ids(body: &[u8]) -> Vec<String> {
    let Ok(whole) = View::parse(body) else {
        return Vec::new();
    };
    let list = if whole.kind() == Kind::Array { Some(whole) } else { whole.get("data") };
    let models = list.into_iter().flat_map(View::elements);
    models.filter_map(|model| Some(model.get("id")?.as_str()?.into_owned())).collect()
}

fn is_chat(id: &str) -> bool {
    let id = id.to_ascii_lowercase();
    !NOT_CHAT.iter().any(|word| id.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_model_that_chats_is_chosen() {
        let body = br#"{"data":[{"id":"text-embedding-3"},{"id":"whisper-1"},{"id":"gpt-x"},{"id":"gpt-y"}]}"#;
        assert_eq!(ids(body).into_iter().find(|id| is_chat(id)).as_deref(), Some("gpt-x"));
        assert!(ids(b"<html>").is_empty());
    }
}
