//! What capturing does to packets, undone as far as that can be: payloads cut off by a snap length, checksums and lengths that a network card was to fill in.
//!
//! A router drops a packet that is shorter than its header says, and tracking calls one with a wrong checksum INVALID: so would the real one, had it
//! seen the packet as the capture has it. It did not.

use crate::base::{Family, protocol};
use crate::wire::checksum;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{HEADER, Ipv6};

/// What is to be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Repair {
    /// A packet that the capture cut gets zeros for what is missing, and a checksum that is right with them.
    pub fill_cut: bool,
    /// Every checksum is made right, and a total length of zero is filled in.
    pub fix_checksums: bool,
}

impl Repair {
    /// The packet as it is to be replayed: repaired in the buffer, or as it is.
    #[inline]
    pub(crate) fn packet<'a>(&self, packet: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
        let missing = if self.fill_cut { missing(packet) } else { 0 };
        if missing == 0 && !self.fix_checksums {
            return packet;
        }
        self.repaired(packet, missing, buffer)
    }

    fn repaired<'a>(&self, packet: &'a [u8], missing: usize, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        buffer.clear();
        buffer.extend_from_slice(packet);
        buffer.resize(packet.len() + missing, 0);
        let length = buffer.len();
        if Family::of_packet(buffer) == Some(Family::V6) {
            self.sum_ipv6(buffer);
            return buffer;
        }
        let Ok(mut ip) = Ipv4::new(&mut buffer[..]) else {
            return packet;
        };
        if self.fix_checksums && ip.total_length() == 0 {
            let Ok(length) = u16::try_from(length) else {
                return packet;
            };
            ip.set_total_length(length);
        }
        if self.fix_checksums {
            ip.fill_checksum();
        }
        let (source, destination, number) = (ip.source().into(), ip.destination().into(), ip.protocol());
        let (header, end) = (ip.header_length(), usize::from(ip.total_length()));
        // A fragment's checksum is over what isn't there.
        if !ip.is_fragment()
            && let Some(segment) = buffer.get_mut(header..end)
        {
            sum(source, destination, number, segment);
        }
        buffer
    }

    /// The same of a packet of IPv6, whose length is what a jumbo one's header leaves out.
    #[cold]
    fn sum_ipv6(self, buffer: &mut [u8]) {
        let length = buffer.len();
        let Ok(mut ip) = Ipv6::new(&mut buffer[..]) else { return };
        if self.fix_checksums
            && ip.total_length() == HEADER
            && let Ok(payload) = u16::try_from(length - HEADER)
        {
            ip.set_payload_length(payload);
        }
        let (source, destination, end) = (ip.source().into(), ip.destination().into(), ip.total_length());
        let upper = ip.upper();
        if !upper.is_fragment
            && let Some(segment) = buffer.get_mut(upper.offset..end)
        {
            sum(source, destination, upper.protocol, segment);
        }
    }
}

/// How many bytes of a packet the capture left out; zero too where its header can't be read.
#[inline]
pub(crate) fn missing(packet: &[u8]) -> usize {
    match packet {
        [first, _, high, low, ..] if first >> 4 == 4 && packet.len() >= 20 => {
            usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(packet.len())
        }
        [first, ..] if first >> 4 == 6 => {
            Ipv6::new(packet).map_or(0, |ip| ip.total_length().saturating_sub(packet.len()))
        }
        _ => 0,
    }
}

fn sum(source: std::net::IpAddr, destination: std::net::IpAddr, number: u8, segment: &mut [u8]) {
    let at = match number {
        protocol::TCP => 16,
        protocol::UDP => 6,
        protocol::ICMP | protocol::ICMPV6 => 2,
        _ => return,
    };
    let Some(field) = segment.get(at..at + 2) else {
        return;
    };
    // UDP without a checksum is right as it is.
    if number == protocol::UDP && field == [0, 0] {
        return;
    }
    segment[at..at + 2].fill(0);
    let sum = match number {
        protocol::ICMP => checksum::of(segment),
        _ => checksum::transport(source, destination, number, segment),
    };
    let sum = if number == protocol::UDP && sum == 0 {
        0xffff
    } else {
        sum
    };
    segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ipv4;

    fn udp(payload: usize) -> Vec<u8> {
        let (source, destination) = ([10, 0, 0, 2].into(), [192, 0, 2, 9].into());
        let mut datagram = vec![0; 8 + payload];
        datagram[1] = 7;
        datagram[3] = 9;
        datagram[5] = 8 + payload as u8;
        let sum = checksum::transport(
            std::net::IpAddr::V4(source),
            std::net::IpAddr::V4(destination),
            protocol::UDP,
            &datagram,
        );
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        ipv4::Repr {
            tos: 0,
            identification: 1,
            dont_fragment: true,
            ttl: 64,
            protocol: protocol::UDP,
            source,
            destination,
        }
        .emit(&datagram)
    }

    #[test]
    fn what_the_capture_left_out_comes_back_as_zeros() {
        let whole = udp(60);
        let fill = Repair {
            fill_cut: true,
            ..Repair::default()
        };
        let mut buffer = Vec::new();
        assert_eq!(missing(&whole[..40]), 48);
        // The payload is of zeros, so that what comes back is what was.
        assert_eq!(fill.packet(&whole[..40], &mut buffer), whole);
        assert_eq!(fill.packet(&whole, &mut buffer), whole);
        assert_eq!(Repair::default().packet(&whole[..40], &mut buffer), &whole[..40]);
        for end in 0..28 {
            fill.packet(&whole[..end], &mut buffer);
        }
    }

    #[test]
    fn checksums_that_a_card_was_to_fill_in() {
        let right = udp(10);
        let mut wrong = right.clone();
        wrong[10] ^= 1;
        wrong[26] ^= 1;
        wrong[2..4].fill(0);
        let fix = Repair {
            fix_checksums: true,
            ..Repair::default()
        };
        let mut buffer = Vec::new();
        assert_eq!(fix.packet(&wrong, &mut buffer), right);
        let mut without = right.clone();
        without[26..28].fill(0);
        assert_eq!(fix.packet(&without, &mut buffer), without, "UDP may have none");
        assert_eq!(fix.packet(&[0x60; 40], &mut buffer), [0x60; 40]);
    }

    #[test]
    fn packets_of_ipv6_are_repaired_alike() {
        use crate::base::testing::host;
        let [a, b] = [2, 9].map(|number| host(Family::V6, number));
        let right = crate::packet::testing::udp((a, 1), (b, 2), &[0; 40]).into_bytes();
        let (fill, fix) = (
            Repair {
                fill_cut: true,
                ..Repair::default()
            },
            Repair {
                fix_checksums: true,
                ..Repair::default()
            },
        );
        let mut buffer = Vec::new();
        assert_eq!(fill.packet(&right[..60], &mut buffer), right);
        let mut wrong = right.clone();
        wrong[46] ^= 1;
        wrong[4..6].fill(0);
        assert_eq!(fix.packet(&wrong, &mut buffer), right);
        for end in 0..right.len() {
            fill.packet(&right[..end], &mut buffer);
            fix.packet(&right[..end], &mut buffer);
        }
    }
}
