//! SANE's network protocol (sane-project.org's "SANE standard", Network Protocol): a client that starts a scan is told at which port the picture waits.
//!
//! Seen on Linux 6.18: only a segment of exactly eight octets is taken for a request, and it is SANE_NET_START by its first word. The segment with data that
//! comes the other way next is taken for the answer: a status of zero, and then a word of which the low half is the port. The connection is expected
//! as the client knows both ends, also where NAT lies between; there is no NAT side.

use std::time::Duration;

use super::announce::{Reading, Wish};
use super::parameter::Parameter;
use super::{Announces, DropReason, HeardWhat, Helper, HelperSpec, Sample};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, CtState, Direction, Endpoint, ExpectPolicy, HelperData};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_sane"],
    nat_modules: &[],
    parameters: &[Parameter::ports("ports of SANE daemons")],
    nat_parameters: &[],
    helpers: &[Helper {
        conntrack: ConntrackHelper {
            name: "sane",
            families: &[Family::V4, Family::V6],
            protocol: protocol::TCP,
            ports: &[6566],
            policies: &[ExpectPolicy {
                name: "",
                max_expected: 1,
                timeout: Duration::from_secs(300),
            }],
        },
        samples: SAMPLES,
        believes: true,
        lasts_as_told: false,
        read: run,
    }],
    about: "the answer to SANE_NET_START, which names the port of the picture",
};

const START: [u8; 4] = [0, 0, 0, 7];

fn run(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    if reading.tracking.state != Some(CtState::Established) {
        return Ok(HeardWhat::TooEarly);
    }
    let data = reading.payload();
    if data.is_empty() {
        return Ok(HeardWhat::NoData);
    }
    if reading.direction() == Direction::Original {
        if let Some((operation, [_, _, _, _])) = data.split_first_chunk::<4>() {
            let starts = *operation == START;
            reading.remember(|asked: &mut Asked| asked.to_start = starts);
        }
        return Ok(HeardWhat::NoCommand);
    }
    if !reading.remembered::<Asked>().to_start {
        return Ok(HeardWhat::NoCommand);
    }
    let answer = data.first_chunk::<8>().copied();
    reading.remember(|asked: &mut Asked| asked.to_start = false);
    let Some([0, 0, 0, 0, 0, 0, high, low]) = answer else {
        return Ok(HeardWhat::NoCommand);
    };
    let known = reading.tuple(Direction::Original);
    let to = Endpoint {
        id: u16::from_be_bytes([high, low]),
        ..known.destination
    };
    let wish = Wish {
        follows: false,
        ..Wish::new(protocol::TCP, Some(known.source.address), to)
    };
    Ok(HeardWhat::Announced(vec![reading.expect(&wish)?]))
}

/// What the client asked last.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    to_start: bool,
}

impl HelperData for Asked {
    fn copy(&self) -> Box<dyn HelperData> {
        Box::new(*self)
    }
}

const SAMPLES: &[Sample] = &[
    Sample {
        said: &[b"> \0\0\0\x07\0\0\0\0", b"< \0\0\0\0\0\0\x04\x01\0\0\x124"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.9:1025"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.9:1025"],
            written: b"\0\0\0\0\0\0\x04\x01\0\0\x124",
        },
    },
    // What is no request of eight octets counts for nothing.
    Sample {
        said: &[b"> \0\0\0\x07\0\0\0\x05", b"> x", b"< \0\0\0\0\0\0\x04\x01"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.9:1025"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.9:1025"],
            written: b"\0\0\0\0\0\0\x04\x01",
        },
    },
    // Another request, a longer one, one behind it, no request, a scan that does not start, an answer cut short, and a second one.
    Sample {
        said: &[b"> \0\0\0\x06\0\0\0\0", b"< \0\0\0\0\0\0\x04\x01"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \0\0\0\x07\0\0\0\0x", b"< \0\0\0\0\0\0\x04\x01"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[
            b"> \0\0\0\x07\0\0\0\0",
            b"> \0\0\0\x06\0\0\0\0",
            b"< \0\0\0\0\0\0\x04\x01",
        ],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"< \0\0\0\0\0\0\x04\x01"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \0\0\0\x07\0\0\0\0", b"< \0\0\0\x01\0\0\x04\x01"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \0\0\0\x07\0\0\0\0", b"< \0\0\0\0\0\x01\x04\x01"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[
            b"> \0\0\0\x07\0\0\0\0",
            b"< \0\0\0\0\0\0\x04",
            b"< \0\0\0\0\0\0\x04\x01",
        ],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[
            b"> \0\0\0\x07\0\0\0\0",
            b"< \0\0\0\0\0\0\x04\x01",
            b"< \0\0\0\0\0\0\x04\x02",
        ],
        announces: Announces::Nothing,
    },
];
