//! Conversations that Linux 6.18 was seen to have, packet by packet (`associations.txt`).
//!
//! A line is a packet and what the kernel made of it:
//!
//! ```text
//! = name                                  a new conversation
//! DIRECTION TAG CHUNK... | CTSTATE STATE TAG/TAG LIFE STATUS ["LINE OF THE LOG"]
//! ? ...                                   the same, and then forgotten
//! ```
//!
//! `>` is the way of the side that spoke first. A chunk is `NAME[.FLAGS][:TAG]` or its number, all in hexadecimal but the number. The tags of
//! the flow are those of packets each way. LIFE is `+` where the flow lives anew from this packet, by the timeout of its state, else `=`. STATUS
//! is `r` (a reply was seen), `a` (assured), or `-`.

use super::*;
use crate::conntrack::proto::ProtocolState;
use crate::conntrack::testing::{self, A, B, Bench};
use crate::conntrack::{CtState, Reason, Status, Tracked};

const CONVERSATIONS: &str = include_str!("associations.txt");

#[test]
fn associations_go_as_on_the_kernel() {
    let (wrong, packets) = differences(CONVERSATIONS);
    assert!(wrong.is_empty(), "{} of {packets}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(packets > 900, "only {packets} packets were compared");
}

/// What differs, and how many packets were held against the kernel's.
fn differences(text: &str) -> (Vec<String>, usize) {
    let (mut wrong, mut packets, mut name) = (Vec::new(), 0, "");
    let (mut world, mut past) = (World::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
        } else if let Some(rest) = line.strip_prefix("= ") {
            name = rest;
            (world, past) = (World::new(), Vec::new());
        } else {
            packets += 1;
            let (what, expected) = line.split_once(" | ").unwrap();
            let got = match what.strip_prefix("? ") {
                Some(what) => World::after(&past).play(what),
                None => {
                    past.push(what);
                    world.play(what)
                }
            };
            if got != expected {
                wrong.push(format!(
                    "line {}, {name}: {what}\n  kernel {expected}\n  here   {got}",
                    number + 1
                ));
            }
        }
    }
    (wrong, packets)
}

struct World {
    bench: Bench,
    packets: u64,
}

impl World {
    fn new() -> Self {
        Self {
            bench: Bench::new(),
            packets: 0,
        }
    }

    fn after(past: &[&str]) -> Self {
        let mut world = Self::new();
        for what in past {
            world.play(what);
        }
        world
    }

    /// Each packet has timeouts of its own, so that it is seen whether it counts.
    fn play(&mut self, what: &str) -> String {
        self.packets += 1;
        let timeout = |at: u64| Duration::from_secs(1000 * self.packets + at * 100);
        self.bench.settings.protocols.sctp = Settings {
            timeout_closed: timeout(1),
            timeout_cookie_wait: timeout(2),
            timeout_cookie_echoed: timeout(3),
            timeout_established: timeout(4),
            timeout_shutdown_sent: timeout(5),
            timeout_shutdown_recd: timeout(6),
            timeout_shutdown_ack_sent: timeout(7),
            timeout_heartbeat_sent: timeout(8),
        };
        let mut words = what.split(' ');
        let forth = words.next() == Some(">");
        let tag = u32::from_str_radix(words.next().unwrap(), 16).unwrap();
        let (ports, from, to) = match forth {
            true => ([3, 232, 7, 208], A, B),
            false => ([7, 208, 3, 232], B, A),
        };
        let mut transport = [&ports[..], &tag.to_be_bytes(), &[0; 4]].concat();
        for word in words {
            transport.extend(written(word));
        }
        let mut packet = testing::packet(protocol::SCTP, from, to, &transport);
        let (tracked, mut tracking) = self.bench.track(&mut packet);
        let Tracked::Accept(reason) = tracked else {
            return format!("{tracked:?}");
        };
        self.bench
            .table
            .confirm(&self.bench.context(), &packet, &mut tracking)
            .unwrap();
        let state = match tracking.state_for_matching() {
            CtState::New => "NEW",
            CtState::Established => "EST",
            CtState::Invalid => "INV",
            other => other.name(),
        };
        let log = match reason {
            Reason::Invalid(_) => reason.log_line(protocol::SCTP),
            _ => None,
        };
        let log = log.map(|line| format!(" {:?}", line.trim_start_matches("nf_ct_proto_132: ")));
        format!("{state} {}{}", self.flow(), log.unwrap_or_default())
    }

    fn flow(&self) -> String {
        let all = self.bench.table.flows(self.bench.now);
        let Some(flow) = all.first() else {
            return "none".to_owned();
        };
        let state = flow.lock();
        let ProtocolState::Sctp(association) = &state.protocol else {
            panic!("another protocol");
        };
        let anew = self.bench.now + self.bench.settings.protocols.sctp.timeout_of(association.state);
        let status = [(Status::SEEN_REPLY, "r"), (Status::ASSURED, "a")]
            .map(|(bit, letter)| if state.status.has(bit) { letter } else { "" })
            .concat();
        format!(
            "{} {:x}/{:x} {} {}",
            association.state.name(),
            association.tags[0],
            association.tags[1],
            if state.deadline == anew { "+" } else { "=" },
            if status.is_empty() { "-" } else { &status },
        )
    }
}

fn written(word: &str) -> Vec<u8> {
    let (word, says) = word.split_once(':').unwrap_or((word, "0"));
    let (name, flags) = word.split_once('.').unwrap_or((word, "0"));
    let says = u32::from_str_radix(says, 16).unwrap();
    let init = [&says.to_be_bytes()[..], &[0, 0, 0xff, 0xff, 0, 10, 0, 10, 0, 0, 0, 1]].concat();
    let (kind, body): (u8, &[u8]) = match name {
        "D" => (chunk::DATA, b"xxxxxxxxxxxx"),
        "I" => (chunk::INIT, &init),
        "IA" => (chunk::INIT_ACK, &init),
        "SACK" => (chunk::SACK, b"xxxxxxxxxxxx"),
        "H" => (chunk::HEARTBEAT, b"xxxxxxxxxxxx"),
        "HA" => (chunk::HEARTBEAT_ACK, b"xxxxxxxxxxxx"),
        "AB" => (chunk::ABORT, b""),
        "SD" => (chunk::SHUTDOWN, b"abcd"),
        "SDA" => (chunk::SHUTDOWN_ACK, b""),
        "ERR" => (chunk::ERROR, b"xxxxxxxxxxxx"),
        "CE" => (chunk::COOKIE_ECHO, b"xxxxxxxxxxxx"),
        "CA" => (chunk::COOKIE_ACK, b""),
        "SDC" => (chunk::SHUTDOWN_COMPLETE, b""),
        number => (number.parse().unwrap(), b"xxxxxxxxxxxx"),
    };
    let flags = u8::from_str_radix(flags, 16).unwrap();
    [&[kind, flags, 0, body.len() as u8 + 4], body].concat()
}
