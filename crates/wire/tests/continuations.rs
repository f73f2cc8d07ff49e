//! Laws of going on with an answer that broke off: whatever comes in whatever pieces and at
//! whatever time, no text is said twice and none is lost.

use bytes::Bytes;
use proptest::prelude::*;
use wire::chunk;
use wire::continuation::{Continuation, Habit, Joined};
use wire::sse::Framer;
use wire::usage::Spent;

/// The pieces of a text, cut at these places.
fn cut<'t>(text: &'t str, cuts: &[usize]) -> Vec<&'t str> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    at.retain(|at| text.is_char_boundary(*at));
    at.extend([0, text.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

/// What the client hears of a continuation in these pieces, and of an end mark after it.
fn heard(continuation: Continuation, pieces: &[&str]) -> Option<String> {
    let stream = stream_of(pieces);
    let (text, is_whole) = heard_of(continuation, &[&stream], |_| false);
    is_whole.then_some(text)
}

/// A stream of these pieces of text.
fn stream_of(pieces: &[&str]) -> Vec<u8> {
    let event = |piece: &&str| {
        let choice = serde_json::json!({"index": 0, "delta": {"content": piece}});
        format!("data: {}\n\n", serde_json::json!({"choices": [choice]}))
    };
    let events: String = pieces.iter().map(event).collect();
    (events + "data: [DONE]\n\n").into_bytes()
}

/// What the client hears of a continuation whose bytes come in these parts, where it has waited
/// long enough before the events that `is_late` says; and whether the answer is whole.
fn heard_of(
    mut continuation: Continuation,
    parts: &[&[u8]],
    is_late: impl Fn(usize) -> bool,
) -> (String, bool) {
    let (mut framer, mut text, mut count) = (Framer::new(1 << 20), String::new(), 0);
    for part in parts {
        framer.push(Bytes::copy_from_slice(part));
        while let Some(Ok(event)) = framer.next_event() {
            let mut joined = Vec::new();
            if is_late(count) {
                joined.push(continuation.release());
                assert_eq!(continuation.release(), Joined::Swallow, "once");
            }
            count += 1;
            joined.push(continuation.join(&event, &chunk::classify(&event.data(), None)));
            for joined in joined {
                match joined {
                    Joined::Forward(bytes, new) => {
                        text.push_str(&text_of(bytes));
                        assert!(text.ends_with(&new));
                    }
                    Joined::Swallow => {}
                    Joined::Mismatch => return (text, false),
                }
            }
        }
    }
    (text, true)
}

/// The text of these events.
fn text_of(events: Bytes) -> String {
    let mut framer = Framer::new(1 << 20);
    framer.push(events);
    let mut text = String::new();
    while let Some(Ok(event)) = framer.next_event() {
        text += chunk::classify(&event.data(), None).text.as_deref().unwrap_or_default();
    }
    text
}

/// Words that are all different, so that no repetition of several is a chance.
fn essay(words: usize) -> String {
    let gap = |word: usize| if word % 9 == 8 { "\n" } else { [" ", ", "][word % 2] };
    let word = |word: usize| ["wörd", &word.to_string(), gap(word)].concat();
    (0..words).map(word).collect()
}

proptest! {
    #[test]
    fn a_continuation_repeats_nothing_and_loses_nothing_whatever_it_overlaps(
        words in 4..400_usize,
        sent in 1..400_usize,
        overlap in prop_oneof![0..9_usize, 0..400_usize],
        drops_blank in any::<bool>(),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = essay(words);
        let words: Vec<&str> = whole.split_inclusive([' ', '\n']).collect();
        let sent = sent % words.len();
        // Less than a few words are no repetition, but a chance.
        let again = overlap % (sent + 1);
        let again = if again < 3 || again > 300 && again < sent { 0 } else { again };
        let told = words[..sent].concat();
        let mut came = words[sent - again..].concat();
        if drops_blank && again == 0 && told.ends_with(' ') {
            came.insert(0, ' ');
        }
        let join = || Continuation::after_prefill(None, &told, Habit::Unknown, Spent::default());
        let seen = heard(join(), &cut(&came, &cuts)).map(|new| told.clone() + &new);
        // A line may be meant twice, and so may a short text of whole lines.
        let is_long = again == sent && told.trim_end().len() > 160;
        let is_line = again > 0 && !is_long && told.ends_with('\n');
        // So may one that ends as the line before it did.
        let before = words[..sent - again].concat();
        let (before, told) = (before.trim_end(), told.trim_end());
        let alike = before.bytes().rev().zip(told.bytes().rev()).take_while(|(a, b)| a == b);
        let is_part = again > 0 && again < sent;
        let is_row = is_part && alike.count() >= 4;
        // And so may what spans a line break.
        let spans = is_part && words[sent - again..sent].concat().trim_end().contains('\n');
        let is_ambiguous = is_line || is_row || spans;
        prop_assert_eq!(seen.as_deref(), Some(whole.as_str()).filter(|_| !is_ambiguous));
    }

    #[test]
    fn an_answer_begun_anew_is_said_once(
        words in 30..60_usize,
        sent in any::<prop::sample::Index>(),
        before in "\\n?([A-Z#*`].{0,38})?",
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = essay(words);
        let words: Vec<&str> = whole.split_inclusive([' ', '\n']).collect();
        let told = words[..25 + sent.index(words.len() - 25)].concat();
        let rest = whole.strip_prefix(&told).unwrap_or_default();
        let came = format!("{before}{whole}");
        let join = Continuation::after_prefill(None, &told, Habit::Unknown, Spent::default());
        let new = heard(join, &cut(&came, &cuts));
        prop_assert_eq!(new.as_deref(), Some(rest));
    }

    #[test]
    fn a_continuation_never_loses_a_word_of_its_own(
        sent in "[ab \n]{0,40}",
        came in "[ab \n]{0,40}",
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let join = Continuation::after_prefill(None, &sent, Habit::Unknown, Spent::default());
        let new = heard(join, &cut(&came, &cuts));
        let whole = heard(
            Continuation::after_prefill(None, &sent, Habit::Unknown, Spent::default()),
            &[&came],
        );
        prop_assert_eq!(&new, &whole, "it matters where the pieces are cut");
        if let Some(new) = new {
            let gone = came.strip_suffix(new.as_str()).expect("only a beginning is swallowed");
            let is_end = sent.trim_end().ends_with(gone.trim());
            let is_anew = gone.trim_end().ends_with(sent.trim());
            prop_assert!(is_end || is_anew, "{:?} was not sent", gone);
        }
    }
}

/// Texts, and what comes behind them: new words, repetitions of the whole or of the end, with
/// something before it or not, and chance likenesses.
/// The last is where the words before a repetition end.
fn joints() -> impl Strategy<Value = (String, String, usize)> {
    let begun = "First we mix the flour.\nThen the eggs go in, one by one, and";
    let long = format!("{begun} so on,{}", " and so on".repeat(20));
    let sent = prop::sample::select(vec![begun.to_owned(), long, "Hello".into(), "a  b ".into()]);
    let before = prop::sample::select(vec!["", "Sure! ", "```\n", " ", "\n", "Fi", "First"]);
    let rest = prop::sample::select(vec![" all is well.", "Well. ", "\n\nFirst", " First we mix"]);
    let from = prop_oneof![Just(0), Just(usize::MAX), any::<usize>()];
    let blank = prop::sample::select(vec!["", " ", "\n"]);
    (sent, blank, before, from, rest).prop_map(|(sent, blank, before, from, rest)| {
        let sent = sent + blank;
        let from = if from == usize::MAX { sent.len() } else { from % sent.len() };
        let came = [before, &sent[sent.floor_char_boundary(from)..], rest].concat();
        (sent, came, before.len())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_changes_no_text_when_held_words_are_shown(
        (sent, came, before) in joints(),
        mut cuts in prop_oneof![Just(vec![]), prop::collection::vec(any::<usize>(), 0..20)],
        late in any::<u32>(),
        habit in prop_oneof![Just(Habit::Unknown), Just(Habit::GoesOn), Just(Habit::Repeats)],
    ) {
        let join = || Continuation::after_prefill(None, &sent, habit, Spent::default());
        cuts.push(before);
        let stream = stream_of(&cut(&came, &cuts));
        let (text, is_whole) = heard_of(join(), &[&stream], |_| false);
        let is_late = |event: usize| late >> (event % 32) & 1 == 1;
        let (seen, seen_whole) = heard_of(join(), &[&stream], is_late);
        // Where the answer was begun anew behind words that the client has by then, it is none.
        prop_assert!(is_whole || !seen_whole);
        if seen_whole {
            prop_assert_eq!(seen, text);
        } else {
            prop_assert!(came.trim_start().starts_with(seen.trim_start()), "{:?}", seen);
            prop_assert!(!seen.contains("we mix the flour"), "{:?}", seen);
        }
    }
}

/// A stream that goes on, and one that repeats; every text is cut in two characters' halves, too.
#[test]
fn the_bytes_are_the_same_wherever_the_providers_bytes_are_cut() {
    let sent = "Ünïcode, and \"quotes\" 😀 that nobody says by chance";
    let data = |text: &str| {
        format!("data:{{\"id\":\"b\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}")
    };
    let halves = [r#"Ünïcode, and \"quotes\" \ud83d"#, r"\ude00 that nobody says", " by chance"];
    let repeats = halves.map(|text| data(text) + "\r\n\r\n").concat();
    let rest = [": note\n\n", &data(" Sure, "), "\n\n", &data("so é"), "\r\r", "data: [DONE]\n\n"];
    for stream in [rest.concat(), repeats.clone() + &rest.concat()] {
        for join in [
            Continuation::after_prefill(Some("a".into()), sent, Habit::Unknown, Spent::default()),
            Continuation::afresh(Some("a".into()), sent.into(), Spent::default()),
        ] {
            let whole = joined_bytes(join.clone(), &[stream.as_bytes()]);
            for at in 0..=stream.len() {
                let (one, other) = stream.as_bytes().split_at(at);
                assert_eq!(joined_bytes(join.clone(), &[one, other]), whole, "{at}");
            }
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(joined_bytes(join, &bytes), whole);
        }
    }
}

/// The bytes that the client gets; `None` for what is no continuation.
fn joined_bytes(mut join: Continuation, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let (mut framer, mut bytes) = (Framer::new(1 << 20), Vec::new());
    for part in parts {
        framer.push(Bytes::copy_from_slice(part));
        while let Some(Ok(event)) = framer.next_event() {
            match join.join(&event, &chunk::classify(&event.data(), None)) {
                Joined::Forward(event, _) => bytes.extend_from_slice(&event),
                Joined::Swallow => {}
                Joined::Mismatch => return None,
            }
        }
    }
    Some(bytes)
}
