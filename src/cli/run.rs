//! `nflab run SCRIPT`: a script's commands and expectations.

use std::path::{Path, PathBuf};

use super::TOOLBOX;
use super::open;
use crate::base::bytes::{text_of, text_of_path};
use crate::device::standard::{self, tell, tell_styled};
use crate::device::text_file::{read_file, read_whole};
use crate::explain::story::Detail;
use crate::lab::conversation::Hosts;
use crate::lab::script::{Runner, parse_in};
use crate::syntax::problem::{Source, abridged};

/// How much is told of packets that were sent, and of tools' output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    Nothing,
    /// What tools print, and no packets.
    Tools,
    Everything,
}

impl Telling {
    pub(super) fn from_flags(verbose: bool, quiet: bool) -> Self {
        match (verbose, quiet) {
            (true, _) => Self::Everything,
            (_, true) => Self::Nothing,
            _ => Self::Tools,
        }
    }
}

pub(super) fn run(script: &Path, lab: Option<&Path>, (seed, what): (u64, open::As), telling: Telling) -> u8 {
    let (source, directory) = match read(script) {
        Ok(read) => read,
        Err(message) => {
            tell!("nflab: {message}");
            return 2;
        }
    };
    let file = match lab {
        None if script != Path::new("-") => open::beside(&directory),
        lab => open::file_or_default(lab),
    };
    let file = match file {
        Ok(file) => what.applied(file),
        Err(code) => return code,
    };
    let mut hosts = Hosts::of_lab(&file);
    let statements = match parse_in(&source, TOOLBOX, &mut hosts) {
        Ok(statements) => statements,
        Err(error) => {
            tell_styled!("{}", error.styled());
            return 2;
        }
    };
    let lab = match open::made(&file, seed) {
        Ok(lab) => lab,
        Err(code) => return code,
    };
    let mut runner = Runner::new(lab, directory);
    runner.tells = (telling == Telling::Everything).then_some(Detail::Whole);
    let mut failures = 0;
    let lines = source.lines();
    for statement in &statements {
        let (said, result) = runner.run(statement);
        if telling != Telling::Nothing {
            standard::say_text(&said.stdout);
        }
        if result.is_ok() || failures < MOST_TOLD {
            standard::tell_text(&said.stderr);
        }
        if let Err(failed) = result {
            failures += 1;
            if failures > MOST_TOLD {
                continue;
            }
            let (line, _) = lines.line_and_column(&source.text, statement.position.start);
            let text = source.text[statement.position.start..statement.position.end]
                .lines()
                .next();
            tell!("{}:{line}: {}", source.name, abridged(text.unwrap_or("")));
            tell!("    {}", failed.reason);
        }
    }
    if failures > MOST_TOLD {
        tell!("{}: the first {MOST_TOLD} are told", source.name);
    }
    if failures > 0 {
        tell!("{}: {failures} of {} commands failed", source.name, statements.len());
        return 1;
    }
    0
}

/// Commands that failed, each with what its tool said; more are only counted.
const MOST_TOLD: usize = 1000;

fn read(script: &Path) -> Result<(Source, PathBuf), String> {
    if script == Path::new("-") {
        let bytes = read_whole(std::io::stdin().lock())
            .map_err(|error| format!("cannot read the script from standard input: {error}"))?;
        let name = "standard input".to_owned();
        let text = text_of(&bytes);
        return Ok((Source { name, text }, PathBuf::from(".")));
    }
    let name = text_of_path(script);
    let text = read_file(script).map_err(|error| format!("cannot read the script {name}: {error}"))?;
    let directory = match script.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok((Source { name, text }, directory))
}
