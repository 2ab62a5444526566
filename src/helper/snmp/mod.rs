//! SNMP (RFC 1157): the router's own broadcast to all agents is answered by any; and the addresses in messages are those that the other end knows.
//!
//! Seen on Linux 6.18: under source NAT each value that is the address of who opened the flow becomes the one that it has outside, whichever way
//! the message goes; destination NAT writes nothing. Not written over are what comes from port 161 the first way and what goes to port 162 the other. What
//! cannot be read is dropped there, among it each trap of SNMP's first version. The kernel's NAT side brings `snmp_trap`; here it comes with the other.

#[cfg(test)]
mod kernel;
mod message;

use std::net::IpAddr;
use std::time::Duration;

use super::announce::Reading;
use super::parameter::{Parameter, Sets};
use super::{Announces, DropReason, HeardWhat, Helper, HelperSpec, Sample, broadcast};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, Direction, ExpectPolicy};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_snmp"],
    nat_modules: &["nf_nat_snmp_basic", "ip_nat_snmp_basic"],
    parameters: &[TIMEOUT],
    nat_parameters: &[],
    helpers: &[
        Helper {
            conntrack: ConntrackHelper {
                name: "snmp",
                families: &[Family::V4],
                protocol: protocol::UDP,
                ports: &[AGENT],
                policies: &[ExpectPolicy {
                    name: "",
                    max_expected: 1,
                    timeout: Duration::from_secs(30),
                }],
            },
            samples: OF_AGENTS,
            believes: false,
            lasts_as_told: false,
            read: |reading| {
                let lives = reading.number(&TIMEOUT);
                let heard = broadcast::expect_answers(reading, Duration::from_secs(lives.into()));
                match (write(reading)?, heard) {
                    (HeardWhat::NothingToWrite, heard) => Ok(heard),
                    (_, announced @ HeardWhat::Announced(_)) => Ok(announced),
                    (written, _) => Ok(written),
                }
            },
        },
        Helper {
            conntrack: ConntrackHelper {
                name: "snmp_trap",
                families: &[Family::V4],
                protocol: protocol::UDP,
                ports: &[MANAGER],
                policies: &[ExpectPolicy {
                    name: "",
                    max_expected: 0,
                    timeout: Duration::from_secs(180),
                }],
            },
            samples: OF_MANAGERS,
            believes: false,
            lasts_as_told: false,
            read: write,
        },
    ],
    about: "questions that the router itself broadcasts to agents, and under NAT the addresses in messages",
};

const TIMEOUT: Parameter = Parameter::number(
    "timeout",
    30,
    "for how many seconds answers to a broadcast are expected",
)
.setting(Sets::Lifetime);

const AGENT: u16 = 161;
const MANAGER: u16 = 162;

/// Writes the address outside where a message has that of who opened the flow.
fn write(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    let (direction, ports) = (reading.direction(), reading.packet.ports());
    let goes_untouched = match direction {
        Direction::Original => ports.is_some_and(|(source, _)| source == AGENT),
        Direction::Reply => ports.is_some_and(|(_, destination)| destination == MANAGER),
    };
    if goes_untouched || !reading.is_under_nat() {
        return Ok(HeardWhat::NothingToWrite);
    }
    let length = reading.packet.udp().map(|datagram| usize::from(datagram.length()));
    if length != Some(reading.packet.transport().len()) {
        return Err(DropReason::Length);
    }
    reading.lay_in_one_piece();
    let inside = reading.tuple(Direction::Original).source.address;
    let outside = reading.tuple(Direction::Reply).destination.address;
    let (IpAddr::V4(from), IpAddr::V4(to)) = (inside, outside) else {
        return Ok(HeardWhat::NothingToWrite);
    };
    if from == to {
        return Ok(HeardWhat::NothingToWrite);
    }
    let addresses = message::addresses(reading.payload()).ok_or(DropReason::Unreadable)?;
    let mut written = 0;
    for at in addresses {
        if reading.payload().get(at..at + 4) == Some(&from.octets()) {
            reading.write_address(at, to.octets());
            written += 1;
        }
    }
    Ok(HeardWhat::Wrote(written))
}

/// `public` asks for a variable, or answers, and the value is an address: 10.0.0.2 or what it is outside.
const REQUEST: &[u8] = b"> 0\x26\x02\x01\0\x04\x06public\xa0\x19\x02\x01\x07\x02\x01\0\x02\x01\0\x30\x0e0\x0c\x06\x04+\x06\x01\x02\x40\x04\x0a\0\0\x02";
const ANSWER: &[u8] = b"< 0\x26\x02\x01\0\x04\x06public\xa2\x19\x02\x01\x07\x02\x01\0\x02\x01\0\x30\x0e0\x0c\x06\x04+\x06\x01\x02\x40\x04\x0a\0\0\x02";

const OF_AGENTS: &[Sample] = &[
    Sample {
        said: &[REQUEST],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.0/24:161 > 10.0.0.2:4000"],
            under_nat: &["udp 192.0.2.0/24:161 > 192.0.2.1:4000"],
            written: b"0\x26\x02\x01\0\x04\x06public\xa0\x19\x02\x01\x07\x02\x01\0\x02\x01\0\x30\x0e0\x0c\x06\x04+\x06\x01\x02\x40\x04\xc0\0\x02\x01",
        },
    },
    Sample {
        said: &[REQUEST, ANSWER],
        announces: Announces::Written(Some(
            b"0\x26\x02\x01\0\x04\x06public\xa2\x19\x02\x01\x07\x02\x01\0\x02\x01\0\x30\x0e0\x0c\x06\x04+\x06\x01\x02\x40\x04\xc0\0\x02\x01",
        )),
    },
    // A third version is none that is read.
    Sample {
        said: &[REQUEST, b"< 0\x03\x02\x01\x03"],
        announces: Announces::Written(None),
    },
];

const OF_MANAGERS: &[Sample] = &[
    // A trap of the second version, behind a string of odd length, and what comes behind the message.
    Sample {
        said: &[b"> 0\x2b\x02\x01\x01\x04\x03own\xa7\x21\x02\x01\x07\x02\x01\0\x02\x01\0\x30\x160\x09\x06\x01+\x40\x04\x0a\0\0\x020\x09\x06\x01+\x40\x04\x0a\0\0\x03.."],
        announces: Announces::Written(Some(
            b"0\x2b\x02\x01\x01\x04\x03own\xa7\x21\x02\x01\x07\x02\x01\0\x02\x01\0\x30\x160\x09\x06\x01+\x40\x04\xc0\0\x02\x010\x09\x06\x01+\x40\x04\x0a\0\0\x03..",
        )),
    },
    // One of the first.
    Sample {
        said: &[b"> 0\x25\x02\x01\0\x04\x03own\xa4\x1b\x06\x01+\x40\x04\x0a\0\0\x02\x02\x01\x06\x02\x01\x01\x43\x01\x05\x30\x070\x05\x06\x01+\x05\0"],
        announces: Announces::Written(None),
    },
    Sample {
        said: &[b"> "],
        announces: Announces::Written(None),
    },
];
