//! Who may talk to us. A program on this machine may; a web page that happens to run in a
//! browser on this machine may not, whatever name it gives our address.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use settings::Server;

use super::error::ProxyError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// Lets a request in, or says why not. Keys are checked apart, by [`check_key`].
pub(crate) fn admit(parts: &Parts, server: &Server) -> Result<(), ProxyError> {
    check_host(parts, server)?;
    check_origin(parts, server)?;
    check_content_type(parts)
}

fn check_host(parts: &Parts, server: &Server) -> Result<(), ProxyError> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(ProxyError::bad_request(
            "bad_host",
            "the request needs exactly one Host header",
        ));
    };
    let named = host.to_str().unwrap_or_default();
    let in_url = parts.uri.authority().map(Authority::as_str);
    if host_is_allowed(named, server) && in_url.is_none_or(|host| host_is_allowed(host, server)) {
        return Ok(());
    }
    let shown: String = named.chars().take(100).collect();
    let message =
        format!("the Host {shown:?} is neither this machine nor listed in server.allowed_hosts");
    Err(ProxyError::forbidden("host_not_allowed", message))
}

fn host_is_allowed(host: &str, server: &Server) -> bool {
    let name = without_port(host);
    let is_ours = || !server.is_wildcard() && name.eq_ignore_ascii_case(&server.host);
    let listed = |allowed: &String| {
        *allowed == name.to_ascii_lowercase() || *allowed == host.to_ascii_lowercase()
    };
    is_loopback_name(name) || is_ours() || server.allowed_hosts.iter().any(listed)
}

/// The host of `host:port`, an IPv6 address without its brackets.
fn without_port(host: &str) -> &str {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((address, "")) => address,
            Some((address, port)) if port.strip_prefix(':').is_some_and(is_port) => address,
            _ => host,
        };
    }
    match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => host,
    }
}

fn is_loopback_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_name = || name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let ends = |end: &str| {
        let start = name.len().checked_sub(end.len());
        start.and_then(|at| name.get(at..)).is_some_and(|rest| rest.eq_ignore_ascii_case(end))
    };
    name.eq_ignore_ascii_case("localhost")
        || (ends(".localhost") && is_name())
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The origin of the request if it is one that may read our answers.
pub(crate) fn allowed_origin<'h>(
    headers: &'h HeaderMap,
    server: &Server,
) -> Option<&'h HeaderValue> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return None;
    };
    origin_is_allowed(origin.to_str().ok()?, server).then_some(origin)
}

fn origin_is_allowed(origin: &str, server: &Server) -> bool {
    let lower = origin.to_ascii_lowercase();
    let is_local = lower.split_once("://").is_some_and(|(scheme, authority)| {
        matches!(scheme, "http" | "https") && is_loopback_name(without_port(authority))
    });
    is_local || server.allowed_origins.contains(&lower)
}

fn check_origin(parts: &Parts, server: &Server) -> Result<(), ProxyError> {
    let refused = |shown: &str| {
        let shown: String = shown.chars().take(100).collect();
        let message = format!(
            "pages from {shown} may not use this proxy; server.allowed_origins can allow them"
        );
        Err(ProxyError::forbidden("origin_not_allowed", message))
    };
    for origin in parts.headers.get_all(ORIGIN) {
        match origin.to_str() {
            Ok(origin) if origin_is_allowed(origin, server) => {}
            Ok(origin) => return refused(origin),
            Err(_) => return refused("this origin"),
        }
    }
    if !parts.headers.contains_key(ORIGIN) && is_embedded_elsewhere(parts) {
        return refused("another site");
    }
    Ok(())
}

/// Whether a page of another site asks without saying so: as a form, a frame or an image. A person
/// who follows a link to us is no such page.
fn is_embedded_elsewhere(parts: &Parts) -> bool {
    let says =
        |name: HeaderName, word: &str| parts.headers.get(name).is_some_and(|value| value == word);
    let is_foreign = says(SEC_FETCH_SITE, "cross-site");
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return is_foreign;
    }
    (is_foreign || says(SEC_FETCH_SITE, "same-site")) && !says(SEC_FETCH_DEST, "document")
}

/// A browser sends `text/plain` across origins without asking first, so it must say JSON.
fn check_content_type(parts: &Parts) -> Result<(), ProxyError> {
    let is_browser =
        parts.headers.contains_key(ORIGIN) || parts.headers.contains_key(SEC_FETCH_SITE);
    if parts.method != Method::POST || !is_browser {
        return Ok(());
    }
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(ProxyError::not_json())
    }
}

/// Asks for one of the proxy's own keys, where it has some.
pub(crate) fn check_key(headers: &HeaderMap, server: &Server) -> Result<(), ProxyError> {
    if server.api_keys.is_empty() {
        return Ok(());
    }
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key)
        .or_else(|| headers.get(X_API_KEY)?.to_str().ok())
        .or_else(|| headers.get(API_KEY)?.to_str().ok())
        .unwrap_or_default()
        .trim();
    // Every key is compared, so that the time taken tells nothing of which one was near.
    let matches = server.api_keys.iter().fold(false, |found, key| found | key.matches(given));
    if matches { Ok(()) } else { Err(ProxyError::wrong_key()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_many_names() {
        for host in [
            "localhost",
            "localhost:8000",
            "127.0.0.1:1",
            "127.8.8.8",
            "[::1]:8000",
            "app.localhost",
            "LOCALHOST",
        ] {
            assert!(is_loopback_name(without_port(host)), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "[::1].evil.example",
            "[::1",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "0.0.0.0",
        ] {
            assert!(!is_loopback_name(without_port(host)), "{host}");
        }
    }
}
