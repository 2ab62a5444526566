//! UDP-Lite (RFC 3828): as UDP, but for what its checksum covers.

use std::convert::Infallible;
use std::time::Duration;

use super::samples::{flow, invalid};
use super::udp::{InvalidReason, PORTS, Udp};
use super::{ChecksumCheck, Fault, Known, Tracker, TrackerSpec, Verdict, tool};
use crate::base::protocol;
use crate::conntrack::{Direction, TrackContext, Tuple};
use crate::packet::Packet;
use crate::wire::{be16, checksum, udp};

/// Its timeouts are UDP's.
pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "udplite",
    protocol: protocol::UDPLITE,
    is_the_kernels: true,
    key: PORTS,
    checked_first: false,
    joins: true,
    takes_over: false,
    knobs: &[],
    options: &[tool::PORTS],
    samples: &[
        flow(
            &[3, 232, 0, 53, 0, 0, 1, 1],
            "sport=1000 dport=53",
            "sport=1000 dport=53",
            "sport=53 dport=1000",
        ),
        invalid(&[3, 232, 0, 53, 0, 8, 1], "the transport header is cut short"),
        invalid(&[3, 232, 0, 53, 0, 9, 1, 1], "the UDP length contradicts the packet"),
        invalid(&[3, 232, 0, 53, 0, 8, 0, 0], "the checksum is wrong"),
    ],
};

pub(crate) type State = UdpLite;
pub(crate) type Settings = ();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpLite(Udp);

impl Tracker for UdpLite {
    type Seen<'p> = ();
    type Invalid = InvalidReason;
    type Ignored = Infallible;

    /// UDP-Lite must have a checksum, over as many bytes as the coverage field says (0: all).
    ///
    /// Seen on Linux 6.18: the pseudo-header is summed with the protocol number of UDP, so UDP-Lite as the RFC has it is INVALID at
    /// PREROUTING while `nf_conntrack_checksum` is set; and of the length only the lower byte counts.
    #[inline]
    fn check(packet: &Packet, checksum: &mut ChecksumCheck) -> Result<(), Fault<InvalidReason>> {
        let datagram = packet.transport();
        if datagram.len() < udp::HEADER {
            return Err(Fault::Truncated);
        }
        let coverage = match usize::from(be16(datagram, 4)) {
            0 => datagram.len(),
            coverage => coverage,
        };
        if coverage < udp::HEADER || coverage > datagram.len() {
            return Err(Fault::Own(InvalidReason::Length));
        }
        if be16(datagram, 6) == 0 {
            return Err(Fault::Checksum);
        }
        checksum.verify(|| {
            let length = datagram.len() & 0xff;
            let pseudo = checksum::pseudo_header(packet.source(), packet.destination(), protocol::UDP, length);
            let covered = u32::from(checksum::fold(checksum::sum(&datagram[..coverage])));
            checksum::fold(pseudo + covered) == 0xffff
        })
    }

    #[inline]
    fn open(cx: &TrackContext<'_>, (): &(), _tuple: &Tuple) -> Result<(Self, Duration), InvalidReason> {
        let (udp, timeout) = Udp::begin(cx);
        Ok((Self(udp), timeout))
    }

    #[inline]
    fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        known: &Known<'_>,
        _direction: Direction,
        (): &(),
    ) -> Verdict<InvalidReason, Infallible> {
        self.0.go_on(cx, known)
    }
}
