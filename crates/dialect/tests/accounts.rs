//! Keys and money of which the client speaks: they are not the provider's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use dialect::{Reply, failure};
use engine::{FaultKind, Timestamp};
use http::HeaderMap;
use serde_json::json;

fn kind(status: u16, said: &str, written: &str) -> FaultKind {
    let request = json!({"model": "m", "messages": [{"role": "user", "content": written}]});
    let request = serde_json::to_vec(&request).unwrap();
    let body = serde_json::to_vec(&json!({"error": {"message": said}})).unwrap();
    let headers = HeaderMap::new();
    let now = Timestamp::from_secs(1_795_000_000);
    let reply =
        Reply { provider: "", model: "m", status, headers: &headers, request: &request, now };
    failure(&reply, &body).fault.kind
}

#[test]
fn what_the_client_has_written_of_keys_and_money_sets_nothing_aside() {
    let words = [
        ("bad credentials", FaultKind::KeyRejected),
        ("the authentication failed", FaultKind::KeyRejected),
        ("the token has expired", FaultKind::KeyRejected),
        ("the account has reached its budget limit", FaultKind::OutOfCredit),
        ("we do not have enough credits", FaultKind::OutOfCredit),
        ("all trial credits are exhausted", FaultKind::OutOfCredit),
    ];
    for (words, meaning) in words {
        assert_eq!(kind(400, words, "hi"), meaning, "{words}");
        let given_back = format!("The content that was sent is invalid: {words}");
        assert_eq!(kind(400, &given_back, words), FaultKind::CallerMistake, "{words}");
    }
}

#[test]
fn what_the_client_has_written_is_no_reason_for_a_breakdown() {
    for words in ["why do I see invalid api key", "it ended with insufficient_quota again"] {
        let given_back = format!("Could not handle: {words}");
        assert_eq!(kind(500, &given_back, words), FaultKind::ServerError, "{words}");
    }
}
