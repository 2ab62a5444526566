//! The proof: what was read is listed, or saved, again in the form that it came in, and every line that differs is named.

use std::collections::HashMap;

use super::build::Built;
use super::draft::{Command, Draft};
use super::listing::{self, About, Form};
use super::row::Row;
use super::{Options, THE_BEGINNING, Told};
use crate::base::Family;
use crate::engine::{Config, Router};
use crate::lab::RouterTables;
use crate::net::{Closed, Net};
use crate::rule::{Action, Chain, ChainKind, Rule, TableRules};
use crate::text::command::{Listing, ThenZero};
use crate::text::{Program, list, restore, save};

/// Holds a table that was built against the draft that it was built from.
pub(super) fn compare(draft: &Draft, built: &Built, options: &Options, told: &mut Told) {
    match &draft.form {
        Some(form) => listed(draft, form, built, options, told),
        None => saved(draft, built, told),
    }
    read_again(draft, built, options, told);
}

/// A listing against a listing, column by column: how wide the columns are is no matter.
fn listed(draft: &Draft, form: &Form, built: &Built, options: &Options, told: &mut Told) {
    let own = differences(draft, form, built, options, form.columns.numeric);
    let found = match own.is_empty() {
        true => own,
        // Where nothing told whether names stand for numbers, they may do so.
        false => {
            let other = differences(draft, form, built, options, !form.columns.numeric);
            if other.len() < own.len() { other } else { own }
        }
    };
    for (line, text) in found {
        told.unknown(&draft.source, line, text);
    }
}

fn differences(draft: &Draft, form: &Form, built: &Built, options: &Options, numeric: bool) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let session = built.session(draft);
    let mut text = String::new();
    let all = Listing {
        chain: None,
        number: None,
        then_zero: ThenZero::Nothing,
    };
    let columns = list::Columns {
        numeric,
        ..form.columns
    };
    // The table has chains, so there is a listing.
    let _ = list::write(&mut text, &session, &all, columns, &options.hosts);
    let mut own = Told::default();
    let groups = listing::scan("", &text, &mut own);
    let Some(again) = groups.first().map(|group| &group.form) else {
        return vec![(draft.line, "none of this is in what was read".to_owned())];
    };
    let headings_again: HashMap<&str, _> = again.headings.iter().map(|it| (it.chain.as_str(), it)).collect();
    let (rows, rows_again) = (form.rows_by_chain(), again.rows_by_chain());
    for heading in &form.headings {
        let Some(other) = headings_again.get(heading.chain.as_str()) else {
            found.push((
                heading.line,
                format!("the chain {} is not in what was read", heading.chain),
            ));
            continue;
        };
        match (&heading.about, &other.about) {
            (About::References(Some(own)), About::References(Some(other))) if own != other => found.push((
                heading.line,
                format!(
                    "who jumps to {}: the listing says {own} references, and has {other}",
                    heading.chain
                ),
            )),
            (About::Policy { .. }, about) if heading.about != *about && !rounded(about, &heading.about) => {
                found.push((
                    heading.line,
                    format!("the policy of {}: read as {about:?}", heading.chain),
                ));
            }
            _ => {}
        }
        let chain = heading.chain.as_str();
        let own = rows.get(chain).map_or(&[][..], Vec::as_slice);
        let other = rows_again.get(chain).map_or(&[][..], Vec::as_slice);
        for (at, row) in own.iter().enumerate() {
            match other.get(at).copied() {
                None => found.push((row.line, "this rule is not in what was read".to_owned())),
                Some(other) if !same(row, other, draft.family) => {
                    found.push((
                        row.line,
                        format!(
                            "whether it was read as it was meant: listed again it is `{}`",
                            other.text.trim()
                        ),
                    ));
                }
                Some(_) => {}
            }
        }
    }
    found
}

/// Counters of a policy that come again as they were rounded.
fn rounded(own: &About, other: &About) -> bool {
    match (own, other) {
        (
            About::Policy {
                name,
                counted: Some((a, b)),
            },
            About::Policy {
                name: other,
                counted: Some((c, d)),
            },
        ) => {
            name == other
                && [(a, c), (b, d)]
                    .iter()
                    .all(|(own, other)| super::row::count(own) == super::row::count(other))
        }
        _ => false,
    }
}

/// Column by column. The protocol may stand there as a number or by name, which versions of the tool do differently; what extensions printed
/// may be in the words of an older one, which read as the same options.
fn same(own: &Row, other: &Row, family: Family) -> bool {
    let (a, b) = (own, other);
    // Not the number: a listing that was filtered keeps those of the whole one.
    let columns = a.counted == b.counted
        && a.target == b.target
        && (a.fragment == b.fragment || a.is_of_every_fragment() && b.is_of_every_fragment())
        && a.input == b.input
        && a.output == b.output
        && a.source == b.source
        && a.destination == b.destination
        && a.goto == b.goto;
    let extensions = || {
        let read = own.extensions(family);
        own.rest.trim() == other.rest.trim() || read.is_some() && read == other.extensions(family)
    };
    let protocol = || {
        let number = |row: &Row| match row.protocol.word.as_str() {
            "all" | "ip" => Some(0),
            word => word.parse().ok().or_else(|| crate::ext::names::protocol_number(word)),
        };
        a.protocol.inverted == b.protocol.inverted && number(a) == number(b)
    };
    columns && protocol() && extensions()
}

/// Commands and save files: a rule that is written otherwise is told, once for all lines.
fn saved(draft: &Draft, built: &Built, told: &mut Told) {
    let table = built.table(draft);
    let mut written = vec![0; draft.commands.len()];
    for chain in &table.chains {
        for rule in &chain.rules {
            let Some(at) = built.made_by(rule.id) else { continue };
            let Some(command) = draft.commands.get(at) else {
                continue;
            };
            written[at] += 1;
            let mut line = String::new();
            save::write_rule(&mut line, &chain.name, rule, None);
            if written[at] == 1 && !says(command, &line) {
                told.form(&draft.source, command.line, format!("written as `{}`", line.trim_end()));
            }
        }
    }
    for (command, count) in draft.commands.iter().zip(&written) {
        match count {
            0 => told.form(&draft.source, command.line, "makes no rule that stands at the end"),
            1 => {}
            _ => told.form(&draft.source, command.line, format!("makes {count} rules")),
        }
    }
}

/// True when a line has the command's words, counters aside.
fn says(command: &Command, line: &str) -> bool {
    let Ok(again) = restore::arguments(line) else {
        return false;
    };
    let texts: Vec<&str> = command.words[1..].iter().map(|it| &*it.text).collect();
    let mut own = Vec::new();
    let mut at = 0;
    while at < texts.len() {
        if texts[at] == "-c" {
            at += 3;
            continue;
        }
        own.push(texts[at]);
        at += 1;
    }
    own.iter().copied().eq(again.iter().map(|it| &*it.text))
}

/// The save file must read as the same rules: there are some that the tool can't write.
fn read_again(draft: &Draft, built: &Built, options: &Options, told: &mut Told) {
    let table = built.table(draft);
    let mut all = String::new();
    for chain in &table.chains {
        for rule in &chain.rules {
            all += &written(chain, rule);
        }
    }
    // At once, and one by one only where some line is no rule at all.
    let users = table.chains.iter().filter(|chain| chain.kind == ChainKind::User);
    let whole = restored(&table, users.map(|chain| chain.name.as_str()), &all, options)
        .filter(|again| again.chains.len() == table.chains.len());
    for (at, chain) in table.chains.iter().enumerate() {
        for (number, rule) in chain.rules.iter().enumerate() {
            let line = written(chain, rule);
            let same = match &whole {
                Some(whole) => whole.chains[at]
                    .rules
                    .get(number)
                    .is_some_and(|again| again.says_the_same(rule)),
                None => reads_the_same(&table, chain, rule, options),
            };
            if !same {
                let at = built.made_by(rule.id).and_then(|at| draft.commands.get(at));
                told.unknown(
                    &draft.source,
                    at.map_or(draft.line, |it| it.line),
                    format!(
                        "how to write this rule: {} prints it as `{}`, which reads otherwise",
                        Program::Save(draft.family).name(),
                        line.trim_end()
                    ),
                );
            }
        }
    }
}

/// Whether the line that a save file has for a rule says that rule.
pub(super) fn reads_the_same(table: &TableRules, chain: &Chain, rule: &Rule, options: &Options) -> bool {
    let line = written(chain, rule);
    restored(table, chains_of(chain, rule), &line, options)
        .is_some_and(|again| again.rules().next().is_some_and(|again| again.says_the_same(rule)))
}

fn written(chain: &Chain, rule: &Rule) -> String {
    let mut line = String::new();
    save::write_rule(&mut line, &chain.name, rule, None);
    line
}

/// The user chains that a rule's line needs.
fn chains_of<'a>(chain: &'a Chain, rule: &'a Rule) -> impl Iterator<Item = &'a str> {
    let own = (chain.kind == ChainKind::User).then_some(chain.name.as_str());
    let other = match &rule.action {
        Action::Jump(name) | Action::Goto(name) => Some(name.as_str()),
        _ => None,
    };
    own.into_iter().chain(other.filter(|name| Some(*name) != own))
}

/// Lines of rules read into a table with these user chains; `None` where they cannot be.
fn restored<'a>(
    table: &TableRules,
    users: impl Iterator<Item = &'a str>,
    lines: &str,
    options: &Options,
) -> Option<TableRules> {
    let router = Router::new(Config::new(Net::default()), 1, 1, Box::new(Closed));
    let mut tables = RouterTables::new(&router, THE_BEGINNING);
    let mut text = format!("*{}\n", table.table.name());
    for name in users {
        text += &format!(":{name} -\n");
    }
    text += lines;
    text += "COMMIT\n";
    let options_of_restore = restore::Options::of(table.family);
    let (_, result) = restore::run(&text, &options_of_restore, &mut tables, &options.hosts);
    result.ok()?;
    Some(router.table(table.family, table.table))
}
