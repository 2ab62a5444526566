//! The list of deliberate faults that `tests/twin/sensitivity` puts in: it fits the code as it is now, so that it cannot rot unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nflab::ext::{MATCHES, TARGETS};
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
    test: Option<String>,
}

#[test]
fn there_are_enough_faults_in_every_room_that_packets_and_rules_pass() {
    let faults = read();
    assert!(faults.len() >= AT_LEAST, "only {} faults", faults.len());
    let mut of_room = BTreeMap::from(ROOMS.map(|room| (room, 0)));
    for fault in faults.iter().filter(|fault| fault.test.is_none()) {
        let room = fault.file.split('/').nth(1).unwrap_or_default();
        let count = of_room.get_mut(room);
        *count.unwrap_or_else(|| panic!("{}: no packet, rule or command passes {}", fault.name, fault.file)) += 1;
    }
    for (room, count) in of_room {
        assert_ne!(count, 0, "no fault in src/{room}");
    }
}

/// An extension without a fault is one whose proof nobody has tried. Where none is written for it, nor for what it shares with others, the tool
/// has it do nothing: for that it needs the line where it is asked.
#[test]
fn every_match_and_target_has_a_fault() {
    let faults = read();
    let mut specs = 0;
    for (folder, line) in PLAIN {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if !text.contains("\npub(crate) const SPEC: ") {
                continue;
            }
            specs += 1;
            let shared = text.lines().filter_map(|line| line.strip_prefix("use super::"));
            let shared = shared.filter_map(|rest| rest.split([':', ';']).next());
            let own = path.file_stem().unwrap().to_str().unwrap();
            let mut files = shared.chain([own]).map(|name| format!("{folder}/{name}.rs"));
            let has_one = files.any(|file| faults.iter().any(|fault| fault.file == file));
            assert!(
                has_one || text.matches(line).count() == 1,
                "{}: no fault in it, and not one line with\n{line}",
                path.display()
            );
        }
    }
    assert_eq!(specs, MATCHES.len() + TARGETS.len(), "how a file with a spec is found");
}

/// What is IPv6's alone stands in files that are called by it, and whoever writes one more shows that somebody would notice if it were wrong.
#[test]
fn every_file_of_ipv6_has_a_fault() {
    let faults = read();
    let mut count = 0;
    for path in files(&root().join("src")) {
        let own = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        // Extensions are held to this by their specs.
        if !own.contains('6') || own.starts_with("src/ext/") || ["mod", "testing", "tests"].contains(&stem) {
            continue;
        }
        count += 1;
        assert!(faults.iter().any(|fault| fault.file == own), "no fault in {own}");
    }
    assert!(count >= 20, "only {count} files: how one is found");
}

/// Where the tool puts a plain fault in: as it has it itself.
const PLAIN: [(&str, &str); 2] = [
    ("src/ext/matches", "\n    fn evaluate(&self, "),
    ("src/ext/targets", "\n    fn apply(&self, "),
];

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
            test,
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
        if let Some(test) = test {
            let (room, function) = (test.split("::").next(), test.rsplit("::").next());
            let (room, function) = (
                room.unwrap_or_default(),
                format!("fn {}()", function.unwrap_or_default()),
            );
            let is_there = |path: &PathBuf| std::fs::read_to_string(path).unwrap().contains(&function);
            assert!(
                files(&root().join("src").join(room)).iter().any(is_there),
                "{name}: no test {test}"
            );
        }
    }
}

/// The mutants of `tests/mutants` reach programs that are started with nothing of the environment around them by a text that stands once there.
#[test]
fn mutants_come_through_where_the_environment_is_emptied() {
    let tool = std::fs::read_to_string(root().join("tests/mutants/run")).unwrap();
    let (_, behind) = tool.split_once("\nEMPTIED = {\n").unwrap();
    let (places, _) = behind.split_once("\n}\n").unwrap();
    for place in places.lines() {
        let (file, text) = place.trim().split_once(": (").unwrap();
        let text = text.rsplit_once(", f'").unwrap().0;
        let (file, text) = (file.trim_matches('"'), text[1..].trim_end_matches(['\'', '"']));
        let count = std::fs::read_to_string(root().join(file))
            .unwrap()
            .matches(text)
            .count();
        assert_eq!(count, 1, "{file}: {text}");
    }
}

/// What was promised.
const AT_LEAST: usize = 30;

const ROOMS: [&str; 14] = [
    "base",
    "wire",
    "packet",
    "net",
    "conntrack",
    "nat",
    "helper",
    "rule",
    "classify",
    "ext",
    "text",
    "engine",
    "lab",
    "cli",
];

/// The sources in a directory and below.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .collect()
}

fn read() -> Vec<Fault> {
    let text = std::fs::read_to_string(root().join("tests/twin/faults.toml")).unwrap();
    let list: List = toml::from_str(&text).unwrap_or_else(|error| panic!("tests/twin/faults.toml: {error}"));
    list.fault
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
