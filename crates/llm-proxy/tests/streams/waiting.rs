//! A search for somebody who goes on with a stream waits as a request does before its answer.

use simulated::Reply;

use crate::harness::{Setup, always, now, question, script};
use crate::parts::{Part, assert_interrupted, assert_one_answer, seconds};

const A: Part = Part("a");
const B: Part = Part("b");
const C: Part = Part("c");

fn limited(millis: &str) -> Reply {
    Reply::rate_limited(None).header("retry-after-ms", millis)
}

#[tokio::test]
async fn one_that_was_limited_before_the_answer_began_is_waited_for() {
    for prefill in [false, true] {
        let rest: &[&str] = if prefill { &["two"] } else { &["one two"] };
        let a = script([limited("900"), A.whole(rest)]).await;
        let b = always(B.cut(&["one "])).await;
        let proxy = Setup::new().provider("a", &a).with(&format!("prefill: {prefill}"));
        let proxy = proxy.provider("b", &b).start().await;
        assert_one_answer(&proxy.chat(true).await, "one two");
        assert_eq!((a.count(), b.count()), (2, 1));
    }
}

#[tokio::test]
async fn one_that_an_earlier_request_found_limited_is_waited_for() {
    let a = script([Reply::answer(&["warm"]), A.cut(&["one "])]).await;
    let b = script([limited("1500"), B.whole(&["one two"])]).await;
    let proxy = Setup::chain([&b, &a]).start().await;
    proxy.chat(false).await.assert_says("warm");
    assert_one_answer(&proxy.chat(true).await, "one two");
    assert_eq!((a.count(), b.count()), (2, 2));
}

#[tokio::test]
async fn the_soonest_of_several_is_waited_for_and_nobody_beyond_max_wait() {
    let a = script([limited("30000")]).await;
    let b = script([limited("700"), B.whole(&["one two"])]).await;
    let c = always(C.cut(&["one "])).await;
    let proxy = Setup::chain([&a, &b, &c]).start().await;
    assert_one_answer(&proxy.chat(true).await, "one two");
    assert_eq!((a.count(), b.count(), c.count()), (1, 2, 1));

    let b = script([limited("9000"), B.whole(&["one two"])]).await;
    let c = always(C.cut(&["one "])).await;
    let proxy = Setup::chain([&b, &c]).rotation("max_wait: 300ms").start().await;
    let start = now();
    assert_interrupted(&proxy.chat(true).await, "one ", "b");
    assert!(start.elapsed() < seconds(7), "nobody is waited for in vain");
    assert_eq!((b.count(), c.count()), (1, 1));
}

#[tokio::test]
async fn who_broke_off_is_not_waited_for() {
    let a = script([limited("600"), limited("600"), limited("60000")]).await;
    let b = always(B.cut(&["one "])).await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let start = now();
    assert_interrupted(&proxy.ask(&question(true)).await, "one ", "b");
    assert!(start.elapsed() < seconds(8));
    assert_eq!((a.count(), b.count()), (3, 1));
}
