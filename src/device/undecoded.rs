//! Frames in which no IP packet is found: those that surely carry none, and all others, in which one may be wrapped.
//!
//! Whoever compares rulesets wants to know of every packet that rules were to see and did not. So the short list is of what carries no IP;
//! what is not on it counts as undecoded, whether anybody has heard of it or not. A router may unwrap it (PPPoE, MPLS, MACsec), and another
//! program may have written the frame.

use std::fmt;

use super::link::LinkType;

/// What a frame is that may hold an IP packet, but is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecoded {
    /// An EtherType behind which IP may be wrapped, or that nobody has heard of.
    EtherType(u16),
    /// Ethernet's older form: the two service access points.
    Llc(u8, u8),
    /// The same with an organization's number and its type.
    Snap([u8; 3], u16),
    /// A cooked header's number for frames without an EtherType.
    Cooked(u16),
    /// The address family that the loopback link of BSD begins with.
    Family(u32),
}

/// What a frame of this type is where it may hold an IP packet; `payload` is what stands behind the type.
pub(crate) fn of(link: LinkType, protocol: u32, payload: &[u8]) -> Option<Undecoded> {
    let cooked = matches!(link, LinkType::LinuxCooked | LinkType::LinuxCooked2);
    match (link, u16::try_from(protocol)) {
        (LinkType::Loopback, _) | (_, Err(_)) => {
            (!FAMILIES_WITHOUT_IP.contains(&protocol)).then_some(Undecoded::Family(protocol))
        }
        (_, Ok(COOKED_LLC)) if cooked => of_llc(payload),
        (_, Ok(COOKED_RAW)) if cooked => (!payload.starts_with(RAW_IPX)).then_some(Undecoded::Cooked(COOKED_RAW)),
        (_, Ok(number @ ..0x600)) if cooked => {
            (!COOKED_WITHOUT_IP.contains(&number)).then_some(Undecoded::Cooked(number))
        }
        // A length.
        (_, Ok(..=1500)) => match payload.starts_with(RAW_IPX) {
            true => None,
            false => of_llc(payload),
        },
        (_, Ok(ether_type)) => {
            (!ETHER_TYPES_WITHOUT_IP.contains(&ether_type)).then_some(Undecoded::EtherType(ether_type))
        }
    }
}

fn of_llc(payload: &[u8]) -> Option<Undecoded> {
    let point = |at: usize| payload.get(at).copied().unwrap_or_default();
    let (to, from) = (point(0), point(1));
    match (to, payload) {
        (0xaa, [_, _, _, organization @ .., _, _]) if organization.len() >= 3 => {
            let organization = [point(3), point(4), point(5)];
            let kind = u16::from_be_bytes([point(6), point(7)]);
            let known = SNAP_WITHOUT_IP.contains(&(organization, kind))
                || organization == [0; 3] && ETHER_TYPES_WITHOUT_IP.contains(&kind);
            (!known).then_some(Undecoded::Snap(organization, kind))
        }
        _ => (!ACCESS_POINTS_WITHOUT_IP.contains(&to)).then_some(Undecoded::Llc(to, from)),
    }
}

impl fmt::Display for Undecoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EtherType(number) => {
                write!(f, "frames of type 0x{number:04x}")?;
                match MAY_WRAP_IP.iter().find(|(known, _)| known == number) {
                    Some((_, name)) => write!(f, " ({name}), not decoded: capture behind them"),
                    None => f.write_str(", not decoded"),
                }
            }
            Self::Llc(to, from) => write!(f, "LLC frames from 0x{from:02x} to 0x{to:02x}, not decoded"),
            Self::Snap([a, b, c], kind) => {
                write!(
                    f,
                    "LLC/SNAP frames of type {a:02x}:{b:02x}:{c:02x} 0x{kind:04x}, not decoded"
                )
            }
            Self::Cooked(number) => write!(f, "cooked frames of protocol {number}, not decoded"),
            Self::Family(number) => write!(f, "frames of family {number}, not decoded"),
        }
    }
}

/// Neighbours, links, clocks, disks and fieldbuses speak so, of themselves and among themselves.
const ETHER_TYPES_WITHOUT_IP: [u16; 35] = [
    0x0806, 0x8035, // ARP, RARP
    0x0842, // Wake-on-LAN
    0x6001, 0x6002, 0x6003, // DEC: loads and remote consoles, DECnet
    0x8137, 0x809b, 0x80f3, // IPX, AppleTalk and its ARP: protocols beside IP
    0x22ea, 0x22f0, 0x22f4, // stream reservation, audio and video, IS-IS between bridges
    0x8808, 0x8809, // pause, LACP and its like
    0x8863, // finding a PPPoE server; its sessions have another type
    0x888e, 0x88c7, // EAPOL, and before a station comes
    0x8892, 0x88a4, 0x88b8, 0x88b9, 0x88ba, // PROFINET, EtherCAT, GOOSE, its management, sampled values
    0x88a2, 0x8906, 0x8914, // disks: AoE, FCoE and its start
    0x88cc, 0x88d9, // LLDP, LLTD
    0x88e1, // HomePlug's management
    0x88f5, 0x88f6, // MVRP, MMRP
    0x88f7, 0x88fb, // PTP, PRP's supervision
    0x8902, // CFM
    0x893a, // IEEE 1905
    0x9000, // a loop's test
];

/// Who is spoken to, without a type.
const ACCESS_POINTS_WITHOUT_IP: [u8; 5] = [
    0x00, // the link itself (XID, TEST)
    0x42, // bridges: STP
    0xe0, // IPX
    0xf0, // NetBIOS
    0xfe, // IS-IS and its like
];

/// Cisco's: what neighbours tell each other.
const SNAP_WITHOUT_IP: [([u8; 3], u16); 5] = [
    ([0, 0, 0x0c], 0x2000), // CDP
    ([0, 0, 0x0c], 0x2003), // VTP
    ([0, 0, 0x0c], 0x2004), // DTP
    ([0, 0, 0x0c], 0x010b), // STP of a VLAN
    ([0, 0, 0x0c], 0x0111), // UDLD
];

/// CAN, and its longer frames.
const COOKED_WITHOUT_IP: [u16; 2] = [0x000c, 0x000d];

/// OSI, IPX.
const FAMILIES_WITHOUT_IP: [u32; 2] = [7, 23];

/// What IPX without LLC begins with, which gives it this number.
const RAW_IPX: &[u8] = &[0xff, 0xff];
const COOKED_RAW: u16 = 1;
const COOKED_LLC: u16 = 4;

/// What is known to wrap packets, by its name.
const MAY_WRAP_IP: [(u16, &str); 16] = [
    (0x22f3, "TRILL"),
    (0x4305, "batman-adv"),
    (0x6558, "bridged Ethernet"),
    (0x8847, "MPLS"),
    (0x8848, "MPLS"),
    (0x8864, "PPPoE"),
    (0x876b, "compressed TCP/IP"),
    (0x8909, "Cisco metadata"),
    (0x8926, "VN-Tag"),
    (0x892f, "HSR"),
    (0x88e5, "MACsec"),
    (0x88e7, "PBB"),
    (0x894f, "NSH"),
    (0x9200, "VLAN tag"),
    (0x9300, "VLAN tag"),
    (0xdada, "EDSA"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_carry_no_ip_is_silent() {
        let ethernet = LinkType::Ethernet;
        let cooked = LinkType::LinuxCooked;
        let cisco = [0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, 2];
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45];
        for (link, protocol, payload, expected) in [
            (ethernet, 0x0806, &[][..], None),
            (ethernet, 0x88cc, &[], None),
            (ethernet, 0x888e, &[], None),
            (ethernet, 38, &[0x42, 0x42, 3], None),
            (ethernet, 38, &[0xff, 0xff, 0], None),
            (ethernet, 38, &cisco, None),
            (
                ethernet,
                38,
                &snap,
                Some("LLC/SNAP frames of type 00:00:00 0x0800, not decoded"),
            ),
            (
                ethernet,
                38,
                &[6, 6, 3, 0x45],
                Some("LLC frames from 0x06 to 0x06, not decoded"),
            ),
            (
                ethernet,
                38,
                &[0xaa, 0xaa, 3],
                Some("LLC frames from 0xaa to 0xaa, not decoded"),
            ),
            (
                ethernet,
                0x88e5,
                &[],
                Some("frames of type 0x88e5 (MACsec), not decoded: capture behind them"),
            ),
            (
                ethernet,
                0x8864,
                &[],
                Some("frames of type 0x8864 (PPPoE), not decoded: capture behind them"),
            ),
            (ethernet, 0x1234, &[], Some("frames of type 0x1234, not decoded")),
            (ethernet, 1535, &[], Some("frames of type 0x05ff, not decoded")),
            (
                cooked,
                4,
                &snap,
                Some("LLC/SNAP frames of type 00:00:00 0x0800, not decoded"),
            ),
            (cooked, 4, &[0x42, 0x42, 3], None),
            (cooked, 1, &[0xff, 0xff], None),
            (cooked, 1, &[0x45, 0], Some("cooked frames of protocol 1, not decoded")),
            (cooked, 0xc, &[], None),
            (cooked, 0xf6, &[], Some("cooked frames of protocol 246, not decoded")),
            (cooked, 0x0806, &[], None),
            (
                LinkType::LinuxCooked2,
                0x8847,
                &[],
                Some("frames of type 0x8847 (MPLS), not decoded: capture behind them"),
            ),
            (LinkType::Loopback, 7, &[], None),
            (LinkType::Loopback, 3, &[], Some("frames of family 3, not decoded")),
            (
                LinkType::Loopback,
                0x0102_0304,
                &[],
                Some("frames of family 16909060, not decoded"),
            ),
        ] {
            let found = of(link, protocol, payload).map(|it| it.to_string());
            assert_eq!(found.as_deref(), expected, "{link} {protocol:#x} {payload:02x?}");
        }
    }
}
