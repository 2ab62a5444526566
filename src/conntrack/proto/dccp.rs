//! DCCP: this kernel has no tracker for it, so it is no more than a number; the `conntrack` tool knows its name, and prints ports of zero.

use std::fmt::{self, Write};

use super::key::{Key, OwnKey};
use super::samples::flow;
use super::tool::{self, Asked, option};
use super::{TrackerSpec, generic};
use crate::base::protocol;
use crate::conntrack::Tuple;
use crate::conntrack::policy::PolicyState;

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "dccp",
    protocol: protocol::DCCP,
    family: None,
    is_the_kernels: false,
    key: Key::Own(&Unread),
    checked_first: false,
    joins: true,
    checksum_logged: "bad checksum",
    takes_over: false,
    knobs: &[],
    policy: POLICY,
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

/// Those that `nfct` has times for, which the kernel does not take.
const POLICY: &[PolicyState] = &[
    refused("REQUEST"),
    refused("RESPOND"),
    refused("PARTOPEN"),
    refused("OPEN"),
    refused("CLOSEREQ"),
    refused("CLOSING"),
    refused("TIMEWAIT"),
];

const fn refused(name: &'static str) -> PolicyState {
    PolicyState::new(name, |all| &mut all.protocols.generic.timeout)
}

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
