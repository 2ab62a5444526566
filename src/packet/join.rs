//! Packets of one flow that follow one another, joined into one that stands for them all: what the kernel calls GRO, with its conditions, and that
//! [`cut`](super::cut) gives the very same packets back.

use std::net::IpAddr;
use std::ops::Range;

use super::offload::{checksum_place, headers_of};
use super::{ChecksumState, Offload};
use crate::base::{Family, protocol};
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::tcp::flags;
use crate::wire::{be16, be32, checksum, put16};

/// A packet to which others may be joined yet.
#[derive(Debug)]
pub struct Joined {
    bytes: Vec<u8>,
    offload: Offload,
    form: &'static Form,
    headers: usize,
    /// Of its first packet's data.
    segment_size: usize,
    count: u16,
    /// The last was shorter, or said that more need not be waited for.
    is_closed: bool,
}

/// Where in a packet without options or extension headers stands what tells flows apart.
#[derive(Debug)]
struct Form {
    family: Family,
    /// The network header's length.
    network: usize,
    length_at: usize,
    /// What the length there does not count.
    uncounted: usize,
    protocol_at: usize,
    /// Both addresses, and the ports behind them.
    ends: Range<usize>,
    /// What all have alike in the network header besides.
    alike: &'static [Range<usize>],
}

const OF_IPV4: Form = Form {
    family: Family::V4,
    network: ipv4::MIN_HEADER,
    length_at: 2,
    uncounted: 0,
    protocol_at: 9,
    ends: 12..24,
    // Type of service; DF and no fragment, time to live.
    alike: &[1..2, 6..9],
};

const OF_IPV6: Form = Form {
    family: Family::V6,
    network: ipv6::HEADER,
    length_at: 4,
    uncounted: ipv6::HEADER,
    protocol_at: 6,
    ends: 8..44,
    // Traffic class and flow label; hop limit.
    alike: &[0..4, 7..8],
};

impl Form {
    fn of(bytes: &[u8]) -> Option<&'static Self> {
        match bytes.first()? {
            0x45 => Some(&OF_IPV4),
            first if first >> 4 == 6 => Some(&OF_IPV6),
            _ => None,
        }
    }

    fn flags_at(&self) -> usize {
        self.network + 13
    }
}

impl Joined {
    /// Takes the packet in exchange for an empty buffer, if others could be joined to it.
    pub fn begin(bytes: &mut Vec<u8>, offload: Offload) -> Option<Self> {
        let (form, headers) = joinable(bytes, offload)?;
        let segment_size = bytes.len() - headers;
        let is_last = bytes[form.flags_at()] & LAST != 0;
        // Its checksum is looked at only once another comes.
        (!is_last).then(|| Self {
            bytes: std::mem::take(bytes),
            offload,
            form,
            headers,
            segment_size,
            count: 1,
            is_closed: false,
        })
    }

    /// Whether a packet is of the same flow, so that it may not overtake this one.
    pub fn is_of_flow_of(&self, bytes: &[u8]) -> bool {
        let (own, at) = (&self.bytes, self.form.protocol_at);
        let ends = self.form.ends.clone();
        bytes.len() >= ends.end
            && Form::of(bytes).is_some_and(|it| it.family == self.form.family)
            && bytes[at] == own[at]
            && bytes[ends.clone()] == own[ends]
    }

    /// Joins the next packet to it, or says false.
    pub fn join(&mut self, bytes: &[u8], offload: Offload) -> bool {
        if self.is_closed || !self.is_followed_by(bytes) || self.bytes.len() + bytes.len() > LARGEST {
            return false;
        }
        let Some((_, headers)) = joinable(bytes, offload).filter(|(_, headers)| *headers == self.headers) else {
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
        let flags_at = self.form.flags_at();
        let last = bytes[flags_at] & LAST;
        self.bytes[flags_at] |= last;
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
        let (length, network) = (self.bytes.len(), self.form.network);
        put16(
            &mut self.bytes,
            self.form.length_at,
            (length - self.form.uncounted) as u16,
        );
        if let Ok(mut header) = Ipv4::new(&mut self.bytes[..]) {
            header.fill_checksum();
        }
        if let Some((source, destination)) = ends_of(&self.bytes) {
            let sum = checksum::pseudo_header(source, destination, protocol::TCP, length - network);
            put16(&mut self.bytes, network + 16, checksum::fold(sum));
        }
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
        // Identifications count up.
        let follows = self.form.family == Family::V6 || be16(next, 4) == be16(own, 4).wrapping_add(self.count);
        if !follows || !self.form.alike.iter().all(|at| next[at.clone()] == own[at.clone()]) {
            return false;
        }
        let transport = self.form.network..self.headers;
        let (own, next) = (&own[transport.clone()], &next[transport]);
        let sequence = be32(own, 4).wrapping_add((self.bytes.len() - self.headers) as u32);
        be32(next, 4) == sequence
            && next[8..13] == own[8..13]
            && (next[13] ^ own[13]) & !LAST == 0
            && next[14..16] == own[14..16]
            && next[18..] == own[18..]
    }
}

/// How long the headers are of a packet that may be one of several, and its form: a whole one without options or extension headers, of TCP with data
/// and nothing but ACK and what may be the last one's. Datagrams that came by themselves leave so: a kernel that forwards them joins them only where an
/// administrator asked for it (`rx-udp-gro-forwarding`).
fn joinable(bytes: &[u8], offload: Offload) -> Option<(&'static Form, usize)> {
    let form = Form::of(bytes)?;
    if offload.segment_size != 0 || bytes.len() <= form.flags_at() || bytes[form.protocol_at] != protocol::TCP {
        return None;
    }
    let is_plain = bytes[form.flags_at()] & !(LAST | flags::ECE) == flags::ACK;
    if !is_plain || form.uncounted + usize::from(be16(bytes, form.length_at)) != bytes.len() {
        return None;
    }
    let headers = headers_of(bytes).filter(|headers| bytes.len() > *headers)?;
    Some((form, headers))
}

fn ends_of(bytes: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match Form::of(bytes)?.family {
        Family::V4 => Ipv4::new(bytes)
            .ok()
            .map(|it| (it.source().into(), it.destination().into())),
        Family::V6 => Ipv6::new(bytes)
            .ok()
            .map(|it| (it.source().into(), it.destination().into())),
    }
}

/// Whether its checksums are right, as they will be taken to be from now on.
fn is_summed(bytes: &[u8], offload: Offload) -> bool {
    let (Some(form), Some((source, destination))) = (Form::of(bytes), ends_of(bytes)) else {
        return false;
    };
    Ipv4::new(bytes).map_or(true, |it| it.checksum_is_right())
        && match offload.checksum {
            ChecksumState::Partial => checksum_place(bytes).is_some(),
            ChecksumState::Verified | ChecksumState::Unknown | ChecksumState::Wrong => {
                checksum::transport(source, destination, protocol::TCP, &bytes[form.network..]) == 0
            }
        }
}

/// What the last of several may say.
const LAST: u8 = flags::FIN | flags::PSH;
/// What a total length can say.
const LARGEST: usize = 65_535;
