//! Just as much of a URL as a base URL needs: scheme, host, port, path and query, strictly checked.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::problem::Fault;

/// The longest URL in bytes.
const LONGEST: usize = 2048;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    scheme: &'static str,
    authority: String,
    path: String,
    query: Option<String>,
}

impl Url {
    /// Reads an absolute URL; the path loses the slashes at its end.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Fault::new("a URL begins with https:// or http://"));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => "http",
            "https" => "https",
            _ => return Err(Fault::new("a URL begins with https:// or http://")),
        };
        if text.len() > LONGEST {
            return Err(Fault::new("the URL is longer than 2048 bytes"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        check_authority(authority)?;
        if let Some(bad) = rest.chars().find(|c| !is_path_char(*c)) {
            return Err(Fault::new(format!("the URL holds the character {bad:?}")));
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (rest, None),
        };
        let path = path.trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority: authority.to_owned(), path, query })
    }

    /// Returns the host, an IPv6 address in its brackets.
    pub(crate) fn host(&self) -> &str {
        split_port(&self.authority).0
    }

    pub(crate) fn port(&self) -> u16 {
        let standard = if self.scheme == "https" { 443 } else { 80 };
        split_port(&self.authority).1.and_then(|port| port.parse().ok()).unwrap_or(standard)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn has_query(&self) -> bool {
        self.query.is_some()
    }

    pub(crate) fn with_path(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    pub(crate) fn without_query(self) -> Self {
        Self { query: None, ..self }
    }

    /// Returns the URL with more behind its path.
    pub(crate) fn with_tail(&self, tail: &str) -> String {
        self.with_path(&format!("{}{tail}", self.path)).to_string()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// Tells whether a text is a bare address or a name, as one listens on.
pub(crate) fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || (!text.is_empty() && text.bytes().all(is_host_byte))
}

/// Tells whether a host (an IPv6 address in brackets or bare) can only be this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let named =
        bare.eq_ignore_ascii_case("localhost") || bare.to_ascii_lowercase().ends_with(".localhost");
    named || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => {
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        _ => (authority, None),
    }
}

fn check_authority(authority: &str) -> Result<(), Fault> {
    if authority.contains('@') {
        return Err(Fault::new("the URL holds a user name or password").hint("put keys in api_key"));
    }
    let (host, port) = split_port(authority);
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |number| number == 0)) {
        return Err(Fault::new("the URL's port is not between 1 and 65535"));
    }
    let valid = match host.strip_prefix('[') {
        Some(address) => {
            address.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
        }
        None => !host.is_empty() && host.bytes().all(is_host_byte),
    };
    if valid { Ok(()) } else { Err(Fault::new("the URL's host is not a name or an address")) }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// The characters that RFC 3986 allows in a path and a query.
fn is_path_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?@!$&'()*+,;=%[]".contains(c)
}
