//! ICQ, version 2 of its datagrams (as described in Magnus Ihse's "The ICQ Protocol", 0.91, 1998): a client tells the server at which port it waits, and
//! others connect to it there to talk, without the server.
//!
//! No kernel reads it, so this is built from that description and tried on conversations written from it. What is kept: CMD_LOGIN and CMD_KEEP_ALIVE of
//! version 2, whose datagrams are not scrambled. A login names a port and the client's address; from then on, and for some minutes after each sign of life,
//! any host may open connections to there (clients learn of one another from the server, so nobody knows who will). Under NAT the datagram gets the address
//! and a port that stand for it outside. Versions 3 to 5, whose datagrams are scrambled, and OSCAR, which later clients speak over TCP, are left as they are.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::announce::{Reading, Wish};
use super::{Announced, Announces, DropReason, HeardWhat, Helper, HelperSpec, Sample};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, Direction, Endpoint, ExpectPolicy, HelperData};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_icq", "ip_conntrack_icq"],
    nat_modules: &["nf_nat_icq", "ip_nat_icq"],
    parameters: &[],
    nat_parameters: &[],
    helpers: &[Helper {
        conntrack: ConntrackHelper {
            name: "icq",
            families: &[Family::V4],
            protocol: protocol::UDP,
            ports: &[4000],
            policies: &[ExpectPolicy {
                name: "",
                max_expected: 1,
                timeout: SIGN_OF_LIFE,
            }],
        },
        samples: SAMPLES,
        believes: false,
        lasts_as_told: false,
        read: run,
    }],
    about: "the port that a client of version 2 names when it logs in, and keeps by signs of life; built from a description, as no kernel reads it; versions 3 to 5, which scramble what they send, and OSCAR stay as they are",
};

/// A client says every two minutes that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(300);

fn run(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    let known = reading.remembered::<Waits>();
    if known.own != 0 {
        // What it announced is gone when the flow is.
        reading.lives_on(SIGN_OF_LIFE);
    }
    if reading.direction() == Direction::Reply {
        return Ok(HeardWhat::OtherWay);
    }
    let data = reading.payload();
    if data.is_empty() {
        return Ok(HeardWhat::NoData);
    }
    let Some(said) = read(data) else {
        return Ok(HeardWhat::NoCommand);
    };
    let ends = reading.ends();
    let (own, login) = match said {
        Said::IsAlive => (known.own, None),
        Said::Login { end, address_at } if end.address == ends.sender.source.address => (end.id, Some(address_at)),
        Said::Login { end, .. } => return Ok(HeardWhat::NamesAnother(end.address)),
    };
    if own == 0 {
        return Ok(HeardWhat::NoCommand);
    }
    let asked = if known.own == own { known.outside } else { own };
    let wish = Wish {
        permanent: true,
        led_to: Some(own),
        keeps_source: true,
        ..Wish::new(
            protocol::TCP,
            None,
            Endpoint {
                address: ends.answer.destination.address,
                id: asked,
            },
        )
    };
    let expected = match reading.is_under_nat() {
        true => reading.enter_near(&wish)?,
        false => reading.expect(&wish)?.expected,
    };
    let outside = expected.destination.id;
    reading.remember(|waits: &mut Waits| *waits = Waits { own, outside });
    reading.lives_on(SIGN_OF_LIFE);
    if let Some(address_at) = login
        && reading.is_under_nat()
        && let IpAddr::V4(address) = ends.answer.destination.address
    {
        reading.write(PORT_AT..PORT_AT + 2, &outside.to_le_bytes());
        reading.write(address_at..address_at + 4, &address.octets());
    }
    Ok(HeardWhat::Announced(vec![Announced {
        expected,
        from_mask: None,
        instead_of: (outside != own).then_some(own),
    }]))
}

/// Where the client waits, and which port stands for that outside. 0: it did not say.
#[derive(Clone, Copy, Debug, Default)]
struct Waits {
    own: u16,
    outside: u16,
}

impl HelperData for Waits {
    fn copy(&self) -> Box<dyn HelperData> {
        Box::new(*self)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    IsAlive,
    Login {
        end: Endpoint,
        /// Where the address stands.
        address_at: usize,
    },
}

/// Numbers have their low octet first; an address stands as in IP.
fn read(data: &[u8]) -> Option<Said> {
    let word = |at: usize| Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?));
    if word(0)? != VERSION || data.len() < HEADER {
        return None;
    }
    match word(2)? {
        KEEP_ALIVE => Some(Said::IsAlive),
        LOGIN => {
            let (port, rest_of_port) = (word(PORT_AT)?, word(PORT_AT + 2)?);
            // Behind the port the password, with its length, and four octets that never change.
            let address_at = PORT_AT + 6 + usize::from(word(PORT_AT + 4)?) + 4;
            let [a, b, c, d] = *data.get(address_at..)?.first_chunk()?;
            let end = Endpoint {
                address: Ipv4Addr::new(a, b, c, d).into(),
                id: port,
            };
            (port != 0 && rest_of_port == 0).then_some(Said::Login { end, address_at })
        }
        _ => None,
    }
}

const VERSION: u16 = 2;
/// Version, command, number, and who: the parameters follow.
const HEADER: usize = 10;
const PORT_AT: usize = HEADER;
const LOGIN: u16 = 1000;
const KEEP_ALIVE: u16 = 1070;

const SAMPLES: &[Sample] = &[
    Sample {
        said: &[b"> \x02\0\xe8\x03\x01\0@\xe2\x01\0\x01\x04\0\0\x07\0sesame\0x\0\0\0\x0a\0\0\x02\x04\0\0\0\0\x03\0\0\0\0\0\x98\0"],
        announces: Announces::Flows {
            plain: &["tcp any host > 10.0.0.2:1025"],
            under_nat: &["tcp any host > 192.0.2.1:1025"],
            written: b"\x02\0\xe8\x03\x01\0@\xe2\x01\0\x01\x04\0\0\x07\0sesame\0x\0\0\0\xc0\0\x02\x01\x04\0\0\0\0\x03\0\0\0\0\0\x98\0",
        },
    },
    // Still there.
    Sample {
        said: &[b"> \x02\0\xe8\x03\x01\0@\xe2\x01\0\x01\x04\0\0\x07\0sesame\0x\0\0\0\x0a\0\0\x02\x04\0\0\0\0\x03\0\0\0\0\0\x98\0", b"< \x02\0\x0a\0\x01\0@\xe2\x01\0", b"> \x02\0.\x04\x02\0@\xe2\x01\0"],
        announces: Announces::Flows {
            plain: &["tcp any host > 10.0.0.2:1025"],
            under_nat: &["tcp any host > 192.0.2.1:1025"],
            written: b"\x02\0.\x04\x02\0@\xe2\x01\0",
        },
    },
    // Alive, but never logged in; for another host; at no port, or none that there is; another version; a password beyond the end; the server.
    Sample {
        said: &[b"> \x02\0.\x04\x02\0@\xe2\x01\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x02\0\xe8\x03\x01\0@\xe2\x01\0\x01\x04\0\0\x07\0sesame\0x\0\0\0\x0a\0\0\x03\x04\0\0\0\0\x03\0\0\0\0\0\x98\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x02\0\xe8\x03\x01\0@\xe2\x01\0\0\0\0\0\x07\0sesame\0x\0\0\0\x0a\0\0\x02\x04\0\0\0\0\x03\0\0\0\0\0\x98\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x02\0\xe8\x03\x01\0@\xe2\x01\0\x01\x04\x01\0\x07\0sesame\0x\0\0\0\x0a\0\0\x02\x04\0\0\0\0\x03\0\0\0\0\0\x98\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x03\0\xe8\x03\x01\0@\xe2\x01\0\x01\x04\0\0\x07\0sesame\0x\0\0\0\x0a\0\0\x02\x04\0\0\0\0\x03\0\0\0\0\0\x98\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x02\0\xe8\x03\x01\0@\xe2\x01\0\x01\x04\0\0\xff\xffx"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x02\0\xe8\x03\x01\0@\xe2\x01\0\x01\x04\0\0\x07\0sesame\0x\0\0\0\x0a\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x02\0.\x04\x02\0@\xe2\x01\0", b"< \x02\0\xe8\x03\x01\0@\xe2\x01\0\x01\x04\0\0\x07\0sesame\0x\0\0\0\xc0\0\x02\x09\x04\0\0\0\0\x03\0\0\0\0\0\x98\0"],
        announces: Announces::Nothing,
    },
];
