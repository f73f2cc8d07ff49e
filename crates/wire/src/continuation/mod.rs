//! Going on with an answer that broke off: another provider's events, made one with those that
//! the client has already. No text is sent twice, none is lost, one id, one usage.

mod halves;
mod likeness;
mod prompt;
mod seam;

pub use halves::Halves;
pub use prompt::{lengthen_prompt, put_beginning};
pub use seam::Habit;

use bytes::Bytes;

use crate::Endpoint;
use crate::chunk::{ChunkFacts, ChunkKind};
use crate::json::{Kind, Layout, ObjectText, View, array_text, quote};
use crate::splice::{Edit, splice};
use crate::sse::{Event, data_event};
use crate::usage::{Spent, Usage};
use seam::{Other, Seam};

/// What an event of ours repeats of the other provider's events.
const REPEATED: [&str; 3] = ["created", "model", "system_fingerprint"];

/// A longer value is none that anybody needs again.
const LARGEST_REPEATED: usize = 256;

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
    /// Whose events these are.
    endpoint: Endpoint,
    stage: Stage,
    /// Whether the provider was given the text that the client has.
    was_given: bool,
    /// The half of a character that has come and is held back.
    halves: Halves,
    /// What the parts before this one used.
    earlier: Spent,
    /// Whether this part has given its finish reason.
    is_finished: bool,
    /// The members of this part's events that an event of ours has to repeat, as they stand there.
    repeated: Vec<(&'static str, Bytes)>,
}

/// What is to come of the provider that goes on.
#[derive(Debug, Clone)]
enum Stage {
    /// It starts afresh: the text that the client has must come again, and this much of it has.
    Repeating { sent: String, caught_up: usize },
    /// It was given the text, and its first words tell whether it repeats some of it.
    Seam(Box<Seam>),
    /// What comes is new.
    Joined,
}

/// What becomes of the text of one event.
enum Text {
    /// It is held back, or the client has it already.
    Swallow,
    /// It stays as it is.
    Own,
    /// This stands in its place.
    Other(String),
    Mismatch,
}

impl Continuation {
    /// The other provider goes on where `sent` ends, since it was given that text. Some repeat it,
    /// or its end, all the same.
    pub fn after_prefill(id: Option<String>, sent: &str, habit: Habit, earlier: Spent) -> Self {
        let stage = Stage::Seam(Box::new(Seam::after(sent, habit)));
        Self { was_given: true, ..Self::of(id, stage, earlier) }
    }

    /// The other provider starts afresh, and must repeat `sent` to the letter.
    pub fn afresh(id: Option<String>, sent: String, earlier: Spent) -> Self {
        Self::of(id, Stage::Repeating { sent, caught_up: 0 }, earlier)
    }

    /// The other provider goes on with a prompt that ends with the text: all that it says is new.
    pub fn after_prompt(id: Option<String>, earlier: Spent) -> Self {
        Self { was_given: true, ..Self::of(id, Stage::Joined, earlier) }
    }

    /// The same for the events of another endpoint than that of chats.
    #[must_use]
    pub fn on(self, endpoint: Endpoint) -> Self {
        Self { endpoint, ..self }
    }

    fn of(id: Option<String>, stage: Stage, earlier: Spent) -> Self {
        let halves = Halves::default();
        let (was_given, is_finished) = (false, false);
        let (endpoint, repeated) = (Endpoint::Chat, Vec::new());
        Self { id, endpoint, stage, was_given, halves, earlier, is_finished, repeated }
    }

    /// Whether the provider was given the text that the client has, so that it may say that this
    /// is all.
    pub const fn was_given_the_text(&self) -> bool {
        self.was_given
    }

    /// Whether text is held back that [`Self::release`] may show.
    pub fn is_waiting(&self) -> bool {
        matches!(&self.stage, Stage::Seam(seam) if seam.is_waiting())
    }

    /// No longer holds text back for the mere chance that the answer is begun anew: what was held
    /// for it in an event of ours, if there is any. What is the same as the text so far stays held
    /// back. A whole answer has the same text whenever this is called; one that is begun anew
    /// behind words which it has shown is no continuation.
    pub fn release(&mut self) -> Joined {
        let Stage::Seam(seam) = &mut self.stage else { return Joined::Swallow };
        let text = seam.release();
        if text.is_empty() {
            return Joined::Swallow;
        }
        Joined::Forward(data_event(&self.own_event(&text, b"null")), text)
    }

    /// Takes one event of the other provider.
    pub fn join(&mut self, event: &Event, facts: &ChunkFacts) -> Joined {
        match facts.kind {
            ChunkKind::Preamble | ChunkKind::Stray | ChunkKind::Broken | ChunkKind::Error => {
                Joined::Swallow
            }
            ChunkKind::Done => self.join_done(event),
            ChunkKind::UsageOnly => self.rewritten(event, facts, None),
            ChunkKind::Content => self.join_content(event, facts),
        }
    }

    /// The end mark. Where no finish reason came before it, one of ours does, with what is held
    /// back: a client needs one, and the provider says that it is done.
    fn join_done(&mut self, event: &Event) -> Joined {
        let half = self.halves.join("", b"", true);
        let rest = match self.take_text(&half, true) {
            Text::Own => half,
            Text::Mismatch => return Joined::Mismatch,
            Text::Other(rest) => rest,
            Text::Swallow => String::new(),
        };
        if self.is_finished {
            return Joined::Forward(event.end_mark(), rest);
        }
        let end = data_event(&self.own_event(&rest, b"\"stop\""));
        Joined::Forward([end, event.end_mark()].concat().into(), rest)
    }

    /// An event of ours with text that was held back, and with this finish reason, in JSON.
    fn own_event(&self, text: &str, finish_reason: &[u8]) -> Vec<u8> {
        let mut choice = ObjectText::new();
        choice.put("index", b"0");
        let object: &[u8] = match self.endpoint {
            Endpoint::Chat => {
                let mut delta = ObjectText::new();
                if !text.is_empty() {
                    delta.put("content", &quote(text));
                }
                choice.put("delta", &delta.close());
                b"\"chat.completion.chunk\""
            }
            Endpoint::Completions => {
                choice.put("text", &quote(text));
                b"\"text_completion\""
            }
        };
        choice.put("finish_reason", finish_reason);
        let mut chunk = ObjectText::new();
        if let Some(id) = &self.id {
            chunk.put("id", &quote(id));
        }
        chunk.put("object", object);
        for (name, raw) in &self.repeated {
            chunk.put(name, raw);
        }
        chunk.put("choices", &array_text([choice.close()].into_iter()));
        chunk.close()
    }

    fn join_content(&mut self, event: &Event, facts: &ChunkFacts) -> Joined {
        let is_end = facts.finish_reason.is_some();
        if self.is_finished && is_end && facts.text.is_none() {
            // It has said so before, be it in another word.
            return Joined::Swallow;
        }
        let is_plain = !(facts.tool_call || facts.other_output || facts.other_choices);
        if !is_plain {
            // Plain text can only be continued by plain text.
            return if self.owes_nothing() && !facts.other_choices {
                self.stage = Stage::Joined;
                self.is_finished |= is_end;
                self.rewritten(event, facts, None)
            } else {
                Joined::Mismatch
            };
        }
        let text = facts.text.as_deref().unwrap_or_default();
        if facts.reasoning && text.is_empty() && !is_end {
            // Thoughts are the second provider's own affair.
            return Joined::Swallow;
        }
        let (own, text) = (text, self.whole_characters(text, event, is_end));
        let mut became = self.take_text(&text, is_end);
        if matches!(became, Text::Own) && text != own {
            became = Text::Other(text);
        }
        self.is_finished |= is_end;
        match became {
            Text::Mismatch => Joined::Mismatch,
            Text::Swallow => {
                self.remember(event);
                Joined::Swallow
            }
            Text::Own => self.rewritten(event, facts, None),
            Text::Other(new) => self.rewritten(event, facts, Some(&new)),
        }
    }

    /// The text of an event in whole characters. Where nothing is compared any more, halves go on
    /// as they come.
    fn whole_characters(&mut self, text: &str, event: &Event, is_end: bool) -> String {
        if matches!(self.stage, Stage::Joined) && !self.halves.is_open() {
            return text.to_owned();
        }
        self.halves.join(text, &event.data(), is_end)
    }

    /// Whether nothing has to come again, and nothing is held back.
    fn owes_nothing(&self) -> bool {
        if self.halves.is_open() {
            return false;
        }
        match &self.stage {
            Stage::Repeating { sent, caught_up } => *caught_up == sent.len(),
            Stage::Seam(seam) => !seam.holds(),
            Stage::Joined => true,
        }
    }

    /// Takes text of the other provider; `is_end` if it is the last.
    fn take_text(&mut self, text: &str, is_end: bool) -> Text {
        let became = match &mut self.stage {
            Stage::Joined => Text::Own,
            Stage::Repeating { sent, caught_up } => repeat(sent, caught_up, text, is_end),
            Stage::Seam(seam) => seam_text(seam, text, is_end),
        };
        let is_over = match &self.stage {
            Stage::Seam(seam) => is_end || seam.is_over(),
            Stage::Repeating { .. } | Stage::Joined => matches!(became, Text::Other(_)),
        };
        if is_over && !matches!(became, Text::Mismatch) {
            self.stage = Stage::Joined;
        }
        match became {
            Text::Other(new) if new.is_empty() && !is_end => Text::Swallow,
            Text::Other(_) | Text::Swallow | Text::Own | Text::Mismatch => became,
        }
    }

    /// Notes what an event of ours would have to repeat of this one.
    fn remember(&mut self, event: &Event) {
        if self.repeated.is_empty()
            && let Ok(view) = View::parse(event.data().trim_ascii())
        {
            let named = |name| Some((name, Bytes::copy_from_slice(view.get(name)?.raw())));
            let small = |(_, raw): &(_, Bytes)| raw.len() <= LARGEST_REPEATED;
            self.repeated = REPEATED.into_iter().filter_map(named).filter(small).collect();
        }
    }

    /// The event under the first part's id, with `text` in the place of its own if given, and
    /// with all parts' usage.
    fn rewritten(&mut self, event: &Event, facts: &ChunkFacts, text: Option<&str>) -> Joined {
        self.remember(event);
        let data = one_line(event.data().trim_ascii());
        let Ok(layout) = Layout::of(&data) else { return Joined::Swallow };
        let new = text.map_or_else(|| facts.text.clone().unwrap_or_default(), str::to_owned);
        let mut edits = Vec::new();
        if let Some(id) = &self.id {
            edits.extend(Edit::set(&layout, "id", &quote(id)));
        }
        if let Some(usage) = member(&layout, "usage", &data).filter(|view| !view.is_null()) {
            let all = self.earlier.with(Usage::of(View::of_valid(&data)).unwrap_or_default());
            edits.extend(Edit::set(&layout, "usage", &usage_json(usage, &all)));
        }
        if let Some(text) = text.filter(|text| facts.text.as_deref().unwrap_or_default() != *text) {
            match content_edit(&layout, &data, text, self.endpoint) {
                Some(edit) => edits.push(edit),
                None => return Joined::Mismatch,
            }
        }
        Joined::Forward(data_event(&splice(&data, &layout, &edits).to_bytes()), new)
    }
}

/// Takes text of a provider that must repeat `sent`, of which `caught_up` bytes have come.
fn repeat(sent: &str, caught_up: &mut usize, text: &str, is_end: bool) -> Text {
    let awaited = &sent[*caught_up..];
    if let Some(new) = text.strip_prefix(awaited) {
        return Text::Other(new.to_owned());
    }
    if is_end || !awaited.starts_with(text) {
        return Text::Mismatch;
    }
    *caught_up += text.len();
    Text::Swallow
}

/// Takes text of a provider that was given what the client has.
fn seam_text(seam: &mut Seam, text: &str, is_end: bool) -> Text {
    let mut new = seam.push(text);
    if is_end && !seam.is_over() {
        new = new.and_then(|new| Ok(new + &seam.end()?));
    }
    new.map_or_else(|Other| Text::Mismatch, Text::Other)
}

fn member<'a>(layout: &Layout, key: &str, data: &'a [u8]) -> Option<View<'a>> {
    layout.named(key).last().and_then(|(_, member)| member.view(data))
}

/// JSON in several lines as one: a line end is never inside a string.
fn one_line(data: &[u8]) -> Bytes {
    data.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect()
}

/// The edit that gives the first choice this text in the place of its own; `None` if it holds
/// something else than text.
fn content_edit(layout: &Layout, data: &[u8], text: &str, endpoint: Endpoint) -> Option<Edit> {
    let choice = member(layout, "choices", data)?.elements().next()?;
    let (object, name) = match endpoint {
        Endpoint::Chat => (choice.get("delta")?, "content"),
        Endpoint::Completions => (choice, "text"),
    };
    if object.kind() != Kind::Object {
        return None;
    }
    let span = |view: View<'_>| {
        let start = (view.raw().as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        Some(start..start + view.raw().len())
    };
    let Some(content) = object.get(name) else {
        let end = span(object)?.end;
        let comma = if object.members().next().is_some() { "," } else { "" };
        let with = [comma.as_bytes(), &quote(name), b":", &quote(text), b"}"].concat();
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
                let mut continuation = Continuation::afresh(
                    Some("a".into()),
                    whole[..sent].to_owned(),
                    Spent::default(),
                );
                let seen = joined(&mut continuation, &[&whole[..cut], &whole[cut..]]);
                assert_eq!(seen.as_deref(), Ok(&whole[sent..]), "{sent} {cut}");
            }
        }
    }

    #[test]
    fn a_character_in_two_halves_is_the_same_as_a_whole_one() {
        for (sent, pieces) in [
            ("Hi 😀", [r"Hi \ud83d", r"\ude00 there"]),
            ("Hi ", [r"Hi \ud83d", r"\ude00 there"]),
            ("Hi 😀 ", [r"Hi 😀 there \ud83d", r"\ude00"]),
        ] {
            let mut continuation =
                Continuation::afresh(Some("a".into()), sent.to_owned(), Spent::default());
            let mut seen = sent.to_owned();
            for piece in pieces {
                let data =
                    text("x").replace("\"x\"", &format!("\"{}\"", piece.replace("\\\\", "\\")));
                let event = event(&data);
                match continuation.join(&event, &classify(&event.data(), None)) {
                    Joined::Forward(_, new) => seen.push_str(&new),
                    Joined::Swallow => {}
                    Joined::Mismatch => panic!("{sent} {piece}"),
                }
            }
            assert!(["Hi 😀 there", "Hi 😀 there 😀"].contains(&seen.as_str()), "{seen}");
        }
    }

    #[test]
    fn another_text_is_no_continuation() {
        let mut continuation =
            Continuation::afresh(Some("a".into()), "Hello there".into(), Spent::default());
        assert_eq!(joined(&mut continuation, &["Hello", " you"]), Err(()));
    }

    #[test]
    fn a_prefilled_answer_goes_on_as_it_is() {
        let mut continuation = Continuation::after_prefill(
            Some("a".into()),
            "Hello",
            Habit::Unknown,
            Spent::default(),
        );
        assert_eq!(joined(&mut continuation, &[" there", "."]).as_deref(), Ok(" there."));
    }

    #[test]
    fn a_repetition_after_a_prefill_is_swallowed_and_a_chance_likeness_is_not() {
        let sent = "The answer to this question is";
        let fresh = || {
            Continuation::after_prefill(Some("a".into()), sent, Habit::Repeats, Spent::default())
        };
        let repeated = joined(&mut fresh(), &["The answer to", " this question is 42", "."]);
        assert_eq!(repeated.as_deref(), Ok(" 42."));
        let rest = ". ".repeat(80);
        let alike = joined(&mut fresh(), &["The", " answer", " of old", &rest]);
        assert_eq!(alike, Ok(format!("The answer of old{rest}")));
        assert_eq!(joined(&mut fresh(), &[" 42", &rest]), Ok(format!(" 42{rest}")));
    }

    #[test]
    fn an_answer_that_ends_before_it_has_caught_up_does_not_repeat() {
        let mut continuation = Continuation::afresh(None, "Hello there".into(), Spent::default());
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
        let mut fresh = Continuation::afresh(None, sent.into(), Spent::default());
        assert!(!done(&mut fresh));
        assert_eq!(joined(&mut fresh, &["The answer"]).as_deref(), Ok(""));
        assert!(!done(&mut fresh));
    }

    /// What the end mark alone becomes.
    fn end_mark(continuation: &mut Continuation) -> (String, String) {
        let event = event("[DONE]");
        match continuation.join(&event, &classify(&event.data(), None)) {
            Joined::Forward(bytes, text) => (String::from_utf8(bytes.to_vec()).unwrap(), text),
            other @ (Joined::Swallow | Joined::Mismatch) => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_end_mark_without_a_finish_reason_gets_one() {
        let sent = "The answer to this question is";
        let fresh = || {
            Continuation::after_prefill(Some("a".into()), sent, Habit::Repeats, Spent::default())
        };
        let event_of = |delta: &str, more: &str| {
            format!(
                "data: {{\"id\":\"a\",\"object\":\"chat.completion.chunk\",{more}\"choices\":\
                 [{{\"index\":0,\"delta\":{delta},\"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n"
            )
        };
        assert_eq!(end_mark(&mut fresh()), (event_of("{}", ""), String::new()));
        let mut held = fresh();
        let first = event(r#"{"created":7,"model":"m","choices":[{"delta":{"content":"The"}}]}"#);
        assert_eq!(held.join(&first, &classify(&first.data(), None)), Joined::Swallow);
        let more = "\"created\":7,\"model\":\"m\",";
        let whole = event_of("{\"content\":\"The\"}", more);
        assert_eq!(end_mark(&mut held), (whole, "The".to_owned()));
        let mut finished = fresh();
        let end = event(r#"{"choices":[{"delta":{"content":" 42"},"finish_reason":"length"}]}"#);
        finished.join(&end, &classify(&end.data(), None));
        assert_eq!(end_mark(&mut finished), ("data: [DONE]\n\n".to_owned(), String::new()));
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
            let mut prefilled = Continuation::after_prefill(
                Some("a".into()),
                sent,
                Habit::Repeats,
                Spent::default(),
            );
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
        let mut fresh = Continuation::afresh(Some("a".into()), String::new(), Spent::default());
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
        let mut spent = Spent::default();
        spent.add(Some(first), 1);
        let mut continuation =
            Continuation::after_prefill(Some("a".into()), "x", Habit::Unknown, spent);
        let event = event(
            r#"{"id":"b","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"other":1}}"#,
        );
        let facts = classify(&event.data(), None);
        let Joined::Forward(bytes, _) = continuation.join(&event, &facts) else { panic!() };
        let expected = r#"{"id":"a","choices":[],"usage":{"prompt_tokens":22,"completion_tokens":8,"total_tokens":30,"other":1}}"#;
        assert_eq!(bytes, data_event(expected.as_bytes()));
    }
}
