//! Expectations: flows that a helper has announced.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::expectations::Expectations;
use super::{ConntrackHelper, Direction, ExpectationStatistics, Flow, Status, Table, Tuple};
use crate::base::Time;

/// What a helper waits for. The first packet that fits opens a RELATED flow.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Grows with each expectation: the order in which they are listed. The table sets it.
    pub serial: u64,
    /// Its first packet's, as far as it is known; the rest is zero, and left out by the mask.
    pub tuple: Tuple,
    /// How much of the source must fit.
    pub mask: ExpectationMask,
    /// The flow that announced it.
    pub master: Arc<Flow>,
    /// Which of its helper's policies bounds it.
    pub class: usize,
    /// Stays after a flow came of it.
    pub permanent: bool,
    /// Is listed, but opens nothing.
    pub inactive: bool,
    /// It opens nothing from this instant on.
    pub deadline: Time,
    /// The helper that made it, for the listings.
    pub made_by: &'static ConntrackHelper,
    /// The helper to attach to the flow that comes.
    pub helper: Option<&'static ConntrackHelper>,
    /// Set where the master is under NAT, so that the flow has to follow.
    pub nat: Option<ExpectationNat>,
    /// What is expected no longer when this comes: the same flow, opened by its other end.
    pub together_with: Option<Tuple>,
}

/// Which bits of the source count; the destination always counts whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectationMask {
    /// Of the source address; zero where any host may call.
    pub address: IpAddr,
    /// Of the source port; zero where it may be any.
    pub id: u16,
}

/// How the expected flow's addresses follow its master's: it goes to the sender of the command that announced it, and seems to come from
/// where that command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectationNat {
    /// The direction of the master in which the command went.
    pub command: Direction,
    /// The port that the command named before the helper rewrote it. `None`: it keeps its own.
    pub port: Option<u16>,
    /// The port that it seems to come from. `None`: its own, if it can be.
    pub from_port: Option<u16>,
    /// The host that it goes to. `None`: the sender of the command.
    pub host: Option<IpAddr>,
    /// It seems to come from where it comes from. Seen: what the answering side of its master announced then seems to come from where it went first.
    pub keeps_source: bool,
    /// Each side of the master announces one half of what goes both ways, and where both are led elsewhere, the one seems to come from where the other
    /// is awaited. Where there is no other half, only what comes from the far end of the master itself seems to come from where the command went.
    pub pairs: bool,
}

/// Why a helper's announcement was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectationRefused {
    /// `nf_conntrack_expect_max`.
    Full,
    /// Another flow's expectation overlaps with it.
    Clash,
    /// The very same is expected already, by another flow or as something else.
    Already,
    /// The master has died.
    MasterDied,
}

impl fmt::Display for ExpectationRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too many",
            Self::Clash => "it clashes",
            Self::Already => "another flow expects the same",
            Self::MasterDied => "its flow has died",
        })
    }
}

impl Expectation {
    /// The mask in the form of a tuple, as the listings print it.
    pub(crate) fn mask_tuple(&self) -> Tuple {
        let (mut mask, id) = (self.tuple, u16::MAX);
        mask.source.id = self.mask.id;
        mask.destination.id = id;
        mask
    }

    pub(super) fn fits(&self, tuple: &Tuple) -> bool {
        self.tuple.destination == tuple.destination
            && self.tuple.protocol == tuple.protocol
            && self.tuple.source.id & self.mask.id == tuple.source.id & self.mask.id
            && under(self.tuple.source.address, self.mask.address) == under(tuple.source.address, self.mask.address)
    }

    /// Some packet would fit both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let id = self.mask.id & other.mask.id;
        let address = under(self.mask.address, other.mask.address);
        self.master.zone().id == other.master.zone().id
            && self.tuple.destination == other.tuple.destination
            && self.tuple.protocol == other.tuple.protocol
            && self.tuple.source.id & id == other.tuple.source.id & id
            && under(self.tuple.source.address, address) == under(other.tuple.source.address, address)
    }

    /// They are of the same packets.
    pub(super) fn is_of_the_same(&self, other: &Self) -> bool {
        self.master.zone().id == other.master.zone().id && self.tuple == other.tuple && self.mask == other.mask
    }

    pub(super) fn is_the_same_wish(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.master, &other.master)
            && self.class == other.class
            && self.tuple == other.tuple
            && self.mask == other.mask
    }
}

impl Table {
    /// Announces a flow. `max` is the most that the table holds of all; how many the master may have, its helper's policy says.
    pub fn expect(&self, now: Time, expectation: Expectation, max: u32) -> Result<(), ExpectationRefused> {
        let master = Arc::clone(&expectation.master);
        let mut state = master.lock();
        if state.status.has(Status::DYING) {
            return Err(ExpectationRefused::MasterDied);
        }
        self.with_expectations(|all| all.add(now, expectation, max))?;
        state.rare_mut().has_expected = true;
        Ok(())
    }

    /// The same, unless the very same is expected already, by any flow or as anything else: [`ExpectationRefused::Already`].
    pub(crate) fn expect_once(&self, now: Time, expectation: Expectation, max: u32) -> Result<(), ExpectationRefused> {
        let is_there = self.with_expectations(|all| all.is_there(now, &expectation));
        match is_there {
            true => Err(ExpectationRefused::Already),
            false => self.expect(now, expectation, max),
        }
    }

    /// Those that this flow announced, the oldest first.
    pub(crate) fn expectations_of(&self, now: Time, master: &Flow) -> Vec<Arc<Expectation>> {
        self.with_expectations(|all| all.all_of(now, master))
    }

    /// It is active from now on, and lives until then. False where it is gone.
    pub(crate) fn confirm_expectation(&self, expectation: &Expectation, deadline: Time) -> bool {
        self.with_expectations(|all| all.confirm(expectation.serial, deadline))
    }

    /// All expectations that live, in the order of their creation.
    pub fn expectations(&self, now: Time) -> Vec<Arc<Expectation>> {
        self.with_expectations(|all| all.all(now))
    }

    /// Takes it out, if it is still there.
    pub fn unexpect(&self, expectation: &Expectation) {
        self.with_expectations(|all| all.remove(expectation.serial));
    }

    /// These helpers are no more: what they expected is expected no longer, and nobody reads their flows.
    pub(crate) fn forget_helpers(&self, gone: &[&'static ConntrackHelper], now: Time) {
        let is_gone = |helper: &ConntrackHelper| gone.iter().any(|it| std::ptr::eq(*it, helper));
        for expectation in self.expectations(now) {
            if is_gone(expectation.made_by) || expectation.helper.is_some_and(is_gone) {
                self.unexpect(&expectation);
            }
        }
        for flow in self.living_flows(now) {
            let mut state = flow.lock();
            if state.helper().is_some_and(is_gone) {
                state.set_helper(None);
                *state.helper_data_mut() = None;
            }
        }
    }

    /// Takes all out that this flow announced.
    pub(crate) fn unexpect_all_of(&self, master: &Flow) {
        self.with_expectations(|all| all.remove_of(master, |_| true));
    }

    /// Takes that out which this flow announced with this tuple.
    pub(crate) fn unexpect_of(&self, master: &Flow, tuple: &Tuple) {
        self.with_expectations(|all| all.remove_of(master, |it| it.tuple == *tuple));
    }

    /// The ends of a flow that this one announces have agreed on these keys. False where they had on others.
    pub(crate) fn agree_on_keys(&self, master: &Flow, ways: [&Tuple; 2]) -> bool {
        self.keys.agree(master.serial(), ways)
    }

    /// What ends with the flow, as its helper says, ends now: other flows, what is still expected, and keys.
    pub(crate) fn end_what_goes_along(&self, master: &Flow) {
        let along = master.lock().goes_along(master);
        self.end_all(master, along);
    }

    pub(super) fn end_all(&self, master: &Flow, along: Option<[Tuple; 2]>) {
        let Some(along) = along else { return };
        self.keys.forget(master.serial());
        let zone = master.zone();
        for tuple in along {
            match self.find(self.hash(&tuple), &tuple, zone) {
                Some((flow, _)) => drop(self.delete(&flow)),
                None => self.with_expectations(|all| all.remove_one(&tuple, zone)),
            }
        }
    }

    /// A packet of the flow goes no further, or counts for another: if it was to be the first, there is no flow, and nothing that it announced is
    /// expected.
    pub(crate) fn got_no_further(&self, flow: &Flow) {
        let is_new = !flow.lock().status.has(Status::CONFIRMED);
        if is_new {
            self.unexpect_all_of(flow);
        }
    }

    /// What happened to all that there ever were.
    pub(crate) fn expectation_statistics(&self) -> ExpectationStatistics {
        self.with_expectations(|all| all.statistics)
    }

    /// The expectation that a packet with this tuple would fulfil.
    pub(crate) fn expectation_of(&self, now: Time, tuple: &Tuple) -> Option<Arc<Expectation>> {
        self.expectation_in(now, tuple, 0)
    }

    /// The same in a zone.
    pub(crate) fn expectation_in(&self, now: Time, tuple: &Tuple, zone: u16) -> Option<Arc<Expectation>> {
        self.with_expectations(|all| all.find(now, tuple, zone))
    }

    /// Takes all of them out, as `conntrack -F expect` does.
    pub fn flush_expectations(&self) {
        self.with_expectations(Expectations::clear);
    }
}

fn under(address: IpAddr, mask: IpAddr) -> IpAddr {
    match (address, mask) {
        (IpAddr::V4(a), IpAddr::V4(m)) => (a & m).into(),
        (IpAddr::V6(a), IpAddr::V6(m)) => (a & m).into(),
        _ => address,
    }
}

#[cfg(test)]
mod tests;
