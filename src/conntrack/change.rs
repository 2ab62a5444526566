//! What a command may make of flows: new ones of which no packet was seen, and other values for those that there are, as the kernel's netlink
//! interface lets it. What is refused, and in which order that is found, was seen with `conntrack -I` and `-U`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::events::{EventKind, EventMask, Told};
use super::flow::{FlowState, Rare};
use super::labels::Labels;
use super::proto::ProtocolState;
use super::{Counted, Flow, Settings, Status, Table, Tuple, Zone};
use crate::base::{JIFFIES_PER_SECOND, MarkMask, Time};

/// What a command says of a flow. What it leaves out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// How long it lives from now on, in seconds.
    pub timeout: Option<u32>,
    /// The bits that it shall have, beside those that it has for other reasons.
    pub status: Option<Status>,
    /// The bits of the mask are cleared, then those of the value turned.
    pub mark: Option<MarkMask>,
    /// Its tracker's state, as listings print it.
    pub state: Option<&'static str>,
    /// With the state: the tags that packets of each direction carry (SCTP's), original and reply.
    pub tags: [Option<u32>; 2],
    /// The labels that it shall have, and no others.
    pub labels: Option<Labels>,
}

/// Why a command may not do that to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeRefused {
    /// A flow with one of these tuples is there.
    Exists,
    /// There is no such flow.
    NoSuch,
    /// A bit of the status would go that cannot, or one come that only the kernel sets.
    Busy,
    /// The flow's time is fixed.
    NotPermitted,
    /// The tuples cannot be a flow's, or its tracker takes no such state.
    Invalid,
    /// Its protocol's tracker begins with a packet.
    NotMade,
    /// The table is full.
    NoMemory,
    /// The flow has no room for labels.
    NoSpace,
}

/// In the C library's words.
impl fmt::Display for ChangeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "File exists",
            Self::NoSuch => "No such file or directory",
            Self::Busy => "Device or resource busy",
            Self::NotPermitted => "Operation not permitted",
            Self::Invalid => "Invalid argument",
            Self::NotMade => "Operation not supported",
            Self::NoMemory => "Cannot allocate memory",
            Self::NoSpace => "No space left on device",
        })
    }
}

impl Table {
    /// A flow that no packet opened. It is in no table yet: NAT may choose its mapping, then [`Self::enter_made`] is to be called.
    pub fn make(
        &self,
        now: Time,
        settings: &Settings,
        (original, reply): (Tuple, Tuple),
        zone: Zone,
        change: &Change,
    ) -> Result<Arc<Flow>, ChangeRefused> {
        let hash = self.hash(&original);
        if self.lookup_in(now, &original, zone).is_some() {
            return Err(ChangeRefused::Exists);
        }
        let max = settings.max as usize;
        if max != 0 && self.count() >= max && !self.early_drop(now, hash) {
            return Err(ChangeRefused::NoMemory);
        }
        let protocol = ProtocolState::made(original.protocol, settings, now).ok_or(ChangeRefused::NotMade)?;
        let told = self.begin_telling(settings, None);
        let has_labels = self.keeps_labels();
        let mut state = FlowState::new(protocol, lifetime(change.timeout.ok_or(ChangeRefused::Invalid)?));
        if has_labels || told.is_some() || settings.timestamp || settings.acct {
            state.rare = Some(Box::new(Rare {
                started: settings.timestamp.then_some(now),
                counters: settings.acct.then(|| Box::new([Counted::default(); 2])),
                told: told.map(|told| Told::nothing(told.flow, 0)),
                labels: has_labels.then_some(0),
                ..Rare::default()
            }));
        }
        let told = told.map_or(EventMask::NONE, |told| told.expectations);
        let flow = Flow::begun(self.next_serial(), (&original, &reply), (zone, told), state);
        Ok(flow)
    }

    /// The flow that a command made enters the table, as the command wants it.
    pub fn enter_made(&self, now: Time, flow: &Arc<Flow>, change: &Change) -> Result<(), ChangeRefused> {
        let mut state = flow.lock();
        let timeout = state.timeout();
        state.status.set(Status::CONFIRMED);
        state.refresh(now, timeout);
        state.change(
            now,
            &Change {
                timeout: None,
                labels: None,
                ..change.clone()
            },
        )?;
        if let Some(labels) = change.labels {
            // Seen: without room for them it is made all the same.
            state.set_labels(labels);
        }
        // Seen: what a command could not enter is not counted (`insert_failed` is of packets' flows).
        if self.insert(flow, &state).is_err() {
            return Err(ChangeRefused::Exists);
        }
        drop(state);
        self.statistics.insert.count();
        self.events.commanded(now, flow, EventKind::New);
        Ok(())
    }

    /// Changes a flow of the table. What comes before what is refused has been done.
    pub fn change(&self, now: Time, flow: &Arc<Flow>, change: &Change) -> Result<(), ChangeRefused> {
        {
            let mut state = flow.lock();
            if state.status.has(Status::DYING) || state.is_expired(now) {
                return Err(ChangeRefused::NoSuch);
            }
            state.change(now, change)?;
        }
        self.events.commanded(now, flow, EventKind::Update);
        Ok(())
    }
}

impl FlowState {
    fn change(&mut self, now: Time, change: &Change) -> Result<(), ChangeRefused> {
        if let Some(seconds) = change.timeout {
            if self.status.has(Status::FIXED_TIMEOUT) {
                return Err(ChangeRefused::NotPermitted);
            }
            self.set_deadline(now, now + lifetime(seconds));
        }
        if let Some(wanted) = change.status {
            let (coming, going) = (wanted.without(self.status), self.status.without(wanted));
            if coming.or(going).has_any(Status::EXPECTED) || going.has_any(Status::SEEN_REPLY.or(Status::ASSURED)) {
                return Err(ChangeRefused::Busy);
            }
            self.status.set(wanted);
        }
        if let Some(state) = change.state
            && !self.protocol.set_state(state, change.tags)
        {
            return Err(ChangeRefused::Invalid);
        }
        if let Some(mark) = change.mark {
            self.mark = changed_mark(self.mark, mark);
        }
        match change.labels {
            Some(labels) if !self.set_labels(labels) => Err(ChangeRefused::NoSpace),
            _ => Ok(()),
        }
    }
}

/// A mark as a command leaves it.
pub(crate) fn changed_mark(before: u32, change: MarkMask) -> u32 {
    before & !change.mask ^ change.value
}

/// Seen: longer ones are cut to what the kernel's 31 bits of ticks hold.
fn lifetime(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds.min(LONGEST)))
}

const LONGEST: u32 = i32::MAX as u32 / JIFFIES_PER_SECOND;

#[cfg(test)]
mod tests;
