//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624); CRC32c, which SCTP has instead.

use std::net::IpAddr;

/// The ones' complement sum of `data`, not yet folded; an odd last byte counts as the high half of a word.
#[inline]
pub fn sum(data: &[u8]) -> u32 {
    // Ones' complement addition does not care about the width, only about the carries, nor (but for the result's) about the order of bytes: so
    // words are added as they lie, eight bytes at once, and what is left as if zeros followed.
    let (mut total, rest) = match data.len() {
        ..MANY => (0, data),
        _ => sum_of_many(data),
    };
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        total = add(total, u64::from_ne_bytes(*word));
    }
    if !rest.is_empty() {
        total = add(total, u64::from_ne_bytes(last_word(data, rest)));
    }
    let total = (total & 0xffff_ffff) + (total >> 32);
    let total = (total & 0xffff) + (total >> 16);
    let total = (total & 0xffff) + (total >> 16);
    let total = (total & 0xffff) + (total >> 16);
    u32::from((total as u16).to_be())
}

/// What is left of the data behind its last whole word, and zeros. A copy of so many bytes as are left would be a call.
#[inline]
fn last_word(data: &[u8], rest: &[u8]) -> [u8; 8] {
    match data.last_chunk::<8>() {
        Some(last) => (u64::from_le_bytes(*last) >> (8 * (8 - rest.len()))).to_le_bytes(),
        None => {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            word
        }
    }
}

#[inline]
fn add(one: u64, other: u64) -> u64 {
    let (sum, carries) = one.overflowing_add(other);
    sum + u64::from(carries)
}

/// Of all but the last bytes, which are given back: in columns that the compiler can make vectors of. Carries have 32 bits of room.
#[inline(never)]
fn sum_of_many(data: &[u8]) -> (u64, &[u8]) {
    let mut columns = [0u64; 4];
    let (chunks, rest) = data.as_chunks::<16>();
    for chunk in chunks {
        for (column, word) in columns.iter_mut().zip(chunk.as_chunks::<4>().0) {
            *column += u64::from(u32::from_ne_bytes(*word));
        }
    }
    (columns.iter().sum(), rest)
}

/// So many bytes are worth to be added in columns.
const MANY: usize = 256;

/// Folds a sum to 16 bits without complementing it.
#[inline]
pub fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Whether the checksum in a header of this length is.
#[inline]
pub(crate) fn is_right(header: &[u8; 20]) -> bool {
    let (words, last) = header.as_chunks::<4>();
    debug_assert!(last.is_empty());
    let total: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    // Not zero, as no header is: so it folds to all ones where it is right.
    let total = (total & 0xffff_ffff) + (total >> 32);
    let total = (total & 0xffff) + (total >> 16);
    let total = (total & 0xffff) + (total >> 16);
    total == 0xffff
}

/// The checksum of `data` with its checksum field zeroed, or zero when the field is right.
#[inline]
pub fn of(data: &[u8]) -> u16 {
    !fold(sum(data))
}

/// The unfolded sum of the pseudo-header that TCP and UDP add (RFC 793, RFC 8200).
#[inline]
pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u32 {
    let length = length as u32;
    address_sum(source) + address_sum(destination) + u32::from(protocol) + (length >> 16) + (length & 0xffff)
}

/// The checksum of a transport segment with its pseudo-header; zero when the field in it is right.
#[inline]
pub fn transport(source: IpAddr, destination: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    !fold(pseudo_header(source, destination, protocol, segment.len()) + u32::from(fold(sum(segment))))
}

/// RFC 1624, equation 3: the checksum after a word went from `old` to `new`.
#[inline]
pub fn update16(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(u32::from(!checksum) + u32::from(!old) + u32::from(new))
}

pub fn update32(checksum: u16, old: u32, new: u32) -> u16 {
    let halves = |word: u32| ((word >> 16) as u16, word as u16);
    let ((old_high, old_low), (new_high, new_low)) = (halves(old), halves(new));
    update16(update16(checksum, old_high, new_high), old_low, new_low)
}

/// The checksum after an address in what it covers went from `old` to `new`. Both are of one family.
#[inline]
pub fn update_address(checksum: u16, old: IpAddr, new: IpAddr) -> u16 {
    !fold(u32::from(!checksum) + difference(old, new))
}

/// What is added by that to what the checksum is the complement of.
#[inline]
pub(crate) fn difference(old: IpAddr, new: IpAddr) -> u32 {
    u32::from(!fold(address_sum(old))) + u32::from(fold(address_sum(new)))
}

#[inline]
fn address_sum(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => (v4.to_bits() >> 16) + (v4.to_bits() & 0xffff),
        IpAddr::V6(v6) => sum(&v6.octets()),
    }
}

/// CRC32c of pieces, one behind the other.
pub fn crc32c(pieces: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for piece in pieces {
        let mut chunks = piece.chunks_exact(8);
        for chunk in &mut chunks {
            let low = crc ^ u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
            let [a, b, c, d] = low.to_le_bytes();
            let ahead = [a, b, c, d, chunk[4], chunk[5], chunk[6], chunk[7]];
            crc = ahead
                .iter()
                .zip(CRC32C.iter().rev())
                .fold(0, |crc, (byte, table)| crc ^ table[usize::from(*byte)]);
        }
        for byte in chunks.remainder() {
            crc = (crc >> 8) ^ CRC32C[0][usize::from(crc as u8 ^ byte)];
        }
    }
    !crc
}

/// What a byte does to the remainder, and what it has done when so many more zeros have followed.
static CRC32C: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
};

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(data: &[u8]) -> u16 {
        let mut total = 0u64;
        for pair in data.chunks(2) {
            total += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
        }
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        !(total as u16)
    }

    #[test]
    fn whole_sums_equal_the_definition() {
        let mut random = crate::base::Random::new(3);
        for length in (0..200).chain(250..300).chain([4_095, 65_535]) {
            let data: Vec<u8> = (0..length)
                .map(|_| random.next_u32() as u8 | if length % 3 == 0 { 0xf0 } else { 0 })
                .collect();
            assert_eq!(of(&data), slow(&data), "length {length}");
        }
        assert_eq!(of(&[0xff; 64]), 0);
    }

    #[test]
    fn incremental_equals_whole() {
        let mut random = crate::base::Random::new(4);
        for _ in 0..2000 {
            let mut data: Vec<u8> = (0..40).map(|_| random.next_u32() as u8).collect();
            let before = of(&data);
            let at = (random.below(10) * 4) as usize;
            let old = crate::wire::be32(&data, at);
            let new = random.next_u32();
            crate::wire::put32(&mut data, at, new);
            let updated = update32(before, old, new);
            // 0x0000 and 0xffff are the same number in ones' complement.
            assert!(updated == of(&data) || (updated ^ of(&data)) == 0xffff);
        }
    }

    /// The examples of RFC 3720, B.4, and the same in pieces.
    #[test]
    fn crc32c_is_what_the_rfc_says() {
        let up: Vec<u8> = (0..32).collect();
        let down: Vec<u8> = (0..32).rev().collect();
        for (data, expected) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&up, 0x46dd_794e),
            (&down, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
        ] {
            for at in 0..data.len() {
                assert_eq!(crc32c(&[&data[..at], &data[at..]]), expected, "{data:?} in two at {at}");
            }
        }
    }
}
