//! The SCTP tracker (RFC 9260): states (`state`), verification tags, timeouts, and why a packet is INVALID (`reason`).
//!
//! What a packet's chunks are and which tag it must have is the RFC's. What is made of chunks that come late, early, or with a tag that is not
//! known was found by experiment on Linux 6.18, packet by packet; `tests` keeps those conversations.

mod reason;
mod settings;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use reason::{IgnoredReason, InvalidReason};
pub(crate) use settings::Settings;
pub(crate) use state::AssociationState;

use std::time::Duration;

use super::key::{Key, Ports};
use super::samples::{flow, invalid};
use super::tool::{self, Asked, option};
use super::{ChecksumCheck, Fault, Known, Tracker, TrackerSpec, Verdict};
use crate::base::{Time, protocol};
use crate::conntrack::{Direction, TrackContext, Tuple};
use crate::packet::Packet;
use crate::wire::sctp::{Chunk, HEADER, Sctp, chunk, fill_checksum};
use reason::ChunkFault;

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "sctp",
    protocol: protocol::SCTP,
    family: None,
    is_the_kernels: true,
    key: Key::Ports(Ports {
        read: HEADER,
        quoted_checksum: None,
        sums_up: Some(fill_checksum),
    }),
    checked_first: false,
    joins: false,
    checksum_logged: "nf_ct_sctp: bad CRC ",
    takes_over: false,
    knobs: settings::KNOBS,
    policy: settings::POLICY,
    options: &[
        tool::PORTS,
        &[
            option(&["state"], Asked::State(STATES)),
            option(&["orig-vtag"], Asked::Tag(Direction::Original)),
            option(&["reply-vtag"], Asked::Tag(Direction::Reply)),
        ],
    ],
    samples: &[
        flow(&INIT, "sport=1 dport=2", "sport=1 dport=2", "sport=2 dport=1"),
        invalid(
            &[0, 1, 0],
            "the SCTP header is cut short: 3 bytes are there, 12 are the least",
        ),
        invalid(
            &[0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0],
            "there is no chunk behind the SCTP header",
        ),
        invalid(
            &[0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 3, 0, 4],
            "DATA belongs to no known association and cannot begin one",
        ),
        invalid(
            &[0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 7, 0, 0, 4],
            "the verification tag 0x9 is not the one of packets from the side that opened it, which is 0x0",
        ),
        invalid(
            &[0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 3, 0, 0, 4, 11, 0, 0, 4],
            "chunk 2, COOKIE ACK, has to be the first of its packet",
        ),
        invalid(
            &[0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 14, 0, 0, 4, 11, 0, 0, 4],
            "chunk 2, COOKIE ACK, cannot share a packet: INIT, INIT ACK and SHUTDOWN COMPLETE have to be alone",
        ),
        invalid(
            &[0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 6, 0, 0, 0],
            "chunk 1, ABORT, says that its length is 0",
        ),
        invalid(
            &[0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20],
            "INIT is cut short: 4 bytes are there, 20 are the least",
        ),
    ],
};

const INIT: [u8; 32] = [
    0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20, 0, 0, 0, 0x11, 0, 0, 0xff, 0xff, 0, 10, 0, 10, 0, 0, 0, 1,
];

/// Apart from the flow, as TCP's.
pub(crate) type State = Box<Association>;

/// A packet whose chunks stand where they may.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'p> {
    sctp: Sctp<'p>,
    kinds: Kinds,
}

/// Which of the chunks of RFC 9260 there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kinds(u32);

impl Kinds {
    const fn of(kinds: &[u8]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < kinds.len() {
            bits |= 1 << kinds[at];
            at += 1;
        }
        Self(bits)
    }

    fn put(&mut self, kind: u8) {
        self.0 |= 1u32.checked_shl(kind.into()).unwrap_or(0);
    }

    fn has_any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }
}

/// Where one of these is in a packet, its tag is held against nothing else than what they ask for themselves.
const WITH_RULES_OF_THEIR_OWN: Kinds = Kinds::of(&[
    chunk::INIT,
    chunk::HEARTBEAT,
    chunk::HEARTBEAT_ACK,
    chunk::ABORT,
    chunk::SHUTDOWN_ACK,
    chunk::COOKIE_ECHO,
    chunk::SHUTDOWN_COMPLETE,
]);

const DATA: Kinds = Kinds::of(&[chunk::DATA]);

/// Those that the tool knows; of another one it dies.
const STATES: &[(&str, &str)] = &[
    ("NONE", "NONE"),
    ("CLOSED", "CLOSED"),
    ("COOKIE_WAIT", "COOKIE_WAIT"),
    ("COOKIE_ECHOED", "COOKIE_ECHOED"),
    ("ESTABLISHED", "ESTABLISHED"),
    ("SHUTDOWN_SENT", "SHUTDOWN_SENT"),
    ("SHUTDOWN_RECD", "SHUTDOWN_RECD"),
    ("SHUTDOWN_ACK_SENT", "SHUTDOWN_ACK_SENT"),
];

impl Tracker for Association {
    type Seen<'p> = Seen<'p>;
    type Invalid = InvalidReason;
    type Ignored = IgnoredReason;

    fn check<'p>(packet: &'p Packet, checksum: &mut ChecksumCheck) -> Result<Seen<'p>, Fault<InvalidReason>> {
        let transport = packet.transport();
        let sctp = Sctp::new(transport).map_err(|_| InvalidReason::Truncated { have: transport.len() })?;
        // Seen: of a packet in pieces the first has the whole header from now on.
        checksum.verify_gathered(HEADER, || sctp.checksum_is_right())?;
        Ok(stand_as_they_may(sctp)?)
    }

    fn open(cx: &TrackContext<'_>, seen: &Seen<'_>, _tuple: &Tuple) -> Result<(Self, Duration), InvalidReason> {
        let mut association = Self::begin(seen)?;
        match association.packet_of(&cx.settings.protocols.sctp, Direction::Original, seen) {
            Verdict::Invalid(why) => Err(why),
            Verdict::Accept { timeout, .. } => Ok((association, timeout)),
            // Nothing of a first packet is ignored, and nothing else is ever said of one.
            _ => Ok((association, cx.settings.protocols.sctp.timeout_of(association.state))),
        }
    }

    fn packet(&mut self, cx: &TrackContext<'_>, _known: &Known<'_>, direction: Direction, seen: &Seen<'_>) -> Outcome {
        self.packet_of(&cx.settings.protocols.sctp, direction, seen)
    }

    fn made(_settings: &crate::conntrack::Settings, _now: Time) -> Option<Self> {
        Some(Self::new())
    }

    /// Seen: the kernel takes a state with both tags or not at all.
    fn set_state(&mut self, name: &str, tags: [Option<u32>; 2]) -> bool {
        let ([Some(original), Some(reply)], Some(state)) = (tags, AssociationState::named(name)) else {
            return false;
        };
        self.tags = [original, reply];
        self.state = state;
        true
    }

    fn tags(&self) -> Option<[u32; 2]> {
        Some(self.tags)
    }

    fn state_name(&self) -> Option<&'static str> {
        Some(self.state.name())
    }

    fn is_assured_nevertheless(&self) -> bool {
        self.was_set_up
    }

    fn may_go_early(&self) -> bool {
        use AssociationState::{ShutdownAckSent, ShutdownReceived, ShutdownSent};
        matches!(self.state, ShutdownSent | ShutdownReceived | ShutdownAckSent)
    }
}

/// Seen: INIT, INIT ACK and SHUTDOWN COMPLETE are alone, COOKIE ECHO and COOKIE ACK are first, and no length is zero.
fn stand_as_they_may(sctp: Sctp<'_>) -> Result<Seen<'_>, InvalidReason> {
    let (mut kinds, mut alone, mut count) = (Kinds(0), false, 0);
    for Chunk { kind, length, .. } in sctp.chunks() {
        alone |= matches!(kind, chunk::INIT | chunk::INIT_ACK | chunk::SHUTDOWN_COMPLETE);
        let goes_first = matches!(kind, chunk::COOKIE_ECHO | chunk::COOKIE_ACK);
        let why = match count {
            _ if length == 0 => Some(ChunkFault::NoLength),
            0 => None,
            _ if alone => Some(ChunkFault::NotAlone),
            _ if goes_first => Some(ChunkFault::NotFirst),
            _ => None,
        };
        if let Some(why) = why {
            return Err(InvalidReason::Chunk {
                number: count,
                kind,
                length,
                alone,
                why,
            });
        }
        kinds.put(kind);
        count += 1;
    }
    match count {
        0 => Err(InvalidReason::NoChunk),
        _ => Ok(Seen { sctp, kinds }),
    }
}

/// What is remembered of an association. 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Association {
    /// The verification tag of packets of each direction; 0 where it is not known.
    tags: [u32; 2],
    state: AssociationState,
    /// Whether a side's INIT has given itself a new tag, which the other side may answer with one.
    asked: [bool; 2],
    /// Whether a packet of it ever made it ESTABLISHED: a command that does so is not enough.
    was_set_up: bool,
    /// The sender of a HEARTBEAT whose tag was not known, while nothing has shown that the known ones hold.
    doubted_by: Option<Direction>,
}

/// What becomes of a packet of a known association.
type Outcome = Verdict<InvalidReason, IgnoredReason>;

impl Association {
    fn new() -> Self {
        Self {
            tags: [0; 2],
            state: AssociationState::None,
            asked: [false; 2],
            was_set_up: false,
            doubted_by: None,
        }
    }

    /// Before its first packet, of which each chunk must be one that can begin something.
    fn begin(seen: &Seen<'_>) -> Result<Self, InvalidReason> {
        let mut association = Self::new();
        let tag = seen.sctp.tag();
        for Chunk { kind, .. } in seen.sctp.chunks() {
            if AssociationState::None.step(kind, Direction::Original).is_none() {
                return Err(InvalidReason::CannotOpen { kind });
            }
            match kind {
                chunk::INIT => association.asked[Direction::Original.index()] = true,
                chunk::HEARTBEAT => association.tags[Direction::Original.index()] = tag,
                // It answers a SHUTDOWN that was not seen; SHUTDOWN COMPLETE reflects its tag (RFC 9260, 8.4).
                chunk::SHUTDOWN_ACK => association.tags[Direction::Reply.index()] = tag,
                _ => {}
            }
        }
        Ok(association)
    }

    /// Seen: chunk by chunk, and what one has changed stays so, though a later one makes the packet INVALID.
    fn packet_of(&mut self, settings: &Settings, direction: Direction, seen: &Seen<'_>) -> Outcome {
        let (tag, expected) = (seen.sctp.tag(), self.tags[direction.index()]);
        if !seen.kinds.has_any(WITH_RULES_OF_THEIR_OWN) && tag != expected {
            return Outcome::Invalid(InvalidReason::Tag {
                tag,
                expected,
                direction,
            });
        }
        let mut ignored = None;
        for chunk in seen.sctp.chunks() {
            match self.chunk(direction, seen, &chunk, ignored) {
                Ok(None) => {}
                Ok(Some(why)) => ignored = Some(why),
                Err(why) => return Outcome::Invalid(why),
            }
        }
        if let Some(why) = ignored {
            return Outcome::Ignore(why);
        }
        Outcome::Accept {
            timeout: settings.timeout_of(self.state),
            became_assured: self.was_set_up,
        }
    }

    /// One chunk of a packet. `ignored`: one before is no reason to live longer.
    fn chunk(
        &mut self,
        direction: Direction,
        seen: &Seen<'_>,
        chunk: &Chunk<'_>,
        ignored: Option<IgnoredReason>,
    ) -> Result<Option<IgnoredReason>, InvalidReason> {
        let tag = seen.sctp.tag();
        let why = match chunk.kind {
            chunk::INIT if tag != 0 => return Err(InvalidReason::InitWithTag { tag }),
            chunk::INIT if self.state == AssociationState::Closed => Some(IgnoredReason::InitRepeated),
            chunk::ABORT | chunk::SHUTDOWN_COMPLETE | chunk::COOKIE_ECHO => {
                self.must_have_its_tag(direction, tag, chunk)?;
                None
            }
            chunk::HEARTBEAT => self.heartbeat(direction, seen, ignored)?,
            chunk::HEARTBEAT_ACK => {
                self.heartbeat_answer(direction, seen)?;
                None
            }
            chunk::COOKIE_ACK => {
                self.asked = [false; 2];
                None
            }
            _ => None,
        };
        let next = self.state.step(chunk.kind, direction);
        let next = next.ok_or(InvalidReason::OutOfState {
            kind: chunk.kind,
            direction,
            state: self.state,
        })?;
        if matches!(chunk.kind, chunk::INIT | chunk::INIT_ACK) {
            let says = chunk.initiate_tag().ok_or_else(|| InvalidReason::InitCutShort {
                kind: chunk.kind,
                have: chunk.there(),
            })?;
            self.take_its_tag(direction, chunk.kind, says)?;
        }
        let before = std::mem::replace(&mut self.state, next);
        self.was_set_up |= next == AssociationState::Established && before != next;
        Ok(why)
    }

    /// ABORT and SHUTDOWN COMPLETE have the tag of their direction, or by their T bit that of the other (RFC 9260, 8.5.1).
    fn must_have_its_tag(&self, direction: Direction, tag: u32, chunk: &Chunk<'_>) -> Result<(), InvalidReason> {
        let reflects = chunk.kind != chunk::COOKIE_ECHO && chunk.flags & chunk::REFLECTED != 0;
        let of = if reflects { direction.opposite() } else { direction };
        let expected = self.tags[of.index()];
        if tag != expected {
            return Err(InvalidReason::TagOfChunk {
                kind: chunk.kind,
                tag,
                expected,
            });
        }
        Ok(())
    }

    /// A tag that is not known passes, and is remembered as a doubt: the ends may have agreed on other tags on another path.
    fn heartbeat(
        &mut self,
        direction: Direction,
        seen: &Seen<'_>,
        ignored: Option<IgnoredReason>,
    ) -> Result<Option<IgnoredReason>, InvalidReason> {
        let (tag, known) = (seen.sctp.tag(), &mut self.tags[direction.index()]);
        let expected = *known;
        if expected == 0 {
            *known = tag;
        } else if tag == expected {
            self.doubted_by = None;
        } else if seen.kinds.has_any(DATA) || ignored.is_some() {
            return Err(InvalidReason::HeartbeatWithMore { tag, expected });
        } else {
            self.doubted_by = Some(direction);
            return Ok(Some(IgnoredReason::HeartbeatTag { tag, expected }));
        }
        Ok(None)
    }

    /// Where it answers such a HEARTBEAT, its tag is the new one, and the other is to be learnt anew.
    fn heartbeat_answer(&mut self, direction: Direction, seen: &Seen<'_>) -> Result<(), InvalidReason> {
        let (tag, known) = (seen.sctp.tag(), &mut self.tags[direction.index()]);
        let expected = *known;
        if expected == 0 {
            *known = tag;
        } else if tag == expected {
            self.doubted_by = None;
        } else if seen.kinds.has_any(DATA) {
            return Err(InvalidReason::HeartbeatWithMore { tag, expected });
        } else if self.doubted_by != Some(direction.opposite()) {
            return Err(InvalidReason::HeartbeatUnasked { tag, expected });
        } else {
            self.doubted_by = None;
            *known = tag;
            self.tags[direction.opposite().index()] = 0;
        }
        Ok(())
    }

    /// INIT and INIT ACK say which tag the packets to their sender shall have.
    fn take_its_tag(&mut self, direction: Direction, kind: u8, says: u32) -> Result<(), InvalidReason> {
        let (own, other) = (direction.index(), direction.opposite().index());
        let known = self.tags[other];
        if kind == chunk::INIT {
            // Seen: one that says what is known already asks for nothing, unless it is the first packet; and who asks anew makes void what the
            // other side asked meanwhile.
            if says != known {
                self.asked[other] &= !self.asked[own];
                self.asked[own] = true;
            }
        } else {
            // An INIT of the other side has to ask for it, unless nothing was known; where both ask, each has said its tag already.
            let may_rename = self.asked[other] && !self.asked[own];
            if says != known && !may_rename && (known != 0 || self.asked[other]) {
                return Err(InvalidReason::InitAckRenames { says, known });
            }
        }
        self.tags[other] = says;
        Ok(())
    }
}
