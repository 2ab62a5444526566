//! What a match may look at and a target may touch.

use std::cell::Cell;
use std::net::IpAddr;

use crate::base::{Family, InterfaceName, Random, Time};
use crate::conntrack::{self, Tracking};
use crate::nat::{Manip, NatRange};
use crate::net::{Net, OutputKey, Unreachable};
use crate::packet::Packet;
use crate::set::HeldSets;

use super::{Hook, State, Table, TargetVerdict};

/// A match looks at a packet through this, and changes nothing but its own state.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// As the rules before this one left it.
    pub packet: &'a Packet,
    /// What is known of its flow so far.
    pub tracking: &'a Tracking,
    /// Interfaces, addresses and routes, the same from the packet's coming to its end.
    pub net: &'a Net,
    /// The flows that are there, whoever's they are. Empty for `explain`, which has only what was remembered.
    pub flows: &'a conntrack::Table,
    /// Those that rules of this table name ([`Match::sets`](super::Match::sets)). None for `explain`.
    pub sets: &'a HeldSets,
    /// The rule's.
    pub table: Table,
    /// Where the packet is, whatever chain the rule is in.
    pub hook: Hook,
    /// Empty where the packet has none (the router's own packets).
    pub input: InterfaceName,
    /// Empty before the routing decision.
    pub output: InterfaceName,
    /// When the packet came.
    pub now: Time,
    /// What `Match::state` made for this rule; `None` where it made nothing.
    pub state: Option<&'a State>,
    /// The worker's randomness.
    pub random: &'a Cell<Random>,
}

impl Context<'_> {
    /// A number drawn from what the router's seed decides: the same packets draw the same. Not for `explain`, which asks what was drawn.
    pub fn draw(&self) -> u32 {
        Random::in_place(self.random, Random::next_u32)
    }

    /// The state that the match itself made. `None` only if the match made none, or one of another type.
    pub fn state<T: 'static>(&self) -> Option<&T> {
        self.state.and_then(|state| state.downcast_ref())
    }
}

/// What targets ask of the route that a packet leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WayOut {
    /// `None` where the destination is a neighbour itself.
    pub gateway: Option<IpAddr>,
    /// Bytes that it takes.
    pub mtu: u32,
}

/// A target may change the packet and its tracking, and ask the engine for what only it can do.
pub struct TargetContext<'a> {
    /// To be changed by the edits that keep its checksums right.
    pub packet: &'a mut Packet,
    /// What is known of its flow so far, and what the raw table asks of tracking.
    pub tracking: &'a mut Tracking,
    /// As a match has it.
    pub net: &'a Net,
    /// As a match has them ([`Target::sets`](super::Target::sets)).
    pub sets: &'a HeldSets,
    /// The rule's.
    pub table: Table,
    /// Where the packet is, whatever chain the rule is in.
    pub hook: Hook,
    /// Empty for the router's own packets.
    pub input: InterfaceName,
    /// Empty before the routing decision.
    pub output: InterfaceName,
    /// When the packet came.
    pub now: Time,
    /// `None` where the packet has no route yet that leads out.
    pub way: Option<WayOut>,
    /// What [`Target::state`](super::Target::state) made for this rule; `None` where it made nothing.
    pub state: Option<&'a State>,
    /// What only the engine can do.
    pub services: &'a mut dyn Services,
}

impl TargetContext<'_> {
    /// The state that the target itself made. `None` only if it made none, or one of another type.
    pub fn state<T: 'static>(&self) -> Option<&T> {
        self.state.and_then(|state| state.downcast_ref())
    }
}

/// What the engine does on a target's behalf.
pub trait Services {
    /// Keeps a line of the kernel's log.
    fn log(&mut self, record: LogRecord);
    /// Decides the flow's mapping. The verdict is ACCEPT, or DROP where no mapping is possible.
    fn nat(&mut self, packet: &Packet, tracking: &mut Tracking, range: &NatRange, manip: Manip) -> TargetVerdict;

    /// The largest packet that a way of the host's own takes, by its route and by what was heard of the path. `None` where there is no way.
    fn own_path_mtu(&self, net: &Net, key: OutputKey) -> Option<u32> {
        net.route_output(key).ok().map(|route| route.mtu)
    }

    /// What was heard of the path that a packet of another's takes, whether the packet itself is held to it or not.
    fn heard_of_path(&self, _net: &Net, _packet: &Packet) -> Option<u32> {
        None
    }
}

/// A line of the kernel's log, without time stamp and log prefix of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// syslog level, 0 to 7.
    pub level: u8,
    /// One line, as `dmesg` shows it behind the time.
    pub text: String,
}

/// What REJECT answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// ICMP's "destination unreachable".
    Unreachable(Unreachable),
    /// A TCP segment with RST; to what is no TCP segment, or is a reset itself, there is no answer.
    TcpReset,
}

impl Rejection {
    /// As the family's `--reject-with` has it; `icmp-unreachable` for what its tool has no word for.
    pub fn word(self, family: Family) -> &'static str {
        let why = match self {
            Self::Unreachable(why) => why,
            Self::TcpReset => return "tcp-reset",
        };
        match (family, why) {
            (Family::V4, Unreachable::Network) => "icmp-net-unreachable",
            (Family::V4, Unreachable::Host) => "icmp-host-unreachable",
            (Family::V4, Unreachable::Protocol) => "icmp-proto-unreachable",
            (Family::V4, Unreachable::Port) => "icmp-port-unreachable",
            (Family::V4, Unreachable::NetworkProhibited) => "icmp-net-prohibited",
            (Family::V4, Unreachable::HostProhibited) => "icmp-host-prohibited",
            (Family::V4, Unreachable::AdminProhibited) => "icmp-admin-prohibited",
            (Family::V6, Unreachable::Network) => "icmp6-no-route",
            (Family::V6, Unreachable::AdminProhibited) => "icmp6-adm-prohibited",
            (Family::V6, Unreachable::Host) => "icmp6-addr-unreachable",
            (Family::V6, Unreachable::Port) => "icmp6-port-unreachable",
            (Family::V6, Unreachable::PolicyFailed) => "icmp6-policy-fail",
            (Family::V6, Unreachable::RouteRejected) => "icmp6-reject-route",
            _ => "icmp-unreachable",
        }
    }
}
