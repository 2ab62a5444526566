//! What rules share by name: found by those that come, kept by those in force, gone with the last of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::Time;
use crate::rule::{Refusal, Shared, Sharing};

type Key = (&'static str, Arc<str>);

/// By directory and name.
#[derive(Clone, Default)]
pub(super) struct SharedStates(BTreeMap<Key, Arc<dyn Shared>>);

impl SharedStates {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<dyn Shared>)> {
        self.0.iter()
    }

    pub(super) fn find(&self, directory: &str, name: &str) -> Option<Arc<dyn Shared>> {
        let found = self
            .0
            .iter()
            .find(|((of, known), _)| *of == directory && **known == *name);
        found.map(|(_, state)| Arc::clone(state))
    }

    pub(super) fn names(&self) -> BTreeSet<Key> {
        self.0.keys().cloned().collect()
    }
}

impl<'a> FromIterator<(&'a Key, &'a Arc<dyn Shared>)> for SharedStates {
    fn from_iter<I: IntoIterator<Item = (&'a Key, &'a Arc<dyn Shared>)>>(states: I) -> Self {
        let states = states.into_iter();
        Self(states.map(|(key, state)| (key.clone(), Arc::clone(state))).collect())
    }
}

/// A table's rules on their way into force: each joins those that have its name, in force or before it in the table.
pub(super) struct Joining {
    in_force: SharedStates,
    pub joined: SharedStates,
}

impl Joining {
    pub(super) fn beside(in_force: SharedStates) -> Self {
        Self {
            in_force,
            joined: SharedStates::default(),
        }
    }

    pub(super) fn join(&mut self, named: &dyn Sharing, now: Time) -> Result<Arc<dyn Shared>, Refusal> {
        let key: Key = (named.directory(), named.name().into());
        let there = self.joined.0.get(&key).or_else(|| self.in_force.0.get(&key));
        let state = match there {
            Some(state) => {
                named.may_join(state.as_state())?;
                named.join(state.as_state());
                Arc::clone(state)
            }
            None => named.make(now),
        };
        self.joined.0.insert(key, Arc::clone(&state));
        Ok(state)
    }
}

/// Each state that is shared, and its copy for a router's copy.
pub(super) struct SharedCopies(Vec<(Arc<dyn Shared>, Arc<dyn Shared>)>);

impl SharedCopies {
    pub(super) fn of_all(states: &SharedStates) -> Self {
        Self(states.0.values().map(|it| (Arc::clone(it), it.copy())).collect())
    }

    pub(super) fn of(&self, states: &SharedStates) -> SharedStates {
        let states = states.0.iter();
        SharedStates(states.map(|(key, state)| (key.clone(), self.copy_of(state))).collect())
    }

    pub(super) fn copy_of(&self, state: &Arc<dyn Shared>) -> Arc<dyn Shared> {
        let known = self.0.iter().find(|(of, _)| Arc::ptr_eq(of, state));
        known.map_or_else(|| state.copy(), |(_, copy)| Arc::clone(copy))
    }
}
