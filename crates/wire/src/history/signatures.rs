//! Signatures that another provider has put under its thoughts.

use bytes::{BufMut, Bytes, BytesMut};

use super::object::Object;
use super::{DUMMY_SIGNATURE, MOST_EDITS, says};
use crate::json::{Kind, View};
use crate::splice::Edit;

/// Members of messages that hold signed thoughts.
const MEMBERS: [&str; 4] =
    ["thinking_blocks", "reasoning_details", "thought_signature", "signature"];

/// Parts of a content that are signed thoughts, by their type.
const PARTS: [&str; 2] = ["thinking", "redacted_thinking"];

/// The signature for all, as in [`DUMMY_SIGNATURE`].
const UNCHECKED: &str = "skip_thought_signature_validator";

/// The edits that leave no foreign signature in a message.
pub(super) fn replaced(message: &Object<'_>) -> Vec<Edit> {
    let mut edits = message.without(&MEMBERS.map(str::to_owned));
    if is_signed(message) {
        edits.extend(message.without(&["extra_content".to_owned()]));
    }
    edits.extend(without_thoughts(message));
    let calls = message.objects("tool_calls").take(MOST_EDITS + 1);
    let signed = calls.filter(is_signed);
    let dummy = Bytes::from_static(DUMMY_SIGNATURE.as_bytes());
    edits.extend(signed.map(|call| call.with("extra_content", dummy.clone())));
    edits
}

/// Whether a message or a call has a signature of Gemini's form, but not the one for all.
fn is_signed(object: &Object<'_>) -> bool {
    let google = object.value("extra_content").and_then(|extra| extra.get("google"));
    let signature = google.and_then(|google| google.get("thought_signature"));
    says(signature) && signature.is_some_and(|one| text_of(one) != UNCHECKED)
}

fn text_of(value: View<'_>) -> std::borrow::Cow<'_, str> {
    value.as_str().unwrap_or_default()
}

/// The content without its thoughts, if it has some.
fn without_thoughts(message: &Object<'_>) -> Option<Edit> {
    let content = message.value("content").filter(|content| content.kind() == Kind::Array)?;
    let is_thought =
        |part: &View<'_>| part.get("type").is_some_and(|kind| PARTS.contains(&&*text_of(kind)));
    content.elements().find(is_thought)?;
    let mut left = BytesMut::new();
    for part in content.elements().filter(|part| !is_thought(part)) {
        left.put_u8(if left.is_empty() { b'[' } else { b',' });
        left.put_slice(part.raw());
    }
    let empty = left.is_empty();
    left.put_slice(if empty { b"\"\"" } else { b"]" });
    Some(message.with("content", left.freeze()))
}
