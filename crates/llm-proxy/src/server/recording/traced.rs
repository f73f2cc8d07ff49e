//! A request that has ended, as spans.

use engine::{FaultKind, Timestamp};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status};
use wire::Endpoint;
use wire::usage::Usage;

use super::{Hop, Outcome, Recording};
use crate::observe::metrics::Came;
use crate::observe::traces::moment;

impl Recording {
    /// Exports the request and each of its attempts, if traces are wanted.
    pub(super) fn trace(&self, now: Timestamp) {
        let Some(traces) = &self.app.traces else { return };
        let above = traces.span(self.span(), now, None);
        for hop in &self.hops {
            traces.span(hop.span(self.operation()), hop.ended(now), Some(&above));
        }
    }

    const fn operation(&self) -> &'static str {
        match self.endpoint {
            Endpoint::Chat => "chat",
            Endpoint::Completions => "text_completion",
        }
    }

    fn span(&self) -> (SpanBuilder, Status) {
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", self.operation()),
            KeyValue::new("gen_ai.request.model", self.asked.clone()),
            KeyValue::new("gen_ai.request.stream", self.stream),
            KeyValue::new("http.response.status_code", i64::from(self.told_status())),
            KeyValue::new("llm_proxy.outcome", self.outcome.word()),
            KeyValue::new("llm_proxy.attempts", whole(self.hops.len() as u64)),
            KeyValue::new("llm_proxy.waited", self.waited.as_secs_f64()),
        ];
        if let Some(hop) = self.served() {
            attributes.push(KeyValue::new("gen_ai.provider.name", hop.provider().to_owned()));
            attributes.push(KeyValue::new("gen_ai.response.model", hop.model.to_string()));
        }
        if let Some(span) = self.first_word {
            let seconds = span.as_secs_f64();
            attributes.push(KeyValue::new("gen_ai.response.time_to_first_chunk", seconds));
        }
        add_usage(&mut attributes, &self.usage);
        let error = (self.outcome != Outcome::Answered).then(|| self.outcome.word());
        finished(self.operation().into(), SpanKind::Server, self.arrived, attributes, error)
    }
}

impl Hop {
    fn span(&self, operation: &'static str) -> (SpanBuilder, Status) {
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", operation),
            KeyValue::new("gen_ai.provider.name", self.provider().to_owned()),
            KeyValue::new("gen_ai.request.model", self.model.to_string()),
            KeyValue::new("llm_proxy.result", self.word.to_string()),
        ];
        if let Some(host) = self.route.chat.host() {
            attributes.push(KeyValue::new("server.address", host.to_owned()));
        }
        if let Some(port) = self.route.chat.port_u16() {
            attributes.push(KeyValue::new("server.port", i64::from(port)));
        }
        if self.answered {
            attributes.push(KeyValue::new("gen_ai.response.model", self.model.to_string()));
        }
        add_usage(&mut attributes, &self.usage);
        let error = match self.came() {
            Came::Answered => None,
            Came::Interrupted => Some("interrupted"),
            Came::Left => Some("left"),
            Came::Failed(kind) => Some(FaultKind::as_str(kind)),
        };
        let name = format!("{operation} {}", self.model);
        finished(name, SpanKind::Client, self.started, attributes, error)
    }
}

fn finished(
    name: String,
    kind: SpanKind,
    started: Timestamp,
    mut attributes: Vec<KeyValue>,
    error: Option<&'static str>,
) -> (SpanBuilder, Status) {
    attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
    // Without words of the provider's, which may quote the request.
    let status = error.map_or(Status::Unset, Status::error);
    let span = SpanBuilder::from_name(name)
        .with_kind(kind)
        .with_start_time(moment(started))
        .with_attributes(attributes);
    (span, status)
}

fn add_usage(attributes: &mut Vec<KeyValue>, usage: &Usage) {
    let parts = [
        ("gen_ai.usage.input_tokens", usage.prompt_tokens),
        ("gen_ai.usage.output_tokens", usage.completion_tokens),
    ];
    for (name, tokens) in parts {
        attributes.extend(tokens.map(|tokens| KeyValue::new(name, whole(tokens))));
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
