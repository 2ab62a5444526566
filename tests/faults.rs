//! The list of deliberate faults that `tests/twin/sensitivity` puts in: it fits the code as it is now, so that it cannot rot unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    fault: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    name: String,
    why: String,
    file: String,
    find: String,
    put: String,
}

#[test]
fn there_are_enough_faults_in_every_room_that_packets_and_rules_pass() {
    let faults = read();
    assert!(faults.len() >= AT_LEAST, "only {} faults", faults.len());
    let mut of_room = BTreeMap::from(ROOMS.map(|room| (room, 0)));
    for fault in &faults {
        let room = fault.file.split('/').nth(1).unwrap_or_default();
        let count = of_room.get_mut(room);
        *count.unwrap_or_else(|| panic!("{}: no packet or rule passes {}", fault.name, fault.file)) += 1;
    }
    for (room, count) in of_room {
        assert_ne!(count, 0, "no fault in src/{room}");
    }
}

/// An extension without a fault is one whose proof nobody has tried.
#[test]
fn every_match_and_target_has_a_fault() {
    let faults = read();
    // Their faults stand in what they share with others.
    let elsewhere = BTreeMap::from([("dnat", "nat_range"), ("snat", "nat_range"), ("notrack", "ct")]);
    for folder in ["src/ext/matches", "src/ext/targets"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let (Some("rs"), Some(name)) = (
                path.extension().and_then(|it| it.to_str()),
                path.file_stem().and_then(|it| it.to_str()),
            ) else {
                continue;
            };
            let file = format!("{folder}/{}.rs", elsewhere.get(name).unwrap_or(&name));
            let found = name == "mod" || faults.iter().any(|fault| fault.file == file);
            assert!(found, "no fault in {file}");
        }
    }
}

#[test]
fn every_fault_fits_the_code() {
    let mut names = BTreeSet::new();
    for fault in read() {
        let Fault {
            name,
            why,
            file,
            find,
            put,
        } = fault;
        assert!(
            !name.is_empty() && name.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'-')),
            "{name:?} is no name: small letters, digits and hyphens"
        );
        assert!(!why.is_empty(), "{name}: why is it bad?");
        assert_ne!(find, put, "{name} changes nothing");
        let text =
            std::fs::read_to_string(root().join(&file)).unwrap_or_else(|error| panic!("{name}: {file}: {error}"));
        let places: Vec<_> = text.match_indices(&find).collect();
        assert_eq!(places.len(), 1, "{name}: {file} must have this once:\n{find}");
        let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        assert!(
            places[0].0 < tests,
            "{name}: it is the tests of {file} that would change"
        );
        assert!(names.insert(name.clone()), "{name} is there twice");
    }
}

/// What was promised.
const AT_LEAST: usize = 30;

const ROOMS: [&str; 11] = [
    "base",
    "wire",
    "packet",
    "net",
    "conntrack",
    "nat",
    "helper",
    "rule",
    "ext",
    "text",
    "engine",
];

fn read() -> Vec<Fault> {
    let text = std::fs::read_to_string(root().join("tests/twin/faults.toml")).unwrap();
    let list: List = toml::from_str(&text).unwrap_or_else(|error| panic!("tests/twin/faults.toml: {error}"));
    list.fault
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
