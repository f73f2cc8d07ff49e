//! What a text says beside its quotations. Providers quote the request they refuse, so what
//! stands between quotation marks may be the client's word.

/// Opening quotation marks and what closes each.
const MARKS: &[(char, char)] = &[
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{00ab}', '\u{00bb}'),
    ('\u{300c}', '\u{300d}'),
];

/// The text with a bare pair of marks in the place of each quotation. One that is not closed, as
/// when a message is cut off, reaches to the end. An apostrophe in or after a word is no mark.
pub(crate) fn without_quotations(text: &str) -> String {
    let mut own = String::with_capacity(text.len());
    let mut closing = None;
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied().unwrap_or(' ');
        match closing {
            None => {
                own.push(letter);
                closing = opened(letter, before);
            }
            Some((mark, escaped)) if letter == mark => {
                let inner = before == '\\' && !escaped || is_apostrophe(letter, next);
                if !inner {
                    own.push(letter);
                    closing = None;
                }
            }
            Some(_) => {}
        }
        before = letter;
    }
    own
}

/// The mark that closes the quotation which a letter opens, and whether it is an escaped one.
fn opened(letter: char, before: char) -> Option<(char, bool)> {
    let &(_, mark) = MARKS.iter().find(|(open, _)| *open == letter)?;
    (!is_apostrophe(letter, before)).then_some((mark, before == '\\'))
}

fn is_apostrophe(letter: char, neighbour: char) -> bool {
    matches!(letter, '\'' | '\u{2018}' | '\u{2019}') && neighbour.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::without_quotations;

    #[test]
    fn quotations_are_left_out_and_apostrophes_are_not() {
        let texts = [
            ("invalid value: 'a b'. use 'c'", "invalid value: ''. use ''"),
            ("the model `x` has gone", "the model `` has gone"),
            ("it doesn't take \"a 'b' c\" here", "it doesn't take \"\" here"),
            ("the model's and models' names", "the model's and models' names"),
            ("'don't' is said", "'' is said"),
            (r#"{"m":"not \"a b\" now"} end"#, r#"{"":""} end"#),
            (r#"not \"a b\" now"#, r#"not \"" now"#),
            (
                "the \u{201c}a b\u{201d} or \u{2018}c\u{2019}",
                "the \u{201c}\u{201d} or \u{2018}\u{2019}",
            ),
            ("cut off in 'the mid", "cut off in '"),
            ("", ""),
        ];
        for (text, own) in texts {
            assert_eq!(without_quotations(text), own, "{text}");
        }
    }
}
