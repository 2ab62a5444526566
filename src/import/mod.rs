//! Rules from what people have: listings (`iptables -L -n -v`), commands (`iptables -S`) and save files, old ones too, into one save file,
//! of either family, with everything that the text does not tell said by line.
//!
//! Each kind of text is read into `draft::Draft`s, one a table: chains, and commands with the lines they come from. `build` does the
//! commands as `iptables-restore` would and refuses by line what cannot be done. Then what came of it is listed again in the form that was
//! read and compared line by line (`compare`), so that nothing is lost unnoticed, and what would be written is read back as `iptables-restore` reads it. Scripts are not read but run, which is `cli`'s business;
//! `script` prepares them.

mod build;
mod commands;
mod compare;
mod draft;
mod family;
pub(crate) mod kind;
mod listing;
mod place;
mod row;
mod save;
pub(crate) mod script;

use std::fmt::{self, Write};

use crate::base::{Family, Time};
use crate::rule::Table;
use crate::syntax::problem::Source;
use crate::text::StaticHosts;

pub use kind::Kind;

/// A text to read.
#[derive(Clone, Debug)]
pub struct Input {
    pub source: Source,
    /// What it is; `None`: see for yourself. Of a script it is the save file that it left.
    pub kind: Option<Kind>,
}

/// How to read.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table of listings and commands that do not name theirs.
    pub table: Option<Table>,
    /// The family of what does not name its own.
    pub family: Option<Family>,
    /// Names of hosts that listings made without `-n` may hold.
    pub hosts: StaticHosts,
}

/// What came of it. There are save files only where nothing was refused.
#[derive(Clone, Debug)]
pub struct Import {
    /// One for each family that was found, IPv4's first: the first lines tell as comments where it comes from and what is not known.
    pub saves: Vec<(Family, String)>,
    /// In the order of the texts.
    pub notes: Vec<Note>,
    /// What could not be read, in the order of the texts.
    pub refused: Vec<Note>,
    /// The tables that were found.
    pub tables: Vec<Found>,
}

impl Import {
    /// A family's save file.
    pub fn save(&self, family: Family) -> Option<&str> {
        let mut saves = self.saves.iter();
        saves.find(|it| it.0 == family).map(|(_, text)| text.as_str())
    }
}

/// A table that was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub source: String,
    pub kind: Kind,
    pub family: Family,
    pub table: Table,
    pub chains: usize,
    pub rules: usize,
}

/// Something to be said of some lines of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub source: String,
    /// From 1, rising; empty where it is about all of the text.
    pub lines: Vec<usize>,
    pub weight: Weight,
    pub text: String,
}

/// How much a note weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The rule is the same, its words are others.
    Form,
    /// The text does not tell it; under `--strict` that is an error.
    Unknown,
    /// The line cannot be read.
    Refused,
}

impl Note {
    /// `firewall.txt:3`, `firewall.txt: lines 3-5, 9`.
    pub fn place(&self) -> String {
        match self.lines[..] {
            [] => self.source.clone(),
            [line] => format!("{}:{line}", self.source),
            _ => format!("{}: lines {}", self.source, ranges(&self.lines)),
        }
    }

    fn new(source: &str, line: usize, weight: Weight, text: impl Into<String>) -> Self {
        Self {
            source: source.to_owned(),
            lines: vec![line],
            weight,
            text: text.into(),
        }
    }
}

/// `firewall.txt:3: ...`, `firewall.txt: lines 3-5, 9: ...`.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.text)
    }
}

/// `3-5, 9`.
fn ranges(lines: &[usize]) -> String {
    let mut out = String::new();
    let mut rest = lines;
    while let Some(&first) = rest.first() {
        let run = rest
            .iter()
            .enumerate()
            .take_while(|&(at, &line)| line == first + at)
            .count();
        let comma = if out.is_empty() { "" } else { ", " };
        let _ = match run {
            1 => write!(out, "{comma}{first}"),
            _ => write!(out, "{comma}{first}-{}", first + run - 1),
        };
        rest = &rest[run..];
    }
    out
}

/// Reads the texts into one save file for each family. A script must have been run before, since it is a program: what is read here of one is the save file
/// that it left.
pub fn read(inputs: &[Input], options: &Options) -> Import {
    read_with(inputs, options, Vec::new())
}

/// The same, with what was to be said while scripts ran: the save file tells that as what the texts do not tell.
pub fn read_with(inputs: &[Input], options: &Options, said: Vec<Note>) -> Import {
    let mut told = Told::default();
    let mut drafts = Vec::new();
    for Input { source, kind: given } in inputs {
        let text = source.text.replace("\r\n", "\n");
        if text.len() != source.text.len() {
            told.notes.push(Note {
                source: source.name.clone(),
                lines: Vec::new(),
                weight: Weight::Form,
                text: "lines end in CR LF: read as if they ended in LF".to_owned(),
            });
        }
        let text = match given {
            Some(Kind::Script) => text,
            _ => kind::unindented(&text),
        };
        let source = Source {
            name: source.name.clone(),
            text,
        };
        let kind = match given.map_or_else(|| kind::detect(&source.text), Ok) {
            Ok(kind) => kind,
            Err(why) => {
                told.refuse(&source.name, 1, why);
                continue;
            }
        };
        drafts.extend(match kind {
            Kind::Listing => listing::read(&source, options, &mut told),
            Kind::Commands => commands::read(&source, options, &mut told),
            Kind::Save => save::read(&source, options, &mut told),
            // Who says that it is one has run it.
            Kind::Script if given.is_some() => {
                let mut left = save::read(&source, options, &mut told);
                for draft in &mut left {
                    draft.kind = Kind::Script;
                }
                left
            }
            Kind::Script => {
                let why = "a script is run, not read: `nflab import` runs it in a lab";
                told.refuse(&source.name, 1, why);
                Vec::new()
            }
        });
    }
    finish(drafts, options, told, said)
}

/// What was found out so far.
#[derive(Debug, Default)]
struct Told {
    notes: Vec<Note>,
    refused: Vec<Note>,
}

impl Told {
    fn refuse(&mut self, source: &str, line: usize, text: impl Into<String>) {
        self.refused.push(Note::new(source, line, Weight::Refused, text));
    }

    fn unknown(&mut self, source: &str, line: usize, text: impl Into<String>) {
        self.notes.push(Note::new(source, line, Weight::Unknown, text));
    }

    /// One note for many lines.
    fn unknown_of(&mut self, source: &str, lines: Vec<usize>, text: impl Into<String>) {
        if !lines.is_empty() {
            self.notes.push(Note {
                source: source.to_owned(),
                lines,
                weight: Weight::Unknown,
                text: text.into(),
            });
        }
    }

    fn form(&mut self, source: &str, line: usize, text: impl Into<String>) {
        self.notes.push(Note::new(source, line, Weight::Form, text));
    }
}

fn finish(drafts: Vec<draft::Draft>, options: &Options, mut told: Told, said: Vec<Note>) -> Import {
    let mut tables = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    let counted = drafts.iter().any(|draft| draft.counted);
    let mut built = build::Built::new();
    for draft in &drafts {
        let same = |other: &&Found| (other.family, other.table) == (draft.family, draft.table);
        if let Some(other) = found.iter().find(same) {
            let (table, other) = (draft.table.name(), &other.source);
            told.refuse(
                &draft.source,
                draft.line,
                format!("the table {table} for the second time (first in {other}); expected each table once"),
            );
            continue;
        }
        built.add(draft, options, &mut told);
        found.push(Found {
            source: draft.source.clone(),
            kind: draft.kind,
            family: draft.family,
            table: draft.table,
            chains: draft.chains.len(),
            rules: draft.rules(),
        });
        tables.push(draft);
    }
    if tables.is_empty() && told.refused.is_empty() {
        told.refused.push(Note {
            source: "nflab import".to_owned(),
            lines: Vec::new(),
            weight: Weight::Refused,
            text: "no table in any of the texts; expected chains and rules".to_owned(),
        });
    }
    if told.refused.is_empty() {
        for draft in &tables {
            compare::compare(draft, &built, options, &mut told);
        }
    }
    if told.refused.is_empty() {
        for draft in &tables {
            built.read_back(draft, counted, options, &mut told);
        }
    }
    // The lines of what a script left are not the script's.
    for note in told.notes.iter_mut().chain(&mut told.refused) {
        if found
            .iter()
            .any(|it| it.source == note.source && it.kind == Kind::Script)
        {
            note.lines.clear();
        }
    }
    let (refused, said): (Vec<Note>, Vec<Note>) = said.into_iter().partition(|it| it.weight == Weight::Refused);
    told.refused.splice(0..0, refused);
    told.notes.splice(0..0, said);
    told.notes.sort_by_key(|note| {
        let source = found.iter().position(|it| it.source == note.source);
        (source, note.lines.first().copied())
    });
    told.refused.sort_by_key(|note| {
        let source = found.iter().position(|it| it.source == note.source);
        (source, note.lines.first().copied())
    });
    let mut saves = Vec::new();
    for family in Family::ALL {
        let of_family: Vec<&draft::Draft> = tables.iter().copied().filter(|it| it.family == family).collect();
        if told.refused.is_empty() && !of_family.is_empty() {
            saves.push((
                family,
                header(family, &found, &told.notes) + &built.save(of_family, counted),
            ));
        }
    }
    Import {
        saves,
        notes: told.notes,
        refused: told.refused,
        tables: found,
    }
}

/// Whether there are rules of both families.
pub(crate) fn has_both(found: &[Found]) -> bool {
    Family::ALL
        .into_iter()
        .all(|family| found.iter().any(|it| it.family == family))
}

/// What stands above the tables, so that a file that is passed on still tells what it is.
fn header(family: Family, found: &[Found], notes: &[Note]) -> String {
    let mut out = String::new();
    let mut sources: Vec<(&str, Kind)> = Vec::new();
    for it in found.iter().filter(|it| it.family == family) {
        if !sources.contains(&(&it.source, it.kind)) {
            sources.push((&it.source, it.kind));
        }
    }
    for (source, kind) in &sources {
        let about = kind.about(family, has_both(found));
        let _ = writeln!(out, "# Made by nflab import from {source} ({about})");
    }
    // Of a text that holds both families' rules nobody knows whose a note is.
    let of_others = |note: &Note| {
        let own = sources.iter().any(|it| it.0 == note.source);
        !own && found.iter().any(|it| it.source == note.source)
    };
    let unknown: Vec<&Note> = notes
        .iter()
        .filter(|it| it.weight == Weight::Unknown && !of_others(it))
        .collect();
    if !unknown.is_empty() {
        out.push_str("# Not known:\n");
    }
    for note in unknown {
        // A comment that holds a line's end would be no comment behind it.
        let _ = writeln!(out, "#   {}", note.to_string().replace(['\n', '\0'], " "));
    }
    out
}

/// Nothing here knows what day it is.
const THE_BEGINNING: Time = Time::ZERO;

#[cfg(test)]
mod tests;
