//! Faults of a public catalogue and their neighbours, one test each, with the default
//! configuration but for `wait_in_place: 2500ms` and shorter timeouts.

use serde_json::json;
use simulated::{Events, Reply, SimulatedProvider};

use crate::harness::{
    MS, PLAIN_AND_STREAMED, Proxy, Setup, always, error, good, joined, now, question, raw_stream,
    script,
};
use crate::parts::{Part, ZERO, assert_interrupted, assert_one_answer, seconds};

const A: Part = Part("a");
const B: Part = Part("b");

const WORDS: [&str; 6] = ["one ", "two ", "three ", "four ", "five ", "six"];
const ALL: &str = "one two three four five six";

async fn proxy(providers: [&SimulatedProvider; 2]) -> Proxy {
    let setup = Setup::chain(providers).rotation("wait_in_place: 2500ms");
    let setup = setup.rotation("first_token_timeout: 500ms").rotation("response_timeout: 500ms");
    setup.rotation("stall_timeout: 500ms").start().await
}

/// The reply to the first request, and the good one to all others.
async fn once(reply: Reply) -> SimulatedProvider {
    script([reply, Reply::answer(&WORDS)]).await
}

async fn other() -> SimulatedProvider {
    always(Reply::answer(&WORDS)).await
}

/// S01: a limit with a stated wait is kept to, and nobody is asked before it is over.
#[tokio::test]
async fn s01_a_stated_wait_is_believed() {
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (once(Reply::rate_limited(Some("1"))).await, other().await);
        let proxy = proxy([&a, &b]).await;
        let start = now();
        let heard = proxy.chat(stream).await;
        heard.assert_says(ALL);
        assert_eq!(heard.by(), "a", "a short wait is waited for in place");
        assert!(start.elapsed() >= MS * 990, "{:?}", start.elapsed());
        let at: Vec<_> = a.requests().iter().map(|request| request.at).collect();
        assert!(at[1] >= at[0] + MS * 990);
        assert_eq!(b.count(), 0);
    }
}

/// A long stated wait leads to the next provider at once, and the first is left alone.
#[tokio::test]
async fn a_long_wait_rotates() {
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (once(Reply::rate_limited(Some("60"))).await, other().await);
        let proxy = proxy([&a, &b]).await;
        for _ in 0..3 {
            let heard = proxy.chat(stream).await;
            heard.assert_says(ALL);
            assert_eq!(heard.by(), "b");
        }
        assert_eq!(a.count(), 1);
    }
}

/// S03: several short waits in a row are waited out in place, as long as they are short together.
#[tokio::test]
async fn s03_short_waits_are_waited_out_in_place() {
    let limited = || Reply::rate_limited(None).header("retry-after-ms", "700");
    let a = script([limited(), limited(), Reply::answer(&WORDS)]).await;
    let b = other().await;
    let proxy = proxy([&a, &b]).await;
    let heard = proxy.chat(true).await;
    assert_one_answer(&heard, ALL);
    assert_eq!((heard.by(), a.count(), b.count()), ("a", 3, 0));
}

/// One server error is repeated in place.
#[tokio::test]
async fn one_server_error_is_not_noticed() {
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (once(error(500, "oops", "server_error", "x")).await, other().await);
        let proxy = proxy([&a, &b]).await;
        let heard = proxy.chat(stream).await;
        heard.assert_says(ALL);
        assert_eq!((heard.by(), b.count()), ("a", 0));
    }
}

/// A provider that is down for good is passed over, not paid for by every request.
#[tokio::test]
async fn a_dead_provider_is_remembered() {
    let (a, b) = (always(error(503, "down", "server_error", "x")).await, other().await);
    let proxy = proxy([&a, &b]).await;
    for turn in 0..20 {
        let heard = proxy.chat(turn % 2 == 0).await;
        heard.assert_says(ALL);
    }
    assert!(a.count() <= 8, "{} attempts for 20 requests", a.count());
}

/// S06: a provider that accepts and never answers is asked once, and left at the first-token
/// limit.
#[tokio::test]
async fn s06_one_that_never_answers_is_left_in_time() {
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (always(Reply::hang()).await, other().await);
        let proxy = proxy([&a, &b]).await;
        let start = now();
        let heard = proxy.chat(stream).await;
        heard.assert_says(ALL);
        assert_eq!((heard.by(), a.count()), ("b", 1));
        assert!(start.elapsed() < seconds(3), "{:?}", start.elapsed());
    }
}

/// S07: a head at once and a first word much later: the same limit, and no byte of it is shown.
#[tokio::test]
async fn s07_a_slow_first_token_rotates() {
    let late = Reply::events(vec![
        (ZERO, A.role()),
        (seconds(20), joined(&[A.text("late"), A.finish(), Events::done()])),
    ]);
    let (a, b) = (always(late).await, other().await);
    let proxy = proxy([&a, &b]).await;
    let start = now();
    let heard = proxy.chat(true).await;
    assert_one_answer(&heard, ALL);
    assert_eq!((heard.by(), a.count()), ("b", 1));
    assert!(start.elapsed() < seconds(3), "{:?}", start.elapsed());
}

/// S08: cut after two thirds of the answer: it goes on elsewhere, nothing twice, nothing lost.
#[tokio::test]
async fn s08_a_cut_after_two_thirds_is_mended() {
    for by_reset in [false, true] {
        let reply = raw_stream(A.begun(&WORDS[..4]));
        let reply = if by_reset { reply.cut_by_reset() } else { reply.cut() };
        let (a, b) = (always(reply).await, always(B.whole(&WORDS)).await);
        let proxy = proxy([&a, &b]).await;
        assert_one_answer(&proxy.chat(true).await, ALL);
        assert_eq!(proxy.status().await["streams_saved"], 1);
    }
    // A plain answer that is cut is asked for anew.
    let (a, b) = (always(Reply::answer(&WORDS).cut_after(60)).await, other().await);
    proxy([&a, &b]).await.chat(false).await.assert_says(ALL);
}

/// S09: silence in the middle: the stall limit, then as S08.
#[tokio::test]
async fn s09_a_stall_is_mended() {
    let (a, b) =
        (always(raw_stream(A.begun(&WORDS[..4])).stall()).await, always(B.whole(&WORDS)).await);
    let proxy = proxy([&a, &b]).await;
    let start = now();
    assert_one_answer(&proxy.chat(true).await, ALL);
    assert!(start.elapsed() >= MS * 490 && start.elapsed() < seconds(4));
    assert!(a.wait_until(crate::harness::SOON, |a| a.open_connections() == 0).await);
}

/// S10: one broken event among good ones is dropped.
#[tokio::test]
async fn s10_one_broken_event_is_dropped() {
    let text = joined(&[
        A.begun(&WORDS[..3]),
        "data: {\"choices\":[{\"delta\":\n\n".into(),
        joined(&WORDS[3..].iter().map(|word| A.text(word)).collect::<Vec<_>>()),
        A.finish(),
        Events::done(),
    ]);
    let (a, b) = (always(raw_stream(text)).await, other().await);
    let heard = proxy([&a, &b]).await.chat(true).await;
    assert_one_answer(&heard, ALL);
    assert_eq!((heard.by(), b.count()), ("a", 0));
}

/// S11: all of the answer and no `[DONE]`: it is added.
#[tokio::test]
async fn s11_a_missing_done_is_added() {
    for reply in [
        raw_stream(joined(&[A.begun(&WORDS), A.finish()])),
        raw_stream(joined(&[A.begun(&WORDS), A.finish()])).cut(),
        raw_stream(joined(&[A.begun(&WORDS), A.finish()])).stall(),
    ] {
        let (a, b) = (always(reply).await, other().await);
        let heard = proxy([&a, &b]).await.chat(true).await;
        assert_one_answer(&heard, ALL);
        assert_eq!((heard.by(), b.count()), ("a", 0));
    }
}

/// An error as the first event of a 200 rotates.
#[tokio::test]
async fn an_error_inside_a_200_rotates() {
    let inside = Events::data(&json!({"error": {"message": "Rate limit exceeded", "code": 429}}));
    for text in
        [inside.clone(), joined(&[Events::comment("OPENROUTER PROCESSING"), A.role(), inside])]
    {
        let (a, b) = (always(raw_stream(text)).await, other().await);
        let heard = proxy([&a, &b]).await.chat(true).await;
        assert_one_answer(&heard, ALL);
        assert_eq!(heard.by(), "b");
    }
}

/// S13: a content filter is the request's own: returned as it is, shopped to nobody.
#[tokio::test]
async fn s13_a_content_filter_is_returned() {
    let body = json!({"error": {"message": "The response was filtered", "code": "content_filter",
        "type": "invalid_request_error", "param": "prompt"}});
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (always(Reply::error(400, &body)).await, other().await);
        let proxy = proxy([&a, &b]).await;
        let heard = proxy.chat(stream).await;
        assert_eq!((heard.status, heard.json()), (400, body.clone()));
        assert_eq!(b.count(), 0);
        assert_eq!(proxy.provider("a").await["available"], true);
    }
}

/// S14: cut after two thirds, and the next provider refuses to continue: the first failure is
/// told, not the second; a third that can is found.
#[tokio::test]
async fn s14_a_refusal_to_continue_does_not_hide_the_cut() {
    let refusal = || error(400, "prefill is not supported", "invalid_request_error", "x");
    let (a, b) = (always(A.cut(&WORDS[..4])).await, always(refusal()).await);
    let heard = proxy([&a, &b]).await.chat(true).await;
    assert_interrupted(&heard, &WORDS[..4].concat(), "a");
    assert!(!heard.text().contains("prefill"));
    let c = always(Part("c").whole(&WORDS)).await;
    let proxy = Setup::chain([&a, &b, &c]).rotation("wait_in_place: 2500ms").start().await;
    assert_one_answer(&proxy.chat(true).await, ALL);
}

/// S15: when the first provider's time is over, it is the first again.
#[tokio::test]
async fn s15_the_primary_is_returned_to() {
    let (a, b) = (once(Reply::rate_limited(Some("3"))).await, other().await);
    let proxy = proxy([&a, &b]).await;
    assert_eq!(proxy.chat(true).await.by(), "b");
    tokio::time::sleep(MS * 3100).await;
    for _ in 0..5 {
        assert_eq!(proxy.chat(true).await.by(), "a");
    }
    assert_eq!((a.count(), b.count()), (6, 1));
}

/// S16: who served is told, and is true, plain and streamed, with and without rotation.
#[tokio::test]
async fn s16_who_served_is_told() {
    for stream in PLAIN_AND_STREAMED {
        let (a, b) = (once(Reply::rate_limited(Some("60"))).await, good("b").await);
        let proxy = proxy([&a, &b]).await;
        let heard = proxy.chat(stream).await;
        assert_eq!(heard.by(), "b");
        assert_eq!(heard.header("x-model"), Some("b-model"));
        assert_eq!(heard.header("x-attempts"), Some("2"));
        assert!(heard.header("x-rotation").unwrap().starts_with("a=429;retry="));
        let said = if stream { heard.events()[0].clone() } else { heard.json() };
        assert_eq!(said["model"], "b-model");
        let mut body = question(stream);
        body["model"] = "b".into();
        let heard = proxy.ask(&body).await;
        assert_eq!((heard.by(), heard.header("x-attempts")), ("b", Some("1")));
        assert_eq!(heard.header("x-rotation"), None);
    }
}
