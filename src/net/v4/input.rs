//! The routing decision for a packet that came in, and the checks of its source that go with it.
//!
//! The order was seen with `skb:kfree_skb` and packets that fail in two ways at once.

use std::net::{IpAddr, Ipv4Addr};

use super::Header;
use crate::base::{Family, InterfaceId, Time, protocol};
use crate::net::address::is_limited_broadcast;
use crate::net::lookup::Key;
use crate::net::sysctl::ConfKnob;
use crate::net::{
    Address, Complaint, Delivery, DropReason, Flow, Forwarding, InputRoute, Interface, Net, Route, RouteError,
    RouteKind, RoutesSeen, Scope, Unreachable,
};
use crate::packet::Packet;
use crate::wire::tcp;

/// [`Net::receive`].
#[inline]
pub(crate) fn receive(net: &Net, now: Time, packet: &mut Packet, seen: &mut RoutesSeen) -> InputRoute {
    // The kernel looks for a socket of its own before it asks for a route.
    if packet.protocol() == protocol::TCP {
        packet.pull(tcp::MIN_HEADER);
    }
    let mut route = match packet.input {
        Some(input) => seen.of_ipv4.route(net, packet, input),
        None => net.route_input(packet),
    };
    if !packet.header().options().is_empty() {
        route = net.receive_options(now, packet, route);
    }
    route
}

/// [`Net::receive_known`].
pub(crate) fn receive_known(
    net: &Net,
    now: Time,
    packet: &mut Packet,
    delivery: Delivery,
    forwarding: Option<Forwarding>,
) -> InputRoute {
    let route = match delivery {
        Delivery::Unicast if let Some(forwarding) = forwarding => InputRoute::Forward(Forwarding {
            redirect: false,
            source_route: None,
            strict: false,
            recorded_at: None,
            stamped_at: None,
            options_changed: false,
            ..forwarding
        }),
        Delivery::Broadcast => InputRoute::Broadcast,
        Delivery::Multicast { has_joined: true } => InputRoute::Multicast,
        // By `lo` a group comes round whoever is in it.
        Delivery::Multicast { has_joined: false } => return InputRoute::Drop(DropReason::MulticastNotJoined),
        Delivery::Unicast | Delivery::Local => InputRoute::Local,
    };
    match packet.header().options().is_empty() {
        true => route,
        false => net.receive_options(now, packet, route),
    }
}

/// [`Net::route_input`], by this interface.
pub(crate) fn route(net: &Net, packet: &Packet, input: InterfaceId) -> InputRoute {
    net.route_towards(packet, input, packet.header().destination())
}

impl Net {
    /// The host's address in an answer to this packet: the one it was sent to, else the one that faces its sender.
    pub(super) fn answering_address(&self, packet: &Packet, delivery: Delivery) -> Option<IpAddr> {
        if delivery == Delivery::Local {
            return Some(packet.destination());
        }
        let input = packet.input?;
        if packet.source().is_unspecified() {
            return self.select_address(input, None, Scope::Universe);
        }
        let key = Key {
            destination: packet.source(),
            source: Family::V4.unspecified(),
            mark: 0,
            tos: packet.tos(),
            input: Some(InterfaceId::LOOPBACK),
            output: None,
            scope: Scope::Universe,
            flow: Flow::default(),
        };
        match self.lookup_whole(&key) {
            Ok(route) => self.preferred_source(route.first_way()),
            Err(_) => self.select_address(input, Some(packet.source()), Scope::Link),
        }
    }

    /// As `route_input`, towards an address that need not be the packet's destination (a source route's next hop).
    pub(super) fn route_towards(&self, packet: &Packet, input: InterfaceId, destination: Ipv4Addr) -> InputRoute {
        let asked = Asked {
            net: self,
            packet,
            input: self.interface(input),
            source: packet.header().source().into(),
            destination: destination.into(),
            mark: packet.mark,
            tos: packet.tos(),
            flow: self.flow_for_rules(packet),
        };
        match asked.decide() {
            Ok(Decided::Forward {
                route,
                output,
                neighbour,
            }) => InputRoute::Forward(asked.forwarding(route, output, neighbour)),
            Ok(Decided::Local) => InputRoute::Local,
            Ok(Decided::Broadcast) => InputRoute::Broadcast,
            Ok(Decided::Multicast) => InputRoute::Multicast,
            Ok(Decided::Unreachable(reason, unreachable)) => InputRoute::Error {
                reason,
                complaint: Complaint::Unreachable(unreachable),
                delivery: Delivery::Unicast,
            },
            Err(reason) => InputRoute::Drop(reason),
        }
    }
}

/// What was decided, before it is written out where it stays: an [`InputRoute`] is large.
enum Decided<'a> {
    Local,
    Broadcast,
    Multicast,
    Forward {
        route: &'a Route,
        output: InterfaceId,
        /// Its source is a direct neighbour.
        neighbour: bool,
    },
    Unreachable(DropReason, Unreachable),
}

struct Asked<'a> {
    net: &'a Net,
    packet: &'a Packet,
    input: &'a Interface,
    source: IpAddr,
    destination: IpAddr,
    mark: u32,
    tos: u8,
    /// As far as rules ask for it.
    flow: Flow,
}

impl<'a> Asked<'a> {
    #[inline]
    fn decide(&self) -> Result<Decided<'a>, DropReason> {
        if self.destination.is_multicast() {
            return self.multicast();
        }
        if self.source.is_multicast() || is_limited_broadcast(self.source) {
            return Err(DropReason::MartianSource);
        }
        let both_unspecified = self.source.is_unspecified() && self.destination.is_unspecified();
        if is_limited_broadcast(self.destination) || both_unspecified {
            return self.broadcast();
        }
        // Only 0.0.0.0 itself: the rest of 0.0.0.0/8 is routed like any other network.
        if self.source.is_unspecified() {
            return Err(DropReason::MartianSource);
        }
        if self.destination.is_unspecified() {
            return Err(DropReason::MartianDestination);
        }
        let localnet = self.on(ConfKnob::RouteLocalnet);
        if !localnet && (is_loopback(self.destination) || is_loopback(self.source)) {
            return Err(DropReason::LoopbackOutside);
        }
        let forwarding = self.on(ConfKnob::Forwarding);
        let route = match self
            .net
            .lookup_for(&self.key(self.destination, self.source, self.mark, None), self.packet)
        {
            Ok(route) => route,
            // Where nothing is forwarded, no one is told that there is no way.
            Err(_) if !forwarding => return Err(DropReason::NotForwarding),
            Err(RouteError::Blackhole | RouteError::BadSource | RouteError::NoSource | RouteError::SourceOfIpv4) => {
                return Err(DropReason::Blackhole);
            }
            Err(RouteError::NetworkUnreachable) => {
                return Ok(Decided::Unreachable(DropReason::NoRoute, Unreachable::Network));
            }
            Err(RouteError::HostUnreachable) => {
                return Ok(Decided::Unreachable(DropReason::Unreachable, Unreachable::Host));
            }
            Err(RouteError::Prohibited) => {
                return Ok(Decided::Unreachable(
                    DropReason::Prohibited,
                    Unreachable::AdminProhibited,
                ));
            }
        };
        match route.kind {
            RouteKind::Broadcast if self.on(ConfKnob::BroadcastForwarding) => self.forward(route),
            RouteKind::Broadcast => self.broadcast(),
            RouteKind::Local => {
                self.check_source(None)?;
                Ok(Decided::Local)
            }
            _ if !forwarding => Err(DropReason::NotForwarding),
            RouteKind::Unicast => self.forward(route),
            _ => Err(DropReason::MartianDestination),
        }
    }

    fn forward(&self, route: &'a Route) -> Result<Decided<'a>, DropReason> {
        let output = route.interface.ok_or(DropReason::NoRoute)?;
        let neighbour = self.check_source(Some(output))?;
        Ok(Decided::Forward {
            route,
            output,
            neighbour,
        })
    }

    #[inline]
    fn forwarding(&self, route: &Route, output: InterfaceId, neighbour: bool) -> Forwarding {
        let interface = self.net.interface(output);
        let redirect = neighbour
            && output == self.input.id
            && (self.on(ConfKnob::SharedMedia) || self.on_link(route.via))
            && self.on(ConfKnob::SendRedirects);
        Forwarding {
            output,
            gateway: route.gateway(),
            mtu: route.mtu.unwrap_or(interface.mtu),
            redirect,
            source_route: None,
            strict: false,
            broadcast: route.kind == RouteKind::Broadcast,
            recorded_at: None,
            stamped_at: None,
            options_changed: false,
        }
    }

    fn broadcast(&self) -> Result<Decided<'a>, DropReason> {
        // A host that does not know its address yet sends from 0.0.0.0.
        if !self.source.is_unspecified() {
            self.check_source(None)?;
        }
        Ok(Decided::Broadcast)
    }

    fn multicast(&self) -> Result<Decided<'a>, DropReason> {
        if !self.net.has_joined(self.input.id, self.destination) {
            return Err(DropReason::MulticastNotJoined);
        }
        if self.source.is_multicast() || is_limited_broadcast(self.source) {
            return Err(DropReason::MartianSource);
        }
        if is_loopback(self.source) && !self.on(ConfKnob::RouteLocalnet) {
            return Err(DropReason::LoopbackOutside);
        }
        // 224.0.0.0/24 may be sent to from 0.0.0.0, and no other group is joined here.
        if !self.source.is_unspecified() {
            self.check_source(None)?;
        }
        Ok(Decided::Multicast)
    }

    /// Whether the source may come from there (`accept_local`, `rp_filter`). True when the source is a direct neighbour on the input interface.
    fn check_source(&self, output: Option<InterfaceId>) -> Result<bool, DropReason> {
        let strictness = self.net.conf(self.input, ConfKnob::RpFilter);
        // A whole look-up is made only where something depends on it: without it, a broadcast address as source is not noticed.
        let may_redirect = output == Some(self.input.id) && self.on(ConfKnob::SendRedirects);
        if strictness == 0 && !may_redirect {
            if self.on(ConfKnob::AcceptLocal) {
                return Ok(false);
            }
            let ways = self.net.ways(Family::V4);
            if !ways.custom_rules && !ways.tables.has_custom_local() {
                return match self.net.is_own_address(self.source) {
                    true => Err(DropReason::LocalSource),
                    false => Ok(false),
                };
            }
        }
        let mark = match self.on(ConfKnob::SourceValidMark) {
            true => self.mark,
            false => 0,
        };
        // Seen with rules that ask for an interface: the way back is looked up as if the answer came in where the packet goes out, or were ours.
        let back_key = |over| Key {
            input: output.or(Some(InterfaceId::LOOPBACK)),
            flow: self.flow.turned(),
            ..self.key(self.source, self.destination, mark, over)
        };
        // Of several gateways any that is over this interface will do, and the first tells whether the sender is a neighbour.
        let Ok(whole) = self.net.lookup_whole(&back_key(None)) else {
            return match strictness {
                0 => Ok(false),
                _ => Err(DropReason::ReversePath),
            };
        };
        let back = whole.first_way();
        match back.kind {
            RouteKind::Unicast => {}
            RouteKind::Local if self.on(ConfKnob::AcceptLocal) => {}
            RouteKind::Local => return Err(DropReason::LocalSource),
            _ => return Err(DropReason::MartianSource),
        }
        let is_neighbour = |route: &Route| route.gateway().is_none();
        if whole.names(self.input.id) {
            return Ok(is_neighbour(back));
        }
        if strictness == 1 {
            return Err(DropReason::ReversePath);
        }
        if self.input.addresses_of(Family::V4).next().is_none() {
            return match strictness {
                0 => Ok(false),
                _ => Err(DropReason::ReversePath),
            };
        }
        // Loose: any way back will do; one over this very interface still tells a neighbour.
        match self.net.lookup(&back_key(Some(self.input.id))) {
            Ok(route) if route.kind == RouteKind::Unicast => Ok(is_neighbour(route)),
            _ => Ok(false),
        }
    }

    /// Sender and gateway are in one network of the input interface.
    fn on_link(&self, gateway: Option<IpAddr>) -> bool {
        let holds = |it: &Address| {
            let network = it.network();
            network.contains(self.source) && gateway.is_none_or(|gateway| network.contains(gateway))
        };
        self.input.addresses_of(Family::V4).any(holds)
    }

    fn on(&self, knob: ConfKnob) -> bool {
        self.net.conf(self.input, knob) != 0
    }

    fn key(&self, destination: IpAddr, source: IpAddr, mark: u32, output: Option<InterfaceId>) -> Key {
        debug_assert_eq!(Family::of(destination), Family::of(source));
        Key {
            destination,
            source,
            mark,
            tos: self.tos,
            input: Some(self.input.id),
            output,
            scope: Scope::Universe,
            flow: self.flow,
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::example::{BARE, LAN, Make, WAN, net, set, udp};
    use crate::net::v4::icmp::IcmpError;

    fn way(net: &Net, make: &Make) -> String {
        match net.route_input(&make.packet()) {
            InputRoute::Local => "local".into(),
            InputRoute::Broadcast => "broadcast".into(),
            InputRoute::Multicast => "multicast".into(),
            InputRoute::Forward(to) => {
                let redirect = if to.redirect { " redirect" } else { "" };
                format!("{}{redirect}", net.interface(to.output).name)
            }
            InputRoute::Error { reason, complaint, .. } => {
                let error = IcmpError::from(complaint);
                format!("{} {}/{}", reason.kernel_word(), error.kind, error.code)
            }
            InputRoute::Drop(reason) => reason.kernel_word().into(),
        }
    }

    /// Source, and where a packet to 192.0.2.9 and one to 10.0.0.1 went, with `rp_filter` 0, 1, 2 on `lan`.
    #[test]
    fn sources() {
        const OWN: &str = "IP_LOCAL_SOURCE";
        const BAD: &str = "IP_INVALID_SOURCE";
        const NET: &str = "IP_LOCALNET";
        const RPF: &str = "IP_RPFILTER";
        for (source, off, strict, loose) in [
            ("10.0.0.2", "", "", ""),
            ("192.0.2.77", "", RPF, ""),
            ("198.18.1.1", "", RPF, ""),
            ("8.8.8.8", "", RPF, RPF),
            ("0.0.0.0", BAD, BAD, BAD),
            ("0.1.1.1", "", RPF, RPF),
            ("127.0.0.1", NET, NET, NET),
            ("255.255.255.255", BAD, BAD, BAD),
            ("224.0.0.5", BAD, BAD, BAD),
            ("240.0.0.1", "", RPF, RPF),
            ("10.0.0.255", "", BAD, BAD),
            ("192.0.2.255", "", BAD, BAD),
            ("10.0.0.1", OWN, OWN, OWN),
            ("192.0.2.1", OWN, OWN, OWN),
            ("198.51.0.1", "", RPF, RPF),
            ("198.51.1.1", "", RPF, RPF),
            ("198.51.3.1", "", RPF, RPF),
        ] {
            for (strictness, expected) in [(0, off), (1, strict), (2, loose)] {
                let mut net = net();
                set(&mut net, &[("conf.lan.rp_filter", strictness)]);
                for (destination, good) in [("192.0.2.9", "wan"), ("10.0.0.1", "local")] {
                    let expected = if expected.is_empty() { good } else { expected };
                    let found = way(&net, &udp(source, destination, 1));
                    assert_eq!(found, expected, "{source} > {destination}, rp_filter {strictness}");
                }
            }
        }
    }

    #[test]
    fn destinations_forwarding_on_and_off() {
        let on = net();
        let mut off = net();
        set(&mut off, &[("conf.lan.forwarding", 0)]);
        for (destination, forwarding, not_forwarding) in [
            ("192.0.2.9", "wan", "IP_INADDRERRORS"),
            ("0.0.0.0", "IP_INVALID_DEST", "IP_INVALID_DEST"),
            ("127.0.0.1", "IP_LOCALNET", "IP_LOCALNET"),
            ("127.255.255.255", "IP_LOCALNET", "IP_LOCALNET"),
            ("255.255.255.255", "broadcast", "broadcast"),
            ("224.0.0.1", "multicast", "multicast"),
            ("224.0.0.2", "NOT_SPECIFIED", "NOT_SPECIFIED"),
            ("239.1.1.1", "NOT_SPECIFIED", "NOT_SPECIFIED"),
            ("10.0.0.255", "broadcast", "broadcast"),
            ("192.0.2.255", "broadcast", "broadcast"),
            ("10.0.0.0", "lan redirect", "IP_INADDRERRORS"),
            ("10.0.0.1", "local", "local"),
            ("192.0.2.1", "local", "local"),
            ("198.51.0.1", "NOT_SPECIFIED", "IP_INADDRERRORS"),
            ("198.51.1.1", "NOT_SPECIFIED 3/1", "IP_INADDRERRORS"),
            ("198.51.2.1", "NOT_SPECIFIED 3/13", "IP_INADDRERRORS"),
            ("198.51.3.1", "IP_INNOROUTES 3/0", "IP_INADDRERRORS"),
            ("8.8.8.8", "IP_INNOROUTES 3/0", "IP_INADDRERRORS"),
        ] {
            let make = udp("10.0.0.2", destination, 1);
            assert_eq!(way(&on, &make), forwarding, "{destination}");
            assert_eq!(way(&off, &make), not_forwarding, "{destination}, not forwarding");
        }
    }

    #[test]
    fn sources_of_broadcasts_and_multicasts() {
        let net = net();
        for (source, destination, expected) in [
            ("0.0.0.0", "255.255.255.255", "broadcast"),
            ("0.0.0.0", "0.0.0.0", "broadcast"),
            ("0.0.0.0", "224.0.0.1", "multicast"),
            ("0.0.0.0", "239.1.1.1", "NOT_SPECIFIED"),
            ("0.0.0.0", "10.0.0.255", "IP_INVALID_SOURCE"),
            ("127.0.0.1", "224.0.0.1", "IP_LOCALNET"),
            ("127.0.0.1", "255.255.255.255", "IP_LOCAL_SOURCE"),
            ("10.0.0.1", "224.0.0.1", "IP_LOCAL_SOURCE"),
            ("10.0.0.1", "255.255.255.255", "IP_LOCAL_SOURCE"),
            ("224.0.0.1", "224.0.0.1", "IP_INVALID_SOURCE"),
        ] {
            assert_eq!(
                way(&net, &udp(source, destination, 1)),
                expected,
                "{source} > {destination}"
            );
        }
    }

    /// Settings, a packet, and where it went.
    #[test]
    fn settings_that_change_the_way() {
        type Row = (
            &'static [(&'static str, i64)],
            &'static str,
            &'static str,
            InterfaceId,
            &'static str,
        );
        let table: &[Row] = &[
            (&[("conf.lan.accept_local", 1)], "10.0.0.1", "192.0.2.9", LAN, "wan"),
            (&[("conf.all.accept_local", 1)], "10.0.0.1", "192.0.2.9", LAN, "wan"),
            (&[("conf.lan.route_localnet", 1)], "10.0.0.2", "127.0.0.1", LAN, "local"),
            (
                &[("conf.lan.route_localnet", 1)],
                "10.0.0.2",
                "127.255.255.255",
                LAN,
                "broadcast",
            ),
            (
                &[("conf.lan.route_localnet", 1)],
                "127.0.0.1",
                "192.0.2.9",
                LAN,
                "IP_LOCAL_SOURCE",
            ),
            (&[("conf.lan.route_localnet", 1)], "127.3.2.1", "192.0.2.9", LAN, "wan"),
            (&[("conf.all.route_localnet", 1)], "10.0.0.2", "127.0.0.1", LAN, "local"),
            (
                &[("conf.all.rp_filter", 1)],
                "192.0.2.9",
                "192.0.2.8",
                LAN,
                "IP_RPFILTER",
            ),
            (
                &[("conf.all.rp_filter", 1), ("conf.lan.rp_filter", 2)],
                "192.0.2.9",
                "192.0.2.8",
                LAN,
                "wan",
            ),
            (
                &[("conf.lan.bc_forwarding", 1)],
                "10.0.0.2",
                "192.0.2.255",
                LAN,
                "broadcast",
            ),
            (
                &[("conf.all.bc_forwarding", 1)],
                "10.0.0.2",
                "192.0.2.255",
                LAN,
                "broadcast",
            ),
            (
                &[("conf.all.bc_forwarding", 1), ("conf.lan.bc_forwarding", 1)],
                "10.0.0.2",
                "192.0.2.255",
                LAN,
                "wan",
            ),
            (
                &[("conf.all.bc_forwarding", 1), ("conf.lan.bc_forwarding", 1)],
                "10.0.0.2",
                "10.0.0.255",
                LAN,
                "lan redirect",
            ),
            (&[("conf.lan.forwarding", 0)], "192.0.2.9", "10.0.0.9", WAN, "lan"),
            (&[], "10.0.0.2", "10.0.0.77", LAN, "lan redirect"),
            (&[], "10.9.0.2", "10.0.0.77", LAN, "lan"),
            (&[], "192.0.2.9", "198.18.0.1", WAN, "wan redirect"),
            (&[], "192.9.2.9", "198.18.0.1", WAN, "wan"),
            // To leave by the interface it came from makes the whole check.
            (&[], "10.0.0.255", "10.0.0.9", LAN, "IP_INVALID_SOURCE"),
            (
                &[("conf.lan.send_redirects", 0)],
                "10.0.0.2",
                "10.0.0.77",
                LAN,
                "lan redirect",
            ),
            (
                &[("conf.all.send_redirects", 0)],
                "10.0.0.2",
                "10.0.0.77",
                LAN,
                "lan redirect",
            ),
            (
                &[("conf.all.send_redirects", 0), ("conf.lan.send_redirects", 0)],
                "10.0.0.2",
                "10.0.0.77",
                LAN,
                "lan",
            ),
            (&[], "10.0.0.2", "10.88.0.1", LAN, "lan redirect"),
            (
                &[("conf.all.shared_media", 0), ("conf.lan.shared_media", 0)],
                "10.0.0.2",
                "10.88.0.1",
                LAN,
                "lan",
            ),
            (
                &[("conf.all.shared_media", 0), ("conf.lan.shared_media", 0)],
                "10.0.0.2",
                "10.0.0.77",
                LAN,
                "lan redirect",
            ),
            (&[], "10.0.0.2", "192.0.2.9", BARE, "wan"),
            (
                &[("conf.un.rp_filter", 2)],
                "10.0.0.2",
                "192.0.2.9",
                BARE,
                "IP_RPFILTER",
            ),
        ];
        for (settings, source, destination, input, expected) in table {
            let mut net = net();
            set(&mut net, settings);
            let make = Make {
                input: *input,
                ..udp(source, destination, 1)
            };
            assert_eq!(way(&net, &make), *expected, "{settings:?} {source} > {destination}");
        }
    }
}
