//! `GET /`: what there is, as JSON for programs and as a page for people, and the page's own files.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;

use super::body::ClientBody;
use super::error::json_response;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The page may talk to the proxy that served it and to nobody else, and no text can become a
/// script or markup in it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// A file of the page, part of the program.
pub(crate) struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const PAGE: Asset = Asset { name: "", kind: HTML, text: include_str!("page/index.html") };

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        Asset { name: $name, kind: $kind, text: include_str!(concat!("page/", $name)) }
    };
}

static ASSETS: [Asset; 10] = [
    asset!("style.css", CSS),
    asset!("app.js", JS),
    asset!("dom.js", JS),
    asset!("feed.js", JS),
    asset!("glance.js", JS),
    asset!("link.js", JS),
    asset!("providers.js", JS),
    asset!("route.js", JS),
    asset!("time.js", JS),
    asset!("usage.js", JS),
];

/// The file of the page that is called so.
pub(crate) fn find_asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

pub(crate) fn home(headers: &HeaderMap) -> Response<ClientBody> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") { file(&PAGE, headers) } else { endpoints() }
}

/// A file, unless the browser has it already.
pub(crate) fn file(asset: &Asset, asked: &HeaderMap) -> Response<ClientBody> {
    let tag = tag(asset.text);
    let is_known = asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let text = if is_known { "" } else { asset.text };
    let mut response = Response::new(ClientBody::from(Bytes::from_static(text.as_bytes())));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // A newer program may have newer files, so the browser has to ask each time.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

fn tag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

fn endpoints() -> Response<ClientBody> {
    let list = json!({
        "name": "llm-proxy",
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": {
            "POST /v1/chat/completions": "chat, plain and streaming",
            "POST /v1/completions": "legacy completions, plain and streaming",
            "GET /v1/models": "the names that can be asked for",
            "GET /health": "whether the process is up",
            "GET /status": "the providers and their state",
            "GET /explain": "the chain that a request would walk now",
            "GET /requests": "the newest requests, with their hops",
            "GET /usage": "what was used, by provider, model, key, day or hour",
            "GET /events": "the state and each request as it ends, as server-sent events",
            "GET /metrics": "Prometheus metrics",
            "POST /reload": "read the configuration anew",
            "POST /reset": "forget cooldowns and parked marks",
            "POST /disable": "do not use a provider",
            "POST /enable": "use it again",
        },
    });
    json_response(StatusCode::OK, &list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_in<'t>(text: &'t str, before: &'t str) -> impl Iterator<Item = &'t str> {
        text.split(before).skip(1).filter_map(|rest| rest.split(['\'', '"']).next())
    }

    #[test]
    fn every_file_that_the_page_names_is_served() {
        let in_html = named_in(PAGE.text, "\"page/");
        let in_modules = ASSETS.iter().flat_map(|asset| named_in(asset.text, " from './"));
        let named: Vec<_> = in_html.chain(in_modules).collect();
        assert!(named.len() > ASSETS.len(), "{named:?}");
        for name in named {
            assert!(find_asset(name).is_some(), "{name}");
        }
    }

    #[test]
    fn no_file_of_the_page_names_another_host() {
        for asset in ASSETS.iter().chain([&PAGE]) {
            assert!(!asset.text.contains("://"), "{}", asset.name);
        }
    }
}
