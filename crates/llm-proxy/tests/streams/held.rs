//! The first words of a provider that goes on, while they are held back: they are shown in the
//! end, once, whether anything more comes or not.

use simulated::{Events, Reply};

use crate::harness::{CHAT, MS, Setup, always, joined, post, question, raw_stream};
use crate::parts::{Part, ZERO, assert_interrupted, assert_one_answer, last_message};

const A: Part = Part("a");
const B: Part = Part("b");
const C: Part = Part("c");

/// A text that some begin anew, so that words which may be a beginning are held back.
const BEGUN: &str = "Once upon a time there was a king, ";

#[tokio::test]
async fn words_that_were_held_back_are_shown_though_nothing_more_comes() {
    let a = always(A.cut(&[BEGUN])).await;
    let b = always(raw_stream(B.begun(&["Harald ", "Bluet"])).stall()).await;
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    let mut listening = proxy.open(post(CHAT).json(&question(true))).await;
    listening.until("Harald Bluet").await;
    assert!(b.cancelled().is_empty(), "it may still go on");
}

#[tokio::test]
async fn an_event_of_ours_is_one_of_the_answer() {
    let pause = (MS * 1_800, joined(&[B.text("ooth"), B.finish()]));
    let writes = vec![(ZERO, B.begun(&["Harald Bluet"])), pause];
    let (a, b) = (always(A.cut(&[BEGUN])).await, always(Reply::events(writes)).await);
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    let heard = proxy.chat(true).await;
    assert_one_answer(&heard, &format!("{BEGUN}Harald Bluetooth"));
    let events = heard.events();
    let ours = events.iter().find(|event| event.to_string().contains("Harald Bluet"));
    let ours = ours.unwrap_or_else(|| panic!("{}", heard.text()));
    assert_eq!(ours["choices"][0]["delta"]["content"], "Harald Bluet");
    assert!(events.iter().all(|event| event["id"] == "chatcmpl-a"), "{}", heard.text());
    assert_eq!(ours["object"], "chat.completion.chunk");
    assert_eq!((&ours["model"], &ours["created"]), (&"b-said".into(), &1.into()));
}

/// Every way to break off behind words that are held back.
fn breaks() -> Vec<(&'static str, Reply)> {
    let begun = || B.begun(&["Harald ", "Bluet"]);
    vec![
        ("end", raw_stream(begun())),
        ("cut", raw_stream(begun()).cut()),
        ("stall", raw_stream(begun()).stall()),
        ("error", raw_stream(joined(&[begun(), Events::error("second", "server_error", "500")]))),
    ]
}

#[tokio::test]
async fn words_held_back_by_one_that_breaks_off_are_said_by_the_next_or_shown() {
    for (name, reply) in breaks() {
        let (a, b) = (always(A.cut(&[BEGUN])).await, always(reply).await);
        let setup = || Setup::chain([&a, &b]).with("prefill: true");
        let alone = setup().rotation("stall_timeout: 400ms").start().await;
        let heard = alone.chat(true).await;
        assert_interrupted(&heard, &format!("{BEGUN}Harald Bluet"), "a");
        assert!(!heard.text().contains("second"), "{name}: {}", heard.text());
        // The next one goes on with what the client has.
        let c = always(C.whole(&["who was ", "old."])).await;
        let setup = setup().provider("c", &c).with("prefill: true");
        let proxy = setup.rotation("stall_timeout: 400ms").start().await;
        assert_one_answer(&proxy.chat(true).await, &format!("{BEGUN}who was old."));
        assert_eq!(last_message(&c.requests()[0])["content"], BEGUN, "{name}");
        // One that fails without a word takes nothing away.
        for refuses in [Reply::bytes(500, "no"), raw_stream(C.begun(&["Once upon"])).cut()] {
            let c = always(refuses).await;
            let setup = Setup::chain([&a, &b]).with("prefill: true").provider("c", &c);
            let proxy = setup.rotation("stall_timeout: 400ms").start().await;
            let heard = proxy.chat(true).await;
            assert_interrupted(&heard, &format!("{BEGUN}Harald Bluet"), "a");
        }
    }
}

#[tokio::test]
async fn what_may_be_a_repetition_is_not_shown_when_it_breaks_off() {
    let (a, b) = (always(A.cut(&[BEGUN])).await, always(B.cut(&["Once upon", " a ti"])).await);
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    assert_interrupted(&proxy.chat(true).await, BEGUN, "a");
    // Nor is what turns out to be another answer.
    let other = B.whole(&["Sure! ", "Once upon a time there was a queen."]);
    let (a, b) = (always(A.cut(&[BEGUN])).await, always(other).await);
    let proxy = Setup::chain([&a, &b]).with("prefill: true").start().await;
    assert_interrupted(&proxy.chat(true).await, BEGUN, "a");
}

/// The client has the preamble by then, so that nobody can go on with it.
#[tokio::test]
async fn an_answer_begun_anew_behind_words_that_were_shown_is_not_said_twice() {
    let anew = joined(&[B.text(BEGUN), B.text("Harald"), B.finish(), Events::done()]);
    let late = (MS * 1_800, anew);
    let writes = vec![(ZERO, B.begun(&["Sure! "])), late];
    let (a, b) = (always(A.cut(&[BEGUN])).await, always(Reply::events(writes)).await);
    let c = always(C.whole(&["Harald."])).await;
    let setup = Setup::chain([&a, &b]).with("prefill: true").provider("c", &c);
    let proxy = setup.with("prefill: true").start().await;
    assert_interrupted(&proxy.chat(true).await, &format!("{BEGUN}Sure! "), "a");
    assert_eq!(c.count(), 0);
}
