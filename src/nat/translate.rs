//! Rewriting packets as their flow's tuples say, and the packets that ICMP errors quote.

use std::net::{IpAddr, Ipv4Addr};

use super::{DropReason, Manip, NatHook};
use crate::base::{Family, protocol};
use crate::conntrack::proto::{self, key::QuotedEnd};
use crate::conntrack::{CtState, Direction, Flow, Status, Tracking, Tuple};
use crate::packet::{ChecksumState, End, Packet, PlainEdit, PlainKey};
use crate::wire::icmpv4::{self, kind};
use crate::wire::ipv6::{self, Ipv6, extension};
use crate::wire::{be16, be32, checksum, icmpv6, ipv4, put16};

/// What came of a packet at a nat hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translated {
    Unchanged,
    Changed,
    /// MASQUERADE took the flow's source address from another interface than the one it leaves by now. The packet is to be dropped and the flow
    /// to be deleted. Asked of packets in the original direction at POSTROUTING; ICMP errors about a flow are not asked about.
    Moved,
}

/// Rewrites what this hook has to. To be called at each nat hook, after the mapping is decided.
pub(crate) fn translate(packet: &mut Packet, tracking: &Tracking, hook: NatHook) -> Result<Translated, DropReason> {
    let changed = |it| match it {
        true => Translated::Changed,
        false => Translated::Unchanged,
    };
    let Some(flow) = &tracking.flow else {
        return Ok(Translated::Unchanged);
    };
    let manip = hook.manip();
    let status = flow.decided();
    let applies = status.has(status_bit(manip, tracking.direction));
    if tracking.state == Some(CtState::Related)
        && let Some(redirect) = is_redirect(packet)
    {
        let opposite = flow.tuple(tracking.direction.opposite());
        return translate_error(packet, status, &opposite, manip, applies, redirect).map(changed);
    }
    if hook == NatHook::Postrouting
        && tracking.direction == Direction::Original
        && let masqueraded @ Some(_) = flow.nat().masquerade_interface
        && masqueraded != packet.output
    {
        return Ok(Translated::Moved);
    }
    if !applies {
        return Ok(Translated::Unchanged);
    }
    let opposite = flow.tuple(tracking.direction.opposite());
    let Some(target) = opposite.inverse() else {
        return Ok(Translated::Unchanged);
    };
    rewrite(packet, manip, &target)?;
    Ok(Translated::Changed)
}

/// Of an error, whether it is one; `None` of what is none, and of a later piece: what comes round by `lo` in pieces is not joined again in IPv6.
fn is_redirect(packet: &Packet) -> Option<bool> {
    if !packet.is_icmp() || packet.fragment_offset() != 0 {
        return None;
    }
    // What came round by `lo` may have lost its end since it was tracked.
    let Some(kind) = packet.transport().get(..ICMP_HEADER).map(|header| header[0]) else {
        return Some(false);
    };
    match packet.family() {
        Family::V4 => kind::is_error(kind).then_some(kind == kind::REDIRECT),
        // Whatever is RELATED is about a packet.
        Family::V6 => Some(kind == icmpv6::kind::REDIRECT),
    }
}

/// Of both families.
const ICMP_HEADER: usize = icmpv4::HEADER;

/// One end of a packet that is no error, as the flow's other direction names it.
#[inline]
fn rewrite(packet: &mut Packet, manip: Manip, target: &Tuple) -> Result<(), DropReason> {
    let end = manip.end();
    // A later piece, which in IPv6 comes round by `lo` as it is, has an address and nothing else.
    if packet.fragment_offset() == 0 {
        let key = &proto::spec(packet.protocol()).key;
        key.rewrite(packet, end, target).map_err(DropReason::Unwritable)?;
    }
    packet.set_address(end, target.end(end).address);
    Ok(())
}

/// What [`translate`] rewrites of a flow's packets one way, made ready.
#[derive(Debug)]
pub(crate) struct Rewrites {
    target: Option<Box<Tuple>>,
    source: bool,
    destination: bool,
}

impl Rewrites {
    /// Of packets of which these ends were rewritten.
    pub(crate) fn new(flow: &Flow, direction: Direction, rewritten: &[Manip]) -> Self {
        let target = flow.tuple(direction.opposite()).inverse();
        Self {
            target: target.filter(|_| !rewritten.is_empty()).map(Box::new),
            source: rewritten.contains(&Manip::Source),
            destination: rewritten.contains(&Manip::Destination),
        }
    }

    /// All of it at once, and a hop further, of plain packets of this key.
    pub(crate) fn of_plain<const WORDS: usize>(&self, key: &PlainKey<WORDS>) -> PlainEdit<WORDS> {
        let applied = [(Manip::Destination, self.destination), (Manip::Source, self.source)];
        let ends = applied
            .into_iter()
            .filter(|(_, applies)| *applies)
            .filter_map(|(manip, _)| {
                let (end, target) = (manip.end(), self.target.as_deref()?);
                Some((end, target.end(end).address, target.end(end).id))
            });
        PlainEdit::new(key, &ends.collect::<Vec<_>>())
    }

    /// The same again of a packet of which tracking says what it said of that one.
    #[inline]
    pub(crate) fn apply(&self, packet: &mut Packet, manip: Manip) {
        let applies = match manip {
            Manip::Source => self.source,
            Manip::Destination => self.destination,
        };
        if applies {
            self.rewrite(packet, manip);
        }
    }

    #[inline(never)]
    fn rewrite(&self, packet: &mut Packet, manip: Manip) {
        if let Some(target) = &self.target {
            // A whole header could be written to before, and can be again.
            let _ = rewrite(packet, manip, target);
        }
    }
}

/// Which mapping a hook applies: against the flow's direction, the hook for sources undoes the mapping of the destination, and the reverse.
fn status_bit(manip: Manip, direction: Direction) -> Status {
    match (manip, direction) {
        (Manip::Source, Direction::Original) | (Manip::Destination, Direction::Reply) => Status::SRC_NAT,
        (Manip::Destination, Direction::Original) | (Manip::Source, Direction::Reply) => Status::DST_NAT,
    }
}

/// What is about to be rewritten of the quoted transport header is read in one piece.
fn pull_quote(packet: &mut Packet) {
    let quoted = packet.transport().get(ICMP_HEADER..).unwrap_or_default();
    let Some((protocol, offset)) = quoted_transport(packet.family(), quoted) else {
        return;
    };
    let at = ICMP_HEADER + offset;
    let there = packet.transport().len().saturating_sub(at);
    if let Some(read) = proto::spec(protocol).key.read_of_quote(there) {
        packet.pull(at + read);
    }
}

/// Which transport a quoted packet has, and where. Seen: a header of IPv4 that says it is shorter than a header can be is believed, and what follows it
/// begins within.
fn quoted_transport(family: Family, quoted: &[u8]) -> Option<(u8, usize)> {
    match family {
        Family::V4 => Some((*quoted.get(9)?, usize::from(quoted[0] & 0x0f) * 4)),
        Family::V6 => {
            let upper = Ipv6::of_quote(quoted)?.quoted_upper();
            let is_there = upper.fragment_offset == 0 && !extension::is_extension(upper.protocol);
            is_there.then_some((upper.protocol, upper.offset))
        }
    }
}

/// The checksum of a message with its pseudo-header, where it has one; zero when the field in it is right.
fn sum_of_message(packet: &Packet) -> u16 {
    match packet.family() {
        Family::V4 => checksum::of(packet.transport()),
        Family::V6 => packet.transport_checksum(protocol::ICMPV6),
    }
}

/// The same, as the kernel asks whether it is right. Seen: of IPv4 over the header, too, whose own checksum is not that of the options once the host has
/// written its time into them.
fn asked_sum(packet: &Packet) -> u16 {
    match packet.family() {
        Family::V4 => checksum::of(packet.bytes()),
        Family::V6 => sum_of_message(packet),
    }
}

/// Whether the packet that an error quotes has a checksum that is made anew when its ports are written.
fn sums_up_quote(packet: &Packet) -> bool {
    let quoted = packet.transport().get(ICMP_HEADER..).unwrap_or_default();
    let found = quoted_transport(packet.family(), quoted);
    found.is_some_and(|(protocol, offset)| {
        let there = quoted.len().saturating_sub(offset);
        proto::spec(protocol).key.sums_up_quote(there)
    })
}

/// An error's own address is rewritten like any packet's; in the packet that it quotes, which ran the other way, it is the other end.
fn translate_error(
    packet: &mut Packet,
    status: Status,
    opposite: &Tuple,
    manip: Manip,
    applies: bool,
    redirect: bool,
) -> Result<bool, DropReason> {
    if packet.transport().len() < ICMP_HEADER {
        return Err(DropReason::IcmpErrorUnreadable);
    }
    packet.pull(ICMP_HEADER + least_header(packet.family()));
    if packet.checksum == ChecksumState::Unknown {
        if asked_sum(packet) != 0 {
            return Err(DropReason::IcmpErrorUnreadable);
        }
        // Of IPv6, whose header has no checksum, nothing hangs on who asks again.
        if packet.family() == Family::V4 {
            packet.checksum = ChecksumState::Verified;
        }
    }
    // A redirect tells the host an address of the wrong side.
    let decided = Status::SRC_NAT_DONE.or(Status::DST_NAT_DONE);
    if redirect && (!status.has(decided) || status.has_any(Status::SRC_NAT.or(Status::DST_NAT))) {
        return Err(DropReason::RedirectUnderNat);
    }
    if !applies {
        return Ok(false);
    }
    pull_quote(packet);
    let family = packet.family();
    // Seen: who sums up a quote anew forgets that the message was right, and the next hook asks again.
    if family == Family::V4 && packet.checksum == ChecksumState::Verified && sums_up_quote(packet) {
        packet.checksum = ChecksumState::Unknown;
    }
    let message = packet.transport_mut();
    let quoted = message.get_mut(ICMP_HEADER..).unwrap_or_default();
    rewrite_quote(family, quoted, opposite, manip).ok_or(DropReason::IcmpErrorUnreadable)?;
    if family == Family::V4 || packet.checksum != ChecksumState::Partial {
        put16(packet.transport_mut(), 2, 0);
        let sum = sum_of_message(packet);
        put16(packet.transport_mut(), 2, sum);
    }
    match manip {
        Manip::Source => packet.set_address(End::Source, opposite.destination.address),
        Manip::Destination => packet.set_address(End::Destination, opposite.source.address),
    }
    Ok(true)
}

/// Of a quoted packet.
fn least_header(family: Family) -> usize {
    match family {
        Family::V4 => ipv4::MIN_HEADER,
        Family::V6 => ipv6::HEADER,
    }
}

/// Gives the quoted packet the addresses and ports that its sender knows. `None` where too little of it is quoted.
fn rewrite_quote(family: Family, quoted: &mut [u8], target: &Tuple, outer: Manip) -> Option<()> {
    if quoted.len() < least_header(family) {
        return None;
    }
    let end = match outer {
        Manip::Source => End::Destination,
        Manip::Destination => End::Source,
    };
    let new = target.end(end).address;
    let old = quoted_address(family, quoted, end);
    if Family::of(new) != family {
        return None;
    }
    // Seen: of a later piece of IPv6, about which only the router itself has anything to say here, the addresses are rewritten.
    if let Some((protocol, offset)) = quoted_transport(family, quoted) {
        proto::spec(protocol).key.rewrite_quoted(&mut QuotedEnd {
            transport: quoted.get_mut(offset..)?,
            end,
            target,
            address: (old, new),
        })?;
    }
    match new {
        IpAddr::V4(address) => {
            let field = checksum::update_address(be16(quoted, 10), old, new);
            put16(quoted, 10, field);
            let at = if end == End::Source { 12 } else { 16 };
            quoted[at..][..4].copy_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            let at = if end == End::Source { 8 } else { 24 };
            quoted[at..][..16].copy_from_slice(&address.octets());
        }
    }
    Some(())
}

/// Of a header that is whole.
fn quoted_address(family: Family, quoted: &[u8], end: End) -> IpAddr {
    match (family, Ipv6::of_quote(quoted)) {
        (Family::V6, Some(header)) => match end {
            End::Source => header.source().into(),
            End::Destination => header.destination().into(),
        },
        _ => Ipv4Addr::from_bits(be32(quoted, if end == End::Source { 12 } else { 16 })).into(),
    }
}

#[cfg(test)]
mod tests;
