//! Which table it is: listings and commands do not say. The chains tell, and where several tables have them, the rules.

use std::collections::HashSet;

use super::build::Built;
use super::draft::{Chain, Draft};
use super::row::is_foreign_target;
use super::{Options, Told};
use crate::ext;
use crate::rule::Table;

/// True when these built-in chains are all that some table has.
pub(super) fn is_whole(built_in: &[&str]) -> bool {
    Table::ALL.into_iter().any(|table| has_all(table, built_in))
}

/// Gives the draft its table and the chains that are missing; says what was not known. `None` where nothing can be said. In `trial` is tried which
/// table takes it.
pub(super) fn settle(
    mut draft: Draft,
    named: Option<Table>,
    whole: bool,
    options: &Options,
    told: &mut Told,
    trial: &mut Built,
) -> Option<Draft> {
    missing_chains(&mut draft, whole, told);
    let built_in = draft.built_in();
    let mut users: Vec<&str> = draft
        .chains
        .iter()
        .filter(|it| it.policy.is_none())
        .map(|it| it.name.as_str())
        .collect();
    // The rules of one built-in chain, without its policy.
    users.retain(|name| Table::ALL.iter().any(|table| has(*table, name)));
    let needed: Vec<&str> = built_in.iter().chain(&users).copied().collect();
    let table = match named.or(options.table) {
        Some(table) => table,
        None => {
            let mut candidates: Vec<Table> = Table::ALL
                .into_iter()
                .filter(|&table| has_all(table, &needed))
                .collect();
            if candidates.is_empty() {
                let fits = |table: Table| needed.iter().all(|name| has(table, name));
                candidates = Table::ALL.into_iter().filter(|&table| fits(table)).collect();
            }
            decide(&draft, &candidates, &needed, options, told, trial)?
        }
    };
    let unlisted: Vec<&str> = table
        .hooks()
        .iter()
        .map(|hook| hook.chain())
        .filter(|name| !built_in.contains(name) && !is_old_nat(&built_in))
        .collect();
    if !unlisted.is_empty() {
        told.unknown(
            &draft.source,
            draft.line,
            format!(
                "policy and rules of {}: not in the text; taken as empty, with the policy ACCEPT",
                unlisted.join(", ")
            ),
        );
    }
    draft.table = table;
    Some(draft)
}

fn decide(
    draft: &Draft,
    candidates: &[Table],
    needed: &[&str],
    options: &Options,
    told: &mut Told,
    trial: &mut Built,
) -> Option<Table> {
    let fitting: Vec<Table> = match candidates {
        [] | [_] => candidates.to_vec(),
        _ => {
            let mut draft = draft.clone();
            let mut refused = |table: &Table| {
                draft.table = *table;
                trial.refuses(&draft, options)
            };
            let refused: Vec<usize> = candidates.iter().map(&mut refused).collect();
            // What cannot be read in any table says nothing of which one it is.
            let fewest = refused.iter().min();
            let fits = |(table, refused)| (Some(refused) == fewest).then_some(table);
            candidates.iter().copied().zip(&refused).filter_map(fits).collect()
        }
    };
    let names = |tables: &[Table]| tables.iter().map(|it| it.name()).collect::<Vec<_>>().join(", ");
    match &fitting[..] {
        [table] => Some(*table),
        [] => {
            told.refuse(
                &draft.source,
                draft.line,
                format!(
                    "no table has the chains {}; --table says which table it is",
                    needed.join(", ")
                ),
            );
            None
        }
        several if several.contains(&Table::Filter) => {
            told.unknown(
                &draft.source,
                draft.line,
                format!(
                    "the table: {} have these chains; taken for filter. --table says it",
                    names(several)
                ),
            );
            Some(Table::Filter)
        }
        several => {
            told.refuse(
                &draft.source,
                draft.line,
                format!("the table may be any of {}; --table says which", names(several)),
            );
            None
        }
    }
}

/// Jumps to chains that the text does not have: they are made, empty, and that is said.
fn missing_chains(draft: &mut Draft, whole: bool, told: &mut Told) {
    if whole {
        return;
    }
    let mut there: HashSet<String> = draft.chains.iter().map(|it| it.name.clone()).collect();
    let mut missing: Vec<(usize, String)> = Vec::new();
    for command in &draft.commands {
        let jump = command
            .words
            .windows(2)
            .find(|pair| ["-j", "-g"].contains(&&*pair[0].text));
        let Some(name) = jump.map(|pair| &*pair[1].text) else {
            continue;
        };
        let known = ["ACCEPT", "DROP", "RETURN", "QUEUE"].contains(&name)
            || ext::targets().any(|spec| spec.name == name && spec.families.contains(&draft.family))
            || is_foreign_target(name, draft.family)
            || there.contains(name);
        if !known {
            there.insert(name.to_owned());
            missing.push((command.line, name.to_owned()));
        }
    }
    for (line, name) in missing {
        told.unknown(
            &draft.source,
            line,
            format!("the rules of chain {name}: it is jumped to, but not in the text; it stands empty"),
        );
        draft.chains.push(Chain {
            line,
            name,
            policy: None,
            counters: None,
        });
    }
}

fn has(table: Table, chain: &str) -> bool {
    table.hooks().iter().any(|hook| hook.chain() == chain)
}

/// True when these are the table's chains, no more and no less.
fn has_all(table: Table, built_in: &[&str]) -> bool {
    let all = built_in.len() == table.hooks().len() && built_in.iter().all(|name| has(table, name));
    all || table == Table::Nat && is_old_nat(built_in)
}

/// nat had no INPUT before Linux 2.6.36.
fn is_old_nat(built_in: &[&str]) -> bool {
    built_in.len() == 3
        && ["PREROUTING", "POSTROUTING", "OUTPUT"]
            .iter()
            .all(|name| built_in.contains(name))
}
