//! The windows: which sequence numbers and acknowledgements each side may use now.
//!
//! A segment fits when (1) it begins below what its receiver's window allows, (2) it ends no further back than a window before its sender's
//! last byte, (3) it acknowledges only what was seen, (4) nothing overly old. These are the paper's four bounds; each of their numbers here was
//! read off the kernel's own words about a packet one above and one below.

use super::{Direction, IgnoredReason, InvalidReason, Kind, Segment, SequenceAdjustment, Settings, TcpState, TcpTrack};
use crate::wire::tcp::{flags, is_after, is_before};

/// One side of a connection, as a sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Side {
    /// One above the highest sequence number it was seen to use.
    pub end: u32,
    /// One above the highest it may use: the other side's acknowledgement and window.
    pub max_end: u32,
    /// The largest window it offered, scaled. 0: nothing was seen from it yet.
    pub max_window: u32,
    /// The highest acknowledgement it sent, where `ACKNOWLEDGED` is set.
    pub max_acknowledgement: u32,
    /// The shift of the windows it offers.
    pub scale: u8,
    pub flags: SideFlags,
}

/// What is known of a side. The bits are those that `nfnetlink` shows, so that experiments can be held against them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SideFlags(u8);

impl SideFlags {
    pub const NONE: Self = Self(0);
    pub const WINDOW_SCALE: Self = Self(0x01);
    pub const SACK_PERMITTED: Self = Self(0x02);
    /// It sent the first FIN.
    pub const CLOSE_INIT: Self = Self(0x04);
    /// Its connection was picked up midway: windows are not held against it.
    pub const LIBERAL: Self = Self(0x08);
    /// Something it sent has not been acknowledged.
    pub const UNACKNOWLEDGED: Self = Self(0x10);
    /// `max_acknowledgement` is known.
    pub const ACKNOWLEDGED: Self = Self(0x20);

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Those of `kept` that are set.
    pub fn only(self, kept: Self) -> Self {
        Self(self.0 & kept.0)
    }

    pub fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    pub fn bits(self) -> u8 {
        self.0
    }
}

/// How a segment fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Inside,
    Ignore(IgnoredReason),
    Outside(InvalidReason),
}

/// An acknowledgement older than this, and than the largest window, counts no more: a little above the largest unscaled window.
const MAX_ACK_WINDOW: u32 = 66_000;

impl Side {
    /// A side whose first segment is a SYN.
    pub fn opening(segment: &Segment<'_>) -> Self {
        let mut side = Self::default();
        side.open(segment);
        side
    }

    fn open(&mut self, segment: &Segment<'_>) {
        self.end = segment.end();
        self.max_end = segment.end();
        self.max_window = u32::from(segment.header.window()).max(1);
        self.read_options(segment);
    }

    /// Both sides of a connection whose beginning was not seen.
    pub fn picked_up(segment: &Segment<'_>) -> [Self; 2] {
        let max_window = u32::from(segment.header.window()).max(1);
        let mut flags = SideFlags::SACK_PERMITTED;
        flags.set(SideFlags::LIBERAL);
        let first = Self {
            end: segment.end(),
            max_end: segment.end().wrapping_add(max_window),
            max_window,
            max_acknowledgement: 0,
            scale: 0,
            flags,
        };
        let other = Self {
            flags,
            ..Self::default()
        };
        [first, other]
    }

    /// A SYN without any option says nothing of options: what an earlier one said stays.
    fn read_options(&mut self, segment: &Segment<'_>) {
        if segment.header.options_bytes().is_empty() {
            return;
        }
        let options = segment.syn_options();
        self.scale = options.scale.unwrap_or(0);
        self.flags = self.flags.only(SideFlags::LIBERAL);
        if options.scale.is_some() {
            self.flags.set(SideFlags::WINDOW_SCALE);
        }
        if options.sack_permitted {
            self.flags.set(SideFlags::SACK_PERMITTED);
        }
    }
}

impl TcpTrack {
    /// Holds the segment against the windows, and where it fits lets them follow it.
    pub(super) fn fit(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        settings: &Settings,
        adjust: Option<&[SequenceAdjustment; 2]>,
    ) -> Fit {
        let header = &segment.header;
        let (is_syn, is_ack, is_rst) = (header.has(flags::SYN), header.has(flags::ACK), header.has(flags::RST));
        let mut sequence = header.sequence();
        let mut end = segment.end();
        let mut acknowledgement = header.acknowledgement();
        let raw_window = header.window();
        let mut window = u32::from(raw_window);

        let [original, reply] = &mut self.sides;
        let (sender, receiver) = match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        let mut selective = acknowledgement;
        if receiver.flags.has(SideFlags::SACK_PERMITTED) {
            selective = segment.selective_acknowledgement(acknowledgement);
        }
        if let Some(adjust) = adjust {
            // The receiver's numbers were moved by NAT: its sender acknowledges them as moved, and they are kept as they were. Seen: whether the
            // last change has been acknowledged is asked of the moved number, so here they may be kept otherwise than they leave.
            let offset = &adjust[direction.opposite().index()];
            let offset = offset.offset_at(acknowledgement.wrapping_sub(1)) as u32;
            acknowledgement = acknowledgement.wrapping_sub(offset);
            selective = selective.wrapping_sub(offset);
        }

        let anew = matches!(self.state, TcpState::SynSent | TcpState::SynRecv) && is_after(end, sender.end);
        let first = sender.max_window == 0;
        if is_syn && (first || anew) {
            // The side's first SYN, or it starts anew with higher numbers.
            sender.open(segment);
            if direction == Direction::Reply
                && !(sender.flags.has(SideFlags::WINDOW_SCALE) && receiver.flags.has(SideFlags::WINDOW_SCALE))
            {
                sender.scale = 0;
                receiver.scale = 0;
            }
            if direction == Direction::Reply && !is_ack {
                // Simultaneous open: nothing in it refers to the other side.
                return Fit::Inside;
            }
        } else if first {
            // The other side of a connection that was picked up midway, one that answers a SYN with anything but its own, or one whose windows are
            // to be learnt anew.
            sender.end = end;
            sender.max_window = (window << sender.scale).max(1);
            sender.max_end = end.wrapping_add(sender.max_window);
            if receiver.max_window == 0 {
                receiver.end = selective;
                receiver.max_end = selective;
            } else if selective == receiver.end.wrapping_add(1) {
                // Seen: one more than was sent is taken, as if a FIN had passed unseen.
                receiver.end = selective;
            }
        }

        if !is_ack || (is_rst && acknowledgement == 0) {
            acknowledgement = receiver.end;
            selective = receiver.end;
        }
        if is_rst && sequence == 0 && self.state == TcpState::SynSent {
            // A RST that answers a SYN may have no number at all.
            sequence = sender.end;
            end = sender.end;
        }

        let liberal = settings.be_liberal || sender.flags.has(SideFlags::LIBERAL);
        let lower = sender.end.wrapping_sub(receiver.max_window).wrapping_sub(1);
        let too_low = receiver.max_window != 0 && !is_after(end, lower);
        let unseen = !is_before(selective, receiver.end.wrapping_add(1));
        let oldest = receiver
            .end
            .wrapping_sub(sender.max_window.max(MAX_ACK_WINDOW))
            .wrapping_sub(1);
        let too_old = !is_after(selective, oldest);
        let too_high = !is_before(sequence, sender.max_end.wrapping_add(1));
        let misfit = if too_high {
            let bytes = end.wrapping_sub(sender.max_end).wrapping_add(1);
            if bytes > receiver.max_window || too_low || unseen || too_old {
                Fit::Outside(InvalidReason::SequenceAboveWindow {
                    sequence,
                    at_most: sender.max_end,
                })
            } else {
                // It counts as sent, but for nothing else.
                sender.end = end;
                sender.flags.set(SideFlags::UNACKNOWLEDGED);
                Fit::Ignore(IgnoredReason::Overshot { bytes })
            }
        } else if unseen {
            Fit::Outside(InvalidReason::AcknowledgesUnseen {
                acknowledgement: selective,
                at_most: receiver.end,
            })
        } else if too_low {
            Fit::Ignore(IgnoredReason::SequenceBelowWindow {
                end,
                at_least: lower.wrapping_add(1),
            })
        } else if too_old {
            Fit::Ignore(IgnoredReason::StaleAcknowledgement {
                acknowledgement: selective,
                at_least: oldest.wrapping_add(1),
            })
        } else {
            Fit::Inside
        };
        if misfit != Fit::Inside {
            return if liberal { Fit::Inside } else { misfit };
        }

        if is_after(end, sender.end) {
            sender.end = end;
            sender.flags.set(SideFlags::UNACKNOWLEDGED);
        }
        if !is_syn {
            window <<= sender.scale;
        }
        sender.max_window = sender
            .max_window
            .max(window.wrapping_add(selective.wrapping_sub(acknowledgement)));
        if is_ack
            && (!sender.flags.has(SideFlags::ACKNOWLEDGED) || is_after(acknowledgement, sender.max_acknowledgement))
        {
            sender.max_acknowledgement = acknowledgement;
            sender.flags.set(SideFlags::ACKNOWLEDGED);
        }
        if receiver.max_window != 0 && is_after(end, sender.max_end) {
            receiver.max_window = receiver.max_window.wrapping_add(end.wrapping_sub(sender.max_end));
        }
        let reach = selective.wrapping_add(window);
        if is_after(reach, receiver.max_end.wrapping_sub(1)) {
            receiver.max_end = reach;
            if window == 0 {
                receiver.max_end = receiver.max_end.wrapping_add(1);
            }
        }
        if acknowledgement == receiver.end {
            receiver.flags.clear(SideFlags::UNACKNOWLEDGED);
        }

        if segment.kind() == Kind::Ack {
            let last = &mut self.last;
            let same = last.direction == direction
                && last.sequence == sequence
                && last.acknowledgement == acknowledgement
                && last.end == end
                && last.window == raw_window;
            if same {
                self.retransmissions = self.retransmissions.saturating_add(1);
            } else {
                last.sequence = sequence;
                last.acknowledgement = acknowledgement;
                last.end = end;
                last.window = raw_window;
                self.retransmissions = 0;
            }
        }
        Fit::Inside
    }
}
