//! ICMP for IPv6: its name and its knob. In a packet of IPv4 it is no more than a number.

use std::time::Duration;

use super::key::Key;
use super::samples::flow;
use super::tool::{Asked, option};
use super::{TrackerSpec, generic};
use crate::base::protocol;
use crate::conntrack::policy::PolicyState;
use crate::conntrack::settings::{Knob, knob};

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "icmpv6",
    protocol: protocol::ICMPV6,
    is_the_kernels: true,
    key: Key::Nothing,
    checked_first: false,
    joins: false,
    checksum_logged: "bad checksum",
    takes_over: false,
    knobs: &[knob("nf_conntrack_icmpv6_timeout", |all| {
        Knob::Seconds(&mut all.protocols.icmpv6.timeout)
    })],
    policy: &[PolicyState::new("TIMEOUT", |all| &mut all.protocols.icmpv6.timeout)],
    options: &[&[
        option(&["icmpv6-type"], Asked::NotThere),
        option(&["icmpv6-code"], Asked::NotThere),
        option(&["icmpv6-id"], Asked::NotThere),
    ]],
    samples: &[flow(&[128, 0, 0, 0, 0, 7, 0, 1], "", "", "")],
};

pub(crate) type State = generic::Generic;

/// `net.netfilter.nf_conntrack_icmpv6_timeout`: kept and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
        }
    }
}
