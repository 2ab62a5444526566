//! The router that the tables in this room's tests were read from (Linux 6.18, one TUN device an interface), and packets for it.

use std::net::IpAddr;

use super::{Net, Route, RouteKind};
pub(crate) use crate::base::bytes::hex;
use crate::base::testing::host;
pub(crate) use crate::base::testing::unhex;
use crate::base::{Family, InterfaceId, InterfaceName, protocol};
use crate::packet::Packet;
use crate::wire::ipv4::Ipv4;
use crate::wire::{checksum, icmpv4, put16, put32};

pub(crate) const LAN: InterfaceId = InterfaceId(1);
pub(crate) const WAN: InterfaceId = InterfaceId(2);
/// `un`, without an address. 3 is `sml`, with an MTU of 600.
pub(crate) const BARE: InterfaceId = InterfaceId(4);

pub(crate) fn net() -> Net {
    let mut net = Net::new();
    for (name, mtu, addresses) in [
        ("lan", 1500, &["10.0.0.1", "10.0.9.1", "10.0.0.5"][..]),
        ("wan", 1500, &["192.0.2.1"]),
        ("sml", 600, &["172.16.0.1"]),
        ("un", 1500, &[]),
    ] {
        let id = net.add_interface(InterfaceName::new(name).unwrap(), mtu).unwrap();
        for address in addresses {
            net.add_address(id, address.parse().unwrap(), 24).unwrap();
        }
    }
    for (kind, to, via, source, mtu) in [
        (RouteKind::Unicast, "198.18.0.0/16", Some("192.0.2.254"), None, None),
        (
            RouteKind::Unicast,
            "198.52.0.0/16",
            Some("192.0.2.254"),
            None,
            Some(700),
        ),
        (RouteKind::Unicast, "10.88.0.0/16", Some("10.0.9.9"), None, None),
        (
            RouteKind::Unicast,
            "10.89.0.0/16",
            Some("10.0.9.9"),
            Some("10.0.0.5"),
            None,
        ),
        (RouteKind::Blackhole, "198.51.0.0/24", None, None, None),
        (RouteKind::Unreachable, "198.51.1.0/24", None, None, None),
        (RouteKind::Prohibit, "198.51.2.0/24", None, None, None),
        (RouteKind::Throw, "198.51.3.0/24", None, None, None),
    ] {
        net.add_route(Route {
            kind,
            via: via.map(|it: &str| it.parse().unwrap()),
            source: source.map(|it: &str| it.parse().unwrap()),
            mtu,
            ..Route::new(to.parse().unwrap())
        })
        .unwrap();
    }
    set(&mut net, &[("ip_forward", 1)]);
    net
}

/// The same router with IPv6 beside: 2001:db8::1/120 and fe80::1/64 on `lan`, 2001:db8:1::1/120 and fe80::1/64 on `wan`, and no default route.
pub(crate) fn both() -> Net {
    let mut net = net();
    for (id, first) in [(LAN, host(Family::V6, 1)), (WAN, far(Family::V6, 1))] {
        net.add_address(id, first, 120).unwrap();
        net.add_address(id, "fe80::1".parse().unwrap(), 64).unwrap();
    }
    net.sysctl_set("net.ipv6.conf.all.forwarding", "1").unwrap();
    net
}

/// A host on `wan`.
pub(crate) fn far(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => [192, 0, 2, number].into(),
        Family::V6 => format!("2001:db8:1::{number:x}").parse().unwrap(),
    }
}

/// Where no route leads.
pub(crate) fn elsewhere(family: Family) -> IpAddr {
    match family {
        Family::V4 => [8, 8, 8, 8].into(),
        Family::V6 => "2001:4860::8888".parse().unwrap(),
    }
}

/// A host whose interfaces have no addresses; a dot stands in the name of one.
pub(crate) fn unassigned() -> Net {
    let mut net = Net::new();
    for name in ["a", "b", "v.1"] {
        net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
    }
    net
}

/// What a key shows.
pub(crate) fn shows(net: &Net, key: &str, text: &str) {
    assert_eq!(net.sysctl_get(key).as_deref(), Some(text), "{key}");
}

/// Keys without their `net.ipv4.`.
pub(crate) fn set(net: &mut Net, values: &[(&str, i64)]) {
    for (key, value) in values {
        net.sysctl_set(&format!("net.ipv4.{key}"), &value.to_string()).unwrap();
    }
}

/// A packet to be, with what differs from the usual one.
#[derive(Clone)]
pub(crate) struct Make {
    pub source: &'static str,
    pub destination: &'static str,
    pub tos: u8,
    pub identification: u16,
    pub fragment_field: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub options: Vec<u8>,
    pub transport: Vec<u8>,
    pub input: InterfaceId,
}

impl Make {
    pub(crate) fn new(source: &'static str, destination: &'static str, protocol: u8, transport: Vec<u8>) -> Self {
        Self {
            source,
            destination,
            tos: 0,
            identification: 1,
            fragment_field: 0,
            ttl: 64,
            protocol,
            options: Vec::new(),
            transport,
            input: LAN,
        }
    }

    pub(crate) fn packet(&self) -> Packet {
        let mut packet = Packet::parse(self.bytes()).unwrap();
        packet.input = Some(self.input);
        packet
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let header = 20 + self.options.len().next_multiple_of(4);
        let mut bytes = vec![0; header];
        bytes[0] = 0x40 | (header / 4) as u8;
        bytes[1] = self.tos;
        put16(&mut bytes, 2, (header + self.transport.len()) as u16);
        put16(&mut bytes, 4, self.identification);
        put16(&mut bytes, 6, self.fragment_field);
        bytes[8] = self.ttl;
        bytes[9] = self.protocol;
        put32(&mut bytes, 12, bits(self.source));
        put32(&mut bytes, 16, bits(self.destination));
        bytes[20..20 + self.options.len()].copy_from_slice(&self.options);
        Ipv4::new(&mut bytes[..]).unwrap().fill_checksum();
        bytes.extend_from_slice(&self.transport);
        bytes
    }
}

pub(crate) fn udp(source: &'static str, destination: &'static str, data: usize) -> Make {
    let mut segment = vec![0x0f, 0xa0, 0x13, 0x88, 0, 0, 0, 0];
    segment.extend((0..data).map(|it| it as u8));
    let length = segment.len() as u16;
    put16(&mut segment, 4, length);
    let value = checksum::transport(address(source), address(destination), protocol::UDP, &segment);
    put16(&mut segment, 6, if value == 0 { 0xffff } else { value });
    Make::new(source, destination, protocol::UDP, segment)
}

pub(crate) fn icmp(source: &'static str, destination: &'static str, kind: u8, code: u8, data: &[u8]) -> Make {
    let message = icmpv4::emit(kind, code, 0x0001_0002, data);
    Make::new(source, destination, protocol::ICMP, message)
}

pub(crate) fn tcp(source: &'static str, destination: &'static str, flags: u8, options: &[u8], data: &[u8]) -> Make {
    let header = 20 + options.len().next_multiple_of(4);
    let mut segment = vec![0; header];
    put16(&mut segment, 0, 4000);
    put16(&mut segment, 2, 5000);
    put32(&mut segment, 4, 1000);
    put32(&mut segment, 8, 5000);
    segment[12] = (header as u8 / 4) << 4;
    segment[13] = flags;
    put16(&mut segment, 14, 1000);
    segment[20..20 + options.len()].copy_from_slice(options);
    segment.extend_from_slice(data);
    let value = checksum::transport(address(source), address(destination), protocol::TCP, &segment);
    put16(&mut segment, 16, value);
    Make::new(source, destination, protocol::TCP, segment)
}

/// A packet in a line, as the experiments printed it; the identification is left out.
pub(crate) fn show(packet: &Packet) -> String {
    let header = packet.ipv4().unwrap();
    assert!(header.checksum_is_right(), "header checksum of {:02x?}", packet.bytes());
    let mut line = format!(
        "{}>{} p{} tos{:02x} len{} frag{:04x} ttl{}",
        header.source(),
        header.destination(),
        header.protocol(),
        header.tos(),
        header.total_length(),
        header.fragment_field(),
        header.ttl()
    );
    if !header.options().is_empty() {
        line += &format!(" opts[{}]", hex(header.options()));
    }
    if let Some(view) = packet.icmpv4() {
        let rest = hex(&packet.transport()[4..8]);
        line += &format!(
            " icmp {}/{} rest{rest} data[{}]",
            view.kind(),
            view.code(),
            view.payload().len()
        );
    }
    if let Some(view) = packet.tcp() {
        line += &format!(
            " tcp seq{} ack{} flags{:02x}",
            view.sequence(),
            view.acknowledgement(),
            view.flags()
        );
    }
    line
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn bits(text: &str) -> u32 {
    text.parse::<std::net::Ipv4Addr>().unwrap().to_bits()
}
