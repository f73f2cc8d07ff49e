//! The errors of a limiting provider in the words of the one it imitates.

use std::time::Duration;

use serde_json::{Value, json};

use super::dialect::{HeaderDialect, Texts, go_duration, seconds, to_headers, whole_seconds};
use super::meter::{Dimension, Refusal, Standing};
use crate::behaviour::fault;
use crate::reply::Reply;

impl HeaderDialect {
    /// The answer to a key that is not on the list.
    pub(super) fn unknown_key(self) -> Reply {
        match self {
            Self::OpenAi | Self::Groq | Self::Bare => {
                Reply::error(401, &fault("Incorrect API key provided.", "invalid_api_key"))
            }
            Self::Cerebras => Reply::error(
                401,
                &json!({
                    "message": "Wrong API Key",
                    "type": "invalid_request_error",
                    "param": "api_key",
                    "code": "wrong_api_key",
                }),
            ),
            Self::OpenRouter => Reply::error(
                401,
                &json!({
                    "error": {"code": 401, "message": "Invalid API key"}
                }),
            ),
            Self::Mistral => Reply::error(401, &json!({"detail": "Unauthorized"})),
            Self::Gemini => Reply::error(
                400,
                &json!([{"error": {
                    "code": 400,
                    "message": "API key not valid",
                    "details": [{
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "API_KEY_INVALID",
                    }],
                }}]),
            ),
        }
    }

    /// The answer to a model that is not on the list.
    pub(super) fn unknown_model(self, model: &str) -> Reply {
        let message =
            format!("The model `{model}` does not exist or you do not have access to it.");
        match self {
            Self::OpenRouter => Reply::error(
                404,
                &json!({
                    "error": {"code": 404, "message": format!("No endpoints found for {model}.")}
                }),
            ),
            Self::Cerebras => Reply::error(
                404,
                &json!({
                    "message": message,
                    "type": "invalid_request_error",
                    "param": "model",
                    "code": "model_not_found",
                }),
            ),
            Self::OpenAi | Self::Groq | Self::Mistral | Self::Gemini | Self::Bare => {
                Reply::error(404, &fault(&message, "model_not_found"))
            }
        }
    }

    /// The answer to a request for which there is no room.
    pub(super) fn refusal(
        self,
        refusal: &Refusal,
        standing: &Standing,
        model: &str,
        now: Duration,
    ) -> Reply {
        let too_large = self == Self::Groq && refusal.is_too_large();
        let status = if too_large { 413 } else { 429 };
        let body = match self {
            Self::OpenAi => openai(refusal, model),
            Self::Groq => groq(refusal, model),
            Self::Cerebras => cerebras(refusal),
            Self::OpenRouter => openrouter(refusal, now),
            Self::Mistral => mistral(refusal),
            Self::Gemini => gemini(refusal, model),
            Self::Bare => json!({"error": {"message": "Too many requests"}}),
        };
        let headers = self.headers(standing, None).into_iter();
        headers
            .chain(to_headers(self.stated_wait(refusal, now)))
            .fold(Reply::error(status, &body), |reply, (name, value)| reply.with(name, value))
    }

    fn stated_wait(self, refusal: &Refusal, now: Duration) -> Texts {
        let Some(wait) = refusal.wait else {
            return Texts::new();
        };
        let retry_after = ("retry-after".to_owned(), whole_seconds(wait).to_string());
        match self {
            Self::OpenAi => {
                let exact = ("retry-after-ms".to_owned(), wait.as_millis().to_string());
                vec![exact, retry_after]
            }
            Self::Groq | Self::Cerebras => vec![retry_after],
            Self::OpenRouter => {
                let headers = openrouter_headers(refusal, wait, now);
                headers.map(|(name, text)| (name.to_ascii_lowercase(), text)).to_vec()
            }
            Self::Mistral | Self::Gemini | Self::Bare => Texts::new(),
        }
    }
}

/// The limit's name as `OpenAI` and Groq write it, with the type of their errors.
fn spelled(dimension: Dimension) -> (&'static str, &'static str) {
    match dimension {
        Dimension::RequestsPerMinute => ("requests per min (RPM)", "requests"),
        Dimension::RequestsPerDay => ("requests per day (RPD)", "requests"),
        Dimension::TokensPerMinute => ("tokens per min (TPM)", "tokens"),
        Dimension::TokensPerDay => ("tokens per day (TPD)", "tokens"),
        Dimension::Concurrent => ("concurrent requests", "requests"),
    }
}

fn openai(refusal: &Refusal, model: &str) -> Value {
    if refusal.dimension == Dimension::Concurrent {
        return openai_error("Slow down.", "rate_limit_error", "slow_down");
    }
    let (limit, kind) = spelled(refusal.dimension);
    let message = sentence(
        refusal,
        &format!("{model} in organization org-simulated on {limit}"),
        "The input or output tokens must be reduced in order to run successfully.",
    );
    openai_error(&message, kind, "rate_limit_exceeded")
}

fn groq(refusal: &Refusal, model: &str) -> Value {
    let (limit, kind) = spelled(refusal.dimension);
    let limit = limit.replace("per min ", "per minute ");
    let message = sentence(
        refusal,
        &format!(
            "model `{model}` in organization `org_simulated` service tier `on_demand` on {limit}"
        ),
        "Please reduce your message size and try again.",
    );
    json!({"error": {"message": message, "type": kind, "code": "rate_limit_exceeded"}})
}

/// "Rate limit reached for ...: Limit 3, Used 3, Requested 1. Please try again in 20s."
fn sentence(refusal: &Refusal, subject: &str, advice: &str) -> String {
    let Refusal { limit, used, requested, .. } = refusal;
    if refusal.is_too_large() {
        return format!(
            "Request too large for {subject}: Limit {limit}, Requested {requested}. {advice}"
        );
    }
    let counts = format!("Limit {limit}, Used {used}, Requested {requested}.");
    match refusal.wait {
        Some(wait) => {
            let wait = go_duration(wait);
            format!("Rate limit reached for {subject}: {counts} Please try again in {wait}.")
        }
        None => format!("Rate limit reached for {subject}: {counts}"),
    }
}

fn openai_error(message: &str, kind: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn cerebras(refusal: &Refusal) -> Value {
    let (message, subject, param, code) = match refusal.dimension {
        Dimension::RequestsPerMinute => (
            "Requests per minute limit exceeded - too many requests sent.",
            "requests",
            "quota",
            "request_quota_exceeded",
        ),
        Dimension::RequestsPerDay => (
            "Requests per day limit exceeded - too many requests sent.",
            "requests",
            "quota",
            "request_quota_exceeded",
        ),
        Dimension::TokensPerMinute => (
            "Tokens per minute limit exceeded - too many tokens processed.",
            "tokens",
            "quota",
            "token_quota_exceeded",
        ),
        Dimension::TokensPerDay => (
            "Tokens per day limit exceeded - too many tokens processed.",
            "tokens",
            "quota",
            "token_quota_exceeded",
        ),
        Dimension::Concurrent => (
            "We're experiencing high traffic right now! Please try again soon.",
            "requests",
            "queue",
            "queue_exceeded",
        ),
    };
    let kind = format!("too_many_{subject}_error");
    json!({"message": message, "type": kind, "param": param, "code": code})
}

fn openrouter(refusal: &Refusal, now: Duration) -> Value {
    let (message, source) = match refusal.dimension {
        Dimension::RequestsPerDay | Dimension::TokensPerDay => {
            ("Rate limit exceeded: free-models-per-day.", Some("openrouter_free_tier_daily"))
        }
        Dimension::Concurrent => ("Provider returned error", Some("upstream_provider_shared_pool")),
        Dimension::RequestsPerMinute | Dimension::TokensPerMinute => {
            ("Rate limit exceeded: free-models-per-min. ", None)
        }
    };
    let mut metadata = json!({});
    if let Some(wait) = refusal.wait {
        for (name, text) in openrouter_headers(refusal, wait, now) {
            metadata["headers"][name] = text.into();
        }
    }
    if let Some(source) = source {
        metadata["limit_source"] = source.into();
    }
    json!({
        "error": {"message": message, "code": 429, "metadata": metadata},
        "user_id": "user_simulated",
    })
}

fn openrouter_headers(
    refusal: &Refusal,
    wait: Duration,
    now: Duration,
) -> [(&'static str, String); 3] {
    // The meter counts whole milliseconds, so the wait is counted from the last whole one.
    let reset = now.as_millis() + wait.as_millis();
    [
        ("X-RateLimit-Limit", refusal.limit.to_string()),
        ("X-RateLimit-Remaining", refusal.limit.saturating_sub(refusal.used).to_string()),
        ("X-RateLimit-Reset", reset.to_string()),
    ]
}

fn mistral(refusal: &Refusal) -> Value {
    if refusal.dimension == Dimension::Concurrent {
        return json!({
            "object": "error",
            "message": "Service tier capacity exceeded for this model.",
            "type": "invalid_request_error",
            "param": null,
            "code": null,
        });
    }
    json!({
        "object": "error",
        "message": "Rate limit exceeded",
        "type": "rate_limited",
        "param": null,
        "code": "1300",
        "raw_status_code": 429,
    })
}

fn gemini(refusal: &Refusal, model: &str) -> Value {
    let (metric, id) = match refusal.dimension {
        Dimension::RequestsPerMinute => {
            ("requests", "GenerateRequestsPerMinutePerProjectPerModel-FreeTier")
        }
        Dimension::RequestsPerDay => {
            ("requests", "GenerateRequestsPerDayPerProjectPerModel-FreeTier")
        }
        Dimension::TokensPerMinute => {
            ("input_token_count", "GenerateContentInputTokensPerModelPerMinute-FreeTier")
        }
        Dimension::TokensPerDay => {
            ("input_token_count", "GenerateContentInputTokensPerModelPerDay-FreeTier")
        }
        Dimension::Concurrent => return gemini_capacity(model),
    };
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{
            "quotaMetric": format!("generativelanguage.googleapis.com/generate_content_free_tier_{metric}"),
            "quotaId": id,
            "quotaDimensions": {"model": model, "location": "global"},
            "quotaValue": refusal.limit.to_string(),
        }],
    })];
    let mut advice = String::new();
    if let Some(wait) = refusal.wait {
        let delay = format!("{}s", seconds(wait));
        advice = format!(" Please retry in {delay}.");
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": delay,
        }));
    }
    let message = format!(
        "You exceeded your current quota, please check your plan and billing details.{advice}"
    );
    json!([{"error": {
        "code": 429,
        "message": message,
        "status": "RESOURCE_EXHAUSTED",
        "details": details,
    }}])
}

fn gemini_capacity(model: &str) -> Value {
    let message = format!("No capacity available for model {model} on the server");
    json!([{"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED"}}])
}
