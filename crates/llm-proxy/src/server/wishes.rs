//! What a client may wish for one request, by headers: a certain provider, others not, no money
//! spent. The headers stay here.

use std::sync::Arc;

use engine::Candidate;
use http::{HeaderMap, HeaderName};

use super::error::ProxyError;
use crate::world::World;

/// Only these providers, by name.
pub(crate) const PIN: HeaderName = HeaderName::from_static("x-provider");
/// Not these providers, by name.
pub(crate) const SKIP: HeaderName = HeaderName::from_static("x-skip-provider");
/// Anything but `true`: no provider that costs money.
pub(crate) const ALLOW_PAID: HeaderName = HeaderName::from_static("x-allow-paid");

/// What a client wishes for one request.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pinned: Vec<String>,
    skipped: Vec<String>,
    pub(crate) free_only: bool,
}

impl Wishes {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            pinned: names(headers, &PIN),
            skipped: names(headers, &SKIP),
            free_only: headers.get_all(ALLOW_PAID).iter().any(forbids),
        }
    }

    /// Takes the providers that are not wished for out of the chain. A name that nobody has is an
    /// error in either header, with what `unknown` says of it: a slip must not pass for a wish.
    pub(crate) fn narrow(
        &self,
        chain: &mut Arc<[Candidate]>,
        world: &World,
        unknown: impl Fn(&str) -> String,
    ) -> Result<(), ProxyError> {
        if self.pinned.is_empty() && self.skipped.is_empty() {
            return Ok(());
        }
        let known = |header: HeaderName, names: &[String]| {
            let known = |name: &String| {
                let unknown = || ProxyError::unknown_provider(&header, &unknown(name));
                provider_called(name, world).ok_or_else(unknown)
            };
            names.iter().map(known).collect::<Result<Vec<_>, _>>()
        };
        let (pinned, skipped) = (known(PIN, &self.pinned)?, known(SKIP, &self.skipped)?);
        let is_wished = |candidate: &&Candidate| {
            let deployment = &world.registry.deployments()[candidate.deployment];
            let name = world.registry.provider_of(deployment).spec.name.as_str();
            (pinned.is_empty() || pinned.contains(&name)) && !skipped.contains(&name)
        };
        *chain = chain.iter().filter(is_wished).cloned().collect();
        if chain.is_empty() {
            return Err(ProxyError::none_wished());
        }
        Ok(())
    }
}

/// The name of the provider that is called so, in whatever case if not in that one.
fn provider_called<'a>(name: &str, world: &'a World) -> Option<&'a str> {
    let mut all = world.registry.providers().iter();
    let exact = world.registry.provider_named(name);
    let found = exact.or_else(|| all.find(|one| one.spec.name.eq_ignore_ascii_case(name)));
    found.map(|provider| provider.spec.name.as_str())
}

/// Whether a value of `x-allow-paid` forbids: what is no clear yes spends no money.
fn forbids(value: &http::HeaderValue) -> bool {
    let word = value.to_str().unwrap_or_default().trim();
    !["true", "yes", "1", "on"].iter().any(|yes| word.eq_ignore_ascii_case(yes))
}

/// The names in a header, separated by commas.
fn names(headers: &HeaderMap, header: &HeaderName) -> Vec<String> {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
