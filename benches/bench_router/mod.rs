//! A router between two networks, packets for it, and what came out: for the benchmark and for the test that counts allocations.

pub(crate) mod floods;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use nflab::base::{Family, InterfaceId, InterfaceName, Time, protocol};
use nflab::engine::{Config, Emission, Fate, Report, Router, Silent, Worker};
use nflab::lab::RouterTables;
use nflab::net::{Closed, Net, Prefix, Route, Way};
use nflab::text::{Program, StaticHosts, restore};
use nflab::wire::{checksum, ipv4};

pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// The router's own address on `wan`.
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const CLIENT_OF_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
const SERVER_OF_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 7);
const ROUTER_OF_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// One of many clients of a family, the first of which is [`CLIENT`].
pub(crate) fn client(family: Family, number: u32) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(CLIENT.to_bits() + 256 * number).into(),
        Family::V6 => Ipv6Addr::from_bits(CLIENT_OF_IPV6.to_bits() + (u128::from(number) << 64)).into(),
    }
}

/// [`SERVER`] of a family.
pub(crate) fn server(family: Family) -> IpAddr {
    match family {
        Family::V4 => SERVER.into(),
        Family::V6 => SERVER_OF_IPV6.into(),
    }
}

/// One of many servers of a family, none of which is [`SERVER`].
pub(crate) fn one_of_servers(family: Family, number: u32) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(0x3200_0000 + number).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0x101, 0, 0, 0, (number >> 16) as u16, number as u16).into(),
    }
}

/// [`ROUTER`] of a family.
pub(crate) fn router(family: Family) -> IpAddr {
    match family {
        Family::V4 => ROUTER.into(),
        Family::V6 => ROUTER_OF_IPV6.into(),
    }
}

/// Clients on `lan` (10.0.0.0/8 and fd00::/16), the router's own address on `wan`, everything else behind it.
pub(crate) struct Setup {
    pub router: Router,
    pub workers: Vec<Worker>,
    pub lan: InterfaceId,
    pub wan: InterfaceId,
    pub now: Time,
}

impl Setup {
    /// With the rules of an `iptables-restore` file, and one worker.
    pub(crate) fn new(rules: &str) -> Self {
        Self::with_workers(rules, 1)
    }

    pub(crate) fn with_workers(rules: &str, workers: usize) -> Self {
        Self::of(Family::V4, rules, workers)
    }

    /// With the rules of an `ip6tables-restore` file, if that is the family.
    pub(crate) fn of(family: Family, rules: &str, workers: usize) -> Self {
        let mut net = Net::new();
        let mut interface = |name: &str, addresses: [(&str, u8); 2]| {
            let id = net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
            for (address, length) in addresses {
                net.add_address(id, address.parse().unwrap(), length).unwrap();
            }
            id
        };
        let lan = interface("lan", [("10.0.0.1", 8), ("fd00::1", 16)]);
        let wan = interface("wan", [("192.0.2.1", 24), ("2001:db8::1", 64)]);
        for via in ["192.0.2.254", "2001:db8::fe"] {
            let via: IpAddr = via.parse().unwrap();
            let route = Route::new(Prefix::default_of(Family::of(via)));
            net.add_route(Route {
                via: Some(via),
                ..route
            })
            .unwrap();
        }
        net.sysctl_set("net.ipv4.ip_forward", "1").unwrap();
        net.sysctl_set("net.ipv6.conf.all.forwarding", "1").unwrap();
        let router = Router::new(Config::new(net), 1, workers, Box::new(Closed));
        let now = Time::from_secs(1_800_000_000);
        let workers = router.workers();
        let setup = Self {
            router,
            workers,
            lan,
            wan,
            now,
        };
        setup.restore(family, rules);
        setup
    }

    /// The same of the other family, or in place of what was there.
    pub(crate) fn restore(&self, family: Family, rules: &str) {
        let options = restore::Options::of(family);
        let mut tables = RouterTables::new(&self.router, self.now);
        let (_, result) = restore::run(rules, &options, &mut tables, &StaticHosts::none());
        if let Err(failure) = result {
            panic!(
                "{}{}",
                failure.text(Program::Restore(family), failure.place.line),
                failure.explain()
            );
        }
    }

    /// What is for [`SERVER`] goes by one of two gateways, as its addresses fall.
    pub(crate) fn have_two_gateways(&self, family: Family) {
        let (to, gateways) = match family {
            Family::V4 => ("198.51.100.0/24", ["192.0.2.254", "192.0.2.253"]),
            Family::V6 => ("2001:db8:100::/48", ["2001:db8::fe", "2001:db8::fd"]),
        };
        let to: Prefix = to.parse().unwrap();
        let way = |via: &str| Way {
            route: Route {
                via: Some(via.parse().unwrap()),
                ..Route::new(to)
            },
            is_dead: false,
        };
        let ways = gateways.map(way).into();
        let added = self
            .router
            .configure(|config| config.net.add_route(Route { ways, ..Route::new(to) }));
        added.unwrap();
    }

    pub(crate) fn receive(&mut self, interface: InterfaceId, bytes: &[u8]) -> (Report, &[Emission]) {
        let report = self
            .router
            .receive(&mut self.workers[0], self.now, interface, bytes, &mut Silent);
        (report, self.workers[0].output())
    }

    /// The same of packets that came together; how many bytes left.
    pub(crate) fn receive_batch(&mut self, packets: &[(InterfaceId, Vec<u8>)]) -> usize {
        let (worker, mut left) = (&mut self.workers[0], 0);
        self.router
            .receive_batch(worker, self.now, packets, &mut Silent, |_, output| {
                left += output.iter().map(|it| it.bytes.len()).sum::<usize>();
            });
        left
    }

    /// Sends a packet that has to get through, and returns what left.
    pub(crate) fn forward(&mut self, interface: InterfaceId, bytes: &[u8]) -> Vec<u8> {
        let (report, output) = self.receive(interface, bytes);
        assert_eq!(report.fate, Fate::Forwarded);
        assert_eq!(output.len(), 1);
        output[0].bytes.clone()
    }
}

/// The addresses are of one family.
pub(crate) fn udp(source: (impl Into<IpAddr>, u16), destination: (impl Into<IpAddr>, u16), length: usize) -> Vec<u8> {
    let mut datagram = vec![0; 8 + length];
    put16(&mut datagram, 0, source.1);
    put16(&mut datagram, 2, destination.1);
    let whole = datagram.len() as u16;
    put16(&mut datagram, 4, whole);
    packet(protocol::UDP, (source.0.into(), destination.0.into()), datagram, 6)
}

/// A segment with this many bytes after its header.
pub(crate) fn tcp(
    source: (impl Into<IpAddr>, u16),
    destination: (impl Into<IpAddr>, u16),
    flags: u8,
    (sequence, acknowledgement): (u32, u32),
    length: usize,
) -> Vec<u8> {
    let mut segment = vec![0; 20 + length];
    put16(&mut segment, 0, source.1);
    put16(&mut segment, 2, destination.1);
    put32(&mut segment, 4, sequence);
    put32(&mut segment, 8, acknowledgement);
    segment[12] = 5 << 4;
    segment[13] = flags;
    put16(&mut segment, 14, 64_240);
    packet(protocol::TCP, (source.0.into(), destination.0.into()), segment, 16)
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Source address and port of a packet that left: what NAT made of them.
pub(crate) fn source_of(bytes: &[u8]) -> (IpAddr, u16) {
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    match bytes[0] >> 4 {
        6 => (<[u8; 16]>::try_from(&bytes[8..24]).unwrap().into(), port(40)),
        _ => (<[u8; 4]>::try_from(&bytes[12..16]).unwrap().into(), port(20)),
    }
}

/// A message of the family's ICMP: its type and code, the word behind its checksum, and what comes then.
pub(crate) fn icmp(ends: (IpAddr, IpAddr), (kind, code): (u8, u8), word: u32, quoted: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(word.to_be_bytes());
    message.extend(quoted);
    if ends.0.is_ipv6() {
        return packet(protocol::ICMPV6, ends, message, 2);
    }
    let sum = checksum::of(&message);
    put16(&mut message, 2, sum);
    behind_header(protocol::ICMP, ends, &message)
}

/// The number of IPv6's fragment header.
const FRAGMENT: u8 = 44;

/// A piece of a packet: this of what stands behind its header. More follow unless it is the last.
pub(crate) fn piece(whole: &[u8], number: u32, data: Range<usize>) -> Vec<u8> {
    let family = Family::of_packet(whole).unwrap();
    let (header, behind) = whole.split_at(match family {
        Family::V4 => 20,
        Family::V6 => 40,
    });
    let more = data.end < behind.len();
    let offset = data.start as u16;
    let data = &behind[data];
    if family == Family::V4 {
        let mut bytes = [header, data].concat();
        let length = bytes.len() as u16;
        put16(&mut bytes, 2, length);
        put16(&mut bytes, 4, number as u16);
        put16(&mut bytes, 6, (offset / 8) | (u16::from(more) << 13));
        put16(&mut bytes, 10, 0);
        let sum = checksum::of(&bytes[..20]);
        put16(&mut bytes, 10, sum);
        return bytes;
    }
    let mut fragment = vec![header[6], 0];
    fragment.extend((offset | u16::from(more)).to_be_bytes());
    fragment.extend(number.to_be_bytes());
    let mut bytes = [header, &fragment, data].concat();
    let length = (bytes.len() - 40) as u16;
    put16(&mut bytes, 4, length);
    bytes[6] = FRAGMENT;
    bytes
}

fn packet(protocol: u8, ends: (IpAddr, IpAddr), mut transport: Vec<u8>, checksum_at: usize) -> Vec<u8> {
    let sum = checksum::transport(ends.0, ends.1, protocol, &transport);
    put16(&mut transport, checksum_at, sum);
    behind_header(protocol, ends, &transport)
}

fn behind_header(protocol: u8, ends: (IpAddr, IpAddr), transport: &[u8]) -> Vec<u8> {
    match ends {
        (IpAddr::V4(source), IpAddr::V4(destination)) => ipv4::Repr {
            tos: 0,
            identification: 1,
            dont_fragment: true,
            ttl: 64,
            protocol,
            source,
            destination,
        }
        .emit(transport),
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut bytes = vec![0; 8];
            bytes[0] = 6 << 4;
            put16(&mut bytes, 4, transport.len() as u16);
            bytes[6..].copy_from_slice(&[protocol, 64]);
            bytes.extend([source.octets(), destination.octets()].concat());
            bytes.extend(transport);
            bytes
        }
        _ => panic!("{ends:?} are not of one family"),
    }
}
