//! All expectations of a table, found by where their flow goes, by their master, by their deadline and by their number.
//!
//! An expectation's destination counts whole, so what a new flow fulfils and what a new expectation overlaps with stand under one key. The keys are
//! ordered, not hashed: what is in one place is then found oldest first, and nothing depends on a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::{EventKind, Expectation, ExpectationEvent, ExpectationRefused, ExpectationStatistics, Flow, Tuple, Zone};
use crate::base::Time;

#[derive(Debug, Default)]
pub(super) struct Expectations {
    /// In the order of their creation.
    all: BTreeMap<u64, Arc<Expectation>>,
    by_goal: BTreeSet<(Goal, u64)>,
    /// By the number of the master's flow.
    by_master: BTreeSet<(u64, u64)>,
    by_deadline: BTreeSet<(Time, u64)>,
    next_serial: u64,
    pub(super) statistics: ExpectationStatistics,
    /// What happened, for who listens; `None` while nobody does.
    pub(super) told: Option<Vec<ExpectationEvent>>,
}

/// Where a flow goes: protocol, address, port.
type Goal = (u8, IpAddr, u16);

fn goal(tuple: &Tuple) -> Goal {
    (tuple.protocol, tuple.destination.address, tuple.destination.id)
}

impl Expectations {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The expectation that a new flow fulfils, the oldest of several, which is taken away unless it is permanent.
    pub(super) fn take(&mut self, now: Time, tuple: &Tuple, zone: Zone) -> Option<Arc<Expectation>> {
        self.collect(now);
        // Seen: whichever directions the zones count in.
        let is_meant = |it: &&Arc<Expectation>| !it.inactive && it.master.zone().id == zone.id && it.fits(tuple);
        let found = self.towards(tuple).find(is_meant)?;
        let found = Arc::clone(found);
        self.statistics.new += 1;
        if !found.permanent {
            self.remove(found.serial);
        }
        if let Some(other) = &found.together_with {
            self.remove_one(other, zone);
        }
        Some(found)
    }

    /// Takes out what a packet with this tuple would fulfil, the oldest.
    pub(super) fn remove_one(&mut self, tuple: &Tuple, zone: Zone) {
        let is_meant = |it: &&Arc<Expectation>| it.master.zone().id == zone.id && it.fits(tuple);
        let found = self.towards(tuple).find(is_meant).map(|it| it.serial);
        if let Some(serial) = found {
            self.remove(serial);
        }
    }

    /// Adds an expectation. The same one again replaces the old; of a flow that has as many as its helper may have, the oldest goes.
    pub(super) fn add(&mut self, now: Time, new: Expectation, max: u32) -> Result<(), ExpectationRefused> {
        self.collect(now);
        let same = self.towards(&new.tuple).find(|it| it.is_the_same_wish(&new));
        if let Some(serial) = same.map(|it| it.serial) {
            self.remove(serial);
        } else if self.towards(&new.tuple).any(|it| it.overlaps(&new)) {
            return Err(ExpectationRefused::Clash);
        }
        let max_of_class = new.made_by.policy(new.class).max_expected;
        if max_of_class != 0 {
            let mut of_class = self.of(&new.master).filter(|it| it.class == new.class);
            let oldest = of_class.next().map(|it| it.serial);
            let others = of_class.count();
            if let Some(oldest) = oldest.filter(|_| others + 1 >= max_of_class as usize) {
                self.remove(oldest);
            }
        }
        if self.len() >= max as usize {
            return Err(ExpectationRefused::Full);
        }
        let serial = self.next_serial;
        self.enter(Expectation { serial, ..new });
        self.statistics.create += 1;
        if let (Some(told), Some(expectation)) = (&mut self.told, self.all.get(&serial)) {
            told.push(ExpectationEvent {
                kind: EventKind::New,
                expectation: Arc::clone(expectation),
            });
        }
        Ok(())
    }

    /// Takes over what stood in another list.
    pub(super) fn fill(&mut self, list: Vec<Expectation>) {
        *self = Self::default();
        for expectation in list {
            self.enter(expectation);
        }
    }

    pub(super) fn all(&mut self, now: Time) -> Vec<Arc<Expectation>> {
        self.collect(now);
        self.all.values().cloned().collect()
    }

    /// Takes out what is meant of those that a flow announced.
    pub(super) fn remove_of(&mut self, master: &Flow, is_meant: impl Fn(&Expectation) -> bool) {
        let meant = self.of(master).filter(|it| is_meant(it));
        let serials: Vec<u64> = meant.map(|it| it.serial).collect();
        for serial in serials {
            self.remove(serial);
        }
    }

    pub(super) fn remove(&mut self, serial: u64) {
        if let Some(gone) = self.all.remove(&serial) {
            self.statistics.delete += 1;
            if let Some(told) = &mut self.told {
                told.push(ExpectationEvent {
                    kind: EventKind::Destroy,
                    expectation: Arc::clone(&gone),
                });
            }
            self.by_goal.remove(&(goal(&gone.tuple), serial));
            self.by_master.remove(&(gone.master.serial(), serial));
            self.by_deadline.remove(&(gone.deadline, serial));
        }
    }

    pub(super) fn clear(&mut self) {
        while let Some((&serial, _)) = self.all.first_key_value() {
            self.remove(serial);
        }
    }

    /// The one that a flow with this tuple would fulfil, were it active.
    pub(super) fn find(&mut self, now: Time, tuple: &Tuple, zone: u16) -> Option<Arc<Expectation>> {
        self.collect(now);
        let found = self
            .towards(tuple)
            .find(|it| it.master.zone().id == zone && it.fits(tuple));
        found.cloned()
    }

    /// Whether somebody else announced the very same, or the same flow as something else.
    pub(super) fn is_there(&mut self, now: Time, new: &Expectation) -> bool {
        self.collect(now);
        let mut there = self.towards(&new.tuple);
        there.any(|it| it.is_of_the_same(new) && !it.is_the_same_wish(new))
    }

    pub(super) fn all_of(&mut self, now: Time, master: &Flow) -> Vec<Arc<Expectation>> {
        self.collect(now);
        self.of(master).cloned().collect()
    }

    pub(super) fn confirm(&mut self, serial: u64, deadline: Time) -> bool {
        let Some(expectation) = self.all.get_mut(&serial) else {
            return false;
        };
        let confirmed = Expectation {
            inactive: false,
            deadline,
            ..(**expectation).clone()
        };
        self.by_deadline.remove(&(expectation.deadline, serial));
        self.by_deadline.insert((deadline, serial));
        *expectation = Arc::new(confirmed);
        true
    }

    /// Takes out those whose time is over.
    pub(super) fn collect(&mut self, now: Time) {
        while let Some(&(deadline, serial)) = self.by_deadline.first()
            && deadline <= now
        {
            self.remove(serial);
        }
    }

    fn enter(&mut self, expectation: Expectation) {
        let serial = expectation.serial;
        self.by_goal.insert((goal(&expectation.tuple), serial));
        self.by_master.insert((expectation.master.serial(), serial));
        self.by_deadline.insert((expectation.deadline, serial));
        self.all.insert(serial, Arc::new(expectation));
        self.next_serial = serial + 1;
    }

    /// Those of flows that go where this tuple goes, the oldest first.
    fn towards(&self, tuple: &Tuple) -> impl Iterator<Item = &Arc<Expectation>> {
        let goal = goal(tuple);
        let there = self.by_goal.range((goal, 0)..=(goal, u64::MAX));
        there.filter_map(|(_, serial)| self.all.get(serial))
    }

    /// Those that a flow's helper announced, the oldest first.
    fn of(&self, master: &Flow) -> impl Iterator<Item = &Arc<Expectation>> {
        let master = master.serial();
        let announced = self.by_master.range((master, 0)..=(master, u64::MAX));
        announced.filter_map(|(_, serial)| self.all.get(serial))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::Random;
    use crate::conntrack::testing::{A, B, Bench, address, udp};
    use crate::conntrack::{ConntrackHelper, Endpoint, ExpectPolicy, ExpectationMask};

    static HELPER: ConntrackHelper = ConntrackHelper {
        name: "test",
        families: &[],
        protocol: 6,
        ports: &[],
        policies: &[ExpectPolicy {
            name: "",
            max_expected: 2,
            timeout: Duration::ZERO,
        }],
    };

    /// What the indices find is what a look through all would find, whatever comes and goes.
    #[test]
    fn found_as_a_look_through_all_would_find() {
        let mut random = Random::new(5);
        let bench = Bench::new();
        let masters: Vec<Arc<Flow>> = (1..4)
            .map(|port| {
                let (_, tracking) = bench.pass(udp((A, port), (B, 53))).unwrap();
                tracking.flow.unwrap()
            })
            .collect();
        let mut all = Expectations::default();
        let mut refused = 0;
        let mut taken = 0;
        for second in 0..4000 {
            let now = Time::from_secs(second);
            let mut draw = |below: u32| random.below(below);
            let tuple = Tuple {
                source: Endpoint {
                    address: address([10, 0, 0, draw(2) as u8]),
                    id: draw(2) as u16,
                },
                destination: Endpoint {
                    address: address(B),
                    id: draw(4) as u16,
                },
                protocol: 6 + 11 * draw(2) as u8,
            };
            let new = Expectation {
                serial: 0,
                tuple,
                mask: ExpectationMask {
                    address: address([255; 4]),
                    id: [0, u16::MAX][draw(2) as usize],
                },
                master: Arc::clone(&masters[draw(3) as usize]),
                class: draw(2) as usize,
                permanent: draw(8) == 0,
                inactive: draw(8) == 0,
                deadline: now + Duration::from_secs(1 + u64::from(draw(20))),
                made_by: &HELPER,
                helper: None,
                nat: None,
                together_with: None,
            };
            let act = draw(4);
            let mut before = all.all(now);
            match act {
                0 => {
                    let expected = before.iter().find(|it| !it.inactive && it.fits(&tuple)).cloned();
                    let found = all.take(now, &tuple, Zone::default());
                    assert_eq!(
                        found.as_ref().map(|it| it.serial),
                        expected.as_ref().map(|it| it.serial)
                    );
                    taken += u32::from(found.is_some());
                    before.retain(|it| it.permanent || expected.as_ref().is_none_or(|gone| gone.serial != it.serial));
                }
                1 if draw(8) == 0 => {
                    all.remove_of(&new.master, |_| true);
                    before.retain(|it| !Arc::ptr_eq(&it.master, &new.master));
                }
                _ => {
                    let result = all.add(now, new.clone(), 9);
                    let of_class =
                        |it: &&Arc<Expectation>| Arc::ptr_eq(&it.master, &new.master) && it.class == new.class;
                    if let Some(at) = before.iter().position(|it| it.is_the_same_wish(&new)) {
                        before.remove(at);
                    } else if before.iter().any(|it| it.overlaps(&new)) {
                        assert_eq!(result, Err(ExpectationRefused::Clash));
                        refused += 1;
                        continue;
                    }
                    if before.iter().filter(of_class).count() >= 2 {
                        let oldest = before.iter().position(|it| of_class(&it)).unwrap();
                        before.remove(oldest);
                    }
                    if before.len() >= 9 {
                        assert_eq!(result, Err(ExpectationRefused::Full));
                        refused += 1;
                    } else {
                        assert_eq!(result, Ok(()));
                        let last = all.all(now).pop().unwrap();
                        assert_eq!((last.tuple, last.class), (new.tuple, new.class));
                        before.push(last);
                    }
                }
            }
            let serials = |list: &[Arc<Expectation>]| list.iter().map(|it| it.serial).collect::<Vec<_>>();
            assert_eq!(serials(&all.all(now)), serials(&before), "after {second} steps");
            assert_eq!(all.by_goal.len(), all.len());
            assert_eq!(all.by_master.len(), all.len());
            assert_eq!(all.by_deadline.len(), all.len());
        }
        assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
    }
}
