//! Going on with an answer that broke off: another provider's events, made one with those that
//! the client has already. No text is sent twice, none is lost, one id, one usage.

use bytes::Bytes;

use crate::chunk::{ChunkFacts, ChunkKind};
use crate::json::{Kind, Layout, View, quote};
use crate::splice::{Edit, splice};
use crate::sse::{Event, data_event};
use crate::usage::Usage;

/// Bytes of text that no continuation begins with by chance.
const NO_COINCIDENCE: usize = 24;

/// Bytes of text per token, for a part whose tokens nobody counted.
const BYTES_PER_TOKEN: u64 = 4;

/// What becomes of one event of the provider that goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    /// It goes to the client, in these bytes, with this new text.
    Forward(Bytes, String),
    /// The client has it already, or does not need it.
    Swallow,
    /// It says something else than what the client has: the two cannot be made one.
    Mismatch,
}

/// How far the provider that goes on has come.
#[derive(Debug, Clone)]
pub struct Continuation {
    id: Option<String>,
    /// Text that the client has and that must come again before anything new.
    sent: String,
    /// How many bytes of it have come again.
    caught_up: usize,
    /// Whether the text need not come again, since the provider was given it.
    is_prefilled: bool,
    /// What the first part used, as far as it is known.
    first: Usage,
}

impl Continuation {
    /// The other provider goes on where `sent` ends, since it was given that text. Some repeat it
    /// all the same: `may_repeat` says that this one does; a long text that comes again to the
    /// letter is taken for a repetition in any case.
    pub fn after_prefill(
        id: Option<String>,
        sent: &str,
        may_repeat: bool,
        first: Option<Usage>,
    ) -> Self {
        let looks = may_repeat || sent.len() >= NO_COINCIDENCE;
        let awaited = if looks { sent.to_owned() } else { String::new() };
        Self { id, sent: awaited, caught_up: 0, is_prefilled: true, first: used_for(sent, first) }
    }

    /// The other provider starts afresh, and must repeat `sent` to the letter.
    pub fn afresh(id: Option<String>, sent: String, first: Option<Usage>) -> Self {
        let first = used_for(&sent, first);
        Self { id, sent, caught_up: 0, is_prefilled: false, first }
    }

    /// Whether all that the client has already has come again.
    pub fn has_caught_up(&self) -> bool {
        self.caught_up == self.sent.len()
    }

    /// Takes one event of the other provider.
    pub fn join(&mut self, event: &Event, facts: &ChunkFacts) -> Joined {
        match facts.kind {
            ChunkKind::Preamble | ChunkKind::Broken | ChunkKind::Error => Joined::Swallow,
            ChunkKind::Done if self.has_caught_up() || self.may_say_nothing() => {
                Joined::Forward(event.raw().clone(), String::new())
            }
            ChunkKind::Done => Joined::Mismatch,
            ChunkKind::UsageOnly => self.rewritten(event, facts, None),
            ChunkKind::Content => self.join_content(event, facts),
        }
    }

    /// Whether nothing came that is still held back, and nothing has to come.
    fn may_say_nothing(&self) -> bool {
        self.is_prefilled && self.caught_up == 0
    }

    fn join_content(&mut self, event: &Event, facts: &ChunkFacts) -> Joined {
        if facts.tool_call || facts.other_output || facts.other_choices {
            // Plain text can only be continued by plain text.
            return if self.has_caught_up() && !facts.other_choices {
                self.rewritten(event, facts, None)
            } else {
                Joined::Mismatch
            };
        }
        let text = facts.text.as_deref().unwrap_or_default();
        let is_end = facts.finish_reason.is_some();
        if self.has_caught_up() {
            // Thoughts before the first new word are the second provider's own affair.
            let only_thoughts = facts.reasoning && text.is_empty() && !is_end;
            return if only_thoughts {
                Joined::Swallow
            } else {
                self.rewritten(event, facts, None)
            };
        }
        let awaited = &self.sent[self.caught_up..];
        if awaited.starts_with(text) && !(is_end && awaited.len() > text.len()) {
            self.caught_up += text.len();
            return if is_end { self.rewritten(event, facts, Some("")) } else { Joined::Swallow };
        }
        let new = match text.strip_prefix(awaited) {
            Some(new) => new.to_owned(),
            // It only began like a repetition: what was held back is new. But a long likeness is
            // no chance: the answer was begun anew, and turned out another one.
            None if self.is_prefilled && self.caught_up + alike(awaited, text) < NO_COINCIDENCE => {
                [&self.sent[..self.caught_up], text].concat()
            }
            None => return Joined::Mismatch,
        };
        self.caught_up = self.sent.len();
        self.rewritten(event, facts, Some(&new))
    }

    /// The event under the first part's id, with `text` in the place of its own if given, and
    /// with both parts' usage.
    fn rewritten(&self, event: &Event, facts: &ChunkFacts, text: Option<&str>) -> Joined {
        let data = one_line(event.data().trim_ascii());
        let Ok(layout) = Layout::of(&data) else { return Joined::Swallow };
        let new = text.map_or_else(|| facts.text.clone().unwrap_or_default(), str::to_owned);
        let mut edits = Vec::new();
        if let Some(id) = &self.id {
            edits.extend(Edit::set(&layout, "id", &quote(id)));
        }
        if let Some(usage) = member(&layout, "usage", &data).filter(|view| !view.is_null()) {
            let all = self.both(Usage::of(whole(&data)));
            edits.extend(Edit::set(&layout, "usage", &usage_json(usage, &all)));
        }
        if let Some(text) = text {
            match content_edit(&layout, &data, text) {
                Some(edit) => edits.push(edit),
                None if text.is_empty() => {}
                None => return Joined::Mismatch,
            }
        }
        Joined::Forward(data_event(&splice(&data, &layout, &edits).to_bytes()), new)
    }

    fn both(&self, second: Option<Usage>) -> Usage {
        let second = second.unwrap_or_default();
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        };
        // What the first prompt cost is known only by what the second one does.
        let first_prompt = self.first.prompt_tokens.or(second.prompt_tokens);
        let prompt_tokens = sum(first_prompt, second.prompt_tokens);
        let completion_tokens = sum(self.first.completion_tokens, second.completion_tokens);
        Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens: sum(prompt_tokens, completion_tokens),
            reasoning_tokens: second.reasoning_tokens,
        }
    }
}

/// How many bytes two texts have in common at their beginning.
fn alike(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
}

/// What the first part used: as stated, else estimated from its text.
fn used_for(sent: &str, stated: Option<Usage>) -> Usage {
    let estimated = (sent.len() as u64).div_ceil(BYTES_PER_TOKEN);
    let mut used = stated.unwrap_or_default();
    used.completion_tokens = used.completion_tokens.or(Some(estimated));
    used
}

fn whole(data: &[u8]) -> View<'_> {
    View::of_valid(data)
}

fn member<'a>(layout: &Layout, key: &str, data: &'a [u8]) -> Option<View<'a>> {
    layout.named(key).last().and_then(|(_, member)| member.view(data))
}

/// JSON in several lines as one: a line end is never inside a string.
fn one_line(data: &[u8]) -> Bytes {
    data.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect()
}

/// The edit that gives the first choice's delta this text in the place of its own; `None` if it
/// holds something else than text.
fn content_edit(layout: &Layout, data: &[u8], text: &str) -> Option<Edit> {
    let choice = member(layout, "choices", data)?.elements().next()?;
    let delta = choice.get("delta").filter(|delta| delta.kind() == Kind::Object)?;
    let span = |view: View<'_>| {
        let start = (view.raw().as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        Some(start..start + view.raw().len())
    };
    let Some(content) = delta.get("content") else {
        let end = span(delta)?.end;
        let comma = if delta.members().next().is_some() { "," } else { "" };
        let with = [comma.as_bytes(), b"\"content\":", &quote(text), b"}"].concat();
        return Some(Edit::Replace { span: end - 1..end, with: with.into() });
    };
    let is_text = matches!(content.kind(), Kind::String | Kind::Null);
    is_text.then(|| span(content)).flatten().map(|span| Edit::Replace { span, with: quote(text) })
}

/// The provider's own usage object with the sums in it.
fn usage_json(own: View<'_>, all: &Usage) -> Bytes {
    let own = Bytes::copy_from_slice(own.raw());
    let Ok(layout) = Layout::of(&own) else { return own };
    let counts = [
        ("prompt_tokens", all.prompt_tokens),
        ("completion_tokens", all.completion_tokens),
        ("total_tokens", all.total_tokens),
    ];
    let edits: Vec<Edit> = counts
        .into_iter()
        .filter_map(|(name, count)| Some((name, count?)))
        .flat_map(|(name, count)| Edit::set(&layout, name, &Bytes::from(count.to_string())))
        .collect();
    splice(&own, &layout, &edits).to_bytes()
}

/// The edit that puts one more message, valid JSON, at the end of a request's messages; `None`
/// if there are none.
pub fn append_message(body: &[u8], layout: &Layout, message: &[u8]) -> Option<Edit> {
    let (_, member) = layout.named("messages").last()?;
    let messages = member.view(body)?;
    if messages.kind() != Kind::Array {
        return None;
    }
    let end = member.value.end - 1;
    let comma = if messages.elements().next().is_some() { "," } else { "" };
    let with = [comma.as_bytes(), message, b"]"].concat();
    Some(Edit::Replace { span: end..member.value.end, with: with.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::classify;
    use crate::sse::Framer;

    fn event(data: &str) -> Event {
        let mut framer = Framer::new(1 << 20);
        framer.push(data_event(data.as_bytes()));
        framer.next_event().unwrap().unwrap()
    }

    fn text(content: &str) -> String {
        let content = String::from_utf8(quote(content).to_vec()).unwrap();
        format!(r#"{{"id":"b","choices":[{{"index":0,"delta":{{"content":{content}}}}}]}}"#)
    }

    /// What the client sees of the second provider's pieces.
    fn joined(continuation: &mut Continuation, pieces: &[&str]) -> Result<String, ()> {
        let mut seen = String::new();
        for piece in pieces {
            let event = event(&text(piece));
            match continuation.join(&event, &classify(&event.data(), None)) {
                Joined::Forward(bytes, _) => {
                    let mut framer = Framer::new(1 << 20);
                    framer.push(bytes);
                    let event = framer.next_event().unwrap().unwrap();
                    let facts = classify(&event.data(), None);
                    assert_eq!(facts.id.as_deref(), Some("a"));
                    seen.push_str(&facts.text.unwrap_or_default());
                }
                Joined::Swallow => {}
                Joined::Mismatch => return Err(()),
            }
        }
        Ok(seen)
    }

    #[test]
    fn what_was_sent_is_swallowed_wherever_the_pieces_are_cut() {
        let whole = "Ünïcode and \"quotes\"\nand more";
        for sent in (0..=whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            for cut in (0..=whole.len()).filter(|at| whole.is_char_boundary(*at)) {
                let mut continuation =
                    Continuation::afresh(Some("a".into()), whole[..sent].to_owned(), None);
                let seen = joined(&mut continuation, &[&whole[..cut], &whole[cut..]]);
                assert_eq!(seen.as_deref(), Ok(&whole[sent..]), "{sent} {cut}");
            }
        }
    }

    #[test]
    fn another_text_is_no_continuation() {
        let mut continuation = Continuation::afresh(Some("a".into()), "Hello there".into(), None);
        assert_eq!(joined(&mut continuation, &["Hello", " you"]), Err(()));
    }

    #[test]
    fn a_prefilled_answer_goes_on_as_it_is() {
        let mut continuation = Continuation::after_prefill(Some("a".into()), "Hello", false, None);
        assert_eq!(joined(&mut continuation, &[" there", "."]).as_deref(), Ok(" there."));
    }

    #[test]
    fn a_repetition_after_a_prefill_is_swallowed_and_a_chance_likeness_is_not() {
        let sent = "The answer to this question is";
        let fresh = || Continuation::after_prefill(Some("a".into()), sent, true, None);
        let repeated = joined(&mut fresh(), &["The answer to", " this question is 42", "."]);
        assert_eq!(repeated.as_deref(), Ok(" 42."));
        let alike = joined(&mut fresh(), &["The", " answer", " of old."]);
        assert_eq!(alike.as_deref(), Ok("The answer of old."));
        assert_eq!(joined(&mut fresh(), &[" 42", "."]).as_deref(), Ok(" 42."));
    }

    #[test]
    fn an_answer_that_ends_before_it_has_caught_up_does_not_repeat() {
        let mut continuation = Continuation::afresh(None, "Hello there".into(), None);
        let event = event(r#"{"choices":[{"delta":{"content":"Hello"},"finish_reason":"stop"}]}"#);
        let facts = classify(&event.data(), None);
        assert_eq!(continuation.join(&event, &facts), Joined::Mismatch);
    }

    #[test]
    fn an_end_mark_before_it_has_caught_up_is_no_end() {
        let done = |continuation: &mut Continuation| {
            let event = event("[DONE]");
            continuation.join(&event, &classify(&event.data(), None)) != Joined::Mismatch
        };
        let sent = "The answer to this question is";
        let mut fresh = Continuation::afresh(None, sent.into(), None);
        assert!(!done(&mut fresh));
        assert_eq!(joined(&mut fresh, &["The answer"]).as_deref(), Ok(""));
        assert!(!done(&mut fresh));
        let mut prefilled = Continuation::after_prefill(Some("a".into()), sent, true, None);
        assert!(done(&mut prefilled));
        assert_eq!(joined(&mut prefilled, &["The"]).as_deref(), Ok(""));
        assert!(!done(&mut prefilled), "what is held back would be lost");
    }

    #[test]
    fn what_was_held_back_goes_out_with_the_finish_reason() {
        let sent = "The answer to this question is";
        for (end, expected) in [
            (
                r#"{"choices":[{"delta":{}}]}"#,
                r#"{"choices":[{"delta":{"content":"The"}}],"id":"a"}"#,
            ),
            (
                r#"{"id":"b","choices":[{"delta":{"content":null}}]}"#,
                r#"{"id":"a","choices":[{"delta":{"content":"The"}}]}"#,
            ),
            (
                r#"{"id":"b","choices":[{"delta":{"role":"assistant"}}]}"#,
                r#"{"id":"a","choices":[{"delta":{"role":"assistant","content":"The"}}]}"#,
            ),
        ] {
            let mut prefilled = Continuation::after_prefill(Some("a".into()), sent, true, None);
            assert_eq!(joined(&mut prefilled, &["The"]).as_deref(), Ok(""));
            let end = end.replace("}]}", r#","finish_reason":"stop"}]}"#);
            let expected = expected.replace("}]", r#","finish_reason":"stop"}]"#);
            let event = event(&end);
            let seen = prefilled.join(&event, &classify(&event.data(), None));
            let Joined::Forward(bytes, text) = seen else { panic!("{seen:?}") };
            assert_eq!(text, "The");
            assert_eq!(bytes, data_event(expected.as_bytes()));
        }
    }

    #[test]
    fn data_in_several_lines_becomes_one() {
        let mut fresh = Continuation::afresh(Some("a".into()), String::new(), None);
        let mut framer = Framer::new(1 << 20);
        framer.push(Bytes::from_static(
            b"data: {\"choices\":\ndata: [{\"delta\":{\"content\":\"x\"}}],\"id\":\"b\"}\n\n",
        ));
        let event = framer.next_event().unwrap().unwrap();
        let Joined::Forward(bytes, _) = fresh.join(&event, &classify(&event.data(), None)) else {
            panic!()
        };
        assert_eq!(
            bytes,
            "data: {\"choices\": [{\"delta\":{\"content\":\"x\"}}],\"id\":\"a\"}\n\n"
        );
    }

    #[test]
    fn usage_is_the_sum() {
        let first =
            Usage { prompt_tokens: Some(10), completion_tokens: Some(3), ..Usage::default() };
        let mut continuation =
            Continuation::after_prefill(Some("a".into()), "x", false, Some(first));
        let event = event(
            r#"{"id":"b","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"other":1}}"#,
        );
        let facts = classify(&event.data(), None);
        let Joined::Forward(bytes, _) = continuation.join(&event, &facts) else { panic!() };
        let expected = r#"{"id":"a","choices":[],"usage":{"prompt_tokens":22,"completion_tokens":8,"total_tokens":30,"other":1}}"#;
        assert_eq!(bytes, data_event(expected.as_bytes()));
    }

    #[test]
    fn a_message_is_put_at_the_end() {
        for (body, expected) in [
            (
                r#"{"messages":[{"role":"user"}],"n":1}"#,
                r#"{"messages":[{"role":"user"},{"role":"assistant"}],"n":1}"#,
            ),
            (r#"{"messages":[ ]}"#, r#"{"messages":[ {"role":"assistant"}]}"#),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            let layout = Layout::of(&body).unwrap();
            let edit = append_message(&body, &layout, br#"{"role":"assistant"}"#).unwrap();
            assert_eq!(splice(&body, &layout, &[edit]).to_bytes(), expected);
        }
    }
}
