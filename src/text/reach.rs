//! Whether the kernel takes one more rule, told without looking at the whole table.
//!
//! The kernel looks through a table whenever it is replaced, and the engine does as it does; for a script of a command a line that is a look
//! through everything a line. Here is kept what such looks find, and a rule that comes asks only what it changes. What is told is safe, not
//! exact: whoever gets no "surely" has to let the engine look. Rules behind one that stops everything are taken to be reached too, and a chain
//! that was once reached from a hook to be reached from it for good.

use std::collections::{HashMap, HashSet};

use super::session::Session;
use crate::rule::{Action, ChainKind, HookSet, Rule, Scope, Sharing, Table};

#[derive(Debug)]
pub(super) struct Reach {
    table: Table,
    chains: HashMap<String, Node>,
}

/// A chain.
#[derive(Debug, Default)]
struct Node {
    built_in: bool,
    /// From where packets may come to it.
    hooks: HookSet,
    /// How many rules lead to each other chain.
    calls: HashMap<String, usize>,
    /// The chains that lead here.
    callers: HashSet<String>,
    /// How many rules may not stand in every chain of the table.
    particular: usize,
}

impl Reach {
    /// `None` where it cannot be said of the table as it is that the kernel surely takes it.
    pub(super) fn of(session: &Session) -> Option<Self> {
        let mut reach = Self {
            table: session.table,
            chains: HashMap::new(),
        };
        for chain in session.chains() {
            let mut node = Node::default();
            if let ChainKind::BuiltIn { hook, .. } = chain.kind {
                node.built_in = true;
                node.hooks.insert(hook);
            }
            // Of chains with one name it is not clear whom a jump means.
            if reach.chains.insert(chain.name.clone(), node).is_some() {
                return None;
            }
        }
        // Chains that lead nowhere come first: so each jump is looked at before anything leads to where it stands, which makes it cheap.
        let leads = |rule: &Rule| leads_to(rule).is_some();
        let chains: Vec<_> = session.chains().collect();
        for first in [true, false] {
            for chain in &chains {
                for rule in chain.rules().filter(|rule| leads(rule) != first) {
                    if !reach.comes(&chain.name, rule) {
                        return None;
                    }
                }
            }
        }
        Some(reach)
    }

    pub(super) fn chain_comes(&mut self, name: &str) {
        self.chains.insert(name.to_owned(), Node::default());
    }

    /// It is empty, and nothing leads to it.
    pub(super) fn chain_goes(&mut self, name: &str) {
        self.chains.remove(name);
    }

    /// True where the kernel surely takes the rule in this chain. Where not, nothing is noted of it.
    pub(super) fn comes(&mut self, chain: &str, rule: &Rule) -> bool {
        let Some(node) = self.chains.get(chain) else {
            return false;
        };
        let hooks = node.hooks;
        if !self.allows(rule, hooks) || !is_sure_to_join(rule) {
            return false;
        }
        if let Some(to) = leads_to(rule)
            && !node.calls.contains_key(to)
            && !self.joins(chain, to, hooks)
        {
            return false;
        }
        let particular = self.is_particular(rule);
        if let Some(node) = self.chains.get_mut(chain) {
            node.particular += usize::from(particular);
            if let Some(to) = leads_to(rule) {
                *node.calls.entry(to.to_owned()).or_default() += 1;
            }
        }
        true
    }

    pub(super) fn goes(&mut self, chain: &str, rule: &Rule) {
        let particular = self.is_particular(rule);
        let Some(node) = self.chains.get_mut(chain) else { return };
        node.particular -= usize::from(particular);
        let Some(to) = leads_to(rule) else { return };
        if let Some(count) = node.calls.get_mut(to) {
            *count -= 1;
            if *count == 0 {
                node.calls.remove(to);
                if let Some(called) = self.chains.get_mut(to) {
                    called.callers.remove(chain);
                }
            }
        }
    }

    /// One chain leads to another for the first time: false where that may close a circle, or brings packets to where a rule minds them.
    fn joins(&mut self, from: &str, to: &str, hooks: HookSet) -> bool {
        match self.chains.get(to) {
            Some(called) if !called.built_in => {}
            _ => return false,
        }
        if from == to || self.leads_back(from, to) {
            return false;
        }
        // Everything that packets of more hooks than before come to.
        let mut more = Vec::new();
        let mut open = vec![to];
        let mut seen = HashSet::new();
        while let Some(name) = open.pop() {
            let Some(node) = self.chains.get(name) else {
                return false;
            };
            if hooks.within(node.hooks) || !seen.insert(name) {
                continue;
            }
            if node.particular > 0 {
                return false;
            }
            more.push(name.to_owned());
            open.extend(node.calls.keys().map(String::as_str));
        }
        for name in more {
            if let Some(node) = self.chains.get_mut(&name) {
                node.hooks = node.hooks.union(hooks);
            }
        }
        if let Some(called) = self.chains.get_mut(to) {
            called.callers.insert(from.to_owned());
        }
        true
    }

    /// Whether `to` leads to `from`. Looked for from both ends at once, because one end is mostly near: a new chain leads nowhere or nobody
    /// leads to it.
    fn leads_back(&self, from: &str, to: &str) -> bool {
        let (mut down, mut up) = (vec![to], vec![from]);
        let (mut below, mut above) = (HashSet::from([to]), HashSet::from([from]));
        loop {
            let Some(node) = down.pop().and_then(|name| self.chains.get(name)) else {
                return false;
            };
            for name in node.calls.keys().map(String::as_str) {
                if above.contains(name) {
                    return true;
                }
                if below.insert(name) {
                    down.push(name);
                }
            }
            let Some(node) = up.pop().and_then(|name| self.chains.get(name)) else {
                return false;
            };
            for name in node.callers.iter().map(String::as_str) {
                if below.contains(name) {
                    return true;
                }
                if above.insert(name) {
                    up.push(name);
                }
            }
        }
    }

    fn is_particular(&self, rule: &Rule) -> bool {
        !self.allows(rule, HookSet::of(self.table.hooks()))
    }

    fn allows(&self, rule: &Rule, hooks: HookSet) -> bool {
        // Whether a policy that it names is there, only the engine tells.
        let scope = Scope::without_policies(self.table, hooks, rule);
        rule.matches.iter().all(|it| it.check(&scope).is_ok())
            && match &rule.action {
                Action::Target(target) => target.check(&scope).is_ok(),
                _ => true,
            }
    }
}

/// False where it hangs on rules of other tables, too, whether the kernel takes it.
fn is_sure_to_join(rule: &Rule) -> bool {
    let tests = rule.matches.iter();
    tests.filter_map(|test| test.sharing()).all(Sharing::is_sure_to_join)
}

/// The chain that a rule leads to.
fn leads_to(rule: &Rule) -> Option<&str> {
    match &rule.action {
        Action::Jump(name) | Action::Goto(name) => Some(name),
        _ => None,
    }
}
