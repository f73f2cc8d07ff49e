//! One pass over an answer, or over an event of one, that validates it and tells what it says:
//! its members, and what each of its choices gave.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Event, JsonProblem, Scanner, Token, View, check_utf8, unquote_known};
use crate::output::Output;

/// One thing that an answer says, as soon as it is whole.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    /// A member of the outermost object.
    Member(Cow<'a, str>, View<'a>),
    /// What one of its choices gave; it comes before the member that holds it.
    Choice(Output),
}

/// Validates `text` as one JSON value and tells what it says, if it is an object.
///
/// # Errors
/// The first fault with its place. What was told before it says nothing then.
pub(crate) fn read<'a>(
    text: &'a [u8],
    mut hear: impl FnMut(Said<'a>),
) -> Result<View<'a>, JsonProblem> {
    let mut reading = Reading::of(check_utf8(text)?);
    let mut scanner = Scanner::new(text);
    while let Some(event) = scanner.next_event().map_err(|fault| JsonProblem::new(text, fault))? {
        if event.depth <= MEMBER_OF_MESSAGE {
            reading.note(&event, &mut hear);
        }
    }
    Ok(reading.value(reading.whole.clone()))
}

/// How deep lie the parts that matter, in `{"choices": [{"message": {"content": ...}}]}`.
const MEMBER: usize = 1;
const CHOICE: usize = 2;
const MEMBER_OF_CHOICE: usize = 3;
const MEMBER_OF_MESSAGE: usize = 4;

/// A key with its quotes.
#[derive(Clone, Copy)]
struct Key<'a> {
    raw: &'a str,
    has_escapes: bool,
}

struct Reading<'a> {
    text: &'a str,
    whole: Range<usize>,
    /// The last key at each depth, if the innermost object or array there has any.
    keys: [Option<Key<'a>>; MEMBER_OF_MESSAGE + 1],
    /// Where the object or array began that is open at each depth.
    starts: [usize; MEMBER_OF_MESSAGE + 1],
    is_in_choices: bool,
    is_in_message: bool,
    output: Output,
}

impl<'a> Reading<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            whole: 0..0,
            keys: Default::default(),
            starts: Default::default(),
            is_in_choices: false,
            is_in_message: false,
            output: Output::default(),
        }
    }

    fn note(&mut self, event: &Event, hear: &mut impl FnMut(Said<'a>)) {
        let Event { token, span, depth, has_escapes } = event;
        if *token == Token::Key {
            let raw = &self.text[span.clone()];
            self.keys[*depth] = Some(Key { raw, has_escapes: *has_escapes });
            self.enter(*depth);
        } else if token.is_start() {
            self.starts[*depth] = span.start;
            if let Some(key) = self.keys.get_mut(depth + 1) {
                *key = None;
            }
            self.is_in_choices &= *depth != MEMBER || *token == Token::ArrayStart;
            self.is_in_message &= *depth != CHOICE;
        } else {
            let start = if token.is_end() { self.starts[*depth] } else { span.start };
            self.end(start..span.end, *depth, hear);
        }
    }

    /// A key tells what its value is.
    fn enter(&mut self, depth: usize) {
        if depth == MEMBER {
            self.is_in_choices = self.key(depth).as_deref() == Some("choices");
        } else if depth == MEMBER_OF_CHOICE && self.is_in_choices {
            self.is_in_message = matches!(self.key(depth).as_deref(), Some("delta" | "message"));
        }
    }

    /// A value at this depth is whole.
    fn end(&mut self, span: Range<usize>, depth: usize, hear: &mut impl FnMut(Said<'a>)) {
        match (depth, self.is_in_choices) {
            (0, _) => self.whole = span,
            (MEMBER, _) => {
                if let Some(key) = self.key(depth) {
                    hear(Said::Member(key, self.value(span)));
                }
            }
            (CHOICE, true) => hear(Said::Choice(std::mem::take(&mut self.output))),
            (MEMBER_OF_CHOICE, true) => {
                if let Some(key) = self.key(depth) {
                    let value = self.value(span);
                    self.output.note(&key, value);
                }
            }
            (MEMBER_OF_MESSAGE, true) if self.is_in_message => {
                if let Some(key) = self.key(depth) {
                    let value = self.value(span);
                    self.output.note_of_message(&key, value);
                }
            }
            _ => {}
        }
    }

    fn key(&self, depth: usize) -> Option<Cow<'a, str>> {
        self.keys[depth].map(|key| unquote_known(key.raw, key.has_escapes))
    }

    fn value(&self, span: Range<usize>) -> View<'a> {
        View::of_checked(&self.text[span])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(value: View<'_>) -> &str {
        std::str::from_utf8(value.raw()).unwrap()
    }

    fn heard(text: &str) -> Vec<String> {
        let mut heard = Vec::new();
        let whole = read(text.as_bytes(), |said| {
            heard.push(match said {
                Said::Member(key, value) => format!("{key}={}", text_of(value)),
                Said::Choice(output) => format!(
                    "[{} {:?} {:?} {}]",
                    output.index, output.text, output.finish_reason, output.tool_call
                ),
            });
        });
        assert_eq!(text_of(whole.unwrap()), text.trim());
        heard
    }

    #[test]
    fn members_and_choices_are_told_in_one_pass() {
        let text = r#" {"id":"a","choices":[{"index":1,"message":{"content":"x","y":{"content":"no"}},
            "finish_reason":"stop"},{"text":"z"},7],"\u0075sage":{"choices":[{"text":"no"}]}} "#;
        let heard = heard(text);
        assert_eq!(heard.len(), 6, "{heard:?}");
        assert_eq!(heard[0], r#"id="a""#);
        assert_eq!(heard[1], r#"[1 "x" Some("stop") false]"#);
        assert_eq!(heard[2], r#"[0 "z" None false]"#);
        assert_eq!(heard[3], r#"[0 "" None false]"#);
        assert!(heard[4].starts_with("choices=["));
        assert_eq!(heard[5], r#"usage={"choices":[{"text":"no"}]}"#);
    }

    #[test]
    fn what_only_looks_like_a_choice_is_none() {
        for text in [
            r#"[{"choices":[{"text":"a"}]}]"#,
            r#"{"choices":{"x":{"text":"a"}}}"#,
            r#"{"choices":[[{"text":"a"}]]}"#,
            r#"{"choices":[{"message":["content",{"content":"a"}]}]}"#,
            r#"{"choices":[{"index":0,"x":{"content":"a","text":"a"}}]}"#,
            r#"{"x":{"choices":[{"text":"a"}]}}"#,
            r#"{"choices":[{"message":{"x":1}},["a"],[{"content":"a"}]]}"#,
            "7",
        ] {
            assert!(!heard(text).iter().any(|said| said.contains(r#" "a""#)), "{text}");
        }
    }
}
