//! The provider's own words as they may be shown: short, on one line, without query strings.

const LONGEST: usize = 300;

/// Shortens a message to one line of at most 300 characters and drops what follows the `?` of a
/// URL, where keys have been seen.
pub(crate) fn shown(message: &str) -> String {
    let plain = message.replace(is_format, "");
    let words = plain.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> =
        words.filter(|word| !word.is_empty()).map(without_query).take(LONGEST).collect();
    words.join(" ").chars().take(LONGEST).collect()
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
