//! From a base URL, however it was written, to the URLs that are called.
//!
//! Users write a base with `/v1`, without it, or the whole URL; known providers have paths of their
//! own. The rules are here and nowhere else:
//! 1. a URL that ends in `/chat/completions` is taken as it is;
//! 2. on a known host, a path that is the beginning of the provider's own, or a stray `/v1`,
//!    becomes the provider's own;
//! 3. a path that ends in a version (`/v1`, `/v4`, `/v3/openai`, `/inference`) gets only
//!    `/chat/completions`, any other gets `/v1/chat/completions`.

use crate::catalogue::CatalogueEntry;
use crate::problem::Fault;
use crate::url::Url;

const CHAT: &str = "/chat/completions";

/// The URLs of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Chat completions.
    pub chat: String,
    /// Legacy completions.
    pub completions: String,
    /// The list of models.
    pub models: String,
}

impl Endpoints {
    /// Returns the host of the chat URL: a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        let rest = self.chat.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or(rest);
        match authority.rfind(':') {
            Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
            _ => authority,
        }
    }

    /// Returns the port of the chat URL.
    pub fn port(&self) -> u16 {
        Url::parse(&self.chat).map_or(0, |url| url.port())
    }

    /// Tells whether the chat URL is plain `http`.
    pub fn is_plain_http(&self) -> bool {
        self.chat.starts_with("http://")
    }

    /// Tells whether the provider runs on this machine.
    pub fn is_loopback(&self) -> bool {
        crate::url::is_loopback(self.host())
    }
}

/// Derives the URLs of a provider from its base URL.
///
/// `endpoint_override` is the exact path of chat completions, put behind the base URL (a `/v1` that
/// both have is used once), or a whole URL.
///
/// # Errors
/// Says what is wrong with a URL that is not a plain `http` or `https` URL.
pub fn endpoints(
    base_url: &str,
    endpoint_override: Option<&str>,
    entry: Option<&CatalogueEntry>,
) -> Result<Endpoints, Fault> {
    let base = Url::parse(base_url)?;
    let entry = entry.filter(|entry| entry.owns_host(base.host()));
    let stem = stem(&base, entry);
    let derived = |chat: String, stem: &Url| Endpoints {
        chat,
        completions: entry
            .and_then(|entry| entry.completions_url.clone())
            .unwrap_or_else(|| stem.with_tail("/completions")),
        models: entry
            .and_then(|entry| entry.models_url.clone())
            .unwrap_or_else(|| stem.with_tail("/models")),
    };
    let Some(path) = endpoint_override else {
        if !stem.has_query() || is_chat(base.path()) {
            return Ok(derived(stem.with_tail(CHAT), &stem));
        }
        return Err(Fault::new("a base URL has no query")
            .hint(format!("only a whole URL that ends in {CHAT} may have one")));
    };
    let chat = overridden(&base, path)?;
    let siblings = if is_chat(chat.path()) { chat.with_path(cut_chat(chat.path())) } else { stem };
    Ok(derived(chat.to_string(), &siblings))
}

fn is_chat(path: &str) -> bool {
    path.ends_with(CHAT)
}

fn cut_chat(path: &str) -> &str {
    path.strip_suffix(CHAT).unwrap_or(path)
}

/// The exact chat URL that an override gives.
fn overridden(base: &Url, path: &str) -> Result<Url, Fault> {
    let path = path.trim();
    if path.contains("://") {
        return Url::parse(path);
    }
    let front = cut_chat(base.path());
    let path = path.trim_start_matches('/');
    let front = match path.strip_prefix("v1/") {
        Some(_) => front.strip_suffix("/v1").unwrap_or(front),
        None => front,
    };
    Url::parse(&base.with_path(front).without_query().with_tail(&format!("/{path}")))
}

/// The URL to which `/chat/completions`, `/completions` and `/models` are appended.
fn stem(base: &Url, entry: Option<&CatalogueEntry>) -> Url {
    let path = base.path();
    if is_chat(path) {
        return base.with_path(cut_chat(path));
    }
    if let Some(entry) = entry {
        let own = own_path(entry);
        if let Some(path) = completed(path, &own) {
            return base.with_path(&path);
        }
        if !ends_in_version(&own) && !ends_in_version(path) {
            return base.clone();
        }
    }
    if ends_in_version(path) { base.clone() } else { base.with_path(&format!("{path}/v1")) }
}

/// The path of a catalogue URL without `/chat/completions`; it may hold placeholders.
fn own_path(entry: &CatalogueEntry) -> String {
    let rest = entry.chat_url.split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').map_or_else(String::new, |slash| cut_chat(&rest[slash..]).to_owned())
}

/// The provider's own path, if the written one is its beginning, or it with a stray `/v1`.
fn completed(path: &str, own: &str) -> Option<String> {
    let is_placeholder = |segment: &str| segment.starts_with('{');
    let stray = path.strip_suffix("/v1").filter(|front| front.is_empty() || *front == own);
    if stray.is_some() && !own.contains('{') {
        return Some(own.to_owned());
    }
    let written: Vec<&str> = path.split('/').collect();
    let whole: Vec<&str> = own.split('/').collect();
    let begins = written.len() <= whole.len()
        && written.iter().zip(&whole).all(|(w, o)| w == o || (is_placeholder(o) && !w.is_empty()));
    let rest = whole.get(written.len()..).filter(|_| begins)?;
    let complete = !rest.iter().any(|segment| is_placeholder(segment));
    complete.then(|| [&written[..], rest].concat().join("/"))
}

/// Tells whether a path ends in an API version, after which no `/v1` may come.
fn ends_in_version(path: &str) -> bool {
    let mut segments = path.rsplit('/');
    let last = segments.next().unwrap_or_default();
    match last {
        "openai" => segments.next().is_some_and(is_version),
        "inference" => true,
        _ => is_version(last),
    }
}

/// `v1`, `v4`, `v1beta`, `v1beta2`.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else {
        return false;
    };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = rest.len() + 1 < segment.len();
    let tail = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    numbered && matches!(tail, "" | "beta" | "alpha")
}

#[cfg(test)]
mod tests;
