//! TCP headers (RFC 9293) and their options.

use super::{Malformed, be16, be32, put16, put32};

/// A view of bytes that start with a TCP header whose data offset lies within them.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<T>(T);

pub const MIN_HEADER: usize = 20;
/// As much as the four bits of the data offset can say.
pub const MAX_HEADER: usize = 60;
pub const OPTION_MSS: u8 = 2;
/// Bytes of that option.
pub const MSS_LENGTH: usize = 4;

/// Where in a whole header the value of its first MSS option is. As the kernel walks who writes to it: END is an option like any other, and a
/// length of zero counts as one.
pub fn mss_at(header: &[u8]) -> Option<usize> {
    let mut at = MIN_HEADER;
    while at + MSS_LENGTH <= header.len() {
        let (kind, length) = (header[at], usize::from(header[at + 1]));
        if kind == OPTION_MSS && length == MSS_LENGTH {
            return Some(at + 2);
        }
        at += if kind <= NO_OPERATION { 1 } else { length.max(1) };
    }
    None
}

const NO_OPERATION: u8 = 1;

/// Sequence numbers wrap: `a` is before `b` when the way up from `a` is the shorter one.
#[inline]
pub fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

#[inline]
pub fn is_after(a: u32, b: u32) -> bool {
    is_before(b, a)
}

/// The bits of the flags byte.
pub mod flags {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
    pub const ECE: u8 = 0x40;
    pub const CWR: u8 = 0x80;
}

impl<T: AsRef<[u8]>> Tcp<T> {
    #[inline]
    pub fn new(bytes: T) -> Result<Self, Malformed> {
        let data = bytes.as_ref();
        if data.len() < MIN_HEADER {
            return Err(Malformed::Truncated);
        }
        let header = usize::from(data[12] >> 4) * 4;
        if header < MIN_HEADER || header > data.len() {
            return Err(Malformed::BadHeader);
        }
        Ok(Self(bytes))
    }

    #[inline]
    fn data(&self) -> &[u8] {
        self.0.as_ref()
    }

    pub fn source_port(&self) -> u16 {
        be16(self.data(), 0)
    }

    pub fn destination_port(&self) -> u16 {
        be16(self.data(), 2)
    }

    #[inline]
    pub fn sequence(&self) -> u32 {
        be32(self.data(), 4)
    }

    #[inline]
    pub fn acknowledgement(&self) -> u32 {
        be32(self.data(), 8)
    }

    /// Bytes.
    #[inline]
    pub fn header_length(&self) -> usize {
        usize::from(self.data()[12] >> 4) * 4
    }

    /// The four reserved bits between data offset and flags, in the low half.
    pub fn reserved(&self) -> u8 {
        self.data()[12] & 0x0f
    }

    #[inline]
    pub fn flags(&self) -> u8 {
        self.data()[13]
    }

    #[inline]
    pub fn has(&self, flags: u8) -> bool {
        self.flags() & flags == flags
    }

    #[inline]
    pub fn window(&self) -> u16 {
        be16(self.data(), 14)
    }

    pub fn checksum(&self) -> u16 {
        be16(self.data(), 16)
    }

    pub fn urgent_pointer(&self) -> u16 {
        be16(self.data(), 18)
    }

    /// The raw bytes of the options.
    #[inline]
    pub fn options_bytes(&self) -> &[u8] {
        &self.data()[MIN_HEADER..self.header_length()]
    }

    pub fn options(&self) -> Options<'_> {
        Options {
            rest: self.options_bytes(),
        }
    }

    pub fn payload(&self) -> &[u8] {
        &self.data()[self.header_length()..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Tcp<T> {
    fn data_mut(&mut self) -> &mut [u8] {
        self.0.as_mut()
    }

    pub fn set_source_port(&mut self, value: u16) {
        put16(self.data_mut(), 0, value);
    }

    pub fn set_destination_port(&mut self, value: u16) {
        put16(self.data_mut(), 2, value);
    }

    pub fn set_sequence(&mut self, value: u32) {
        put32(self.data_mut(), 4, value);
    }

    pub fn set_acknowledgement(&mut self, value: u32) {
        put32(self.data_mut(), 8, value);
    }

    pub fn set_checksum(&mut self, value: u16) {
        put16(self.data_mut(), 16, value);
    }
}

/// One option: its kind and its data (without kind and length bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOption<'a> {
    pub kind: u8,
    pub data: &'a [u8],
}

pub mod option {
    pub const END: u8 = 0;
    pub const NOP: u8 = 1;
    pub const MSS: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
    pub const TIMESTAMP: u8 = 8;
}

/// Walks options until END, the end of the header, or the first malformed one. NOPs are passed over.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = TcpOption<'a>;

    fn next(&mut self) -> Option<TcpOption<'a>> {
        loop {
            let (&kind, rest) = self.rest.split_first()?;
            match kind {
                option::END => return None,
                option::NOP => self.rest = rest,
                _ => {
                    let length = usize::from(*rest.first()?);
                    if length < 2 || length > self.rest.len() {
                        self.rest = &[];
                        return None;
                    }
                    let data = &self.rest[2..length];
                    self.rest = &self.rest[length..];
                    return Some(TcpOption { kind, data });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stop_at_the_first_bad_one() {
        let mut header = [0u8; 28];
        header[12] = 7 << 4;
        header[20..28].copy_from_slice(&[1, 2, 4, 5, 180, 3, 9, 7]);
        let tcp = Tcp::new(&header[..]).unwrap();
        let found: Vec<_> = tcp.options().collect();
        assert_eq!(
            found,
            [TcpOption {
                kind: 2,
                data: &[5, 180]
            }]
        );
    }

    #[test]
    fn data_offset_must_lie_in_the_bytes() {
        let mut header = [0u8; 20];
        header[12] = 6 << 4;
        assert_eq!(Tcp::new(&header[..]).err(), Some(Malformed::BadHeader));
        header[12] = 4 << 4;
        assert_eq!(Tcp::new(&header[..]).err(), Some(Malformed::BadHeader));
        header[12] = 5 << 4;
        assert!(Tcp::new(&header[..]).is_ok());
    }
}
