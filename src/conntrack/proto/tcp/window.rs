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
    pub(super) const NONE: Self = Self(0);
    pub(super) const WINDOW_SCALE: Self = Self(0x01);
    pub(super) const SACK_PERMITTED: Self = Self(0x02);
    /// It sent the first FIN.
    pub(super) const CLOSE_INIT: Self = Self(0x04);
    /// Its connection was picked up midway: windows are not held against it.
    pub(super) const LIBERAL: Self = Self(0x08);
    /// Something it sent has not been acknowledged.
    pub(super) const UNACKNOWLEDGED: Self = Self(0x10);
    /// `max_acknowledgement` is known.
    pub(super) const ACKNOWLEDGED: Self = Self(0x20);

    #[inline]
    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline]
    pub(super) fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Those of `kept` that are set.
    pub(super) fn only(self, kept: Self) -> Self {
        Self(self.0 & kept.0)
    }

    #[inline]
    pub(super) fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    pub(super) fn bits(self) -> u8 {
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
    pub(super) fn opening(segment: &Segment<'_>) -> Self {
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
    pub(super) fn picked_up(segment: &Segment<'_>) -> [Self; 2] {
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
        let is_syn = segment.header.has(flags::SYN);
        let is_ack = segment.header.has(flags::ACK);
        let [original, reply] = &mut self.sides;
        let (sender, receiver) = match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        let mut numbers = Numbers::of(segment, receiver);
        if let Some(adjust) = adjust {
            numbers.as_they_were(&adjust[direction.opposite().index()]);
        }

        let anew = matches!(self.state, TcpState::SynSent | TcpState::SynRecv) && is_after(numbers.end, sender.end);
        let first = sender.max_window == 0;
        if is_syn && (first || anew) {
            // The side's first SYN, or it starts anew with higher numbers.
            sender.open(segment);
            if direction == Direction::Reply {
                agree_on_scales(sender, receiver);
                if !is_ack {
                    // Simultaneous open: nothing in it refers to the other side.
                    return Fit::Inside;
                }
            }
        } else if first {
            numbers.teach(sender, receiver);
        }
        numbers.fill_in(segment, self.state, sender, receiver);

        let fit = numbers.fit(sender, receiver);
        if fit != Fit::Inside {
            if let Fit::Ignore(IgnoredReason::Overshot { .. }) = fit {
                // It counts as sent, but for nothing else.
                sender.end = numbers.end;
                sender.flags.set(SideFlags::UNACKNOWLEDGED);
            }
            let liberal = settings.be_liberal || sender.flags.has(SideFlags::LIBERAL);
            return if liberal { Fit::Inside } else { fit };
        }
        numbers.move_windows(sender, receiver, is_syn, is_ack);
        if segment.kind() == Kind::Ack {
            self.count_repeated(direction, &numbers);
        }
        Fit::Inside
    }

    /// The same of an acknowledgement, perhaps with data, of a connection that stands and whose numbers nobody shifts. False, and nothing is changed,
    /// where it does not fit, or its side is still to be learnt.
    #[inline(always)]
    pub(super) fn stays_inside(&mut self, direction: Direction, segment: &Segment<'_>) -> bool {
        let [original, reply] = &mut self.sides;
        let (sender, receiver) = match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        let numbers = Numbers::of(segment, receiver);
        if sender.max_window == 0 || numbers.fit(sender, receiver) != Fit::Inside {
            return false;
        }
        numbers.move_windows(sender, receiver, false, true);
        self.count_repeated(direction, &numbers);
        true
    }

    /// How often the same acknowledgement came in a row.
    #[inline]
    fn count_repeated(&mut self, direction: Direction, numbers: &Numbers) {
        let last = &mut self.last;
        let same = last.direction == direction
            && last.sequence == numbers.sequence
            && last.acknowledgement == numbers.acknowledgement
            && last.end == numbers.end
            && last.window == numbers.raw_window;
        if same {
            self.retransmissions = self.retransmissions.saturating_add(1);
        } else {
            last.sequence = numbers.sequence;
            last.acknowledgement = numbers.acknowledgement;
            last.end = numbers.end;
            last.window = numbers.raw_window;
            self.retransmissions = 0;
        }
    }
}

/// Windows are scaled where both sides said that they scale.
fn agree_on_scales(sender: &mut Side, receiver: &mut Side) {
    if !(sender.flags.has(SideFlags::WINDOW_SCALE) && receiver.flags.has(SideFlags::WINDOW_SCALE)) {
        sender.scale = 0;
        receiver.scale = 0;
    }
}

/// What a segment says, in the numbers that its receiver sent and its sender uses.
struct Numbers {
    sequence: u32,
    end: u32,
    acknowledgement: u32,
    /// The highest that it acknowledges, selective acknowledgements among it.
    selective: u32,
    /// As in the header.
    raw_window: u16,
}

impl Numbers {
    #[inline]
    fn of(segment: &Segment<'_>, receiver: &Side) -> Self {
        let acknowledgement = segment.header.acknowledgement();
        let selective = match receiver.flags.has(SideFlags::SACK_PERMITTED) {
            true => segment.selective_acknowledgement(acknowledgement),
            false => acknowledgement,
        };
        Self {
            sequence: segment.header.sequence(),
            end: segment.end(),
            acknowledgement,
            selective,
            raw_window: segment.header.window(),
        }
    }

    /// The receiver's numbers were moved by NAT: its sender acknowledges them as moved, and they are kept as they were. Seen: whether the last
    /// change has been acknowledged is asked of the moved number, so here they may be kept otherwise than they leave.
    fn as_they_were(&mut self, moved: &SequenceAdjustment) {
        let offset = moved.offset_at(self.acknowledgement.wrapping_sub(1)) as u32;
        self.acknowledgement = self.acknowledgement.wrapping_sub(offset);
        self.selective = self.selective.wrapping_sub(offset);
    }

    /// Sides learn their windows from the other side of a connection that was picked up midway, one that answers a SYN with anything but its own, or
    /// one whose windows are to be learnt anew.
    fn teach(&self, sender: &mut Side, receiver: &mut Side) {
        sender.end = self.end;
        sender.max_window = (u32::from(self.raw_window) << sender.scale).max(1);
        sender.max_end = self.end.wrapping_add(sender.max_window);
        if receiver.max_window == 0 {
            receiver.end = self.selective;
            receiver.max_end = self.selective;
        } else if self.selective == receiver.end.wrapping_add(1) {
            // Seen: one more than was sent is taken, as if a FIN had passed unseen.
            receiver.end = self.selective;
        }
    }

    /// What a segment need not say is what it would say.
    #[inline]
    fn fill_in(&mut self, segment: &Segment<'_>, state: TcpState, sender: &Side, receiver: &Side) {
        let is_rst = segment.header.has(flags::RST);
        if !segment.header.has(flags::ACK) || (is_rst && self.acknowledgement == 0) {
            self.acknowledgement = receiver.end;
            self.selective = receiver.end;
        }
        if is_rst && self.sequence == 0 && state == TcpState::SynSent {
            // A RST that answers a SYN may have no number at all.
            self.sequence = sender.end;
            self.end = sender.end;
        }
    }

    /// The four bounds.
    #[inline]
    fn fit(&self, sender: &Side, receiver: &Side) -> Fit {
        let lower = sender.end.wrapping_sub(receiver.max_window).wrapping_sub(1);
        let too_low = receiver.max_window != 0 && !is_after(self.end, lower);
        let unseen = !is_before(self.selective, receiver.end.wrapping_add(1));
        let oldest = receiver
            .end
            .wrapping_sub(sender.max_window.max(MAX_ACK_WINDOW))
            .wrapping_sub(1);
        let too_old = !is_after(self.selective, oldest);
        let too_high = !is_before(self.sequence, sender.max_end.wrapping_add(1));
        if too_high {
            let bytes = self.end.wrapping_sub(sender.max_end).wrapping_add(1);
            if bytes > receiver.max_window || too_low || unseen || too_old {
                Fit::Outside(InvalidReason::SequenceAboveWindow {
                    sequence: self.sequence,
                    at_most: sender.max_end,
                })
            } else {
                Fit::Ignore(IgnoredReason::Overshot { bytes })
            }
        } else if unseen {
            Fit::Outside(InvalidReason::AcknowledgesUnseen {
                acknowledgement: self.selective,
                at_most: receiver.end,
            })
        } else if too_low {
            Fit::Ignore(IgnoredReason::SequenceBelowWindow {
                end: self.end,
                at_least: lower.wrapping_add(1),
            })
        } else if too_old {
            Fit::Ignore(IgnoredReason::StaleAcknowledgement {
                acknowledgement: self.selective,
                at_least: oldest.wrapping_add(1),
            })
        } else {
            Fit::Inside
        }
    }

    /// What a segment that fits allows from now on.
    #[inline]
    fn move_windows(&self, sender: &mut Side, receiver: &mut Side, is_syn: bool, is_ack: bool) {
        let Self {
            end,
            acknowledgement,
            selective,
            ..
        } = *self;
        if is_after(end, sender.end) {
            sender.end = end;
            sender.flags.set(SideFlags::UNACKNOWLEDGED);
        }
        let scale = if is_syn { 0 } else { sender.scale };
        let window = u32::from(self.raw_window) << scale;
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
    }
}
