//! Rewriting packets as their flow's tuples say, and the packets that ICMP errors quote.

use std::net::IpAddr;

use super::{DropReason, Manip, NatHook};
use crate::conntrack::proto::{self, key::QuotedEnd};
use crate::conntrack::{CtState, Direction, Flow, Status, Tracking, Tuple};
use crate::packet::{ChecksumState, End, Packet, PlainEdit, PlainKey};
use crate::wire::icmpv4::{self, kind};
use crate::wire::{be16, be32, checksum, ipv4, put16, put32};

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
        && let Some(message) = packet.icmpv4()
        && kind::is_error(message.kind())
    {
        let opposite = flow.tuple(tracking.direction.opposite());
        let redirect = message.kind() == kind::REDIRECT;
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

/// One end of a packet that is no error, as the flow's other direction names it.
#[inline]
fn rewrite(packet: &mut Packet, manip: Manip, target: &Tuple) -> Result<(), DropReason> {
    let end = manip.end();
    let key = &proto::spec(packet.protocol()).key;
    key.rewrite(packet, end, target).map_err(DropReason::Unwritable)?;
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
    pub(crate) fn of_plain(&self, key: &PlainKey) -> PlainEdit {
        let applied = [(Manip::Destination, self.destination), (Manip::Source, self.source)];
        let ends = applied
            .into_iter()
            .filter(|(_, applies)| *applies)
            .filter_map(|(manip, _)| {
                let (end, target) = (manip.end(), self.target.as_deref()?);
                match target.end(end).address {
                    IpAddr::V4(address) => Some((end, address, target.end(end).id)),
                    IpAddr::V6(_) => None,
                }
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
    let quoted = packet.transport().get(icmpv4::HEADER..).unwrap_or_default();
    let (Some(first), Some(&protocol)) = (quoted.first(), quoted.get(9)) else {
        return;
    };
    let at = icmpv4::HEADER + usize::from(first & 0x0f) * 4;
    let there = packet.transport().len().saturating_sub(at);
    packet.pull(at + proto::spec(protocol).key.read_of_quote(there));
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
    packet.pull(icmpv4::HEADER + ipv4::MIN_HEADER);
    if packet.checksum == ChecksumState::Unknown && checksum::of(packet.transport()) != 0 {
        return Err(DropReason::IcmpErrorUnreadable);
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
    let message = packet.transport_mut();
    let quoted = message.get_mut(icmpv4::HEADER..).unwrap_or_default();
    rewrite_quote(quoted, opposite, manip).ok_or(DropReason::IcmpErrorUnreadable)?;
    put16(message, 2, 0);
    let sum = checksum::of(message);
    put16(message, 2, sum);
    match manip {
        Manip::Source => packet.set_address(End::Source, opposite.destination.address),
        Manip::Destination => packet.set_address(End::Destination, opposite.source.address),
    }
    Ok(true)
}

/// Gives the quoted packet the addresses and ports that its sender knows. `None` where too little of it is quoted.
fn rewrite_quote(quoted: &mut [u8], target: &Tuple, outer: Manip) -> Option<()> {
    if quoted.len() < ipv4::MIN_HEADER {
        return None;
    }
    // Seen: a header that says it is shorter than a header can be is believed, and what follows it begins within.
    let header = usize::from(quoted[0] & 0x0f) * 4;
    let protocol = quoted[9];
    let (address_at, end) = match outer {
        Manip::Source => (16, End::Destination),
        Manip::Destination => (12, End::Source),
    };
    let IpAddr::V4(new) = target.end(end).address else {
        return None;
    };
    let new = new.to_bits();
    let address = (be32(quoted, address_at), new);
    proto::spec(protocol).key.rewrite_quoted(&mut QuotedEnd {
        transport: quoted.get_mut(header..)?,
        end,
        target,
        address,
    })?;
    let field = checksum::update32(be16(quoted, 10), be32(quoted, address_at), new);
    put32(quoted, address_at, new);
    put16(quoted, 10, field);
    Some(())
}

#[cfg(test)]
mod tests;
