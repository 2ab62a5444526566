//! SCTP packets (RFC 9260): the common header, and the chunks behind it as whoever only passes them on sees them.

use super::{Malformed, be16, be32, checksum};

/// A view of bytes that hold at least the common header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sctp<'a>(&'a [u8]);

pub(crate) const HEADER: usize = 12;
const CHECKSUM: std::ops::Range<usize> = 8..HEADER;

/// Types of chunks.
pub(crate) mod chunk {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const INIT: u8 = 1;
    pub(crate) const INIT_ACK: u8 = 2;
    pub(crate) const SACK: u8 = 3;
    pub(crate) const HEARTBEAT: u8 = 4;
    pub(crate) const HEARTBEAT_ACK: u8 = 5;
    pub(crate) const ABORT: u8 = 6;
    pub(crate) const SHUTDOWN: u8 = 7;
    pub(crate) const SHUTDOWN_ACK: u8 = 8;
    pub(crate) const ERROR: u8 = 9;
    pub(crate) const COOKIE_ECHO: u8 = 10;
    pub(crate) const COOKIE_ACK: u8 = 11;
    pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;

    /// The T bit of ABORT and SHUTDOWN COMPLETE: the tag is the one that the sender was sent, for it has no other.
    pub(crate) const REFLECTED: u8 = 1;
}

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk<'a> {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// As its header says: with the header, without padding.
    pub(crate) length: u16,
    /// From its header to the end of the packet.
    bytes: &'a [u8],
}

impl<'a> Sctp<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() < HEADER {
            return Err(Malformed::Truncated);
        }
        Ok(Self(bytes))
    }

    /// What its receiver chose for the association, as it stands in every packet.
    pub(crate) fn tag(&self) -> u32 {
        be32(self.0, 4)
    }

    pub(crate) fn checksum_is_right(&self) -> bool {
        self.0[CHECKSUM] == checksum_of(self.0)
    }

    /// One after another as their lengths say, up to one whose header is not all there. A chunk of no length is the last one.
    pub(crate) fn chunks(&self) -> Chunks<'a> {
        Chunks {
            rest: &self.0[HEADER..],
        }
    }
}

impl Chunk<'_> {
    /// The tag that the sender of an INIT or INIT ACK chose; `None` where less is there than what each of them begins with.
    pub(crate) fn initiate_tag(&self) -> Option<u32> {
        (self.bytes.len() >= INIT_LEAST).then(|| be32(self.bytes, CHUNK_HEADER))
    }

    /// Its bytes that are there, and those behind it.
    pub(crate) fn there(&self) -> usize {
        self.bytes.len()
    }
}

const CHUNK_HEADER: usize = 4;
/// Header, tag, window, streams each way, first number.
pub(crate) const INIT_LEAST: usize = 20;

#[derive(Clone, Debug)]
pub(crate) struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let bytes = self.rest;
        if bytes.len() < CHUNK_HEADER {
            return None;
        }
        let length = be16(bytes, 2);
        let to_the_next = usize::from(length).next_multiple_of(4);
        self.rest = match length {
            0 => &[],
            _ => bytes.get(to_the_next..).unwrap_or_default(),
        };
        Some(Chunk {
            kind: bytes[0],
            flags: bytes[1],
            length,
            bytes,
        })
    }
}

/// The checksum as it stands in the header (CRC32c, RFC 9260, appendix A). It covers no addresses.
fn checksum_of(packet: &[u8]) -> [u8; 4] {
    let crc = checksum::crc32c(&[&packet[..CHECKSUM.start], &[0; 4], &packet[CHECKSUM.end..]]);
    crc.to_le_bytes()
}

/// Sums up the whole of it, where its common header is there.
pub(crate) fn fill_checksum(packet: &mut [u8]) {
    if packet.len() >= HEADER {
        let sum = checksum_of(packet);
        packet[CHECKSUM].copy_from_slice(&sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the kernel's own words about packets of odd lengths: what of a packet it took for a chunk.
    #[test]
    fn chunks_are_found_by_their_lengths() {
        let header = [0; HEADER];
        for (rest, expected) in [
            (&[][..], &[][..]),
            (&[7, 0, 0], &[]),
            (&[7, 1, 0, 4], &[(7, 1, 4)]),
            // Padded to four bytes, also the last one, whether its padding is there or not.
            (&[0, 3, 0, 5, 9, 0, 0, 0, 6, 0, 0, 4], &[(0, 3, 5), (6, 0, 4)]),
            (&[0, 3, 0, 5, 9, 6, 0, 0, 4], &[(0, 3, 5)]),
            // Shorter than its own header, longer than the packet, of no length.
            (&[0, 3, 0, 1, 6, 0, 0, 4], &[(0, 3, 1), (6, 0, 4)]),
            (&[0, 3, 1, 1, 6, 0, 0, 4], &[(0, 3, 257)]),
            (&[7, 0, 0, 0, 6, 0, 0, 4], &[(7, 0, 0)]),
            (&[0, 3, 0xff, 0xff], &[(0, 3, 65535)]),
        ] {
            let packet = [&header[..], rest].concat();
            let sctp = Sctp::new(&packet).unwrap();
            let found: Vec<_> = sctp.chunks().map(|it| (it.kind, it.flags, it.length)).collect();
            assert_eq!(found, expected, "{rest:?}");
        }
        assert!(Sctp::new(&header[..11]).is_err());
    }

    /// What its length says does not matter, but that the bytes are there.
    #[test]
    fn a_tag_is_read_where_an_init_is_whole() {
        let mut packet = [&[0; HEADER][..], &[1, 0, 0, 4, 0, 0, 0, 0x11], &[0; 12]].concat();
        let tag = |packet: &[u8]| Sctp::new(packet).unwrap().chunks().next().unwrap().initiate_tag();
        assert_eq!(tag(&packet), Some(0x11));
        packet.pop();
        assert_eq!(tag(&packet), None);
    }

    /// Taken from packets that the kernel let pass.
    #[test]
    fn checksums_are_the_kernels() {
        let mut packet = vec![0x13, 0x88, 7, 0xd0, 0, 0, 0, 0, 0x10, 0xbd, 0x38, 0x34];
        packet.extend([1, 0, 0, 20, 0, 0, 0, 0x11, 0, 0, 0xff, 0xff, 0, 10, 0, 10, 0, 0, 0, 1]);
        assert!(Sctp::new(&packet).unwrap().checksum_is_right());
        packet[8] ^= 1;
        assert!(!Sctp::new(&packet).unwrap().checksum_is_right());
        fill_checksum(&mut packet);
        assert_eq!(packet[CHECKSUM], [0x10, 0xbd, 0x38, 0x34]);
        let mut cut = packet[..11].to_vec();
        fill_checksum(&mut cut);
        assert_eq!(cut, packet[..11]);
    }
}
