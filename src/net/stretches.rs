//! The look-up of routes that nearly every packet makes, answered beforehand: between two ends of prefixes all destinations have one answer.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;

use super::lookup::Key;
use super::tables::{Entry, Tables};
use super::{Route, RouteError};
use crate::base::Family;

/// What a look-up without routing rules finds, by destination alone: made when the first packet asks after a change of routes, and only of as many
/// as that takes no time.
#[derive(Clone, Debug, Default)]
pub(super) struct Stretches(OnceLock<Option<Answers>>);

/// IPv4's. Each stretch begins where the last one ends.
#[derive(Clone, Debug)]
struct Answers {
    /// The first is 0.
    begins: Vec<u32>,
    /// Of each stretch, by its place among the different ones.
    which: Vec<u16>,
    different: Vec<Result<Route, RouteError>>,
}

/// The answers to half a thousand stretches are made in some fifty microseconds.
const MOST_ROUTES: usize = 256;

impl Stretches {
    /// Routes have changed.
    pub(super) fn forget(&mut self) {
        self.0 = OnceLock::new();
    }

    /// What the look-up finds for a key that asks no more than where it goes; nothing where nobody has answered that.
    #[inline]
    pub(super) fn answer(&self, tables: &Tables, destination: IpAddr) -> Option<&Result<Route, RouteError>> {
        let answers = match self.0.get() {
            Some(answers) => answers,
            None => self.make(tables),
        };
        match (answers, destination) {
            (Some(answers), IpAddr::V4(destination)) => Some(answers.of(destination.to_bits())),
            _ => None,
        }
    }

    #[cold]
    fn make(&self, tables: &Tables) -> &Option<Answers> {
        self.0.get_or_init(|| {
            let is_short = tables.everything().len() <= MOST_ROUTES;
            let asks_no_more = || tables.all().all(|it| it.route.tos == 0);
            (is_short && tables.family() == Family::V4 && asks_no_more()).then(|| Answers::of_all(tables))
        })
    }
}

impl Answers {
    fn of_all(tables: &Tables) -> Self {
        let mut begins = vec![0];
        for Entry { route, .. } in tables.all() {
            let IpAddr::V4(first) = route.to.address() else {
                continue;
            };
            let (first, length) = (first.to_bits(), route.to.length());
            let behind = u64::from(first) + (1 << (32 - length.min(32)));
            begins.push(first);
            begins.extend(u32::try_from(behind).ok());
        }
        begins.sort_unstable();
        begins.dedup();
        let mut answers = Self {
            begins: Vec::new(),
            which: Vec::new(),
            different: Vec::new(),
        };
        for begin in begins {
            let found = tables.lookup_without_rules(&Key::to(Ipv4Addr::from_bits(begin).into()));
            let is_it = |it: &Result<Route, RouteError>| it.as_ref().map_err(|why| *why) == found;
            let which = answers.different.iter().position(is_it).unwrap_or_else(|| {
                answers.different.push(found.cloned());
                answers.different.len() - 1
            });
            if answers.which.last() != Some(&(which as u16)) {
                answers.begins.push(begin);
                answers.which.push(which as u16);
            }
        }
        answers
    }

    #[inline]
    fn of(&self, destination: u32) -> &Result<Route, RouteError> {
        // The first begins at 0, so there is always one before.
        let at = self.begins.partition_point(|begin| *begin <= destination) - 1;
        &self.different[usize::from(self.which[at])]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Random;
    use crate::net::{Prefix, RouteKind, Scope, table};

    /// Few addresses, so that prefixes lie in each other and their ends meet; also the first and the last that there are.
    fn drawn_address(random: &mut Random) -> u32 {
        let base = [0, 0x0a00_0000, 0xffff_ff00][random.below(3) as usize];
        base + random.below(256)
    }

    fn drawn_route(random: &mut Random) -> Route {
        let length = [0, 1, 8, 24, 25, 28, 30, 31, 32][random.below(9) as usize];
        let kinds = [
            RouteKind::Unicast,
            RouteKind::Local,
            RouteKind::Broadcast,
            RouteKind::Throw,
            RouteKind::Blackhole,
            RouteKind::Prohibit,
        ];
        Route {
            table: [table::LOCAL, table::MAIN, table::DEFAULT, 100][random.below(4) as usize],
            kind: kinds[random.below(6) as usize],
            metric: random.below(2),
            mtu: Some(100 + random.below(1000)),
            scope: [Scope::Universe, Scope::Link][random.below(2) as usize],
            ..Route::new(Prefix::containing(Ipv4Addr::from_bits(drawn_address(random)).into(), length).unwrap())
        }
    }

    /// After any change each address has the answer that the look-up finds, as long as there are few routes.
    #[test]
    fn answers_are_those_of_the_look_up() {
        let mut random = Random::new(3);
        let (mut refused, mut answered) = (0, 0);
        for _ in 0..20 {
            let mut tables = Tables::of(Family::V4);
            for _ in 0..300 {
                let (route, count) = (drawn_route(&mut random), tables.everything().len() as u32);
                match random.below(8) {
                    0 if count > 0 => drop(tables.remove_at(random.below(count) as usize)),
                    1 if count > 0 => {
                        let at = random.below(count) as usize;
                        let to = tables.range(at..at + 1).next().unwrap().route.clone();
                        tables.replace_at(at, Route { mtu: route.mtu, ..to });
                    }
                    2 if count > 100 => {
                        let mut left = random.below(100);
                        tables.retain(|_| {
                            left = left.saturating_sub(1);
                            left == 0
                        });
                    }
                    _ => tables.insert_at(tables.siblings(&route).end, route, None),
                }
                for _ in 0..10 {
                    let destination = IpAddr::from(Ipv4Addr::from_bits(drawn_address(&mut random)));
                    let found = tables.lookup_without_rules(&Key::to(destination));
                    let answer = tables.stretches().answer(&tables, destination);
                    match answer {
                        Some(answer) => assert_eq!(answer.as_ref().map_err(|why| *why), found, "{destination}"),
                        None => assert!(tables.everything().len() > MOST_ROUTES),
                    }
                    answered += usize::from(answer.is_some());
                    refused += usize::from(found.is_err());
                }
            }
        }
        assert!(refused > 5_000 && answered > 50_000, "{refused} {answered}");
    }

    #[test]
    fn many_routes_and_the_other_family_are_looked_up() {
        let mut tables = Tables::of(Family::V4);
        let add = |tables: &mut Tables, number: u32| {
            let route = Route::new(Prefix::host(Ipv4Addr::from_bits(number << 8).into()));
            tables.insert_at(tables.siblings(&route).end, route, None);
        };
        (0..MOST_ROUTES as u32).for_each(|number| add(&mut tables, number));
        let place = IpAddr::from([0, 0, 1, 0]);
        assert!(tables.stretches().answer(&tables, place).is_some_and(Result::is_ok));
        assert!(
            tables
                .stretches()
                .answer(&tables, "2001:db8::1".parse().unwrap())
                .is_none()
        );
        add(&mut tables, MOST_ROUTES as u32);
        assert!(tables.stretches().answer(&tables, place).is_none());
    }
}
