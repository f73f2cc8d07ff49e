//! The first that may serve serves, and is the first again as soon as it may.

use simulated::{Behaviour, Reply, SimulatedProvider};

use crate::harness::{MS, PLAIN_AND_STREAMED, Setup, always, error, good, now, script};

#[tokio::test]
async fn the_first_priority_serves_everything_while_it_can() {
    let (a, b) = (good("a").await, good("b").await);
    let proxy = Setup::new()
        .provider("b", &b)
        .with("priority: 2")
        .provider("a", &a)
        .with("priority: 1")
        .start()
        .await;
    for turn in 0..50 {
        proxy.chat(turn % 2 == 0).await.assert_says("a");
    }
    assert_eq!((a.count(), b.count()), (50, 0));
}

#[tokio::test]
async fn equal_priorities_keep_the_files_order() {
    let (a, b) = (good("a").await, good("b").await);
    let proxy = Setup::new()
        .provider("z", &a)
        .with("priority: 5")
        .provider("y", &b)
        .with("priority: 5")
        .start()
        .await;
    for _ in 0..5 {
        assert_eq!(proxy.chat(false).await.by(), "z");
    }
}

#[tokio::test]
async fn no_request_comes_before_a_stated_time_and_the_next_one_right_after_it() {
    let limited = Reply::rate_limited(None).header("retry-after-ms", "700");
    let a = script([limited, Reply::answer(&["a"])]).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).start().await;
    let start = now();
    proxy.chat(false).await.assert_says("b");
    loop {
        let asked = start.elapsed();
        let heard = proxy.chat(false).await;
        if heard.by() == "a" {
            break;
        }
        assert!(asked < MS * 5000, "never back on the first priority");
        tokio::time::sleep(MS * 10).await;
    }
    let requests = a.requests();
    let apart = requests[1].at.saturating_sub(requests[0].at);
    assert!(apart >= MS * 699, "too soon: {apart:?}");
    assert_eq!(proxy.chat(true).await.by(), "a");
}

#[tokio::test]
async fn the_headers_say_who_served_and_how_the_request_came_there() {
    for stream in PLAIN_AND_STREAMED {
        let a = always(error(500, "x", "server_error", "x")).await;
        let b = always(Reply::rate_limited(None)).await;
        let (c, d) = (always(crate::harness::wrong_key()).await, good("d").await);
        let proxy = Setup::chain([&a, &b, &c, &d]).start().await;
        let heard = proxy.chat(stream).await;
        heard.assert_says("d");
        assert_eq!(heard.header("x-provider"), Some("d"));
        assert_eq!(heard.header("x-model"), Some("d-model"));
        assert_eq!(heard.header("x-attempts"), Some("4"));
        let rotation = "a=500, a=500, b=429, c=401, d=200";
        assert_eq!(heard.header("x-rotation"), Some(rotation));
        let heard = proxy.chat(stream).await;
        assert_eq!(heard.header("x-attempts"), Some("1"));
        assert_eq!(heard.header("x-rotation"), None);
    }
}

#[tokio::test]
async fn a_dead_provider_is_not_paid_for_again_by_each_request() {
    let (a, b) = (always(error(500, "x", "server_error", "x")).await, good("b").await);
    let proxy = Setup::chain([&a, &b]).start().await;
    for _ in 0..20 {
        proxy.chat(false).await.assert_says("b");
    }
    // Twice in place, then at most one probe for each two seconds.
    assert!(a.count() <= 6, "{} attempts", a.count());
}

#[tokio::test]
async fn a_short_stated_wait_is_waited_out_in_place_where_configured() {
    for stream in PLAIN_AND_STREAMED {
        let short = Reply::rate_limited(None).header("retry-after-ms", "200");
        let long = Reply::rate_limited(Some("30"));
        let a = script([short, Reply::answer(&["a"]), long]).await;
        let b = good("b").await;
        let proxy = Setup::chain([&a, &b]).rotation("wait_in_place: 1s").start().await;
        let heard = proxy.chat(stream).await;
        heard.assert_says("a");
        assert_eq!((a.count(), b.count()), (2, 0));
        assert_eq!(heard.header("x-attempts"), Some("1"));
        proxy.chat(stream).await.assert_says("b");
    }
}

#[tokio::test]
async fn one_guessed_time_over_lets_one_probe_through_and_the_rest_goes_on_elsewhere() {
    let slow = Reply::answer(&["a"]).after(MS * 2000);
    let a = script([Reply::bytes(429, ""), slow, Reply::answer(&["a"])]).await;
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).rotation("default_cooldown: 100ms").start().await;
    proxy.chat(false).await.assert_says("b");
    proxy
        .until("a half-open", async || {
            proxy.provider("a").await["deployments"][0]["state"] == "half_open"
        })
        .await;
    let body = crate::harness::question(false);
    let probe = proxy.open(crate::harness::post(crate::harness::CHAT).json(&body)).await;
    assert!(a.wait_until(crate::harness::SOON, |a| a.count() == 2).await);
    for turn in 0..20 {
        proxy.chat(turn % 2 == 0).await.assert_says("b");
    }
    assert_eq!(a.count(), 2, "only the probe goes through");
    probe.finish().await.assert_says("a");
    proxy.chat(false).await.assert_says("a");
}

#[tokio::test]
async fn a_probe_that_fails_or_is_given_up_frees_the_way_for_the_next() {
    let calls = std::sync::atomic::AtomicU64::new(0);
    let behaviour = Behaviour::answer(move |_| {
        match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 | 1 => Reply::bytes(429, ""),
            2 => Reply::hang(),
            _ => Reply::answer(&["a"]),
        }
    });
    let a = SimulatedProvider::start(behaviour).await.unwrap();
    let b = good("b").await;
    let proxy = Setup::chain([&a, &b]).rotation("default_cooldown: 50ms").start().await;
    let half_open = async || proxy.provider("a").await["deployments"][0]["state"] == "half_open";
    proxy.chat(false).await.assert_says("b");
    proxy.until("a half-open", half_open).await;
    proxy.chat(false).await.assert_says("b");
    proxy.until("a half-open again", half_open).await;
    let body = crate::harness::question(false);
    let left = proxy.open(crate::harness::post(crate::harness::CHAT).json(&body)).await;
    assert!(a.wait_until(crate::harness::SOON, |a| a.count() == 3).await);
    drop(left);
    proxy.until("the probe's place to be free", half_open).await;
    proxy.chat(false).await.assert_says("a");
}
