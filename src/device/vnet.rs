//! The header before each packet of a TUN with offload (`struct virtio_net_hdr`, ten bytes in the machine's order): what is left to do of the packet.
//!
//! What a host's kernel writes there is right; a program with a packet socket in a host can have others written. So everything it says is
//! held against the packet, and one that contradicts it is refused, as the kernel refuses what is written to a TUN (seen: EINVAL).

use crate::base::{Family, protocol};
use crate::packet::{ChecksumState, NoSegments, Offload, checksum_place, headers_of, transport_of};
use crate::wire::{checksum, put16};

/// Bytes of it.
pub(super) const LENGTH: usize = 10;

/// Why a packet is not what the header before it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOffload {
    /// There are not even the bytes of the header.
    #[error("the packet has no whole header before it")]
    Truncated,
    /// Its headers would be longer than all of it.
    #[error("its headers would be longer than the packet")]
    HeaderLength,
    /// The checksum lies behind its end.
    #[error("its checksum would lie behind its end")]
    ChecksumBeyond,
    /// It stands for many, and its checksum is elsewhere than its protocol's.
    #[error("it stands for many, and its checksum is not where its protocol has it")]
    ChecksumElsewhere,
    /// Segments of a kind that is not known, or that was not asked for.
    #[error("its segments are of no kind that was asked for")]
    Kind,
    /// Segments of a protocol that is not the packet's.
    #[error("its segments are of another protocol than the packet")]
    OtherProtocol,
    /// Segments without data.
    #[error("its segments would have no data")]
    NoSize,
    /// It cannot stand for many.
    #[error("it cannot be cut into what it stands for")]
    NoSegments(NoSegments),
}

/// What is left to do of a packet. A checksum that no protocol known here has at its place is finished in its bytes, as a device would.
pub(super) fn read(header: &[u8; LENGTH], packet: &mut [u8]) -> Result<Offload, BadOffload> {
    let [flags, kind, ..] = *header;
    let field = |at: usize| usize::from(u16::from_ne_bytes([header[at], header[at + 1]]));
    let (header_length, size, start, offset) = (field(2), field(4), field(6), field(8));
    if header_length > packet.len() {
        return Err(BadOffload::HeaderLength);
    }
    let mut offload = Offload::default();
    let is_segmented = kind != 0;
    if flags & NEEDS_CHECKSUM != 0 {
        if start + offset + 2 > packet.len() {
            return Err(BadOffload::ChecksumBeyond);
        }
        if checksum_place(packet) == Some((start, offset)) {
            offload.checksum = ChecksumState::Partial;
        } else if is_segmented {
            return Err(BadOffload::ChecksumElsewhere);
        } else {
            // The field is a part of what is summed, and has the sum of the pseudo-header in it.
            let sum = checksum::of(&packet[start..]);
            put16(packet, start + offset, if sum == 0 { 0xffff } else { sum });
        }
    } else if flags & CHECKSUM_IS_RIGHT != 0 {
        offload.checksum = ChecksumState::Verified;
    }
    if !is_segmented {
        return Ok(offload);
    }
    let is = transport_of(packet);
    let (is_kind, ecn) = match (kind & !ECN, kind & ECN != 0) {
        (TCP_OF_IPV4, ecn) => (is == Some((Family::V4, protocol::TCP)), ecn),
        (TCP_OF_IPV6, ecn) => (is == Some((Family::V6, protocol::TCP)), ecn),
        (UDP, false) => (is.is_some_and(|(_, it)| it == protocol::UDP), false),
        _ => return Err(BadOffload::Kind),
    };
    if !is_kind {
        return Err(BadOffload::OtherProtocol);
    }
    if size == 0 {
        return Err(BadOffload::NoSize);
    }
    offload.segment_size = size as u16;
    offload.ecn = ecn;
    offload.of_bytes(packet).map_err(BadOffload::NoSegments)
}

/// The header for a packet.
pub(super) fn write(packet: &[u8], offload: Offload) -> [u8; LENGTH] {
    let mut header = [0; LENGTH];
    if offload.is_done() {
        return header;
    }
    let mut set = |at: usize, value: usize| header[at..at + 2].copy_from_slice(&(value as u16).to_ne_bytes());
    let (mut flags, mut kind) = (0, 0);
    if offload.checksum == ChecksumState::Partial
        && let Some((start, offset)) = checksum_place(packet)
    {
        flags = NEEDS_CHECKSUM;
        set(6, start);
        set(8, offset);
    }
    if offload.segment_size != 0
        && let (Some(headers), Some(transport)) = (headers_of(packet), transport_of(packet))
    {
        kind = match transport {
            (_, protocol::UDP) => UDP,
            (Family::V4, _) => TCP_OF_IPV4,
            (Family::V6, _) => TCP_OF_IPV6,
        };
        if offload.ecn && kind != UDP {
            kind |= ECN;
        }
        // How much of it the receiving kernel keeps in one piece.
        set(2, headers);
        set(4, offload.segment_size.into());
    }
    header[0] = flags;
    header[1] = kind;
    header
}

const NEEDS_CHECKSUM: u8 = 1;
const CHECKSUM_IS_RIGHT: u8 = 2;
const TCP_OF_IPV4: u8 = 1;
const TCP_OF_IPV6: u8 = 4;
const UDP: u8 = 5;
const ECN: u8 = 0x80;

#[cfg(test)]
mod tests;
