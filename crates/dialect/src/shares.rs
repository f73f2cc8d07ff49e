//! Limits that a sentence tells beside what is used of them: "Requests per Second (actual/limit):
//! 2/2, Requests per Minute (actual/limit): 30/60".

use engine::{Ceiling, Dimension, Window};

use crate::words;

/// What stands before such a pair of figures.
const MARK: &str = "(actual/limit)";

/// No sentence tells of more.
const COUNT: usize = 8;

/// The longest window of those that are used up, if a sentence in lower case tells of several.
pub(crate) fn spent(text: &str) -> Option<Window> {
    let parts: Vec<&str> = text.split(MARK).take(COUNT + 1).collect();
    if parts.len() < 3 {
        return None;
    }
    let spent = parts.windows(2).filter(|pair| is_spent(pair[1]));
    spent.filter_map(|pair| window(pair[0])).max_by_key(|window| window.length())
}

/// The limit on requests in the longest window of which it is used up.
pub(crate) fn met(text: &str) -> Option<Ceiling> {
    let parts: Vec<&str> = text.split(MARK).take(COUNT + 1).collect();
    let spent = parts.windows(2).filter(|pair| {
        is_spent(pair[1]) && words::dimension(own_words(pair[0])) == Dimension::Requests
    });
    let met = spent
        .filter_map(|pair| Some(Ceiling { window: window(pair[0])?, most: figures(pair[1])?.1 }));
    met.max_by_key(|ceiling| ceiling.window.length())
}

/// Whether the figures at the beginning are those of a limit that is used up.
fn is_spent(tail: &str) -> bool {
    figures(tail).is_some_and(|(used, limit)| used >= limit)
}

fn figures(tail: &str) -> Option<(u64, u64)> {
    let number = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse::<u64>().ok()
    };
    let tail = tail.trim_start_matches([':', ' ']);
    let used = number(tail);
    let limit = tail.split_once('/').and_then(|(_, limit)| number(limit.trim_start()));
    used.zip(limit)
}

/// The window that the words before a pair name; the figures of the pair before end at a comma.
fn window(head: &str) -> Option<Window> {
    let own = own_words(head);
    words::windows(|phrase| own.contains(phrase)).0
}

fn own_words(head: &str) -> &str {
    head.rsplit([',', ';', '\n']).next().unwrap_or(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_is_used_up_decides() {
        let told = |second: &str, minute: &str| {
            spent(&format!(
                "your team's rate limit is: requests per second (actual/limit): {second}, \
                 requests per minute (actual/limit): {minute}."
            ))
        };
        assert_eq!(told("2/2", "30/60"), Some(Window::Second));
        assert_eq!(told("1/2", "60/60"), Some(Window::Minute));
        assert_eq!(told("2/2", "60/60"), Some(Window::Minute));
        assert_eq!(told("1/2", "30/60"), None);
        assert_eq!(told("", "/"), None);
        assert_eq!(spent("tokens per minute (actual/limit): 16000/16000"), None);
    }
}
