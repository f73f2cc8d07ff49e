//! Things that are found by identity, never move, and remember that they were changed.

use std::collections::HashMap;

use crate::kept::KeptIdentity;

/// All things of one kind. There is no way to change one without its being marked.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: Vec<Row<T>>,
    index: HashMap<KeptIdentity, usize>,
    /// The rows that are marked; has room for all, so that marking never allocates.
    marked: Vec<usize>,
}

#[derive(Debug)]
struct Row<T> {
    identity: KeptIdentity,
    value: T,
    is_marked: bool,
    /// Whether the present configuration has it; what it has not is not kept.
    is_wanted: bool,
    /// Whether a store may hold something of it.
    is_stored: bool,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), index: HashMap::new(), marked: Vec::new() }
    }
}

impl<T: Default> Table<T> {
    /// The place of the thing with this identity, which is made if there is none yet.
    pub(crate) fn slot(&mut self, identity: KeptIdentity) -> usize {
        if let Some(&slot) = self.index.get(&identity) {
            if !self.rows[slot].is_wanted {
                self.rows[slot].is_wanted = true;
                self.mark(slot);
            }
            return slot;
        }
        self.push(identity, T::default(), false)
    }

    /// Puts back a thing of an earlier run, which `differs` from what the store holds or not.
    pub(crate) fn restore(&mut self, identity: KeptIdentity, value: T, differs: bool) {
        let slot = match self.index.get(&identity) {
            Some(&slot) => {
                self.rows[slot].value = value;
                self.rows[slot].is_stored = true;
                slot
            }
            None => self.push(identity, value, true),
        };
        if differs {
            self.mark(slot);
        }
    }

    fn push(&mut self, identity: KeptIdentity, value: T, is_stored: bool) -> usize {
        let slot = self.rows.len();
        self.index.insert(identity.clone(), slot);
        self.rows.push(Row { identity, value, is_marked: false, is_wanted: true, is_stored });
        self.marked.reserve(self.rows.len() - self.marked.len());
        slot
    }
}

impl<T> Table<T> {
    fn mark(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.rows[slot].is_marked, true) {
            self.marked.push(slot);
        }
    }

    pub(crate) fn get(&self, slot: usize) -> &T {
        &self.rows[slot].value
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> &mut T {
        self.mark(slot);
        &mut self.rows[slot].value
    }

    pub(crate) fn identity(&self, slot: usize) -> &KeptIdentity {
        &self.rows[slot].identity
    }

    pub(crate) fn find_mut(&mut self, identity: &KeptIdentity) -> Option<&mut T> {
        let slot = *self.index.get(identity)?;
        Some(self.get_mut(slot))
    }

    /// Changes all things that `concerns` picks. Returns whether there was any.
    pub(crate) fn change(
        &mut self,
        concerns: impl Fn(&KeptIdentity, &T) -> bool,
        mut change: impl FnMut(&mut T),
    ) -> bool {
        let mut found = false;
        for slot in 0..self.rows.len() {
            let row = &self.rows[slot];
            if concerns(&row.identity, &row.value) {
                change(self.get_mut(slot));
                found = true;
            }
        }
        found
    }

    /// Says which things the configuration has; calls `leave` on each that it has not.
    pub(crate) fn keep_only(&mut self, wanted: &[bool], mut leave: impl FnMut(&mut T)) {
        for (slot, &is_wanted) in wanted.iter().enumerate() {
            if !is_wanted {
                self.rows[slot].is_wanted = false;
                leave(self.get_mut(slot));
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) const fn is_changed(&self) -> bool {
        !self.marked.is_empty()
    }

    /// Reports each marked thing that is in the store or belongs there, as `keep` makes it, and
    /// takes the marks away.
    pub(crate) fn take_changes<V>(
        &mut self,
        keep: impl Fn(&T) -> Option<V>,
        mut report: impl FnMut(&KeptIdentity, Option<V>),
    ) {
        for slot in self.marked.drain(..) {
            let row = &mut self.rows[slot];
            row.is_marked = false;
            let value = if row.is_wanted { keep(&row.value) } else { None };
            let was_stored = std::mem::replace(&mut row.is_stored, value.is_some());
            if was_stored || row.is_stored {
                report(&row.identity, value);
            }
        }
    }

    /// The things that the configuration has.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (&KeptIdentity, &T)> {
        self.rows.iter().filter(|row| row.is_wanted).map(|row| (&row.identity, &row.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::KeptKind;

    fn taken(table: &mut Table<u32>) -> Vec<Option<u32>> {
        let mut taken = Vec::new();
        table.take_changes(|n| (*n > 0).then_some(*n), |_, value| taken.push(value));
        taken
    }

    #[test]
    fn only_what_changed_is_reported_and_once() {
        let mut table = Table::default();
        let slot = |table: &mut Table<u32>, name| {
            table.slot(KeptIdentity::new(KeptKind::Key, name, "", ""))
        };
        let (one, two) = (slot(&mut table, "a"), slot(&mut table, "b"));
        assert!(!table.is_changed());
        *table.get_mut(two) = 7;
        *table.get_mut(two) = 8;
        *table.get_mut(one) = 0;
        assert_eq!(taken(&mut table), [Some(8)], "what was never stored is not deleted");
        assert!(!table.is_changed());
        *table.get_mut(two) = 0;
        assert_eq!(taken(&mut table), [None]);
        *table.get_mut(two) = 0;
        assert_eq!(taken(&mut table), []);
    }

    #[test]
    fn what_the_configuration_has_no_longer_is_forgotten_and_comes_back() {
        let mut table = Table::default();
        let identity = KeptIdentity::new(KeptKind::Use, "a", "", "");
        table.restore(identity.clone(), 5_u32, false);
        assert!(!table.is_changed());
        table.keep_only(&[false], |_| ());
        assert_eq!(taken(&mut table), [None]);
        assert_eq!(table.wanted().count(), 0);
        let slot = table.slot(identity);
        assert_eq!((slot, *table.get(slot)), (0, 5));
        assert_eq!(taken(&mut table), [Some(5)]);
    }
}
