//! Application protocols that open other flows, a file each: what a helper reads, and how NAT writes it anew, side by side.
//!
//! A file has three parts: its spec; the tracking side, which reads a payload and says what it announces; the NAT side, which writes the same with
//! another address and port. What lies between is the same for all and stands in `announce`: the wish becomes an expectation, a free port is
//! looked for, the payload is rewritten, and what cannot be done is taken back. Both sides are modules of their own, with parameters: which are
//! loaded (`Loaded`) is a part of a router's configuration, and a helper whose NAT side is missing leaves payloads as they are.

mod address;
mod amanda;
mod announce;
mod broadcast;
mod ftp;
mod h323;
mod icq;
mod irc;
mod loaded;
mod mangle;
#[cfg(test)]
mod mutations;
mod netbios_ns;
mod parameter;
mod pptp;
mod reason;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod samples;
mod sane;
mod sip;
mod snmp;
mod talk;
mod tftp;

pub(crate) use loaded::is_known;
pub use loaded::{Loaded, LoadedModule};
pub use parameter::{LoadRefused, Parameter, Sets, Takes};
pub(crate) use parameter::{Said, read_parameters};
pub use reason::DropReason;

use std::net::IpAddr;
use std::time::Duration;

use crate::base::{Random, Time};
use crate::conntrack::{ConntrackHelper, CtState, Direction, Settings, Table, Tracking, Tuple};
use crate::packet::Packet;
use announce::Reading;

/// A helper's module, as `modprobe` knows it.
#[derive(Debug)]
pub struct HelperSpec {
    /// What the module is called; today's name first, then the older ones.
    pub modules: &'static [&'static str],
    /// The same of the module that is its NAT side.
    pub nat_modules: &'static [&'static str],
    /// What `modprobe NAME PARAMETER=VALUE` may say.
    pub parameters: &'static [Parameter],
    /// The same of its NAT side.
    pub nat_parameters: &'static [Parameter],
    /// What it registers: one, or one for each transport protocol.
    pub helpers: &'static [Helper],
    /// What it reads, for the manual.
    pub about: &'static str,
}

/// One helper.
#[derive(Debug)]
pub struct Helper {
    /// What tracking knows of it.
    pub conntrack: ConntrackHelper,
    /// What it is tried on.
    pub samples: &'static [Sample],
    /// What it expects for good may last longer than its policy says: as long as it is told.
    pub lasts_as_told: bool,
    /// It expects what it is told, be it of another host, or port 0: the protocol is about third hosts, and the kernel does not look.
    pub believes: bool,
    read: fn(&mut Reading<'_, '_>) -> Result<HeardWhat, DropReason>,
}

macro_rules! helpers {
    ($($module:ident)*) => {
        static HELPERS: &[&HelperSpec] = &[$(&$module::SPEC),*];
    };
}

// The registry: a line a module.
helpers! {
    ftp
    irc
    tftp
    amanda
    h323
    talk
    icq
    sane
    netbios_ns
    snmp
    pptp
    sip
}

/// All helpers there are. Which of them a lab has loaded is the lab's to know.
pub fn registry() -> &'static [&'static HelperSpec] {
    HELPERS
}

impl HelperSpec {
    /// The helpers that the module brings, one for each transport protocol.
    pub fn conntrack(&self) -> impl Iterator<Item = &'static ConntrackHelper> + use<> {
        self.helpers.iter().map(|helper| &helper.conntrack)
    }

    /// Whether one of its helpers is called so.
    pub fn has(&self, name: &str) -> bool {
        self.conntrack().any(|helper| helper.name == name)
    }
}

/// A conversation with what it announces. The registry's tests play it between 10.0.0.2 and 192.0.2.9: once through a router, once through one that
/// masquerades as 192.0.2.1.
#[derive(Debug)]
pub struct Sample {
    /// Payloads: the client's begin with `> `, the server's with `< `.
    pub said: &'static [&'static [u8]],
    /// What comes of it.
    pub announces: Announces,
}

/// What came of the last payload.
#[derive(Debug)]
pub enum Announces {
    /// No flow is expected.
    Nothing,
    /// It is dropped, since it has to be said again whole.
    Incomplete,
    /// No flow is expected, but under NAT something else leaves in its place: this, or nothing where it is dropped.
    Written(Option<&'static [u8]>),
    /// Flows are expected.
    Flows {
        /// As explanations print them: `tcp 192.0.2.9 > 10.0.0.2:1025`. None where what is said is only about something with NAT, or without.
        plain: &'static [&'static str],
        /// The same where NAT lies between, and what stands in the payload's place.
        under_nat: &'static [&'static str],
        /// The payload as it leaves there.
        written: &'static [u8],
    },
}

/// What a helper needs beside the packet.
#[derive(Debug)]
pub struct HelperContext<'a> {
    /// When the packet came: what is expected lives from here.
    pub now: Time,
    /// The knobs of tracking.
    pub settings: &'a Settings,
    /// The helpers that are there, with what their modules were loaded with.
    pub loaded: &'a Loaded,
    /// The ways that lead to hosts.
    pub ways: &'a dyn Ways,
    /// Where what is expected is kept, and looked for a free port.
    pub table: &'a Table,
    /// What a free port is looked for with.
    pub random: &'a mut Random,
}

/// What a helper asks of routing.
pub trait Ways: std::fmt::Debug {
    /// Whether packets of the router's own to these two leave by the same interface to the same neighbour.
    fn is_same(&self, first: IpAddr, second: IpAddr) -> bool;
    /// Whether packets of the router's own to this host leave by the interface that this one leaves by.
    fn leaves_likewise(&self, packet: &Packet, to: IpAddr) -> bool;

    /// Whether the packet is a broadcast of the router's own.
    fn broadcast(&self, packet: &Packet) -> Broadcast;
}

/// Whom a packet of the router's own goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// It is no broadcast, or none from a socket of the router.
    No,
    /// To a broadcast address that no address of the interface says to have.
    OfNoAddress,
    /// To all hosts of the network with this mask.
    To(IpAddr),
}

/// What a helper made of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its name.
    pub helper: &'static str,
    /// What it found.
    pub what: HeardWhat,
}

/// What a helper found in a packet of a flow that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeardWhat {
    /// Its flow is not established yet.
    TooEarly,
    /// It carries no data.
    NoData,
    /// Nothing is read that goes this way.
    OtherWay,
    /// It is not known that a line begins with its data, so none is read.
    NotAtALine {
        /// Were it known, a flow would be expected.
        in_vain: bool,
    },
    /// No command that opens a flow.
    NoCommand,
    /// A command that names another host than its sender: the helper opens nothing for that one.
    NamesAnother(IpAddr),
    /// Only what the router itself broadcasts is answered by others.
    NotOwnBroadcast,
    /// A broadcast, and no address of its interface says of which network.
    OfNoNetwork,
    /// There was no room for what would be expected, and the packet goes on.
    NoRoom,
    /// What it says is the same on the other side.
    NothingToWrite,
    /// So many addresses in it are written over.
    Wrote(u32),
    /// It does not fit what was said before.
    OutOfTurn,
    /// What was announced ends, with all that came of it.
    CallOver,
    /// Flows are expected. Never empty.
    Announced(Vec<Announced>),
    /// Flows that were announced before are let in from now on, and for so long.
    Confirmed {
        /// Which flows.
        expected: Tuple,
        /// For how long from now on.
        lasts: Duration,
    },
    /// So many flows that were announced before are expected no longer.
    TakenBack(usize),
}

impl HeardWhat {
    /// Of two messages in one packet.
    fn and(self, next: Self) -> Self {
        match (self, next) {
            (Self::Announced(mut first), Self::Announced(second)) => {
                first.extend(second);
                Self::Announced(first)
            }
            (Self::TakenBack(first), Self::TakenBack(second)) => Self::TakenBack(first + second),
            (first, Self::NoCommand) => first,
            (first @ Self::Announced(_), _) => first,
            (_, next) => next,
        }
    }
}

/// A flow that a helper expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Which flow: the bits of the source that count, and the destination. An address of zero is any.
    pub expected: Tuple,
    /// Which bits of its source's address count, where those of a network do.
    pub from_mask: Option<IpAddr>,
    /// The port that the command named, where another had to be taken.
    pub instead_of: Option<u16>,
}

/// The helper stage: the flow's helper reads the packet, and rewrites it where the flow is under NAT. To be called after the last nat hook, and
/// before `nat::adjust_sequences`.
///
/// `None`: the packet is of no flow that a helper reads.
pub fn run(packet: &mut Packet, tracking: &Tracking, cx: &mut HelperContext<'_>) -> Result<Option<Heard>, DropReason> {
    let Some(flow) = &tracking.flow else {
        return Ok(None);
    };
    // Seen: an error about what went the other way is nothing that a helper reads; one about what came back is.
    if tracking.state == Some(CtState::Related) && tracking.direction == Direction::Reply {
        return Ok(None);
    }
    let Some(attached) = flow.lock().helper() else {
        return Ok(None);
    };
    let Some((module, helper)) = cx.loaded.reader(attached) else {
        return Ok(None);
    };
    let what = (helper.read)(&mut Reading {
        packet,
        tracking,
        flow,
        helper: attached,
        module,
        cx,
    })?;
    Ok(Some(Heard {
        helper: attached.name,
        what,
    }))
}

/// To each host another way, where no routes are known.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
struct NoWays;

#[cfg(test)]
impl Ways for NoWays {
    fn is_same(&self, first: IpAddr, second: IpAddr) -> bool {
        first == second
    }

    fn broadcast(&self, _packet: &Packet) -> Broadcast {
        Broadcast::No
    }

    fn leaves_likewise(&self, packet: &Packet, to: IpAddr) -> bool {
        packet.destination() == to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_helper_stands_once_and_says_what_it_may_announce() {
        let mut modules = Vec::new();
        let mut attached = Vec::new();
        for spec in registry() {
            assert!(
                spec.modules
                    .first()
                    .is_some_and(|name| name.starts_with("nf_conntrack_")),
                "{spec:?}"
            );
            assert!(!spec.about.is_empty() && !spec.helpers.is_empty(), "{spec:?}");
            for name in spec.modules.iter().chain(spec.nat_modules) {
                assert!(!modules.contains(name), "{name} twice");
                modules.push(name);
            }
            for parameter in spec.parameters.iter().chain(spec.nat_parameters) {
                assert!(!parameter.about.is_empty(), "{parameter:?}");
            }
            for helper in spec.conntrack() {
                assert!(helper.ports.len() <= 1, "{helper:?}: a port is a helper of its own");
                assert!(!helper.families.is_empty() && !helper.policies.is_empty(), "{helper:?}");
                let place = (helper.name, helper.protocol);
                assert!(!attached.contains(&place), "{place:?} twice");
                attached.push(place);
            }
        }
    }
}
