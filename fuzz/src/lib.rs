//! What each fuzz target does with its bytes: a panic, an abort, a hang or a broken promise is a finding. `fuzz/run` runs them. What they find is
//! kept as a case beside the tests of what it broke.
//!
//! No lab here reaches a file: a script or a tool that names one is refused.

use std::io;
use std::path::{Path, PathBuf};

use nflab::base::Family;
use nflab::import;
use nflab::lab::file::LabFile;
use nflab::lab::files::OpensNothing;
use nflab::lab::machine::Toolbox;
use nflab::lab::memory::Lab;
use nflab::lab::request::{Request, Response};
use nflab::lab::script::{Runner, parse_text};
use nflab::suite::{self, Choice};
use nflab::syntax::problem::Source;
use nflab::text::StaticHosts;

const TOOLBOX: Toolbox = Toolbox {
    opener: &OpensNothing,
    ..nflab::TOOLBOX
};

fn lab() -> Lab {
    Lab::default_lab(1, TOOLBOX).expect("the default lab is there")
}

fn call(lab: &mut Lab, tool: &str, args: &[&str], stdin: &str) -> Response {
    lab.respond(Request {
        tool: tool.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        stdin: stdin.to_owned(),
        ..Request::default()
    })
}

/// A save file, whose first byte chooses the family: what is taken of it is printed as it is taken again.
pub fn restore(bytes: &[u8]) {
    let Some((first, text)) = bytes.split_first() else {
        return;
    };
    let family = if first & 1 == 0 { Family::V4 } else { Family::V6 };
    let text = String::from_utf8_lossy(text);
    let (restore, save, list) = match family {
        Family::V4 => ("iptables-restore", "iptables-save", "iptables"),
        Family::V6 => ("ip6tables-restore", "ip6tables-save", "ip6tables"),
    };
    let mut lab = lab();
    let _ = call(&mut lab, restore, &[], &text);
    let first_saved = saved(&call(&mut lab, save, &[], "").stdout);
    for table in ["raw", "mangle", "nat", "filter", "security"] {
        let listed = call(&mut lab, list, &["-t", table, "-nvxL", "--line-numbers"], "");
        assert_eq!(listed.code, 0, "{}", listed.stderr);
    }
    // An unclosed quote takes the line's end along, and neither tool takes that again: seen with iptables-legacy 1.8.9, comment and prefix alike.
    let is_whole = |line: &str| ["*", ":", "-A ", "COMMIT"].iter().any(|begin| line.starts_with(begin));
    if !first_saved.iter().flat_map(|table| table.lines()).all(is_whole) {
        return;
    }
    let mut again = self::lab();
    let retaken = call(&mut again, restore, &[], &(first_saved.join("\n") + "\n"));
    assert_eq!(retaken.code, 0, "{}\nof\n{}", retaken.stderr, first_saved.join("\n"));
    assert_eq!(saved(&call(&mut again, save, &[], "").stdout), first_saved);
}

/// A table a line, without comments, which hold the time, and sorted: the table that was used last is printed first.
fn saved(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut tables: Vec<String> = lines
        .split_inclusive(|line| *line == "COMMIT")
        .map(|table| table.join("\n"))
        .collect();
    tables.sort();
    tables
}

/// Calls of tools, a line each, an argument between zero bytes or blanks.
pub fn arguments(bytes: &[u8]) {
    let mut lab = lab();
    for line in bytes.split(|byte| *byte == b'\n').take(8) {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split(['\0', ' ']).filter(|word| !word.is_empty());
        let tool = words.next().and_then(|word| TOOLBOX.find(word)).unwrap_or("iptables");
        let args: Vec<&str> = words.collect();
        let _ = call(&mut lab, tool, &args, "");
    }
}

/// A script, read and done.
pub fn script(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(statements) = parse_text("script", &text, TOOLBOX) else {
        return;
    };
    let mut runner = Runner::new(lab(), PathBuf::new());
    for statement in statements.iter().take(32) {
        let _ = runner.run(statement);
    }
}

/// A lab's file, read and made.
pub fn lab_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(file) = LabFile::parse("lab.toml", &text) {
        let _ = Lab::new(&file, 1, TOOLBOX);
    }
}

/// A test file, read and run.
pub fn test_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let path = Path::new("a.test");
    let mut reader = |named: &Path| match named == path {
        true => Ok(text.clone()),
        false => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    if let Ok(suite) = suite::read(path, &mut reader, TOOLBOX, &Choice::default()) {
        let _ = suite::run(&[suite]);
    }
}

/// A listing or another text, imported; what comes of it is a save file that is taken.
pub fn listing(bytes: &[u8]) {
    let input = import::Input {
        source: Source {
            name: "listing".to_owned(),
            text: String::from_utf8_lossy(bytes).into_owned(),
        },
        kind: None,
    };
    let options = import::Options {
        table: None,
        family: None,
        hosts: StaticHosts::default(),
    };
    for (family, save) in import::read(&[input], &options).saves {
        let tool = match family {
            Family::V4 => "iptables-restore",
            Family::V6 => "ip6tables-restore",
        };
        let taken = call(&mut lab(), tool, &[], &save);
        assert_eq!(taken.code, 0, "{}\nof\n{save}", taken.stderr);
    }
}
