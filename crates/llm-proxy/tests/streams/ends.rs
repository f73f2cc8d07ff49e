//! How streams end, and what single events may look like on the way.

use bytes::Bytes;
use serde_json::{Value, json};
use simulated::{Events, Reply};

use crate::harness::{MS, Setup, always, good, joined, now, question, raw_stream};
use crate::parts::{Part, ZERO, assert_interrupted, assert_one_answer, seconds};

const A: Part = Part("a");
const B: Part = Part("b");

#[tokio::test]
async fn a_finished_answer_does_not_wait_out_the_stall_timeout() {
    let finish_at_once = joined(&[A.begun(&["fine"]), A.finish()]);
    let finish_alone = vec![(ZERO, A.begun(&["fine"])), (MS * 300, A.finish())];
    let stalls_with_default_timeouts = async |reply: Reply| {
        let (a, b) = (always(reply.stall()).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let start = now();
        assert_one_answer(&proxy.chat(true).await, "fine");
        assert!(start.elapsed() < seconds(9), "{:?}", start.elapsed());
        assert_eq!(b.count(), 0);
        assert_eq!(proxy.provider("a").await["consecutive_errors"], 0);
    };
    tokio::join!(
        stalls_with_default_timeouts(raw_stream(finish_at_once)),
        stalls_with_default_timeouts(Reply::events(finish_alone)),
    );
}

#[tokio::test]
async fn pings_after_the_finish_reason_do_not_keep_the_answer_open() {
    let mut writes = vec![(ZERO, joined(&[A.begun(&["fine"]), A.finish()]))];
    writes.extend(vec![(MS * 100, Events::comment("ping")); 200]);
    let a = always(Reply::events(writes).stall()).await;
    let proxy = Setup::chain([&a]).rotation("stall_timeout: 400ms").start().await;
    let start = now();
    assert_one_answer(&proxy.chat(true).await, "fine");
    assert!(start.elapsed() < seconds(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn usage_that_comes_late_after_the_finish_reason_is_waited_for() {
    let writes = vec![
        (ZERO, joined(&[A.begun(&["fine"]), A.finish()])),
        (MS * 400, joined(&[A.usage(7, 9), Events::done()])),
    ];
    let a = always(Reply::events(writes)).await;
    let proxy = Setup::chain([&a]).start().await;
    let mut body = question(true);
    body["stream_options"] = json!({"include_usage": true});
    let heard = proxy.ask(&body).await;
    assert_one_answer(&heard, "fine");
    assert!(heard.text().contains("\"total_tokens\":16"));
    assert_eq!(proxy.provider("a").await["total_tokens_used"], 16);
}

#[tokio::test]
async fn a_missing_usage_and_a_missing_done_are_no_fault() {
    let a = always(raw_stream(joined(&[A.begun(&["fine"]), A.finish()]))).await;
    let proxy = Setup::chain([&a]).start().await;
    let mut body = question(true);
    body["stream_options"] = json!({"include_usage": true});
    assert_one_answer(&proxy.ask(&body).await, "fine");
    let seen = proxy.provider("a").await;
    assert_eq!((&seen["consecutive_errors"], &seen["last_error"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn an_error_after_the_finish_reason_does_not_take_the_answer_back() {
    let error = Events::error("late", "server_error", "500");
    let a = always(raw_stream(joined(&[A.begun(&["fine"]), A.finish(), error]))).await;
    let proxy = Setup::chain([&a]).start().await;
    assert_one_answer(&proxy.chat(true).await, "fine");
}

/// An event of the choice with this index.
fn choice(index: u64, delta: &Value, reason: Option<&str>) -> bytes::Bytes {
    Events::data(&json!({"id": "chatcmpl-a", "choices":
        [{"index": index, "delta": delta, "finish_reason": reason}]}))
}

#[tokio::test]
async fn one_finished_choice_of_two_is_no_end() {
    let text = |index: u64, text: &str| choice(index, &json!({"content": text}), None);
    let end = |index: u64| choice(index, &json!({}), Some("stop"));
    let mut body = question(true);
    body["n"] = 2.into();
    let begun = [text(0, "one"), text(1, "uno "), end(0)];
    for (rest, said) in [(vec![], "oneuno "), (vec![text(1, "dos")], "oneuno dos")] {
        let events = joined(&[begun.to_vec(), rest].concat());
        for reply in [
            raw_stream(events.clone()),
            raw_stream(events.clone()).cut(),
            raw_stream(events.clone()).stall(),
            raw_stream(joined(&[events, Events::error("no", "server_error", "500")])),
        ] {
            let a = always(reply).await;
            let proxy = Setup::chain([&a]).rotation("stall_timeout: 300ms").start().await;
            assert_interrupted(&proxy.ask(&body).await, said, "a");
        }
    }
    // Both finished, only the last mark is missing.
    let whole = joined(&[begun.to_vec(), vec![text(1, "dos"), end(1)]].concat());
    let a = always(raw_stream(whole)).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.ask(&body).await;
    assert!(heard.is_done(), "{}", heard.text());
    // A reason for both in one event.
    let both = Events::data(&json!({"choices": [
        {"index": 0, "delta": {}, "finish_reason": "stop"},
        {"index": 1, "delta": {}, "finish_reason": "length"}]}));
    let a = always(raw_stream(joined(&[text(0, "one"), text(1, "uno"), both]))).await;
    let proxy = Setup::chain([&a]).start().await;
    assert!(proxy.ask(&body).await.is_done());
}

/// Events that are not JSON: something was to be said, and is lost.
const BROKEN: [&str; 6] = [
    "data: {\"choices\":[{\"delta\":{\"content\":\"br\n\n",
    "data: nonsense\"}\n\n",
    "data: {\"choices\":[]}}\n\n",
    "data: {\"a\":\"\u{1}\"}\n\n",
    "data: \"text\n\n",
    "event: message\ndata: {\n\n",
];

/// JSON that is no chunk, and words: nothing is lost with it.
const STRAY: &str = "data: \"text\"\n\ndata: 17\n\ndata: null\n\ndata: []\n\ndata: true\n\n\
    data: nonsense\n\n";

#[tokio::test]
async fn a_broken_event_and_what_is_no_chunk_are_dropped_wherever_they_stand() {
    for (turn, broken) in BROKEN.into_iter().enumerate() {
        let at = turn % 4;
        let mut good =
            vec![A.role(), A.text("one "), A.text("two"), joined(&[A.finish(), Events::done()])];
        let clean = joined(&good);
        good.insert(at, format!("{STRAY}{broken}{STRAY}").into());
        let a = always(raw_stream(joined(&good))).await;
        let proxy = Setup::chain([&a]).start().await;
        let heard = proxy.chat(true).await;
        assert_eq!(heard.text(), String::from_utf8_lossy(&clean), "{broken:?} at {at}");
    }
}

#[tokio::test]
async fn a_second_broken_event_is_a_break_and_never_an_end() {
    let end = joined(&[A.text("two"), A.finish(), Events::done()]);
    for (turn, broken) in BROKEN.into_iter().enumerate() {
        let other = BROKEN[(turn + 1) % BROKEN.len()];
        let two = format!("{broken}{other}");
        // Nothing was sent after the gap: another provider fills it.
        let begun = joined(&[A.begun(&["one "]), two.clone().into(), end.clone()]);
        let (a, b) = (always(raw_stream(begun)).await, always(B.whole(&["and more"])).await);
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_one_answer(&proxy.chat(true).await, "one and more");
        // Something was.
        let apart = [A.begun(&["one "]), broken.into(), A.text("two"), other.into(), end.clone()];
        let (a, b) = (always(raw_stream(joined(&apart))).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_interrupted(&proxy.chat(true).await, "one two", "a");
        assert_eq!(b.count(), 0, "{broken:?}");
        // Before the first word it rotates, after the last it takes nothing back.
        let before = joined(&[A.role(), two.clone().into(), end.clone()]);
        let (a, b) = (always(raw_stream(before)).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        assert_eq!(proxy.chat(true).await.by(), "b", "{broken:?}");
        let after = joined(&[A.begun(&["fine"]), A.finish(), two.into(), Events::done()]);
        let a = always(raw_stream(after)).await;
        let proxy = Setup::chain([&a]).start().await;
        assert_one_answer(&proxy.chat(true).await, "fine");
    }
}

#[tokio::test]
async fn a_cut_after_a_gap_is_continued_only_if_nothing_was_sent_after_it() {
    let gap = || bytes::Bytes::from(BROKEN[0]);
    for (begun, said) in [
        (joined(&[A.begun(&["one "]), gap()]), None),
        (joined(&[A.begun(&["one "]), gap(), A.text("two ")]), Some("one two ")),
    ] {
        let (a, b) = (always(raw_stream(begun).cut()).await, always(B.whole(&["more"])).await);
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        let heard = proxy.chat(true).await;
        match said {
            None => assert_one_answer(&heard, "one more"),
            Some(said) => assert_interrupted(&heard, said, "a"),
        }
    }
}

#[tokio::test]
async fn a_character_that_is_split_over_two_events_breaks_both() {
    let split = b"data: {\"choices\":[{\"delta\":{\"content\":\"caf\xc3\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"\xa9!\"}}]}\n\n";
    let text = joined(&[A.begun(&["one "]), split.as_slice().into(), A.finish(), Events::done()]);
    let a = always(raw_stream(text)).await;
    let proxy = Setup::chain([&a]).start().await;
    assert_interrupted(&proxy.chat(true).await, "one ", "a");
}

#[tokio::test]
async fn bytes_that_are_no_text_stay_out_or_stay_as_they_are() {
    let mut text = A.begun(&["one "]).to_vec();
    text.extend_from_slice(b": \xff\xfe comment\n\ndata: {\"x\":\"\xff\"}\n\n");
    text.extend_from_slice(&joined(&[A.text("two"), A.finish(), Events::done()]));
    let a = always(raw_stream(text)).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(true).await;
    assert_eq!((heard.status, heard.whole), (200, true));
    assert!(heard.body.ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn events_of_unknown_types_go_on_as_they_are() {
    let strange = [
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "data: {\"type\":\"keepalive\"}\n\n",
        "event: x.y\nid: 3\nretry: 100\ndata: {\"usage\":null}\n\n",
        "data: {\"choices\":null}\n\n",
        "data: {\"choices\":[],\"prompt_filter_results\":[{\"x\":1}]}\n\n",
        "retry: 3000\n\n",
        ":\n\n",
        ": a comment without a blank line\n",
    ]
    .concat();
    let text = joined(&[
        A.role(),
        strange.clone().into(),
        A.text("one "),
        strange.into(),
        A.text("two"),
        A.finish(),
        Events::done(),
    ]);
    let a = always(raw_stream(text.clone())).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(true).await;
    assert_eq!(heard.text(), String::from_utf8_lossy(&text));
}

/// Pings of some servers are words where JSON is expected.
#[tokio::test]
async fn words_that_are_no_json_neither_end_a_stream_nor_reach_the_client() {
    for word in ["ping", ": keep-alive", "took 5 ms, 3.2 t/s", "1719"] {
        let word = format!("event: timing\ndata: {word}\n\ndata: {word}\n\n");
        let parts = [A.role(), A.text("one "), A.text("two"), A.finish(), Events::done()];
        let sent = parts.iter().map(|part| joined(&[word.clone().into(), part.clone()]));
        let a = always(raw_stream(joined(&sent.collect::<Vec<_>>()))).await;
        let proxy = Setup::chain([&a]).start().await;
        let heard = proxy.chat(true).await;
        assert_eq!(heard.body, joined(&parts), "{word}");
        assert_eq!(heard.header("x-attempts"), Some("1"));
    }
}

#[tokio::test]
async fn a_choice_that_was_asked_for_and_never_came_is_no_end() {
    let mut body = question(true);
    body["n"] = 2.into();
    let first = joined(&[A.begun(&["one"]), A.finish()]);
    let second = |delta: &str, reason: &str| {
        let choice = format!("{{\"index\":1,\"delta\":{delta},\"finish_reason\":{reason}}}");
        Bytes::from(format!("data: {{\"choices\":[{choice}]}}\n\n"))
    };
    let a = always(raw_stream(first.clone()).cut()).await;
    let proxy = Setup::chain([&a]).start().await;
    assert_interrupted(&proxy.ask(&body).await, "one", "a");
    // One choice comes after the other, with a pause that would be too long at the end.
    let whole = vec![
        (ZERO, first),
        (MS * 6_000, joined(&[second("{\"content\":\"two\"}", "null")])),
        (ZERO, joined(&[second("{}", "\"stop\""), Events::done()])),
    ];
    let a = always(Reply::events(whole)).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.ask(&body).await;
    assert!(heard.is_done() && heard.text().contains("two"), "{}", heard.text());
    // Who leaves `n` out gives one choice, and that is the answer.
    body["n"] = 1.into();
    let a = always(raw_stream(joined(&[A.begun(&["one"]), A.finish()]))).await;
    let proxy = Setup::chain([&a]).start().await;
    assert!(proxy.ask(&body).await.is_done());
}

#[tokio::test]
async fn thousands_of_empty_words_before_the_first_one_are_no_fault() {
    let empty = A.delta(&serde_json::json!({"content": ""}));
    let mut sent = A.role().to_vec();
    for _ in 0..5_000 {
        sent.extend_from_slice(b": keep-alive\n\n");
        sent.extend_from_slice(&empty);
    }
    sent.extend_from_slice(&joined(&[A.text("one"), A.finish(), Events::done()]));
    let a = always(raw_stream(sent)).await;
    let proxy = Setup::chain([&a]).start().await;
    assert_one_answer(&proxy.chat(true).await, "one");
}

/// Some providers send an `error` that says nothing with every event.
#[tokio::test]
async fn an_empty_error_beside_choices_is_no_error() {
    for error in ["{}", "null", "{\"code\":0,\"message\":\"\"}", "false", "\"\""] {
        let chunk = |delta: &str, reason: &str| {
            let choice = format!("{{\"delta\":{delta},\"finish_reason\":{reason}}}");
            format!("data: {{\"choices\":[{choice}],\"error\":{error}}}\n\n")
        };
        let text = [
            chunk("{\"role\":\"assistant\"}", "null"),
            chunk("{\"content\":\"fine\"}", "null"),
            chunk("{}", "\"stop\""),
            "data: [DONE]\n\n".to_owned(),
        ]
        .concat();
        let (a, b) = (always(raw_stream(text.clone())).await, good("b").await);
        let proxy = Setup::chain([&a, &b]).start().await;
        assert_eq!(proxy.chat(true).await.text(), text);
        assert_eq!(proxy.provider("a").await["last_error"], Value::Null, "{error}");
    }
}

/// They were asked for on our own account, so that the client does not know what they are for.
#[tokio::test]
async fn counts_that_are_absent_are_not_shown_unasked_either() {
    let absent = || A.empty(&json!({"usage": null}));
    let filters = A.empty(&json!({"usage": null, "prompt_filter_results": [{"x": 1}]}));
    let begun = [filters, A.text("one"), A.finish()];
    let events = joined(&[joined(&begun), absent(), Events::done()]);
    let a = always(raw_stream(events.clone())).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(true).await;
    assert_eq!(heard.text().as_bytes(), joined(&[joined(&begun), Events::done()]));
    let mut body = question(true);
    body["stream_options"] = json!({"include_usage": true});
    assert_eq!(proxy.ask(&body).await.text().as_bytes(), events, "who asked sees it");
}

/// Some clients look for JSON in them, and lose the whole answer.
#[tokio::test]
async fn events_without_anything_in_them_are_left_out() {
    let empty = ["data:\n\n", "data\n\n", "id: 5\ndata:  \n\n", "data:\ndata:\n\n"].concat();
    let with = [A.text("one "), empty.into(), A.text("two"), A.finish(), Events::done()];
    let without = [A.text("one "), A.text("two"), A.finish(), Events::done()];
    let a = always(raw_stream(joined(&with))).await;
    let proxy = Setup::chain([&a]).start().await;
    assert_eq!(proxy.chat(true).await.text(), String::from_utf8_lossy(&joined(&without)));
}

#[tokio::test]
async fn an_error_without_a_wrapper_is_an_error_before_and_after_the_first_word() {
    for error in [
        json!({"message": "no", "type": "server_error", "code": "x", "status_code": 500}),
        json!({"message": "no", "type": "overloaded_error"}),
        json!({"type": "about:blank", "title": "Service Unavailable", "status": 503}),
    ] {
        let event = Events::data(&error);
        let before = always(raw_stream(joined(&[event.clone(), Events::done()]))).await;
        let b = good("b").await;
        let proxy = Setup::chain([&before, &b]).start().await;
        proxy.chat(true).await.assert_says("b");
        let after = always(raw_stream(joined(&[A.text("one "), event, Events::done()]))).await;
        let proxy = Setup::chain([&after]).start().await;
        assert_interrupted(&proxy.chat(true).await, "one ", "a");
    }
}

#[tokio::test]
async fn counts_that_nobody_can_read_are_not_shown_unasked_either() {
    let usage = json!({"id": "q", "choices": [],
        "usage": {"prompt_tokens": "11", "completion_tokens": -7}});
    let events = [A.text("one"), A.finish(), Events::data(&usage), Events::done()];
    let a = always(raw_stream(joined(&events))).await;
    let proxy = Setup::chain([&a]).start().await;
    let heard = proxy.chat(true).await;
    assert_one_answer(&heard, "one");
    assert!(!heard.text().contains("usage"), "{}", heard.text());
}

#[tokio::test]
async fn done_is_known_in_every_spelling_and_nothing_follows_it() {
    for done in [
        "data:[DONE]\n\n",
        "data: [DONE] \n\n",
        "data:  [DONE] \n\n",
        "data: [DONE]\t\r\n\r\n",
        "data: [DONE]\r\n\r\n",
        "data: [DONE]\r\r",
        "event: done\ndata: [DONE]\n\n",
        // Without its blank line, at the end of the body.
        "data: [DONE]",
        "data: [DONE]\n",
    ] {
        let a = always(raw_stream(joined(&[A.begun(&["fine"]), A.finish(), done.into()]))).await;
        let proxy = Setup::chain([&a]).start().await;
        let heard = proxy.chat(true).await;
        assert_eq!(heard.text().matches("[DONE]").count(), 1, "{done:?} {}", heard.text());
        let end = heard.text();
        assert!(heard.whole && end.contains("fine"), "{done:?}");
        assert!(
            end.lines()
                .any(|line| ["data: [DONE]", "data:[DONE]", "data: [DONE]\r\r"].contains(&line)),
            "{end:?}"
        );
        assert!(end.ends_with("\n\n") || end.ends_with("\r\r") || end.ends_with("\r\n\r\n"));
    }
}

#[tokio::test]
async fn events_of_two_megabytes_pass_in_any_number_of_pieces() {
    let large = "x".repeat(2 << 20);
    let whole = joined(&[A.begun(&[&large, "y", &large]), A.finish(), Events::done()]);
    for size in [whole.len(), 1 << 20, 16_000] {
        let pieces = (0..whole.len()).step_by(size);
        let writes =
            pieces.map(|at| (ZERO, whole.slice(at..(at + size).min(whole.len())))).collect();
        let a = always(Reply::events(writes)).await;
        let proxy = Setup::chain([&a]).start().await;
        let start = now();
        let heard = proxy.chat(true).await;
        assert!(heard.whole && heard.body == whole, "in pieces of {size}");
        assert!(start.elapsed() < seconds(10), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn an_event_beyond_all_measure_is_an_honest_failure() {
    let huge = format!("data: {{\"x\":\"{}", "x".repeat(17 << 20));
    let before = always(raw_stream(huge.clone())).await;
    let b = good("b").await;
    let proxy = Setup::chain([&before, &b]).start().await;
    proxy.chat(true).await.assert_says("b");
    let after = always(raw_stream(joined(&[A.begun(&["one"]), huge.into()]))).await;
    let proxy = Setup::chain([&after]).start().await;
    assert_interrupted(&proxy.chat(true).await, "one", "a");
}

#[tokio::test]
async fn a_connection_serves_again_after_a_stream_that_ended_well() {
    let a = always(Reply::stream(&["one", "two"])).await;
    let proxy = Setup::chain([&a]).start().await;
    for _ in 0..10 {
        proxy.chat(true).await.assert_says("onetwo");
        tokio::time::sleep(MS * 20).await;
    }
    assert!(a.connections_total() <= 2, "{} connections", a.connections_total());
}
