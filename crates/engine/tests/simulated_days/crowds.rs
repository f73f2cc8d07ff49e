//! Requests in parallel that meet a budget which comes back bit by bit.

use engine::{Availability, Fault, FaultKind, Needs, Origin, Remedy, Scope};

use super::common::{Dice, MINUTE, NOON, SECOND, Said, World, at, plain};
use super::upstream::{Limit, Span, Upstream};

/// What a request waits for next.
enum Pending {
    /// It reaches the provider.
    Arrives,
    /// Its reply, with what the provider said is left.
    Returns(bool, Vec<engine::Budget>),
}

/// How long after the truth the first deployment is said to be back, in milliseconds, after so
/// many requests at once met a bucket of `limit` of which `left` are left.
fn excess(crowd: usize, limit: u64, left: u64, dice: &mut Dice) -> i64 {
    let mut world = World::new(plain(2));
    let mut upstream = Upstream::limited(vec![Limit::requests(limit, Span::Bucket)], false);
    for _ in left..limit {
        upstream.ask(world.now, 1).unwrap();
    }
    let mut pending = Vec::new();
    for _ in 0..crowd {
        world.now = at(NOON + dice.below(20) as i64);
        let journey = world.begin(Needs::default(), 300 * SECOND);
        let Said::Try { door, .. } = world.next(journey) else { panic!("nobody is open") };
        if door.starts_with("p0") {
            pending.push((NOON + 20 + dice.below(200) as i64, journey, Pending::Arrives));
        }
    }
    while let Some(next) = (0..pending.len()).min_by_key(|&index| pending[index].0) {
        let (now, journey, step) = pending.swap_remove(next);
        world.now = at(now);
        match step {
            Pending::Arrives => {
                let taken = upstream.ask(world.now, 1).is_ok();
                let told = upstream.told(world.now);
                let later = now + 300 + dice.below(500) as i64;
                pending.push((later, journey, Pending::Returns(taken, told)));
            }
            Pending::Returns(taken, budgets) => {
                world.tell(journey, &budgets);
                if taken {
                    world.succeed(journey, None);
                } else {
                    let next = budgets[0].next_at.unwrap();
                    let fault = Fault::new(FaultKind::RateLimited, Scope::Deployment, "");
                    world.fail(journey, fault.until(next, Origin::Computed), Remedy::None);
                }
            }
        }
    }
    let truth = upstream.spent_until(world.now.as_millis(), 1).unwrap_or(world.now.as_millis());
    match world.availability(0) {
        Availability::Closed(closed) => closed.until.unwrap().as_millis() - truth,
        Availability::Open | Availability::HalfOpen => 0,
    }
}

#[test]
fn a_crowd_that_is_refused_waits_no_longer_than_one() {
    let mut dice = Dice(7);
    for limit in [1, 3, 5, 60] {
        for crowd in [1, 2, 10, 20, 50] {
            for left in [0, 1, limit / 2, limit] {
                for _ in 0..5 {
                    let slot = MINUTE / limit as i64;
                    let excess = excess(crowd, limit, left, &mut dice);
                    assert!(
                        excess <= slot + SECOND,
                        "{crowd} at once met {left} of {limit}: {excess} ms too long"
                    );
                }
            }
        }
    }
}

/// What became of a crowd that met one provider alone.
#[derive(Debug, Default)]
struct Told {
    served: usize,
    useless: usize,
    /// How long those who were turned away had waited, in milliseconds.
    waits: Vec<i64>,
}

/// A crowd meets a bucket of 20 in a minute, of which nothing is left; it says when to come back
/// and no more. Replies take so long, in milliseconds.
fn alone(crowd: usize, takes: i64) -> Told {
    let mut world = World::new(plain(1));
    let mut upstream = Upstream::limited(vec![Limit::requests(20, Span::Bucket)], true);
    for _ in 0..20 {
        upstream.ask(world.now, 1).unwrap();
    }
    let mut told = Told::default();
    // When each is to be asked what it does next, or is answered.
    let mut turns: Vec<_> = (0..crowd).map(|_| (NOON, world.request(), None)).collect();
    while let Some(next) = (0..turns.len()).min_by_key(|&index| (turns[index].0, turns[index].1)) {
        let (now, journey, reply) = turns.swap_remove(next);
        world.now = at(now);
        let is_news = reply.is_some();
        match reply {
            Some(Ok(())) => {
                told.served += 1;
                world.succeed(journey, None);
            }
            Some(Err(fault)) => {
                told.useless += 1;
                world.fail(journey, fault, Remedy::Repeat);
                turns.push((now, journey, None));
            }
            None => match world.next(journey) {
                Said::Try { .. } => {
                    let reply = upstream.ask(world.now, 1);
                    turns.push((now + takes, journey, Some(reply)));
                    continue;
                }
                Said::Wait(then) => turns.push((then, journey, None)),
                Said::Refuse(..) => told.waits.push(now - NOON),
            },
        }
        if is_news {
            // There is news for all who wait.
            turns.iter_mut().filter(|(.., reply)| reply.is_none()).for_each(|turn| turn.0 = now);
        }
    }
    told
}

#[test]
fn a_crowd_before_one_provider_waits_its_turn_and_asks_seldom() {
    for takes in [20, 300, 900] {
        let told = alone(20, takes);
        assert_eq!(told.served + told.waits.len(), 20);
        assert!(told.served >= 3, "{takes}: {told:?}");
        assert!(told.useless <= 20 + 8, "{takes}: {told:?}");
        let patient = told.waits.iter().all(|wait| *wait >= 7 * SECOND);
        assert!(patient, "{takes}: {told:?}");
    }
}
