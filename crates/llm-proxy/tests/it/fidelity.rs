//! What reaches the provider is what the client wrote; what reaches the client is what the
//! provider wrote.

use simulated::{Behaviour, Recording, Reply, SimulatedProvider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{CHAT, Setup, always, good, post};

#[tokio::test]
async fn each_hop_gets_the_clients_bytes_with_its_own_model() {
    let (before, after) = (
        "{ \"messages\" : [ {\"role\":\"user\",\"content\":\"Za\u{17c}\u{f3}\u{142}\\u0107 \u{1f600}  two  spaces\"} ],\r\n  \"seed\":123456789012345678901234567890, \"temperature\":1.10,\t\"x_unknown\":{\"b\":1E400,\"a\":[-0.0,1e-7], \"model\":\"inner\"},\n \"model\" : ",
        " , \"user\":\"\",\"top_p\":0.50 } ",
    );
    let (a, b) = (always(Reply::rate_limited(Some("9"))).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let body = format!("{before}\"whatever\"{after}");
    proxy.send(post(CHAT).raw(body)).await.assert_says("b");
    for (provider, model) in [(&a, "a-model"), (&b, "b-model")] {
        let request = &provider.requests()[0];
        let expected = format!("{before}\"{model}\"{after}");
        assert_eq!(String::from_utf8_lossy(&request.body), expected);
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["accept-encoding"], "identity");
        assert_eq!(request.path, CHAT);
    }
}

#[tokio::test]
async fn an_absent_model_is_added_and_nothing_else() {
    let a = good("a").await;
    let proxy = Setup::chain([&a]).start().await;
    for body in ["{\"messages\":[ ] , \"n\":1.0}", "{ \"messages\":[]}"] {
        proxy.send(post(CHAT).raw(body)).await.assert_says("a");
        let sent = a.requests().pop().unwrap();
        assert_eq!(sent.json()["model"], "a-model");
        let sent = String::from_utf8_lossy(&sent.body).into_owned();
        let without = ["\"model\":\"a-model\",", ",\"model\":\"a-model\""]
            .map(|member| sent.replacen(member, "", 1));
        assert!(without.contains(&body.to_owned()), "{sent}");
    }
}

#[tokio::test]
async fn the_answer_keeps_its_bytes_and_end_to_end_headers() {
    let body = "{ \"id\":\"x\",\"choices\":[ {\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"\u{e9}\\u00e9\"},\"finish_reason\":\"stop\"}],\n\"unknown\": 1.50, \"big\":12345678901234567890123 }\n";
    let reply = Reply::bytes(200, body)
        .header("content-type", "application/json; charset=utf-8")
        .header("x-request-id", "req-7")
        .header("x-ratelimit-remaining-requests", "41")
        .header("x-ratelimit-limit-requests", "50")
        .header("openai-processing-ms", "12")
        .header("connection", "x-hop, keep-alive")
        .header("x-hop", "1")
        .header("keep-alive", "timeout=5")
        .header("proxy-authenticate", "Basic")
        .header("set-cookie", "session=1")
        .header("trailer", "x-t")
        .header("upgrade", "h2c")
        .header("access-control-allow-origin", "*");
    let a = always(reply).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(false).await;
    assert_eq!((heard.status, heard.text()), (200, body.to_owned()));
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("x-request-id", "req-7"),
        ("x-ratelimit-remaining-requests", "41"),
        ("x-ratelimit-limit-requests", "50"),
        ("openai-processing-ms", "12"),
        ("x-provider", "a"),
        ("x-model", "a-model"),
        ("x-attempts", "1"),
    ] {
        assert_eq!(heard.header(name), Some(value), "{name}");
    }
    for name in [
        "x-hop",
        "keep-alive",
        "proxy-authenticate",
        "set-cookie",
        "trailer",
        "upgrade",
        "access-control-allow-origin",
        "x-rotation",
        "x-dropped-params",
    ] {
        assert_eq!(heard.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn twenty_megabytes_reach_two_hops_unchanged() {
    let setup =
        || simulated::Setup { recording: Recording::Everything, ..simulated::Setup::default() };
    let limited = Behaviour::always(Reply::rate_limited(Some("9")));
    let a = SimulatedProvider::start_with(limited, setup()).await.unwrap();
    let fine = Behaviour::always(Reply::answer(&["fine"]));
    let b = SimulatedProvider::start_with(fine, setup()).await.unwrap();
    let proxy = Setup::chain([&a, &b]).start().await;
    let image = "iVBORw0KGgo=".repeat((20 << 20) / 12);
    let body = |model: &str| {
        format!(
            "{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"{image}\"}}]}}"
        )
    };
    proxy.send(post(CHAT).raw(body("default"))).await.assert_says("fine");
    for (provider, model) in [(&a, "a-model"), (&b, "b-model")] {
        let requests = provider.requests();
        assert_eq!(requests.len(), 1);
        assert!(requests[0].body == body(model), "the body changed");
    }
}

#[tokio::test]
async fn three_hundred_levels_pass_and_a_hundred_thousand_get_an_answer() {
    let a = good("a").await;
    let proxy = Setup::chain([&a]).start().await;
    let nested = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!("{{\"messages\":[],\"x\":{open}1{close}}}")
    };
    proxy.send(post(CHAT).raw(nested(300))).await.assert_says("a");
    assert!(String::from_utf8_lossy(&a.requests()[0].body).contains(&"[".repeat(300)));
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    for body in [nested(100_000), objects, "[".repeat(100_000)] {
        let heard = proxy.send(post(CHAT).raw(body)).await;
        assert!([200, 400].contains(&heard.status), "{}", heard.status);
    }
    proxy.chat(false).await.assert_says("a");
}

#[tokio::test]
async fn deeply_nested_answers_get_an_answer_too() {
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let deep = format!("{{\"choices\":{open}{close}}}");
    let reply = || Reply::bytes(200, deep.clone()).header("content-type", "application/json");
    let (a, b) = (always(reply()).await, good("b").await);
    let c = always(Reply::bytes(400, deep.clone())).await;
    let proxy = Setup::chain([&a, &b, &c]).start().await;
    for stream in crate::harness::PLAIN_AND_STREAMED {
        proxy.chat(stream).await.assert_says("b");
    }
    let mut body = crate::harness::question(false);
    body["model"] = "c".into();
    assert_eq!(proxy.ask(&body).await.status, 400);
}

#[tokio::test]
async fn what_is_no_json_gets_400_and_no_attempt() {
    let a = good("a").await;
    let proxy = Setup::chain([&a]).start().await;
    for body in ["", "{", "[]", "null", "{\"a\":1}x", "{\"model\":7}"] {
        let heard = proxy.send(post(CHAT).raw(body)).await;
        assert_eq!(heard.status, 400, "{body}");
        assert_eq!(heard.json()["error"]["type"], "invalid_request_error");
    }
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn a_body_in_chunks_after_expect_is_taken_too() {
    let a = good("a").await;
    let proxy = Setup::chain([&a]).start().await;
    let mut stream = tokio::net::TcpStream::connect(proxy.address).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                expect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = vec![0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"8\r\n{\"messag\r\n8\r\nes\": [] \r\n1\r\n}\r\n0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let request = &a.requests()[0];
    assert!(!request.headers.contains_key("expect"));
    assert_eq!(request.headers["content-length"], request.body_length.to_string());
    assert_eq!(request.json()["messages"], serde_json::json!([]));
}

#[tokio::test]
async fn clients_may_leave_out_the_v1() {
    let a = good("a").await;
    let proxy = Setup::chain([&a]).start().await;
    let body = crate::harness::question(false);
    proxy.send(post("/chat/completions").json(&body)).await.assert_says("a");
    assert_eq!(a.requests()[0].path, CHAT);
}

#[tokio::test]
async fn the_configured_path_is_used_exactly() {
    let a = good("a").await;
    let proxy = Setup::chain([&a]).with("endpoint_override: \"/odd/chat\"").start().await;
    proxy.chat(false).await.assert_says("a");
    let path = a.requests()[0].path.clone();
    assert!(path.ends_with("/odd/chat"), "{path}");
}
