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
