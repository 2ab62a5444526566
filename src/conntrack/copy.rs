//! A copy of the table, for who tries out what would become of a packet: nothing that happens to the copy is seen in the original.

use std::collections::HashMap;
use std::sync::Arc;

use super::keys::KeysOfMaster;
use super::orphan::Token;
use super::{Expectation, Flow, Status, Table};
use crate::base::Time;

impl Table {
    /// All that lives, with flows of its own. Masters stay masters of the same flows; numbers and tokens stay what they are.
    pub fn copy(&self, now: Time) -> Self {
        let copy = self.empty_like();
        let mut copier = Copier {
            from: self,
            into: &copy,
            flows: HashMap::new(),
            tokens: HashMap::new(),
        };
        let mut beside = Vec::new();
        for flow in self.living_flows(now) {
            let copied = copier.flow(&flow);
            let state = copied.lock();
            if state.status.has(Status::CONFIRMED) && !state.status.has(Status::DYING) {
                match state.status.has(Status::CLASHES) {
                    true => beside.push(Arc::clone(&copied)),
                    // Another flow in the way can't be: the tuples were unique where they come from.
                    false => drop(copy.insert(&copied, &state)),
                }
            }
        }
        for flow in beside {
            // Where the one beside which it stood has gone, nobody would miss it.
            let _ = copy.insert_beside(&flow, &flow.lock());
        }
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
struct Copier<'a> {
    from: &'a Table,
    into: &'a Table,
    flows: HashMap<*const Flow, Arc<Flow>>,
    tokens: HashMap<*const Token, Arc<Token>>,
}

impl Copier<'_> {
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
            let master = last.lock().master().cloned();
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
        let mut copied = state.plain();
        // Packets are numbered anew before the copy.
        (copied.opened_by, copied.answered_by) = (0, 0);
        if let (Some(rare), Some(copy)) = (&state.rare, &mut copied.rare) {
            copy.helper_data = rare.helper_data.as_ref().map(|data| data.copy());
            copy.master = master;
            copy.held_by = rare.held_by.as_ref().map(|token| self.token(token));
            copy.holds = rare.holds.as_ref().map(|token| self.token(token));
            copy.keys = rare.keys.as_ref().map(|of| KeysOfMaster {
                keys: Arc::clone(&self.into.keys),
                master: of.master,
            });
        }
        Arc::new(flow.copied(copied))
    }

    fn token(&mut self, token: &Arc<Token>) -> Arc<Token> {
        let copied = self.one_token(token);
        let (mut token, mut copy) = (token, Arc::clone(&copied));
        while let Some(kept) = token.keeps.get() {
            let copy_of_kept = self.one_token(kept);
            if copy.keeps.set(Arc::clone(&copy_of_kept)).is_err() {
                // It was there, and all that follows.
                break;
            }
            (token, copy) = (kept, copy_of_kept);
        }
        copied
    }

    fn one_token(&mut self, token: &Arc<Token>) -> Arc<Token> {
        let copied = Arc::clone(self.tokens.entry(Arc::as_ptr(token)).or_default());
        if let (Some(orphan), None) = (token.orphan(), copied.orphan()) {
            self.into.adopt(orphan, self.from, &copied);
        }
        copied
    }
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::time::Duration;

    use super::*;
    use crate::conntrack::flow::HelperData;
    use crate::conntrack::testing::{A, B, Bench, announced, tcp, udp};
    use crate::wire::tcp::flags::SYN;

    #[derive(Debug, PartialEq)]
    struct Remembered(u8);

    impl HelperData for Remembered {
        fn copy(&self) -> Box<dyn HelperData> {
            Box::new(Self(self.0))
        }
    }

    fn wish(bench: &Bench, master: &Arc<Flow>, port: u16) -> Expectation {
        announced(bench, master, B, (A, port))
    }

    fn serials(table: &Table, now: Time) -> (Vec<u64>, Vec<u64>) {
        let flows = table.flows(now).iter().map(|it| it.serial()).collect();
        (flows, table.expectations(now).iter().map(|it| it.serial).collect())
    }

    /// Flows, what they announced and who remembers whom are there again, apart from the original.
    #[test]
    fn a_copy_has_all_that_lives_and_goes_its_own_way() {
        let mut bench = Bench::new();
        bench.pass_all([udp((A, 1), (B, 53)), udp((A, 2), (B, 53))]);
        let (_, tracking) = bench.pass(tcp((A, 3), (B, 21), (1, 0), SYN)).unwrap();
        let master = tracking.flow.unwrap();
        for port in [1025, 1026] {
            bench.table.expect(bench.now, wish(&bench, &master, port), 9).unwrap();
        }
        bench.pass_all([tcp((B, 20), (A, 1025), (1, 0), SYN)]);
        assert_eq!(master.lock().uses(), 1);
        {
            let mut state = master.lock();
            *state.helper_data_mut() = Some(Box::new(Remembered(7)));
            (state.opened_by, state.answered_by) = (3, 4);
        }
        let before = serials(&bench.table, bench.now);
        assert_eq!((before.0.len(), &before.1[..]), (4, &[1][..]));

        let copy = bench.table.copy(bench.now);
        assert_eq!(serials(&copy, bench.now), before);
        assert_eq!(copy.count(), 4);
        let (copied, _) = copy.lookup(bench.now, &master.original()).unwrap();
        assert!(!Arc::ptr_eq(&copied, &master));
        assert_eq!(copied.lock().uses(), 1);
        assert!(Arc::ptr_eq(&copy.expectations(bench.now)[0].master, &copied));
        {
            let state = copied.lock();
            let data: &dyn Any = state.helper_data().unwrap();
            assert_eq!(data.downcast_ref(), Some(&Remembered(7)));
            // Packets are numbered anew before the copy.
            assert_eq!((state.opened_by, state.answered_by), (0, 0));
        }
        let expected = copy.flows(bench.now).pop().unwrap();
        assert!(Arc::ptr_eq(expected.lock().master().unwrap(), &copied));
        // What comes next has the same number in both.
        copy.expect(bench.now, wish(&bench, &copied, 1027), 9).unwrap();
        bench.table.expect(bench.now, wish(&bench, &master, 1027), 9).unwrap();
        assert_eq!(serials(&copy, bench.now), serials(&bench.table, bench.now));
        // And what ends in the copy goes on in the original.
        copy.delete(&expected);
        assert_eq!((copied.lock().uses(), master.lock().uses()), (0, 1));
        copy.flush();
        assert_eq!((copy.count(), bench.table.count()), (0, 4));
        assert_eq!(serials(&copy, bench.now), (vec![], vec![]));
        // Dead flows are not taken along, but as what they are to those that remember them.
        bench.table.delete(&master);
        bench.now = bench.now + Duration::from_secs(31);
        let copy = bench.table.copy(bench.now);
        assert_eq!((copy.flows(bench.now).len(), copy.count()), (1, 2));
    }
}
