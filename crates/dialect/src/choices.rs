//! A refusal to give several answers to one request, which are asked for with `n`: such a provider
//! serves everybody else.

use serde_json::Value;

use crate::ability;
use crate::body::ErrorBody;
use crate::echo::{self, Whose};
use crate::parameter::says_word;
use crate::sent::Sent;

/// One of them, and what makes it all there is. Quotation marks are left out, and spaces around
/// signs.
const ONE: &str = "n=1";
const NO_MORE: &[&str] = &["only", "must", "support", "accept", "require", "allow"];

/// The same in whole.
const ONE_ONLY: &[&str] = &[
    "only n of 1",
    "n must be 1",
    "n must be one",
    "n must be equal to 1",
    "n must equal 1",
    "n must be set to 1",
    "n should be 1",
    "n has to be 1",
    "n can only be 1",
    "n may only be 1",
    "only one choice",
    "only one completion",
    "only one candidate",
    "only 1 choice",
    "only 1 completion",
    "only 1 candidate",
    "only a single choice",
    "only a single completion",
    "only a single candidate",
];

/// More than one of them, and what is said of it where it is not taken.
const SEVERAL: &[&str] = &[
    "n>1",
    "multiple choices",
    "multiple completions",
    "multiple candidates",
    "several choices",
    "several completions",
    "several candidates",
    "more than one choice",
    "more than one completion",
    "more than one candidate",
];
const NOT_TAKEN: &[&str] = &[
    "not support",
    "n't support",
    "unsupported",
    "not enabled",
    "not available",
    "not allowed",
    "not permitted",
    "not accept",
    "cannot",
    "disabled",
];

/// What is said where it hangs on something else in the request.
const CONDITIONS: &[&str] = &["when", "with", "if", "unless", "while", "stream", "streaming"];

/// Whether the request asks for several answers, and just that is not taken.
pub(crate) fn are_refused(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    refusals(body, sent).next().is_some()
}

/// Whether that is said of the model as such, be the rest of the request as it may.
pub(crate) fn are_never_taken(body: &ErrorBody, sent: &Sent<'_>) -> bool {
    refusals(body, sent).any(|sentence| !says(&sentence, CONDITIONS))
}

fn refusals(body: &ErrorBody, sent: &Sent<'_>) -> impl Iterator<Item = String> {
    let sentences =
        if asks_for_several(sent) { Some(ability::sentences(&body.text)) } else { None };
    sentences.into_iter().flatten().map(plain).filter(|sentence| {
        let is_own = |phrase: &&&str| echo::whose(phrase, sentence, sent) != Whose::Clients;
        let said = |phrases: &[&str]| {
            phrases.iter().filter(is_own).any(|phrase| says_word(sentence, phrase))
        };
        let also = |words: &[&str]| words.iter().any(|word| sentence.contains(word));
        said(ONE_ONLY) || said(&[ONE]) && also(NO_MORE) || said(SEVERAL) && also(NOT_TAKEN)
    })
}

fn asks_for_several(sent: &Sent<'_>) -> bool {
    let asked = sent.members(&["n"]);
    asked.get("n").and_then(Value::as_f64).is_some_and(|choices| choices > 1.0)
}

/// A sentence without quotation marks, and with nothing around signs.
fn plain(sentence: &str) -> String {
    let bare = sentence.replace(['`', '\'', '"'], "");
    bare.replace(" = ", "=").replace(" == ", "=").replace("==", "=").replace(" > ", ">")
}

/// Whether a text has one of the phrases as words of their own.
fn says(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| says_word(text, phrase))
}
