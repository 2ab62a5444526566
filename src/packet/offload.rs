//! What is left to do of a packet when a device hands it over: its checksum may be unfinished, and it may stand for many packets, which the
//! device that it leaves by cuts it into. Seen: to the kernel such a packet is one, with all its bytes, for rules, counters, tracking, NAT,
//! errors and copies; only where a segment of it would not fit the way out, or a queue holds it, it is cut before.

use super::{ChecksumState, Layout, Packet};
use crate::base::{Family, protocol};
use crate::wire::{be16, checksum, put16, tcp, udp};

/// What the device that a packet leaves by has to do yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// Of the transport.
    pub checksum: ChecksumState,
    /// How many bytes of data each segment has but the last. 0: it is one packet, as it is.
    pub segment_size: u16,
    /// Of a TCP packet: its device said that CWR is for the first segment alone. (Seen: it is cleared in the others, said or not.)
    pub ecn: bool,
}

/// Why a packet cannot be what its device says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSegments {
    /// It is neither TCP nor UDP, a fragment, or its transport header is cut short or contradicts its length.
    Transport,
    /// Nothing says where its checksum is to be summed.
    Checksum,
    /// More segments with so little data, or more datagrams, than any host sends.
    TooSmall,
}

impl Offload {
    /// True for a packet that needs nothing more.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.checksum != ChecksumState::Partial && self.segment_size == 0
    }
}

impl Packet {
    /// What is left to do of it.
    #[inline]
    pub fn offload(&self) -> Offload {
        Offload {
            checksum: self.checksum,
            segment_size: self.segment_size,
            ecn: self.ecn,
        }
    }

    /// Takes what the device says of the packet, if it can be true.
    pub fn set_offload(&mut self, offload: Offload) -> Result<(), NoSegments> {
        if offload.segment_size == 0 {
            self.checksum = offload.checksum;
            return Ok(());
        }
        let checked = offload.checked(&self.bytes, &self.layout())?;
        self.checksum = checked.checksum;
        self.segment_size = checked.segment_size;
        self.ecn = checked.ecn;
        Ok(())
    }

    /// The length of the largest packet that it will be on the wire.
    #[inline]
    pub fn largest_segment(&self) -> usize {
        match self.segment_size {
            0 => self.len(),
            _ => self.largest_of_many(),
        }
    }

    #[cold]
    fn largest_of_many(&self) -> usize {
        let headers = segment_headers(&self.bytes, &self.layout()).unwrap_or(self.network_header_length());
        self.len().min(headers + usize::from(self.segment_size))
    }

    /// Hands over the packets that this one stands for, or itself, each with its checksums finished.
    pub fn cut(mut self, emit: &mut dyn FnMut(Self)) {
        if self.segment_size == 0 {
            self.finish_checksum();
            return emit(self);
        }
        let size = self.segment_size;
        super::cut::cut(&self.bytes, size, &mut Vec::new(), &mut |bytes| {
            if let Ok(piece) = Self::parse(bytes.clone()) {
                emit(Self {
                    bytes: piece.bytes,
                    fragments: Vec::new(),
                    sender: self.sender.clone(),
                    checksum: ChecksumState::Verified,
                    segment_size: 0,
                    ecn: false,
                    ..self
                });
            }
        });
    }

    fn layout(&self) -> Layout {
        Layout {
            family: self.family,
            network_header: self.network_header,
            protocol: self.protocol,
            fragment_offset: self.fragment_offset,
            is_fragment: self.is_fragment,
            total: self.bytes.len(),
        }
    }
}

impl Offload {
    /// The same, where it can be true of this packet.
    fn checked(self, bytes: &[u8], layout: &Layout) -> Result<Self, NoSegments> {
        if self.segment_size == 0 {
            return Ok(self);
        }
        let headers = segment_headers(bytes, layout).ok_or(NoSegments::Transport)?;
        if self.checksum != ChecksumState::Partial {
            return Err(NoSegments::Checksum);
        }
        let (size, data) = (usize::from(self.segment_size), bytes.len() - headers);
        // Seen: the kernel takes no more datagrams at once, of whatever size.
        let has_bound = size < SMALLEST_SEGMENT || layout.protocol == protocol::UDP;
        if has_bound && data > size * MOST_SMALL_SEGMENTS {
            return Err(NoSegments::TooSmall);
        }
        // Seen: what fits into one segment is no more than that.
        let is_many = data > size;
        Ok(Self {
            segment_size: if is_many { self.segment_size } else { 0 },
            ecn: self.ecn && is_many,
            ..self
        })
    }

    /// The same, where it can be true of these bytes: for who hands a packet on that nobody looks into.
    pub fn of_bytes(self, bytes: &[u8]) -> Result<Self, NoSegments> {
        if self.segment_size == 0 {
            return Ok(Self { ecn: false, ..self });
        }
        let layout = Layout::of(bytes).map_err(|_| NoSegments::Transport)?;
        if layout.total != bytes.len() {
            return Err(NoSegments::Transport);
        }
        self.checked(bytes, &layout)
    }
}

/// How long the headers are, network and transport, that each segment of a packet begins with; `None` where there can be no segments.
pub(super) fn segment_headers(bytes: &[u8], layout: &Layout) -> Option<usize> {
    if layout.is_fragment {
        return None;
    }
    let network = usize::from(layout.network_header);
    let transport = bytes.get(network..layout.total)?;
    match layout.protocol {
        protocol::TCP => Some(network + tcp::Tcp::new(transport).ok()?.header_length()),
        protocol::UDP => {
            let is_whole = transport.len() >= udp::HEADER && usize::from(be16(transport, 4)) == transport.len();
            is_whole.then_some(network + udp::HEADER)
        }
        _ => None,
    }
}

/// Where the transport's checksum stands in a packet that a device may leave unfinished: where its summing begins, and how far behind that it is
/// written. `None` where it is none of those that this house finishes.
pub(crate) fn checksum_place(bytes: &[u8]) -> Option<(usize, usize)> {
    let layout = Layout::of(bytes).ok()?;
    let network = usize::from(layout.network_header);
    let (offset, least) = match layout.protocol {
        protocol::TCP => (16, tcp::MIN_HEADER),
        protocol::UDP => (6, udp::HEADER),
        _ => return None,
    };
    (!layout.is_fragment && layout.total >= network + least).then_some((network, offset))
}

/// Finishes the checksum of a packet of which only the pseudo-header is summed.
pub fn finish(bytes: &mut [u8]) {
    if let Some((start, offset)) = checksum_place(bytes) {
        // The field holds the pseudo-header's sum, and so is summed with the rest.
        let sum = checksum::of(&bytes[start..]);
        put16(bytes, start + offset, if sum == 0 { 0xffff } else { sum });
    }
}

/// Of each family: whether a packet is this one's TCP or its UDP.
pub(crate) fn transport_of(bytes: &[u8]) -> Option<(Family, u8)> {
    let layout = Layout::of(bytes).ok()?;
    Some((layout.family, layout.protocol))
}

/// The headers' length of these bytes as [`segment_headers`] has it.
pub(crate) fn headers_of(bytes: &[u8]) -> Option<usize> {
    segment_headers(bytes, &Layout::of(bytes).ok()?)
}

/// The least segment that TCP may be made to send (48 bytes) with the most options in it. A packet that stands for many smaller ones would only
/// keep the router busy.
const SMALLEST_SEGMENT: usize = 8;
/// A program may have datagrams of a single byte sent (`UDP_SEGMENT`), but no more of them at once.
const MOST_SMALL_SEGMENTS: usize = 128;

#[cfg(test)]
mod tests;
