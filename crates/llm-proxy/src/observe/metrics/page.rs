//! The text of `GET /metrics`.

use std::sync::atomic::Ordering;

use super::histogram::Histogram;
use super::meters::{Lazy, Meters};
use super::standing::{quotas, standing, store};
use super::text::{Label, Page};
use super::{CLASSES, Ended, Metrics, OUTCOMES, process};
use crate::app::App;
use crate::lock::lock;
use crate::world::World;

const OPERATION: &str = "gen_ai_operation_name";
const PROVIDER: &str = "gen_ai_provider_name";
const ASKED: &str = "gen_ai_request_model";
const SERVED: &str = "gen_ai_response_model";
const TOKEN: &str = "gen_ai_token_type";
const ERROR: &str = "error_type";

/// The text of `GET /metrics`.
pub(crate) fn page(app: &App, world: &World) -> String {
    let mut page = Page::default();
    about(&mut page, app);
    requests(&mut page, &app.metrics);
    providers(&mut page, world);
    operations(&mut page, &Series::of(&app.metrics, world));
    let now = app.clock.now();
    let views = engine::view(&world.registry, &mut app.ledger(), &world.plain_needs(), now);
    standing(&mut page, &views, now);
    quotas(&mut page, &views);
    store(&mut page, &app.memory.health());
    page.into_text()
}

fn about(page: &mut Page, app: &App) {
    page.gauge("llm_proxy_build_info", "Always 1; the version is in the label.");
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.gauge("process_start_time_seconds", "When the process started, since the epoch.");
    page.sample(&[], app.started_at());
    if let Some(bytes) = process::resident_bytes() {
        page.gauge("process_resident_memory_bytes", "Memory that the process holds.");
        page.sample(&[], bytes);
    }
}

fn requests(page: &mut Page, metrics: &Metrics) {
    page.counter("llm_proxy_requests_total", "Requests that ended, by outcome and status class.");
    for (ended, outcome) in OUTCOMES {
        for (class, count) in CLASSES.into_iter().zip(&metrics.requests[ended as usize]) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 || is_usual(ended, class) {
                page.sample(&[("outcome", outcome), ("status_class", class)], count);
            }
        }
    }
    page.counter(
        "llm_proxy_rejected_requests_total",
        "Requests of any kind that were turned away at the door, by the code of their error.",
    );
    for (code, count) in lock(&metrics.rejected).iter() {
        page.sample(&[("code", code)], count);
    }
    page.gauge("llm_proxy_requests_in_flight", "Requests to be proxied that are under way.");
    page.sample(&[], metrics.in_flight.load(Ordering::Relaxed));
    page.gauge("llm_proxy_open_streams", "Streams that have begun and not ended.");
    page.sample(&[], metrics.open_streams.load(Ordering::Relaxed));
    page.counter("llm_proxy_streams_saved_total", "Broken streams that were brought to their end.");
    page.sample(&[], metrics.streams_saved());
    page.histogram(
        "llm_proxy_wait_seconds",
        "How long requests waited for a cooldown, of those that had to.",
    );
    if let Some(spread) = metrics.waits.spread() {
        page.spread(&[], &spread);
    }
}

/// Counted from the beginning, so that the first one is seen as an increase.
fn is_usual(ended: Ended, class: &str) -> bool {
    match ended {
        Ended::Well | Ended::Interrupted => class == "2xx",
        Ended::Refused => class == "4xx" || class == "5xx",
        Ended::Left => class == "4xx",
    }
}

fn providers(page: &mut Page, world: &World) {
    let all = || world.routes.iter().map(|route| (&*route.provider.name, &route.meters.provider));
    page.counter("llm_proxy_attempts_total", "Attempts by provider and result.");
    for (name, meters) in all() {
        for (result, count) in meters.results() {
            page.sample(&[("provider", name), ("result", result)], count);
        }
    }
    page.counter("llm_proxy_cooldowns_total", "Cooldowns that began, by provider and fault.");
    for (name, meters) in all() {
        for (kind, count) in meters.cooldowns() {
            page.sample(&[("provider", name), ("kind", kind)], count);
        }
    }
    page.counter("llm_proxy_tokens_total", "Tokens that providers reported.");
    for (name, meters) in all() {
        page.sample(&[("provider", name)], meters.tokens());
    }
    page.counter("llm_proxy_estimated_tokens_total", "Tokens that nobody counted, estimated.");
    for (name, meters) in all() {
        page.sample(&[("provider", name)], meters.estimated_tokens());
    }
}

/// The meters that were used, each with its labels.
struct Series<'a>(Vec<(Vec<Label<'a>>, &'a Meters)>);

impl<'a> Series<'a> {
    fn of(metrics: &'a Metrics, world: &'a World) -> Self {
        let unserved = metrics
            .unserved
            .seen()
            .map(|(operation, meters)| (vec![(OPERATION, operation)], meters));
        let served = world.routes.iter().flat_map(|route| {
            let provider = &*route.provider.name;
            route.meters.models().flat_map(move |(model, meters)| {
                meters.seen().map(move |(operation, meters)| {
                    let labels = vec![(OPERATION, operation), (PROVIDER, provider), (ASKED, model)];
                    (labels, meters)
                })
            })
        });
        Self(unserved.chain(served).collect())
    }

    /// Tells one histogram of each; `further` are labels of its own. What was answered also has
    /// the label of the model that served.
    fn tell<'m, I>(&'m self, page: &mut Page, of: impl Fn(&'m Meters) -> I)
    where
        I: IntoIterator<Item = (Option<Label<'m>>, &'m Lazy)>,
    {
        for (labels, meters) in &self.0 {
            for (further, histogram) in of(meters) {
                let Some(spread) = histogram.seen().and_then(Histogram::spread) else { continue };
                let mut labels = labels.clone();
                let is_error = further.is_some_and(|(name, _)| name == ERROR);
                let model = labels.iter().find(|(name, _)| *name == ASKED).map(|(_, model)| *model);
                labels.extend(model.filter(|_| !is_error).map(|model| (SERVED, model)));
                labels.extend(further);
                page.spread(&labels, &spread);
            }
        }
    }
}

fn operations(page: &mut Page, series: &Series<'_>) {
    let error = |word: &'static str| (ERROR, word);
    page.histogram("gen_ai_client_token_usage", "Tokens of each answer, as its provider reported.");
    series.tell(page, |meters| {
        [(Some((TOKEN, "input")), &meters.input), (Some((TOKEN, "output")), &meters.output)]
    });
    page.histogram("gen_ai_client_operation_duration_seconds", "How long attempts took.");
    series.tell(page, |meters| meters.attempts().map(move |(word, at)| (word.map(error), at)));
    page.histogram(
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        "From the beginning of an attempt to the first event of its stream.",
    );
    series.tell(page, |meters| [(None, &meters.first_chunk)]);
    page.histogram(
        "gen_ai_server_request_duration_seconds",
        "From the arrival of a request to the end of its answer.",
    );
    series.tell(page, |meters| meters.requests().map(move |(word, at)| (word.map(error), at)));
    page.histogram(
        "gen_ai_server_time_to_first_token_seconds",
        "From the arrival of a request to the beginning of its stream, failed attempts included.",
    );
    series.tell(page, |meters| [(None, &meters.first_token)]);
    page.histogram(
        "gen_ai_server_time_per_output_token_seconds",
        "Time for each token of a stream after the first.",
    );
    series.tell(page, |meters| [(None, &meters.per_token)]);
}
