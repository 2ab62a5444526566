//! What comes next in TCP conversations, for packets that are to belong to one: as far as they were seen, else as tracking says.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Lab;
use crate::base::protocol;
use crate::conntrack::proto::ProtocolState;
use crate::conntrack::proto::tcp::TcpTrack;
use crate::conntrack::{Direction, Endpoint, SequenceAdjustment, Tuple};
use crate::packet::Packet;
use crate::wire::tcp::flags;

impl Lab {
    /// The sequence number that comes next in this direction of a TCP conversation: as far as this lab has seen it, else what the tracked flow
    /// says, where its packets passed before anybody looked.
    pub fn next_sequence(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> Option<u32> {
        let seen = self.streams.0.get(&(from, to)).copied();
        seen.or_else(|| self.of_flow(from, to, |track, direction, _| track.next_sequence(direction)))
    }

    /// What a sender acknowledges of the other direction. Behind NAT the other direction has other addresses, so it is the flow that knows it,
    /// and where a helper changed lengths, the sender has got other numbers than were sent.
    pub fn acknowledged(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> Option<u32> {
        let seen = self.streams.0.get(&(to, from)).copied();
        seen.or_else(|| {
            self.of_flow(from, to, |track, direction, adjustments| {
                let other = direction.opposite();
                let next = track.next_sequence(other)?;
                let offset = adjustments.map_or(0, |both| both[other.index()].offset_at(next));
                Some(next.wrapping_add_signed(offset))
            })
        })
    }

    /// The window that a sender offers, as it stands in a header.
    pub fn window(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> Option<u16> {
        self.of_flow(from, to, |track, direction, _| track.window(direction))
    }

    /// What the tracked flow of a TCP packet says, with the direction that the packet goes.
    fn of_flow<T>(
        &self,
        from: (IpAddr, u16),
        to: (IpAddr, u16),
        ask: impl FnOnce(&TcpTrack, Direction, Option<&[SequenceAdjustment; 2]>) -> Option<T>,
    ) -> Option<T> {
        let end = |(address, id)| Endpoint { address, id };
        let tuple = Tuple {
            source: end(from),
            destination: end(to),
            protocol: protocol::TCP,
        };
        let (flow, direction) = self.machine.router().flows().lookup(self.machine.now, &tuple)?;
        let state = flow.lock();
        match &state.protocol {
            ProtocolState::Tcp(track) => ask(track, direction, state.sequence()),
            _ => None,
        }
    }
}

/// Source and destination of one direction of a TCP conversation.
type StreamKey = ((IpAddr, u16), (IpAddr, u16));

/// What comes next in each direction of each TCP conversation, as seen wherever it passed: before and after NAT are two entries.
#[derive(Debug, Default)]
pub(super) struct Streams(HashMap<StreamKey, u32>);

impl Streams {
    pub(super) fn note(&mut self, bytes: &[u8]) {
        let Ok(packet) = Packet::parse(bytes.to_vec()) else {
            return;
        };
        let Some(tcp) = packet.tcp() else { return };
        if packet.protocol() != protocol::TCP || tcp.has(flags::RST) {
            return;
        }
        let virtual_bytes = u32::from(tcp.has(flags::SYN)) + u32::from(tcp.has(flags::FIN));
        let next = tcp
            .sequence()
            .wrapping_add(tcp.payload().len() as u32)
            .wrapping_add(virtual_bytes);
        let key = (
            (packet.source(), tcp.source_port()),
            (packet.destination(), tcp.destination_port()),
        );
        self.0.insert(key, next);
    }
}
