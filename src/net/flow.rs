//! What a flow's share of several gateways is: a hash over as much of a packet as the policy (`fib_multipath_hash_policy`) asks for, so that all packets of
//! a flow, and mostly those that answer them, go one way. Each was asked of Linux 6.18, word for word, under a seed that was set.

use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use super::dissect::{Depth, Seen};
use super::lookup::Key;
use super::sysctl::Knob;
use super::{Net, OutputKey, v6};
use crate::base::{Family, protocol};
use crate::packet::Packet;
use crate::wire::icmpv4;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::Ipv6;

/// What of a packet of the host's own is known beside its ends when its way is chosen: what rules and the choice between several gateways go by.
/// The default is that nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    protocol: u8,
    /// Source and destination. Of ICMP its type and code stand for the destination's.
    ports: [u16; 2],
    /// Of IPv6: its flow label.
    label: u32,
    /// An ICMP error goes where the packet that it quotes would.
    share: Option<u32>,
}

impl Flow {
    pub(crate) fn of(protocol: u8) -> Self {
        Self {
            protocol,
            ..Self::default()
        }
    }

    pub(crate) fn with_ports(protocol: u8, source: u16, destination: u16) -> Self {
        Self {
            ports: [source, destination],
            ..Self::of(protocol)
        }
    }

    /// Of a segment that answers this one.
    pub(crate) fn back_of(protocol: u8, header: &[u8]) -> Self {
        let port = |at: usize| {
            let octets = header.get(at..at + 2).map(|it| [it[0], it[1]]);
            u16::from_be_bytes(octets.unwrap_or_default())
        };
        Self::with_ports(protocol, port(2), port(0))
    }

    /// Of a message of ICMP.
    pub(crate) fn of_icmp(protocol: u8, kind: u8, code: u8) -> Self {
        Self::with_ports(protocol, 0, u16::from_be_bytes([kind, code]))
    }

    /// Of an error about a packet.
    pub(super) fn about(self, net: &Net, packet: &Packet) -> Self {
        let is_asked = net.has_several_gateways(packet.family());
        Self {
            share: is_asked.then(|| net.share_of_packet(packet)),
            ..self
        }
    }

    /// Of a packet of the host's own that is routed again: neither its protocol nor its ports are asked then.
    #[inline(never)]
    pub(super) fn of_changed(packet: &Packet) -> Self {
        let header = Ipv6::of_quote(packet.bytes()).filter(|_| packet.family() == Family::V6);
        Self {
            label: header.map_or(0, |it| it.flow_label()),
            ..Self::default()
        }
    }

    /// Of a packet that came in, as rules ask for it.
    #[cold]
    pub(super) fn of_packet(packet: &Packet) -> Self {
        let seen = Seen::of(packet.bytes(), packet.family(), Depth::Outside);
        Self {
            ports: seen.ports,
            ..Self::of(seen.protocol)
        }
    }

    /// That of the answers.
    pub(super) fn turned(self) -> Self {
        let [source, destination] = self.ports;
        Self {
            ports: [destination, source],
            ..self
        }
    }

    pub(super) fn protocol(&self) -> u8 {
        self.protocol
    }

    pub(super) fn ports(&self) -> [u16; 2] {
        self.ports
    }
}

/// What the shares of packets go by; of each family a number of its own says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// 0: their ends, and of IPv6 label and protocol.
    Network,
    /// 1: their ends, protocol and ports.
    Transport,
    /// 2: as 0, but of what tunnels hold.
    Inside,
    /// 3: what is asked for by bits.
    Fields(u32),
}

/// What is hashed.
struct Hashed {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    label: [u8; 4],
    ports: [u16; 2],
}

impl Hashed {
    fn of_key(key: &Key) -> Self {
        Self {
            source: key.source,
            destination: key.destination,
            protocol: key.flow.protocol,
            label: key.flow.label.to_be_bytes(),
            ports: key.flow.ports,
        }
    }

    /// Seen: the label of what is looked into stands the other way round than elsewhere.
    fn of_seen(seen: &Seen) -> Self {
        Self {
            source: seen.source,
            destination: seen.destination,
            protocol: seen.protocol,
            label: seen.label.to_le_bytes(),
            ports: seen.ports,
        }
    }

    fn of_ends(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            source,
            destination,
            protocol: 0,
            label: [0; 4],
            ports: [0; 2],
        }
    }

    fn of_ipv6(header: &Ipv6<&[u8]>) -> Self {
        Self {
            protocol: header.next_header(),
            label: header.flow_label().to_be_bytes(),
            ..Self::of_ends(header.source().into(), header.destination().into())
        }
    }

    /// Of a packet or, of an ICMP error, of what that quotes.
    fn of_network(packet: &Packet) -> Self {
        let found = match packet.family() {
            Family::V4 => of_ipv4_quote(packet),
            Family::V6 => of_ipv6_quote(packet).or_else(|| Some(Self::of_ipv6(&Ipv6::of_quote(packet.bytes())?))),
        };
        found.unwrap_or_else(|| Self::of_ends(packet.source(), packet.destination()))
    }

    fn network(self) -> Self {
        match self.source {
            IpAddr::V4(_) => Self::of_ends(self.source, self.destination),
            IpAddr::V6(_) => Self { ports: [0; 2], ..self },
        }
    }

    fn transport(self) -> Self {
        Self { label: [0; 4], ..self }
    }

    /// Only what these bits ask for: source, destination, protocol, label, the ports.
    fn only(self, fields: u32) -> Self {
        let nowhere = Family::of(self.source).unspecified();
        let has = |bit: u32| fields >> bit & 1 != 0;
        let port = |at: usize, bit| if has(bit) { self.ports[at] } else { 0 };
        Self {
            source: if has(0) { self.source } else { nowhere },
            destination: if has(1) { self.destination } else { nowhere },
            protocol: if has(2) { self.protocol } else { 0 },
            label: if has(3) && self.source.is_ipv6() {
                self.label
            } else {
                [0; 4]
            },
            ports: [port(0, 4), port(1, 5)],
        }
    }

    /// Never 0. Both directions have the same.
    fn hash(&self, seed: u32) -> u32 {
        let mut bytes = [0; LONGEST];
        bytes[PROTOCOL] = self.protocol;
        bytes[LABEL..LABEL + 4].copy_from_slice(&self.label);
        // In the order of an x86's numbers, which are no network's.
        let mut ports = self.ports.map(u16::to_be_bytes);
        ports.sort_unstable_by_key(|it| u16::from_le_bytes(*it));
        bytes[PORTS..PORTS + 4].copy_from_slice(ports.as_flattened());
        let length = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut both = [source.octets(), destination.octets()];
                both.sort_unstable_by_key(|it| u32::from_le_bytes(*it));
                bytes[ADDRESSES..ADDRESSES + 8].copy_from_slice(both.as_flattened());
                ADDRESSES + 8
            }
            (source, destination) => {
                let octets = |it: IpAddr| match it {
                    IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                    IpAddr::V6(address) => address.octets(),
                };
                let mut both = [octets(source), octets(destination)];
                both.sort_unstable();
                bytes[ADDRESSES..ADDRESSES + 32].copy_from_slice(both.as_flattened());
                ADDRESSES + 32
            }
        };
        let key = u64::from(seed) << 32 | u64::from(seed);
        let hash = SipHasher24::new_with_keys(key, key).hash(&bytes[..length + PADDING]) as u32;
        hash.max(1)
    }
}

/// Where what is hashed stands; all else is zero, and so are the last bytes.
const PROTOCOL: usize = 2;
const LABEL: usize = 4;
const PORTS: usize = 28;
const ADDRESSES: usize = 36;
const PADDING: usize = 4;
const LONGEST: usize = ADDRESSES + 32 + PADDING;

fn of_ipv4_quote(packet: &Packet) -> Option<Hashed> {
    let told = packet.icmpv4()?;
    let is_error = icmpv4::kind::is_error(told.kind());
    let quoted = told.payload();
    let quoted = is_error.then(|| Ipv4::new(quoted).ok())??;
    Some(Hashed::of_ends(quoted.source().into(), quoted.destination().into()))
}

/// Only behind the header itself it is looked for.
fn of_ipv6_quote(packet: &Packet) -> Option<Hashed> {
    let told = packet.icmpv6()?;
    let is_plain = Ipv6::of_quote(packet.bytes())?.next_header() == protocol::ICMPV6;
    let quoted = told.payload();
    let quoted = (is_plain && matches!(told.kind(), 1..=4)).then(|| Ipv6::of_quote(quoted))??;
    Some(Hashed::of_ipv6(&quoted))
}

impl Net {
    fn share_policy(&self, family: Family) -> Policy {
        let (policy, fields) = match family {
            Family::V4 => (self.knob(Knob::GatewayPolicy), self.knob(Knob::GatewayFields)),
            Family::V6 => (
                self.knob_ipv6(v6::Knob::GatewayPolicy),
                self.knob_ipv6(v6::Knob::GatewayFields),
            ),
        };
        match policy {
            1 => Policy::Transport,
            2 => Policy::Inside,
            3 => Policy::Fields(fields as u32),
            _ => Policy::Network,
        }
    }

    /// Whether packets of one flow may take several ways: of IPv6 each has a label of its own.
    #[inline]
    pub(crate) fn shares_by_label(&self, packet: &Packet) -> bool {
        self.has_several_gateways(packet.family()) && self.share_asks_label(packet.family())
    }

    #[cold]
    fn share_asks_label(&self, family: Family) -> bool {
        let asks = match self.share_policy(family) {
            Policy::Network | Policy::Inside => true,
            Policy::Transport => false,
            Policy::Fields(fields) => fields & LABEL_FIELD != 0,
        };
        family == Family::V6 && asks
    }

    /// What is known of a packet for who asks which way it would go (`ip route get`). Seen: where fields are asked for he is told of one that holds nothing,
    /// as of what came in.
    pub(crate) fn flow_of_question(&self, key: &OutputKey) -> Flow {
        let Policy::Fields(fields) = self.share_policy(Family::V4) else {
            return key.flow;
        };
        let outside = Hashed {
            protocol: key.flow.protocol,
            ports: key.flow.ports,
            ..Hashed::of_ends(key.source.unwrap_or(Family::V4.unspecified()), key.destination)
        };
        let outer = match fields & OUTSIDE {
            0 => 0,
            fields => outside.only(fields).hash(self.knob(Knob::GatewaySeed) as u32),
        };
        Flow {
            share: Some(mixed(outer, 0) >> 1),
            ..key.flow
        }
    }

    /// 31 bits: where a packet of the host's own falls among the shares.
    #[cold]
    pub(super) fn share_of_key(&self, key: &Key) -> u32 {
        if let Some(share) = key.flow.share {
            return share;
        }
        let seed = self.knob(Knob::GatewaySeed) as u32;
        let own = Hashed::of_key(key);
        let hash = match self.share_policy(Family::of(key.destination)) {
            Policy::Network | Policy::Inside => own.network().hash(seed),
            Policy::Transport => own.transport().hash(seed),
            Policy::Fields(fields) if fields & OUTSIDE == 0 => 0,
            Policy::Fields(fields) => own.only(fields).hash(seed),
        };
        hash >> 1
    }

    /// The same of a packet that came in, or that an error is about.
    #[cold]
    pub(super) fn share_of_packet(&self, packet: &Packet) -> u32 {
        let seed = self.knob(Knob::GatewaySeed) as u32;
        let seen = |depth| Seen::of(packet.bytes(), packet.family(), depth);
        let hash = match self.share_policy(packet.family()) {
            Policy::Network => Hashed::of_network(packet).hash(seed),
            Policy::Transport => Hashed::of_seen(&seen(Depth::Outside)).transport().hash(seed),
            Policy::Inside => Hashed::of_seen(&seen(Depth::Inside)).network().hash(seed),
            Policy::Fields(fields) => {
                let only = |seen: &Seen, fields: u32| match fields & OUTSIDE {
                    0 => 0,
                    fields => Hashed::of_seen(seen).only(fields).hash(seed),
                };
                let outer = only(&seen(Depth::Outside), fields);
                let inner = Some(seen(Depth::Inside)).filter(|inner| inner.is_tunnel);
                mixed(outer, inner.map_or(0, |inner| only(&inner, fields >> INSIDE)))
            }
        };
        hash >> 1
    }
}

const LABEL_FIELD: u32 = 8;
/// The bits of the fields that ask of the outside; those of the inside stand above them.
const OUTSIDE: u32 = 0x3f;
const INSIDE: u32 = 6;

/// Bob Jenkins' hash of two words (lookup3, in the public domain), as the kernel begins it.
fn mixed(first: u32, second: u32) -> u32 {
    const BEGIN: u32 = 0xdead_beef + 8;
    let mut a = first.wrapping_add(BEGIN);
    let mut b = second.wrapping_add(BEGIN);
    let mut c = BEGIN;
    let stir = |into: &mut u32, by: u32, turn: u32| *into = (*into ^ by).wrapping_sub(by.rotate_left(turn));
    stir(&mut c, b, 14);
    stir(&mut a, c, 11);
    stir(&mut b, a, 25);
    stir(&mut c, b, 16);
    stir(&mut a, c, 4);
    stir(&mut b, a, 14);
    stir(&mut c, b, 24);
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::unhex;
    use crate::base::{InterfaceId, InterfaceName};
    use crate::net::{InputRoute, Route, Way};

    /// Of one packet and the next, in its tunnels too, whatever of it is cut: the way that the kernel chose.
    #[test]
    fn packets_take_the_gateways_that_the_kernel_gave_them() {
        let mut net = net();
        let mut seen = 0;
        let mut kind = "";
        for line in include_str!("flow.txt").lines() {
            if let Some(heading) = line.strip_prefix("# ") {
                kind = heading;
                continue;
            }
            let (ways, hex) = line.split_once(' ').unwrap();
            let mut packet = Packet::parse(unhex(hex)).unwrap();
            packet.input = Some(InterfaceId(1));
            assert_eq!(ways.len(), POLICIES.len());
            for ((policy, fields), way) in POLICIES.iter().zip(ways.chars()) {
                for family in ["ipv4", "ipv6"] {
                    let mut set = |name: &str, value: &str| {
                        let key = format!("net.{family}.fib_multipath_hash_{name}");
                        net.sysctl_set(&key, value).unwrap();
                    };
                    set("policy", policy);
                    set("fields", fields);
                }
                let InputRoute::Forward(route) = net.route_input(&packet) else {
                    panic!("{kind}: {line}");
                };
                let expected = if way == 'l' { 1 } else { 2 };
                let asked = format!("{kind}, policy {policy} of {fields}: {hex}");
                assert_eq!(route.output, InterfaceId(expected), "{asked}");
                seen += 1;
            }
        }
        assert!(seen > 2_000, "{seen}");
    }

    const POLICIES: [(&str, &str); 9] = [
        ("0", "7"),
        ("1", "7"),
        ("2", "7"),
        ("3", "7"),
        ("3", "0x37"),
        ("3", "0xfff"),
        ("3", "0xfc0"),
        ("3", "9"),
        ("3", "0x430"),
    ];

    fn net() -> Net {
        let mut net = Net::new();
        for (id, name, addresses) in [
            (1, "lan", ["10.0.0.1", "2001:db8::1"]),
            (2, "wan", ["192.0.2.1", "2001:db8:1::1"]),
        ] {
            net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
            for (address, length) in addresses.into_iter().zip([24, 64]) {
                net.add_address(InterfaceId(id), address.parse().unwrap(), length)
                    .unwrap();
            }
        }
        for (key, value) in [
            ("net.ipv4.ip_forward", "1"),
            ("net.ipv6.conf.all.forwarding", "1"),
            ("net.ipv4.fib_multipath_hash_seed", "74565"),
        ] {
            net.sysctl_set(key, value).unwrap();
        }
        for (to, ways) in [
            ("198.51.100.0/24", ["10.0.0.9", "192.0.2.9"]),
            ("2001:db8:d::/48", ["2001:db8::9", "2001:db8:1::9"]),
        ] {
            let route = Route::new(to.parse().unwrap());
            let way = |(via, weight): (&str, u16)| Way {
                route: Route {
                    via: Some(via.parse().unwrap()),
                    weight,
                    ..route.clone()
                },
                is_dead: false,
            };
            let ways = ways.into_iter().zip([1, 2]).map(way).collect();
            net.add_route(Route { ways, ..route }).unwrap();
        }
        net
    }
}
