//! Whole streams cut in two at every byte: what the client gets is the same each time.

use bytes::Bytes;
use serde_json::Value;
use simulated::{Events, Recorded, Reply};
use tokio::task::JoinSet;

use crate::harness::{CHAT, Heard, Listening, MS, Setup, always, joined, now, post, question};
use crate::parts::{Part, ZERO, asked, assert_interrupted, assert_one_answer};

/// Requests under way at once.
const AT_ONCE: usize = 24;

/// The streams, and what the client must get of each.
fn golden() -> Vec<(&'static str, Bytes, Bytes)> {
    let part = Part("ü😀");
    let text = |text: &str| {
        format!("{{ \"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}],\"n\":1.50}}")
    };
    let finish = "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}";
    let strange = [
        "\u{feff}: WAIT\r\n\r\nid: 7\r\nevent: message\r\n",
        &format!("data: {}\r\n\r\n", text("h\u{e9}\u{1f600}")),
        &format!("data:{}\n\n: ping\r\r", text("no space")),
        "data: {\"choices\":[{\ndata: \"delta\":{\"content\":\"two\"}}]}\n\r\n",
        &format!("data: {}\r\r\nretry: 1\n\n", text("\\ud83d\\ude00")),
        &format!("data: {finish}\n\ndata: [DONE]\n\n"),
    ]
    .concat();
    let broken = "data: {\"choices\":[{\"delta\":{\"cont\r\n\r\n";
    let dropped =
        [&format!("data: {}\r\n\r\n", text("a")), broken, &format!("data: {finish}\r\n\r\n")];
    let kept = [dropped[0], dropped[2], "data: [DONE]\n\n"].concat();
    let plain = joined(&[part.begun(&["ü", "é😀"]), part.finish(), Events::done()]);
    vec![
        ("plain", plain.clone(), plain),
        ("strange", strange.clone().into(), strange.into()),
        ("broken and no done", dropped.concat().into(), kept.into()),
    ]
}

fn number(request: &Recorded, name: &str) -> usize {
    request.headers[name].to_str().unwrap().parse().unwrap()
}

/// Asks once for every cut, many at a time, and hands each answer over.
async fn at_every_cut<F: Future<Output = Heard> + Send + 'static>(
    count: usize,
    ask: impl Fn(usize) -> F,
    look: impl Fn(usize, Heard),
) {
    let mut under_way = JoinSet::new();
    let mut cuts = 0..count;
    loop {
        while under_way.len() < AT_ONCE
            && let Some(cut) = cuts.next()
        {
            let asking = ask(cut);
            under_way.spawn(async move { (cut, asking.await) });
        }
        let Some(done) = under_way.join_next().await else { break };
        let (cut, heard) = done.unwrap();
        look(cut, heard);
    }
}

#[tokio::test]
async fn a_stream_cut_in_two_anywhere_is_the_same_stream() {
    let golden = golden();
    let streams: Vec<Bytes> = golden.iter().map(|(_, sent, _)| sent.clone()).collect();
    let a = asked(move |request| {
        let whole = &streams[number(request, "x-stream")];
        let (one, two) = (number(request, "x-cut"), number(request, "x-second"));
        let pieces = [whole.slice(..one), whole.slice(one..two), whole.slice(two..)];
        Reply::events(pieces.into_iter().map(|piece| (MS * 2, piece)).collect())
    })
    .await;
    let proxy = Setup::chain([&a]).start().await;
    let start = now();
    let mut requests = 0;
    for (index, (name, sent, expected)) in golden.iter().enumerate() {
        requests += sent.len();
        let address = proxy.address;
        let ask = |cut: usize| {
            let second = (cut + 1 + cut % 5).min(sent.len());
            let request = post(CHAT).json(&question(true));
            let request = request.header("x-stream", &index.to_string());
            let request = request.header("x-cut", &cut.to_string());
            let request = request.header("x-second", &second.to_string());
            async move { Listening::open(address, request).await.finish().await }
        };
        at_every_cut(sent.len(), ask, |cut, heard| {
            assert_eq!(heard.text(), String::from_utf8_lossy(expected), "{name} cut at {cut}");
            assert!(heard.whole && heard.by() == "a", "{name} cut at {cut}");
        })
        .await;
    }
    println!("{requests} streams cut anywhere took {:?}", start.elapsed());
    assert_eq!(proxy.provider("a").await["consecutive_errors"], 0);
    assert_eq!(a.count(), requests as u64);
}

#[tokio::test]
async fn a_stream_that_ends_anywhere_is_honest_about_it() {
    let part = Part("p");
    let whole = joined(&[part.begun(&["eins ", "zwei"]), part.finish(), Events::done()]);
    let text = String::from_utf8_lossy(&whole).into_owned();
    let sent = whole.clone();
    let a =
        asked(move |request| Reply::events(vec![(ZERO, sent.slice(..number(request, "x-cut")))]))
            .await;
    let setup = Setup::chain([&a]).rotation("stream_recovery: off");
    let proxy = setup.start().await;
    // Where the event ends that holds this text.
    let end_of = |what: &str| {
        let at = text.find(what).unwrap();
        at + text[at..].find("\n\n").unwrap()
    };
    let (first, finished) = (end_of("eins"), end_of("\"stop\""));
    for cut in 0..=whole.len() {
        proxy.send(post("/reset")).await;
        let request = post(CHAT).json(&question(true)).header("x-cut", &cut.to_string());
        let heard = proxy.send(request).await;
        // Its blank line may be missing, not its data.
        let (is_begun, is_finished) = (cut >= first, cut >= finished);
        if !is_begun {
            assert_eq!(heard.status, 502, "cut at {cut}: {}", heard.text());
            continue;
        }
        assert_eq!((heard.status, heard.whole), (200, true), "cut at {cut}");
        assert_eq!(heard.is_done(), is_finished, "cut at {cut}: {}", heard.text());
        let all = heard.text();
        let error = all.find("data: {\"error\"");
        assert_eq!(error.is_some(), !is_finished, "cut at {cut}: {all}");
        let shown = &all[..error.unwrap_or(all.len())];
        assert!(text.starts_with(shown), "cut at {cut}: {all}");
        assert!(!heard.events().iter().any(Value::is_null));
    }
}

/// The provider that goes on, as asked for by a header: to this byte, and then on or not.
async fn heard_with_cuts(stream: Bytes, ends_there: bool, look: impl Fn(usize, Heard)) {
    let begun = always(Part("a").cut(&[BEGUN])).await;
    let sent = stream.clone();
    let b = asked(move |request| {
        let cut = number(request, "x-cut");
        let rest = if ends_there { Bytes::new() } else { sent.slice(cut..) };
        Reply::events(vec![(ZERO, sent.slice(..cut)), (MS, rest)])
    })
    .await;
    let proxy = Setup::chain([&begun, &b]).with("prefill: true").start().await;
    // At every place it would take long; of the joining alone that is tested elsewhere.
    for cut in (0..=stream.len()).step_by(7) {
        proxy.send(post("/reset")).await;
        let request = post(CHAT).json(&question(true)).header("x-cut", &cut.to_string());
        look(cut, proxy.send(request).await);
    }
}

/// A text that some begin anew, so that words which may be a beginning are held back.
const BEGUN: &str = "Once upon a time there was a kïng, ";

/// The pieces that follow, all of them held back for a while, some of them repeated.
fn continuations() -> [Bytes; 2] {
    let part = Part("b");
    [&["Härald ", "Bluet", "ooth"][..], &["Once upon a ", &BEGUN[12..], "Härald ", "Bluetooth"]]
        .map(|pieces| joined(&[part.begun(pieces), part.finish(), Events::done()]))
}

#[tokio::test]
async fn a_continuation_cut_in_two_anywhere_is_the_same_answer() {
    for stream in continuations() {
        heard_with_cuts(stream, false, |_, heard| {
            assert_one_answer(&heard, &format!("{BEGUN}Härald Bluetooth"));
        })
        .await;
    }
}

#[tokio::test]
async fn a_continuation_that_ends_anywhere_is_honest_about_it() {
    for stream in continuations() {
        let text = String::from_utf8_lossy(&stream).into_owned();
        let finished = text[..text.find("\"stop\"").unwrap()].len() + "\"stop\"}]}".len();
        heard_with_cuts(stream, true, |cut, heard| {
            let whole = format!("{BEGUN}Härald Bluetooth");
            if cut >= finished {
                return assert_one_answer(&heard, &whole);
            }
            let said = heard.said();
            assert_interrupted(&heard, &said, "a");
            assert!(said.starts_with(BEGUN) && whole.starts_with(&said), "cut at {cut}: {said}");
        })
        .await;
    }
}
