//! What is looked at before any hook sees a packet.

use crate::net::DropReason;
use crate::packet::{Layout, Packet};
use crate::wire::ipv4::{Ipv4, MIN_HEADER};

/// The checks of the receive path, in the kernel's order. A packet that fails never reaches a table, and no counter of a rule moves.
#[inline]
pub(crate) fn sanity(bytes: &[u8]) -> Result<Layout, DropReason> {
    check(bytes)?;
    Layout::of(bytes).map_err(|_| DropReason::BadHeaderLength)
}

/// A packet as a program hands it to a raw socket: the total length is the host's to say, and nobody has read the options.
pub(crate) fn from_program(mut bytes: Vec<u8>) -> Result<Packet, DropReason> {
    let length = u16::try_from(bytes.len());
    if let (Ok(mut view), Ok(length)) = (Ipv4::new(&mut bytes[..]), length) {
        view.set_total_length(length);
    }
    let mut packet = Packet::parse(bytes).map_err(|_| DropReason::Truncated)?;
    packet.options_unread = true;
    Ok(packet)
}

fn check(bytes: &[u8]) -> Result<(), DropReason> {
    if bytes.len() < MIN_HEADER {
        return Err(DropReason::Truncated);
    }
    if bytes[0] >> 4 != 4 {
        return Err(DropReason::BadVersion);
    }
    if bytes[0] & 0x0f < 5 {
        return Err(DropReason::BadHeaderLength);
    }
    let Ok(header) = Ipv4::new(bytes) else {
        return Err(DropReason::Truncated);
    };
    if !header.checksum_is_right() {
        return Err(DropReason::BadHeaderChecksum);
    }
    let total = usize::from(header.total_length());
    if total > bytes.len() {
        return Err(DropReason::TotalLengthBeyondPacket);
    }
    if total < header.header_length() {
        return Err(DropReason::BadTotalLength);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net;
    use crate::net::example::udp;
    use crate::wire::put16;

    /// What was wrong with the packet, and the reason `skb:kfree_skb` named.
    #[test]
    fn in_the_order_of_the_kernel() {
        let good = udp("10.0.0.2", "192.0.2.9", 1).bytes();
        let with = |edit: &dyn Fn(&mut Vec<u8>), fix: bool| {
            let mut bytes = good.clone();
            edit(&mut bytes);
            if fix {
                Ipv4::new(&mut bytes[..]).unwrap().fill_checksum();
            }
            bytes
        };
        for (what, bytes, expected) in [
            ("good", good.clone(), None),
            ("10 bytes", good[..10].to_vec(), Some("IP_INHDR")),
            ("19 bytes", good[..19].to_vec(), Some("IP_INHDR")),
            ("header length 4", with(&|it| it[0] = 0x44, false), Some("IP_INHDR")),
            (
                "header length beyond",
                with(&|it| it[0] = 0x4f, false),
                Some("IP_INHDR"),
            ),
            ("checksum", with(&|it| it[10] ^= 1, false), Some("IP_CSUM")),
            (
                "total beyond",
                with(&|it| put16(it, 2, 100), true),
                Some("PKT_TOO_SMALL"),
            ),
            (
                "total beyond, bad checksum",
                with(&|it| put16(it, 2, 100), false),
                Some("IP_CSUM"),
            ),
            (
                "total below header",
                with(&|it| put16(it, 2, 19), true),
                Some("IP_INHDR"),
            ),
            ("total 0", with(&|it| put16(it, 2, 0), true), Some("IP_INHDR")),
            ("padding", with(&|it| it.extend([9; 4]), false), None),
            ("reserved bit", with(&|it| put16(it, 6, 0x8000), true), None),
        ] {
            let found = net::sanity(&bytes).err().map(DropReason::kernel_word);
            assert_eq!(found, expected, "{what}");
        }
    }
}
