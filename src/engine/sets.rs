//! Rules that ask sets of addresses and fill them, over sets that are a map behind a lock: what a holder of sets and the router owe each other.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::example::{Example, fate, table};
use super::{Config, Router};
use crate::base::sync::Mutex;
use crate::base::{Family, InterfaceName, Time};
use crate::net::Closed;
use crate::net::example::{LAN, net, udp};
use crate::packet::{End, Packet};
use crate::rule::{Errno, Table, TableRules};
use crate::set::{Adding, AddressSet, AddressSets, Element, NoSets};

/// Addresses, and when each is over.
#[derive(Default)]
struct Addresses(Mutex<HashMap<IpAddr, Time>>);

impl AddressSet for Addresses {
    fn has(&self, element: &Element<'_>, now: Time) -> bool {
        let address = element.address(0);
        address.is_some_and(|it| self.0.lock().get(&it).is_some_and(|over| now < *over))
    }

    fn add(&self, element: &Element<'_>, adding: Adding, now: Time) {
        let over = Time::from_secs(now.as_secs() + u64::from(adding.timeout.unwrap_or(600)));
        if let Some(address) = element.address(0) {
            self.0.lock().insert(address, over);
        }
    }

    fn remove(&self, element: &Element<'_>, _now: Time) {
        if let Some(address) = element.address(0) {
            self.0.lock().remove(&address);
        }
    }
}

#[derive(Clone, Default)]
struct Sets(Arc<Mutex<BTreeMap<String, Arc<Addresses>>>>);

impl Sets {
    fn named(names: &[&str]) -> Self {
        let sets = names.iter().map(|name| ((*name).to_owned(), Arc::default()));
        Self(Arc::new(Mutex::new(sets.collect())))
    }

    fn length(&self, name: &str) -> usize {
        self.0.lock()[name].0.lock().len()
    }

    /// As a command does: refused while a rule has it.
    fn destroy(&self, name: &str) -> Result<(), &'static str> {
        let mut sets = self.0.lock();
        let is_held = sets.get(name).is_some_and(|set| Arc::strong_count(set) > 1);
        if is_held {
            return Err("in use by a kernel component");
        }
        sets.remove(name).map(drop).ok_or("not there")
    }
}

impl AddressSets for Sets {
    fn find(&self, name: &str) -> Option<Arc<dyn AddressSet>> {
        let set = Arc::clone(self.0.lock().get(name)?);
        Some(set)
    }

    fn copy(&self) -> Arc<dyn AddressSets> {
        let sets = self.0.lock();
        let copied = |set: &Arc<Addresses>| Arc::new(Addresses(Mutex::new(set.0.lock().clone())));
        let sets = sets.iter().map(|(name, set)| (name.clone(), copied(set)));
        Arc::new(Self(Arc::new(Mutex::new(sets.collect()))))
    }
}

fn example(sets: &Sets) -> Example {
    let router = Router::new(Config::new(net()), 1, 1, Box::new(Closed)).with_sets(Arc::new(sets.clone()));
    let worker = router.workers().remove(0);
    let now = Time::from_secs(1000);
    Example { router, worker, now }
}

fn packet(last: u8) -> Vec<u8> {
    let source = if last == 2 { "10.0.0.2" } else { "10.0.0.3" };
    udp(source, "198.18.0.9", 8).bytes()
}

fn fate_of(example: &mut Example, last: u8) -> String {
    fate(&example.receive(LAN, &packet(last)).1)
}

/// Who was there is kept out for a minute.
fn knocking() -> TableRules {
    table(Table::Filter, &[("FORWARD", &["in known drop", "ADD known 60"])])
}

#[test]
fn a_target_adds_for_a_while_and_a_match_asks() {
    let sets = Sets::named(&["known"]);
    let mut example = example(&sets);
    example.router.replace(knocking(), example.now).unwrap();
    for (at, last, becomes) in [
        (1000, 2, "Forwarded"),
        (1001, 2, "dropped by rule 1 of filter FORWARD"),
        (1001, 3, "Forwarded"),
        (1059, 2, "dropped by rule 1 of filter FORWARD"),
        (1060, 2, "Forwarded"),
    ] {
        example.now = Time::from_secs(at);
        assert_eq!(fate_of(&mut example, last), becomes, "{last} at {at}");
    }
    let out = table(Table::Filter, &[("FORWARD", &["in known REMOVE known"])]);
    example.router.replace(out, example.now).unwrap();
    assert_eq!(sets.length("known"), 2);
    fate_of(&mut example, 2);
    assert_eq!(sets.length("known"), 1);
}

#[test]
fn a_set_that_is_not_there_refuses_the_table() {
    for (rules, missing) in [
        (&["in known accept", "in lost accept"][..], Some("lost")),
        (&["ADD lost 5"][..], Some("lost")),
        (&["in known REMOVE known"][..], None),
    ] {
        let example = example(&Sets::named(&["known"]));
        let refused = example
            .router
            .replace(table(Table::Filter, &[("FORWARD", rules)]), example.now);
        let refused = refused.err().map(|it| (it.errno, it.reason));
        let expected = missing.map(|name| (Errno::NoEntry, format!("there is no set {name}")));
        assert_eq!(refused, expected, "{rules:?}");
        // All or nothing.
        let in_force = example.router.table(Family::V4, Table::Filter).rules().count();
        assert_eq!(in_force, if missing.is_some() { 0 } else { rules.len() });
    }
    assert!(NoSets.find("known").is_none());
}

#[test]
fn a_set_is_held_while_a_table_names_it() {
    let sets = Sets::named(&["known", "other"]);
    let example = example(&sets);
    example.router.replace(knocking(), example.now).unwrap();
    assert_eq!(sets.destroy("known"), Err("in use by a kernel component"));
    assert_eq!(sets.destroy("other"), Ok(()));
    example.router.replace(table(Table::Filter, &[]), example.now).unwrap();
    example.router.reclaim();
    assert_eq!(sets.destroy("known"), Ok(()));
}

/// What the copy's packets put in, the router does not notice; a table that the copy takes over later finds its sets, too.
#[test]
fn a_copy_has_sets_of_its_own() {
    let sets = Sets::named(&["known"]);
    let mut example = example(&sets);
    example.router.replace(knocking(), example.now).unwrap();
    fate_of(&mut example, 2);
    let mut seen = example.router.seen();
    let router = example.router.copy(example.now, |it| it);
    let worker = router.workers().remove(0);
    let mut copy = Example {
        router,
        worker,
        now: example.now,
    };
    let passes = |copy: &mut Example, last| fate_of(copy, last) == "Forwarded";
    assert_eq!([2, 3, 3].map(|last| passes(&mut copy, last)), [false, true, false]);
    assert_eq!(sets.length("known"), 1);
    sets.0.lock().insert("more".to_owned(), Arc::default());
    let more = table(Table::Filter, &[("FORWARD", &["in more drop", "ADD more 60"])]);
    example.router.replace(more, example.now).unwrap();
    copy.router.keep_up_with(&example.router, &mut seen, copy.now);
    assert_eq!([2, 2].map(|last| passes(&mut copy, last)), [true, false]);
    assert_eq!(sets.length("more"), 0);
}

#[test]
fn parts_of_an_element_come_from_the_ends_that_the_rule_names() {
    let packet = Packet::parse(packet(2)).unwrap();
    let ports = packet.ports().unwrap();
    let name = |it| InterfaceName::new(it).unwrap();
    let element = Element {
        packet: &packet,
        input: name("lan"),
        output: InterfaceName::default(),
        ends: &[End::Source, End::Destination],
    };
    assert_eq!(
        [0, 1, 2].map(|part| element.address(part)),
        [Some([10, 0, 0, 2].into()), Some([198, 18, 0, 9].into()), None]
    );
    assert_eq!(
        [0, 1, 2].map(|part| element.port(part)),
        [Some(ports.0), Some(ports.1), None]
    );
    assert_eq!(
        [0, 1, 2].map(|part| element.interface(part)),
        [Some(name("lan")), None, None]
    );
}
