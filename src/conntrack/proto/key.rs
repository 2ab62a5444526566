//! What tells the flows between two hosts apart: ports, an identifier, a call; how it is read, printed, and rewritten by NAT.

use std::fmt::{self, Write};
use std::net::IpAddr;

use crate::conntrack::Tuple;
use crate::packet::{End, Packet};
use crate::wire::{be16, checksum, put16};

/// The 16 bits at each end of a tuple, as a protocol's headers have them. What most packets have is a variant, so that it costs no call.
#[derive(Debug)]
pub(crate) enum Key {
    /// Nothing but the addresses.
    Nothing,
    Ports(Ports),
    Own(&'static dyn OwnKey),
}

/// A key of a form that one protocol has.
pub(crate) trait OwnKey: Sync + fmt::Debug {
    /// The numbers of source and destination in a transport header, which an ICMP error may have cut short. `None`: it names no flow.
    fn read(&self, transport: &[u8]) -> Option<(u16, u16)>;

    /// The tuple of the answer; `None` for what nobody answers.
    fn answer(&self, tuple: &Tuple) -> Option<Tuple> {
        Some(tuple.turned())
    }

    /// As a listing prints it after the addresses, with a space at its end.
    fn write(&self, line: &mut String, tuple: &Tuple, from_kernel: bool) -> fmt::Result;

    /// Whether the tool's XML tells of it. Seen: of ICMP it tells neither type nor identifier.
    fn is_in_xml(&self) -> bool {
        true
    }

    /// Which of the numbers NAT may change.
    fn drawn(&self) -> Drawn {
        Drawn::Nothing
    }

    /// Whether the ends may have agreed, over another flow, on keys of which a packet names one.
    fn may_be_agreed_on(&self) -> bool {
        false
    }

    /// Whether the header is of a packet that names one of them: its receiver's.
    fn is_agreed_on(&self, _transport: &[u8]) -> bool {
        false
    }

    /// Gives one end of a packet the number that `target` has there, with the checksums that follow. The address is the caller's.
    fn rewrite(&self, _packet: &mut Packet, _end: End, _target: &Tuple) -> Result<(), Unwritable> {
        Ok(())
    }

    /// The same in the packet that an ICMP error quotes, as far as it is quoted. Checksums in it follow incrementally, so what was wrong stays
    /// wrong, but for those of another kind, which are made anew. `None` where too little is quoted.
    fn rewrite_quoted(&self, _quoted: &mut QuotedEnd<'_>) -> Option<()> {
        Some(())
    }
}

/// Which numbers of a tuple NAT may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drawn {
    Nothing,
    /// The one at the end whose address it chooses.
    Ports,
    /// The source's, whichever end it is about.
    Identifier,
    /// As ports, but only of flows that a helper has announced.
    OfAnnounced,
}

/// Why NAT cannot rewrite a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritable(pub &'static str);

/// One end of a quoted packet, of which the address changes too.
#[derive(Debug)]
pub(crate) struct QuotedEnd<'a> {
    /// From the transport header on.
    pub transport: &'a mut [u8],
    pub end: End,
    /// What the quoted packet shall be.
    pub target: &'a Tuple,
    /// The address before and after.
    pub address: (IpAddr, IpAddr),
}

impl QuotedEnd<'_> {
    /// Whether the checksum of ICMP does.
    pub(crate) fn sums_up_addresses(&self) -> bool {
        self.address.0.is_ipv6()
    }
}

/// No header that has ports is shorter.
const HEADER_AT_LEAST: usize = 8;

/// Bytes of a transport header that an error has to quote (RFC 792). Seen: with fewer the error is dropped, though tracking reads it.
pub(crate) const QUOTED_AT_LEAST: usize = 8;

impl Key {
    #[inline]
    pub(crate) fn read(&self, transport: &[u8]) -> Option<(u16, u16)> {
        match self {
            Self::Nothing => Some((0, 0)),
            Self::Ports(_) => Some((word(transport, 0)?, word(transport, 2)?)),
            Self::Own(own) => own.read(transport),
        }
    }

    #[inline]
    pub(crate) fn answer(&self, tuple: &Tuple) -> Option<Tuple> {
        match self {
            Self::Nothing | Self::Ports(_) => Some(tuple.turned()),
            Self::Own(own) => own.answer(tuple),
        }
    }

    pub(crate) fn write(&self, line: &mut String, tuple: &Tuple, from_kernel: bool) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Ports(_) => write!(line, "sport={} dport={} ", tuple.source.id, tuple.destination.id),
            Self::Own(own) => own.write(line, tuple, from_kernel),
        }
    }

    pub(crate) fn is_in_xml(&self) -> bool {
        match self {
            Self::Nothing | Self::Ports(_) => true,
            Self::Own(own) => own.is_in_xml(),
        }
    }

    #[inline]
    pub(crate) fn drawn(&self) -> Drawn {
        match self {
            Self::Nothing => Drawn::Nothing,
            Self::Ports(_) => Drawn::Ports,
            Self::Own(own) => own.drawn(),
        }
    }

    pub(crate) fn may_be_agreed_on(&self) -> bool {
        matches!(self, Self::Own(own) if own.may_be_agreed_on())
    }

    #[inline]
    pub(crate) fn is_agreed_on(&self, transport: &[u8]) -> bool {
        matches!(self, Self::Own(own) if own.is_agreed_on(transport))
    }

    #[inline]
    pub(crate) fn rewrite(&self, packet: &mut Packet, end: End, target: &Tuple) -> Result<(), Unwritable> {
        match self {
            Self::Nothing => Ok(()),
            Self::Ports(ports) => ports.rewrite(packet, end, target.end(end).id),
            Self::Own(own) => own.rewrite(packet, end, target),
        }
    }

    /// `None` where nothing of it is rewritten, and so nothing read.
    pub(crate) fn read_of_quote(&self, there: usize) -> Option<usize> {
        match self {
            Self::Nothing => None,
            Self::Ports(ports) if ports.read > 0 && there >= ports.read => Some(ports.read),
            _ => Some(QUOTED_AT_LEAST),
        }
    }

    /// Whether so much of a quoted header has its checksum made anew with a port.
    pub(crate) fn sums_up_quote(&self, there: usize) -> bool {
        matches!(self, Self::Ports(ports) if ports.sums_up.is_some() && there >= ports.read)
    }

    pub(crate) fn rewrite_quoted(&self, quoted: &mut QuotedEnd<'_>) -> Option<()> {
        match self {
            Self::Nothing => Some(()),
            Self::Ports(ports) => ports.rewrite_quoted(quoted),
            Self::Own(own) => own.rewrite_quoted(quoted),
        }
    }
}

/// Two ports, which are the first four bytes.
#[derive(Debug)]
pub(crate) struct Ports {
    /// So much of the header is read in one piece before a port is written; in a quote only if all of it is there.
    pub read: usize,
    /// The checksum over the pseudo-header, in a quote.
    pub quoted_checksum: Option<QuotedChecksum>,
    /// Sums up a transport that has a checksum of another kind over all of it, and of nothing else; a quote as far as it is quoted.
    pub sums_up: Option<fn(&mut [u8])>,
}

/// Where a checksum stands that follows addresses and ports.
#[derive(Debug)]
pub(crate) struct QuotedChecksum {
    pub at: usize,
    /// It follows where so much of the header is quoted.
    pub least: usize,
    /// Zero says that there is none.
    pub zero_is_none: bool,
}

impl Ports {
    #[inline]
    fn rewrite(&self, packet: &mut Packet, end: End, port: u16) -> Result<(), Unwritable> {
        // Tracking has seen more of it, but what came round by lo may have lost its end since.
        if packet.transport().len() < HEADER_AT_LEAST {
            return Err(Unwritable("NAT cannot read the ports, which are cut short"));
        }
        if self.read > 0 {
            packet.pull(self.read);
        }
        packet.set_port(end, port);
        if let Some(sum_up) = self.sums_up {
            sum_up(packet.transport_mut());
        }
        Ok(())
    }

    fn rewrite_quoted(&self, quoted: &mut QuotedEnd<'_>) -> Option<()> {
        if quoted.transport.len() < QUOTED_AT_LEAST {
            return None;
        }
        let at = match quoted.end {
            End::Source => 0,
            End::Destination => 2,
        };
        let (old, new) = (be16(quoted.transport, at), quoted.target.end(quoted.end).id);
        put16(quoted.transport, at, new);
        if let Some(sum_up) = self.sums_up {
            sum_up(quoted.transport);
        }
        let Some(checksum) = self
            .quoted_checksum
            .as_ref()
            .filter(|it| quoted.transport.len() >= it.least)
        else {
            return Some(());
        };
        let field = be16(quoted.transport, checksum.at);
        if checksum.zero_is_none && field == 0 {
            return Some(());
        }
        let field = checksum::update_address(field, quoted.address.0, quoted.address.1);
        let field = checksum::update16(field, old, new);
        let field = if checksum.zero_is_none && field == 0 {
            0xffff
        } else {
            field
        };
        put16(quoted.transport, checksum.at, field);
        Some(())
    }
}

/// The word at a place, if it is there.
#[inline]
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

#[cfg(test)]
mod tests;
