//! Where one provider's text meets the other's: nothing twice, nothing lost, one end, one sum.

use serde_json::{Value, json};
use simulated::{Events, Reply};

use crate::harness::{CHAT, MS, Setup, always, joined, now, post, question, raw_stream};
use crate::parts::{Part, assert_interrupted, assert_one_answer, seconds};

const A: Part = Part("a");
const B: Part = Part("b");
const C: Part = Part("c");

/// A completion in one piece.
fn completion(text: &str) -> Reply {
    let message = json!({"role": "assistant", "content": text});
    let body = json!({"id": "chatcmpl-b", "object": "chat.completion", "created": 1,
        "model": "b-said", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}});
    Reply::bytes(200, body.to_string()).header("content-type", "application/json")
}

#[tokio::test]
async fn an_answer_in_one_piece_goes_on_with_a_stream_too() {
    for (prefill, text) in [(true, "three"), (false, "one two three")] {
        let (a, b) = (always(A.cut(&["one ", "two "])).await, always(completion(text)).await);
        let setup = Setup::chain([&a, &b]).with(&format!("prefill: {prefill}"));
        let proxy = setup.start().await;
        let heard = proxy.chat(true).await;
        assert_one_answer(&heard, "one two three");
        assert!(heard.events().iter().all(|event| event["id"] == "chatcmpl-a"));
        assert_eq!(proxy.status().await["streams_saved"], 1);
        assert_eq!(proxy.provider("b").await["total_tokens_used"], 17);
    }
    let (a, b) = (always(A.cut(&["one "])).await, always(completion("uno dos")).await);
    let c = always(C.whole(&["one two"])).await;
    let proxy = Setup::chain([&a, &b, &c]).start().await;
    assert_one_answer(&proxy.chat(true).await, "one two");
    assert_eq!(proxy.provider("b").await["last_error"], Value::Null, "nobody is blamed");
}

#[tokio::test]
async fn a_provider_that_repeats_only_the_end_does_not_say_it_twice() {
    let begun = "First the flour.\nThen the eggs go in, ";
    let whole = format!("{begun}one by one.");
    for pieces in [
        &["Then the eggs go in, one by one."][..],
        &["Then", " the eggs", " go in,", " one", " by one."],
        &[" the eggs go in, one by", " one."],
        &[" ", "one by one."],
        &["one by one."],
    ] {
        let (a, b) = (always(A.cut(&[begun])).await, always(B.whole(pieces)).await);
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_one_answer(&proxy.chat(true).await, &whole);
    }
}

#[tokio::test]
async fn an_answer_begun_anew_that_ends_early_is_left_for_the_next() {
    let begun = "The capital of France is Paris, which";
    let a = always(A.cut(&[begun])).await;
    let b = always(B.whole(&["The capital of", " France is Paris"])).await;
    let c = always(C.whole(&[" lies on the Seine."])).await;
    let setup = Setup::new().provider("a", &a).provider("b", &b).with("prefill: true");
    let proxy = setup.provider("c", &c).with("prefill: true").start().await;
    assert_one_answer(&proxy.chat(true).await, &format!("{begun} lies on the Seine."));
}

#[tokio::test]
async fn an_end_mark_without_a_finish_reason_is_an_end() {
    let text = joined(&[A.begun(&["one two"]), Events::done()]);
    let a = always(raw_stream(text.clone())).await;
    let proxy = Setup::chain([&a]).start().await;
    assert_eq!(proxy.chat(true).await.body, text, "the provider's own bytes");
    assert_eq!(proxy.provider("a").await["last_error"], Value::Null);
    for (prefill, text) in [(true, "two"), (false, "one two")] {
        let rest = raw_stream(joined(&[B.begun(&[text]), Events::done()]));
        let (a, b) = (always(A.cut(&["one "])).await, always(rest).await);
        let setup = Setup::chain([&a, &b]).with(&format!("prefill: {prefill}"));
        let heard = setup.start().await.chat(true).await;
        assert_one_answer(&heard, "one two");
        let last = heard.events().pop().unwrap();
        assert_eq!(last["model"], "b-said", "{last}");
        assert_eq!(last["created"], 1, "{last}");
    }
}

#[tokio::test]
async fn neither_end_mark_nor_finish_reason_is_no_end() {
    let a = always(raw_stream(A.begun(&["one "]))).await;
    let proxy = Setup::chain([&a]).start().await;
    assert_interrupted(&proxy.chat(true).await, "one ", "a");
}

#[tokio::test]
async fn usage_is_the_sum_of_three_parts() {
    let a = joined(&[A.begun(&["one "]), A.usage(10, 3), A.text("two ")]);
    let b = joined(&[B.begun(&["three "]), B.usage(12, 4), B.text("four ")]);
    let c = joined(&[C.begun(&["five"]), C.finish(), C.usage(14, 5), Events::done()]);
    let (a, b) = (always(raw_stream(a).cut()).await, always(raw_stream(b).cut()).await);
    let c = always(raw_stream(c)).await;
    let mut setup = Setup::new();
    for (name, one) in [("a", &a), ("b", &b), ("c", &c)] {
        setup = setup.provider(name, one).with("prefill: true");
    }
    let mut body = question(true);
    body["stream_options"] = json!({"include_usage": true});
    let heard = setup.start().await.ask(&body).await;
    assert_eq!(heard.said(), "one two three four five");
    let usages: Vec<Value> = heard.events().iter().map(|event| event["usage"].clone()).collect();
    let sum = json!({"prompt_tokens": 36, "completion_tokens": 12, "total_tokens": 48});
    assert_eq!(usages.last(), Some(&sum), "{}", heard.text());
}

#[tokio::test]
async fn a_second_that_hangs_leaves_time_for_the_third() {
    let hangs = always(Reply::hang()).await;
    let (a, c) = (always(A.cut(&["one "])).await, always(C.whole(&["one two"])).await);
    let setup = Setup::chain([&a, &hangs, &c]).rotation("first_token_timeout: 600ms");
    let proxy = setup.rotation("stall_timeout: 600ms").start().await;
    let start = now();
    assert_one_answer(&proxy.chat(true).await, "one two");
    assert!(start.elapsed() >= MS * 500 && start.elapsed() < seconds(9), "{:?}", start.elapsed());
    assert_eq!((hangs.count(), c.count()), (1, 1));
}

#[tokio::test]
async fn log_probabilities_that_are_not_wanted_do_not_switch_recovery_off() {
    for (value, is_saved) in [(json!(false), true), (Value::Null, true), (json!(true), false)] {
        let (a, b) = (always(A.cut(&["one "])).await, always(B.whole(&["one two"])).await);
        let proxy = Setup::chain([&a, &b]).start().await;
        let mut body = question(true);
        body["logprobs"] = value;
        let heard = proxy.ask(&body).await;
        assert_eq!(heard.is_done(), is_saved, "{body}");
    }
}

#[tokio::test]
async fn the_header_takes_its_words_in_any_spelling_and_no_others() {
    let (a, b) = (always(A.cut(&["one "])).await, always(B.whole(&["one two"])).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let asked = |stream: bool, word: &str| {
        post(CHAT).json(&question(stream)).header("x-stream-recovery", word)
    };
    for word in ["off", "OFF", " Off "] {
        proxy.send(post("/reset")).await;
        assert_interrupted(&proxy.send(asked(true, word)).await, "one ", "a");
    }
    for word in ["auto", "AUTO "] {
        proxy.send(post("/reset")).await;
        assert_one_answer(&proxy.send(asked(true, word)).await, "one two");
    }
    let count = (a.count(), b.count());
    for (stream, word) in [(true, "no"), (false, "false"), (true, "")] {
        let heard = proxy.send(asked(stream, word)).await;
        assert_eq!(heard.status, 400, "{word}");
        let error = &heard.json()["error"];
        assert_eq!(error["code"], "invalid_header", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("x-stream-recovery") && message.contains("auto, off"), "{error}");
    }
    assert_eq!((a.count(), b.count()), count, "nobody was asked");
}

/// Words that go on are shown as they come; those that may begin the answer anew not for long.
#[tokio::test]
async fn what_goes_on_is_not_kept_from_the_client() {
    for (first, at_least) in [("and so ", 30), ("Sure so ", 8)] {
        let begun = "Once upon a time there was a king";
        let mut writes = vec![(MS, A.text(first))];
        writes.extend((1..30).map(|index| (MS * 60, A.text(&format!("{index} ")))));
        writes.push((MS, joined(&[A.finish(), Events::done()])));
        let b = always(Reply::events(writes)).await;
        let a = always(A.cut(&[begun])).await;
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        let heard = proxy.chat(true).await;
        assert!(heard.said().starts_with(&format!("{begun}{first}1 2 ")), "{}", heard.said());
        let has_text = |event: &&Value| event.to_string().contains("content");
        let shown = heard.events().iter().filter(has_text).count() - 1;
        assert!(shown >= at_least, "{first:?}: {shown} events");
    }
}

#[tokio::test]
async fn a_form_is_only_continued_by_one_that_repeats_it() {
    let begun = "{\"name\": \"Bo";
    for (kind, repeats) in [("json_object", true), ("json_schema", false)] {
        let pieces: &[&str] =
            if repeats { &["{\"name\": ", "\"Bob\"}"] } else { &["{\"name\":\"Bob\"}"] };
        let (a, b) = (always(A.cut(&[begun])).await, always(B.whole(pieces)).await);
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        let mut body = question(true);
        body["response_format"] = json!({"type": kind});
        let heard = proxy.ask(&body).await;
        if repeats {
            assert_one_answer(&heard, "{\"name\": \"Bob\"}");
        } else {
            assert_interrupted(&heard, begun, "a");
        }
        assert_eq!(b.requests()[0].json()["messages"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_continuation_has_one_finish_reason() {
    let other = Events::data(&json!({"id": "chatcmpl-b", "choices":
        [{"index": 0, "delta": {}, "finish_reason": "length"}]}));
    let a = always(A.cut(&["one "])).await;
    let b = always(raw_stream(joined(&[B.text("two"), B.finish(), other, Events::done()]))).await;
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    assert_one_answer(&proxy.chat(true).await, "one two");
}

/// One that was given the text and has nothing to add says that the answer is whole.
#[tokio::test]
async fn one_that_has_nothing_to_add_ends_the_answer() {
    let stop = || vec![B.role(), B.finish()];
    let counted = joined(&[stop(), vec![B.usage(12, 0), Events::done()]].concat());
    for (name, reply) in [
        ("counted", raw_stream(counted)),
        ("done", raw_stream(joined(&[stop(), vec![Events::done()]].concat()))),
        ("no end mark", raw_stream(joined(&stop()))),
        ("silent", raw_stream(joined(&stop())).stall()),
        ("plain", completion("")),
    ] {
        let (a, b) = (always(A.cut(&["one two."])).await, always(reply.clone()).await);
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        let mut body = question(true);
        body["stream_options"] = json!({"include_usage": true});
        let heard = proxy.ask(&body).await;
        assert_one_answer(&heard, "one two.");
        assert_eq!(proxy.status().await["streams_saved"], 1, "{name}");
        assert_eq!(proxy.provider("b").await["last_error"], Value::Null, "{name}");
        // Afresh, it has not said what was sent.
        let proxy = Setup::chain([&a, &b]).start().await;
        assert_interrupted(&proxy.chat(true).await, "one two.", "a");
    }
    for reason in ["length", "tool_calls"] {
        let end = Events::data(&json!({"id": "chatcmpl-b", "choices":
            [{"index": 0, "delta": {}, "finish_reason": reason}]}));
        let b = always(raw_stream(joined(&[B.role(), end, Events::done()]))).await;
        let a = always(A.cut(&["one two."])).await;
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_interrupted(&proxy.chat(true).await, "one two.", "a");
    }
    for nothing in [raw_stream(joined(&[B.role(), Events::done()])), raw_stream(B.role())] {
        let (a, b) = (always(A.cut(&["one two."])).await, always(nothing).await);
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_interrupted(&proxy.chat(true).await, "one two.", "a");
    }
}
