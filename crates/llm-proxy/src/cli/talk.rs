//! Talking to the running proxy over its own HTTP surface.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use settings::{LoadError, Secret};

use super::{BAD_CONFIGURATION, Failed};
use crate::source::{Source, lines};

/// How long the proxy may take to answer a question about itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    key: Option<Secret>,
}

impl Proxy {
    /// Finds the proxy where the configuration says it listens.
    pub(super) fn find(source: Source) -> Result<Self, Failed> {
        let (host, port, key) = match source.load() {
            Ok(loaded) => {
                let server = loaded.settings.server;
                (server.host, server.port, server.api_keys.into_iter().next())
            }
            // A proxy that runs has another configuration than one that cannot be read here.
            Err(error) if source.names_port() || matches!(error, LoadError::NoProviders { .. }) => {
                let (host, port) = source.overridden_address();
                (host, port, None)
            }
            Err(error) => return Err(Failed::configuration(&lines(&error))),
        };
        let host = match host.trim_matches(['[', ']']) {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "[::1]".to_owned(),
            bare if bare.contains(':') => format!("[{bare}]"),
            bare => bare.to_owned(),
        };
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { client, base: format!("http://{host}:{port}"), key })
    }

    /// The proxy at a known address.
    pub(super) fn at(address: std::net::SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, base: format!("http://{address}"), key: None }
    }

    /// Sends a chat request; who answered, and how it came there.
    pub(super) async fn chat(&self, question: &Value) -> Result<Answered, Failed> {
        let answer = self.send(Method::POST, "/v1/chat/completions", Some(question)).await?;
        let header = |name: &str| {
            let value = answer.headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        Ok(Answered {
            provider: header("x-provider").unwrap_or_else(|| "nobody".to_owned()),
            rotation: header("x-rotation"),
        })
    }

    /// Asks; the JSON of a success, or what went wrong in a sentence. An answer without the key
    /// `holds` is another program's.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        holds: &str,
    ) -> Result<Value, Failed> {
        let looks = method == Method::GET;
        let answer = self.send(method, path, body.as_ref()).await?;
        if (200..300).contains(&answer.status) {
            return match answer.json.get(holds) {
                Some(_) => Ok(answer.json),
                None => Err(self.other()),
            };
        }
        let Some(told) = answer.json["error"]["message"].as_str() else {
            return Err(self.other());
        };
        let message = format!("the proxy answered {}: {told}", answer.status);
        // All of a question is from the command line: if it cannot be read, it is bad usage.
        let code = if looks && answer.status == 400 { BAD_CONFIGURATION } else { 1 };
        Err(Failed { message, code })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failed> {
        let request = self.request(method, path, body)?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|_| {
                Failed::new(format!(
                    "no proxy answers at {}: start it with llm-proxy, or name its address with \
                     --host and --port",
                    self.base
                ))
            })?;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| self.wrong(&error))?.to_bytes();
            let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, json })
        };
        tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| Failed::new(format!("the proxy at {} does not answer", self.base)))?
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, Failed> {
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() =
            format!("{}{path}", self.base).parse().map_err(|error| self.wrong(&error))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &self.key
            && let Ok(value) = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
        {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    fn other(&self) -> Failed {
        Failed::new(format!(
            "something else answers at {}: name the address of llm-proxy with --host and --port",
            self.base
        ))
    }

    fn wrong(&self, error: &dyn std::fmt::Display) -> Failed {
        Failed::new(format!("{}: {error}", self.base))
    }
}

/// What the proxy answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    json: Value,
}

/// Who answered a chat request.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) provider: String,
    /// The hops, if there was more than one.
    pub(super) rotation: Option<String>,
}
