//! A ruleset under test: read once, put into force in every case's lab, each rule with the line that made it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::fault::Text;
use crate::base::Family;
use crate::lab::RouterTables;
use crate::lab::conversation::Hosts;
use crate::lab::file::LabFile;
use crate::lab::machine::Toolbox;
use crate::lab::memory::Lab;
use crate::lab::script::{Kind, Runner, Statement, parse_in};
use crate::rule::{CountId, Rule, Table, TableRules};
use crate::syntax::problem::{Position, Problem, SourceError};
use crate::text::restore::{self, Marks, Options};
use crate::text::{Program, StaticHosts, save};

/// Rules that tests run under.
#[derive(Debug)]
pub struct Ruleset {
    /// What reports call it.
    pub name: String,
    tables: Vec<TableRules>,
    /// What a file of commands does besides setting rules: `sysctl`, `modprobe`.
    beside: Vec<Statement>,
    places: HashMap<CountId, Arc<RulePlace>>,
    rules: Vec<Arc<RulePlace>>,
    /// What the tools warn of, with the file's name.
    pub notes: Vec<String>,
    /// A lab in which they are in force, which cases get copies of.
    ready: OnceLock<Option<Box<Lab>>>,
}

/// One rule and where it is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RulePlace {
    /// The file that it was read from.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// Whose packets meet it.
    pub family: Family,
    /// Which of the five it is in.
    pub table: Table,
    /// The name of its chain.
    pub chain: String,
    /// From 1.
    pub number: u32,
    /// As `iptables-save` prints it.
    pub rule: String,
}

impl RulePlace {
    /// `rule 2 of filter FORWARD`, `rule 2 of IPv6's filter FORWARD`.
    pub fn name(&self) -> String {
        let (whose, table) = (self.family.whose(), self.table.name());
        format!("rule {} of {whose}{table} {}", self.number, self.chain)
    }
}

impl Ruleset {
    /// No rules but those that tests set themselves.
    pub(super) fn empty() -> Self {
        Self {
            name: String::new(),
            tables: Vec::new(),
            beside: Vec::new(),
            places: HashMap::new(),
            rules: Vec::new(),
            notes: Vec::new(),
            ready: OnceLock::new(),
        }
    }

    /// From the texts of files, each with its directory: what `iptables-save` or `ip6tables-save` prints, or commands, a line each. Those of IPv4
    /// come first.
    pub(super) fn parse(
        name: String,
        parts: &[(Family, &Arc<Text>, &Path)],
        lab: &LabFile,
        toolbox: Toolbox,
    ) -> Result<Self, SourceError> {
        let mut lab = Lab::new(lab, 1, toolbox)?;
        let mut ruleset = Self { name, ..Self::empty() };
        let mut known: HashMap<CountId, (String, u32)> = HashMap::new();
        for (family, text, directory) in parts {
            let mut marks = Marks::default();
            if is_saved(&text.source.text) {
                ruleset.restore(*family, text, &lab, &mut marks)?;
            } else {
                lab = ruleset.command(text, directory, lab, &mut marks)?;
            }
            for rules in in_force(&lab) {
                for rule in rules.chains.iter().flat_map(|chain| &chain.rules) {
                    // What stood there before this text has its place already.
                    if let (false, Some(line)) = (known.contains_key(&rule.id), marks.line(rule.id)) {
                        known.insert(rule.id, (text.source.name.clone(), line));
                    }
                }
            }
        }
        ruleset.tables = in_force(&lab).collect();
        for rules in &ruleset.tables {
            for (place, id) in places(rules, |id| known.get(&id).cloned()) {
                ruleset.rules.push(Arc::clone(&place));
                ruleset.places.insert(id, place);
            }
        }
        Ok(ruleset)
    }

    fn restore(&mut self, family: Family, text: &Arc<Text>, lab: &Lab, marks: &mut Marks) -> Result<(), SourceError> {
        let options = Options::of(family);
        let tool = match family {
            Family::V4 => "iptables-restore",
            Family::V6 => "ip6tables-restore",
        };
        let router = lab.machine.router();
        let links = router
            .config()
            .net
            .interfaces()
            .iter()
            .map(|it| it.name)
            .collect::<Vec<_>>();
        let mut tables = RouterTables::new(router, lab.now());
        let (printed, result) = restore::run_marked(
            &text.source.text,
            &options,
            &mut tables,
            &StaticHosts::localhost().with_links(links),
            marks,
        );
        self.note(&text.source.name, &printed.warnings);
        if result.is_ok() && restore::written_by(&text.source.text) == Some(family.other()) {
            let other = family.other();
            let tool = Program::Save(other).name();
            let said = format!(
                "{tool} wrote these rules, as they say, and they are read for {family}: `{}` reads those of {other}",
                word_of(other)
            );
            self.note(&text.source.name, &said);
        }
        let is_of_other = || {
            let other = Options {
                test: true,
                ..Options::of(family.other())
            };
            let mut tables = RouterTables::new(router, lab.now());
            restore::run(&text.source.text, &other, &mut tables, &StaticHosts::localhost())
                .1
                .is_ok()
        };
        result.map_err(|failure| {
            let line = text.line(failure.place.line.unwrap_or(1) as usize);
            let at = match failure.place.column {
                Some(column) => {
                    let start = (line.start + column as usize - 1).min(line.end);
                    // The tool counts a line of more than 10 kB as several, so the place may be within a letter.
                    let rest = text.source.text.get(start..line.end).unwrap_or("");
                    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
                    Position::from(start..start + length)
                }
                None => line,
            };
            let remedy = match text.source.text.starts_with(MARK) {
                true => {
                    format!("the file begins with a byte order mark, which {tool} does not take: save it without one")
                }
                false if is_of_other() => {
                    let [own, others] = [family, family.other()].map(word_of);
                    let other = family.other();
                    format!("these are rules of {other}, and `{own}` takes those of {family}: write `{others} FILE`, or give them to --{others}")
                }
                false => failure.remedy.clone().unwrap_or_default(),
            };
            let mut said = failure;
            said.remedy = None;
            text.source.error(vec![Problem::new(
                at,
                said.explain(),
                format!("{tool} does not take this"),
                remedy,
            )])
        })
    }

    /// Does the commands in a lab, which is returned.
    fn command(&mut self, text: &Arc<Text>, directory: &Path, lab: Lab, marks: &mut Marks) -> Result<Lab, SourceError> {
        let toolbox = lab.machine.toolbox();
        let statements = parse_in(&text.source, toolbox, &mut Hosts::default()).map_err(|mut error| {
            for problem in &mut error.problems {
                problem.remedy = SHELL.to_owned();
            }
            error
        })?;
        let mut runner = Runner::new(lab, directory.to_path_buf());
        let mut problems = Vec::new();
        for statement in statements {
            let Kind::Tool(call) = &statement.kind else {
                problems.push(Problem::new(
                    statement.position,
                    "a file of rules calls tools only",
                    "expected iptables, sysctl, modprobe or another tool",
                    "put it into `setup` of the test file",
                ));
                continue;
            };
            let sets_rules = sets_rules(call.name);
            marks.set(text.line_and_column(statement.position.start).0 as u32);
            let (said, result) = runner.run(&statement);
            match result {
                Ok(()) => self.note(&text.source.name, &said.stderr),
                Err(failed) => {
                    let mut lines = said.stderr.lines();
                    let message = lines.next().unwrap_or(&failed.reason).to_owned();
                    let remedy = lines.next_back().unwrap_or("").to_owned();
                    problems.push(Problem::new(statement.position, message, failed.reason, remedy));
                }
            }
            if !sets_rules {
                self.beside.push(statement);
            }
        }
        if problems.is_empty() {
            Ok(runner.lab)
        } else {
            Err(text.source.error(problems))
        }
    }

    fn note(&mut self, file: &str, said: &str) {
        self.notes.extend(said.lines().map(|line| format!("{file}: {line}")));
    }

    /// A lab in which no packet has passed and these rules are in force, to be copied: they are compiled once for all cases. `None` where something
    /// else than rules is to be done first, of which a copy might not have all, or where they do not come into force.
    pub(super) fn ready(&self, fresh: impl FnOnce() -> Result<Lab, SourceError>) -> Option<&Lab> {
        let ready = self.ready.get_or_init(|| {
            let lab = fresh().ok().filter(|_| self.beside.is_empty())?;
            self.put_into_force(&lab).ok()?;
            Some(Box::new(lab))
        });
        ready.as_deref()
    }

    /// Puts the rules into force in a fresh lab.
    pub(super) fn apply(&self, runner: &mut Runner) -> Result<(), String> {
        for statement in &self.beside {
            let (_, result) = runner.run(statement);
            result.map_err(|failed| failed.reason)?;
        }
        self.put_into_force(&runner.lab)
    }

    fn put_into_force(&self, lab: &Lab) -> Result<(), String> {
        for rules in &self.tables {
            let replaced = lab.machine.router().replace(rules.clone(), lab.now());
            replaced.map_err(|refusal| refusal.to_string())?;
        }
        Ok(())
    }

    pub(super) fn place(&self, id: CountId) -> Option<&Arc<RulePlace>> {
        self.places.get(&id)
    }

    /// Every rule, in the order of its tables and chains.
    pub fn rules(&self) -> &[Arc<RulePlace>] {
        &self.rules
    }
}

/// A tool of either family.
pub(super) fn sets_rules(tool: &str) -> bool {
    Program::called(tool).is_some()
}

/// All tables of both families.
pub(super) fn in_force(lab: &Lab) -> impl Iterator<Item = TableRules> {
    let router = lab.machine.router();
    let tables = Family::ALL
        .into_iter()
        .flat_map(move |family| router.tables(family).into_iter().map(move |table| (family, table)));
    tables.map(move |(family, table)| router.table(family, table))
}

/// The rules of a table whose place is known.
pub(super) fn places(
    rules: &TableRules,
    place: impl Fn(CountId) -> Option<(String, u32)>,
) -> Vec<(Arc<RulePlace>, CountId)> {
    let mut found = Vec::new();
    for chain in &rules.chains {
        for (at, rule) in chain.rules.iter().enumerate() {
            let Some((file, line)) = place(rule.id) else { continue };
            let made = RulePlace {
                file,
                line,
                family: rules.family,
                table: rules.table,
                chain: chain.name.clone(),
                number: at as u32 + 1,
                rule: written(&chain.name, rule),
            };
            found.push((Arc::new(made), rule.id));
        }
    }
    found
}

fn written(chain: &str, rule: &Rule) -> String {
    let mut text = String::new();
    save::write_rule(&mut text, chain, rule, None);
    text.trim_end().to_owned()
}

/// Whether a text is what `iptables-save` prints: its first line that says something names a table.
fn is_saved(text: &str) -> bool {
    let mut lines = text
        .trim_start_matches(MARK)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.next().is_none_or(|line| line.starts_with('*'))
}

/// A byte order mark.
const MARK: char = '\u{feff}';
const SHELL: &str = "a file of rules is what `iptables-save` prints, or plain commands without a shell's variables and loops; \
                     run a shell script as `nflab sh --save rules.v4 -- sh FILE` and test what it saves";

/// By which a test file, and with two dashes the command, names a family's rules.
fn word_of(family: Family) -> &'static str {
    match family {
        Family::V4 => "rules",
        Family::V6 => "rules6",
    }
}
