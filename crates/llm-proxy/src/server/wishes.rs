//! What a client may wish for one request, by headers: a certain provider, others not, no money
//! spent. The headers stay here.

use engine::Candidate;
use http::HeaderMap;

use super::error::ProxyError;
use crate::world::World;

/// Only these providers, by name.
pub(crate) const PIN: &str = "x-provider";
/// Not these providers, by name.
pub(crate) const SKIP: &str = "x-skip-provider";
/// `false`: no provider that costs money.
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
        let allowed = headers.get(ALLOW_PAID).and_then(|value| value.to_str().ok()).map(str::trim);
        let refusals = ["false", "no", "0", "off"];
        Self {
            pinned: names(headers, PIN),
            skipped: names(headers, SKIP),
            free_only: allowed
                .is_some_and(|word| refusals.iter().any(|no| word.eq_ignore_ascii_case(no))),
        }
    }

    /// Takes the providers that are not wished for out of the chain.
    pub(crate) fn narrow(
        &self,
        chain: &mut Vec<Candidate>,
        world: &World,
    ) -> Result<(), ProxyError> {
        if self.pinned.is_empty() && self.skipped.is_empty() {
            return Ok(());
        }
        let known = |name: &&String| world.registry.provider_named(name).is_none();
        if let Some(name) = self.pinned.iter().find(known) {
            return Err(ProxyError::unknown_provider(name));
        }
        chain.retain(|candidate| {
            let deployment = &world.registry.deployments()[candidate.deployment];
            let name = &world.registry.provider_of(deployment).spec.name;
            (self.pinned.is_empty() || self.pinned.contains(name)) && !self.skipped.contains(name)
        });
        if chain.is_empty() {
            return Err(ProxyError::none_wished());
        }
        Ok(())
    }
}

/// The names in a header, separated by commas.
fn names(headers: &HeaderMap, header: &str) -> Vec<String> {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
