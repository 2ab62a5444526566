//! The tracking stage of packets whose flow is known before they are looked at.

use std::sync::Arc;

use super::{Visited, count, keep_checksum, state_of};
use crate::base::sync::MutexGuard;
use crate::conntrack::proto::{self, ChecksumCheck, Verdict};
use crate::conntrack::{CtState, Direction, Flow, FlowState, Status, Table, TrackContext, Tracked, Tracking};
use crate::packet::{ChecksumState, Packet, Plain};

/// What tracking made of a packet whose flow was known before.
#[derive(Debug)]
pub(crate) enum TrackedAgain {
    /// It belongs to its flow, and has the state that it was to have.
    AsExpected,
    Otherwise(Tracked),
    /// Nothing was done, but that a flow may be gone that was over: it is to be tracked as any other.
    NotSure,
}

/// What somebody knows of a packet's flow beside the flow itself: which way the packet goes in it, and what is to be found there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownWay {
    pub(crate) direction: Direction,
    /// What tracking calls the packet.
    pub(crate) state: CtState,
    /// The flow's mark, where it matters.
    pub(crate) mark: Option<u32>,
}

/// Somebody is at a flow, for one packet or several that came behind each other. Whoever else asks for it waits.
pub(crate) struct Visit<'f>(MutexGuard<'f, FlowState>);

impl Visit<'_> {
    /// The tracking stage of a plain packet that came in, and was held against what names its flow already. What is known of its checksum, where it
    /// belongs and nothing else is to be said. `None`: nothing has happened, and [`Table::track_known`] is to be asked.
    #[inline(always)]
    pub(crate) fn goes_on<const WORDS: usize>(
        &mut self,
        cx: &TrackContext<'_>,
        packet: &Plain<'_, WORDS>,
        known: KnownWay,
    ) -> Option<ChecksumState> {
        let state = &mut *self.0;
        if !is_there(state, cx, known) {
            return None;
        }
        let mut checksum = ChecksumCheck::of_state(cx, packet.checksum);
        if !state.goes_on(cx, known.direction, (packet, &mut checksum)) {
            return None;
        }
        Some(checksum.found().unwrap_or(packet.checksum))
    }
}

#[inline]
fn is_there(state: &FlowState, cx: &TrackContext<'_>, known: KnownWay) -> bool {
    !state.status.has(Status::DYING)
        && !state.is_expired(cx.now)
        && state_of(state, known.direction) == known.state
        && known.mark.is_none_or(|mark| state.mark == mark)
}

impl Flow {
    /// For the tracking stage of packets that are known to be of it.
    #[inline]
    pub(crate) fn visit(&self) -> Visit<'_> {
        Visit(self.lock())
    }
}

impl Table {
    /// The same as [`Visit::goes_on`] of any packet, which is changed if there is more to be said of it. `tracking` gets nothing where it is as expected.
    #[cold]
    #[inline(never)]
    pub(crate) fn track_known(
        &self,
        cx: &TrackContext<'_>,
        packet: &mut Packet,
        tracking: &mut Tracking,
        (flow, known): (&Arc<Flow>, KnownWay),
    ) -> TrackedAgain {
        let mut checksum = ChecksumCheck::of(cx, packet);
        let mut state = flow.lock();
        if !is_there(&state, cx, known) {
            return TrackedAgain::NotSure;
        }
        let direction = known.direction;
        let Ok(seen) = proto::check(packet, &mut checksum) else {
            return TrackedAgain::NotSure;
        };
        let verdict = self.judged(cx, (flow, &mut state), direction, &seen);
        if !matches!(verdict, Verdict::Accept { .. }) {
            let visited = self.visit(cx, packet, tracking, (flow, state, direction), (known.state, verdict));
            return self.otherwise(packet, tracking, (flow, checksum), visited);
        }
        count(&mut state, direction, packet);
        state.is_answered_by(cx, direction);
        drop(state);
        keep_checksum(packet, checksum);
        TrackedAgain::AsExpected
    }

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
}

#[cfg(test)]
mod tests;
