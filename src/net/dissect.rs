//! What of a packet's bytes tells its flow apart, on the outside or as deep as tunnels go: what routing asks of packets that it looks into. Each step was
//! asked of Linux 6.18 through the choice between gateways, packets that are cut short and tunnels that hold something else among them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::{Family, protocol};
use crate::wire::ipv6::extension::{DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING};
use crate::wire::{be16, be32};

/// What was found. What a cut or unknown header would have told is as it was before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// Of IPv6; of several headers the last that has one.
    pub label: u32,
    /// What the last header that was read says of the next.
    pub protocol: u8,
    /// Source and destination; of AH and ESP the halves of their index.
    pub ports: [u16; 2],
    /// A tunnel's header was met, whatever it holds.
    pub is_tunnel: bool,
}

/// How far to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// To the first tunnel's header.
    Outside,
    /// Into tunnels as far as they can be read.
    Inside,
}

impl Seen {
    pub(super) fn of(bytes: &[u8], family: Family, depth: Depth) -> Self {
        let nowhere = family.unspecified();
        let mut reader = Reader {
            bytes,
            at: 0,
            depth,
            seen: Self {
                source: nowhere,
                destination: nowhere,
                label: 0,
                protocol: 0,
                ports: [0; 2],
                is_tunnel: false,
            },
        };
        let mut next = match family {
            Family::V4 => Next::Ipv4,
            Family::V6 => Next::Ipv6,
        };
        let mut left = MOST_HEADERS;
        while let Some(found) = reader.read(next) {
            if !matches!(next, Next::Ipv4 | Next::Ipv6) {
                if left == 0 {
                    reader.ports();
                    break;
                }
                left -= 1;
            }
            next = found;
        }
        reader.seen
    }
}

/// More than these within each other are not looked at: tunnels, tags and headers of extension.
const MOST_HEADERS: usize = 15;

/// What to read next.
#[derive(Clone, Copy)]
enum Next {
    Ipv4,
    Ipv6,
    /// A VLAN's tag.
    Tag,
    /// What the last header told of, behind IPv4.
    BehindIpv4,
    /// The same, behind IPv6, where headers of extension may stand.
    BehindIpv6,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: Depth,
    seen: Seen,
}

impl<'a> Reader<'a> {
    /// `None` where nothing more is to be read.
    fn read(&mut self, next: Next) -> Option<Next> {
        match next {
            Next::Ipv4 => self.ipv4(),
            Next::Ipv6 => self.ipv6(),
            Next::Tag => {
                let kind = be16(self.header(4)?, 2);
                self.at += 4;
                of_ethernet(kind)
            }
            Next::BehindIpv4 => self.behind(false),
            Next::BehindIpv6 => self.behind(true),
        }
    }

    fn header(&self, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(self.at..)?.get(..length)
    }

    /// Whatever version it says.
    fn ipv4(&mut self) -> Option<Next> {
        let header = self.header(20)?;
        let length = usize::from(header[0] & 0xf) * 4;
        if length < 20 {
            return None;
        }
        self.seen.source = Ipv4Addr::from_bits(be32(header, 12)).into();
        self.seen.destination = Ipv4Addr::from_bits(be32(header, 16)).into();
        self.seen.protocol = header[9];
        self.at += length;
        let is_fragment = be16(header, 6) & 0x3fff != 0;
        (!is_fragment).then_some(Next::BehindIpv4)
    }

    fn ipv6(&mut self) -> Option<Next> {
        let header = self.header(40)?;
        let address = |at: usize| {
            let octets = header[at..at + 16].try_into().unwrap_or_default();
            IpAddr::V6(Ipv6Addr::from_octets(octets))
        };
        self.seen.source = address(8);
        self.seen.destination = address(24);
        self.seen.protocol = header[6];
        self.at += 40;
        match be32(header, 0) & 0xf_ffff {
            0 => {}
            label => self.seen.label = label,
        }
        Some(Next::BehindIpv6)
    }

    fn behind(&mut self, is_ipv6: bool) -> Option<Next> {
        match (self.seen.protocol, is_ipv6) {
            (HOP_BY_HOP | ROUTING | DESTINATION, true) => {
                let header = self.header(2)?;
                self.seen.protocol = header[0];
                self.at += (usize::from(header[1]) + 1) * 8;
                Some(Next::BehindIpv6)
            }
            (FRAGMENT, true) => {
                self.seen.protocol = self.header(8)?[0];
                None
            }
            (protocol::IPIP, _) => self.tunnel(Next::Ipv4),
            (IPV6, _) => self.tunnel(Next::Ipv6),
            (protocol::GRE, _) => self.gre(),
            _ => {
                self.ports();
                None
            }
        }
    }

    /// Of what comes next, if it has any.
    fn ports(&mut self) {
        let at = match self.seen.protocol {
            protocol::TCP | protocol::UDP | protocol::DCCP | protocol::ESP | protocol::SCTP | protocol::UDPLITE => 0,
            protocol::AH => 4,
            _ => return,
        };
        if let Some(header) = self.header(at + 4) {
            self.seen.ports = [be16(header, at), be16(header, at + 2)];
        }
    }

    fn tunnel(&mut self, holds: Next) -> Option<Next> {
        self.seen.is_tunnel = true;
        (self.depth == Depth::Inside).then_some(holds)
    }

    /// One with a source route is not read, nor one of a version but 0 and that of PPTP.
    fn gre(&mut self) -> Option<Next> {
        let header = self.header(4)?;
        let (flags, kind) = (be16(header, 0), be16(header, 2));
        let has = |flag: u16| flags & flag != 0;
        let is_pptp = match flags & 7 {
            0 => false,
            1 if kind == GRE_PPP && has(GRE_KEY) => true,
            _ => return None,
        };
        if has(GRE_ROUTING) {
            return None;
        }
        self.at += 4 + 4 * usize::from(has(GRE_CHECKSUM));
        if has(GRE_KEY) {
            self.header(4)?;
            self.at += 4;
        }
        self.at += 4 * usize::from(has(GRE_SEQUENCE));
        let holds = match kind {
            GRE_PPP if is_pptp => {
                self.at += 4 * usize::from(has(GRE_ACKNOWLEDGED));
                let ppp = self.header(4)?;
                self.at += 4;
                match be16(ppp, 2) {
                    0x0021 => Some(Next::Ipv4),
                    0x0057 => Some(Next::Ipv6),
                    _ => None,
                }
            }
            GRE_ETHERNET => {
                let ethernet = self.header(14)?;
                self.at += 14;
                of_ethernet(be16(ethernet, 12))
            }
            other => of_ethernet(other),
        };
        self.seen.is_tunnel = true;
        holds.filter(|_| self.depth == Depth::Inside)
    }
}

fn of_ethernet(kind: u16) -> Option<Next> {
    match kind {
        0x0800 => Some(Next::Ipv4),
        0x86dd => Some(Next::Ipv6),
        0x8100 | 0x88a8 => Some(Next::Tag),
        _ => None,
    }
}

/// IPv6 in what stands before it.
const IPV6: u8 = 41;

const GRE_CHECKSUM: u16 = 0x8000;
const GRE_ROUTING: u16 = 0x4000;
const GRE_KEY: u16 = 0x2000;
const GRE_SEQUENCE: u16 = 0x1000;
const GRE_ACKNOWLEDGED: u16 = 0x0080;
const GRE_PPP: u16 = 0x880b;
const GRE_ETHERNET: u16 = 0x6558;
