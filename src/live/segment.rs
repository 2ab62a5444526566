//! The wire of one interface: the router on one side, hosts on the other, each at the end of a device of its own.
//!
//! A TUN has one kernel end, so several hosts on one interface need several TUNs, and somebody must be the switch between them. Packets on a
//! TUN carry no link address; what stands for it is worked out here, as the hosts' and the router's kernels would have:
//! - from the router: to the host that has the destination; to all for a broadcast or multicast; else to the host that a route of the lab
//!   names as gateway; else, where there is one host only, to that one, as on a wire between two.
//! - from a host: to the host that has the destination, where the sender's own prefix says that it is a neighbour; to all others and
//!   the router for a broadcast or multicast; else to the router, which is every host's gateway.

use std::net::IpAddr;

use crate::base::AddressMask;

/// The hosts' end of an interface. A host is known by its place in the list.
#[derive(Clone, Debug, Default)]
pub struct Segment {
    hosts: Vec<SegmentHost>,
    /// Prefixes behind a host, longest first.
    gateways: Vec<(AddressMask, usize)>,
}

#[derive(Clone, Debug, Default)]
pub struct SegmentHost {
    /// Each with the subnet that the host takes for its own link.
    pub addresses: Vec<(IpAddr, AddressMask)>,
}

/// Who gets a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    Host(usize),
    Router,
    /// Every host but the one that sent it; the router too, unless it sent it.
    Everyone,
    /// Nobody has that address: on a real link, nobody would have answered for it.
    Nobody,
}

impl Segment {
    /// `routes` are (prefix, gateway); those whose gateway is no host here are left out.
    pub fn new(hosts: Vec<SegmentHost>, routes: &[(AddressMask, IpAddr)]) -> Self {
        let mut segment = Self {
            hosts,
            gateways: Vec::new(),
        };
        for (prefix, gateway) in routes {
            if let Some(host) = segment.owner(*gateway) {
                segment.gateways.push((*prefix, host));
            }
        }
        segment
            .gateways
            .sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.prefix_length()));
        segment
    }

    pub fn deliver_from_router(&self, packet: &[u8]) -> Delivery {
        let Some(destination) = destination(packet) else {
            return Delivery::Nobody;
        };
        if let Some(host) = self.owner(destination) {
            return Delivery::Host(host);
        }
        if self.is_for_everyone(destination) {
            return Delivery::Everyone;
        }
        let gateway = self.gateways.iter().find(|(prefix, _)| prefix.contains(destination));
        match (gateway, self.hosts.len()) {
            (Some((_, host)), _) => Delivery::Host(*host),
            (None, 1) => Delivery::Host(0),
            (None, _) => Delivery::Nobody,
        }
    }

    pub fn deliver_from_host(&self, sender: usize, packet: &[u8]) -> Delivery {
        let Some(destination) = destination(packet) else {
            return Delivery::Nobody;
        };
        let is_neighbour = || {
            let addresses = self
                .hosts
                .get(sender)
                .map(|host| &host.addresses[..])
                .unwrap_or_default();
            addresses.iter().any(|(_, subnet)| subnet.contains(destination))
        };
        match self.owner(destination) {
            Some(host) if host != sender && is_neighbour() => Delivery::Host(host),
            Some(_) => Delivery::Router,
            None if self.is_for_everyone(destination) => Delivery::Everyone,
            None => Delivery::Router,
        }
    }

    fn owner(&self, address: IpAddr) -> Option<usize> {
        let has = |host: &SegmentHost| host.addresses.iter().any(|(own, _)| *own == address);
        self.hosts.iter().position(has)
    }

    fn is_for_everyone(&self, destination: IpAddr) -> bool {
        let subnets = || {
            self.hosts
                .iter()
                .flat_map(|host| &host.addresses)
                .map(|(_, subnet)| subnet)
        };
        destination.is_multicast()
            || destination == IpAddr::from([255; 4])
            || subnets().any(|subnet| broadcast(subnet) == Some(destination))
    }
}

/// The directed broadcast address; a /31, a /32 and IPv6 have none (RFC 3021).
fn broadcast(subnet: &AddressMask) -> Option<IpAddr> {
    match (subnet.address(), subnet.mask()) {
        (IpAddr::V4(address), IpAddr::V4(mask)) if subnet.prefix_length().is_some_and(|length| length < 31) => {
            Some(IpAddr::V4((address.to_bits() | !mask.to_bits()).into()))
        }
        _ => None,
    }
}

/// Read here and not through `wire`, because whatever a kernel hands over goes on, well formed or not.
fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(IpAddr::from(*packet.get(16..20)?.first_chunk::<4>()?)),
        6 => Some(IpAddr::from(*packet.get(24..40)?.first_chunk::<16>()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(destination: &str) -> Vec<u8> {
        match destination.parse().unwrap() {
            IpAddr::V4(address) => [&[0x45; 16][..], &address.octets()].concat(),
            IpAddr::V6(address) => [&[0x60; 24][..], &address.octets()].concat(),
        }
    }

    fn host(addresses: &[(&str, u8)]) -> SegmentHost {
        let with_subnet = |(address, length): &(&str, u8)| {
            let address = address.parse().unwrap();
            (address, AddressMask::prefix(address, *length).unwrap())
        };
        SegmentHost {
            addresses: addresses.iter().map(with_subnet).collect(),
        }
    }

    #[test]
    fn as_a_switch_would() {
        let hosts = vec![
            host(&[("10.0.0.2", 24), ("fd00::2", 64)]),
            host(&[("10.0.0.3", 24), ("fd00::3", 64)]),
            // Knows only itself, and so asks the router for everyone else.
            host(&[("10.0.0.4", 32)]),
        ];
        let route = |prefix: &str, length, gateway: &str| {
            (
                AddressMask::prefix(prefix.parse().unwrap(), length).unwrap(),
                gateway.parse().unwrap(),
            )
        };
        let routes = [
            route("172.16.0.0", 12, "10.0.0.3"),
            route("172.16.5.0", 24, "10.0.0.4"),
            route("0.0.0.0", 0, "10.9.9.9"),
        ];
        let segment = Segment::new(hosts, &routes);
        for (sender, to, expected) in [
            (None, "10.0.0.3", Delivery::Host(1)),
            (None, "fd00::2", Delivery::Host(0)),
            (None, "10.0.0.9", Delivery::Nobody),
            (None, "172.16.1.1", Delivery::Host(1)),
            (None, "172.16.5.1", Delivery::Host(2)),
            (None, "10.0.0.255", Delivery::Everyone),
            (None, "224.0.0.1", Delivery::Everyone),
            (Some(0), "10.0.0.3", Delivery::Host(1)),
            (Some(2), "10.0.0.3", Delivery::Router),
            (Some(0), "10.0.0.1", Delivery::Router),
            (Some(0), "10.0.0.2", Delivery::Router),
            (Some(0), "8.8.8.8", Delivery::Router),
            (Some(0), "255.255.255.255", Delivery::Everyone),
            (Some(0), "ff02::1", Delivery::Everyone),
            (Some(1), "fd00::2", Delivery::Host(0)),
        ] {
            let got = match sender {
                None => segment.deliver_from_router(&packet(to)),
                Some(host) => segment.deliver_from_host(host, &packet(to)),
            };
            assert_eq!(got, expected, "{sender:?} to {to}");
        }
        assert_eq!(segment.deliver_from_router(&[0x45; 10]), Delivery::Nobody);
        assert_eq!(segment.deliver_from_host(0, &[]), Delivery::Nobody);
        let wire = Segment::new(vec![host(&[("10.0.0.2", 24)])], &[]);
        assert_eq!(
            wire.deliver_from_router(&packet("8.8.8.8")),
            Delivery::Host(0),
            "two ends of a wire"
        );
    }
}
