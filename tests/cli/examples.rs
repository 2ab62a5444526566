//! Every ruleset of `examples-rulesets`: its script's expectations pass, and its rules are what they claim. Lessons, which lie beside them, are held by
//! tests of their own.

use std::path::{Path, PathBuf};

use crate::bench::Bench;

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-rulesets");
    let mut found: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() && !path.ends_with("lessons"))
        .collect();
    found.sort();
    found
}

/// Those of IPv4 and those of IPv6.
fn rules(example: &Path) -> [PathBuf; 2] {
    [["rules.v4", "rules.sh"], ["rules.v6", "rules6.sh"]].map(|names| {
        let mut paths = names.iter().map(|name| example.join(name));
        let found = paths.find(|path| path.exists());
        found.unwrap_or_else(|| panic!("{} has none of {names:?}", example.display()))
    })
}

/// With a blank wherever there are some.
fn spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn their_expectations_pass() {
    let bench = Bench::new();
    let examples = examples();
    assert!(examples.len() >= 7, "{examples:?}");
    for example in examples {
        let script = example.join("script.nflab");
        let ran = bench.nflab(&["run", "--quiet", script.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{}:\n{}", example.display(), ran.err);
        let text = std::fs::read_to_string(&script).unwrap();
        let expectations = text.lines().filter(|line| line.starts_with("expect ")).count();
        assert!(expectations >= 5, "{} expects next to nothing", example.display());
    }
}

#[test]
fn their_tests_pass_and_reach_every_rule() {
    let bench = Bench::new();
    for example in examples() {
        let tests = example.join("rules.test.nflab");
        let ran = bench.nflab(&[
            "test",
            tests.to_str().unwrap(),
            "--coverage",
            "--require-coverage",
            "100",
        ]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        for rules in rules(&example) {
            let text = std::fs::read_to_string(&rules).unwrap();
            let written = text.lines().filter(|line| line.contains("-A ")).count();
            let name = rules.file_name().unwrap().display();
            let reached = format!("{name} {written} of {written} rules reached 100 %");
            let is_said = ran.out.lines().any(|line| spaced(line).ends_with(&reached));
            assert!(is_said, "{reached:?} not in\n{}", ran.out);
        }
    }
}

#[test]
fn their_tests_fail_under_other_rules() {
    let bench = Bench::new();
    bench.write("none.v4", "*filter\nCOMMIT\n");
    bench.write(
        "nothing.v4",
        "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\nCOMMIT\n",
    );
    // One family's alone is enough to fail them.
    for example in examples() {
        let tests = example.join("rules.test.nflab");
        for rules in ["none.v4", "nothing.v4"] {
            for family in ["--rules", "--rules6"] {
                let ran = bench.nflab(&["test", tests.to_str().unwrap(), family, rules]);
                assert_eq!(ran.code, 1, "{} under {family} {rules}", example.display());
            }
        }
    }
}

#[test]
fn they_fail_when_their_rules_are_not_there() {
    // Otherwise an expectation could hold whatever the rules say. Of either family.
    for example in examples() {
        for tool in ["iptables", "ip6tables"] {
            let bench = Bench::new();
            for path in rules(&example).iter().chain([&example.join("lab.toml")]) {
                std::fs::copy(path, bench.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
            }
            let text = std::fs::read_to_string(example.join("script.nflab")).unwrap();
            let without: Vec<&str> = text.lines().filter(|line| !line.starts_with(tool)).collect();
            assert!(without.len() < text.lines().count(), "{}: {tool}", example.display());
            bench.write("script.nflab", &without.join("\n"));
            let ran = bench.nflab(&["run", "-q", "script.nflab"]);
            assert_eq!(ran.code, 1, "{} without {tool}", example.display());
        }
    }
}

#[test]
fn their_rules_survive_saving() {
    for example in examples() {
        for (rules, tool) in rules(&example).into_iter().zip(["iptables", "ip6tables"]) {
            if rules.extension().is_some_and(|it| it == "sh") {
                continue;
            }
            let bench = Bench::new();
            let lab = example.join("lab.toml");
            let command = format!(
                "{tool}-restore < {} && {tool}-save > one && {tool}-restore < one && {tool}-save > two",
                rules.display()
            );
            let ran = bench.nflab(&["sh", "--lab", lab.to_str().unwrap(), "--", "sh", "-c", &command]);
            assert_eq!(ran.code, 0, "{}: {}", rules.display(), ran.err);
            let rules_of = |text: &str| -> Vec<String> {
                let rules = text.lines().filter(|line| line.starts_with("-A"));
                rules.map(str::to_owned).collect()
            };
            let once = rules_of(&bench.read("one"));
            assert_eq!(once, rules_of(&bench.read("two")));
            let typed = std::fs::read_to_string(&rules).unwrap();
            assert_eq!(once.len(), rules_of(&typed).len(), "{}", rules.display());
        }
    }
}
