//! Options that are in an extension header of their own: hop-by-hop options, which every router reads, and destination options (RFC 8200, 4.2), which
//! only the host does that the packet is for.

use std::ops::Range;

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
    /// Its sender hears which byte was the wrong one.
    Telling {
        what: BadPart,
        at: usize,
    },
}

impl Refused {
    pub(super) fn telling(what: BadPart, at: usize) -> Self {
        Self::Telling { what, at }
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
        Some(found) => read(Kind::HopByHop, packet.bytes(), &found),
        // Cut short.
        None => Err(Refused::Silently),
    };
    read.map_err(|refused| {
        let complaint = match refused {
            Refused::Silently => None,
            Refused::Telling { what, at } => Some(Complaint::BadHeader { what, at: at as u32 }),
        };
        (DropReason::BadExtension, complaint)
    })
}

/// Reads all options of a header. Seen: padding of more than seven bytes in a row, or that is not of zeros, and more than eight options are not taken.
pub(super) fn read(kind: Kind, packet: &[u8], header: &Extension<'_>) -> Result<(), Refused> {
    const PAD1: u8 = 0;
    const PADN: u8 = 1;
    const LONGEST_PADDING: usize = 7;
    const MOST_OPTIONS: usize = 8;
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
        let length = match packet.get(at + 1) {
            Some(length) if at + 1 < end => usize::from(*length) + 2,
            _ => return Err(Refused::Silently),
        };
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
            if count > MOST_OPTIONS {
                return Err(Refused::Silently);
            }
            one(kind, packet, &option)?;
        }
        at = option.end;
    }
    Ok(())
}

/// One that is no padding.
fn one(kind: Kind, packet: &[u8], option: &Range<usize>) -> Result<(), Refused> {
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
        (_, unknown) => not_known(unknown, packet, at),
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
    if option.len() != 6 || at % 4 != 2 {
        return Err(Refused::Silently);
    }
    let length = be32(packet, at + 2);
    if length <= u32::from(u16::MAX) {
        return Err(Refused::telling(BadPart::Field, at + 2));
    }
    if packet[4..6] != [0, 0] {
        return Err(Refused::telling(BadPart::Field, at));
    }
    match length as usize > packet.len() - HEADER {
        true => Err(Refused::Silently),
        false => Ok(()),
    }
}
