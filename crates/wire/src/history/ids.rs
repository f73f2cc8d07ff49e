//! Tool call ids as the strictest provider takes them: nine ASCII letters and digits. These are
//! short enough and plain enough for all others.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;

use super::MOST_EDITS;
use super::object::Object;
use crate::json::quote;
use crate::splice::Edit;

const LENGTH: usize = 9;
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The edits that rename every id that does not fit; `None` if there are too many ids.
pub(super) fn renamed<'a>(messages: impl Iterator<Item = Object<'a>>) -> Option<Vec<Edit>> {
    let mut found = Vec::new();
    for message in messages {
        found.extend(ids_of(&message));
        if found.len() > MOST_EDITS {
            return None;
        }
    }
    let fitting = found.iter().map(|(_, id)| id).filter(|id| fits(id));
    let mut names = Names { taken: fitting.cloned().collect(), ..Names::default() };
    let foreign = found.into_iter().filter(|(_, id)| !fits(id));
    let edits = foreign.map(|(span, id)| Edit::Replace { span, with: names.name_of(id) });
    Some(edits.collect())
}

/// The ids in one message with the places of their strings.
fn ids_of(message: &Object<'_>) -> Vec<(Range<usize>, String)> {
    let calls = message.objects("tool_calls").take(MOST_EDITS + 1);
    let of_calls = calls.flat_map(|call| texts(&call, "id"));
    texts(message, "tool_call_id").into_iter().chain(of_calls).collect()
}

fn texts(object: &Object<'_>, key: &str) -> Vec<(Range<usize>, String)> {
    let text = |span: Range<usize>| Some((span.clone(), object.text(span)?));
    object.spans(key).filter_map(text).collect()
}

fn fits(id: &str) -> bool {
    id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Which new ids are given to which old ones.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    given: HashMap<String, Bytes>,
    spare: u64,
}

impl Names {
    /// The new id as a JSON string. It hangs on the old one alone, so that the next request of the
    /// conversation repeats it and a prompt cache still fits; only two that meet are told apart
    /// by counting.
    fn name_of(&mut self, id: String) -> Bytes {
        if let Some(name) = self.given.get(&id) {
            return name.clone();
        }
        let mut name = letters(fingerprint(&id));
        while !self.taken.insert(name.clone()) {
            name = letters(self.spare);
            self.spare += 1;
        }
        let name = quote(&name);
        self.given.insert(id, name.clone());
        name
    }
}

/// FNV-1a with 64 bits, which does not change between versions of the program.
fn fingerprint(id: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    id.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

fn letters(mut number: u64) -> String {
    let mut letter = || {
        let digit = usize::try_from(number % 62).unwrap_or_default();
        number /= 62;
        char::from(LETTERS[digit])
    };
    (0..LENGTH).map(|_| letter()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_meet_are_told_apart() {
        let mut names = Names::default();
        names.taken.insert(letters(fingerprint("call_1")));
        names.taken.insert(letters(0));
        let first = names.name_of("call_1".to_owned());
        let second = names.name_of("call_2".to_owned());
        assert_eq!(first, quote(&letters(1)));
        assert_eq!(second, quote(&letters(fingerprint("call_2"))));
        assert_eq!(names.name_of("call_1".to_owned()), first);
    }

    #[test]
    fn a_name_is_the_same_in_every_version() {
        assert_eq!(letters(fingerprint("call_0fypS1hVX")).len(), LENGTH);
        assert_eq!(letters(0), "000000000");
        assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
