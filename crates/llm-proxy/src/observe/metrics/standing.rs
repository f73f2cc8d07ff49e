//! How things stand at the moment at which they are asked for: who is open, what is left, how the
//! memory is.

use std::collections::BTreeMap;

use engine::{Availability, DeploymentView, Outlook, ProviderView, Timestamp};
use store::{Health, Mode};

use super::text::Page;
use crate::server::report::{dimension_word, state_word};

/// The states of deployments: those of `/status`, and one that a person or the configuration wants
/// passed over.
const STATES: [&str; 7] = ["open", "half_open", "cooling", "parked", "busy", "unfit", "unwanted"];

/// Who is open, and who is back when.
pub(super) fn standing(page: &mut Page, views: &[ProviderView], now: Timestamp) {
    page.gauge("llm_proxy_provider_available", "Whether the provider may be tried.");
    for view in views {
        page.sample(&[("provider", &view.name)], u8::from(view.closed.is_none()));
    }
    page.gauge(
        "llm_proxy_provider_back_seconds",
        "Seconds until the provider may be tried again, where that is known; 0 if it may now.",
    );
    for view in views {
        if let Some(seconds) = back_in(view, now) {
            page.sample(&[("provider", &view.name)], seconds);
        }
    }
    page.gauge("llm_proxy_deployments", "Deployments (a key with a model) by state.");
    for view in views {
        for state in STATES {
            let states = view.deployments.iter().map(|one| state_of(&one.availability));
            let count = states.filter(|one| *one == state).count();
            page.sample(&[("provider", &view.name), ("state", state)], count);
        }
    }
    page.gauge("llm_proxy_in_flight", "Attempts under way.");
    for view in views {
        let count: u64 = view.deployments.iter().map(|one| one.in_flight).sum();
        page.sample(&[("provider", &view.name)], count);
    }
}

fn back_in(view: &ProviderView, now: Timestamp) -> Option<f64> {
    match &view.closed {
        None => Some(0.0),
        Some(closed) => Some(now.until(closed.until?).as_secs_f64()),
    }
}

fn state_of(availability: &Availability) -> &'static str {
    match availability {
        Availability::Open => "open",
        Availability::HalfOpen => "half_open",
        Availability::Closed(closed) if closed.is_unwanted() => "unwanted",
        Availability::Closed(closed) => state_word(closed),
    }
}

/// A limit of one model: dimension, window, origin.
type Limit = (&'static str, &'static str, &'static str);

/// What is left of a limit, and the limit itself.
#[derive(Debug, Clone, Copy)]
struct Left {
    remaining: Option<u64>,
    limit: Option<u64>,
}

/// What is left of declared and learned limits. Keys that share a model are added up.
pub(super) fn quotas(page: &mut Page, views: &[ProviderView]) {
    let all: Vec<_> = views
        .iter()
        .flat_map(|view| by_model(view).into_iter().map(|(at, left)| (&*view.name, at, left)))
        .collect();
    let mut tell = |name, help, of: fn(&Left) -> Option<u64>| {
        page.gauge(name, help);
        for (provider, (model, (dimension, window, origin)), left) in &all {
            if let Some(count) = of(left) {
                let labels = [
                    ("provider", *provider),
                    ("model", model),
                    ("dimension", dimension),
                    ("window", window),
                    ("origin", origin),
                ];
                page.sample(&labels, count);
            }
        }
    };
    tell("llm_proxy_quota_remaining", "What is left of a limit.", |left| left.remaining);
    tell("llm_proxy_quota_limit", "How much a limit allows in its window.", |left| left.limit);
}

fn by_model(view: &ProviderView) -> BTreeMap<(&str, Limit), Left> {
    let mut sums: BTreeMap<(&str, Limit), Left> = BTreeMap::new();
    for deployment in &view.deployments {
        for (limit, left) in tightest(deployment) {
            let sum = sums.entry((&deployment.model, limit));
            sum.and_modify(|sum| *sum = combine(*sum, left, u64::saturating_add)).or_insert(left);
        }
    }
    sums
}

/// The limits of one deployment. Where its key and its model have the same one, the tighter.
fn tightest(view: &DeploymentView) -> BTreeMap<Limit, Left> {
    let told = view.outlook.iter().map(|outlook| {
        let left = Left { remaining: outlook.left, limit: outlook.limit };
        (words(outlook), left)
    });
    let mut limits: BTreeMap<Limit, Left> = BTreeMap::new();
    for (limit, left) in told {
        let known = limits.entry(limit);
        known.and_modify(|known| *known = combine(*known, left, u64::min)).or_insert(left);
    }
    limits
}

fn words(outlook: &Outlook) -> Limit {
    (dimension_word(outlook.dimension), outlook.window.as_str(), outlook.origin.as_str())
}

fn combine(one: Left, other: Left, by: fn(u64, u64) -> u64) -> Left {
    let both = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(by(one, other)),
        (one, other) => one.or(other),
    };
    Left { remaining: both(one.remaining, other.remaining), limit: both(one.limit, other.limit) }
}

/// How the memory is.
pub(super) fn store(page: &mut Page, health: &Health) {
    page.gauge("llm_proxy_store_mode", "1 for the place where things are kept.");
    for mode in [Mode::File, Mode::Memory, Mode::ReadOnly] {
        page.sample(&[("mode", mode.word())], u8::from(mode == health.mode));
    }
    page.gauge("llm_proxy_store_failing", "Whether saving fails at present.");
    page.sample(&[], u8::from(health.last_error.is_some()));
    page.gauge("llm_proxy_store_lag_seconds", "How long the oldest change waits to be saved.");
    page.sample(&[], health.lag_ms as f64 / 1000.0);
    page.gauge("llm_proxy_store_bytes", "Size of the file with its log.");
    page.sample(&[], health.bytes);
    page.counter(
        "llm_proxy_store_dropped_records_total",
        "Records of requests that did not fit into the queue.",
    );
    page.sample(&[], health.dropped_records);
}
