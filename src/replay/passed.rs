//! What became of a packet: as it is told until the next one comes, and as a value to keep.

use super::entrance::Entrance;
use super::witness::Witness;
use super::{RulePlace, Rulebook, TimedPacket};
use crate::base::{Family, InterfaceName, Time};
use crate::engine::{Emission, Fate, Reason, Report, Router};
use crate::lab::memory::port_name;
use crate::rule::Table;

/// What became of a packet, until the next one comes.
pub struct Passed<'a> {
    pub(super) packet: TimedPacket<'a>,
    pub(super) entrance: Entrance,
    pub(super) time: Time,
    pub(super) is_late: bool,
    pub(super) report: Report,
    pub(super) router: &'a Router,
    pub(super) rules: &'a Rulebook,
    pub(super) witness: &'a Witness,
    pub(super) output: &'a [Emission],
    pub(super) meanwhile: &'a [Emission],
}

impl<'a> Passed<'a> {
    /// Its number in its capture.
    pub fn number(&self) -> u64 {
        self.packet.number
    }

    /// When it came, by the lab's clock.
    pub fn time(&self) -> Time {
        self.time
    }

    /// True where the capture's clock ran backwards, so that it came later than the capture says.
    pub fn is_late(&self) -> bool {
        self.is_late
    }

    /// The interface it came in by, or `local`.
    pub fn interface(&self) -> InterfaceName {
        self.entrance.name()
    }

    /// As it came.
    pub fn bytes(&self) -> &'a [u8] {
        self.packet.bytes
    }

    /// What the engine said of it.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// `ACCEPT`, `DROP`, `REJECT`, `STOLEN` or `QUEUE`: what became of the packet, not of answers to it.
    pub fn verdict(&self) -> &'static str {
        self.report.fate.verdict()
    }

    /// What tracking called it: `NEW`, `ESTABLISHED` and so on.
    pub fn state(&self) -> Option<&'static str> {
        self.report.state.map(crate::conntrack::CtState::name)
    }

    /// Why it went no further.
    pub fn reason(&self) -> Option<&Reason> {
        match &self.report.fate {
            Fate::Stopped(reason) => Some(reason),
            _ => None,
        }
    }

    /// Why it is INVALID.
    pub fn why_invalid(&self) -> Option<crate::conntrack::InvalidReason> {
        self.witness.invalid
    }

    /// The rule or policy that decided: of what stopped it, if that was one; else the last word in the filter table. `None` where no rule had a say.
    pub fn deciding(&self) -> Option<RulePlace<'a>> {
        let (rules, filter) = (self.rules, self.witness.filter);
        let family = Family::of_packet(self.bytes()).unwrap_or(Family::V4);
        match self.reason() {
            // What the table decided is known by number already.
            Some(Reason::Rule(place) | Reason::Policy(place) | Reason::Rejected { place, .. })
                if place.table == Table::Filter && filter.is_some() =>
            {
                filter.and_then(|decision| rules.of_decision(decision, family))
            }
            Some(
                Reason::Rule(place)
                | Reason::Policy(place)
                | Reason::Rejected { place, .. }
                | Reason::Malformed(place)
                | Reason::DroppedByMatch(place)
                | Reason::WalkTooLong(place)
                | Reason::Queued(place)
                | Reason::Held { place, .. }
                | Reason::QueueFull { place, .. },
            ) => rules.at(place),
            Some(_) => None,
            None => filter.and_then(|decision| rules.of_decision(decision, family)),
        }
    }

    /// Everything the router sent because of it, answers of its own included; what reached the router itself is on `local`.
    pub fn output(&self) -> impl ExactSizeIterator<Item = Left<'a>> + use<'a> {
        let (router, witness) = (self.router, self.witness);
        self.output.iter().enumerate().map(move |(at, emission)| Left {
            interface: port_name(router, emission.port),
            bytes: &emission.bytes,
            is_own: witness.is_own(at),
        })
    }

    /// What the router sent since the packet before, because time went on.
    pub fn meanwhile(&self) -> impl ExactSizeIterator<Item = Left<'a>> + use<'a> {
        let router = self.router;
        self.meanwhile.iter().map(move |emission| Left {
            interface: port_name(router, emission.port),
            bytes: &emission.bytes,
            is_own: true,
        })
    }

    /// Returns once all packets before it are through.
    pub(super) fn await_turn(&self) {
        self.witness.await_turn_of(self.number());
    }

    pub(super) fn witness(&self) -> &'a Witness {
        self.witness
    }

    /// As a value to keep.
    pub fn outcome(&self) -> Outcome {
        Outcome {
            number: self.number(),
            time: self.time(),
            interface: self.interface(),
            verdict: self.verdict(),
            state: self.state(),
            rule: self.deciding().map(|place| place.to_string()),
            reason: self.reason().map(ToString::to_string),
            output: self
                .output()
                .map(|left| (left.interface, left.bytes.to_vec()))
                .collect(),
        }
    }
}

/// A packet that left.
#[derive(Clone, Copy, Debug)]
pub struct Left<'a> {
    /// By which interface; `local` where it reached the router.
    pub interface: InterfaceName,
    /// From its IP header on.
    pub bytes: &'a [u8],
    /// True for one that the router made itself, not the packet that came.
    pub is_own: bool,
}

/// What became of a packet, as a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its number in its capture.
    pub number: u64,
    /// When it came, by the lab's clock.
    pub time: Time,
    /// Where it came in; `local` for the router's own.
    pub interface: InterfaceName,
    /// As [`Passed::verdict`].
    pub verdict: &'static str,
    /// As [`Passed::state`].
    pub state: Option<&'static str>,
    /// The deciding rule's place: `rule 3 of filter FORWARD`, `policy of filter FORWARD`.
    pub rule: Option<String>,
    /// Why it went no further, where that was no rule.
    pub reason: Option<String>,
    /// What left because of it, by which interface, from the IP header on.
    pub output: Vec<(InterfaceName, Vec<u8>)>,
}
