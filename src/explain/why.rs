//! One rule and one packet: whether the packet came to the rule, what the rule made of it, and if it never came there, what stood before.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::account::{Account, Told, rule_text, whose};
use crate::base::Family;
use crate::rule::{Action, Chain, ChainKind, Rule, Table, TableRules};
use crate::text::Program;

/// What somebody calls a rule by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleName {
    /// Whose it is said to be, by `-4` or `-6` in front; else that of the packet's family is meant.
    family: Option<Family>,
    name: Name,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// `FORWARD 3`, `nat:PREROUTING 1`, `nat PREROUTING policy`.
    At {
        table: Option<Table>,
        chain: String,
        /// `None`: the policy.
        number: Option<u32>,
        /// As it was said: where no such chain is, a comment may have been meant.
        said: String,
    },
    /// A part of its text, its comment among it.
    Text(String),
}

/// A rule in the tables that are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePlace {
    pub family: Family,
    pub table: Table,
    pub chain: String,
    pub number: Option<u32>,
}

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

impl RuleName {
    /// Never fails: what is no place is a text to look for.
    pub fn parse(text: &str) -> Self {
        let bare = text.trim_start();
        let (first, rest) = bare.split_once(char::is_whitespace).unwrap_or((bare, ""));
        let family = Family::of_option(first);
        Self {
            family,
            name: Name::parse(if family.is_some() { rest } else { text }),
        }
    }

    /// Finds the one rule that is meant among those of the packet's family; the error says what there is instead.
    pub fn find(&self, family: Family, tables: &[TableRules]) -> Result<RulePlace, String> {
        if let Some(asked) = self.family.filter(|asked| *asked != family) {
            let option = asked.option();
            return Err(format!(
                "the packet is of {family}, and meets {family}'s rules alone: leave `{option}` out, or name a packet of {asked}"
            ));
        }
        self.name.find(family, tables)
    }
}

impl Name {
    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (table, chain, number) = match words[..] {
            [place, number] => match place.split_once(':') {
                Some((table, chain)) => (Some(table), chain, number),
                None => (None, place, number),
            },
            [table, chain, number] => (Some(table), chain, number),
            _ => return Self::Text(text.trim().to_owned()),
        };
        let known = table.map(Table::from_name);
        let number = match number {
            "policy" => Some(None),
            number => number.parse().ok().map(Some),
        };
        match (known, number) {
            (Some(None), _) | (_, None) => Self::Text(text.trim().to_owned()),
            (known, Some(number)) => Self::At {
                table: known.flatten(),
                chain: chain.to_owned(),
                number,
                said: text.trim().to_owned(),
            },
        }
    }

    fn find(&self, family: Family, tables: &[TableRules]) -> Result<RulePlace, String> {
        match self {
            Self::At {
                table,
                chain,
                number,
                said,
            } => {
                let is_chain = tables.iter().any(|table| table.chain(chain).is_some());
                let found = at(family, tables, *table, chain, *number);
                match found {
                    Err(_) if !is_chain => by_text(tables, said).or(found),
                    found => found,
                }
            }
            Self::Text(text) => by_text(tables, text),
        }
    }
}

impl fmt::Display for RulePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whose, table, chain) = (self.family.whose(), self.table.name(), &self.chain);
        match self.number {
            Some(number) => write!(f, "rule {number} of {whose}{table} {chain}"),
            None => write!(f, "policy of {whose}{table} {chain}"),
        }
    }
}

/// Among those of a family.
fn at(
    family: Family,
    tables: &[TableRules],
    table: Option<Table>,
    chain: &str,
    number: Option<u32>,
) -> Result<RulePlace, String> {
    let mut having: Vec<&TableRules> = tables
        .iter()
        .filter(|it| table.is_none_or(|table| it.table == table) && it.chain(chain).is_some())
        .collect();
    // As for the tools, filter is meant where no table is named.
    if let Some(filter) = having.iter().position(|it| it.table == Table::Filter) {
        having = vec![having[filter]];
    }
    let has_it = |it: &&TableRules| match number {
        Some(number) => it
            .chain(chain)
            .is_some_and(|chain| (1..=chain.rules.len()).contains(&(number as usize))),
        None => it.chain(chain).is_some_and(|chain| chain.kind != ChainKind::User),
    };
    let found: Vec<&TableRules> = having.iter().copied().filter(has_it).collect();
    match (&found[..], &having[..]) {
        ([one], _) => Ok(RulePlace {
            family: one.family,
            table: one.table,
            chain: chain.to_owned(),
            number,
        }),
        ([], []) => {
            let all: Vec<String> = tables
                .iter()
                .filter(|it| table.is_none_or(|table| it.table == table))
                .flat_map(|it| {
                    it.chains
                        .iter()
                        .map(|chain| format!("{}:{}", it.table.name(), chain.name))
                })
                .collect();
            Err(match &all[..] {
                [] if !tables.is_empty() => format!(
                    "there is no chain {chain} here: no rules are in force in its table, only in {}",
                    tables.iter().map(|it| it.table.name()).collect::<Vec<_>>().join(", ")
                ),
                [] => format!(
                    "there is no chain {chain}: no rules are in force here; load them with {} or --{}",
                    Program::Restore(family).name(),
                    match family {
                        Family::V4 => "rules",
                        Family::V6 => "rules6",
                    }
                ),
                all => format!("there is no chain {chain}: there are {}", some(all)),
            })
        }
        ([], [only, ..]) => Err(match number {
            None => format!("{chain} is a user chain and has no policy; name one of its rules"),
            Some(number) => {
                let count = only.chain(chain).map_or(0, |chain| chain.rules.len());
                format!(
                    "there is no rule {number} in {}{} {chain}: it has {count}{}",
                    family.whose(),
                    only.table.name(),
                    match count {
                        0 => String::new(),
                        _ => format!(", numbered 1 to {count}"),
                    }
                )
            }
        }),
        (several, _) => {
            let names: Vec<String> = several
                .iter()
                .map(|it| {
                    let number = number.map_or("policy".to_owned(), |number| number.to_string());
                    format!("`{}:{chain} {number}`", it.table.name())
                })
                .collect();
            Err(format!(
                "several tables have such a rule: say which one: {}",
                names.join(", ")
            ))
        }
    }
}

/// The first names of many.
fn some(names: &[String]) -> String {
    let first = names
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// As many chains as fit into a message.
const NAMED: usize = 30;

fn by_text(tables: &[TableRules], text: &str) -> Result<RulePlace, String> {
    let mut exact = Vec::new();
    let mut containing = Vec::new();
    let bare = text.trim().trim_start_matches("-A ").trim_start();
    // A number is in many texts, and means none of them: it may be a whole comment.
    let is_number = bare.bytes().all(|letter| letter.is_ascii_digit());
    for table in tables {
        for chain in &table.chains {
            for (at, rule) in chain.rules.iter().enumerate() {
                let place = RulePlace {
                    family: table.family,
                    table: table.table,
                    chain: chain.name.clone(),
                    number: Some(at as u32 + 1),
                };
                let words = rule_text(rule);
                let with_chain = format!("{} {words}", chain.name);
                if words == bare || with_chain == bare || comment(rule).is_some_and(|comment| comment == text.trim()) {
                    exact.push(place);
                } else if !is_number && with_chain.contains(bare) {
                    containing.push(place);
                }
            }
        }
    }
    let found = if exact.is_empty() { containing } else { exact };
    match &found[..] {
        [one] => Ok(one.clone()),
        [] if bare.is_empty() => Err("expected a rule, such as `FORWARD 3`, or a part of its text".to_owned()),
        [] if is_number => Err(format!(
            "`{text}` alone names no rule: say its chain, too, such as `FORWARD {bare}`"
        )),
        [] => Err(format!(
            "no rule has `{text}` in its text or as its comment: name it by its chain and number, such as `FORWARD 3` or `nat:PREROUTING 1`"
        )),
        several => {
            let names: Vec<String> = several.iter().take(10).map(ToString::to_string).collect();
            let more = several.len() - names.len();
            let more = if more == 0 {
                String::new()
            } else {
                format!(" and {more} more")
            };
            Err(format!(
                "`{text}` is in {} rules ({}{more}): name one by its chain and number, such as `FORWARD 3`",
                several.len(),
                names.join(", ")
            ))
        }
    }
}

fn comment(rule: &Rule) -> Option<String> {
    let test = rule.matches.iter().find(|test| test.name() == "comment")?;
    let mut text = String::new();
    test.list(&mut text, true);
    Some(
        text.trim()
            .trim_start_matches("/*")
            .trim_end_matches("*/")
            .trim()
            .to_owned(),
    )
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

fn not_reached(account: &Account, place: &RulePlace, table: &TableRules) -> String {
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

#[cfg(test)]
pub(super) mod tests;
