//! The routing decision for the host's own packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::is_limited_broadcast;
use super::flow::Flow;
use super::lookup::Key;
use super::sysctl::ConfKnob;
use super::{AddressKind, Delivery, Net, Route, RouteKind, Scope, v6};
use crate::base::{Family, InterfaceId, protocol};
use crate::packet::{Origin, Packet};

/// What the routing decision for a packet of the host's own goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputKey {
    /// Where it is for.
    pub destination: IpAddr,
    /// `None`: the route chooses it. A raw socket that brings its own header routes without a source, whatever its header says.
    pub source: Option<IpAddr>,
    /// Its mark, for rules with `fwmark`.
    pub mark: u32,
    /// The interface that its socket is bound to.
    pub interface: Option<InterfaceId>,
    /// Its type of service, for rules with `tos`.
    pub tos: u8,
    /// What else is known of it, for rules that ask for protocol and ports, and for the choice between several gateways.
    pub flow: Flow,
}

impl OutputKey {
    /// Of a packet of which only this is known.
    pub fn towards(destination: IpAddr) -> Self {
        Self {
            destination,
            source: None,
            mark: 0,
            interface: None,
            tos: 0,
            flow: Flow::default(),
        }
    }

    /// Of a packet that a program hands to a raw socket: its source and its type of service count for nothing (the socket has its own), and to a socket
    /// of IPv6 "none" means the host itself.
    pub(crate) fn of_program(packet: &Packet) -> Self {
        let destination = match packet.destination() {
            IpAddr::V6(to) if to.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            other => other,
        };
        Self {
            destination,
            source: None,
            tos: 0,
            flow: Flow::of(protocol::RAW),
            ..Self::of(packet)
        }
    }

    /// What the way out of a packet depends on that has its source.
    pub fn of(packet: &Packet) -> Self {
        Self {
            destination: packet.destination(),
            source: Some(packet.source()),
            mark: packet.mark,
            interface: None,
            tos: packet.tos(),
            flow: Flow::of_changed(packet),
        }
    }
}

/// How a packet of the host's own goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputRoute {
    /// The interface that it goes out by; `lo` for what is for the host itself.
    pub interface: InterfaceId,
    /// What the packet's source is, or becomes where it had none.
    pub source: IpAddr,
    /// Not always the key's: a packet to 0.0.0.0 goes to 127.0.0.1.
    pub destination: IpAddr,
    /// The next hop; `None` where the destination itself is on the link.
    pub gateway: Option<IpAddr>,
    /// To whom it goes.
    pub delivery: Delivery,
    /// Of the route, though the interface's be smaller; else of the interface.
    pub mtu: u32,
    /// Of the route, where that says one.
    pub hop_limit: Option<u8>,
    /// Of IPv4: a broadcast, or a multicast to a group of ours. A copy passes POSTROUTING by itself and comes back in by the same interface. Of IPv6 what
    /// leaves behind POSTROUTING is asked.
    pub loops_back: bool,
}

/// Why the host can't send there; the texts are those of the system call's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No route leads there, a rule refuses it, or the source is not the host's.
    #[error("Network is unreachable (no route)")]
    NetworkUnreachable,
    /// A route of kind `unreachable`.
    #[error("No route to host (an unreachable route)")]
    HostUnreachable,
    /// A route of kind `prohibit`, or a rule.
    #[error("Permission denied (a prohibit route)")]
    Prohibited,
    /// A route of kind `blackhole`, or a rule.
    #[error("Invalid argument (a blackhole route)")]
    Blackhole,
    /// A group's or broadcast address as source, or 127.0.0.0/8 on a link.
    #[error("Invalid argument (no packet may have this source address)")]
    BadSource,
    /// In IPv6 a program's packet needs an address of the host's to be routed, whatever source it has.
    #[error("Cannot assign requested address (the host has none that suits)")]
    NoSource,
    /// Who is spoken to from an address of IPv4 in IPv6's shape has to have such a one, too.
    #[error("Address family not supported by protocol (from an address of ::ffff:0:0/96 to another)")]
    SourceOfIpv4,
}

impl Net {
    /// The decision for a packet that a program sends: a source that it gives has to be the host's own.
    pub fn route_output(&self, key: OutputKey) -> Result<OutputRoute, RouteError> {
        self.output(key, false)
    }

    /// The same for whom the way also gives a source, if `key` has none: programs, and the host's ICMP. Seen: in IPv6 a way that is not found without one is
    /// asked for again with the source that suits best whatever the way, which rules may ask for, and which `key` has then; without any there is no way.
    pub(crate) fn route_with_source(&self, key: &mut OutputKey) -> Result<OutputRoute, RouteError> {
        let IpAddr::V6(to) = key.destination else {
            return self.route_output(*key);
        };
        let route = self.ipv6_route_with_source(key, to)?;
        match v6::may_speak(route.source, to) {
            true => Ok(route),
            false => Err(RouteError::SourceOfIpv4),
        }
    }

    fn ipv6_route_with_source(&self, key: &mut OutputKey, to: Ipv6Addr) -> Result<OutputRoute, RouteError> {
        let route = self.route_output(*key);
        if key.source.is_some() {
            return route;
        }
        match route {
            Ok(route) if route.source.is_unspecified() => Err(RouteError::NoSource),
            Err(_) => {
                let source = self.select_ipv6_source(None, to).ok_or(RouteError::NoSource)?;
                key.source = Some(source.into());
                let route = self.route_output(*key)?;
                // With a source an interface is a wish, but not here.
                let leads_there = key.interface.is_none_or(|it| it == route.interface);
                leads_there.then_some(route).ok_or(RouteError::NetworkUnreachable)
            }
            found => found,
        }
    }

    /// For packets that already have a source, which need not be the host's own: what ROUTE_ME_HARDER does after mangle or nat changed a packet
    /// of the host's own in OUTPUT, and for the resets of REJECT. The source counts for rules, a stranger's too, unless it is a broadcast's or a
    /// group's; and what goes to a group leaves by the interface that has it.
    pub fn reroute_output(&self, key: OutputKey) -> Result<OutputRoute, RouteError> {
        let mut route = self.output(self.rerouted_by(key), true)?;
        route.source = key.source.unwrap_or(route.source);
        Ok(route)
    }

    /// What [`Self::reroute_output`] asks of such a packet.
    pub(crate) fn rerouted_by(&self, key: OutputKey) -> OutputKey {
        let counts = |it: &IpAddr| matches!(self.address_kind(*it, None), AddressKind::Local | AddressKind::Unicast);
        OutputKey {
            source: key.source.filter(counts),
            ..key
        }
    }

    /// The address that MASQUERADE takes for a packet that leaves by `interface`: of IPv4 the one that suits its next hop (the gateway, or the destination
    /// itself), of IPv6 the one that suits its destination.
    pub fn masquerade_source(&self, interface: InterfaceId, towards: IpAddr) -> Option<IpAddr> {
        match towards {
            IpAddr::V4(_) => self.select_address(interface, Some(towards), Scope::Universe),
            IpAddr::V6(towards) => self.select_ipv6_source(Some(interface), towards).map(IpAddr::V6),
        }
    }

    /// The address that REDIRECT takes for a packet to there that came by `interface`: the first it lists. Seen: where a destination of IPv6 is known no
    /// farther than its link, site or host, or ends in an address of IPv4 alone, one of that kind; and never one that is mapped.
    pub fn redirect_address(&self, interface: InterfaceId, destination: IpAddr) -> Option<IpAddr> {
        let own = self.interface(interface).addresses_of(Family::of(destination));
        let mut own = own.map(|it| it.address);
        match destination {
            IpAddr::V4(_) => own.next(),
            IpAddr::V6(destination) => {
                let wanted = kind_of(destination);
                own.find(|own| match own {
                    IpAddr::V4(_) => false,
                    IpAddr::V6(own) => own.to_ipv4_mapped().is_none() && (wanted.is_none() || kind_of(*own) == wanted),
                })
            }
        }
    }

    fn output(&self, key: OutputKey, any_source: bool) -> Result<OutputRoute, RouteError> {
        if key.destination.is_ipv6() {
            return v6::output(self, &key);
        }
        let family = Family::V4;
        let mut interface = key.interface;
        if interface.is_some_and(|it| !self.interface(it).is_up) {
            return Err(RouteError::NetworkUnreachable);
        }
        if let Some(source) = key.source {
            if source.is_multicast() || is_limited_broadcast(source) {
                return Err(RouteError::BadSource);
            }
            if interface.is_none() && (key.destination.is_multicast() || is_limited_broadcast(key.destination)) {
                // With a source but no interface, such packets leave by the source's.
                interface = self.owner_of(source);
                let output = interface.ok_or(RouteError::NetworkUnreachable)?;
                return self.made(&key, output, source, None);
            }
            if !any_source && self.address_kind(source, None) != AddressKind::Local {
                return Err(RouteError::NetworkUnreachable);
            }
        }
        if key.destination.is_unspecified() {
            let source = key.source.unwrap_or([127, 0, 0, 1].into());
            return Ok(self.local_route(source, source));
        }
        let mut source = key.source;
        if let Some(output) = interface
            && (is_limited_broadcast(key.destination) || key.destination.is_multicast())
            && source.is_none()
        {
            source = self.select_address(output, None, Scope::Link);
            if is_limited_broadcast(key.destination) {
                return self.made(&key, output, source.unwrap_or(family.unspecified()), None);
            }
        }
        let asked = Key {
            destination: key.destination,
            source: source.unwrap_or(family.unspecified()),
            mark: key.mark,
            tos: key.tos,
            input: Some(InterfaceId::LOOPBACK),
            output: interface,
            scope: Scope::Universe,
            flow: key.flow,
        };
        let found = self.lookup(&asked);
        let route = match (found, interface) {
            (Ok(route), _) => route,
            (Err(_), Some(output)) => {
                // With an interface but no route, the destination is taken to be on its link.
                let source = source.or_else(|| self.select_address(output, None, Scope::Link));
                return self.made(&key, output, source.unwrap_or(family.unspecified()), None);
            }
            (Err(why), None) => return Err(why),
        };
        if route.kind == RouteKind::Local {
            let source = source.or(route.source).unwrap_or(key.destination);
            return Ok(self.local_route(source, key.destination));
        }
        let output = route.interface.ok_or(RouteError::NetworkUnreachable)?;
        let source = source
            .or_else(|| self.preferred_source(route))
            .unwrap_or(family.unspecified());
        self.made(&key, output, source, Some(route))
    }

    /// The source of the host's own packets over this route: its `src`, else the address of its interface that suits its gateway.
    pub(super) fn preferred_source(&self, route: &Route) -> Option<IpAddr> {
        route
            .source
            .or_else(|| self.select_address(route.interface?, route.via, route.scope))
    }

    fn made(
        &self,
        key: &OutputKey,
        output: InterfaceId,
        source: IpAddr,
        route: Option<&Route>,
    ) -> Result<OutputRoute, RouteError> {
        let interface = self.interface(output);
        let is_loopback = |it: IpAddr| matches!(it, IpAddr::V4(v4) if v4.is_loopback());
        if is_loopback(source) && output != InterfaceId::LOOPBACK && self.conf(interface, ConfKnob::RouteLocalnet) == 0
        {
            return Err(RouteError::BadSource);
        }
        let to_group = || Delivery::Multicast {
            has_joined: self.has_joined(output, key.destination),
        };
        let delivery = match route.map(|it| it.kind) {
            _ if is_limited_broadcast(key.destination) => Delivery::Broadcast,
            _ if key.destination.is_multicast() => to_group(),
            Some(RouteKind::Broadcast) => Delivery::Broadcast,
            Some(RouteKind::Multicast) => to_group(),
            _ => Delivery::Unicast,
        };
        // Neither a broadcast nor a multicast over a default route goes through its gateway.
        let gateway = route.and_then(Route::gateway).filter(|_| delivery == Delivery::Unicast);
        let loops_back = match delivery {
            Delivery::Broadcast | Delivery::Multicast { has_joined: true } => output != InterfaceId::LOOPBACK,
            _ => false,
        };
        Ok(OutputRoute {
            interface: output,
            source,
            destination: key.destination,
            gateway,
            delivery,
            mtu: route.and_then(|it| it.mtu).unwrap_or(interface.mtu),
            hop_limit: route.and_then(|it| it.hop_limit),
            loops_back,
        })
    }

    pub(super) fn local_route(&self, source: IpAddr, destination: IpAddr) -> OutputRoute {
        let loopback = self.interface(InterfaceId::LOOPBACK);
        OutputRoute {
            interface: InterfaceId::LOOPBACK,
            source,
            destination,
            gateway: None,
            delivery: Delivery::Local,
            mtu: match destination {
                IpAddr::V4(_) => loopback.mtu,
                IpAddr::V6(_) => self.ipv6_mtu(loopback),
            },
            hop_limit: None,
            loops_back: false,
        }
    }

    /// Every interface is in the group of all hosts, and of IPv6 in those that its addresses bring. No one joins others here.
    pub(super) fn has_joined(&self, interface: InterfaceId, group: IpAddr) -> bool {
        match group {
            IpAddr::V4(group) => group == Ipv4Addr::new(224, 0, 0, 1),
            IpAddr::V6(group) => self.has_joined_ipv6(interface, group),
        }
    }

    /// Whether what leaves for a group of IPv6 by this interface comes round to the host as well.
    pub(crate) fn hears_itself(&self, interface: InterfaceId, to: IpAddr) -> bool {
        let is_group = to.is_ipv6() && to.is_multicast();
        is_group && interface != InterfaceId::LOOPBACK && self.has_joined(interface, to)
    }

    /// Whether it is for a group of IPv6 that reaches no further than the host itself, and would leave it.
    pub(crate) fn ends_here(interface: InterfaceId, to: IpAddr) -> bool {
        matches!(to, IpAddr::V6(to) if v6::is_of_the_host(to)) && interface != InterfaceId::LOOPBACK
    }

    /// What comes by `lo` has come by the link whose address it is for, or was copied to: one that reaches no further than its link has a meaning there.
    /// The address of any router of a network is of that network's link.
    pub(crate) fn arrived_by(&self, packet: &Packet) -> Option<InterfaceId> {
        match (packet.input, packet.origin) {
            (Some(InterfaceId::LOOPBACK), Origin::Copy { to: Some(to), .. }) => Some(to),
            (Some(InterfaceId::LOOPBACK), _) => {
                let owner = self.owner_of(packet.destination());
                owner.or_else(|| self.led_to_itself_by(packet)).or(packet.input)
            }
            (input, _) => input,
        }
    }

    /// The link of an address of the host's, or of the routers of a network.
    pub(crate) fn link_of_own(&self, address: IpAddr) -> Option<InterfaceId> {
        let of_routers = || self.lookup_local(address).filter(|it| it.kind == RouteKind::Anycast);
        self.owner_of(address).or_else(|| of_routers()?.interface)
    }

    /// The link that a packet of the host's own is on its way to, also where that way comes round by `lo`, or did before NAT led it elsewhere.
    pub(super) fn leaves_for(&self, packet: &Packet) -> Option<InterfaceId> {
        match (packet.output?, packet.origin) {
            (InterfaceId::LOOPBACK, Origin::Copy { to: Some(to), .. }) => Some(to),
            (InterfaceId::LOOPBACK, _) => self.led_by(packet).and_then(|route| route.interface).or(packet.output),
            (output, _) => Some(output),
        }
    }

    /// The interface of the route by which a packet of the host's own came back to it.
    fn led_to_itself_by(&self, packet: &Packet) -> Option<InterfaceId> {
        self.led_by(packet).filter(|route| route.leads_to_itself())?.interface
    }

    fn led_by(&self, packet: &Packet) -> Option<&Route> {
        let key = Key {
            source: packet.source(),
            mark: packet.mark,
            tos: packet.tos(),
            ..Key::to(packet.destination())
        };
        self.lookup(&key).ok()
    }

    /// The interface that has the address.
    pub(crate) fn owner_of(&self, address: IpAddr) -> Option<InterfaceId> {
        let has = |it: &&super::Interface| it.addresses.iter().any(|own| own.address == address);
        self.interfaces().iter().find(has).map(|it| it.id)
    }
}

/// What REDIRECT tells apart: how far an address is known, where that is not everywhere, and those of IPv4 behind 96 zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bounded(Scope),
    OfIpv4,
}

/// Of groups three kinds have a bound.
fn kind_of(address: Ipv6Addr) -> Option<Kind> {
    let bound = match address.octets() {
        [0xff, flags, ..] => match flags & 0xf {
            1 => Some(Scope::Host),
            2 => Some(Scope::Link),
            5 => Some(Scope::Site),
            _ => None,
        },
        _ => Some(v6::scope_of(address)).filter(|it| *it != Scope::Universe),
    };
    let is_of_ipv4 = || address.to_bits() >> 32 == 0 && !address.is_unspecified();
    bound.map(Kind::Bounded).or(is_of_ipv4().then_some(Kind::OfIpv4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::InterfaceName;

    /// Where a rule of REDIRECT led packets that came by interfaces with such addresses, in the order in which they were added.
    #[test]
    fn redirected_to_an_address_that_is_known_as_far() {
        const LINK: &str = "fe80::1";
        for (addresses, destination, expected) in [
            (&["2001:db8::1", LINK][..], "2001:db8:1::9", Some("2001:db8::1")),
            (&["2001:db8::1", LINK], "fd00::9", Some("2001:db8::1")),
            (&["2001:db8::1", LINK], "fe80::9", Some(LINK)),
            (&["2001:db8::1", LINK], "ff02::1", Some(LINK)),
            (&["2001:db8::1", LINK], "ff0e::1", Some("2001:db8::1")),
            (&["2001:db8::1", LINK], "::1", None),
            (&[LINK], "2001:db8:1::9", Some(LINK)),
            (&[LINK], "ff0e::1", Some(LINK)),
            (&[LINK, "2001:db8::1"], "2001:db8:1::9", Some("2001:db8::1")),
            (&["2001:db8::1", LINK], "::10.0.0.2", None),
            (&["2001:db8::1", "::10.0.0.119"], "::10.0.0.2", Some("::10.0.0.119")),
            (
                &["2001:db8::1", "::ffff:10.0.0.9"],
                "::ffff:10.0.0.2",
                Some("2001:db8::1"),
            ),
            (&["fec0::5", "2001:db8::1"], "fec0::2", Some("fec0::5")),
            (&["fec0::5", "2001:db8::1"], "ff05::2", Some("fec0::5")),
            (
                &["2001:db8:3::1", "2001:db8:33::1", LINK],
                "2001:db8:1::9",
                Some("2001:db8:33::1"),
            ),
            (
                &["fd00:5::1", "2001:db8:5::1", LINK],
                "fd00:5::9",
                Some("2001:db8:5::1"),
            ),
        ] {
            let mut net = Net::new();
            net.add_interface(InterfaceName::new("lan").unwrap(), 1500).unwrap();
            for address in addresses {
                net.add_address(InterfaceId(1), address.parse().unwrap(), 64).unwrap();
            }
            let found = net.redirect_address(InterfaceId(1), destination.parse().unwrap());
            let expected = expected.map(|it| it.parse().unwrap());
            assert_eq!(found, expected, "{addresses:?} {destination}");
        }
    }

    /// `ip route get DESTINATION [from SOURCE] [oif INTERFACE]`, and the interface, source, gateway it named.
    #[test]
    fn as_ip_route_get() {
        let mut net = Net::new();
        for (id, name, addresses) in [
            (1, "lan", &["10.0.0.1", "10.0.9.1", "10.0.0.5"][..]),
            (2, "wan", &["192.0.2.1"]),
        ] {
            net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
            for address in addresses {
                net.add_address(InterfaceId(id), address.parse().unwrap(), 24).unwrap();
            }
        }
        net.add_interface(InterfaceName::new("un").unwrap(), 1500).unwrap();
        for (to, via, interface, source) in [
            ("default", Some("192.0.2.254"), None, None),
            ("10.88.0.0/16", Some("10.0.9.9"), None, None),
            ("10.89.0.0/16", Some("10.0.9.9"), None, Some("10.0.0.5")),
            ("10.90.0.0/16", None, Some(3), None),
            ("10.92.0.0/16", None, Some(1), None),
        ] {
            net.add_route(Route {
                via: via.map(|it: &str| it.parse().unwrap()),
                interface: interface.map(InterfaceId),
                source: source.map(|it: &str| it.parse().unwrap()),
                ..Route::new(to.parse().unwrap())
            })
            .unwrap();
        }
        use Delivery::*;
        let group = Multicast { has_joined: false };
        let gateway = Some("192.0.2.254");
        for (destination, from, oif, expected) in [
            ("8.8.8.8", None, None, Ok((2, "192.0.2.1", gateway, Unicast))),
            ("10.0.0.255", None, None, Ok((1, "10.0.0.1", None, Broadcast))),
            ("224.0.0.5", None, None, Ok((2, "192.0.2.1", None, group))),
            (
                "224.0.0.1",
                None,
                None,
                Ok((2, "192.0.2.1", None, Multicast { has_joined: true })),
            ),
            ("255.255.255.255", None, None, Ok((2, "192.0.2.1", None, Broadcast))),
            ("127.0.0.5", None, None, Ok((0, "127.0.0.1", None, Local))),
            ("10.0.9.1", None, None, Ok((0, "10.0.9.1", None, Local))),
            ("10.0.0.5", None, None, Ok((0, "10.0.0.1", None, Local))),
            ("10.0.9.9", None, None, Ok((1, "10.0.9.1", None, Unicast))),
            ("10.88.0.1", None, None, Ok((1, "10.0.9.1", Some("10.0.9.9"), Unicast))),
            ("10.89.0.1", None, None, Ok((1, "10.0.0.5", Some("10.0.9.9"), Unicast))),
            ("10.90.0.1", None, None, Ok((3, "10.0.0.1", None, Unicast))),
            ("10.92.0.1", None, None, Ok((1, "10.0.0.1", None, Unicast))),
            ("0.0.0.0", None, None, Ok((0, "127.0.0.1", None, Local))),
            ("240.0.0.1", None, None, Ok((2, "192.0.2.1", gateway, Unicast))),
            ("8.8.8.8", None, Some(1), Ok((1, "10.0.0.1", None, Unicast))),
            ("10.0.0.9", None, Some(2), Ok((2, "192.0.2.1", gateway, Unicast))),
            ("10.0.0.1", None, Some(2), Ok((2, "192.0.2.1", gateway, Unicast))),
            ("255.255.255.255", None, Some(1), Ok((1, "10.0.0.1", None, Broadcast))),
            ("224.0.0.5", None, Some(1), Ok((1, "10.0.0.1", None, group))),
            ("10.0.0.9", Some("192.0.2.1"), None, Ok((1, "192.0.2.1", None, Unicast))),
            (
                "255.255.255.255",
                Some("10.0.0.1"),
                None,
                Ok((1, "10.0.0.1", None, Broadcast)),
            ),
            ("224.0.0.5", Some("10.0.0.1"), None, Ok((1, "10.0.0.1", None, group))),
            ("8.8.8.8", Some("1.2.3.4"), None, Err(RouteError::NetworkUnreachable)),
            ("8.8.8.8", Some("224.0.0.1"), None, Err(RouteError::BadSource)),
            ("8.8.8.8", Some("255.255.255.255"), None, Err(RouteError::BadSource)),
        ] {
            let key = OutputKey {
                destination: destination.parse().unwrap(),
                source: from.map(|it: &str| it.parse().unwrap()),
                mark: 0,
                interface: oif.map(InterfaceId),
                tos: 0,
                flow: Flow::default(),
            };
            let found = net
                .route_output(key)
                .map(|it| (it.interface.0, it.source, it.gateway, it.delivery));
            let address = |it: &str| it.parse::<IpAddr>().unwrap();
            let expected = expected.map(|it| (it.0, address(it.1), it.2.map(address), it.3));
            assert_eq!(found, expected, "{destination} from {from:?} oif {oif:?}");
        }
    }
    /// Own packets to 8.8.8.8 that mangle marked in OUTPUT: the way changes, the source stays, whosever it is.
    #[test]
    fn marks_reroute() {
        use crate::base::MarkMask;
        use crate::net::example::net;
        use crate::net::{RoutingRule, RuleAction};
        let mut net = net();
        for (table, via) in [(crate::net::table::MAIN, "192.0.2.254"), (100, "10.0.9.9")] {
            net.add_route(Route {
                via: Some(via.parse().unwrap()),
                table,
                ..Route::new("default".parse().unwrap())
            })
            .unwrap();
        }
        for (value, action) in [(5, RuleAction::Table(100)), (6, RuleAction::Unreachable)] {
            net.add_rule(
                Family::V4,
                RoutingRule {
                    priority: net.next_priority(Family::V4),
                    mark: MarkMask { value, mask: u32::MAX },
                    ..RoutingRule::new(action)
                },
            )
            .unwrap();
        }
        for from in ["10.0.0.2/32", "10.0.0.255/32"] {
            net.add_rule(
                Family::V4,
                RoutingRule {
                    priority: net.next_priority(Family::V4),
                    from: Some(from.parse().unwrap()),
                    ..RoutingRule::new(RuleAction::Blackhole)
                },
            )
            .unwrap();
        }
        for (source, mark, expected) in [
            ("10.0.0.1", 0, Ok((2, "192.0.2.254"))),
            ("10.0.0.1", 5, Ok((1, "10.0.9.9"))),
            ("1.2.3.4", 5, Ok((1, "10.0.9.9"))),
            ("192.0.2.1", 5, Ok((1, "10.0.9.9"))),
            ("10.0.0.1", 6, Err(RouteError::NetworkUnreachable)),
            ("10.0.0.2", 0, Err(RouteError::Blackhole)),
            ("10.0.0.255", 0, Ok((2, "192.0.2.254"))),
        ] {
            let source: IpAddr = source.parse().unwrap();
            let key = OutputKey {
                destination: [8, 8, 8, 8].into(),
                source: Some(source),
                mark,
                interface: None,
                tos: 0,
                flow: Flow::default(),
            };
            let found = net
                .reroute_output(key)
                .map(|it| (it.interface.0, it.gateway, it.source));
            let expected = expected.map(|(id, via)| (id, Some(via.parse().unwrap()), source));
            assert_eq!(found, expected, "{source} mark {mark}");
        }
    }
}
