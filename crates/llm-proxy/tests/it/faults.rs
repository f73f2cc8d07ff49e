//! Every fault that is not the request's own leads to the next deployment, plain and streamed.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use simulated::{Reply, SimulatedProvider};
use tokio::io::AsyncWriteExt;

use crate::harness::{
    PLAIN_AND_STREAMED, Proxy, Setup, always, error, events, good, joined, question, raw_stream,
    script, wrong_key,
};

/// Nobody listens there.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

fn html(status: u16) -> Reply {
    Reply::bytes(status, "<!DOCTYPE html><html><body>Sign in</body></html>")
        .header("content-type", "text/html; charset=utf-8")
}

/// A name and what the provider does, whether plain or streaming.
fn faults() -> Vec<(&'static str, Reply)> {
    vec![
        ("429-bare", Reply::bytes(429, "")),
        ("429-timed", Reply::rate_limited(Some("30"))),
        ("500", error(500, "Internal error", "server_error", "internal")),
        ("502-html", html(502)),
        ("503", error(503, "Service unavailable", "server_error", "unavailable")),
        ("529", error(529, "Overloaded", "overloaded_error", "overloaded")),
        ("522-html", html(522)),
        ("401", wrong_key()),
        ("402", error(402, "Insufficient Balance", "unknown_error", "invalid_request_error")),
        ("403", error(403, "Forbidden", "permission_error", "forbidden")),
        ("404", error(404, "The model does not exist", "invalid_request_error", "model_not_found")),
        ("410", error(410, "Gone", "invalid_request_error", "gone")),
        ("413", error(413, "Request too large", "invalid_request_error", "too_large")),
        (
            "credit",
            error(
                429,
                "You exceeded your current quota",
                "insufficient_quota",
                "insufficient_quota",
            ),
        ),
        ("reset", Reply::reset()),
        ("close", Reply::close()),
        ("hang", Reply::hang()),
        ("head-then-reset", Reply::answer(&["never"]).cut_after(0)),
        ("html-200", html(200)),
        ("empty-200", Reply::bytes(200, "")),
        ("redirect", Reply::bytes(307, "").header("location", "http://127.0.0.1:1/v1/")),
        (
            "error-in-200",
            Reply::json(200, &json!({"error": {"message": "Rate limit exceeded", "code": 429}})),
        ),
        ("empty-completion", Reply::completion("")),
        ("no-choices", Reply::json(200, &json!({"choices": []}))),
        ("no-content", Reply::bytes(204, "")),
        ("cut-body", Reply::answer(&["never"]).cut_after(30)),
        ("reset-body", Reply::answer(&["never"]).cut_after(30).cut_by_reset()),
        ("stalled-body", Reply::answer(&["never"]).cut_after(30).stall()),
        ("too-short", Reply::bytes(200, "{\"choices\":").claiming_length(9_999)),
        ("brotli", Reply::bytes(200, "\u{1}\u{2}").header("content-encoding", "br")),
        ("no-gzip", Reply::bytes(200, "plain").header("content-encoding", "gzip")),
        ("array", Reply::json(429, &json!([{"error": {"code": 429, "message": "quota"}}]))),
        ("string", Reply::json(429, &json!("Tokens per minute limit exceeded"))),
        (
            "flat",
            Reply::json(429, &json!({"object": "error", "type": "rate_limited", "code": "1300"})),
        ),
        ("502-cut", error(502, "x", "x", "x").cut_after(9)),
    ]
}

/// A proxy with a chain `NAME` for each fault: the faulty provider, then a good one.
async fn proxy(faults: Vec<(&'static str, Reply)>) -> (Proxy, Vec<SimulatedProvider>) {
    let mut setup =
        Setup::new().rotation("first_token_timeout: 300ms").rotation("response_timeout: 300ms");
    setup = setup.rotation("stall_timeout: 300ms");
    let mut chains = String::from("models:\n");
    let mut providers = Vec::new();
    for (name, reply) in faults {
        let provider = always(reply).await;
        setup = setup.provider(&format!("p{name}"), &provider);
        let _ = writeln!(chains, "  c{name}: [p{name}, good]");
        providers.push(provider);
    }
    let good = good("fine").await;
    setup = setup.provider_at("prefused", NOBODY).provider("good", &good);
    chains += "  crefused: [prefused, good]";
    providers.push(good);
    (setup.top(&chains).start().await, providers)
}

#[tokio::test]
async fn each_fault_rotates_within_the_request() {
    for stream in PLAIN_AND_STREAMED {
        let names = faults().into_iter().map(|(name, _)| name);
        let names: Vec<&str> = names.chain(["refused"]).collect();
        let (proxy, _providers) = proxy(faults()).await;
        for name in names {
            let mut body = question(stream);
            body["model"] = format!("c{name}").into();
            let heard = proxy.ask(&body).await;
            assert_eq!(heard.by(), "good", "{name} {stream} {heard:?}");
            heard.assert_says("fine");
            assert_eq!(heard.header("x-attempts"), Some("2"), "{name}");
            let rotation = heard.header("x-rotation").unwrap();
            assert!(rotation.starts_with(&format!("p{name}=")), "{rotation}");
            assert!(rotation.ends_with(", good=200"), "{rotation}");
        }
    }
}

#[tokio::test]
async fn a_fault_inside_a_stream_before_its_first_word_rotates() {
    let (role, text) = (events().role(), events().text("leaked"));
    let comment = simulated::Events::comment("OPENROUTER PROCESSING");
    let in_band = simulated::Events::error("Rate limit exceeded", "rate_limit_error", "429");
    let faults = vec![
        ("first-error", raw_stream(in_band.clone())),
        ("role-error", raw_stream(joined(&[role.clone(), in_band.clone()]))),
        ("comment-error", raw_stream(joined(&[comment.clone(), comment.clone(), in_band]))),
        ("named-error", raw_stream("event: error\ndata: {\"message\":\"overloaded\"}\n\n")),
        ("role-reset", raw_stream(role.clone()).cut_by_reset()),
        ("role-close", raw_stream(role.clone()).cut()),
        ("role-end", raw_stream(role.clone())),
        ("role-silence", raw_stream(role.clone()).stall()),
        ("comment-silence", raw_stream(comment).stall()),
        ("half-event", raw_stream(text.slice(..20)).cut()),
        ("only-done", raw_stream("data: [DONE]\n\n")),
        (
            "empty-finish",
            raw_stream(joined(&[role, events().finish("stop"), simulated::Events::done()])),
        ),
    ];
    let names: Vec<&str> = faults.iter().map(|(name, _)| *name).collect();
    let (proxy, _providers) = proxy(faults).await;
    for name in names {
        let mut body = question(true);
        body["model"] = format!("c{name}").into();
        let heard = proxy.ask(&body).await;
        assert_eq!(heard.by(), "good", "{name} {heard:?}");
        heard.assert_says("fine");
        assert!(heard.is_done(), "{name}");
        assert!(!heard.text().contains("PROCESSING"), "{name}: {}", heard.text());
        let roles = heard.text().matches("\"role\"").count();
        assert_eq!(roles, 1, "{name}: a failed hop's preamble came through");
    }
}

#[tokio::test]
async fn a_callers_mistake_at_the_beginning_of_a_stream_is_told_as_in_a_plain_reply() {
    let mistake = "data: {\"error\":{\"message\":\"Invalid value: 'x'\",\"type\":\
        \"invalid_request_error\",\"code\":\"invalid_value\"}}\n\n";
    let (proxy, providers) = proxy(vec![("mistake", raw_stream(mistake))]).await;
    let mut body = question(true);
    body["model"] = "cmistake".into();
    let heard = proxy.ask(&body).await;
    assert_eq!((heard.status, heard.header("content-type")), (400, Some("application/json")));
    assert_eq!(heard.json()["error"]["message"], "Invalid value: 'x'");
    assert_eq!(providers.last().unwrap().count(), 0, "the next one is not asked");
}

#[tokio::test]
async fn the_twelfth_deployment_answers_where_eleven_fail_in_different_ways() {
    for stream in PLAIN_AND_STREAMED {
        let replies = [
            Reply::rate_limited(Some("30")),
            wrong_key(),
            error(402, "Insufficient Balance", "unknown_error", "x"),
            error(500, "Internal error", "server_error", "internal"),
            Reply::reset(),
            error(404, "model not found", "invalid_request_error", "model_not_found"),
            Reply::hang(),
            html(200),
            Reply::bytes(200, ""),
            error(413, "Request too large", "invalid_request_error", "too_large"),
            error(529, "Overloaded", "overloaded_error", "overloaded"),
            Reply::answer(&["twelve"]),
        ];
        let mut providers = Vec::new();
        for reply in replies {
            providers.push(always(reply).await);
        }
        let proxy = Setup::chain(&providers)
            .rotation("first_token_timeout: 300ms")
            .rotation("response_timeout: 300ms")
            .start()
            .await;
        let heard = proxy.chat(stream).await;
        heard.assert_says("twelve");
        assert_eq!((heard.by(), heard.header("x-attempts")), ("l", Some("12")));
        assert_eq!(heard.header("x-model"), Some("l-model"));
        for (name, provider) in ('a'..='l').zip(&providers) {
            let model = provider.requests()[0].json()["model"].clone();
            assert_eq!(model, format!("{name}-model"));
        }
    }
}

#[tokio::test]
async fn a_first_quick_fault_of_the_server_is_repeated_once_in_place() {
    for stream in PLAIN_AND_STREAMED {
        for fault in [error(500, "x", "server_error", "x"), Reply::reset()] {
            let a = script([fault, Reply::answer(&["second try"])]).await;
            let b = good("b").await;
            let proxy = Setup::chain([&a, &b]).start().await;
            let heard = proxy.chat(stream).await;
            heard.assert_says("second try");
            assert_eq!((heard.by(), heard.header("x-attempts")), ("a", Some("1")));
            assert_eq!((a.count(), b.count()), (2, 0));
            assert_eq!(proxy.provider("a").await["available"], true);
        }
    }
}

#[tokio::test]
async fn a_slow_fault_of_the_server_is_not_paid_for_twice() {
    let slow = error(500, "x", "server_error", "x").after(Duration::from_millis(1600));
    let (a, b) = (always(slow).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    proxy.chat(false).await.assert_says("b");
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn a_reset_of_an_idle_pooled_connection_is_invisible() {
    for stream in PLAIN_AND_STREAMED {
        let fine = || Reply::answer(&["fine"]);
        let a = script([fine(), Reply::reset(), fine(), Reply::close(), fine()]).await;
        let proxy = Setup::chain([&a]).start().await;
        proxy.chat(stream).await.assert_says("fine");
        for served in [3, 5] {
            let heard = proxy.chat(stream).await;
            heard.assert_says("fine");
            assert_eq!(heard.header("x-attempts"), Some("1"));
            assert_eq!(heard.header("x-rotation"), None);
            assert_eq!(a.count(), served, "the connection was not reused");
        }
        let status = proxy.provider("a").await;
        assert_eq!(status["consecutive_errors"], 0);
        assert_eq!(status["last_error"], json!(null));
    }
}

#[tokio::test]
async fn a_refusal_before_the_upload_has_ended_is_read_and_rotates() {
    let a = always(Reply::rate_limited(Some("30")).before_body()).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let mut body = question(false);
    body["filler"] = "x".repeat(8 << 20).into();
    let heard = proxy.ask(&body).await;
    heard.assert_says("b");
    assert_eq!(proxy.provider("a").await["available"], false);
}

#[tokio::test]
async fn a_silent_provider_gets_one_attempt_and_is_then_passed_over() {
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (always(Reply::hang()).await, good("b").await);
        let proxy = Setup::chain([&a, &b])
            .rotation("first_token_timeout: 200ms")
            .rotation("response_timeout: 200ms")
            .start()
            .await;
        for _ in 0..3 {
            proxy.chat(stream).await.assert_says("b");
        }
        assert_eq!(a.count(), 1);
    }
}

#[tokio::test]
async fn what_is_not_http_rotates() {
    for noise in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 999999 What\r\n\r\n",
        "\0\0\0",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(noise.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        let b = good("b").await;
        let proxy = Setup::new().provider_at("noise", address).provider("b", &b).start().await;
        for stream in PLAIN_AND_STREAMED {
            proxy.chat(stream).await.assert_says("b");
        }
    }
}

#[tokio::test]
async fn a_body_without_end_is_not_read_without_end() {
    let line = Bytes::from(vec![b'x'; 1 << 20]);
    for kind in ["application/json", "text/event-stream"] {
        let writes = vec![(Duration::ZERO, line.clone()); 200];
        let a = always(Reply::chunks(200, writes).header("content-type", kind).stall()).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).rotation("stall_timeout: 300ms").start().await;
        for stream in PLAIN_AND_STREAMED {
            proxy.chat(stream).await.assert_says("b");
            proxy.send(crate::harness::post("/reset")).await;
        }
    }
}
