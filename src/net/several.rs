//! Routes of several gateways: which packets go by which. A hash of a packet's flow says where it falls among the shares, so that all packets of a flow,
//! and those that answer them, go one way. Each was asked of Linux 6.18, word for word, under a seed that was set.

use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use super::lookup::Key;
use super::sysctl::Knob;
use super::{Net, Route, Way};
use crate::base::{Family, InterfaceId, protocol};
use crate::packet::Packet;
use crate::wire::icmpv4;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::Ipv6;

/// What the choice between gateways goes by. An ICMP error goes where the packet that it quotes would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    source: IpAddr,
    destination: IpAddr,
    /// Of IPv6: its flow label.
    label: u32,
    /// Of IPv6: what its first header says comes next.
    protocol: u8,
}

impl Flow {
    /// Of a packet of the host's own, of which no more is known.
    pub(super) fn of_key(key: &Key) -> Self {
        Self {
            source: key.source,
            destination: key.destination,
            label: 0,
            protocol: 0,
        }
    }

    /// Of a packet of the host's own, with the protocol that IPv6 looks at; an address that is not chosen yet is none.
    pub(crate) fn of_own(source: Option<IpAddr>, destination: IpAddr, protocol: u8) -> Self {
        Self {
            source: source.unwrap_or(Family::of(destination).unspecified()),
            destination,
            label: 0,
            protocol,
        }
    }

    /// Of a packet of the host's own that is routed again: its protocol is not asked then.
    #[inline(never)]
    pub(super) fn of_changed(packet: &Packet) -> Self {
        Self {
            protocol: 0,
            ..Self::of_header(packet)
        }
    }

    /// Of a packet, whatever it quotes.
    fn of_header(packet: &Packet) -> Self {
        match Ipv6::of_quote(packet.bytes()).filter(|_| packet.family() == Family::V6) {
            Some(header) => Self::of_ipv6(&header),
            None => Self::of_own(Some(packet.source()), packet.destination(), 0),
        }
    }

    #[cold]
    pub(super) fn of_packet(packet: &Packet) -> Self {
        let quoted = match packet.family() {
            Family::V4 => of_ipv4_quote(packet),
            Family::V6 => of_ipv6_quote(packet),
        };
        quoted.unwrap_or_else(|| Self::of_header(packet))
    }

    fn of_ipv6(header: &Ipv6<&[u8]>) -> Self {
        Self {
            source: header.source().into(),
            destination: header.destination().into(),
            label: header.flow_label(),
            protocol: header.next_header(),
        }
    }

    /// 31 bits. Both directions have the same.
    fn hash(&self, seed: u32) -> u32 {
        let mut bytes = [0; LONGEST];
        bytes[PROTOCOL] = self.protocol;
        bytes[LABEL..LABEL + 4].copy_from_slice(&self.label.to_be_bytes());
        let length = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut both = [source.octets(), destination.octets()];
                // In the order of an x86's numbers.
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
        hash.max(1) >> 1
    }
}

/// Where what is hashed stands; all else is zero, and so are the last bytes.
const PROTOCOL: usize = 2;
const LABEL: usize = 4;
const ADDRESSES: usize = 36;
const PADDING: usize = 4;
const LONGEST: usize = ADDRESSES + 32 + PADDING;

fn of_ipv4_quote(packet: &Packet) -> Option<Flow> {
    let told = packet.icmpv4()?;
    let is_error = icmpv4::kind::is_error(told.kind());
    let quoted = told.payload();
    let quoted = is_error.then(|| Ipv4::new(quoted).ok())??;
    Some(Flow::of_own(
        Some(quoted.source().into()),
        quoted.destination().into(),
        0,
    ))
}

/// Only behind the header itself it is looked for.
fn of_ipv6_quote(packet: &Packet) -> Option<Flow> {
    let told = packet.icmpv6()?;
    let is_plain = Ipv6::of_quote(packet.bytes())?.next_header() == protocol::ICMPV6;
    let quoted = told.payload();
    let quoted = (is_plain && matches!(told.kind(), 1..=4)).then(|| Ipv6::of_quote(quoted))??;
    Some(Flow::of_ipv6(&quoted))
}

impl Route {
    /// Those of its ways that packets go by.
    pub(super) fn alive(&self) -> impl Iterator<Item = &Way> {
        self.ways.iter().filter(|way| !way.is_dead)
    }

    /// Its first way that packets go by; the route itself where it has one gateway.
    pub(super) fn first_way(&self) -> &Self {
        self.first_over(None)
    }

    /// The first of them over this interface, if one is named.
    pub(super) fn first_over(&self, output: Option<InterfaceId>) -> &Self {
        let is_over = |way: &&Way| output.is_none_or(|output| way.route.interface == Some(output));
        self.alive().find(is_over).map_or(self, |way| &way.route)
    }

    /// Whether packets may leave over this interface.
    #[inline]
    pub(super) fn leads_over(&self, id: InterfaceId) -> bool {
        self.interface == Some(id) || !self.ways.is_empty() && self.alive().any(|way| way.route.interface == Some(id))
    }

    /// Whether one of its ways is over this interface, alive or not.
    pub(super) fn names(&self, id: InterfaceId) -> bool {
        self.interface == Some(id) || self.ways.iter().any(|way| way.route.interface == Some(id))
    }

    /// The interface leads nowhere now. Whether the route stays: some other of its ways does.
    pub(super) fn survives(&mut self, id: InterfaceId) -> bool {
        if self.ways.is_empty() {
            return self.interface != Some(id);
        }
        let over = |way: &&mut Way| way.route.interface == Some(id);
        self.ways.iter_mut().filter(over).for_each(|way| way.is_dead = true);
        self.alive().next().is_some()
    }

    /// The interface is gone. Whether the route stays: one of IPv6 has the rest of its gateways, and one of IPv4 goes whole.
    pub(super) fn outlives(&mut self, id: InterfaceId) -> bool {
        if self.to.family() == Family::V4 || self.ways.is_empty() {
            return !self.names(id);
        }
        self.ways.retain(|way| way.route.interface != Some(id));
        match Self::of_ways(std::mem::take(&mut self.ways)) {
            Some(left) => *self = left,
            None => return false,
        }
        true
    }

    /// The interface leads somewhere again.
    pub(super) fn revive(&mut self, id: InterfaceId) {
        let over = |way: &&mut Way| way.route.interface == Some(id);
        self.ways.iter_mut().filter(over).for_each(|way| way.is_dead = false);
    }

    /// Its gateways, of which none is another's twin; it alone where it has but one.
    pub(crate) fn hops(&self) -> impl Iterator<Item = (&Route, u16)> {
        let alone = self.ways.is_empty().then_some((self, 1));
        alone
            .into_iter()
            .chain(self.ways.iter().map(|way| (&way.route, way.weight)))
    }

    /// Of several ways of IPv6 one route: what is told of all is what the first says. A single way is a route like any other.
    pub(super) fn of_ways(mut ways: Vec<Way>) -> Option<Self> {
        let first = ways.first()?.route.clone();
        if ways.len() == 1 {
            return ways.pop().map(|way| way.route);
        }
        Some(Self {
            via: None,
            interface: None,
            onlink: false,
            through_itself: false,
            ways,
            ..first
        })
    }

    /// The other way round.
    pub(super) fn into_ways(self) -> Vec<Way> {
        match self.ways.is_empty() {
            true => vec![Way {
                route: self,
                weight: 1,
                is_dead: false,
            }],
            false => self.ways,
        }
    }
}

impl Net {
    /// Of a route with several gateways the way that a flow takes: the first whose end its hash does not reach. Of IPv4 a way counts more that the
    /// sender's address is of, where the host itself sends.
    #[cold]
    pub(super) fn chosen<'a>(&self, route: &'a Route, key: &Key, flow: Flow) -> &'a Route {
        let is_ipv6 = route.to.family() == Family::V6;
        if key.output.is_some() && !is_ipv6 {
            return route.first_over(key.output);
        }
        let hash = flow.hash(self.knob(Knob::GatewaySeed) as u32);
        let all: u64 = route.alive().map(|way| u64::from(way.weight)).sum();
        let mut before = 0;
        let mut shares = route.alive().map(|way| {
            before += u64::from(way.weight);
            let end = ((before << 31) + all / 2) / all;
            (way, u64::from(hash) < end)
        });
        if is_ipv6 {
            let share = shares.find(|(_, has)| *has).map(|(way, _)| &way.route);
            return route.chosen_of_ipv6(share, key).unwrap_or(route);
        }
        let is_own = key.input == InterfaceId::LOOPBACK;
        let preferred = (is_own && !key.source.is_unspecified()).then_some(key.source);
        let is_preferred = |way: &Way| {
            let own = |it: IpAddr| {
                self.select_address(way.route.interface?, way.route.via, way.route.scope)
                    .filter(|own| *own == it)
            };
            preferred.and_then(own).is_some()
        };
        let mut best: Option<(u8, &Way)> = None;
        for (way, has) in shares {
            let score = 2 * u8::from(is_preferred(way)) + u8::from(has);
            if best.is_none_or(|(found, _)| score > found) {
                best = Some((score, way));
            }
        }
        best.map_or(route, |(_, way)| &way.route)
    }

    /// An interface came up, or has this family again.
    pub(super) fn revive_ways(&mut self, id: InterfaceId, family: Family) {
        let tables = &mut self.ways_mut(family).tables;
        if tables.has_several_gateways() {
            tables.retain(|entry| {
                entry.route.revive(id);
                true
            });
        }
    }

    /// Whether a route of the family has several gateways.
    pub(super) fn has_several_gateways(&self, family: Family) -> bool {
        self.ways(family).tables.has_several_gateways()
    }

    /// The route that a way is one of; the way itself where it is the route.
    pub fn whole_route<'a>(&'a self, way: &'a Route) -> &'a Route {
        let holds = |it: &&Route| it.ways.iter().any(|one| std::ptr::eq(&one.route, way));
        self.routes(way.to.family()).find(holds).unwrap_or(way)
    }
}
