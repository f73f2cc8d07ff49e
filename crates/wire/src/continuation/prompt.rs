//! The request for a provider that goes on with an answer: the text so far as the last message.

use bytes::Bytes;

use crate::json::{Kind, Layout, ObjectText, View, quote};
use crate::splice::{Edit, splice};

/// The edit that gives a request the beginning of its answer, `text`, as its last message, with
/// `fields`, names and valid JSON, in that message. Where the last message is the assistant's
/// already, the text is put at the end of that one, since two in a row are no beginning. `None`
/// where there are no messages, or that one holds something else than text.
pub fn put_beginning(
    body: &[u8],
    layout: &Layout,
    text: &str,
    fields: &[(String, Bytes)],
) -> Option<Edit> {
    let (_, member) = layout.named("messages").last()?;
    let messages = member.view(body).filter(|view| view.kind() == Kind::Array)?;
    let last = messages.elements().last();
    if let Some(own) = last.filter(|one| said_by(*one).as_deref() == Some("assistant")) {
        let start = (own.raw().as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
        let with = longer(own, text, fields)?;
        return Some(Edit::Replace { span: start..start + own.raw().len(), with });
    }
    let end = member.value.end - 1;
    let comma = if last.is_some() { "," } else { "" };
    let message = message(text, fields);
    let with = [comma.as_bytes(), &message, b"]"].concat();
    Some(Edit::Replace { span: end..member.value.end, with: with.into() })
}

/// The edit that gives a request of the legacy kind a prompt which ends with `text`. `None` where
/// its prompt is not one text.
pub fn lengthen_prompt(body: &[u8], layout: &Layout, text: &str) -> Option<Edit> {
    let (_, member) = layout.named("prompt").last()?;
    let prompt = member.view(body).filter(|view| view.kind() == Kind::String)?.as_str()?;
    let with = quote(&(prompt.into_owned() + text));
    Some(Edit::Replace { span: member.value.clone(), with })
}

fn said_by(message: View<'_>) -> Option<String> {
    message.get("role").and_then(View::as_str).map(Into::into)
}

/// A message of text only with more text at its end, and with `fields`.
fn longer(own: View<'_>, text: &str, fields: &[(String, Bytes)]) -> Option<Bytes> {
    let content = own.get("content").filter(|content| content.kind() == Kind::String)?;
    let calls = ["tool_calls", "function_call"].into_iter().filter_map(|name| own.get(name));
    if calls.into_iter().any(View::is_filled) {
        return None;
    }
    let whole = quote(&(content.as_str()?.into_owned() + text));
    let raw = Bytes::copy_from_slice(own.raw());
    let layout = Layout::of(&raw).ok()?;
    let mut edits = Edit::set(&layout, "content", &whole);
    edits.extend(fields.iter().flat_map(|(name, value)| Edit::set(&layout, name, value)));
    Some(splice(&raw, &layout, &edits).to_bytes())
}

fn message(text: &str, fields: &[(String, Bytes)]) -> Vec<u8> {
    let mut message = ObjectText::new();
    message.put("role", b"\"assistant\"");
    message.put("content", &quote(text));
    for (name, value) in fields {
        message.put(name, value);
    }
    message.close()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(body: &str, fields: &[(String, Bytes)]) -> Option<String> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let layout = Layout::of(&body).unwrap();
        let edit = put_beginning(&body, &layout, "so\n", fields)?;
        Some(String::from_utf8(splice(&body, &layout, &[edit]).to_bytes().to_vec()).unwrap())
    }

    #[test]
    fn the_beginning_is_the_last_message() {
        for (body, expected) in [
            (
                r#"{"messages":[{"role":"user"}],"n":1}"#,
                r#"{"messages":[{"role":"user"},{"role":"assistant","content":"so\n"}],"n":1}"#,
            ),
            (r#"{"messages":[ ]}"#, r#"{"messages":[ {"role":"assistant","content":"so\n"}]}"#),
            (
                r#"{"messages":[{"role":"user"},{"content":"\u0041nd ","role":"assistant"} ]}"#,
                r#"{"messages":[{"role":"user"},{"content":"And so\n","role":"assistant"} ]}"#,
            ),
        ] {
            assert_eq!(put(body, &[]).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_prompt_of_one_text_is_lengthened() {
        let put = |body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            let layout = Layout::of(&body).unwrap();
            let edit = lengthen_prompt(&body, &layout, "so\n")?;
            Some(String::from_utf8(splice(&body, &layout, &[edit]).to_bytes().to_vec()).unwrap())
        };
        let seen = put(r#"{"prompt":"\u0041nd ","n":1}"#);
        assert_eq!(seen.as_deref(), Some(r#"{"prompt":"And so\n","n":1}"#));
        for other in [r#"{"prompt":["a"]}"#, r#"{"prompt":[1,2]}"#, r#"{"prompt":null}"#, "{}"] {
            assert_eq!(put(other), None, "{other}");
        }
    }

    #[test]
    fn fields_stand_in_the_message_once() {
        let fields = [("prefix".to_owned(), Bytes::from_static(b"true"))];
        for own in [
            "",
            r#"{"role":"assistant","content":""}"#,
            r#"{"role":"assistant","content":"","prefix":true}"#,
        ] {
            let expected = r#"{"messages":[{"role":"assistant","content":"so\n","prefix":true}]}"#;
            let seen = put(&format!(r#"{{"messages":[{own}]}}"#), &fields);
            assert_eq!(seen.as_deref(), Some(expected));
        }
    }

    #[test]
    fn an_assistants_message_of_something_else_is_no_beginning() {
        for own in [
            r#"{"role":"assistant","content":[{"type":"text","text":"a"}]}"#,
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]}"#,
            r#"{"role":"assistant","content":"a","tool_calls":[{"id":"c"}]}"#,
            r#"{"role":"assistant"}"#,
        ] {
            assert_eq!(put(&format!(r#"{{"messages":[{own}]}}"#), &[]), None, "{own}");
        }
        assert_eq!(put(r#"{"messages":"x"}"#, &[]), None);
    }
}
