//! Repairs to the conversation in a request, for a provider that refuses what another has left
//! in it: its ids, its reasoning, its signatures.
//!
//! Only the bytes at fault change. What the refusal was is the caller's to know; a body in which
//! a repair finds nothing to do cannot be mended by it.

mod ids;
mod object;
mod signatures;

use bytes::Bytes;

use crate::json::{Kind, Layout, View};
use crate::request::developer_role_spans;
use crate::splice::Edit;
use object::{Object, objects};

/// More changes than any real conversation needs. The bound keeps a body of tiny messages from
/// costing many times its own size in memory.
const MOST_EDITS: usize = 1 << 16;

/// What Google's page on thought signatures (ai.google.dev/gemini-api/docs/thought-signatures,
/// seen in November 2026) has for calls that Gemini did not make itself, and where its
/// OpenAI-compatible endpoint looks for it.
const DUMMY_SIGNATURE: &str =
    r#"{"google":{"thought_signature":"skip_thought_signature_validator"}}"#;

/// Reasoning that says nothing. An empty string will not do: DeepSeek's V4 Pro was seen to count
/// it as none, and to take a space (May 2026).
const NO_REASONING: &str = r#"" ""#;

/// What is done to every message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Gives each tool call id that is not nine ASCII letters and digits one that is, the same
    /// wherever it stands and in every later request, and distinct from all others of the body.
    ToolCallIds,
    /// Takes the members of these names out of messages and of their tool calls.
    ForeignFields(Vec<String>),
    /// Gives assistant messages without `reasoning_content` their `reasoning` under that name,
    /// or a stand-in.
    MissingReasoning,
    /// Gives the first tool call of a message, of which alone one is asked, the signature that
    /// Gemini does not check, unless it has one.
    MissingThoughtSignature,
    /// Puts the signature that Gemini does not check in the place of those that tool calls have,
    /// and takes out signed thoughts: members of messages, parts of contents.
    ForeignSignatures,
    /// Calls the role `developer` `system`.
    DeveloperRole,
    /// Makes a `content` that is null or left out an empty string.
    NullContent,
    /// Makes a `content` whose parts are all texts one string, a line for each part.
    ContentParts,
    /// Takes the member `strict` out of tools and of their functions.
    StrictTools,
}

/// The edits that mend the messages of `body`, whose layout is `layout`; they are applied with
/// [`splice`](crate::splice::splice). `None` if there is nothing to change, or more than 65,536
/// places of it.
pub fn repair(body: &[u8], layout: &Layout, repair: &Repair) -> Option<Vec<Edit>> {
    let mut messages =
        layout.named("messages").flat_map(|(_, member)| objects(body, member.value.clone()));
    let edits = match repair {
        Repair::ToolCallIds => ids::renamed(messages)?,
        Repair::DeveloperRole => renamed_roles(body),
        Repair::ForeignFields(names) => gathered(&mut messages, |m| without(m, names))?,
        Repair::MissingReasoning => gathered(&mut messages, with_reasoning)?,
        Repair::MissingThoughtSignature => gathered(&mut messages, with_signature)?,
        Repair::ForeignSignatures => gathered(&mut messages, signatures::replaced)?,
        Repair::NullContent => gathered(&mut messages, with_content)?,
        Repair::ContentParts => gathered(&mut messages, with_one_text)?,
        Repair::StrictTools => {
            let mut tools =
                layout.named("tools").flat_map(|(_, member)| objects(body, member.value.clone()));
            gathered(&mut tools, without_strict)?
        }
    };
    (1..=MOST_EDITS).contains(&edits.len()).then_some(edits)
}

/// The edits of all messages; `None` as soon as they are too many.
fn gathered<'a>(
    messages: &mut dyn Iterator<Item = Object<'a>>,
    mend: impl Fn(&Object<'a>) -> Vec<Edit>,
) -> Option<Vec<Edit>> {
    let mut edits = Vec::new();
    for message in messages {
        edits.extend(mend(&message));
        if edits.len() > MOST_EDITS {
            return None;
        }
    }
    Some(edits)
}

fn without(message: &Object<'_>, names: &[String]) -> Vec<Edit> {
    let calls = message.objects("tool_calls").take(MOST_EDITS + 1);
    let in_calls = calls.flat_map(|call| call.without(names));
    message.without(names).into_iter().chain(in_calls).collect()
}

fn with_reasoning(message: &Object<'_>) -> Vec<Edit> {
    let role = message.value("role").and_then(View::as_str);
    if role.as_deref() != Some("assistant") || says(message.value("reasoning_content")) {
        return Vec::new();
    }
    let reasoning = message.value("reasoning").filter(|value| says(Some(*value)));
    let stand_in = Bytes::from_static(NO_REASONING.as_bytes());
    let value = reasoning.map_or(stand_in, |value| Bytes::copy_from_slice(value.raw()));
    vec![message.with("reasoning_content", value)]
}

fn with_signature(message: &Object<'_>) -> Vec<Edit> {
    let Some(call) = message.objects("tool_calls").next() else {
        return Vec::new();
    };
    let google = call.value("extra_content").and_then(|extra| extra.get("google"));
    if says(google.and_then(|google| google.get("thought_signature"))) {
        return Vec::new();
    }
    vec![call.with("extra_content", Bytes::from_static(DUMMY_SIGNATURE.as_bytes()))]
}

fn with_content(message: &Object<'_>) -> Vec<Edit> {
    if message.value("content").is_some_and(|content| !content.is_null()) {
        return Vec::new();
    }
    vec![message.with("content", Bytes::from_static(b"\"\""))]
}

/// The texts of a content's parts as one, unless a part is something else.
fn with_one_text(message: &Object<'_>) -> Vec<Edit> {
    let content = message.value("content").filter(|content| content.kind() == Kind::Array);
    let texts: Option<Vec<&[u8]>> =
        content.and_then(|content| content.elements().map(text_of_part).collect());
    texts.map_or_else(Vec::new, |texts| {
        let joined = [b"\"", texts.join(&br"\n"[..]).as_slice(), b"\""].concat();
        vec![message.with("content", joined.into())]
    })
}

/// What a part of the type `text` says, between the marks and with its escapes.
fn text_of_part(part: View<'_>) -> Option<&[u8]> {
    let is_text = part.get("type").and_then(View::as_str).is_some_and(|kind| kind == "text");
    let text = part.get("text").filter(|text| is_text && text.kind() == Kind::String)?;
    text.raw().trim_ascii().strip_prefix(b"\"")?.strip_suffix(b"\"")
}

fn without_strict(tool: &Object<'_>) -> Vec<Edit> {
    let strict = ["strict".to_owned()];
    let mut edits = tool.without(&strict);
    edits.extend(tool.object("function").iter().flat_map(|function| function.without(&strict)));
    edits
}

fn renamed_roles(body: &[u8]) -> Vec<Edit> {
    let system = Bytes::from_static(b"\"system\"");
    let rename = |span| Edit::Replace { span, with: system.clone() };
    developer_role_spans(body).into_iter().map(rename).collect()
}

/// Whether there is a text, and not an empty one.
fn says(value: Option<View<'_>>) -> bool {
    value.is_some_and(|value| value.kind() == Kind::String && value.is_filled())
}
