//! A tracker that remembers much of a flow does so apart from it: a flow of another protocol has no room for that.

use std::fmt;
use std::time::Duration;

use super::{Accepted, ChecksumCheck, Fault, Known, Tracker, Verdict};
use crate::base::Time;
use crate::conntrack::{Direction, Settings, TrackContext, Tuple};
use crate::packet::{Packet, Plain};

impl<T: Tracker> Tracker for Box<T> {
    type Seen<'p> = T::Seen<'p>;
    type Invalid = T::Invalid;
    type Ignored = T::Ignored;

    #[inline]
    fn check<'p>(packet: &'p Packet, checksum: &mut ChecksumCheck) -> Result<Self::Seen<'p>, Fault<Self::Invalid>> {
        T::check(packet, checksum)
    }

    fn names_no_flow(packet: &Packet) -> Fault<Self::Invalid> {
        T::names_no_flow(packet)
    }

    fn quoted<'p>(seen: &Self::Seen<'p>) -> Option<&'p [u8]> {
        T::quoted(seen)
    }

    fn is_exempt(seen: &Self::Seen<'_>) -> bool {
        T::is_exempt(seen)
    }

    #[inline]
    fn open(cx: &TrackContext<'_>, seen: &Self::Seen<'_>, tuple: &Tuple) -> Result<(Self, Duration), Self::Invalid> {
        T::open(cx, seen, tuple).map(|(state, timeout)| (Self::new(state), timeout))
    }

    #[inline]
    fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        known: &Known<'_>,
        direction: Direction,
        seen: &Self::Seen<'_>,
    ) -> Verdict<Self::Invalid, Self::Ignored> {
        T::packet(self, cx, known, direction, seen)
    }

    #[inline]
    fn goes_on<const WORDS: usize>(
        &mut self,
        cx: &TrackContext<'_>,
        known: &Known<'_>,
        direction: Direction,
        packet: (&Plain<'_, WORDS>, &mut ChecksumCheck),
    ) -> Option<Accepted> {
        T::goes_on(self, cx, known, direction, packet)
    }

    fn made(settings: &Settings, now: Time) -> Option<Self> {
        T::made(settings, now).map(Self::new)
    }

    fn set_state(&mut self, name: &str, tags: [Option<u32>; 2]) -> bool {
        T::set_state(self, name, tags)
    }

    fn tags(&self) -> Option<[u32; 2]> {
        T::tags(self)
    }

    fn state_name(&self) -> Option<&'static str> {
        T::state_name(self)
    }

    fn write_for_proc(&self, line: &mut String) -> fmt::Result {
        T::write_for_proc(self, line)
    }

    fn is_assured_nevertheless(&self) -> bool {
        T::is_assured_nevertheless(self)
    }

    fn may_go_early(&self) -> bool {
        T::may_go_early(self)
    }

    fn gives_way_to(&self, opening: &Self) -> bool {
        T::gives_way_to(self, opening)
    }

    fn begin_again(&mut self) {
        T::begin_again(self);
    }

    fn ended_by(&self) -> &'static str {
        T::ended_by(self)
    }

    fn reset_by_rule(&mut self, settings: &Settings) -> Option<Duration> {
        T::reset_by_rule(self, settings)
    }
}
