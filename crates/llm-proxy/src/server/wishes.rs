//! What a client may wish for one request, by headers: a certain provider, others not, no money
//! spent. The headers stay here.

use std::sync::Arc;

use engine::Candidate;
use http::HeaderMap;

use super::error::ProxyError;
use crate::world::World;

/// Only these providers, by name.
pub(crate) const PIN: &str = "x-provider";
/// Not these providers, by name.
pub(crate) const SKIP: &str = "x-skip-provider";
/// Anything but `true`: no provider that costs money.
pub(crate) const ALLOW_PAID: &str = "x-allow-paid";

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
            pinned: names(headers, PIN),
            skipped: names(headers, SKIP),
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
        let is_unknown = |name: &&String| world.registry.provider_named(name).is_none();
        let headers = [(PIN, &self.pinned), (SKIP, &self.skipped)];
        for (header, names) in headers {
            if let Some(name) = names.iter().find(is_unknown) {
                return Err(ProxyError::unknown_provider(header, &unknown(name)));
            }
        }
        let is_wished = |candidate: &&Candidate| {
            let deployment = &world.registry.deployments()[candidate.deployment];
            let name = &world.registry.provider_of(deployment).spec.name;
            (self.pinned.is_empty() || self.pinned.contains(name)) && !self.skipped.contains(name)
        };
        *chain = chain.iter().filter(is_wished).cloned().collect();
        if chain.is_empty() {
            return Err(ProxyError::none_wished());
        }
        Ok(())
    }
}

/// Whether a value of `x-allow-paid` forbids: what is no clear yes spends no money.
fn forbids(value: &http::HeaderValue) -> bool {
    let word = value.to_str().unwrap_or_default().trim();
    !["true", "yes", "1", "on"].iter().any(|yes| word.eq_ignore_ascii_case(yes))
}

/// The names in a header, separated by commas.
fn names(headers: &HeaderMap, header: &str) -> Vec<String> {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
