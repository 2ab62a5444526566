//! The tables as commands see them, and one table opened for a change.

use std::collections::HashMap;
use std::sync::Arc;

use super::failure::Denial;
use crate::base::Family;
use crate::rule::{Action, Chain, ChainKind, Count, CountId, Counters, Refusal, Rule, Table, TableRules};

/// What holds the rules in force. The engine has it; tests have a small one.
pub trait Tables {
    /// The table as it is. One that does not exist yet comes to exist by being asked for, as the kernel's do.
    fn open(&mut self, family: Family, table: Table) -> TableRules;
    /// The tables that exist, in the order in which they came to.
    fn existing(&self, family: Family) -> Vec<Table>;
    /// Packets and bytes of every rule and policy of a table.
    fn counters(&self, family: Family, table: Table) -> HashMap<CountId, Counters>;
    /// Puts a table into force, whole or not at all.
    fn replace(&mut self, rules: TableRules) -> Result<(), Refusal>;
}

/// A table opened: changes are made to a copy, and come into force at `commit`.
#[derive(Debug)]
pub struct Session {
    pub rules: TableRules,
    counted: HashMap<CountId, Counters>,
    changed: bool,
}

impl Session {
    pub fn open(tables: &mut dyn Tables, family: Family, table: Table) -> Self {
        let mut rules = tables.open(family, table);
        for chain in &mut rules.chains {
            // Whatever an earlier change said of counters has been done; only what this one says may be done again.
            if let ChainKind::BuiltIn { count, .. } = &mut chain.kind {
                *count = Count::Keep;
            }
            for rule in &mut chain.rules {
                if rule.count != Count::Keep {
                    *rule = with_count(rule, Count::Keep);
                }
            }
        }
        Self {
            rules,
            counted: tables.counters(family, table),
            changed: false,
        }
    }

    /// Puts the changes into force, where there are any.
    ///
    /// Every change of a table sets the counters of all its policies to zero, but for those it names itself: that is what the kernel's
    /// counters were seen to do, with packets counted too, while those of rules go on.
    pub fn commit(mut self, tables: &mut dyn Tables) -> Result<(), Refusal> {
        if !self.changed {
            return Ok(());
        }
        for chain in &mut self.rules.chains {
            if let ChainKind::BuiltIn { count, .. } = &mut chain.kind
                && *count == Count::Keep
            {
                *count = Count::Set(Counters::default());
            }
        }
        tables.replace(self.rules)
    }

    /// What a rule has counted, or will start from where it is new: `-Z` shows only once it has come into force.
    pub fn counters(&self, rule: &Rule) -> Counters {
        match (self.counted.get(&rule.id), rule.count) {
            (Some(counted), _) => *counted,
            (None, Count::Set(counters)) => counters,
            (None, Count::Keep) => Counters::default(),
        }
    }

    /// What a policy has counted, or will start from.
    pub fn policy_counters(&self, chain: &Chain) -> Counters {
        match chain.kind {
            ChainKind::BuiltIn {
                count: Count::Set(counters),
                ..
            } if counters != Counters::default() => counters,
            ChainKind::BuiltIn { id, .. } => self.counted.get(&id).copied().unwrap_or_default(),
            ChainKind::User => Counters::default(),
        }
    }

    /// How many rules jump to a chain.
    pub fn references(&self, name: &str) -> usize {
        self.rules
            .rules()
            .filter(|rule| matches!(&rule.action, Action::Jump(to) | Action::Goto(to) if to == name))
            .count()
    }

    pub fn has_chain(&self, name: &str) -> bool {
        self.rules.chain(name).is_some()
    }

    pub fn chain(&mut self, name: &str) -> Result<&mut Chain, Denial> {
        self.changed = true;
        self.rules.chain_mut(name).ok_or(Denial::NoSuchName)
    }

    /// Makes an empty user chain. User chains stand in the order of their names' bytes.
    pub fn add_chain(&mut self, name: &str) -> Result<(), Denial> {
        if self.has_chain(name) || is_reserved(name) {
            return Err(Denial::ChainExists);
        }
        self.changed = true;
        self.insert(Chain {
            name: name.to_owned(),
            kind: ChainKind::User,
            rules: Vec::new(),
        });
        Ok(())
    }

    fn insert(&mut self, chain: Chain) {
        let at = self
            .rules
            .chains
            .iter()
            .position(|other| other.kind == ChainKind::User && other.name > chain.name)
            .unwrap_or(self.rules.chains.len());
        self.rules.chains.insert(at, chain);
    }

    pub fn delete_chain(&mut self, name: &str) -> Result<(), Denial> {
        let at = self
            .rules
            .chains
            .iter()
            .position(|chain| chain.name == name)
            .ok_or(Denial::NoSuchName)?;
        let chain = &self.rules.chains[at];
        if chain.kind != ChainKind::User {
            return Err(Denial::Invalid);
        }
        if self.references(name) != 0 {
            return Err(Denial::StillReferenced);
        }
        if !chain.rules.is_empty() {
            return Err(Denial::NotEmpty);
        }
        self.changed = true;
        self.rules.chains.remove(at);
        Ok(())
    }

    /// Renames a chain and every jump to it. The new name is cut to 29 bytes, one more than `-N` takes; 32 are refused.
    pub fn rename_chain(&mut self, name: &str, to: &str) -> Result<(), Denial> {
        if self.has_chain(to) || is_reserved(to) {
            return Err(Denial::FileExists);
        }
        let at = self
            .rules
            .chains
            .iter()
            .position(|chain| chain.name == name && chain.kind == ChainKind::User)
            .ok_or(Denial::NoSuchName)?;
        if to.len() > 31 {
            return Err(Denial::Invalid);
        }
        let mut end = to.len().min(29);
        while !to.is_char_boundary(end) {
            end -= 1;
        }
        let to = &to[..end];
        self.changed = true;
        let mut chain = self.rules.chains.remove(at);
        chain.name = to.to_owned();
        self.insert(chain);
        for chain in &mut self.rules.chains {
            for rule in &mut chain.rules {
                let action = match &rule.action {
                    Action::Jump(target) if target == name => Action::Jump(to.to_owned()),
                    Action::Goto(target) if target == name => Action::Goto(to.to_owned()),
                    _ => continue,
                };
                *rule = Arc::new(Rule {
                    action,
                    ..Rule::clone(rule)
                });
            }
        }
        Ok(())
    }

    /// Empties a chain.
    pub fn flush(&mut self, name: &str) -> Result<(), Denial> {
        self.chain(name)?.rules.clear();
        Ok(())
    }

    /// Zeroes a chain's counters, its policy's too. What was set since the table was opened stays, as in the real tool.
    pub fn zero(&mut self, name: &str) -> Result<(), Denial> {
        let chain = self.chain(name)?;
        if let ChainKind::BuiltIn { count, .. } = &mut chain.kind
            && *count == Count::Keep
        {
            *count = Count::Set(Counters::default());
        }
        for rule in &mut chain.rules {
            zero_kept(rule);
        }
        Ok(())
    }

    /// Zeroes one rule's counters; numbers start at 1.
    pub fn zero_rule(&mut self, name: &str, number: usize) -> Result<(), Denial> {
        let rule = self
            .chain(name)?
            .rules
            .get_mut(number - 1)
            .ok_or(Denial::CounterTooBig)?;
        zero_kept(rule);
        Ok(())
    }

    /// The names of all chains, of user chains only, in their order.
    pub fn chain_names(&self, built_in_too: bool) -> Vec<String> {
        self.rules
            .chains
            .iter()
            .filter(|chain| built_in_too || chain.kind == ChainKind::User)
            .map(|chain| chain.name.clone())
            .collect()
    }
}

fn zero_kept(rule: &mut Arc<Rule>) {
    if rule.count == Count::Keep {
        *rule = with_count(rule, Count::Set(Counters::default()));
    }
}

fn with_count(rule: &Rule, count: Count) -> Arc<Rule> {
    Arc::new(Rule {
        count,
        ..Rule::clone(rule)
    })
}

/// Names that a verdict has.
fn is_reserved(name: &str) -> bool {
    matches!(name, "ACCEPT" | "DROP" | "QUEUE" | "RETURN")
}
