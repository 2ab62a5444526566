//! The unit of extension: what a match and a target must do.
//!
//! Two forms were tried. A closed enum of all matches is a little faster to dispatch (2.1 to 2.5 ns against 2.5 to 3.1 ns a match), but makes
//! every extension touch a shared file and drags all their types into this room; with a trait an extension is one file and one line of the
//! registry. Visiting fewer rules is what pays, so: traits.

use std::any::Any;
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Context, Effect, HookSet, LogRecord, Lowered, Rejection, Rule, Selector, Sharing, Table, TargetContext};
use crate::base::{InterfaceName, Time};
use crate::conntrack::{EventMasks, Settings, TimeoutPolicies};
use crate::packet::Packet;

/// State that a match or target keeps between packets. Behind its own atomics or lock, because several workers share it.
pub type State = dyn Any + Send + Sync;

/// What a match makes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// On to the rule's next match, and behind the last to its action.
    Yes,
    /// On to the next rule.
    No,
    /// The packet is too broken to ask (a TCP header cut short): it is dropped on the spot, as the kernel's `hotdrop` does.
    Malformed,
    /// The match drops it on the spot in the same way, for a reason that its sentence says.
    Dropped,
}

impl From<bool> for Matched {
    fn from(matched: bool) -> Self {
        if matched { Self::Yes } else { Self::No }
    }
}

/// One `-m NAME` with its options, as a value.
pub trait Match: DynEq + Debug + Send + Sync + 'static {
    /// The name after `-m`.
    fn name(&self) -> &'static str;
    /// Whether the packet is what was asked for. It never panics, whatever the packet.
    fn evaluate(&self, cx: &Context<'_>) -> Matched;
    /// What it asks of a packet's plain fields, for an index of rules. By itself it excludes no packet.
    fn lower(&self) -> Lowered {
        Lowered::unknown()
    }
    /// What asking does. By itself anything: a match that says less is asked less often.
    fn effect(&self) -> Effect {
        Effect::UNKNOWN
    }
    /// A sentence without a full stop that sets what was asked against what the packet has (`--dport 80: packet has 443`). Called only
    /// when someone watches, right after `evaluate`.
    fn explain(&self, cx: &Context<'_>) -> String;
    /// The same of a packet that it matched, where that hangs on what it has counted: others say it all by what was typed.
    fn explain_match(&self, _cx: &Context<'_>) -> Option<String> {
        None
    }
    /// What `explain` asks of the state in `cx`, as it is now: a sentence may be asked for long after the packet has gone, when the state is
    /// another. Whatever has state and speaks of it must keep a copy of it here, of the same type.
    fn remember(&self, _cx: &Context<'_>) -> Option<Box<State>> {
        None
    }
    /// Appends the options as `iptables-save` prints them, each with a leading space.
    fn save(&self, out: &mut String);
    /// Appends what `iptables -L` prints, with a leading space.
    fn list(&self, out: &mut String, numeric: bool);
    /// State for a rule that comes into force now.
    fn state(&self, _now: Time) -> Option<Box<State>> {
        None
    }
    /// The same state again, for a copy of the router that goes its own way. Whatever has state must say how it is copied.
    fn copy_state(&self, _state: &State) -> Option<Box<State>> {
        None
    }
    /// State that is not this rule's alone, but has a name.
    fn sharing(&self) -> Option<&dyn Sharing> {
        None
    }
    /// Sets of addresses that it asks by name. Where one is not there, the rule does not come into force; those that are, `Context::sets` has.
    fn sets(&self) -> Vec<&str> {
        Vec::new()
    }
    /// As [`Target::read_back`].
    fn read_back(&self) -> Option<Arc<dyn Match>> {
        None
    }
    /// True where the kernel starts to track connections because this match is used.
    fn needs_conntrack(&self) -> bool {
        false
    }
    /// True where flows that begin while this match is used have room for labels.
    fn needs_labels(&self) -> bool {
        false
    }
    /// Refuses a place or combination that the kernel refuses.
    fn check(&self, _scope: &Scope<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

/// What a target decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetVerdict {
    /// On to the next rule.
    Continue,
    /// On to the next rule, once a copy of the packet has been sent.
    ContinueBeside(CopyTo),
    /// The packet leaves the table, and goes on.
    Accept,
    /// It ends here, without an answer.
    Drop,
    /// Drop, and answer the sender.
    Reject(Rejection),
    /// To who listens at a queue; where nobody does it is dropped, or goes on behind its table.
    Queue(QueueTo),
}

impl TargetVerdict {
    /// Whether the packet goes on to the next rule.
    pub fn continues(self) -> bool {
        matches!(self, Self::Continue | Self::ContinueBeside(_))
    }
}

/// Which queue a packet waits at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTo {
    /// One of these, spread by who speaks with whom.
    pub first: u16,
    /// The last of them; `first` where there is one.
    pub last: u16,
    /// Of several, that of the worker.
    pub by_processor: bool,
    /// Where nobody listens, the packet goes on behind its table.
    pub bypass: bool,
}

impl QueueTo {
    /// Queue 0, as `-j QUEUE` has it.
    pub const FIRST: Self = Self {
        first: 0,
        last: 0,
        by_processor: false,
        bypass: false,
    };
}

/// Where a copy of a packet goes, whatever its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyTo {
    /// The next hop, of the packet's family.
    pub gateway: IpAddr,
    /// The interface that its route leads out of, where there is one of this name.
    pub interface: Option<InterfaceName>,
}

/// One `-j NAME` with its options, as a value. ACCEPT, DROP, RETURN and chains are not targets but actions.
pub trait Target: DynEq + Debug + Send + Sync + 'static {
    /// The name after `-j`.
    fn name(&self) -> &'static str;
    /// The name that `iptables -L` shows and the kernel knows it by, where that is another.
    fn kernel_name(&self) -> &'static str {
        self.name()
    }
    /// Does what it is for, and says where the packet goes. It never panics, whatever the packet.
    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict;
    /// What it made of a packet that goes on behind it, without a full stop (`MSS 1460 becomes 1400`). Called only when someone watches; the two are one
    /// where its effect says that it changes no bytes. Marks are told without it.
    fn explain(&self, _before: &Packet, _after: &Packet) -> Option<String> {
        None
    }
    /// What applying it does, by itself anything: what is known of a packet is known behind it as far as it changes nothing of it.
    fn effect(&self) -> Effect {
        Effect::UNKNOWN
    }
    /// As [`Match::save`].
    fn save(&self, out: &mut String);
    /// As [`Match::list`]; `numeric` is `-n`.
    fn list(&self, out: &mut String, numeric: bool);
    /// As [`Match::state`].
    fn state(&self, _tracking: &TrackingNow<'_>) -> Option<Box<State>> {
        None
    }
    /// As [`Match::copy_state`].
    fn copy_state(&self, _state: &State) -> Option<Box<State>> {
        None
    }
    /// As [`Match::sets`].
    fn sets(&self) -> Vec<&str> {
        Vec::new()
    }
    /// The timeout policy that it names, which cannot go while the rule is in force.
    fn timeout_policy(&self) -> Option<&str> {
        None
    }
    /// What the kernel gives back of it once it is in force, where that is something else: the next command finds that.
    fn read_back(&self) -> Option<Arc<dyn Target>> {
        None
    }
    /// As [`Match::needs_conntrack`].
    fn needs_conntrack(&self) -> bool {
        false
    }
    /// As [`Match::check`].
    fn check(&self, _scope: &Scope<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

/// Where a rule stands, as far as the kernel asks when a ruleset comes into force.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Which the rule is in.
    pub table: Table,
    /// Every hook from which the rule can be reached.
    pub hooks: HookSet,
    /// The rule's own, which some extensions ask for a protocol.
    pub selector: &'a Selector,
    /// All of the rule's, in their order.
    pub matches: &'a [Arc<dyn Match>],
    /// The timeout policies that there are.
    pub policies: &'a TimeoutPolicies,
}

impl<'a> Scope<'a> {
    /// Of a rule, as if there were no timeout policies.
    pub fn without_policies(table: Table, hooks: HookSet, rule: &'a Rule) -> Self {
        Self {
            table,
            hooks,
            selector: &rule.selector,
            matches: &rule.matches,
            policies: TimeoutPolicies::none(),
        }
    }
}

/// What a target may ask of tracking when its rule comes into force.
#[derive(Clone, Copy, Debug)]
pub struct TrackingNow<'a> {
    /// The knobs.
    pub settings: &'a Settings,
    /// The timeout policies that there are.
    pub policies: &'a TimeoutPolicies,
    /// Somebody listens to what happens to flows.
    pub heard: bool,
}

impl TrackingNow<'_> {
    /// What becomes of a rule's word on which events are told, as of a flow that begins now.
    pub fn events(&self, said: EventMasks) -> Option<EventMasks> {
        EventMasks::begin(self.settings, self.heard, Some(said)).filter(|_| said.says_something())
    }
}

/// Why the kernel would not take a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// What the call of the kernel fails with, which decides what the tool says.
    pub errno: Errno,
    /// What the kernel's log says, or where it says nothing, why.
    pub reason: String,
    is_logged: bool,
}

impl Refusal {
    /// The kernel's log says why, in these words.
    pub fn logged(errno: Errno, reason: impl Into<String>) -> Self {
        Self {
            errno,
            reason: reason.into(),
            is_logged: true,
        }
    }

    /// The kernel says nothing, as of a missing chain or of a loop; why, in words of our own.
    pub fn unlogged(errno: Errno, reason: impl Into<String>) -> Self {
        Self {
            errno,
            reason: reason.into(),
            is_logged: false,
        }
    }

    /// The line in the kernel's log.
    pub fn log_record(&self) -> Option<LogRecord> {
        self.is_logged.then(|| LogRecord {
            level: INFO,
            text: self.reason.clone(),
        })
    }
}

/// As the kernel says why it refuses (`dmesg -x`).
const INFO: u8 = 6;

/// The error numbers that the kernel refuses rules with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// EINVAL, `Invalid argument`: the kernel's word for most.
    InvalidArgument,
    /// ELOOP, `Too many levels of symbolic links`: chains that call each other in a circle.
    TooManyLevels,
    /// ENOENT, of which the tool makes `No chain/target/match by that name`.
    NoEntry,
    /// `Numerical result out of range`.
    OutOfRange,
    /// `Resource temporarily unavailable`: the table is another by now than the one that was read.
    TryAgain,
}

/// Equality between trait objects: same type, same value. Any `PartialEq` type has it.
pub trait DynEq {
    /// As what [`Self::equals_any`] of another may be asked about.
    fn as_any(&self) -> &dyn Any;
    /// Whether the other is of the same type and equal.
    fn equals_any(&self, other: &dyn Any) -> bool;
}

impl<T: PartialEq + Any> DynEq for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals_any(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>() == Some(self)
    }
}

impl dyn Match {
    /// Whether both were typed alike, as far as `-C` and `-D` tell.
    pub fn equals(&self, other: &dyn Match) -> bool {
        self.equals_any(other.as_any())
    }
}

impl dyn Target {
    /// Whether both were typed alike, as far as `-C` and `-D` tell.
    pub fn equals(&self, other: &dyn Target) -> bool {
        self.equals_any(other.as_any())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_of_the_same_type_and_value() {
        let (seven, eight, wide): (u8, u8, u16) = (7, 8, 7);
        assert!(seven.equals_any(&7_u8));
        assert!(!seven.equals_any(eight.as_any()) && !seven.equals_any(wide.as_any()) && !wide.equals_any(&7_u8));
    }
}
