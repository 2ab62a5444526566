//! What an index knows a packet by.

use super::asked::{Sight, Window, name_of, rest_of};
use super::words::{Place, Words};
use crate::base::{Family, InterfaceName};
use crate::conntrack::{StateBits, Tracking};
use crate::packet::Packet;

/// A packet's fields as they are now: whoever changes it makes another. Good for every index of the packet's family.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub(super) family: Family,
    pub(super) words: Words,
    rest: u64,
    pub(super) protocol: u8,
    pub(super) fragment_offset: u32,
    pub(super) transport_length: u32,
}

impl Key {
    /// Reads what is there; an interface that it has not has the empty name. Who knows of every index that no rule in it asks for interfaces gives none.
    #[inline(always)]
    pub fn new(packet: &Packet, tracking: &Tracking, names: Option<(&InterfaceName, &InterfaceName)>) -> Self {
        let family = packet.family();
        let mut words = Words::default();
        let mut set = |place, bits| words.set(family, place, bits);
        let (source, destination) = packet.addresses_as_numbers();
        set(Place::Source, source);
        set(Place::Destination, destination);
        let transport = packet.transport();
        let fragment_offset = packet.fragment_offset();
        // Of what is not there nothing is asked, or everything: see `ChainIndex::ask`.
        if let Some([a, b, c, d]) = transport.first_chunk() {
            set(Place::SourcePort, u16::from_be_bytes([*a, *b]).into());
            set(Place::DestinationPort, u16::from_be_bytes([*c, *d]).into());
        } else if let Some([a, b]) = transport.first_chunk() {
            set(Place::SourcePort, u16::from_be_bytes([*a, *b]).into());
        }
        set(Place::TcpFlags, transport.get(TCP_FLAGS).copied().unwrap_or(0).into());
        set(Place::Protocol, packet.protocol().into());
        set(Place::LaterFragment, (fragment_offset != 0).into());
        set(Place::Mark, packet.mark.into());
        let mut hashes = 0;
        if let Some((input, output)) = names {
            set(Place::Input, input.as_number());
            set(Place::Output, output.as_number());
            hashes = name_of(&words, Place::Input) << 48 | name_of(&words, Place::Output) << 32;
        }
        let state = u64::from(StateBits::of(tracking.state_for_matching()).0);
        Self {
            family,
            rest: rest_of(&words) | hashes | (state & 0x1f) << 8,
            words,
            protocol: packet.protocol(),
            fragment_offset: fragment_offset as u32,
            transport_length: transport.len().min(PLENTY) as u32,
        }
    }

    /// What of it is not in a packet's bytes: its state, and the names of its interfaces. For [`ChainIndex::foresee`](super::ChainIndex::foresee).
    #[inline]
    pub fn manner(&self) -> u64 {
        self.rest & !Sight::BY_HEADERS
    }

    #[inline(always)]
    pub(super) fn sight(&self, window: Window) -> Sight {
        Sight {
            words: [
                window.of(self.family, &self.words),
                self.rest,
                self.words.get(4) >> 32,
                0,
            ],
        }
    }
}

/// Where TCP has its flags.
pub(super) const TCP_FLAGS: usize = 13;
/// Longer than any header that is asked for.
const PLENTY: usize = 1 << 16;
