//! No prompt, no answer and no key is ever in the file.

use serde_json::json;
use simulated::{Behaviour, Reply};

use crate::harness::{acting, entry};
use crate::parts::{bytes, error, files, holds, killed, remembering, saved, told};

const PROMPT: &str = "the-secret-prompt-of-a-user";
const ANSWER: &str = "the-secret-answer-of-a-model";
const KEY: &str = "key-of-one-0123456789";
/// What the client shows us.
const CLIENTS_KEY: &str = "the-secret-key-of-the-client";

/// Faults of a request's own, in words that quote it.
fn quoting(mark: &str) -> Option<Reply> {
    let quote = format!("your words {PROMPT:?} with the key {KEY} were wrong");
    let (status, kind, code) = match mark {
        "mistake" => (400, "invalid_request_error", "invalid_value"),
        "unprocessable" => (422, "invalid_request_error", "invalid_value"),
        "filtered" => (400, "invalid_request_error", "content_filter"),
        "parameter" => (400, "invalid_request_error", "unsupported_parameter"),
        "long" => (400, "invalid_request_error", "context_length_exceeded"),
        "large" => (413, "invalid_request_error", "request_too_large"),
        _ => return None,
    };
    Some(error(status, kind, code, &quote))
}

#[tokio::test]
async fn no_prompt_answer_or_key_is_in_the_file_or_told() {
    let upstream = acting(Behaviour::answer(|request| {
        let body = request.json();
        let mark = body["user"].as_str().unwrap_or_default();
        quoting(mark).unwrap_or_else(|| Reply::answer(&["It is ", ANSWER]))
    }))
    .await;
    let proxy = remembering(&[entry("one", &upstream)]).await;
    let mut count = 0;
    let marks = ["mistake", "unprocessable", "filtered", "parameter", "long", "large", "none"];
    for (mark, stream) in marks.iter().flat_map(|mark| [(mark, false), (mark, true)]) {
        let body = json!({"user": mark, "stream": stream,
            "messages": [{"role": "user", "content": PROMPT}]});
        let headers = [format!("authorization: Bearer {CLIENTS_KEY}")];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let path = "/v1/chat/completions";
        let answer = crate::harness::post(proxy.address, path, &headers, &body.to_string()).await;
        // The client itself is told all of it, but for the key.
        let told = answer.text();
        assert!(holds(told.as_bytes(), if *mark == "none" { ANSWER } else { PROMPT }), "{told}");
        assert!(!holds(told.as_bytes(), KEY), "{told}");
        count += 1;
    }
    let requests = json!(told(&proxy, count).await).to_string();
    let status = proxy.get("/status").await.text().to_owned();
    saved(&proxy).await;
    let log = proxy.lines().join("\n");
    let place = killed(proxy).await;
    assert!(files(&place).iter().any(|file| file.ends_with("llm-proxy.db-wal")));
    let file = bytes(&place);
    assert!(holds(&file, "one-model"), "this is not the file");
    for secret in [PROMPT, ANSWER, KEY, CLIENTS_KEY] {
        for (place, text) in [
            ("file", &file[..]),
            ("requests", requests.as_bytes()),
            ("status", status.as_bytes()),
            ("log", log.as_bytes()),
        ] {
            assert!(!holds(text, secret), "{secret} in {place}");
        }
    }
}

/// A key in the place of a model's name.
const MISPLACED: &str = "sk-misplaced-0123456789abcdef";

#[tokio::test]
async fn a_key_that_is_sent_as_the_models_name_is_told_to_nobody() {
    let upstream = acting(Behaviour::answer(|request| {
        let model = request.json()["model"].as_str().unwrap_or_default().to_owned();
        if model == "one-model" {
            return Reply::answer(&["It is ", ANSWER]);
        }
        let quote = format!("The model `{model}` does not exist or you have no access to it.");
        error(404, "invalid_request_error", "model_not_found", &quote)
    }))
    .await;
    let proxy = remembering(&[entry("one", &upstream)]).await;
    let mut heard = Vec::new();
    for name in
        [MISPLACED.to_owned(), format!("one/{MISPLACED}"), KEY.to_owned(), format!("one/{KEY}")]
    {
        let body = json!({"model": name, "messages": [{"role": "user", "content": "hi"}]});
        let answer = proxy.chat(&body.to_string()).await;
        heard.push(answer.header("x-model").unwrap_or_default().to_owned());
        for path in ["/explain?model=", "/v1/models/"] {
            heard.push(proxy.get(&format!("{path}{name}")).await.text().to_owned());
        }
    }
    let sent: Vec<String> =
        upstream.requests().iter().map(|request| request.json()["model"].to_string()).collect();
    assert!(sent.iter().any(|model| model.contains(MISPLACED)), "{sent:?}");
    let requests = json!(told(&proxy, 4).await).to_string();
    assert!(requests.contains("one/[redacted]"), "{requests}");
    let status = proxy.get("/status").await.text().to_owned();
    saved(&proxy).await;
    let log = proxy.lines().join("\n");
    let file = bytes(&killed(proxy).await);
    for secret in [MISPLACED, KEY] {
        for (place, text) in [
            ("file", &file[..]),
            ("requests", requests.as_bytes()),
            ("status", status.as_bytes()),
            ("log", log.as_bytes()),
            ("answers", heard.join("\n").as_bytes()),
        ] {
            assert!(!holds(text, secret), "{secret} in {place}");
        }
    }
}

/// What a user says that no provider may have told of him.
const SAID: &str = "My landlord Mr Abernathy owes me 4711 dollars\nplease help";

/// Faults of a provider's own, in words that quote what the user said.
fn telling(mark: &str) -> Option<Reply> {
    let quote = format!("Sorry: {SAID} (request {mark})");
    let inside = json!({"error": {"message": quote, "type": "server_error", "code": 503}});
    Some(match mark {
        "limit" => error(429, "rate_limit_error", "rate_limit_exceeded", &quote),
        "server" => error(500, "server_error", "internal", &quote),
        "key" => error(401, "authentication_error", "invalid_api_key", &quote),
        "model" => error(404, "invalid_request_error", "model_not_found", &quote),
        "inside" => Reply::json(200, &inside),
        "text" => Reply::bytes(502, quote.clone()),
        _ => return None,
    })
}

#[tokio::test]
async fn a_providers_fault_that_quotes_the_user_is_told_without_the_quotation() {
    for (mark, stream) in ["limit", "server", "key", "model", "inside", "text"]
        .iter()
        .flat_map(|mark| [(mark, false), (mark, true)])
    {
        let upstream = acting(Behaviour::always(telling(mark).unwrap())).await;
        let proxy = remembering(&[entry("one", &upstream)]).await;
        let body = json!({"stream": stream, "messages": [{"role": "user", "content": SAID}]});
        proxy.chat(&body.to_string()).await;
        let requests = json!(told(&proxy, 1).await).to_string();
        let status = proxy.get("/status").await.text().to_owned();
        saved(&proxy).await;
        let log = proxy.lines().join("\n");
        let file = bytes(&killed(proxy).await);
        for secret in ["landlord", "Abernathy", "4711 dollars", "please help"] {
            for (place, text) in [
                ("file", &file[..]),
                ("requests", requests.as_bytes()),
                ("status", status.as_bytes()),
                ("log", log.as_bytes()),
            ] {
                assert!(!holds(text, secret), "{mark}: {secret} in {place}");
            }
        }
        // The provider's own words are still there.
        assert!(requests.contains(&format!("Sorry: [...] (request {mark})")), "{requests}");
    }
}
