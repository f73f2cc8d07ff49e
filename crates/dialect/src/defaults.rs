//! Values that hold without being given: a parameter without which the answer would be another one
//! can be left out all the same if that is its value.

use crate::body::ErrorBody;
use crate::parameter;
use crate::sent::Sent;

/// Whether a refused parameter of the request has nothing in it but what holds without it too.
pub(crate) fn holds_anyway(name: &str, body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let asked = sent.members(&[name]);
    asked.get(name).is_some_and(|given| match name {
        "n" => given.as_f64() == Some(1.0),
        // Where tools are spoken of, it is they that are not taken, or not as they were sent.
        "tool_choice" => given == "auto" && !parameter::says_word(&body.text, "tools"),
        "response_format" => given.get("type").is_some_and(|kind| kind == "text"),
        "modalities" => given.as_array().is_some_and(|all| all.iter().all(|one| one == "text")),
        _ => false,
    })
}
