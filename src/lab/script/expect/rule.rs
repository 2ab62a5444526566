//! What is expected of rules: which one decided, and what each has counted. A rule is named by its number, its comment or its text.

use std::sync::Arc;

use nom::combinator::opt;

use super::hold;
use crate::base::Family;
use crate::explain::story::Deciding;
use crate::ext::matches::comment;
use crate::lab::conversation;
use crate::lab::memory::{Lab, Passage};
use crate::rule::{Chain, ChainKind, Counters, Rule, Table, TableRules};
use crate::syntax::atom;
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::{self, Word, Words, unexpected};
use crate::text::{Program, save};

/// A rule (or a policy) as a script names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleName {
    /// Of which family's rules; `None`: of those that the last packet met.
    pub family: Option<Family>,
    /// Where it stands; rules named by comment or text may stand anywhere.
    pub table: Option<Table>,
    pub chain: Option<String>,
    pub which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// From 1.
    Number(u32),
    Policy,
    /// The whole of what `-m comment` says.
    Comment(String),
    /// Words that follow one another in the rule as `iptables-save` prints it.
    Text(String),
}

/// A rule or policy of the ruleset in force.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    table: Table,
    chain: String,
    /// `None`: the policy.
    number: Option<u32>,
    counters: Counters,
}

impl RuleName {
    /// `[-4|-6] [TABLE] CHAIN N|policy`, or `[-4|-6] [[TABLE] CHAIN] comment|text TEXT`.
    pub fn parse(rest: &mut Words<'_>) -> Result<Self, Problem> {
        let family = rest.read(opt(conversation::family))?;
        let mut names = Vec::new();
        let which = loop {
            let word = rest.read(words::word(
                "a rule: a chain and a number or `policy`, `comment TEXT` or `text TEXT`",
            ))?;
            match word.text.as_str() {
                "comment" if !word.quoted => break Which::Comment(rest.read(words::text("the rule's comment"))?),
                "text" if !word.quoted => break Which::Text(rest.read(words::text("a part of the rule's text"))?),
                "policy" if !names.is_empty() => break Which::Policy,
                text if !names.is_empty() && atom::number(text).is_some() => {
                    let number = atom::number(text).and_then(|it| u32::try_from(it).ok());
                    break Which::Number(number.filter(|it| *it > 0).ok_or_else(|| {
                        unexpected(
                            word,
                            "expected a rule's number",
                            "rules are numbered from 1, as -L --line-numbers shows them",
                        )
                    })?);
                }
                _ if names.len() < 2 => names.push(word),
                _ => return Err(unexpected(word, "expected a rule's number, or `policy`", "")),
            }
        };
        let (table, chain) = match names[..] {
            [] => (None, None),
            [chain] => (None, Some(chain.text.clone())),
            [first, chain, ..] => (Some(known_table(first)?), Some(chain.text.clone())),
        };
        // A bare chain is one of filter, as for the tools.
        let numbered = matches!(which, Which::Number(_) | Which::Policy);
        let table = table.or(numbered.then_some(Table::Filter));
        Ok(Self {
            family,
            table,
            chain,
            which,
        })
    }

    /// Any rule with this comment, wherever it stands.
    pub(super) fn of_comment(comment: &str) -> Self {
        Self {
            family: None,
            table: None,
            chain: None,
            which: Which::Comment(comment.to_owned()),
        }
    }

    /// `[TABLE] CHAIN`: its policy.
    pub fn parse_policy(rest: &mut Words<'_>) -> Result<Self, Problem> {
        let family = rest.read(opt(conversation::family))?;
        let first = rest.read(words::word("a built-in chain, or a table and a chain"))?;
        let (table, chain) = match rest.peek_text() {
            None | Some("packets" | "bytes") => (Table::Filter, first),
            Some(_) => (known_table(first)?, rest.read(words::word("a built-in chain"))?),
        };
        Ok(Self {
            family,
            table: Some(table),
            chain: Some(chain.text.clone()),
            which: Which::Policy,
        })
    }

    fn family(&self, lab: &Lab) -> Family {
        let of_last = || Family::of_packet(&lab.last()?.sent);
        self.family.or_else(of_last).unwrap_or(Family::V4)
    }

    /// Every rule that is meant; never empty. `Err` says that there is none, and what there is.
    fn find(&self, lab: &Lab) -> Result<Vec<Found>, String> {
        let family = self.family(lab);
        self.find_in(lab, family).map_err(|why| {
            let other = family.other();
            match self.family.is_none() && self.find_in(lab, other).is_ok() {
                true => format!("{why}; `{}` before it means {other}'s", other.option()),
                false => why,
            }
        })
    }

    fn find_in(&self, lab: &Lab, family: Family) -> Result<Vec<Found>, String> {
        let router = lab.machine.router();
        let whose = family.whose();
        if let Some(table) = self.table.filter(|table| !router.tables(family).contains(table)) {
            return Err(format!(
                "there is no table {whose}{} yet: no rule of it has been set",
                table.name()
            ));
        }
        let mut found = Vec::new();
        let mut chains = 0;
        for table in router
            .tables(family)
            .into_iter()
            .filter(|it| self.table.is_none_or(|own| own == *it))
        {
            let rules: TableRules = router.table(family, table);
            let counted = router.counters(family, table);
            for chain in rules
                .chains
                .iter()
                .filter(|it| self.chain.as_ref().is_none_or(|own| *own == it.name))
            {
                chains += 1;
                for (number, id) in self.in_chain(chain)? {
                    let counters = counted.get(&id).copied().unwrap_or_default();
                    let chain = chain.name.clone();
                    found.push(Found {
                        table,
                        chain,
                        number,
                        counters,
                    });
                }
            }
        }
        match (&self.chain, self.table) {
            _ if !found.is_empty() => Ok(found),
            (Some(chain), Some(table)) if chains == 0 => {
                let rules = router.table(family, table);
                let names: Vec<&str> = rules.chains.iter().map(|it| it.name.as_str()).collect();
                Err(format!(
                    "table {whose}{} has no chain {chain}: it has {}",
                    table.name(),
                    names.join(", ")
                ))
            }
            (Some(chain), None) if chains == 0 => Err(format!("no table{} has a chain {chain}", of(family))),
            _ => Err(self.nowhere(lab, family)),
        }
    }

    fn in_chain(&self, chain: &Chain) -> Result<Vec<(Option<u32>, crate::rule::CountId)>, String> {
        let of = |at: usize, rule: &Arc<Rule>| (Some(at as u32 + 1), rule.id);
        match &self.which {
            Which::Policy => match &chain.kind {
                ChainKind::BuiltIn { id, .. } => Ok(vec![(None, *id)]),
                ChainKind::User => Err(format!("chain {} has no policy: it is no built-in one", chain.name)),
            },
            Which::Number(number) => {
                let at = *number as usize - 1;
                Ok(chain.rules.get(at).map(|rule| of(at, rule)).into_iter().collect())
            }
            Which::Comment(text) => Ok(chain
                .rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| comments(rule).any(|it| it == text))
                .map(|(at, rule)| of(at, rule))
                .collect()),
            Which::Text(text) => Ok(chain
                .rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| has_text(&rule_text(&chain.name, rule), text))
                .map(|(at, rule)| of(at, rule))
                .collect()),
        }
    }

    /// Why no rule is meant.
    fn nowhere(&self, lab: &Lab, family: Family) -> String {
        let router = lab.machine.router();
        let (whose, place) = (family.whose(), self.place(family));
        let tables: Vec<TableRules> = router
            .tables(family)
            .into_iter()
            .map(|table| router.table(family, table))
            .collect();
        match &self.which {
            Which::Number(number) => {
                let (table, chain) = (self.table.unwrap_or(Table::Filter), self.chain.as_deref().unwrap_or(""));
                let count = router.table(family, table).chain(chain).map_or(0, |it| it.rules.len());
                let has = match count {
                    0 => "no rules".to_owned(),
                    1 => "1 rule".to_owned(),
                    count => format!("{count} rules"),
                };
                format!(
                    "there is no rule {number} of {whose}{} {chain}: it has {has}",
                    table.name()
                )
            }
            Which::Comment(text) => {
                let known: Vec<&str> = tables
                    .iter()
                    .flat_map(TableRules::rules)
                    .flat_map(|rule| comments(rule))
                    .collect();
                let near = match (suggestion(text, known.iter().copied()), &known[..]) {
                    (Some(near), _) => format!("; did you mean `{near}`?"),
                    (None, []) => ": no rule has any".to_owned(),
                    (None, known) => format!("; there are `{}`", known.join("`, `")),
                };
                format!("no rule{place} has the comment `{text}`{near}")
            }
            Which::Text(text) => format!(
                "no rule{place} has the text `{text}`; `{}` shows the rules as they are compared",
                Program::Save(family).name()
            ),
            Which::Policy => "there is no such policy".to_owned(),
        }
    }

    /// ` of nat PREROUTING`, or nothing.
    fn place(&self, family: Family) -> String {
        let table = self.table.map(Table::name);
        let words: Vec<&str> = table.into_iter().chain(self.chain.as_deref()).collect();
        if words.is_empty() {
            of(family).to_owned()
        } else {
            format!(" of {}{}", family.whose(), words.join(" "))
        }
    }
}

/// A bare one is IPv4's.
fn of(family: Family) -> &'static str {
    match family {
        Family::V4 => "",
        Family::V6 => " of IPv6",
    }
}

fn known_table(word: &Word) -> Result<Table, Problem> {
    Table::from_name(&word.text)
        .ok_or_else(|| unexpected(word, "expected a table: raw, mangle, nat, filter or security", ""))
}

/// `by`, `no by`: one of the rules so named had the last word in its table.
pub(super) fn decided(lab: &Lab, passage: &Passage, name: &RuleName, no: bool) -> Result<(), String> {
    let meant = name.find(lab)?;
    let met = Family::of_packet(&passage.sent);
    if let (Some(asked), Some(met)) = (name.family, met)
        && asked != met
    {
        return hold(no, || format!("the packet is of {met}, and met {met}'s rules alone"));
    }
    let whose = name.family(lab).whose();
    let said = |table, chain: &str, number| said(whose, table, chain, number);
    let deciding = passage.story.deciding();
    let is = |it: &Deciding| {
        meant
            .iter()
            .any(|found| (found.table, &found.chain, found.number) == (it.table, &it.chain, it.number))
    };
    if no {
        return hold(!deciding.iter().any(is), || "it was decided by that rule".to_owned());
    }
    hold(deciding.iter().any(is), || {
        let seen: Vec<&Deciding> = deciding
            .iter()
            .filter(|it| meant.iter().any(|found| found.table == it.table))
            .collect();
        if seen.is_empty() {
            let mut tables: Vec<&str> = meant.iter().map(|found| found.table.name()).collect();
            tables.dedup();
            return format!("the packet met no table {whose}{}", tables.join(" or "));
        }
        let words: Vec<String> = seen.iter().map(|it| said(it.table, &it.chain, it.number)).collect();
        format!("it was decided by {}", words.join(", then by "))
    })
}

/// What a rule or policy has counted.
pub(super) fn counted(lab: &Lab, name: &RuleName, packets: Option<u64>, bytes: Option<u64>) -> Result<(), String> {
    let found = name.find(lab)?;
    let whose = name.family(lab).whose();
    let [one] = &found[..] else {
        let places: Vec<String> = found
            .iter()
            .map(|it| said(whose, it.table, &it.chain, it.number))
            .collect();
        return Err(format!(
            "{} rules are so named: {}; name one by its number",
            found.len(),
            places.join(", ")
        ));
    };
    let right = packets.is_none_or(|wanted| wanted == one.counters.packets)
        && bytes.is_none_or(|wanted| wanted == one.counters.bytes);
    hold(right, || {
        let (packets, bytes) = (one.counters.packets, one.counters.bytes);
        let rule = said(whose, one.table, &one.chain, one.number);
        let plural = |count| if count == 1 { "" } else { "s" };
        format!(
            "{rule} has counted {packets} packet{}, {bytes} byte{}",
            plural(packets),
            plural(bytes)
        )
    })
}

/// `rule 2 of IPv6's filter FORWARD`.
fn said(whose: &str, table: Table, chain: &str, number: Option<u32>) -> String {
    let table = table.name();
    match number {
        Some(number) => format!("rule {number} of {whose}{table} {chain}"),
        None => format!("the policy of {whose}{table} {chain}"),
    }
}

fn comments(rule: &Rule) -> impl Iterator<Item = &str> {
    rule.matches.iter().filter_map(|it| comment::text_of(it.as_ref()))
}

/// As `iptables-save` prints it.
fn rule_text(chain: &str, rule: &Rule) -> String {
    let mut text = String::new();
    save::write_rule(&mut text, chain, rule, None);
    text
}

/// The words stand in the text, one after the other. How many blanks are between does not matter.
fn has_text(text: &str, part: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let wanted: Vec<&str> = part.split_whitespace().collect();
    !wanted.is_empty() && words.windows(wanted.len()).any(|run| run == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::script::lex::lex;

    fn parse(text: &str) -> Result<RuleName, Problem> {
        let line = lex(text).unwrap().remove(0);
        RuleName::parse(&mut Words::new(&line.words))
    }

    #[test]
    fn names_of_rules() {
        let name = |table, chain: Option<&str>, which| RuleName {
            family: None,
            table,
            chain: chain.map(str::to_owned),
            which,
        };
        for (text, expected) in [
            (
                "FORWARD 3",
                name(Some(Table::Filter), Some("FORWARD"), Which::Number(3)),
            ),
            (
                "nat POSTROUTING 1",
                name(Some(Table::Nat), Some("POSTROUTING"), Which::Number(1)),
            ),
            ("INPUT policy", name(Some(Table::Filter), Some("INPUT"), Which::Policy)),
            ("comment web", name(None, None, Which::Comment("web".into()))),
            (
                "nat PREROUTING comment 'the web'",
                name(Some(Table::Nat), Some("PREROUTING"), Which::Comment("the web".into())),
            ),
            (
                "INPUT text '-j DROP'",
                name(None, Some("INPUT"), Which::Text("-j DROP".into())),
            ),
            ("filter 2", name(Some(Table::Filter), Some("filter"), Which::Number(2))),
            ("'text' 2", name(Some(Table::Filter), Some("text"), Which::Number(2))),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
        let six = RuleName {
            family: Some(Family::V6),
            ..name(Some(Table::Filter), Some("FORWARD"), Which::Number(3))
        };
        assert_eq!(parse("-6 FORWARD 3").unwrap(), six);
        for bad in [
            "3",
            "policy",
            "FORWARD",
            "FORWARD 0",
            "nowhere INPUT 1",
            "comment",
            "nat PREROUTING x 1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn text_of_a_rule() {
        let rule = "-A FORWARD -i lan -p tcp -m tcp --dport 80 -j ACCEPT\n";
        for (part, has) in [
            ("--dport 80", true),
            ("-A FORWARD -i lan", true),
            ("-p  tcp", true),
            ("--dport 8", false),
            ("", false),
            ("-i lan --dport 80", false),
        ] {
            assert_eq!(has_text(rule, part), has, "{part}");
        }
    }
}
