//! Trackers: what each protocol makes of a packet of a flow.

pub mod gre;
mod icmp;
pub mod sctp;
pub mod tcp;
mod udp;

use std::time::Duration;

use super::{Direction, FlowState, InvalidReason, Status, TrackContext, TrackStage, Tuple};
use crate::base::{Time, protocol};
use crate::packet::{ChecksumState, Packet};

/// What a tracker remembers of a flow.
#[derive(Clone, Debug)]
pub enum ProtocolState {
    Generic,
    Icmp,
    /// UDP and UDP-Lite: from when on traffic in both directions counts as a stream.
    Udp {
        stream_from: Time,
    },
    /// GRE keeps the timeouts that were set when the flow began.
    Gre {
        timeout: Duration,
        stream_timeout: Duration,
    },
}

/// What a tracker made of a packet of its flow.
pub(super) enum Verdict {
    Accept,
    Invalid(InvalidReason),
    /// The flow is over, and the packet opens another.
    Again,
}

/// Checks that come before the packet's flow is looked for: lengths and, for arriving packets, the checksum.
pub(super) fn header_is_valid(cx: &TrackContext<'_>, packet: &mut Packet) -> Result<(), InvalidReason> {
    let verify =
        cx.stage == TrackStage::Prerouting && cx.settings.checksum && packet.checksum == ChecksumState::Unknown;
    match packet.protocol() {
        protocol::UDP => udp::header_is_valid(packet, verify),
        protocol::UDPLITE => udp::lite_header_is_valid(packet, verify),
        protocol::ICMP => icmp::header_is_valid(packet, verify),
        _ => return Ok(()),
    }?;
    if verify {
        packet.checksum = ChecksumState::Verified;
    }
    Ok(())
}

/// Why a packet has no tuple, or one without an answer.
pub(super) fn unreadable(packet: &Packet) -> InvalidReason {
    match packet.icmpv4() {
        Some(message) => InvalidReason::IcmpUnasked(message.kind()),
        None if packet.protocol() == protocol::GRE => InvalidReason::Gre(gre::InvalidReason::NotPpp),
        None => InvalidReason::HeaderTruncated,
    }
}

/// What a new flow remembers, or why this packet opens none.
pub(super) fn open(cx: &TrackContext<'_>, packet: &Packet, tuple: &Tuple) -> Result<ProtocolState, InvalidReason> {
    let _ = packet;
    Ok(match tuple.protocol {
        protocol::UDP | protocol::UDPLITE => ProtocolState::Udp {
            stream_from: cx.now + udp::STREAM_AFTER,
        },
        protocol::ICMP => {
            icmp::open(tuple)?;
            ProtocolState::Icmp
        }
        protocol::GRE => ProtocolState::Gre {
            timeout: cx.settings.gre_timeout,
            stream_timeout: cx.settings.gre_timeout_stream,
        },
        _ => ProtocolState::Generic,
    })
}

/// A packet of a flow, its first included: refreshes the flow's deadline and its tracker's state.
pub(super) fn packet(cx: &TrackContext<'_>, state: &mut FlowState, _direction: Direction, _packet: &Packet) -> Verdict {
    let timeout = match &state.protocol {
        ProtocolState::Generic => cx.settings.generic_timeout,
        ProtocolState::Icmp => cx.settings.icmp_timeout,
        ProtocolState::Udp { stream_from } => {
            let stream = state.status.has(Status::SEEN_REPLY) && *stream_from < cx.now;
            if stream {
                state.status.set(Status::ASSURED);
                cx.settings.udp_timeout_stream
            } else {
                cx.settings.udp_timeout
            }
        }
        ProtocolState::Gre {
            timeout,
            stream_timeout,
        } => {
            let (timeout, stream_timeout) = (*timeout, *stream_timeout);
            if state.status.has(Status::SEEN_REPLY) {
                state.status.set(Status::ASSURED);
                stream_timeout
            } else {
                timeout
            }
        }
    };
    state.refresh(cx.now, timeout);
    Verdict::Accept
}
