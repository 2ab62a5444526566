//! A router between two networks, packets for it, and what came out: for the benchmark and for the test that counts allocations.

use std::net::{IpAddr, Ipv4Addr};

use nflab::base::{Family, InterfaceId, InterfaceName, Time, protocol};
use nflab::engine::{Config, Emission, Fate, Report, Router, Silent, Worker};
use nflab::lab::RouterTables;
use nflab::net::{Closed, Net, Prefix, Route};
use nflab::text::{Program, StaticHosts, restore};
use nflab::wire::{checksum, ipv4};

pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// The router's own address on `wan`.
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Clients on `lan` (10.0.0.0/8), the router's own address on `wan`, everything else behind it.
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
        let mut net = Net::new();
        let mut interface = |name: &str, address: [u8; 4], length: u8| {
            let id = net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
            net.add_address(id, IpAddr::from(address), length).unwrap();
            id
        };
        let lan = interface("lan", [10, 0, 0, 1], 8);
        let wan = interface("wan", ROUTER.octets(), 24);
        net.add_route(Route {
            via: Some([192, 0, 2, 254].into()),
            ..Route::new(Prefix::default_of(Family::V4))
        })
        .unwrap();
        net.sysctl_set("net.ipv4.ip_forward", "1").unwrap();
        let router = Router::new(Config::new(net), 1, workers, Box::new(Closed));
        let now = Time::from_secs(1_800_000_000);
        let options = restore::Options::of(Family::V4);
        let mut tables = RouterTables::new(&router, now);
        let (_, result) = restore::run(rules, &options, &mut tables, &StaticHosts::none());
        if let Err(failure) = result {
            panic!(
                "{}{}",
                failure.text(Program::Restore(Family::V4), failure.place.line),
                failure.explain()
            );
        }
        let workers = router.workers();
        Self {
            router,
            workers,
            lan,
            wan,
            now,
        }
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

pub(crate) fn udp(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16), length: usize) -> Vec<u8> {
    let mut datagram = vec![0; 8 + length];
    put16(&mut datagram, 0, source.1);
    put16(&mut datagram, 2, destination.1);
    let whole = datagram.len() as u16;
    put16(&mut datagram, 4, whole);
    packet(protocol::UDP, source.0, destination.0, datagram, 6)
}

/// A segment with this many bytes after its header.
pub(crate) fn tcp(
    source: (Ipv4Addr, u16),
    destination: (Ipv4Addr, u16),
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
    packet(protocol::TCP, source.0, destination.0, segment, 16)
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Source address and port of a packet that left: what NAT made of them.
pub(crate) fn source_of(bytes: &[u8]) -> (Ipv4Addr, u16) {
    let address = Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]);
    (address, u16::from_be_bytes([bytes[20], bytes[21]]))
}

fn packet(
    protocol: u8,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    mut transport: Vec<u8>,
    checksum_at: usize,
) -> Vec<u8> {
    let sum = checksum::transport(source.into(), destination.into(), protocol, &transport);
    put16(&mut transport, checksum_at, sum);
    ipv4::Repr {
        tos: 0,
        identification: 1,
        dont_fragment: true,
        ttl: 64,
        protocol,
        source,
        destination,
    }
    .emit(&transport)
}
