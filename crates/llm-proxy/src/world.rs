//! One configuration made ready to serve: the rules' registry and, for each provider, what a
//! request to it needs. Immutable; a request holds the one it began with to its end.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use engine::{
    Abilities, ChainStep, DayStart, Ledger, Limits, Needs, Patience, ProviderSpec, Registry,
    RegistrySpec, UnknownModel,
};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use settings::{
    AuthStyle, DailyReset, KeyOrder, LimitScope, ModelChoice, Provider, Settings, Tier,
};
use wire::redact::{Redactor, without_keys};

use crate::instance;
use crate::observe::metrics::RouteMeters;
use crate::upstream::{Client, ClientOptions};

/// The model name of a deployment whose model is chosen from the provider's own list.
pub(crate) const AUTO_MODEL: &str = "auto";

/// What a request to one provider needs.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) provider: Provider,
    pub(crate) chat: Uri,
    pub(crate) completions: Uri,
    pub(crate) models: Uri,
    pub(crate) headers: HeaderMap,
    /// One per key; `None` where nothing is sent.
    pub(crate) credentials: Vec<Option<(HeaderName, HeaderValue)>>,
    pub(crate) redactor: Redactor,
    pub(crate) meters: RouteMeters,
}

/// One configuration made ready to serve.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) registry: Registry,
    /// In the order of the registry's providers.
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) patience: Patience,
    pub(crate) unknown_model: UnknownModel,
    pub(crate) client: Client,
    /// Of all keys there are, the clients' too.
    redactor: Redactor,
}

impl World {
    /// Makes a configuration ready. What the ledger knows of providers that stay is kept. The
    /// client of `before` is kept where nothing that concerns connections has changed.
    pub(crate) fn new(
        settings: Settings,
        ledger: &mut Ledger,
        before: Option<&Self>,
    ) -> Result<Self, String> {
        let routes: Result<Vec<_>, _> = settings
            .providers
            .iter()
            .map(|provider| route(provider, meters(provider, &settings, before)))
            .collect();
        let routes = routes?;
        let client = match before.filter(|before| same_connections(&before.settings, &settings)) {
            Some(before) => before.client.clone(),
            None => Client::new(client_options(&settings)?),
        };
        let rotation = &settings.rotation;
        Ok(Self {
            registry: Registry::build(registry_spec(&settings), ledger),
            routes,
            patience: Patience {
                wait_in_place: rotation.wait_in_place,
                max_wait: rotation.max_wait,
                default_cooldown: rotation.default_cooldown,
            },
            unknown_model: match rotation.unknown_model {
                settings::UnknownModel::Substitute => UnknownModel::Substitute,
                settings::UnknownModel::Pass => UnknownModel::Pass,
                settings::UnknownModel::Reject => UnknownModel::Reject,
            },
            client,
            redactor: redactor(&settings),
            settings,
        })
    }

    /// A name that a client has chosen as it may be shown: without keys, known ones and what
    /// looks like one.
    pub(crate) fn shown_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if !self.redactor.finds_any(name.as_bytes()) {
            return without_keys(name);
        }
        let clean = self.redactor.apply(&bytes::Bytes::copy_from_slice(name.as_bytes()));
        let clean = String::from_utf8_lossy(&clean);
        Cow::Owned(without_keys(&clean).into_owned())
    }

    /// What a small request without wishes of its own needs.
    pub(crate) fn plain_needs(&self) -> Needs {
        Needs { free_only: !self.settings.rotation.allow_paid, ..Needs::default() }
    }

    /// The zone in which times are told.
    pub(crate) fn zone(&self) -> jiff::tz::TimeZone {
        self.settings.server.timezone.clone().unwrap_or_else(jiff::tz::TimeZone::system)
    }

    /// A provider's tier as it is written in the configuration, where it is known.
    pub(crate) fn tier(&self, provider: &str) -> Option<&'static str> {
        let route = self.routes.iter().find(|route| route.provider.name == provider)?;
        route.provider.tier.map(|tier| match tier {
            Tier::Free => "free",
            Tier::Paid => "paid",
        })
    }

    /// The time for which a provider may be silent before its first word. A model that is known,
    /// or has `shown`, to think longer gets twice its usual time.
    pub(crate) fn first_limit(
        &self,
        route: &Route,
        model: &str,
        stream: bool,
        shown: Option<Duration>,
    ) -> Duration {
        let own = &route.provider.timeouts;
        let usual = &self.settings.rotation;
        if !stream {
            return own.response.unwrap_or(usual.response_timeout);
        }
        let thinks = route.provider.usual_first_token(model).max(shown);
        own.first_token.unwrap_or_else(|| {
            usual.first_token_timeout.max(thinks.unwrap_or_default().saturating_mul(2))
        })
    }

    /// The time for which a provider may be silent in the middle of its answer.
    pub(crate) fn stall_limit(&self, route: &Route) -> Duration {
        route.provider.timeouts.stall.unwrap_or(self.settings.rotation.stall_timeout)
    }
}

impl Route {
    /// The text of an error without any of the provider's keys.
    pub(crate) fn redact_error(&self, text: &str) -> String {
        let clean = self.redactor.apply_to_error(&bytes::Bytes::copy_from_slice(text.as_bytes()));
        String::from_utf8_lossy(&clean).into_owned()
    }

    /// The text without any of the provider's keys.
    pub(crate) fn redact_text(&self, text: &str) -> String {
        let clean = self.redactor.apply(&bytes::Bytes::copy_from_slice(text.as_bytes()));
        String::from_utf8_lossy(&clean).into_owned()
    }
}

fn redactor(settings: &Settings) -> Redactor {
    let of_providers = settings.providers.iter().flat_map(|provider| &provider.keys);
    let of_providers = of_providers.map(|key| key.secret.expose());
    Redactor::new(of_providers.chain(settings.server.api_keys.iter().map(settings::Secret::expose)))
}

fn same_connections(before: &Settings, after: &Settings) -> bool {
    let timeouts = |settings: &Settings| connect_timeouts(settings);
    before.server.ca_file == after.server.ca_file
        && before.rotation.connect_timeout == after.rotation.connect_timeout
        && timeouts(before) == timeouts(after)
}

fn connect_timeouts(settings: &Settings) -> Vec<(String, Duration)> {
    let own = |provider: &Provider| {
        let timeout = provider.timeouts.connect?;
        let authority = provider.endpoints.chat.parse::<Uri>().ok()?.authority()?.to_string();
        Some((authority, timeout))
    };
    settings.providers.iter().filter_map(own).collect()
}

fn client_options(settings: &Settings) -> Result<ClientOptions, String> {
    let ca_certificates = match &settings.server.ca_file {
        Some(path) => read_authorities(path)?,
        None => Vec::new(),
    };
    Ok(ClientOptions {
        ca_certificates,
        connect_timeout: settings.rotation.connect_timeout,
        connect_timeout_of: connect_timeouts(settings),
    })
}

fn read_authorities(
    path: &std::path::Path,
) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let wrong = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", path.display());
    let found = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong(&error))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(&error))?;
    if found.is_empty() {
        return Err(wrong(&"holds no certificate in PEM form"));
    }
    Ok(found)
}

fn registry_spec(settings: &Settings) -> RegistrySpec {
    let chains = settings.chains.iter().map(|chain| {
        let steps = chain
            .steps
            .iter()
            .map(|step| ChainStep { provider: step.provider.clone(), model: step.model.clone() });
        (chain.name.clone(), steps.collect())
    });
    RegistrySpec {
        providers: settings.providers.iter().map(|one| provider_spec(one, settings)).collect(),
        chains: chains.collect(),
    }
}

fn provider_spec(provider: &Provider, settings: &Settings) -> ProviderSpec {
    let keys = provider.keys.iter().map(|key| key.fingerprint.clone());
    let order = provider.key_order.unwrap_or(settings.rotation.keys);
    let models: Vec<String> = provider.models.iter().map(model_name).collect();
    let chain_models = chain_models(provider, settings, &models);
    ProviderSpec {
        name: provider.name.clone(),
        priority: provider.priority,
        keys: if provider.keys.is_empty() { vec![String::new()] } else { keys.collect() },
        models: models.clone(),
        lacks: models.iter().chain(&chain_models).map(|model| lacks(provider, model)).collect(),
        chain_models,
        limits: limits(provider),
        shared_class: provider.catalogue_id.and_then(dialect::shared_class).map(str::to_owned),
        paid: provider.tier == Some(Tier::Paid),
        spread_keys: order == KeyOrder::Spread,
    }
}

pub(crate) fn model_name(choice: &ModelChoice) -> String {
    match choice {
        ModelChoice::Auto => AUTO_MODEL.to_owned(),
        ModelChoice::Named(name) => name.clone(),
    }
}

/// Models that named chains ask of a provider beyond those that it lists.
fn chain_models(provider: &Provider, settings: &Settings, listed: &[String]) -> Vec<String> {
    let mut models: Vec<String> = Vec::new();
    let steps = settings.chains.iter().flat_map(|chain| &chain.steps);
    for model in
        steps.filter(|step| step.provider == provider.name).filter_map(|s| s.model.as_ref())
    {
        if !listed.contains(model) && !models.contains(model) {
            models.push(model.clone());
        }
    }
    models
}

fn lacks(provider: &Provider, model: &str) -> Abilities {
    let lacks = provider.lacks(model);
    let known = [
        (lacks.images, Abilities::IMAGES),
        (lacks.audio, Abilities::AUDIO),
        (lacks.tools, Abilities::TOOLS),
        (lacks.json_schema, Abilities::JSON_SCHEMA),
        (lacks.n, Abilities::SEVERAL_CHOICES),
        (lacks.required_tools, Abilities::REQUIRED_TOOLS),
    ];
    let lacking = known.into_iter().filter(|(lacks, _)| *lacks);
    lacking.fold(Abilities::default(), |all, (_, one)| all | one)
}

fn limits(provider: &Provider) -> Limits {
    let declared = &provider.limits;
    Limits {
        requests_per_second: declared.rps,
        requests_per_minute: declared.rpm,
        requests_per_day: declared.rpd,
        tokens_per_minute: declared.tpm,
        tokens_per_day: declared.tpd,
        concurrent: declared.concurrent,
        context: declared.context,
        assumed_output: provider.assumed_output,
        keeps_reserved: provider.keeps_reserved,
        refills: provider.catalogue_id.is_some_and(dialect::refills),
        is_per_account: declared.scope == LimitScope::Account,
        day: match &provider.reset {
            Some(DailyReset::At { hour, minute, zone }) => Some(DayStart {
                time: jiff::civil::Time::new(*hour, *minute, 0, 0).unwrap_or_default(),
                zone: zone.clone(),
            }),
            Some(DailyReset::Rolling) | None => None,
        },
    }
}

/// The meters of a provider, which go on counting after a reload.
fn meters(provider: &Provider, settings: &Settings, before: Option<&World>) -> RouteMeters {
    let mut routes = before.into_iter().flat_map(|before| &before.routes);
    let before = routes.find(|route| route.provider.name == provider.name);
    let listed: Vec<String> = provider.models.iter().map(model_name).collect();
    let of_chains = chain_models(provider, settings, &listed);
    RouteMeters::new(listed.into_iter().chain(of_chains), before.map(|route| &route.meters))
}

fn route(provider: &Provider, meters: RouteMeters) -> Result<Arc<Route>, String> {
    let name = &provider.name;
    let uri = |text: &str| {
        text.parse::<Uri>().map_err(|error| format!("provider {name}: {text} is no URL: {error}"))
    };
    let mut headers = HeaderMap::new();
    for (header, value) in &provider.headers {
        let parsed = HeaderName::try_from(header.as_str());
        let (Ok(header), Some(value)) = (parsed, sensitive(value.expose())) else {
            return Err(format!("provider {name}: header {header} cannot be sent"));
        };
        headers.insert(header, value);
    }
    if provider.endpoints.is_loopback() {
        headers.append(instance::INSTANCE, instance::ours());
    }
    let mut credentials = Vec::new();
    for key in &provider.keys {
        credentials.push(Some(credential(&provider.auth, key.secret.expose()).ok_or_else(
            || format!("provider {name}: key {} cannot be sent in a header", key.fingerprint),
        )?));
    }
    let secrets = provider.keys.iter().map(|key| key.secret.expose());
    let chat = uri(&provider.endpoints.chat)?;
    Ok(Arc::new(Route {
        chat,
        completions: uri(&provider.endpoints.completions)?,
        models: uri(&provider.endpoints.models)?,
        headers,
        credentials,
        redactor: Redactor::new(
            secrets.chain(provider.headers.iter().map(|(_, value)| value.expose())),
        ),
        provider: provider.clone(),
        meters,
    }))
}

fn credential(auth: &AuthStyle, key: &str) -> Option<(HeaderName, HeaderValue)> {
    match auth {
        AuthStyle::Bearer => Some((AUTHORIZATION, sensitive(&format!("Bearer {key}"))?)),
        AuthStyle::Header(name) => {
            Some((HeaderName::try_from(name.as_str()).ok()?, sensitive(key)?))
        }
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
