//! State that rules share by a name, and that a file under `/proc/net` shows: it lives as long as a rule in force names it.

use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;

use super::{LogRecord, Match, Refusal, State};
use crate::base::{JIFFIES_PER_SECOND, Time};

/// What a match says of state that it shares with all rules, of any table and family, that give the same name in the same directory. It is what
/// `Context::state` gives; `Match::state` makes nothing then.
pub trait Sharing {
    /// Under `/proc/net`. Names in one directory are all one extension's.
    fn directory(&self) -> &'static str;
    /// That of the file, which rules that share the state give.
    fn name(&self) -> &str;
    /// For the first rule that names it, which comes into force now.
    fn make(&self, now: Time) -> Arc<dyn Shared>;
    /// Whether the kernel takes the rule beside those that have it already. Whoever may be refused says so in [`Self::is_sure_to_join`].
    fn may_join(&self, _state: &State) -> Result<(), Refusal> {
        Ok(())
    }
    /// False where that hangs on the others.
    fn is_sure_to_join(&self) -> bool {
        true
    }
    /// For each further one, and each time that one comes into force again.
    fn join(&self, _state: &State) {}
}

/// The state itself. Behind its own lock, because workers, rules and readers share it.
pub trait Shared: Any + Send + Sync {
    /// The same for a copy of the router that goes its own way.
    fn copy(&self) -> Arc<dyn Shared>;
    /// As `Context::state` hands it to the match.
    fn as_state(&self) -> &State;
    /// What reading its file gives.
    fn read(&self, clock: Clock) -> String;
    /// What one `write` to its file does.
    fn write(&self, text: &[u8], now: Time) -> Result<(), WriteRefused>;
}

/// A match's state: its rule's own, or that of all who give its name.
pub enum BoundState {
    /// This rule's alone, made by `Match::state`.
    Own(Box<State>),
    /// That of all rules that give the same name, made by `Sharing::make`.
    Shared(Arc<dyn Shared>),
}

impl BoundState {
    /// As for the first rule that comes into force now.
    pub fn fresh(test: &dyn Match, now: Time) -> Option<Self> {
        match test.sharing() {
            Some(named) => Some(Self::Shared(named.make(now))),
            None => test.state(now).map(Self::Own),
        }
    }
}

impl Deref for BoundState {
    type Target = State;

    fn deref(&self) -> &State {
        match self {
            Self::Own(state) => state.as_ref(),
            Self::Shared(state) => state.as_state(),
        }
    }
}

/// When a file is read.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When the file is read.
    pub now: Time,
    /// When the machine was switched on: the kernel's own clock counts from there.
    pub booted: Time,
}

impl Clock {
    /// The kernel's counter of jiffies then, as kernels of 64 bits print it: it begins five minutes before its lower half is full.
    pub fn jiffies(self, at: u64) -> u64 {
        const AT_BOOT: u64 = (1 << 32) - 300 * JIFFIES_PER_SECOND as u64;
        AT_BOOT.wrapping_add(at.wrapping_sub(self.booted.jiffies()))
    }
}

/// A write that the kernel does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteRefused {
    /// As the system says it: `Invalid argument`.
    pub said: &'static str,
    /// What goes into the kernel's log.
    pub logged: Option<LogRecord>,
    /// What would have been right, for people.
    pub expected: &'static str,
}
