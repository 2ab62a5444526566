//! A command done to an opened table: what it prints, and why it would not.

use std::sync::Arc;

use smallvec::SmallVec;

use super::command::{Command, Listing, ThenZero, Verb};
use super::failure::{Denial, Failure, Program};
use super::hosts::Hosts;
use super::in_hand::is_small;
use super::rule_options::{Draft, Jump};
use super::session::{Session, Tables};
use super::{list, save};
use crate::base::Family;
use crate::base::bytes::length_of;
use crate::ext;
use crate::ext::option::Status;
use crate::rule::{Action, ChainKind, Count, CountId, Counters, Policy, Rule, Table};

/// What a command printed, on standard output and standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// For standard output.
    pub out: String,
    /// For standard error: warnings of what was done all the same, not what went wrong.
    pub warnings: String,
}

/// Opens the command's table, does the command, and puts the change into force: whole, or nothing of it.
pub(crate) fn execute(
    command: &Command<'_>,
    tables: &mut dyn Tables,
    hosts: &dyn Hosts,
) -> (Printed, Result<(), Failure>) {
    let mut printed = Printed::default();
    if let Verb::Print(text) = &command.verb {
        printed.out.push_str(text);
        return (printed, Ok(()));
    }
    if let Verb::Nothing = command.verb {
        return (printed, Ok(()));
    }
    let Some(table) = Table::from_name(command.table) else {
        return (printed, Err(no_table(command.table, command.family)));
    };
    // What is not done in hand need not be taken in hand for that.
    if is_small(&command.verb)
        && let Some(session) = tables.in_hand(command.family, table)
        && let Some(done) = session.do_in_hand(command, hosts)
    {
        return done;
    }
    let mut session = Session::open(tables, command.family, table);
    let result = perform(command, &mut session, hosts, &mut printed).and_then(|()| {
        session
            .commit(tables)
            .map_err(|refusal| Failure::denied(Denial::Kernel(refusal)))
    });
    (printed, result)
}

/// Does a command to a table that is open, without putting anything into force.
pub(crate) fn perform(
    command: &Command<'_>,
    session: &mut Session,
    hosts: &dyn Hosts,
    printed: &mut Printed,
) -> Result<(), Failure> {
    let Printed { out, warnings } = printed;
    let said = |out: &mut String, doing: &str, chain: &str| {
        if command.verbose {
            out.push_str(&format!("{doing} chain `{chain}'\n"));
        }
    };
    match &command.verb {
        Verb::Append { chain, draft } => {
            let (action, rules) = resolve(draft, session, warnings)?;
            // Every rule is tried and told, and the last refusal is the one that is told.
            let mut result: Result<(), Denial> = Ok(());
            for rule in rules {
                announce(command, &rule, out);
                if let Err(denial) = insert(session, chain, None, rule, &action) {
                    result = Err(denial);
                }
            }
            result?;
        }
        Verb::Insert { chain, number, draft } => {
            let (action, rules) = resolve(draft, session, warnings)?;
            let mut result: Result<(), Denial> = Ok(());
            for rule in rules {
                announce(command, &rule, out);
                if let Err(denial) = insert(session, chain, Some(*number), rule, &action) {
                    result = Err(denial);
                }
            }
            result?;
        }
        Verb::Replace { chain, number, draft } => {
            let (action, rules) = resolve(draft, session, warnings)?;
            for rule in rules {
                announce(command, &rule, out);
                if *number > session.chain(chain).ok_or(Denial::NoSuchName)?.length() {
                    return Err(Denial::ReplacementTooBig.into());
                }
                check_jump(session, &action)?;
                session.replace_rule(chain, number - 1, Arc::new(rule))?;
            }
        }
        Verb::Delete { chain, draft } => {
            let (_, rules) = resolve(draft, session, warnings)?;
            let mut result: Result<(), Denial> = Ok(());
            for rule in rules {
                announce(command, &rule, out);
                match find(session, chain, &rule) {
                    Ok(at) => session.remove_rule(chain, at)?,
                    Err(denial) => result = Err(denial),
                }
            }
            result?;
        }
        Verb::Check { chain, draft } => {
            let (_, rules) = resolve(draft, session, warnings)?;
            let mut result: Result<(), Denial> = Ok(());
            for rule in rules {
                announce(command, &rule, out);
                if let Err(denial) = find(session, chain, &rule) {
                    result = Err(denial);
                }
            }
            result?;
        }
        Verb::DeleteNumber { chain, number } => session.remove_rule(chain, number - 1)?,
        Verb::List(listing) => {
            let columns = list::Columns {
                verbose: command.verbose,
                numeric: command.numeric,
                exact: command.exact,
                line_numbers: command.line_numbers,
            };
            session.settle();
            list::write(out, session, listing, columns, hosts)?;
            zero_after(session, listing, command.verbose, out)?;
        }
        Verb::ListRules(listing) => {
            session.settle();
            save::write_rules(out, session, listing, command.verbose)?;
            zero_after(session, listing, command.verbose, out)?;
        }
        Verb::Flush { chain } => {
            for name in chosen(session, *chain, true) {
                said(out, "Flushing", &name);
                session.flush(&name)?;
            }
        }
        Verb::Zero { chain, number } => zero(session, *chain, *number, command.verbose, out)?,
        Verb::New { chain } => session.add_chain(chain)?,
        Verb::DeleteChain { chain } => {
            // With no name given every chain is tried, and the last refusal is the one that is told.
            let mut result: Result<(), Denial> = Ok(());
            for name in chosen(session, *chain, false) {
                said(out, "Deleting", &name);
                if let Err(denial) = session.delete_chain(&name) {
                    result = Err(denial);
                }
            }
            result?;
        }
        Verb::Rename { chain, to } => session.rename_chain(chain, to)?,
        Verb::Policy {
            chain,
            policy,
            counters,
        } => set_policy(session, chain, policy, *counters)?,
        Verb::Print(text) => out.push_str(text),
        Verb::Nothing => {}
    }
    Ok(())
}

/// Why there is no table of this name. Names of 32 bytes and more are another error to the kernel.
pub(crate) fn why_no_table(name: &str) -> &'static str {
    match length_of(name) {
        0..32 => "Table does not exist (do you need to insmod?)",
        _ => "Module is wrong version",
    }
}

/// The tool's words where there is no table of this name.
pub(crate) fn no_table(name: &str, family: Family) -> Failure {
    let why = why_no_table(name);
    let tool = Program::Iptables(family).name();
    Failure::said(
        Status::Version,
        format!("can't initialize {tool} table `{name}': {why}"),
    )
    .remedy(format!("there are: {}", Table::ALL.map(Table::name).join(", ")))
}

/// Gives a built-in chain its policy. Its counters start from zero, or from what is given.
pub(crate) fn set_policy(
    session: &mut Session,
    chain: &str,
    policy: &str,
    counters: Option<Counters>,
) -> Result<(), Denial> {
    let typed = [Policy::Accept, Policy::Drop]
        .into_iter()
        .find(|it| it.name() == policy);
    session.set_policy(chain, typed, counters)
}

fn resolve(
    draft: &Draft<'_>,
    session: &Session,
    warnings: &mut String,
) -> Result<(Action, SmallVec<[Rule; 1]>), Failure> {
    let action = match &draft.jump {
        Jump::Plain(action) => action.clone(),
        Jump::Goto { name, at } => {
            if !session.has_chain(name) {
                return Err(Failure::parameter(format!("goto '{name}' is not a chain"))
                    .at(*at)
                    .remedy("make the chain first (-N)"));
            }
            Action::Goto((*name).to_owned())
        }
        Jump::Name { name, target, at } => match (session.has_chain(name), target) {
            (true, target) => {
                if target.is_some() {
                    warnings.push_str(&format!("Warning: using chain {name}, not extension\n"));
                }
                Action::Jump((*name).to_owned())
            }
            (false, Some(target)) => Action::Target(Arc::clone(target)),
            (false, None) => {
                return Err(
                    Failure::parameter(format!("Couldn't load target `{name}':No such file or directory\n"))
                        .at(*at)
                        .remedy(format!(
                            "make a chain of this name first (-N), or choose a target: {}",
                            ext::target_names(session.family)
                        )),
                );
            }
        },
    };
    let rules = draft
        .selectors
        .iter()
        .map(|&selector| Rule {
            id: CountId::fresh(),
            count: Count::Set(draft.counters.unwrap_or_default()),
            selector,
            matches: draft.matches.clone(),
            action: action.clone(),
        })
        .collect();
    Ok((action, rules))
}

/// Puts a rule in as number so-and-so, or at the end.
fn insert(
    session: &mut Session,
    chain: &str,
    number: Option<usize>,
    rule: Rule,
    action: &Action,
) -> Result<(), Denial> {
    let length = session.chain(chain).ok_or(Denial::NoSuchName)?.length();
    let at = number.map_or(length, |number| number - 1);
    if at > length {
        return Err(Denial::InsertionTooBig);
    }
    check_jump(session, action)?;
    session.insert_rule(chain, at, Arc::new(rule))
}

/// A built-in chain can't be jumped to.
fn check_jump(session: &Session, action: &Action) -> Result<(), Denial> {
    match action {
        Action::Jump(name) | Action::Goto(name) => match session.chain(name) {
            Some(chain) if chain.kind != ChainKind::User => Err(Denial::Invalid),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Where the chain has the rule. The tool has two messages for "nowhere": one for rules with a plain verdict, one for the others.
fn find(session: &mut Session, chain: &str, rule: &Rule) -> Result<usize, Denial> {
    if !session.has_chain(chain) {
        return Err(Denial::NoSuchRule);
    }
    check_jump(session, &rule.action)?;
    session.position(chain, rule).ok_or(match rule.action {
        Action::Jump(_) | Action::Goto(_) | Action::Target(_) => Denial::NoSuchName,
        _ => Denial::NoSuchRule,
    })
}

fn announce(command: &Command<'_>, rule: &Rule, out: &mut String) {
    if command.verbose {
        list::write_inline(out, rule);
    }
}

fn chosen(session: &Session, chain: Option<&str>, built_in_too: bool) -> Vec<String> {
    match chain {
        Some(name) => vec![name.to_owned()],
        None => session.chain_names(built_in_too),
    }
}

fn zero(
    session: &mut Session,
    chain: Option<&str>,
    number: Option<usize>,
    verbose: bool,
    out: &mut String,
) -> Result<(), Failure> {
    if let (Some(chain), Some(number)) = (chain, number) {
        session.zero_rule(chain, number)?;
        return Ok(());
    }
    for name in chosen(session, chain, true) {
        if verbose {
            out.push_str(&format!("Zeroing chain `{name}'\n"));
        }
        session.zero(&name)?;
    }
    Ok(())
}

fn zero_after(session: &mut Session, listing: &Listing<'_>, verbose: bool, out: &mut String) -> Result<(), Failure> {
    match listing.then_zero {
        ThenZero::Nothing => Ok(()),
        ThenZero::Chains => zero(session, listing.chain, None, verbose, out),
        ThenZero::Rule => zero(session, listing.chain, listing.number, verbose, out),
    }
}
