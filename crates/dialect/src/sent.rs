//! The client's request, to tell its words from the provider's where they are not quoted.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// So much of a request's beginning and of its end is looked at; the newest message is last.
const BEGINNING: usize = 1 << 20;
const END: usize = 64 << 10;

/// What says how many tokens an answer may have.
const MOST: [&[u8]; 2] = [b"\"max_completion_tokens\"", b"\"max_tokens\""];

/// No name is longer.
const LONGEST_NAME: usize = 256;

/// So many places of one name are looked at.
const MOST_PLACES: usize = 64;

/// A request's body, read when it is first asked for.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    body: &'a [u8],
    text: OnceCell<String>,
    /// Digests of the texts between quotation marks.
    wholes: OnceCell<HashSet<u64>>,
}

impl<'a> Sent<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, text: OnceCell::new(), wholes: OnceCell::new() }
    }

    /// All of it, as it came.
    pub(crate) const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// How many tokens the request allows for the answer, if it says so; else 0.
    pub(crate) fn most_for_answer(&self) -> u64 {
        let end = &self.body[self.body.len() - END.min(self.body.len())..];
        let beginning = &self.body[..END.min(self.body.len())];
        let parts = [beginning, end];
        let mut found =
            MOST.iter().flat_map(|name| parts.iter().filter_map(|part| count_after(name, part)));
        found.next().unwrap_or(0)
    }

    /// Whether a phrase in lower case stands in the request, in whatever case and escaped or not.
    pub(crate) fn holds(&self, phrase: &str) -> bool {
        self.text().contains(phrase)
    }

    /// Whether a phrase in lower case is the whole of one of the request's texts.
    pub(crate) fn is_whole(&self, phrase: &str) -> bool {
        let wholes = self.wholes.get_or_init(|| {
            let parts = self.text().split('"').filter(|part| part.len() <= LONGEST_NAME);
            parts.map(digest).collect()
        });
        wholes.contains(&digest(phrase))
    }

    /// The number that the request has under a name.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        let named = format!("\"{name}\"");
        let mut places = self.text().match_indices(&named).take(MOST_PLACES);
        places.find_map(|(at, found)| {
            let value = self.text()[at + found.len()..].trim_start().strip_prefix(':')?;
            let value = value.trim_start();
            let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e');
            let end = value.find(|c| !is_part(c)).unwrap_or(value.len());
            value[..end].parse().ok()
        })
    }

    /// Those members of the request that have one of the names; none of one that cannot be read.
    pub(crate) fn members(&self, names: &[&str]) -> Map<String, Value> {
        let mut reader = serde_json::Deserializer::from_slice(self.body);
        reader.deserialize_map(Members(names)).unwrap_or_default()
    }

    /// What is looked at of the request, in lower case.
    pub(crate) fn text(&self) -> &str {
        self.text.get_or_init(|| plain(self.body))
    }
}

/// Reads the members with these names, and passes over all others.
struct Members<'n>(&'n [&'n str]);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if self.0.contains(&name.as_str()) {
                found.insert(name, members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The whole number that a member of an object has. A name within a text stands behind a
/// backslash and ends with one.
fn count_after(name: &[u8], json: &[u8]) -> Option<u64> {
    let at = json.windows(name.len()).position(|window| window == name)?;
    let tail = json[at + name.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let end = tail.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(tail.len());
    str::from_utf8(&tail[..end]).ok()?.parse().ok()
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The looked-at parts in ASCII lower case with their JSON escapes resolved.
fn plain(body: &[u8]) -> String {
    let (beginning, rest) = body.split_at(body.len().min(BEGINNING));
    let mut text = resolved(&String::from_utf8_lossy(beginning));
    if !rest.is_empty() {
        text.push('\n');
        let end = &body[body.len() - END.min(body.len())..];
        text.push_str(&resolved(&String::from_utf8_lossy(end)));
    }
    text.make_ascii_lowercase();
    text
}

fn resolved(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split('\\');
    plain.push_str(parts.next().unwrap_or_default());
    while let Some(part) = parts.next() {
        if part.is_empty() {
            // An escaped backslash: what follows it stands for itself.
            plain.push('\\');
            plain.push_str(parts.next().unwrap_or_default());
            continue;
        }
        let (letter, tail) = unescaped(part);
        plain.push(letter);
        plain.push_str(tail);
    }
    plain
}

/// What the beginning of the text behind a backslash stands for, and the rest.
fn unescaped(part: &str) -> (char, &str) {
    let by_number = part.strip_prefix('u').and_then(|digits| {
        let letter = char::from_u32(u32::from_str_radix(digits.get(..4)?, 16).ok()?)?;
        Some((letter, &digits[4..]))
    });
    by_number.unwrap_or_else(|| {
        let mut letters = part.chars();
        let letter = match letters.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            other => other.unwrap_or('\\'),
        };
        (letter, letters.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::{BEGINNING, Sent};

    #[test]
    fn a_phrase_is_found_in_any_case_and_behind_escapes() {
        let bodies = [
            "{\"role\":\"Invalid API Key\"}",
            r#"{"role":"\u0049nvalid \u0061pi key"}"#,
            r#"{"role":"say \"invalid api key\\\" \ud83d \u12"}"#,
            r#"{"path":"C:\\invalid api key\\"}"#,
        ];
        for body in bodies {
            assert!(Sent::new(body.as_bytes()).holds("invalid api key"), "{body}");
        }
        assert!(Sent::new(br#""\u4f59\u989d\u4e0d\u8db3""#).holds("余额不足"));
        assert!(!Sent::new(b"").holds("invalid api key"));
    }

    #[test]
    fn what_an_answer_may_have_is_found_beside_the_words_of_the_request() {
        for (body, most) in [
            (r#"{"max_tokens": 100,"messages":[]}"#, 100),
            (r#"{"messages":[{"content":"\"max_tokens\":9"}],"max_completion_tokens":7}"#, 7),
            (r#"{"messages":[{"content":"\"max_tokens\":9"}],"max_tokens":null}"#, 0),
            ("", 0),
        ] {
            assert_eq!(Sent::new(body.as_bytes()).most_for_answer(), most, "{body}");
        }
    }

    #[test]
    fn members_are_read_by_their_names() {
        let body = r#"{"messages":[{"n":3}],"n":1,"seed":2,"n":"two"}"#;
        let found = Sent::new(body.as_bytes()).members(&["n", "tools"]);
        assert_eq!(serde_json::to_string(&found).unwrap(), r#"{"n":"two"}"#, "the last one counts");
        for body in ["", "[]", r#"{"n":1"#] {
            assert!(Sent::new(body.as_bytes()).members(&["n"]).is_empty(), "{body}");
        }
    }

    #[test]
    fn a_long_request_is_looked_at_in_its_beginning_and_its_end() {
        let filler = "x".repeat(2 * BEGINNING);
        assert!(Sent::new(format!("rate limit{filler}").as_bytes()).holds("rate limit"));
        assert!(Sent::new(format!("{filler}rate limit").as_bytes()).holds("rate limit"));
        let middle = format!("{filler}rate limit{filler}");
        assert!(!Sent::new(middle.as_bytes()).holds("rate limit"));
    }
}
