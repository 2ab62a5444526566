//! One rule and one packet: whether the packet came to the rule, and what the rule made of it.

mod name;
mod not_reached;

use std::collections::HashMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

pub(crate) use self::name::{RuleName, RulePlace};
use self::not_reached::not_reached;
use super::account::{Account, Told, rule_text, whose};
use crate::rule::{ChainKind, TableRules};

/// What is to be said of a rule and a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Why {
    pub packet: u64,
    /// `IPv4` or `IPv6`: whose rule it is.
    pub family: String,
    pub table: String,
    pub chain: String,
    /// `None`: the policy.
    pub number: Option<u32>,
    /// As it was typed; of a policy, its verdict.
    pub rule: String,
    /// Each time that the packet came to it.
    pub tried: Vec<Tried>,
    /// Why the packet never came to it.
    pub not_reached: Option<String>,
    /// Each time that an answer to the packet came to it, or a copy.
    #[serde(default)]
    pub others: Vec<TriedByAnother>,
    /// The packet came to more rules than are kept: of each there is the first time at least.
    #[serde(default)]
    pub cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tried {
    pub hook: String,
    pub matched: bool,
    /// What it did, or the first part of it that failed and the packet's datum against it.
    pub what: String,
}

/// The same of a packet that the router sent because of the one that is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TriedByAnother {
    /// As a line.
    pub of: String,
    #[serde(flatten)]
    pub tried: Tried,
}

impl Why {
    /// `place` is one of `tables`, which were in force for the packet.
    pub(crate) fn of(account: &Account, place: &RulePlace, tables: &[TableRules]) -> Self {
        let table = tables.iter().find(|it| it.table == place.table);
        let chain = table.and_then(|table| table.chain(&place.chain));
        let rule = match (chain, place.number) {
            (Some(chain), Some(number)) => chain
                .rules
                .get(number as usize - 1)
                .map_or_else(String::new, |rule| rule_text(rule)),
            (Some(chain), None) => match &chain.kind {
                ChainKind::BuiltIn { policy, .. } => policy.name().to_owned(),
                ChainKind::User => String::new(),
            },
            (None, _) => String::new(),
        };
        let (mut tried, mut others) = (Vec::new(), Vec::new());
        for (whose, it) in tries(account, place) {
            match whose {
                None => tried.push(it),
                Some(packet) => others.push(TriedByAnother {
                    of: packet.to_owned(),
                    tried: it,
                }),
            }
        }
        let not_reached = match (tried.is_empty(), table) {
            (true, Some(table)) => Some(not_reached(account, place, table)),
            (true, None) => Some(format!("there is no table {}", place.table.name())),
            (false, _) => None,
        };
        Self {
            packet: account.number,
            family: place.family.name().to_owned(),
            table: place.table.name().to_owned(),
            chain: place.chain.clone(),
            number: place.number,
            rule,
            tried,
            not_reached,
            others,
            cut: account.of_the_packet().any(|told| matches!(told, Told::Cut { .. })),
        }
    }

    pub(crate) fn json(&self) -> String {
        crate::base::json::to_string(self)
    }

    /// A line for the rule, one for each time that it was tried.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let (whose, table, chain, rule) = (whose(&self.family), &self.table, &self.chain, &self.rule);
        let _ = match self.number {
            Some(number) => writeln!(text, "rule {number} of {whose}{table} {chain}: {rule}"),
            None => writeln!(text, "policy of {whose}{table} {chain}: {rule}"),
        };
        let line = |text: &mut String, Tried { hook, matched, what }: &Tried| match (matched, self.number) {
            (true, None) => writeln!(text, "reached in {hook}: it decided"),
            (true, _) => writeln!(text, "reached in {hook}: yes: {what}"),
            (false, _) => writeln!(text, "reached in {hook}: no: {what}"),
        };
        for tried in &self.tried {
            text.push_str("  ");
            let _ = line(&mut text, tried);
        }
        if self.cut && !self.tried.is_empty() {
            let _ = writeln!(
                text,
                "  perhaps more often: its way was so long that of each rule only the first times are kept"
            );
        }
        if let Some(why) = &self.not_reached {
            let _ = writeln!(text, "  not reached: {why}");
        }
        for TriedByAnother { of, tried } in &self.others {
            let _ = write!(text, "  but the router sent, because of it, {of}\n    ");
            let _ = line(&mut text, tried);
        }
        text
    }
}

/// Each time that a packet came to a rule: the one that is asked about, or (with its line) another that it caused.
fn tries<'a>(account: &'a Account, place: &RulePlace) -> Vec<(Option<&'a str>, Tried)> {
    let mut hooks: HashMap<Option<&str>, &str> = HashMap::new();
    let mut found = Vec::new();
    for (whose, told) in account.of_each() {
        let hook = hooks.entry(whose).or_default();
        match told {
            Told::Hook { hook: reached } => *hook = reached,
            Told::Rule {
                table,
                chain,
                number,
                matched,
                action,
                why,
                ..
            } if table == place.table.name() && *chain == place.chain && Some(*number) == place.number => {
                let action = if action.is_empty() { "counted, on" } else { action };
                let tried = Tried {
                    hook: (*hook).to_owned(),
                    matched: *matched,
                    what: match why {
                        Some(counted) if *matched => format!("{action} ({counted})"),
                        Some(why) => why.clone(),
                        None => action.to_owned(),
                    },
                };
                found.push((whose, tried));
            }
            Told::Policy { table, chain, policy }
                if table == place.table.name() && *chain == place.chain && place.number.is_none() =>
            {
                let tried = Tried {
                    hook: (*hook).to_owned(),
                    matched: true,
                    what: policy.clone(),
                };
                found.push((whose, tried));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
pub(super) mod tests;
