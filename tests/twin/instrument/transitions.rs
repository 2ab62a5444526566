//! Which transitions of TCP and SCTP scenarios have made: in which state of a flow came which kind of packet from which side, and what it became.

use nflab::conntrack::{CtState, Direction, Endpoint, Tuple};
use nflab::engine::Router;
use nflab::{base::Time, engine::Report};

use super::tally::Tally;

/// A packet of a protocol with states, before the router has it.
pub(crate) struct Asked {
    protocol: &'static Protocol,
    kind: &'static str,
    tuple: Tuple,
    way: char,
    state: &'static str,
}

/// What is counted of a protocol.
struct Protocol {
    number: u8,
    name: &'static str,
    states: &'static [&'static str],
    kinds: &'static [&'static str],
    kind: fn(&[u8]) -> Option<&'static str>,
}

/// No flow is there yet.
const NONE: &str = "no flow";

const PROTOCOLS: &[Protocol] = &[
    Protocol {
        number: 6,
        name: "tcp",
        states: &[
            NONE,
            "SYN_SENT",
            "SYN_RECV",
            "ESTABLISHED",
            "FIN_WAIT",
            "CLOSE_WAIT",
            "LAST_ACK",
            "TIME_WAIT",
            "CLOSE",
            "SYN_SENT2",
        ],
        kinds: &["SYN", "SYN+ACK", "FIN", "ACK", "RST", "odd flags"],
        kind: segment,
    },
    Protocol {
        number: 132,
        name: "sctp",
        states: &[
            NONE,
            "CLOSED",
            "COOKIE_WAIT",
            "COOKIE_ECHOED",
            "ESTABLISHED",
            "SHUTDOWN_SENT",
            "SHUTDOWN_RECD",
            "SHUTDOWN_ACK_SENT",
            "HEARTBEAT_SENT",
        ],
        kinds: CHUNKS,
        kind: chunk,
    },
];

/// In the order of their numbers; the last two are any other, and more than one in a packet.
const CHUNKS: &[&str] = &[
    "DATA",
    "INIT",
    "INIT ACK",
    "SACK",
    "HEARTBEAT",
    "HEARTBEAT ACK",
    "ABORT",
    "SHUTDOWN",
    "SHUTDOWN ACK",
    "ERROR",
    "COOKIE ECHO",
    "COOKIE ACK",
    "ECNE",
    "CWR",
    "SHUTDOWN COMPLETE",
    "another chunk",
    "several chunks",
];

impl Asked {
    /// `None` for what has no states, or no whole header.
    pub(crate) fn of(router: &Router, now: Time, bytes: &[u8]) -> Option<Self> {
        let header = usize::from(bytes.first()? & 15) * 4;
        let is_whole =
            bytes[0] >> 4 == 4 && header >= 20 && u16::from_be_bytes([*bytes.get(6)?, *bytes.get(7)?]) & 0x3fff == 0;
        let protocol = PROTOCOLS
            .iter()
            .find(|it| is_whole && bytes.get(9) == Some(&it.number))?;
        let transport = bytes.get(header..)?;
        let kind = (protocol.kind)(transport)?;
        let end = |address: usize, port: usize| Endpoint {
            address: [
                bytes[address],
                bytes[address + 1],
                bytes[address + 2],
                bytes[address + 3],
            ]
            .into(),
            id: u16::from_be_bytes([transport[port], transport[port + 1]]),
        };
        let tuple = Tuple {
            source: end(12, 0),
            destination: end(16, 2),
            protocol: protocol.number,
        };
        let known = router.flows().lookup(now, &tuple);
        let way = match known {
            Some((_, Direction::Reply)) => '<',
            _ => '>',
        };
        Some(Self {
            protocol,
            kind,
            way,
            state: state(router, now, &tuple),
            tuple,
        })
    }

    /// Counts what became of it, where tracking saw it.
    pub(crate) fn count(&self, router: &Router, now: Time, report: &Report, tally: &mut Tally) {
        let became = match report.state {
            None | Some(CtState::Untracked | CtState::Related) => return,
            Some(CtState::Invalid) => "INVALID, ",
            Some(_) => "",
        };
        let after = state(router, now, &self.tuple);
        tally.add(
            self.protocol.name,
            &format!("{} {}: {became}{after}", self.place(), self.kind),
            1,
        );
    }

    fn place(&self) -> String {
        format!("{} {}", self.state, self.way)
    }
}

fn state(router: &Router, now: Time, tuple: &Tuple) -> &'static str {
    let known = router.flows().lookup(now, tuple);
    known
        .and_then(|(flow, _)| flow.lock().protocol.state_name())
        .unwrap_or(NONE)
}

fn segment(transport: &[u8]) -> Option<&'static str> {
    // Without PSH, URG, ECE and CWR.
    Some(match transport.get(13..20)?[0] & 0x17 {
        0x02 => "SYN",
        0x12 => "SYN+ACK",
        0x11 => "FIN",
        0x10 => "ACK",
        0x04 | 0x14 => "RST",
        _ => "odd flags",
    })
}

fn chunk(transport: &[u8]) -> Option<&'static str> {
    let chunks = transport.get(12..)?;
    let length = usize::from(u16::from_be_bytes([*chunks.get(2)?, *chunks.get(3)?]));
    let known = &CHUNKS[..CHUNKS.len() - 2];
    Some(match chunks.len() >= length.next_multiple_of(4) + 4 {
        true => "several chunks",
        false => known.get(usize::from(chunks[0])).copied().unwrap_or("another chunk"),
    })
}

/// How many packets of a protocol came in a state by one side.
fn protocol_met(tally: &Tally, protocol: &str, place: &str) -> u64 {
    let there = tally
        .0
        .iter()
        .filter(|((of, name), _)| *of == protocol && name.starts_with(place));
    there.map(|(_, count)| count).sum()
}

/// What of each protocol has not come. Nothing is kept from coming: conversations are led into each state, and then anything is said by either side.
pub(crate) fn never(tally: &Tally) -> Vec<String> {
    let mut lines = Vec::new();
    for protocol in PROTOCOLS {
        for state in protocol.states {
            for way in if *state == NONE { &['>'][..] } else { &['>', '<'] } {
                for kind in protocol.kinds {
                    let begins = format!("{state} {way} {kind}: ");
                    if tally
                        .0
                        .keys()
                        .any(|(of, name)| *of == protocol.name && name.starts_with(&begins))
                    {
                        continue;
                    }
                    let met = protocol_met(tally, protocol.name, &format!("{state} {way} "));
                    lines.push(format!(
                        "{} {state} {way} {kind}: by chance, {met} packets came there that way, and none was this",
                        protocol.name
                    ));
                }
            }
        }
    }
    lines
}
