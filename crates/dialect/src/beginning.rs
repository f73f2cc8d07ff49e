//! Whether a reply refuses an answer's beginning that was given to it as the last message.

use crate::body::ErrorBody;
use crate::sent::Sent;

/// What a beginning is called.
const NAMES: &[&str] = &["prefill", "pre-fill"];

/// Whose message is spoken of, and which place of a conversation.
const WHOSE: &[&str] = &["assistant", "user message", "role user", "from the user"];
const PLACES: &[&str] =
    &["last", "final", "end with", "ends with", "ending with", "must end", "at the end"];

/// What is wrong with one beginning, and not with any.
const OF_THIS_ONE: &[&str] = &["whitespace", "white space"];

/// Whether a reply to a request that ends with the assistant's words refuses that it does, by words
/// that are not the request's.
pub(crate) fn is_refused(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    let says = |phrases: &[&str]| {
        phrases.iter().any(|phrase| body.text.contains(phrase) && !sent.holds(phrase))
    };
    // A role stands in every request.
    let names_author = WHOSE.iter().any(|phrase| body.text.contains(phrase));
    (says(NAMES) || names_author && says(PLACES)) && !says(OF_THIS_ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(text: &str, request: &[u8]) -> bool {
        let body = serde_json::json!({"error": {"message": text}}).to_string();
        is_refused(&ErrorBody::read(body.as_bytes()), &Sent::new(request))
    }

    #[test]
    fn a_beginning_that_is_not_taken_is_known_by_its_place() {
        for text in [
            "This model does not support assistant message prefill. The conversation must end \
             with a user message.",
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got \
             assistant",
            "assistant message not allowed last",
            "The final message must be from the user",
            "Prefill is not supported",
        ] {
            assert!(refuses(text, br#"{"messages":[{"role":"assistant"}]}"#), "{text}");
        }
    }

    #[test]
    fn what_says_nothing_of_it_is_another_refusal() {
        for text in [
            "messages: final assistant content cannot end with trailing whitespace",
            "max_tokens is too large",
            "Invalid role: assistant",
            "Bad Request",
        ] {
            assert!(!refuses(text, b"{}"), "{text}");
        }
        assert!(!refuses("you said: prefill me", br#"{"content":"prefill me"}"#));
    }
}
