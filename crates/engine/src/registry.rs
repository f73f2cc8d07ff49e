//! Who may serve which model, in which order, within which limits: the immutable half of the
//! state, made anew from each configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::Scope;
use crate::abilities::Abilities;
use crate::ledger::{Ledger, ProviderSlot, ScopeSlot, UsageSlot};
use crate::limits::Limits;

/// What the configuration says of one provider.
#[derive(Debug, Clone, Default)]
pub struct ProviderSpec {
    /// Its unique name.
    pub name: String,
    /// Lower is tried first.
    pub priority: i64,
    /// Fingerprints of its keys, in their order; one empty string for a provider without keys.
    pub keys: Vec<String>,
    /// Its models, in their order.
    pub models: Vec<String>,
    /// Models that only named chains ask for, in their order.
    pub chain_models: Vec<String>,
    /// What its models, and after them the chains' models, are known not to take; what is missing
    /// at the end lacks nothing.
    pub lacks: Vec<Abilities>,
    /// Its declared limits.
    pub limits: Limits,
    /// The common end of the models that share one budget of the key.
    pub shared_class: Option<String>,
    /// Whether its answers cost money.
    pub paid: bool,
    /// Whether its keys take turns instead of being used in order.
    pub spread_keys: bool,
}

/// One step of a named chain: a provider, and one of its models or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainStep {
    /// The provider's name.
    pub provider: String,
    /// One model, or all of the provider's.
    pub model: Option<String>,
}

/// Everything that a registry is made of, providers in order of priority.
#[derive(Debug, Clone, Default)]
pub struct RegistrySpec {
    /// The providers, sorted.
    pub providers: Vec<ProviderSpec>,
    /// The named chains.
    pub chains: Vec<(String, Vec<ChainStep>)>,
}

/// One provider as the rules see it.
#[derive(Debug, Clone)]
pub struct Provider {
    /// What the configuration says of it.
    pub spec: ProviderSpec,
    pub(crate) slot: ProviderSlot,
    pub(crate) scope: ScopeSlot,
    pub(crate) key_scopes: Vec<ScopeSlot>,
    /// The deployments of this provider, as indices into [`Registry::deployments`].
    pub deployments: Vec<usize>,
}

/// One way out: a provider, one of its keys, one of its models.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Index into [`Registry::providers`].
    pub provider: usize,
    /// Index into the provider's keys.
    pub key: usize,
    /// The upstream's model id.
    pub model: String,
    /// Whether it is in the default chain; a model that only named chains ask for is not.
    pub is_in_default: bool,
    /// What it is known not to take.
    pub lacks: Abilities,
    pub(crate) scopes: Scopes,
    pub(crate) usage: UsageSlot,
    pub(crate) key_usage: UsageSlot,
    /// Of those that share a budget with it.
    pub(crate) class_usage: Option<UsageSlot>,
}

impl Deployment {
    /// Wherever its use is counted.
    pub(crate) fn usages(&self) -> impl Iterator<Item = UsageSlot> + use<> {
        [Some(self.usage), Some(self.key_usage), self.class_usage].into_iter().flatten()
    }

    /// What replies report of budgets is of this use.
    pub(crate) fn reported_usage(&self, limits: &Limits) -> UsageSlot {
        let shared = if limits.is_per_account { self.key_usage } else { self.usage };
        self.class_usage.unwrap_or(shared)
    }
}

/// The scopes that one deployment lies in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scopes {
    pub(crate) provider: ScopeSlot,
    pub(crate) key: ScopeSlot,
    pub(crate) model: ScopeSlot,
    pub(crate) class: Option<ScopeSlot>,
    pub(crate) deployment: ScopeSlot,
}

impl Scopes {
    pub(crate) fn all(&self) -> impl Iterator<Item = ScopeSlot> + use<> {
        [Some(self.provider), Some(self.key), Some(self.model), self.class, Some(self.deployment)]
            .into_iter()
            .flatten()
    }

    pub(crate) fn of(&self, scope: &Scope) -> Option<ScopeSlot> {
        match scope {
            Scope::Request => None,
            Scope::Deployment => Some(self.deployment),
            Scope::Model => Some(self.model),
            Scope::ModelClass(_) => Some(self.class.unwrap_or(self.deployment)),
            Scope::Key => Some(self.key),
            Scope::Provider => Some(self.provider),
        }
    }
}

/// A candidate of one request's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Index into [`Registry::deployments`].
    pub deployment: usize,
    /// The model to ask for instead of the deployment's own.
    pub model: Option<String>,
}

/// What to do with a model name that nobody lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownModel {
    /// Each provider's own model is asked instead.
    #[default]
    Substitute,
    /// It is passed on as it is.
    Pass,
    /// The request is refused.
    Reject,
}

/// Who may serve which model, in which order.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    providers: Vec<Provider>,
    deployments: Vec<Deployment>,
    chains: Vec<(String, Vec<usize>)>,
    by_model: HashMap<String, Vec<usize>>,
    /// The default chain, which most requests share.
    whole: Arc<[Candidate]>,
    /// Whether the keys of any provider take turns.
    spreads_keys: bool,
}

impl Registry {
    /// Makes a registry whose scopes live in `ledger`. A provider, key or model that was there
    /// before keeps what the ledger knows of it.
    pub fn build(spec: RegistrySpec, ledger: &mut Ledger) -> Self {
        let mut registry = Self::default();
        for provider in spec.providers {
            registry.add_provider(provider, ledger);
        }
        for (name, steps) in spec.chains {
            let chain = registry.chain_of(&steps);
            registry.chains.push((name, chain));
        }
        for (index, deployment) in registry.deployments.iter().enumerate() {
            registry.by_model.entry(deployment.model.clone()).or_default().push(index);
        }
        registry.spreads_keys = registry.providers.iter().any(|provider| provider.spec.spread_keys);
        registry.whole = own_models(registry.defaults(0..registry.deployments.len()));
        ledger.keep_only(&registry);
        registry
    }

    fn add_provider(&mut self, spec: ProviderSpec, ledger: &mut Ledger) {
        let index = self.providers.len();
        let key_scopes: Vec<_> =
            spec.keys.iter().map(|key| ledger.key_scope(&spec.name, key)).collect();
        let mut provider = Provider {
            slot: ledger.provider_slot(&spec.name),
            scope: ledger.provider_scope(&spec.name),
            key_scopes,
            deployments: Vec::new(),
            spec,
        };
        let spec = &provider.spec;
        let (own, shared) = spec.limits.split();
        let none = Limits::default();
        for (position, model) in spec.models.iter().chain(&spec.chain_models).enumerate() {
            let class = spec.shared_class.as_deref().filter(|class| model.ends_with(class));
            let (own, of_class) = if class.is_some() { (&none, &own) } else { (&own, &none) };
            for (key, fingerprint) in spec.keys.iter().enumerate() {
                provider.deployments.push(self.deployments.len());
                self.deployments.push(Deployment {
                    provider: index,
                    key,
                    model: model.clone(),
                    is_in_default: position < spec.models.len(),
                    lacks: spec.lacks.get(position).copied().unwrap_or_default(),
                    scopes: ledger.scopes(&spec.name, fingerprint, model),
                    usage: ledger.usage_slot(&spec.name, fingerprint, model, own),
                    key_usage: ledger.key_usage_slot(&spec.name, fingerprint, &shared),
                    class_usage: class.map(|class| {
                        ledger.class_usage_slot(&spec.name, fingerprint, class, of_class)
                    }),
                });
            }
        }
        self.providers.push(provider);
    }

    fn chain_of(&self, steps: &[ChainStep]) -> Vec<usize> {
        let mut chain = Vec::new();
        for step in steps {
            let Some(provider) = self.provider_named(&step.provider) else {
                continue;
            };
            for &index in &provider.deployments {
                let deployment = &self.deployments[index];
                let wanted = match &step.model {
                    Some(model) => *model == deployment.model,
                    None => deployment.is_in_default,
                };
                if wanted && !chain.contains(&index) {
                    chain.push(index);
                }
            }
        }
        chain
    }

    /// The providers in order of priority.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// The deployments in the order of the default chain.
    pub fn deployments(&self) -> &[Deployment] {
        &self.deployments
    }

    pub(crate) const fn spreads_keys(&self) -> bool {
        self.spreads_keys
    }

    /// The names of the chains.
    pub fn chain_names(&self) -> impl Iterator<Item = &str> {
        self.chains.iter().map(|(name, _)| name.as_str())
    }

    /// The provider of that name.
    pub fn provider_named(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.spec.name == name)
    }

    /// The provider of a deployment.
    pub fn provider_of(&self, deployment: &Deployment) -> &Provider {
        &self.providers[deployment.provider]
    }

    /// The chain for the model name of a request; `None` if nobody serves it.
    ///
    /// A named chain wins over a model of the same name, a model that is listed over a
    /// provider's name in front of a slash, since model ids have slashes too.
    pub fn resolve(&self, model: Option<&str>, unknown: UnknownModel) -> Option<Arc<[Candidate]>> {
        let name = match model {
            None | Some("" | "default" | "auto") if !self.has_chain(model) => {
                return Some(self.whole());
            }
            None => return Some(self.whole()),
            Some(name) => name,
        };
        if let Some((_, chain)) = self.chains.iter().find(|(chain, _)| chain == name) {
            return Some(own_models(chain.iter().copied()));
        }
        if let Some(pinned) = self.pinned(name) {
            return Some(pinned);
        }
        if let Some(listed) = self.by_model.get(name) {
            return Some(own_models(listed.iter().copied()));
        }
        if let Some(provider) = self.provider_named(name.strip_suffix('/').unwrap_or(name)) {
            return Some(own_models(self.defaults(provider.deployments.iter().copied())));
        }
        if unknown == UnknownModel::Reject {
            return None;
        }
        if let Some(passed) = self.pinned_unlisted(name) {
            return Some(passed);
        }
        Some(match unknown {
            UnknownModel::Pass => self.everyone_with(name),
            UnknownModel::Substitute | UnknownModel::Reject => self.whole(),
        })
    }

    fn has_chain(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| self.chains.iter().any(|(chain, _)| chain == name))
    }

    fn whole(&self) -> Arc<[Candidate]> {
        Arc::clone(&self.whole)
    }

    /// Those of `indices` that are in the default chain.
    fn defaults(&self, indices: impl IntoIterator<Item = usize>) -> impl Iterator<Item = usize> {
        indices.into_iter().filter(|&index| self.deployments[index].is_in_default)
    }

    /// `provider/model` with a model that the provider lists.
    fn pinned(&self, name: &str) -> Option<Arc<[Candidate]>> {
        let (provider, model) = self.split_pin(name)?;
        let listed: Vec<usize> = provider
            .deployments
            .iter()
            .copied()
            .filter(|&index| self.deployments[index].model == model)
            .collect();
        (!listed.is_empty()).then(|| own_models(listed))
    }

    /// `provider/model` with a model that the provider does not list: it is asked all the same,
    /// for a pin is a person's explicit wish.
    fn pinned_unlisted(&self, name: &str) -> Option<Arc<[Candidate]>> {
        let (provider, model) = self.split_pin(name)?;
        Some(first_per_key(self, provider, model).into())
    }

    fn split_pin<'n>(&self, name: &'n str) -> Option<(&Provider, &'n str)> {
        name.match_indices('/').find_map(|(slash, _)| {
            let provider = self.provider_named(&name[..slash])?;
            let model = &name[slash + 1..];
            (!model.is_empty()).then_some((provider, model))
        })
    }

    fn everyone_with(&self, model: &str) -> Arc<[Candidate]> {
        self.providers.iter().flat_map(|provider| first_per_key(self, provider, model)).collect()
    }
}

fn own_models(deployments: impl IntoIterator<Item = usize>) -> Arc<[Candidate]> {
    deployments.into_iter().map(|deployment| Candidate { deployment, model: None }).collect()
}

/// One candidate for each key of the provider, asked for a model that it does not list.
fn first_per_key(registry: &Registry, provider: &Provider, model: &str) -> Vec<Candidate> {
    let mut keys = Vec::new();
    let mut candidates = Vec::new();
    for &deployment in &provider.deployments {
        let key = registry.deployments[deployment].key;
        if !keys.contains(&key) {
            keys.push(key);
            candidates.push(Candidate { deployment, model: Some(model.to_owned()) });
        }
    }
    candidates
}

/// How patient one request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Stated waits of preferred deployments that are together at most this long are waited out.
    pub wait_in_place: Duration,
    /// When everything is cooling, the soonest is waited for if it is back within this.
    pub max_wait: Duration,
    /// The cooldown of a rate limit that names no time.
    pub default_cooldown: Duration,
}

impl Default for Patience {
    /// The defaults of the configuration.
    fn default() -> Self {
        Self {
            wait_in_place: Duration::ZERO,
            max_wait: Duration::from_secs(10),
            default_cooldown: Duration::from_mins(1),
        }
    }
}
