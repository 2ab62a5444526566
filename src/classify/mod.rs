//! An index from a packet's plain fields to the rules of a chain that could match, so that a walk goes from one to the next of them.
//!
//! It knows of a rule what the rule says of itself ([`Lowered`](crate::rule::Lowered)), and of a packet what a `Key` holds. What it offers may be too much (the rule is
//! asked as ever), never too little: a rule that it leaves out has [`Answer::No`](crate::rule::Answer::No) for the packet, and nothing else
//! becomes of the packet there. Rules are known by their place in the chain, from 0.
//!
//! How: a few hash tables, each over bits that all of its rules ask for (as in TupleMerge; which ones is chosen in `choose`), and of each rule a
//! filter of forty bytes that lies beside the others of its bucket (`asked`).

mod asked;
mod candidates;
mod choose;
mod key;
mod table;
mod words;

pub use candidates::Candidates;
pub use key::Key;

use asked::{Asked, Header, Window};
use table::Table;
use words::Words;

use crate::base::Family;
use crate::rule::{Changes, INTO_THE_HEADER, Lowered};

/// Of one chain. Never changed: what is inserted or removed makes another, which has most of the memory in common with this one.
#[derive(Clone, Debug)]
pub struct ChainIndex {
    family: Family,
    window: Window,
    /// By their first rules.
    tables: Box<[Table]>,
    rules: u32,
    headers: Headers,
    parts: Changes,
    /// Rules that were inserted since all was chosen.
    inserted: u32,
}

/// What may be asked of transport headers.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Headers {
    of_any: u8,
    of_protocol: Vec<(u8, u8)>,
}

/// With fewer rules a chain is walked faster without.
pub const FEWEST_RULES: usize = 20;

/// So many rules show in which bits of addresses all of them differ.
const SOME: usize = 256;

impl ChainIndex {
    /// Of a chain's rules in their order. `None` where it would not pay: there are few, or most say nothing of plain fields.
    ///
    /// Takes time linear in the rules. A chain that is changed by one rule need not be made anew: see [`Self::with_inserted`].
    pub fn new(family: Family, mut rules: impl ExactSizeIterator<Item = Lowered>) -> Option<Self> {
        let count = rules.len();
        if count < FEWEST_RULES {
            return None;
        }
        let head: Vec<Lowered> = match family {
            Family::V4 => Vec::new(),
            Family::V6 => rules.by_ref().take(SOME).collect(),
        };
        let window = Window::for_rules(family, &head);
        let mut asked = Vec::with_capacity(count);
        let mut steps = Vec::with_capacity(count);
        let mut made = Self {
            family,
            window,
            tables: Box::default(),
            rules: count as u32,
            headers: Headers::default(),
            parts: Changes::NONE,
            inserted: 0,
        };
        for (step, rule) in (0..).zip(head.into_iter().chain(rules)) {
            // Whoever contradicts himself is never asked.
            if let Some(it) = made.note(&rule) {
                asked.push(it);
                steps.push(step);
            }
        }
        if 2 * asked.iter().filter(|it| it.says_nothing()).count() > count {
            return None;
        }
        let groups = choose::groups(family, &asked);
        let tables = groups.iter().filter_map(|group| {
            let filed = |at: &u32| {
                let at = *at as usize;
                (steps[at], &asked[at].words, &asked[at].filter)
            };
            let first = filed(group.members.first()?);
            Some(Table::new(group.mask, first, group.members.iter().map(filed)))
        });
        made.tables = in_order(tables.collect());
        Some(made)
    }

    /// The same with a rule at a place, before what stood there: `0..=len()`.
    ///
    /// Copies what belongs to the place of rules and the one table that the rule comes into: of 10,000 rules some hundred microseconds at most. After
    /// very many insertions it may be slower for packets than a new one, see [`Self::is_worn`].
    pub fn with_inserted(&self, at: u32, rule: &Lowered) -> Self {
        let mut made = self.clone();
        made.rules += 1;
        made.inserted += 1;
        for table in &mut made.tables {
            table.make_room(at);
        }
        if let Some(asked) = made.note(rule) {
            made.file(at, &asked);
        }
        made
    }

    /// The same without the rule at a place; `None` where it was the last one.
    pub fn with_removed(&self, at: u32) -> Option<Self> {
        let mut made = self.clone();
        made.rules = self.rules.checked_sub(1).filter(|left| *left > 0)?;
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

    /// Whether so much was inserted that it is better made anew.
    pub fn is_worn(&self) -> bool {
        self.inserted > 64 && self.inserted > self.rules / 2
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

    /// Memory that it takes, with what it shares.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.tables.iter().map(Table::bytes).sum::<usize>()
    }

    /// False where the packet is cut short before something that is asked for: at which rule it ends, if at any, only the rules know.
    #[inline]
    pub fn knows(&self, key: &Key) -> bool {
        key.family == self.family && self.headers.are_there(key)
    }

    /// What a packet that it knows may match.
    #[inline(always)]
    pub fn candidates(&self, key: &Key) -> Candidates<'_> {
        Candidates::new(&self.tables, key.sight(self.window), self.rules)
    }

    fn note(&mut self, rule: &Lowered) -> Option<Asked> {
        let (header, asked) = Asked::of(self.family, self.window, rule);
        self.headers.note(header);
        if let Some(asked) = &asked {
            self.parts = self.parts.and(asked.parts);
        }
        asked
    }

    /// Into the table where fewest stand where it would, or into one of its own.
    fn file(&mut self, step: u32, asked: &Asked) {
        let fitting = self
            .tables
            .iter()
            .enumerate()
            .filter(|(_, it)| it.mask.is_within(&asked.mask));
        let best = fitting.map(|(at, table)| (table.crowd(&asked.words), at)).min();
        let has_room = self.tables.len() < choose::MOST_TABLES;
        match best {
            Some((crowd, at)) if crowd < choose::CROWD || !has_room => self.tables[at].insert(step, asked),
            _ => {
                let mask = if has_room { asked.mask } else { Words::default() };
                let filed = (step, &asked.words, &asked.filter);
                let mut tables = std::mem::take(&mut self.tables).into_vec();
                tables.push(Table::new(mask, filed, std::iter::once(filed)));
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
