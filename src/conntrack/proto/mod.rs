//! Trackers: what each protocol makes of a packet of a flow.

pub mod gre;
mod icmp;
pub mod tcp;
mod udp;

use std::time::Duration;

use super::{Direction, FlowState, InvalidReason, Status, TrackContext, TrackStage, Tuple};
use crate::base::{Time, protocol};
use crate::packet::{ChecksumState, Packet};
use crate::wire::checksum;

/// What a tracker remembers of a flow.
#[derive(Clone, Debug)]
pub enum ProtocolState {
    Generic,
    Tcp(tcp::TcpTrack),
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
    /// It belongs to the flow, which does not live longer by it.
    Ignore(tcp::IgnoredReason),
    /// It belongs to the flow, which ends with it.
    Destroy,
    Invalid(InvalidReason),
    /// The flow is over, and the packet opens another.
    Again,
}

/// Checks that come before the packet's flow is looked for: lengths and, for arriving packets, the checksum.
pub(super) fn header_is_valid(cx: &TrackContext<'_>, packet: &mut Packet) -> Result<(), InvalidReason> {
    let verify =
        cx.stage == TrackStage::Prerouting && cx.settings.checksum && packet.checksum == ChecksumState::Unknown;
    match packet.protocol() {
        protocol::TCP => tcp_header_is_valid(packet, verify),
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

fn tcp_header_is_valid(packet: &mut Packet, verify: bool) -> Result<(), InvalidReason> {
    let transport = packet.transport();
    let header = tcp::header_is_valid(transport).map(drop);
    // The flags come last: of a packet with odd ones, too, it is known afterwards that its checksum is right.
    if let Err(why) = header
        && !matches!(why, tcp::InvalidReason::FlagCombination { .. })
    {
        return Err(InvalidReason::Tcp(why));
    }
    if verify {
        if checksum::transport(packet.source(), packet.destination(), protocol::TCP, transport) != 0 {
            return Err(InvalidReason::ChecksumWrong);
        }
        packet.checksum = ChecksumState::Verified;
    }
    header.map_err(InvalidReason::Tcp)
}

/// Why a packet has no tuple, or one without an answer.
pub(super) fn unreadable(packet: &Packet) -> InvalidReason {
    match packet.icmpv4() {
        Some(message) => InvalidReason::IcmpUnasked(message.kind()),
        None if packet.protocol() == protocol::GRE => InvalidReason::Gre(gre::InvalidReason::NotPpp),
        None => InvalidReason::HeaderTruncated,
    }
}

/// What a new flow remembers and how long it lives by its first packet, or why this packet opens none.
pub(super) fn open(
    cx: &TrackContext<'_>,
    packet: &Packet,
    tuple: &Tuple,
) -> Result<(ProtocolState, Duration), InvalidReason> {
    let settings = cx.settings;
    Ok(match tuple.protocol {
        protocol::TCP => {
            let segment = tcp::header_is_valid(packet.transport()).map_err(InvalidReason::Tcp)?;
            let track = tcp::TcpTrack::open(&segment, &settings.tcp).map_err(InvalidReason::Tcp)?;
            let timeout = track.opening_timeout(&settings.tcp);
            (ProtocolState::Tcp(track), timeout)
        }
        protocol::UDP | protocol::UDPLITE => {
            let stream_from = cx.now + udp::STREAM_AFTER;
            (ProtocolState::Udp { stream_from }, settings.udp_timeout)
        }
        protocol::ICMP => {
            icmp::open(tuple)?;
            (ProtocolState::Icmp, settings.icmp_timeout)
        }
        protocol::GRE => {
            let (timeout, stream_timeout) = (settings.gre_timeout, settings.gre_timeout_stream);
            (
                ProtocolState::Gre {
                    timeout,
                    stream_timeout,
                },
                timeout,
            )
        }
        _ => (ProtocolState::Generic, settings.generic_timeout),
    })
}

/// A packet of a flow after its first: refreshes the flow's deadline and its tracker's state.
pub(super) fn packet(cx: &TrackContext<'_>, state: &mut FlowState, direction: Direction, packet: &Packet) -> Verdict {
    let settings = cx.settings;
    let timeout = match &mut state.protocol {
        ProtocolState::Generic => settings.generic_timeout,
        ProtocolState::Icmp => settings.icmp_timeout,
        ProtocolState::Tcp(track) => {
            let segment = match tcp::header_is_valid(packet.transport()) {
                Ok(segment) => segment,
                Err(reason) => return Verdict::Invalid(InvalidReason::Tcp(reason)),
            };
            let (seen_reply, assured) = (state.status.has(Status::SEEN_REPLY), state.status.has(Status::ASSURED));
            let adjust = state.sequence.as_deref();
            match track.packet(direction, &segment, &settings.tcp, seen_reply, assured, adjust) {
                tcp::Outcome::Accept {
                    timeout,
                    became_assured,
                } => {
                    if became_assured {
                        state.status.set(Status::ASSURED);
                    }
                    timeout
                }
                tcp::Outcome::Ignore(reason) => return Verdict::Ignore(reason),
                tcp::Outcome::Invalid(reason) => return Verdict::Invalid(InvalidReason::Tcp(reason)),
                tcp::Outcome::InvalidAtTheEnd { reason, within } => {
                    state.end_within(cx.now, within);
                    return Verdict::Invalid(InvalidReason::Tcp(reason));
                }
                tcp::Outcome::Destroy => return Verdict::Destroy,
                tcp::Outcome::Again => return Verdict::Again,
            }
        }
        ProtocolState::Udp { stream_from } => {
            let stream = state.status.has(Status::SEEN_REPLY) && *stream_from < cx.now;
            if stream {
                state.status.set(Status::ASSURED);
                settings.udp_timeout_stream
            } else {
                settings.udp_timeout
            }
        }
        ProtocolState::Gre {
            timeout,
            stream_timeout,
        } => {
            if state.status.has(Status::SEEN_REPLY) {
                state.status.set(Status::ASSURED);
                *stream_timeout
            } else {
                *timeout
            }
        }
    };
    state.refresh(cx.now, timeout);
    Verdict::Accept
}
