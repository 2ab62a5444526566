//! SIP (RFC 3261): telephones register where they are called, and agree on calls whose media (RFC 4566, RFC 3264) go other ways.
//!
//! `text` and `sdp` find their way through a message as the kernel does; `message` decides by request and answer what it means, `registration` and
//! `media` expect what it announces, and `rewrite`, the NAT side, writes addresses over. `framing` finds the messages in a segment of TCP.

mod framing;
#[cfg(test)]
mod kernel;
mod media;
mod memory;
mod message;
mod registration;
mod rewrite;
mod samples;
mod sdp;
mod text;

use std::time::Duration;

use super::parameter::Parameter;
use super::{Helper, HelperSpec};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, ExpectPolicy};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_sip", "ip_conntrack_sip"],
    nat_modules: &["nf_nat_sip", "ip_nat_sip"],
    parameters: &[PORTS, TIMEOUT, DIRECT_SIGNALLING, DIRECT_MEDIA, EXTERNAL_MEDIA],
    nat_parameters: &[],
    helpers: &[
        Helper {
            conntrack: conntrack(protocol::UDP),
            samples: samples::OF_UDP,
            believes: false,
            lasts_as_told: true,
            read: framing::run_udp,
        },
        Helper {
            conntrack: conntrack(protocol::TCP),
            samples: samples::OF_TCP,
            believes: false,
            lasts_as_told: true,
            read: framing::run_tcp,
        },
    ],
    about: "calls of SIP: registration, INVITE, UPDATE, ACK, PRACK, BYE and their answers, sound, pictures and faxes",
};

const PORTS: Parameter = Parameter::ports("ports of SIP servers");
const TIMEOUT: Parameter = Parameter::number(
    "sip_timeout",
    3600,
    "seconds that a flow lives on from each message, since the next may take its time",
);
const DIRECT_SIGNALLING: Parameter = Parameter::flag(
    "sip_direct_signalling",
    true,
    "calls of a registered telephone come from its registrar only",
);
const DIRECT_MEDIA: Parameter = Parameter::flag(
    "sip_direct_media",
    true,
    "media come from the other end of the signalling only, and go to who says so",
);
const EXTERNAL_MEDIA: Parameter = Parameter::flag(
    "sip_external_media",
    false,
    "without sip_direct_media: nothing is expected for a host to which the router sends by the interface that the message leaves by",
);

const fn conntrack(protocol: u8) -> ConntrackHelper {
    ConntrackHelper {
        name: "sip",
        families: &[Family::V4, Family::V6],
        protocol,
        ports: &[PORT],
        policies: POLICIES,
    }
}

const POLICIES: &[ExpectPolicy] = &[
    policy("signalling", 1),
    policy("audio", 4),
    policy("video", 4),
    policy("image", 2),
];

const fn policy(name: &'static str, max_expected: u32) -> ExpectPolicy {
    ExpectPolicy {
        name,
        max_expected,
        timeout: Duration::from_secs(180),
    }
}

/// Where it is spoken, unless something else is said.
const PORT: u16 = 5060;
/// The class of calls; all others are of media.
const SIGNALLING: usize = 0;
const AUDIO: usize = 1;
const VIDEO: usize = 2;
const IMAGE: usize = 3;
