//! A store as simple as can be, and worlds that are stopped and started again over it.

use std::collections::BTreeMap;
use std::rc::Rc;

use engine::{
    DayStart, Kept, KeptIdentity, Ledger, Needs, ProviderSpec, Registry, RegistrySpec, Timestamp,
};

use super::common::World;

/// What is kept, as text by four words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shelf(pub(crate) BTreeMap<[String; 4], String>);

impl Shelf {
    pub(crate) fn put(&mut self, kept: Vec<Kept>) {
        for Kept { identity, value } in kept {
            let words = identity.words().map(str::to_owned);
            match value {
                Some(value) => {
                    self.0.insert(words, serde_json::to_string(&value).unwrap());
                }
                None => assert!(self.0.remove(&words).is_some(), "{words:?} was never there"),
            }
        }
    }

    pub(crate) fn all(&self) -> Vec<Kept> {
        let rows = self.0.iter();
        rows.map(|(words, text)| Kept {
            identity: KeptIdentity::from_words(words.each_ref().map(String::as_str)).unwrap(),
            value: Some(serde_json::from_str(text).unwrap()),
        })
        .collect()
    }

    /// All but the day, which a new ledger knows of itself.
    pub(crate) fn without_day(&self) -> Self {
        let rows = self.0.iter().filter(|(words, _)| words[0] != "today");
        Self(rows.map(|(words, text)| (words.clone(), text.clone())).collect())
    }
}

/// A world that knows what is kept, if anything is.
pub(crate) fn start(
    providers: &[ProviderSpec],
    day: DayStart,
    kept: Vec<Kept>,
    now: Timestamp,
) -> World {
    let mut ledger = Ledger::new(day, now);
    ledger.restore(kept, now);
    let spec = RegistrySpec { providers: providers.to_vec(), chains: Vec::new() };
    let registry = Rc::new(Registry::build(spec, &mut ledger));
    let mut world = World::new(Vec::new());
    (world.ledger, world.registry, world.now) = (ledger, registry, now);
    world
}

/// All that can be seen of a world, and what is open to requests of several sizes.
pub(crate) fn seen(world: &mut World) -> String {
    let needs = Needs::default();
    let views = engine::view(&world.registry, &mut world.ledger, &needs, world.now);
    let (registry, ledger) = (&world.registry, &world.ledger);
    let open = registry.deployments().iter().flat_map(|deployment| {
        [500, 1_400].map(|tokens| {
            let needs = Needs { tokens, ..Needs::default() };
            engine::availability(registry, ledger, deployment, &needs, world.now)
        })
    });
    format!("{} {views:?} {:?}", ledger.today(), open.collect::<Vec<_>>())
}
