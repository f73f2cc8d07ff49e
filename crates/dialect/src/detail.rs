//! The provider's own words as they may be shown: short, on one line, without query strings and
//! without the client's words.

use crate::withheld::Shared;

const LONGEST: usize = 300;

/// So much of a message is read for it: a quotation that is cut off at the end is still known.
const MOST_READ: usize = 8 * LONGEST;

/// Shortens a message to one line of at most 300 characters, drops what follows the `?` of a URL,
/// where keys have been seen, and marks where the request is quoted.
pub(crate) fn shown(message: &str, shared: &Shared) -> String {
    let plain = shared.withheld(&plain(message));
    let words = plain.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> =
        words.filter(|word| !word.is_empty()).map(without_query).take(LONGEST).collect();
    words.join(" ").chars().take(LONGEST).collect()
}

/// So much of a message as is read for it, without what changes how it is shown.
pub(crate) fn plain(message: &str) -> String {
    message.chars().filter(|c| !is_format(*c)).take(MOST_READ).collect()
}

fn without_query(word: &str) -> &str {
    let Some(scheme) = word.find("://") else {
        return word;
    };
    let query = word[scheme..].find(['?', '#']).map(|at| scheme + at);
    &word[..query.unwrap_or(word.len())]
}

/// Characters that change how their neighbours are shown, and show nothing themselves.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
