//! Whether a packet's checksum is looked at, which trackers of whatever has one ask alike.

use super::Fault;
use crate::conntrack::{TrackContext, TrackStage};
use crate::packet::{ChecksumState, Packet};

/// Whether a packet's checksum is to be verified, and whether it was.
#[derive(Clone, Copy, Debug)]
pub struct ChecksumCheck {
    wanted: bool,
    found: Option<ChecksumState>,
    gathered: usize,
}

impl ChecksumCheck {
    /// Arriving packets are verified, where `nf_conntrack_checksum` is set and nobody has done it before.
    #[inline]
    pub fn of(cx: &TrackContext<'_>, packet: &Packet) -> Self {
        Self::of_state(cx, packet.checksum)
    }

    /// The same of a packet of which this is known.
    #[inline]
    pub(crate) fn of_state(cx: &TrackContext<'_>, checksum: ChecksumState) -> Self {
        let arrives = cx.stage == TrackStage::Prerouting;
        Self {
            wanted: arrives && cx.settings.checksum && checksum == ChecksumState::Unknown,
            found: None,
            gathered: 0,
        }
    }

    /// Looks, where that is wanted.
    #[inline]
    pub fn verify<V>(&mut self, is_right: impl FnOnce() -> bool) -> Result<(), Fault<V>> {
        if self.wanted {
            if !is_right() {
                self.found = Some(ChecksumState::Wrong);
                return Err(Fault::Checksum);
            }
            self.found = Some(ChecksumState::Verified);
        }
        Ok(())
    }

    /// The same of who reads so much of the transport header in one piece before.
    pub fn verify_gathered<V>(&mut self, header: usize, is_right: impl FnOnce() -> bool) -> Result<(), Fault<V>> {
        if self.wanted {
            self.gathered = header;
        }
        self.verify(is_right)
    }

    /// How much of the transport header was read in one piece, which shows where the packet came in pieces.
    pub fn gathered(self) -> usize {
        self.gathered
    }

    /// What the checksum is, where that was wanted: right or wrong.
    #[inline]
    pub fn found(self) -> Option<ChecksumState> {
        self.found
    }
}
