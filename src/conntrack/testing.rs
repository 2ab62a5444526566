//! Packets and stages for the tests of this room, of `nat` and of `helper`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::{
    ConntrackHelper, CtState, DropReason, Endpoint, ExpectPolicy, Expectation, ExpectationMask, Flow, Settings, Table,
    TrackContext, TrackStage, Tracked, Tracking, Tuple,
};
use crate::base::testing::host;
use crate::base::{Family, Time, protocol};
use crate::packet::Packet;
use crate::packet::testing::udp as datagram;
use crate::wire::{icmpv4, ipv4, ipv6, put16};

pub(crate) fn packet(protocol: u8, source: [u8; 4], destination: [u8; 4], transport: &[u8]) -> Packet {
    let repr = ipv4::Repr {
        tos: 0,
        identification: 1,
        dont_fragment: false,
        ttl: 64,
        protocol,
        source: Ipv4Addr::from(source),
        destination: Ipv4Addr::from(destination),
    };
    Packet::parse(repr.emit(transport)).unwrap()
}

/// From one host of the family to another, without extension headers.
pub(crate) fn packet_of(family: Family, protocol: u8, transport: &[u8]) -> Packet {
    packet_between((host(family, 2), host(family, 9)), protocol, transport)
}

/// The same between these.
pub(crate) fn packet_between(ends: (IpAddr, IpAddr), protocol: u8, transport: &[u8]) -> Packet {
    let mut bytes = match ends {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            return packet(protocol, source.octets(), destination.octets(), transport);
        }
        (source, destination) => datagram((source, 1), (destination, 2), b"").into_bytes(),
    };
    bytes.truncate(ipv6::HEADER);
    put16(&mut bytes, 4, transport.len() as u16);
    bytes[6] = protocol;
    bytes.extend_from_slice(transport);
    Packet::parse(bytes).unwrap()
}

/// A datagram without checksum and data.
pub(crate) fn udp(source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> Packet {
    let mut datagram = [0, 0, 0, 0, 0, 8, 0, 0];
    put16(&mut datagram, 0, source.1);
    put16(&mut datagram, 2, destination.1);
    packet(protocol::UDP, source.0, destination.0, &datagram)
}

/// A TCP segment; its checksum is for OUTPUT only, where nobody looks.
pub(crate) fn tcp(source: ([u8; 4], u16), destination: ([u8; 4], u16), numbers: (u32, u32), flags: u8) -> Packet {
    let mut segment = [0; 20];
    put16(&mut segment, 0, source.1);
    put16(&mut segment, 2, destination.1);
    segment[4..8].copy_from_slice(&numbers.0.to_be_bytes());
    segment[8..12].copy_from_slice(&numbers.1.to_be_bytes());
    segment[12] = 5 << 4;
    segment[13] = flags;
    put16(&mut segment, 14, 65535);
    packet(protocol::TCP, source.0, destination.0, &segment)
}

pub(crate) fn echo(source: [u8; 4], destination: [u8; 4], kind: u8, identifier: u16) -> Packet {
    let message = icmpv4::emit(kind, 0, u32::from(identifier) << 16 | 1, b"abcdefgh");
    packet(protocol::ICMP, source, destination, &message)
}

/// What `FTP` might announce on `master`: for five minutes, from an address to an address and port, in its class without bound.
pub(crate) fn announced(
    bench: &Bench,
    master: &Arc<Flow>,
    source: [u8; 4],
    destination: ([u8; 4], u16),
) -> Expectation {
    let end = |of, id| Endpoint {
        address: address(of),
        id,
    };
    Expectation {
        serial: 0,
        tuple: Tuple {
            source: end(source, 0),
            destination: end(destination.0, destination.1),
            protocol: protocol::TCP,
        },
        mask: ExpectationMask {
            address: address([255; 4]),
            id: 0,
        },
        master: Arc::clone(master),
        class: 1,
        permanent: false,
        inactive: false,
        deadline: bench.now + Duration::from_secs(300),
        made_by: &FTP,
        helper: None,
        nat: None,
        together_with: None,
    }
}

/// A helper as tracking knows it. Its second class is without bound.
pub(crate) static FTP: ConntrackHelper = ConntrackHelper {
    name: "ftp",
    families: &[Family::V4],
    protocol: protocol::TCP,
    ports: &[21],
    policies: &[
        ExpectPolicy {
            name: "",
            max_expected: 1,
            timeout: Duration::from_secs(300),
        },
        ExpectPolicy {
            name: "",
            max_expected: 0,
            timeout: Duration::from_secs(300),
        },
    ],
};

/// A table with its knobs and a clock.
pub(crate) struct Bench {
    pub table: Table,
    pub settings: Settings,
    pub helpers: &'static [&'static ConntrackHelper],
    pub now: Time,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            table: Table::new((1, 2)),
            settings: Settings::default(),
            helpers: &[],
            now: Time::from_secs(1_800_000_000),
        }
    }

    pub(crate) fn context(&self) -> TrackContext<'_> {
        TrackContext {
            now: self.now,
            settings: &self.settings,
            stage: TrackStage::Output,
            helpers: self.helpers,
            packet: 0,
        }
    }

    pub(crate) fn track(&self, packet: &mut Packet) -> (Tracked, Tracking) {
        let mut tracking = Tracking::default();
        (self.table.track(&self.context(), packet, &mut tracking), tracking)
    }

    /// Tracks and confirms, without anything between.
    pub(crate) fn pass(&self, mut packet: Packet) -> Result<(CtState, Tracking), DropReason> {
        let (tracked, mut tracking) = self.track(&mut packet);
        if let Tracked::Drop(reason) = tracked {
            return Err(reason);
        }
        self.table.confirm(&self.context(), &packet, &mut tracking)?;
        Ok((tracking.state_for_matching(), tracking))
    }

    pub(crate) fn pass_all(&self, packets: impl IntoIterator<Item = Packet>) {
        for packet in packets {
            self.pass(packet).unwrap();
        }
    }

    /// The states that the matches see.
    pub(crate) fn states(&self, packets: impl IntoIterator<Item = Packet>) -> Vec<&'static str> {
        let state = |packet| match self.pass(packet) {
            Ok((state, _)) => state.name(),
            Err(_) => "dropped",
        };
        packets.into_iter().map(state).collect()
    }
}

pub(crate) const A: [u8; 4] = [10, 0, 0, 2];
pub(crate) const B: [u8; 4] = [192, 0, 2, 9];

pub(crate) fn address(octets: [u8; 4]) -> IpAddr {
    octets.into()
}
