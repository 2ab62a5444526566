//! The way of a packet through the table: the tracking stage.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::events::EventKind;
use super::proto::{self, ChecksumCheck, Fault, Seen, Verdict};
use super::{
    Counted, CtState, Direction, DropReason, Flow, FlowState, InvalidReason, Reason, Status, Table, TrackContext,
    Tracked, Tracking, Tuple, Zone,
};
use crate::base::sync::MutexGuard;
use crate::packet::Packet;

mod begin;
mod confirm;
mod error;
mod known;

pub(crate) use confirm::Confirmed;
pub(super) use confirm::Entered;
pub(crate) use known::{KnownWay, TrackedAgain};

impl Table {
    /// The tracking stage (PREROUTING and OUTPUT, priority -200): finds or opens the packet's flow and sets `tracking`.
    ///
    /// Where NAT is there, `nat::track` is to be called instead, which also gives expected flows their mapping.
    pub fn track(&self, cx: &TrackContext<'_>, packet: &mut Packet, tracking: &mut Tracking) -> Tracked {
        if tracking.flow.is_some() || tracking.state == Some(CtState::Untracked) {
            return Tracked::Accept(Reason::AlreadyTracked);
        }
        let mut checksum = ChecksumCheck::of(cx, packet);
        let tracked = self.examine(cx, packet, tracking, &mut checksum);
        self.looked_at(packet, tracking, checksum);
        tracked
    }

    /// What is known of the packet's checksum by now, and what is counted.
    #[inline]
    fn looked_at(&self, packet: &mut Packet, tracking: &Tracking, checksum: ChecksumCheck) {
        keep_checksum(packet, checksum);
        match tracking.state {
            // Asked of the packet and not of what is handed out, for which the processor would wait.
            Some(CtState::Invalid) => {
                self.statistics.invalid.count();
                if proto::spec(packet.protocol()).is_checked_first_in(packet.family()) {
                    self.statistics.error.count();
                }
            }
            None => self.statistics.drop.count(),
            Some(_) => {}
        }
    }

    /// `checksum` knows afterwards whether the packet's was verified.
    fn examine(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        tracking: &mut Tracking,
        checksum: &mut ChecksumCheck,
    ) -> Tracked {
        if packet.fragment_offset() != 0 {
            return refuse(tracking, Refused::Invalid(InvalidReason::Fragment));
        }
        let seen = proto::check(packet, checksum);
        let spec = proto::spec(packet.protocol());
        if spec.checked_first {
            if !spec.is_checked_first_in(packet.family()) {
                return refuse(tracking, Refused::Invalid(InvalidReason::OtherFamily));
            }
            match &seen {
                Err(why) => return refuse(tracking, refused(why)),
                Ok(seen) => {
                    if seen.is_exempt() {
                        return exempt(tracking);
                    }
                    if let Some(quoted) = seen.quoted() {
                        return self.relate(cx, packet, tracking, quoted);
                    }
                }
            }
        }
        let Some(mut tuple) = Tuple::of(packet) else {
            return refuse(tracking, Refused::Invalid(why_no_flow(packet, seen.err())));
        };
        self.find_key(&mut tuple, packet.transport());
        let hash = self.hash_unless_known(&tuple, tracking.hashes.original);
        let zone = zone_of(tracking, packet);
        // A tracker may find that the flow is an old one whose ports are used anew: then it dies, and the packet opens the next.
        for _ in 0..REOPENINGS {
            // As `lookup` does, but the flow is locked once.
            let Some((flow, direction)) = self.find(hash, &tuple, zone) else {
                return self.begin(cx, packet, tracking, (&tuple, hash), &seen);
            };
            let mut state = flow.lock();
            if state.is_expired(cx.now) {
                drop(state);
                self.delete(&flow);
                if self.has_zones_of_one_way() {
                    continue;
                }
                return self.begin(cx, packet, tracking, (&tuple, hash), &seen);
            }
            let seen = match &seen {
                Ok(seen) => seen,
                Err(why) => return refuse(tracking, refused(why)),
            };
            let direction = flow.direction_of(&tuple, direction);
            let ct_state = state_of(&state, direction);
            let verdict = self.judged(cx, (&flow, &mut state), direction, seen);
            let visited = self.visit(cx, packet, tracking, (&flow, state, direction), (ct_state, verdict));
            let Some(tracked) = visited.tracked(tracking) else {
                continue;
            };
            if tracking.state != Some(CtState::Invalid) {
                tracking.flow = Some(flow);
            }
            return tracked;
        }
        Tracked::Drop(DropReason::FlowDied)
    }

    /// A packet of a flow, this way, as its tracker judged it: what of that is the flow's to keep. `tracking` gets all but the flow.
    #[inline]
    fn visit(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        tracking: &mut Tracking,
        (flow, mut state, direction): (&Arc<Flow>, MutexGuard<'_, FlowState>, Direction),
        (ct_state, verdict): (CtState, Verdict<proto::InvalidReason, proto::IgnoredReason>),
    ) -> Visited {
        let (mut ignored, mut ended_by) = (None, None);
        match verdict {
            Verdict::Accept { .. } => count(&mut state, direction, packet),
            Verdict::Ignore(reason) => ignored = Some(reason),
            Verdict::Destroy => {
                ended_by = Some(state.protocol.ended_by());
                count(&mut state, direction, packet);
                if let Some(last_words) = self.events.last_words(&state) {
                    self.events.publish(EventKind::Destroy, flow, last_words, Some(cx.now));
                }
                if let Some(rare) = &mut state.rare {
                    rare.told = None;
                }
            }
            Verdict::Invalid(why) | Verdict::InvalidAtTheEnd { reason: why, .. } => {
                return Visited::Invalid(InvalidReason::Protocol(why));
            }
            Verdict::Again => {
                drop(state);
                self.delete(flow);
                return Visited::Over;
            }
        }
        state.is_answered_by(cx, direction);
        let since = match ct_state {
            CtState::Established => state.answered_by,
            _ => state.opened_by,
        };
        tracking.since = NonZeroU64::new(since).filter(|it| it.get() != cx.packet);
        drop(state);
        if ended_by.is_some() {
            self.delete(flow);
        }
        tracking.state = Some(ct_state);
        tracking.direction = direction;
        match (ignored, ended_by) {
            (Some(reason), _) => Visited::Otherwise(Reason::Ignored(reason)),
            (None, Some(by)) => Visited::Otherwise(Reason::EndsFlow(by)),
            (None, None) => Visited::Known,
        }
    }

    /// What the flow's tracker says of a packet.
    #[inline]
    fn judged(
        &self,
        cx: &TrackContext<'_>,
        (flow, state): (&Flow, &mut FlowState),
        direction: Direction,
        seen: &Seen<'_>,
    ) -> Verdict<proto::InvalidReason, proto::IgnoredReason> {
        match state.is_in_crowd {
            false => state.packet(cx, direction, seen),
            true => self.packet_of_a_crowd(cx, (flow, state), direction, seen),
        }
    }

    /// A packet of a flow whose port is noted as taken for a time: the note goes if it is to end sooner, and no other one.
    #[cold]
    #[inline(never)]
    fn packet_of_a_crowd(
        &self,
        cx: &TrackContext<'_>,
        (flow, state): (&Flow, &mut FlowState),
        direction: Direction,
        seen: &Seen<'_>,
    ) -> Verdict<proto::InvalidReason, proto::IgnoredReason> {
        let before = state.deadline;
        state.is_in_crowd = false;
        let verdict = state.packet(cx, direction, seen);
        match state.deadline < before {
            true => self.forget_in_crowd(flow),
            false => state.is_in_crowd = true,
        }
        verdict
    }

    /// The sender's key, where a header names only the receiver's.
    #[inline]
    fn find_key(&self, tuple: &mut Tuple, transport: &[u8]) {
        if proto::spec(tuple.protocol).key.is_agreed_on(transport) {
            tuple.source.id = self.keys.of_sender(tuple);
        }
    }
}

/// What came of a packet's visit to its flow.
enum Visited {
    /// It belongs, and nothing else is to be said.
    Known,
    /// It belongs.
    Otherwise(Reason),
    Invalid(InvalidReason),
    /// The flow was over, and is gone: the packet is to be tracked from the start.
    Over,
}

impl Visited {
    /// `None`: it is to be tracked anew.
    #[inline]
    fn tracked(self, tracking: &mut Tracking) -> Option<Tracked> {
        Some(match self {
            Self::Known => Tracked::Accept(Reason::KnownFlow),
            Self::Otherwise(reason) => Tracked::Accept(reason),
            Self::Invalid(why) => refuse(tracking, Refused::Invalid(why)),
            Self::Over => return None,
        })
    }
}

/// How often one packet may find that its flow has to be opened anew.
const REOPENINGS: usize = 3;

enum Refused {
    Invalid(InvalidReason),
    Drop(DropReason),
}

/// What was found of a packet's checksum, and read for that, is the packet's.
#[inline]
fn keep_checksum(packet: &mut Packet, checksum: ChecksumCheck) {
    if checksum.gathered() > 0 {
        packet.pull(checksum.gathered());
    }
    if let Some(found) = checksum.found() {
        packet.was_summed(found);
    }
}

/// A packet that tracking takes for no flow goes on as INVALID, or ends here.
#[cold]
fn refuse(tracking: &mut Tracking, why: Refused) -> Tracked {
    match why {
        Refused::Invalid(reason) => {
            tracking.state = Some(CtState::Invalid);
            tracking.direction = Direction::Original;
            Tracked::Accept(Reason::Invalid(reason))
        }
        Refused::Drop(reason) => Tracked::Drop(reason),
    }
}

/// What the hosts of a link tell each other goes on without a flow, as if a rule had said so.
#[cold]
fn exempt(tracking: &mut Tracking) -> Tracked {
    tracking.state = Some(CtState::Untracked);
    tracking.direction = Direction::Original;
    Tracked::Accept(Reason::Exempt)
}

/// Why a packet names no flow.
#[cold]
fn why_no_flow(packet: &Packet, fault: Option<Fault<proto::InvalidReason>>) -> InvalidReason {
    if !packet.has_transport() {
        return InvalidReason::NoTransport(packet.protocol());
    }
    fault.unwrap_or_else(|| proto::names_no_flow(packet)).into()
}

/// Where the packet looks for its flow: what a rule of the raw table said.
fn zone_of(tracking: &Tracking, packet: &Packet) -> Zone {
    let template = tracking.template.as_ref();
    template.map_or_else(Zone::default, |template| template.zone_of(packet))
}

fn refused(fault: &Fault<proto::InvalidReason>) -> Refused {
    Refused::Invalid(InvalidReason::from(*fault))
}

/// The state is decided before the tracker sees the packet: an answer makes its own state ESTABLISHED, and that of later packets.
/// An expected flow is RELATED until its first answer, not only for its first packet.
#[inline]
fn state_of(state: &FlowState, direction: Direction) -> CtState {
    if direction == Direction::Reply || state.status.has(Status::SEEN_REPLY) {
        CtState::Established
    } else if state.status.has(Status::EXPECTED) {
        CtState::Related
    } else {
        CtState::New
    }
}

#[inline]
pub(super) fn count(state: &mut FlowState, direction: Direction, packet: &Packet) {
    if let Some(counters) = state.counters_mut() {
        let Counted { packets, bytes } = &mut counters[direction.index()];
        *packets += 1;
        *bytes += packet.len() as u64;
    }
}
