//! A TCP segment as the tracker sees it: which kind it is, where it ends, what its options say.

use super::InvalidReason;
use crate::wire::tcp::{MIN_HEADER, Tcp, flags, is_after, option};

/// A segment whose header and flags are sane. Made by [`header_is_valid`].
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub header: Tcp<&'a [u8]>,
    /// Bytes after the header, as the IP lengths say.
    pub payload_length: u32,
    kind: Kind,
}

/// What a segment is for the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
}

/// What both ends say of themselves in a SYN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SynOptions {
    /// `None` where the option is missing; at most 14 (RFC 7323).
    pub scale: Option<u8>,
    pub sack_permitted: bool,
}

/// Checks what can be told from the segment alone. `transport` is everything after the IP header, of the IP header's length.
///
/// The checksum is the caller's: the kernel verifies it only in PREROUTING and only where `nf_conntrack_checksum` is set.
#[inline]
pub(crate) fn header_is_valid(transport: &[u8]) -> Result<Segment<'_>, InvalidReason> {
    let have = transport.len();
    if have < MIN_HEADER {
        return Err(InvalidReason::Truncated { have });
    }
    let Ok(header) = Tcp::new(transport) else {
        let offset = usize::from(transport[12] >> 4) * 4;
        return Err(InvalidReason::DataOffset { offset, have });
    };
    let kind = Kind::of(header.flags()).ok_or(InvalidReason::FlagCombination { flags: header.flags() })?;
    let payload_length = (have - header.header_length()) as u32;
    Ok(Segment {
        header,
        payload_length,
        kind,
    })
}

impl Segment<'_> {
    #[inline]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The sequence number after the last one that this segment occupies; SYN and FIN occupy one each.
    #[inline]
    pub(super) fn end(&self) -> u32 {
        let occupied = u32::from(self.header.has(flags::SYN)) + u32::from(self.header.has(flags::FIN));
        self.header
            .sequence()
            .wrapping_add(self.payload_length)
            .wrapping_add(occupied)
    }

    pub(super) fn syn_options(&self) -> SynOptions {
        let mut found = SynOptions::default();
        for option in self.header.options() {
            match (option.kind, option.data) {
                (option::WINDOW_SCALE, &[shift]) => found.scale = Some(shift.min(MAX_SCALE)),
                (option::SACK_PERMITTED, []) => found.sack_permitted = true,
                _ => {}
            }
        }
        found
    }

    /// The highest right edge that SACK blocks name, if it lies beyond `acknowledgement`; else `acknowledgement`.
    pub(super) fn selective_acknowledgement(&self, acknowledgement: u32) -> u32 {
        let mut highest = acknowledgement;
        for option in self.header.options() {
            if option.kind != option::SACK || option.data.len() % SACK_BLOCK != 0 {
                continue;
            }
            for block in option.data.chunks_exact(SACK_BLOCK) {
                let right = u32::from_be_bytes([block[4], block[5], block[6], block[7]]);
                if is_after(right, highest) {
                    highest = right;
                }
            }
        }
        highest
    }
}

impl Kind {
    /// Of all 64 combinations of the six classic flags the kernel takes nine, whatever PSH, ECE and CWR are.
    #[inline]
    fn of(bits: u8) -> Option<Self> {
        use flags::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};
        const SYN_ACK: u8 = SYN | ACK;
        const FIN_ACK: u8 = FIN | ACK;
        const RST_ACK: u8 = RST | ACK;
        const SYN_URG: u8 = SYN | URG;
        const ACK_URG: u8 = ACK | URG;
        const FIN_ACK_URG: u8 = FIN | ACK | URG;
        match bits & !(PSH | ECE | CWR) {
            SYN | SYN_URG => Some(Self::Syn),
            SYN_ACK => Some(Self::SynAck),
            FIN_ACK | FIN_ACK_URG => Some(Self::Fin),
            ACK | ACK_URG => Some(Self::Ack),
            RST | RST_ACK => Some(Self::Rst),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Syn => "SYN",
            Self::SynAck => "SYN+ACK",
            Self::Fin => "FIN",
            Self::Ack => "ACK",
            Self::Rst => "RST",
        }
    }
}

/// RFC 7323, 2.3: larger shifts are taken as this one.
const MAX_SCALE: u8 = 14;
/// Left and right edge.
const SACK_BLOCK: usize = 8;
