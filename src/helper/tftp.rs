//! TFTP (RFC 1350): a request goes to the server's known port, and the server answers from any other.
//!
//! Seen on Linux 6.18: only the first two bytes of a datagram are looked at, whoever sent it, also of a flow's first one; what is expected is always the
//! answer to who opened the flow.

use std::time::Duration;

use super::announce::{Reading, Wish};
use super::parameter::Parameter;
use super::{Announces, DropReason, HeardWhat, Helper, HelperSpec, Sample};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, Direction, ExpectPolicy};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_tftp", "ip_conntrack_tftp"],
    nat_modules: &["nf_nat_tftp", "ip_nat_tftp"],
    parameters: &[Parameter::ports("ports of TFTP servers")],
    nat_parameters: &[],
    helpers: &[Helper {
        conntrack: ConntrackHelper {
            name: "tftp",
            families: &[Family::V4, Family::V6],
            protocol: protocol::UDP,
            ports: &[69],
            policies: &[ExpectPolicy {
                name: "",
                max_expected: 1,
                timeout: Duration::from_secs(300),
            }],
        },
        samples: SAMPLES,
        believes: false,
        lasts_as_told: false,
        read: run,
    }],
    about: "requests to read or to write a file, which are answered from another port",
};

const SAMPLES: &[Sample] = &[
    Sample {
        said: &[b"> \0\x01notes.txt\0octet\0"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:4000"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:4000"],
            written: b"\0\x01notes.txt\0octet\0",
        },
    },
    Sample {
        said: &[b"> \0\x02notes.txt\0octet\0"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:4000"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:4000"],
            written: b"\0\x02notes.txt\0octet\0",
        },
    },
    // Whoever says it.
    Sample {
        said: &[b"> \0\x05\0\0\0", b"< \0\x01"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:4000"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:4000"],
            written: b"\0\x01",
        },
    },
    Sample {
        said: &[b"> \0\x04\0\x01"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x01\x01notes.txt\0octet\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \0"],
        announces: Announces::Nothing,
    },
];

/// Reads a datagram.
fn run(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    let Some(operation) = reading.payload().first_chunk::<2>() else {
        return Ok(HeardWhat::NoData);
    };
    if ![READ, WRITE].contains(&u16::from_be_bytes(*operation)) {
        return Ok(HeardWhat::NoCommand);
    }
    let answer = reading.tuple(Direction::Reply);
    let wish = Wish {
        // Where NAT lies between, to the port that the client itself has.
        led_to: Some(reading.tuple(Direction::Original).source.id),
        announced_by: Some(Direction::Original),
        ..Wish::new(protocol::UDP, Some(answer.source.address), answer.destination)
    };
    Ok(HeardWhat::Announced(vec![reading.expect(&wish)?]))
}

const READ: u16 = 1;
const WRITE: u16 = 2;
