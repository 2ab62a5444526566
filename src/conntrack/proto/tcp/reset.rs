//! Whether a RST is to be believed: a forged one must not close a connection, a real one that looks odd must.

use super::window::SideFlags;
use super::{Direction, InvalidReason, Kind, Segment, Settings, TcpState, TcpTrack};
use crate::wire::tcp::is_before;

/// How much a RST is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    /// Nothing of it is checked.
    Trusted,
    /// It closes the connection if it fits the window.
    Plausible,
    /// It may fit the window, but its number is not the one its receiver waits for: an end that follows RFC 5961 answers it with a challenge
    /// ACK, so the connection keeps its state, and only lives as if it were closed.
    Inexact,
    Stale(InvalidReason),
}

impl TcpTrack {
    pub(super) fn judge_reset(
        &self,
        direction: Direction,
        segment: &Segment<'_>,
        settings: &Settings,
        seen_reply: bool,
        assured: bool,
    ) -> Reset {
        if self.is_closing() {
            return Reset::Trusted;
        }
        let receiver = self.side(direction.opposite());
        if self.last.kind == Some(Kind::Syn) || !receiver.flags.has(SideFlags::ACKNOWLEDGED) {
            // What is known of acknowledgements may be void: the SYN may have met another connection.
            return if self.answers_the_last(direction, segment, seen_reply, assured) {
                Reset::Trusted
            } else {
                Reset::Plausible
            };
        }
        let sequence = segment.header.sequence();
        let expected = receiver.max_acknowledgement;
        let settled = self.state == TcpState::Established && assured;
        let without_number = sequence == 0 && !settled;
        if is_before(sequence, expected) && !without_number && !settings.ignore_invalid_rst {
            return Reset::Stale(InvalidReason::StaleReset {
                sequence,
                at_least: expected,
            });
        }
        if settled && sequence != expected && !self.follows_the_last(direction, sequence) {
            Reset::Inexact
        } else {
            Reset::Plausible
        }
    }

    /// The RST is the answer to the last segment, which may have been let through without fitting the connection.
    fn answers_the_last(&self, direction: Direction, segment: &Segment<'_>, seen_reply: bool, assured: bool) -> bool {
        let acknowledges_it = segment.header.acknowledgement() == self.last.end;
        match self.last.kind {
            Some(Kind::Syn) => seen_reply && self.last.direction != direction && acknowledges_it,
            // Seen for both directions: nobody asks whether it is the other side that answers.
            Some(Kind::Ack) => {
                let takes_its_number =
                    self.state == TcpState::SynSent && segment.header.sequence() == self.last.acknowledgement;
                (!assured && acknowledges_it) || takes_its_number
            }
            _ => false,
        }
    }

    /// The RST comes right after an ACK of the same side, and continues its numbers.
    fn follows_the_last(&self, direction: Direction, sequence: u32) -> bool {
        self.last.kind == Some(Kind::Ack) && self.last.direction == direction && sequence == self.last.end
    }
}
