//! The engine and a naive model of the contract say the same on every random history.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail loudly"
)]

mod common;
#[path = "reference/model.rs"]
mod model;
#[path = "reference/rules.rs"]
mod rules;

use common::World;
use common::history::{self, Action, Outcome};
use engine::{Fault, Origin, Patience, ProviderSpec, Verdict};
use model::Model;
use proptest::prelude::*;
use rules::Goes;

const NAMES: [&str; 4] = ["p", "q", "r", "s"];

/// Both of them.
struct Pair {
    world: World,
    model: Model,
}

impl Pair {
    fn new(providers: Vec<ProviderSpec>, patience: Patience) -> Self {
        let mut world = World::new(providers.clone());
        world.patience = patience;
        let mut model = Model::default();
        (model.now, model.patience) = (world.now.as_millis(), patience);
        model.load(providers);
        Self { world, model }
    }

    fn act(&mut self, action: Action) -> Result<(), TestCaseError> {
        match action {
            Action::Pass(span) => {
                self.world.pass(span);
                self.model.now += span;
            }
            Action::Begin(needs, deadline) => {
                self.world.begin(needs, deadline);
                self.model.begin(needs, deadline);
            }
            Action::Next(which) => {
                let waiting = self.world.active(false);
                if !waiting.is_empty() {
                    let journey = waiting[which % waiting.len()];
                    prop_assert_eq!(self.world.next(journey), self.model.next(journey));
                }
            }
            Action::Settle(which, outcome) => {
                let leased = self.world.active(true);
                if !leased.is_empty() {
                    self.settle(leased[which % leased.len()], outcome)?;
                }
            }
            Action::Switch(which, off) => {
                self.world.ledger.set_disabled(NAMES[which], off);
                self.model.switch(NAMES[which], off);
            }
            Action::Reset(which) => {
                self.world.ledger.reset(Some(NAMES[which]));
                self.model.reset(NAMES[which]);
            }
            Action::Reload(providers) => {
                self.world.reload(providers.clone());
                self.model.load(providers);
            }
        }
        Ok(())
    }

    fn settle(&mut self, journey: usize, outcome: Outcome) -> Result<(), TestCaseError> {
        match outcome {
            Outcome::Answer(tokens, left) => {
                if let Some((left, wait)) = left {
                    let next_at = self.world.now.after(common::millis(wait));
                    self.world.learn(journey, left, next_at);
                }
                self.world.succeed(journey, tokens);
                self.model.answer(journey, tokens, left);
            }
            Outcome::Abandon => {
                self.world.abandon(journey);
                self.model.abandon(journey);
            }
            Outcome::Fault(kind, scope, wait, remedy) => {
                let over = wait.map(|wait| self.model.now.saturating_add(wait));
                let mut fault = Fault::new(kind, scope.clone(), "");
                if let Some(over) = over {
                    fault = fault.until(common::at(over), Origin::Stated);
                }
                let goes = match self.world.fail(journey, fault, remedy) {
                    Verdict::Rotate => Goes::Next,
                    Verdict::Repair => Goes::Mend,
                    Verdict::Return => Goes::Back,
                };
                prop_assert_eq!(goes, self.model.fail(journey, kind, &scope, over, remedy));
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(history::cases(400))]

    #[test]
    fn the_engine_and_the_naive_model_agree(
        providers in history::providers(),
        patience in history::patience(),
        actions in proptest::collection::vec(history::action(), 1..160),
    ) {
        let mut pair = Pair::new(providers, patience);
        for action in actions {
            pair.act(action)?;
        }
    }
}
