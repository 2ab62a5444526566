//! What a rule is called by, and the one that is meant among those in force.

use std::fmt;

use crate::base::Family;
use crate::explain::account::rule_text;
use crate::rule::{ChainKind, Rule, Table, TableRules};
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
