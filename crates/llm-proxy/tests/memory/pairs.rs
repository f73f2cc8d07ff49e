//! Two proxies on one folder: the first holds it.

use simulated::{Behaviour, Reply};

use crate::harness::{Place, Proxy, QUESTION, acting, entry, provider};
use crate::parts::{config, killed, remembering, saved, start, told};

#[tokio::test]
async fn the_second_on_a_folder_reads_it_and_leaves_it_alone() {
    let limited = acting(Behaviour::always(Reply::rate_limited(Some("3600")))).await;
    let good = provider(&["good"]).await;
    let entries = [entry("limited", &limited), entry("good", &good)];
    let first = remembering(&entries).await;
    assert_eq!(first.chat(QUESTION).await.provider(), "good");
    saved(&first).await;

    let place = Place::with(&config(&entries));
    let folder = first.place.work().join("state");
    let second = Proxy::start_with(place, &["--state", folder.to_str().unwrap()]).await;
    let warning = second.line(" - WARNING - ").await;
    let holder = format!("in use by process {}, http://{}", first.id(), first.address);
    assert!(warning.contains(&holder), "{warning}");
    let state = second.get("/status").await.json()["state"].clone();
    assert_eq!((&state["mode"], &state["error"]), (&"read_only".into(), &().into()));
    // It knows what the first one knew, and keeps its own to itself.
    assert_eq!(limited.count(), 1);
    for _ in 0..3 {
        assert_eq!(second.chat(QUESTION).await.provider(), "good");
    }
    assert_eq!(limited.count(), 1);
    second.tell(&["disable", "good"]).await.good();
    assert_eq!(told(&second, 3).await.len(), 3);
    saved(&second).await;
    drop(killed(second).await);

    let first = start(killed(first).await).await;
    let state = first.state("good").await;
    assert_eq!((&state["disabled"], &state["request_count"]), (&false.into(), &1.into()));
    assert_eq!(told(&first, 1).await.len(), 1);
    assert_eq!(first.get("/status").await.json()["state"]["mode"], "file");
}
