//! Counters for Prometheus. Labels are provider names and a fixed set of words, so that no
//! request can make them many.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::ProviderView;

use crate::lock::lock;

/// The counters of the process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    attempts: Mutex<BTreeMap<String, BTreeMap<&'static str, u64>>>,
    tokens: Mutex<BTreeMap<String, u64>>,
    saved: AtomicU64,
}

impl Metrics {
    /// Counts an attempt by what came of it: `answered`, `interrupted`, or the kind of fault.
    pub(crate) fn attempt(&self, provider: &str, result: &'static str) {
        change(&self.attempts, provider, |counts| *counts.entry(result).or_default() += 1);
    }

    /// Counts a stream that broke off and was brought to its end all the same.
    pub(crate) fn saved(&self) {
        self.saved.fetch_add(1, Ordering::Relaxed);
    }

    /// How many streams were saved.
    pub(crate) fn streams_saved(&self) -> u64 {
        self.saved.load(Ordering::Relaxed)
    }

    /// Counts tokens that a provider reported.
    pub(crate) fn tokens(&self, provider: &str, tokens: u64) {
        if tokens > 0 {
            change(&self.tokens, provider, |count| *count += tokens);
        }
    }

    /// The text of `GET /metrics`.
    pub(crate) fn render(&self, providers: &[ProviderView]) -> String {
        let mut text = String::new();
        head(&mut text, "llm_proxy_attempts_total", "counter", "Attempts by provider and result.");
        for (provider, counts) in lock(&self.attempts).iter() {
            let provider = escaped(provider);
            for (result, count) in counts {
                let _ = writeln!(
                    text,
                    "llm_proxy_attempts_total{{provider=\"{provider}\",result=\"{result}\"}} {count}"
                );
            }
        }
        head(&mut text, "llm_proxy_tokens_total", "counter", "Tokens that providers reported.");
        for (provider, count) in lock(&self.tokens).iter() {
            let _ = writeln!(
                text,
                "llm_proxy_tokens_total{{provider=\"{}\"}} {count}",
                escaped(provider)
            );
        }
        head(
            &mut text,
            "llm_proxy_streams_saved_total",
            "counter",
            "Broken streams that were brought to their end.",
        );
        let _ = writeln!(text, "llm_proxy_streams_saved_total {}", self.streams_saved());
        head(
            &mut text,
            "llm_proxy_provider_available",
            "gauge",
            "Whether the provider may be tried.",
        );
        for view in providers {
            let up = u8::from(view.closed.is_none());
            let _ = writeln!(
                text,
                "llm_proxy_provider_available{{provider=\"{}\"}} {up}",
                escaped(&view.name)
            );
        }
        head(&mut text, "llm_proxy_in_flight", "gauge", "Requests under way.");
        for view in providers {
            let count: u64 = view.deployments.iter().map(|one| one.in_flight).sum();
            let _ = writeln!(
                text,
                "llm_proxy_in_flight{{provider=\"{}\"}} {count}",
                escaped(&view.name)
            );
        }
        text
    }
}

/// Changes a provider's count; its name is copied only the first time.
fn change<T: Default>(
    counts: &Mutex<BTreeMap<String, T>>,
    provider: &str,
    by: impl FnOnce(&mut T),
) {
    let mut counts = lock(counts);
    match counts.get_mut(provider) {
        Some(count) => by(count),
        None => by(counts.entry(provider.to_owned()).or_default()),
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
