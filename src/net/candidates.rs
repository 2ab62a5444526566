//! The routes of a long table that hold an address: searched by halves, where those of a short one are looked at one by one.

use std::net::IpAddr;
use std::ops::Range;

use super::Prefix;
use super::lookup::Key;
use super::pieces::Pieces;
use super::tables::{Entry, Tables};

impl Tables {
    /// A table's routes that may hold the destination, and in a short table others too: longest prefixes first.
    #[inline]
    pub(super) fn candidates(&self, table: Range<usize>, key: &Key) -> Candidates<'_> {
        let (more, rest) = match table.len() <= SHORT {
            true => (table, 0..0),
            false => (0..0, table),
        };
        let (run, more) = self.entries.first_of(more);
        Candidates {
            entries: &self.entries,
            run,
            more,
            rest,
            destination: key.destination,
        }
    }
}

/// The routes of a table to places that hold an address. A long table is searched by halves for each length of prefixes that it has.
pub(super) struct Candidates<'a> {
    entries: &'a Pieces<Entry>,
    /// What is to be given: of a short table all, else what was found of a length.
    run: &'a [Entry],
    /// What is to be given after that.
    more: Range<usize>,
    /// Entries of one long table, of lengths not looked at yet.
    rest: Range<usize>,
    destination: IpAddr,
}

impl<'a> Iterator for Candidates<'a> {
    type Item = &'a Entry;

    #[inline]
    fn next(&mut self) -> Option<&'a Entry> {
        match self.run.split_first() {
            Some((entry, run)) => {
                self.run = run;
                Some(entry)
            }
            None if self.more.is_empty() && self.rest.is_empty() => None,
            None => self.search(),
        }
    }
}

impl<'a> Candidates<'a> {
    /// The first of the next length that holds the destination. Apart from `next`, which every packet asks, and mostly of a short table.
    #[inline(never)]
    fn search(&mut self) -> Option<&'a Entry> {
        loop {
            if !self.more.is_empty() {
                let (run, more) = self.entries.first_of(self.more.clone());
                let (entry, run) = run.split_first()?;
                (self.run, self.more) = (run, more);
                return Some(entry);
            }
            let (first, _) = self.entries.first_of(self.rest.clone());
            let length = first.first()?.route.to.length();
            let end = self
                .entries
                .partition_point(self.rest.clone(), |it| it.route.to.length() >= length);
            let of_length = self.rest.start..end;
            self.rest.start = end;
            // A prefix longer than an address of this family has bits holds none.
            let Some(place) = Prefix::containing(self.destination, length) else {
                continue;
            };
            let place = place.address();
            let start = self
                .entries
                .partition_point(of_length.clone(), |it| it.route.to.address() < place);
            let end = self
                .entries
                .partition_point(start..of_length.end, |it| it.route.to.address() <= place);
            self.more = start..end;
        }
    }
}

/// Routes that are looked at one by one sooner than they are searched.
pub(super) const SHORT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Family;
    use crate::net::{Route, table};

    /// A long table's search finds what looking at every route finds, in the same order.
    #[test]
    fn a_long_table_is_searched_as_it_is_looked_through() {
        let mut random = crate::base::Random::new(11);
        let mut tables = Tables::of(Family::V4);
        let mut drawn = |bits: u32| (random.next_u64() >> 7) as u32 & bits;
        for number in 0..2_000 {
            let length = [0, 8, 9, 16, 20, 24, 24, 31, 32][drawn(0xffff) as usize % 9];
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | drawn(0x0003_ffff));
            let table = [table::MAIN, table::LOCAL, 100][number % 3];
            let route = Route {
                metric: drawn(1),
                table,
                mtu: Some(number as u32),
                ..Route::new(Prefix::containing(address.into(), length).unwrap())
            };
            tables.insert_at(tables.siblings(&route).end, route, None);
        }
        let mut found = 0;
        for _ in 0..2_000 {
            let destination = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 | drawn(0x0003_ffff)));
            let key = Key::to(destination);
            for table in [table::MAIN, table::LOCAL, 100] {
                let holds = |it: &&Entry| it.route.to.contains(destination);
                let looked: Vec<_> = tables
                    .range(tables.table(table))
                    .filter(holds)
                    .map(|it| it.route.mtu)
                    .collect();
                let searched = tables.candidates(tables.table(table), &key).filter(holds);
                assert_eq!(searched.map(|it| it.route.mtu).collect::<Vec<_>>(), looked);
                found += looked.len();
            }
        }
        assert!(found > 10_000, "{found}");
        let six = Key::to("2001:db8::1".parse().unwrap());
        assert!(tables.deciding(table::MAIN, &six).is_none());
    }
}
