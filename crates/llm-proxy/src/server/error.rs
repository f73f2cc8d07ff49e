//! Errors of our own as answers, in OpenAI's shape. The only place that makes them.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::body::ClientBody;
use crate::app::App;

/// OpenAI's SDKs obey it.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// An error of our own.
#[derive(Debug)]
pub(crate) struct ProxyError {
    pub(crate) status: StatusCode,
    kind: &'static str,
    code: &'static str,
    message: String,
    param: Option<String>,
    retry_after: Option<std::time::Duration>,
    should_retry: Option<bool>,
    allow: Option<&'static str>,
    attempts: Vec<Value>,
}

impl ProxyError {
    fn new(
        status: StatusCode,
        kind: &'static str,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            kind,
            code,
            message: message.into(),
            param: None,
            retry_after: None,
            should_retry: None,
            allow: None,
            attempts: Vec::new(),
        }
    }

    fn invalid(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(status, "invalid_request_error", code, message)
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::invalid(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::invalid(StatusCode::FORBIDDEN, code, message)
    }

    pub(crate) fn not_json() -> Self {
        let message = "a request from a browser must have the content type application/json";
        Self::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", message)
    }

    pub(crate) fn wrong_key() -> Self {
        let message = "this proxy asks for one of the keys in server.api_keys: send it as \
                       Authorization: Bearer <key>";
        Self::new(StatusCode::UNAUTHORIZED, "authentication_error", "invalid_api_key", message)
    }

    pub(crate) fn unknown_path(path: &str) -> Self {
        let shown: String = path.chars().take(200).collect();
        let message = format!("there is nothing at {shown}; GET / lists what there is");
        Self::invalid(StatusCode::NOT_FOUND, "unknown_path", message)
    }

    pub(crate) fn wrong_method(allow: &'static str) -> Self {
        let message = format!("this path takes only {allow}");
        let mut error =
            Self::invalid(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        error.allow = Some(allow);
        error
    }

    pub(crate) fn too_large(limit: u64) -> Self {
        let message = format!(
            "the request body is larger than {limit} bytes; raise server.max_body to allow it"
        );
        Self::invalid(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    pub(crate) fn slow_body() -> Self {
        let message = "the request body did not arrive in time";
        Self::invalid(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    }

    /// The process ends while the request waits.
    pub(crate) fn stopping() -> Self {
        let message = "the proxy is stopping";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let mut error = Self::new(status, "server_error", "proxy_stopping", message);
        error.should_retry = Some(true);
        error
    }

    pub(crate) fn unknown_model(model: &str) -> Self {
        let shown: String = model.chars().take(200).collect();
        let message =
            format!("the model `{shown}` does not exist here; GET /v1/models lists those that do");
        let mut error = Self::invalid(StatusCode::NOT_FOUND, "model_not_found", message);
        error.param = Some("model".to_owned());
        error
    }

    pub(crate) fn unknown_provider(header: &HeaderName, what: &str) -> Self {
        let message = format!("{header}: {what}; GET /status lists those that are configured");
        Self::bad_request("unknown_provider", message)
    }

    pub(crate) fn in_a_circle() -> Self {
        let message = "this request has been here before: a provider on this machine is this \
                       proxy itself, or leads back to it";
        Self::new(StatusCode::LOOP_DETECTED, "server_error", "proxy_loop", message)
    }

    pub(crate) fn too_many_watchers() -> Self {
        let message = "too many pages and programs watch already; close some of them";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "server_error", "too_many_watchers", message)
    }

    pub(crate) fn no_history(problem: &str) -> Self {
        let message = format!("the proxy's memory cannot be read: {problem}");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "server_error", "memory_unavailable", message)
    }

    pub(crate) fn unknown_word(header: &HeaderName, word: &str, known: &str) -> Self {
        let shown: String = word.chars().take(100).collect();
        let message = format!("the header {header} has the value {shown:?}; it takes {known}");
        Self::bad_request("invalid_header", message)
    }

    pub(crate) fn none_wished() -> Self {
        let message = "the headers x-provider and x-skip-provider leave no provider for this model";
        Self::bad_request("no_provider_left", message)
    }

    pub(crate) fn all_cooling(message: String, wait: Option<std::time::Duration>) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut error = Self::new(status, "rate_limit_error", "all_providers_cooling", message);
        error.retry_after = wait;
        error
    }

    pub(crate) fn none_available(message: String) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let mut error = Self::new(status, "server_error", "no_provider_available", message);
        error.should_retry = Some(false);
        error
    }

    pub(crate) fn keys_refused(message: String) -> Self {
        let status = StatusCode::BAD_GATEWAY;
        let mut error =
            Self::new(status, "upstream_error", "upstream_credentials_exhausted", message);
        error.should_retry = Some(false);
        error
    }

    pub(crate) fn all_failed(message: String) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "upstream_error", "all_providers_failed", message)
    }

    #[must_use]
    pub(crate) fn about(mut self, param: Option<&str>) -> Self {
        self.param = param.map(str::to_owned);
        self
    }

    #[must_use]
    pub(crate) fn with_attempts(mut self, attempts: Vec<Value>) -> Self {
        self.attempts = attempts;
        self
    }

    /// The answer to a request that is turned away before any provider is considered.
    pub(crate) fn into_counted(self, app: &App) -> Response<ClientBody> {
        app.metrics.rejected(self.code);
        self.into_response()
    }

    pub(crate) fn into_response(self) -> Response<ClientBody> {
        let error = json!({
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        });
        let mut whole = json!({ "error": error });
        if !self.attempts.is_empty() {
            whole["attempts"] = Value::Array(self.attempts);
        }
        let mut response = json_response(self.status, &whole);
        let headers = response.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(wait) = self.retry_after {
            // Whole seconds, never too few; the exact wait beside it.
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            insert(headers, RETRY_AFTER, &seconds.to_string());
            insert(headers, RETRY_AFTER_MS, &wait.as_millis().max(1).to_string());
        }
        if let Some(should) = self.should_retry {
            insert(headers, SHOULD_RETRY, &should.to_string());
        }
        response
    }
}

fn insert(headers: &mut http::HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A response with a JSON body.
pub(crate) fn json_response(status: StatusCode, value: &Value) -> Response<ClientBody> {
    let mut response = Response::new(ClientBody::from(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
