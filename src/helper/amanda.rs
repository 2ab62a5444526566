//! Amanda's backups: the client that is to be saved answers on which TCP ports it waits for the server's data, messages, index and state.
//!
//! (The one that asks is the flow's client; Amanda itself calls it the server.) Seen on Linux 6.18: only what answers is read; between `CONNECT ` and the end
//! of that line each of four words is looked for, wherever it stands, and five digits behind it at most.

use std::ops::Range;
use std::time::Duration;

use super::announce::{Reading, Wish};
use super::parameter::{Parameter, Takes};
use super::{Announced, Announces, DropReason, HeardWhat, Helper, HelperSpec, Sample};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, Direction, Endpoint, ExpectPolicy};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_amanda", "ip_conntrack_amanda"],
    nat_modules: &["nf_nat_amanda", "ip_nat_amanda"],
    parameters: &[MASTER_TIMEOUT, SEARCH],
    nat_parameters: &[],
    helpers: &[Helper {
        conntrack: ConntrackHelper {
            name: "amanda",
            families: &[Family::V4, Family::V6],
            protocol: protocol::UDP,
            ports: &[10080],
            policies: &[ExpectPolicy {
                name: "",
                max_expected: 4,
                timeout: Duration::from_secs(180),
            }],
        },
        samples: SAMPLES,
        believes: false,
        lasts_as_told: false,
        read: run,
    }],
    about: "the ports that an answer names behind CONNECT, for DATA, MESG, INDEX and STATE",
};

const MASTER_TIMEOUT: Parameter = Parameter::number(
    "master_timeout",
    300,
    "seconds that a flow lives on from each answer, since the next may take its time",
);
const SEARCH: Parameter = Parameter::new(
    "ts_algo",
    Takes::Word(&["kmp", "bm", "fsm"]),
    "how the kernel looks for words; nothing here depends on it",
);

const SAMPLES: &[Sample] = &[
    Sample {
        said: &[
            b"> Amanda 2.6 REQ HANDLE 00-1 SEQ 2\nSERVICE sendbackup\n",
            b"< Amanda 2.6 REP HANDLE 00-1 SEQ 2\nCONNECT DATA 1025 MESG 1026 INDEX 1027\n",
        ],
        announces: Announces::Flows {
            plain: &[
                "tcp 10.0.0.2 > 192.0.2.9:1025",
                "tcp 10.0.0.2 > 192.0.2.9:1026",
                "tcp 10.0.0.2 > 192.0.2.9:1027",
            ],
            under_nat: &[
                "tcp 10.0.0.2 > 192.0.2.9:1025",
                "tcp 10.0.0.2 > 192.0.2.9:1026",
                "tcp 10.0.0.2 > 192.0.2.9:1027",
            ],
            written: b"Amanda 2.6 REP HANDLE 00-1 SEQ 2\nCONNECT DATA 1025 MESG 1026 INDEX 1027\n",
        },
    },
    // Behind a sixth digit nobody looks, and a number is written as it was read.
    Sample {
        said: &[b"> x", b"< CONNECT STATE 00123 DATA 123456\n"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.9:12345", "tcp 10.0.0.2 > 192.0.2.9:123"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.9:12345", "tcp 10.0.0.2 > 192.0.2.9:123"],
            written: b"CONNECT STATE 123 DATA 123456\n",
        },
    },
    Sample {
        said: &[b"> CONNECT DATA 1025\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> x", b"< CONNECT DATA 1025"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> x", b"< CONNECT DATA none MESG 1026\n"],
        announces: Announces::Nothing,
    },
];

/// Reads a datagram.
fn run(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    if reading.direction() == Direction::Original {
        return Ok(HeardWhat::OtherWay);
    }
    let lives_on = reading.number(&MASTER_TIMEOUT);
    reading.lives_on(Duration::from_secs(lives_on.into()));
    let data = reading.payload();
    if data.is_empty() {
        return Ok(HeardWhat::NoData);
    }
    let Some(start) = find(data, b"CONNECT ") else {
        return Ok(HeardWhat::NoCommand);
    };
    let start = start + b"CONNECT ".len();
    let Some(line) = find(&data[start..], b"\n") else {
        return Ok(HeardWhat::NoCommand);
    };
    // Seen: where NAT writes a longer number, what is behind it moves, and the end of what is looked at does not.
    let stop = start + line;
    let mut announced = Vec::new();
    let mut refused = None;
    for word in WORDS {
        let data = reading.payload();
        let searched = &data[start..stop.min(data.len())];
        let Some(found) = find(searched, word) else {
            continue;
        };
        let from = found + word.len();
        let digits = searched[from..].iter().take(MOST_DIGITS);
        let digits = digits.take_while(|byte| byte.is_ascii_digit()).count();
        let number = searched[from..from + digits].iter();
        let port = number.fold(0u32, |port, digit| port * 10 + u32::from(digit - b'0')) as u16;
        if port == 0 {
            break;
        }
        let named = start + from..start + from + digits;
        // Seen: what is refused drops the packet, and the other words are read all the same.
        match announce(reading, port, named) {
            Ok(one) => announced.push(one),
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    match refused {
        Some(why) => Err(why),
        None if announced.is_empty() => Ok(HeardWhat::NoCommand),
        None => Ok(HeardWhat::Announced(announced)),
    }
}

/// Who asked is going to call who answered, where it calls it now.
fn announce(reading: &mut Reading<'_, '_>, port: u16, named: Range<usize>) -> Result<Announced, DropReason> {
    let asked = reading.tuple(Direction::Original);
    let to = Endpoint {
        address: asked.destination.address,
        id: port,
    };
    let wish = Wish::new(protocol::TCP, Some(asked.source.address), to);
    reading.announce(&wish, named, |outside| outside.id.to_string())
}

fn find(data: &[u8], word: &[u8]) -> Option<usize> {
    data.windows(word.len()).position(|window| window == word)
}

const WORDS: [&[u8]; 4] = [b"DATA ", b"MESG ", b"INDEX ", b"STATE "];
const MOST_DIGITS: usize = 5;
