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
        let rules = ["rules.v4", "rules.sh"]
            .map(|name| example.join(name))
            .into_iter()
            .find(|path| path.exists());
        let text = std::fs::read_to_string(rules.unwrap()).unwrap();
        let written = text.lines().filter(|line| line.contains("-A ")).count();
        let reached = format!("{written:>3} of {written:>3} rules reached  100 %");
        assert!(ran.out.contains(&reached), "{reached:?} not in\n{}", ran.out);
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
    for example in examples() {
        let tests = example.join("rules.test.nflab");
        for rules in ["none.v4", "nothing.v4"] {
            let ran = bench.nflab(&["test", tests.to_str().unwrap(), "--rules", rules]);
            assert_eq!(ran.code, 1, "{} under {rules}", example.display());
        }
    }
}

#[test]
fn they_fail_when_their_rules_are_not_there() {
    // Otherwise an expectation could hold whatever the rules say.
    for example in examples() {
        let bench = Bench::new();
        std::fs::copy(example.join("lab.toml"), bench.path("lab.toml")).unwrap();
        let text = std::fs::read_to_string(example.join("script.nflab")).unwrap();
        let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("iptables")).collect();
        bench.write("script.nflab", &without.join("\n"));
        let ran = bench.nflab(&["run", "-q", "script.nflab"]);
        assert_eq!(ran.code, 1, "{}", example.display());
    }
}

#[test]
fn their_rules_survive_saving() {
    for example in examples() {
        let rules = example.join("rules.v4");
        if !rules.exists() {
            continue;
        }
        let bench = Bench::new();
        let lab = example.join("lab.toml");
        let command = format!(
            "iptables-restore < {0} && iptables-save > one && iptables-restore < one && iptables-save > two",
            rules.display()
        );
        let ran = bench.nflab(&["sh", "--lab", lab.to_str().unwrap(), "--", "sh", "-c", &command]);
        assert_eq!(ran.code, 0, "{}: {}", example.display(), ran.err);
        let rules_of = |name: &str| -> Vec<String> {
            let text = bench.read(name);
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(rules_of("one"), rules_of("two"));
        let typed = std::fs::read_to_string(&rules).unwrap();
        for line in typed.lines().filter(|line| line.starts_with("-A")) {
            assert!(rules_of("one").iter().any(|saved| saved.starts_with("-A")), "{line}");
        }
    }
}
