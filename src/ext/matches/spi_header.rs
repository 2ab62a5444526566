//! The security parameters index in front of an IPsec header, for `-m esp` and `-m ipcomp`: a number of their own in a range.

use super::header::{Miss, header};
use super::numbers::{self, AskedNumbers};
use crate::packet::Packet;

/// The number in a header of at least so many bytes, if it is what was asked for.
pub(super) fn check(
    packet: &Packet,
    least: usize,
    read: fn(&[u8]) -> u32,
    asked: AskedNumbers,
) -> Result<(), Miss<u32>> {
    let found = header(packet, |bytes| (bytes.len() >= least).then(|| read(bytes)))?;
    match numbers::fits(asked, found) {
        true => Ok(()),
        false => Err(Miss::Has(found)),
    }
}
