//! Edits of a TCP segment's header that the kernel makes beyond addresses and ports, with the checksums that must follow.

use super::{ChecksumState, Packet};
use crate::base::{Family, protocol};
use crate::wire::tcp::{self, MIN_HEADER, Tcp};
use crate::wire::{be16, checksum, put16};

/// What became of a segment whose largest segment size was to be held down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MssEdit {
    /// What it says is no more, or there is no place to say it.
    Stays,
    /// The option said more, and says the most that was allowed now.
    Lowered,
    /// The option was put into a header that had none.
    Added,
    /// Its header is cut short, or contradicts its length.
    Malformed,
}

impl Packet {
    /// Lets a TCP segment ask for segments no larger than this. One that says nothing of it is understood to mean 536 bytes (IPv6: 1,220), and
    /// says no more than that afterwards; where data follow, or the header has no room left, it stays without.
    pub fn lower_mss(&mut self, most: u16) -> MssEdit {
        if self.protocol != protocol::TCP || self.fragment_offset != 0 {
            return MssEdit::Stays;
        }
        // Seen: the kernel wants to write to the whole of it before it looks.
        self.pull(self.transport().len());
        let Ok(header) = Tcp::new(self.transport()) else {
            return MssEdit::Malformed;
        };
        let length = header.header_length();
        if let Some(at) = tcp::mss_at(&self.transport()[..length]) {
            let value = be16(self.transport(), at);
            if value <= most {
                return MssEdit::Stays;
            }
            put16(self.transport_mut(), at, most);
            // Seen: also where the option stands at an odd place the sum is updated as if it stood at an even one, and is wrong then.
            self.follow_word(value, most);
            return MssEdit::Lowered;
        }
        if self.transport().len() > length || length >= tcp::MAX_HEADER {
            return MssEdit::Stays;
        }
        self.add_mss(most.min(unsaid_mss(self.family())));
        MssEdit::Added
    }

    /// Writes flags of a TCP header, those of `which`, to what they are in `to`. False where there is none of the shortest length. Seen: also what a later
    /// fragment begins with is taken for one, with a checksum in it that follows.
    pub fn set_tcp_flags(&mut self, which: u8, to: u8) -> bool {
        let Some(header) = self.transport().first_chunk::<MIN_HEADER>() else {
            return false;
        };
        let (before, sum) = (be16(header, 12), be16(header, CHECKSUM_AT));
        let after = before & !u16::from(which) | u16::from(to & which);
        if before != after {
            self.pull(MIN_HEADER);
            put16(self.transport_mut(), 12, after);
            if self.checksum != ChecksumState::Partial {
                let updated = checksum::update16(sum, before, after);
                put16(self.transport_mut(), CHECKSUM_AT, updated);
            }
        }
        true
    }

    fn add_mss(&mut self, mss: u16) {
        let start = usize::from(self.network_header);
        let [high, low] = mss.to_be_bytes();
        let option = [tcp::OPTION_MSS, tcp::MSS_LENGTH as u8, high, low];
        let before = self.transport().len() as u16;
        let at = start + MIN_HEADER;
        self.bytes.splice(at..at, option);
        self.fragments.clear();
        let words = be16(&self.bytes, start + 12);
        let longer = words + (1 << 12);
        put16(&mut self.bytes, start + 12, longer);
        self.follow_length(before);
        self.follow_word(0, be16(&option, 0));
        self.follow_word(0, mss);
        self.follow_word(words, longer);
        self.lengthen_header_field(tcp::MSS_LENGTH as u16);
    }

    /// The checksum of the segment, after a word of it changed. An unfinished one does not have it in it yet.
    fn follow_word(&mut self, old: u16, new: u16) {
        if self.checksum == ChecksumState::Partial {
            return;
        }
        if let Some(at) = self.pseudo_header_checksum_at() {
            let updated = checksum::update16(be16(&self.bytes, at), old, new);
            put16(&mut self.bytes, at, updated);
        }
    }

    /// The length stands in the pseudo-header, so an unfinished checksum follows too.
    fn follow_length(&mut self, before: u16) {
        let after = self.transport().len() as u16;
        let Some(at) = self.pseudo_header_checksum_at() else {
            return;
        };
        let field = be16(&self.bytes, at);
        let updated = match self.checksum {
            ChecksumState::Partial => !checksum::update16(!field, before, after),
            _ => checksum::update16(field, before, after),
        };
        put16(&mut self.bytes, at, updated);
    }
}

/// Where in its header the checksum of a segment stands.
const CHECKSUM_AT: usize = 16;

/// What one may send to a host that did not say how much it takes (RFC 9293, 3.7.1): what every network of the family carries, less 40 or 60
/// bytes of headers.
pub(crate) const fn unsaid_mss(family: Family) -> u16 {
    match family {
        Family::V4 => 536,
        Family::V6 => 1220,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Family;
    use crate::base::testing::host;
    use crate::packet::testing::tcp as segment;

    /// A SYN with these options and data, its checksum right.
    fn syn(options: &[u8], data: &[u8]) -> Packet {
        let mut packet = segment((host(Family::V4, 2), 40000), (host(Family::V4, 9), 80), b"");
        let mut transport = packet.transport()[..MIN_HEADER].to_vec();
        transport[12] = ((MIN_HEADER + options.len()) as u8 / 4) << 4;
        transport[13] = tcp::flags::SYN;
        put16(&mut transport, 16, 0);
        transport.extend_from_slice(options);
        transport.extend_from_slice(data);
        let sum = checksum::transport(packet.source(), packet.destination(), protocol::TCP, &transport);
        put16(&mut transport, 16, sum);
        packet.replace_transport(&transport);
        packet
    }

    fn is_right(packet: &Packet) -> bool {
        let sum = checksum::transport(packet.source(), packet.destination(), protocol::TCP, packet.transport());
        let length = packet.ipv4().map(|header| usize::from(header.total_length()));
        sum == 0 && packet.ipv4().is_some_and(|it| it.checksum_is_right()) && length == Some(packet.len())
    }

    #[test]
    fn an_option_is_lowered_or_added_and_the_sums_follow() {
        let full = [1; 40];
        for (options, data, most, edit, left) in [
            (&[2, 4, 5, 180][..], &b""[..], 1400, MssEdit::Lowered, Some(1400)),
            (&[2, 4, 5, 180], b"abc", 1400, MssEdit::Lowered, Some(1400)),
            (&[2, 4, 5, 180], b"", 1460, MssEdit::Stays, Some(1460)),
            (&[2, 4, 5, 180], b"", 9000, MssEdit::Stays, Some(1460)),
            (&[1, 1, 1, 1, 2, 4, 5, 180], b"", 1, MssEdit::Lowered, Some(1)),
            // END ends nothing here, and an option of no length counts as one byte.
            (&[0, 0, 5, 0, 2, 4, 5, 180], b"", 7, MssEdit::Lowered, Some(7)),
            (&[], b"", 1400, MssEdit::Added, Some(536)),
            (&[1, 1, 4, 2], b"", 300, MssEdit::Added, Some(300)),
            (&[], b"a", 300, MssEdit::Stays, None),
            (&full, b"", 300, MssEdit::Stays, None),
            (&full[..36], b"", 300, MssEdit::Added, Some(300)),
            // It begins inside the last option: no header ends so.
            (&[1, 1, 2, 4], b"", 300, MssEdit::Added, Some(300)),
        ] {
            let mut packet = syn(options, data);
            let before = packet.transport().len();
            assert_eq!(packet.lower_mss(most), edit, "{options:?}");
            let header = Tcp::new(packet.transport()).unwrap().header_length();
            let found = tcp::mss_at(&packet.transport()[..header]).map(|at| be16(packet.transport(), at));
            assert_eq!(found, left, "{options:?}");
            let grown = if edit == MssEdit::Added { 4 } else { 0 };
            assert_eq!(packet.transport().len(), before + grown);
            assert!(is_right(&packet), "{options:?}");
        }
    }

    #[test]
    fn an_unfinished_checksum_follows_the_length_alone() {
        for options in [&[][..], &[2, 4, 5, 180]] {
            let mut packet = syn(options, b"");
            packet.checksum = ChecksumState::Partial;
            let length = packet.transport().len();
            let sum = checksum::fold(checksum::pseudo_header(
                packet.source(),
                packet.destination(),
                protocol::TCP,
                length,
            ));
            put16(packet.transport_mut(), 16, sum);
            packet.lower_mss(100);
            packet.finish_checksum();
            assert!(is_right(&packet), "{options:?}");
        }
    }

    #[test]
    fn what_is_cut_short_is_malformed() {
        let mut packet = syn(&[], b"");
        let short = packet.transport()[..19].to_vec();
        packet.replace_transport(&short);
        assert_eq!(packet.lower_mss(100), MssEdit::Malformed);
        let mut packet = syn(&[], b"");
        packet.transport_mut()[12] = 0x60;
        assert_eq!(packet.lower_mss(100), MssEdit::Malformed);
    }
}
