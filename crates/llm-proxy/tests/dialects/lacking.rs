//! What a provider's model is seen to lack: the next one answers, and it is not asked again.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{Proxy, Setup, error, good, post, question};

fn refusal(status: u16, message: &str) -> Reply {
    error(status, message, "invalid_request_error", "")
}

fn picture() -> Value {
    let mut body = question(false);
    body["messages"] = json!([{"role": "user", "content": [{"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]);
    body
}

fn with(name: &str, value: Value) -> Value {
    let mut body = question(false);
    body[name] = value;
    body
}

fn tools() -> Value {
    with("tools", json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]))
}

/// Refuses a body of which `is_refused` says so.
async fn picky(
    is_refused: impl Fn(&Value) -> bool + Send + Sync + 'static,
    reply: Reply,
) -> SimulatedProvider {
    let behaviour = Behaviour::answer(move |request| {
        if is_refused(&request.json()) { reply.clone() } else { Reply::answer(&["a"]) }
    });
    SimulatedProvider::start(behaviour).await.unwrap()
}

fn schema() -> Value {
    let schema = json!({"name": "x", "schema": {"type": "object"}});
    with("response_format", json!({"type": "json_schema", "json_schema": schema}))
}

async fn reset(proxy: &Proxy) {
    assert_eq!(proxy.send(post("/reset")).await.status, 200);
}

/// What is said with which status, what was sent, and whether a body is refused so.
type Lack = (&'static str, u16, Value, fn(&Value) -> bool);

#[tokio::test]
async fn a_lack_is_paid_for_once() {
    let has_parts = |body: &Value| body["messages"][0]["content"].is_array();
    let has_tools = |body: &Value| body.get("tools").is_some();
    let has_schema = |body: &Value| body["response_format"]["type"] == "json_schema";
    let many = |body: &Value| body["n"].as_u64().is_some_and(|n| n > 1);
    let table: [Lack; 9] = [
        ("messages[0].content must be a string", 400, picture(), has_parts),
        (
            "Failed to deserialize the JSON body into the target type: messages[0]: unknown \
             variant `image_url`, expected `text` at line 1 column 90",
            400,
            picture(),
            has_parts,
        ),
        ("m is not a multimodal model", 400, picture(), has_parts),
        (
            "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
            400,
            tools(),
            has_tools,
        ),
        ("This model only supports n=1", 400, with("n", json!(2)), many),
        ("Invalid n value (currently only n = 1 is supported)", 400, with("n", json!(2)), many),
        ("This response_format type is unavailable now", 400, schema(), has_schema),
        ("This model does not support response format `json_schema`.", 400, schema(), has_schema),
        ("Only one completion choice allowed", 400, with("n", json!(3)), many),
    ];
    for (message, status, body, is_refused) in table {
        let a = picky(is_refused, refusal(status, message)).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        for count in [1, 1, 1] {
            proxy.ask(&body).await.assert_says("b");
            assert_eq!(a.count(), count, "{message}");
        }
        proxy.chat(false).await.assert_says("a");
        reset(&proxy).await;
        proxy.ask(&body).await.assert_says("b");
        assert_eq!(a.count(), 3, "{message}: forgotten");
    }
}

/// What may be wrong with this one request alone says nothing of the next one.
#[tokio::test]
async fn a_lack_that_may_be_the_requests_own_is_not_remembered() {
    for message in [
        "messages.0.content: Input should be a valid string",
        "Unsupported image type: image/gif",
        "This model does not support more than 1 image per request",
    ] {
        let a = picky(|body| body["seed"] == 7, refusal(400, message)).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        let mut bad = picture();
        bad["seed"] = 7.into();
        proxy.ask(&bad).await;
        proxy.ask(&picture()).await.assert_says("a");
    }
}

/// An aggregator says of a model that nobody behind it sees, and does not mean that it is retired.
#[tokio::test]
async fn a_model_that_nobody_serves_so_is_asked_no_more_but_if_nobody_else_is_left() {
    let message = "No endpoints found that support image input";
    let has_parts = |body: &Value| body["messages"][0]["content"].is_array();
    let a = picky(has_parts, refusal(404, message)).await;
    let b = picky(|body| body["seed"] == 7, Reply::error(500, &json!({}))).await;
    let proxy = Setup::chain([&a, &b]).start().await;
    for _ in 0..2 {
        let heard = proxy.ask(&picture()).await;
        assert_eq!(heard.header("x-provider"), Some("b"), "{}", heard.text());
    }
    assert_eq!((a.count(), b.count()), (1, 2));
    let seen = proxy.provider("a").await;
    assert_eq!(
        (&seen["available"], &seen["deployments"][0]["lacks"]),
        (&json!(true), &json!(["images"]))
    );
    proxy.chat(false).await.assert_says("a");
    let mut bad = picture();
    bad["seed"] = 7.into();
    let heard = proxy.ask(&bad).await;
    assert_eq!(a.count(), 3, "nobody else is left: {}", heard.text());
}

#[tokio::test]
async fn what_is_not_taken_together_is_taken_alone() {
    let both = |body: &Value| body.get("tools").is_some() && body.get("response_format").is_some();
    let message = "This model does not support tools in json mode";
    let a = picky(both, refusal(400, message)).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let mut body = tools();
    body["response_format"] = json!({"type": "json_object"});
    proxy.ask(&body).await.assert_says("b");
    proxy.ask(&tools()).await.assert_says("a");
    proxy.ask(&with("response_format", json!({"type": "json_object"}))).await.assert_says("a");
}

#[tokio::test]
async fn a_parameter_that_is_refused_beside_others_is_left_out_once() {
    let message = "'parallel_tool_calls' is only allowed when 'tools' are specified.";
    let told = json!({"error": {"message": message, "type": "invalid_request_error",
        "param": "parallel_tool_calls", "code": null}});
    let lonely =
        |body: &Value| body.get("parallel_tool_calls").is_some() && body.get("tools").is_none();
    let a = picky(lonely, Reply::json(400, &told)).await;
    let proxy = Setup::chain([&a]).start().await;
    for count in [2, 4] {
        let heard = proxy.ask(&with("parallel_tool_calls", json!(false))).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-dropped-params"), Some("parallel_tool_calls"));
        assert_eq!(a.count(), count);
    }
    let mut body = tools();
    body["parallel_tool_calls"] = json!(false);
    let heard = proxy.ask(&body).await;
    assert_eq!(heard.header("x-dropped-params"), None);
    assert_eq!(a.requests().last().unwrap().json()["parallel_tool_calls"], false);
}

#[tokio::test]
async fn who_is_alone_is_asked_again_and_its_own_error_goes_back() {
    let message = "m is not a multimodal model";
    let a = picky(|body| body["messages"][0]["content"].is_array(), refusal(400, message)).await;
    let proxy = Setup::chain([&a]).start().await;
    for count in [1, 2] {
        let heard = proxy.ask(&picture()).await;
        assert_eq!((heard.status, a.count()), (400, count), "{}", heard.text());
        assert_eq!(heard.json()["error"]["message"], message);
    }
}

const SINGLE: &str = "This model only supports single tool-calls at once!";

#[tokio::test]
async fn who_takes_one_call_of_a_tool_at_a_time_is_asked_for_no_more() {
    let several = |body: &Value| {
        body.get("tools").is_some() && body.get("parallel_tool_calls") != Some(&json!(false))
    };
    let a = picky(several, refusal(400, SINGLE)).await;
    let proxy = Setup::chain([&a]).start().await;
    for count in [2, 3] {
        let heard = proxy.ask(&tools()).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-dropped-params"), Some("parallel_tool_calls"));
        assert_eq!(a.count(), count);
    }
    let heard = proxy.chat(false).await;
    assert_eq!(heard.header("x-dropped-params"), None, "there are no tools");
    assert_eq!(a.requests().last().unwrap().json().get("parallel_tool_calls"), None);
    let mut body = tools();
    body["parallel_tool_calls"] = json!(true);
    proxy.ask(&body).await.assert_says("a");
    assert_eq!(a.count(), 5);
}

#[tokio::test]
async fn several_calls_that_are_refused_all_the_same_are_the_next_ones_turn() {
    let a = picky(|body| body.get("tools").is_some(), refusal(400, SINGLE)).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    for count in [2, 3] {
        proxy.ask(&tools()).await.assert_says("b");
        assert_eq!(a.count(), count);
    }
}

#[tokio::test]
async fn a_list_is_shortened_to_what_is_taken_and_that_is_remembered() {
    let too_long = |body: &Value| body["stop"].as_array().is_some_and(|stop| stop.len() > 4);
    let body = with("stop", json!(["a", "b", "c", "d", "e"]));
    for (message, param) in [
        (
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an \
             array with length 5 instead.",
            json!("stop"),
        ),
        ("Only up to 4 stop sequences are allowed", Value::Null),
        ("'stop' : maximum number of items is 4", Value::Null),
    ] {
        let told =
            json!({"error": {"message": message, "type": "invalid_request_error", "param": param}});
        let a = picky(too_long, Reply::json(400, &told)).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        for count in [2, 3] {
            let heard = proxy.ask(&body).await;
            heard.assert_says("a");
            assert_eq!(heard.header("x-dropped-params"), Some("stop"), "{message}");
            assert_eq!(a.count(), count, "{message}");
        }
        let sent = a.requests().last().unwrap().json();
        assert_eq!(sent["stop"], json!(["a", "b", "c", "d"]));
    }
}

#[tokio::test]
async fn a_list_is_shortened_for_who_is_known_to_take_no_more() {
    let (a, b) = (good("a").await, good("b").await);
    let lines = "api_key: sk-key-one-0123456\n    model: m";
    let proxy =
        Setup::new().provider_with("cerebras", a.address(), lines).provider("b", &b).start().await;
    for (given, sent, named) in [
        (json!(["a", "b", "c", "d", "e"]), json!(["a", "b", "c", "d"]), Some("stop")),
        (json!(["a", "b", "c", "d"]), json!(["a", "b", "c", "d"]), None),
        (json!("a"), json!("a"), None),
    ] {
        let heard = proxy.ask(&with("stop", given)).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-dropped-params"), named);
        assert_eq!(a.requests().last().unwrap().json()["stop"], sent);
    }
}
