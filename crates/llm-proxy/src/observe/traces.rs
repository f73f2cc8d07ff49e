//! Traces for OpenTelemetry: one span for each request, and one below it for each attempt. They
//! are made when a request has ended, from what is remembered of it; never a prompt, an answer or
//! a key. Where to is said by the variables that all programs with OpenTelemetry share.
//!
//! Spans wait in a bounded queue (`OTEL_BSP_MAX_QUEUE_SIZE`, 2048), and those that do not fit are
//! dropped. A thread of the exporter's own takes them from there.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use engine::Timestamp;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use settings::Env;
use tokio::runtime::Handle;

use super::log::Log;
use crate::upstream::{Client, ClientOptions, Segments};

/// The variables that say where traces go.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// How long a collector may take for one batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the last batch may take when the process ends.
const LAST_BATCH: Duration = Duration::from_secs(2);

/// Bytes of a collector's answer, which says little.
const LONGEST_ANSWER: usize = 64 << 10;

/// Where spans go.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Begins to export, if a variable says where to.
    pub(crate) fn begin(log: &Log) -> Option<Self> {
        let env = Env::from_process(&mut settings::Warnings::default());
        ENDPOINTS.iter().find_map(|name| env.filled(name))?;
        let exporter = SpanExporter::builder().with_http().with_http_client(Collector::new());
        let exporter = exporter.build().inspect_err(|error| {
            log.warning(format_args!("No traces are exported: {error}"));
        });
        let mut resource = Resource::builder();
        if env.filled("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("llm-proxy");
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter.ok()?)
            .build();
        let scope = InstrumentationScope::builder("llm-proxy")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Some(Self { tracer: provider.tracer_with_scope(scope), provider })
    }

    /// Exports a span, below `parent` if there is one. Returns what spans below it need.
    pub(crate) fn span(
        &self,
        (span, status): (SpanBuilder, Status),
        ended: Timestamp,
        parent: Option<&SpanContext>,
    ) -> SpanContext {
        let above = parent
            .cloned()
            .map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let mut span = self.tracer.build_with_context(span, &above);
        span.set_status(status);
        span.end_with_timestamp(moment(ended));
        span.span_context().clone()
    }

    /// Exports what is left, for a while.
    pub(crate) async fn end(&self) {
        let provider = self.provider.clone();
        // It waits for the exporter's thread, which needs this one to send.
        let _ =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_BATCH)).await;
    }
}

/// A moment as the system tells it.
pub(crate) fn moment(moment: Timestamp) -> SystemTime {
    let millis = u64::try_from(moment.as_millis()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// The way to the collector.
#[derive(Debug)]
struct Collector {
    client: Client,
    runtime: Handle,
}

impl Collector {
    fn new() -> Self {
        let client = Client::new(ClientOptions {
            ca_certificates: Vec::new(),
            connect_timeout: PATIENCE,
            connect_timeout_of: Vec::new(),
        });
        Self { client, runtime: Handle::current() }
    }
}

async fn exchange(client: Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let request = request.map(|body| Segments::from(vec![body]));
    let (head, body) = client.send(&request).await?.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'sending>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sending>>
    where
        'a: 'sending,
        Self: 'sending,
    {
        Box::pin(async move {
            let exchange = exchange(self.client.clone(), request);
            // The exporter's thread has no runtime of its own, for the clock neither.
            let exchange = async { tokio::time::timeout(PATIENCE, exchange).await };
            let exchanged = self.runtime.spawn(exchange);
            exchanged.await??
        })
    }
}
