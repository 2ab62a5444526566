//! SCTP (RFC 9260): named and told apart by its ports, rewritten by NAT; else tracked like a protocol that is no more than a number.

use std::time::Duration;

use super::key::{Key, Ports};
use super::samples::{flow, invalid};
use super::tool::{self, Asked, option};
use super::{TrackerSpec, generic};
use crate::base::protocol;
use crate::conntrack::settings::{Knob, knob};
use crate::packet::Packet;
use crate::wire::put32;

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "sctp",
    protocol: protocol::SCTP,
    is_the_kernels: true,
    key: Key::Ports(Ports {
        read: 0,
        quoted_checksum: None,
        finish: Some(fill_checksum),
    }),
    checked_first: false,
    joins: false,
    takes_over: false,
    knobs: &[
        knob("nf_conntrack_sctp_timeout_closed", |all| {
            Knob::Seconds(&mut all.protocols.sctp.timeout_closed)
        }),
        knob("nf_conntrack_sctp_timeout_cookie_echoed", |all| {
            Knob::Seconds(&mut all.protocols.sctp.timeout_cookie_echoed)
        }),
        knob("nf_conntrack_sctp_timeout_cookie_wait", |all| {
            Knob::Seconds(&mut all.protocols.sctp.timeout_cookie_wait)
        }),
        knob("nf_conntrack_sctp_timeout_established", |all| {
            Knob::Seconds(&mut all.protocols.sctp.timeout_established)
        }),
        knob("nf_conntrack_sctp_timeout_heartbeat_sent", |all| {
            Knob::Seconds(&mut all.protocols.sctp.timeout_heartbeat_sent)
        }),
        knob("nf_conntrack_sctp_timeout_shutdown_ack_sent", |all| {
            Knob::Seconds(&mut all.protocols.sctp.timeout_shutdown_ack_sent)
        }),
        knob("nf_conntrack_sctp_timeout_shutdown_recd", |all| {
            Knob::Seconds(&mut all.protocols.sctp.timeout_shutdown_recd)
        }),
        knob("nf_conntrack_sctp_timeout_shutdown_sent", |all| {
            Knob::Seconds(&mut all.protocols.sctp.timeout_shutdown_sent)
        }),
    ],
    options: &[tool::PORTS, &[option(&["state"], Asked::NotThere)]],
    samples: &[
        flow(
            &[0, 1, 0, 2, 9],
            "sport=1 dport=2",
            "sport=1 dport=2",
            "sport=2 dport=1",
        ),
        invalid(&[0, 1, 0], "the transport header is cut short"),
    ],
};

pub(crate) type State = generic::Generic;

/// `net.netfilter.nf_conntrack_sctp_*`: kept and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub timeout_closed: Duration,
    pub timeout_cookie_wait: Duration,
    pub timeout_cookie_echoed: Duration,
    pub timeout_established: Duration,
    pub timeout_shutdown_sent: Duration,
    pub timeout_shutdown_recd: Duration,
    pub timeout_shutdown_ack_sent: Duration,
    pub timeout_heartbeat_sent: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout_closed: Duration::from_secs(10),
            timeout_cookie_wait: Duration::from_secs(3),
            timeout_cookie_echoed: Duration::from_secs(3),
            timeout_established: Duration::from_secs(210),
            timeout_shutdown_sent: Duration::from_secs(3),
            timeout_shutdown_recd: Duration::from_secs(3),
            timeout_shutdown_ack_sent: Duration::from_secs(3),
            timeout_heartbeat_sent: Duration::from_secs(30),
        }
    }
}

/// CRC32c (RFC 9260, appendix A). It covers no addresses, but all of the packet, so it is made anew.
fn fill_checksum(packet: &mut Packet) {
    let transport = packet.transport_mut();
    if transport.len() < 12 {
        return;
    }
    put32(transport, 8, 0);
    let mut crc = u32::MAX;
    for &byte in &*transport {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    transport[8..12].copy_from_slice(&(!crc).to_le_bytes());
}
