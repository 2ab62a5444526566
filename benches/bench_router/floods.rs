//! Packets that mean ill: each of them makes the router find or remember something that no packet before it did. They are counted once as many are
//! remembered as fit, or nearly, so that it shows what costs more the more there is.

use nflab::base::{Family, InterfaceId};
use nflab::engine::Fate;

use super::{Setup, client, icmp, one_of_servers, piece, router, server, udp};

/// One kind of them.
#[derive(Clone, Copy)]
pub(crate) struct Flood {
    pub name: &'static str,
    /// Of an `iptables-restore` file.
    rules: &'static str,
    prepare: fn(&mut Setup, Family),
    /// So many come before those that count.
    before: u32,
    packet: fn(Family, u32) -> Vec<u8>,
    /// How each has to fare.
    pub fares: fn(&Fate) -> bool,
}

/// Flows of a table that is full.
const FULL: u32 = 4096;
const STATE: &str = "*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n";

pub(crate) const FLOODS: [Flood; 10] = [
    // What all others are held against: a packet that goes all the way, as those before it did.
    Flood {
        name: "plain",
        rules: "*filter\nCOMMIT\n",
        prepare: |_, _| {},
        before: 1,
        packet: |family, _| udp((client(family, 0), 4000), (server(family), 53), 32),
        fares: is_forwarded,
    },
    Flood {
        name: "destinations",
        rules: STATE,
        prepare: |_, _| {},
        before: 6000,
        packet: |family, number| udp((client(family, 0), 4000), (one_of_servers(family, number), 53), 32),
        fares: is_forwarded,
    },
    Flood {
        name: "destinations-full-table",
        rules: STATE,
        prepare: |setup, _| have_at_most(setup, FULL),
        before: 6000,
        packet: |family, number| udp((client(family, 0), 4000), (one_of_servers(family, number), 53), 32),
        fares: is_forwarded,
    },
    Flood {
        name: "pieces",
        rules: STATE,
        prepare: |_, _| {},
        before: 2500,
        packet: |family, number| {
            let whole = udp((client(family, number % 64), 4000), (server(family), 53), 56);
            piece(&whole, number, 0..32)
        },
        fares: is_stopped,
    },
    Flood {
        name: "pieces-of-one",
        rules: STATE,
        prepare: |_, _| {},
        before: 4000,
        // The last first, eight bytes each.
        packet: |family, number| {
            let whole = udp((client(family, 0), 4000), (server(family), 53), 60_000);
            let at = 8 * (6000 - number as usize);
            piece(&whole, 7, at..at + 8)
        },
        fares: is_stopped,
    },
    Flood {
        name: "errors",
        rules: STATE,
        prepare: |_, _| {},
        before: 6000,
        packet: |family, number| {
            let unknown = udp((client(family, number % 64), 1024), (server(family), number as u16), 32);
            let port_unreachable = match family {
                Family::V4 => (3, 3),
                Family::V6 => (1, 4),
            };
            let ends = (server(family), client(family, number % 64));
            icmp(ends, port_unreachable, 0, &unknown)
        },
        fares: is_stopped,
    },
    Flood {
        name: "last-hops",
        rules: "",
        prepare: |_, _| {},
        before: 6000,
        packet: |family, number| {
            let mut bytes = udp((client(family, number), 4000), (server(family), 53), 32);
            last_hop(&mut bytes);
            bytes
        },
        fares: is_stopped,
    },
    Flood {
        name: "paths",
        rules: "",
        prepare: |_, _| {},
        before: 6000,
        packet: |family, number| too_big(family, number),
        fares: is_delivered,
    },
    // What is left of that for others.
    Flood {
        name: "destinations-amid-paths",
        rules: STATE,
        prepare: |setup, family| {
            setup.restore(family, &untracked_icmp(family));
            let lan = setup.lan;
            for number in 0..6000 {
                setup.receive(lan, &too_big(family, number));
            }
        },
        before: 1,
        packet: |family, number| {
            udp(
                (client(family, 0), 4000),
                (one_of_servers(family, 5999 - number), 53),
                32,
            )
        },
        fares: is_forwarded,
    },
    // Every tenth packet says that the way to somebody takes less; the others are of a known flow.
    Flood {
        name: "known-flow-while-paths-are-told",
        rules: STATE,
        prepare: |setup, family| {
            setup.restore(family, &untracked_icmp(family));
            let (client, server) = ((client(family, 0), 4000), (server(family), 53));
            let (lan, wan) = (setup.lan, setup.wan);
            setup.forward(lan, &udp(client, server, 32));
            setup.forward(wan, &udp(server, client, 32));
        },
        before: 6000,
        packet: |family, number| match number % 10 {
            0 => too_big(family, number),
            _ => udp((client(family, 0), 4000), (server(family), 53), 32),
        },
        fares: |fate| is_forwarded(fate) || is_delivered(fate),
    },
];

impl Flood {
    /// A router that has had those which do not count, and as many that do.
    pub(crate) fn begin(&self, family: Family, count: usize) -> (Setup, Vec<(InterfaceId, Vec<u8>)>) {
        let mut setup = Setup::of(family, self.rules, 1);
        (self.prepare)(&mut setup, family);
        let lan = setup.lan;
        for number in 0..self.before {
            let packet = (self.packet)(family, number);
            setup.receive(lan, &packet);
        }
        let counted = (self.before..).take(count);
        let packets = counted.map(|number| (lan, (self.packet)(family, number))).collect();
        (setup, packets)
    }
}

fn have_at_most(setup: &Setup, flows: u32) {
    let full = setup.router.configure(|config| {
        config.conntrack.max = flows;
        Ok::<(), ()>(())
    });
    full.expect("nothing is refused");
}

fn is_forwarded(fate: &Fate) -> bool {
    *fate == Fate::Forwarded
}

fn is_delivered(fate: &Fate) -> bool {
    *fate == Fate::Delivered
}

fn is_stopped(fate: &Fate) -> bool {
    matches!(fate, Fate::Stopped(_))
}

/// The router hears that the way to one of many takes no more than that, of an answer to a ping that it never sent.
pub(crate) fn too_big(family: Family, number: u32) -> Vec<u8> {
    let (told, answer) = match family {
        Family::V4 => ((3, 4), (0, 0)),
        Family::V6 => ((2, 0), (129, 0)),
    };
    let quoted = icmp((router(family), one_of_servers(family, number)), answer, 7 << 16, &[]);
    icmp((client(family, 0), router(family)), told, 1400, &quoted)
}

pub(crate) fn untracked_icmp(family: Family) -> String {
    let name = match family {
        Family::V4 => "icmp",
        Family::V6 => "icmpv6",
    };
    format!("*raw\n-A PREROUTING -p {name} -j NOTRACK\nCOMMIT\n")
}

/// Its hops are over at the router.
fn last_hop(bytes: &mut [u8]) {
    if bytes[0] >> 4 == 6 {
        bytes[7] = 1;
        return;
    }
    // 63 hops less, in the higher byte of a word.
    let (sum, over) = u16::from_be_bytes([bytes[10], bytes[11]]).overflowing_add(63 << 8);
    bytes[10..12].copy_from_slice(&(sum + u16::from(over)).to_be_bytes());
    bytes[8] = 1;
}
