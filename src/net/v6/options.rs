//! Options that are in an extension header of their own: hop-by-hop options, which every router reads, and destination options (RFC 8200, 4.2), which
//! only the host does that the packet is for.

use std::ops::Range;

use super::Knob;
use crate::net::{BadPart, Complaint, DropReason, Net};
use crate::packet::Packet;
use crate::wire::be32;
use crate::wire::ipv6::{Extension, HEADER, Ipv6, extension};

/// Who reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    HopByHop,
    Destination,
}

/// A header that the packet is dropped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Silently,
    /// For something that has a reason of its own.
    For(DropReason),
    /// Its sender hears which byte was the wrong one.
    Telling {
        why: DropReason,
        what: BadPart,
        at: usize,
    },
}

impl Refused {
    pub(super) fn telling(what: BadPart, at: usize) -> Self {
        let why = match what {
            BadPart::NextHeader => DropReason::UnknownExtension,
            _ => DropReason::BadExtension,
        };
        Self::Telling { why, what, at }
    }

    /// Why the packet goes no further, and what its sender hears.
    pub(super) fn told(self) -> (DropReason, Option<Complaint>) {
        match self {
            Self::Silently => (DropReason::BadExtension, None),
            Self::For(why) => (why, None),
            Self::Telling { why, what, at } => (why, Some(Complaint::BadHeader { what, at: at as u32 })),
        }
    }
}

/// Of a packet on its arrival, before any hook: whether its hop-by-hop options let it in, and else why not and what its sender is told.
#[cold]
pub(crate) fn arrive(net: &Net, packet: &Packet) -> Result<(), (DropReason, Option<Complaint>)> {
    if packet.input.is_some_and(|it| !net.has_ipv6(net.interface(it))) {
        return Err((DropReason::Ipv6Disabled, None));
    }
    let header = super::icmp::header(packet);
    if header.next_header() != extension::HOP_BY_HOP {
        return Ok(());
    }
    let read = match header.extensions().next() {
        Some(found) => read(net, Kind::HopByHop, packet.bytes(), &found),
        // Cut short.
        None => Err(Refused::Silently),
    };
    read.map_err(Refused::told)
}

/// What knobs allow of a header of options.
struct Allowed {
    /// Of the header, in bytes.
    length: i64,
    /// Options that are no padding.
    count: i64,
    /// A negative number lets in so many, but none that is not known, and nobody hears of it.
    unknown: bool,
}

impl Allowed {
    fn of(net: &Net, kind: Kind) -> Self {
        let (longest, most) = match kind {
            Kind::HopByHop => (Knob::LongestHopByHopOptions, Knob::MostHopByHopOptions),
            Kind::Destination => (Knob::LongestDestinationOptions, Knob::MostDestinationOptions),
        };
        let most = net.knob_ipv6(most);
        Self {
            length: net.knob_ipv6(longest),
            // The least number has no like above zero, so it lets none in.
            count: if most == i64::from(i32::MIN) { 0 } else { most.abs() },
            unknown: most >= 0,
        }
    }
}

/// Reads all options of a header. Seen: padding of more than seven bytes in a row, or that is not of zeros, is not taken.
pub(super) fn read(net: &Net, kind: Kind, packet: &[u8], header: &Extension<'_>) -> Result<(), Refused> {
    const PAD1: u8 = 0;
    const PADN: u8 = 1;
    const LONGEST_PADDING: usize = 7;
    let allowed = Allowed::of(net, kind);
    if header.bytes.len() as i64 > allowed.length {
        return Err(Refused::Silently);
    }
    let (mut at, end) = (header.at + 2, header.at + header.bytes.len());
    let (mut count, mut padding) = (0, 0);
    while at < end {
        if packet[at] == PAD1 {
            padding += 1;
            if padding > LONGEST_PADDING {
                return Err(Refused::Silently);
            }
            at += 1;
            continue;
        }
        // Where that byte is of the next header, less is left than any option takes.
        let length = packet.get(at + 1).map_or(usize::MAX, |length| usize::from(*length) + 2);
        if length > end - at {
            return Err(Refused::Silently);
        }
        let option = at..at + length;
        if packet[at] == PADN {
            padding += length;
            if padding > LONGEST_PADDING || packet[at + 2..option.end].iter().any(|it| *it != 0) {
                return Err(Refused::Silently);
            }
        } else {
            padding = 0;
            count += 1;
            if count > allowed.count {
                return Err(Refused::Silently);
            }
            one(&allowed, kind, packet, &option)?;
        }
        at = option.end;
    }
    Ok(())
}

/// One that is no padding.
fn one(allowed: &Allowed, kind: Kind, packet: &[u8], option: &Range<usize>) -> Result<(), Refused> {
    const ROUTER_ALERT: u8 = 5;
    const CALIPSO: u8 = 7;
    const IOAM: u8 = 49;
    const JUMBO: u8 = 0xc2;
    let at = option.start;
    match (kind, packet[at]) {
        (Kind::HopByHop, ROUTER_ALERT) if option.len() == 4 => Ok(()),
        // Security labels have no domain here that they could be of.
        (Kind::HopByHop, ROUTER_ALERT | CALIPSO) => Err(Refused::Silently),
        (Kind::HopByHop, IOAM) if at.is_multiple_of(4) => Ok(()),
        (Kind::HopByHop, IOAM) => Err(Refused::Silently),
        (Kind::HopByHop, JUMBO) => jumbo(packet, option),
        (_, unknown) if allowed.unknown => not_known(unknown, packet, at),
        _ => Err(Refused::Silently),
    }
}

/// The two highest bits of its number say what is to be done about an option that is not known.
fn not_known(number: u8, packet: &[u8], at: usize) -> Result<(), Refused> {
    let is_to_group = || Ipv6::new(packet).is_ok_and(|it| it.destination().is_multicast());
    match number >> 6 {
        0 => Ok(()),
        1 => Err(Refused::Silently),
        3 if is_to_group() => Err(Refused::Silently),
        _ => Err(Refused::telling(BadPart::Option, at)),
    }
}

/// RFC 2675: the length of a packet that the header has no room for.
fn jumbo(packet: &[u8], option: &Range<usize>) -> Result<(), Refused> {
    let at = option.start;
    let telling = |why, at| Refused::Telling {
        why,
        what: BadPart::Field,
        at,
    };
    if option.len() != 6 || at % 4 != 2 {
        return Err(Refused::For(DropReason::JumboOption));
    }
    let length = be32(packet, at + 2);
    if length <= u32::from(u16::MAX) {
        return Err(telling(DropReason::JumboTooShort, at + 2));
    }
    if packet[4..6] != [0, 0] {
        return Err(telling(DropReason::JumboAndLength, at));
    }
    match length as usize > packet.len() - HEADER {
        true => Err(Refused::For(DropReason::JumboBeyondPacket)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FAR, HOST, OWN, net, said, udp};
    use super::HEADER;
    use crate::net::DropReason;
    use crate::wire::ipv6::extension::{DESTINATION, HOP_BY_HOP};

    /// None, one, two, eight and nine options that are skipped, a router's alert, one whose sender wants to hear that it is not known, and headers of 8, 16
    /// and 32 bytes: which get through (`y`), which are dropped in silence (`-`), or with an error (`e`). Read on Linux 6.18.
    #[test]
    fn as_the_knobs_allow() {
        const LEAST: i64 = i32::MIN as i64;
        let skipped = |count: usize| b"\x1e\0".repeat(count);
        let of_length = |bytes: usize| [&[0x1e, bytes as u8 - 4][..], &vec![7; bytes - 4]].concat();
        let headers = [
            skipped(0),
            skipped(1),
            skipped(2),
            skipped(8),
            skipped(9),
            b"\x05\x02\0\0".to_vec(),
            b"\xde\0".to_vec(),
            of_length(8),
            of_length(16),
            of_length(32),
        ];
        let (hop, destination) = ("max_hbh_opts_number", "max_dst_opts_number");
        let (long_hop, long_destination) = ("max_hbh_length", "max_dst_opts_length");
        for (kind, to, knob, value, expected) in [
            (HOP_BY_HOP, OWN, hop, 8, "yyyy-yeyyy"),
            (HOP_BY_HOP, FAR, hop, 8, "yyyy-yeyyy"),
            (HOP_BY_HOP, FAR, hop, 9, "yyyyyyeyyy"),
            (HOP_BY_HOP, FAR, hop, 1, "yy---yeyyy"),
            (HOP_BY_HOP, OWN, hop, 0, "y---------"),
            (HOP_BY_HOP, FAR, hop, -1, "y----y----"),
            (HOP_BY_HOP, FAR, hop, -9, "y----y----"),
            (HOP_BY_HOP, FAR, hop, LEAST, "y---------"),
            (HOP_BY_HOP, FAR, long_hop, 7, "----------"),
            (HOP_BY_HOP, FAR, long_hop, 8, "yyy--yey--"),
            (HOP_BY_HOP, OWN, long_hop, 24, "yyyy-yeyy-"),
            (HOP_BY_HOP, OWN, long_hop, -8, "----------"),
            (DESTINATION, OWN, destination, 8, "yyyy-yeyyy"),
            (DESTINATION, OWN, destination, 2, "yyy--yeyyy"),
            (DESTINATION, OWN, destination, -2, "y---------"),
            (DESTINATION, OWN, long_destination, 16, "yyy--yeyy-"),
            (DESTINATION, OWN, long_destination, 32, "yyyy-yeyyy"),
            (DESTINATION, FAR, destination, 0, "yyyyyyyyyy"),
            (DESTINATION, FAR, long_destination, 0, "yyyyyyyyyy"),
        ] {
            let mut net = net();
            net.sysctl_set(&format!("net.ipv6.{knob}"), &value.to_string()).unwrap();
            let became = headers.each_ref().map(|options| {
                let text = said(&net, &udp(HOST, to, 1).with_options(kind, options));
                match text.split_once(' ').map_or(&text[..], |it| it.0) {
                    "wan" | "NO_SOCKET" => 'y',
                    "IPV6_BAD_EXTHDR" if text.contains("icmp6 4/2") => 'e',
                    "IPV6_BAD_EXTHDR" => '-',
                    _ => '?',
                }
            });
            assert_eq!(
                became.iter().collect::<String>(),
                expected,
                "{kind} {to} {knob}={value}"
            );
        }
    }

    /// A jumbogram is no longer than it says, and may be longer than a device here could hand over.
    #[test]
    fn jumbograms_are_all_there() {
        let mut packet = vec![0; HEADER + 65_544];
        packet[42..44].copy_from_slice(&[0xc2, 4]);
        for (length, in_header, option, expected) in [
            (65_536u32, 0, 42..48, None),
            (65_544, 0, 42..48, None),
            (65_545, 0, 42..48, Some(DropReason::JumboBeyondPacket)),
            (65_535, 0, 42..48, Some(DropReason::JumboTooShort)),
            (65_536, 1, 42..48, Some(DropReason::JumboAndLength)),
            (65_536, 0, 42..47, Some(DropReason::JumboOption)),
            (65_536, 0, 44..50, Some(DropReason::JumboOption)),
        ] {
            packet[5] = in_header;
            packet[44..48].copy_from_slice(&length.to_be_bytes());
            let refused = super::jumbo(&packet, &option).err();
            assert_eq!(refused.map(|it| it.told().0), expected, "{length} {option:?}");
        }
    }
}
