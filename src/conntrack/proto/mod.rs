//! Trackers: what each protocol makes of a packet of a flow, a file each, and the registry of them.
//!
//! A tracker is two things. Its [`TrackerSpec`] is what is written down of the protocol: its name and number, how its headers name a flow, its
//! knobs, what the `conntrack` tool asks of it. What it remembers of a flow implements [`Tracker`]. The line in `trackers!` below makes it a state
//! that a flow can have, a reason that a packet can be INVALID for, and a part of the settings: nowhere else is there a list of protocols.

mod boxed;
mod checksum;
pub(crate) mod dccp;
pub(crate) mod generic;
pub(crate) mod gre;
pub(crate) mod icmp;
pub(crate) mod icmpv6;
pub(crate) mod key;
pub(crate) mod samples;
pub(crate) mod sctp;
pub(crate) mod tcp;
pub(crate) mod tool;
pub(crate) mod udp;
pub(crate) mod udplite;
mod verdict;

pub(crate) use checksum::ChecksumCheck;
pub(crate) use verdict::{Accepted, Fault, Verdict, Why, WhyInvalid};

use std::fmt;
use std::time::Duration;

use super::policy::PolicyState;
use super::settings::{KnobSpec, Settings};
use super::{Because, Direction, SequenceAdjustment, TrackContext, Tuple};
use crate::base::{Family, Time};
use crate::packet::{Packet, Plain};
use key::Key;
use samples::Sample;
use tool::ToolOption;

/// What is written down of a protocol.
#[derive(Debug)]
pub(crate) struct TrackerSpec {
    /// As the listings call it.
    pub name: &'static str,
    pub protocol: u8,
    /// The family in whose packets it is tracked, where the other has one of its own: there it is INVALID.
    pub family: Option<Family>,
    /// False where only the `conntrack` tool knows the name: to the kernel it is `unknown`.
    pub is_the_kernels: bool,
    /// What tells the flows between two hosts apart, and how it stands in headers and lines.
    pub key: Key,
    /// Whether the header is looked at before the packet's flow is. Of other protocols, a packet whose header is wrong has used up an expectation
    /// by then, or was refused since the table is full. Seen: only ICMP's is.
    pub checked_first: bool,
    /// Whether the second of two packets that made the same flow at once gets out ([`super::clash`]). Seen: of what has a handshake it is
    /// dropped, and so is a ping.
    pub joins: bool,
    /// What the kernel's log says of a wrong checksum.
    pub checksum_logged: &'static str,
    /// Whether a flow that opens may get from NAT the port of one that is over, where that one gives way: who asks for the others looks up nobody.
    pub takes_over: bool,
    /// The knobs under `net.netfilter` that are this protocol's own.
    pub knobs: &'static [KnobSpec],
    /// The states that timeout policies have a time for; empty where there are no policies.
    pub policy: &'static [PolicyState],
    /// What `conntrack -p NAME` can ask for.
    pub options: &'static [&'static [ToolOption]],
    #[cfg_attr(not(test), expect(dead_code, reason = "the registry's tests walk them"))]
    pub samples: &'static [Sample],
}

impl TrackerSpec {
    /// Whether its header is looked at first in packets of this family, as [`Self::checked_first`] says.
    pub(super) fn is_checked_first_in(&self, family: Family) -> bool {
        self.checked_first && self.family.is_none_or(|it| it == family)
    }
}

/// What a protocol's tracker remembers of a flow, and what it does with the flow's packets.
pub trait Tracker: Clone + fmt::Debug + Sized {
    /// A packet whose header has been found right, as far as it tells alone.
    type Seen<'p>;
    /// Why a packet is INVALID to this protocol.
    type Invalid: WhyInvalid;
    /// Why a packet goes through, though the flow neither changes nor lives longer by it.
    type Ignored: Why;

    /// Looks at what the packet alone tells: lengths, flags and, where that is asked for, the checksum.
    fn check<'p>(packet: &'p Packet, checksum: &mut ChecksumCheck) -> Result<Self::Seen<'p>, Fault<Self::Invalid>>;

    /// Why a packet names no flow, or one that has no answer.
    fn names_no_flow(packet: &Packet) -> Fault<Self::Invalid> {
        Fault::Truncated(packet.transport().len())
    }

    /// The packet that an error quotes; `None` for what is no error.
    fn quoted<'p>(_seen: &Self::Seen<'p>) -> Option<&'p [u8]> {
        None
    }

    /// Whether packets like this are kept from tracking, as if a rule said so.
    fn is_exempt(_seen: &Self::Seen<'_>) -> bool {
        false
    }

    /// The first packet of a flow: what is remembered of it and how long the flow lives, or why this packet opens none.
    fn open(cx: &TrackContext<'_>, seen: &Self::Seen<'_>, tuple: &Tuple) -> Result<(Self, Duration), Self::Invalid>;

    /// A packet of a flow after its first.
    fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        known: &Known<'_>,
        direction: Direction,
        seen: &Self::Seen<'_>,
    ) -> Verdict<Self::Invalid, Self::Ignored>;

    /// The same of a plain packet whose header nobody has looked at, where it is right and the packet is like most that come before and after it.
    /// `None`, and then nothing has happened: it is to be asked of [`Self::check`] and [`Self::packet`] what to make of it, and these say the same of
    /// those that are accepted here.
    #[inline]
    fn goes_on<const WORDS: usize>(
        &mut self,
        _cx: &TrackContext<'_>,
        _known: &Known<'_>,
        _direction: Direction,
        (_packet, _checksum): (&Plain<'_, WORDS>, &mut ChecksumCheck),
    ) -> Option<Accepted> {
        None
    }

    /// What is remembered of a flow that a command makes, of which no packet was seen. `None`: a command can make no such flow here yet.
    fn made(_settings: &Settings, _now: Time) -> Option<Self> {
        None
    }

    /// A command names the state in which the flow is from now on, as the listings print it, and perhaps the tags of its packets by direction. False:
    /// that is not taken.
    fn set_state(&mut self, _name: &str, _tags: [Option<u32>; 2]) -> bool {
        false
    }

    /// The tags of its packets by direction, where they have some.
    fn tags(&self) -> Option<[u32; 2]> {
        None
    }

    /// The state as the listings print it. When it changes, listeners are told.
    fn state_name(&self) -> Option<&'static str> {
        None
    }

    /// What only `/proc` shows of it, with a space at its end.
    fn write_for_proc(&self, _line: &mut String) -> fmt::Result {
        Ok(())
    }

    /// Whether the flow is ASSURED, though its packet is INVALID or does not count.
    fn is_assured_nevertheless(&self) -> bool {
        false
    }

    /// Whether an assured flow may go when the table is full, since it is about to end.
    fn may_go_early(&self) -> bool {
        false
    }

    /// Whether NAT may give the port of this flow, which is over, to one that opens now.
    fn gives_way_to(&self, _opening: &Self) -> bool {
        false
    }

    /// Tracking begins again after a while without: what passed meanwhile was not seen.
    fn begin_again(&mut self) {}

    /// What a packet was that ended it ([`Verdict::Destroy`]).
    fn ended_by(&self) -> &'static str {
        "its last packet"
    }

    /// REJECT answered a packet of it with a reset in the name of one end: how long the flow lives from now, if that changes.
    fn reset_by_rule(&mut self, _settings: &Settings) -> Option<Duration> {
        None
    }
}

/// What a flow's tracker may know beside what it remembers itself.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub seen_reply: bool,
    pub assured: bool,
    /// Offsets of sequence numbers, by the direction of the packets they apply to.
    pub sequence: Option<&'a [SequenceAdjustment; 2]>,
}

/// A reason of whichever tracker has it: its words, code and log line are that one's.
macro_rules! whoever_says {
    ($reason:ident: $($variant:ident)*) => {
        impl Why for $reason {
            fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant(why) => why.code(),)*
                    Self::Generic(why) => why.code(),
                }
            }

            fn log_line(&self) -> Option<String> {
                match self {
                    $(Self::$variant(why) => why.log_line(),)*
                    Self::Generic(why) => why.log_line(),
                }
            }
        }

        impl fmt::Display for $reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(why) => write!(f, "{why}"),)*
                    Self::Generic(why) => write!(f, "{why}"),
                }
            }
        }
    };
}

/// The registry: a line a protocol, of its module and what its states and reasons are called.
macro_rules! trackers {
    ($($module:ident $variant:ident)*) => {
        /// Every protocol that is more than a number, the one for all others last.
        pub(crate) const TRACKERS: &[&TrackerSpec] = &[$(&$module::SPEC,)* &generic::SPEC];

        /// What a flow's tracker remembers of it.
        #[derive(Clone, Debug)]
        pub enum ProtocolState {
            $($variant($module::State),)*
            Generic(generic::State),
        }

        /// Why a packet is INVALID to its protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum InvalidReason {
            $($variant(<$module::State as Tracker>::Invalid),)*
            Generic(<generic::State as Tracker>::Invalid),
        }

        /// Why a packet of a flow does not count for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum IgnoredReason {
            $($variant(<$module::State as Tracker>::Ignored),)*
            Generic(<generic::State as Tracker>::Ignored),
        }

        /// The knobs of all protocols.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct ProtocolSettings {
            $(pub $module: $module::Settings,)*
            pub generic: generic::Settings,
        }

        /// A packet that its protocol found right.
        pub(super) enum Seen<'p> {
            $($variant(<$module::State as Tracker>::Seen<'p>),)*
            Generic(<generic::State as Tracker>::Seen<'p>),
        }

        #[inline]
        pub(super) fn check<'p>(
            packet: &'p Packet,
            checksum: &mut ChecksumCheck,
        ) -> Result<Seen<'p>, Fault<InvalidReason>> {
            $(if packet.protocol() == $module::SPEC.protocol {
                let seen = <$module::State as Tracker>::check(packet, checksum);
                return seen.map(Seen::$variant).map_err(|fault| fault.map(InvalidReason::$variant));
            })*
            let seen = <generic::State as Tracker>::check(packet, checksum);
            seen.map(Seen::Generic).map_err(|fault| fault.map(InvalidReason::Generic))
        }

        pub(super) fn names_no_flow(packet: &Packet) -> Fault<InvalidReason> {
            $(if packet.protocol() == $module::SPEC.protocol {
                return <$module::State as Tracker>::names_no_flow(packet).map(InvalidReason::$variant);
            })*
            <generic::State as Tracker>::names_no_flow(packet).map(InvalidReason::Generic)
        }

        impl<'p> Seen<'p> {
            #[inline]
            pub(super) fn quoted(&self) -> Option<&'p [u8]> {
                match self {
                    $(Self::$variant(seen) => <$module::State as Tracker>::quoted(seen),)*
                    Self::Generic(seen) => <generic::State as Tracker>::quoted(seen),
                }
            }

            #[inline]
            pub(super) fn is_exempt(&self) -> bool {
                match self {
                    $(Self::$variant(seen) => <$module::State as Tracker>::is_exempt(seen),)*
                    Self::Generic(seen) => <generic::State as Tracker>::is_exempt(seen),
                }
            }

            #[inline]
            pub(super) fn open(
                &self,
                cx: &TrackContext<'_>,
                tuple: &Tuple,
            ) -> Result<(ProtocolState, Duration), InvalidReason> {
                match self {
                    $(Self::$variant(seen) => match <$module::State as Tracker>::open(cx, seen, tuple) {
                        Ok((state, timeout)) => Ok((ProtocolState::$variant(state), timeout)),
                        Err(why) => Err(InvalidReason::$variant(why)),
                    },)*
                    Self::Generic(seen) => match <generic::State as Tracker>::open(cx, seen, tuple) {
                        Ok((state, timeout)) => Ok((ProtocolState::Generic(state), timeout)),
                        Err(why) => Err(InvalidReason::Generic(why)),
                    },
                }
            }
        }

        /// Asks whichever tracker it is.
        macro_rules! whichever {
            ($state:expr, $it:ident => $asked:expr) => {
                match $state {
                    $(ProtocolState::$variant($it) => $asked,)*
                    ProtocolState::Generic($it) => $asked,
                }
            };
        }

        impl ProtocolState {
            #[inline]
            pub(super) fn packet(
                &mut self,
                cx: &TrackContext<'_>,
                known: &Known<'_>,
                direction: Direction,
                seen: &Seen<'_>,
            ) -> Verdict<InvalidReason, IgnoredReason> {
                match (self, seen) {
                    $((Self::$variant(state), Seen::$variant(seen)) => {
                        let verdict = Tracker::packet(state, cx, known, direction, seen);
                        verdict.map(InvalidReason::$variant, IgnoredReason::$variant)
                    })*
                    (Self::Generic(state), Seen::Generic(seen)) => {
                        let verdict = Tracker::packet(state, cx, known, direction, seen);
                        verdict.map(InvalidReason::Generic, IgnoredReason::Generic)
                    }
                    // Not met: a flow is found by its protocol's number, and has that protocol's state.
                    _ => Verdict::Again,
                }
            }

            #[inline(always)]
            pub(super) fn goes_on<const WORDS: usize>(
                &mut self,
                cx: &TrackContext<'_>,
                known: &Known<'_>,
                direction: Direction,
                (packet, checksum): (&Plain<'_, WORDS>, &mut ChecksumCheck),
            ) -> Option<Accepted> {
                match self {
                    $(Self::$variant(state) if packet.protocol() == $module::SPEC.protocol => {
                        Tracker::goes_on(state, cx, known, direction, (packet, checksum))
                    })*
                    _ => None,
                }
            }

            /// Of a flow that a command makes.
            pub(super) fn made(protocol: u8, settings: &Settings, now: Time) -> Option<Self> {
                $(if protocol == $module::SPEC.protocol {
                    return <$module::State as Tracker>::made(settings, now).map(Self::$variant);
                })*
                <generic::State as Tracker>::made(settings, now).map(Self::Generic)
            }

            pub(super) fn set_state(&mut self, name: &str, tags: [Option<u32>; 2]) -> bool {
                whichever!(self, state => state.set_state(name, tags))
            }

            pub(super) fn tags(&self) -> Option<[u32; 2]> {
                whichever!(self, state => state.tags())
            }

            /// As the listings print it.
            pub fn state_name(&self) -> Option<&'static str> {
                whichever!(self, state => state.state_name())
            }

            pub(super) fn write_for_proc(&self, line: &mut String) -> fmt::Result {
                whichever!(self, state => state.write_for_proc(line))
            }

            pub(super) fn is_assured_nevertheless(&self) -> bool {
                whichever!(self, state => state.is_assured_nevertheless())
            }

            pub(super) fn may_go_early(&self) -> bool {
                whichever!(self, state => state.may_go_early())
            }

            /// Whether NAT may give this flow's port to the one that opens now.
            pub(crate) fn gives_way_to(&self, opening: &Self) -> bool {
                match (self, opening) {
                    $((Self::$variant(over), Self::$variant(opening)) => over.gives_way_to(opening),)*
                    _ => false,
                }
            }

            pub(super) fn begin_again(&mut self) {
                whichever!(self, state => state.begin_again());
            }

            pub(super) fn ended_by(&self) -> &'static str {
                whichever!(self, state => state.ended_by())
            }

            pub(super) fn reset_by_rule(&mut self, settings: &Settings) -> Option<Duration> {
                whichever!(self, state => state.reset_by_rule(settings))
            }
        }

        whoever_says!(InvalidReason: $($variant)*);
        whoever_says!(IgnoredReason: $($variant)*);

        impl WhyInvalid for InvalidReason {
            fn because(&self) -> Because {
                match self {
                    $(Self::$variant(why) => why.because(),)*
                    Self::Generic(why) => why.because(),
                }
            }
        }
    };
}

trackers! {
    tcp Tcp
    udp Udp
    icmp Icmp
    udplite UdpLite
    gre Gre
    sctp Sctp
    dccp Dccp
    icmpv6 IcmpV6
}

/// What entries call states of flows, and commands too.
pub(crate) fn state_names() -> impl Iterator<Item = &'static str> {
    let options = TRACKERS.iter().flat_map(|spec| spec.options).copied().flatten();
    options
        .flat_map(|option| match option.asks {
            tool::Asked::State(words) => words,
            _ => &[],
        })
        .map(|(word, _)| *word)
}

/// What is written down of a protocol, by its number.
#[inline]
pub(crate) fn spec(protocol: u8) -> &'static TrackerSpec {
    BY_NUMBER[usize::from(protocol)]
}

static BY_NUMBER: [&TrackerSpec; 256] = {
    let mut by_number = [&generic::SPEC; 256];
    let mut at = 0;
    while at < TRACKERS.len() {
        by_number[TRACKERS[at].protocol as usize] = TRACKERS[at];
        at += 1;
    }
    by_number
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::Profile;
    use crate::conntrack::settings::Knob;
    use crate::conntrack::testing::{self, A, B, Bench};
    use crate::conntrack::{Reason, Tracked};
    use samples::SeenAs;

    #[test]
    fn each_protocol_stands_once_under_its_number_and_its_name() {
        for (at, one) in TRACKERS.iter().enumerate() {
            assert_eq!(spec(one.protocol).name, one.name);
            for other in &TRACKERS[..at] {
                assert_ne!(one.name, other.name);
                assert_ne!(one.protocol, other.protocol, "{} and {}", one.name, other.name);
            }
        }
        assert_eq!(spec(200).name, "unknown");
    }

    /// A knob is named after its protocol and reaches a place of its own.
    #[test]
    fn knobs_are_named_after_their_protocol() {
        for tracker in TRACKERS {
            let name = match tracker.name {
                "unknown" => "generic",
                name => name,
            };
            for knob in tracker.knobs {
                let begin = format!("nf_conntrack_{name}_");
                assert!(knob.name.starts_with(&begin), "{} of {name}", knob.name);
                // It has every knob.
                let mut settings = Settings::of(Profile::Classic);
                match (knob.reach)(&mut settings) {
                    Knob::Seconds(value) => *value += Duration::from_secs(1),
                    Knob::Flag(value) => *value = !*value,
                    Knob::Small { value, .. } => *value += 1,
                    _ => panic!("{}: what kind of knob is this?", knob.name),
                }
                let changed = settings
                    .names()
                    .filter(|name| settings.get(name) != Settings::of(Profile::Classic).get(name));
                assert_eq!(changed.collect::<Vec<_>>(), [knob.name]);
            }
        }
    }

    #[test]
    fn samples_are_seen_as_they_say() {
        for tracker in TRACKERS {
            let opens = |sample: &&Sample| matches!(sample.seen, SeenAs::Flow { .. });
            assert!(
                tracker.samples.iter().any(|sample| opens(&sample)),
                "{} has none",
                tracker.name
            );
            for sample in tracker.samples {
                let place = format!("{} {:?}", tracker.name, sample.header);
                let bench = Bench::new();
                let mut packet =
                    testing::packet_of(tracker.family.unwrap_or(Family::V4), tracker.protocol, sample.header);
                let (tracked, tracking) = bench.track(&mut packet);
                match (sample.seen, tracked, tracking.flow) {
                    (SeenAs::Flow { proc, tool, answer }, Tracked::Accept(Reason::NewFlow), Some(flow)) => {
                        let (original, reply) = (flow.original(), flow.reply());
                        for (tuple, from_kernel, expected) in [
                            (&original, true, proc),
                            (&original, false, tool),
                            (&reply, true, answer),
                        ] {
                            let mut line = String::new();
                            tracker.key.write(&mut line, tuple, from_kernel).unwrap();
                            assert_eq!(line.trim_end(), expected, "{place}");
                        }
                    }
                    (SeenAs::Invalid(why), Tracked::Accept(Reason::Invalid(reason)), None) => {
                        assert_eq!(reason.to_string(), why, "{place}");
                    }
                    (_, tracked, _) => panic!("{place}: {tracked:?}"),
                }
            }
        }
    }

    /// What a tracker does not speak of stays as it is: no flow goes early, gives way, or changes by a reset of a rule's.
    #[test]
    fn a_tracker_of_its_own_mind_changes_nothing_else() {
        let bench = Bench::new();
        for packet in [
            testing::udp((A, 1), (B, 53)),
            testing::echo(A, B, 8, 7),
            testing::packet(50, A, B, b"x"),
        ] {
            let protocol = packet.protocol();
            assert_eq!(
                check(&packet, &mut ChecksumCheck::of(&bench.context(), &packet))
                    .unwrap()
                    .quoted(),
                None
            );
            let (_, tracking) = bench.pass(packet).unwrap();
            let flow = tracking.flow.unwrap();
            let mut state = flow.lock();
            let same = state.protocol.clone();
            assert!(
                !state.protocol.may_go_early() && !state.protocol.gives_way_to(&same),
                "{protocol}"
            );
            assert_eq!(state.protocol.reset_by_rule(&bench.settings), None, "{protocol}");
            assert_eq!(state.protocol.state_name(), None, "{protocol}");
        }
    }

    /// Both directions count as a stream when more than two seconds have passed since the first packet.
    #[test]
    fn datagrams_are_a_stream_after_two_seconds() {
        for (millis, expected) in [(0, 30), (2000, 30), (2001, 120)] {
            let mut bench = Bench::new();
            bench.pass_all([testing::udp((A, 1), (B, 53)), testing::udp((B, 53), (A, 1))]);
            bench.now = bench.now + Duration::from_millis(millis);
            let (_, tracking) = bench.pass(testing::udp((A, 1), (B, 53))).unwrap();
            let left = tracking.flow.unwrap().lock().deadline.since(bench.now);
            assert_eq!(left.as_secs(), expected, "{millis}");
        }
    }

    /// Headers as they are and cut short: an answer's answer is the tuple again, and what is read from an answer's header is its answer.
    #[test]
    fn an_answer_of_an_answer_is_the_same_again() {
        for tracker in TRACKERS {
            let mut named = 0;
            for first in [0, 1, 8, 13, 15, 17, 128, 139] {
                let header = [first, 1, 0x88, 0x0b, 0, 7, 0, 9];
                let read = Tuple::read(tracker.protocol, [10, 0, 0, 2].into(), [192, 0, 2, 9].into(), &header);
                let Some(tuple) = read else { continue };
                let Some(answer) = tuple.inverse() else { continue };
                assert_eq!(answer.inverse(), Some(tuple), "{}", tracker.name);
                assert_eq!(answer.source.address, tuple.destination.address, "{}", tracker.name);
                named += 1;
            }
            assert!(named > 0, "{} names no flow at all", tracker.name);
        }
    }
}
