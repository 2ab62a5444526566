//! talk and ntalk (4.2BSD's and 4.3BSD's `protocols/talkd.h`): a caller asks the daemon of the called one's host, which tells the called one whose daemon
//! to ask in turn; and what that one answers is where to connect.
//!
//! No kernel of today reads it, so this is built from the structures that the protocol's header describes, and tried on conversations written from it and
//! between netkit's `talk` and `talkd` (`tests/e2e`):
//! - a request (LOOK_UP, ANNOUNCE and the others) holds two addresses of its sender: where the conversation will be, and where the answer to the request
//!   goes. Under NAT both become what they are outside. An ANNOUNCE opens one flow, of datagrams: from the host that was asked to the daemon at the sender's;
//! - an answer SUCCESS to a LOOK_UP holds the address at which the other one waits: one connection to there, from whoever asked, is opened.
//!
//! Nothing is opened for an address that is not the sender's own. The two forms differ in where things stand; both ports have the helper of their form.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::announce::{Ends, Reading, Wish};
use super::{Announced, Announces, DropReason, HeardWhat, Helper, HelperSpec, Sample};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, Direction, Endpoint, ExpectPolicy};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_talk", "ip_conntrack_talk"],
    nat_modules: &["nf_nat_talk", "ip_nat_talk"],
    parameters: &[],
    nat_parameters: &[],
    helpers: &[
        Helper {
            conntrack: ConntrackHelper {
                name: "talk",
                families: &[Family::V4],
                protocol: protocol::UDP,
                ports: &[517],
                policies: POLICIES,
            },
            samples: OF_TALK,
            believes: false,
            lasts_as_told: false,
            read: |reading| run(reading, &TALK),
        },
        Helper {
            conntrack: ConntrackHelper {
                name: "ntalk",
                families: &[Family::V4],
                protocol: protocol::UDP,
                ports: &[518],
                policies: POLICIES,
            },
            samples: OF_NTALK,
            believes: false,
            lasts_as_told: false,
            read: |reading| run(reading, &NTALK),
        },
    ],
    about: "who is called by ANNOUNCE and asks back, and where a LOOK_UP that succeeds says to connect; built from 4.3BSD's talkd.h, as no kernel reads it",
};

/// The daemon keeps an invitation for a minute, and the caller renews it every thirty seconds.
const INVITATION: Duration = Duration::from_secs(60);

const POLICIES: &[ExpectPolicy] = &[ExpectPolicy {
    name: "",
    max_expected: 4,
    timeout: INVITATION,
}];

/// Where things stand in one form of the protocol's messages.
struct Form {
    /// Of the helper, in the spec.
    helper: usize,
    port: u16,
    /// What a message begins with.
    version: Option<u8>,
    type_at: usize,
    request_length: usize,
    /// Where the conversation will be, and where the answer goes.
    address_at: usize,
    answer_to_at: usize,
    answer_length: usize,
    answer_at: usize,
    /// Where the called one waits.
    waits_at: usize,
}

static TALK: Form = Form {
    helper: 0,
    port: 517,
    version: None,
    type_at: 0,
    request_length: 76,
    address_at: 44,
    answer_to_at: 60,
    answer_length: 24,
    answer_at: 1,
    waits_at: 8,
};

static NTALK: Form = Form {
    helper: 1,
    port: 518,
    version: Some(1),
    type_at: 1,
    request_length: 84,
    address_at: 8,
    answer_to_at: 24,
    answer_length: 24,
    answer_at: 2,
    waits_at: 8,
};

const LOOK_UP: u8 = 1;
const LAST_TYPE: u8 = 3;
const ANNOUNCE: u8 = 3;
const SUCCESS: u8 = 0;

fn run(reading: &mut Reading<'_, '_>, form: &Form) -> Result<HeardWhat, DropReason> {
    let data = reading.payload();
    if data.is_empty() {
        return Ok(HeardWhat::NoData);
    }
    let Some(message) = read(data, reading.direction(), form) else {
        return Ok(HeardWhat::NoCommand);
    };
    // What it announced is gone when the flow is.
    reading.lives_on(INVITATION);
    let ends = reading.ends();
    match message {
        Message::Request {
            announces,
            address,
            answer_to,
        } => {
            let own = ends.sender.source.address;
            for (at, end) in [(form.address_at, address), (form.answer_to_at, answer_to)] {
                if let Some(end) = end.filter(|end| end.address == own && reading.is_under_nat()) {
                    // Where the request itself came from, it is known by the port that it has outside.
                    let port = match end == ends.sender.source {
                        true => ends.answer.destination.id,
                        false => end.id,
                    };
                    write(reading, at, outside(&ends, port));
                }
            }
            if !announces {
                return Ok(HeardWhat::NoCommand);
            }
            let Some(answer_to) = answer_to else {
                return Ok(HeardWhat::NoCommand);
            };
            if answer_to.address != own {
                return Ok(HeardWhat::NamesAnother(answer_to.address));
            }
            let wish = Wish {
                helper: Some(&SPEC.helpers[form.helper].conntrack),
                ..Wish::new(
                    protocol::UDP,
                    Some(ends.answer.source.address),
                    outside(&ends, form.port),
                )
            };
            Ok(HeardWhat::Announced(vec![reading.expect(&wish)?]))
        }
        Message::Found(end) => {
            if end.address != ends.sender.source.address {
                return Ok(HeardWhat::NamesAnother(end.address));
            }
            let wish = Wish::new(protocol::TCP, Some(ends.answer.source.address), outside(&ends, end.id));
            if !reading.is_under_nat() {
                return Ok(HeardWhat::Announced(vec![reading.expect(&wish)?]));
            }
            let expected = reading.enter_near(&wish)?;
            let port = expected.destination.id;
            write(reading, form.waits_at, outside(&ends, port));
            Ok(HeardWhat::Announced(vec![Announced {
                expected,
                from_mask: None,
                instead_of: (port != end.id).then_some(end.id),
            }]))
        }
    }
}

fn outside(ends: &Ends, port: u16) -> Endpoint {
    Endpoint {
        address: ends.answer.destination.address,
        id: port,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Request {
        announces: bool,
        address: Option<Endpoint>,
        answer_to: Option<Endpoint>,
    },
    /// The called one waits here.
    Found(Endpoint),
}

fn read(data: &[u8], direction: Direction, form: &Form) -> Option<Message> {
    if form.version.is_some_and(|version| data.first() != Some(&version)) {
        return None;
    }
    let kind = *data.get(form.type_at)?;
    match direction {
        Direction::Original if kind <= LAST_TYPE && data.len() >= form.request_length => Some(Message::Request {
            announces: kind == ANNOUNCE,
            address: socket_address(data, form.address_at),
            answer_to: socket_address(data, form.answer_to_at),
        }),
        Direction::Reply if kind == LOOK_UP && data.len() >= form.answer_length && data[form.answer_at] == SUCCESS => {
            let waits = socket_address(data, form.waits_at)?;
            (waits.id != 0).then_some(Message::Found(waits))
        }
        _ => None,
    }
}

/// A `sockaddr` of those days: the family in two octets, of either order or behind a length, then port and address.
fn socket_address(data: &[u8], at: usize) -> Option<Endpoint> {
    let [first, second, high, low, a, b, c, d] = *data.get(at..)?.first_chunk::<8>()?;
    matches!((first, second), (0 | 16, 2) | (2, 0)).then(|| Endpoint {
        address: Ipv4Addr::new(a, b, c, d).into(),
        id: u16::from_be_bytes([high, low]),
    })
}

fn write(reading: &mut Reading<'_, '_>, at: usize, end: Endpoint) {
    let IpAddr::V4(address) = end.address else { return };
    let mut bytes = [0; 6];
    bytes[..2].copy_from_slice(&end.id.to_be_bytes());
    bytes[2..].copy_from_slice(&address.octets());
    // Behind the family.
    reading.write(at + 2..at + 8, &bytes);
}

const OF_NTALK: &[Sample] = &[
    // The called one will ask back.
    Sample {
        said: &[b"> \x01\x03\0\0\0\0\0\x07\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\0\0camy\0\0\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:518"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:518"],
            written: b"\x01\x03\0\0\0\0\0\x07\0\x02\x07\xd0\xc0\0\x02\x01\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\xc0\0\x02\x01\0\0\0\0\0\0\0\0\0\0\0camy\0\0\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        },
    },
    // The called one waits.
    Sample {
        said: &[b"> \x01\x01\0\0\0\0\0\x07\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\0\0camy\0\0\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"< \x01\x01\0\0\0\0\0\x07\0\x02\x0b\xb8\xc0\0\x02\x09\0\0\0\0\0\0\0\0"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.9:3000"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.9:3000"],
            written: b"\x01\x01\0\0\0\0\0\x07\0\x02\x0b\xb8\xc0\0\x02\x09\0\0\0\0\0\0\0\0",
        },
    },
    // For another host, at no port, in vain, an answer to something else, and cut short.
    Sample {
        said: &[b"> \x01\x03\0\0\0\0\0\x07\0\x02\x07\xd0\x0a\0\0\x03\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x03\0\0\0\0\0\0\0\0\0\0\0camy\0\0\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x01\x01\0\0\0\0\0\x07\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\0\0camy\0\0\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"< \x01\x01\0\0\0\0\0\x07\0\x02\x0b\xb8\xc0\0\x02\x0a\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x01\x01\0\0\0\0\0\x07\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\0\0camy\0\0\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"< \x01\x01\0\0\0\0\0\x07\0\x02\0\0\xc0\0\x02\x09\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x01\x01\0\0\0\0\0\x07\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\0\0camy\0\0\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"< \x01\x01\x01\0\0\0\0\x07\0\x02\x0b\xb8\xc0\0\x02\x09\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x01\x03\0\0\0\0\0\x07\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\0\0camy\0\0\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"< \x01\x03\0\0\0\0\0\x07\0\x02\x0b\xb8\xc0\0\x02\x09\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x01\x03\0\0\0\0\0\x07\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\0\0camy\0\0\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    // Another version.
    Sample {
        said: &[b"> \x02\x03\0\0\0\0\0\x07\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\0\0camy\0\0\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
];

const OF_TALK: &[Sample] = &[
    // The called one will ask back.
    Sample {
        said: &[b"> \x03amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:517"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:517"],
            written: b"\x03amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x07\xd0\xc0\0\x02\x01\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\xc0\0\x02\x01\0\0\0\0\0\0\0\0",
        },
    },
    // The called one waits.
    Sample {
        said: &[b"> \x01amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0", b"< \x01\0\0\0\0\0\0\x07\0\x02\x0b\xb8\xc0\0\x02\x09\0\0\0\0\0\0\0\0"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.9:3000"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.9:3000"],
            written: b"\x01\0\0\0\0\0\0\x07\0\x02\x0b\xb8\xc0\0\x02\x09\0\0\0\0\0\0\0\0",
        },
    },
    // For another host, at no port, in vain, an answer to something else, and cut short.
    Sample {
        said: &[b"> \x03amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x07\xd0\x0a\0\0\x03\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x03\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x01amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0", b"< \x01\0\0\0\0\0\0\x07\0\x02\x0b\xb8\xc0\0\x02\x0a\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x01amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0", b"< \x01\0\0\0\0\0\0\x07\0\x02\0\0\xc0\0\x02\x09\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x01amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0", b"< \x01\x01\0\0\0\0\0\x07\0\x02\x0b\xb8\xc0\0\x02\x09\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x03amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0", b"< \x03\0\0\0\0\0\0\x07\0\x02\x0b\xb8\xc0\0\x02\x09\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x03amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
    // A sender of the other order of octets, and what is no address of IPv4.
    Sample {
        said: &[b"> \x03amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\x02\0\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:517"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:517"],
            written: b"\x03amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\x07\xd0\xc0\0\x02\x01\0\0\0\0\0\0\0\0\x02\0\x0f\xa0\xc0\0\x02\x01\0\0\0\0\0\0\0\0",
        },
    },
    Sample {
        said: &[b"> \x03amy\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0\0\x07\0\0\0c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a\x07\xd0\x0a\0\0\x02\0\0\0\0\0\0\0\0\0\x0a\x0f\xa0\x0a\0\0\x02\0\0\0\0\0\0\0\0"],
        announces: Announces::Nothing,
    },
];
