//! The way of a packet through the table: the tracking stage and the confirmation.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::clash::Clash;
use super::events::{EventKind, EventMask, Told};
use super::flow::Rare;
use super::keys::KeysOfMaster;
use super::proto::{self, ChecksumCheck, Fault, ProtocolState, Seen, Verdict};
use super::{
    ConntrackHelper, Counted, CtState, Direction, DropReason, Expectation, Flow, FlowState, InvalidReason, Reason,
    Status, Table, TrackContext, Tracked, Tracking, Tuple, Zone,
};
use crate::base::Time;
use crate::base::sync::MutexGuard;
use crate::packet::{ChecksumState, Packet};
use crate::wire::ipv4;

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

    /// The same of a packet that was held against what names its flow already: it goes this way of the flow, and is to have this state. `tracking` gets
    /// nothing where it has.
    #[inline]
    pub(crate) fn track_known(
        &self,
        cx: &TrackContext<'_>,
        packet: &mut Packet,
        tracking: &mut Tracking,
        (flow, direction, expected): (&Arc<Flow>, Direction, CtState),
    ) -> TrackedAgain {
        let mut checksum = ChecksumCheck::of(cx, packet);
        let mut state = flow.lock();
        let is_there = !state.status.has(Status::DYING) && !state.is_expired(cx.now);
        if !is_there || state_of(&state, direction) != expected {
            return TrackedAgain::NotSure;
        }
        let verdict = match state.packet_unseen(cx, direction, (packet, &mut checksum)) {
            Some(verdict) => verdict,
            None if state.rare.is_some() || state.is_in_crowd => {
                let Ok(seen) = proto::check(packet, &mut checksum) else {
                    return TrackedAgain::NotSure;
                };
                self.judged(cx, (flow, &mut state), direction, &seen)
            }
            None => return TrackedAgain::NotSure,
        };
        if !matches!(verdict, Verdict::Accept { .. }) {
            let visited = self.visit(cx, packet, tracking, (flow, state, direction), (expected, verdict));
            return self.otherwise(packet, tracking, (flow, checksum), visited);
        }
        count(&mut state, direction, packet);
        state.is_answered_by(cx, direction);
        drop(state);
        keep_checksum(packet, checksum);
        TrackedAgain::AsExpected
    }

    #[cold]
    fn otherwise(
        &self,
        packet: &mut Packet,
        tracking: &mut Tracking,
        (flow, checksum): (&Arc<Flow>, ChecksumCheck),
        visited: Visited,
    ) -> TrackedAgain {
        let Some(tracked) = visited.tracked(tracking) else {
            return TrackedAgain::NotSure;
        };
        if tracking.state != Some(CtState::Invalid) {
            tracking.flow = Some(Arc::clone(flow));
        }
        self.looked_at(packet, tracking, checksum);
        TrackedAgain::Otherwise(tracked)
    }

    /// What is known of the packet's checksum by now, and what is counted.
    #[inline]
    fn looked_at(&self, packet: &mut Packet, tracking: &Tracking, checksum: ChecksumCheck) {
        keep_checksum(packet, checksum);
        match tracking.state {
            // Asked of the packet and not of what is handed out, for which the processor would wait.
            Some(CtState::Invalid) => {
                self.statistics.invalid.count();
                if proto::spec(packet.protocol()).checked_first {
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
        if proto::spec(packet.protocol()).checked_first {
            match &seen {
                Err(why) => return refuse(tracking, refused(why)),
                Ok(seen) => {
                    if let Some(quoted) = seen.quoted() {
                        return self.relate(cx, packet, tracking, quoted);
                    }
                }
            }
        }
        let Some(mut tuple) = Tuple::of(packet) else {
            let why = seen.err().unwrap_or_else(|| proto::names_no_flow(packet));
            return refuse(tracking, refused(&why));
        };
        self.find_key(&mut tuple, packet.transport());
        let hash = self.hash(&tuple);
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

    /// The packet is an ICMP error that quotes another.
    fn relate(&self, cx: &TrackContext<'_>, packet: &Packet, tracking: &mut Tracking, quoted: &[u8]) -> Tracked {
        let zone = zone_of(tracking, packet);
        let (flow, direction) = match self.flow_of_error(cx, packet, quoted, zone) {
            Ok(found) => found,
            Err(why) => return refuse(tracking, Refused::Invalid(why)),
        };
        *tracking = Tracking {
            flow: Some(flow),
            state: Some(CtState::Related),
            direction,
            template: tracking.template.take(),
            since: None,
            hash: None,
        };
        Tracked::Accept(Reason::ErrorOf)
    }

    /// The packet is the first of a flow.
    fn begin(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        tracking: &mut Tracking,
        (tuple, hash): (&Tuple, u64),
        seen: &Result<Seen<'_>, Fault<proto::InvalidReason>>,
    ) -> Tracked {
        let zone = zone_of(tracking, packet);
        let template = tracking.template.as_deref();
        let policy = template.and_then(|it| it.policy.as_ref());
        let opened = match policy {
            None => self.open(cx, packet, (tuple, hash, zone), seen),
            Some(policy) => {
                let settings = policy.applied_to(cx.settings);
                let cx = TrackContext {
                    settings: &settings,
                    ..*cx
                };
                self.open(&cx, packet, (tuple, hash, zone), seen)
            }
        };
        let Opened {
            reply,
            expectation,
            protocol,
            timeout,
        } = match opened {
            Ok(opened) => opened,
            Err(why) => return refuse(tracking, why),
        };
        let told = self.begin_telling(cx.settings, template.and_then(|it| it.events));
        let mut status = Status::default();
        let (mut mark, mut holds, mut master, mut keys) = (0, None, None, None);
        let helper = match &expectation {
            Some(expectation) => {
                status.set(Status::EXPECTED);
                let mut of_master = expectation.master.lock();
                mark = of_master.mark;
                holds = Some(Arc::clone(of_master.rare_mut().held_by.get_or_insert_default()));
                master = Some(Arc::clone(&expectation.master));
                if proto::spec(tuple.protocol).key.may_be_agreed_on() {
                    keys = Some(KeysOfMaster {
                        keys: Arc::clone(&self.keys),
                        master: expectation.master.serial(),
                    });
                }
                expectation.helper
            }
            None => self.helper_for(cx, tracking, tuple),
        };
        let has_labels = self.keeps_labels();
        let (keeps_time, counts) = (cx.settings.timestamp, cx.settings.acct);
        let by_rules = policy.is_some() || has_labels || told.is_some() || helper.is_some();
        let mut state = FlowState::new(protocol, timeout);
        state.status = status;
        state.mark = mark;
        state.opened_by = cx.packet;
        if by_rules || keeps_time || counts || master.is_some() {
            state.rare = Some(Box::new(Rare {
                started: keeps_time.then_some(cx.now),
                counters: counts.then(|| Box::new(counters_of_first(packet))),
                helper,
                master,
                holds,
                keys,
                told: told.map(|told| Told::nothing(told.flow, mark)),
                policy: policy.cloned(),
                labels: has_labels.then_some(0),
                ..Rare::default()
            }));
        }
        let told = told.map_or(EventMask::NONE, |told| told.expectations);
        let flow = Flow::begun(self.next_serial(), (tuple, &reply), (zone, told), state);
        tracking.flow = Some(flow);
        tracking.direction = Direction::Original;
        tracking.hash = NonZeroU64::new(hash);
        match expectation {
            Some(expectation) => {
                tracking.state = Some(CtState::Related);
                Tracked::Accept(Reason::Expected(expectation))
            }
            None => {
                tracking.state = Some(CtState::New);
                Tracked::Accept(Reason::NewFlow)
            }
        }
    }

    /// The flow whose packet an ICMP error quotes, and the direction of the error.
    fn flow_of_error(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        quoted: &[u8],
        zone: Zone,
    ) -> Result<(Arc<Flow>, Direction), InvalidReason> {
        let quote = Quote::read(quoted).ok_or(InvalidReason::QuoteUnreadable)?;
        let Quote { mut tuple, transport } = quote;
        self.find_key(&mut tuple, transport);
        let answer = tuple.inverse().ok_or(InvalidReason::QuoteUnreadable)?;
        let found = self.lookup_in(cx.now, &answer, zone);
        let (flow, direction) = found.ok_or(InvalidReason::QuoteOfNoFlow)?;
        if answer.destination.address != packet.destination() {
            let (IpAddr::V4(outer), IpAddr::V4(inner)) = (packet.destination(), answer.destination.address) else {
                return Err(InvalidReason::QuoteUnreadable);
            };
            return Err(InvalidReason::QuoteNotForSender { outer, inner });
        }
        Ok((flow, direction))
    }

    /// Whether the packet may open a flow, and with what.
    #[inline]
    fn open(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        (tuple, hash, zone): (&Tuple, u64, Zone),
        seen: &Result<Seen<'_>, Fault<proto::InvalidReason>>,
    ) -> Result<Opened, Refused> {
        let Some(reply) = tuple.inverse() else {
            let why = seen.as_ref().err().copied();
            return Err(refused(&why.unwrap_or_else(|| proto::names_no_flow(packet))));
        };
        let max = cx.settings.max as usize;
        if max != 0 && self.count() >= max && !self.early_drop(cx.now, hash) {
            return Err(Refused::Drop(DropReason::TableFull));
        }
        let expectation = if self.expects_anything() {
            self.with_expectations(|all| all.take(cx.now, tuple, zone))
        } else {
            None
        };
        // Seen: only now does the kernel look at flags and checksum, so a packet that an expectation waits for uses it up even if it opens nothing.
        let opened = seen.as_ref().map_err(refused)?.open(cx, tuple);
        let (protocol, timeout) = opened.map_err(|why| Refused::Invalid(InvalidReason::Protocol(why)))?;
        Ok(Opened {
            reply,
            expectation,
            protocol,
            timeout,
        })
    }

    fn helper_for(
        &self,
        cx: &TrackContext<'_>,
        tracking: &Tracking,
        tuple: &Tuple,
    ) -> Option<&'static ConntrackHelper> {
        let asked = tracking.template.as_ref().and_then(|it| it.helper.as_deref());
        let mut of_protocol = cx.helpers.iter().copied().filter(|helper| helper.reads(tuple));
        match asked {
            Some(name) => of_protocol.find(|it| it.name == name),
            // Old kernels went by the reply's source, which is the original destination before NAT.
            None if cx.settings.automatic_helper => of_protocol.find(|it| it.ports.contains(&tuple.destination.id)),
            None => None,
        }
    }

    /// The last stage (POSTROUTING and INPUT): the flow that this packet opened enters the table.
    /// Says so where another packet's flow was in the way, and this one gets out all the same.
    pub fn confirm(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        tracking: &mut Tracking,
    ) -> Result<Option<Clash>, DropReason> {
        let Some(flow) = &tracking.flow else {
            return Ok(None);
        };
        let entered = self.enter(cx, packet, tracking, (flow, flow.lock()))?;
        Ok(self.entered(cx.now, tracking, entered))
    }

    /// The same in one look at the flow, unless somebody reads the packet or shifts its numbers before: then nothing is done.
    pub(crate) fn confirm_unread(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        tracking: &mut Tracking,
    ) -> Result<Confirmed, DropReason> {
        let Some(flow) = &tracking.flow else {
            return Ok(Confirmed::Done(None));
        };
        let state = flow.lock();
        let is_shifted = state.status.has(Status::SEQ_ADJUST);
        if state.helper().is_some() || is_shifted {
            return Ok(Confirmed::NotRead { is_shifted });
        }
        let entered = self.enter(cx, packet, tracking, (flow, state))?;
        Ok(Confirmed::Done(self.entered(cx.now, tracking, entered)))
    }

    fn entered(&self, now: Time, tracking: &mut Tracking, entered: Entered) -> Option<Clash> {
        let is_new = matches!(entered, Entered::New);
        let clash = match entered {
            Entered::New | Entered::Known => None,
            Entered::Beside => Some(Clash::Beside),
            Entered::Joined(holder) => {
                tracking.flow = Some(holder);
                Some(Clash::Joined)
            }
        };
        if self.events.heard()
            && let Some(flow) = &tracking.flow
        {
            self.events.passed(now, flow, is_new);
        }
        clash
    }

    /// A packet of a flow that is in the table already has got through: who listens hears what has changed.
    #[inline]
    pub fn got_through(&self, now: Time, flow: &Flow) {
        if self.events.heard() {
            self.events.passed(now, flow, false);
        }
    }

    fn enter<'a>(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        tracking: &Tracking,
        (flow, mut state): (&'a Arc<Flow>, MutexGuard<'a, FlowState>),
    ) -> Result<Entered, DropReason> {
        if tracking.direction == Direction::Reply {
            return Ok(Entered::Known);
        }
        loop {
            if state.status.has(Status::CONFIRMED) {
                return Ok(Entered::Known);
            }
            if state.status.has(Status::DYING) {
                return Err(DropReason::FlowDied);
            }
            let timeout = state.timeout();
            state.status.set(Status::CONFIRMED);
            state.refresh(cx.now, timeout);
            if let Some(started) = state.rare.as_mut().and_then(|rare| rare.started.as_mut()) {
                *started = cx.now;
            }
            let Err(holder) = self.insert_hashed(flow, &state, tracking.hash) else {
                self.entered_crowd(flow, &mut state);
                return Ok(Entered::New);
            };
            state.status.clear(Status::CONFIRMED);
            state.set_timeout(timeout);
            drop(state);
            if holder.lock().is_expired(cx.now) {
                self.delete(&holder);
            } else if let Some(resolved) = self.resolve_clash(cx.now, flow, holder, packet) {
                return resolved;
            }
            state = flow.lock();
        }
    }
}

/// What a flow is opened with.
struct Opened {
    reply: Tuple,
    expectation: Option<Arc<Expectation>>,
    protocol: ProtocolState,
    timeout: Duration,
}

/// What the confirmation came to.
pub(crate) enum Confirmed {
    Done(Option<Clash>),
    /// A helper reads the packet, or its numbers are shifted.
    NotRead {
        is_shifted: bool,
    },
}

/// How a packet's flow stands in the table.
pub(super) enum Entered {
    /// Since just now.
    New,
    Known,
    /// Another packet's, which opened the same, was there first.
    Joined(Arc<Flow>),
    /// Under its reply alone, since another packet's stands under its original tuple.
    Beside,
}

/// What tracking made of a packet whose flow was known before.
#[derive(Debug)]
pub(crate) enum TrackedAgain {
    /// It belongs to its flow, and has the state that it was to have.
    AsExpected,
    Otherwise(Tracked),
    /// Nothing was done, but that a flow may be gone that was over: it is to be tracked as any other.
    NotSure,
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
    if checksum.found_right() {
        packet.checksum = ChecksumState::Verified;
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

/// The first packet of a flow counts for it.
fn counters_of_first(packet: &Packet) -> [Counted; 2] {
    let first = Counted {
        packets: 1,
        bytes: packet.len() as u64,
    };
    [first, Counted::default()]
}

#[inline]
pub(super) fn count(state: &mut FlowState, direction: Direction, packet: &Packet) {
    if let Some(counters) = state.counters_mut() {
        let Counted { packets, bytes } = &mut counters[direction.index()];
        *packets += 1;
        *bytes += packet.len() as u64;
    }
}

/// The packet that an ICMP error quotes.
struct Quote<'a> {
    tuple: Tuple,
    transport: &'a [u8],
}

impl<'a> Quote<'a> {
    /// Seen: the version and the checksum of the quoted header do not matter, nor does a length that is too short for one; four bytes of a header
    /// with ports are enough.
    fn read(quoted: &'a [u8]) -> Option<Self> {
        if quoted.len() < ipv4::MIN_HEADER {
            return None;
        }
        let header = usize::from(quoted[0] & 0x0f) * 4;
        let later_fragment = crate::wire::be16(quoted, 6) & ipv4::OFFSET_MASK != 0;
        if later_fragment {
            return None;
        }
        let address = |at: usize| std::net::Ipv4Addr::from_bits(crate::wire::be32(quoted, at)).into();
        let transport = quoted.get(header..)?;
        let tuple = Tuple::read(quoted[9], address(12), address(16), transport)?;
        Some(Self { tuple, transport })
    }
}
