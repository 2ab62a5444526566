//! Drafts into rules: each command is done as `iptables-restore` would, and what cannot be done is refused by line.

use std::collections::HashSet;

use super::draft::{self, Command, Draft};
use super::{Options, THE_BEGINNING, Told, compare};
use crate::engine::{Config, Router};
use crate::lab::RouterTables;
use crate::net::{Closed, Net};
use crate::rule::{CountId, Refusal, TableRules};
use crate::text::apply::{self, Printed};
use crate::text::command::{self, Context, Restoring};
use crate::text::restore::{self, Marks};
use crate::text::{Failure, Program, Session, Untouched, save};

/// Tables as they were read.
pub(super) struct Built {
    router: Router,
    /// Which command made a rule: an index of the draft's commands.
    made_by: Marks,
}

impl Built {
    pub(super) fn new() -> Self {
        Self {
            router: Router::new(Config::new(Net::default()), 1, 1, Box::new(Closed)),
            made_by: Marks::default(),
        }
    }

    /// How much of a draft cannot be done; what was built here before is lost.
    pub(super) fn refuses(&mut self, draft: &Draft, options: &Options) -> usize {
        let mut told = Told::default();
        self.add(draft, options, &mut told);
        told.refused.len()
    }

    /// Does a draft's commands; those that cannot be done are refused, the others stand.
    pub(super) fn add(&mut self, draft: &Draft, options: &Options, told: &mut Told) {
        let mut left_out = HashSet::new();
        let mut searched = 0;
        let mut table = self.perform(draft, draft.commands.len(), &mut left_out, options, Some(told));
        while let Err(refusal) = self.router.replace(table, THE_BEGINNING) {
            // Each search reads the text some times over.
            searched += 1;
            if searched > MOST_SEARCHED {
                told.refuse(
                    &draft.source,
                    draft.line,
                    format!(
                        "{}; more rules like those above are refused: mend them first",
                        kernel(&refusal)
                    ),
                );
                return;
            }
            // The kernel takes or refuses a table whole: the first command without which it would be taken is to blame.
            let mut bad = draft.commands.len();
            let mut good = 0;
            while bad > good + 1 {
                let middle = good + (bad - good) / 2;
                let part = self.perform(draft, middle, &mut left_out, options, None);
                match self.router.replace(part, THE_BEGINNING) {
                    Ok(()) => good = middle,
                    Err(_) => bad = middle,
                }
            }
            let Some(command) = draft.commands.get(bad.wrapping_sub(1)) else {
                told.refuse(&draft.source, draft.line, kernel(&refusal));
                return;
            };
            told.refuse(&draft.source, command.line, kernel(&refusal));
            left_out.insert(bad - 1);
            table = self.perform(draft, draft.commands.len(), &mut left_out, options, None);
        }
    }

    /// The table after the first `count` commands. What is refused is left out, and told where someone asks.
    fn perform(
        &mut self,
        draft: &Draft,
        count: usize,
        left_out: &mut HashSet<usize>,
        options: &Options,
        mut told: Option<&mut Told>,
    ) -> TableRules {
        let mut tables = Untouched;
        let mut session = Session::open(&mut tables, draft.family, draft.table);
        let mut announced = HashSet::new();
        for chain in &draft.chains {
            let built_in = draft.table.hooks().iter().any(|hook| hook.chain() == chain.name);
            let result = match (&chain.policy, built_in) {
                (None, true) => Ok(()),
                (None, false) => {
                    announced.insert(chain.name.clone());
                    session.add_chain(&chain.name).map_err(Failure::from)
                }
                (Some(policy), _) => match draft::policy(policy) {
                    // Told by who read it.
                    None if draft.form.is_some() => Ok(()),
                    _ => apply::set_policy(&mut session, &chain.name, policy, chain.counters).map_err(Failure::from),
                },
            };
            if let (Err(failure), Some(told)) = (result, told.as_deref_mut()) {
                let what = format!("chain {}: {}", chain.name, failure.explain());
                told.refuse(&draft.source, chain.line, what);
            }
        }
        let restoring = Restoring {
            table: draft.table.name(),
            announced: &announced,
        };
        let context = Context {
            program: Program::Restore(draft.family),
            hosts: &options.hosts,
            restoring: Some(restoring),
        };
        for (at, command) in draft.commands.iter().enumerate().take(count) {
            if left_out.contains(&at) {
                continue;
            }
            self.made_by.set(at as u32);
            if let Err(failure) = one(command, context, &mut session) {
                left_out.insert(at);
                if let Some(told) = told.as_deref_mut() {
                    told.refuse(&draft.source, command.line, refusal(draft, command, &failure));
                }
            }
        }
        session.close()
    }

    pub(super) fn table(&self, draft: &Draft) -> TableRules {
        self.router.table(draft.family, draft.table)
    }

    pub(super) fn session(&self, draft: &Draft) -> Session {
        let mut tables = RouterTables::new(&self.router, THE_BEGINNING);
        Session::open(&mut tables, draft.family, draft.table)
    }

    pub(super) fn made_by(&self, rule: CountId) -> Option<usize> {
        self.made_by.line(rule).map(|at| at as usize)
    }

    /// Reads what would be written as `iptables-restore` reads it. What it refuses, or takes for something else, is refused here, by the line it
    /// comes from: a listing's chain may have a name that no file can say.
    pub(super) fn read_back(&self, draft: &Draft, counted: bool, options: &Options, told: &mut Told) {
        let text = self.save([draft], counted);
        let other = Self::new();
        let mut tables = RouterTables::new(&other.router, THE_BEGINNING);
        let reading = restore::Options {
            family: draft.family,
            // A policy's are written in any case.
            counters: true,
            keep: false,
            test: false,
            only: None,
            verbose: false,
        };
        let (at, why) = match restore::run(&text, &reading, &mut tables, &options.hosts).1 {
            Err(failure) => (failure.place.line.unwrap_or(1) as usize, failure.explain()),
            Ok(()) => {
                let again = other.save([draft], counted);
                let differs = |(one, other): (&str, &str)| one != other;
                let Some(at) = text.lines().zip(again.lines().chain([""])).position(differs) else {
                    return;
                };
                let comes_back = again.lines().nth(at).unwrap_or_default();
                (at + 1, format!("it would be taken for `{comes_back}`"))
            }
        };
        let said = text.lines().nth(at - 1).unwrap_or_default();
        let line = self.origin(draft, said, at);
        // What is wrong with a rule may be found out when all are handed over, at a line that is nobody's.
        let (line, said) = match said {
            "COMMIT" => self.not_sayable(draft, options).unwrap_or((line, said.to_owned())),
            _ => (line, said.to_owned()),
        };
        told.refuse(
            &draft.source,
            line,
            format!(
                "no save file can say this: of `{said}` {} says: {why}",
                Program::Restore(draft.family).name()
            ),
        );
    }

    /// The first rule that its line in a save file does not say, and that line: where it comes from, and what it is.
    fn not_sayable(&self, draft: &Draft, options: &Options) -> Option<(usize, String)> {
        let table = self.table(draft);
        let mut rules = table
            .chains
            .iter()
            .flat_map(|chain| chain.rules.iter().map(move |rule| (chain, rule)));
        let (chain, rule) = rules.find(|(chain, rule)| !compare::reads_the_same(&table, chain, rule, options))?;
        let mut said = String::new();
        save::write_rule(&mut said, &chain.name, rule, None);
        let command = self.made_by(rule.id).and_then(|at| draft.commands.get(at))?;
        Some((command.line, said.trim_end().to_owned()))
    }

    /// The line of the text that a line of its save file comes from.
    fn origin(&self, draft: &Draft, said: &str, at: usize) -> usize {
        let chain = draft.chains.iter().find(|chain| {
            let rest = said.strip_prefix(':').and_then(|said| said.strip_prefix(&chain.name));
            rest.is_some_and(|rest| rest.starts_with(' '))
        });
        if let Some(chain) = chain {
            return chain.line;
        }
        let table = self.table(draft);
        // The table's name and the chains come first.
        let mut first = 2 + table.chains.len();
        for chain in &table.chains {
            for rule in &chain.rules {
                let mut text = String::new();
                save::write_rule(&mut text, &chain.name, rule, None);
                first += text.matches('\n').count();
                if at < first {
                    let command = self.made_by(rule.id).and_then(|at| draft.commands.get(at));
                    return command.map_or(draft.line, |command| command.line);
                }
            }
        }
        draft.line
    }

    /// What `iptables-save` prints of these drafts' tables, without its own comments.
    pub(super) fn save<'a>(&self, chosen: impl IntoIterator<Item = &'a Draft>, counted: bool) -> String {
        let mut out = String::new();
        let mut tables = RouterTables::new(&self.router, THE_BEGINNING);
        for draft in chosen {
            let table = Some(draft.table);
            save::write_tables(&mut out, &mut tables, draft.family, table, counted, THE_BEGINNING);
        }
        out.split_inclusive('\n')
            .filter(|line| !line.starts_with('#'))
            .collect()
    }
}

fn one(command: &Command, context: Context<'_>, session: &mut Session) -> Result<(), Failure> {
    let parsed = command::parse_words(command.words.iter().map(|it| &*it.text).collect(), context);
    let command = parsed.result?;
    apply::perform(&command, session, context.hosts, &mut Printed::default())
}

/// With the place in the line where the text has one, and with the rule that a row was read as.
fn refusal(draft: &Draft, command: &Command, failure: &Failure) -> String {
    let why = failure.explain();
    if draft.form.is_some() {
        let is_name = why.contains("host/network") && !why.contains("an address of");
        let remedy = match is_name {
            true => "; --host NAME=ADDRESS says what a name stands for",
            false => "",
        };
        return format!("read as `{}`: {why}{remedy}", command.shown());
    }
    let blamed = failure.place.argument.and_then(|at| command.words.get(at as usize));
    match blamed.and_then(|word| word.column) {
        Some(column) => format!("{why} (column {column})"),
        None => why,
    }
}

fn kernel(refusal: &Refusal) -> String {
    format!("the kernel would refuse it: {refusal}")
}

/// Rules that the kernel would refuse, each told by its line.
pub(super) const MOST_SEARCHED: usize = 20;
