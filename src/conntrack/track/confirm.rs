//! The last stage: what a packet has opened enters the table.

use std::sync::Arc;

use crate::base::Time;
use crate::base::sync::MutexGuard;
use crate::conntrack::clash::Clash;
use crate::conntrack::{Direction, DropReason, Flow, FlowState, Status, Table, TrackContext, Tracking};
use crate::packet::Packet;

impl Table {
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
            let Err(holder) = self.insert_hashed(flow, &state, tracking.hashes) else {
                self.entered_crowd(cx.now, flow, &mut state);
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

/// What the confirmation came to.
pub(crate) enum Confirmed {
    Done(Option<Clash>),
    /// A helper reads the packet, or its numbers are shifted.
    NotRead {
        is_shifted: bool,
    },
}

/// How a packet's flow stands in the table.
pub(in crate::conntrack) enum Entered {
    /// Since just now.
    New,
    Known,
    /// Another packet's, which opened the same, was there first.
    Joined(Arc<Flow>),
    /// Under its reply alone, since another packet's stands under its original tuple.
    Beside,
}
