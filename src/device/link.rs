//! From a captured frame to the IP packet in it, for the link types that carry IP.
//!
//! The numbers are those of the tcpdump.org registry of link-layer header types.

use std::fmt;

use etherparse::{EtherType, Ethernet2Header, Ethernet2HeaderSlice, SingleVlanHeader, SingleVlanHeaderSlice};

use super::capture::Direction;
use super::undecoded::{self, Undecoded};

/// A link type whose frames are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkType {
    /// 0 and 108: an address family in four bytes, in the byte order of whoever captured.
    Loopback,
    /// 1: Ethernet, with any number of VLAN tags.
    Ethernet,
    /// 101, 228, 229 (and 12, 14, which old captures use for 101): the IP packet and nothing before it.
    Raw,
    /// 113: `tcpdump -i any`.
    LinuxCooked,
    /// 276: the same, second version.
    LinuxCooked2,
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// An IP packet, as it stood on the link: maybe with the link's padding behind it, maybe cut short.
    Ip(&'a [u8]),
    /// Something that carries none, with its EtherType (or, for Ethernet's older form, its length; for `LinkType::Loopback`, its family).
    NotIp {
        /// As the link's header has it.
        protocol: u32,
    },
    /// Something that may carry one, for all we know.
    Undecoded(Undecoded),
    /// The frame ends before its own header does.
    HeaderCut,
}

impl LinkType {
    /// `None` for one that isn't understood. The upper bits of the number, where pcap keeps the length of the check sequence, don't count.
    pub(crate) fn new(number: u32) -> Option<Self> {
        match number & 0x03ff_ffff {
            0 | 108 => Some(Self::Loopback),
            1 => Some(Self::Ethernet),
            12 | 14 | 101 | 228 | 229 => Some(Self::Raw),
            113 => Some(Self::LinuxCooked),
            276 => Some(Self::LinuxCooked2),
            _ => None,
        }
    }

    /// For error texts: the link types that [`Self::new`] takes.
    pub(crate) const ACCEPTED: &'static str =
        "RAW (101), IPV4 (228), IPV6 (229), ETHERNET (1), LINUX_SLL (113), LINUX_SLL2 (276), NULL (0)";

    #[inline]
    pub(crate) fn content(self, frame: &[u8]) -> Content<'_> {
        match self {
            Self::Raw => Content::Ip(frame),
            Self::Loopback => loopback(frame),
            Self::Ethernet => match Ethernet2HeaderSlice::from_slice(frame) {
                Ok(header) => self.after_ether_type(Some(header.ether_type()), frame.get(Ethernet2Header::LEN..)),
                Err(_) => Content::HeaderCut,
            },
            // etherparse's view of it refuses devices and packet types that it has no name for.
            Self::LinuxCooked => self.after_ether_type(word(frame, 14).map(EtherType), frame.get(16..)),
            Self::LinuxCooked2 => self.after_ether_type(word(frame, 0).map(EtherType), frame.get(20..)),
        }
    }

    /// Whether a frame was another host's, seen because the interface was promiscuous: the kernel drops such before its first hook.
    #[inline]
    pub(crate) fn is_to_another(self, frame: &[u8]) -> bool {
        self.packet_type(frame) == Some(PACKET_OTHERHOST)
    }

    fn packet_type(self, frame: &[u8]) -> Option<u16> {
        match self {
            Self::LinuxCooked => word(frame, 0),
            Self::LinuxCooked2 => frame.get(10).copied().map(u16::from),
            Self::Loopback | Self::Ethernet | Self::Raw => None,
        }
    }

    /// Which way a frame went, where its header tells.
    #[inline]
    pub(crate) fn direction(self, frame: &[u8]) -> Option<Direction> {
        match self.packet_type(frame)? {
            // To this machine, a broadcast, a multicast.
            0..=2 => Some(Direction::In),
            4 => Some(Direction::Out),
            _ => None,
        }
    }

    /// Behind a link's own header: any number of VLAN tags, then what the EtherType says.
    fn after_ether_type(self, ether_type: Option<EtherType>, payload: Option<&[u8]>) -> Content<'_> {
        let (Some(mut ether_type), Some(mut payload)) = (ether_type, payload) else {
            return Content::HeaderCut;
        };
        while let EtherType::VLAN_TAGGED_FRAME | EtherType::PROVIDER_BRIDGING | EtherType::VLAN_DOUBLE_TAGGED_FRAME =
            ether_type
        {
            let Ok(tag) = SingleVlanHeaderSlice::from_slice(payload) else {
                return Content::HeaderCut;
            };
            ether_type = tag.ether_type();
            payload = &payload[SingleVlanHeader::LEN..];
        }
        match ether_type {
            EtherType::IPV4 | EtherType::IPV6 => Content::Ip(payload),
            EtherType(other) => without_ip(self, other.into(), payload),
        }
    }
}

/// The packet type of a cooked header for what is none of this host's.
const PACKET_OTHERHOST: u16 = 3;

fn without_ip<'a>(link: LinkType, protocol: u32, payload: &[u8]) -> Content<'a> {
    match undecoded::of(link, protocol, payload) {
        Some(undecoded) => Content::Undecoded(undecoded),
        None => Content::NotIp { protocol },
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "NULL",
            Self::Ethernet => "ETHERNET",
            Self::Raw => "RAW",
            Self::LinuxCooked => "LINUX_SLL",
            Self::LinuxCooked2 => "LINUX_SLL2",
        })
    }
}

fn loopback(frame: &[u8]) -> Content<'_> {
    let Some((header, packet)) = frame.split_first_chunk::<4>() else {
        return Content::HeaderCut;
    };
    // The writer's byte order is not said anywhere; families are small, so the smaller reading is the right one.
    let family = u32::from_le_bytes(*header).min(u32::from_be_bytes(*header));
    match family {
        // AF_INET is 2 everywhere; AF_INET6 is 10 (Linux), 24 (NetBSD, OpenBSD), 28 (FreeBSD) or 30 (macOS).
        2 | 10 | 24 | 28 | 30 => Content::Ip(packet),
        _ => without_ip(LinkType::Loopback, family, packet),
    }
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cooked_headers_tell_the_direction() {
        let mut cooked = [0; 16];
        assert_eq!(LinkType::LinuxCooked.direction(&cooked), Some(Direction::In));
        cooked[1] = 4;
        assert_eq!(LinkType::LinuxCooked.direction(&cooked), Some(Direction::Out));
        let mut cooked2 = [0; 20];
        cooked[1] = 3;
        assert_eq!(LinkType::LinuxCooked.direction(&cooked), None);
        assert!(LinkType::LinuxCooked.is_to_another(&cooked));
        cooked2[10] = 3;
        assert!(LinkType::LinuxCooked2.is_to_another(&cooked2));
        assert!(!LinkType::Ethernet.is_to_another(&cooked2));
        cooked2[10] = 4;
        assert_eq!(LinkType::LinuxCooked2.direction(&cooked2), Some(Direction::Out));
        assert_eq!(LinkType::Ethernet.direction(&cooked2), None);
        assert_eq!(LinkType::LinuxCooked2.direction(&[0; 3]), None);
    }

    #[test]
    fn frames_of_every_link_type() {
        const IP: &[u8] = &[0x45, 0, 0, 20];
        let frame = |parts: &[&[u8]]| parts.concat();
        let ethernet = [0u8; 12];
        let cooked2 = [0u8; 18];
        let cases: Vec<(u32, Vec<u8>, Content<'_>)> = vec![
            (101, IP.to_vec(), Content::Ip(IP)),
            (228, IP.to_vec(), Content::Ip(IP)),
            (1, frame(&[&ethernet, &[8, 0], IP]), Content::Ip(IP)),
            (1, frame(&[&ethernet, &[0x81, 0, 0, 5, 8, 0], IP]), Content::Ip(IP)),
            (
                1,
                frame(&[&ethernet, &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x86, 0xdd], IP]),
                Content::Ip(IP),
            ),
            (1, frame(&[&ethernet, &[8, 6], IP]), Content::NotIp { protocol: 0x0806 }),
            (1, ethernet.to_vec(), Content::HeaderCut),
            (1, frame(&[&ethernet, &[0x81, 0, 0, 5]]), Content::HeaderCut),
            (113, frame(&[&[0; 14], &[8, 0], IP]), Content::Ip(IP)),
            (276, frame(&[&[8, 0], &cooked2, IP]), Content::Ip(IP)),
            (276, vec![8, 0, 0], Content::HeaderCut),
            (0, frame(&[&[2, 0, 0, 0], IP]), Content::Ip(IP)),
            (0, frame(&[&[0, 0, 0, 30], IP]), Content::Ip(IP)),
            (0, frame(&[&[7, 0, 0, 0], IP]), Content::NotIp { protocol: 7 }),
            (0, frame(&[&[3, 0, 0, 0], IP]), Content::Undecoded(Undecoded::Family(3))),
            (
                1,
                frame(&[&ethernet, &[0x81, 0, 0, 5, 0x88, 0xe5], IP]),
                Content::Undecoded(Undecoded::EtherType(0x88e5)),
            ),
            (0, vec![2, 0], Content::HeaderCut),
        ];
        for (number, bytes, expected) in cases {
            let link = LinkType::new(number).unwrap();
            assert_eq!(link.content(&bytes), expected, "{link} {bytes:02x?}");
        }
        assert_eq!(LinkType::new(105), None, "802.11 is refused");
        assert_eq!(
            LinkType::new(0x2400_0001),
            Some(LinkType::Ethernet),
            "with a frame check sequence noted"
        );
    }
}
