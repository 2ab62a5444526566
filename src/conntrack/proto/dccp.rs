//! DCCP: this kernel has no tracker for it, so it is no more than a number; the `conntrack` tool knows its name, and prints ports of zero.

use std::fmt::{self, Write};

use super::key::{Key, OwnKey};
use super::samples::flow;
use super::tool::{self, Asked, option};
use super::{TrackerSpec, generic};
use crate::base::protocol;
use crate::conntrack::Tuple;

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "dccp",
    protocol: protocol::DCCP,
    is_the_kernels: false,
    key: Key::Own(&Unread),
    checked_first: false,
    joins: true,
    checksum_logged: "bad checksum",
    takes_over: false,
    knobs: &[],
    options: &[
        tool::PORTS,
        &[
            option(&["state"], Asked::Words("Unknown DCCP state", STATES)),
            option(&["role"], Asked::Words("Unknown DCCP role", &["client", "server"])),
        ],
    ],
    samples: &[flow(&[0, 1, 0, 2, 9], "", "sport=0 dport=0", "")],
};

pub(crate) type State = generic::Generic;
pub(crate) type Settings = ();

/// What the tool knows them by; the kernel takes none and tells none.
const STATES: &[&str] = &[
    "NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID",
];

/// Ports that nobody reads.
#[derive(Debug)]
struct Unread;

impl OwnKey for Unread {
    fn read(&self, _transport: &[u8]) -> Option<(u16, u16)> {
        Some((0, 0))
    }

    fn write(&self, line: &mut String, tuple: &Tuple, from_kernel: bool) -> fmt::Result {
        match from_kernel {
            true => Ok(()),
            false => write!(line, "sport={} dport={} ", tuple.source.id, tuple.destination.id),
        }
    }
}
