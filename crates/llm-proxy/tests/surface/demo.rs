//! `demo`: rotation to be seen, without keys and within ten seconds.

use crate::harness::{Place, Proxy, QUESTION};

#[tokio::test]
async fn the_demo_shows_rotation_within_ten_seconds() {
    let running = Place::new();
    let shown = tokio::time::timeout(
        std::time::Duration::from_secs(10),
        running.run(&["demo", "--once", "--port", "0"]),
    );
    let shown = shown.await.expect("longer than ten seconds").good();
    let by = |name: &str| shown.contains(&format!("answered by {name}"));
    assert!(by("swift") && by("steady") && by("patient"), "{shown}");
    assert!(shown.contains("swift=429"), "{shown}");
    assert!(shown.contains("Selected provider: swift (priority 1)"), "{shown}");
    assert!(shown.contains("curl "), "{shown}");
}

#[tokio::test]
async fn the_demo_goes_on_serving() {
    let place = Place::new();
    let command = place.command(&["demo", "--port", "0"]);
    let mut proxy = Proxy::of_command(place, command).await;
    proxy.line("goes on serving").await;
    assert_eq!(proxy.chat(QUESTION).await.provider(), "patient");
    proxy.signal(rustix::process::Signal::INT);
    assert_eq!(proxy.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_demo_on_a_taken_port_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let told = Place::new().run(&["demo", "--once", "--port", &port]).await.bad(3);
    assert!(told.contains(&port), "{told}");
}
