//! A stream that breaks off goes on with another provider: by a prefilled answer, or by one that
//! repeats what was sent.

use bytes::Bytes;
use serde_json::{Value, json};
use simulated::{Events, Reply};

use crate::harness::{MS, Proxy, Setup, always, joined, question, raw_stream};
use crate::parts::{Part, asked, assert_interrupted, assert_one_answer, last_message};

const A: Part = Part("a");
const B: Part = Part("b");
const C: Part = Part("c");

/// Every way in which a stream that has begun breaks off.
fn breaks() -> Vec<(&'static str, Reply)> {
    let begun = || A.begun(&["one ", "two "]);
    let error = || Events::error("overloaded", "server_error", "529");
    vec![
        ("end", raw_stream(begun())),
        ("cut", raw_stream(begun()).cut()),
        ("reset", raw_stream(begun()).cut_by_reset()),
        ("stall", raw_stream(begun()).stall()),
        ("error", raw_stream(joined(&[begun(), error()]))),
        ("error then done", raw_stream(joined(&[begun(), error(), Events::done()]))),
        ("half an event", raw_stream(joined(&[begun(), A.text("half").slice(..30)])).cut()),
        (
            "a failure as finish reason",
            raw_stream(joined(&[
                begun(),
                Events::data(&json!({"id": "chatcmpl-a", "choices":
                    [{"index": 0, "delta": {}, "finish_reason": "error"}]})),
            ])),
        ),
        (
            "a named error",
            raw_stream(joined(&[begun(), "event: error\ndata: overloaded\n\n".into()])),
        ),
    ]
}

async fn saved(proxy: &Proxy) -> u64 {
    proxy.status().await["streams_saved"].as_u64().unwrap()
}

#[tokio::test]
async fn every_break_is_continued_by_a_provider_that_takes_a_prefilled_answer() {
    for (name, reply) in breaks() {
        let (a, b) = (always(reply).await, always(B.whole(&["three ", "four"])).await);
        let setup = Setup::chain([&a, &b]).with("prefill: true");
        let proxy = setup.rotation("stall_timeout: 250ms").start().await;
        let heard = proxy.chat(true).await;
        assert_one_answer(&heard, "one two three four");
        assert_eq!((a.count(), b.count()), (1, 1), "{name}");
        let asked = &b.requests()[0];
        assert_eq!(last_message(asked), json!({"role": "assistant", "content": "one two "}));
        assert_eq!(asked.json()["messages"][0]["content"], "hi", "{name}");
        assert_eq!(asked.json()["model"], "b-model", "{name}");
        let models: Vec<Value> =
            heard.events().iter().map(|event| event["model"].clone()).collect();
        assert_eq!(models.last().unwrap(), "b-said", "{name}: who ended it");
        assert!(heard.events().iter().all(|event| event["id"] == "chatcmpl-a"), "{name}");
        assert_eq!(saved(&proxy).await, 1, "{name}");
        proxy.logged("interrupted").await;
        assert!(!proxy.log().contains("one two"), "no answer stands in the log");
    }
}

#[tokio::test]
async fn every_break_is_continued_by_a_provider_that_repeats_what_was_sent() {
    for (name, reply) in breaks() {
        let pieces = ["o", "ne tw", "o three", " four"];
        let (a, b) = (always(reply).await, always(B.whole(&pieces)).await);
        let proxy = Setup::chain([&a, &b]).rotation("stall_timeout: 250ms").start().await;
        let heard = proxy.chat(true).await;
        assert_one_answer(&heard, "one two three four");
        assert_eq!((a.count(), b.count()), (1, 1), "{name}");
        assert_eq!(last_message(&b.requests()[0])["role"], "user", "asked afresh");
        assert_eq!(saved(&proxy).await, 1, "{name}");
    }
}

#[tokio::test]
async fn providers_with_a_flag_for_it_get_the_flag() {
    let begun = "A beginning that nobody repeats by chance";
    for repeats in [true, false] {
        let a = always(A.cut(&[begun])).await;
        let pieces: &[&str] = if repeats { &[begun, " and end"] } else { &[" and", " end"] };
        let mistral = always(B.whole(pieces)).await;
        let setup = Setup::new().provider("a", &a).provider("mistral", &mistral);
        let proxy = setup.start().await;
        let heard = proxy.chat(true).await;
        assert_one_answer(&heard, &format!("{begun} and end"));
        let expected = json!({"role": "assistant", "content": begun, "prefix": true});
        assert_eq!(last_message(&mistral.requests()[0]), expected);
    }
    let a = always(A.cut(&[begun])).await;
    let vllm = always(B.whole(&[" and end"])).await;
    let proxy = Setup::new().provider("a", &a).provider("vllm", &vllm).start().await;
    assert_one_answer(&proxy.chat(true).await, &format!("{begun} and end"));
    let sent = vllm.requests()[0].json();
    assert_eq!(sent["continue_final_message"], true);
    assert_eq!(sent["add_generation_prompt"], false);
}

#[tokio::test]
async fn a_provider_that_repeats_a_prefilled_answer_all_the_same_does_not_say_it_twice() {
    let begun = "The capital of France, as far as I know, is";
    let (a, b) = (always(A.cut(&[begun])).await, always(B.whole(&[begun, " Paris."])).await);
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    assert_one_answer(&proxy.chat(true).await, &format!("{begun} Paris."));
}

#[tokio::test]
async fn a_continuation_that_begins_alike_by_chance_is_not_swallowed() {
    let begun = "The more the better; the more they have, ";
    let whole = format!("{begun}The more they want.");
    for pieces in [
        &["The more ", "they want."][..],
        &["The", " more", " the", "y want."],
        &["T", "h", "e", " more they want."],
    ] {
        let (a, b) = (always(A.cut(&[begun])).await, always(B.whole(pieces)).await);
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_one_answer(&proxy.chat(true).await, &whole);
    }
    // The likeness lasts until the answer's end.
    let (a, b) = (always(A.cut(&[begun])).await, always(B.whole(&["The ", "more"])).await);
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    assert_one_answer(&proxy.chat(true).await, &format!("{begun}The more"));
}

#[tokio::test]
async fn a_repetition_is_swallowed_wherever_its_pieces_are_cut() {
    let text = "Grüße, 世界 👩‍👩‍👧 \"quoted\" \\ \n\u{e9}e\u{301} end";
    let chars: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let cuts = chars.clone();
    // A cuts the answer at the place in its header, B cuts the pieces elsewhere.
    let at = |request: &simulated::Recorded, name: &str| -> usize {
        request.headers[name].to_str().unwrap().parse().unwrap()
    };
    let a = asked(move |request| A.cut(&[&text[..at(request, "x-sent")]])).await;
    let b = asked(move |request| {
        let cut = at(request, "x-piece");
        B.whole(&[&text[..cut], &text[cut..]])
    })
    .await;
    let proxy = Setup::chain([&a, &b]).start().await;
    for (turn, &sent) in chars.iter().enumerate().skip(1) {
        for &piece in &[cuts[(turn * 7) % cuts.len()], sent, text.len()] {
            proxy.send(crate::harness::post("/reset")).await;
            let request = crate::harness::post(crate::harness::CHAT)
                .json(&question(true))
                .header("x-sent", &sent.to_string())
                .header("x-piece", &piece.to_string());
            assert_one_answer(&proxy.send(request).await, text);
        }
    }
}

#[tokio::test]
async fn a_continuation_in_any_spelling_reaches_the_client_as_whole_events() {
    let finish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\n\
        data:\"finish_reason\":\"stop\"}]}\n\n";
    let spellings = [
        "data:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one two\"}}]}\n\n".to_owned(),
        "data: {\"choices\":[{\"index\":0,\r\ndata: \"delta\":{\"content\":\"one two\"}}]}\r\n\r\n"
            .to_owned(),
        "id: 7\r: note\rdata: {\"choices\":[{\"delta\":{\"content\":\"\\u006fne two\"}}]}\r\r"
            .to_owned(),
        "event: message\ndata: {\"choices\":\ndata:\ndata: [{\"delta\":{\"content\":\"one two\"}}]}\n\n"
            .to_owned(),
    ];
    for spelling in spellings {
        let rest = format!("{spelling}{finish}data: [DONE]\n\n");
        let (a, b) = (always(A.cut(&["one "])).await, always(raw_stream(rest)).await);
        let proxy = Setup::chain([&a, &b]).start().await;
        assert_one_answer(&proxy.chat(true).await, "one two");
    }
}

#[tokio::test]
async fn one_that_does_not_repeat_is_left_for_the_next_that_does() {
    let (a, b) = (always(A.cut(&["one ", "two "])).await, always(B.whole(&["uno ", "dos"])).await);
    let c = always(C.whole(&["one two ", "three"])).await;
    let proxy = Setup::chain([&a, &b, &c]).start().await;
    let heard = proxy.chat(true).await;
    assert_one_answer(&heard, "one two three");
    assert_eq!((a.count(), b.count(), c.count()), (1, 1, 1));
    assert_eq!(heard.events().last().unwrap()["model"], "c-said");
    let b = proxy.provider("b").await;
    assert_eq!((&b["available"], &b["last_error"]), (&json!(true), &Value::Null), "{b}");
}

#[tokio::test]
async fn one_that_begins_alike_and_then_differs_is_left_too() {
    let (a, b) = (always(A.cut(&["one ", "two "])).await, always(B.whole(&["one ", "dos"])).await);
    let c = always(C.whole(&["one two three"])).await;
    let proxy = Setup::chain([&a, &b, &c]).start().await;
    assert_one_answer(&proxy.chat(true).await, "one two three");
    assert_eq!(saved(&proxy).await, 1);
}

#[tokio::test]
async fn an_answer_that_ends_before_it_has_repeated_all_is_no_end() {
    let short = joined(&[B.begun(&["one "]), B.finish(), Events::done()]);
    let no_reason = joined(&[B.begun(&["one "]), Events::done()]);
    for text in [short, no_reason, B.begun(&["one "])] {
        let (a, b) = (always(A.cut(&["one ", "two "])).await, always(raw_stream(text)).await);
        let proxy = Setup::chain([&a, &b]).start().await;
        assert_interrupted(&proxy.chat(true).await, "one two ", "a");
        assert_eq!((b.count(), saved(&proxy).await), (1, 0));
    }
}

#[tokio::test]
async fn an_answer_that_repeats_all_and_ends_there_is_complete() {
    let (a, b) = (always(A.cut(&["one ", "two"])).await, always(B.whole(&["one two"])).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    assert_one_answer(&proxy.chat(true).await, "one two");
    let ends = B.delta(&json!({"content": "two"}));
    let ends = String::from_utf8_lossy(&ends)
        .replace("\"finish_reason\":null", "\"finish_reason\":\"length\"");
    let text = joined(&[B.begun(&["one "]), ends.into(), Events::done()]);
    let (a, b) = (always(A.cut(&["one ", "two"])).await, always(raw_stream(text)).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    assert_one_answer(&proxy.chat(true).await, "one two");
}

#[tokio::test]
async fn a_second_one_that_is_cut_is_continued_by_a_third() {
    for prefill in [true, false] {
        let whole: &[&str] =
            if prefill { &["three ", "four"] } else { &["one two ", "three four"] };
        let middle: &[&str] = if prefill { &["two "] } else { &["one two "] };
        let (a, b) = (always(A.cut(&["one "])).await, always(B.cut(middle)).await);
        let c = always(C.whole(whole)).await;
        let line = format!("prefill: {prefill}");
        let setup = Setup::new().provider("a", &a).provider("b", &b).with(&line);
        let proxy = setup.provider("c", &c).with(&line).start().await;
        let heard = proxy.chat(true).await;
        assert_one_answer(&heard, "one two three four");
        assert!(heard.events().iter().all(|event| event["id"] == "chatcmpl-a"));
        assert_eq!(heard.events().last().unwrap()["model"], "c-said");
        if prefill {
            let message = last_message(&c.requests()[0]);
            assert_eq!(message["content"], "one two ");
        }
        assert_eq!(saved(&proxy).await, 1, "one stream was saved, not two");
    }
}

#[tokio::test]
async fn usage_is_one_and_the_sum_and_only_for_who_asked() {
    for wants in [true, false] {
        let begun = joined(&[A.begun(&["one "]), A.usage(10, 3), A.text("two ")]);
        let a = always(raw_stream(begun).cut()).await;
        let end = [B.begun(&["three"]), B.finish(), B.usage(12, 5), Events::done()];
        let b = always(raw_stream(joined(&end))).await;
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        let mut body = question(true);
        if wants {
            body["stream_options"] = json!({"include_usage": true});
        }
        let heard = proxy.ask(&body).await;
        assert_eq!(heard.said(), "one two three");
        assert!(heard.is_done());
        let events = heard.events();
        let usages: Vec<&Value> =
            events.iter().map(|event| &event["usage"]).filter(|usage| usage.is_object()).collect();
        if wants {
            let sum = json!({"prompt_tokens": 22, "completion_tokens": 8, "total_tokens": 30});
            assert_eq!(usages.last(), Some(&&sum), "{}", heard.text());
        } else {
            assert!(usages.is_empty(), "{}", heard.text());
        }
        let used = async |name: &str| proxy.provider(name).await["total_tokens_used"].clone();
        assert_eq!((used("a").await, used("b").await), (json!(13), json!(17)));
    }
}

#[tokio::test]
async fn usage_of_a_first_part_that_nobody_counted_is_estimated_in_the_sum() {
    let a = always(A.cut(&["eight by", "tes more"])).await;
    let end = [B.begun(&["!"]), B.finish(), B.usage(12, 5), Events::done()];
    let b = always(raw_stream(joined(&end))).await;
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    let mut body = question(true);
    body["stream_options"] = json!({"include_usage": true});
    let heard = proxy.ask(&body).await;
    assert_one_answer(&heard, "eight bytes more!");
    let events = heard.events();
    let usage = events.iter().find(|event| event["usage"].is_object()).unwrap()["usage"].clone();
    // 16 bytes of text are 4 tokens or so.
    assert_eq!(usage["completion_tokens"], 9);
    assert_eq!(usage["prompt_tokens"], 24);
    assert_eq!(usage["total_tokens"], 33);
    let a = proxy.provider("a").await;
    assert!(a["total_tokens_used"].as_u64() >= Some(4), "{a}");
    assert!(a["estimated_tokens"].as_u64() >= Some(4), "{a}");
}

#[tokio::test]
async fn thoughts_of_the_one_that_goes_on_are_not_shown_in_the_middle_of_the_answer() {
    let thought = B.delta(&json!({"reasoning_content": "let me see"}));
    let text = joined(&[B.role(), thought, B.text("one "), B.text("two"), B.finish()]);
    let (a, b) = (always(A.cut(&["one "])).await, always(raw_stream(text)).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let heard = proxy.chat(true).await;
    assert_one_answer(&heard, "one two");
    assert!(!heard.text().contains("let me see"));
}

#[tokio::test]
async fn the_client_reads_on_over_the_seam_as_it_comes() {
    let late: Vec<(std::time::Duration, Bytes)> = vec![
        (MS * 300, B.begun(&["two "])),
        (MS * 300, joined(&[B.text("three"), B.finish(), Events::done()])),
    ];
    let (a, b) = (always(A.cut(&["one "])).await, always(Reply::events(late)).await);
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    let request = crate::harness::post(crate::harness::CHAT).json(&question(true));
    let mut listening = proxy.open(request).await;
    listening.until("one ").await;
    listening.until("two ").await;
    assert!(b.cancelled().is_empty());
    assert_one_answer(&listening.finish().await, "one two three");
}

#[tokio::test]
async fn the_key_that_the_first_one_echoes_is_not_told_to_the_second() {
    let a = always(A.cut(&["your key is sk-test-a-0123456789, ", "so"])).await;
    let b = always(B.whole(&[" there"])).await;
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    let heard = proxy.chat(true).await;
    assert!(!heard.text().contains("sk-test-a"), "{}", heard.text());
    for request in b.requests() {
        assert!(!request.json().to_string().contains("sk-test-a"), "{:?}", request.json());
    }
}

#[tokio::test]
async fn an_answer_begun_anew_behind_a_preamble_is_not_said_twice() {
    let begun = "The capital of France, as far as I know, is a city on the Seine that has been the \
        seat of its kings, of its parliaments and of most of its presidents for so long that \
        everybody knows it; it is called";
    for before in ["Sure! ", "```\n"] {
        let a = always(A.cut(&[begun])).await;
        let b = always(B.whole(&[before, begun, " Paris."])).await;
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_one_answer(&proxy.chat(true).await, &format!("{begun} Paris."));
    }
    // A short one may as well be the beginning of the next row.
    let a = always(A.cut(&["The capital of "])).await;
    let rows = ["France is Paris. ", "The capital of ", "Spain is Madrid."];
    let b = always(B.whole(&rows)).await;
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    assert_interrupted(&proxy.chat(true).await, "The capital of ", "a");
}

#[tokio::test]
async fn what_may_be_meant_twice_or_not_is_left_for_the_next() {
    let begun = "id,name\n1,John Smith\n";
    let other = "Sure! id,name\n1,John Smithson\n2,Jane\n";
    for second in ["1,John Smith\n2,Jane\n", other] {
        let (a, b) = (always(A.cut(&[begun])).await, always(B.whole(&[second])).await);
        let c = always(C.whole(&["2,", "Jane\n"])).await;
        let proxy = Setup::chain([&a, &b, &c]).with("prefill: true").start().await;
        assert_one_answer(&proxy.chat(true).await, &format!("{begun}2,Jane\n"));
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        assert_interrupted(&proxy.chat(true).await, begun, "a");
    }
}

#[tokio::test]
async fn only_the_tokens_that_are_left_are_asked_for_and_all_where_the_answer_starts_afresh() {
    for (usage, most, left) in [(None, 100, 96), (Some(30), 100, 70), (Some(30), 20, 1)] {
        let counted = usage.map_or_else(Bytes::new, |tokens| A.usage(10, tokens));
        let begun = raw_stream(joined(&[A.begun(&["sixteen ", "letters "]), counted])).cut();
        for prefill in [true, false] {
            let a = always(begun.clone()).await;
            let b =
                always(B.whole(if prefill { &["end"] } else { &["sixteen letters end"] })).await;
            let setup = Setup::chain([&a, &b]).with(&format!("prefill: {prefill}"));
            let mut body = question(true);
            body["max_tokens"] = json!(most);
            let heard = setup.start().await.ask(&body).await;
            assert_one_answer(&heard, "sixteen letters end");
            let expected = if prefill { left } else { most };
            assert_eq!(b.requests()[0].json()["max_tokens"], expected);
        }
    }
}

#[tokio::test]
async fn the_text_so_far_is_put_at_the_end_of_the_clients_own_beginning() {
    let text = json!("Once upon ");
    let parts = json!([{"type": "text", "text": "Once upon "}]);
    for (content, expected) in [(text, json!("Once upon a time ")), (parts.clone(), parts)] {
        let is_text = content.is_string();
        let a = always(A.cut(&["a time "])).await;
        let b = always(B.whole(if is_text { &["there"] } else { &["a time there"] })).await;
        let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
        let mut body = question(true);
        let own = json!({"role": "assistant", "content": content});
        body["messages"].as_array_mut().unwrap().push(own);
        assert_one_answer(&proxy.ask(&body).await, "a time there");
        let sent = b.requests()[0].json();
        assert_eq!(sent["messages"].as_array().unwrap().len(), 2);
        assert_eq!(sent["messages"][1], json!({"role": "assistant", "content": expected}));
    }
}

#[tokio::test]
async fn a_character_in_two_halves_is_continued_as_a_whole_and_a_half_is_not() {
    let half = |which: &str| {
        let data = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{which}"}}}}]}}"#);
        Bytes::from(format!("data: {data}\n\n"))
    };
    let (high, low) = (half(r"\ud83d"), half(r"\ude00"));
    // The first one says it in halves, the second one as a whole.
    let begun = joined(&[A.begun(&["one "]), high.clone(), low.clone()]);
    let (a, b) = (always(raw_stream(begun).cut()).await, always(B.whole(&["one 😀 two"])).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    let heard = proxy.chat(true).await;
    let text = heard.text();
    assert!(heard.is_done() && text.contains(r#"" two""#) && !text.contains('😀'), "{text}");
    // The other way round.
    let again = [B.begun(&["one "]), high.clone(), low, B.text(" two"), B.finish(), Events::done()];
    let (a, b) = (always(A.cut(&["one 😀"])).await, always(raw_stream(joined(&again))).await);
    let proxy = Setup::chain([&a, &b]).start().await;
    assert_one_answer(&proxy.chat(true).await, "one 😀 two");
    // Half a character is nothing that anybody could go on from.
    let (a, b) = (
        always(raw_stream(joined(&[A.begun(&["one "]), high])).cut()).await,
        always(B.whole(&["x"])).await,
    );
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    let heard = proxy.chat(true).await;
    assert!(!heard.is_done() && heard.text().contains("upstream_stream_interrupted"));
    assert_eq!(b.count(), 0);
}
