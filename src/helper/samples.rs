//! Plays the samples of all helpers: a client 10.0.0.2 speaks to a server 192.0.2.9, with and without a router that masquerades between them.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Announces, Broadcast, DropReason, HeardWhat, Helper, HelperContext, Loaded, Sample, Ways, registry, run};
use crate::base::{AddressRange, Family, Random, protocol};
use crate::conntrack::testing::{A, B, Bench, address, packet_between};
use crate::conntrack::{Direction, Template, Tracked, Tracking, Tuple, proto};
use crate::nat::{self, Manip, NatContext, NatHook, NatRange};
use crate::packet::Packet;
use crate::wire::tcp::{MIN_HEADER, flags};
use crate::wire::{put16, put32, udp};

const OUTSIDE: [u8; 4] = [192, 0, 2, 1];

/// The client, the server and the router's address outside.
pub(super) fn hosts(family: Family) -> [IpAddr; 3] {
    match family {
        Family::V4 => [A, B, OUTSIDE].map(address),
        Family::V6 => OF_IPV6.map(|(_, it)| it.parse().unwrap()),
    }
}

/// Hosts as samples name them, and what they are called where a sample is played in IPv6.
const OF_IPV6: [(&str, &str); 3] = [
    ("10.0.0.2", "2001:db8::2"),
    ("192.0.2.9", "2001:db8:1::9"),
    ("192.0.2.1", "2001:db8:1::1"),
];
const CLIENT_PORT: u16 = 4000;

#[test]
fn helpers_read_and_write_what_their_samples_say() {
    for spec in registry() {
        for helper in spec.helpers {
            let flows = helper
                .samples
                .iter()
                .filter(|it| matches!(it.announces, Announces::Flows { .. } | Announces::Written(_)));
            // One without a port reads only what another has announced.
            assert!(
                flows.count() > 0 || helper.conntrack.ports.is_empty(),
                "{} has no sample that announces a flow, or is written over",
                helper.conntrack.name
            );
            for (sample, family) in helper.samples.iter().flat_map(|it| in_families(helper, it)) {
                for masquerades in [false, true] {
                    let said = sample.said.iter().map(|it| it.escape_ascii().to_string());
                    let said: Vec<String> = said.collect();
                    let name = helper.conntrack.name;
                    let place = format!("{name} in {family:?} {said:?}, masquerading: {masquerades}");
                    let (said, payload) = Conversation::of(helper, masquerades, family).play(sample.said);
                    match (&sample.announces, said) {
                        (
                            Announces::Flows {
                                plain,
                                under_nat,
                                written,
                            },
                            Ok(HeardWhat::Announced(announced)),
                        ) => {
                            let (flows, text) = match masquerades {
                                true => (under_nat, *written),
                                false => (plain, &sample.said[sample.said.len() - 1][2..]),
                            };
                            let told = announced.iter().map(|it| text_of(&it.expected, it.from_mask));
                            let flows = flows.iter().map(|it| in_family(it, family));
                            assert_eq!(told.collect::<Vec<_>>(), flows.collect::<Vec<_>>(), "{place}");
                            assert_eq!(
                                payload.escape_ascii().to_string(),
                                text.escape_ascii().to_string(),
                                "{place}"
                            );
                        }
                        (Announces::Flows { plain, under_nat, .. }, Ok(heard))
                            if !matches!(heard, HeardWhat::Announced(_)) =>
                        {
                            let flows = if masquerades { under_nat } else { plain };
                            assert!(flows.is_empty(), "{place}: {heard:?}");
                        }
                        (Announces::Incomplete, Err(DropReason::PartialMatch)) => {}
                        (Announces::Written(None), Err(DropReason::Unreadable | DropReason::Length)) if masquerades => {
                        }
                        (Announces::Written(written), Ok(heard)) if !matches!(heard, HeardWhat::Announced(_)) => {
                            let as_said = &sample.said[sample.said.len() - 1][2..];
                            let written = if masquerades { *written } else { Some(as_said) };
                            let text = |it: &[u8]| it.escape_ascii().to_string();
                            assert_eq!(Some(text(&payload)), written.map(text), "{place}");
                        }
                        (Announces::Nothing, Ok(heard)) if !matches!(heard, HeardWhat::Announced(_)) => {}
                        (_, said) => panic!("{place}: {said:?}"),
                    }
                }
            }
        }
    }
}

/// In which families a sample can be played: what names an address of one in that, what names none in all that its helper reads.
pub(super) fn in_families<'s>(
    helper: &Helper,
    sample: &'s Sample,
) -> impl Iterator<Item = (&'s Sample, Family)> + use<'s> {
    let written = match sample.announces {
        Announces::Flows { written, .. } => written,
        Announces::Written(written) => written.unwrap_or_default(),
        Announces::Nothing | Announces::Incomplete => b"",
    };
    let names = |word: &[u8]| {
        let mut texts = sample.said.iter().copied().chain([written]);
        texts.any(|text| text.windows(word.len()).any(|it| it == word))
    };
    let is_of = |family: Family| match family {
        Family::V4 => !names(b"2001:") && !names(b"\x20\x01\x0d\xb8"),
        Family::V6 => ![&b".0."[..], b",0,", b"\x0a\0\0", b"\xc0\0\x02"].into_iter().any(names),
    };
    let families = helper.conntrack.families.iter().copied().filter(|it| is_of(*it));
    families
        .map(move |family| (sample, family))
        .collect::<Vec<_>>()
        .into_iter()
}

/// The text of a sample as it is in a family.
fn in_family(text: &str, family: Family) -> String {
    match family {
        Family::V4 => text.to_owned(),
        Family::V6 => OF_IPV6
            .iter()
            .fold(text.to_owned(), |text, (of, is)| text.replace(of, is)),
    }
}

pub(super) fn text_of(tuple: &Tuple, mask: Option<IpAddr>) -> String {
    let name = proto::spec(tuple.protocol).name;
    let host = match (tuple.source.address, mask) {
        (IpAddr::V4(host), Some(IpAddr::V4(mask))) => format!("{}/{}", host & mask, mask.to_bits().leading_ones()),
        (host, _) => host.to_string(),
    };
    let from = match tuple.source.id {
        _ if tuple.source.address.is_unspecified() => "any host".to_owned(),
        0 => host,
        port => format!("{host}:{port}"),
    };
    format!("{name} {from} > {}:{}", tuple.destination.address, tuple.destination.id)
}

/// The server's address is that of all hosts of its network, and the client is the router itself, for the helpers that ask that.
#[derive(Debug)]
struct ServerIsAll;

impl Ways for ServerIsAll {
    fn is_same(&self, first: IpAddr, second: IpAddr) -> bool {
        first == second
    }

    fn broadcast(&self, packet: &Packet) -> Broadcast {
        match packet.destination() == address(B) {
            true => Broadcast::To(address([255, 255, 255, 0])),
            false => Broadcast::No,
        }
    }

    fn leaves_likewise(&self, packet: &Packet, to: IpAddr) -> bool {
        packet.destination() == to
    }
}

pub(super) struct Conversation {
    pub bench: Bench,
    /// The port that the last packet left for.
    pub delivered_at: u16,
    loaded: Loaded,
    random: Random,
    helper: &'static Helper,
    masquerades: bool,
    pub family: Family,
    /// The sequence number that comes next, of each side by its own count.
    next: [u32; 2],
    /// The same as the other side has seen it.
    seen: [u32; 2],
}

impl Conversation {
    pub(super) fn new(helper: &'static Helper, masquerades: bool) -> Self {
        Self::of(helper, masquerades, Family::V4)
    }

    pub(super) fn of(helper: &'static Helper, masquerades: bool, family: Family) -> Self {
        Self {
            family,
            bench: Bench::new(),
            delivered_at: 0,
            loaded: Loaded::all(),
            random: Random::new(1),
            helper,
            masquerades,
            next: [1000, 5000],
            seen: [1000, 5000],
        }
    }

    /// What came of the last payload, and what left in its place.
    pub(super) fn play(&mut self, said: &[&[u8]]) -> (Result<HeardWhat, DropReason>, Vec<u8>) {
        let (last, before) = said.split_last().unwrap();
        self.begin(before);
        self.say(last)
    }

    /// Opens it, and says what comes before.
    pub(super) fn begin(&mut self, before: &[&[u8]]) {
        if self.helper.conntrack.protocol == protocol::TCP {
            for (from, flags) in [
                (Direction::Original, flags::SYN),
                (Direction::Reply, flags::SYN | flags::ACK),
                (Direction::Original, flags::ACK),
            ] {
                self.pass(from, flags, b"").0.unwrap();
            }
        }
        for line in before {
            self.say(line).0.unwrap();
        }
    }

    pub(super) fn say(&mut self, line: &[u8]) -> (Result<HeardWhat, DropReason>, Vec<u8>) {
        let from = match &line[..2] {
            b"> " => Direction::Original,
            b"< " => Direction::Reply,
            other => panic!("who says {other:?}?"),
        };
        self.pass(from, flags::PSH | flags::ACK, &line[2..])
    }

    fn pass(&mut self, from: Direction, flags: u8, payload: &[u8]) -> (Result<HeardWhat, DropReason>, Vec<u8>) {
        let mut packet = self.packet(from, flags, payload);
        let mut tracking = Tracking {
            template: Some(Arc::new(Template {
                helper: Some(self.helper.conntrack.name.to_owned()),
                ..Template::default()
            })),
            ..Tracking::default()
        };
        let cx = crate::conntrack::TrackContext {
            helpers: self.loaded.conntrack(),
            ..self.bench.context()
        };
        let tracked = self.bench.table.track(&cx, &mut packet, &mut tracking);
        assert!(matches!(tracked, Tracked::Accept(_)), "{tracked:?}");
        let flow = tracking.flow.clone().unwrap_or_else(|| panic!("{tracked:?}"));
        let mut nat_cx = NatContext {
            now: self.bench.now,
            random: &mut self.random,
        };
        let outside = NatRange {
            addresses: Some(AddressRange::single(hosts(self.family)[2])),
            ..NatRange::default()
        };
        nat::null_binding(&self.bench.table, &mut nat_cx, &flow, Manip::Destination);
        match self.masquerades {
            true => nat::setup(&self.bench.table, &mut nat_cx, &flow, &outside, Manip::Source),
            false => nat::null_binding(&self.bench.table, &mut nat_cx, &flow, Manip::Source),
        }
        for hook in [NatHook::Prerouting, NatHook::Postrouting] {
            nat::translate(&mut packet, &tracking, hook).unwrap();
        }
        let heard = run(
            &mut packet,
            &tracking,
            &mut HelperContext {
                now: self.bench.now,
                settings: &self.bench.settings,
                loaded: &self.loaded,
                ways: &ServerIsAll,
                table: &self.bench.table,
                random: &mut self.random,
            },
        );
        nat::adjust_sequences(&mut packet, &tracking).unwrap();
        self.bench.table.confirm(&cx, &packet, &mut tracking).unwrap();
        let header = match packet.tcp() {
            Some(segment) => {
                let end = segment.sequence() + segment.payload().len() as u32 + u32::from(flags & flags::SYN != 0);
                self.seen[from.index()] = end;
                MIN_HEADER
            }
            None => udp::HEADER,
        };
        self.delivered_at = packet.ports().map_or(0, |ports| ports.1);
        let left = packet.transport()[header..].to_vec();
        (heard.map(|heard| heard.unwrap().what), left)
    }

    /// As its sender makes it.
    fn packet(&mut self, from: Direction, flags: u8, payload: &[u8]) -> Packet {
        let helper = &self.helper.conntrack;
        let [own, server, outside] = hosts(self.family);
        let client = match (from, self.masquerades) {
            (Direction::Reply, true) => (outside, CLIENT_PORT),
            _ => (own, CLIENT_PORT),
        };
        let server = (server, helper.ports.first().copied().unwrap_or(5000));
        let (source, destination) = match from {
            Direction::Original => (client, server),
            Direction::Reply => (server, client),
        };
        let mut bytes = match helper.protocol {
            protocol::TCP => {
                let mut header = vec![0; MIN_HEADER];
                put32(&mut header, 4, self.next[from.index()]);
                put32(&mut header, 8, self.seen[from.opposite().index()]);
                header[12] = 5 << 4;
                header[13] = flags;
                put16(&mut header, 14, u16::MAX);
                self.next[from.index()] += payload.len() as u32 + u32::from(flags & flags::SYN != 0);
                header
            }
            protocol::UDP => {
                let mut header = vec![0; udp::HEADER];
                put16(&mut header, 4, (udp::HEADER + payload.len()) as u16);
                header
            }
            other => panic!("what does a header of protocol {other} look like?"),
        };
        put16(&mut bytes, 0, source.1);
        put16(&mut bytes, 2, destination.1);
        bytes.extend_from_slice(payload);
        packet_between((source.0, destination.0), helper.protocol, &bytes)
    }
}
