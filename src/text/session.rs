//! The tables as commands see them, and one table opened for a change.
//!
//! A restore file is one change of a hundred thousand lines, so nothing here walks all chains or rules for one line: chains are found by
//! name, rules as typed by an index that is made once somebody asks often, and what a new name of a chain means for the rules that jump to
//! it is done when the rules are looked at.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::failure::Denial;
use super::in_hand::Hand;
use super::places::Places;
use super::renames::{Names, Renames};
use crate::base::bytes::{front_of, length_of};
use crate::base::{Family, Pace, Piece};
use crate::rule::{Action, Chain, ChainKind, Count, CountId, Counters, Policy, Refusal, Rule, Table, TableRules};

/// What holds the rules in force. The engine has it; tests have a small one.
pub trait Tables {
    /// The table as it is. One that does not exist yet comes to exist by being asked for, as the kernel's do.
    fn open(&mut self, family: Family, table: Table) -> TableRules;
    /// The tables that exist, in the order in which they came to.
    fn existing(&self, family: Family) -> Vec<Table>;
    /// Packets and bytes of every rule and policy of a table.
    fn counters(&self, family: Family, table: Table) -> Counted;
    /// Puts a table into force, whole or not at all.
    fn replace(&mut self, rules: TableRules) -> Result<(), Refusal>;
    /// What is done between two pieces of work at many rules.
    fn pace(&self) -> Pace {
        Pace::NONE
    }
    /// The table as commands have left it, which comes into force before anybody looks; `None` where each command has to be in force when it
    /// is done.
    fn in_hand(&mut self, _: Family, _: Table) -> Option<&mut Session> {
        None
    }
}

/// Gives packets and bytes of every rule and policy, once they are asked for: most commands print none.
pub(crate) type Counted = Box<dyn Fn() -> HashMap<CountId, Counters> + Send>;

/// A table opened: changes are made to a copy, and come into force at `commit`.
pub struct Session {
    /// The family of its rules.
    pub family: Family,
    /// Which of the family's tables it is.
    pub table: Table,
    pub(super) built_in: Vec<OpenChain>,
    /// By name: user chains stand in the order of their names' bytes.
    user: BTreeMap<String, OpenChain>,
    /// How many rules jump to each chain; counted when it is first asked for, and kept since.
    references: OnceCell<HashMap<String, usize>>,
    /// What rules still call by their old names.
    renames: Renames,
    counted: OnceCell<HashMap<CountId, Counters>>,
    count: Counted,
    pub(super) changed: bool,
    pub(super) pace: Pace,
    /// Where it stays open from one command to the next.
    pub(super) hand: Option<Hand>,
}

/// A chain of an opened table.
pub struct OpenChain {
    /// By which rules jump to it.
    pub name: String,
    /// Built-in with its policy, or the user's.
    pub kind: ChainKind,
    rules: VecDeque<Arc<Rule>>,
    places: Places,
    /// Chains that came to the same name by `-E`, which cuts it; nothing finds them by it.
    twins: Vec<OpenChain>,
}

impl OpenChain {
    fn new(chain: Chain) -> Self {
        Self {
            name: chain.name,
            kind: chain.kind,
            rules: chain.rules.into(),
            places: Places::default(),
            twins: Vec::new(),
        }
    }

    fn closed(self, into: &mut Vec<Chain>) {
        into.push(Chain {
            name: self.name,
            kind: self.kind,
            rules: self.rules.into(),
        });
        for twin in self.twins {
            twin.closed(into);
        }
    }

    /// In their order. Jumps have the names that chains had before a change by `-E`, until [`Session::settle`].
    pub fn rules(&self) -> impl DoubleEndedIterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    /// How many rules it has.
    pub fn length(&self) -> usize {
        self.rules.len()
    }

    fn is_user(&self) -> bool {
        self.kind == ChainKind::User
    }
}

impl Session {
    /// Opens the table as it stands, which makes it exist if it does not.
    pub fn open(tables: &mut dyn Tables, family: Family, table: Table) -> Self {
        let rules = tables.open(family, table);
        let pace = tables.pace();
        let mut built_in = Vec::new();
        let mut user: Vec<(String, OpenChain)> = Vec::with_capacity(rules.chains.len());
        for mut chain in rules.chains {
            // Whatever an earlier change said of counters has been done; only what this one says may be done again.
            if let ChainKind::BuiltIn { count, .. } = &mut chain.kind {
                *count = Count::Keep;
            }
            for (done, rule) in chain.rules.iter_mut().enumerate() {
                pace.done(done, Piece::Seen);
                if rule.count != Count::Keep {
                    *rule = with_count(rule, Count::Keep);
                }
            }
            let chain = OpenChain::new(chain);
            match chain.is_user() {
                true => match user.last_mut() {
                    Some((name, first)) if *name == chain.name => first.twins.push(chain),
                    _ => user.push((chain.name.clone(), chain)),
                },
                false => built_in.push(chain),
            }
        }
        Self {
            family,
            table,
            built_in,
            user: by_name(user),
            references: OnceCell::new(),
            renames: Renames::default(),
            counted: OnceCell::new(),
            count: tables.counters(family, table),
            changed: false,
            pace,
            hand: None,
        }
    }

    /// Puts the changes into force, where there are any.
    pub fn commit(mut self, tables: &mut dyn Tables) -> Result<(), Refusal> {
        if !self.changed {
            return Ok(());
        }
        self.zero_policies();
        tables.replace(self.close())
    }

    /// The table as it has become.
    pub fn close(mut self) -> TableRules {
        self.settle();
        let mut chains = Vec::with_capacity(self.built_in.len() + self.user.len());
        for chain in self.built_in.into_iter().chain(self.user.into_values()) {
            chain.closed(&mut chains);
        }
        TableRules {
            family: self.family,
            table: self.table,
            chains,
        }
    }

    /// What a rule has counted, or will start from where it is new: `-Z` shows only once it has come into force.
    pub fn counters(&self, rule: &Rule) -> Counters {
        match (self.counted().get(&rule.id), rule.count) {
            (Some(counted), _) => *counted,
            (None, Count::Set(counters)) => counters,
            (None, Count::Keep | Count::Seen(_)) => Counters::default(),
        }
    }

    /// What a policy has counted, or will start from.
    pub fn policy_counters(&self, chain: &OpenChain) -> Counters {
        match chain.kind {
            ChainKind::BuiltIn {
                count: Count::Set(counters),
                ..
            } if counters != Counters::default() => counters,
            ChainKind::BuiltIn { id, .. } => self.counted().get(&id).copied().unwrap_or_default(),
            ChainKind::User => Counters::default(),
        }
    }

    fn counted(&self) -> &HashMap<CountId, Counters> {
        self.counted.get_or_init(&self.count)
    }

    /// Built-in chains in hook order, then the user's by name. Rules call chains by their new names only after [`Self::settle`].
    pub fn chains(&self) -> impl Iterator<Item = &OpenChain> {
        let user = self.user.values().flat_map(|it| std::iter::once(it).chain(&it.twins));
        self.built_in.iter().chain(user)
    }

    /// The chain of this name; of several that `-E` gave the same, the first.
    pub fn chain(&self, name: &str) -> Option<&OpenChain> {
        match self.built_in.iter().find(|chain| chain.name == name) {
            Some(chain) => Some(chain),
            None => self.user.get(name),
        }
    }

    fn chain_mut(&mut self, name: &str) -> Result<&mut OpenChain, Denial> {
        match self.built_in.iter().position(|chain| chain.name == name) {
            Some(at) => Ok(&mut self.built_in[at]),
            None => self.user.get_mut(name).ok_or(Denial::NoSuchName),
        }
    }

    /// True where there is a chain of this name, built-in or of the user's.
    pub fn has_chain(&self, name: &str) -> bool {
        self.chain(name).is_some()
    }

    /// How many rules jump to a chain. Like [`Self::chains`], for who has settled names.
    pub fn references(&self, name: &str) -> usize {
        let counts = self.references.get_or_init(|| {
            let mut counts = HashMap::new();
            for name in self.chains().flat_map(OpenChain::rules).filter_map(|rule| target(rule)) {
                match counts.get_mut(name) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(name.to_owned(), 1);
                    }
                }
            }
            counts
        });
        counts.get(name).copied().unwrap_or_default()
    }

    fn refer(&mut self, rule: &Rule, comes: bool) {
        let (Some(counts), Some(name)) = (self.references.get_mut(), target(rule)) else {
            return;
        };
        match counts.get_mut(name) {
            Some(count) if comes => *count += 1,
            Some(count) => *count = count.saturating_sub(1),
            None if comes => {
                counts.insert(name.to_owned(), 1);
            }
            None => {}
        }
    }

    /// Puts a rule in before the one at this position, which counts from 0; the chain's length is its end.
    pub fn insert_rule(&mut self, chain: &str, at: usize, rule: Arc<Rule>) -> Result<(), Denial> {
        let open = self.chain_mut(chain)?;
        if at > open.rules.len() {
            return Err(Denial::InsertionTooBig);
        }
        open.places.inserted(at, &rule);
        open.rules.insert(at, Arc::clone(&rule));
        self.changed = true;
        self.refer(&rule, true);
        self.note_inserted(chain, at, &rule);
        Ok(())
    }

    /// Takes out the rule at this position, which counts from 0.
    pub fn remove_rule(&mut self, chain: &str, at: usize) -> Result<(), Denial> {
        self.settle();
        let open = self.chain_mut(chain)?;
        let gone = open.rules.remove(at).ok_or(Denial::DeletionTooBig)?;
        open.places.removed(at);
        self.changed = true;
        self.refer(&gone, false);
        self.note_removed(chain, at, &gone);
        Ok(())
    }

    /// Puts a rule in the place of the one at this position, which counts from 0.
    pub fn replace_rule(&mut self, chain: &str, at: usize, rule: Arc<Rule>) -> Result<(), Denial> {
        self.settle();
        let open = self.chain_mut(chain)?;
        let old = open.rules.get_mut(at).ok_or(Denial::ReplacementTooBig)?;
        let gone = std::mem::replace(old, Arc::clone(&rule));
        open.places.removed(at);
        open.places.inserted(at, &rule);
        self.changed = true;
        self.refer(&gone, false);
        self.refer(&rule, true);
        self.note_removed(chain, at, &gone);
        self.note_inserted(chain, at, &rule);
        Ok(())
    }

    /// Where the chain's first rule stands that says the same; `None` where there is none.
    pub fn position(&mut self, chain: &str, rule: &Rule) -> Option<usize> {
        self.settle();
        let OpenChain { rules, places, .. } = self.chain_mut(chain).ok()?;
        places.find(rules, rule)
    }

    /// Makes an empty user chain.
    pub fn add_chain(&mut self, name: &str) -> Result<(), Denial> {
        if self.has_chain(name) || is_reserved(name) {
            return Err(Denial::ChainExists);
        }
        self.changed = true;
        if let Some(hand) = &mut self.hand {
            hand.reach.chain_comes(name);
        }
        put(
            &mut self.user,
            OpenChain::new(Chain {
                name: name.to_owned(),
                kind: ChainKind::User,
                rules: Vec::new(),
            }),
        );
        Ok(())
    }

    /// Takes out a user chain that is empty and that no rule jumps to.
    pub fn delete_chain(&mut self, name: &str) -> Result<(), Denial> {
        let chain = self.chain(name).ok_or(Denial::NoSuchName)?;
        let is_empty = chain.rules.is_empty();
        if !chain.is_user() {
            return Err(Denial::Invalid);
        }
        if self.references.get().is_none() {
            self.settle();
        }
        if self.references(name) != 0 {
            return Err(Denial::StillReferenced);
        }
        if !is_empty {
            return Err(Denial::NotEmpty);
        }
        self.changed = true;
        if let Some(hand) = &mut self.hand {
            hand.reach.chain_goes(name);
        }
        self.take(name);
        Ok(())
    }

    /// The user chain that is found by this name; its twin has the name then.
    fn take(&mut self, name: &str) -> Option<OpenChain> {
        let mut taken = self.user.remove(name)?;
        let mut twins = std::mem::take(&mut taken.twins);
        if !twins.is_empty() {
            let mut next = twins.remove(0);
            next.twins = twins;
            self.user.insert(name.to_owned(), next);
        }
        Some(taken)
    }

    /// Renames a chain and every jump to it. The new name is cut to 29 bytes, one more than `-N` takes; 32 are refused.
    pub fn rename_chain(&mut self, name: &str, to: &str) -> Result<(), Denial> {
        if self.has_chain(to) || is_reserved(to) {
            return Err(Denial::FileExists);
        }
        if !self.user.contains_key(name) {
            return Err(Denial::NoSuchName);
        }
        if length_of(to) > 31 {
            return Err(Denial::Invalid);
        }
        let to = &front_of(to, 29)[..];
        self.changed = true;
        if let Some(mut chain) = self.take(name) {
            chain.name = to.to_owned();
            put(&mut self.user, chain);
        }
        self.renames.note(name, to);
        if let Some(counts) = self.references.get_mut()
            && let Some(count) = counts.remove(name)
        {
            *counts.entry(to.to_owned()).or_default() += count;
        }
        Ok(())
    }

    /// Gives every jump the name that its chain has by now.
    pub fn settle(&mut self) {
        if self.renames.is_empty() {
            return;
        }
        let renames = std::mem::take(&mut self.renames);
        let names = renames.names();
        let user = self.user.values_mut();
        for chain in self.built_in.iter_mut().chain(user) {
            rename_jumps(chain, &names);
        }
    }

    /// Empties a chain.
    pub fn flush(&mut self, name: &str) -> Result<(), Denial> {
        if self.references.get().is_some() {
            self.settle();
        }
        let chain = self.chain_mut(name)?;
        let gone = std::mem::take(&mut chain.rules);
        chain.places = Places::default();
        self.changed = true;
        for rule in &gone {
            self.refer(rule, false);
        }
        if let Some(hand) = &mut self.hand {
            for rule in &gone {
                hand.reach.goes(name, rule);
            }
        }
        Ok(())
    }

    /// Gives a built-in chain its policy. Its counters start from zero, or from what is given.
    pub fn set_policy(&mut self, name: &str, to: Option<Policy>, counters: Option<Counters>) -> Result<(), Denial> {
        self.changed = true;
        match self.chain_mut(name) {
            Ok(OpenChain {
                kind: ChainKind::BuiltIn { policy, count, .. },
                ..
            }) => {
                *policy = to.ok_or(Denial::BadPolicy)?;
                *count = Count::Set(counters.unwrap_or_default());
                Ok(())
            }
            _ => Err(Denial::NotBuiltIn),
        }
    }

    /// Zeroes a chain's counters, its policy's too. What was set since the table was opened stays, as in the real tool.
    pub fn zero(&mut self, name: &str) -> Result<(), Denial> {
        let is_in_hand = self.hand.is_some();
        // Taken out, so that the chain can be changed beside it.
        let counted = std::mem::take(&mut self.counted);
        let zeroed = self.chain_mut(name).map(|chain| {
            if let ChainKind::BuiltIn { id, count, .. } = &mut chain.kind
                && *count == Count::Keep
            {
                *count = zero_of(*id, counted.get());
            }
            for rule in &mut chain.rules {
                zero(rule, is_in_hand, counted.get());
            }
        });
        self.counted = counted;
        zeroed?;
        self.changed = true;
        Ok(())
    }

    /// Zeroes one rule's counters; numbers start at 1.
    pub fn zero_rule(&mut self, name: &str, number: usize) -> Result<(), Denial> {
        let is_in_hand = self.hand.is_some();
        let counted = std::mem::take(&mut self.counted);
        let zeroed = self.chain_mut(name).and_then(|chain| {
            let at = number.checked_sub(1).ok_or(Denial::CounterTooBig)?;
            let rule = chain.rules.get_mut(at).ok_or(Denial::CounterTooBig)?;
            zero(rule, is_in_hand, counted.get());
            Ok(())
        });
        self.counted = counted;
        zeroed?;
        self.changed = true;
        Ok(())
    }

    /// The names of all chains, of user chains only, in their order.
    pub fn chain_names(&self, built_in_too: bool) -> Vec<String> {
        self.chains()
            .filter(|chain| built_in_too || chain.is_user())
            .map(|chain| chain.name.clone())
            .collect()
    }
}

/// A table's chains stand in the order of their names, and then the tree is made of them at once.
fn by_name(chains: Vec<(String, OpenChain)>) -> BTreeMap<String, OpenChain> {
    if chains.is_sorted_by(|(one, _), (next, _)| one < next) {
        return chains.into_iter().collect();
    }
    let mut user = BTreeMap::new();
    for (_, chain) in chains {
        put(&mut user, chain);
    }
    user
}

/// Puts a user chain where its name belongs.
fn put(user: &mut BTreeMap<String, OpenChain>, mut chain: OpenChain) {
    match user.get_mut(&chain.name) {
        Some(first) => {
            let twins = std::mem::take(&mut chain.twins);
            first.twins.push(chain);
            first.twins.extend(twins);
        }
        None => {
            user.insert(chain.name.clone(), chain);
        }
    }
}

/// The chain that a rule jumps to, by the name that stands in the rule.
fn target(rule: &Rule) -> Option<&str> {
    match &rule.action {
        Action::Jump(name) | Action::Goto(name) => Some(name),
        _ => None,
    }
}

fn rename_jumps(chain: &mut OpenChain, names: &Names<'_>) {
    let mut changed = false;
    for rule in &mut chain.rules {
        let Some(name) = target(rule).and_then(|name| names.now(name, rule.id)) else {
            continue;
        };
        let action = match &rule.action {
            Action::Goto(_) => Action::Goto(name.to_owned()),
            _ => Action::Jump(name.to_owned()),
        };
        *rule = Arc::new(Rule {
            action,
            ..Rule::clone(rule)
        });
        changed = true;
    }
    if changed {
        chain.places = Places::default();
    }
    for twin in &mut chain.twins {
        rename_jumps(twin, names);
    }
}

/// What a table in hand says of a rule's counters may be of a command before, and is past.
fn zero(rule: &mut Arc<Rule>, is_in_hand: bool, shown: Option<&HashMap<CountId, Counters>>) {
    if rule.count == Count::Keep || is_in_hand {
        *rule = with_count(rule, zero_of(rule.id, shown));
    }
}

/// Where the counters have been shown (`-L -Z`), what comes after that is kept, as the real tool does by subtracting what it read.
fn zero_of(id: CountId, shown: Option<&HashMap<CountId, Counters>>) -> Count {
    match shown.and_then(|shown| shown.get(&id)) {
        Some(seen) => Count::Seen(*seen),
        None => Count::Set(Counters::default()),
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

/// Tables that nobody has touched; what is put into force is forgotten.
pub(crate) struct Untouched;

impl Tables for Untouched {
    fn open(&mut self, family: Family, table: Table) -> TableRules {
        TableRules::new(family, table)
    }

    fn existing(&self, _: Family) -> Vec<Table> {
        Vec::new()
    }

    fn counters(&self, _: Family, _: Table) -> Counted {
        Box::new(HashMap::new)
    }

    fn replace(&mut self, _: TableRules) -> Result<(), Refusal> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Selector;

    fn rule(action: Action) -> Arc<Rule> {
        Arc::new(Rule {
            id: CountId::fresh(),
            count: Count::Keep,
            selector: Selector::any(Family::V4),
            matches: Vec::new(),
            action,
        })
    }

    /// Whoever edits a table by a program is told, as who types is: nothing of what is not there is taken for something, and nothing panics.
    #[test]
    fn what_is_not_there_is_refused() {
        let mut session = Session::open(&mut Untouched, Family::V4, Table::Filter);
        session.add_chain("called").unwrap();
        session.add_chain("full").unwrap();
        session
            .insert_rule("INPUT", 0, rule(Action::Jump("called".to_owned())))
            .unwrap();
        session.insert_rule("full", 0, rule(Action::Accept)).unwrap();
        let accept = || rule(Action::Accept);
        type Change<'a> = &'a dyn Fn(&mut Session) -> Result<(), Denial>;
        let changes: &[(&str, Change<'_>, Denial)] = &[
            ("rule 0", &|it| it.zero_rule("INPUT", 0), Denial::CounterTooBig),
            ("rule 2", &|it| it.zero_rule("INPUT", 2), Denial::CounterTooBig),
            ("zero none", &|it| it.zero("none"), Denial::NoSuchName),
            (
                "insert",
                &|it| it.insert_rule("INPUT", 2, accept()),
                Denial::InsertionTooBig,
            ),
            (
                "insert into none",
                &|it| it.insert_rule("none", 0, accept()),
                Denial::NoSuchName,
            ),
            (
                "replace",
                &|it| it.replace_rule("INPUT", 1, accept()),
                Denial::ReplacementTooBig,
            ),
            ("remove", &|it| it.remove_rule("INPUT", 1), Denial::DeletionTooBig),
            ("add", &|it| it.add_chain("called"), Denial::ChainExists),
            ("add a verdict", &|it| it.add_chain("DROP"), Denial::ChainExists),
            ("rename", &|it| it.rename_chain("full", "called"), Denial::FileExists),
            ("rename none", &|it| it.rename_chain("none", "new"), Denial::NoSuchName),
            (
                "rename built-in",
                &|it| it.rename_chain("INPUT", "new"),
                Denial::NoSuchName,
            ),
            (
                "rename long",
                &|it| it.rename_chain("full", &"n".repeat(32)),
                Denial::Invalid,
            ),
            ("delete none", &|it| it.delete_chain("none"), Denial::NoSuchName),
            ("delete built-in", &|it| it.delete_chain("INPUT"), Denial::Invalid),
            (
                "delete called",
                &|it| it.delete_chain("called"),
                Denial::StillReferenced,
            ),
            ("delete full", &|it| it.delete_chain("full"), Denial::NotEmpty),
            (
                "policy of a user's",
                &|it| it.set_policy("full", None, None),
                Denial::NotBuiltIn,
            ),
            ("no policy", &|it| it.set_policy("INPUT", None, None), Denial::BadPolicy),
        ];
        for (what, change, denial) in changes {
            assert_eq!(change(&mut session).as_ref(), Err(denial), "{what}");
        }
        let rules: usize = session.chains().map(OpenChain::length).sum();
        assert_eq!((session.chains().count(), rules), (5, 2));
    }
}
