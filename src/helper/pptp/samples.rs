//! Conversations of PPTP, with what they announce.

use super::super::{Announces, Sample};

macro_rules! message {
    ($whose:literal, $length:literal, $kind:literal, $begins:expr) => {{
        const WHOLE: [u8; 2 + $length] = message($whose, $kind, $begins);
        &WHOLE
    }};
}

/// A message of which what follows the beginning is zero.
const fn message<const LENGTH: usize>(whose: u8, kind: u8, begins: &[u8]) -> [u8; LENGTH] {
    let mut said = [0; LENGTH];
    let header = [
        whose,
        b' ',
        0,
        (LENGTH - 2) as u8,
        0,
        1,
        0x1a,
        0x2b,
        0x3c,
        0x4d,
        0,
        kind,
    ];
    let mut at = 0;
    while at < header.len() {
        said[at] = header[at];
        at += 1;
    }
    let mut at = 0;
    while at < begins.len() {
        said[14 + at] = begins[at];
        at += 1;
    }
    said
}

const SESSION: &[u8] = message!(b'>', 156, 1, &[1]);
const OPEN: &[u8] = message!(b'<', 156, 2, &[1, 0, 1]);
const CALL: &[u8] = message!(b'>', 168, 7, &[0x11, 0x11]);
const STANDS: &[u8] = message!(b'<', 32, 8, &[0x22, 0x22, 0x11, 0x11, 1]);
/// The same as the server says it who knows the client's call by the port of its connection: 4000.
const STANDS_OUTSIDE: &[u8] = message!(b'<', 32, 8, &[0x22, 0x22, 0x0f, 0xa0, 1]);
const OFFER: &[u8] = message!(b'<', 220, 9, &[0x33, 0x33]);
const ACCEPTED: &[u8] = message!(b'>', 24, 10, &[0x44, 0x44, 0x33, 0x33, 1]);
const CONNECTED: &[u8] = message!(b'<', 28, 11, &[0x44, 0x44]);

const fn payload(said: &'static [u8]) -> &'static [u8] {
    said.split_at(2).1
}

pub(super) const SAMPLES: &[Sample] = &[
    Sample {
        said: &[SESSION, OPEN, CALL],
        announces: Announces::Written(Some(payload(message!(b'>', 168, 7, &[0x0f, 0xa0])))),
    },
    // What the server says is about the client's call as it knows it.
    Sample {
        said: &[SESSION, OPEN, CALL, STANDS],
        announces: Announces::Flows {
            plain: &[
                "gre 10.0.0.2:4369 > 192.0.2.9:8738",
                "gre 192.0.2.9:8738 > 10.0.0.2:4369",
            ],
            under_nat: &[],
            written: payload(STANDS),
        },
    },
    Sample {
        said: &[SESSION, OPEN, CALL, STANDS_OUTSIDE],
        announces: Announces::Flows {
            plain: &[],
            under_nat: &[
                "gre 10.0.0.2:4369 > 192.0.2.9:8738",
                "gre 192.0.2.9:8738 > 192.0.2.1:4000",
            ],
            written: payload(STANDS),
        },
    },
    Sample {
        said: &[SESSION, OPEN, OFFER, ACCEPTED, CONNECTED],
        announces: Announces::Flows {
            plain: &[
                "gre 10.0.0.2:17476 > 192.0.2.9:13107",
                "gre 192.0.2.9:13107 > 10.0.0.2:17476",
            ],
            under_nat: &[
                "gre 10.0.0.2 > 192.0.2.9:13107",
                "gre 192.0.2.9:13107 > 192.0.2.1:17476",
            ],
            written: payload(message!(b'<', 28, 11, &[])),
        },
    },
    // Without a session, and not whole.
    Sample {
        said: &[CALL],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[SESSION, OPEN, CALL, message!(b'<', 31, 8, &[0x22, 0x22, 0x11, 0x11, 1])],
        announces: Announces::Nothing,
    },
];
