//! What is told of packets: for each example ruleset some packets, and the text that a person who knows netfilter would agree with.
//!
//! `tests/explanations/NAME.nflab` is done in `examples-rulesets/NAME`; `NAME.txt` is what it prints. `NFLAB_BLESS=1` writes the texts anew: read
//! what changed before it is kept.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use nflab::TOOLBOX;
use nflab::explain::account::{Account, Told};
use nflab::lab::file::LabFile;
use nflab::lab::memory::Lab;
use nflab::lab::script::{Runner, parse};
use nflab::syntax::problem::Source;

fn scripts() -> Vec<PathBuf> {
    let mut scripts: Vec<PathBuf> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "nflab"))
        .collect();
    scripts.sort();
    scripts
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explanations")
}

/// Does a script, and hands over each line with what it printed.
fn perform(script: &Path, mut each: impl FnMut(&Runner, &str, &str)) {
    let name = script.file_stem().unwrap().to_string_lossy().into_owned();
    let ruleset = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples-rulesets")
        .join(&name);
    let file = LabFile::load(&ruleset.join("lab.toml"), nflab::device::text_file::read_bytes).unwrap();
    let lab = Lab::new(&file, 1, TOOLBOX).unwrap();
    let mut runner = Runner::new(lab, ruleset);
    let source = Source {
        name: format!("{name}.nflab"),
        text: fs::read_to_string(script).unwrap(),
    };
    let statements = parse(&source, TOOLBOX).unwrap_or_else(|error| panic!("{error}"));
    for statement in &statements {
        let line = &source.text[statement.position.start..statement.position.end];
        let (said, result) = runner.run(statement);
        assert!(result.is_ok(), "{name}: {line}: {}", result.unwrap_err().reason);
        each(&runner, line, &said.stdout);
    }
}

#[test]
fn what_is_told_of_packets_is_what_was_found_right() {
    let bless = std::env::var_os("NFLAB_BLESS").is_some();
    let mut packets = 0;
    let mut stale = Vec::new();
    for script in scripts() {
        let mut text = String::new();
        perform(&script, |_, line, printed| {
            if line.starts_with("trace") || line.starts_with("why") {
                packets += usize::from(line.starts_with("trace"));
                let _ = write!(text, "> {line}\n{printed}\n");
            }
        });
        let golden = script.with_extension("txt");
        if bless {
            fs::write(&golden, &text).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if expected != text {
            let first = text.lines().zip(expected.lines()).find(|(new, old)| new != old);
            stale.push(format!("{}: {first:?}", golden.display()));
        }
    }
    assert!(
        stale.is_empty(),
        "these differ (now, kept); with NFLAB_BLESS=1 they are written anew:\n{}",
        stale.join("\n")
    );
    assert!(packets >= 40, "{packets} packets are explained, forty are the least");
}

/// The JSON form is read back as what it was made of, and says at its head what its steps say.
#[test]
fn json_says_the_same_and_is_read_back() {
    let mut seen = 0;
    for script in scripts() {
        perform(&script, |runner, line, _| {
            if !line.starts_with("trace ") {
                return;
            }
            let passage = runner.lab.last().unwrap();
            let account = passage.story.account();
            let json = account.json();
            assert!(!json.contains('\n'));
            let again: Account = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{line}: {error}\n{json}"));
            assert_eq!(again, account, "{line}");
            assert_eq!(account.verdict, passage.report.fate.verdict(), "{line}");
            assert_eq!(
                account.state.as_deref(),
                passage.report.state.map(nflab::conntrack::CtState::name),
                "{line}"
            );
            let left = account
                .steps
                .iter()
                .filter(|told| matches!(told, Told::Sent { .. } | Told::Delivered { .. }));
            assert_eq!(left.count(), passage.output.len(), "{line}");
            seen += 1;
        });
    }
    assert!(seen >= 40);
}

/// Each picture names what decided, and draws nothing but what is in it.
#[test]
fn pictures_name_the_deciding_rule() {
    let mut named = 0;
    for script in scripts() {
        perform(&script, |runner, line, _| {
            if !line.starts_with("trace ") {
                return;
            }
            let account = runner.lab.last().unwrap().story.account();
            let svg = nflab::explain::picture::draw(&account);
            if let Some(word) = account.last_word()
                && let Some(rule) = word.rule
                && account.verdict != "ACCEPT"
            {
                let name = format!("rule {rule} of {} {}:", word.table, word.chain);
                assert!(svg.contains(&name), "{line}: {name}\n{svg}");
                named += 1;
            }
            assert!(!svg.contains("href"), "{line}");
        });
    }
    assert!(named > 3, "{named}");
}

/// `docs/trace.md` names every key of every kind of step that is ever seen here.
#[test]
fn the_json_form_is_documented() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/trace.md")).unwrap();
    let row = |key: &str| page.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
    let mut kinds = std::collections::BTreeSet::new();
    for script in scripts() {
        perform(&script, |runner, line, _| {
            if !line.starts_with("trace ") {
                return;
            }
            let json = runner.lab.last().unwrap().story.account().json();
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            for (key, _) in value.as_object().unwrap() {
                assert!(row(key).is_some(), "docs/trace.md has no row for `{key}`");
            }
            for step in value["steps"].as_array().unwrap() {
                let kind = step["kind"].as_str().unwrap();
                let row = row(kind).unwrap_or_else(|| panic!("docs/trace.md has no row for kind `{kind}`"));
                for (key, _) in step.as_object().unwrap().iter().filter(|(key, _)| *key != "kind") {
                    assert!(
                        row.contains(&format!("`{key}`")),
                        "docs/trace.md, kind `{kind}`: no `{key}`"
                    );
                }
                kinds.insert(kind.to_owned());
            }
        });
    }
    assert!(kinds.len() >= 18, "few kinds are seen: {kinds:?}");
}
