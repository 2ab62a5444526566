//! The TCP tracker: states (`state`), windows (`window`), timeouts, and why a segment is INVALID (`reason`).
//!
//! The windows follow Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter"; what Linux adds to the paper (segments that are let
//! through to see how they are answered, RSTs held against acknowledgements, pick-up midway) was found by experiment on Linux 6.18, packet by
//! packet; `tests` keeps those conversations.

mod reason;
mod reset;
mod segment;
mod settings;
mod state;
mod states_only;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use reason::{IgnoredReason, InvalidReason};
pub(crate) use segment::header_is_valid;
pub(crate) use segment::{Kind, Segment};
pub(crate) use settings::Settings;
pub(crate) use state::TcpState;

use std::time::Duration;

use crate::wire::tcp::is_after;

use super::key::{Key, Ports, QuotedChecksum};
use super::samples::{flow, invalid};
use super::tool::{self, Asked, option};
use super::{Accepted, ChecksumCheck, Fault, Known, Tracker, TrackerSpec, Verdict};
use crate::base::{Time, protocol};
use crate::conntrack::{Direction, SequenceAdjustment, TrackContext, Tuple};
use crate::packet::{Packet, Plain};
use crate::wire::tcp::MIN_HEADER;
use reset::Reset;
use state::Step;
use window::{Fit, Side, SideFlags};

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "tcp",
    protocol: protocol::TCP,
    family: None,
    is_the_kernels: true,
    key: Key::Ports(Ports {
        read: MIN_HEADER,
        quoted_checksum: Some(QuotedChecksum {
            at: 16,
            least: MIN_HEADER,
            zero_is_none: false,
        }),
        sums_up: None,
    }),
    checked_first: false,
    joins: false,
    checksum_logged: "bad checksum",
    takes_over: true,
    knobs: settings::KNOBS,
    policy: settings::POLICY,
    options: &[tool::PORTS, &[option(&["state"], Asked::State(STATES))]],
    samples: &[
        flow(
            &SYN,
            "sport=1000 dport=80",
            "sport=1000 dport=80",
            "sport=80 dport=1000",
        ),
        invalid(
            &[3, 232, 0],
            "the TCP header is cut short: 3 bytes are there, 20 are the least",
        ),
        invalid(
            &[3, 232, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 32, 0, 0, 0, 0, 0],
            "the TCP data offset says 24 bytes of header: it must be at least 20 and at most the 20 that are there",
        ),
        invalid(
            &[3, 232, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 3, 32, 0, 0, 0, 0, 0],
            "no TCP sends these flags together: SYN+FIN",
        ),
        invalid(
            &[3, 232, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 4, 32, 0, 0, 0, 0, 0],
            "an RST belongs to no known connection and cannot begin one",
        ),
    ],
};

const SYN: [u8; 20] = [3, 232, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 32, 0, 0, 0, 0, 0];

/// What `conntrack --state` takes.
const STATES: &[(&str, &str)] = &[
    ("NONE", "NONE"),
    ("SYN_SENT", "SYN_SENT"),
    ("SYN_RECV", "SYN_RECV"),
    ("ESTABLISHED", "ESTABLISHED"),
    ("FIN_WAIT", "FIN_WAIT"),
    ("CLOSE_WAIT", "CLOSE_WAIT"),
    ("LAST_ACK", "LAST_ACK"),
    ("TIME_WAIT", "TIME_WAIT"),
    ("CLOSE", "CLOSE"),
    // The two are one number to the kernel, and the latter is what a flow shows.
    ("LISTEN", "SYN_SENT2"),
    ("SYN_SENT2", "SYN_SENT2"),
];

/// Apart from the flow: those of other protocols need no room for it.
pub(crate) type State = Box<TcpTrack>;

impl Tracker for TcpTrack {
    type Seen<'p> = Segment<'p>;
    type Invalid = InvalidReason;
    type Ignored = IgnoredReason;

    #[inline]
    fn check<'p>(packet: &'p Packet, checksum: &mut ChecksumCheck) -> Result<Segment<'p>, Fault<InvalidReason>> {
        let transport = packet.transport();
        let header = header_is_valid(transport);
        // The flags come last: of a packet with odd ones, too, it is known afterwards that its checksum is right.
        if let Err(why) = header
            && !matches!(why, InvalidReason::FlagCombination { .. })
        {
            return Err(Fault::Own(why));
        }
        checksum.verify(|| packet.transport_checksum(protocol::TCP) == 0)?;
        Ok(header?)
    }

    #[inline]
    fn open(cx: &TrackContext<'_>, segment: &Segment<'_>, _tuple: &Tuple) -> Result<(Self, Duration), InvalidReason> {
        let settings = &cx.settings.protocols.tcp;
        if !settings.window_tracking {
            let track = Self::begin_with_states_only(segment, settings);
            let timeout = track.timeout_of_state(settings);
            return Ok((track, timeout));
        }
        let track = Self::begin(segment, settings)?;
        let timeout = track.opening_timeout(settings);
        Ok((track, timeout))
    }

    #[inline]
    fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        known: &Known<'_>,
        direction: Direction,
        segment: &Segment<'_>,
    ) -> Outcome {
        let settings = &cx.settings.protocols.tcp;
        let outcome = match settings.window_tracking {
            true => self.follow(direction, segment, settings, known),
            false => self.follow_states_only(direction, segment, settings, known),
        };
        if let Outcome::Destroy = outcome {
            self.close();
        }
        outcome
    }

    /// Data and acknowledgements of a connection that stands, within the windows: most segments.
    #[inline]
    fn goes_on<const WORDS: usize>(
        &mut self,
        cx: &TrackContext<'_>,
        known: &Known<'_>,
        direction: Direction,
        (packet, checksum): (&Plain<'_, WORDS>, &mut ChecksumCheck),
    ) -> Option<Accepted> {
        let settings = &cx.settings.protocols.tcp;
        let stands = self.state == TcpState::Established && !self.last.challenged;
        if !stands || !settings.window_tracking || known.sequence.is_some() {
            return None;
        }
        let segment = header_is_valid(packet.transport()).ok()?;
        if segment.kind() != Kind::Ack {
            return None;
        }
        checksum.verify::<InvalidReason>(|| packet.transport_is_right()).ok()?;
        if !self.stays_inside(direction, &segment) {
            return None;
        }
        self.settle(direction, &segment, TcpState::Established);
        Some(Accepted {
            timeout: self.timeout(settings, false, known.seen_reply),
            became_assured: known.seen_reply && !known.assured,
        })
    }

    fn made(_settings: &crate::conntrack::Settings, _now: Time) -> Option<Self> {
        Some(Self::of([Side::default(), Side::default()]))
    }

    fn set_state(&mut self, name: &str, _tags: [Option<u32>; 2]) -> bool {
        let found = TcpState::ALL.into_iter().find(|state| state.name() == name);
        self.state = found.unwrap_or(self.state);
        found.is_some()
    }

    fn state_name(&self) -> Option<&'static str> {
        Some(self.state.name())
    }

    fn may_go_early(&self) -> bool {
        self.is_closing()
    }

    /// It is over, and the new one's numbers are later.
    fn gives_way_to(&self, opening: &Self) -> bool {
        let is_over = matches!(self.state, TcpState::TimeWait | TcpState::Close | TcpState::SynSent2);
        is_over && opening.state == TcpState::SynSent && is_after(opening.sides[0].end, self.sides[0].end)
    }

    /// The next segment of each side says how far its window reaches, as if it were the first.
    fn begin_again(&mut self) {
        for side in &mut self.sides {
            side.max_window = 0;
        }
    }

    fn ended_by(&self) -> &'static str {
        "a reset before any answer"
    }

    /// A second reset finds it closed, and lets it live no longer.
    fn reset_by_rule(&mut self, settings: &crate::conntrack::Settings) -> Option<Duration> {
        self.close().then_some(settings.protocols.tcp.timeout_close)
    }
}

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
pub(crate) type Outcome = Verdict<InvalidReason, IgnoredReason>;

impl TcpTrack {
    /// The first segment of a flow. Its timeout comes from `opening_timeout`.
    fn begin(segment: &Segment<'_>, settings: &Settings) -> Result<Self, InvalidReason> {
        let kind = segment.kind();
        let state = match TcpState::None.step(kind, Direction::Original) {
            Step::To(state) => state,
            Step::Ignore | Step::Invalid => return Err(InvalidReason::CannotOpen { kind }),
        };
        let sides = match kind {
            Kind::Syn => [Side::opening(segment), Side::default()],
            _ if settings.loose == 0 => return Err(InvalidReason::NotLoose),
            _ => Side::picked_up(segment),
        };
        let mut track = Self::of(sides);
        // What the first segment says counts like any other's.
        let _ = track.fit(Direction::Original, segment, settings, None);
        track.settle(Direction::Original, segment, state);
        Ok(track)
    }

    /// Nothing has been looked at yet but how it opens.
    fn of(sides: [Side; 2]) -> Self {
        Self {
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
        }
    }

    /// The same for whatever segment comes first.
    fn blank(segment: &Segment<'_>) -> Self {
        Self::of(match segment.kind() {
            Kind::Syn => [Side::opening(segment), Side::default()],
            _ => Side::picked_up(segment),
        })
    }

    /// The timeout that `begin`'s segment leaves the flow with.
    fn opening_timeout(&self, settings: &Settings) -> Duration {
        self.timeout(settings, false, false)
    }

    /// A segment of this flow, seen in `direction`. What is known of the flow is from before this segment.
    fn follow(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        settings: &Settings,
        known: &Known<'_>,
    ) -> Outcome {
        let Known {
            seen_reply,
            assured,
            sequence: adjust,
        } = *known;
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
            Step::To(TcpState::SynSent2) if !settings.simultaneous_open => {
                return Outcome::Invalid(InvalidReason::OutOfState {
                    kind,
                    direction,
                    state: old,
                });
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
            return Outcome::Ignore(IgnoredReason::ChallengeAck);
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
            return Outcome::Ignore(match direction {
                Direction::Original => IgnoredReason::SynRepeated,
                Direction::Reply => IgnoredReason::SynCrossed,
            });
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

    /// A reset was sent in the place of one of the ends: the connection is over. False where it was before.
    fn close(&mut self) -> bool {
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
    #[inline]
    fn settle(&mut self, direction: Direction, segment: &Segment<'_>, next: TcpState) {
        let kind = segment.kind();
        self.last.kind = Some(kind);
        self.last.direction = direction;
        if self.state != next && next == TcpState::FinWait {
            self.sides[direction.index()].flags.set(SideFlags::CLOSE_INIT);
        }
        self.state = next;
    }

    #[inline]
    fn timeout(&self, settings: &Settings, reset: bool, seen_reply: bool) -> Duration {
        let timeout = self.timeout_of_traffic(settings, reset);
        if self.state == TcpState::Established && !seen_reply {
            // Picked up midway, and only one side has spoken.
            timeout.min(settings.timeout_unacknowledged)
        } else {
            timeout
        }
    }

    /// Each limit is asked only where it would shorten the timeout, and the first that does wins.
    #[inline]
    fn timeout_of_traffic(&self, settings: &Settings, reset: bool) -> Duration {
        let timeout = settings.timeout_of(self.state);
        let unacknowledged = self.sides.iter().any(|side| side.flags.has(SideFlags::UNACKNOWLEDGED));
        if self.retransmissions >= settings.max_retrans && timeout > settings.timeout_max_retrans {
            settings.timeout_max_retrans
        } else if reset {
            settings.timeout_close
        } else if unacknowledged && timeout > settings.timeout_unacknowledged {
            settings.timeout_unacknowledged
        } else if settings.hurries_without_window && self.last.window == 0 && timeout > settings.timeout_max_retrans {
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
        settings: &Settings,
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
