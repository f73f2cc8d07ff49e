//! Whatever a provider sends in whatever pieces: the client's bytes are the provider's bytes, or
//! an honest error.

use bytes::Bytes;
use simulated::{Recorded, Reply};

use crate::harness::{CHAT, Heard, MS, Setup, good, now, post, question};
use crate::parts::asked;

/// How many streams are made up.
const CASES: u64 = 150;

/// Small, and the same for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// What an event means to the client.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Meaning {
    Word,
    Nothing,
    /// JSON that is no object.
    Stray,
    Broken,
    Error,
    Finish,
    Done,
}

/// One event in one of its spellings.
fn event(dice: &mut Dice, meaning: Meaning) -> String {
    let end = dice.one_of(&["\n", "\r\n", "\r"]);
    let colon = dice.one_of(&[": ", ":"]);
    let word = dice.one_of(&["a", "\u{1f600}", "\\n", " ", "\u{e9}", "\\u00e9 \\\"x\\\""]);
    let data = match meaning {
        Meaning::Word => {
            let name = dice.one_of(&["content", "reasoning_content", "refusal", "content"]);
            format!("{{\"choices\":[{{\"index\":0,\"delta\":{{\"{name}\":\"{word}\"}}}}]}}")
        }
        Meaning::Nothing => {
            let odd = [
                "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}",
                "{\"type\":\"ping\"}",
                "{\"choices\":[]}",
            ];
            dice.one_of(&odd).to_owned()
        }
        Meaning::Stray => dice.one_of(&["[1]", "\"x\"", "null", "7", "", " "]).to_owned(),
        Meaning::Broken => {
            dice.one_of(&["{\"choices\":[{", "oops}", "{]}", "{\"a\":1}}"]).to_owned()
        }
        Meaning::Error => "{\"error\":{\"message\":\"no\",\"code\":\"x\"}}".to_owned(),
        Meaning::Finish => "{\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}".to_owned(),
        Meaning::Done => "[DONE]".to_owned(),
    };
    let before = match dice.below(5) {
        0 => format!(": note {word}{end}"),
        1 => format!("id: {}{end}", dice.below(99)),
        _ => String::new(),
    };
    // A line end inside the JSON, where the format allows one.
    let data = if dice.below(5) == 0 && data.starts_with("{\"c") {
        data.replacen(':', &format!(":{end}data{colon}"), 1)
    } else {
        data
    };
    format!("{before}data{colon}{data}{end}{end}")
}

/// A made-up stream.
struct Case {
    events: Vec<(Meaning, String)>,
    /// The bytes of the last event that are not sent.
    lacking: usize,
    ending: usize,
    dice: Dice,
}

impl Case {
    fn of(seed: u64) -> Self {
        use Meaning::{Broken, Done, Error, Finish, Nothing, Stray, Word};
        let mut dice = Dice(seed);
        let mut events = Vec::new();
        for _ in 0..dice.below(14) {
            if dice.below(6) == 0 {
                let end = dice.one_of(&["\n", "\r\n", "\r"]);
                events.push((Nothing, format!(": note{end}{end}{end}")));
            }
            let meaning = match dice.below(40) {
                0 => Error,
                1 => Finish,
                2..=3 => Broken,
                4..=6 => Stray,
                7..=14 => Nothing,
                _ => Word,
            };
            events.push((meaning, event(&mut dice, meaning)));
        }
        if dice.below(3) > 0 {
            events.push((Finish, event(&mut dice, Finish)));
            if dice.below(3) > 0 {
                events.push((Done, event(&mut dice, Done)));
            }
        }
        let last = events.last().map_or(0, |(_, text)| text.len());
        // Half of an event or all of it: an event that lacks only its end counts as whole.
        let lacking = if dice.below(4) == 0 { last.div_ceil(2) } else { 0 };
        let ending = dice.below(4);
        Self { events, lacking, ending, dice }
    }

    fn reply(mut self) -> Reply {
        let text: String = self.events.iter().map(|(_, text)| text.as_str()).collect();
        let whole = Bytes::from(text);
        let whole = whole.slice(..whole.len() - self.lacking);
        let (mut writes, mut at) = (Vec::new(), 0);
        while at < whole.len() {
            let size = 1 + self.dice.below(60);
            let end = (at + size).min(whole.len());
            writes.push((MS * u32::from(self.dice.below(6) == 0), whole.slice(at..end)));
            at = end;
        }
        let reply = Reply::events(writes);
        match self.ending {
            0 => reply.cut(),
            1 => reply.cut_by_reset(),
            2 => reply.stall(),
            _ => reply,
        }
    }

    /// What the client must get: the bytes before an end that is ours, and which end that is.
    fn expected(&self) -> (Vec<u8>, End) {
        let sent = self.events.len() - usize::from(self.lacking > 0);
        let (mut bytes, mut is_begun, mut is_finished) = (Vec::new(), false, false);
        let mut broken = 0;
        for (meaning, text) in &self.events[..sent] {
            is_begun |= *meaning == Meaning::Word;
            match meaning {
                Meaning::Error => break,
                Meaning::Broken if broken == 1 => break,
                Meaning::Broken => broken += 1,
                Meaning::Stray => {}
                Meaning::Done if !is_begun => return (Vec::new(), End::Rotated),
                Meaning::Done => {
                    bytes.extend_from_slice(text.as_bytes());
                    return (bytes, End::Theirs);
                }
                Meaning::Word | Meaning::Nothing | Meaning::Finish => {
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
            is_finished |= *meaning == Meaning::Finish;
        }
        let end = match (is_begun, is_finished) {
            (false, _) => End::Rotated,
            (true, true) => End::Done,
            (true, false) => End::Error,
        };
        (bytes, end)
    }
}

#[derive(Debug, PartialEq)]
enum End {
    Theirs,
    Done,
    Error,
    Rotated,
}

/// The dropped events of a stream may have stood behind comments that are kept or dropped with
/// them, so that only the rest is compared.
fn assert_honest(seed: u64, case: &Case, heard: &Heard) {
    let (bytes, end) = case.expected();
    let shown =
        || format!("case {seed}: {:?}\n{}", case.events, String::from_utf8_lossy(&heard.body));
    assert_eq!((heard.status, heard.whole), (200, true), "{}", shown());
    if end == End::Rotated {
        assert_eq!(heard.by(), "b", "{}", shown());
        assert_eq!(heard.said(), "fine", "{}", shown());
        return;
    }
    assert_eq!(heard.by(), "a", "{}", shown());
    let rest = heard.body.strip_prefix(bytes.as_slice());
    let rest = rest.unwrap_or_else(|| panic!("other bytes in {}", shown()));
    match end {
        End::Theirs => assert!(rest.is_empty(), "{}", shown()),
        End::Done => assert_eq!(rest, b"data: [DONE]\n\n", "{}", shown()),
        End::Error | End::Rotated => {
            assert!(rest.starts_with(b"data: {\"error\":{"), "{}", shown());
            let rest = String::from_utf8_lossy(rest);
            assert!(rest.contains("upstream_stream_interrupted") && rest.ends_with("}\n\n"));
            assert_eq!(rest.matches("\n\n").count(), 1, "{}", shown());
        }
    }
}

#[tokio::test]
async fn the_clients_bytes_are_the_providers_bytes_or_an_honest_error() {
    let seed_of = |request: &Recorded| request.headers["x-seed"].to_str().unwrap().parse().unwrap();
    let a = asked(move |request| Case::of(seed_of(request)).reply()).await;
    let b = good("fine").await;
    let setup = Setup::chain([&a, &b]).rotation("stream_recovery: off");
    let setup = setup.rotation("stall_timeout: 120ms").rotation("first_token_timeout: 250ms");
    let proxy = setup.start().await;
    let start = now();
    for seed in 1..=CASES {
        proxy.send(post("/reset")).await;
        let request = post(CHAT).json(&question(true)).header("x-seed", &seed.to_string());
        let heard = proxy.send(request).await;
        assert_honest(seed, &Case::of(seed), &heard);
    }
    println!("{CASES} made-up streams took {:?}", start.elapsed());
}
