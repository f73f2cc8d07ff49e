//! Days of prompts whose tokens are not what their bytes make one think.

use engine::{Limits, Needs, Remedy};

use super::common::{Dice, HOUR, SECOND, World, at, plain};
use super::upstream::{Limit, Span, Upstream};

const DAY: i64 = 24 * HOUR;
/// 2026-01-01 in UTC.
const START: i64 = 1_767_225_600_000;

/// A kind of prompt: its true tokens in hundredths of a quarter of its bytes, the bytes of the
/// longest, how long answers are at most, and how many of a hundred requests are of it.
struct Kind {
    tokens: u64,
    bytes: u64,
    answer: u64,
    share: u64,
}

/// The ratios are made up; what counts is that they differ.
const KINDS: [Kind; 5] = [
    // English prose, German prose, source text, Chinese, random letters and digits.
    Kind { tokens: 90, bytes: 3_000, answer: 300, share: 50 },
    Kind { tokens: 120, bytes: 3_000, answer: 300, share: 25 },
    Kind { tokens: 135, bytes: 6_000, answer: 500, share: 15 },
    Kind { tokens: 110, bytes: 2_000, answer: 200, share: 8 },
    Kind { tokens: 200, bytes: 1_500, answer: 50, share: 2 },
];

/// One request: what it seems to need, what it really uses, and its kind.
struct Asked {
    needs: Needs,
    truth: u64,
    /// The maximum that it names for the answer beyond what the answer will be.
    spare: u64,
    kind: usize,
}

fn ask(dice: &mut Dice) -> Asked {
    let mut throw = dice.below(100);
    let mut kind = 0;
    while throw >= KINDS[kind].share {
        throw -= KINDS[kind].share;
        kind += 1;
    }
    let Kind { tokens, bytes, answer, .. } = KINDS[kind];
    let seeming = (40 + dice.below(bytes)) / 4;
    // Texts of one kind differ by a tenth up or down.
    let prompt = seeming * tokens * (90 + dice.below(21)) / 10_000;
    let answer = 1 + dice.below(answer);
    let is_open_ended = dice.below(2) == 0;
    let most = if is_open_ended { 0 } else { answer + dice.below(200) };
    let needs = Needs { tokens: seeming + most, answer: most, is_open_ended, ..Needs::default() };
    Asked { needs, truth: prompt + answer, spare: most.saturating_sub(answer), kind }
}

/// What became of some days.
#[derive(Debug, Default)]
struct Told {
    sent: usize,
    refused: usize,
    /// Refusals after the first of each kind of request.
    useless: usize,
}

/// A provider as it truly limits, and what is known of it beforehand.
struct Case {
    name: &'static str,
    declared: Limits,
    limit: Limit,
    /// Whether it tells with each answer what is left.
    tells: bool,
    /// Whether it charges the maximum that a request names, however short the answer is.
    reserves: bool,
    /// Whether the rules know how it gives back what was used.
    is_known: bool,
}

impl Case {
    /// One day with the provider and, behind it, one that takes all.
    fn live(&self, seed: u64, told: &mut Told) {
        let mut specs = plain(2);
        specs[0].limits = Limits {
            refills: self.is_known && self.limit.is_bucket(),
            keeps_reserved: self.is_known && self.reserves,
            ..self.declared.clone()
        };
        let mut world = World::new(specs);
        world.now = at(START);
        let limited = Upstream::limited(vec![self.limit.clone()], true);
        let mut upstreams = [limited, Upstream::default()];
        let mut dice = Dice(seed);
        let mut met = [[false; 2]; KINDS.len()];
        while world.now < at(START + DAY) {
            let asked = ask(&mut dice);
            let charged = asked.truth + if self.reserves { asked.spare } else { 0 };
            let journey = world.begin(asked.needs, 300 * SECOND);
            while let Some(door) = world.next_door(journey) {
                let upstream = &mut upstreams[usize::from(door.starts_with("p1"))];
                if let Err(fault) = upstream.ask(world.now, charged) {
                    world.fail(journey, fault, Remedy::Repeat);
                    let first = &mut met[asked.kind][usize::from(asked.needs.is_open_ended)];
                    told.useless += usize::from(std::mem::replace(first, true));
                    continue;
                }
                if self.tells {
                    let budgets = upstream.told(world.now);
                    world.tell(journey, &budgets);
                }
                world.succeed(journey, Some(asked.truth));
                break;
            }
            world.journeys.clear();
            let busy = dice.below(12) > 0;
            world.pass(dice.below(if busy { 9_000 } else { 900_000 }) as i64);
        }
        told.sent += upstreams[0].seen.len();
        told.refused += upstreams[0].refused();
    }
}

fn cases(span: &Span, reserves: bool, is_known: bool) -> [Case; 4] {
    let requests = Limits { requests_per_minute: Some(6), ..Limits::default() };
    let tokens = Limits { tokens_per_minute: Some(6_000), ..Limits::default() };
    [
        ("declared requests", requests, false),
        ("declared tokens", tokens, false),
        ("learned requests", Limits::default(), true),
        ("learned tokens", Limits::default(), true),
    ]
    .map(|(name, declared, tells)| {
        let limit = if name.ends_with("tokens") {
            Limit::tokens(6_000, span.clone())
        } else {
            Limit::requests(6, span.clone())
        };
        Case { name, declared, limit, tells, reserves, is_known }
    })
}

#[test]
fn days_of_mixed_languages_meet_no_useless_refusal() {
    for (span, reserves, is_known) in [
        (Span::Bucket, false, false),
        (Span::Bucket, true, false),
        (Span::ClockMinute, false, false),
        (Span::ClockMinute, true, false),
        (Span::Bucket, false, true),
        (Span::Bucket, true, true),
        (Span::ClockMinute, true, true),
    ] {
        for case in cases(&span, reserves, is_known) {
            let mut told = Told::default();
            for seed in 0..3 {
                case.live(seed, &mut told);
            }
            let Told { sent, refused, useless } = told;
            let name = case.name;
            println!(
                "{name}, {span:?}, reserves {reserves}, known {is_known}: {useless} of {sent} useless, {refused} refused"
            );
            assert!(sent > 3_000, "{name} is idle");
            assert!(refused <= useless + 2 * KINDS.len() * 3);
            // Also who charges a named maximum for good and tells nothing is known for it by the
            // first refusal.
            assert_eq!(useless, 0, "{name}, {span:?}: {useless} of {sent}");
        }
    }
}
