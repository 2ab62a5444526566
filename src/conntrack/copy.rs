//! A copy of the table, for who tries out what would become of a packet: nothing that happens to the copy is seen in the original.

use std::collections::HashMap;
use std::sync::Arc;

use super::flow::FlowState;
use super::{Expectation, Flow, Status, Table};
use crate::base::Time;

impl Table {
    /// All that lives, with flows of its own. Masters stay masters of the same flows; numbers and tokens stay what they are.
    pub fn copy(&self, now: Time) -> Self {
        let copy = self.empty_like();
        let mut copier = Copier::default();
        for flow in self.flows(now) {
            let copied = copier.flow(&flow);
            let state = copied.lock();
            if state.status.has(Status::CONFIRMED) && !state.status.has(Status::DYING) {
                // Another flow in the way can't be: the tuples were unique where they come from.
                let _ = copy.insert(&copied, &state);
            }
        }
        self.copy_orphaned(&copy, |token| copier.token(token));
        let expectations = self.with_expectations(|all| all.all(now));
        let expectations = expectations.into_iter().map(|it| Expectation {
            master: copier.flow(&it.master),
            ..Expectation::clone(&it)
        });
        copy.with_expectations(|all| all.fill(expectations.collect()));
        copy
    }
}

/// Which copy stands for which original.
#[derive(Default)]
struct Copier {
    flows: HashMap<*const Flow, Arc<Flow>>,
    tokens: HashMap<*const (), Arc<()>>,
}

impl Copier {
    /// The copy of a flow; that of its master first, and so on up. A helper's flow has a master, a master hardly ever one.
    fn flow(&mut self, flow: &Arc<Flow>) -> Arc<Flow> {
        let mut chain = vec![Arc::clone(flow)];
        let mut made = loop {
            let Some(last) = chain.last() else { break None };
            if let Some(there) = self.flows.get(&Arc::as_ptr(last)) {
                let there = Arc::clone(there);
                chain.pop();
                break Some(there);
            }
            let master = last.lock().master.clone();
            match master {
                Some(master) => chain.push(master),
                None => break None,
            }
        };
        for flow in chain.into_iter().rev() {
            let copied = self.one(&flow, made);
            self.flows.insert(Arc::as_ptr(&flow), Arc::clone(&copied));
            made = Some(copied);
        }
        // The chain held the flow itself, or it was there.
        made.unwrap_or_else(|| Arc::clone(flow))
    }

    fn one(&mut self, flow: &Flow, master: Option<Arc<Flow>>) -> Arc<Flow> {
        let state = flow.lock();
        let copied = FlowState {
            helper_data: state.helper_data.as_ref().map(|data| data.copy()),
            master,
            held_by: state.held_by.as_ref().map(|token| self.token(token)),
            holds: state.holds.as_ref().map(|token| self.token(token)),
            // Packets are numbered anew before the copy.
            opened_by: 0,
            answered_by: 0,
            ..state.plain()
        };
        Arc::new(Flow::new(flow.serial(), (*flow.original(), flow.hash), copied))
    }

    fn token(&mut self, token: &Arc<()>) -> Arc<()> {
        Arc::clone(self.tokens.entry(Arc::as_ptr(token)).or_default())
    }
}
