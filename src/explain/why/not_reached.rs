//! Why a packet never came to a rule: what stood before.

use std::collections::{HashMap, HashSet};

use super::RulePlace;
use crate::explain::account::{Account, Told};
use crate::rule::{Action, Chain, ChainKind, Rule, Table, TableRules};

pub(super) fn not_reached(account: &Account, place: &RulePlace, table: &TableRules) -> String {
    let whose = place.family.whose();
    let hooks = hooks_into(table, &place.chain);
    if hooks.is_empty() {
        return format!("no rule leads into chain {}", place.chain);
    }
    let mut way: Vec<&str> = account
        .of_the_packet()
        .filter_map(|told| match told {
            Told::Hook { hook } => Some(hook.as_str()),
            _ => None,
        })
        .collect();
    // Where it was held it goes on in the same hook.
    way.dedup();
    let Some(hook) = hooks.iter().find(|hook| way.contains(hook)) else {
        let hooks = hooks.join(" or ");
        return match (stopped(account), &way[..]) {
            (Some(reason), []) => format!("it came to no hook: {reason}"),
            (Some(reason), way) => format!("it never came to {hooks}, only to {}: {reason}", way.join(", ")),
            (None, way) => format!("its way did not lead to {hooks} but to {}", way.join(", ")),
        };
    };
    // What happened at that hook, also after it was held there.
    let mut here = "";
    let at_hook: Vec<&Told> = account
        .of_the_packet()
        .filter(|told| match *told {
            Told::Hook { hook } => {
                here = hook;
                false
            }
            _ => here == *hook,
        })
        .collect();
    // A table to which it came once more had its last word then.
    let begin = at_hook
        .iter()
        .rposition(|told| matches!(told, Told::Table { table, .. } if table == place.table.name()));
    let walk: Vec<&Told> = at_hook[begin.map_or(at_hook.len(), |at| at + 1)..]
        .iter()
        .copied()
        .take_while(|told| !matches!(told, Told::Table { .. }))
        .collect();
    if walk.is_empty() {
        let not_asked = at_hook.iter().find_map(|told| match told {
            Told::NatNotAsked { reason, .. } => Some(reason),
            _ => None,
        });
        return match (not_asked, stopped(account)) {
            (Some(reason), _) if place.table == Table::Nat => format!("table nat was not asked in {hook}: {reason}"),
            (_, Some(reason)) => format!("it did not come to table {} in {hook}: {reason}", place.table.name()),
            _ => format!("table {} was not asked in {hook}", place.table.name()),
        };
    }
    let entered = walk
        .iter()
        .any(|told| matches!(told, Told::Rule { chain, .. } if *chain == place.chain))
        || place.chain == *hook;
    if !entered {
        return no_jump(hook, &walk, place, table);
    }
    let last = walk.iter().rev().find_map(|told| match told {
        Told::Rule {
            chain,
            number,
            rule,
            matched: true,
            decides,
            ..
        } if *decides || *chain == place.chain => Some((chain, number, rule, *decides)),
        _ => None,
    });
    // The walk was given up: none of its rules decided.
    let given_up = walk
        .iter()
        .find(|told| matches!(told, Told::Stopped { by_rules: false, .. }));
    match last {
        Some((chain, number, rule, decides)) if decides || given_up.is_none() => {
            format!("rule {number} of {whose}{chain} decided before it: {rule}")
        }
        _ => stopped(account).unwrap_or_else(|| format!("the walk of {} ended before it", place.chain)),
    }
}

fn no_jump(hook: &str, walk: &[&Told], place: &RulePlace, table: &TableRules) -> String {
    let whose = place.family.whose();
    let decided = walk.iter().find_map(|told| match told {
        Told::Rule {
            chain,
            number,
            decides: true,
            ..
        } => Some(format!("rule {number} of {whose}{chain} decided before it")),
        _ => None,
    });
    // Why each rule did not match, the first time.
    let mut tried: HashMap<(&str, u32), &String> = HashMap::new();
    let mut entered: HashSet<&str> = HashSet::from([hook]);
    for told in walk {
        if let Told::Rule { chain, number, why, .. } = told {
            entered.insert(chain);
            if let Some(why) = why {
                tried.entry((chain, *number)).or_insert(why);
            }
        }
    }
    let mut jumps = Vec::new();
    for chain in &table.chains {
        if !entered.contains(chain.name.as_str()) {
            continue;
        }
        for (at, rule) in chain.rules.iter().enumerate() {
            if !leads_into(rule, &place.chain) {
                continue;
            }
            let here = at as u32 + 1;
            let why = tried.get(&(chain.name.as_str(), here)).copied().cloned();
            let why = why
                .or_else(|| decided.clone())
                .unwrap_or_else(|| "not reached".to_owned());
            jumps.push(format!("rule {here} of {whose}{} ({why})", chain.name));
        }
    }
    match jumps.is_empty() {
        true => format!("the chains that lead into {} were not entered", place.chain),
        false => format!("no jump into {} was taken: {}", place.chain, jumps.join("; ")),
    }
}

fn stopped(account: &Account) -> Option<String> {
    account.stopped().map(|it| format!("{}: {}", it.how, it.reason))
}

fn leads_into(rule: &Rule, chain: &str) -> bool {
    matches!(&rule.action, Action::Jump(to) | Action::Goto(to) if to == chain)
}

/// The built-in chains from which a chain can be reached, itself where it is one.
fn hooks_into<'a>(table: &'a TableRules, chain: &'a str) -> Vec<&'a str> {
    let mut callers: HashMap<&str, Vec<&'a Chain>> = HashMap::new();
    for caller in &table.chains {
        for rule in &caller.rules {
            if let Action::Jump(to) | Action::Goto(to) = &rule.action {
                callers.entry(to).or_default().push(caller);
            }
        }
    }
    let mut wanted: Vec<&Chain> = table.chain(chain).into_iter().collect();
    let mut known: HashSet<&str> = HashSet::from([chain]);
    let mut at = 0;
    let mut hooks = Vec::new();
    while let Some(&reached) = wanted.get(at) {
        at += 1;
        if reached.kind != ChainKind::User {
            hooks.push(reached.name.as_str());
        }
        for &caller in callers.get(reached.name.as_str()).into_iter().flatten() {
            if known.insert(&caller.name) {
                wanted.push(caller);
            }
        }
    }
    hooks
}
