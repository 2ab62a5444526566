//! Two packets that made the same flow at once: the second comes to the end of its way, and the first one's flow stands in the table already.
//!
//! Seen on Linux 6.18 with packets that wait at a queue. Of protocols that are no conversation by themselves ([`TrackerSpec::joins`]) the second is
//! not lost: where its flow is the same as the other to the last bit, or the same from the other end, it counts for that one; where NAT decided
//! otherwise for it, its flow is entered beside the other, for a second and for its answers alone. Of all others it is dropped.
//!
//! [`TrackerSpec::joins`]: super::proto::TrackerSpec::joins

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::track::{Entered, count};
use super::{Direction, DropReason, Flow, Status, Table, proto};
use crate::base::Time;
use crate::packet::Packet;

/// How a packet gets out whose flow another packet had made meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// Both flows are the same: it counts for the one that is in the table.
    Joined,
    /// NAT leads it elsewhere: its flow stands in the table beside the other, under its reply.
    Beside,
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Joined => "another packet made the same flow meanwhile: this one counts for that flow",
            Self::Beside => {
                "another packet made a flow of the same addresses and ports meanwhile, which NAT leads elsewhere: this one's is kept beside it for a \
                 second, and only its answers belong to it"
            }
        })
    }
}

/// What became of a flow that was to be entered under its reply alone.
pub(super) enum Beside {
    Entered,
    /// Who holds the reply.
    InTheWay(Arc<Flow>),
    /// Who held the original tuple is gone.
    NothingInTheWay,
}

/// How long a flow stands beside another.
const BESIDE: Duration = Duration::from_secs(1);

impl Table {
    /// The flow could not be entered because of `holder`. `None`: nothing is in its way any more.
    #[cold]
    pub(super) fn resolve_clash(
        &self,
        now: Time,
        flow: &Arc<Flow>,
        holder: Arc<Flow>,
        packet: &Packet,
    ) -> Option<Result<Entered, DropReason>> {
        let resolved = match proto::spec(packet.protocol()).joins {
            true if joins(flow, &holder, packet) => Some(Entered::Joined(holder)),
            true => match self.stand_beside(now, flow) {
                Beside::Entered => Some(Entered::Beside),
                // One that stands beside another already may be the same.
                Beside::InTheWay(other) => joins(flow, &other, packet).then_some(Entered::Joined(other)),
                Beside::NothingInTheWay => return None,
            },
            false => None,
        };
        match resolved {
            Some(_) => self.statistics.clash_resolve.count(),
            None => {
                self.statistics.insert_failed.count();
                self.statistics.drop.count();
            }
        }
        Some(resolved.ok_or(DropReason::Clash))
    }

    fn stand_beside(&self, now: Time, flow: &Arc<Flow>) -> Beside {
        let mut state = flow.lock();
        let (before, timeout) = (state.status, state.timeout());
        state
            .status
            .set(Status::CONFIRMED.or(Status::FIXED_TIMEOUT).or(Status::CLASHES));
        state.set_deadline(now, now + BESIDE);
        let entered = self.insert_beside(flow, &state);
        if !matches!(entered, Beside::Entered) {
            state.status = before;
            state.set_timeout(timeout);
        }
        entered
    }
}

/// Counts the packet for the flow that is there, if its own is the same.
fn joins(flow: &Flow, holder: &Flow, packet: &Packet) -> bool {
    let is_same = is_same(flow, holder);
    if is_same {
        // Seen: also where it is the same from the other end, and the packet an answer by its looks.
        count(&mut holder.lock(), Direction::Original, packet);
    }
    is_same
}

fn is_same(flow: &Flow, holder: &Flow) -> bool {
    let both = (flow.original(), flow.reply());
    let zones = [Direction::Original, Direction::Reply];
    let same_zone = zones.iter().all(|way| flow.zone().of(*way) == holder.zone().of(*way));
    same_zone && (both == (holder.original(), holder.reply()) || both == (holder.reply(), holder.original()))
}

#[cfg(test)]
mod tests;
