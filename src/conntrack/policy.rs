//! Timeout policies: how long flows live in each state of their protocol, by name, for those whose rule says so (`CT --timeout`), in the place of the
//! knobs. `nfct timeout` makes them and takes them away.
//!
//! Seen on Linux 6.18: a policy has a time for each state of its protocol from its beginning, what was not said as the knobs were then; it never
//! changes. One that a rule names stays; one that only flows have goes, and they live on by the knobs.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::Settings;
use super::proto::{self, TRACKERS, TrackerSpec};
use crate::base::sync::Mutex;
use crate::base::{Family, JIFFIES_PER_SECOND, protocol};

/// A state of a protocol that policies have a time for.
#[derive(Debug)]
pub(crate) struct PolicyState {
    /// As `nfct` prints it.
    pub name: &'static str,
    /// Whether `nfct` knows it at all. A state that only the kernel knows keeps what the knob was.
    pub is_the_tools: bool,
    /// Where the knobs have it.
    pub reach: fn(&mut Settings) -> &mut Duration,
}

impl PolicyState {
    pub(crate) const fn new(name: &'static str, reach: fn(&mut Settings) -> &mut Duration) -> Self {
        Self {
            name,
            is_the_tools: true,
            reach,
        }
    }

    /// See the field.
    pub(crate) const fn unknown_to_the_tool(mut self) -> Self {
        self.is_the_tools = false;
        self
    }
}

/// One of them.
#[derive(Debug)]
pub struct TimeoutPolicy {
    name: String,
    family: Family,
    of: &'static TrackerSpec,
    /// One a state, in their order.
    times: Box<[Duration]>,
}

impl TimeoutPolicy {
    /// What `said` does not name is as the knobs are now. `None`: there are no policies for this protocol; 255 stands for all that are no more than a
    /// number.
    pub fn new(name: &str, family: Family, protocol: u8, said: &[(&str, u32)], settings: &Settings) -> Option<Self> {
        let of = spec(protocol)?;
        let mut settings = settings.clone();
        set_times(of, &mut settings, said);
        let times = of.policy.iter().map(|state| *(state.reach)(&mut settings)).collect();
        Some(Self {
            name: name.to_owned(),
            family,
            of,
            times,
        })
    }

    /// By which rules and commands know it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of the flows that it is for.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The number of the protocol that it is for; 255 for all that are no more than a number.
    pub fn protocol(&self) -> u8 {
        self.of.protocol
    }

    /// What it is for, as `nfct` is told.
    pub fn said_of(&self) -> (&'static str, &'static str) {
        let family = match self.family {
            Family::V4 => "inet",
            Family::V6 => "inet6",
        };
        (family, name_of(self.of))
    }

    /// Each state that `nfct` knows, and how long flows live in it, in seconds.
    pub fn times(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = self.of.policy.iter().zip(&self.times);
        all.filter(|(state, _)| state.is_the_tools)
            .map(|(state, time)| (state.name, seconds_shown(*time)))
    }

    /// The knobs as they are for a flow that has this policy.
    pub(super) fn applied_to(&self, settings: &Settings) -> Settings {
        let mut settings = settings.clone();
        for (state, time) in self.of.policy.iter().zip(&self.times) {
            *(state.reach)(&mut settings) = *time;
        }
        settings
    }
}

/// What is written down of a protocol that can have policies.
fn spec(number: u8) -> Option<&'static TrackerSpec> {
    let found = TRACKERS.iter().find(|spec| spec.protocol == number)?;
    found.is_the_kernels.then_some(*found)
}

/// What `nfct` calls a protocol, its number there, and the names of its states. The kernel may have no policies for it all the same.
pub(crate) fn protocols() -> impl Iterator<Item = (&'static str, u8, Vec<&'static str>)> {
    TRACKERS.iter().map(|spec| {
        let states = spec.policy.iter().filter(|state| state.is_the_tools);
        (name_of(spec), spec.protocol, states.map(|state| state.name).collect())
    })
}

fn name_of(spec: &TrackerSpec) -> &'static str {
    match spec.protocol {
        protocol::RAW => "generic",
        _ => spec.name,
    }
}

/// The tracker that the kernel has for a protocol, by the number that policies name it by.
pub(crate) fn tracker_of(number: u8) -> u8 {
    let spec = proto::spec(number);
    match spec.is_the_kernels {
        true => spec.protocol,
        false => protocol::RAW,
    }
}

/// The knobs that stand for a policy where a flow has none: their states as `nfct` knows them, in seconds. `None` for a protocol without.
pub(crate) fn default_times(protocol: u8, settings: &Settings) -> Option<Vec<(&'static str, u64)>> {
    let policy = TimeoutPolicy::new("", Family::V4, protocol, &[], settings)?;
    Some(policy.times().collect())
}

/// Sets those knobs; false for a protocol without.
pub(crate) fn set_default_times(protocol: u8, settings: &mut Settings, said: &[(&str, u32)]) -> bool {
    let spec = spec(protocol);
    if let Some(of) = spec {
        set_times(of, settings, said);
    }
    spec.is_some()
}

/// Each name is one of the protocol's states.
fn set_times(of: &TrackerSpec, settings: &mut Settings, said: &[(&str, u32)]) {
    for (name, seconds) in said {
        if let Some(state) = of.policy.iter().find(|state| state.name == *name) {
            *(state.reach)(settings) = lifetime(*seconds);
        }
    }
}

/// The kernel holds it in 32 bits of a 250th of a second, and looks at them as a number with a sign. A negative one is held as [`super::settings`] does.
fn lifetime(seconds: u32) -> Duration {
    let seconds = i64::from(seconds.wrapping_mul(JIFFIES_PER_SECOND) as i32) / i64::from(JIFFIES_PER_SECOND);
    match u64::try_from(seconds) {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::from_nanos(seconds.unsigned_abs()),
    }
}

/// Seen: there a negative one is shown without its sign.
fn seconds_shown(time: Duration) -> u64 {
    match (time.as_secs(), time.subsec_nanos()) {
        (0, negative) if negative != 0 => {
            u64::from(0_u32.wrapping_sub(negative.wrapping_mul(JIFFIES_PER_SECOND)) / JIFFIES_PER_SECOND)
        }
        (seconds, _) => seconds,
    }
}

/// Those that there are, in the order in which they came.
#[derive(Debug, Default)]
pub struct TimeoutPolicies(Mutex<Vec<Arc<TimeoutPolicy>>>);

impl TimeoutPolicies {
    /// None, for as long as anybody likes.
    pub fn none() -> &'static Self {
        static NONE: LazyLock<TimeoutPolicies> = LazyLock::new(TimeoutPolicies::default);
        &NONE
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<Arc<TimeoutPolicy>> {
        self.0.lock().iter().find(|policy| policy.name == name).cloned()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<TimeoutPolicy>> {
        self.0.lock().clone()
    }

    /// False where one of its name is there.
    pub fn add(&self, policy: TimeoutPolicy) -> bool {
        let mut all = self.0.lock();
        let is_new = all.iter().all(|other| other.name != policy.name);
        if is_new {
            all.push(Arc::new(policy));
        }
        is_new
    }

    pub(super) fn remove(&self, policy: &Arc<TimeoutPolicy>) {
        self.0.lock().retain(|other| !Arc::ptr_eq(other, policy));
    }

    pub(super) fn copy(&self) -> Self {
        Self(Mutex::new(self.all()))
    }
}

#[cfg(test)]
mod tests;
