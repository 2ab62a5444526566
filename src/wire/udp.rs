//! UDP headers (RFC 768).

use super::{Malformed, be16, put16};

/// A view of bytes that hold at least a UDP header. The length field is not checked.
#[derive(Clone, Copy, Debug)]
pub struct Udp<T>(T);

pub(crate) const HEADER: usize = 8;

impl<T: AsRef<[u8]>> Udp<T> {
    pub fn new(bytes: T) -> Result<Self, Malformed> {
        if bytes.as_ref().len() < HEADER {
            return Err(Malformed::Truncated);
        }
        Ok(Self(bytes))
    }

    fn data(&self) -> &[u8] {
        self.0.as_ref()
    }

    pub fn source_port(&self) -> u16 {
        be16(self.data(), 0)
    }

    pub fn destination_port(&self) -> u16 {
        be16(self.data(), 2)
    }

    /// Header and payload, as the header says.
    pub fn length(&self) -> u16 {
        be16(self.data(), 4)
    }

    /// Zero means that the sender made none.
    pub fn checksum(&self) -> u16 {
        be16(self.data(), 6)
    }

    pub fn payload(&self) -> &[u8] {
        &self.data()[HEADER..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Udp<T> {
    pub fn set_source_port(&mut self, value: u16) {
        put16(self.0.as_mut(), 0, value);
    }

    pub fn set_destination_port(&mut self, value: u16) {
        put16(self.0.as_mut(), 2, value);
    }

    pub fn set_length(&mut self, value: u16) {
        put16(self.0.as_mut(), 4, value);
    }

    pub fn set_checksum(&mut self, value: u16) {
        put16(self.0.as_mut(), 6, value);
    }
}
