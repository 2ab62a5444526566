//! Packets of one flow that follow one another, joined into one that stands for them all: what the kernel calls GRO, with its conditions, and that
//! [`cut`](super::cut) gives the very same packets back.

use super::offload::{checksum_place, headers_of};
use super::{ChecksumState, Offload};
use crate::base::protocol;
use crate::wire::ipv4::{Ipv4, MIN_HEADER};
use crate::wire::tcp::flags;
use crate::wire::{be16, be32, checksum, put16};

/// A packet to which others may be joined yet.
#[derive(Debug)]
pub struct Joined {
    bytes: Vec<u8>,
    offload: Offload,
    headers: usize,
    /// Of its first packet's data.
    segment_size: usize,
    count: u16,
    /// The last was shorter, or said that more need not be waited for.
    is_closed: bool,
}

impl Joined {
    /// Takes the packet in exchange for an empty buffer, if others could be joined to it.
    pub fn begin(bytes: &mut Vec<u8>, offload: Offload) -> Option<Self> {
        let headers = joinable(bytes, offload)?;
        let segment_size = bytes.len() - headers;
        let is_last = bytes[MIN_HEADER + 13] & LAST != 0;
        // Its checksum is looked at only once another comes.
        (!is_last).then(|| Self {
            bytes: std::mem::take(bytes),
            offload,
            headers,
            segment_size,
            count: 1,
            is_closed: false,
        })
    }

    /// Whether a packet is of the same flow, so that it may not overtake this one.
    pub fn is_of_flow_of(&self, bytes: &[u8]) -> bool {
        let ends = MIN_HEADER + 4;
        bytes.len() >= ends
            && bytes[0] == self.bytes[0]
            && bytes[9] == self.bytes[9]
            && bytes[12..ends] == self.bytes[12..ends]
    }

    /// Joins the next packet to it, or says false.
    pub fn join(&mut self, bytes: &[u8], offload: Offload) -> bool {
        if self.is_closed || !self.is_followed_by(bytes) || self.bytes.len() + bytes.len() > LARGEST {
            return false;
        }
        let Some(headers) = joinable(bytes, offload).filter(|it| *it == self.headers) else {
            return false;
        };
        let data = &bytes[headers..];
        if data.len() > self.segment_size
            || !is_summed(bytes, offload)
            || self.count == 1 && !is_summed(&self.bytes, self.offload)
        {
            return false;
        }
        self.bytes.extend_from_slice(data);
        self.count += 1;
        let last = bytes[MIN_HEADER + 13] & LAST;
        self.bytes[MIN_HEADER + 13] |= last;
        self.is_closed = data.len() < self.segment_size || last != 0;
        true
    }

    /// Nothing more can be joined to it.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// How many packets it stands for.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The packet, and what is left to do of it.
    pub fn finish(mut self) -> (Vec<u8>, Offload) {
        if self.count == 1 {
            return (self.bytes, self.offload);
        }
        let length = self.bytes.len();
        let mut sum = 0;
        if let Ok(mut header) = Ipv4::new(&mut self.bytes[..]) {
            header.set_total_length(length as u16);
            header.fill_checksum();
            let (source, destination) = (header.source().into(), header.destination().into());
            sum = checksum::pseudo_header(source, destination, header.protocol(), length - MIN_HEADER);
        }
        put16(&mut self.bytes, MIN_HEADER + 16, checksum::fold(sum));
        let offload = Offload {
            checksum: ChecksumState::Partial,
            segment_size: self.segment_size as u16,
            ecn: false,
        };
        (self.bytes, offload)
    }

    /// The same flow and headers, and where this one ends.
    fn is_followed_by(&self, next: &[u8]) -> bool {
        let own = &self.bytes[..];
        if next.len() <= self.headers || !self.is_of_flow_of(next) {
            return false;
        }
        let identification = be16(own, 4).wrapping_add(self.count);
        let is_alike = next[1] == own[1] && next[6..9] == own[6..9] && be16(next, 4) == identification;
        if !is_alike {
            return false;
        }
        let (own, next) = (&own[MIN_HEADER..self.headers], &next[MIN_HEADER..self.headers]);
        let sequence = be32(own, 4).wrapping_add((self.bytes.len() - self.headers) as u32);
        be32(next, 4) == sequence
            && next[8..13] == own[8..13]
            && (next[13] ^ own[13]) & !LAST == 0
            && next[14..16] == own[14..16]
            && next[18..] == own[18..]
    }
}

/// How long the headers of a packet are that may be one of several: a whole one of IPv4 without options, of TCP with data and nothing but ACK and
/// what may be the last one's. Datagrams that came by themselves leave so: a kernel that forwards them joins them only where an administrator
/// asked for it (`rx-udp-gro-forwarding`).
fn joinable(bytes: &[u8], offload: Offload) -> Option<usize> {
    if offload.segment_size != 0 || bytes.len() < MIN_HEADER + 14 || bytes[0] != 0x45 || bytes[9] != protocol::TCP {
        return None;
    }
    let is_plain = bytes[MIN_HEADER + 13] & !(LAST | flags::ECE) == flags::ACK;
    if !is_plain || usize::from(be16(bytes, 2)) != bytes.len() {
        return None;
    }
    headers_of(bytes).filter(|headers| bytes.len() > *headers)
}

/// Whether its checksums are right, as they will be taken to be from now on.
fn is_summed(bytes: &[u8], offload: Offload) -> bool {
    let Ok(header) = Ipv4::new(bytes) else {
        return false;
    };
    let (source, destination) = (header.source().into(), header.destination().into());
    header.checksum_is_right()
        && match offload.checksum {
            ChecksumState::Partial => checksum_place(bytes).is_some(),
            ChecksumState::Verified | ChecksumState::Unknown => {
                checksum::transport(source, destination, header.protocol(), header.payload()) == 0
            }
        }
}

/// What the last of several may say.
const LAST: u8 = flags::FIN | flags::PSH;
/// What a total length can say.
const LARGEST: usize = 65_535;
