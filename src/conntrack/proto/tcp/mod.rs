//! The TCP tracker: states (`state`), windows (`window`), timeouts, and why a segment is INVALID (`reason`).
//!
//! The windows follow Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter"; what Linux adds to the paper (segments that are let
//! through to see how they are answered, RSTs held against acknowledgements, pick-up midway) was found by experiment on Linux 6.18, packet by
//! packet; `tests` keeps those conversations.

mod reason;
mod reset;
mod segment;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use reason::{IgnoredReason, InvalidReason};
pub use segment::{Kind, Segment, header_is_valid};
pub use state::TcpState;

use std::time::Duration;

use crate::wire::tcp::is_after;

use super::super::settings::TcpSettings;
use super::super::{Direction, SequenceAdjustment};
use reset::Reset;
use state::Step;
use window::{Fit, Side, SideFlags};

/// What is remembered of a connection. 60 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpTrack {
    sides: [Side; 2],
    last: Last,
    state: TcpState,
    /// How many times the last ACK came again, unchanged.
    retransmissions: u8,
    /// Both ends opened it.
    simultaneous: bool,
}

/// The last segment that counted or was let through.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Last {
    sequence: u32,
    acknowledgement: u32,
    end: u32,
    /// As it stood in the header.
    window: u16,
    kind: Option<Kind>,
    direction: Direction,
    /// Of a SYN that was let through: what it offered, in case the connection turns out to begin with it.
    offer_scale: u8,
    offer: SideFlags,
    /// The SYN that was let through will be answered by a challenge ACK (RFC 5961), which says nothing of the state.
    challenged: bool,
}

/// What becomes of a segment of a known connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It belongs. `became_assured`: the flow is ASSURED from now on.
    Accept { timeout: Duration, became_assured: bool },
    /// It belongs (NEW or ESTABLISHED by its direction, counts as a reply), but neither deadline nor counters follow.
    Ignore(IgnoredReason),
    /// It is INVALID; the flow stays as it is.
    Invalid(InvalidReason),
    /// It is INVALID, and so out of step with a FIN or RST of the other side that the connection seems to be over: where the flow would
    /// live longer than `within` from now, it lives so long.
    InvalidAtTheEnd { reason: InvalidReason, within: Duration },
    /// It belongs and goes on with the state it would have had, and the flow is gone: a RST before any reply.
    Destroy,
    /// The flow is gone, and the packet must be tracked from the start, where it opens a new one: a SYN after the end.
    Again,
}

impl TcpTrack {
    /// The first segment of a flow. Its timeout comes from `opening_timeout`.
    pub fn open(segment: &Segment<'_>, settings: &TcpSettings) -> Result<Self, InvalidReason> {
        let kind = segment.kind();
        let state = match TcpState::None.step(kind, Direction::Original) {
            Step::To(state) => state,
            Step::Ignore | Step::Invalid => return Err(InvalidReason::CannotOpen { kind }),
        };
        let sides = match kind {
            Kind::Syn => [Side::opening(segment), Side::default()],
            _ if !settings.loose => return Err(InvalidReason::NotLoose),
            _ => Side::picked_up(segment),
        };
        let mut track = Self {
            sides,
            last: Last {
                sequence: 0,
                acknowledgement: 0,
                end: 0,
                window: 0,
                kind: None,
                direction: Direction::Original,
                offer_scale: 0,
                offer: SideFlags::NONE,
                challenged: false,
            },
            state: TcpState::None,
            retransmissions: 0,
            simultaneous: false,
        };
        // What the first segment says counts like any other's.
        let _ = track.fit(Direction::Original, segment, settings, None);
        track.settle(Direction::Original, segment, state);
        Ok(track)
    }

    /// The timeout that `open`'s segment leaves the flow with.
    pub fn opening_timeout(&self, settings: &TcpSettings) -> Duration {
        self.timeout(settings, false, false)
    }

    /// A segment of this flow, seen in `direction`. `seen_reply` and `assured` are the flow's before this segment; `adjust` are its NAT
    /// offsets, by the direction of the segments they apply to.
    pub fn packet(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        settings: &TcpSettings,
        seen_reply: bool,
        assured: bool,
        adjust: Option<&[SequenceAdjustment; 2]>,
    ) -> Outcome {
        let kind = segment.kind();
        let old = self.state;
        let mut next = match old.step(kind, direction) {
            Step::Invalid => {
                return Outcome::Invalid(InvalidReason::OutOfState {
                    kind,
                    direction,
                    state: old,
                });
            }
            Step::Ignore => {
                if !self.answers_a_passed_syn(direction, segment) {
                    return self.pass(direction, segment);
                }
                self.begin_with_the_passed_syn(direction);
                TcpState::SynRecv
            }
            Step::To(TcpState::SynSent) if matches!(old, TcpState::TimeWait | TcpState::Close) => {
                if self.may_be_reopened(direction) {
                    return Outcome::Again;
                }
                return self.pass(direction, segment);
            }
            // A crossing SYN makes both ends clients: the answering side's ACK opens as well.
            Step::To(TcpState::SynRecv) if kind == Kind::Ack && self.simultaneous => TcpState::Established,
            Step::To(next) => next,
        };
        if next == TcpState::SynSent2 {
            self.simultaneous = true;
        }
        if kind == Kind::Ack
            && self.last.challenged
            && self.last.kind == Some(Kind::Syn)
            && self.last.direction != direction
        {
            self.last.challenged = false;
            return Outcome::Ignore(IgnoredReason::OutOfState {
                kind,
                direction,
                state: old,
            });
        }
        let reset = match kind {
            Kind::Rst => self.judge_reset(direction, segment, settings, seen_reply, assured),
            _ => Reset::Plausible,
        };
        let fit = match reset {
            Reset::Stale(reason) => return Outcome::Invalid(reason),
            Reset::Trusted => Fit::Inside,
            Reset::Plausible => self.fit(direction, segment, settings, adjust),
            Reset::Inexact => {
                next = old;
                self.fit(direction, segment, settings, adjust)
            }
        };
        match fit {
            Fit::Inside => {}
            Fit::Ignore(reason) => return Outcome::Ignore(reason),
            Fit::Outside(reason) => return self.outside(direction, kind, reason, settings, assured),
        }
        self.settle(direction, segment, next);
        if !seen_reply && kind == Kind::Rst {
            return Outcome::Destroy;
        }
        if kind == Kind::Syn && old == TcpState::SynSent && !seen_reply {
            return Outcome::Ignore(IgnoredReason::SynRepeated);
        }
        let reset = kind == Kind::Rst;
        let timeout = self.timeout(settings, reset, seen_reply);
        let became_assured = seen_reply
            && !assured
            && next == TcpState::Established
            && matches!(old, TcpState::SynRecv | TcpState::Established);
        Outcome::Accept {
            timeout,
            became_assured,
        }
    }

    /// The next segment of each side says how far its window reaches, as if it were the first.
    pub fn learn_windows_anew(&mut self) {
        for side in &mut self.sides {
            side.max_window = 0;
        }
    }

    /// A reset was sent in the place of one of the ends: the connection is over. False where it was before.
    pub fn close(&mut self) -> bool {
        std::mem::replace(&mut self.state, TcpState::Close) != TcpState::Close
    }

    /// The sequence number that comes next from the sender of a direction; `None` where nothing was seen of it.
    pub fn next_sequence(&self, direction: Direction) -> Option<u32> {
        let side = &self.sides[direction.index()];
        (side.max_window != 0).then_some(side.end)
    }

    /// The window that the sender of a direction offers, as its headers have it; `None` where nothing was seen of it.
    pub fn window(&self, direction: Direction) -> Option<u16> {
        let side = &self.sides[direction.index()];
        let written = side.max_window >> side.scale;
        (written != 0).then(|| u16::try_from(written).unwrap_or(u16::MAX))
    }

    pub fn state(&self) -> TcpState {
        self.state
    }

    /// The flags of a side and the shift of its windows, as the kernel's netlink attributes show them.
    pub fn side_bits(&self, direction: Direction) -> (u8, u8) {
        let side = self.side(direction);
        (side.flags.bits(), side.scale)
    }

    /// Whether NAT may give this connection's port to one that opens now: it is over, and the new one's numbers are later.
    pub fn gives_way_to(&self, opening: &Self) -> bool {
        let is_over = matches!(self.state, TcpState::TimeWait | TcpState::Close | TcpState::SynSent2);
        is_over && opening.state == TcpState::SynSent && is_after(opening.sides[0].end, self.sides[0].end)
    }

    /// True where an assured flow may go when the table is full: it is about to end anyway.
    pub fn early_drop_candidate(&self) -> bool {
        self.is_closing()
    }

    /// An end has begun to close. From here on a RST is believed whatever its numbers are (seen for each of these states).
    fn is_closing(&self) -> bool {
        matches!(
            self.state,
            TcpState::FinWait | TcpState::CloseWait | TcpState::LastAck | TcpState::TimeWait | TcpState::Close
        )
    }

    fn side(&self, direction: Direction) -> &Side {
        &self.sides[direction.index()]
    }

    /// The connection is what `next` says, after `segment`.
    fn settle(&mut self, direction: Direction, segment: &Segment<'_>, next: TcpState) {
        let kind = segment.kind();
        self.last.kind = Some(kind);
        self.last.direction = direction;
        if self.state != next && next == TcpState::FinWait {
            self.sides[direction.index()].flags.set(SideFlags::CLOSE_INIT);
        }
        self.state = next;
    }

    fn timeout(&self, settings: &TcpSettings, reset: bool, seen_reply: bool) -> Duration {
        let timeout = self.timeout_of_traffic(settings, reset);
        if self.state == TcpState::Established && !seen_reply {
            // Picked up midway, and only one side has spoken.
            timeout.min(settings.timeout_unacknowledged)
        } else {
            timeout
        }
    }

    /// Each limit is asked only where it would shorten the timeout, and the first that does wins.
    fn timeout_of_traffic(&self, settings: &TcpSettings, reset: bool) -> Duration {
        let timeout = settings.timeout_of(self.state);
        let unacknowledged = self.sides.iter().any(|side| side.flags.has(SideFlags::UNACKNOWLEDGED));
        if self.retransmissions >= settings.max_retrans && timeout > settings.timeout_max_retrans {
            settings.timeout_max_retrans
        } else if reset {
            settings.timeout_close
        } else if unacknowledged && timeout > settings.timeout_unacknowledged {
            settings.timeout_unacknowledged
        } else if self.last.window == 0 && timeout > settings.timeout_max_retrans {
            settings.timeout_max_retrans
        } else {
            timeout
        }
    }

    /// Lets a segment through that does not count, and remembers it to understand the answer.
    fn pass(&mut self, direction: Direction, segment: &Segment<'_>) -> Outcome {
        let kind = segment.kind();
        let last = &mut self.last;
        last.sequence = segment.header.sequence();
        // Seen: a SYN's acknowledgement does not replace the one before, so an ACK after it may count as sent again.
        if kind == Kind::Ack {
            last.acknowledgement = segment.header.acknowledgement();
        }
        last.end = segment.end();
        last.window = segment.header.window();
        last.kind = Some(kind);
        last.direction = direction;
        if kind == Kind::Syn {
            let offered = Side::opening(segment);
            last.offer_scale = offered.scale;
            last.offer = offered.flags;
            last.challenged = self.state == TcpState::LastAck;
            self.simultaneous = false;
        }
        Outcome::Ignore(IgnoredReason::OutOfState {
            kind,
            direction,
            state: self.state,
        })
    }

    /// A segment outside the windows. FIN and RST are remembered nevertheless: two of them crossing mean that the ends are done.
    fn outside(
        &mut self,
        direction: Direction,
        kind: Kind,
        reason: InvalidReason,
        settings: &TcpSettings,
        assured: bool,
    ) -> Outcome {
        let ends = |kind| matches!(kind, Kind::Fin | Kind::Rst);
        if !assured || !ends(kind) {
            return Outcome::Invalid(reason);
        }
        if self.last.direction != direction && self.last.kind.is_some_and(ends) {
            let within = settings.timeout_unacknowledged;
            return Outcome::InvalidAtTheEnd { reason, within };
        }
        self.last.kind = Some(kind);
        self.last.direction = direction;
        Outcome::Invalid(reason)
    }

    fn answers_a_passed_syn(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        segment.kind() == Kind::SynAck
            && self.last.kind == Some(Kind::Syn)
            && self.last.direction != direction
            && segment.header.acknowledgement() == self.last.end
    }

    /// The ends agree that the SYN which was let through is real: what was known of the connection is void.
    fn begin_with_the_passed_syn(&mut self, answer: Direction) {
        self.sides[answer.opposite().index()] = Side {
            end: self.last.end,
            max_end: self.last.end,
            max_window: u32::from(self.last.window).max(1),
            max_acknowledgement: 0,
            scale: self.last.offer_scale,
            flags: self.last.offer,
        };
        let flags = self.side(answer).flags.only(SideFlags::LIBERAL);
        self.sides[answer.index()] = Side {
            flags,
            ..Side::default()
        };
    }

    /// A SYN begins a new connection where the old one ended by FIN, or by a RST of the SYN's own sender.
    fn may_be_reopened(&self, direction: Direction) -> bool {
        self.sides.iter().any(|side| side.flags.has(SideFlags::CLOSE_INIT))
            || (self.last.kind == Some(Kind::Rst) && self.last.direction == direction)
    }
}

impl TcpSettings {
    fn timeout_of(&self, state: TcpState) -> Duration {
        match state {
            TcpState::None | TcpState::SynSent => self.timeout_syn_sent,
            // No knob of its own, and it does not follow the other's.
            TcpState::SynSent2 => Duration::from_secs(120),
            TcpState::SynRecv => self.timeout_syn_recv,
            TcpState::Established => self.timeout_established,
            TcpState::FinWait => self.timeout_fin_wait,
            TcpState::CloseWait => self.timeout_close_wait,
            TcpState::LastAck => self.timeout_last_ack,
            TcpState::TimeWait => self.timeout_time_wait,
            TcpState::Close => self.timeout_close,
        }
    }
}
