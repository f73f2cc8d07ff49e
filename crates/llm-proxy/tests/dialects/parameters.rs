//! What providers do not take of a request: known of them, learned from them, or lacked by them.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{Proxy, Setup, always, error, good, question, script};
use crate::shared::last_body;

const ONE: &str = "api_key: sk-key-one-0123456";

/// A provider of the catalogue at `a`, then `b`.
async fn house(name: &str, model: &str, a: &SimulatedProvider, b: &SimulatedProvider) -> Proxy {
    let lines = format!("{ONE}\n    model: {model:?}");
    Setup::new().provider_with(name, a.address(), &lines).provider("b", b).start().await
}

fn with(fields: &Value) -> Value {
    let mut body = question(false);
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// A body without the fields that every request has.
fn rest(body: &Value) -> Value {
    let mut body = body.clone();
    for common in ["model", "messages", "stream"] {
        body.as_object_mut().unwrap().remove(common);
    }
    body
}

fn words(header: Option<&str>) -> Vec<&str> {
    let mut words: Vec<&str> = header.unwrap_or_default().split(", ").collect();
    words.sort_unstable();
    words
}

/// A provider, its model, what is sent, what arrives, and which parameters are named as changed.
type Known = (&'static str, &'static str, Value, Value, &'static [&'static str]);

fn known() -> [Known; 8] {
    [
        (
            "mistral",
            "mistral-small-latest",
            json!({"seed": 7, "user": "u", "store": true, "logit_bias": {"1": 2}, "max_completion_tokens": 9, "top_p": 0.5}),
            json!({"random_seed": 7, "max_tokens": 9, "top_p": 0.5}),
            &["logit_bias", "max_completion_tokens", "seed", "store", "user"],
        ),
        (
            "groq",
            "openai/gpt-oss-120b",
            json!({"logprobs": true, "top_logprobs": 2, "logit_bias": {}, "reasoning_format": "raw", "n": 1}),
            json!({"n": 1}),
            &["logit_bias", "logprobs", "reasoning_format", "top_logprobs"],
        ),
        (
            "groq",
            "qwen/qwen3.8-27b",
            json!({"reasoning_format": "raw"}),
            json!({"reasoning_format": "raw"}),
            &[""],
        ),
        (
            "cerebras",
            "gemma-4-31b",
            json!({"max_tokens": 5, "reasoning_effort": "low"}),
            json!({"max_completion_tokens": 5}),
            &["max_tokens", "reasoning_effort"],
        ),
        (
            "cerebras",
            "gpt-oss-120b",
            json!({"reasoning_effort": "low"}),
            json!({"reasoning_effort": "low"}),
            &[""],
        ),
        (
            "xai",
            "grok-4.7",
            json!({"stop": ["x"], "frequency_penalty": 1, "presence_penalty": 1, "temperature": 0}),
            json!({"temperature": 0}),
            &["frequency_penalty", "presence_penalty", "stop"],
        ),
        (
            "together",
            "m",
            json!({"max_completion_tokens": 8}),
            json!({"max_tokens": 8}),
            &["max_completion_tokens"],
        ),
        (
            "gemini",
            "gemini-flash-latest",
            json!({"logprobs": true, "top_logprobs": 2, "logit_bias": {}, "seed": 1}),
            json!({"seed": 1}),
            &["logit_bias", "logprobs", "top_logprobs"],
        ),
    ]
}

/// The same of values, and of what goes with another parameter.
fn known_values() -> [Known; 6] {
    [
        (
            "mistral",
            "mistral-medium-latest",
            json!({"reasoning_effort": "medium", "logprobs": true}),
            json!({"logprobs": true}),
            &["reasoning_effort"],
        ),
        (
            "mistral",
            "mistral-medium-latest",
            json!({"reasoning_effort": "high"}),
            json!({"reasoning_effort": "high"}),
            &[""],
        ),
        ("together", "m", json!({"logprobs": true}), json!({"logprobs": 1}), &["logprobs"]),
        ("together", "m", json!({"logprobs": false}), json!({"logprobs": 0}), &["logprobs"]),
        ("together", "m", json!({"logprobs": 3}), json!({"logprobs": 3}), &[""]),
        (
            "perplexity",
            "sonar",
            json!({"stop": ["x"], "seed": 1, "logprobs": true, "top_logprobs": 1, "top_p": 1}),
            json!({"top_p": 1}),
            &["logprobs", "seed", "stop", "top_logprobs"],
        ),
    ]
}

#[tokio::test]
async fn what_the_catalogue_knows_changes_that_attempt_alone_and_is_named() {
    for (name, model, sent, taken, dropped) in known().into_iter().chain(known_values()) {
        let a = script([Reply::answer(&["a"]), Reply::rate_limited(Some("60"))]).await;
        let b = good("b").await;
        let proxy = house(name, model, &a, &b).await;
        let body = with(&sent);
        let heard = proxy.ask(&body).await;
        heard.assert_says("a");
        assert_eq!(rest(&last_body(&a)), taken, "{name} {model}");
        assert_eq!(words(heard.header("x-dropped-params")), dropped, "{name} {model}");
        let heard = proxy.ask(&body).await;
        heard.assert_says("b");
        assert_eq!(rest(&last_body(&b)), sent, "{name} {model}: the next one's own copy");
        assert_eq!(heard.header("x-dropped-params"), None);
    }
}

#[tokio::test]
async fn the_catalogue_knows_which_models_call_the_maximum_otherwise() {
    for (model, name) in [("gpt-6-luna", "max_completion_tokens"), ("gpt-4.1-mini", "max_tokens")] {
        let (a, b) = (good("a").await, good("b").await);
        let proxy = house("openai", model, &a, &b).await;
        proxy.ask(&with(&json!({"max_tokens": 8}))).await.assert_says("a");
        assert_eq!(rest(&last_body(&a)), json!({name: 8}), "{model}");
    }
}

#[tokio::test]
async fn usage_is_not_asked_of_who_refuses_to_be_asked() {
    let (a, b) = (good("a").await, good("b").await);
    let proxy = house("mistral", "mistral-small-latest", &a, &b).await;
    let mut body = question(true);
    proxy.ask(&body).await.assert_says("a");
    assert_eq!(rest(&last_body(&a)), json!({}));
    body["stream_options"] = json!({"include_usage": true});
    let heard = proxy.ask(&body).await;
    heard.assert_says("a");
    assert_eq!(rest(&last_body(&a)), json!({}));
    assert_eq!(heard.header("x-dropped-params"), Some("stream_options"));
}

/// Answers only what `refusal` lets through.
async fn picky(
    refusal: impl Fn(&Value) -> Option<Reply> + Send + Sync + 'static,
) -> SimulatedProvider {
    let behaviour = Behaviour::answer(move |request| {
        refusal(&request.json()).unwrap_or_else(|| Reply::answer(&["a"]))
    });
    SimulatedProvider::start(behaviour).await.unwrap()
}

fn unknown(name: &str) -> Reply {
    let message = format!("Unknown parameter: '{name}'.");
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": name,
        "code": "unknown_parameter"}});
    Reply::json(400, &body)
}

#[tokio::test]
async fn an_unknown_parameter_is_stripped_once_and_remembered_for_that_model_alone() {
    let a = picky(|body| body.get("top_k").map(|_| unknown("top_k"))).await;
    let b = good("b").await;
    let lines = format!("{ONE}\n    models: [x, y]");
    let proxy =
        Setup::new().provider_with("a", a.address(), &lines).provider("b", &b).start().await;
    let body = with(&json!({"top_k": 5, "seed": 1}));
    let heard = proxy.ask(&body).await;
    heard.assert_says("a");
    assert_eq!(
        (heard.header("x-attempts"), heard.header("x-dropped-params")),
        (Some("1"), Some("top_k"))
    );
    assert_eq!(rest(&last_body(&a)), json!({"seed": 1}));
    assert_eq!(a.count(), 2);
    proxy.ask(&body).await.assert_says("a");
    assert_eq!(a.count(), 3, "remembered");
    let mut other = body.clone();
    other["model"] = "a/y".into();
    proxy.ask(&other).await.assert_says("a");
    assert_eq!(a.count(), 5, "another model is asked as it is");
    a.set(Reply::rate_limited(Some("60")));
    proxy.ask(&body).await.assert_says("b");
    assert_eq!(rest(&last_body(&b)), json!({"top_k": 5, "seed": 1}));
}

#[tokio::test]
async fn a_parameter_of_the_api_that_is_called_unknown_is_stripped_and_remembered() {
    for said in [
        "unknown field: parameter '{f}' is not a valid field",
        "{f}: unknown field",
        "unrecognized field \"{f}\"",
        "'{f}' is not a permitted field",
        "This model does not support the `{f}` parameter",
        "extra fields not permitted: {f}",
        "Unknown request field: {f}",
    ] {
        for (name, values) in [("user", ["u", "v"]), ("stop", ["x", "y"]), ("foo_bar", ["1", "2"])]
        {
            let told = json!({"id": "x", "message": said.replace("{f}", name)});
            let a = picky(move |body| body.get(name).map(|_| Reply::json(422, &told))).await;
            let b = good("b").await;
            let proxy = Setup::chain([&a, &b]).start().await;
            for (count, value) in [2, 3].into_iter().zip(values) {
                let heard = proxy.ask(&with(&json!({name: value, "top_p": 0.5}))).await;
                heard.assert_says("a");
                assert_eq!(heard.header("x-dropped-params"), Some(name), "{said}");
                assert_eq!((a.count(), b.count()), (count, 0), "{said} {name}");
            }
            assert_eq!(rest(&last_body(&a)), json!({"top_p": 0.5}));
        }
    }
}

/// Another value of it is still sent: who takes that is not known.
#[tokio::test]
async fn one_choice_is_what_everybody_gives_so_that_a_refused_n_of_one_is_left_out() {
    let a = picky(|body| body.get("n").map(|_| unknown("n"))).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    for count in [2, 3] {
        let heard = proxy.ask(&with(&json!({"n": 1, "seed": 1}))).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-dropped-params"), Some("n"));
        assert_eq!((a.count(), rest(&last_body(&a))), (count, json!({"seed": 1})));
    }
    proxy.ask(&with(&json!({"n": 2}))).await.assert_says("b");
    assert_eq!(rest(&last_body(&b)), json!({"n": 2}));
}

#[tokio::test]
async fn what_means_nothing_without_a_refused_parameter_goes_with_it() {
    let a = picky(|body| {
        let name = ["logprobs", "top_logprobs"].into_iter().find(|name| body.get(name).is_some());
        name.map(unknown)
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    let body = with(&json!({"top_logprobs": 2, "logprobs": true, "seed": 1}));
    for count in [2, 3] {
        let heard = proxy.ask(&body).await;
        heard.assert_says("a");
        assert_eq!(words(heard.header("x-dropped-params")), ["logprobs", "top_logprobs"]);
        assert_eq!((a.count(), rest(&last_body(&a))), (count, json!({"seed": 1})));
    }
}

#[tokio::test]
async fn what_another_parameter_means_something_without_goes_alone() {
    let a = picky(|body| body.get("top_logprobs").map(|_| unknown("top_logprobs"))).await;
    let proxy = Setup::chain([&a]).start().await;
    proxy.ask(&with(&json!({"top_logprobs": 2, "logprobs": true}))).await.assert_says("a");
    assert_eq!(rest(&last_body(&a)), json!({"logprobs": true}));
}

#[tokio::test]
async fn several_refused_parameters_are_stripped_one_after_the_other() {
    let names = ["store", "metadata", "service_tier"];
    let a = picky(move |body| {
        names.iter().find(|name| body.get(**name).is_some()).map(|name| unknown(name))
    })
    .await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let body = with(&json!({"store": true, "metadata": {}, "service_tier": "auto"}));
    proxy.ask(&body).await.assert_says("a");
    assert_eq!(a.count(), 4);
    proxy.ask(&body).await.assert_says("a");
    assert_eq!(a.count(), 5);
}

#[tokio::test]
async fn a_parameter_that_is_refused_for_ever_leads_to_the_next_provider() {
    let (a, b) = (always(unknown("top_k")).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.ask(&with(&json!({"top_k": 5}))).await.assert_says("b");
    assert_eq!(a.count(), 2);
    assert_eq!(rest(&last_body(&b)), json!({"top_k": 5}));
    assert_eq!(proxy.provider("a").await["available"], true, "nobody is benched for it");
}

#[tokio::test]
async fn a_parameter_is_renamed_as_the_refusal_says() {
    let a = picky(|body| {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                       Use 'max_completion_tokens' instead.";
        let body = body.get("max_tokens").map(|_| {
            json!({"error": {"message": message, "type": "invalid_request_error", "param": "max_tokens",
                "code": "unsupported_parameter"}})
        });
        body.map(|body| Reply::json(400, &body))
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    for count in [2, 3] {
        let heard = proxy.ask(&with(&json!({"max_tokens": 7}))).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-dropped-params"), Some("max_tokens"));
        assert_eq!(rest(&last_body(&a)), json!({"max_completion_tokens": 7}));
        assert_eq!(a.count(), count);
    }
}

#[tokio::test]
async fn a_number_is_lowered_as_the_refusal_says() {
    let a = picky(|body| {
        (body["max_tokens"].as_u64() > Some(8192)).then(|| {
            let message = "`max_tokens` must be less than or equal to `8192`, the maximum value for \
                `max_tokens` is less than the `context_window` for this model";
            let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": "max_tokens"}});
            Reply::json(400, &body)
        })
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    proxy.ask(&with(&json!({"max_tokens": 20000}))).await.assert_says("a");
    assert_eq!(rest(&last_body(&a)), json!({"max_tokens": 8192}));
    proxy.ask(&with(&json!({"max_tokens": 30000}))).await.assert_says("a");
    assert_eq!(rest(&last_body(&a)), json!({"max_tokens": 8192}));
    assert_eq!(a.count(), 3);
    let heard = proxy.ask(&with(&json!({"max_tokens": 100}))).await;
    assert_eq!(rest(&last_body(&a)), json!({"max_tokens": 100}));
    assert_eq!(heard.header("x-dropped-params"), None);
}

fn tools() -> Value {
    json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]})
}

fn required() -> Value {
    let mut fields = tools();
    fields["tool_choice"] = "required".into();
    fields
}

fn picture() -> Value {
    json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]})
}

fn schema() -> Value {
    json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}})
}

#[tokio::test]
async fn who_is_known_to_lack_what_is_asked_for_is_passed_over() {
    let lacking = |words: &str| format!("{ONE}\n    model: m\n    lacks: [{words}]");
    let table = [
        ("groq", format!("{ONE}\n    model: m"), json!({"n": 2}), "n"),
        ("perplexity", format!("{ONE}\n    model: sonar"), tools(), "tools"),
        ("moonshot", format!("{ONE}\n    model: kimi-k2.6"), required(), "required_tools"),
        ("plain", lacking("required_tools"), required(), "required_tools"),
        ("plain", lacking("images"), picture(), "images"),
        ("plain", lacking("json_schema"), schema(), "json_schema"),
        ("plain", lacking("tools, n"), tools(), "tools"),
        ("plain", lacking("n"), json!({"n": 3}), "n"),
    ];
    for (name, lines, fields, ability) in table {
        let (a, b) = (good("a").await, good("b").await);
        let proxy =
            Setup::new().provider_with(name, a.address(), &lines).provider("b", &b).start().await;
        let mut body = with(&fields);
        proxy.ask(&body).await.assert_says("b");
        assert_eq!(rest(&last_body(&b)), rest(&body), "{name}");
        assert_eq!(a.count(), 0, "{name} {ability}");
        body["model"] = name.into();
        let heard = proxy.ask(&body).await;
        assert_eq!(heard.status, 400, "{name}: {}", heard.text());
        let error = heard.json()["error"].clone();
        let message = error["message"].as_str().unwrap();
        assert!(message.ends_with(&format!("takes {ability}")), "{message}");
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(a.count(), 0);
        proxy.chat(true).await.assert_says("a");
    }
}

#[tokio::test]
async fn a_refusal_of_an_image_goes_on_and_benches_nobody() {
    let refusal = error(
        400,
        "Invalid content type. image_url is only supported by certain models.",
        "invalid_request_error",
        "invalid_value",
    );
    let a =
        picky(move |body| body["messages"][0]["content"].is_array().then(|| refusal.clone())).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.ask(&with(&picture())).await.assert_says("b");
    proxy.chat(false).await.assert_says("a");
}

#[tokio::test]
async fn no_common_parameter_fails_the_request_further_down_the_chain() {
    // Each provider refuses another one; the last takes them all.
    let names = [
        "logprobs",
        "stream_options",
        "max_completion_tokens",
        "reasoning_effort",
        "parallel_tool_calls",
    ];
    let mut providers = Vec::new();
    for name in names {
        providers.push(picky(move |body| body.get(name).map(|_| unknown(name))).await);
    }
    let proxy = Setup::chain(&providers).start().await;
    let fields = json!({"logprobs": true, "max_completion_tokens": 5, "reasoning_effort": "low", "parallel_tool_calls": false});
    for index in 0..names.len() {
        let mut body = with(&fields);
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
        let heard = proxy.ask(&body).await;
        assert_eq!(heard.status, 200, "{}", heard.text());
        assert_eq!(heard.header("x-dropped-params"), Some(names[index]));
        providers[index].set(Reply::rate_limited(Some("60")));
        let _ = proxy.ask(&body).await;
    }
}

fn refused_value(name: &str, message: &str) -> Reply {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": name,
        "code": "unsupported_value"}});
    Reply::json(400, &body)
}

#[tokio::test]
async fn a_refused_value_is_remembered_by_its_value() {
    let a = picky(|body| {
        let value = body.get("reasoning_effort")?.as_str()?.to_owned();
        let message = "Unsupported value: 'reasoning_effort' does not support this value with this \
            model. Supported values are: 'low', 'medium' and 'high'.";
        ["minimal", "none"]
            .contains(&value.as_str())
            .then(|| refused_value("reasoning_effort", message))
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    let ask = async |effort: &str| {
        let heard = proxy.ask(&with(&json!({"reasoning_effort": effort}))).await;
        heard.assert_says("a");
        (rest(&last_body(&a)), a.count())
    };
    assert_eq!(ask("minimal").await, (json!({}), 2));
    assert_eq!(ask("minimal").await, (json!({}), 3), "remembered");
    assert_eq!(ask("low").await, (json!({"reasoning_effort": "low"}), 4), "others pass");
    assert_eq!(ask("none").await, (json!({}), 6));
    assert_eq!(ask("minimal").await, (json!({}), 7), "both are remembered");
}

#[tokio::test]
async fn where_only_the_default_is_taken_every_value_is_left_out() {
    let a = picky(|body| {
        let message = "Unsupported value: 'temperature' does not support 0.2 with this model. Only \
            the default (1) value is supported.";
        body.get("temperature").map(|_| refused_value("temperature", message))
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    for (temperature, count) in [(0.2, 2), (0.2, 3), (0.7, 4)] {
        proxy.ask(&with(&json!({"temperature": temperature}))).await.assert_says("a");
        assert_eq!((rest(&last_body(&a)), a.count()), (json!({}), count));
    }
}

#[tokio::test]
async fn a_bound_lowers_what_is_above_it_and_nothing_else() {
    let a = picky(|body| {
        let message = "temperature must be less than or equal to 1";
        (body["temperature"].as_f64() > Some(1.0)).then(|| refused_value("temperature", message))
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    for (sent, taken, count) in [(1.5, json!(1), 2), (0.7, json!(0.7), 3), (2.0, json!(1), 4)] {
        proxy.ask(&with(&json!({"temperature": sent}))).await.assert_says("a");
        assert_eq!((last_body(&a)["temperature"].clone(), a.count()), (taken, count));
    }
}

#[tokio::test]
async fn words_of_the_client_that_come_back_teach_nothing() {
    let words = "Unsupported parameter: 'temperature'. Use 'top_k' instead.";
    let a = picky(move |body| {
        let said = body["messages"][0]["content"].as_str()?.to_owned();
        let message = format!("Cannot read the message: {said}");
        let body = json!({"error": {"message": message, "type": "invalid_request_error"}});
        said.contains("Unsupported").then(|| Reply::json(400, &body))
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    let mut body = with(&json!({"temperature": 0.5}));
    body["messages"][0]["content"] = words.into();
    assert_eq!(proxy.ask(&body).await.status, 400);
    assert_eq!(a.count(), 1, "nothing was mended");
    proxy.ask(&with(&json!({"temperature": 0.5}))).await.assert_says("a");
    assert_eq!(last_body(&a)["temperature"], json!(0.5));
}

#[tokio::test]
async fn an_answer_longer_than_the_declared_maximum_is_asked_for_as_the_maximum() {
    let (a, b) = (good("a").await, good("b").await);
    let lines = format!("{ONE}\n    limits: {{max_output: 100}}");
    let proxy =
        Setup::new().provider_with("a", a.address(), &lines).provider("b", &b).start().await;
    for (asked, sent, named) in [(5000, 100, "max_tokens"), (99, 99, "")] {
        let heard = proxy.ask(&with(&json!({"max_tokens": asked}))).await;
        assert_eq!(last_body(&a)["max_tokens"], sent);
        assert_eq!(heard.header("x-dropped-params").unwrap_or_default(), named);
    }
}

fn says(message: &str) -> Reply {
    Reply::json(400, &json!({"error": {"message": message, "type": "invalid_request_error"}}))
}

#[tokio::test]
async fn of_two_that_are_taken_one_at_a_time_one_is_left_out_where_both_are_sent() {
    let a = picky(|body| {
        let message = "`temperature` and `top_p` cannot both be specified for this model. Please \
            use only one.";
        (body.get("temperature").is_some() && body.get("top_p").is_some()).then(|| says(message))
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    let ask = async |fields: Value| {
        proxy.ask(&with(&fields)).await.assert_says("a");
        (rest(&last_body(&a)), a.count())
    };
    let both = json!({"temperature": 0.7, "top_p": 0.9});
    assert_eq!(ask(both.clone()).await, (json!({"temperature": 0.7}), 2));
    assert_eq!(ask(both).await, (json!({"temperature": 0.7}), 3), "remembered");
    assert_eq!(ask(json!({"top_p": 0.9})).await, (json!({"top_p": 0.9}), 4), "for the pair only");
}

#[tokio::test]
async fn of_two_limits_of_an_answer_the_old_one_is_left_out_where_both_are_sent() {
    let a = picky(|body| {
        let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not \
            supported.";
        let both = ["max_tokens", "max_completion_tokens"].map(|name| body.get(name).is_some());
        (both == [true, true]).then(|| says(message))
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    let ask = async |fields: Value| {
        proxy.ask(&with(&fields)).await.assert_says("a");
        (rest(&last_body(&a)), a.count())
    };
    let both = json!({"max_tokens": 10, "max_completion_tokens": 20});
    let new = json!({"max_completion_tokens": 20});
    assert_eq!(ask(both.clone()).await, (new.clone(), 2));
    assert_eq!(ask(both).await, (new, 3), "remembered");
    let old = json!({"max_tokens": 10});
    assert_eq!(ask(old.clone()).await, (old, 4), "for the pair only");
}

#[tokio::test]
async fn what_is_refused_for_another_value_of_the_request_is_left_out_of_this_one_only() {
    let warm = "'temperature' is not supported with this model when reasoning effort is not none.";
    let lonely = "Invalid value for 'top_logprobs': must be used with 'logprobs' set to true.";
    let thinks = |body: &Value| {
        body.get("temperature").is_some() && body.get("reasoning_effort") != Some(&json!("none"))
    };
    let counts =
        |body: &Value| body.get("top_logprobs").is_some() && body.get("logprobs").is_none();
    let a = picky(move |body| {
        let warm = thinks(body).then(|| says(warm));
        warm.or_else(|| counts(body).then(|| says(lonely)))
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    let ask = async |fields: &Value| {
        proxy.ask(&with(fields)).await.assert_says("a");
        (rest(&last_body(&a)), a.count())
    };
    let thinking = json!({"reasoning_effort": "low", "temperature": 0.5});
    let counted = json!({"top_logprobs": 3});
    for asked in [2, 4] {
        assert_eq!(ask(&thinking).await, (json!({"reasoning_effort": "low"}), asked));
    }
    for asked in [6, 8] {
        assert_eq!(ask(&counted).await, (json!({}), asked));
    }
    for (sound, asked) in [
        (json!({"reasoning_effort": "none", "temperature": 0.5}), 9),
        (json!({"logprobs": true, "top_logprobs": 3}), 10),
    ] {
        assert_eq!(ask(&sound).await, (sound, asked));
    }
}

#[tokio::test]
async fn both_penalties_go_at_once() {
    let a = picky(|body| {
        let names = ["frequency_penalty", "presence_penalty"];
        let has = names.iter().any(|name| body.get(name).is_some());
        has.then(|| says("Penalty is not enabled for this model"))
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    let body = with(&json!({"frequency_penalty": 0.2, "presence_penalty": 0.1}));
    let heard = proxy.ask(&body).await;
    heard.assert_says("a");
    assert_eq!(words(heard.header("x-dropped-params")), ["frequency_penalty", "presence_penalty"]);
    assert_eq!((rest(&last_body(&a)), a.count()), (json!({}), 2));
}

#[tokio::test]
async fn a_number_is_lowered_under_the_name_that_the_provider_has_for_it() {
    let a = picky(|body| {
        let message = "Range of max_completion_tokens should be [1, 8192]";
        (body["max_completion_tokens"].as_u64() > Some(8192)).then(|| says(message))
    })
    .await;
    let b = good("b").await;
    let proxy = house("cerebras", "gpt-oss-120b", &a, &b).await;
    for count in [2, 3] {
        proxy.ask(&with(&json!({"max_tokens": 20000}))).await.assert_says("a");
        let seen = (rest(&last_body(&a)), a.count());
        assert_eq!(seen, (json!({"max_completion_tokens": 8192}), count));
    }
    proxy.ask(&with(&json!({"max_tokens": 20}))).await.assert_says("a");
    assert_eq!(rest(&last_body(&a)), json!({"max_completion_tokens": 20}));
}

#[tokio::test]
async fn a_limit_of_this_one_provider_never_stops_the_chain() {
    let refusals = [
        (json!({"temperature": 0.7}), "invalid temperature: only 1 is allowed for this model"),
        (json!({"temperature": 0.7}), "`temperature` is deprecated for this model."),
        (json!({"max_tokens": 9000}), "Range of max_tokens should be [1, 8192]"),
        (json!({"reasoning_effort": "high"}), "\"m\" does not support thinking"),
        (json!({"presence_penalty": 1}), "Model m does not support parameter presencePenalty."),
    ];
    for (fields, message) in refusals {
        // One that goes on refusing is passed over.
        let (a, b) = (always(says(message)).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let heard = proxy.ask(&with(&fields)).await;
        heard.assert_says("b");
        assert_eq!((a.count(), rest(&last_body(&b))), (2, fields), "{message}");
        assert_eq!(proxy.provider("a").await["available"], true, "{message}");
    }
}

#[tokio::test]
async fn strict_is_left_out_of_tools_where_it_is_not_known_and_that_is_remembered() {
    let message = "Invalid JSON payload received. Unknown name \"strict\" at 'tools[0].function': \
        Cannot find field.";
    let a =
        picky(move |body| body["tools"][0]["function"].get("strict").map(|_| says(message))).await;
    let proxy = Setup::chain([&a]).start().await;
    let mut fields = tools();
    fields["tools"][0]["function"]["strict"] = true.into();
    for count in [2, 3] {
        let heard = proxy.ask(&with(&fields)).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-dropped-params"), Some("tools.strict"));
        assert_eq!((rest(&last_body(&a)), a.count()), (tools(), count));
    }
}

#[tokio::test]
async fn parts_that_are_texts_become_one_text_where_nothing_else_is_taken() {
    let a = picky(|body| {
        let message = "AiError: Bad input: Error: oneOf at '/' not met, 0 matches: Type mismatch \
            of '/messages/0/content', 'array' not in 'string'";
        body["messages"][0]["content"].is_array().then(|| says(message))
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    let mut body = question(false);
    body["messages"][0]["content"] =
        json!([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]);
    for count in [2, 3] {
        let heard = proxy.ask(&body).await;
        heard.assert_says("a");
        assert_eq!(heard.header("x-dropped-params"), Some("messages.content_parts"));
        assert_eq!(last_body(&a)["messages"][0]["content"], "one\ntwo");
        assert_eq!(a.count(), count);
    }
}
