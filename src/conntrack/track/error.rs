//! ICMP errors: the flow whose packet they quote.

use std::sync::Arc;

use super::{Refused, refuse, zone_of};
use crate::base::Family;
use crate::conntrack::{
    CtState, Direction, Flow, Hashes, InvalidReason, Reason, Table, TrackContext, Tracked, Tracking, Tuple, Zone,
};
use crate::packet::Packet;
use crate::wire::ipv4;
use crate::wire::ipv6::{Ipv6, extension};

impl Table {
    /// The packet is an ICMP error that quotes another.
    pub(super) fn relate(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        tracking: &mut Tracking,
        quoted: &[u8],
    ) -> Tracked {
        let zone = zone_of(tracking, packet);
        let (flow, direction) = match self.flow_of_error(cx, packet, quoted, zone) {
            Ok(found) => found,
            Err(why) => return refuse(tracking, Refused::Invalid(why)),
        };
        *tracking = Tracking {
            flow: Some(flow),
            state: Some(CtState::Related),
            direction,
            template: tracking.template.take(),
            since: None,
            hashes: Hashes::default(),
        };
        Tracked::Accept(Reason::ErrorOf)
    }

    /// The flow whose packet an ICMP error quotes, and the direction of the error.
    fn flow_of_error(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        quoted: &[u8],
        zone: Zone,
    ) -> Result<(Arc<Flow>, Direction), InvalidReason> {
        let quote = Quote::read(packet.family(), quoted).ok_or(InvalidReason::QuoteUnreadable)?;
        let Quote { mut tuple, transport } = quote;
        self.find_key(&mut tuple, transport);
        let answer = tuple.inverse().ok_or(InvalidReason::QuoteUnreadable)?;
        let found = self.lookup_in(cx.now, &answer, zone);
        let (flow, direction) = found.ok_or(InvalidReason::QuoteOfNoFlow)?;
        if answer.destination.address != packet.destination() {
            return Err(InvalidReason::QuoteNotForSender {
                outer: packet.destination(),
                inner: answer.destination.address,
            });
        }
        Ok((flow, direction))
    }
}

/// The packet that an ICMP error quotes.
struct Quote<'a> {
    tuple: Tuple,
    transport: &'a [u8],
}

impl<'a> Quote<'a> {
    /// Seen: the version and the checksum of the quoted header do not matter, nor does a length that is too short for one; four bytes of a header
    /// with ports are enough.
    fn read(family: Family, quoted: &'a [u8]) -> Option<Self> {
        match family {
            Family::V4 => Self::read_ipv4(quoted),
            Family::V6 => Self::read_ipv6(quoted),
        }
    }

    fn read_ipv6(quoted: &'a [u8]) -> Option<Self> {
        let header = Ipv6::of_quote(quoted)?;
        let upper = header.quoted_upper();
        if upper.fragment_offset != 0 || extension::is_extension(upper.protocol) {
            return None;
        }
        let transport = quoted.get(upper.offset..)?;
        let tuple = Tuple::read(
            upper.protocol,
            header.source().into(),
            header.destination().into(),
            transport,
        )?;
        Some(Self { tuple, transport })
    }

    fn read_ipv4(quoted: &'a [u8]) -> Option<Self> {
        if quoted.len() < ipv4::MIN_HEADER {
            return None;
        }
        let header = usize::from(quoted[0] & 0x0f) * 4;
        let later_fragment = crate::wire::be16(quoted, 6) & ipv4::OFFSET_MASK != 0;
        if later_fragment {
            return None;
        }
        let address = |at: usize| std::net::Ipv4Addr::from_bits(crate::wire::be32(quoted, at)).into();
        let transport = quoted.get(header..)?;
        let tuple = Tuple::read(quoted[9], address(12), address(16), transport)?;
        Some(Self { tuple, transport })
    }
}
