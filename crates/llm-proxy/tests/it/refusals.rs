//! When nobody can serve, and when the request itself is at fault.

use serde_json::{Value, json};
use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{
    CHAT, PLAIN_AND_STREAMED, Setup, always, error, good, post, question, wrong_key,
};

fn too_long() -> Reply {
    let message = "This model's maximum context length is 8192 tokens.";
    error(400, message, "invalid_request_error", "context_length_exceeded")
}

#[tokio::test]
async fn mixed_faults_are_502_with_the_list() {
    for stream in PLAIN_AND_STREAMED {
        let a = always(Reply::rate_limited(Some("30"))).await;
        let b = always(error(500, "x", "server_error", "x")).await;
        let c = always(error(413, "too large", "invalid_request_error", "x")).await;
        let proxy = Setup::chain([&a, &b, &c]).start().await;
        let heard = proxy.chat(stream).await;
        assert_eq!(heard.status, 502);
        assert_eq!(heard.header("retry-after"), None, "no time is invented");
        let body = heard.json();
        assert_eq!(body["error"]["type"], "upstream_error");
        let statuses: Vec<&Value> =
            body["attempts"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
        assert_eq!(statuses, [429, 500, 500, 413]);
    }
}

#[tokio::test]
async fn all_keys_refused_is_502_and_not_401() {
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (always(wrong_key()).await, always(wrong_key()).await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let heard = proxy.chat(stream).await;
        assert_eq!(heard.status, 502);
        assert_eq!(heard.json()["error"]["code"], "upstream_credentials_exhausted");
        let heard = proxy.chat(stream).await;
        assert_eq!(heard.status, 503, "all are parked: {}", heard.text());
        assert_eq!((a.count(), b.count()), (1, 1));
    }
}

#[tokio::test]
async fn nobody_configured_for_it_or_all_parked_is_503() {
    let a = always(error(404, "x", "x", "model_not_found")).await;
    let proxy = Setup::chain([&a]).start().await;
    let first = proxy.chat(false).await;
    assert!([404, 502, 503].contains(&first.status), "{}", first.status);
    let heard = proxy.chat(false).await;
    assert_eq!((heard.status, a.count()), (503, 1), "{}", heard.text());
    assert_eq!(heard.header("retry-after"), None);
    let b = good("b").await;
    let proxy = Setup::new().provider("b", &b).start().await;
    let off = post("/disable").json(&json!({"provider": "b"}));
    assert_eq!(proxy.send(off).await.status, 200);
    assert_eq!(proxy.chat(true).await.status, 503);
    assert_eq!(b.count(), 0);
}

#[tokio::test]
async fn no_failure_is_ever_a_200() {
    for stream in PLAIN_AND_STREAMED {
        for reply in [
            Reply::bytes(200, ""),
            Reply::completion(""),
            Reply::json(200, &json!({"error": {"message": "no", "code": 500}})),
            Reply::bytes(200, "<html>").header("content-type", "text/html"),
            Reply::reset(),
        ] {
            let a = always(reply.clone()).await;
            let proxy = Setup::chain([&a]).start().await;
            let heard = proxy.chat(stream).await;
            assert_eq!(heard.status, 502, "{reply:?} {}", heard.text());
            assert!(heard.json()["error"]["message"].is_string());
        }
    }
}

#[tokio::test]
async fn a_callers_mistake_comes_back_as_it_is_and_benches_nobody() {
    for stream in PLAIN_AND_STREAMED {
        for status in [400, 422] {
            let text = "{ \"error\" : {\"message\":\"'messages' is a required property\",\"type\":\"invalid_request_error\",\"param\":\"messages\",\"code\":null} }\n";
            let mistake = Reply::bytes(status, text)
                .header("content-type", "application/json")
                .header("x-request-id", "r1");
            let a = crate::harness::script([mistake, Reply::answer(&["a"])]).await;
            let b = good("b").await;
            let proxy = Setup::chain([&a, &b]).start().await;
            let heard = proxy.chat(stream).await;
            assert_eq!((heard.status, heard.text()), (status, text.to_owned()));
            assert_eq!(heard.header("x-request-id"), Some("r1"));
            assert_eq!((heard.by(), heard.header("x-attempts")), ("a", Some("1")));
            assert_eq!(b.count(), 0);
            let seen = proxy.provider("a").await;
            assert_eq!(
                (&seen["available"], &seen["consecutive_errors"]),
                (&json!(true), &json!(0))
            );
            proxy.chat(stream).await.assert_says("a");
        }
    }
}

#[tokio::test]
async fn a_content_filter_is_not_shopped_around() {
    let filtered = error(400, "flagged by our content filter", "x", "content_filter");
    let (a, b) = (always(filtered).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    assert_eq!(proxy.chat(false).await.status, 400);
    assert_eq!(b.count(), 0);
}

#[tokio::test]
async fn a_context_that_is_too_long_goes_on_to_a_larger_one() {
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (always(too_long()).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        for _ in 0..2 {
            proxy.chat(stream).await.assert_says("b");
        }
        assert_eq!(a.count(), 2, "it is not set aside for the others");
    }
}

#[tokio::test]
async fn a_context_too_long_for_everyone_is_the_first_providers_error() {
    for stream in PLAIN_AND_STREAMED {
        let first = error(400, "8192 tokens at most", "x", "context_length_exceeded");
        let (a, b) = (always(first.header("x-request-id", "a1")).await, always(too_long()).await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let heard = proxy.chat(stream).await;
        assert_eq!(heard.status, 400);
        assert_eq!(heard.json()["error"]["message"], "8192 tokens at most");
        assert_eq!(heard.header("x-request-id"), Some("a1"));
        assert_eq!(heard.header("x-attempts"), Some("2"));
        let seen = proxy.provider("b").await;
        assert_eq!(seen["available"], true);
    }
}

#[tokio::test]
async fn a_refused_parameter_is_left_out_and_remembered() {
    for stream in PLAIN_AND_STREAMED {
        let behaviour = Behaviour::answer(|request| {
            if request.json().get("logit_bias").is_none() {
                return Reply::answer(&["fine"]);
            }
            Reply::error(
                400,
                &json!({"error": {
                    "message": "Unsupported parameter: 'logit_bias' is not supported with this model.",
                    "type": "invalid_request_error", "param": "logit_bias",
                    "code": "unsupported_parameter"}}),
            )
        });
        let a = SimulatedProvider::start(behaviour).await.unwrap();
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).start().await;
        let mut body = question(stream);
        body["logit_bias"] = json!({"50256": -100});
        let heard = proxy.ask(&body).await;
        heard.assert_says("fine");
        assert_eq!(heard.header("x-attempts"), Some("1"));
        assert_eq!(heard.header("x-dropped-params"), Some("logit_bias"));
        assert_eq!(a.count(), 2);
        let heard = proxy.ask(&body).await;
        heard.assert_says("fine");
        assert_eq!(heard.header("x-dropped-params"), Some("logit_bias"));
        assert_eq!((a.count(), b.count()), (3, 0), "it was not remembered");
        assert_eq!(proxy.provider("a").await["available"], true);
        let heard = proxy.chat(stream).await;
        assert_eq!(heard.header("x-dropped-params"), None);
    }
}

#[tokio::test]
async fn configured_parameters_are_left_out() {
    let (a, b) = (always(Reply::rate_limited(None)).await, good("b").await);
    let proxy =
        Setup::new().provider("a", &a).with("drop_params: [seed]").provider("b", &b).start().await;
    let mut body = question(false);
    body["seed"] = 7.into();
    let heard = proxy.ask(&body).await;
    heard.assert_says("b");
    assert_eq!(heard.header("x-dropped-params"), None, "b got everything");
    assert!(a.requests()[0].json().get("seed").is_none());
    assert_eq!(b.requests()[0].json()["seed"], 7);
}

#[tokio::test]
async fn the_request_timeout_bounds_all_attempts_together() {
    let (a, b) = (always(Reply::hang()).await, always(Reply::hang()).await);
    for stream in PLAIN_AND_STREAMED {
        let proxy = Setup::chain([&a, &b])
            .rotation("request_timeout: 600ms")
            .rotation("first_token_timeout: 200ms")
            .rotation("response_timeout: 200ms")
            .start()
            .await;
        let start = crate::harness::now();
        let heard = proxy.chat(stream).await;
        assert_eq!(heard.status, 502, "{}", heard.text());
        assert!(start.elapsed() < crate::harness::SOON);
    }
}

#[tokio::test]
async fn wrong_methods_paths_and_sizes_have_their_own_answers() {
    let a = good("a").await;
    let proxy = Setup::chain([&a]).top("server:\n  max_body: 2048").start().await;
    assert_eq!(proxy.get(CHAT).await.status, 405);
    assert_eq!(proxy.get("/v2/nothing").await.status, 404);
    let mut body = question(false);
    body["filler"] = "x".repeat(4000).into();
    let heard = proxy.ask(&body).await;
    assert_eq!(heard.status, 413);
    assert_eq!(heard.json()["error"]["code"], "request_too_large");
    assert_eq!(a.count(), 0);
}
