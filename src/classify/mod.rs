//! An index from a packet's plain fields to the rules of a chain that could match, so that a walk goes from one to the next of them.
//!
//! It knows of a rule what the rule says of itself ([`Lowered`](crate::rule::Lowered)), and of a packet what a `Key` holds. What it offers may be too much (the rule is
//! asked as ever), never too little: a rule that it leaves out has [`Answer::No`](crate::rule::Answer::No) for the packet, and nothing else
//! becomes of the packet there. Rules are known by their place in the chain, from 0.
//!
//! How: a tree cuts packets into pieces that few rules lie in (`cuts`), and of each of these a filter of forty bytes is compared before the rule itself is
//! asked (`asked`). Rules that one hash table tells apart stand there instead; and what the tree cannot see, and what was inserted since it was made,
//! stands in tables beside it, each over bits that all of its rules ask for (as in TupleMerge; which ones is chosen in `choose`).

mod asked;
mod candidates;
mod choose;
mod choose_cuts;
mod cuts;
mod foresight;
mod key;
mod table;
mod words;

pub use candidates::{Candidate, Candidates};
pub use foresight::Foresight;
pub use key::Key;

use asked::{Asked, Header, Window};
use cuts::Tree;
use table::Table;
use words::Words;

use crate::base::{Family, Pace};
use crate::rule::{Changes, INTO_THE_HEADER, Lowered};

/// Of one chain. Never changed: what is inserted or removed makes another, which has most of the memory in common with this one.
#[derive(Clone, Debug)]
pub struct ChainIndex {
    family: Family,
    window: Window,
    /// Of most rules, where there is one; the others stand in tables.
    tree: Option<Tree>,
    /// By their first rules.
    tables: Box<[Table]>,
    rules: u32,
    headers: Headers,
    parts: Changes,
    /// Any of them asks for an interface.
    asks_names: bool,
    /// Rules that came or went since all was chosen.
    changed: u32,
}

/// A rule where it stands in the chain, and whether a packet that matches it goes no further there.
struct Filed {
    step: u32,
    asked: Asked,
    ends: bool,
}

/// What may be asked of transport headers.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Headers {
    of_any: u8,
    of_protocol: Vec<(u8, u8)>,
}

/// With fewer rules a chain is walked faster without.
pub const FEWEST_RULES: usize = 20;

/// With fewer of which a tree sees nothing they may stand in all its leaves.
const FEW_BLIND: usize = 4;

/// A tree in which no more rules than that are compared with a packet is good, whatever tables would be.
const FEW_COMPARED: u32 = 24;
/// To look into a table costs as much as to compare so many rules.
const LOOK: u32 = 8;
/// There are that many fewer later fragments than other packets, at least.
const FRAGMENTS: u32 = 40;
/// A tree's rules lie side by side, and a packet sees one leaf; of tables it sees buckets in which none of its rules stand, too.
const SIDE_BY_SIDE: u32 = 2;

/// A table of so many rules stays as it was made.
const LARGE: usize = 512;

/// So many rules show in which bits of addresses all of them differ.
const SOME: usize = 256;

impl ChainIndex {
    /// Of a chain's rules in their order, each with whether a packet that matches it goes no further in this chain: if that is not so, packets that do take
    /// long. `None` where it would not pay: there are few, or most say nothing of plain fields.
    ///
    /// Takes time linear in the rules. A chain that is changed by one rule need not be made anew: see [`Self::with_inserted`].
    pub fn new(family: Family, mut rules: impl ExactSizeIterator<Item = (Lowered, bool)>, pace: Pace) -> Option<Self> {
        let count = rules.len();
        if count < FEWEST_RULES {
            return None;
        }
        let head: Vec<(Lowered, bool)> = match family {
            Family::V4 => Vec::new(),
            Family::V6 => rules.by_ref().take(SOME).collect(),
        };
        let window = Window::for_rules(family, head.iter().map(|(rule, _)| rule));
        let mut filed = Vec::with_capacity(count);
        let mut made = Self {
            family,
            window,
            tree: None,
            tables: Box::default(),
            rules: count as u32,
            headers: Headers::default(),
            parts: Changes::NONE,
            asks_names: false,
            changed: 0,
        };
        for (step, (rule, ends)) in (0..).zip(head.into_iter().chain(rules)) {
            // Whoever contradicts himself is never asked.
            if let Some(asked) = made.note(&rule) {
                filed.push(Filed { step, asked, ends });
            }
        }
        if 2 * filed.iter().filter(|it| it.asked.says_nothing()).count() > count {
            return None;
        }
        made.arrange(filed, pace);
        Some(made)
    }

    /// Into a tree where that tells them apart; what it cannot see of them, or all of them, into tables.
    fn arrange(&mut self, filed: Vec<Filed>, pace: Pace) {
        if let Some(table) = choose::one_table(&filed, pace) {
            self.tables = Box::new([table]);
            return;
        }
        let is_blind = |it: &Filed| it.asked.filter.asks_no_more_than(&[0; 3]) && !it.asked.mask.is_empty();
        let (mut seen, mut others) = (filed, Vec::new());
        if seen.iter().filter(|it| is_blind(it)).count() > FEW_BLIND {
            (others, seen) = seen.into_iter().partition(is_blind);
        }
        let is_divided = !others.is_empty();
        let tree = Tree::new(&seen, pace);
        let compared = tree
            .as_ref()
            .map_or(u32::MAX, |tree| tree.crowds[0].max(tree.crowds[1] / FRAGMENTS));
        if compared <= FEW_COMPARED {
            self.tree = tree;
            self.tables = in_order(choose::tables(self.family, &others, pace));
            return;
        }
        others.extend(seen);
        others.sort_unstable_by_key(|it| it.step);
        let tables = choose::tables(self.family, &others, pace);
        let in_tables = tables.iter().map(|table| LOOK + table.compared()).sum::<u32>();
        if compared <= SIDE_BY_SIDE * in_tables && !is_divided {
            self.tree = tree;
        } else {
            self.tables = in_order(tables);
        }
    }

    /// The same with a rule at a place, before what stood there: `0..=len()`.
    ///
    /// Copies what belongs to the place of rules and the one table that the rule comes into: of 10,000 rules some ten microseconds. After
    /// very many insertions it is slower for packets than a new one, see [`Self::is_worn`].
    pub fn with_inserted(&self, at: u32, rule: &Lowered) -> Self {
        let mut made = self.clone();
        made.rules += 1;
        made.changed += 1;
        for table in &mut made.tables {
            table.make_room(at);
        }
        if let Some(tree) = &mut made.tree {
            tree.make_room(at);
        }
        if let Some(asked) = made.note(rule) {
            let ends = false;
            made.file(Filed { step: at, asked, ends });
        }
        made
    }

    /// The same without the rule at a place; `None` where it was the last one, or one that much was built upon: then all is to be made anew.
    pub fn with_removed(&self, at: u32) -> Option<Self> {
        let mut made = self.clone();
        made.rules = self.rules.checked_sub(1).filter(|left| *left > 0)?;
        made.changed += 1;
        if let Some(tree) = &mut made.tree {
            if let Some(rule) = tree.find(at)
                && !tree.remove(rule)
            {
                return None;
            }
            tree.close_up(at);
        }
        let mut tables = made.tables.into_vec();
        // What contradicts itself stands nowhere.
        let found = tables
            .iter()
            .enumerate()
            .find_map(|(table, it)| Some((table, it.find(at)?)));
        match found {
            Some((table, _)) if tables[table].len() == 1 => drop(tables.remove(table)),
            Some((table, place)) => tables[table].remove(place),
            None => {}
        }
        for table in &mut tables {
            table.close_up(at);
        }
        made.tables = in_order(tables);
        Some(made)
    }

    /// Whether so much came and went that it is better made anew: seldom enough that each of these pays no more for it than for itself.
    pub fn is_worn(&self) -> bool {
        self.changed > 32 + self.rules / 32
    }

    /// How many rules the chain has.
    pub fn len(&self) -> u32 {
        self.rules
    }

    /// True of no index that was made.
    pub fn is_empty(&self) -> bool {
        self.rules == 0
    }

    /// The parts of a packet that anything here was asked of: once one of them is changed, the index is to be asked anew.
    pub fn parts(&self) -> Changes {
        self.parts
    }

    /// Whether any rule here asks for an interface: a [`Key`] without names is good for all others.
    pub fn asks_names(&self) -> bool {
        self.asks_names
    }

    /// How many tables a packet may have to be looked for in, and about how many rules a tree has it compared with, if there is one,
    /// and a later fragment.
    pub fn shape(&self) -> (usize, Option<[u32; 2]>) {
        (self.tables.len(), self.tree.as_ref().map(|tree| tree.crowds))
    }

    /// Memory that it takes, with what it shares.
    pub fn bytes(&self) -> usize {
        let tree = self.tree.as_ref().map_or(0, Tree::bytes);
        size_of::<Self>() + tree + self.tables.iter().map(Table::bytes).sum::<usize>()
    }

    /// False where the packet is cut short before something that is asked for: at which rule it ends, if at any, only the rules know.
    #[inline]
    pub fn knows(&self, key: &Key) -> bool {
        key.family == self.family && self.headers.are_there(key)
    }

    /// What a packet that it knows may match from there on. What was foreseen of it in this index saves the look, if it is as was thought.
    #[inline(always)]
    pub fn candidates(&self, key: &Key, from: u32, foreseen: Option<&Foresight>) -> Candidates<'_> {
        let sight = key.sight(self.window);
        let foreseen = foreseen.filter(|it| it.sight == sight);
        Candidates::new(self.tree.as_ref(), &self.tables, sight, from, self.rules, foreseen)
    }

    fn note(&mut self, rule: &Lowered) -> Option<Asked> {
        let (header, asked) = Asked::of(self.family, self.window, rule);
        self.headers.note(header);
        if let Some(asked) = &asked {
            self.parts = self.parts.and(asked.parts);
            self.asks_names |= asked.asks_names;
        }
        asked
    }

    /// Into the table where fewest stand where it would, or into one of its own. A large one is not copied for one rule: packets look into one more
    /// instead, until all is made anew.
    fn file(&mut self, filed: Filed) {
        let asked = &filed.asked;
        let has_room = self.tables.len() < choose::MOST_TABLES;
        let fitting = self
            .tables
            .iter()
            .enumerate()
            .filter(|(_, it)| it.mask.is_within(&asked.mask) && (it.len() < LARGE || !has_room));
        let best = fitting.map(|(at, table)| (table.crowd(&asked.words), at)).min();
        match best {
            Some((crowd, at)) if crowd < choose::CROWD || !has_room => self.tables[at].insert(filed.step, asked),
            _ => {
                let mask = if has_room { asked.mask } else { Words::default() };
                let mut tables = std::mem::take(&mut self.tables).into_vec();
                tables.push(Table::new(mask, &filed, std::iter::once(&filed), Pace::NONE));
                self.tables = tables.into();
            }
        }
        self.tables = in_order(std::mem::take(&mut self.tables).into_vec());
    }
}

fn in_order(mut tables: Vec<Table>) -> Box<[Table]> {
    tables.sort_by_key(|table| table.first);
    tables.into()
}

impl Headers {
    fn note(&mut self, Header { bytes, protocol }: Header) {
        if bytes == 0 {
            return;
        }
        let Some(protocol) = protocol else {
            self.of_any = self.of_any.max(bytes);
            return;
        };
        match self.of_protocol.iter_mut().find(|(own, _)| *own == protocol) {
            Some((_, most)) => *most = bytes.max(*most),
            None => self.of_protocol.push((protocol, bytes)),
        }
    }

    /// Or certainly not: a later fragment has none, but for one that reaches into the header before it.
    #[inline]
    fn are_there(&self, key: &Key) -> bool {
        let own = self.of_protocol.iter().find(|(protocol, _)| *protocol == key.protocol);
        let asked = own.map_or(self.of_any, |(_, bytes)| self.of_any.max(*bytes));
        match key.fragment_offset {
            _ if asked == 0 => true,
            0 => u32::from(asked) <= key.transport_length,
            offset => offset as usize != INTO_THE_HEADER,
        }
    }
}

#[cfg(test)]
mod tests;
