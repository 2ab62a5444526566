//! Random scenarios from a seed: rulesets over the implemented language, packets that are mostly conversations, and changes in their midst.
//!
//! While a scenario is made a lab in memory runs it, so that answers, errors and data connections are built from what really left the router:
//! conversations get deep through any NAT.

mod announced;
mod changes;
mod conversations;
mod disturb;
mod draw;
mod extension;
mod extensions;
mod ftp;
mod gateways;
mod h323;
mod h323_messages;
mod held;
mod irc;
mod messages;
pub(super) mod packet;
mod pieces;
mod pptp;
mod questions;
mod rules;
mod sane;
mod sctp;
mod selector;
mod sip;
mod sip_line;
mod tcp;
#[cfg(test)]
mod tests;
pub(crate) mod translated;
mod ways;
mod world;

use std::collections::BTreeMap;

use nflab::base::Family;

use super::scenario::Scenario;
use conversations::Talks;
use draw::Draw;
use rules::Ruleset;
use world::World;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// At least so many; a conversation that has begun may add a few.
    pub packets: usize,
    /// With much of what goes wrong on a wire, and of what an attacker makes go wrong.
    pub hostile: bool,
    /// Routes, addresses, links and routing rules change while all that goes on.
    pub moving: bool,
    /// Among these are routes of several gateways.
    pub sharing: bool,
    pub families: Families,
}

/// Which families are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Families {
    V4,
    V6,
    /// In conversations side by side, under rules of each: they share the table of flows.
    Both,
}

impl Families {
    fn has(self, family: Family) -> bool {
        self == Self::Both || self.all() == [family]
    }

    fn all(self) -> &'static [Family] {
        match self {
            Self::V4 => &[Family::V4],
            Self::V6 => &[Family::V6],
            Self::Both => &[Family::V4, Family::V6],
        }
    }
}

impl Shape {
    pub(crate) const PLAIN: Self = Self {
        packets: 1500,
        hostile: false,
        moving: false,
        sharing: false,
        families: Families::V4,
    };
    pub(crate) const HOSTILE: Self = Self {
        packets: 1500,
        hostile: true,
        ..Self::PLAIN
    };
    pub(crate) const MOVING: Self = Self {
        packets: 600,
        moving: true,
        ..Self::PLAIN
    };

    pub(crate) const SHARING: Self = Self {
        sharing: true,
        ..Self::MOVING
    };

    pub(crate) const fn of(self, families: Families) -> Self {
        Self { families, ..self }
    }
}

/// What is never generated because the two sides could not be held against each other exactly, and why. What an extension leaves out its own spec
/// says (`Drawn::left_out`).
pub(crate) const EXCLUDED: &[(&str, &str)] = &[
    (
        "answers to a port or ICMP identifier that NAT drew at random",
        "each side draws its own, so one packet cannot answer both",
    ),
    (
        "fragments that part a TCP port from its checksum, where NAT draws ports",
        "the checksum follows the port that was drawn, and cannot be held against it in another packet",
    ),
    (
        "protocol 255",
        "a raw socket with header included listens to it, and the twin sends through one",
    ),
    (
        "packets of the router's own without a whole IPv4 header",
        "the kernel sends another version as it is; no program has a use for it",
    ),
    (
        "ICMP timestamp requests that reach the router, and IP timestamp options with room left",
        "it writes the milliseconds of the day",
    ),
    (
        "ICMP redirects and \"fragmentation needed\" that reach the router",
        "the kernel learns ways and sizes from them, also by the sockets that the twin listens with; nflab learns sizes alone, where ICMP is quoted, \
         as kept cases show",
    ),
    (
        "a port that FTP, IRC, Amanda, H.323 or SIP announce while it is still expected from another connection",
        "NAT draws another port, which stands in the text; each side draws its own",
    ),
    (
        "conntrack -D of a connection of PPTP and its GRE by one command",
        "the tool deletes what it has listed one by one, in the order of hashes, and the one goes with the other",
    ),
    (
        "waiting, and timeouts below five seconds",
        "the kernel's clock runs while packets are compared; slow kept cases wait",
    ),
    (
        "the count of flows (conntrack -C)",
        "the kernel collects flows that are over when it gets round to it, and counts them until then",
    ),
    (
        "icmp_ratelimit other than 0, send_redirects other than 0",
        "how many leave depends on milliseconds",
    ),
    (
        "nf_conntrack_max, nf_conntrack_buckets, nf_conntrack_expect_max, nf_log_*",
        "they belong to the whole machine, not to a network namespace",
    ),
    (
        "routes that lead strangers' packets through lo",
        "each goes round until its time to live is over, and the kernel does the later rounds when it gets round to it; a kept case has one of them",
    ),
    (
        "links made by `ip link add`, links renamed",
        "a lab's come by its file or the word `interface`; the twin's side knows devices by name",
    ),
    (
        "TCP to a port of the router that a program listens on",
        "its TCP chooses numbers and timers of its own",
    ),
];

/// The scenario of a seed; the same each time.
pub(crate) fn scenario(seed: u64, shape: Shape) -> Scenario {
    noted(seed, shape).0
}

/// It, and how often each kind of message that a helper reads and each disturbance was drawn for it.
pub(crate) fn noted(seed: u64, shape: Shape) -> (Scenario, BTreeMap<String, usize>) {
    let world = generate(seed, shape);
    (world.scenario, world.disturbances)
}

fn generate(seed: u64, shape: Shape) -> World {
    let mut draw = Draw::new(seed);
    let families = shape.families.all().iter();
    let rulesets = families.map(|family| Ruleset::draw(&mut draw, *family)).collect();
    let mut name = match (shape.hostile, shape.moving) {
        (true, _) => format!("seed {seed}, hostile"),
        (_, true) if shape.sharing => format!("seed {seed}, sharing"),
        (_, true) => format!("seed {seed}, moving"),
        _ => format!("seed {seed}"),
    };
    name += match shape.families {
        Families::V4 => "",
        Families::V6 => ", IPv6",
        Families::Both => ", both families",
    };
    let mut world = World::new(name, seed, draw, rulesets, shape);
    world.begin();
    if shape.moving {
        ways::begin(&mut world);
    }
    if shape.sharing {
        gateways::begin(&mut world);
    }
    // With links that are down for long nothing would be left to compare.
    let often = if shape.moving { 60 } else { 6 };
    let changes = world.draw.below(shape.packets * often / 1000 + 2);
    let mut at: Vec<usize> = (0..changes).map(|_| world.draw.below(shape.packets.max(1))).collect();
    at.sort_unstable();
    let mut at = at.into_iter().peekable();
    let mut talks = Talks::default();
    while world.packets < shape.packets {
        if at.next_if(|&it| it <= world.packets).is_some() {
            match shape.moving && world.draw.percent(85) {
                true => ways::change(&mut world),
                false => changes::change(&mut world),
            }
            let mut random = world.stream("held");
            if !shape.moving && random.one_in(3) {
                held::hold(&mut world, &mut random);
            }
        }
        talks.step(&mut world);
    }
    world
}
